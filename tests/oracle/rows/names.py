# SPDX-License-Identifier: Apache-2.0
"""What find_class is asked for, and where a name may come from.

test_renames.py has the tables of renames whole.
"""

import assemble as o
from rows import row

FAILS = {"all": "fails"}
one = o.BININT1(1)

# ---- renames, below protocol 3

row("a module is renamed without PROTO", o.GLOBAL("commands", "getoutput") + o.STOP, imports="commands:getoutput")
row("a name is renamed without PROTO", o.GLOBAL("__builtin__", "xrange") + o.STOP, imports="__builtin__:xrange")
row("a rename happens once", o.GLOBAL("whichdb", "whichdb") + o.STOP, imports="whichdb:whichdb")
for version in range(5):
    row(f"a rename at protocol {version}", o.PROTO(version) + o.GLOBAL("Queue", "Queue") + o.STOP,
        imports="Queue:Queue")
row("one stream renames and does not", o.GLOBAL("commands", "a") + o.POP + o.PROTO(4) + o.GLOBAL("commands", "b")
    + o.POP + o.PROTO(2) + o.named("commands", "c") + o.STOP, imports="commands:a commands:b commands:c")
row("INST renames", o.MARK + o.INST("commands", "C") + o.STOP, imports="commands:C")
row("the registry's names are looked up", o.EXT2(300) + o.STOP, "extension.denied",
    resolves={"all": "ext.module:Other"})

# ---- dots

row("dots below protocol 4 are part of the name", o.PROTO(2) + o.GLOBAL("posixpath", "os.system") + o.STOP,
    imports="posixpath:os.system")
row("dots from protocol 4 on are walked", o.PROTO(4) + o.GLOBAL("posixpath", "os.system") + o.STOP,
    imports="posixpath:os.system")
row("dots in STACK_GLOBAL without PROTO are part of the name", o.named("m", "C.f") + o.STOP, imports="m:C.f")
row("dots in STACK_GLOBAL", o.PROTO(4) + o.named("m", "C.f.g") + o.STOP, imports="m:C.f.g")
row("dots in INST", o.PROTO(4) + o.MARK + o.INST("m", "C.f") + o.STOP, imports="m:C.f")
row("a local name cannot be found", o.PROTO(4) + o.named("m", "f.<locals>.C") + o.STOP, imports="m:f.<locals>.C",
    does={"loads<3.14": "fails"})

# ---- odd names

row("STACK_GLOBAL of empty names", o.text("") * 2 + o.STACK_GLOBAL + o.STOP, "import.name", [("", "")])
row("STACK_GLOBAL without a name", o.named("m", "") + o.STOP, "import.name", [("m", "")])
row("STACK_GLOBAL without a module", o.named("", "C") + o.STOP, "import.name", [("", "C")])
row("STACK_GLOBAL with NUL", o.named("os\0x", "system") + o.STOP, "import.name", [("os\0x", "system")])
row("STACK_GLOBAL with a line feed", o.named("os\n", "system") + o.STOP, "import.name", [("os\n", "system")])
row("STACK_GLOBAL with a blank", o.named("os", "sys tem") + o.STOP, "import.name", [("os", "sys tem")])
row("STACK_GLOBAL that is not UTF-8", o.text(b"\xff") + o.text("C") + o.STACK_GLOBAL + o.STOP, "import.name",
    [(b"\xff", "C")], does=FAILS, resolves={"all": []})
row("STACK_GLOBAL with half of a surrogate pair", o.text(b"\xed\xa0\x80") + o.text("C") + o.STACK_GLOBAL + o.STOP,
    "import.name", [(b"\xed\xa0\x80", "C")])
row("STACK_GLOBAL that is not ASCII", o.named("\xe9", "\u20ac") + o.STOP, imports="\xe9:\u20ac")
row("a colon in a name", o.named("a:b", "c:d") + o.STOP, imports=[("a:b", "c:d")])

# ---- STACK_GLOBAL takes constant strings, however they were pushed and moved

for name, os_text in (("UNICODE", o.UNICODE("os")), ("BINUNICODE", o.BINUNICODE("os")),
                      ("SHORT_BINUNICODE", o.SHORT_BINUNICODE("os")), ("BINUNICODE8", o.BINUNICODE8("os"))):
    row(f"STACK_GLOBAL with {name}", os_text + o.text("system") + o.STACK_GLOBAL + o.STOP, imports="os:system")
row("STACK_GLOBAL with DUP", o.text("os") + o.DUP + o.STACK_GLOBAL + o.STOP, imports="os:os")
row("STACK_GLOBAL with what is left behind POPs", o.text("os") + o.text("path") + o.POP + o.MARK + o.text("x")
    + o.POP_MARK + o.text("system") + o.STACK_GLOBAL + o.STOP, imports="os:system")
row("STACK_GLOBAL takes no last string, but the operands", o.text("os") + o.text("system") + o.text("m") + o.MEMOIZE
    + o.POP + o.STACK_GLOBAL + o.STOP, imports="os:system")

# Written by Python 2: text only in the consumer's encoding.
for name in ("STRING", "BINSTRING", "SHORT_BINSTRING"):
    def old(value, code=o.OPCODES[name], quote=b"'" if name == "STRING" else b""):
        return code(quote + (value if isinstance(value, bytes) else value.encode()) + quote)

    row(f"STACK_GLOBAL with {name}", old("os") + old("system") + o.STACK_GLOBAL + o.STOP, "import.unresolved",
        "os:system")
    row(f"STACK_GLOBAL with {name}, encoding bytes", old("os") + old("system") + o.STACK_GLOBAL + o.STOP,
        "import.unresolved", "os:system", encoding="bytes", does=FAILS, resolves={"all": []})
    row(f"STACK_GLOBAL with {name}, in an encoding that spells other names",
        old("os".encode("cp037")) + o.text("system") + o.STACK_GLOBAL + o.STOP, "import.unresolved import.name",
        [(b"\x96\xa2", "system")], encoding="cp037", resolves={"all": "os:system"})

# Anything else is known at run time only.
for name, stream, more in (
    ("bytes", o.SHORT_BINBYTES("os"), {"does": FAILS}),
    ("a number", one, {"does": FAILS}),
    ("None", o.NONE, {"does": FAILS}),
    ("a tuple", o.text("os") + o.TUPLE1, {"does": FAILS}),
    ("an imported str", o.GLOBAL("stub", "text"), {"imports": "stub:text",
                                                  "resolves": {"all": "stub:text os:system"}}),
    ("a str that a call gave", o.GLOBAL("stub", "first") + o.text("os") + o.TUPLE1 + o.REDUCE,
     {"imports": "stub:first", "resolves": {"all": "stub:first os:system"}}),
    ("an instance of a str's subclass", o.GLOBAL("stub", "SubStr") + o.text("os") + o.TUPLE1 + o.REDUCE,
     {"imports": "stub:SubStr", "does": FAILS}),
):
    row(f"STACK_GLOBAL with {name}", stream + o.text("system") + o.STACK_GLOBAL + o.STOP, "import.unresolved", **more)
row("STACK_GLOBAL with a persistent id's object", o.PERSID("os") + o.text("system") + o.STACK_GLOBAL + o.STOP,
    "persistent_id.denied import.unresolved", does=FAILS)
row("STACK_GLOBAL with a buffer", o.NEXT_BUFFER + o.text("system") + o.STACK_GLOBAL + o.STOP,
    "buffer.denied import.unresolved", does=FAILS)
row("STACK_GLOBAL with an imported str, through the memo",
    o.GLOBAL("stub", "text") + o.MEMOIZE + o.POP + o.BINGET(0) + o.text("system") + o.STACK_GLOBAL + o.STOP,
    "import.unresolved", "stub:text", resolves={"all": "stub:text os:system"})

# ---- names that find more than they say: all of them must be in the report

row("getattr of what is imported", o.GLOBAL("builtins", "getattr") + o.GLOBAL("m", "C") + o.text("f") + o.TUPLE2
    + o.REDUCE + o.STOP, imports="builtins:getattr m:C", uses="0:call")
row("a name made by _codecs.encode", o.GLOBAL("_codecs", "encode") + o.text("bf") + o.text("rot13") + o.TUPLE2
    + o.REDUCE + o.text("system") + o.STACK_GLOBAL + o.STOP, "import.unresolved", "_codecs:encode", does=FAILS)
row("the registry is filled by the stream", o.GLOBAL("copyreg", "add_extension") + o.text("os") + o.text("system")
    + o.BININT1(7) + o.TUPLE3 + o.REDUCE + o.POP + o.EXT1(7) + o.STOP, "extension.denied", "copyreg:add_extension",
    does=FAILS, uses="0:call")
row("what stands as a value is told", o.EMPTY_LIST + o.GLOBAL("m", "f") + o.APPEND + o.STOP, imports="m:f",
    uses="0:ref")
row("what is the result is told", o.GLOBAL("m", "f") + o.STOP, imports="m:f", uses="0:ref")
row("what is imported and thrown away is told", o.GLOBAL("m", "f") + o.POP + one + o.STOP, imports="m:f", uses="")
