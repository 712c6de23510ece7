# SPDX-License-Identifier: Apache-2.0
"""The scanner beside every CPython of this machine: random streams, a fixed seed.

What a load resolves must be what the report foresaw, in order, unless the report refuses the
stream; what both unpicklers finish must be a pickle; what the report has nothing against must
ask no persistent id.
"""

import random
import re
import struct

import pytest

import oracle

COUNT = 8000
SEED = 20261122

# What a guided stream may do with the values on top, told by a letter each: c what can be called, t a
# tuple, T one that has no hash, s str, l list, d dict, e set, x an instance, n another constant.
PUSHES = [(b"cm\nC\n", "c"), (b"cstub\nlast\n", "c"), (b")", "t"), (b"]", "l"), (b"}", "d"), (b"\x8f", "e"),
          (b"N", "n"), (b"K\1", "n"), (b"\x8c\1m", "s"), (b"\x8c\3C.d", "s"), (b"Vo\\u0073\n", "s"), (b"C\1x", "n")]
TOP = [("c[tT]", b"R", "x"), ("ct", b"\x81", "x"), ("c[tT]d", b"\x92", "x"), ("xd", b"b", "x"), ("[lx].", b"a", None),
       ("[dx][ctsxn].", b"s", None), ("ss", b"\x93", "c"), ("[ctsxn]", b"\x85", "t"), (".", b"\x85", "T"),
       ("[ctsxn]{2}", b"\x86", "t"), ("..", b"\x86", "T"), ("...", b"\x87", "T"), (".", b"0", "")]
ABOVE_MARK = [(".*", b"l", "l"), ("[ctsxn]*", b"t", "t"), (".*", b"t", "T"), ("([ctsxn].)*", b"d", "d"),
              (".*", b"1", ""), ("c.*", b"o", "x"), (".*", b"im\nC\n", "x"), ("[ctsxn]*", b"\x91", "n")]
BELOW_MARK = [("[lx]", ".*", b"e"), ("[dx]", "([ctsxn].)*", b"u"), ("[ex]", "[ctsxn]*", b"\x90")]

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


class Guided:
    """A stream that mostly knows what stands on the stack."""

    def __init__(self, rnd):
        self.rnd, self.data, self.memo, self.segments = rnd, b"", "", [""]
        for _ in range(rnd.randrange(5, 40)):
            step = rnd.choice([self.push] * 3 + [self.take] * 2 + [self.mark, self.put, self.get, self.close])
            step()
        self.data += b"." if self.segments[-1] else b"N."

    def push(self):
        code, kind = self.rnd.choice(PUSHES)
        self.data += code
        self.segments[-1] += kind

    def mark(self):
        self.data += b"("
        self.segments.append("")

    def put(self):
        if self.segments[-1]:
            self.data += b"\x94"
            self.memo += self.segments[-1][-1]

    def get(self):
        if self.memo:
            key = self.rnd.randrange(len(self.memo))
            self.data += b"h%c" % key
            self.segments[-1] += self.memo[key]

    def take(self):
        """An opcode that fits the values on top."""
        top = self.segments[-1]
        fitting = [(pattern, *rest) for pattern, *rest in TOP if re.search(f"{pattern}$", top)]
        if fitting:
            pattern, code, made = self.rnd.choice(fitting)
            at = re.search(f"{pattern}$", top).start()
            self.data += code
            self.segments[-1] = top[:at] + (top[at] if made is None else made)

    def close(self):
        """An opcode that fits the values above the mark."""
        if len(self.segments) < 2:
            return
        above, below = self.segments.pop(), self.segments[-1]
        fitting = [(code, made) for pattern, code, made in ABOVE_MARK if re.fullmatch(pattern, above)]
        fitting += [(code, "") for under, pattern, code in BELOW_MARK
                    if re.search(f"{under}$", below) and re.fullmatch(pattern, above)] * 3
        code, made = self.rnd.choice(fitting)
        self.data += code
        self.segments[-1] += made


def guided(rnd):
    """A stream that loads, or one with a mistake."""
    data = Guided(rnd).data
    if rnd.random() < 0.2:
        at = rnd.randrange(len(data))
        data = data[:at] + opcode(rnd) + data[at + rnd.randrange(2):]
    return data


@pytest.fixture(scope="module")
def reports():
    """The streams, each with the scanner's report."""
    rnd = random.Random(SEED)
    made = [(stream if number % 2 else guided)(rnd) for number in range(COUNT)]
    streams = [data for data in made if not FAR_KEY.search(data)]
    assert len(streams) > COUNT * 3 // 4
    return list(zip(streams, oracle.judge(streams)))


@pytest.fixture(scope="module")
def answers(reports):
    return oracle.ask_all([data for data, _ in reports])


@pytest.mark.parametrize("version", map(oracle.version, oracle.pythons()), ids=str)
def test_nothing_resolves_that_the_report_did_not_foresee(version, reports, answers):
    finished = 0
    for (data, report), answer in zip(reports, answers[version]):
        assert oracle.complaints(report, answer) == {}, (data, report, answer)
        finished += oracle.both_finish(answer)
    assert finished > 3000
    print(f"{version}: {len(reports)} streams, {finished} finish")
