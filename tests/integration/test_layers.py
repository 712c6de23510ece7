# SPDX-License-Identifier: Apache-2.0
"""Frames and files with something around their pickles, as real libraries write them."""

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import pickle
import random
import resource
import subprocess
import zipfile
import zlib

import joblib
import joblib.numpy_pickle
import msgpack
import numpy
import pytest
import torch
import zmq
from wall import HOSTILE, ROOT, SANITIZED, Wall, channel, tcp

BIN = os.environ.get("PICKLEWALL_BIN", str(ROOT / "build/dev/picklewall"))
PACKS = {"PICKLEWALL_POLICIES": str(ROOT / "config/policies")}
CONFIG = """
channel
    a
        in
            bind = "tcp://127.0.0.1:8006"
        out
            bind = "tcp://127.0.0.1:8007"
        policy = "mine"
policy
    mine
        include = "numpy"
        include = "torch-tensors"
        allow = "joblib.numpy_pickle:NumpyArrayWrapper new build"
        max_bytes = 1G
        max_ratio = 500
"""
ATTACK = HOSTILE["reduce"]


class Attack:
    def __reduce__(self):
        return os.system, ("id",)


OBJECTS = numpy.array([1, None, "x"], dtype=object)
EVIL = numpy.array([Attack()], dtype=object)


def bytes_of(write, *arguments, **options):
    out = io.BytesIO()
    write(out, *arguments, **options)
    return out.getvalue()


def joblib_bytes(value, **options):
    return bytes_of(lambda out: joblib.dump(value, out, **options))


def torch_bytes(value, **options):
    return bytes_of(lambda out: torch.save(value, out, **options))


def archive(how=zipfile.ZIP_STORED, **members):
    def write(out):
        with zipfile.ZipFile(out, "w", how) as made:
            for name, data in members.items():
                made.writestr(name.replace("__", "."), data)

    return bytes_of(write)


def scan(folder, *more, limit=None):
    """The objects of scan --json, by file name."""
    config = folder / "picklewall.conf"
    config.write_text(CONFIG)
    limit = None if SANITIZED else limit  # its shadow takes terabytes of addresses
    files = sorted(path for path in folder.iterdir() if path != config)
    result = subprocess.run(
        [BIN, "scan", "--json", "--config", str(config), "--policy", "mine", *more, *map(str, files)],
        capture_output=True, timeout=120, check=False, env={**os.environ, **PACKS},
        preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))),
    )
    assert result.returncode in (0, 1), result.stderr
    found = {}
    for line in result.stdout.splitlines():
        report = json.loads(line)
        found[pathlib.Path(report["path"]).name] = report
    assert len(found) == len(files)
    return found


def put(folder, files):
    for name, data in files.items():
        (folder / name).write_bytes(data)


PLAIN = pickle.dumps({"a": [1, None]}, 4)
MATRIX = numpy.arange(6.0).reshape(2, 3)

GOOD = {
    "a.pkl": PLAIN,
    "a.pkl.zlib": zlib.compress(PLAIN),
    "a.pkl.gz": gzip.compress(PLAIN),
    "two-members.gz": gzip.compress(PLAIN[:5]) + gzip.compress(PLAIN[5:]),
    "a.pkl.bz2": bz2.compress(PLAIN),
    "a.pkl.xz": lzma.compress(PLAIN, preset=9),
    "a.pkl.lzma": lzma.compress(PLAIN, format=lzma.FORMAT_ALONE),
    "gzip-in-xz": lzma.compress(gzip.compress(PLAIN)),
    "numbers.npy": bytes_of(numpy.save, MATRIX),
    "fortran.npy": bytes_of(numpy.save, numpy.asfortranarray(MATRIX)),
    "text.npy": bytes_of(numpy.save, numpy.array(["a", "bc"])),
    "dates.npy": bytes_of(numpy.save, numpy.array(["2026-01-02"], "M8[ns]")),
    "fields.npy": bytes_of(numpy.save, numpy.zeros(3, [("a", "<i4"), ("b", "u1", (2,)), ("c", [("d", "S3")])])),
    "title.npy": bytes_of(numpy.save, numpy.zeros(3, [(("what", "a"), "<i4")])),
    "aligned.npy": bytes_of(numpy.save, numpy.zeros(3, numpy.dtype([("a", "u1"), ("b", "<i4")], align=True))),
    "empty.npy": bytes_of(numpy.save, numpy.zeros((0, 3))),
    "scalar.npy": bytes_of(numpy.save, numpy.array(5)),
    "long-header.npy": bytes_of(numpy.save, numpy.zeros(1, [(f"field{i}", "<i4") for i in range(3000)])),
    "objects.npy": bytes_of(numpy.save, OBJECTS),
    "arrays.npz": bytes_of(numpy.savez, a=MATRIX, b=OBJECTS),
    "arrays-compressed.npz": bytes_of(numpy.savez_compressed, a=MATRIX, b=OBJECTS, c=numpy.arange(10**5) % 7),
    "tensors.pt": torch_bytes({"w": torch.zeros(2, 3), "n": torch.arange(4), "t": [1, "x"]}),
    "parameter.pt": torch_bytes(torch.nn.Linear(2, 2).state_dict()),
    "numbers.joblib": joblib_bytes({"a": MATRIX, "b": [MATRIX + 1, 5], "c": "text"}),
    "many.joblib": joblib_bytes([MATRIX, numpy.array(["a", "bc"]), numpy.array(5), numpy.zeros((0, 3)),
                                 numpy.asfortranarray(MATRIX), numpy.array(["2026"], "M8[D]"), numpy.array([b"x"]),
                                 numpy.array([True]), numpy.array([1j]), numpy.arange(5, dtype=">i2")]),
    "objects.joblib": joblib_bytes([OBJECTS, MATRIX]),
    "plain.joblib": joblib_bytes({"a": [1, "\\u20ac"]}),
    **{f"protocol-{p}.joblib": joblib_bytes([MATRIX, MATRIX], protocol=p) for p in (2, 3, 4, 5)},
    **{f"{m}.joblib": joblib_bytes([MATRIX, OBJECTS], compress=(m, 3)) for m in ("zlib", "gzip", "bz2", "xz", "lzma")},
}


def test_what_real_libraries_write_passes_when_its_names_are_allowed(tmp_path):
    put(tmp_path, GOOD)
    found = scan(tmp_path)
    assert {name: r["finds"] for name, r in found.items() if r["verdict"] != "pass"} == {}
    assert {r["kind"] for r in found.values()} == {"pickle", "empty"}
    assert [name for name, r in found.items() if r["kind"] == "empty"] == [
        name for name in sorted(GOOD) if name.endswith(".npy") and name != "objects.npy"]


EVILS = {
    "a.pkl": (ATTACK, None),
    "zlib": (zlib.compress(ATTACK), "zlib"),
    "gzip": (gzip.compress(ATTACK), "gzip"),
    "second-member": (gzip.compress(ATTACK[:9]) + gzip.compress(ATTACK[9:]), "gzip"),
    "bz2": (bz2.compress(ATTACK), "bz2"),
    "xz": (lzma.compress(ATTACK), "xz"),
    "lzma": (lzma.compress(ATTACK, format=lzma.FORMAT_ALONE), "xz"),
    "four-deep": (gzip.compress(bz2.compress(lzma.compress(zlib.compress(ATTACK)))), "gzip>bz2>xz>zlib"),
    "npy": (bytes_of(numpy.save, EVIL), "npy"),
    "npz": (bytes_of(numpy.savez, a=MATRIX, b=EVIL), "zip:b.npy>npy"),
    "npz-compressed": (bytes_of(numpy.savez_compressed, a=MATRIX, b=EVIL), "zip:b.npy>npy"),
    "npz-other-name": (archive(x=bytes_of(numpy.save, EVIL)), "zip:x>npy"),
    "torch": (torch_bytes([torch.zeros(2), Attack()]), "zip:archive/data.pkl"),
    "zip": (archive(a__txt=b"x", b__pkl=ATTACK), "zip:b.pkl"),
    "zip-deflated": (archive(zipfile.ZIP_DEFLATED, a__txt=b"x", b__PKL=ATTACK), "zip:b.PKL"),
    "zip-in-gzip": (gzip.compress(archive(b__pkl=ATTACK)), "gzip>zip:b.pkl"),
    "joblib": (joblib_bytes([MATRIX, Attack()]), None),
    "joblib-objects": (joblib_bytes([MATRIX, EVIL]), "joblib@"),
    "joblib-xz": (joblib_bytes([MATRIX, Attack()], compress=("xz", 3)), "xz"),
}


def test_an_attack_is_found_wherever_it_lies(tmp_path):
    put(tmp_path, {name: data for name, (data, _) in EVILS.items()})
    for name, report in scan(tmp_path).items():
        assert report["verdict"] == "quarantine" and report["reason"] == "import.denied", name
        find = next(find for find in report["finds"] if find["name"] == "system")
        where = EVILS[name][1]
        assert find.get("in") == where or find["in"].startswith("joblib@"), name
        assert [i["name"] for i in report["imports"] if i.get("in") == find.get("in") and not i["allowed"]] == ["system"]


def test_what_is_known_but_not_read_is_said_so(tmp_path):
    put(tmp_path, {
        "legacy.pt": torch_bytes([torch.zeros(2)], _use_new_zipfile_serialization=False),
        "zstd": b"(\xb5/\xfd\x04\x58" + PLAIN,
        "lz4": b"\x04\x22\x4d\x18" + PLAIN,
        "old.joblib": b"ZF0x10              x\x9c",
        "bzip2.zip": archive(zipfile.ZIP_BZIP2, a__pkl=PLAIN),
        "lzma.zip": archive(zipfile.ZIP_LZMA, a__pkl=PLAIN),
    })
    assert {r["reason"] for r in scan(tmp_path).values()} == {"layer.unknown"}


def bomb(levels):
    data = bytes(10**7)
    for _ in range(levels):
        data = gzip.compress(data, 9)
    return data


def test_bombs_cost_little(tmp_path):
    big = bytes(50 * 10**6)
    put(tmp_path, {
        "bz2": bz2.compress(big),
        "xz": lzma.compress(big),
        "zip": archive(zipfile.ZIP_DEFLATED, a__pkl=big),
        "in-each-other": bomb(5),
        "dictionary": b"\x5d\0\0\0\xff" + b"\xff" * 8 + b"\0\x27\x0b\x9c\xff\xff\xff\xff",
        "npy": b"\x93NUMPY\1\0\x76\0" + b"{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }".ljust(
            117) + b"\n",
    })
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    found = scan(tmp_path, limit=1 << 29)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 10
    assert found.pop("npy")["reason"] == "layer.broken"
    assert found.pop("in-each-other")["reason"] == "limit.layers"
    assert {r["reason"] for r in found.values()} == {"limit.inflate"}


def test_a_large_archive_takes_no_more_memory_than_itself(tmp_path):
    size = 200 << 20
    with zipfile.ZipFile(tmp_path / "large.pt", "w", zipfile.ZIP_STORED) as made:
        made.writestr("large/data.pkl", PLAIN)
        with made.open("large/data/0", "w") as data:
            for _ in range(size >> 20):
                data.write(bytes(1 << 20))
    found = scan(tmp_path, limit=size + (160 << 20))
    assert found["large.pt"]["verdict"] == "pass"
    assert found["large.pt"]["bytes"] > size


def named(number):
    """A pickle that imports a name of its own."""
    return b"cm%d\nC\n." % number


def mutations(data, rng, count):
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            at = rng.randrange(len(changed))
            what = rng.randrange(4)
            if what == 0:
                changed[at] ^= 1 << rng.randrange(8)
            elif what == 1:
                changed[at] = rng.choice((0, 1, 8, 0xFF))
            elif what == 2:
                del changed[at]
            else:
                other = rng.randrange(len(changed))
                changed[at : at + 4] = changed[other : other + 4]
        yield bytes(changed)


def test_an_archive_that_is_read_holds_for_zipfile_what_it_holds_for_the_wall(tmp_path):
    rng = random.Random(5)
    sources = [
        archive(a__pkl=named(1), b=b"data", c__pkl=named(2)),
        archive(zipfile.ZIP_DEFLATED, a__pkl=named(1), c__PKL=named(2)),
        torch_bytes({"w": torch.zeros(2)}),
    ]
    files = {}
    for number, source in enumerate(sources):
        for n, data in enumerate(mutations(source, rng, 400)):
            files[f"{number}-{n:03}"] = data
    put(tmp_path, files)
    read = 0
    for name, report in scan(tmp_path).items():
        if not files[name].startswith(b"PK\3\4") or any(f["code"].startswith("layer.") for f in report["finds"]):
            continue
        read += 1
        seen = {(i.get("in"), i["mod"], i["name"]) for i in report["imports"]}
        try:
            made = zipfile.ZipFile(io.BytesIO(files[name]))
            members = [(m, made.read(m)) for m in made.namelist() if m.lower().endswith(".pkl")]
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, EOFError, zlib.error):
            continue
        for member, data in members:
            for mod in (b"m1", b"m2", b"collections"):
                if b"c" + mod + b"\n" in data:
                    assert any(where == "zip:" + member and m == mod.decode() for where, m, _ in seen), name
    assert read > 50


class Recorder(joblib.numpy_pickle.NumpyUnpickler):
    """joblib's own unpickler, which tells every name it resolves."""

    names = ()

    def find_class(self, module, name):
        self.names.append((module, name))
        return super().find_class(module, name)


def resolved(data):
    """What joblib.load resolves; it may fail on the way."""
    recorder = Recorder("", io.BytesIO(data))
    recorder.names = []
    try:
        recorder.load()
    except Exception:  # noqa: the names before it count
        pass
    return recorder.names


def test_joblib_resolves_no_name_that_the_wall_did_not_see(tmp_path):
    rng = random.Random(7)
    sources = [
        joblib_bytes({"a": MATRIX, "b": [MATRIX + 1, 5]}),
        joblib_bytes([numpy.frombuffer(b"cposix\nsystem\n." * 3, "u1"), numpy.array(["ab"]), MATRIX], protocol=2),
        joblib_bytes([MATRIX, OBJECTS], protocol=3),
    ]
    files = {}
    for number, source in enumerate(sources):
        for n, data in enumerate(mutations(source, rng, 1500)):
            files[f"{number}-{n:04}"] = data
    put(tmp_path, files)
    passed = 0
    for name, report in scan(tmp_path).items():
        if report["verdict"] == "pass":
            passed += 1
            seen = {(i["mod"], i["name"]) for i in report["imports"]}
            assert set(resolved(files[name])) <= seen, name
    assert passed > 300


# ---- end to end ----------------------------------------------------------------------------------------

FRAMES = {
    "zlib(pickle)": zlib.compress,
    "gzip(pickle)": gzip.compress,
    "bz2(pickle)": bz2.compress,
    "xz(pickle)": lzma.compress,
    "base64(zlib(pickle))": lambda data: base64.b64encode(zlib.compress(data)),
    "skip:SP:2(pickle)": lambda data: b"prefix name " + data,
    "msgpack(pickle)": lambda data: msgpack.packb({"k": [1, msgpack.ExtType(2, data)]}),
    "zip(pickle)": lambda data: archive(a__txt=b"x", archive_data__pkl=data),
    "auto": lambda data: gzip.compress(archive(zipfile.ZIP_DEFLATED, data__pkl=data)),
    "literal:READY|pickle": lambda data: data,
}


@pytest.mark.parametrize("rule", FRAMES)
def test_an_attack_in_the_innermost_pickle_is_held_and_the_rest_goes_on(rule, tmp_path, sockets):
    source, target = tcp(), tcp()
    around = FRAMES[rule]
    first, last = around(pickle.dumps([1], 4)), around(pickle.dumps([2], 4))
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target], frames=rule)) as wall:
        pull = sockets(zmq.PULL, connect=[target])
        push = sockets(zmq.PUSH, connect=[source], linger=-1)
        for frame in (first, around(ATTACK), last):
            push.send(frame)
        assert pull.recv() == first
        assert pull.recv() == last
        wall.wait_for(lambda: len(wall.frames()) == 3, "three lines")
        (held,) = wall.held()
        (refused,) = wall.frames("quarantine")
    assert refused["reason"] == "import.denied"
    assert refused["finds"][0]["name"] == "system"
    assert held is not None


def test_what_is_a_text_or_a_pickle_is_told_apart(tmp_path, sockets):
    source, target = tcp(), tcp()
    rules = "literal:READY|pickle, buffer*"
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target], frames=rules)) as wall:
        pull = sockets(zmq.PULL, connect=[target])
        push = sockets(zmq.PUSH, connect=[source], linger=-1)
        push.send(b"READY")
        push.send(b"READY?")
        push.send_multipart([PLAIN, b"raw"])
        assert pull.recv() == b"READY"
        assert pull.recv_multipart() == [PLAIN, b"raw"]
        wall.wait_for(lambda: len(wall.frames()) == 3, "three lines")
        assert [line["verdict"] for line in wall.frames()] == ["pass", "quarantine", "pass"]
