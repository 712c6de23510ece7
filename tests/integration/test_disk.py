# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, broken, read-only or slow, under load: the wall waits, and nothing is lost or untold.

The figures of each trouble are printed (pytest -s): messages, how long it held, how soon it was over.
"""

import collections
import json
import os
import pickle
import subprocess
import threading
import time

import pytest
import zmq
from wall import BINARY, ROOT, Wall, channel, tcp, write_in_place

HOLD_S = float(os.environ.get("DISK_HOLD_S", "0.3"))  # how long each trouble lasts once it is felt
RATE = 1000  # messages a second
QUIET_S = 0.2  # nothing for so long: they are held back
SOON_S = 2.5  # after which everything flows again
REFUSED = 10  # every so many messages one is not allowed


def message(number):
    """A number, or for some of them a call of the id command, each with a name of its own."""
    return f"cos\nsystem\n(S'id {number}'\ntR.".encode() if number % REFUSED == 0 else pickle.dumps(number)


class IllDisk:
    """What makes calls below a folder fail, by a library that is loaded in front of the C library."""

    def __init__(self, folder, under):
        self.library, self.mode, self.under = folder / "slow_disk.so", folder / "disk", under
        self.hits = folder / "disk.hits"
        subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", self.library,
                        ROOT / "tests/integration/slow_disk.c"], check=True, timeout=60)
        self.set("ok")

    def set(self, mode):
        write_in_place(self.mode, mode)

    def faults(self):
        return self.hits.stat().st_size if self.hits.exists() else 0

    def environment(self):
        return {
            "LD_PRELOAD": str(self.library),
            "SLOW_DISK": str(self.mode),
            "SLOW_DISK_UNDER": str(self.under),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
        }


class Producer(threading.Thread):
    """Numbered messages at a steady rate; a wall that holds back makes it wait."""

    def __init__(self, address):
        super().__init__()
        self.address, self.halt, self.sent = address, threading.Event(), 0

    def run(self):
        context = zmq.Context()
        push = context.socket(zmq.PUSH)
        push.linger, push.sndhwm, push.sndbuf, push.sndtimeo = 20000, 10, 4096, 100
        push.connect(self.address)
        start = time.monotonic()
        while not self.halt.is_set():
            try:
                push.send(message(self.sent))
            except zmq.Again:
                start += 0.1
                continue
            self.sent += 1
            ahead = self.sent / RATE - (time.monotonic() - start)
            if ahead > 0.005:
                time.sleep(ahead)
        push.close()
        context.term()


class Consumer(threading.Thread):
    """What came, and when."""

    def __init__(self, address):
        super().__init__()
        self.address, self.halt, self.got, self.times = address, threading.Event(), [], []

    def run(self):
        context = zmq.Context()
        pull = context.socket(zmq.PULL)
        pull.connect(self.address)
        while not self.halt.is_set():
            if pull.poll(20):
                self.got.append(pickle.loads(pull.recv()))
                self.times.append(time.monotonic())
        pull.close(0)
        context.term()

    def first_after(self, when):
        return next(at for at in list(self.times) if at > when)


class Load:
    """A wall between a producer and a consumer, and the books at the end."""

    def __init__(self, folder, audit_more="", more="", environment=(), state=None):
        source, target = tcp(), tcp()
        self.wall = Wall(folder, channel("jobs", in_bind=[source], out_bind=[target], in_more="hwm = 10\nbuffer = 4096"),
                         audit_more=audit_more, more=more, environment=environment)
        if state is not None:
            self.wall.config.write_text(self.wall.config.read_text().replace(str(self.wall.state), str(state)))
            self.wall.state, self.wall.log = state, state / "audit.jsonl"
        self.producer, self.consumer = Producer(source), Consumer(target)

    def __enter__(self):
        self.wall.start()
        self.consumer.start()
        self.producer.start()
        self.flows()
        return self

    def __exit__(self, kind, *rest):
        self.producer.halt.set()
        self.producer.join()
        if kind is None:
            passed = self.producer.sent - (self.producer.sent + REFUSED - 1) // REFUSED
            self.wall.wait_for(lambda: len(self.consumer.got) >= passed, f"{passed} messages")
        self.wall.__exit__(kind, *rest)
        self.consumer.halt.set()
        self.consumer.join()

    def flows(self):
        """Wait until something arrives that was not there before; when."""
        now = time.monotonic()
        self.wall.wait_for(lambda: self.consumer.times and self.consumer.times[-1] > now, "messages")
        return self.consumer.first_after(now)

    def said(self):
        return self.wall.words.read_bytes().count(b"nothing is received until")

    def trouble(self, name, begin, end, holds, met=lambda: True):
        """Let it last, until it is `met`, and say how it went. `holds`: soon nothing arrives any more,
        until it ends."""
        before, said = len(self.consumer.got), self.said()
        begin()
        if holds:
            self.wall.wait_for(lambda: self.said() > said, f"words about {name}")
            self.wall.wait_for(lambda: time.monotonic() - self.consumer.times[-1] > QUIET_S,
                               f"{name} to hold the producers back")
        count = len(self.consumer.got)
        time.sleep(HOLD_S)
        self.wall.wait_for(met, f"{name} to be met")
        during = len(self.consumer.got) - count
        held = time.monotonic() - self.consumer.times[-1]
        over = time.monotonic()
        end()
        self.flows()
        back = self.consumer.first_after(over)
        print(f"{name:28} {len(self.consumer.got) - before:6} messages, held {held * 1000:5.0f} ms, "
              f"flows {1000 * (back - over):5.0f} ms after it")
        assert back - over < SOON_S, f"{name}: it took {back - over:.1f} s to recover"
        if holds:
            assert during == 0, f"{name}: {during} messages were taken whose lines could not be written"

    def check(self):
        """Everything that was sent came through once or is held once, and is told of once."""
        sent = range(self.producer.sent)
        assert self.consumer.got == [number for number in sent if number % REFUSED != 0]
        lines = log_lines(self.wall.state)
        frames = [line for line in lines if line["event"] == "frame"]
        passes = sum(line["verdict"] == "pass" for line in frames)
        passes += sum(line["summary"]["messages"] for line in lines if line["event"] == "summary")
        refused = collections.Counter(line["msg"]["sha256"] for line in frames if line["verdict"] == "quarantine")
        bad = len(sent) - len(self.consumer.got)
        assert (passes, len(refused), sum(refused.values())) == (len(self.consumer.got), bad, bad)
        assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
        assert sum(line.get("lost", 0) for line in lines) == 0
        held = collections.Counter(entry["object"] for entry in self.wall.held())
        assert set(held) == set(refused)
        self.wall.verify_log()
        return lines


def log_lines(state):
    """Of all files, in order."""
    lines = [json.loads(line) for path in state.glob("audit*.jsonl") for line in path.read_bytes().splitlines()]
    return sorted(lines, key=lambda line: line["seq"])


MODES = ["enospc", "eio", "eio_sync", "readonly", "slow=100"]


def test_the_audit_log_outlives_every_trouble_of_its_disk(tmp_path):
    state = tmp_path / "wall/state"
    disk = IllDisk(tmp_path, state / "audit")
    with Load(tmp_path / "wall", environment=disk.environment()) as load:
        for mode in MODES:
            hits = disk.faults()
            load.trouble(f"audit log, {mode}", lambda m=mode: disk.set(m), lambda: disk.set("ok"),
                         not mode.startswith("slow"), lambda h=hits: disk.faults() > h)
    lines = load.check()
    told = [line["error"] for line in lines if line["event"] == "error"]
    for words in ["No space left", "Input/output error", "fdatasync", "Read-only file system"]:
        assert any(words in text for text in told), (words, told)


def test_a_failed_sync_holds_the_producers_back(tmp_path):
    """With sync = each the first refusal notices."""
    disk = IllDisk(tmp_path, tmp_path / "wall/state/audit")
    with Load(tmp_path / "wall", audit_more='sync = "each"', environment=disk.environment()) as load:
        load.trouble("audit log, sync each, eio_sync", lambda: disk.set("eio_sync"), lambda: disk.set("ok"), True)
        assert disk.faults() > 0
    load.check()


def test_the_quarantine_outlives_every_trouble_of_its_disk(tmp_path):
    state = tmp_path / "wall/state"
    disk = IllDisk(tmp_path, state / "quarantine")
    more = 'quarantine\n    on_full = "stop"'
    with Load(tmp_path / "wall", environment=disk.environment(), more=more) as load:
        for mode in MODES:
            hits = disk.faults()
            holds = not mode.startswith("slow")  # the first refusal stands before everything behind it
            load.trouble(f"quarantine, {mode}", lambda m=mode: disk.set(m), lambda: disk.set("ok"), holds,
                         lambda h=hits: disk.faults() > h)
    load.check()


@pytest.fixture(name="small_disk")
def fixture_small_disk(tmp_path):
    """A file system of 32 MiB of its own, or nothing where mounting is not allowed."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=0700", "picklewall-test", folder],
                          capture_output=True, text=True, timeout=60)
    yield folder if made.returncode == 0 else None
    if made.returncode == 0:
        subprocess.run(["umount", "-l", folder], check=True, timeout=60)


def fill(folder):
    with open(folder / "ballast", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass


def test_a_disk_that_is_really_full_is_waited_for(tmp_path, small_disk):
    if small_disk is None:  # not root, or in a container: the library in front of libc stands in
        print("mounting is not allowed here: ENOSPC comes from slow_disk.c")
        disk = IllDisk(tmp_path, tmp_path / "wall/state")
        begin, end = lambda: disk.set("enospc"), lambda: disk.set("ok")
        load = Load(tmp_path / "wall", environment=disk.environment(), more='quarantine\n    on_full = "stop"')
    else:
        begin, end = lambda: fill(small_disk), (small_disk / "ballast").unlink
        load = Load(tmp_path / "wall", state=small_disk / "state", audit_more='space_critical = "0"',
                    more='quarantine\n    on_full = "stop"\n    min_free = "0"')
    with load:
        load.trouble("everything, a full disk", begin, end, True)
    load.check()


def test_below_its_mark_a_disk_counts_as_full(tmp_path):
    disk = IllDisk(tmp_path, tmp_path / "wall/state/audit")
    load = Load(tmp_path / "wall", environment=disk.environment())

    def wait_for_words(words):
        load.wall.wait_for(lambda: words in load.wall.words.read_text(), words)

    def begin():
        disk.set("scarce")
        wait_for_words("less than audit.space_critical")

    with load:
        load.trouble("below space_critical", begin, lambda: disk.set("ok"), True)
        wait_for_words("there is room on the disk again")
    lines = load.check()
    low = [line for line in lines if line.get("detail", {}).get("what") == "audit.space_low"]
    assert low and low[0]["level"] == "medium" and low[0]["detail"]["free"] < low[0]["detail"]["total"]


def test_degraded_messages_go_on_and_are_counted(tmp_path):
    disk = IllDisk(tmp_path, tmp_path / "wall/state/audit")
    with Load(tmp_path / "wall", audit_more='on_full = "degrade"\nqueue = 256', environment=disk.environment()) as load:
        disk.set("enospc")
        before = load.producer.sent
        load.wall.wait_for(lambda: load.producer.sent > before + 4000, "messages to go on")
        status = subprocess.run([BINARY, "ctl", "status", "--json", "--config", load.wall.config], check=True,
                                capture_output=True, env=load.wall.environment, timeout=60)
        audit = json.loads(status.stdout)["audit"]
        assert audit["ready"] is True and "No space left" in audit["error"] and audit["lost"] > 0
        disk.set("ok")
        load.wall.wait_for(lambda: b"audit log is written again" in load.wall.words.read_bytes(), "the end of it")
    load.wall.verify_log()
    lines = log_lines(load.wall.state)
    passes = sum(line.get("verdict") == "pass" for line in lines)
    passes += sum(line["summary"]["messages"] for line in lines if line["event"] == "summary")
    refused = sum(line.get("verdict") == "quarantine" for line in lines)
    lost = sum(line.get("lost", 0) for line in lines)
    assert passes == len(load.consumer.got) and lost >= audit["lost"]
    assert passes + refused + lost == load.producer.sent
    assert len(load.wall.held()) == refused + lost  # what has no line is in quarantine all the same


def test_a_log_that_cannot_be_written_does_not_hold_up_the_end(tmp_path):
    disk = IllDisk(tmp_path, tmp_path / "wall/state/audit")
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[tcp()], out_bind=[tcp()]), drain="0s",
                environment=disk.environment())
    with wall:
        disk.set("enospc")
        begun = time.monotonic()
        assert wall.stop(20) == 0
        assert 4 < time.monotonic() - begun < 10  # it gets five seconds
    assert "it cannot be written, and there is no more time" in wall.words.read_text()
    wall.kills += 1  # half a line is all that the last write could do
    wall.verify_log(2)
