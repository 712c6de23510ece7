# SPDX-License-Identifier: Apache-2.0
"""The client module: beside the C library, between walls, and on every Python there is."""

import ctypes
import glob
import json
import os
import pathlib
import pickle
import random
import re
import struct
import subprocess
import sys
import time

import pytest
import zmq
from wall import BINARY, ROOT, Wall, channel, tcp

MODULE = ROOT / "common/sign/python"
sys.path.insert(0, str(MODULE))
import picklewall_sign as client  # noqa: E402

PEER = pathlib.Path(BINARY).parent / "tests/unit/sign/sign_peer"
SUITES = ("hmac-sha256", "ed25519", "blake2b", "ed25519-batch")
PYTHONS = ["/usr/bin/python3", *sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3")))]
JOB = {"job": 7, "text": "x" * 300}


def run(*words, stdin=b"", code=0):
    done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr.decode()
    return done.stdout


@pytest.fixture(params=SUITES)
def suite(request):
    return request.param


@pytest.fixture
def keys(tmp_path, suite):
    """A folder with one key, `alpha`, that signs."""
    run(BINARY, "key", "new", "--suite", suite, "--id", "alpha", "--out", tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def verifying(tmp_path, keys, suite):
    """The keys of the other end: the public half where there is one."""
    if not suite.startswith("ed25519"):
        return keys
    run(BINARY, "key", "public", "--out", tmp_path / "public", keys / "alpha.pwkey")
    return tmp_path / "public"


# Key files.

def test_a_key_is_the_same_here_and_there(keys, verifying, suite):
    for folder in (keys, verifying):
        row = json.loads(run(BINARY, "key", "list", "--json", folder))
        key, = client.load_keys(folder)
        assert (key.id.hex(), key.name, key.suite, key.role) == (row["key_id"], "alpha", suite, row["role"])
        assert repr(key) == f"<Key alpha {suite} {row['key_id']}>"
    assert client.load_keys(keys)[0].role == "sign"


def changed(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


def bend(text):
    """One letter of the key, changed."""
    at = text.index("PWSK1") + 20
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:]


BROKEN = {
    "empty": lambda text: "",
    "too long": lambda text: text + "#" * 4096,
    "no version": lambda text: changed(text, "picklewall-key: 1\n", ""),
    "a later version": lambda text: changed(text, "picklewall-key: 1", "picklewall-key: 2"),
    "the version last": lambda text: changed(text, "picklewall-key: 1\n", "") + "picklewall-key: 1\n",
    "no suite": lambda text: re.sub("suite: .*\n", "", text),
    "no name": lambda text: changed(text, "id: alpha\n", ""),
    "no role": lambda text: changed(text, "role: sign\n", ""),
    "no key": lambda text: re.sub("secret: .*\n", "", text),
    "an unknown suite": lambda text: re.sub("suite: .*", "suite: rsa", text),
    "another suite": lambda text: re.sub("suite: .*", "suite: " + ("blake2b" if "hmac-" in text else "hmac-sha256"),
                                         text),
    "an unknown role": lambda text: changed(text, "role: sign", "role: both"),
    "a name with a slash": lambda text: changed(text, "id: alpha", "id: al/pha"),
    "a name with a dot first": lambda text: changed(text, "id: alpha", "id: .alpha"),
    "a pattern with a control character": lambda text: re.sub("channel:.*", "channel: a\x01", text),
    "an unknown line": lambda text: text + "colour: blue\n",
    "a line twice": lambda text: text + "role: sign\n",
    "a line without colon": lambda text: text + "role\n",
    "a carriage return": lambda text: changed(text, "role: sign", "role: sign\r"),
    "two kinds of key": lambda text: text + "public: PWPK1\n",
    "a letter changed": bend,
    "a letter missing": lambda text: changed(text, "PWSK1", "PWSK1"[:-1]),
    "a key cut": lambda text: text.rstrip("\n")[:-1] + "\n",
    "standard base64": lambda text: re.sub("(PWSK1.{47}).", r"\1+", text),
    "an unknown status": lambda text: re.sub("status: .*\n", "", text) + "status: new\n",
    "a time without zone": lambda text: text + "not_before: 2027-01-31T12:00:00\n",
    "a time with fractions": lambda text: text + "not_before: 2027-01-31T12:00:00.5Z\n",
    "a day that no calendar has": lambda text: text + "not_after: 2027-02-30T12:00:00Z\n",
    "a year too late": lambda text: text + "not_after: 2554-01-01T00:00:00Z\n",
    "a year too early": lambda text: text + "not_before: 1969-12-31T23:59:59Z\n",
    "the end before the beginning": lambda text:
        text + "not_before: 2027-01-31T12:00:00Z\nnot_after: 2027-01-31T12:00:00Z\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_key_file_is_refused_here_and_there(keys, name):
    path = keys / "alpha.pwkey"
    text = path.read_text()
    secret = re.search("PWSK1(.*)", text).group(1)
    path.write_text(BROKEN[name](text))
    run(BINARY, "key", "list", keys, code=78)
    with pytest.raises(client.KeyFileError) as refusal:
        client.Key.load(path)
    assert re.match(re.escape(str(path)) + r":\d+: \w", str(refusal.value))
    assert secret[5:30] not in str(refusal.value)


def test_a_key_of_zeros_is_refused():
    for suite in SUITES:
        with pytest.raises(ValueError, match="zero"):
            client.Key(suite, bytes(32))


@pytest.mark.parametrize("mode, good", [(0o600, True), (0o400, True), (0o644, False), (0o622, False), (0o602, False)])
def test_a_key_file_must_be_private(keys, mode, good):
    path = keys / "alpha.pwkey"
    path.chmod(mode)
    run(BINARY, "key", "list", keys, code=0 if good else 78)
    if good:
        assert client.Key.load(path).name == "alpha"
        return
    with pytest.raises(client.KeyFileError, match="run chmod 600"):
        client.Key.load(path)


@pytest.mark.parametrize("suite", ["ed25519", "ed25519-batch"])
def test_a_public_half_may_be_read_by_all_and_cannot_sign(tmp_path, suite):
    run(BINARY, "key", "new", "--suite", suite, "--id", "alpha", "--out", tmp_path / "keys")
    run(BINARY, "key", "public", "--out", tmp_path / "public", tmp_path / "keys/alpha.pwkey")
    (tmp_path / "public/alpha.pwkey").chmod(0o644)
    key = client.Key.load(tmp_path / "public/alpha.pwkey")
    with pytest.raises(ValueError, match="only verifies"):
        client.Signer(key, "jobs")


def test_what_is_no_file_is_no_key(tmp_path):
    os.mkfifo(tmp_path / "fifo.pwkey")
    with pytest.raises(client.KeyFileError, match="not a file"):
        client.Key.load(tmp_path / "fifo.pwkey")
    with pytest.raises(FileNotFoundError):
        client.Key.load(tmp_path / "none.pwkey")


def with_lines(keys, *lines):
    """The key with these lines, instead of those of their names."""
    path = keys / "alpha.pwkey"
    names = tuple(line.partition(":")[0] + ":" for line in lines)
    kept = [line for line in path.read_text().splitlines() if not line.startswith(names)]
    path.write_text("\n".join([*kept, *lines]) + "\n")
    return client.Key.load(path)


@pytest.mark.parametrize("lines, code, signing", [
    (["status: active"], None, None),
    (["status: verify_only"], None, "sig.retired"),
    (["status: retired"], "sig.retired", "sig.retired"),
    (["status: revoked"], "sig.revoked", "sig.revoked"),
    (["not_before: 2020-01-31T12:00:00Z", "not_after: 2550-01-01T00:00:00Z"], None, None),
    (["not_before: 2550-01-01T00:00:00Z"], "sig.not_yet", "sig.not_yet"),
    (["not_after: 2020-01-31T12:00:00Z"], "sig.key_expired", "sig.key_expired"),
    (["status: retired", "not_after: 2020-01-31T12:00:00Z"], "sig.retired", "sig.retired"),
])
def test_a_key_is_used_only_as_its_file_allows(keys, lines, code, signing):
    signer = client.Signer(client.Key.load(keys / "alpha.pwkey"), "jobs")
    wire = signer.sign_tail([b"N."])
    key = with_lines(keys, *lines)
    assert refusal(client.Verifier([key], "jobs").verify, wire) == code
    assert refusal(client.Signer, key, "jobs") == signing


def refusal(function, *words):
    """The code that it refuses with; None when it does not."""
    try:
        function(*words)
    except client.SignatureError as error:
        assert str(error).startswith(error.code + ": ")
        return error.code
    return None


def test_a_key_ends_while_it_is_in_use(keys):
    key = client.Key.load(keys / "alpha.pwkey")
    signer, verifier = client.Signer(key, "jobs"), client.Verifier([key], "jobs")
    key.not_after = time.time_ns() + 10**9
    wire = signer.sign_tail([b"N."])
    verifier.verify(wire)
    key.not_after = time.time_ns()
    assert refusal(signer.sign, [b"N."]) == refusal(verifier.verify, wire) == "sig.key_expired"


def test_the_list_of_a_folder_revokes(keys):
    key, = client.load_keys(keys)
    (keys / "revoked").write_text(f"# gone\nversion: 3\n\n{key.id.hex().upper()}  # stolen\n")
    assert client.load_keys(keys)[0].status == "revoked"
    (keys / "revoked").write_text(f"version: 3\n{'0' * 16}\n")
    assert client.load_keys(keys)[0].status == "active"
    for broken in ("", key.id.hex(), "version: 0\n", "version: 1\nabc\n", "version: 1\n" + "#" * 65536):
        (keys / "revoked").write_text(broken)
        with pytest.raises(client.KeyFileError):
            client.load_keys(keys)
    (keys / "revoked").write_text("version: 1\n")
    (keys / "revoked").chmod(0o666)
    with pytest.raises(client.KeyFileError, match="others may write"):
        client.load_keys(keys)


def test_one_key_under_two_names_is_refused(keys):
    one = client.Key.load(keys / "alpha.pwkey")
    two = client.Key.parse((keys / "alpha.pwkey").read_bytes().replace(b"id: alpha", b"id: beta"))
    other = client.Key("blake2b", b"other key, of 32 bytes, not more", "alpha")
    for pair in ([one, two], [one, other], [one, one]):
        with pytest.raises(ValueError, match="keep one of them"):
            client.Verifier(pair, "jobs")


def test_patterns_mean_what_they_mean_in_c():
    fnmatch = ctypes.CDLL(None).fnmatch
    chance = random.Random(4)
    taken = refused = 0
    for _ in range(20000):
        pattern = "".join(chance.choices([*"ab*?[]!^-\\.", "[ab]", "[!a-b]", "[^-]"], k=chance.randrange(1, 6)))
        name = "".join(chance.choices("abc.-[]!^\\", k=chance.randrange(1, 5)))
        try:
            key = client.Key("blake2b", b"k" * 32, channel=pattern)
        except ValueError:
            refused += 1
            continue
        assert key.takes(name) == (fnmatch(pattern.encode(), name.encode(), 0) == 0), (pattern, name)
        taken += key.takes(name)
    assert taken > 500 and refused < 15000


# Beside the C library.

def packed(frames):
    return struct.pack(">H", len(frames)) + b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)


def with_trailer(frames, trailer):
    return packed(frames) + struct.pack(">H", len(trailer)) + trailer


def random_messages(chance, count):
    sizes = [0, 1, 2, 63, 64, 65, 127, 128, 129, 255, 256, 1000, 65536]
    return [[chance.randbytes(chance.choice(sizes)) for _ in range(chance.choice([1, 1, 2, 3, 7, 40]))]
            for _ in range(count)]


@pytest.mark.parametrize("how", ["sign", "batch"])
def test_python_takes_what_c_signs(keys, verifying, how):
    messages = random_messages(random.Random(1), 60) + [[b""] * 1024] + [[b"small"]] * 300
    answer = run(PEER, how, keys, "alpha", "jobs", stdin=b"".join(map(packed, messages)))
    verifier = client.Verifier(client.load_keys(verifying), "jobs")
    for seq, frames in enumerate(messages, 1):
        size, = struct.unpack(">H", answer[:2])
        trailer, answer = answer[2:2 + size], answer[2 + size:]
        assert verifier.check(frames, trailer).seq == seq
        assert refusal(verifier.check, frames, trailer) == "sig.replay"
    assert answer == b""


def mutations(chance, frames, trailer):
    """The message itself, and changes of it, each as (frames, trailer)."""
    yield frames, trailer
    for _ in range(4):
        bit = chance.randrange(8 * len(trailer))
        yield frames, bytes(byte ^ (128 >> bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(trailer))
    yield frames, trailer[:chance.randrange(len(trailer))]
    yield frames, trailer + b"\0" * chance.choice([1, 32])
    yield frames[1:], trailer
    yield [*frames, b""], trailer
    yield [frames[0] + b"\0", *frames[1:]], trailer
    yield [b"", *frames[:-1]], trailer
    shuffled = chance.sample(frames, len(frames))
    yield shuffled, trailer


def test_c_says_what_python_says(keys, verifying):
    chance = random.Random(2)
    signer = client.Signer(client.Key.load(keys / "alpha.pwkey"), "jobs")
    cases = [case for frames in random_messages(chance, 40)
             for case in mutations(chance, frames, signer.sign(frames))]
    messages = random_messages(chance, 33)
    cases += [case for frames, trailer in zip(messages, signer.sign_batch(messages))
              for case in mutations(chance, frames, trailer)]
    answers = run(PEER, "verify", verifying, "jobs", stdin=b"".join(with_trailer(*case) for case in cases))
    answers = answers.decode().split()
    verifier = client.Verifier(client.load_keys(verifying), "jobs", replay=False)
    assert answers == [refusal(verifier.check, *case) or "ok" for case in cases]
    assert answers.count("ok") >= 73 and len(set(answers)) >= 5


def test_files_go_both_ways(keys, verifying, tmp_path):
    path = tmp_path / "message.pkl"
    payload = pickle.dumps(JOB)
    key, other_end = client.Key.load(keys / "alpha.pwkey"), client.load_keys(verifying)
    signer, verifier = client.Signer(key, "jobs"), client.Verifier(other_end, "jobs")
    path.write_bytes(payload)
    run(BINARY, "sign", "--keys", keys, "--key", "alpha", "--channel", "jobs", "--detached", path)
    assert verifier.check([payload], pathlib.Path(f"{path}.pws").read_bytes()).key.name == "alpha"
    run(BINARY, "sign", "--keys", keys, "--key", "alpha", "--channel", "jobs", "--tail", path)
    assert verifier.verify([path.read_bytes()]).frames == [payload]
    path.write_bytes(signer.sign_tail([payload])[0])
    run(BINARY, "verify", "--keys", verifying, "--channel", "jobs", "--tail", path)
    run(BINARY, "verify", "--keys", verifying, "--channel", "mail", "--tail", path, code=1)
    path.write_bytes(payload)
    pathlib.Path(f"{path}.pws").write_bytes(signer.sign([payload]))
    run(BINARY, "verify", "--keys", verifying, "--channel", "jobs", path)


# Behind and before a wall.

ENVELOPES = ("tail", "frame")


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_a_signing_producer_a_wall_a_plain_consumer(tmp_path, sockets, keys, verifying, envelope):
    source, target = tcp(), tcp()
    jobs = channel("jobs", in_bind=[source], out_bind=[target], verify="required", envelope=envelope)
    key = client.Key.load(keys / "alpha.pwkey")
    signer = client.Signer(key, "jobs")
    with Wall(tmp_path / "wall", jobs, keys=verifying) as wall:
        producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        producer.send_pyobj("unsigned")
        producer.send_multipart(put(client.Signer(key, "mail"), envelope, [pickle.dumps("of another channel")]))
        for number in range(5):
            if envelope == "tail":
                client.send_pyobj(producer, number, signer)
            else:
                producer.send_multipart(signer.sign_frame([pickle.dumps(number)]))
        frames = [pickle.dumps(5), bytearray(pickle.dumps(JOB)), memoryview(pickle.dumps(None))]
        producer.send_multipart(put(signer, envelope, frames))
        assert [consumer.recv_pyobj() for _ in range(5)] == [0, 1, 2, 3, 4]
        assert consumer.recv_multipart() == [bytes(frame) for frame in frames]
        wall.wait_for(lambda: len(wall.frames()) == 8, "the lines")
        assert [line["reason"] for line in wall.frames("quarantine")] == ["sig.missing", "sig.bad"]
        assert {line["sig"]["state"] for line in wall.frames("pass")} == {"ok"}


def put(signer, envelope, frames):
    return signer.sign_tail(frames) if envelope == "tail" else signer.sign_frame(frames)


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_a_plain_producer_a_wall_a_verifying_consumer(tmp_path, sockets, keys, verifying, envelope):
    source, target = tcp(), tcp()
    jobs = channel("jobs", in_bind=[source], out_bind=[target], sign="alpha", envelope=envelope)
    verifier = client.Verifier(client.load_keys(verifying), "jobs")
    stranger = client.Verifier(client.load_keys(verifying), "mail")
    with Wall(tmp_path / "wall", jobs, keys=keys):
        producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        for number in range(5):
            producer.send_pyobj(number)
        producer.send_multipart([pickle.dumps(5), pickle.dumps(JOB)])
        for number in range(4):
            if envelope == "tail":
                assert client.recv_pyobj(consumer, verifier) == number
            else:
                assert pickle.loads(verifier.verify_frame(consumer.recv_multipart()).frames[0]) == number
        wire = consumer.recv_multipart()
        assert refusal(stranger.verify if envelope == "tail" else stranger.verify_frame, wire) == "sig.bad"
        wire = consumer.recv_multipart(copy=False)
        found = verifier.verify(wire) if envelope == "tail" else verifier.verify_frame(wire)
        assert list(map(pickle.loads, found.frames)) == [5, JOB]
        assert (found.key.name, found.seq) == ("alpha", 6)


def test_two_programs_without_a_wall(sockets, keys, verifying):
    address = tcp()
    key, other_end = client.Key.load(keys / "alpha.pwkey"), client.load_keys(verifying)
    consumer = sockets(zmq.PULL, bind=[address])
    producer = sockets(zmq.PUSH, connect=[address])
    verifier, signer = client.Verifier(other_end, "jobs"), client.Signer(key, "jobs")
    loaded = []

    def loads(data):
        loaded.append(data)
        return pickle.loads(data)

    producer.send_pyobj(JOB)
    with pytest.raises(client.MissingSignature):
        client.recv_pyobj(consumer, verifier, loads=loads)
    client.send_multipart(producer, [b"a", pickle.dumps(JOB)], signer)
    with pytest.raises(client.BadFrames):
        client.recv_pyobj(consumer, verifier, loads=loads)
    assert loaded == []
    client.send_pyobj(producer, JOB, signer, protocol=2)
    assert client.recv_pyobj(consumer, verifier, loads=loads) == JOB
    assert loaded == [pickle.dumps(JOB, 2)]
    client.send_pyobj(producer, JOB, signer)
    assert consumer.recv_pyobj() == JOB  # who knows nothing of signatures reads it too
    client.send_multipart(producer, [b"a", b""], signer)
    assert client.recv_multipart(consumer, verifier) == [b"a", b""]


# What a verifier remembers, and a signer counts.

@pytest.mark.parametrize("steps", [
    [(1, 1, True), (1, 1, False), (1, 2, True), (1, 1, False), (1, 2, False)],
    [(1, 0, False), (1, 1, True)],
    [(1, 9000, True), (1, 872, True), (1, 871, False), (1, 8999, True), (1, 872, False), (1, 9001, True),
     (1, 872, False)],
    [(1, 5, True), (1, 3, True), (1, 4, True), (1, 3, False), (1, 5, False), (1, 6, True)],
    [(1, 1, True), (1, 2**64 - 1, True), (1, 2**64 - 2, True), (1, 2**64 - 1, False), (1, 2, False)],
    [(5, 1, True), (4, 9, False), (6, 1, True), (5, 2, True), (5, 2, False), (5, 1, False), (4, 10, False)],
], ids=["once", "zero is no number", "the window", "out of order", "the largest", "epochs"])
def test_a_message_is_accepted_once(steps):
    key = client.Key("blake2b", b"k" * 32)
    verifier = client.Verifier([key], "jobs")
    for epoch, seq, good in steps:
        trailer = client.Signer(key, "jobs", epoch=epoch, seq=seq).sign([b"N."])
        assert refusal(verifier.check, [b"N."], trailer) == (None if good else "sig.replay"), (epoch, seq)


def test_the_window_is_that_of_a_plain_set():
    chance, key = random.Random(3), b"8 bytes."
    memory, seen, top = client._Memory(), set(), 0
    for _ in range(20000):
        step = chance.choice([1, 1, 1, 2, -1, -3, -100, -8127, -8128, -8129, chance.randrange(-9000, 300)])
        seq = max(1, top + step)
        good = seq not in seen and top - seq <= 8128
        assert (refusal(memory.take, key, 1, seq) is None) == good, (seq, top)
        top = max(top, seq)
        seen.add(seq)


def test_forgeries_do_not_push_anything_out():
    key = client.Key("hmac-sha256", b"k" * 32)
    signer, verifier = client.Signer(key, "jobs"), client.Verifier([key], "jobs")
    wire = signer.sign_tail([b"N."])
    verifier.verify(wire)
    good = wire[0]
    for number in range(70000):
        forged = good[:2 + 16] + struct.pack(">QQ", number + 2**60, 2**63 + number) + good[2 + 32:]
        assert refusal(verifier.verify, [forged]) == "sig.bad"
    assert refusal(verifier.verify, wire) == "sig.replay"
    verifier.verify(signer.sign_tail([b"N."]))


@pytest.mark.parametrize("seconds, code", [
    (0, None), (-290, None), (-310, "sig.expired"), (50, None), (70, "sig.future"), (-3600, "sig.expired"),
    (3600, "sig.future"),
])
def test_a_signature_has_an_age(seconds, code):
    key = client.Key("blake2b", b"k" * 32)
    signer, verifier = client.Signer(key, "jobs"), client.Verifier([key], "jobs")
    trailer = signer.sign([b"N."], time.time_ns() + seconds * 10**9)
    assert refusal(verifier.check, [b"N."], trailer) == code
    assert refusal(client.Verifier([key], "jobs", max_age=None, max_future=None).check, [b"N."], trailer) is None
    verifier.check([b"N."], signer.sign([b"N."]))  # a clock that jumped has changed nothing


@pytest.mark.parametrize("ahead_ms, shift_ns, code", [
    (50_000, 0, None), (70_000, 0, "sig.future"), (2**62, 0, "sig.future"), (70_000, -10**12, "sig.future"),
])
def test_an_epoch_to_come_shuts_nobody_out(ahead_ms, shift_ns, code):
    key = client.Key("blake2b", b"k" * 32)
    verifier = client.Verifier([key], "jobs")
    epoch = time.time_ns() // 10**6 + ahead_ms
    trailer = client.Signer(key, "jobs", epoch=epoch).sign([b"N."], time.time_ns() + shift_ns)
    assert refusal(verifier.check, [b"N."], trailer) == code
    if code is not None:
        verifier.check([b"N."], client.Signer(key, "jobs").sign([b"N."]))


def test_there_is_no_epoch_zero():
    key = client.Key("blake2b", b"k" * 32)
    trailer = client.Signer(key, "jobs", epoch=0).sign([b"N."])
    assert refusal(client.Verifier([key], "jobs").check, [b"N."], trailer) == "sig.replay"


def test_a_batch_is_signed_at_once():
    key = client.Key("ed25519-batch", b"k" * 32)
    signer, verifier = client.Signer(key, "jobs"), client.Verifier([key], "jobs")
    for size in (256, 1, 2):
        trailers = signer.sign_batch([[b"N.", bytes([n])] for n in range(size)])
        assert len({trailer[40:104] for trailer in trailers}) == 1
        for number, trailer in enumerate(trailers):
            assert verifier.check([b"N.", bytes([number])], trailer).key is key
    assert signer.sign_batch([]) == []
    for messages in ([[b"N."]] * 257, [[b"N."], []]):
        with pytest.raises(ValueError):
            signer.sign_batch(messages)
    assert verifier.check([b""], signer.sign([b""])).seq == 260  # what was refused was not counted
    fast = client.Signer(client.Key("blake2b", b"k" * 32), "jobs")
    assert {len(trailer) for trailer in fast.sign_batch([[b"N."]] * 300)} == {72}


def test_roots_are_remembered_of_what_was_accepted(monkeypatch):
    key = client.Key("ed25519-batch", b"k" * 32)
    signer, verifier = client.Signer(key, "jobs"), client.Verifier([key], "jobs")
    verified = []
    original = client._nacl.crypto_sign_open
    monkeypatch.setattr(client._nacl, "crypto_sign_open", lambda *words: verified.append(words) or original(*words))
    long_ago = time.time_ns() - 10**12
    old = [trailer for _ in range(100) for trailer in signer.sign_batch([[b"N."]] * 2, long_ago)]
    first, *others = signer.sign_batch([[b"N."]] * 64)
    verifier.check([b"N."], first)
    assert len(verified) == 1
    for trailer in old:
        assert refusal(verifier.check, [b"N."], trailer) == "sig.expired"
    assert len(verified) == 1 + len(old)
    for trailer in others:
        verifier.check([b"N."], trailer)
    assert len(verified) == 1 + len(old)


def test_a_signer_does_not_survive_a_fork():
    signer = client.Signer(client.Key("blake2b", b"k" * 32), "jobs")
    signer.sign([b""])
    child = os.fork()
    if child == 0:
        try:
            signer.sign([b""])
        except RuntimeError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    signer.sign([b""])


def test_what_cannot_be_signed_is_said_at_once():
    key = client.Key("blake2b", b"k" * 32, channel="jo*")
    for name in ("", "j" * 256, "jo\0", "mail"):
        with pytest.raises(ValueError):
            client.Signer(key, name)
    signer = client.Signer(key, "jobs", seq=1)
    for frames in ([], [b""] * 1025):
        with pytest.raises(ValueError):
            signer.sign(frames)
    verifier = client.Verifier([key], "jobs")
    assert verifier.check([b""], signer.sign([b""])).seq == 1  # what was refused was not counted
    assert refusal(verifier.verify, []) == "sig.frames"
    assert refusal(verifier.verify_frame, []) == refusal(verifier.verify_frame, [b""]) == "sig.missing"
    assert refusal(client.Verifier([key], "mail").check, [b""], signer.sign([b""])) == "sig.channel"


def test_the_carrier_need_not_be_the_last_frame():
    key = client.Key("blake2b", b"k" * 32)
    wire = client.Signer(key, "jobs").sign_tail([b"topic", b"N.", b"buffer"], carrier=1)
    assert [len(frame) for frame in wire] == [5, 74, 6]
    verifier = client.Verifier([key], "jobs")
    assert refusal(verifier.verify, wire) == "sig.missing"
    assert verifier.verify(wire, carrier=1).frames == [b"topic", b"N.", b"buffer"]


# On every Python, with and without PyNaCl.

ALONE = r"""
import json, sys
sys.dont_write_bytecode = True
sys.path[:0] = [sys.argv[1]]
if sys.argv[3] == "without":
    sys.modules["nacl"] = None
import picklewall_sign as client
assert "zmq" not in sys.modules
done = 0
for suite in ("hmac-sha256", "blake2b"):
    with open("%s/%s.json" % (sys.argv[2], suite)) as file:
        vectors = json.load(file)
    keys = {row["name"]: client.Key.parse(row["file"].encode()) for row in vectors["keys"]}
    frame = lambda row: bytes.fromhex(row) if isinstance(row, str) else bytes.fromhex(row["repeat"]) * row["times"]
    for row in vectors["signed"]:
        signer = client.Signer(keys[row["key"]], row["channel"], row["direction"], int(row["epoch"]), int(row["seq"]))
        assert signer.sign(map(frame, row["frames"]), int(row["time"])).hex() == row["trailer"], row["name"]
        done += 1
    for row in vectors["refused"]:
        ring = [keys[name] for name in row["keys"]]
        verifier = client.Verifier(ring, row["channel"], row["direction"], row["siblings"])
        try:
            verifier.check(map(frame, row["frames"]), bytes.fromhex(row["trailer"]))
        except client.SignatureError as error:
            assert error.code == row["reason"], row["name"]
            done += 1
try:
    key = client.Key("ed25519-batch", b"k" * 32)
    verifier = client.Verifier([key], "jobs")
    for trailer in client.Signer(key, "jobs").sign_batch([[b"N."]] * 5):
        verifier.verify([b"N." + trailer])
    print(done, "with")
except ImportError as error:
    assert "python3-nacl" in str(error)
    print(done, "without")
"""


@pytest.mark.parametrize("nacl", ["with", "without"])
@pytest.mark.parametrize("python", PYTHONS)
def test_the_module_runs_alone(python, nacl):
    done, had = run(python, "-c", ALONE, MODULE, ROOT / "tests/data/vectors", nacl).decode().split()
    assert int(done) > 200
    if python == "/usr/bin/python3" or nacl == "without":
        assert had == nacl


def test_the_readme_is_true(tmp_path, sockets):
    source, target = tcp(), tcp()
    text = (MODULE / "README.md").read_text()
    producer, consumer = re.findall(r"```python\n(.*?)```", text, re.S)
    run(BINARY, *re.search(r"`picklewall (key new .*?) keys`", text).group(1).split(), tmp_path / "keys")
    environment = {**os.environ, "PYTHONPATH": str(MODULE)}
    jobs = channel("jobs", in_bind=[source], out_bind=[target], verify="required", strip="no")
    with Wall(tmp_path / "wall", jobs, keys=tmp_path / "keys"):
        listening = subprocess.Popen(["/usr/bin/python3", "-c", consumer.replace("tcp://127.0.0.1:8007", target)],
                                     cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            subprocess.run(["/usr/bin/python3", "-c", producer.replace("tcp://127.0.0.1:8006", source)], cwd=tmp_path,
                           env=environment, check=True, timeout=30)
            assert [listening.stdout.readline() for _ in range(10)] == [f"{{'job': {n}}}\n" for n in range(10)]
        finally:
            listening.kill()
            listening.wait()


def test_every_code_is_a_reason_and_stands_in_the_readme():
    known = set(re.findall(r'"(sig\.\w+)"', (ROOT / "common/base/reason.def").read_text()))
    classes = [client.SignatureError, *client.SignatureError.__subclasses__()]
    assert {each.code for each in classes} == known
    table = dict(re.findall(r"`(\w+)` \| `(sig\.\w+)`", (MODULE / "README.md").read_text()))
    assert table == {each.__name__: each.code for each in classes[1:]}
    assert set(table) <= set(client.__all__)
