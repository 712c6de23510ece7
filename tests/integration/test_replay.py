# SPDX-License-Identifier: Apache-2.0
"""A verifying wall takes a message once, near its time, whatever is sent and whatever happens to the wall.

The sender here signs by itself, so that it can choose epoch, number and time.
"""
import base64
import hashlib
import hmac
import json
import pickle
import signal
import struct
import subprocess
import threading
import time
import types

import pytest
import zmq
from wall import BINARY, ROOT, Wall, channel, tcp

HOUR = 3600 * 10**9
FORGED = 70_000
WINDOW = 8128


class Sender:
    """One start of a sender with an hmac-sha256 key, as common/sign/README.md specifies it."""

    def __init__(self, path, name="jobs", epoch=None):
        lines = dict(line.split(": ", 1) for line in path.read_text().splitlines() if ": " in line and line[0] != "#")
        secret = base64.urlsafe_b64decode(lines["secret"][5:])[:32]
        self.name = struct.pack(">H", len(name)) + name.encode()
        self.key_id = hashlib.blake2b(b"picklewall/keyid/v1\0\1", key=secret, digest_size=32).digest()[:8]
        self.key = hashlib.blake2b(b"picklewall/kdf/v1\0\1\0" + self.name, key=secret, digest_size=32).digest()
        self.epoch = time.time_ns() // 10**6 if epoch is None else epoch
        self.seq = 0

    def sign(self, payload, seq=None, shift=0):
        """The payload with its trailer; `shift` is how wrong the sender's clock is, in ns."""
        self.seq = self.seq + 1 if seq is None else seq
        head = b"PWS1" + struct.pack(
            ">BBH8sQQQ", 1, 0, 1, self.key_id, self.epoch, self.seq, time.time_ns() + shift
        )
        text = b"picklewall/frame-signature/v1\0" + head + self.name + b"\0" + struct.pack(">Q", len(payload)) + payload
        return payload + head + hmac.new(self.key, text, hashlib.sha256).digest()


@pytest.fixture
def key(tmp_path):
    words = ["key", "new", "--suite", "hmac-sha256", "--id", "alpha", "--out", tmp_path / "keys"]
    subprocess.run([BINARY, *map(str, words)], check=True, capture_output=True, timeout=30)
    return tmp_path / "keys/alpha.pwkey"


@pytest.fixture
def start(tmp_path, sockets, key):
    """start(**settings): a wall that verifies, and its two ends."""
    walls = []

    def make(**settings):
        source, target = tcp(), tcp()
        settings = {"verify": "required", "on_violation": "drop", **settings}
        wall = Wall(
            tmp_path / f"wall-{len(walls)}",
            channel("jobs", in_bind=[source], out_bind=[target], **settings),
            keys=key.parent,
        )
        walls.append(wall)
        wall.start()
        return types.SimpleNamespace(
            wall=wall,
            push=sockets(zmq.PUSH, connect=[source], hwm=200_000),
            pull=sockets(zmq.PULL, connect=[target], hwm=200_000),
            sender=Sender(key),
            read=0,
        )

    yield make
    for wall in walls:
        if wall.process.poll() is None:
            wall.process.kill()
            wall.process.wait()


def news(flow):
    """The lines about messages since `flow.read` bytes of the log."""
    with open(flow.wall.log, "rb") as log:
        log.seek(flow.read)
        text = log.read().rpartition(b"\n")[0]
    return [line for line in text.splitlines() if b'"event":"frame"' in line]


def judge(flow, *messages):
    """What becomes of these messages, in their order: a reason each, "" for what passes."""
    for message in messages:
        flow.push.send(message)
    flow.wall.wait_for(lambda: len(news(flow)) >= len(messages), "audit lines", 60)
    lines = [json.loads(line) for line in news(flow)]
    assert len(lines) == len(messages)
    flow.read = flow.wall.log.stat().st_size
    return [line.get("reason", "") for line in lines]


def pickles(count):
    return [pickle.dumps(number) for number in range(count)]


def restart(flow, how):
    if how == "SIGTERM":
        assert flow.wall.stop() == 0
    else:
        flow.wall.process.kill()
        flow.wall.process.wait()
    flow.read = flow.wall.log.stat().st_size
    flow.wall.start()


def test_a_message_passes_once(start):
    flow = start()
    message = flow.sender.sign(pickle.dumps("once"))
    assert judge(flow, message, message, message) == ["", "sig.replay", "sig.replay"]
    assert pickle.loads(flow.pull.recv()) == "once"
    states = [line["sig"]["state"] for line in flow.wall.frames()]
    assert states == ["ok", "replay", "replay"]
    assert judge(flow, flow.sender.sign(pickle.dumps("next"))) == [""]
    assert pickle.loads(flow.pull.recv()) == "next"


@pytest.mark.parametrize("how", ["SIGTERM", "kill -9"])
def test_a_message_passes_once_also_after_a_restart(start, key, how):
    flow = start()
    messages = [flow.sender.sign(payload) for payload in pickles(50)]
    assert judge(flow, *messages) == [""] * 50
    restart(flow, how)
    assert judge(flow, *messages) == ["sig.replay"] * 50
    if how == "SIGTERM":  # nothing new is refused, not even the very next number
        assert judge(flow, flow.sender.sign(pickle.dumps("next"))) == [""]
    assert judge(flow, Sender(key).sign(pickle.dumps("the sender has started again"))) == [""]
    assert judge(flow, *messages) == ["sig.replay"] * 50


def test_a_slow_sender_loses_nothing_to_a_crash_of_the_wall(start):
    flow = start()
    for payload in pickles(3):
        assert judge(flow, flow.sender.sign(payload)) == [""]
        time.sleep(1)  # also longer than a slow disk takes
    restart(flow, "kill -9")
    assert judge(flow, flow.sender.sign(pickle.dumps("next"))) == [""]


class Consumer(threading.Thread):
    """Takes what comes until it is told to stop."""

    def __init__(self, pull):
        super().__init__()
        self.pull, self.received, self.done = pull, [], False

    def run(self):
        while not self.done:
            if self.pull.poll(100):
                self.received.append(self.pull.recv())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.join()


def passed(wall):
    """The numbers that passed, as far as the log of a wall that was killed has whole lines."""
    lines = []
    for text in wall.log.read_bytes().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue  # half written
    return [(line["sig"]["epoch"], line["sig"]["seq"]) for line in lines if line.get("verdict") == "pass"]


def test_kill_9_under_load_lets_no_accepted_message_in_again(start, key):
    flow = start()
    sent = []
    with Consumer(flow.pull) as consumer:
        for _ in range(5):
            before = len(consumer.received)
            sender = Sender(key)  # a new start: what the disk is ahead of the last one does not count
            messages = [sender.sign(pickle.dumps((sender.epoch, number))) for number in range(8000)]
            for message in messages:
                flow.push.send(message)
            sent += messages
            flow.wall.wait_for(lambda: len(consumer.received) > before + 1000, "messages")
            flow.wall.process.kill()
            flow.wall.process.wait()
            flow.wall.start()
        last = pickle.dumps("last")
        for message in sent:
            flow.push.send(message)
        flow.push.send(Sender(key).sign(last))
        flow.wall.wait_for(lambda: last in consumer.received[-1:], "the last message", 60)
    assert len(consumer.received) > 5000
    assert len(consumer.received) == len(set(consumer.received))
    assert len(passed(flow.wall)) == len(set(passed(flow.wall)))


def test_older_epochs_are_refused(start, key):
    flow = start()
    now = flow.sender.epoch
    first, second, never = Sender(key, epoch=now - 2000), Sender(key, epoch=now), Sender(key, epoch=now - 1000)
    old = [first.sign(payload) for payload in pickles(3)]
    assert judge(flow, *old[:2]) == ["", ""]
    assert judge(flow, second.sign(pickle.dumps("new"))) == [""]
    assert judge(flow, *old) == ["sig.replay", "sig.replay", ""]  # the third was still under way
    assert judge(flow, *old) == ["sig.replay"] * 3
    assert judge(flow, never.sign(pickle.dumps("withheld"))) == ["sig.replay"]
    flow.wall.wait_for(lambda: b"give each sender a key of its own" in flow.wall.words.read_bytes(), "a warning")
    for how in ("SIGTERM", "kill -9"):
        restart(flow, how)
        assert judge(flow, *old, never.sign(pickle.dumps(1))) == ["sig.replay"] * 4


def test_forged_trailers_change_nothing(start):
    flow = start()
    message = flow.sender.sign(pickle.dumps("genuine"))
    assert judge(flow, message) == [""]
    forged = [message[:-8] + struct.pack(">Q", number) for number in range(FORGED)]
    for number in range(0, FORGED, 7):  # other epochs and numbers too, all in the sender's name
        head = message[-72:-40][:16] + struct.pack(">QQ", flow.sender.epoch + number, number)
        forged[number] = message[:-72] + head + message[-40:]
    assert set(judge(flow, *forged)) == {"sig.bad"}
    assert judge(flow, message) == ["sig.replay"]
    assert judge(flow, flow.sender.sign(pickle.dumps("fresh"))) == [""]


def test_a_wrong_clock_is_named_and_does_no_harm(start, key):
    flow = start()
    payload = pickle.dumps("when")
    assert judge(flow, flow.sender.sign(payload, seq=5, shift=-HOUR)) == ["sig.expired"]
    assert judge(flow, flow.sender.sign(payload, seq=5, shift=HOUR)) == ["sig.future"]
    ahead = Sender(key, epoch=flow.sender.epoch + 3_600_000)
    assert judge(flow, ahead.sign(payload, shift=HOUR), ahead.sign(payload)) == ["sig.future"] * 2
    for shift in (0, -HOUR, HOUR, -290 * 10**9, 50 * 10**9):
        seq = 5 if shift == 0 else flow.sender.seq + 1
        expected = {-HOUR: "sig.expired", HOUR: "sig.future"}.get(shift, "")
        assert judge(flow, flow.sender.sign(payload, seq=seq, shift=shift)) == [expected]
    ages = [line["sig"]["age_ms"] for line in flow.wall.frames()]
    assert min(ages) < -3_590_000 and max(ages) >= 3_600_000


def test_lost_and_late_messages_are_no_replays(start):
    flow = start()
    payload = pickle.dumps("any")
    order = [5, 3, 9, 4, 1, 2, 9000, 9000 - WINDOW]
    assert judge(flow, *[flow.sender.sign(payload, seq=seq) for seq in order]) == [""] * len(order)
    again = [flow.sender.sign(payload, seq=seq) for seq in (*order, 9000 - WINDOW - 1)]
    assert judge(flow, *again) == ["sig.replay"] * len(again)
    assert judge(flow, flow.sender.sign(payload, seq=10**12)) == [""]


def test_two_senders_on_one_key_are_told(start, key):
    flow = start()
    first, second = Sender(key, epoch=flow.sender.epoch - 5000), Sender(key, epoch=flow.sender.epoch - 4000)
    payload = pickle.dumps("any")
    assert judge(flow, first.sign(payload), second.sign(payload), first.sign(payload)) == [""] * 3
    flow.wall.wait_for(lambda: b"two senders sign with it" in flow.wall.words.read_bytes(), "a warning")
    assert flow.wall.words.read_bytes().count(b"two senders sign with it") == 1


def test_each_protection_can_be_turned_off(start):
    flow = start(replay="no")
    message = flow.sender.sign(pickle.dumps("often"))
    assert judge(flow, message, message) == ["", ""]
    assert judge(flow, flow.sender.sign(pickle.dumps("old"), shift=-HOUR)) == ["sig.expired"]
    assert not (flow.wall.state / "replay").exists()

    flow = start(max_age="0s", max_future="0s")
    old, new = flow.sender.sign(pickle.dumps(1), shift=-HOUR), flow.sender.sign(pickle.dumps(2), shift=HOUR)
    assert judge(flow, old, new, old, new) == ["", "", "sig.replay", "sig.replay"]


def test_a_signed_message_passes_once_where_signatures_are_optional(start):
    flow = start(verify="optional")
    message = flow.sender.sign(pickle.dumps("signed"))
    unsigned = pickle.dumps("unsigned")
    assert judge(flow, message, unsigned, message, unsigned) == ["", "", "sig.replay", ""]


def test_a_damaged_file_stops_the_start_with_the_remedy(start):
    flow = start()
    assert judge(flow, flow.sender.sign(pickle.dumps(1))) == [""]
    assert flow.wall.stop() == 0
    path = flow.wall.state / "replay/jobs.epochs"
    whole = path.read_bytes()
    path.write_bytes(whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])
    for command in ("check-config", "run"):
        done = subprocess.run(
            [BINARY, command, "--config", str(flow.wall.config)],
            capture_output=True, text=True, timeout=30,
            env={"PICKLEWALL_POLICIES": str(ROOT / "config/policies")},
        )
        assert done.returncode == 78
        assert f"channel.jobs.replay: {path}: damaged" in done.stderr + done.stdout
        assert "give the senders new keys" in done.stderr + done.stdout
    path.write_bytes(whole)
    flow.read = flow.wall.log.stat().st_size
    flow.wall.start()
    assert judge(flow, flow.sender.sign(pickle.dumps(1), seq=1)) == ["sig.replay"]


def test_a_disk_that_refuses_lets_nothing_pass_unremembered(start):
    flow = start()
    assert judge(flow, flow.sender.sign(pickle.dumps(1))) == [""]
    time.sleep(1.5)  # by then the disk is not ahead any more
    in_the_way = flow.wall.state / "replay/jobs.epochs.new"
    in_the_way.mkdir()
    message = flow.sender.sign(pickle.dumps(2))
    assert judge(flow, message) == ["internal.error"]
    in_the_way.rmdir()
    assert judge(flow, message, message) == ["", "sig.replay"]
    words = flow.wall.words.read_text()
    assert "signed messages are refused until it can be written" in words and "can be written again" in words


def test_stopping_and_starting_often_changes_nothing(start):
    flow = start()
    sent = []
    for _ in range(5):
        fresh = [flow.sender.sign(payload) for payload in pickles(200)]
        assert judge(flow, *fresh) == [""] * 200
        sent += fresh
        flow.wall.signal(signal.SIGHUP)
        restart(flow, "SIGTERM")
        assert judge(flow, *sent) == ["sig.replay"] * len(sent)
