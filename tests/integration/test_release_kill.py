# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment while held messages are released, again and again, before one consumer.

Whatever the moment, each message is in one state, the consumer has it at most once, and has what was
answered with "sent". What was under way is in doubt, is told so at the next start, and goes on only
with `again`. libzmq cannot say when the kernel has what it was given; a wall waits 50 ms for that before
it says "sent", so a machine that stops libzmq's thread for longer could break the second promise.

    RELEASE_KILLS=8   how many kills
"""

import json
import os
import pickle
import random
import signal
import socket
import threading
import time

import zmq
from test_disk import IllDisk
from test_release import HELD, hold, states, told
from wall import Wall, channel, tcp

KILLS = int(os.environ.get("RELEASE_KILLS", "8"))
A_LIFE = 6  # messages of one life of the wall
SETTLED_MS = 150


class Consumer:
    """Stays connected over all of it, and counts."""

    def __init__(self, sockets, target):
        self.socket = sockets(zmq.PULL)
        self.socket.reconnect_ivl = 10
        self.socket.connect(target)
        self.taken = {}

    def take(self):
        while self.socket.poll(SETTLED_MS):
            frame, number = self.socket.recv_multipart()
            assert frame == HELD
            number = pickle.loads(number)
            self.taken[number] = self.taken.get(number, 0) + 1


def ask(wall, **request):
    """The answer; None when the wall died first."""
    request = {"reason": "kill", "override": ["import.denied"], **request}
    with socket.socket(socket.AF_UNIX) as control:
        try:
            control.connect(str(wall.state / "control.sock"))
            control.sendall(b"release " + json.dumps(request).encode() + b"\n")
            answer = b"".join(iter(lambda: control.recv(65536), b""))
        except OSError:
            return None
    return json.loads(answer) if answer.endswith(b"\n") else None


def numbers(wall):
    """{entry: number}, by their objects."""
    found = {}
    for path in wall.state.glob("quarantine/*/*.json"):
        entry = json.loads(path.read_text())
        stored = wall.state / "quarantine/obj" / entry["object"][:2] / entry["object"]
        if stored.exists():
            found[path.stem] = pickle.loads(stored.read_bytes()[12 + 16 + len(HELD):-32])
    return found


def release_all(wall, entries, sent):
    for entry in entries:
        answer = ask(wall, id=entry)
        if answer is None:
            return
        assert answer["ok"] and answer["outcome"] == "sent", answer
        sent.add(entry)


def one_life(wall, producer, first, names, sent):
    """Hold some, release them, and die on the way."""
    new = hold(wall, producer, *([HELD, pickle.dumps(first + i)] for i in range(A_LIFE)))
    names.update(numbers(wall))
    entries = [entry for entry, state in states(wall).items() if state == "hold"]
    assert set(new) <= set(entries)
    releasing = threading.Thread(target=release_all, args=(wall, sorted(entries), sent))
    releasing.start()
    time.sleep(random.uniform(0, 0.08 * A_LIFE))
    wall.signal(signal.SIGKILL)
    wall.process.wait()
    releasing.join()


def test_each_goes_at_most_once_and_what_was_sent_has_come(tmp_path, sockets):
    source, target = tcp(), tcp()
    wall = Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target]))
    consumer = Consumer(sockets, target)
    names, sent, doubts, came = {}, set(), 0, 0
    for life in range(KILLS):
        producer = sockets(zmq.PUSH, connect=[source])  # what it did not deliver dies with it
        with wall:
            one_life(wall, producer, life * A_LIFE, names, sent)
        producer.close()
        consumer.take()
        assert max(consumer.taken.values(), default=0) <= 1
        now = states(wall)  # which finds none in two
        assert set(now) == set(names)
        assert all(now[entry] == "released" for entry in sent)
        assert all(consumer.taken.get(names[entry]) == 1 for entry in sent)
        assert not any(names[entry] in consumer.taken for entry, state in now.items() if state == "hold")
        in_doubt = [entry for entry, state in now.items() if state == "releasing"]
        assert len(in_doubt) <= 1
        if in_doubt:
            doubts += 1
            came += resolve(wall, consumer, in_doubt[0], names[in_doubt[0]])
    with wall:
        release_all(wall, [entry for entry, state in states(wall).items() if state == "hold"], sent)
        assert set(states(wall).values()) == {"released"}
        newest = {line["detail"]["entry"]: line["detail"]["outcome"] for line in told(wall)}
        assert set(newest) == set(names) and "begun" not in newest.values()
    consumer.take()
    assert sorted(consumer.taken) == list(range(KILLS * A_LIFE))
    assert set(consumer.taken.values()) == {1}
    print(f"{KILLS} kills, {len(names)} messages, {doubts} in doubt, of which {came} had come")


def outcomes(wall, entry):
    """What the log says of a release so far."""
    lines = [line["detail"] for line in wall.lines() if line["event"] == "quarantine"]
    return {line["outcome"] for line in lines if line["what"] == "release" and line["entry"] == entry}


def resolve(wall, consumer, entry, number):
    """What the operator does with one in doubt; 1 when the consumer has it already."""
    has_it = number in consumer.taken
    with wall:
        wall.wait_for(lambda: "in_doubt" in outcomes(wall, entry), "the line that says so")
        assert outcomes(wall, entry) <= {"begun", "in_doubt"}
        assert "in doubt" in ask(wall, id=entry)["error"]
        answer = ask(wall, id=entry, **{"arrived" if has_it else "again": True})
        assert answer["ok"] and answer["outcome"] == ("arrived" if has_it else "sent")
    consumer.take()
    return int(has_it)


def test_a_kill_before_the_last_line_is_made_up_for(tmp_path, sockets):
    source, target = tcp(), tcp()
    disk = IllDisk(tmp_path, tmp_path / "state/audit.jsonl")
    wall = Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target]), environment=disk.environment().items())
    consumer = Consumer(sockets, tcp())
    with wall:
        (entry,) = hold(wall, sockets(zmq.PUSH, connect=[source]), [HELD, pickle.dumps(0)])
        releasing = threading.Thread(target=ask, args=(wall,), kwargs={"id": entry})
        releasing.start()
        wall.wait_for(lambda: outcomes(wall, entry) == {"begun"}, "the release to begin")
        disk.set("eio")
        consumer.socket.connect(target)
        wall.wait_for(lambda: states(wall) == {entry: "released"}, "the message to go")
        wall.signal(signal.SIGKILL)
        wall.process.wait()
        releasing.join()
    consumer.take()
    assert consumer.taken == {0: 1} and outcomes(wall, entry) == {"begun"}
    disk.set("ok")
    for _ in range(2):  # it is told once
        with wall:
            wall.wait_for(lambda: "sent" in outcomes(wall, entry), "the line of its end")
        begun, sent = told(wall)
        assert sent["detail"] == {key: begun["detail"][key] for key in ("what", "entry", "object", "chan")} | {
            "outcome": "sent"}
        assert sent["level"] == "medium" and f"release of {entry} ended" in wall.words.read_text()
