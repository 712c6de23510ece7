# SPDX-License-Identifier: Apache-2.0
"""The log's file moves away, is cut, or grows too large, under load: each line is in some file, once."""

import gzip
import json
import pickle
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
import zmq
from wall import BINARY, ROOT, Wall, channel, tcp

PACE_S = 0.0005


class Stream(threading.Thread):
    """Numbers through the wall, one at a time, until it is told to end."""

    def __init__(self, source, target, sockets):
        super().__init__()
        self.push, self.pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        self.halt, self.count = threading.Event(), 0

    def run(self):
        while not self.halt.is_set():
            self.push.send(pickle.dumps(self.count))
            assert pickle.loads(self.pull.recv()) == self.count
            self.count += 1
            time.sleep(PACE_S)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.halt.set()
        self.join()


@pytest.fixture(name="make")
def fixture_make(tmp_path, sockets):
    def make(audit_more=""):
        source, target = tcp(), tcp()
        wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target]), audit_more=audit_more)
        return wall, Stream(source, target, sockets)

    return make


def read(path):
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def all_lines(wall):
    """Of all files, in order; whole, and without a gap."""
    lines = sorted((line for path in wall.state.glob("audit*jsonl*") for line in read(path)),
                   key=lambda line: line["seq"])
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    if not list(wall.state.glob("*.gz")):
        wall.verify_log()
    return lines


def passes(lines):
    return sum(line.get("verdict") == "pass" for line in lines) + sum(
        line["summary"]["messages"] for line in lines if line["event"] == "summary")


def rotations(lines):
    return [line.get("detail", {}) for line in lines if line["event"] == "rotate"]


def first_line(path):
    with open(path, "rb") as file:
        return file.readline()


def wait_for_rotate_line(wall):
    wall.wait_for(lambda: wall.log.exists() and b'"event":"rotate"' in first_line(wall.log), "a new file")


def test_a_large_file_moves_aside_and_only_the_newest_stay(make):
    wall, stream = make('rotate_size = "32K"\nrotate_keep = 3')
    with wall:
        with stream:
            wall.wait_for(lambda: stream.count > 1500, "messages")
    old = sorted(wall.state.glob("audit-*.jsonl"))
    assert len(old) == 3
    seqs = [int(re.fullmatch(r"audit-\d{8}T\d{6}Z-(\d+)\.jsonl", path.name).group(1)) for path in old]
    for path, seq in zip(old, seqs):
        assert read(path)[-1]["seq"] == seq  # the name says which line is its last
        assert path.stat().st_size < (32 << 10) + (16 << 10)
    files = [read(path) for path in [*old, wall.log]]
    lines = [line for file in files for line in file]
    assert [line["seq"] for line in lines] == list(range(lines[0]["seq"], lines[-1]["seq"] + 1))
    wall.verify_log(2)  # the oldest are gone
    for before, file in zip(old, files[1:]):
        assert file[0]["event"] == "rotate" and file[0]["detail"] == {"from": before.name}


def test_an_old_file_moves_aside_but_not_one_without_news(make):
    wall, stream = make('rotate_age = "1s"')
    with wall:
        with stream:
            wall.wait_for(lambda: list(wall.state.glob("audit-*.jsonl")), "the first rotation")
        wait_for_rotate_line(wall)
        time.sleep(2.2)
        count = len(list(wall.state.glob("audit-*.jsonl")))
        time.sleep(2.2)
        assert len(list(wall.state.glob("audit-*.jsonl"))) == count  # idle: nothing to move
    assert passes(all_lines(wall)) == stream.count


def test_logrotate_takes_whole_files_away(make, tmp_path):
    wall, stream = make()
    shipped = (ROOT / "config/logrotate/picklewall").read_text()
    config = tmp_path / "logrotate.conf"
    text = shipped.replace("/var/lib/picklewall/audit.jsonl", str(wall.log))
    text = text.replace("picklewall ctl reopen", f"{BINARY} ctl reopen --socket {wall.state}/control.sock")
    assert text.count(str(wall.state)) == 2
    config.write_text(text)

    def rotate():
        done = subprocess.run(["/usr/sbin/logrotate", "--force", "--state", tmp_path / "status", config],
                              capture_output=True, text=True, timeout=60, env=wall.environment)
        assert (done.returncode, done.stderr) == (0, "")

    with wall:
        with stream:
            for count in (200, 400, 600):
                wall.wait_for(lambda n=count: stream.count > n, "messages")
                rotate()
                size = (wall.state / "audit.jsonl.1").stat().st_size
                time.sleep(0.2)
                assert (wall.state / "audit.jsonl.1").stat().st_size == size  # nobody writes to it any more
        wait_for_rotate_line(wall)
    assert {path.name for path in wall.state.glob("audit.jsonl*")} == {
        "audit.jsonl", "audit.jsonl.1", "audit.jsonl.2.gz", "audit.jsonl.3.gz"}
    lines = all_lines(wall)
    assert passes(lines) == stream.count
    assert rotations(lines) == [{}, {}, {}]
    rotate_without_a_wall = subprocess.run(["/usr/sbin/logrotate", "--force", "--state", tmp_path / "status", config],
                                           capture_output=True, text=True, timeout=60, env=wall.environment)
    assert rotate_without_a_wall.returncode == 0


@pytest.mark.parametrize("how", ["SIGHUP", "SIGUSR1", "idle"])
def test_a_file_that_was_moved_is_left(make, how):
    wall, stream = make()
    moved = wall.state / "audit.jsonl.1"
    with wall:
        with stream:
            wall.wait_for(lambda: stream.count > 50, "messages")
            if how != "idle":
                wall.log.rename(moved)
                wall.signal(getattr(signal, how))
                wait_for_rotate_line(wall)
        if how == "idle":
            time.sleep(0.1)
            wall.log.rename(moved)
            at = time.monotonic()
            wait_for_rotate_line(wall)
            assert time.monotonic() - at < 2
    lines = all_lines(wall)
    assert passes(lines) == stream.count and rotations(lines) == [{}]


def test_to_open_the_same_file_again_is_no_rotation(make):
    wall, stream = make()
    with wall:
        wall.signal(signal.SIGUSR1)
        time.sleep(0.2)
    assert rotations(all_lines(wall)) == []


@pytest.mark.parametrize("how", ["busy", "idle"])
def test_a_file_that_is_cut_is_told_of(make, how):
    wall, stream = make()
    copy = wall.state / "audit.jsonl.1"
    with wall:
        with stream:
            wall.wait_for(lambda: stream.count > 200, "messages")
            if how == "busy":
                wall.log.write_bytes(b"")
                wait_for_rotate_line(wall)
                wall.wait_for(lambda n=stream.count: stream.count > n + 50, "messages")
        if how == "idle":
            time.sleep(0.2)
            shutil.copy(wall.log, copy)
            wall.log.write_bytes(b"")
            wait_for_rotate_line(wall)
    lines = read(wall.log)
    assert lines[0]["detail"] == {"truncated": True} and lines[0]["level"] == "medium"
    if how == "idle":
        assert passes(all_lines(wall)) == stream.count
