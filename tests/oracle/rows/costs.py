# SPDX-License-Identifier: Apache-2.0
"""Short streams that cost their consumer much. Those that no machine survives are asked of none."""

import assemble as o
from rows import row

NOBODY = {"asked": False}
P = 2**61 - 1  # integers hash modulo this
one = o.BININT1(1)


def doubled(times):
    """A tuple that is 2**times tuples for whoever walks over it."""
    return o.EMPTY_TUPLE + (o.DUP + o.TUPLE2) * times


def keyed(*keys):
    """A dict with these keys."""
    return o.EMPTY_DICT + o.MARK + b"".join(key + o.NONE for key in keys) + o.SETITEMS


def both_of(keys):
    """All tuples of so many -1 and -2, which hash alike; made of two memo entries."""
    digits = [[n >> bit & 1 for bit in range(keys)] for n in range(2**keys)]
    begin = o.BININT(-1) + o.BINPUT(0) + o.POP + o.BININT(-2) + o.BINPUT(1) + o.POP
    return begin, [o.MARK + b"".join(map(o.BINGET, bits)) + o.TUPLE for bits in digits]


row("a tuple of 2**10 for whoever walks over it", doubled(10) + o.STOP)
row("a key of 2**10", keyed(doubled(10)) + o.STOP)
row("a tuple of 2**40", doubled(40) + o.STOP, "limit.unfold", kind="broken", **NOBODY)
row("a key of 2**40", keyed(doubled(40)) + o.STOP, "limit.work", kind="broken", **NOBODY)
row("two equal keys of 2**40", keyed(doubled(40), doubled(40)) + o.STOP, "limit.work", kind="broken", **NOBODY)
row("a list that is in many lists", o.EMPTY_LIST + o.MARK + o.BININT1(7) * 100 + o.APPENDS + o.BINPUT(0) + o.POP
    + o.EMPTY_LIST + o.MARK + o.BINGET(0) * 1000 + o.APPENDS + o.STOP)
row("lists of 2**40, made from inside", o.EMPTY_LIST + (o.BINPUT(0) + o.POP + o.EMPTY_LIST + o.MARK + o.BINGET(0) * 2
    + o.APPENDS) * 40 + o.STOP, "limit.unfold", kind="broken", **NOBODY)
row("lists of 2**40, made from outside", b"".join(o.EMPTY_LIST + o.BINPUT(n) + o.POP for n in range(41))
    + b"".join(o.BINGET(n) + o.MARK + o.BINGET(n + 1) * 2 + o.APPENDS + o.POP for n in range(40)) + o.BINGET(0)
    + o.STOP, "limit.unfold", kind="broken", **NOBODY)
row("a key of 400 tuples in each other", keyed(o.NONE + o.TUPLE1 * 400) + o.STOP)
row("a key of 600 tuples in each other", keyed(o.NONE + o.TUPLE1 * 600) + o.STOP, "limit.key_depth", kind="broken")
row("a key of 200,000 tuples in each other: the C stack ends", keyed(o.NONE + o.TUPLE1 * 200000) + o.STOP,
    "limit.depth", kind="broken", **NOBODY)
row("1001 lists in each other", o.EMPTY_LIST * 1001 + o.APPEND * 1000 + o.STOP, "limit.depth", kind="broken")
row("1000 lists in each other", o.EMPTY_LIST * 1000 + o.APPEND * 999 + o.STOP)
row("sixty keys that hash alike", keyed(*(o.LONG1(n * P) for n in range(1, 61))) + o.STOP)
row("a hundred keys that hash alike", keyed(*(o.LONG1(n * P) for n in range(1, 101))) + o.STOP, "limit.collisions",
    kind="broken")
row("a hundred keys that hash alike, as text", keyed(*(o.LONG(str(n * P)) for n in range(1, 101))) + o.STOP,
    "limit.collisions", kind="broken")
begin, tuples = both_of(7)
row("128 tuples that hash alike, as keys", begin + keyed(*tuples) + o.STOP, "limit.collisions", kind="broken")
begin, tuples = both_of(4)
row("16 tuples that hash alike, as keys", begin + keyed(*tuples) + o.STOP)
row("a thousand keys that do not", keyed(*(o.BININT2(n) + one + o.TUPLE2 for n in range(1000))) + o.STOP)
row("an integer of 60,000 bytes", o.LONG4(b"\1" * 60000) + o.STOP)
row("an integer of 70,000 bytes", o.LONG4(b"\1" * 70000) + o.STOP, "limit.int", kind="broken")
row("sets for more memory than there is", o.EMPTY_LIST + (o.MARK + o.EMPTY_SET * 1000 + o.APPENDS) * 20000 + o.STOP,
    "limit.heap", kind="broken", **NOBODY)
