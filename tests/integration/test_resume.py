# SPDX-License-Identifier: Apache-2.0
"""What a wall makes of the audit log that the last one left: killed, moved away, or not yet begun."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys

import pytest
import zmq
from wall import HOSTILE, ROOT, Wall, channel, tcp

HALF = '{"ts":"2026-11-22T13:22:0'  # of a first line
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of a ULID


class Story:
    def __init__(self, folder, **settings):
        self.source = tcp()
        self.wall = Wall(folder, channel("jobs", in_bind=[self.source], out_bind=[tcp()]), **settings)

    def lines(self, path=None):
        lines = (path or self.wall.log).read_text().splitlines()
        return [json.loads(line) for line in lines if line != HALF]

    def entries(self):
        return [path.stem for path in self.wall.state.glob("quarantine/hold/*.json")]

    def hold_one(self):
        """Refuse a message, and wait for its line."""
        with zmq.Context() as context, context.socket(zmq.PUSH) as push:
            push.connect(self.source)
            push.send(HOSTILE["reduce"])
            self.wall.wait_for(lambda: any("q" in line for line in self.lines()), "the line of a held message")

    def kill(self):
        self.wall.process.kill()
        self.wall.process.wait()

    def store_without_line(self):
        """What a wall leaves that dies between a held message and its line."""
        entry, = self.entries()
        other = entry[:-6] + "".join(random.choices(DIGITS, k=6))
        hold = self.wall.state / "quarantine/hold"
        (hold / f"{other}.json").write_text((hold / f"{entry}.json").read_text().replace(entry, other))
        return other

    def live_once(self):
        self.wall.start()
        assert self.wall.stop() == 0

    def told(self, entry):
        return [line["detail"]["what"] for line in self.lines() if line.get("detail", {}).get("entry") == entry]

    def starts(self):
        return [line["detail"]["chain"]["what"] for line in self.lines() if line["event"] == "start"]


def verify_in_python(wall):
    files = sorted(str(path) for path in wall.state.glob("audit*.jsonl"))
    done = subprocess.run([sys.executable, ROOT / "common/audit/python/picklewall_audit.py", "--key", wall.state / "audit.pub",
                           *files], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def preload(folder, name):
    library = folder / f"{name}.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, ROOT / f"tests/integration/{name}.c"],
                   check=True, timeout=60)
    return {"LD_PRELOAD": str(library),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


def test_the_first_line_of_a_new_wall_does_not_hide_what_the_last_one_left(tmp_path):
    """It died a minute ago, and the new one reads the log back late: `start` is there by then."""
    story = Story(tmp_path)
    right = dict(story.wall.environment)
    story.wall.environment.update(preload(tmp_path, "wrong_clock"), WRONG_CLOCK=str(tmp_path / "clock"))
    (tmp_path / "clock").write_text("-60")
    story.wall.start()
    story.hold_one()
    story.kill()
    entry = story.store_without_line()
    story.wall.environment = {**right, **preload(tmp_path, "late_reader"), "LATE_READER": str(tmp_path / "late")}
    story.live_once()
    assert len((tmp_path / "late").read_bytes()) > 1  # for the chain, and for the messages
    assert story.told(entry) == ["recovered"]
    story.wall.verify_log()


def test_a_life_begins_with_start_also_when_the_disk_is_nearly_full(tmp_path):
    story = Story(tmp_path, audit_more='space_low = "99%"\nspace_critical = "0%"')
    story.live_once()
    events = [line["event"] for line in story.lines()]
    assert events == ["start", "error", "stop", "checkpoint"] or events == ["start", "stop", "error", "checkpoint"]
    (story.wall.state / "audit.chain").unlink()
    story.live_once()  # another chain, in the same file
    assert [line["event"] for line in story.lines() if line["seq"] == 1] == ["start", "start"]
    story.wall.verify_log()


@pytest.mark.parametrize("log", [None, "", HALF])
def test_a_crash_right_behind_a_rotation_loses_neither_the_chain_nor_a_held_message(tmp_path, log):
    """Between the rename and the first line of the new log: there is none, an empty one, or half of that line."""
    story = Story(tmp_path)
    wall = story.wall.start()
    story.hold_one()
    story.kill()
    entry = story.store_without_line()
    wall.log.rename(wall.state / "audit-20261122T132200Z-4.jsonl")
    if log is not None:
        wall.log.write_text(log)
    story.live_once()
    assert story.starts() == ["recovered"]
    assert story.told(entry) == ["recovered"]
    assert [line["event"] for line in story.lines()].count("error") == 0
    wall.verify_log()
    verify_in_python(wall)


def test_an_old_log_that_was_compressed_is_named_and_nothing_is_taken_for_certain(tmp_path):
    story = Story(tmp_path)
    wall = story.wall.start()
    story.hold_one()
    story.kill()
    old = wall.state / "audit.jsonl.1.gz"
    old.write_bytes(gzip.compress(wall.log.read_bytes()))
    wall.log.unlink()
    story.live_once()
    error, = [line["error"] for line in story.lines() if line["event"] == "error"]
    assert "neither here nor in a file beside it" in error and f"{old.name} beside it is compressed" in error
    found, = [line["detail"] for line in story.lines() if line["event"] == "quarantine"]
    assert found == {"what": "unchecked", "held": 1}
    assert b"whether each of 1 held messages has a line" in wall.words.read_bytes()


def test_a_line_that_may_be_in_an_old_log_is_written_as_such(tmp_path):
    """The log has a line since it was moved away and compressed, but not that of the message."""
    story = Story(tmp_path)
    wall = story.wall.start()
    story.hold_one()
    entry, = story.entries()
    wall.log.rename(wall.state / "moved")
    wall.signal(signal.SIGUSR1)
    wall.wait_for(lambda: wall.log.exists() and story.lines(), "another log")
    story.kill()
    story.live_once()
    found, = [line["detail"] for line in story.lines() if line["event"] == "quarantine"]
    assert (found["what"], found["entry"], found["may_be_told"]) == ("recovered", entry, True)
    (wall.state / "moved").rename(wall.state / "audit-1.jsonl")
    wall.verify_log()
