# SPDX-License-Identifier: Apache-2.0
"""What picklers really write, in all languages: none of it may be refused for its shape.

A row here has no finding but those of the doors that a policy opens on purpose. Streams that this
interpreter writes itself are dumped; what others write is assembled.
"""

import copyreg
import functools
import pickle

import assemble as o
from rows import broken, row

P2 = o.PROTO(2)
P4 = o.PROTO(4)
one, two, three = (o.BININT1(n) for n in (1, 2, 3))
SINCE_3_8 = {"all<3.8": "fails"}
NO_HOOK = {"loads": "fails"}


def called(module, name, *arguments):
    return o.GLOBAL(module, name) + o.MARK + b"".join(arguments) + o.TUPLE + o.REDUCE


def dumped(name, value, imports, protocols, finds="", **more):
    """A row for each protocol; `imports` may be a function of it."""
    for protocol in protocols:
        names = imports(protocol) if callable(imports) else imports
        does = dict(SINCE_3_8) if protocol == 5 else {}
        row(f"{name}, protocol {protocol}", pickle.dumps(value, protocol), finds, names, does=does, **more)


# ---- protocols 0 and 1

row("a list, protocol 0", b"(lp0\nI1\naI2\na.", value="[1, 2]")
row("a dict, protocol 0", b"(dp0\nS'a'\np1\nI1\ns.", value="{'a': 1}")
row("a tuple, protocol 0", b"(I1\nF1.5\nVa\nI01\ntp0\n.", value="(1, 1.5, 'a', True)")
row("a long, protocol 0 of 3.6", b"L1L\n.", value="1")
row("a list, protocol 1", b"]q\0(K\1M\0\1e.", value="[1, 256]")
row("bool and long are text in protocol 1", b"(I01\nI00\nL4294967296L\nt.", value="(True, False, 4294967296)")
row("a long of 2.7 is text in protocol 2", P2 + o.INT("4294967296") + o.STOP, value="4294967296")

# ---- the memo of others

row("cPickle counts from 1", b"(lp1\nI1\na(lp2\nag1\na.")
row("cPickle counts from 1, protocol 2", P2 + b"]q\1(h\1]q\2h\2e.")
row("an optimised stream of 2.7 has gaps", P2 + b"]q\1]q\5(h\1h\5e.")
row("Pickler.fast puts nothing",
    P4 + o.framed(o.EMPTY_LIST + o.MARK + o.EMPTY_LIST + o.EMPTY_DICT + o.APPENDS + o.STOP))
broken("the second pickle of a Pickler needs the first", P2 + o.EMPTY_LIST + o.BINPUT(1) + o.BINGET(0) + o.APPEND
       + o.STOP, "memo.missing")

# ---- recursion

loop = []
loop.append(loop)
dumped("a list in itself", loop, "", range(6))
around = ([],)
around[0].append(around)
dumped("a tuple in itself", around, "", range(6))
both = ({}, [])
both[1].append(both)
dumped("a tuple of two in itself", both, "", range(6))
row("a call whose object was memoised meanwhile",
    P2 + o.EMPTY_LIST + o.BINPUT(0) + o.GLOBAL("m", "f") + o.MARK + o.BINGET(0) + o.TUPLE + o.REDUCE + o.POP
    + o.BINGET(0) + o.STOP, imports="m:f")


# ---- classes

class Nested:
    class Inner:
        def __init__(self):
            self.a = 1


class WithSlots:
    __slots__ = ("a", "b")

    def __init__(self):
        self.a, self.b = 1, [2]


class Keywords:
    def __new__(cls, *args, key=None):
        return object.__new__(cls)

    def __getnewargs_ex__(self):
        return (1,), {"key": 2}


class SetBy:
    def __reduce__(self):
        return SetBy, (), {"a": 1}, None, None, set_state


def set_state(target, state):
    target.state = state


HERE = __name__
row("an instance of 2.7's old kind, protocol 0", b"(i__main__\nC\np0\n(dp1\nS'a'\np2\nI1\nsb.", imports="__main__:C",
    uses="0:call 0:build")
row("an instance of 2.7's old kind, protocol 1", b"(c__main__\nC\noq\0}q\1U\1aq\2K\1sb.", imports="__main__:C",
    uses="0:call 0:build")
row("an instance of 2.7's old kind, with initial arguments, protocol 0", b"(I1\nI2\ni__main__\nC\np0\n(dp1\nb.",
    imports="__main__:C")
row("an instance of 2.7's old kind, with initial arguments, protocol 1", b"(c__main__\nC\nK\1K\2oq\0}q\1b.",
    imports="__main__:C")
row("an instance of a new class of 2.7", b"ccopy_reg\n_reconstructor\np0\n(c__main__\nC\np1\nc__builtin__\nobject\np2\n"
    b"Ntp3\nRp4\n(dp5\nS'a'\np6\nI1\nsb.", imports="copy_reg:_reconstructor __main__:C __builtin__:object")
row("an instance of a dict's subclass of 2.7", b"ccopy_reg\n_reconstructor\n(c__main__\nD\nc__builtin__\ndict\n"
    b"(dS'a'\nI1\nstR.", imports="copy_reg:_reconstructor __main__:D __builtin__:dict")
dumped("an instance", Nested(), lambda p: f"copy_reg:_reconstructor {HERE}:Nested __builtin__:object" if p < 2
       else f"{HERE}:Nested", range(6))
dumped("an instance of a nested class", Nested.Inner(),
       lambda p: f"copy_reg:_reconstructor __builtin__:getattr {HERE}:Nested __builtin__:object", range(2))
dumped("an instance of a nested class", Nested.Inner(),
       lambda p: f"{'__builtin__' if p == 2 else 'builtins'}:getattr {HERE}:Nested", range(2, 4),
       "call.computed call.computed")
dumped("an instance of a nested class", Nested.Inner(), f"{HERE}:Nested.Inner", range(4, 6))
dumped("slots", WithSlots(), f"{HERE}:WithSlots", range(2, 6))
dumped("keywords for __new__", Keywords(), f"{HERE}:Keywords", range(4, 6))
dumped("keywords for __new__, through partial", Keywords(), lambda p: (
    f"functools:partial {'__builtin__' if p == 2 else 'builtins'}:getattr {HERE}:Keywords"), range(2, 4),
    finds="call.computed")
dumped("a state setter", SetBy(), lambda p: f"{HERE}:SetBy {HERE}:set_state", range(6))
dumped("a bound method", loop.append, lambda p: f"{'builtins' if p > 2 else '__builtin__'}:getattr", range(6))
dumped("a class", int, lambda p: "builtins:int" if p > 2 else "__builtin__:long", range(6))
dumped("type(None)", type(None), lambda p: "builtins:type" if p > 2 else "__builtin__:type", range(6))
dumped("an exception", ValueError("a"), lambda p: "builtins:ValueError" if p > 2 else "exceptions:ValueError", range(6))
dumped("a range", range(3), lambda p: "builtins:range" if p > 2 else "__builtin__:xrange", range(6))
dumped("Ellipsis", Ellipsis, lambda p: "builtins:Ellipsis" if p > 2 else "__builtin__:Ellipsis", range(6))
dumped("an iterator", iter([1, 2]), lambda p: "builtins:iter" if p > 2 else "__builtin__:iter", range(6))
dumped("functools.partial", functools.partial(int, 1, base=2),
       lambda p: "functools:partial builtins:int" if p > 2 else "functools:partial __builtin__:long", range(6))
dumped("a partial of a function", functools.partial(copyreg.pickle, 1),
       lambda p: f"functools:partial {'copyreg' if p > 2 else 'copy_reg'}:pickle", range(6))

# ---- bytes and sets before their opcodes

dumped("bytes", b"ab\xff", lambda p: "_codecs:encode" if p < 3 else "", range(6))
dumped("no bytes", b"", lambda p: "__builtin__:bytes" if p < 3 else "", range(6))
dumped("a bytearray", bytearray(b"ab"),
       lambda p: "__builtin__:bytearray _codecs:encode" if p < 3 else "builtins:bytearray" if p < 5 else "", range(6))
dumped("a set", {1}, lambda p: "__builtin__:set" if p < 3 else "builtins:set" if p < 4 else "", range(6))
dumped("a frozenset", frozenset([1]),
       lambda p: "__builtin__:frozenset" if p < 3 else "builtins:frozenset" if p < 4 else "", range(6))
row("a bytearray of 2.7", P2 + called("__builtin__", "bytearray", o.BINUNICODE("\xff"), o.SHORT_BINSTRING("latin-1"))
    + o.STOP, imports="__builtin__:bytearray")
row("a datetime of 2.7", P2 + called("datetime", "datetime", o.SHORT_BINSTRING(b"\x07\xea\x01\x02\x03\x04\x05\0\0\xff"))
    + o.STOP, imports="datetime:datetime", encoding="latin1")

# ---- batches, frames, large values

dumped("a list of more than two batches", list(range(2500)), "", range(6))
dumped("a batch and one", list(range(1001)), "", range(6))
dumped("a dict of more than two batches", {n: None for n in range(2500)}, "", range(6))
dumped("a set of more than two batches", set(range(2500)), "", range(4, 6))
dumped("a value of 64 KiB in a list", ["x" * 65536, b"y" * 65536, 1], "", range(3, 6))
dumped("three frames", ["x" * 40000 + str(n) for n in range(4)], "", range(4, 6))
row("a value of 64 KiB inside its frame, as 3.6 writes it",
    P4 + o.framed(o.EMPTY_LIST + o.BINBYTES(b"x" * 70000) + o.APPEND + o.STOP))
dumped("a value too small for a frame", 1, "", range(6))

# ---- buffers

large = pickle.PickleBuffer(bytearray(b"x" * 10))
row("a buffer out of band", pickle.dumps([large], 5, buffer_callback=lambda buffer: False), "buffer.denied",
    does=SINCE_3_8)
row("a read-only buffer out of band",
    pickle.dumps(pickle.PickleBuffer(b"x"), 5, buffer_callback=lambda buffer: False), "buffer.denied buffer.denied",
    does=SINCE_3_8)
row("a buffer in band", pickle.dumps([large], 5), does=SINCE_3_8)

# ---- numpy, pandas, torch, joblib, cloudpickle, dill

ndarray = called("numpy.core.multiarray", "_reconstruct", o.GLOBAL("numpy", "ndarray"), one + o.TUPLE1,
                 o.SHORT_BINBYTES("b"))
dtype = (called("numpy", "dtype", o.BINUNICODE("f8"), o.NEWFALSE, o.NEWTRUE)
         + o.MARK + three + o.BINUNICODE("<") + o.NONE * 3 + o.BININT(-1) * 2 + o.BININT1(0) + o.TUPLE + o.BUILD)
row("numpy: an array", o.PROTO(3) + ndarray + o.MARK + one + one + o.TUPLE1 + dtype + o.NEWFALSE
    + o.SHORT_BINBYTES(bytes(8)) + o.TUPLE + o.BUILD + o.STOP,
    imports="numpy.core.multiarray:_reconstruct numpy:ndarray numpy:dtype")
row("numpy: an array of objects", o.PROTO(3) + ndarray + o.MARK + one + one + o.TUPLE1 + dtype + o.NEWFALSE
    + o.EMPTY_LIST + o.EMPTY_DICT + o.APPEND + o.TUPLE + o.BUILD + o.STOP,
    imports="numpy.core.multiarray:_reconstruct numpy:ndarray numpy:dtype")
row("numpy: a scalar", o.PROTO(3) + called("numpy._core.multiarray", "scalar", dtype, o.SHORT_BINBYTES(bytes(8)))
    + o.STOP, imports="numpy._core.multiarray:scalar numpy:dtype")
row("numpy: an array out of band", o.PROTO(5) + called("numpy.core.numeric", "_frombuffer", o.NEXT_BUFFER, dtype,
    one + o.TUPLE1, o.BINUNICODE("C")) + o.STOP, "buffer.denied", "numpy.core.numeric:_frombuffer numpy:dtype",
    does=SINCE_3_8)
row("pandas: a frame", P4 + o.framed(
    o.named("pandas.core.frame", "DataFrame") + o.MEMOIZE + o.EMPTY_TUPLE + o.NEWOBJ + o.MEMOIZE + o.EMPTY_DICT
    + o.MARK + o.text("_mgr") + o.named("pandas.core.internals.managers", "BlockManager") + o.MARK
    + o.named("pandas._libs.internals", "_unpickle_block") + o.MARK + o.NONE
    + called("builtins", "slice", one, two, one) + two + o.TUPLE + o.REDUCE + o.TUPLE1 + o.EMPTY_LIST + o.TUPLE
    + o.REDUCE + o.text("attrs") + o.EMPTY_DICT + o.SETITEMS + o.BUILD + o.STOP),
    imports="pandas.core.frame:DataFrame pandas.core.internals.managers:BlockManager "
            "pandas._libs.internals:_unpickle_block builtins:slice")
storage = (o.MARK + o.BINUNICODE("storage") + o.GLOBAL("torch", "FloatStorage") + o.BINUNICODE("0")
           + o.BINUNICODE("cpu") + three + o.TUPLE + o.BINPERSID)
row("torch: a tensor", P2 + called("torch._utils", "_rebuild_tensor_v2", storage, o.BININT1(0), three + o.TUPLE1,
    one + o.TUPLE1, o.NEWFALSE, called("collections", "OrderedDict")) + o.STOP, "persistent_id.denied",
    "torch._utils:_rebuild_tensor_v2 torch:FloatStorage collections:OrderedDict", does=NO_HOOK)
magic = P2 + o.LONG1(0x1950a86a20f9469cfc6c) + o.STOP
row("torch: the old file is five pickles, one behind the other",
    magic + P2 + o.BININT2(1001) + o.STOP + (P2 + o.EMPTY_DICT + o.STOP) * 3 + bytes(16), "pickle.trailing",
    value=str(0x1950a86a20f9469cfc6c))
broken("joblib: bytes of an array behind BUILD", o.PROTO(3) + o.GLOBAL("joblib.numpy_pickle", "NumpyArrayWrapper")
       + o.EMPTY_TUPLE + o.NEWOBJ + o.EMPTY_DICT + o.BUILD + b"\xff\xff\xff\xff" + o.STOP, "pickle.opcode",
       "joblib.numpy_pickle:NumpyArrayWrapper")
row("cloudpickle: a function", P4 + called("cloudpickle.cloudpickle", "_make_function",
    called("cloudpickle.cloudpickle", "_builtin_type", o.text("CodeType")) + one + o.TUPLE1 + o.REDUCE, o.EMPTY_DICT)
    + o.MEMOIZE + o.named("cloudpickle.cloudpickle_fast", "_function_setstate") + o.BINGET(0) + o.EMPTY_DICT
    + o.EMPTY_DICT + o.TUPLE2 + o.TUPLE2 + o.REDUCE + o.POP + o.STOP, "call.computed",
    "cloudpickle.cloudpickle:_make_function cloudpickle.cloudpickle:_builtin_type "
    "cloudpickle.cloudpickle_fast:_function_setstate")
row("dill: text opcodes inside protocol 4", P4 + o.framed(called("dill._dill", "_create_type",
    o.named("builtins", "type"), o.text("C"), o.named("builtins", "object") + o.TUPLE1, o.EMPTY_DICT)
    + o.GLOBAL("__builtin__", "__main__") + o.TUPLE2 + o.STOP),
    imports="dill._dill:_create_type builtins:type builtins:object __builtin__:__main__")

# ---- other languages

row("og-rek: no EMPTY_LIST, no memo, no frame",
    P4 + o.MARK + one + o.MARK + o.text("a") + two + o.DICT + o.LIST + o.STOP,
    value="[1, {'a': 2}]")
row("og-rek: large numbers are text in every protocol", P4 + o.MARK + o.INT("18446744073709551615")
    + o.LONG("18446744073709551616L") + o.TUPLE + o.STOP, value="(18446744073709551615, 18446744073709551616)")
row("og-rek: floats", o.MARK + o.FLOAT("+Inf") + o.FLOAT("-Inf") + o.FLOAT("1e+06") + o.FLOAT("NaN") + o.TUPLE + o.STOP,
    value="(inf, -inf, 1000000.0, nan)")
row("og-rek: STACK_GLOBAL without memo, latin1 as SHORT_BINSTRING", P4 + o.named("_codecs", "encode")
    + o.text("\xff") + o.SHORT_BINSTRING("latin1") + o.TUPLE2 + o.REDUCE + o.STOP, imports="_codecs:encode")
row("serde-pickle: groups that are empty", P2 + o.MARK + b"](e" + b"}(u" + o.TUPLE + o.STOP, value="([], {})")
row("serde-pickle: numbers", P2 + o.MARK + o.BININT(1) + o.LONG1(b"\1" + bytes(7)) + o.LONG1(bytes(7) + b"\x80\0")
    + o.TUPLE + o.STOP, value="(1, 1, 9223372036854775808)")
row("serde-pickle: a set", P2 + o.GLOBAL("__builtin__", "set") + o.EMPTY_LIST + o.MARK + one + o.APPENDS + o.TUPLE1
    + o.REDUCE + o.STOP, imports="__builtin__:set")
row("Pyrolite: a bytearray", P2 + called("__builtin__", "bytearray", o.BINUNICODE("ab"), o.BINUNICODE("latin-1"))
    + o.STOP, imports="__builtin__:bytearray")
row("Pyrolite: an array", P2 + called("array", "array", o.SHORT_BINSTRING("i"), o.EMPTY_LIST + o.MARK + one + o.APPENDS)
    + o.STOP, imports="array:array")
row("Pyrolite: decimal and datetime", P2 + called("decimal", "Decimal", o.BINUNICODE("1.5"))
    + called("datetime", "datetime", *(o.BININT1(n) for n in (7, 1, 2, 3, 4, 5, 6))) + o.TUPLE2 + o.STOP,
    imports="decimal:Decimal datetime:datetime")
row("Pyrolite: a time with its zone: attrgetter's result is called, twice",
    P2 + called("operator", "attrgetter", o.BINUNICODE("localize")) + called("pytz", "timezone", o.BINUNICODE("CET"))
    + o.TUPLE1 + o.REDUCE + called("datetime", "datetime", o.BININT2(2026), one, two) + o.TUPLE1 + o.REDUCE + o.STOP,
    "call.computed call.computed", "operator:attrgetter pytz:timezone datetime:datetime")
row("Pyrolite: a bean", P2 + o.EMPTY_DICT + o.BINPUT(0) + o.MARK + o.BINUNICODE("__class__") + o.BINPUT(1)
    + o.BINUNICODE("net.Bean") + o.BINPUT(2) + o.SETITEMS + o.STOP, value="{'__class__': 'net.Bean'}")
row("carbon: metrics", P2 + o.EMPTY_LIST + o.BINPUT(0) + o.MARK + o.BINSTRING("a.b.c") + o.BINPUT(1)
    + o.BININT(1700000000) + o.BINFLOAT(1.5) + o.TUPLE2 + o.TUPLE2 + o.APPENDS + o.STOP,
    value="[('a.b.c', (1700000000, 1.5))]")
