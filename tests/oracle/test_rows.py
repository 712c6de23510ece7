# SPDX-License-Identifier: Apache-2.0
"""Each fact about the pickle machine, and that CPython agrees: see rows/__init__.py."""

import importlib
import operator
import os
import re

import pytest

import oracle
import rows

for file in sorted(os.listdir(os.path.join(oracle.HERE, "rows"))):
    if file.endswith(".py") and file != "__init__.py":
        importlib.import_module("rows." + file[:-3])

ASKED = [row for row in rows.ROWS if row.asked]
GROUPS = {"all": oracle.WAYS, "c": ("loads", "file", "peek"), "py": ("python",)}
COMPARE = {"<": operator.lt, ">=": operator.ge}


def parts(version):
    return tuple(map(int, version.split(".")))


def fits(key, way, version):
    """Does "c<3.14, py" mean this way of loading, in this version?"""
    for choice in key.split(","):
        group, bounds = re.fullmatch(r"\s*([a-z]+)((?:(?:<|>=)[\d.]+)*)", choice).groups()
        inside = all(COMPARE[sign](version, parts(bound)) for sign, bound in re.findall(r"(<|>=)([\d.]+)", bounds))
        if inside and way in GROUPS.get(group, (group,)):
            return True
    return False


def choose(table, way, version, otherwise):
    """The last entry that fits."""
    for key, entry in table.items():
        otherwise = entry if fits(key, way, version) else otherwise
    return otherwise


def in_hex(names):
    return [[oracle.as_hex(part) for part in name] for name in names]


@pytest.fixture(scope="module")
def reports():
    return dict(zip((row.name for row in rows.ROWS), oracle.judge([row.stream for row in rows.ROWS])))


@pytest.fixture(scope="module")
def answers():
    """By the version of the interpreter, then by the name of the row."""
    found = oracle.ask_all([row.stream for row in ASKED], [row.options for row in ASKED])
    return {version: dict(zip((row.name for row in ASKED), each)) for version, each in found.items()}


@pytest.mark.parametrize("row", rows.ROWS, ids=lambda row: row.name)
def test_the_scanner_says(row, reports):
    report = reports[row.name]
    said = (report["kind"], oracle.names(report), oracle.codes(report))
    assert said == (row.kind, in_hex(row.imports), row.finds), row.stream.hex()
    if row.uses is not None:
        assert " ".join("%d:%s" % (use["import"], use["use"]) for use in report["uses"]) == row.uses


def disagreement(row, report, way, answer, version):
    """What this way of loading does that the row does not say."""
    does = choose(row.does, way, version, "finishes")
    if answer["finished"] != (does == "finishes"):
        return f"should have {does}: {answer['error']}"
    expected = in_hex(choose(row.resolves, way, version, row.imports))
    exact = answer["finished"] or choose(row.resolves, way, version, None) is not None
    if answer["names"] is not None and answer["names"] != (expected if exact else expected[: len(answer["names"])]):
        return f"resolves {answer['names']}"
    value = choose(row.value, way, version, None)
    if answer["finished"] and value not in (None, answer["value"]):
        return f"makes {answer['value']}"
    # What is really looked up can only be foreseen when all that is asked for was.
    if way == "loads" and not row.resolves and not oracle.is_prefix(answer["resolved"], oracle.looked_up(report)):
        return f"looks up {answer['resolved']}"
    return None


@pytest.mark.parametrize("row", ASKED, ids=lambda row: row.name)
def test_cpython_does(row, reports, answers):
    report = reports[row.name]
    wrong = {}
    for version, by_name in answers.items():
        answer = by_name[row.name]
        for way in oracle.WAYS:
            words = disagreement(row, report, way, answer[way], version)
            if words:
                wrong[version, way] = words
        if oracle.complaints(report, answer):
            wrong[version, "report"] = oracle.complaints(report, answer)
    assert wrong == {}, row.stream.hex()


def test_how_many():
    print(f"{len(rows.ROWS)} rows")
    assert len(rows.ROWS) > 500
