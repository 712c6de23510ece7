# SPDX-License-Identifier: Apache-2.0
"""The facts about the pickle machine, a row each.

A row is a stream, what the scanner must say of it, and what the unpicklers do with it. The last is
told by tables whose keys choose a way of loading and versions: "all", "c" (loads, file and peek),
"py", "loads", "file", "peek", each perhaps with bounds ("c<3.14", "py>=3.8<3.13"); several stand
behind commas. Of the keys that fit, the last one counts.
"""

import collections

Row = collections.namedtuple("Row", "name stream kind imports finds does resolves value uses asked options")
ROWS = []


def pairs(names):
    """"m:C n:D" or a list of pairs, as pairs."""
    return [tuple(name.split(":")) for name in names.split()] if isinstance(names, str) else list(names)


def row(name, stream, finds="", imports="", kind="pickle", does=None, resolves=None, value=None, uses=None,
        asked=True, **options):
    """Add a row.

    finds     codes, in order
    imports   in order
    does      "finishes" or "fails"; without a word, every unpickler finishes
    resolves  names, where they are not those of `imports` (or, of a load that fails, some of the
              first of them)
    value     repr of what is loaded, or a table of it
    uses      what is done with the imports, as "0:call 1:ref"
    asked     whether unpicklers are; only they that survive it
    options   of unpickle.py
    """
    value = {"all": value} if isinstance(value, str) else value or {}
    resolves = {key: pairs(names) for key, names in (resolves or {}).items()}
    assert all(name != old.name for old in ROWS), name
    ROWS.append(Row(name, stream, kind, pairs(imports), finds.split(), does or {}, resolves, value, uses, asked,
                    options))


def broken(name, stream, finds, imports="", **more):
    """A row that no unpickler finishes, and where the scan ends early."""
    row(name, stream, finds, imports, kind="broken", does=more.pop("does", {"all": "fails"}), **more)
