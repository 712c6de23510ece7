# SPDX-License-Identifier: Apache-2.0
"""Which key the memo gives to MEMOIZE: the number of distinct keys, nearly everywhere.

C 3.15 does not count keys that lie far ahead, and PyPy takes the highest key and one. All agree when
every new key is the number of the keys before it; a MEMOIZE behind any other is refused.
"""

import assemble as o
from rows import broken, row

one, two, three = (o.BININT1(n) for n in (1, 2, 3))


def put(key, value):
    return value + (o.BINPUT(key) if key < 256 else o.LONG_BINPUT(key)) + o.POP


row("MEMOIZE counts from 0", one + o.MEMOIZE + two + o.MEMOIZE + o.BINGET(0) + o.BINGET(1) + o.TUPLE2 + o.STOP,
    value="(1, 2)")
row("MEMOIZE behind PUTs in order", put(0, one) + put(1, two) + three + o.MEMOIZE + o.POP + o.BINGET(2) + o.STOP,
    value="3")
row("PUT behind MEMOIZE, in order", one + o.MEMOIZE + o.POP + put(1, two) + three + o.MEMOIZE + o.POP + o.BINGET(2)
    + o.STOP, value="3")
row("a key that is written again is counted once", put(0, one) + put(0, two) + three + o.MEMOIZE + o.POP + o.BINGET(0)
    + o.BINGET(1) + o.TUPLE2 + o.STOP, value="(2, 3)")
row("MEMOIZE behind a gap writes over a key", put(1, one) + two + o.MEMOIZE + o.POP + o.BINGET(1) + o.STOP, "memo.gap",
    value="2")
row("MEMOIZE behind a gap that was filled",
    put(1, one) + put(0, two) + three + o.MEMOIZE + o.POP + o.BINGET(2) + o.STOP, "memo.gap", value="3")
row("a name that depends on who counts",
    put(0, one) + put(1, one) + put(1000, one) + put(3, o.text("good")) + o.text("evil") + o.MEMOIZE + o.POP
    + o.text("m") + o.BINGET(3) + o.STACK_GLOBAL + o.STOP, "memo.gap", "m:good",
    resolves={"c>=3.15": "m:evil"})
row("keys without a hole are not enough: the order counts",
    put(40, one) + b"".join(put(key, two) for key in range(40)) + three + o.MEMOIZE + o.POP + o.BINGET(41) + o.STOP,
    "memo.gap", value="3", does={"c>=3.15": "fails"})
row("gaps without MEMOIZE", put(1, one) + put(7, two) + put(300, three) + o.BINGET(1) + o.BINGET(7)
    + o.LONG_BINGET(300) + o.TUPLE3 + o.STOP, value="(1, 2, 3)")
broken("GET of a hole", put(1, one) + put(7, two) + o.BINGET(3) + o.STOP, "memo.missing")
broken("GET behind all keys", put(0, one) + o.BINGET(1) + o.STOP, "memo.missing")
row("the memo keeps what left the stack", o.MARK + one + o.MEMOIZE + o.POP_MARK + o.BINGET(0) + o.STOP, value="1")
row("a memo entry is the object, not a copy",
    o.EMPTY_LIST + o.MEMOIZE + o.BINGET(0) + one + o.APPEND + o.TUPLE2 + o.STOP,
    value="([1], [1])")
row("the latest PUT names the global", o.text("m") + put(0, o.text("good")) + put(0, o.text("evil")) + o.BINGET(0)
    + o.STACK_GLOBAL + o.STOP, imports="m:evil")
row("names come back in another order", o.text("system") + o.MEMOIZE + o.text("os") + o.MEMOIZE + o.POP + o.POP
    + o.BINGET(1) + o.BINGET(0) + o.STACK_GLOBAL + o.STOP, imports="os:system")
row("a global comes back from the memo and is called",
    o.GLOBAL("m", "f") + o.BINPUT(0) + o.POP + o.BINGET(0) + o.EMPTY_TUPLE + o.REDUCE + o.STOP, imports="m:f",
    uses="0:call")
row("PUT of an index 60,000 ahead", put(60000, one) + o.LONG_BINGET(60000) + o.STOP, value="1")
row("PUT of an index 70,000 ahead: memory for all before it", put(70000, one) + o.LONG_BINGET(70000) + o.STOP,
    "limit.memo", value="1")
row("GET into an earlier pickle of the same Unpickler", one + o.MEMOIZE + o.STOP + o.BINGET(0) + o.STOP,
    "pickle.trailing", value="1")
