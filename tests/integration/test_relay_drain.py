# SPDX-License-Identifier: Apache-2.0
"""Stopping the wall, or a consumer, under load."""

import json
import os
import pickle
import signal
import time

import pytest
import zmq
from peers import load, numbers, spawn, wait_for
from wall import Wall, channel, tcp

TOTAL = load(60_000)
BYTES = 150


@pytest.fixture
def peers():
    """spawn(...), and whoever is left ends with the test."""
    started = []

    def start(*words):
        started.append(spawn(*words))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def addresses(transport, folder):
    if transport == "tcp":
        return tcp(), tcp()
    return f"ipc://{folder}/in", f"ipc://{folder}/out"


def wait_until_still(path, seconds=1.5):
    size, since = path.stat().st_size, time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.1)
        if path.stat().st_size != size:
            size, since = path.stat().st_size, time.monotonic()


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_a_stop_under_load_loses_nothing_that_was_accepted(tmp_path, peers, transport):
    source, target = addresses(transport, tmp_path)
    taken = tmp_path / "taken"
    lane = channel("jobs", in_bind=[source], out_bind=[target])
    peers("consume", target, taken, 20, 0.002)
    with Wall(tmp_path / "wall", lane, drain="25s") as wall:
        producer = peers("produce", source, 0, TOTAL, BYTES)
        wait_for(lambda: len(numbers(taken)) > 3000, "the first messages")
        assert wall.stop() == 0
        first = len(numbers(taken))
        counts = wall.counts("jobs")
        assert counts["undelivered"] == counts["lost"] == 0
        assert counts["received"] == counts["forwarded"] < TOTAL or first <= TOTAL
        wall.start()
        wait_for(lambda: len(numbers(taken)) >= TOTAL, "the rest")
        assert producer.wait(10) == 0
    time.sleep(0.2)
    assert numbers(taken) == list(range(TOTAL))
    assert len(wall.frames("pass")) == TOTAL


def test_producers_that_never_pause_do_not_hold_up_the_end(tmp_path, peers):
    source, target = tcp(), tcp()
    taken = tmp_path / "taken"
    each, producers, drain = load(250_000), 2, 6
    # What the kernel holds when the time is up must be stored: a small buffer keeps that short.
    lane = channel("jobs", in_bind=[source], out_bind=[target], in_more="buffer = 65536")
    with Wall(tmp_path / "wall", lane, drain=f"{drain}s") as wall:
        peers("consume", target, taken, 0, 0)
        started = [peers("produce", source, turn * each, each, BYTES) for turn in range(producers)]
        wait_for(lambda: len(numbers(taken)) > load(20_000), "the first messages")
        began = time.monotonic()
        # What could not be delivered is stored first, however long a slow disk or a sanitizer takes.
        assert wall.stop(seconds=150) == 0
        in_time = time.monotonic() - began < drain * 3 / 4
        counts = wall.counts("jobs")
        assert counts["received"] == counts["forwarded"] + counts["quarantined"]
        wall.start()
        assert [process.wait(60) for process in started] == [0] * producers
        wait_until_still(taken)
    arrived = numbers(taken)
    missing = producers * each - len(set(arrived)) - counts["undelivered"]
    assert len(arrived) == len(set(arrived))
    # Cut off in mid-stream, a producer's libzmq drops the message that it was writing. A wall so
    # slow that its time for the input ran out leaves the rest in the kernel: that was not accepted.
    print(f"missing {missing} of {producers * each}, the input was {'emptied' if in_time else 'cut off'}")
    assert 0 <= missing
    assert missing <= 20 or not in_time


def test_what_is_not_delivered_in_time_is_in_quarantine(tmp_path, peers):
    source, target = tcp(), tcp()
    taken = tmp_path / "taken"
    with Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target]), drain="1s") as wall:
        producer = peers("produce", source, 0, 300, BYTES)
        assert producer.wait(20) == 0
        wall.stop()
        counts = wall.counts("jobs")
        wall.start()
        peers("consume", target, taken, 0, 0)
        wait_for(lambda: len(numbers(taken)) == 300 - counts["undelivered"], "what was never received")
    assert counts["received"] == counts["quarantined"] == counts["undelivered"] > 0
    assert [entry["reason"] for entry in wall.held()] == ["drain.timeout"] * counts["undelivered"]
    assert len(wall.frames("quarantine")) == counts["undelivered"]


def test_a_second_signal_ends_it_now(tmp_path, peers):
    source, target = tcp(), tcp()
    with Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target]), drain="60s") as wall:
        assert peers("produce", source, 0, 500, BYTES).wait(20) == 0
        wall.signal(signal.SIGTERM)
        time.sleep(0.5)
        began = time.monotonic()
        assert wall.stop() == 0
        assert time.monotonic() - began < 5
        assert wall.counts("jobs")["undelivered"] == len(wall.held()) == 500


def test_a_wall_without_a_consumer_keeps_all_and_idles(tmp_path, peers):
    source, target = tcp(), tcp()
    taken = tmp_path / "taken"
    with Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target])) as wall:
        producer = peers("produce", source, 0, 20_000, BYTES)
        time.sleep(0.5)
        before = wall.cpu_seconds()
        time.sleep(2)
        assert wall.cpu_seconds() - before < 0.1
        peers("consume", target, taken, 0, 0)
        assert producer.wait(20) == 0
        wait_for(lambda: len(numbers(taken)) >= 20_000, "all messages")
    assert numbers(taken) == list(range(20_000))


def test_a_killed_consumer_costs_no_more_than_its_own_connection_held(tmp_path, peers):
    source, target = tcp(), tcp()
    hwm, buffer, most_bytes = 200, 65536, BYTES + 60
    lane = channel(
        "jobs", in_bind=[source], out_bind=[target], out_more=f"hwm = {hwm}\nbuffer = {buffer}"
    )
    first, second = tmp_path / "first", tmp_path / "second"
    with Wall(tmp_path / "wall", lane) as wall:
        victim = peers("consume", target, first, 10, 0.01)
        producer = peers("produce", source, 0, 20_000, BYTES)
        wait_for(lambda: len(numbers(first)) > 1000, "the first messages")
        time.sleep(1)  # the consumer is slow: every queue is full now
        os.kill(victim.pid, signal.SIGKILL)
        peers("consume", target, second, 0, 0)
        assert producer.wait(30) == 0
        wait_for(lambda: numbers(second)[-1:] == [19_999], "the last message")
    arrived = numbers(first) + numbers(second)
    lost = 20_000 - len(set(arrived))
    assert len(arrived) == len(set(arrived))
    # The kernel doubles SNDBUF; the consumer's own buffers and queue are no part of the wall.
    theirs = 1000 + 6 * 1024 * 1024 // most_bytes
    assert lost <= hwm + 2 * buffer // BYTES + 8192 // BYTES + 1 + theirs
    print(f"lost {lost}")
    assert wall.counts("jobs")["received"] == 20_000


@pytest.mark.parametrize("renamed", [False, True])
def test_the_log_is_whole_after_two_hangups(tmp_path, peers, renamed):
    source, target = tcp(), tcp()
    taken = tmp_path / "taken"
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target]))
    with wall:
        peers("consume", target, taken, 0, 0)
        producer = peers("produce", source, 0, 30_000, BYTES)
        for turn in (1, 2):
            wait_for(lambda: len(numbers(taken)) > 10_000 * turn, "messages")
            wait_for(wall.log.exists, "the log, opened again")
            if renamed:
                wall.log.rename(wall.log.with_suffix(f".{turn}"))
            wall.signal(signal.SIGHUP if turn == 1 else signal.SIGUSR1)
        assert producer.wait(20) == 0
        wait_for(lambda: len(numbers(taken)) == 30_000, "all messages")
    files = sorted(wall.state.glob("audit.[1-9j]*"))
    assert len(files) == (3 if renamed else 1)
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    records = sorted((json.loads(line) for line in lines), key=lambda line: line["seq"])
    assert [line["seq"] for line in records] == list(range(1, len(records) + 1))
    assert sum(line["event"] == "frame" for line in records) == 30_000


def test_a_wall_without_work_sleeps(tmp_path, sockets):
    source, target = tcp(), tcp()
    with Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target])) as wall:
        push, pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        push.send(pickle.dumps(1))
        assert pull.recv() == pickle.dumps(1)
        before = wall.cpu_seconds()
        time.sleep(2)
        assert wall.cpu_seconds() - before < 0.1
