# SPDX-License-Identifier: Apache-2.0
"""Programs that sign in their own way, unmodified, over PUSH and PULL, with the wall on either side of them.

For each: the wall verifies what the sender signed and hands it to a receiver that knows of no tags, it signs for
the receiver what a plain sender sent, and it stands between both. The bytes are those that the programs are known
to send; tests/unit/sign/test_foreign.c has the same in C.
"""

import hashlib
import hmac
import os
import pickle
import signal
import subprocess
import zlib

import pytest
import zmq
from signed import reload
from wall import BINARY, HOSTILE, ROOT, Wall, channel, tcp

KEY = bytes(range(32))
NEXT_KEY = bytes(range(100, 132))
DELIMITER = b"<IDS|MSG>"
BOMB = zlib.compress(bytes(100_000_000))
MESSAGES = [{"id": 7, "prompt": "hello", "tokens": [1, 2, 3]}, list(range(20_000)), None]
JUPYTER_FRAMES = "opaque, opaque, opaque, opaque, pickle*"


def make_keys(folder, **keys):
    """A key folder of bare keys, 64 digits each."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, key in keys.items():
        path = folder / f"{name}.hex"
        path.touch(mode=0o600)
        path.write_text(key.hex() + "\n")
    return folder


def sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


# ---- TensorRT-LLM: executor/ipc.py


class TrtQueue:
    """Both ends of its queues: the tag is the last 32 bytes of the one frame, and behind it nothing is checked."""

    def __init__(self, socket, key=KEY):
        self.socket, self.key = socket, key

    def put(self, obj):
        data = pickle.dumps(obj)
        self.socket.send(data + sha256(self.key, data))

    def get(self):
        signed = self.socket.recv()
        data, tag = signed[:-32], signed[-32:]
        if not hmac.compare_digest(tag, sha256(self.key, data)):
            raise RuntimeError("HMAC verification failed")
        return pickle.loads(data)


class PlainQueue(TrtQueue):
    """The same without a key."""

    def put(self, obj):
        self.socket.send_pyobj(obj)

    def get(self):
        return self.socket.recv_pyobj()


# ---- the documentation of pyzmq: howto/serialization, examples/serialization


class DocQueue(TrtQueue):
    def put(self, obj):
        packed = zlib.compress(pickle.dumps(obj, 5))
        self.socket.send_multipart([sha256(self.key, packed), packed])

    def get(self):
        tag = self.socket.recv()
        assert self.socket.getsockopt(zmq.RCVMORE)
        packed = self.socket.recv()
        if not hmac.compare_digest(tag, sha256(self.key, packed)):
            raise RuntimeError("bad tag")
        return pickle.loads(zlib.decompress(packed))


class PlainDocQueue(TrtQueue):
    def put(self, obj):
        self.socket.send(zlib.compress(pickle.dumps(obj, 5)))

    def get(self):
        packed = self.socket.recv()
        assert not self.socket.getsockopt(zmq.RCVMORE)
        return pickle.loads(zlib.decompress(packed))


# ---- the home-made form with the tag in front


class PrefixQueue(TrtQueue):
    def put(self, obj):
        data = pickle.dumps(obj)
        self.socket.send(sha256(self.key, data) + data)

    def get(self):
        signed = self.socket.recv()
        if not hmac.compare_digest(signed[:32], sha256(self.key, signed[32:])):
            raise RuntimeError("bad tag")
        return pickle.loads(signed[32:])


# ---- Jupyter: jupyter_client/session.py


class JupyterQueue(TrtQueue):
    """The key is the text of its file, and is not decoded; the pickle is in a buffer."""

    def sign(self, parts):
        return hmac.new(self.key.hex().encode(), b"".join(parts), hashlib.sha256).hexdigest().encode()

    def message(self, buffer):
        parts = [b'{"msg_id":"m1","msg_type":"apply_request"}', b"{}", b"{}", b'{"n":1}']
        return [b"client-1", DELIMITER, self.sign(parts), *parts, buffer]

    def put(self, obj):
        self.socket.send_multipart(self.message(pickle.dumps(obj)))

    def get(self):
        frames = self.socket.recv_multipart()
        at = frames.index(DELIMITER)
        if not hmac.compare_digest(frames[at + 1], self.sign(frames[at + 2 : at + 6])):
            raise ValueError("Invalid Signature")
        return pickle.loads(frames[at + 6])


class PlainJupyterQueue(JupyterQueue):
    """An empty key: an empty signature, and nothing is checked."""

    def sign(self, parts):
        return b""

    def get(self):
        frames = self.socket.recv_multipart()
        assert frames[frames.index(DELIMITER) + 1] == b""
        return pickle.loads(frames[-1])


LAYOUTS = {
    "suffix": ("pickle", TrtQueue, PlainQueue),
    "detached": ("zlib(pickle)", DocQueue, PlainDocQueue),
    "prefix": ("pickle", PrefixQueue, PlainQueue),
    "jupyter": (JUPYTER_FRAMES, JupyterQueue, PlainJupyterQueue),
}


NAMES = {"suffix": "TensorRT-LLM", "detached": "pyzmq's documentation", "prefix": "tag in front", "jupyter": "Jupyter"}

# {"id": 7, "prompt": "hello", "tokens": [1, 2, 3]} at protocol 4, and at protocol 5 by one build of zlib.
P4 = bytes.fromhex("80049530000000000000007d94288c026964944b078c0670726f6d7074948c0568656c6c6f948c06746f6b656e73945d94"
                   "284b014b024b0365752e")
Z = bytes.fromhex("789c6b609d6ac00001b553347a983253a678b3f7b01514e5e716944ce961cd48cdc9c99fd2c356929f9d9a573c25768a8637"
                  "a3379337736aa91e0006f91288")
P4_TAG = bytes.fromhex("c75ca2445b3bb2e6585e6c6cd18dd876b2821be009d46096e634b78f1a071818")
Z_TAG = bytes.fromhex("1710077676e74fdec2562f8c28cd6281847c5b0f044c981e08b336cdbf0d7574")
PARTS = [b'{"msg_id":"m1","msg_type":"apply_request"}', b"{}", b"{}", b"{}"]

# By layout: what is sent without a key, and with KEY.
KNOWN = {
    "suffix": ([P4], [P4 + P4_TAG]),
    "detached": ([Z], [Z_TAG, Z]),
    "prefix": ([P4], [P4_TAG + P4]),
    "jupyter": ([DELIMITER, b"", *PARTS, P4],
                [DELIMITER, b"f2bc85497e5d72a0d4fa09c3166004e9f8ea02f594f53d6ae2a8cd144f0deadd", *PARTS, P4]),
}


@pytest.fixture(params=LAYOUTS, ids=NAMES.get)
def layout(request):
    return request.param


@pytest.fixture
def between(tmp_path, sockets):
    """A wall with these settings, and the sockets of a sender and a receiver beside it."""
    walls = []

    def start(layout, keys=None, **settings):
        source, target = tcp(), tcp()
        folder = tmp_path / f"wall{len(walls)}"
        wall = Wall(
            folder,
            channel(
                "jobs",
                in_bind=[source],
                out_bind=[target],
                envelope=layout,
                **{"frames": LAYOUTS[layout][0], **settings},
            ),
            keys=make_keys(tmp_path / f"keys{len(walls)}", **(keys or {"k": KEY})),
        )
        walls.append(wall.start())
        return wall, sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])

    yield start
    for wall in walls:
        wall.__exit__(None)


def passes(sender, receiver):
    for obj in MESSAGES:
        sender.put(obj)
        assert receiver.get() == obj


def reasons(wall, count):
    wall.wait_for(lambda: len(wall.frames("quarantine")) >= count, "refusals")
    return [line["reason"] for line in wall.frames("quarantine")]


def test_the_known_bytes_are_what_the_programs_here_sign():
    assert sha256(KEY, P4) == P4_TAG and sha256(KEY, Z) == Z_TAG
    assert hashlib.sha256(P4 + P4_TAG).hexdigest() == "1cff455cdfbb8cab9cc7b8bf43ab3293f7c1f43a6da85d27444ec0a54050fce5"
    assert sha256(b"k" * 100, P4).hex() == "86529ed0a00271b2d9396ebcb6474fb95300bdd61e711c541362908c4c6683ba"
    assert JupyterQueue(None).sign(PARTS) == KNOWN["jupyter"][1][1]
    text = b"7e99e423-c437d4daf7cf23ee84cae803"  # a key of its own making, which jupyter_client signed with
    known = "bba07a7bb00a675f06c7f6f57da95e266f86a39d80fca9c3b34c41bdec255db1"
    for parts in (PARTS, [PARTS[0] + b"{}", b"", b"{}", b"{}"]):  # no length is signed
        assert hmac.new(text, b"".join(parts), hashlib.sha256).hexdigest() == known


def test_the_wall_takes_the_known_bytes_and_makes_them(between, layout):
    plain, signed = KNOWN[layout]
    _, push, pull = between(layout, verify="required")
    push.send_multipart(signed)
    assert pull.recv_multipart() == plain
    _, push, pull = between(layout, sign="k")
    push.send_multipart(plain)
    assert pull.recv_multipart() == signed


def test_a_signing_sender_and_a_signing_receiver_with_the_tag_left_on(between, layout):
    _, signing, _ = LAYOUTS[layout]
    wall, push, pull = between(layout, verify="required", strip="no")
    passes(signing(push), signing(pull))
    wall.wait_for(lambda: len(wall.frames("pass")) == len(MESSAGES), "lines")
    for line in wall.frames():
        assert line["sig"]["state"] == "ok_undated" and "seq" not in line["sig"]


def test_a_signing_sender_and_a_plain_receiver(between, layout):
    _, signing, plain = LAYOUTS[layout]
    _, push, pull = between(layout, verify="required")
    passes(signing(push), plain(pull))


def test_a_plain_sender_and_a_signing_receiver(between, layout):
    _, signing, plain = LAYOUTS[layout]
    _, push, pull = between(layout, sign="k")
    passes(plain(push), signing(pull))


def test_a_wall_that_verifies_one_key_and_signs_with_another(between, layout):
    _, signing, _ = LAYOUTS[layout]
    _, push, pull = between(layout, keys={"k": KEY, "next": NEXT_KEY}, verify="required", sign="next")
    passes(signing(push), signing(pull, NEXT_KEY))


def test_two_walls_between_plain_programs(between, layout):
    _, _, plain = LAYOUTS[layout]
    first, push, tapped = between(layout, sign="k")
    second, onward, pull = between(layout, verify="required")
    for obj in MESSAGES:
        plain(push).put(obj)
        onward.send_multipart(tapped.recv_multipart())
        assert plain(pull).get() == obj


def test_senders_with_the_old_and_the_new_key_both_pass(between, layout):
    _, signing, plain = LAYOUTS[layout]
    wall, push, pull = between(layout, keys={"old": KEY, "new": NEXT_KEY}, verify="required")
    passes(signing(push), plain(pull))
    passes(signing(push, NEXT_KEY), plain(pull))
    signing(push, bytes(32)).put("a stranger's")
    assert reasons(wall, 1) == ["sig.bad"]
    wall.wait_for(lambda: len(wall.frames("pass")) == 2 * len(MESSAGES), "lines")
    assert len({line["sig"]["kid"] for line in wall.frames("pass")}) == 2


def test_what_is_signed_is_scanned_all_the_same(between, layout):
    _, signing, _ = LAYOUTS[layout]
    wall, push, pull = between(layout, verify="required", strip="no")

    class Attack:
        def __reduce__(self):
            return __import__("os").system, ("true",)

    signing(push).put(Attack())
    signing(push).put("after")
    assert signing(pull).get() == "after"
    assert reasons(wall, 1) == ["import.denied"]


def test_a_changed_message_is_refused_and_not_looked_into(between):
    wall, push, pull = between("suffix", verify="required")
    data = HOSTILE["reduce"] + sha256(KEY, HOSTILE["reduce"])
    for place in (0, len(data) - 33, len(data) - 32, len(data) - 1):
        push.send(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    push.send(b"")
    push.send(b"too short")
    push.send(pickle.dumps(b"unsigned, and long enough for a tag"))
    TrtQueue(push).put("after")
    assert pull.recv_pyobj() == "after"
    assert reasons(wall, 7) == 4 * ["sig.bad"] + ["sig.missing", "sig.format", "sig.bad"]
    assert all("pkl" not in line for line in wall.frames("quarantine"))


def test_an_unsigned_bomb_is_not_inflated(between):
    wall, push, pull = between("detached", verify="required")
    push.send_multipart([bytes(32), BOMB])
    push.send_multipart([sha256(KEY, BOMB)[:31], BOMB])
    push.send(BOMB)
    push.send_multipart([sha256(KEY, BOMB), BOMB])
    DocQueue(push).put("after")
    assert PlainDocQueue(pull).get() == "after"
    found = reasons(wall, 4)
    assert found[:3] == ["sig.bad", "sig.format", "sig.missing"] and found[3].startswith("limit.")


def test_a_hostile_pickle_in_an_unsigned_jupyter_buffer_is_found(between):
    wall, push, pull = between("jupyter", verify="required", strip="no")
    frames = JupyterQueue(push).message(pickle.dumps("benign"))
    for hostile in HOSTILE.values():
        push.send_multipart([*frames[:-1], hostile])
        push.send_multipart([*frames, hostile])
    push.send_multipart(frames)
    assert JupyterQueue(pull).get() == "benign"
    assert set(reasons(wall, 2 * len(HOSTILE))) <= {"import.denied", "pickle.truncated", "pickle.no_stop"}
    assert {line["sig"]["state"] for line in wall.frames()} == {"ok_undated"}


def check_config(folder, keys, **settings):
    wall = Wall(folder, channel("jobs", in_bind=[tcp()], out_bind=[tcp()], **settings), keys=keys)
    done = subprocess.run(
        [BINARY, "check-config", "--config", str(wall.config)],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PICKLEWALL_POLICIES": str(ROOT / "config/policies")},
    )
    return done.returncode, done.stderr


def test_keys_that_cannot_serve_stop_the_start(tmp_path):
    good = make_keys(tmp_path / "good", k=KEY)
    empty = make_keys(tmp_path / "empty", k=b"")
    many = make_keys(tmp_path / "many", **{f"k{n}": bytes([n + 1]) * 32 for n in range(5)})
    required = {"envelope": "suffix", "verify": "required"}
    for keys, settings, words in (
        (empty, required, "k.hex"),
        (many, required, "more than 4 hmac-sha256 keys"),
        (good, {**required, "verify": "optional"}, "write required or off"),
        (good, {"envelope": "suffix", "sign": "other"}, "other"),
        (good, {"envelope": "appended"}, "envelope"),
    ):
        code, said = check_config(tmp_path / "wall", keys, **settings)
        assert code == 78 and words in said, said
    assert check_config(tmp_path / "wall", good, **required) == (0, "")


def test_keys_change_while_messages_flow(between, tmp_path):
    wall, push, pull = between("suffix", keys={"old": KEY}, verify="required")
    folder = tmp_path / "keys0"

    passes(TrtQueue(push), PlainQueue(pull))
    make_keys(folder, new=NEXT_KEY)
    reload(wall)
    passes(TrtQueue(push), PlainQueue(pull))
    passes(TrtQueue(push, NEXT_KEY), PlainQueue(pull))
    (folder / "old.hex").unlink()
    reload(wall)
    TrtQueue(push).put("too late")
    passes(TrtQueue(push, NEXT_KEY), PlainQueue(pull))
    assert reasons(wall, 1) == ["sig.bad"]
    make_keys(folder, **{f"more{n}": bytes([n + 1]) * 32 for n in range(4)})
    wall.signal(signal.SIGHUP)
    wall.wait_for(lambda: "more than 4 hmac-sha256 keys" in wall.words.read_text(), "a refusal")
    passes(TrtQueue(push, NEXT_KEY), PlainQueue(pull))
