# SPDX-License-Identifier: Apache-2.0
"""What this interpreter's unpicklers do with streams: run by oracle.py under every CPython.

Reads JSON objects, one a line: "hex", and options of the unpickler ("encoding", "hooks": false
for a consumer without persistent_load and buffers). Writes for each an object with one answer a
way of loading:
    loads   C, from memory
    file    C, from a file that can only be read
    peek    C, from a file that can be looked ahead in
    python  Lib/pickle.py
An answer has "names" (asked of find_class, as the stream spells them, in hexadecimal; null where
the interpreter does not tell), "resolved" (loads only: what was really looked up: the module, and
the name or its first part), "finished", "value" (its repr), "error", "asked" (of persistent_load),
"buffers" and "tell" (bytes taken from the file).

Everything that is resolved is inert, whatever its name. The module "stub" has some special ones.
"""

import builtins
import codecs
import copyreg
import io
import json
import pickle
import resource
import sys
import types
import warnings

import _pickle

LIMIT = 1 << 30  # a stream may ask for any amount of memory
EXTENSIONS = {1: ("ext.module", "Name"), 300: ("ext.module", "Other"), 70000: ("ext.module", "Far")}
WAYS = ("loads", "file", "peek", "python")


class Meta(type):
    def __getattr__(cls, name):
        """The parts of a dotted name, when an unpickler walks it."""
        if name.startswith("__"):
            raise AttributeError(name)
        return resolve("", name)

    def __repr__(cls):
        return "<class>"


class Stub(metaclass=Meta):
    def __init__(self, *args, **kwargs):
        pass

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __call__(self, *args, **kwargs):
        return Stub()

    def __repr__(self):
        return "<stub>"

    def nothing(self, *args):
        pass

    __setstate__ = append = extend = add = update = __setitem__ = nothing


class Noting:
    """Tells how it was made and changed; has no __setstate__."""

    def __init__(self, *args):
        self.log = ["init%d" % len(args)]

    def __repr__(self):
        return " ".join(getattr(self, "log", ["new"]) + sorted(set(vars(self)) - {"log"}))


class NotingList(Stub):
    def __init__(self, *args):
        self.log = []

    def __repr__(self):
        return " ".join(self.log)

    def append(self, item):
        self.log.append("append")

    def extend(self, items):
        self.log.append("extend%d" % len(items))


class AppendOnly:
    def __init__(self):
        self.items = 0

    def __repr__(self):
        return "append%d" % self.items

    def append(self, item):
        self.items += 1


class AddOnly(AppendOnly):
    add = AppendOnly.append


class NoSetState(Noting):
    __setstate__ = None


class SubSet(set):
    def update(self, *args):
        raise RuntimeError("update")


class SubStr(str):
    pass


# What the names of the module "stub" make, anew for each import.
SPECIAL = {
    "text": lambda: "os", "list": lambda: [], "dict": lambda: {}, "set": lambda: set(), "number": lambda: 7,
    "first": lambda: lambda *args: args[0], "last": lambda: lambda *args: args[-1],
    "module": lambda: types.ModuleType("made"), "Noting": lambda: type("Made", (Noting,), {}),
    "NotingList": lambda: NotingList, "AppendOnly": lambda: AppendOnly, "AddOnly": lambda: AddOnly,
    "NoSetState": lambda: NoSetState, "SubSet": lambda: SubSet, "SubStr": lambda: SubStr,
}


def resolve(module, name):
    if module == "stub" and name in SPECIAL:
        return SPECIAL[name]()
    if name == "getattr":  # what it gives may be instantiated
        return lambda target, name: resolve("", name)
    return Meta("Resolved", (Stub,), {})


def as_hex(*texts):
    return [text.encode("utf-8", "surrogatepass").hex() for text in texts]


class Answer:
    """What happened during one load."""

    def __init__(self):
        self.names = []
        self.resolved = []
        self.asked = []
        self.buffers = 0

    def give_buffers(self):
        while True:
            self.buffers += 1
            yield bytearray(b"buffer")


def recording(base):
    class Unpickler(base):
        def find_class(self, module, name):
            self.answer.names.append(as_hex(module, name))
            return resolve(module, name)

        def persistent_load(self, pid):
            self.answer.asked.append(repr(pid)[:100])
            return Stub()

    return Unpickler


def without_hooks(base):
    class Unpickler(base):
        def find_class(self, module, name):
            self.answer.names.append(as_hex(module, name))
            return resolve(module, name)

    return Unpickler


def classes(base):
    return {True: recording(base), False: without_hooks(base)}


KINDS = {"c": classes(_pickle.Unpickler), "python": classes(pickle._Unpickler)}


class Plain:
    """A file that has read and readline alone."""

    def __init__(self, stream):
        self.file = io.BytesIO(stream)
        self.read = self.file.read
        self.readline = self.file.readline
        self.tell = self.file.tell


def load_file(kind, file, options, answer):
    keywords = {"encoding": options.get("encoding", "ASCII")}
    hooks = options.get("hooks", True)
    if hooks and sys.version_info >= (3, 8):
        keywords["buffers"] = answer.give_buffers()
    unpickler = KINDS[kind][hooks](file, **keywords)
    unpickler.answer = answer
    return unpickler.load()


class Module:
    """Stands in sys.modules while pickle.loads runs; notes what is looked up in it."""

    def __init__(self, name, answer):
        object.__setattr__(self, "of", (name, answer))

    def __getattribute__(self, name):
        if name == "__spec__":
            raise AttributeError(name)
        module, answer = object.__getattribute__(self, "of")
        answer.resolved.append(as_hex(module, name))
        return resolve(module, name)


auditing = []  # the answer that the audit hook writes to


def audit(event, arguments):
    if auditing and event == "pickle.find_class":
        auditing[-1].names.append(as_hex(*arguments))


def load_memory(stream, options, answer):
    """pickle.loads cannot be subclassed, so the modules it finds are exchanged."""
    keywords = {"encoding": options.get("encoding", "ASCII")}
    if options.get("hooks", True) and sys.version_info >= (3, 8):
        keywords["buffers"] = answer.give_buffers()
    codecs.lookup(keywords["encoding"] if keywords["encoding"] != "bytes" else "ASCII")  # imports
    modules = dict(sys.modules)
    real_import = builtins.__import__

    def stub_import(name, *ignored):
        module = Module(name, answer)
        sys.modules[name] = module
        return module

    sys.modules.clear()
    builtins.__import__ = stub_import
    auditing.append(answer)
    try:
        return _pickle.loads(stream, **keywords)
    finally:
        auditing.pop()
        builtins.__import__ = real_import
        sys.modules.clear()
        sys.modules.update(modules)


def load(way, stream, options, answer):
    if way == "loads":
        return load_memory(stream, options, answer), None
    file = io.BufferedReader(io.BytesIO(stream)) if way == "peek" else Plain(stream)
    return load_file("python" if way == "python" else "c", file, options, answer), file.tell()


def ask(way, stream, options):
    answer = Answer()
    copyreg._extension_cache.clear()
    result = {"finished": True, "value": None, "tell": None, "error": None}
    try:
        value, result["tell"] = load(way, stream, options, answer)
        result["value"] = repr(value)[:100] if len(stream) < 1000 else None
    except Exception as error:  # whatever the stream provokes is its own affair
        result["finished"] = False
        result["error"] = type(error).__name__
    if way == "loads":
        result["resolved"] = answer.resolved
        if sys.version_info < (3, 8):
            answer.names = None
    result.update(names=answer.names, asked=answer.asked, buffers=answer.buffers)
    return result


def main():
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    warnings.simplefilter("ignore")  # to show one, files are opened
    if sys.version_info >= (3, 8):
        sys.addaudithook(audit)
    for code, (module, name) in EXTENSIONS.items():
        copyreg.add_extension(module, name, code)
    for line in sys.stdin:
        options = json.loads(line)
        stream = bytes.fromhex(options["hex"])
        print(json.dumps({way: ask(way, stream, options) for way in WAYS}))


main()
