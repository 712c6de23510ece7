# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment, under load, again and again.

A wall that dies loses what lies in its queues and in its kernel's; nobody can tell these messages from
ones that were never sent. What it has judged is another matter. One producer, one consumer and one
channel keep their order, so in each life of the wall everything before the last message that came
out of it must have come out of it, too: to the consumer, or into the quarantine. After each kill the log
verifies but for its end; after a stop it is whole, and so is the quarantine.

    KILLS=12   how many kills
"""

import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import time

import peers
from wall import BINARY, Wall, channel, tcp

KILLS = int(os.environ.get("KILLS", "12"))
LIFE = 50  # kills of one state folder
RATE, EVERY = 3000, 40
SETTLED = 0.04  # the consumer takes nothing for so long: the kernel has delivered what it had
STATES = ("hold", "releasing", "released", "purged")


class Story:
    """One state folder, and what has come out of the wall so far."""

    def __init__(self, folder):
        source, target = tcp(), tcp()
        self.taken_path = folder / "taken"
        folder.mkdir()
        self.taken_path.touch()
        self.producer = peers.spawn("mixed", source, RATE, EVERY, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.consumer = peers.spawn("consume", target, self.taken_path, 0, 0)
        lane = channel("jobs", in_bind=[source], out_bind=[target], in_more="hwm = 100\nbuffer = 16384",
                       out_more="hwm = 100")
        self.wall = Wall(folder / "wall", lane)
        self.taken = 0  # of the consumer's, seen in earlier lives
        self.entries = {}  # ULID: number
        self.last = -1  # number of the last message that came out
        self.lost = 0

    def end(self):
        self.producer.stdin.close()
        for process in (self.producer, self.consumer):
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()

    def settle(self):
        """Until the consumer has what the dead wall's kernel still held, and waits for more."""
        size, since = -1, time.monotonic()
        while time.monotonic() - since < SETTLED:
            now = self.taken_path.stat().st_size
            if now != size or wants_to_run(self.consumer.pid):
                size, since = now, time.monotonic()
            time.sleep(0.005)

    def new_numbers(self):
        with open(self.taken_path, "rb") as taken:
            taken.seek(4 * self.taken)
            data = taken.read()
        numbers = [int.from_bytes(data[at:at + 4], "big") - peers.FIRST for at in range(0, len(data), 4)]
        self.taken += len(numbers)
        return numbers

    def new_entries(self):
        """Of each state: an entry is whole, stands in one of them, and its object is whole, too."""
        found = {}
        for state in STATES:
            for path in (self.wall.state / "quarantine" / state).glob("*.json"):
                assert path.stem not in found, f"{path.stem} is in two states"
                found[path.stem] = path
        assert set(self.entries) <= set(found), "an entry has vanished"
        new = {ulid: held_number(self.wall, path) for ulid, path in found.items() if ulid not in self.entries}
        self.entries.update(new)
        return sorted(new.values())

    def check_log(self):
        """It verifies, and what no checkpoint has sealed is what stands behind the last one."""
        found = verify(self.wall, "--json")
        if not self.wall.log.exists():
            return
        assert found.returncode == 2, found.stdout + found.stderr  # open: nothing is wrong, it was killed
        told = json.loads(found.stdout)
        lines = whole_lines(self.wall)
        assert not told["faults"] and told["lines"] == self.wall.log.read_bytes().count(b"\n")
        sealed = [line["checkpoint"]["size"] for line in lines if line["event"] == "checkpoint"]
        if not lines:
            return
        chain, = told["chains"]
        assert (chain["first"], chain["last"]) == (1, lines[-1]["seq"])
        assert chain["sealed"] == max(sealed, default=0)

    def check_life(self):
        """What came out since the last look, in order and without a gap."""
        passed, held = self.new_numbers(), self.new_entries()
        assert passed == sorted(set(passed)), "doubled, or out of order"
        assert not any(peers.is_hostile(number, EVERY) for number in passed)
        if not passed and not held:
            return
        first = min(passed[:1] + held[:1])
        assert first > self.last, "a message of an earlier life"
        self.lost += first - self.last - 1
        # Nothing says what was handed to libzmq behind the last delivery, and died with it.
        until = passed[-1] if passed else first
        known = set(passed) | set(held)
        missing = [number for number in range(first, until) if number not in known]
        assert not missing, f"neither forwarded nor held: {missing[:10]} of {first} to {until}"
        self.last = max(known)


def wants_to_run(pid):
    """On a busy machine one that stands still may only be waiting for its turn."""
    stats = [path.read_text() for path in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]
    return any(stat.rpartition(")")[2].split()[0] == "R" for stat in stats)


def verify(wall, *more):
    return subprocess.run([BINARY, "audit", "verify", "--config", str(wall.config), *more], capture_output=True,
                          text=True, timeout=60)


def quarantine_check(wall):
    return subprocess.run([BINARY, "quarantine", "check", "--config", str(wall.config)], capture_output=True,
                          timeout=60).returncode


def whole_lines(wall):
    lines = []
    for text in wall.log.read_bytes().rpartition(b"\n")[0].splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue  # cut short by a kill
    return lines


def held_number(wall, path):
    """The number in a held message; its object must be whole."""
    entry = json.loads(path.read_bytes())
    name = entry["object"]
    data = (wall.state / "quarantine/obj" / name[:2] / name).read_bytes()
    assert hashlib.sha256(data[:-32]).hexdigest() == name == data[-32:].hex()
    if entry["reason"] == "drain.timeout":  # a slow disk kept the refused before it for so long
        return peers.number_in(data)
    assert entry["reason"] == "import.denied"
    return int(data[:-32].rpartition(b"# ")[2].partition(b"\x94")[0])


def kill_at_some_moment(story, chance):
    """Mostly at work, now and then while it starts."""
    wall = story.wall
    if chance.random() < 0.15:
        wall.start(wait=False)
        time.sleep(chance.uniform(0, 0.1))
    else:
        wall.start()
        time.sleep(chance.expovariate(1 / 0.15))
    wall.signal(signal.SIGKILL)
    wall.process.wait()


def entries_told(wall):
    """The entries that the log names: by the line of their message, or by that of the next wall's start."""
    told = []
    for line in whole_lines(wall):
        if "q" in line or line.get("detail", {}).get("what") == "recovered":
            told.append(line["q"]["entry"] if "q" in line else line["detail"]["entry"])
    return sorted(told)


def test_after_each_kill_everything_judged_is_delivered_or_held(tmp_path):
    chance = random.Random(7)
    lost = delivered = held = 0
    for begin in range(0, KILLS, LIFE):
        story = Story(tmp_path / str(begin))
        try:
            for _ in range(begin, min(begin + LIFE, KILLS)):
                kill_at_some_moment(story, chance)
                story.settle()
                story.check_life()
                story.check_log()
            story.wall.start()
            assert story.wall.stop(180) == 0  # a slow disk has thousands to keep
            story.settle()
            story.check_life()
            assert verify(story.wall).returncode == 0
            assert quarantine_check(story.wall) == 0
            assert entries_told(story.wall) == sorted(story.entries)
        finally:
            story.end()
        lost, delivered, held = lost + story.lost, delivered + story.taken, held + len(story.entries)
    assert delivered > KILLS and held > 0
    print(f"{KILLS} kills: {delivered} delivered, {held} held, {lost} lost with queues")
