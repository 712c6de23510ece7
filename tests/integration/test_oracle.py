# SPDX-License-Identifier: Apache-2.0
"""The scanner beside every CPython of this machine: random streams, a fixed seed.

What a load resolves must be what the report foresaw, in order, unless the report refuses the
stream; what both unpicklers finish must be a pickle; what the report has nothing against must
ask no persistent id.
"""

import glob
import json
import os
import random
import re
import struct
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("PICKLEWALL_BIN") or os.path.join(HERE, "..", "..", "build", "dev", "picklewall")
COUNT = 8000
SEED = 20261122

NAMES = [b"os", b"system", b"posix", b"m", b"C", b"a.b", b"\xc3\xa9", b""]
LINES = [b"0", b"1", b"2", b"3", b"00", b"01", b"5", b"-1", b"010", b"0x1", b"1L", b"1_0", b" 1", b"1.5", b"inf",
         b"1e999", b"'os'", b"'a\\x41'", b'"q"', b"os", b"m", b"\\u006fs", b"\\u12", b"\xe9", b"", b"1\0x", b"'"]
CONSTANTS = [b"K\1", b"M\1\0", b"J\1\0\0\0", b"\x8a\1\5", b"\x8b\1\0\0\0\5", b"G" + bytes(8), b"U\2os", b"T\2\0\0\0os",
             b"X\2\0\0\0os", b"C\1x", b"B\1\0\0\0x", b"\x8d\2" + bytes(7) + b"os", b"\x8e\1" + bytes(7) + b"x",
             b"\x96\1" + bytes(7) + b"x"]
SINGLE = b"NNN)]}\x8f\x88\x89tldeaus\x90\x91\x85\x86\x87RRo\x81\x92b012.Q\x97\x98"
# A C unpickler zeroes 16 bytes for every memo key up to the highest: gigabytes, for one like this.
FAR_KEY = re.compile(rb"r..(?:[^\0].|.[^\0])|p\d{7}", re.S)


def opcode(rnd):
    pick = rnd.random()
    if pick < 0.16:
        name = rnd.choice(NAMES)
        return b"\x8c" + bytes([len(name)]) + name
    if pick < 0.22:
        return b"\x93"
    if pick < 0.30:
        key = rnd.randrange(6)
        return rnd.choice([b"\x94", b"q%c" % key, b"h%c" % key, b"r" + struct.pack("<I", key),
                           b"j" + struct.pack("<I", key), b"p" + rnd.choice(LINES) + b"\n",
                           b"g" + rnd.choice(LINES) + b"\n"])
    if pick < 0.38:
        return rnd.choice([b"c", b"c", b"c", b"i"]) + rnd.choice(NAMES) + b"\n" + rnd.choice(NAMES) + b"\n"
    if pick < 0.44:
        return b"("
    if pick < 0.48:
        return rnd.choice([b"I", b"L", b"F", b"S", b"V"]) + rnd.choice(LINES) + b"\n"
    if pick < 0.52:
        return rnd.choice(CONSTANTS)
    if pick < 0.56:
        return b"\x95" + struct.pack("<Q", rnd.choice([0, 1, 2, 3, 5, 8, 9, 10, 12, 20, 100]))
    if pick < 0.58:
        return b"\x80" + bytes([rnd.randrange(7)])
    return bytes([rnd.choice(SINGLE)])


def stream(rnd):
    data = b"".join(opcode(rnd) for _ in range(rnd.randrange(1, 28)))
    if rnd.random() < 0.8:
        data += b"."
    if rnd.random() < 0.15:
        data = data[: rnd.randrange(len(data) + 1)]
    if data and rnd.random() < 0.1:
        at = rnd.randrange(len(data))
        data = data[:at] + bytes([rnd.randrange(256)]) + data[at + 1:]
    return data


def pythons():
    return ["/usr/bin/python3"] + sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python")))


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The streams, each with the scanner's report."""
    rnd = random.Random(SEED)
    streams = [data for data in (stream(rnd) for _ in range(COUNT)) if not FAR_KEY.search(data)]
    assert len(streams) > COUNT * 3 // 4
    folder = tmp_path_factory.mktemp("streams")
    for number, data in enumerate(streams):
        (folder / f"{number:06}").write_bytes(data)
    result = subprocess.run([BIN, "scan", "--json", str(folder)], capture_output=True, timeout=60)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == len(streams)
    return list(zip(streams, lines))


def names_of(report):
    return [[name.encode("utf-8", "surrogateescape").hex() for name in (i["mod"], i["name"])]
            for i in report["imports"]]


def complaint(report, answer):
    """What is wrong with the report in the light of what the unpickler did; None when nothing is."""
    foreseen = names_of(report)
    codes = {find["code"] for find in report["finds"]} - {"import.denied"}
    names = answer["names"]
    if not codes and names != foreseen[: len(names)]:
        return "escape"
    if not codes and answer["finished"] and names != foreseen:
        return "foresaw more than happened"
    if not codes and answer["asked"]:
        return "persistent_load"
    # A file reader before 3.13.15 skips bytes at a broken frame: nothing can be foreseen then.
    if not any(code.startswith("frame.") for code in codes) and not all(n in foreseen for n in names):
        return "missed import"
    return None


@pytest.mark.parametrize("python", pythons())
def test_nothing_resolves_that_the_report_did_not_foresee(python, reports):
    text = "\n".join(data.hex() for data, _ in reports)
    result = subprocess.run([python, os.path.join(HERE, "oracle.py")], input=text.encode(),
                            capture_output=True, timeout=200)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == len(reports), result.stderr[-500:]
    finished = 0
    for (data, report), answer in zip(reports, answers):
        for kind in ("c", "python"):
            assert complaint(report, answer[kind]) is None, (kind, data, report, answer[kind])
        if answer["c"]["finished"] and answer["python"]["finished"]:
            finished += 1
            assert report["kind"] == "pickle", (data, report)
    assert finished > 100
