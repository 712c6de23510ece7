# SPDX-License-Identifier: Apache-2.0
"""Values of the standard library's types, pickled by the interpreter that runs this: a line for
each value and protocol, with its name and the stream in hexadecimal. Run by test_library.py.
"""

import argparse
import array
import ast
import calendar
import codecs
import collections
import configparser
import csv
import ctypes
import datetime
import decimal
import email
import email.message
import email.policy
import enum
import fractions
import functools
import http
import http.client
import http.cookies
import inspect
import io
import ipaddress
import itertools
import json
import logging
import operator
import os
import pathlib
import pickle
import queue
import random
import re
import signal
import socket
import statistics
import string
import struct
import subprocess
import sys
import time
import tokenize
import types
import typing
import urllib.error
import urllib.parse
import uuid
import xml.dom.minidom
import xml.etree.ElementTree
import zipfile

NEW = sys.version_info


class Plain(object):
    def __init__(self, **members):
        self.__dict__.update(members)


class Slots(object):
    __slots__ = ("a", "b", "__weakref__")

    def __init__(self):
        self.a = 1


class State(Plain):
    def __getstate__(self):
        return [1, 2]

    def __setstate__(self, state):
        self.state = state


class Reduced(object):
    def __reduce__(self):
        return Reduced, ()


class ReducedAll(object):
    """All six that __reduce__ may give: items, pairs, and from 3.8 on a setter of the state."""

    def append(self, item):
        pass

    def __setitem__(self, key, value):
        pass

    def __reduce_ex__(self, protocol):
        all_six = (ReducedAll, (), {"a": 1}, iter([1, 2, 3]), iter([("a", 1), ("b", 2)]), set_state)
        return all_six if NEW >= (3, 8) else all_six[:5]


def set_state(target, state):
    target.state = state


class Args(tuple):
    def __getnewargs__(self):
        return (tuple(self),)


class ArgsEx(object):
    def __new__(cls, *args, **keywords):
        return object.__new__(cls)

    def __getnewargs_ex__(self):
        return (1, 2), {"key": Slots}


class List(list):
    pass


class Dict(dict):
    pass


class Int(int):
    pass


class Str(str):
    pass


class Bytes(bytes):
    pass


class Float(float):
    pass


class Set(set):
    pass


class Error(Exception):
    def __init__(self, first, second):
        super().__init__(first)
        self.second = second

    def __reduce__(self):
        return Error, (self.args[0], self.second)


class Color(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Bits(enum.Flag):
    A = 1
    B = 2


class IntBits(enum.IntFlag):
    A = 1
    B = 2


class Outer(object):
    class Inner(object):
        pass

    def method(self):
        pass

    @classmethod
    def of_class(cls):
        pass

    @staticmethod
    def of_none():
        pass


class Meta(type):
    pass


class Made(metaclass=Meta):
    pass


class Typed(typing.NamedTuple):
    a: int
    b: str = "x"


Point = collections.namedtuple("Point", "x y")
T = typing.TypeVar("T")


def loop():
    value = Plain(a=[], b={})
    value.a.append(value)
    value.b["self"] = (value, value.b)
    return value


def chain(deep):
    value = None
    for _ in range(deep):
        value = [value]
    return value


def message():
    return email.message_from_string("Subject: a\nTo: b@c.de\n\ntext\n", policy=email.policy.default)


def parsed():
    config = configparser.ConfigParser()
    config.read_string("[a]\nb = 1\n")
    return config


def cookie():
    made = http.cookies.SimpleCookie("a=b; c=d")
    made["a"]["path"] = "/"
    return made


def advanced(iterator, steps=1):
    for _ in range(steps):
        next(iterator)
    return iterator


def dataclass():
    import dataclasses
    global Data, Frozen
    Data = dataclasses.make_dataclass("Data", ["a", "b"])
    Frozen = dataclasses.make_dataclass("Frozen", ["a"], frozen=True)
    Data.__module__ = Frozen.__module__ = __name__
    return [Data(1, [2]), Frozen(1)]


def zone(name):
    import zoneinfo
    return zoneinfo.ZoneInfo(name)


class Since(object):
    """Values that only some versions have."""

    def __init__(self, major, minor, make, before=(4, 0)):
        self.first, self.before, self.make = (major, minor), before, make

    def values(self):
        return self.make() if self.first <= NEW < self.before else []


WHEN = datetime.datetime(2026, 1, 2, 3, 4, 5, 6)

VALUES = {
    "constants": [None, True, False, 0, 1, -1, 255, 256, 65535, 65536, -2**31, 2**31, 2**63, 2**64, -2**70, 2**2100],
    "floats": [0.0, -0.0, 1.5, 1e308, 5e-324, float("inf"), float("-inf"), float("nan")],
    "texts": ["", "a", "\u20ac", "\U0001f600", "\ud800", "a\nb\\c\0\x1a\r", "'\"", "x" * 300, "\\u0041", "a" * 70000],
    "bytes": [b"", b"a", b"\xff\0", bytes(300), bytearray(b""), bytearray(b"a\xff"), b"x" * 70000],
    "complex": [1j, complex("nan")],
    "containers": [[], {}, (), set(), frozenset(), [1], {"a": 1}, (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {1, 2},
                   frozenset("ab"), [[]] * 3, {"a": {"b": {"c": ()}}}],
    "large containers": [list(range(3001)), {str(n): n for n in range(2001)}, set(range(1500)), tuple(range(1200))],
    "recursive": loop(), "deep": chain(200),
    "shared": (lambda a: [a, a, (a, a), {"k": a}])([1]),
    "ranges": [range(3), range(10**20), slice(1, 2, None), slice(None)],
    "singletons": [Ellipsis, NotImplemented],
    "types": [int, str, list, object, type, type(None), type(...), dict, Exception, ValueError, OSError, IOError,
              bytes, range, zip, map, types.FunctionType, types.ModuleType, types.BuiltinFunctionType],
    "functions": [len, print, os.path.join, set_state, json.dumps, operator.add],
    "methods": [[].append, "".join, {}.get, dict.fromkeys, Outer().method, Outer.of_class, Outer.of_none,
                Outer.method, str.upper, int.from_bytes],
    "classes": [Plain, Outer, Outer.Inner, Made, Color, Point, Typed],
    "instances": [Plain(), Plain(a=1, b=[Plain()]), State(), Reduced(), ReducedAll(), Args((1, 2)), Made(), Outer(),
                  Outer.Inner()],
    "subclasses": [List([1]), Dict(a=1), Int(7), Str("x"), Bytes(b"x"), Float(1.5), Set([1])],
    "exceptions": [Exception(), ValueError("a", 1), KeyError("k"), OSError(2, "no", "f"), FileNotFoundError(2, "no"),
                   UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), StopIteration(3), SystemExit(1), Error("a", 2),
                   SyntaxError("bad", ("f", 1, 2, "text")), ImportError("a", name="m"), KeyboardInterrupt(),
                   urllib.error.URLError("why"), http.client.IncompleteRead(b"x"), decimal.InvalidOperation(),
                   subprocess.CalledProcessError(1, "x"), socket.timeout("slow"), struct.error("x"), re.error("bad"),
                   json.JSONDecodeError("a", "b", 0), configparser.NoSectionError("s"), queue.Empty(),
                   tokenize.TokenError("a")],
    "array": [array.array(code, [1, 2]) for code in "bBhHiIlLqQ"] + [array.array("d", [1.5]), array.array("f")],
    "collections": [collections.OrderedDict(a=1), collections.defaultdict(list, a=[1]), collections.defaultdict(None),
                    collections.deque([1, 2], 5), collections.deque(), collections.Counter("abca"),
                    collections.ChainMap({"a": 1}, {}), collections.UserDict(a=1), collections.UserList([1]),
                    collections.UserString("s"), Point(1, 2), Typed(1)],
    "datetime": [WHEN, WHEN.date(), WHEN.time(), datetime.timedelta(1, 2, 3), datetime.timezone.utc,
                 datetime.timezone(datetime.timedelta(hours=1), "CET"), WHEN.replace(tzinfo=datetime.timezone.utc),
                 WHEN.replace(fold=1), WHEN.time().replace(tzinfo=datetime.timezone.utc), datetime.date.max],
    "decimal": [decimal.Decimal("1.50"), decimal.Decimal("NaN"), decimal.Decimal("-Infinity"),
                decimal.Decimal("1.5").as_tuple(), decimal.Context(prec=5), decimal.getcontext()],
    "enum": [Color.RED, Number.ONE, Bits.A, Bits.A | Bits.B, IntBits.A | IntBits.B, http.HTTPStatus.OK,
             signal.SIGTERM, socket.AF_INET, re.IGNORECASE, Color],
    "fractions": fractions.Fraction(1, 3),
    "functools": [functools.partial(int, base=2), functools.partial(functools.partial(print, 1), 2),
                  functools.cmp_to_key, functools.partial(set_state, Plain())],
    "http": [cookie(), http.HTTPStatus.NOT_FOUND],
    "io": [io.BytesIO(b"abc"), io.StringIO("abc\n")],
    "ipaddress": [ipaddress.ip_address("10.0.0.1"), ipaddress.ip_network("10.0.0.0/8"),
                  ipaddress.ip_interface("10.0.0.1/8"), ipaddress.ip_address("::1"), ipaddress.ip_network("::/8"),
                  ipaddress.ip_interface("::1/8")],
    "iterators": [iter([1, 2]), iter((1, 2)), iter("ab"), iter(b"ab"), iter(range(3)), iter({1: 2}), iter({1}),
                  advanced(iter([1, 2])), reversed([1, 2]), enumerate("ab"), zip([1], [2]), map(len, ["a"]),
                  filter(None, [1]), iter({}.items())],
    "logging": [logging.makeLogRecord({"msg": "a %s", "args": ("b",), "levelno": 20}),
                logging.LogRecord("n", 20, "f", 1, "m", ({"a": 1},), None)],
    "email": [message(), email.message.Message()],
    "operator": [operator.itemgetter(1, "a"), operator.attrgetter("a.b"), operator.methodcaller("m", 1),
                 operator.methodcaller("m", 1, key=2)],
    "pathlib": [pathlib.PurePosixPath("a/b"), pathlib.PureWindowsPath("c:/a"), pathlib.Path("/tmp"),
                pathlib.PurePosixPath()],
    "random": [random.Random(1), random.SystemRandom],
    "re": [re.compile("a(b)", re.I), re.compile(b"a")],
    "statistics": statistics.StatisticsError("a"),
    "time": [time.gmtime(0), os.stat("/"), os.terminal_size((80, 24)), os.times()],
    "types": [types.SimpleNamespace(a=1, b=[2]), inspect.Parameter.empty],
    "typing": [typing.Any, T],
    "typing aliases": Since(3, 7, lambda: [
        typing.List[int], typing.Dict[str, int], typing.Union[int, str], typing.Optional[int],
        typing.Callable[[int], str], typing.Tuple[int, ...]]),
    "urllib": [urllib.parse.urlsplit("http://a/b?c#d"), urllib.parse.urlparse("http://a/b")],
    "uuid": [uuid.UUID(int=7), uuid.NAMESPACE_DNS],
    "xml": [xml.dom.minidom.parseString("<a b='c'>d</a>"), xml.etree.ElementTree.XML("<a b='c'>d</a>")],
    "zip": zipfile.ZipInfo("a"),
    "configparser": parsed(),
    "csv": csv.excel, "argparse": argparse.Namespace(a=1), "ast": ast.parse("a + 1"),
    "calendar": calendar.Calendar(), "string": string.Template("$a"),
    "ctypes": ctypes.c_int(7),
    "codecs": codecs.lookup("utf-8"), "inspect": inspect.signature(set_state),
    "itertools": Since(3, 0, lambda: [
        itertools.count(3, 2), itertools.cycle("ab"), itertools.chain("a", [1]), itertools.product("ab", repeat=2),
        itertools.repeat(1, 3), advanced(itertools.permutations("abc"))], before=(3, 14)),
    "dataclasses": Since(3, 7, dataclass),
    "zoneinfo": Since(3, 9, lambda: [zone("UTC"), WHEN.replace(tzinfo=zone("Europe/Berlin"))]),
    "generic aliases": Since(3, 9, lambda: [list[int], dict[str, list[int]], tuple[int, ...]]),
    "unions": Since(3, 10, lambda: [int | str, int | None]),
    "exception groups": Since(3, 11, lambda: ExceptionGroup("a", [ValueError(1), OSError(2, "x")])),
    "buffers": Since(3, 8, lambda: [pickle.PickleBuffer(b"a"), pickle.PickleBuffer(bytearray(b"a"))]),
}

def written(value):
    """The streams of a value, less those of protocols that cannot hold it."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for dumps in (pickle.dumps, pickle._dumps):
            try:
                yield dumps(value, protocol)
            except (TypeError, ValueError, AttributeError, pickle.PicklingError):
                pass


def values_of(entry):
    entry = entry.values() if isinstance(entry, Since) else entry
    return entry if isinstance(entry, list) else [entry]


def main():
    for name, entry in VALUES.items():
        for number, value in enumerate(values_of(entry)):
            streams = sorted(set(written(value)))
            if not streams:
                print("%s %d: no protocol holds it" % (name, number), file=sys.stderr)
            for stream in streams:
                print(name.replace(" ", "-"), stream.hex())


main()
