# SPDX-License-Identifier: Apache-2.0
"""The 68 opcodes: what they read, and odd input."""

import pickletools

import assemble as o
from rows import broken, row

FAILS = {"all": "fails"}
SINCE_3_8 = {"all<3.8": "fails"}

# ---- stack

TAKE_FROM_TOP = ("STOP DUP TUPLE1 TUPLE2 TUPLE3 APPEND SETITEM REDUCE NEWOBJ NEWOBJ_EX STACK_GLOBAL BUILD MEMOIZE "
                 "BINPERSID").split()
for name in TAKE_FROM_TOP:
    broken(f"{name} does not reach below a mark", o.NONE * 3 + o.MARK + o.OPCODES[name] + o.STOP, "pickle.underflow")
    broken(f"{name} of nothing", o.OPCODES[name] + o.NONE + o.STOP, "pickle.underflow")
for name, argument in (("PUT", "0"), ("BINPUT", 0), ("LONG_BINPUT", 0)):
    put = o.OPCODES[name](argument)
    broken(f"{name} does not reach below a mark", o.NONE + o.MARK + put + o.STOP, "pickle.underflow")
    broken(f"{name} of nothing", put + o.NONE + o.STOP, "pickle.underflow")
broken("READONLY_BUFFER does not reach below a mark", o.NONE + o.MARK + o.READONLY_BUFFER + o.STOP,
       "buffer.denied pickle.underflow")
broken("READONLY_BUFFER of nothing", o.READONLY_BUFFER + o.STOP, "buffer.denied pickle.underflow")

FROM_MARK = "POP_MARK TUPLE LIST DICT FROZENSET APPENDS SETITEMS ADDITEMS OBJ".split()
for name in FROM_MARK:
    broken(f"{name} without a mark", o.EMPTY_LIST + o.NONE + o.NONE + o.OPCODES[name] + o.STOP, "pickle.no_mark")
for name in ("APPENDS", "SETITEMS", "ADDITEMS"):
    operands = o.NONE + o.NONE
    broken(f"{name} with nothing below its mark", o.MARK + operands + o.OPCODES[name] + o.STOP, "pickle.underflow")
    broken(f"{name} with a mark below its mark", o.NONE + o.MARK * 2 + operands + o.OPCODES[name] + o.STOP,
           "pickle.underflow")
    # No items: C before 3.15 does not even look at the container.
    empty = o.MARK + o.OPCODES[name] + o.STOP
    broken(f"{name} of no items, with nothing below its mark", empty, "pickle.underflow")

row("STOP leaves what is below its value", o.BININT1(1) + o.BININT1(2) + o.STOP, value="2")
row("STOP leaves open marks", o.MARK + o.MARK + o.BININT1(1) + o.STOP, value="1")
row("what follows STOP is not run", o.NONE + o.STOP + o.GLOBAL("m", "C") + o.STOP, "pickle.trailing", value="None")
broken("no STOP", o.GLOBAL("m", "C"), "pickle.no_stop", "m:C", resolves={"all": "m:C"})
row("no bytes at all", b"", kind="empty", does=FAILS)
row("POP of a mark", o.NONE + o.MARK + o.POP + o.STOP, value="None")
row("POP of a value above a mark", o.MARK + o.NONE + o.POP + o.POP + o.BININT1(1) + o.STOP, value="1")
broken("POP of nothing", o.POP + o.NONE + o.STOP, "pickle.underflow")
row("POP_MARK takes all above the mark", o.NONE + o.MARK + o.BININT1(1) + o.BININT1(2) + o.POP_MARK + o.STOP,
    value="None")
row("POP_MARK takes the newest mark only", o.MARK + o.NONE + o.MARK + o.POP_MARK + o.TUPLE + o.STOP, value="(None,)")
row("DUP", o.BININT1(1) + o.DUP + o.TUPLE2 + o.STOP, value="(1, 1)")
row("DUP of a list is the same list", o.EMPTY_LIST + o.DUP + o.BININT1(1) + o.APPEND + o.TUPLE2 + o.STOP,
    value="([1], [1])")

# ---- constants

for name, stream, value in (
    ("NONE", o.NONE, "None"), ("NEWTRUE", o.NEWTRUE, "True"), ("NEWFALSE", o.NEWFALSE, "False"),
    ("BININT below zero", o.BININT(-2), "-2"), ("BININT, the largest", o.BININT(2**31 - 1), "2147483647"),
    ("BININT1 is unsigned", o.BININT1(255), "255"), ("BININT2 is unsigned", o.BININT2(65535), "65535"),
    ("BININT2 is little-endian", o.BININT2(256), "256"),
    ("LONG1 of no bytes", o.LONG1(b""), "0"), ("LONG1 is two's complement", o.LONG1(b"\xff"), "-1"),
    ("LONG1 with a byte for the sign", o.LONG1(b"\xff\0"), "255"),
    ("LONG1 with needless bytes", o.LONG1(b"\1\0\0\0"), "1"),
    ("LONG4 of no bytes", o.LONG4(b""), "0"), ("LONG4 is two's complement", o.LONG4(b"\0\xff"), "-256"),
    ("BINFLOAT is big-endian", o.BINFLOAT(1.5), "1.5"), ("BINFLOAT, no number", b"G\x7f\xf8" + bytes(6), "nan"),
    ("BINSTRING", o.BINSTRING("ab"), "'ab'"), ("SHORT_BINSTRING", o.SHORT_BINSTRING("ab"), "'ab'"),
    ("BINUNICODE", o.BINUNICODE("a\u20ac"), "'a\u20ac'"), ("SHORT_BINUNICODE", o.SHORT_BINUNICODE(""), "''"),
    ("BINUNICODE8", o.BINUNICODE8("ab"), "'ab'"),
    ("BINUNICODE with half of a surrogate pair", o.BINUNICODE(b"\xed\xa0\x80"), "'\\ud800'"),
    ("BINBYTES", o.BINBYTES(b"\xff"), "b'\\xff'"), ("SHORT_BINBYTES", o.SHORT_BINBYTES(b""), "b''"),
    ("BINBYTES8", o.BINBYTES8(b"a"), "b'a'"),
    ("EMPTY_TUPLE", o.EMPTY_TUPLE, "()"), ("EMPTY_LIST", o.EMPTY_LIST, "[]"), ("EMPTY_DICT", o.EMPTY_DICT, "{}"),
    ("EMPTY_SET", o.EMPTY_SET, "set()"),
):
    row(name, stream + o.STOP, value=value)
row("BYTEARRAY8 is of protocol 5", o.BYTEARRAY8(b"a") + o.STOP, value="bytearray(b'a')", does=SINCE_3_8)

for name, code in (("SHORT_BINSTRING", o.SHORT_BINSTRING), ("BINSTRING", o.BINSTRING)):
    row(f"{name} that is not ASCII", code(b"\xe9") + o.STOP, does=FAILS)
    row(f"{name} that is not ASCII, encoding latin1", code(b"\xe9") + o.STOP, encoding="latin1", value="'\xe9'")
    row(f"{name}, encoding bytes", code(b"\xe9") + o.STOP, encoding="bytes", value="b'\\xe9'")
for name, code in (("BINUNICODE", o.BINUNICODE), ("SHORT_BINUNICODE", o.SHORT_BINUNICODE),
                   ("BINUNICODE8", o.BINUNICODE8)):
    row(f"{name} with an overlong character", code(b"\xc0\x80") + o.STOP, does=FAILS)
    row(f"{name} past the last character", code(b"\xf4\x90\x80\x80") + o.STOP, does=FAILS)
    row(f"{name} that is not UTF-8", code(b"\xe9") + o.STOP, does=FAILS)

for name, code in (("LONG4", o.LONG4), ("BINSTRING", o.BINSTRING)):
    broken(f"{name} with a length below zero", code(b"ab", length=-1) + o.STOP, "pickle.length")
    broken(f"{name} with the lowest length", code(b"ab", length=-2**31) + o.STOP, "pickle.length")
for name, code in (("BINUNICODE8", o.BINUNICODE8), ("BINBYTES8", o.BINBYTES8), ("BYTEARRAY8", o.BYTEARRAY8)):
    broken(f"{name} with a length of 2**63", code(b"ab", length=2**63) + o.STOP, "pickle.length")
    broken(f"{name} with a length of 2**64 - 1", code(b"ab", length=2**64 - 1) + o.STOP, "pickle.length")
    broken(f"{name} with a length of 2**63 - 1", code(b"ab", length=2**63 - 1) + o.STOP, "pickle.truncated")
for name, code in (("BINUNICODE", o.BINUNICODE), ("BINBYTES", o.BINBYTES)):
    broken(f"{name} with a length of 2**32 - 1", code(b"ab", length=2**32 - 1) + o.STOP, "pickle.truncated")
for name in ("LONG1 SHORT_BINSTRING SHORT_BINUNICODE SHORT_BINBYTES LONG4 BINSTRING BINUNICODE BINBYTES BINUNICODE8 "
             "BINBYTES8 BYTEARRAY8").split():
    broken(f"{name} with one byte too few", o.OPCODES[name](b"a", length=2), "pickle.truncated")

ARGUMENTS = {
    "uint1": 1, "uint2": 1, "int4": 1, "uint4": 1, "uint8": 0, "float8": 1.0, "long1": 1, "long4": 1, "string1": "a",
    "string4": "a", "unicodestring1": "a", "unicodestring4": "a", "unicodestring8": "a", "bytes1": "a", "bytes4": "a",
    "bytes8": "a", "bytearray8": "a", "decimalnl_short": "1", "decimalnl_long": "1L", "floatnl": "1.5",
    "stringnl": "'a'", "unicodestringnl": "a", "stringnl_noescape": "a",
}
for opcode in pickletools.opcodes:
    if opcode.arg is not None and opcode.arg.name != "stringnl_noescape_pair":
        whole = o.OPCODES[opcode.name](ARGUMENTS[opcode.arg.name])
        # Lib/pickle.py asks persistent_load for what is left.
        finds = "persistent_id.denied pickle.truncated" if opcode.name == "PERSID" else "pickle.truncated"
        broken(f"{opcode.name} without the last byte of its argument", o.NONE + whole[:-1], finds)
        broken(f"{opcode.name} without an argument", o.NONE + whole[:1], finds)

# ---- buffers

row("NEXT_BUFFER", o.NEXT_BUFFER + o.STOP, "buffer.denied", value="bytearray(b'buffer')", does=SINCE_3_8)
row("NEXT_BUFFER of a consumer that gives none", o.NEXT_BUFFER + o.STOP, "buffer.denied", does=FAILS, hooks=False)
row("READONLY_BUFFER of what may be written", o.NEXT_BUFFER + o.READONLY_BUFFER + o.STOP,
    "buffer.denied buffer.denied", does=SINCE_3_8)
row("READONLY_BUFFER of what may not", o.SHORT_BINBYTES("a") + o.READONLY_BUFFER + o.STOP, "buffer.denied",
    does=SINCE_3_8, value="b'a'", hooks=False)
row("READONLY_BUFFER of a number", o.BININT1(1) + o.READONLY_BUFFER + o.STOP, "buffer.denied", does=FAILS)

# ---- containers

one, two, three = (o.BININT1(n) for n in (1, 2, 3))
row("TUPLE1", one + o.TUPLE1 + o.STOP, value="(1,)")
row("TUPLE2", one + two + o.TUPLE2 + o.STOP, value="(1, 2)")
row("TUPLE3", one + two + three + o.TUPLE3 + o.STOP, value="(1, 2, 3)")
row("TUPLE of nothing", o.MARK + o.TUPLE + o.STOP, value="()")
row("TUPLE", o.MARK + one + two + o.TUPLE + o.STOP, value="(1, 2)")
row("LIST", o.MARK + one + o.LIST + o.STOP, value="[1]")
row("FROZENSET", o.MARK + one + one + o.FROZENSET + o.STOP, value="frozenset({1})")
row("FROZENSET of a list, which has no hash", o.MARK + o.EMPTY_LIST + o.FROZENSET + o.STOP, does=FAILS)
row("DICT", o.MARK + one + two + o.DICT + o.STOP, value="{1: 2}")
row("DICT of nothing", o.MARK + o.DICT + o.STOP, value="{}")
broken("DICT of an odd number", o.MARK + one + two + three + o.DICT + o.STOP, "pickle.odd_items")
row("DICT with a list for a key", o.MARK + o.EMPTY_LIST + one + o.DICT + o.STOP, does=FAILS)
row("APPEND", o.EMPTY_LIST + one + o.APPEND + o.STOP, value="[1]")
row("APPENDS", o.EMPTY_LIST + o.MARK + one + two + o.APPENDS + o.STOP, value="[1, 2]")
row("SETITEM", o.EMPTY_DICT + one + two + o.SETITEM + o.STOP, value="{1: 2}")
row("SETITEMS", o.EMPTY_DICT + o.MARK + one + two + o.SETITEMS + o.STOP, value="{1: 2}")
broken("SETITEMS of an odd number", o.EMPTY_DICT + o.MARK + one + two + three + o.SETITEMS + o.STOP,
       "pickle.odd_items")
row("SETITEM into a list", o.EMPTY_LIST + one + o.APPEND + o.BININT1(0) + two + o.SETITEM + o.STOP, "pickle.type",
    value="[2]")
row("ADDITEMS", o.EMPTY_SET + o.MARK + one + o.ADDITEMS + o.STOP, value="{1}")
for name, container in (("APPENDS", o.EMPTY_LIST), ("SETITEMS", o.EMPTY_DICT), ("ADDITEMS", o.EMPTY_SET)):
    row(f"{name} of no items", container + o.MARK + o.OPCODES[name] + o.STOP)
for name in ("APPENDS", "ADDITEMS"):
    row(f"{name} of no items to a number", one + o.MARK + o.OPCODES[name] + o.STOP, "pickle.type",
        does={"c>=3.15": "fails", "py": "fails"})
row("APPEND to a number", one + one + o.APPEND + o.STOP, "pickle.type", does=FAILS)
row("APPENDS to a number", one + o.MARK + one + o.APPENDS + o.STOP, "pickle.type", does=FAILS)
row("SETITEM in a number", one + one + one + o.SETITEM + o.STOP, "pickle.type", does=FAILS)
row("ADDITEMS to a number", one + o.MARK + one + o.ADDITEMS + o.STOP, "pickle.type", does=FAILS)


def made(name):
    return o.GLOBAL("stub", name) + o.EMPTY_TUPLE + o.REDUCE


row("APPEND to an object: extend, or append", made("NotingList") + one + o.APPEND + o.STOP, imports="stub:NotingList",
    value={"c<3.7": "append", "c>=3.7": "extend1", "py": "append"}, uses="0:call 0:items")
row("APPEND to an object that has append alone", made("AppendOnly") + one + o.APPEND + o.STOP,
    imports="stub:AppendOnly", value="append1", uses="0:call 0:items")
row("APPENDS to an object: extend, or append for each", made("NotingList") + o.MARK + one + two + o.APPENDS + o.STOP,
    imports="stub:NotingList", value={"all<3.7": "append append", "all>=3.7": "extend2"}, uses="0:call 0:items")
row("APPENDS to an object that has append alone", made("AppendOnly") + o.MARK + one + two + o.APPENDS + o.STOP,
    imports="stub:AppendOnly", value="append2")
row("ADDITEMS to a set's subclass: C passes its update over", made("SubSet") + o.MARK + one + o.ADDITEMS + o.STOP,
    imports="stub:SubSet", value={"c": "SubSet({1})"}, does={"py": "fails"}, uses="0:call 0:items")
row("ADDITEMS to an object that has add", made("AddOnly") + o.MARK + one + two + o.ADDITEMS + o.STOP,
    imports="stub:AddOnly", value="append2")
row("SETITEM in an object", made("C") + one + one + o.SETITEM + o.STOP, imports="stub:C", uses="0:call 0:items")
row("SETITEMS in an object", made("C") + o.MARK + one + one + o.SETITEMS + o.STOP, imports="stub:C",
    uses="0:call 0:items")

# ---- memo

for name, argument in (("GET", "0"), ("BINGET", 0), ("LONG_BINGET", 0)):
    broken(f"{name} of what was never put", o.NONE + o.OPCODES[name](argument) + o.STOP, "memo.missing")
for put in (o.PUT("7"), o.BINPUT(7), o.LONG_BINPUT(7)):
    for get in (o.GET("7"), o.BINGET(7), o.LONG_BINGET(7)):
        row(f"{put!r} and {get!r}", one + put + o.POP + get + o.STOP, value="1")
row("MEMOIZE", one + o.MEMOIZE + o.POP + o.BINGET(0) + o.STOP, value="1")
row("LONG_BINPUT is unsigned: no memory for index 2**32 - 1", one + o.LONG_BINPUT(2**32 - 1) + o.STOP, "limit.memo",
    does={"c<3.15": "fails"})
broken("LONG_BINGET is unsigned", one + o.PUT("1") + o.LONG_BINGET(2**32 - 1) + o.STOP, "memo.missing")

# ---- protocol, extensions, persistent ids

for version in range(6):
    row(f"PROTO {version}", o.PROTO(version) + one + o.STOP, value="1", does=SINCE_3_8 if version == 5 else {})
broken("PROTO 6", o.PROTO(6) + one + o.STOP, "pickle.proto")
broken("PROTO 255", o.PROTO(255) + one + o.STOP, "pickle.proto")
row("PROTO anywhere, and again", one + o.PROTO(4) + o.PROTO(0) + o.PROTO(2) + o.STOP, value="1")
broken("PROTO 6 behind an import", o.PROTO(2) + o.GLOBAL("m", "C") + o.PROTO(6) + o.STOP, "pickle.proto", "m:C",
       resolves={"all": "m:C"})
row("no opcode asks for its protocol", o.framed(o.named("m", "C") + o.MEMOIZE + o.STOP), imports="m:C")

for name, code in (("EXT1", 1), ("EXT2", 300), ("EXT4", 70000)):
    ext = o.OPCODES[name]
    found = {1: "ext.module:Name", 300: "ext.module:Other", 70000: "ext.module:Far"}[code]
    row(f"{name} asks the registry", ext(code) + o.STOP, "extension.denied", resolves={"all": found})
    row(f"{name} behind a constant", one + ext(code) + o.POP + o.STOP, "extension.denied", value="1",
        resolves={"all": found})
    row(f"{name} of a code that nobody registered", ext(99) + o.STOP, "extension.denied", does=FAILS)
    row(f"{name} of code 0", ext(0) + o.STOP, "extension.denied", does=FAILS)
    row(f"{name} twice: the second time, find_class is not asked", ext(code) + ext(code) + o.TUPLE2 + o.STOP,
        "extension.denied extension.denied", resolves={"all": found})
row("EXT4 below zero", o.EXT4(-1) + o.STOP, "extension.denied", does=FAILS)

NO_HOOK = {"loads": "fails"}
row("PERSID", o.PERSID("id") + o.STOP, "persistent_id.denied", does=NO_HOOK)
row("PERSID of a consumer without persistent_load", o.PERSID("id") + o.STOP, "persistent_id.denied", does=FAILS,
    hooks=False)
row("PERSID that is not ASCII", o.PERSID("\xe9") + o.STOP, "persistent_id.denied", does=FAILS)
row("BINPERSID takes any value", one + two + o.TUPLE2 + o.BINPERSID + o.STOP, "persistent_id.denied", does=NO_HOOK)
row("BINPERSID of a consumer without persistent_load", one + o.BINPERSID + o.STOP, "persistent_id.denied", does=FAILS,
    hooks=False)

# ---- bytes that are no opcode

KNOWN = {opcode.code.encode("latin-1") for opcode in pickletools.opcodes}
for byte in (bytes([number]) for number in range(256)):
    if byte not in KNOWN:
        broken(f"{byte!r} is no opcode", o.NONE + byte + o.NONE + o.STOP, "pickle.opcode")
        row(f"{byte!r} begins no pickle", byte + o.NONE + o.STOP, "pickle.opaque", kind="opaque", does=FAILS)
