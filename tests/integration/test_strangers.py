# SPDX-License-Identifier: Apache-2.0
"""Strangers who can reach an input do not stop those who belong there.

STRANGERS is how many come, MEBIBYTES how much one of them sends (a few, unless the environment says more);
with MEASURE set the figures are printed, and the test that says what grows without max_rss goes further.
"""

import contextlib
import os
import pathlib
import pickle
import re
import resource
import socket
import statistics
import struct
import subprocess
import threading
import time

import pytest
import zmq
from wall import BINARY, SANITIZED, Wall, channel, free_port, tcp

STRANGERS = int(os.environ.get("STRANGERS", "150"))
MEBIBYTES = int(os.environ.get("MEBIBYTES", "48"))
MESSAGES = int(os.environ.get("MESSAGES", "300"))

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + bytes(32)
READY = b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH"
assert len(GREETING) == 64


def say(*words):
    if os.environ.get("MEASURE"):
        print(*words, flush=True)


def frame(size, more=True):
    """The head of a long frame, and its bytes."""
    return struct.pack(">BQ", 3 if more else 2, size) + bytes(size)


def stranger(port, words=b""):
    peer = socket.create_connection(("127.0.0.1", port), timeout=10)
    with contextlib.suppress(OSError):
        peer.sendall(words)
    return peer


def greeted(port, ready=READY):
    """One whose handshake has ended well."""
    peer = stranger(port, GREETING + ready)
    peer.settimeout(10)
    got = b""
    while b"READY" not in got:
        got += (heard := peer.recv(4096))
        assert heard, "cut off in the handshake"
    return peer


def is_cut_off(peer, seconds=10):
    peer.settimeout(seconds)
    try:
        while peer.recv(65536):
            pass
    except socket.timeout:
        return False
    except OSError:
        pass
    return True


class Flow:
    """A good producer and its consumer: numbers, in order, each timed."""

    def __init__(self, sockets, source, target, beside=None):
        self.pull = beside.pull if beside else sockets(zmq.PULL, connect=[target])
        self.push = sockets(zmq.PUSH, connect=[source])
        self.next = beside.next if beside else 0

    def latencies(self, count):
        taken = []
        for _ in range(count):
            begin = time.perf_counter()
            self.push.send(pickle.dumps(self.next))
            assert pickle.loads(self.pull.recv()) == self.next
            taken.append(time.perf_counter() - begin)
            self.next += 1
        return taken

    def rate(self, count):
        begin = time.perf_counter()
        for number in range(self.next, self.next + count):
            self.push.send(pickle.dumps(number), zmq.DONTWAIT if number < self.next + 900 else 0)
            if number >= self.next + 500:
                assert pickle.loads(self.pull.recv()) == number - 500
        for number in range(self.next + count - 500, self.next + count):
            assert pickle.loads(self.pull.recv()) == number
        self.next += count
        return count / (time.perf_counter() - begin)


def figures(name, taken):
    taken = sorted(taken)
    say(f"{name}: median {statistics.median(taken) * 1e3:.2f} ms, 99 % {taken[len(taken) * 99 // 100] * 1e3:.2f} ms")


def peers(wall, what):
    return [line["detail"] for line in wall.lines() if line["event"] == "peer" and line["detail"]["what"] == what]


@pytest.fixture(autouse=True)
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def wall(tmp_path, request, sockets):
    """A wall with these settings of the input, and a flow through it."""

    def make(in_more="", spare=None, **settings):
        port, target = free_port(), tcp()
        source = f"tcp://127.0.0.1:{port}"
        made = Wall(tmp_path / "w", channel("jobs", in_bind=[source], out_bind=[target], in_more=in_more, **settings))
        made.start()
        if spare is not None:  # max_rss is what it has, and so much more
            made.most = made.rss_bytes() + spare
            assert made.stop() == 0
            made.config.write_text(f"max_rss = {made.most}\n" + made.config.read_text())
            made.start()
        request.addfinalizer(lambda: made.stop())
        return made, port, Flow(sockets, source, target), source, target

    return make


def connections(wall):
    return sum(1 for fd in os.scandir(f"/proc/{wall.process.pid}/fd")
               if os.path.realpath(fd.path).rpartition("/")[2].startswith("socket:"))


def test_half_handshakes_take_nobodys_place(wall, sockets):
    most = STRANGERS // 3
    made, port, flow, source, target = wall(f"max_connections = {most}\nhandshake_timeout = \"60s\"")
    figures("alone", flow.latencies(MESSAGES))
    say(f"alone: {flow.rate(5000):.0f} messages a second")
    crowd = [stranger(port, (b"", GREETING[:10], GREETING[:40], GREETING)[i % 4]) for i in range(STRANGERS)]
    made.wait_for(lambda: peers(made, "shed"), "the first to be cut off")
    figures(f"beside {STRANGERS} half handshakes", flow.latencies(MESSAGES))
    say(f"beside {STRANGERS} half handshakes: {flow.rate(5000):.0f} messages a second")
    # Who comes now has a place, too, and the crowd has no more than it may.
    Flow(sockets, source, target, beside=flow).latencies(10)
    made.wait_for(lambda: connections(made) < most + 40, "the crowd to shrink")
    assert len(peers(made, "shed")) <= 5 * 20, "lines about strangers are few a second"
    assert {line["why"] for line in peers(made, "shed")} == {"more than max_connections"}
    for peer in crowd:
        peer.close()
    made.wait_for(lambda: any("shed" in line for line in peers(made, "more")), "what had no line to be counted")
    assert made.stop() == 0
    told = len(peers(made, "shed")) + sum(line.get("shed", 0) for line in peers(made, "more"))
    # Some leave by themselves at the end, before they had to.
    assert STRANGERS // 4 <= told <= STRANGERS + 2, told


def test_a_handshake_has_its_time(wall):
    made, port, flow, *_ = wall('handshake_timeout = "300ms"')
    quiet = stranger(port)
    assert is_cut_off(quiet)
    made.wait_for(lambda: peers(made, "handshake_failed"), "a word about it")
    assert peers(made, "handshake_failed")[0]["why"] == "longer than handshake_timeout"
    flow.latencies(10)
    assert made.stop() == 0


def test_oversize_frames_end_their_senders_only(wall):
    made, port, flow, *_ = wall(max_message_bytes="64K")
    figures("alone", flow.latencies(MESSAGES))
    for size in (65537, 1 << 31, (1 << 63) - 1):
        for _ in range(STRANGERS // 10):
            peer = greeted(port)
            peer.sendall(struct.pack(">BQ", 2, size) + bytes(100))
            assert is_cut_off(peer)
            peer.close()
        figures(f"beside frames of {size}", flow.latencies(20))
    assert made.rss_bytes() < 1 << 30
    assert made.stop() == 0
    assert made.counts("jobs")["received"] == flow.next


def endless(port, mebibytes, size=4096):
    """A message of frames of this size that never ends; how much of it was taken, in bytes."""
    peer = greeted(port)
    part = frame(size) * (1 + (1 << 16) // size)
    sent = 0
    peer.settimeout(10)
    try:
        while sent < mebibytes << 20:
            peer.sendall(part)
            sent += len(part)
    except OSError:
        pass
    return peer, sent


def test_a_message_without_end_is_cut_off(wall):
    made, port, flow, *_ = wall(spare=(MEBIBYTES << 20) // 3)
    figures("alone", flow.latencies(MESSAGES))
    for _ in range(2):
        peer, sent = endless(port, MEBIBYTES * 2)
        assert is_cut_off(peer), sent
        say(f"cut off after {sent >> 20} MiB; resident {made.rss_bytes() >> 20} of {made.most >> 20} MiB")
        figures("beside it", flow.latencies(20))
        peer.close()
        if not SANITIZED:  # there freed memory is kept for a while
            made.wait_for(lambda: made.rss_bytes() < made.most, "the memory to come back")
    shed = peers(made, "shed")
    assert len(shed) >= 2 and all("max_rss" in line["why"] for line in shed), shed
    assert all(line["bytes"] > 1 << 20 for line in shed)
    assert made.stop() == 0
    counts = made.counts("jobs")
    assert counts["received"] == counts["forwarded"] == flow.next


def come_and_go(port, halt):
    """One handshake after the other, each cut short once it is answered."""
    while not halt.is_set():
        with contextlib.suppress(OSError), stranger(port, GREETING + READY) as peer:
            peer.settimeout(0.2)
            peer.recv(200)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_half_handshakes_and_quick_ones_together_stop_nobody(wall):
    made, port, flow, *_ = wall()
    silent = [stranger(port) for _ in range(900)]
    halt = threading.Event()
    crowd = [threading.Thread(target=come_and_go, args=(port, halt)) for _ in range(4)]
    for thread in crowd:
        thread.start()
    try:
        time.sleep(0.5)
        figures("beside 900 half handshakes and four that come and go", flow.latencies(300))
        asked = [BINARY, "health", "--live", "--socket", made.state / "control.sock"]
        assert subprocess.run(asked, capture_output=True, timeout=30).returncode == 0
    finally:
        halt.set()
        for thread in crowd:
            thread.join()
        for peer in silent:
            peer.close()
    assert made.stop() == 0


def test_a_consumer_has_nothing_to_say(wall):
    """What it sends would be kept for nobody."""
    made, _, flow, _, target = wall()
    port = int(target.rpartition(":")[2])
    ready = READY.replace(b"PUSH", b"PULL")
    large = greeted(port, ready)
    with contextlib.suppress(OSError):
        large.sendall(frame(1 << 20))
    assert is_cut_off(large)
    endless, begin = greeted(port, ready), time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() < begin + 20:
            endless.sendall(frame(4096))
            time.sleep(0.005)
    assert time.monotonic() < begin + 20
    made.wait_for(lambda: [line for line in peers(made, "shed") if line["why"] == "a consumer has nothing to say"],
                  "a word about it")
    endless.close()
    large.close()
    flow.latencies(10)
    assert made.stop() == 0


def test_there_are_descriptors_for_all_connections(wall):
    """Also in a sandbox, and when the shell gave few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    made, _, flow, *_ = wall()
    limits = pathlib.Path(f"/proc/{made.process.pid}/limits").read_text()
    assert int(re.search(r"Max open files +(\d+)", limits)[1]) >= min(2000, hard)
    flow.latencies(10)
    assert made.stop() == 0
