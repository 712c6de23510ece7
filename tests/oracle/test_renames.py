# SPDX-License-Identifier: Apache-2.0
"""The renames of protocols 0 to 2: the tables of every CPython of this machine, whole."""

import json
import subprocess

import pytest

import assemble
import oracle

# Left out of the tables of 3.13 and 3.15. The scanner goes on renaming them, and wants both names allowed.
GONE = {"Tix", "CGIHTTPServer"}

TABLES = """
import _compat_pickle, json
print(json.dumps({"names": sorted(_compat_pickle.NAME_MAPPING.items()),
                  "modules": sorted(_compat_pickle.IMPORT_MAPPING.items())}))
"""


def tables(python):
    result = subprocess.run([python, "-c", TABLES], capture_output=True, timeout=60)
    found = json.loads(result.stdout)
    return [tuple(map(tuple, pair)) for pair in found["names"]], found["modules"]


def cases(python):
    """Names as Python 2 wrote them, with what they become."""
    names, modules = tables(python)
    renamed = dict(names)
    assert len(renamed) >= 88 and len(modules) >= 53
    for old, new in names:
        yield old, new
        yield (old[0], old[1] + "_"), (dict(modules).get(old[0], old[0]), old[1] + "_")
    for old, new in modules:
        yield (old, "Some"), (new, "Some")
        yield (new, "Some"), (dict(modules).get(new, new), "Some")


def hexes(name):
    return [oracle.as_hex(part) for part in name]


@pytest.mark.parametrize("python", oracle.pythons())
def test_the_report_renames_as_the_unpickler(python):
    table = [(proto, old, new) for old, new in cases(python) for proto in range(4)]
    streams = [assemble.PROTO(proto) + assemble.GLOBAL(*old) + assemble.STOP for proto, old, _ in table]
    for (proto, old, new), report, answer in zip(table, oracle.judge(streams), oracle.ask(python, streams)):
        expected = hexes(new if proto < 3 else old)
        assert report["imports"][0]["as"] == expected
        assert answer["loads"]["resolved"] == [expected]
        assert answer["python"]["names"] == oracle.names(report) == [hexes(old)]


def test_the_report_renames_what_newer_tables_have_left_out():
    known = {old for python in oracle.pythons() for old, _ in tables(python)[1]}
    for report in oracle.judge([assemble.GLOBAL(name, "Some") + assemble.STOP for name in sorted(GONE | known)]):
        assert report["imports"][0]["as"] != oracle.names(report)[0]
