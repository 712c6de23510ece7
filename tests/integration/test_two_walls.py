# SPDX-License-Identifier: Apache-2.0
"""One wall signs, a second verifies; between them somebody who can change what he likes."""

import pickle
import shutil
import subprocess
import types

import pytest
import zmq
from wall import BINARY, Wall, channel, tcp

TRAILER = {"ed25519": 104, "hmac-sha256": 72, "blake2b": 72, "ed25519-batch": 106}
MESSAGES = [
    [pickle.dumps({"job": 1})],
    [pickle.dumps([1, 2]), pickle.dumps("second")],
    [pickle.dumps(None), pickle.dumps(bytes(100_000)), pickle.dumps(3.5)],
    [pickle.dumps(b"x" * 200, 0)],
    [pickle.dumps(bytes(range(256)) * 300)],
]


def run(*words):
    done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_keys(folder, suite, name="alpha"):
    """(the signing wall's keys, the verifying wall's keys)"""
    ours, theirs = folder / "ours", folder / "theirs"
    for each in (ours, theirs):
        each.mkdir(mode=0o700, exist_ok=True)
    run("key", "new", "--suite", suite, "--id", name, "--out", ours)
    if suite in ("ed25519", "ed25519-batch"):
        run("key", "public", "--out", theirs, ours / f"{name}.pwkey")
    else:
        shutil.copy2(ours / f"{name}.pwkey", theirs)
    return ours, theirs


@pytest.fixture(params=["ed25519", "ed25519-batch", "hmac-sha256"])
def suite(request):
    return request.param


@pytest.fixture(params=["tail", "frame"])
def envelope(request):
    return request.param


@pytest.fixture
def pair(tmp_path, sockets, suite, envelope):
    ours, theirs = make_keys(tmp_path, suite)
    ends = types.SimpleNamespace(source=tcp(), near=tcp(), far=tcp(), target=tcp(), other=tcp())
    first = Wall(
        tmp_path / "first",
        channel("jobs", in_bind=[ends.source], out_connect=[ends.near], sign="alpha", envelope=envelope),
        keys=ours,
    )
    second = Wall(
        tmp_path / "second",
        channel("jobs", in_bind=[ends.far], out_bind=[ends.target], verify="required", envelope=envelope),
        channel("other", in_bind=[ends.other], out_bind=[tcp()], verify="required", envelope=envelope),
        keys=theirs,
    )
    with first, second:
        yield types.SimpleNamespace(
            first=first,
            second=second,
            ours=ours,
            trailer=TRAILER[suite],
            producer=sockets(zmq.PUSH, connect=[ends.source]),
            tapped=sockets(zmq.PULL, bind=[ends.near]),
            passed_on=sockets(zmq.PUSH, connect=[ends.far]),
            consumer=sockets(zmq.PULL, connect=[ends.target]),
        )


def on_the_wire(pair, frames):
    pair.producer.send_multipart(frames)
    return pair.tapped.recv_multipart()


def refusals(pair, count):
    pair.second.wait_for(lambda: len(pair.second.frames("quarantine")) >= count, "refusals")
    return [line["reason"] for line in pair.second.frames("quarantine")]


def test_the_consumer_gets_the_original_bytes(pair, envelope):
    for frames in MESSAGES:
        wire = on_the_wire(pair, frames)
        if envelope == "tail":
            assert wire[:-1] == frames[:-1]
            assert wire[-1].startswith(frames[-1]) and len(wire[-1]) == len(frames[-1]) + pair.trailer
        else:
            assert wire[:-1] == frames and len(wire[-1]) == pair.trailer
        pair.passed_on.send_multipart(wire)
        assert pair.consumer.recv_multipart() == frames
    pair.second.wait_for(lambda: len(pair.second.frames("pass")) == len(MESSAGES), "lines")
    assert {line["sig"]["state"] for line in pair.second.frames()} == {"ok"}


def test_a_consumer_that_knows_nothing_of_signatures_loads_it(pair, envelope):
    for frames in MESSAGES:
        wire = on_the_wire(pair, frames)
        assert [pickle.loads(frame) for frame in wire[: len(frames)]] == [pickle.loads(frame) for frame in frames]


def expected_reasons(into_trailer, suite):
    """What a flipped bit must be called, by its place in the trailer (negative: before it)."""
    if into_trailer < 0:
        return {"sig.bad"}
    if suite == "ed25519-batch" and into_trailer in (4, 104, 105):  # where the end is looked for
        return {"sig.missing", "sig.wrong_suite", "sig.format"}
    for end, reasons in (
        (4, {"sig.missing", "sig.format"}),
        (5, {"sig.wrong_suite", "sig.format"}),
        (6, {"sig.format"}),
        (8, {"sig.frames"}),
        (16, {"sig.unknown_key"}),
    ):
        if into_trailer < end:
            return reasons
    return {"sig.bad"}


def test_one_flipped_bit_is_refused_wherever_it_is(pair, suite):
    wire = on_the_wire(pair, MESSAGES[1])
    total = sum(map(len, wire))
    places = sorted({0, 1, *range(0, total, 7), *range(total - pair.trailer, total)})
    for place in places:
        frames, at = [bytearray(frame) for frame in wire], place
        for frame in frames:
            if at < len(frame):
                frame[at] ^= 1 << place % 8
                break
            at -= len(frame)
        pair.passed_on.send_multipart(frames)
    pair.passed_on.send_multipart(wire)
    assert pair.consumer.recv_multipart() == MESSAGES[1]
    reasons = refusals(pair, len(places))
    assert len(reasons) == len(places)
    for place, reason in zip(places, reasons):
        allowed = expected_reasons(place - (total - pair.trailer), suite)
        assert reason in allowed, f"byte {place} of {total}: {reason}, not one of {allowed}"


def sign_by_hand(tmp_path, keys, key, name):
    path = tmp_path / f"signed-{key}-{name}"
    path.write_bytes(MESSAGES[0][0])
    run("sign", "--keys", keys, "--key", key, "--channel", name, "--tail", path)
    return path.read_bytes()


def test_missing_foreign_and_misplaced_signatures_have_their_own_names(pair, tmp_path, suite, envelope):
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    stranger, _ = make_keys(strangers, suite, name="stranger")
    payload = MESSAGES[0][0]

    def enveloped(signed):
        return [signed] if envelope == "tail" else [payload, signed[len(payload) :]]

    pair.passed_on.send(payload)
    pair.passed_on.send_multipart(enveloped(sign_by_hand(tmp_path, stranger, "stranger", "jobs")))
    pair.passed_on.send_multipart(enveloped(sign_by_hand(tmp_path, pair.ours, "alpha", "other")))
    pair.passed_on.send_multipart(enveloped(sign_by_hand(tmp_path, pair.ours, "alpha", "jobs")))
    assert pair.consumer.recv() == payload
    assert refusals(pair, 3) == ["sig.missing", "sig.unknown_key", "sig.channel"]
