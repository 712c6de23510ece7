# SPDX-License-Identifier: Apache-2.0
"""What this interpreter's unpicklers do with streams: run by test_oracle.py under every CPython.

Reads lines of hexadecimal from standard input; writes for each a JSON object with, for the C and
the Python unpickler, the names asked of find_class (as hexadecimal), whether the load finished,
and how often persistent_load was called. Everything resolved is an inert stub.
"""

import io
import json
import pickle
import resource
import sys

import _pickle

LIMIT = 3 << 30  # a stream may ask for any amount of memory


class Stub(object):
    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args, **kwargs):
        return Stub()

    def nothing(self, *args):
        pass

    __setstate__ = append = extend = add = update = __setitem__ = nothing


def recording(base):
    class Unpickler(base):
        def find_class(self, module, name):
            self.names.append([text.encode("utf-8", "surrogatepass").hex() for text in (module, name)])

            class Resolved(Stub):
                pass

            return Resolved

        def persistent_load(self, pid):
            self.asked += 1
            return Stub()

    return Unpickler


def run(kind, stream):
    unpickler = kind(io.BytesIO(stream))
    unpickler.names = []
    unpickler.asked = 0
    finished = True
    try:
        unpickler.load()
    except Exception:  # whatever the stream provokes is its own affair
        finished = False
    return {"names": unpickler.names, "finished": finished, "asked": unpickler.asked}


def main():
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    kinds = {"c": recording(_pickle.Unpickler), "python": recording(pickle._Unpickler)}
    for line in sys.stdin:
        stream = bytes.fromhex(line.strip())
        print(json.dumps({name: run(kind, stream) for name, kind in sorted(kinds.items())}))


main()
