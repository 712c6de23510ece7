# SPDX-License-Identifier: Apache-2.0
"""Keys that change while messages flow, over real sockets."""

import collections
import datetime
import json
import os
import pickle
import re
import signal
import struct
import subprocess
import threading
import time

import pytest
import zmq
from peers import FIRST, HEAD, TAIL, spawn
from signed import Clocks, Flow, Sender, key_events, new_key, publish, put, reload, run, wait_for_reload
from wall import BINARY, Wall, channel, tcp

LATEST_S = 2  # after which a change must have taken effect
GOAL = 50_000  # messages a second, on a machine that does nothing else
FAST = [("blake2b", 60_000), ("ed25519-batch", 60_000)]
SLOW = [("ed25519", 3_000)]  # each signature is verified alone
PAYLOAD = len(HEAD) + 4 + len(TAIL)


def key_ids(folder):
    lines = [line.split() for line in run("key", "list", folder).splitlines()]
    return {fields[0]: next(field for field in fields[4:] if len(field) == 16) for fields in lines}


def set_status(path, status):
    put(path, re.sub("status: .*", f"status: {status}", path.read_text()))


def wait_for_frames(wall, count):
    """Without reading every line each time, which costs what the wall could use."""
    wall.wait_for(lambda: wall.log.read_bytes().count(b'"event":"frame"') >= count, f"{count} lines")


def signing(wall):
    return {entry["chan"]: entry["key"] for entry in key_events(wall, "key.reload")[-1]["detail"]["signs"]}


class Stream(threading.Thread):
    """Numbered pickles at a steady rate, from a thread with a socket of its own."""

    def __init__(self, address, count, rate, make=pickle.dumps):
        super().__init__()
        self.address, self.count, self.rate, self.make = address, count, rate, make
        self.halt = threading.Event()
        self.sent = 0

    def run(self):
        context = zmq.Context()
        push = context.socket(zmq.PUSH)
        push.linger = 20000
        push.connect(self.address)
        start = time.monotonic()
        while self.sent < self.count and not self.halt.is_set():
            push.send(self.make(self.sent))
            self.sent += 1
            ahead = self.sent / self.rate - (time.monotonic() - start)
            if ahead > 0.01:
                time.sleep(ahead)
        push.close()
        context.term()


class Arrivals(threading.Thread):
    """What a consumer gets of a stream, trailers and all: for each key in turn the first number, the last, and when."""

    def __init__(self, pull):
        super().__init__()
        self.pull, self.halt = pull, threading.Event()
        self.runs, self.count, self.gaps = [], 0, []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.halt.set()
        self.join()

    def run(self):
        expected, key, run = 0, None, None
        while not self.halt.is_set():
            if not self.pull.poll(50):
                continue
            frame, now = self.pull.recv(), time.monotonic()
            number, = struct.unpack_from("<I", frame, len(HEAD))
            number -= FIRST
            if frame[PAYLOAD + 8 : PAYLOAD + 16] != key:
                key = frame[PAYLOAD + 8 : PAYLOAD + 16]
                run = {"key": key.hex(), "first": number, "began": now}
                self.runs.append(run)
            run["last"], run["ended"] = number, now
            if number != expected:
                self.gaps.append((expected, number))
            expected = number + 1
            self.count += 1


class Load:
    """A fast stream through a signing wall and a verifying wall that leaves the trailers on."""

    def __init__(self, folder, sockets, suite, rate):
        self.ours, self.theirs, self.suite, self.rate = folder / "ours", folder / "theirs", suite, rate
        self.publish("jobs-1", "active")
        self.source, middle, target = tcp(), tcp(), tcp()
        self.signer = Wall(folder / "signer", channel("jobs", in_bind=[self.source], out_connect=[middle],
                                                      sign="jobs-*"), keys=self.ours, audit_pass="summary")
        self.verifier = Wall(folder / "verifier", channel("jobs", in_bind=[middle], out_bind=[target],
                                                          verify="required", strip="no", on_violation="drop"),
                             keys=self.theirs, audit_pass="summary")
        self.flow = Flow(self.verifier, sockets(zmq.PUSH, connect=[middle]), None)  # beside the stream
        self.told = collections.Counter()
        self.arrivals = Arrivals(sockets(zmq.PULL, connect=[target], hwm=0))
        self.stream = None

    def publish(self, name, status="verify_only"):
        publish(new_key(self.ours, name, "--status", status, suite=self.suite), self.theirs)

    def id(self, name):
        return key_ids(self.ours)[name]

    def begin(self):
        self.stream = spawn("stream", self.source, self.rate, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.wait_for_more(1000)

    def end(self):
        """When all is delivered or refused, and the walls have ended well: how many were sent."""
        sent = int(self.stream.communicate(timeout=60)[0])
        self.verifier.wait_for(lambda: self.arrivals.count + self.refused("sig.revoked") >= sent, "the rest", 60)
        assert self.signer.stop() == self.verifier.stop() == 0
        return sent

    def kill(self):
        if self.stream is not None:
            self.stream.kill()
            self.stream.communicate()

    def wait_for_more(self, count):
        goal = self.arrivals.count + count
        self.verifier.wait_for(lambda: self.arrivals.count >= goal, f"{count} more messages", 60)

    def wait_for_key(self, name):
        key = self.id(name)
        self.verifier.wait_for(lambda: self.arrivals.runs[-1]["key"] == key, f"messages that {name} signed")

    def refused(self, reason):
        self.told.update(reason for _, reason in self.flow.news())
        return self.told[reason]

    def refused_from(self, reason):
        """When the wall refused the first one, in s since 1970; in a stream that is in order, none passed behind it."""
        with open(self.verifier.log, "rb") as log:
            line = next(line for line in log if f'"reason":"{reason}"'.encode() in line)
        return datetime.datetime.fromisoformat(json.loads(line)["ts"].replace("Z", "+00:00")).timestamp()

    def figures(self, words):
        """For people: nothing is decided by a speed."""
        first, last = self.arrivals.runs[0], self.arrivals.runs[-1]
        count = last["last"] - first["first"] + 1
        speed = count / (last["ended"] - first["began"])
        short = f" (BELOW the {GOAL} that a quiet machine reaches)" if self.rate >= GOAL > speed else ""
        return f"{self.suite}: {count} messages, {speed:.0f} of {self.rate} a second{short}; {words}"


def say(capsys, words):
    with capsys.disabled():
        print(f"\n    {words}")


@pytest.fixture(name="load")
def fixture_load(tmp_path, sockets, suite, rate):
    load = Load(tmp_path, sockets, suite, rate)
    with load.arrivals, load.verifier, load.signer:
        try:
            load.begin()
            yield load
        finally:
            load.kill()


@pytest.mark.parametrize("suite, rate, turns", [*[(*load, 3) for load in FAST], *[(*load, 1) for load in SLOW]])
def test_turns_of_keys_under_load_lose_and_refuse_no_message(load, turns, capsys):
    for turn in range(1, turns + 1):
        old, new = f"jobs-{turn}", f"jobs-{turn + 1}"
        stale = Sender(load.ours / f"{old}.pwkey")  # as it was while it was active
        load.publish(new)
        reload(load.verifier)
        run("key", "rotate", "--dir", load.ours, "--from", old, "--to", new)
        load.wait_for_key(new)  # and so nothing of the old one is under way
        for folder in (load.ours, load.theirs):
            set_status(folder / f"{old}.pwkey", "retired")
        reload(load.verifier)
        load.flow.push.send_multipart(stale.sign(pickle.dumps("too late")))
        load.verifier.wait_for(lambda turn=turn: load.refused("sig.retired") == turn, "a retired key's message")
        load.wait_for_more(load.rate // 10)
    sent = load.end()
    assert load.arrivals.gaps == [] and load.arrivals.count == sent
    assert [entry["key"] for entry in load.arrivals.runs] == [load.id(f"jobs-{turn}") for turn in range(1, turns + 2)]
    assert load.signer.counts("jobs")["received"] == load.signer.counts("jobs")["forwarded"] == sent
    assert load.verifier.counts("jobs")["forwarded"] == sent
    assert [line["reason"] for line in load.verifier.frames("drop")] == ["sig.retired"] * turns
    assert key_events(load.signer, "key.reload_failed") == key_events(load.verifier, "key.reload_failed") == []
    say(capsys, load.figures(f"{turns} turns of keys"))


@pytest.mark.parametrize("suite, rate", FAST)
def test_a_key_that_is_revoked_under_load_is_refused_within_two_seconds(load, capsys):
    load.publish("jobs-2")
    reload(load.verifier)
    load.wait_for_more(load.rate // 10)
    run("key", "revoke", "--dir", load.theirs, "jobs-1")
    revoked, revoked_at = time.monotonic(), time.time()
    load.verifier.wait_for(lambda: load.refused("sig.revoked") > load.rate // 10, "refusals", 60)
    run("key", "rotate", "--dir", load.ours, "--from", "jobs-1", "--to", "jobs-2")
    reload(load.signer)
    load.wait_for_key("jobs-2")
    load.wait_for_more(load.rate // 10)
    sent = load.end()
    late = load.refused_from("sig.revoked") - revoked_at
    assert late < LATEST_S
    assert [entry["key"] for entry in load.arrivals.runs] == [load.id("jobs-1"), load.id("jobs-2")]
    (first, resumed), = load.arrivals.gaps  # one piece of the stream is refused, and nothing else
    assert load.verifier.counts("jobs")["dropped"] == resumed - first == sent - load.arrivals.count
    arrived = load.arrivals.runs[0]["ended"] - revoked
    say(capsys, load.figures(f"a revoked key is refused {late:.2f} s behind `key revoke`, and the last message that it "
                             f"signed is with the consumer after {arrived:.2f} s"))


def test_a_turn_without_a_change_of_the_key_goes_on_counting(tmp_path, sockets):
    keys = tmp_path / "keys"
    new_key(keys, "a")
    source, target = tcp(), tcp()
    with Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target], sign="a"), keys=keys) as wall:
        producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        trailers = []
        for number in range(1, 4):
            producer.send(pickle.dumps(number))
            trailers.append(consumer.recv()[-72:])
            wall.signal(signal.SIGHUP)
            wait_for_reload(wall, number)
        new_key(keys, "b")  # noticed without a signal
        wait_for_reload(wall, 4)
        producer.send(pickle.dumps(4))
        trailers.append(consumer.recv()[-72:])
    assert [int.from_bytes(trailer[24:32], "big") for trailer in trailers] == [1, 2, 3, 4]
    assert len({trailer[16:24] for trailer in trailers}) == 1


class Pair:
    """A wall that verifies two keys, and a stream that two producers sign without a wall."""

    def __init__(self, folder, sockets):
        self.keys = folder / "keys"
        new_key(self.keys, "good")
        new_key(self.keys, "lost")
        self.ids = key_ids(self.keys)
        self.source, target = tcp(), tcp()
        # Dropped, since thousands of refusals would wait for the disk of the quarantine.
        self.wall = Wall(folder / "wall", channel("jobs", in_bind=[self.source], out_bind=[target], verify="required",
                                                  on_violation="drop"), keys=self.keys)
        self.consumer = sockets(zmq.PULL, connect=[target], hwm=0)
        self.signed_at = []
        self.senders = [Sender(self.keys / f"{name}.pwkey") for name in ("good", "lost")]

    def make(self, number):
        self.signed_at.append(time.monotonic())
        return self.senders[number % 2].sign(pickle.dumps(number))[0]

    def frames(self, name):
        return [line for line in self.wall.frames() if line["sig"]["kid"] == self.ids[name]]

    def refused_from(self, name, reason):
        """The first frame of the key that was refused; from there on all must be."""
        frames = self.frames(name)
        verdicts = [line.get("reason", "") for line in frames]
        first = verdicts.index(reason)
        assert set(verdicts[:first]) <= {""} and set(verdicts[first:]) == {reason}
        return first


@pytest.fixture(name="pair")
def fixture_pair(tmp_path, sockets):
    pair = Pair(tmp_path, sockets)
    with pair.wall:
        yield pair


def revoke(pair):
    run("key", "revoke", "--dir", pair.keys, "lost")


def retire(pair):
    set_status(pair.keys / "lost.pwkey", "retired")


def take_away(pair):
    (pair.keys / "lost.pwkey").unlink()


def revoke_beside_a_broken_file(pair):
    put(pair.keys / "zz.pwkey", "nonsense\n")
    revoke_by_id = [BINARY, "key", "revoke", "--dir", str(pair.keys), pair.ids["lost"]]
    assert subprocess.run(revoke_by_id, capture_output=True, timeout=30).returncode == 78


@pytest.mark.parametrize("change, reason", [
    (revoke, "sig.revoked"),
    (retire, "sig.retired"),
    (take_away, "sig.unknown_key"),
    (revoke_beside_a_broken_file, "sig.revoked"),
])
def test_a_key_that_is_taken_back_is_refused_within_two_seconds(pair, change, reason):
    stream = Stream(pair.source, 100000, rate=1000, make=pair.make)
    stream.start()
    wait_for_frames(pair.wall, 500)
    started = time.monotonic()
    change(pair)
    changed = time.monotonic()
    pair.wall.wait_for(lambda: reason.encode() in pair.wall.log.read_bytes(), "a refusal", LATEST_S + 1)
    time.sleep(0.3)  # and from there on
    stream.halt.set()
    stream.join(30)
    wait_for_frames(pair.wall, stream.sent)

    first = pair.refused_from("lost", reason)
    signed_at = pair.signed_at[1::2][first]
    assert started - 0.5 < signed_at < changed + LATEST_S
    assert {line.get("reason") for line in pair.frames("good")} == {None}
    assert len(pair.frames("good")) == (stream.sent + 1) // 2


def test_a_broken_folder_keeps_the_last_good_keys_and_says_so_once(pair):
    stream = Stream(pair.source, 100000, rate=1000, make=pair.make)
    stream.start()
    put(pair.keys / "zz.pwkey", "picklewall-key: 1\nwhat: x\n")  # seen without a signal, and the rest too
    pair.wall.wait_for(lambda: key_events(pair.wall, "key.reload_failed"), "the refusal", 5)
    time.sleep(1.3)  # one more look at the same folder
    os.chmod(pair.keys / "good.pwkey", 0o644)
    pair.wall.wait_for(lambda: len(key_events(pair.wall, "key.reload_failed")) == 2, "the second refusal", 5)
    os.chmod(pair.keys / "good.pwkey", 0o600)
    (pair.keys / "zz.pwkey").unlink()
    wait_for_reload(pair.wall)
    stream.halt.set()
    stream.join(30)
    wait_for_frames(pair.wall, stream.sent)
    assert len(pair.wall.frames("pass")) == stream.sent

    refused = key_events(pair.wall, "key.reload_failed")
    assert f"{pair.keys}/zz.pwkey:2: not a line of a key file" in refused[0]["error"]
    assert f"{pair.keys}/good.pwkey: others may read it (mode 0644)" in refused[1]["error"]
    assert {line["level"] for line in refused} == {"high"}
    assert refused[0]["detail"] == {"what": "key.reload_failed", "keys": 2, "revoked_version": 0, "signs": []}
    words = pair.wall.words.read_text()
    assert words.count("zz.pwkey:2: not a line of a key file") == 1
    assert words.count("; the keys that were in force stay\n") == 2


def test_a_list_that_grows_older_is_refused_and_the_newer_one_stays(pair):
    for number in ("00112233445566ff", pair.ids["lost"]):
        run("key", "revoke", "--dir", pair.keys, number)
    reload(pair.wall)
    assert key_events(pair.wall)[-1]["detail"]["revoked_version"] == 2
    put(pair.keys / "revoked", "version: 1\n00112233445566ff\n")
    pair.wall.signal(signal.SIGHUP)
    pair.wall.wait_for(lambda: key_events(pair.wall, "key.reload_failed"), "the refusal")
    error = key_events(pair.wall, "key.reload_failed")[0]["error"]
    assert "/revoked: its version went down from 2 to 1; put the newer list back" in error
    (pair.keys / "revoked").unlink()
    pair.wall.signal(signal.SIGHUP)
    pair.wall.wait_for(lambda: "from 2 to 0" in key_events(pair.wall)[-1].get("error", ""), "the refusal")
    push = pair.consumer.context.socket(zmq.PUSH)
    push.linger = 0
    push.connect(pair.source)
    push.send(pair.make(1))
    pair.wall.wait_for(lambda: pair.frames("lost"), "a line")
    push.close()
    assert pair.frames("lost")[0]["reason"] == "sig.revoked"


def test_what_a_revoked_key_should_sign_is_held_back_until_another_does(tmp_path, sockets):
    keys = tmp_path / "keys"
    new_key(keys, "jobs-1")
    new_key(keys, "jobs-2", "--status", "verify_only")
    source, target = tcp(), tcp()
    with Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target], sign="jobs-*"),
              keys=keys) as wall:
        producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        run("key", "revoke", "--dir", keys, "jobs-1")
        wall.signal(signal.SIGHUP)
        wall.wait_for(lambda: key_events(wall, "key.reload_failed"), "the refusal")
        assert "no key of this pattern is active (jobs-1, jobs-2)" in key_events(wall)[-1]["error"]
        producer.send(pickle.dumps("held"))
        wall.wait_for(lambda: wall.frames("quarantine"), "the message in quarantine")
        assert wall.frames()[0]["reason"] == "sig.revoked"
        run("key", "rotate", "--dir", keys, "--from", "jobs-1", "--to", "jobs-2")
        reload(wall)
        assert signing(wall) == {"jobs": "jobs-2"}
        producer.send(pickle.dumps("sent"))
        assert pickle.loads(consumer.recv()) == "sent"


def test_a_key_that_ends_while_the_wall_runs_signs_no_more(tmp_path, sockets):
    keys = tmp_path / "keys"
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1800))
    new_key(keys, "a", "--not-after", end)
    clocks = Clocks(tmp_path)
    source, middle, target = tcp(), tcp(), tcp()
    signer = Wall(tmp_path / "signer", channel("jobs", in_bind=[source], out_connect=[middle], sign="a"), keys=keys,
                  environment=clocks.environment("clock"))
    verifier = Wall(tmp_path / "verifier", channel("jobs", in_bind=[middle], out_bind=[target], verify="required"),
                    keys=keys)
    with signer, verifier:
        producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        producer.send(pickle.dumps(1))
        assert pickle.loads(consumer.recv()) == 1
        clocks.set("clock", 3600)
        producer.send(pickle.dumps(2))
        signer.wait_for(lambda: signer.frames("quarantine"), "the message in quarantine")
        assert signer.frames("quarantine")[0]["reason"] == "sig.key_expired"


def test_a_mounted_secret_is_followed_when_its_version_is_exchanged(tmp_path, sockets):
    mount = tmp_path / "mount"
    first, second = new_key(mount / "..v1", "a"), new_key(mount / "..v2", "a")
    assert first.read_text() != second.read_text()
    (mount / "..data").symlink_to("..v1")
    (mount / "a.pwkey").symlink_to("..data/a.pwkey")
    source, target = tcp(), tcp()
    with Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target], sign="a"), keys=mount) as wall:
        producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        producer.send(pickle.dumps(1))
        before = consumer.recv()[-72:]
        (mount / "..new").symlink_to("..v2")
        (mount / "..new").rename(mount / "..data")
        wait_for_reload(wall)
        producer.send(pickle.dumps(2))
        after = consumer.recv()[-72:]
    assert before[8:16] != after[8:16]
    assert int.from_bytes(after[24:32], "big") == 1
