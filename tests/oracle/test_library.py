# SPDX-License-Identifier: Apache-2.0
"""Pickles of the standard library's types: none is refused for its shape, and all it imports is told."""

import collections
import os
import subprocess

import pytest

import oracle

# The tests about pickling of CPython's own test modules; decimal's alone are fifteen thousand streams.
MODULES = """
    array ast bool builtin bytes bz2 collections configparser copyreg dataclasses deque defaultdict descr dict
    enum enumerate exceptions fractions functools genericalias http_cookies inspect io ipaddress iter itertools list
    logging lzma memoryio minidom operator ordered_dict os pathlib platform plistlib random range re set shelve slice
    socket statistics string tuple types typing unicode uuid xml_etree zlib datetime
""".split()


def as_cpython_writes(python):
    """(name, stream) of every value of values.py, as this interpreter pickles it."""
    result = subprocess.run([python, "-W", "ignore", os.path.join(oracle.HERE, "values.py")], capture_output=True,
                            timeout=60)
    assert (result.returncode, result.stderr) == (0, b"")
    lines = map(bytes.split, result.stdout.splitlines())
    return [(name.decode(), bytes.fromhex(text.decode())) for name, text in lines]


@pytest.mark.parametrize("python", oracle.pythons())
def test_every_type_in_every_protocol(python):
    values = as_cpython_writes(python)
    streams = [stream for _, stream in values]
    assert len(streams) > 1200
    counts = collections.Counter()
    for (name, stream), report, answer in zip(values, oracle.judge(streams), oracle.ask(python, streams)):
        assert oracle.complaints(report, answer) == {}, (name, stream)
        assert report["kind"] == "pickle", (name, stream)
        assert oracle.closed(report) == set(), (name, stream)
        assert oracle.is_prefix(answer["python"]["names"], oracle.names(report)), (name, stream)
        counts["finish"] += oracle.both_finish(answer)
        counts["imports"] += len(report["imports"])
    print(f"{len(streams)} streams, {counts['finish']} finish with stubs, {counts['imports']} imports")


def test_what_the_librarys_own_tests_pickle():
    streams = oracle.harvest(*(f"test.test_{name}:*ickl*" for name in MODULES))
    assert len(streams) > 2000
    finished = 0
    for stream, report, answer in zip(streams, oracle.judge(streams), oracle.ask("/usr/bin/python3", streams)):
        assert oracle.complaints(report, answer) == {}, stream[:500]
        if oracle.both_finish(answer):
            finished += 1
            assert oracle.closed(report) == set(), stream[:500]
    print(f"{len(streams)} streams, {finished} finish")
