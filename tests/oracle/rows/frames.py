# SPDX-License-Identifier: Apache-2.0
"""FRAME: a hint to read ahead, and what unpicklers make of a hint that is wrong.

C before 3.13.15 ignores the length but for reading ahead. What it read ahead from a file is then
its only buffer: when an argument needs more, the rest is dropped, and bytes behind the frame are
read instead. A file that can be looked ahead in has another buffer, which may hide that.
"""

import assemble as o
from rows import broken, row

FAILS = {"all": "fails"}
NEW_C = {"c>=3.13.15": "fails", "py": "fails"}
P4 = o.PROTO(4)
one = o.BININT1(1)

# ---- what is legal everywhere

row("a frame", P4 + o.framed(one + o.STOP), value="1")
row("a frame without PROTO", o.framed(one + o.STOP), value="1")
row("a frame of no bytes", P4 + o.framed(b"") + one + o.STOP, value="1")
row("many frames", P4 + o.framed(o.EMPTY_LIST) + o.framed(one) + o.framed(o.APPEND) + o.framed(o.STOP), value="[1]")
row("opcodes outside of frames", P4 + o.framed(o.EMPTY_LIST) + one + o.framed(o.APPEND) + o.STOP, value="[1]")
row("a FRAME that is the last of a frame", P4 + o.FRAME(9) + o.framed(one + o.STOP), value="1")
row("a FRAME that is the last of a frame, behind a value", P4 + o.FRAME(11) + one + o.FRAME(1) + o.STOP, value="1")
row("an import in two frames", P4 + o.framed(o.text("m")) + o.framed(o.text("C")) + o.framed(o.STACK_GLOBAL + o.STOP),
    imports="m:C")
row("a large value outside of frames", P4 + o.framed(o.EMPTY_LIST) + o.BINBYTES(b"x" * 70000)
    + o.framed(o.APPEND + o.STOP))

# ---- legal for unpicklers, refused: the end of a frame inside an opcode

row("a frame that ends between a length and its bytes", P4 + o.framed(b"X\2\0\0\0") + b"ab" + o.STOP, "frame.straddle",
    value="'ab'")
row("a frame that ends between the lines of GLOBAL", P4 + o.framed(b"cm\n") + b"C\n" + o.STOP, "frame.straddle", "m:C")
row("a frame that ends between an opcode and its argument", P4 + o.framed(b"K") + b"\1" + o.STOP, "frame.straddle",
    value="1")
row("a frame that ends behind a FRAME's opcode", P4 + o.framed(b"\x95") + b"\3" + bytes(7) + one + o.STOP,
    "frame.straddle", value="1")

# ---- bytes that are skipped

evil = o.SHORT_BINBYTES("cm\nevil\n") + o.STOP
row("a constant that hides an import from all but files", P4 + o.FRAME(7) + b"X\4\0\0\0xx" + b"yy" + evil,
    "frame.straddle", resolves={"file<3.13.15": "m:evil"}, does=NEW_C,
    value={"loads": "b'cm\\nevil\\n'", "file": "<class>"})
row("a name that is shorter from a file", P4 + o.framed(b"csafe") + b"m\nn\n" + o.STOP, "frame.straddle", "safem:n",
    does=NEW_C, resolves={"file<3.13.15": "m:n", "peek<3.13.15": "safem:n", "py": []})
row("a number across the end of a frame", P4 + o.framed(b"J\1\0") + b"\0\0" + o.STOP + b"\0" + o.NONE + o.STOP,
    "frame.straddle pickle.trailing", does=NEW_C, value={"loads": "1", "file": "None"})
row("a FRAME inside a frame", P4 + o.framed(o.framed(one) + o.STOP), "frame.nested", does=NEW_C, value="1")
row("a FRAME inside a frame that hides an import from all but files",
    P4 + o.FRAME(11) + o.FRAME(6) + o.NONE + o.STOP + o.GLOBAL("m", "C") + o.STOP,
    "frame.nested frame.past_stop pickle.trailing", does=NEW_C, resolves={"file<3.13.15": "m:C"},
    value={"loads": "None", "file": "<class>"})
row("two frames that overlap: what the first read ahead is dropped",
    P4 + o.FRAME(11) + o.framed(one + o.POP + one + o.STOP), "frame.nested",
    does={"file": "fails", "c>=3.13.15": "fails", "py": "fails"}, value="1")

# ---- longer than the input

row("a frame longer than the input: Lib/pickle.py runs what there is", P4 + o.FRAME(100) + o.GLOBAL("m", "C") + o.STOP,
    "frame.overrun", "m:C", does={"c": "fails", "py>=3.15": "fails"}, resolves={"c": [], "py>=3.15": []})
row("a frame one byte longer than the input", P4 + o.FRAME(4) + one + o.STOP, "frame.overrun",
    does={"c": "fails", "py>=3.15": "fails"}, value="1")
broken("a frame longer than the input, without STOP", P4 + o.FRAME(100) + o.GLOBAL("m", "C"),
       "frame.overrun pickle.no_stop", "m:C")
for length in (2**63, 2**64 - 1):
    row(f"a frame of {length:#x} bytes", P4 + o.FRAME(length) + o.GLOBAL("m", "C") + o.STOP, "frame.overrun", "m:C",
        does=FAILS, resolves={"all": []})
row("a frame of 2**63 - 1 bytes", P4 + o.FRAME(2**63 - 1) + one + o.STOP, "frame.overrun",
    does={"c": "fails", "py>=3.15": "fails"})
broken("a FRAME cut off", P4 + o.FRAME(1)[:5], "pickle.truncated")
broken("a FRAME cut off in a frame", P4 + o.FRAME(5) + o.FRAME(1)[:5], "pickle.truncated")

# ---- past STOP

row("a frame that reaches past STOP", P4 + o.framed(one + o.STOP + o.NONE), "frame.past_stop pickle.trailing",
    value="1")
row("a frame that takes from the next pickle", P4 + o.framed(one + o.STOP + P4) + o.NONE + o.STOP,
    "frame.past_stop pickle.trailing", value="1")
row("a second pickle behind the first", P4 + o.framed(one + o.STOP) + P4 + o.framed(o.NONE + o.STOP),
    "pickle.trailing", value="1")
