# SPDX-License-Identifier: Apache-2.0
"""Every pickle that CPython's own pickle tests load, good ones and broken ones."""

import glob

import pytest

import assemble as o
import oracle

MODULES = ("test.test_pickle", "test.test_pickletools", "test.test_picklebuffer")
DEBIAN = "/usr/bin/python3"
HUGE = 65536
FILES = "/usr/lib/python3*/test/rand*.pck"
# Refused although they load, for what they cost: how they begin.
COSTLY = {"limit.memo": b"((lp100000\n", "limit.int": o.PROTO(2) + o.LONG4(b"", length=125009)}


def costly(stream):
    return {code for code, beginning in COSTLY.items() if stream.startswith(beginning)}


@pytest.fixture(scope="module")
def streams():
    found = oracle.harvest(*MODULES)
    for path in sorted(glob.glob(FILES)):
        with open(path, "rb") as file:
            found.append(file.read())
    assert len(found) > 5000
    print(f"{len(found)} streams, {sum(map(len, found))} bytes")
    return found


@pytest.fixture(scope="module")
def reports(streams):
    return oracle.judge(streams)


@pytest.fixture(scope="module")
def answers(streams):
    """Of every CPython, by its version: what it does with the streams, by their numbers.

    The huge ones, fifty of eleven thousand and nearly all of the bytes, are for Debian's alone.
    """
    small = [number for number, stream in enumerate(streams) if len(stream) < HUGE]
    asked = {version: dict(zip(small, found))
             for version, found in oracle.ask_all([streams[number] for number in small]).items()}
    huge = sorted(set(range(len(streams))) - set(small))
    found = oracle.ask(DEBIAN, [streams[number] for number in huge])
    asked[oracle.version(DEBIAN)].update(zip(huge, found))
    assert len(asked[oracle.version(DEBIAN)]) == len(streams)
    return asked


@pytest.mark.parametrize("version", map(oracle.version, oracle.pythons()), ids=str)
def test_what_unpicklers_do_with_cpythons_test_data_is_in_the_report(version, streams, reports, answers):
    finished = imports = 0
    for number, answer in answers[version].items():
        assert oracle.complaints(reports[number], answer) == {}, (streams[number][:500], answer)
        finished += oracle.both_finish(answer)
        imports += len(answer["python"]["names"])
    print(f"{version}: {len(answers[version])} streams, {finished} finish, {imports} imports")
    assert finished > 5000 and imports > 1000


@pytest.mark.parametrize("version", map(oracle.version, oracle.pythons()), ids=str)
def test_what_loads_is_not_refused_for_its_shape(version, streams, reports, answers):
    for number, answer in answers[version].items():
        if oracle.both_finish(answer):
            assert oracle.closed(reports[number]) == costly(streams[number]), streams[number][:500]
