# SPDX-License-Identifier: Apache-2.0
"""Every stream that CPython's own tests give to an unpickler: run by test_cpython_data.py.

    harvest.py FILE MODULE…
Runs the test modules (with "MODULE:PATTERN", their tests of that name) with unpicklers that note
their input, and writes it to FILE: a length of 4 bytes, little-endian, and the stream, each once.
What the tests think of it does not matter.
"""

import importlib
import io
import pickle
import sys
import types
import unittest

import _pickle

seen = {}


def note(data):
    seen.setdefault(bytes(data))


def rest(file):
    """What an unpickler is about to read."""
    try:
        at = file.tell()
    except (AttributeError, OSError):  # also io.UnsupportedOperation
        at = 0
    if hasattr(file, "getvalue"):
        return file.getvalue()[at:]
    try:
        data = file.read()
        file.seek(at)
        return data
    except (AttributeError, OSError):
        return b""


def noting(base):
    class Unpickler(base):
        def __init__(self, file, *args, **keywords):
            self.noted = file
            super().__init__(file, *args, **keywords)

        def load(self):
            note(rest(self.noted))
            return super().load()

    return Unpickler


def noting_loads(loads):
    def note_and_load(data, /, **keywords):
        note(data)
        return loads(data, **keywords)

    return note_and_load


def noting_load(load):
    def note_and_load(file, **keywords):
        note(rest(file))
        return load(file, **keywords)

    return note_and_load


def watch():
    pickle.loads = _pickle.loads = noting_loads(_pickle.loads)
    pickle.load = _pickle.load = noting_load(_pickle.load)
    pickle._loads = noting_loads(pickle._loads)
    pickle._load = noting_load(pickle._load)
    pickle.Unpickler = _pickle.Unpickler = noting(_pickle.Unpickler)
    pickle._Unpickler = noting(pickle._Unpickler)


def constants(module):
    """The streams that stand in the module, or in its classes."""
    for value in list(vars(module).values()):
        if isinstance(value, bytes):
            note(value)
        elif isinstance(value, type):
            for inner in vars(value).values():
                if isinstance(inner, bytes):
                    note(inner)


def run(name):
    name, _, pattern = name.partition(":")
    module = importlib.import_module(name)
    constants(module)
    for value in list(vars(module).values()):
        if isinstance(value, types.ModuleType) and value.__name__.startswith("test."):
            constants(value)
    loader = unittest.TestLoader()
    loader.testNamePatterns = [pattern] if pattern else None
    suite = loader.loadTestsFromModule(module)
    unittest.TextTestRunner(stream=io.StringIO(), verbosity=0).run(suite)


def main():
    watch()
    for name in sys.argv[2:]:
        try:
            run(name)
        except unittest.SkipTest as reason:
            print(f"{name}: {reason}", file=sys.stderr)
    with open(sys.argv[1], "wb") as out:
        for data in seen:
            out.write(len(data).to_bytes(4, "little") + data)


main()
