# SPDX-License-Identifier: Apache-2.0
"""Write the seed corpus of the layer fuzzer: small files as Python's own modules, numpy, joblib, torch
and msgpack write them. The first byte is the chain of layer.c. Usage: corpus_layer.py FOLDER"""

import base64
import bz2
import gzip
import hashlib
import io
import lzma
import os
import pickle
import sys
import zipfile
import zlib

import joblib
import msgpack
import numpy
import torch

AUTO, JOBLIB, ZLIB, GZIP, BZ2, XZ, BASE64, MSGPACK, ZIP, ZIP_NPY, NPY, SKIP = range(12)
PICKLE = pickle.dumps({"a": [1, None]}, 4)
ATTACK = bytes.fromhex("8004951d000000000000008c05706f736978948c0673797374656d9493948c02696494859452942e")
OBJECTS = numpy.array([1, None, "x"], dtype=object)
FIELDS = numpy.zeros(2, dtype=[("a", "<i4"), ("b", "u1", (2,)), ("c", "S3")])
ARRAYS = [numpy.arange(6.0).reshape(2, 3), numpy.array(["ab", "c"]), OBJECTS, FIELDS, numpy.zeros((0, 3)),
          numpy.array(5), numpy.asfortranarray(numpy.ones((2, 2))), numpy.array(["2026"], dtype="M8[D]")]


def written(write, *rest, **options):
    out = io.BytesIO()
    write(out, *rest, **options)
    return out.getvalue()


def save(out, value):
    numpy.save(out, value)


def archive(out, how, unseekable=False, **members):
    class Pipe(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            return out.write(data)

    with zipfile.ZipFile(Pipe() if unseekable else out, "w", how) as made:
        for name, data in members.items():
            made.writestr(name.replace("_", "."), data)


def seeds():
    for whole in (PICKLE, ATTACK, b""):
        yield AUTO, whole
        yield ZLIB, zlib.compress(whole)
        yield GZIP, gzip.compress(whole, mtime=0)
        yield BZ2, bz2.compress(whole)
        yield XZ, lzma.compress(whole)
        yield XZ, lzma.compress(whole, format=lzma.FORMAT_ALONE)
        yield BASE64, base64.b64encode(whole)
        yield SKIP, b"a b " + whole
        yield MSGPACK, msgpack.packb([msgpack.ExtType(1, whole), {"k": msgpack.ExtType(5, whole)}, b"", "s", 1.5])
        yield AUTO, gzip.compress(zlib.compress(bz2.compress(whole)), mtime=0)
    for value in ARRAYS:
        yield NPY, written(save, value)
        yield JOBLIB, written(lambda out, value: joblib.dump(value, out), value)
    for method in ("zlib", "gzip", "bz2", "xz", "lzma"):
        yield JOBLIB, written(lambda out, method: joblib.dump([OBJECTS, FIELDS], out, compress=(method, 3)), method)
    yield JOBLIB, written(lambda out: joblib.dump({"a": ARRAYS[0], "b": [ARRAYS[0] + 1]}, out, protocol=2))
    yield ZIP_NPY, written(numpy.savez, a=ARRAYS[0], b=OBJECTS)
    yield ZIP_NPY, written(numpy.savez_compressed, a=ARRAYS[0], b=OBJECTS)
    yield AUTO, written(lambda out: torch.save({"w": torch.zeros(3)}, out))
    yield ZIP, written(lambda out: torch.save([ATTACK], out))
    yield AUTO, written(lambda out: torch.save({"w": torch.zeros(3)}, out, _use_new_zipfile_serialization=False))
    for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        yield ZIP, written(archive, how, a_pkl=PICKLE, b=b"data", c_PKL=ATTACK)
        yield AUTO, written(archive, how, unseekable=True, a_pkl=PICKLE, b_npy=written(save, OBJECTS))


def main(folder):
    os.makedirs(folder, exist_ok=True)
    for chain, data in seeds():
        seed = bytes([chain]) + data
        with open(os.path.join(folder, hashlib.sha256(seed).hexdigest()[:16]), "wb") as file:
            file.write(seed)


if __name__ == "__main__":
    main(sys.argv[1])
