# SPDX-License-Identifier: Apache-2.0
"""A verifying wall takes a message once, near its time, whatever is sent and whatever happens to the wall.

What an attacker does with messages is in test_attacks.py.
"""
import json
import pickle
import signal
import subprocess
import threading
import time

import pytest
from signed import Sender, new_key
from wall import BINARY, ROOT

HOUR = 3600 * 10**9
WINDOW = 8128


@pytest.fixture
def key(tmp_path):
    return new_key(tmp_path / "keys", "alpha", suite="hmac-sha256")


@pytest.fixture
def sender(key):
    return Sender(key)


@pytest.fixture
def flow(start, key):
    return start(key.parent)


def pickles(count):
    return [pickle.dumps(number) for number in range(count)]


def test_a_slow_sender_loses_nothing_to_a_crash_of_the_wall(flow, sender):
    for payload in pickles(2):
        assert flow.judge(sender.sign(payload)) == [""]
        time.sleep(0.7)  # also longer than a slow disk takes
    flow.restart("kill -9")
    assert flow.judge(sender.sign(pickle.dumps("next"))) == [""]


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


def test_kill_9_under_load_lets_no_accepted_message_in_again(flow, key):
    sent = []
    with Consumer(flow.pull) as consumer:
        for _ in range(3):
            before = len(consumer.received)
            sender = Sender(key)  # a new start: what the disk is ahead of the last one does not count
            messages = [sender.sign(pickle.dumps((sender.epoch, number))) for number in range(6000)]
            for message in messages:
                flow.push.send_multipart(message)
            sent += messages
            flow.wall.wait_for(lambda: len(consumer.received) > before + 1000, "messages")
            flow.wall.process.kill()
            flow.wall.process.wait()
            flow.wall.start()
        last = pickle.dumps("last")
        for message in sent:
            flow.push.send_multipart(message)
        flow.push.send_multipart(Sender(key).sign(last))
        flow.wall.wait_for(lambda: last in consumer.received[-1:], "the last message", 60)
    assert len(consumer.received) > 3000
    assert len(consumer.received) == len(set(consumer.received))
    told = passed(flow.wall)  # of the last life so far
    assert len(told) == len(set(told))


def test_lost_and_late_messages_are_no_replays(flow, sender):
    payload = pickle.dumps("any")
    order = [5, 3, 9, 4, 1, 2, 9000, 9000 - WINDOW]
    assert flow.judge(*[sender.sign(payload, seq=seq) for seq in order]) == [""] * len(order)
    again = [sender.sign(payload, seq=seq) for seq in (*order, 9000 - WINDOW - 1)]
    assert flow.judge(*again) == ["sig.replay"] * len(again)
    assert flow.judge(sender.sign(payload, seq=10**12)) == [""]


def test_two_senders_on_one_key_are_told(flow, key):
    now = time.time_ns() // 10**6
    first, second = Sender(key, epoch=now - 5000), Sender(key, epoch=now - 4000)
    payload = pickle.dumps("any")
    assert flow.judge(first.sign(payload), second.sign(payload), first.sign(payload)) == [""] * 3
    flow.wall.wait_for(lambda: b"two senders sign with it" in flow.wall.words.read_bytes(), "a warning")
    assert flow.wall.words.read_bytes().count(b"two senders sign with it") == 1


def test_each_protection_can_be_turned_off(start, key, sender):
    flow = start(key.parent, replay="no")
    message = sender.sign(pickle.dumps("often"))
    assert flow.judge(message, message) == ["", ""]
    assert flow.judge(sender.sign(pickle.dumps("old"), shift=-HOUR)) == ["sig.expired"]
    assert not (flow.wall.state / "replay").exists()

    flow = start(key.parent, max_age="0s", max_future="0s")
    old, new = sender.sign(pickle.dumps(1), shift=-HOUR), sender.sign(pickle.dumps(2), shift=HOUR)
    assert flow.judge(old, new, old, new) == ["", "", "sig.replay", "sig.replay"]


def test_a_signed_message_passes_once_where_signatures_are_optional(start, key, sender):
    flow = start(key.parent, verify="optional")
    message = sender.sign(pickle.dumps("signed"))
    unsigned = [pickle.dumps("unsigned")]
    assert flow.judge(message, unsigned, message, unsigned) == ["", "", "sig.replay", ""]


def test_a_damaged_file_stops_the_start_with_the_remedy(flow, sender):
    assert flow.judge(sender.sign(pickle.dumps(1))) == [""]
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
    assert flow.judge(sender.sign(pickle.dumps(1), seq=1)) == ["sig.replay"]


def test_a_disk_that_refuses_lets_nothing_pass_unremembered(flow, sender):
    assert flow.judge(sender.sign(pickle.dumps(1))) == [""]
    time.sleep(1.5)  # by then the disk is not ahead any more
    in_the_way = flow.wall.state / "replay/jobs.epochs.new"
    in_the_way.mkdir()
    message = sender.sign(pickle.dumps(2))
    assert flow.judge(message) == ["internal.error"]
    in_the_way.rmdir()
    assert flow.judge(message, message) == ["", "sig.replay"]
    words = flow.wall.words.read_text()
    assert "signed messages are refused until it can be written" in words and "can be written again" in words


def test_stopping_and_starting_often_changes_nothing(flow, sender):
    sent = []
    for _ in range(5):
        fresh = [sender.sign(payload) for payload in pickles(200)]
        assert flow.judge(*fresh) == [""] * 200
        sent += fresh
        flow.wall.signal(signal.SIGHUP)
        flow.restart("SIGTERM")
        assert flow.judge(*sent) == ["sig.replay"] * len(sent)
