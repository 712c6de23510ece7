# SPDX-License-Identifier: Apache-2.0
"""Calls, instances and states."""

import assemble as o
from rows import broken, row

FAILS = {"all": "fails"}
one, two = o.BININT1(1), o.BININT1(2)
NOTING = o.GLOBAL("stub", "Noting")
N = "stub:Noting"
made = NOTING + o.EMPTY_TUPLE + o.REDUCE
state_x = o.EMPTY_DICT + o.text("x") + one + o.SETITEM

# ---- how an instance is made

row("REDUCE calls", made + o.STOP, imports=N, value="init0", uses="0:call")
row("REDUCE calls with arguments", NOTING + one + two + o.TUPLE2 + o.REDUCE + o.STOP, imports=N, value="init2")
row("NEWOBJ does not call", NOTING + o.EMPTY_TUPLE + o.NEWOBJ + o.STOP, imports=N, value="new", uses="0:new")
row("NEWOBJ_EX does not call", o.GLOBAL("m", "C") + one + o.TUPLE1 + o.EMPTY_DICT + o.NEWOBJ_EX + o.STOP,
    imports="m:C", uses="0:new")
row("OBJ without arguments does not call __init__", o.MARK + NOTING + o.OBJ + o.STOP, imports=N, value="new",
    uses="0:call")
row("OBJ with arguments calls", o.MARK + NOTING + one + o.OBJ + o.STOP, imports=N, value="init1", uses="0:call")
row("INST without arguments does not call __init__", o.MARK + o.INST("stub", "Noting") + o.STOP, imports=N,
    value="new", uses="0:call")
row("INST with arguments calls", o.MARK + one + two + o.INST("stub", "Noting") + o.STOP, imports=N, value="init2")
row("OBJ calls any callable", o.MARK + o.GLOBAL("stub", "last") + one + two + o.OBJ + o.STOP, imports="stub:last",
    value="2")
row("INST calls any callable", o.MARK + one + two + o.INST("stub", "last") + o.STOP, imports="stub:last", value="2")
row("OBJ calls what it finds above the mark", o.MARK + o.named("stub", "first") + one + o.OBJ + o.STOP,
    imports="stub:first", value="1")
broken("OBJ of no items", o.NONE + o.MARK + o.OBJ + o.STOP, "pickle.underflow")
row("OBJ of a number", o.MARK + one + two + o.OBJ + o.STOP, "call.target", does=FAILS)
row("OBJ of what a call made", o.MARK + o.GLOBAL("m", "C") + o.EMPTY_TUPLE + o.REDUCE + one + o.OBJ + o.STOP,
    "call.computed", "m:C")

# ---- operands of other types

row("REDUCE of a list: C refuses", o.GLOBAL("m", "f") + o.EMPTY_LIST + o.REDUCE + o.STOP, "pickle.type", "m:f",
    does={"c": "fails"}, uses="0:call")
row("REDUCE of a str: C refuses", o.GLOBAL("stub", "last") + o.text("ab") + o.REDUCE + o.STOP, "pickle.type",
    "stub:last", does={"c": "fails"}, value="'b'")
row("REDUCE of a dict: C refuses", o.GLOBAL("m", "f") + o.EMPTY_DICT + o.REDUCE + o.STOP, "pickle.type", "m:f",
    does={"c": "fails"})
row("REDUCE of None", o.GLOBAL("m", "f") + o.NONE + o.REDUCE + o.STOP, "pickle.type", "m:f", does=FAILS)
row("REDUCE of a number", one + o.EMPTY_TUPLE + o.REDUCE + o.STOP, "call.target", does=FAILS)
row("REDUCE of what a call made", o.GLOBAL("m", "C") + (o.EMPTY_TUPLE + o.REDUCE) * 2 + o.STOP, "call.computed",
    "m:C", uses="0:call")
row("REDUCE of what a persistent id gave", o.PERSID("id") + o.EMPTY_TUPLE + o.REDUCE + o.STOP,
    "persistent_id.denied call.target", does={"loads": "fails"})
row("REDUCE of what the registry gave", o.EXT1(1) + o.EMPTY_TUPLE + o.REDUCE + o.STOP, "extension.denied extension.denied",
    resolves={"all": "ext.module:Name"})
row("NEWOBJ with a list for arguments: C refuses", o.GLOBAL("m", "C") + o.EMPTY_LIST + o.NEWOBJ + o.STOP,
    "pickle.type", "m:C", does={"c": "fails"})
row("NEWOBJ of no class", o.GLOBAL("stub", "first") + o.EMPTY_TUPLE + o.NEWOBJ + o.STOP, imports="stub:first",
    does=FAILS, uses="0:new")
row("NEWOBJ of a number", one + o.EMPTY_TUPLE + o.NEWOBJ + o.STOP, "call.target", does=FAILS)
row("NEWOBJ_EX with a list for arguments: C refuses",
    o.GLOBAL("m", "C") + o.EMPTY_LIST + o.EMPTY_DICT + o.NEWOBJ_EX + o.STOP, "pickle.type", "m:C", does={"c": "fails"})
row("NEWOBJ_EX with None for keywords", o.GLOBAL("m", "C") + o.EMPTY_TUPLE + o.NONE + o.NEWOBJ_EX + o.STOP,
    "pickle.type", "m:C", does=FAILS)
row("NEWOBJ_EX of no class", one + o.EMPTY_TUPLE + o.EMPTY_DICT + o.NEWOBJ_EX + o.STOP, "call.target", does=FAILS)

# ---- BUILD

row("BUILD calls __setstate__", o.GLOBAL("m", "C") + o.EMPTY_TUPLE + o.REDUCE + one + o.BUILD + o.STOP, imports="m:C",
    uses="0:call 0:build")
row("BUILD writes into __dict__", made + state_x + o.BUILD + o.STOP, imports=N, value="init0 x")
row("BUILD with slots sets attributes", made + o.NONE + state_x + o.TUPLE2 + o.BUILD + o.STOP, imports=N,
    value="init0 x")
row("BUILD with both", made + o.EMPTY_DICT + o.text("y") + one + o.SETITEM + state_x + o.TUPLE2 + o.BUILD + o.STOP,
    imports=N, value="init0 x y")
row("BUILD with a name that numpy asks for", made + o.EMPTY_DICT + o.text("__array__") + one + o.SETITEM + o.BUILD
    + o.STOP, "state.special", imports=N, value="init0 __array__")
row("BUILD with such a name in slots", made + o.NONE + o.EMPTY_DICT + o.text("__array__") + one + o.SETITEM + o.TUPLE2
    + o.BUILD + o.STOP, "state.special", imports=N, value="init0 __array__")
row("BUILD with None", made + o.NONE + o.BUILD + o.STOP, imports=N, value="init0")
row("BUILD with a state that is false: C refuses", made + o.BININT1(0) + o.BUILD + o.STOP, imports=N,
    does={"c": "fails"}, value="init0")
row("BUILD with a number", made + one + o.BUILD + o.STOP, imports=N, does=FAILS)
row("BUILD where __setstate__ is None", o.GLOBAL("stub", "NoSetState") + o.EMPTY_TUPLE + o.REDUCE + state_x + o.BUILD
    + o.STOP, imports="stub:NoSetState", does={"c": "fails", "py>=3.13": "fails"}, value="init0 x")
row("BUILD of a list", o.EMPTY_LIST + state_x + o.BUILD + o.STOP, "pickle.type", does=FAILS)
row("BUILD of a number", one + state_x + o.BUILD + o.STOP, "pickle.type", does=FAILS)

# ---- writing to what was imported: it would change for the whole process

row("BUILD of a class: slots", NOTING + o.NONE + state_x + o.TUPLE2 + o.BUILD + o.STOP, "target.global", N)
row("BUILD of a class: its __dict__ is read-only", NOTING + state_x + o.BUILD + o.STOP, "target.global", N, does=FAILS)
row("BUILD of a function", o.GLOBAL("stub", "first") + state_x + o.BUILD + o.STOP, "target.global", "stub:first")
row("BUILD of a module", o.GLOBAL("stub", "module") + state_x + o.BUILD + o.STOP, "target.global", "stub:module")
row("SETITEM of an imported dict", o.GLOBAL("stub", "dict") + one + two + o.SETITEM + o.STOP, "target.global",
    "stub:dict", value="{1: 2}")
row("SETITEMS of an imported dict", o.GLOBAL("stub", "dict") + o.MARK + one + two + o.SETITEMS + o.STOP,
    "target.global", "stub:dict", value="{1: 2}")
row("APPEND to an imported list", o.GLOBAL("stub", "list") + one + o.APPEND + o.STOP, "target.global", "stub:list",
    value="[1]")
row("APPENDS to an imported list", o.named("stub", "list") + o.MARK + one + o.APPENDS + o.STOP, "target.global",
    "stub:list", value="[1]")
row("ADDITEMS to an imported set", o.named("stub", "set") + o.MARK + one + o.ADDITEMS + o.STOP, "target.global",
    "stub:set", value="{1}")
row("APPEND to an imported list, through the memo",
    o.GLOBAL("stub", "list") + o.BINPUT(0) + o.POP + o.BINGET(0) + one + o.APPEND + o.STOP, "target.global",
    "stub:list", value="[1]")
row("APPEND to an imported list, through DUP", o.GLOBAL("stub", "list") + o.DUP + one + o.APPEND + o.STOP,
    "target.global", "stub:list", value="[1]")
row("APPEND to what the registry gave", o.EXT1(1) + one + o.APPEND + o.STOP, "extension.denied target.unknown",
    resolves={"all": "ext.module:Name"})
row("BUILD of what a persistent id gave", o.PERSID("id") + state_x + o.BUILD + o.STOP,
    "persistent_id.denied target.unknown", does={"loads": "fails"})
row("SETITEM of a buffer", o.NEXT_BUFFER + o.BININT1(0) + one + o.SETITEM + o.STOP, "buffer.denied target.unknown",
    does={"all<3.8": "fails"}, value="bytearray(b'\\x01uffer')")
row("APPEND to what a computed call gave",
    o.GLOBAL("m", "C") + (o.EMPTY_TUPLE + o.REDUCE) * 2 + one + o.APPEND + o.STOP,
    "call.computed call.computed", "m:C")

# ---- errors do not undo

call = o.GLOBAL("os", "system") + o.text("id") + o.TUPLE1 + o.REDUCE
for name, end, finds in (("a byte that is no opcode", b"\xff", "pickle.opcode"), ("no STOP", b"", "pickle.no_stop"),
                         ("an argument cut off", b"K", "pickle.truncated"), ("an empty stack", o.POP * 2,
                         "pickle.underflow")):
    broken(f"what was called before {name} was called", call + end, finds, "os:system", resolves={"all": "os:system"},
           uses="0:call")
