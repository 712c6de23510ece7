# SPDX-License-Identifier: Apache-2.0
"""Pickles of what programs send, by both picklers of this CPython and in every protocol.

Run inside the differential fuzzer, which takes the list `streams`. Must run on CPython 3.6 too.
"""
import collections
import copyreg
import datetime
import decimal
import enum
import fractions
import functools
import io
import ipaddress
import itertools
import pathlib
import pickle
import sys
import uuid


class Node(object):
    def __init__(self, value):
        self.value = value
        self.me = self


class Slots(object):
    __slots__ = ("a", "b")

    def __init__(self):
        self.a, self.b = 1, "two"


class Words(list):
    pass


class Map(dict):
    pass


class Pair(tuple):
    def __new__(cls, *items):
        return tuple.__new__(cls, items)

    def __getnewargs__(self):
        return tuple(self)


class Named(object):
    def __new__(cls, *, name):
        return object.__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"name": "x"}


class Color(enum.Enum):
    RED = 1


class Reduced(object):
    def __init__(self, state=None):
        self.state = state

    def __reduce__(self):
        return Reduced, (1,), {"state": [2]}, iter([1, 2]), iter({"k": "v"}.items())


Point = collections.namedtuple("Point", "x y")
for _class in (Node, Slots, Words, Map, Pair, Named, Color, Reduced, Point):
    _class.__module__ = "m"
_module = type(sys)("m")
for _class in (Node, Slots, Words, Map, Pair, Named, Color, Reduced, Point):
    setattr(_module, _class.__name__, _class)
sys.modules["m"] = _module

_shared = ["shared"]
_deep = []
for _ in range(60):
    _deep = [_deep]
_loop = []
_loop.append((_loop,))
_words = Words([1, 2])
_words.note = "n"
_map = Map(a=1)
_map.self = _map

VALUES = [
    None, True, False, [], {}, (), set(), frozenset(), 0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -2**31,
    2**63, -(2**70), 2**2100, 0.0, -1.5, float("inf"), float("nan"), 1e300, "", "text", "a\nb\\u0041\r\0", "\xe9",
    "\u20ac\U0001f600", "\ud800", "x" * 300, b"", b"bytes", bytes(range(256)), b"y" * 300, bytearray(b"array"),
    {1, 2}, frozenset("ab"), [1, [2, [3, [4]]]], {"a": 1, "b": [1.0, None, (True, False)]}, ("x",) * 20,
    list(range(300)), {i: str(i) for i in range(40)}, [_shared, _shared], _deep, _loop, (1,), (1, 2), (1, 2, 3),
    collections.OrderedDict(a=1), collections.defaultdict(list, a=[1]), collections.deque([1], 3),
    collections.Counter("aab"), datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
    datetime.date(2026, 1, 2), datetime.timedelta(1, 2, 3), decimal.Decimal("1.50"), fractions.Fraction(1, 3),
    uuid.UUID(int=5), complex(1, 2), range(3), slice(1), Ellipsis, NotImplemented, type(None), int, len,
    functools.partial(int, base=2), itertools.count(3), ipaddress.ip_address("127.0.0.1"),
    pathlib.PurePosixPath("/a/b"), ValueError("x"), KeyError("k"), OSError(2, "m"), iter([1, 2]), [].append,
    io.BytesIO(b"x"), Node(1), Slots(), _words, _map, Pair(1, 2), Named(name="x"), Color.RED, Reduced(), Point(1, 2),
    [Node(i) for i in range(5)], {"job": 1, "args": (1, 2), "kwargs": {"a": b"b"}}, Node, Color, copyreg._reconstructor,
]


def _pickles(value):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for dumps in (pickle.dumps, pickle._dumps):
            try:
                yield dumps(value, protocol)
            except (TypeError, ValueError, NotImplementedError, AttributeError, pickle.PicklingError, RecursionError):
                pass  # not every type has a pickle in every protocol


streams = sorted({stream for value in VALUES for stream in _pickles(value)})
