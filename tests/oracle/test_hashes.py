# SPDX-License-Identifier: Apache-2.0
"""The scanner counts keys that collide: its hashes must be those of CPython."""

import datetime
import decimal
import fractions
import math
import random
import struct
import sys
import time

import assemble as o
import oracle

SEED = 20261122
PRIME = sys.hash_info.modulus
assert (PRIME, sys.hash_info.inf) == (2**61 - 1, 314159)


def integers(rnd):
    """Small ones, multiples of the prime and their neighbours, and long ones."""
    near = [n + d for n in (0, 2**31, 2**61, 2**63, 2**64, PRIME, 2 * PRIME, PRIME**2, PRIME**3) for d in range(-3, 4)]
    longs = [rnd.getrandbits(rnd.randrange(1, 1600)) for _ in range(2000)]
    return near + [-n for n in near] + longs + [-n for n in longs] + [PRIME * n for n in longs[:200]]


def floats(rnd):
    plain = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 1e308, 5e-324, 2.0**61, 2.0**-61, float(PRIME), math.inf, -math.inf]
    bits = [struct.unpack(">d", rnd.getrandbits(64).to_bytes(8, "big"))[0] for _ in range(3000)]
    return plain + [-number for number in plain] + [number for number in bits if not math.isnan(number)]


def spell_integer(number):
    """All the ways to push it."""
    yield o.LONG(f"{number}L")
    yield o.LONG4(number)
    if number not in (0, 1):
        yield o.INT(str(number))
    if number.bit_length() < 2000:
        yield o.LONG1(number)
    if -2**31 <= number < 2**31:
        yield o.BININT(number)
    if 0 <= number < 256:
        yield o.BININT1(number)
    if 0 <= number < 65536:
        yield o.BININT2(number)


def numbers(rnd):
    """(value, its stream without STOP)"""
    for number in integers(rnd):
        for stream in spell_integer(number):
            yield number, stream
    for number in floats(rnd):
        yield number, o.BINFLOAT(number)
        yield number, o.FLOAT(repr(number))
    for value, stream in ((True, o.NEWTRUE), (False, o.NEWFALSE), (True, o.INT("01")), (False, o.INT("00"))):
        yield value, stream


def called(module, name, *arguments):
    return o.GLOBAL(module, name) + o.MARK + b"".join(arguments) + o.TUPLE + o.REDUCE


def decimals(rnd):
    texts = ["0", "-0", "1", "-1", "1.0", "10e-1", "1e1", "0.1", ".5", "5.", "+7", "-1.50E+3", "1e-400", "9e9999"]
    for _ in range(800):
        digits = str(rnd.getrandbits(rnd.randrange(1, 300)))
        cut = rnd.randrange(len(digits) + 1)
        texts.append(rnd.choice(("", "-")) + digits[:cut] + "." + digits[cut:])
        texts.append(rnd.choice(("", "-")) + digits + f"e{rnd.randrange(-1000, 1000)}")
    for text in texts:
        yield decimal.Decimal(text), called("decimal", "Decimal", o.text(text))


def made_numbers(rnd):
    """What hashes by its value and is made by a call."""
    yield from decimals(rnd)
    some_floats, some_integers = list(floats(rnd)), integers(rnd)
    for _ in range(800):
        one, two = rnd.choice(some_floats), rnd.choice(some_floats)
        yield complex(one, two), called("builtins", "complex", o.BINFLOAT(one), o.BINFLOAT(two))
        over, under = rnd.choice(some_integers), rnd.choice(some_integers)
        if under % PRIME != 0:
            value = fractions.Fraction(over, under)
            yield value, called("fractions", "Fraction", o.LONG4(over), o.LONG4(under))
        numbers = [rnd.choice((0, 1, 7, -5, 2**40, rnd.randrange(-2**60, 2**60))) for _ in range(3)]
        if numbers[2] != 0 and range(*numbers)[1:2]:  # shorter ones hash None, which is no number before 3.12
            yield range(*numbers), called("builtins", "range", *map(o.LONG1, numbers))
        if numbers[0] > 1:
            yield range(numbers[0]), called("builtins", "range", o.LONG1(numbers[0]))
        parts = [rnd.randrange(0, 2**31) for _ in range(11)]
        yield time.struct_time(parts), called("time", "struct_time", o.MARK + b"".join(map(o.BININT, parts)) + o.TUPLE)
        digits = tuple(parts[:5])
        yield (decimal.DecimalTuple(0, digits, -3), called(
            "decimal", "DecimalTuple", o.BININT1(0), o.MARK + b"".join(map(o.BININT, digits)) + o.TUPLE, o.BININT(-3)))
        days, seconds, micros = rnd.randrange(-10**6, 10**6), rnd.randrange(-2**31, 2**31), rnd.randrange(-2**31, 2**31)
        value = datetime.timedelta(days, seconds, micros)
        yield value, called("datetime", "timedelta", *map(o.BININT, (days, seconds, micros)))
    for small in range(-3, 4):
        yield complex(small, -1), called("builtins", "complex", o.BININT(small), o.BININT(-1))
        yield datetime.timedelta(small), called("datetime", "timedelta", *map(o.BININT, (small, 0, 0)))
        yield fractions.Fraction(small, 7), called("fractions", "Fraction", o.BININT(small), o.BININT1(7))


def tuples(rnd, atoms):
    """Tuples of numbers, and of such tuples."""
    known = list(atoms)
    for _ in range(4000):
        items = [rnd.choice(known) for _ in range(rnd.randrange(0, 6))]
        made = (tuple(value for value, _ in items), o.MARK + b"".join(stream for _, stream in items) + o.TUPLE)
        if len(made[1]) < 4000:
            known.append(made)
            yield made


def test_numbers_and_tuples_hash_as_in_cpython():
    rnd = random.Random(SEED)
    atoms = list(numbers(rnd)) + list(made_numbers(rnd))
    cases = atoms + list(tuples(rnd, atoms))
    for (value, stream), report in zip(cases, oracle.judge([stream + o.STOP for _, stream in cases])):
        assert report["kind"] == "pickle", stream
        assert report["hash"] == hash(value) % 2**64, (value, stream)
    print(f"{len(cases)} values")


def test_values_that_are_equal_hash_alike():
    one, two = o.BININT1(1), o.BININT1(2)
    alike = [
        [o.BININT1(1), o.NEWTRUE, o.FLOAT("1"), o.BINFLOAT(1.0), o.LONG("1"), o.LONG1(b"\1\0\0"), o.INT("01")],
        [o.text("os"), o.UNICODE(r"\u006fs"), o.UNICODE("os"), o.BINUNICODE("os"), o.BINUNICODE8("os")],
        [o.SHORT_BINBYTES("os"), o.BINBYTES("os"), o.BINBYTES8("os")],
        [o.MARK + one + two + o.FROZENSET, o.MARK + two + one + o.FROZENSET],
        [one + o.TUPLE1, o.NEWTRUE + o.TUPLE1, o.MARK + one + o.TUPLE],
        [o.NONE, o.NONE],
    ]
    for group in alike:
        assert len({report["hash"] for report in oracle.judge([stream + o.STOP for stream in group])}) == 1, group


def test_values_that_differ_do_not_all_hash_alike():
    streams = [o.text(f"key {n}") + o.STOP for n in range(1000)]
    streams += [o.MARK + o.BININT2(n) + o.BININT2(n + 1) + o.FROZENSET + o.STOP for n in range(1000)]
    streams += [o.GLOBAL("m", f"C{n}") + o.STOP for n in range(1000)]
    assert len({report["hash"] for report in oracle.judge(streams)}) > 2990
