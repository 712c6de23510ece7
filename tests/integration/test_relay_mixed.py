# SPDX-License-Identifier: Apache-2.0
"""What goes in comes out byte for byte and in order, and what must not does not."""

import collections
import hashlib
import pickle
import random
import struct
import threading

import zmq
from wall import HOSTILE, Wall, channel, tcp

TOTAL = 100_000
END = pickle.dumps("the end")


def value(rng, number):
    """Something python-data allows in every protocol."""
    return rng.choice(
        [
            number,
            number << rng.randrange(200),
            -number / 7,
            f"text {number} \u20ac \N{SNAKE}",
            b"\x00\xff" * rng.randrange(40),
            bytearray(b"abc"),
            [None, True, False, (), ("a",), [number]],
            {"key": number, "nested": {"list": list(range(rng.randrange(20)))}},
            {1, 2, number},
            complex(number, 1),
            collections.OrderedDict(a=1, b=[2]),
        ]
    )


def big(number):
    """Rarely, a large message: 64 KiB to 4 MiB, and one in a hundred empty values."""
    if number % 9973 == 0:
        return bytes(4 << 20)
    if number % 1499 == 0:
        return b"\x5a" * (64 << 10)
    return b"" if number % 100 == 0 else None


def messages():
    """(frames, hostile) for each number; the same in every call."""
    rng = random.Random(20260101)
    attacks = list(HOSTILE.values())
    for number in range(TOTAL):
        frames = [pickle.dumps(value(rng, number), rng.randrange(6)) for _ in range(rng.choice((1, 1, 1, 2, 3, 5)))]
        large = big(number)
        if large is not None:
            frames[-1] = pickle.dumps(large, rng.choice((3, 4, 5)))
        hostile = rng.random() < 0.01
        if hostile:
            attack = rng.choice(attacks)
            cut = rng.randrange(1, len(attack)) if rng.random() < 0.3 else len(attack)
            frames[rng.randrange(len(frames))] = attack[:cut]
        yield frames, hostile


def object_name(frames):
    head = b"PWQO" + struct.pack(">HHI", 1, 0, len(frames)) + b"".join(struct.pack(">Q", len(f)) for f in frames)
    return hashlib.sha256(head + b"".join(frames)).hexdigest()


def send_all(push, hostile):
    for frames, is_hostile in messages():
        if is_hostile:
            hostile.append(object_name(frames))
        push.send_multipart(frames, copy=True)
    push.send(END)


def test_a_hundred_thousand_mixed_messages(tmp_path, sockets):
    source, target = tcp(), tcp()
    hostile = []
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target]), drain="20s") as wall:
        push, pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        sender = threading.Thread(target=send_all, args=(push, hostile))
        sender.start()
        forwarded = 0
        for frames, is_hostile in messages():
            if is_hostile:
                continue
            assert pull.recv_multipart() == frames, f"message {forwarded} of those that pass"
            forwarded += 1
        assert pull.recv() == END
        sender.join()
        assert wall.stop() == 0
        counts = wall.counts("jobs")
        assert counts["received"] == TOTAL + 1
        assert counts["forwarded"] == forwarded + 1
        assert counts["quarantined"] == len(hostile) > TOTAL / 200
        assert counts["dropped"] == counts["lost"] == 0

    expected = collections.Counter(hostile)
    assert collections.Counter(entry["object"] for entry in wall.held()) == expected
    refused = [line for line in wall.frames() if line["verdict"] != "pass"]
    assert collections.Counter(line["q"]["id"] for line in refused) == expected
    assert len({line["q"]["entry"] for line in refused}) == len(hostile)
    assert all(line["msg"]["sha256"] == line["q"]["id"] for line in refused)
    assert {line["src"] for line in refused} == {"127.0.0.1"}
    passed = sum(line.get("passed", 0) for line in wall.lines() if line["event"] == "summary")
    assert len(wall.frames("pass")) + passed == forwarded + 1
    for name in expected:
        data = (wall.state / "quarantine/obj" / name[:2] / name).read_bytes()
        assert hashlib.sha256(data[:-32]).digest() == data[-32:] == bytes.fromhex(name)


def test_a_dropping_channel_keeps_nothing_but_the_line(tmp_path, sockets):
    source, target = tcp(), tcp()
    lane = channel("jobs", in_bind=[source], out_bind=[target], on_violation="drop")
    with Wall(tmp_path, lane) as wall:
        push, pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        for attack in HOSTILE.values():
            push.send(attack)
        push.send(END)
        assert pull.recv() == END
    assert wall.counts("jobs")["dropped"] == len(wall.frames("drop")) == len(HOSTILE)
    assert len({line["msg"]["sha256"] for line in wall.frames("drop")}) == len(HOSTILE)
    assert wall.held() == []


def test_a_reporting_channel_forwards_and_says_so(tmp_path, sockets):
    source, target = tcp(), tcp()
    lane = channel("jobs", in_bind=[source], out_bind=[target], on_violation="pass")
    with Wall(tmp_path, lane) as wall:
        push, pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        for attack in HOSTILE.values():
            push.send(attack)
            assert pull.recv() == attack
    lines = wall.frames("pass")
    assert [line["enforced"] for line in lines] == [False] * len(HOSTILE)
    assert all(line["finds"] for line in lines)


def test_more_frames_than_allowed_are_received_and_refused(tmp_path, sockets):
    source, target = tcp(), tcp()
    lane = channel("jobs", in_bind=[source], out_bind=[target], max_frames=4)
    with Wall(tmp_path, lane) as wall:
        push, pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        push.send_multipart([END] * 5000)
        push.send_multipart([END] * 5)
        push.send_multipart([END] * 4)
        assert pull.recv_multipart() == [END] * 4
    assert [(line["reason"], line["msg"]["frames"]) for line in wall.frames("quarantine")] == [
        ("limit.frames", 5000),
        ("limit.frames", 5),
    ]
