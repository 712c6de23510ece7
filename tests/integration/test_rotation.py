# SPDX-License-Identifier: Apache-2.0
"""Keys that change while messages flow, over real sockets."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest
import zmq
from wall import BINARY, ROOT, Wall, channel, tcp

sys.path.insert(0, str(ROOT / "common/sign/python"))
import picklewall_sign  # noqa: E402  (what a producer without a wall signs with)

LATEST_S = 2  # after which a change must have taken effect


def run(*words):
    done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def new_key(folder, name, status="active", suite="blake2b"):
    run("key", "new", "--suite", suite, "--id", name, "--out", folder, "--status", status)
    return folder / f"{name}.pwkey"


def key_ids(folder):
    lines = [line.split() for line in run("key", "list", folder).splitlines()]
    return {fields[0]: next(field for field in fields[4:] if len(field) == 16) for fields in lines}


def put(path, text):
    """As one should: beside it, then renamed."""
    draft = path.with_name("." + path.name)
    draft.write_text(text)
    draft.chmod(0o600)
    draft.rename(path)


def key_events(wall, what=None):
    lines = [line for line in wall.log.read_bytes().split(b"\n")[:-1] if b'"event":"key"' in line]
    found = [json.loads(line) for line in lines]
    return [line for line in found if what in (None, line["detail"]["what"])]


def wait_for_frames(wall, count):
    """Without reading every line each time, which costs what the wall could use."""
    wall.wait_for(lambda: wall.log.read_bytes().count(b'"event":"frame"') >= count, f"{count} lines")


def wait_for_reload(wall, count=1):
    wall.wait_for(lambda: len(key_events(wall, "key.reload")) >= count, "keys that are read again", 5)


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


def test_five_turns_of_keys_lose_and_refuse_no_message(tmp_path, sockets):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    names = [f"jobs-{number}" for number in range(1, 7)]
    for name in names:
        path = new_key(ours, name, "active" if name == "jobs-1" else "verify_only", "ed25519")
        run("key", "public", "--out", theirs, path)
    ids = key_ids(ours)
    source, middle, target = tcp(), tcp(), tcp()
    signer = Wall(tmp_path / "signer", channel("jobs", in_bind=[source], out_connect=[middle], sign="jobs-*"),
                  keys=ours)
    verifier = Wall(tmp_path / "verifier", channel("jobs", in_bind=[middle], out_bind=[target], verify="required"),
                    keys=theirs)
    count = 20000
    with signer, verifier:
        consumer = sockets(zmq.PULL, connect=[target], hwm=0)
        stream = Stream(source, count, rate=2000)
        stream.start()
        for turn, (old, new) in enumerate(zip(names, names[1:]), 1):
            before = stream.sent
            run("key", "rotate", "--dir", ours, "--from", old, "--to", new)
            wait_for_reload(signer, turn)
            assert signing(signer) == {"jobs": new}
            signer.wait_for(lambda before=before: stream.sent > before + 200, "messages under the new key")
        assert stream.is_alive()  # or the last turn met no load
        numbers = [pickle.loads(consumer.recv()) for _ in range(count)]
        stream.join(30)
    assert numbers == list(range(count))
    for wall in (signer, verifier):
        assert wall.frames("quarantine") == wall.frames("drop") == []
        assert len(wall.frames("pass")) == count
        assert key_events(wall, "key.reload_failed") == []
    seen = [(line["sig"]["kid"], line["sig"]["epoch"], line["sig"]["seq"]) for line in verifier.frames()]
    runs = [number for number in range(count) if number == 0 or seen[number][:2] != seen[number - 1][:2]]
    assert [seen[number][0] for number in runs] == [ids[name] for name in names]
    for first, end in zip(runs, [*runs[1:], count]):
        assert [seq for _, _, seq in seen[first:end]] == list(range(1, end - first + 1))


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
        self.signers = [picklewall_sign.Signer(picklewall_sign.Key.load(str(self.keys / f"{name}.pwkey")), "jobs")
                        for name in ("good", "lost")]

    def make(self, number):
        self.signed_at.append(time.monotonic())
        return self.signers[number % 2].sign_tail([pickle.dumps(number)])[0]

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
    path = pair.keys / "lost.pwkey"
    put(path, path.read_text().replace("status: active", "status: retired"))


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
    time.sleep(max(0, started + LATEST_S + 1 - changed))
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
    put(pair.keys / "zz.pwkey", "picklewall-key: 1\nwhat: x\n")
    pair.wall.wait_for(lambda: key_events(pair.wall, "key.reload_failed"), "the refusal", 5)
    time.sleep(2.5)  # more looks at the same folder
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
    pair.wall.wait_for(lambda: [line["detail"]["revoked_version"] for line in key_events(pair.wall)][-1:] == [2],
                       "the list", 5)
    put(pair.keys / "revoked", "version: 1\n00112233445566ff\n")
    pair.wall.wait_for(lambda: key_events(pair.wall, "key.reload_failed"), "the refusal", 5)
    error = key_events(pair.wall, "key.reload_failed")[0]["error"]
    assert "/revoked: its version went down from 2 to 1; put the newer list back" in error
    (pair.keys / "revoked").unlink()
    pair.wall.wait_for(lambda: len(key_events(pair.wall, "key.reload_failed")) == 2, "the refusal", 5)
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
    new_key(keys, "jobs-2", "verify_only")
    source, target = tcp(), tcp()
    with Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target], sign="jobs-*"),
              keys=keys) as wall:
        producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        run("key", "revoke", "--dir", keys, "jobs-1")
        wall.wait_for(lambda: key_events(wall, "key.reload_failed"), "the refusal", 5)
        assert "no key of this pattern is active (jobs-1, jobs-2)" in key_events(wall)[-1]["error"]
        producer.send(pickle.dumps("held"))
        wall.wait_for(lambda: wall.frames("quarantine"), "the message in quarantine")
        assert wall.frames()[0]["reason"] == "sig.revoked"
        run("key", "rotate", "--dir", keys, "--from", "jobs-1", "--to", "jobs-2")
        wait_for_reload(wall)
        assert signing(wall) == {"jobs": "jobs-2"}
        producer.send(pickle.dumps("sent"))
        assert pickle.loads(consumer.recv()) == "sent"


def test_a_key_that_ends_while_the_wall_runs_signs_no_more(tmp_path, sockets):
    keys = tmp_path / "keys"
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    run("key", "new", "--suite", "blake2b", "--id", "a", "--out", keys, "--not-after", end)
    source, middle, target = tcp(), tcp(), tcp()
    signer = Wall(tmp_path / "signer", channel("jobs", in_bind=[source], out_connect=[middle], sign="a"), keys=keys)
    verifier = Wall(tmp_path / "verifier", channel("jobs", in_bind=[middle], out_bind=[target], verify="required"),
                    keys=keys)
    with signer, verifier:
        producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        producer.send(pickle.dumps(1))
        assert pickle.loads(consumer.recv()) == 1
        time.sleep(4)
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
