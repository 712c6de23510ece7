# SPDX-License-Identifier: Apache-2.0
"""What leaves the quarantine for good is told, whatever happens meanwhile, and nobody waits for it."""
import json
import signal
import socket
import subprocess
import time

import pytest
import zmq

from test_disk import IllDisk
from wall import BINARY, HOSTILE, Wall, channel, tcp

COUNT = 48
NO_NOTES = (b"", b'"what":"x"\n', b'"what":"x"},"id":"y"', bytes(40), b'"what":')


@pytest.fixture
def wall(tmp_path, sockets):
    source, target = tcp(), tcp()
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target]))
    wall.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    wall.disk = IllDisk(tmp_path, wall.state / "quarantine")
    wall.environment.update(wall.disk.environment())
    wall.start()
    push = sockets(zmq.PUSH, connect=[source])
    for number in range(COUNT):
        push.send(HOSTILE["reduce"] + b"#%d" % number)
    wall.wait_for(lambda: len(names(wall, "hold")) == COUNT, "the messages")
    yield wall
    wall.disk.set("ok")
    wall.__exit__(None)


def names(wall, state):
    return sorted(path.stem for path in wall.state.glob(f"quarantine/{state}/*.json"))


def begin_purge(wall, ids):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(wall.state / "control.sock"))
    peer.sendall(b"purge " + json.dumps({"ids": ids, "reason": "noise"}).encode() + b"\n")
    return peer


def answer(peer):
    with peer:
        return json.loads(peer.makefile("rb").readline())


def details(wall, what="purge"):
    return [line["detail"] for line in wall.lines()
            if line["event"] == "quarantine" and line["detail"]["what"] == what]


def named(wall):
    return {entry for detail in details(wall) for entry in detail["entries"]}


def test_a_purge_that_a_kill_ends_is_told_by_the_next_wall(wall):
    wall.disk.set("slow=10")
    with begin_purge(wall, names(wall, "hold")):
        wall.wait_for(lambda: len(names(wall, "purged")) >= 5, "the first to go")
        wall.process.send_signal(signal.SIGKILL)
        wall.process.wait()
    wall.count_kill()
    purged = names(wall, "purged")
    assert 5 <= len(purged) < COUNT
    wall.disk.set("ok")
    wall.start()
    wall.wait_for(lambda: details(wall), "the line")
    assert set(purged) <= named(wall)
    wall.stop()
    assert names(wall, "notes") == []


def test_what_is_forgotten_is_told_though_a_kill_ends_it(wall):
    assert answer(begin_purge(wall, names(wall, "hold")))["purged"] == COUNT
    wall.stop()
    wall.config.write_text(wall.config.read_text() + "quarantine\n    max_messages = 4\n")
    wall.disk.set("slow=20")
    wall.start()
    wall.wait_for(lambda: len(names(wall, "purged")) < COUNT, "the first to go")
    wall.process.send_signal(signal.SIGKILL)
    wall.process.wait()
    left = names(wall, "purged")
    assert 4 < len(left) < COUNT
    assert not details(wall, "forgotten")
    wall.disk.set("ok")
    wall.start()
    wall.wait_for(lambda: len(names(wall, "purged")) == 4, "the rest to go")
    wall.stop()
    told = details(wall, "forgotten")
    assert "note" in told[0] and told[0]["count"] == COUNT - 4
    assert sum(detail["count"] for detail in told[1:]) == len(left) - 4
    assert names(wall, "notes") == []


def test_signals_are_heard_while_a_slow_disk_purges(wall):
    wall.disk.set("slow=50")
    peer = begin_purge(wall, names(wall, "hold"))
    wall.wait_for(lambda: names(wall, "purged"), "the first to go")
    start = time.monotonic()
    wall.signal(signal.SIGTERM)
    wall.wait_for(lambda: b"stopping" in wall.words.read_bytes(), "the word")
    assert time.monotonic() - start < 1.5
    said = answer(peer)
    assert not said["ok"] and "ask again" in said["error"]
    wall.disk.set("ok")
    wall.stop()
    assert 1 <= said["purged"] == len(names(wall, "purged")) < COUNT
    assert sorted(named(wall)) == names(wall, "purged")


def test_what_has_moved_is_told_though_the_disk_promises_nothing(wall):
    first, second = names(wall, "hold")[:2]
    wall.stop()
    done = subprocess.run([BINARY, "quarantine", "purge", "--state", wall.state, "--reason", "x", first],
                          capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    notes = wall.state / "quarantine/notes"
    (notes / "01AAAAAAAAAAAAAAAAAAAAAAAA.json").write_bytes(b"x" * 70000)
    for number, text in enumerate(NO_NOTES):
        (notes / f"01AAAAAAAAAAAAAAAAAAAAAAA{number}.json").write_bytes(text)
    wall.start()
    wall.wait_for(lambda: named(wall) == {first}, "the note behind one that cannot be read")
    wall.disk.set("eio_sync")  # no note can be made, so its line goes first
    said = answer(begin_purge(wall, [second]))
    assert said["ok"] and said["purged"] == 1
    wall.disk.set("ok")
    assert named(wall) == {first, second} and len(details(wall)) == 2
    wall.stop()
    # Told was the other.
    assert names(wall, "notes") == [*(f"01AAAAAAAAAAAAAAAAAAAAAAA{n}" for n in range(len(NO_NOTES))), "01" + "A" * 24]
