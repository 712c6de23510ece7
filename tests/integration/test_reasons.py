# SPDX-License-Identifier: Apache-2.0
"""Each reason that a frame alone can give has a stream that meets it, as the README says."""
import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("PICKLEWALL_BIN", str(ROOT / "build/dev/picklewall"))
PACKS = {"PICKLEWALL_POLICIES": str(ROOT / "config/policies")}

# name of the case: (the reason, the bytes)
STREAMS = {
    "REDUCE, protocol 4": ("import.denied", bytes.fromhex(
        "8004951d000000000000008c05706f736978948c0673797374656d9493948c02696494859452942e")),
    "text opcodes": ("import.denied", b"cos\nsystem\n(S'id'\ntR."),
    "cut short after the call": ("import.denied", b"cos\nsystem\n(S'id'\ntR"),
    "BUILD and no REDUCE": ("import.denied", bytes.fromhex(
        "80026374797065730a53696d706c654e616d6573706163650a29817d580c0000005f5f73657473746174655f"
        "5f636f730a73797374656d0a736258020000006964622e")),
    "dotted name": ("import.denied", bytes.fromhex(
        "80045809000000706f7369787061746858090000006f732e73797374656d935802000000696485522e")),
    "names fetched from the memo": (
        "import.denied", b"\x80\4\x8c\2os\x94\x8c\6system\x940h\0h\1\x93."),
    "INST": ("import.denied", b"(S'id'\nios\nsystem\n."),
    "a number for a name": ("import.unresolved", b"\x80\4\x8c\2osK\1\x93."),
    "a value that is called": ("use.denied", b"\x80\4cbuiltins\nint\n(K\1tR."),
    "a terabyte of zeros": (
        "args.denied", b"\x80\4cbuiltins\nbytearray\n(\x8a\5\0\x10\xa5\xd4\xe8tR."),
    "the result of a call": ("call.computed", b"\x80\4cdatetime\ndate\n(C\4\7\xeb\1\1tR(tR."),
    "a number that is called": ("call.target", b"K\1)R."),
    "state for a class": ("target.global", b"cdatetime\ndate\n}(X\1\0\0\0aK\1ub."),
    "extension registry": ("extension.denied", b"\x80\2\x82\1."),
    "persistent id": ("persistent_id.denied", b"Pabc\n."),
    "out-of-band buffer": ("buffer.denied", b"\x80\5\x97."),
    "no pickle": ("pickle.opaque", b"\xff\xfehello"),
    "no opcode": ("pickle.opcode", b"\x80\4K\1\xff."),
    "argument past the end": ("pickle.truncated", b"\x80\4X\xff\0\0\0ab"),
    "no STOP": ("pickle.no_stop", b"\x80\4K\1"),
    "protocol 9": ("pickle.proto", b"\x80\tK\1."),
    "negative length": ("pickle.length", b"\x80\4T\xff\xff\xff\xffab."),
    "hexadecimal number": ("pickle.number", b"I0x10\n."),
    "open quote": ("pickle.string", b"S'abc\n."),
    "escape cut short": ("pickle.unicode", b"V\\u12\n."),
    "tuple of nothing": ("pickle.underflow", b"\x80\4\x86."),
    "no MARK": ("pickle.no_mark", b"\x80\4t."),
    "append to a number": ("pickle.type", b"\x80\4K\1K\2a."),
    "key without a value": ("pickle.odd_items", b"\x80\4}(K\1u."),
    "bytes behind STOP": ("pickle.trailing", b"\x80\4K\1.x"),
    "FRAME past the end": ("frame.overrun", b"\x80\4\x95\xff\0\0\0\0\0\0\0K\1."),
    "FRAME in a FRAME": ("frame.nested", b"\x80\4\x95\x0c\0\0\0\0\0\0\0\x95\3\0\0\0\0\0\0\0K\1."),
    "FRAME ends inside an argument": ("frame.straddle", b"\x80\4\x95\1\0\0\0\0\0\0\0K\1."),
    "FRAME past STOP": ("frame.past_stop", b"\x80\4\x95\5\0\0\0\0\0\0\0K\1.ab"),
    "memo entry never written": ("memo.missing", b"\x80\4h\5."),
    "MEMOIZE after a gap": ("memo.gap", b"\x80\4K\1q\5K\2\x94."),
    "memo index of two thousand million": ("limit.memo", b"\x80\4K\1r\xff\xff\xff\x7f."),
    "two thousand lists in each other": (
        "limit.depth", b"\x80\4" + b"]" * 2000 + b"a" * 1999 + b"."),
}


def run(*args):
    return subprocess.run([BIN, *args], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, **PACKS})


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """What `scan --json` says of every case, by its name, in one run over a folder."""
    folder = tmp_path_factory.mktemp("streams")
    for name, (_, stream) in STREAMS.items():
        (folder / name).write_bytes(stream)
    result = run("scan", "--json", str(folder))
    assert result.returncode == 1, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {pathlib.Path(line["path"]).name: line for line in lines}


@pytest.mark.parametrize("name", STREAMS)
def test_the_stream_is_refused_for_its_reason(judged, name):
    reason, stream = STREAMS[name]
    said = judged[name]
    assert said["verdict"] == "quarantine"
    assert reason in {find["code"] for find in said["finds"]}
    assert said["reason"] == said["finds"][0]["code"]
    assert said["bytes"] == len(stream)


def test_explain_shows_each_find_where_it_is(judged, tmp_path):
    for name, (reason, stream) in STREAMS.items():
        (tmp_path / "one").write_bytes(stream)
        result = run("explain", str(tmp_path / "one"))
        assert result.returncode == 1, name
        assert re.search(r"\^ " + re.escape(reason), result.stdout), name
