# SPDX-License-Identifier: Apache-2.0
"""With a key of ed25519-batch, messages that wait at the same time share one signature."""

import collections
import itertools
import pickle
import signal
import threading
import time

import pytest
import zmq
from test_relay_mixed import END, messages, object_name
from signed import client, new_key, run
from test_two_walls import make_keys
from wall import HOSTILE, Wall, channel, tcp

TOTAL = 12_000
MOST = 256


@pytest.fixture(params=["tail", "frame"])
def envelope(request):
    return request.param


@pytest.fixture
def keys(tmp_path):
    return make_keys(tmp_path, "ed25519-batch")


def signing(tmp_path, keys, source, envelope="tail", drain="10s", **out):
    lane = channel("jobs", in_bind=[source], sign="alpha", envelope=envelope, **out)
    return Wall(tmp_path / "first", lane, keys=keys[0], drain=drain)


def place(wire):
    """What the end of a trailer tells: the root's signature, the index in the batch, its size."""
    index, size = wire[-2], wire[-1] + 1
    steps = 0
    while size > 1:  # a node without a neighbour goes up as it is
        steps += (index ^ 1) < size
        index, size = index // 2, (size + 1) // 2
    start = len(wire) - 106 - 32 * steps
    assert wire[start : start + 5] == b"PWS1\x04"
    return wire[start + 40 : start + 104], wire[-2], wire[-1] + 1


def test_mixed_messages_cross_two_walls_in_order(tmp_path, sockets, keys, envelope):
    source, middle, target = tcp(), tcp(), tcp()
    lane = channel("jobs", in_bind=[middle], out_bind=[target], verify="required", envelope=envelope)
    hostile = []

    def send_all(push):
        for frames, is_hostile in itertools.islice(messages(), TOTAL):
            if is_hostile:
                hostile.append(object_name(frames))
            push.send_multipart(frames)
        push.send(END)

    with Wall(tmp_path / "second", lane, keys=keys[1], drain="20s") as second:
        with signing(tmp_path, keys, source, envelope, out_connect=[middle]) as first:
            push, pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
            sender = threading.Thread(target=send_all, args=(push,))
            sender.start()
            forwarded = 0
            for frames, is_hostile in itertools.islice(messages(), TOTAL):
                if is_hostile:
                    continue
                assert pull.recv_multipart() == frames, f"message {forwarded} of those that pass"
                forwarded += 1
            assert pull.recv() == END
            sender.join()
            assert first.stop() == 0
        assert second.stop() == 0
    assert len(hostile) > TOTAL / 200
    counts = first.counts("jobs")
    assert counts["received"] == TOTAL + 1
    assert (counts["forwarded"], counts["quarantined"]) == (forwarded + 1, len(hostile))
    assert counts["dropped"] == counts["lost"] == 0
    assert collections.Counter(entry["object"] for entry in first.held()) == collections.Counter(hostile)
    assert second.counts("jobs")["forwarded"] == forwarded + 1
    assert second.held() == []


def test_what_waits_shares_a_signature_and_what_comes_alone_does_not_wait(tmp_path, sockets, keys):
    source, tap = tcp(), tcp()
    pull = sockets(zmq.PULL, bind=[tap])
    push = sockets(zmq.PUSH, connect=[source])
    with signing(tmp_path, keys, source, out_connect=[tap]) as wall:
        for number in range(5):
            push.send(pickle.dumps(number))
            assert place(pull.recv())[1:] == (0, 1)
        wall.signal(signal.SIGSTOP)
        for number in range(700):
            push.send(HOSTILE["text"] if number == 350 else pickle.dumps(number))
        wall.signal(signal.SIGCONT)
        wire = [pull.recv() for _ in range(699)]
    assert [pickle.loads(each) for each in wire] == [number for number in range(700) if number != 350]
    places = [place(each) for each in wire]
    sizes = []
    while places:
        root, _, size = places[0]
        assert places[:size] == [(root, index, size) for index in range(size)]
        sizes.append(size)
        del places[:size]
    assert sum(sizes) == 699 and len(sizes) < 70, sizes
    assert max(sizes) <= MOST
    assert 350 in itertools.accumulate(sizes), "the attack ends a batch"


def test_what_nobody_takes_is_kept_as_it_came(tmp_path, sockets, keys):
    source = tcp()
    sent = [[pickle.dumps(number), pickle.dumps(b"x" * number)] for number in range(600)]
    with signing(tmp_path, keys, source, out_bind=[tcp()], drain="2s") as wall:
        push = sockets(zmq.PUSH, connect=[source])
        for frames in sent:
            push.send_multipart(frames)
        push.send(HOSTILE["text"])
        assert wall.stop() == 0
    counts = wall.counts("jobs")
    assert (counts["received"], counts["forwarded"], counts["lost"]) == (601, 0, 0)
    assert counts["quarantined"] == 601
    expected = [object_name(frames) for frames in sent] + [object_name([HOSTILE["text"]])]
    assert sorted(entry["object"] for entry in wall.held()) == sorted(expected)
    assert [line["q"]["id"] for line in wall.frames("quarantine")] == expected


def both_ways(keys, suite):
    """A wall's key, and that of a producer before it, in one folder: its path."""
    folder = keys / "keys"
    folder.mkdir(mode=0o700)
    new_key(folder, "alpha", suite=suite)
    new_key(folder, "beta", suite="blake2b")
    return folder


@pytest.mark.parametrize("suite", ["ed25519-batch", "blake2b"])
def test_what_waited_for_a_consumer_is_signed_anew(tmp_path, sockets, suite, envelope):
    source, target = tcp(), tcp()
    keys = both_ways(tmp_path, suite)
    lane = channel("jobs", in_bind=[source], out_bind=[target], sign="alpha", verify="required", envelope=envelope)
    producer = client.Signer(client.Key.load(keys / "beta.pwkey"), "jobs")
    consumer = client.Verifier([client.Key.load(keys / "alpha.pwkey")], "jobs", max_age=2)
    sign = producer.sign_tail if envelope == "tail" else producer.sign_frame
    verify = consumer.verify if envelope == "tail" else consumer.verify_frame
    sent = [[pickle.dumps(number), pickle.dumps(b"x" * number)] for number in range(300)]
    with Wall(tmp_path / "wall", lane, keys=keys):
        push = sockets(zmq.PUSH, connect=[source])
        for frames in sent:
            push.send_multipart(sign(frames))
        time.sleep(3)
        pull = sockets(zmq.PULL, connect=[target])
        taken = [verify(pull.recv_multipart()) for _ in sent]
    assert [message.frames for message in taken] == sent
    numbers = [message.seq for message in taken]
    assert numbers == sorted(set(numbers)), "no number is used twice"


def test_a_key_that_is_revoked_counts_for_what_waits(tmp_path, sockets):
    source, target = tcp(), tcp()
    keys = both_ways(tmp_path, "ed25519-batch")
    lane = channel("jobs", in_bind=[source], out_bind=[target], sign="alpha", verify="required")
    producer = client.Signer(client.Key.load(keys / "beta.pwkey"), "jobs")
    with Wall(tmp_path / "wall", lane, keys=keys) as wall:
        push = sockets(zmq.PUSH, connect=[source])
        wall.signal(signal.SIGSTOP)  # so that they arrive as one burst
        for number in range(200):
            push.send_multipart(producer.sign_tail([pickle.dumps(number)]))
        time.sleep(0.5)
        wall.signal(signal.SIGCONT)
        time.sleep(0.5)
        run("key", "revoke", "--dir", keys, "beta")
        wall.wait_for(lambda: '"event":"key"' in wall.log.read_text(), "the new list")
        pull = sockets(zmq.PULL, connect=[target])
        wall.wait_for(lambda: len(wall.frames()) == 200, "the judgement of all")
        assert pickle.loads(pull.recv()) == 0
        assert pull.poll(200) == 0
    told = [(line["verdict"], line.get("reason")) for line in wall.frames()]
    assert told == [("pass", None)] + 199 * [("quarantine", "sig.revoked")]
