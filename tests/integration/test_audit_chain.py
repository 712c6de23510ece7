# SPDX-License-Identifier: Apache-2.0
"""The chain of audit lines under a real wall: restarts, crashes, a log that is gone, and audit verify."""

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import pytest
import zmq
from test_disk import IllDisk
from wall import BINARY, ROOT, SCHEMA, Wall, channel, tcp

sys.path.insert(0, str(ROOT / "common/audit/python"))
import picklewall_audit  # noqa: E402

COMPLETE, BROKEN, OPEN = 0, 1, 2


def verify(*args, code=None):
    done = subprocess.run([BINARY, "audit", "verify", *map(str, args)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def both(wall, *files, code):
    """C without the state file, C with it, and Python: they must agree on what the files show."""
    files = files or (wall.log,)
    key = wall.state / "audit.pub"
    alone = verify("--key", key, *files, code=code)
    found = picklewall_audit.verify(files, [key.read_text()])
    assert picklewall_audit.EXIT[found.verdict] == code, found
    return alone


class Traffic:
    def __init__(self, folder, **settings):
        self.source, self.target = tcp(), tcp()
        self.wall = Wall(folder, channel("jobs", in_bind=[self.source], out_bind=[self.target]), **settings)
        self.context = zmq.Context()
        self.push, self.pull = self.context.socket(zmq.PUSH), self.context.socket(zmq.PULL)
        for socket, address in ((self.push, self.source), (self.pull, self.target)):
            socket.linger = 0
            socket.connect(address)

    def send(self, count):
        for number in range(count):
            self.push.send(pickle.dumps(number))
        for _ in range(count):
            assert self.pull.poll(20000)
            self.pull.recv()

    def close(self):
        self.context.destroy(linger=0)
        if self.wall.process is not None and self.wall.process.poll() is None:
            self.wall.process.kill()
            self.wall.process.wait()


@pytest.fixture
def traffic(tmp_path):
    made = Traffic(tmp_path / "wall")
    yield made
    made.close()


def run_once(traffic, count=20):
    traffic.wall.start()
    traffic.send(count)
    assert traffic.wall.stop() == 0


def crash(traffic, count=20):
    """kill -9 when the lines have reached the file."""
    traffic.wall.start()
    traffic.send(count)
    before = len(traffic.wall.frames())
    traffic.wall.wait_for(lambda: len(traffic.wall.frames()) >= min(before, count), "lines")
    time.sleep(0.2)
    traffic.wall.process.kill()
    traffic.wall.process.wait()


def chain_of(wall):
    """What the newest start says."""
    starts = [line for line in wall.log.read_bytes().splitlines() if b'"event":"start"' in line]
    return json.loads(starts[-1])["detail"]["chain"]


def test_a_log_that_was_closed_is_complete(traffic):
    run_once(traffic)
    wall = traffic.wall
    for line in wall.lines():
        SCHEMA.validate(line)
    events = [line["event"] for line in wall.lines()]
    assert events[0] == "start" and events[-2:] == ["stop", "checkpoint"]
    assert chain_of(wall) == {"what": "new"}
    assert "closed at seq" in both(wall, code=COMPLETE).stdout
    verify("--config", wall.config, code=COMPLETE)
    found = json.loads(verify("--config", wall.config, "--json", code=COMPLETE).stdout)
    assert (found["verdict"], found["faults_total"], found["lines"]) == ("complete", 0, len(events))
    assert found["chains"][0]["first"] == 1 and found["chains"][0]["closed"]


def test_a_chain_goes_on_over_restarts_and_files(traffic):
    wall = traffic.wall
    run_once(traffic)
    run_once(traffic)
    assert chain_of(wall) == {"what": "continued"}
    old = wall.log.rename(wall.state / "audit-1.jsonl")
    run_once(traffic)
    assert chain_of(wall) == {"what": "continued"}
    assert "lines are missing" not in both(wall, wall.log, old, code=COMPLETE).stdout
    verify("--config", wall.config, code=COMPLETE)
    alone = both(wall, wall.log, code=OPEN)
    assert "the lines before are in no file given" in alone.stdout
    both(wall, old, code=COMPLETE)
    assert "line.missing" in verify("--key", wall.state / "audit.pub", "--json", *reversed(cut_out(wall, old)),
                                    code=BROKEN).stdout


def cut_out(wall, old):
    """The old file without its last line, and the newest."""
    path = wall.state / "cut.jsonl"
    path.write_bytes(b"".join(old.read_bytes().splitlines(True)[:-1]))
    return path, wall.log


def test_old_files_are_found_in_any_folder_and_what_is_left_out_is_named(tmp_path):
    traffic = Traffic(tmp_path / "wall[1]*")
    wall = traffic.wall
    try:
        wall.start()
        traffic.send(3)
        wall.wait_for(lambda: len(wall.frames()) == 3, "lines")
        old = wall.log.rename(wall.state / "audit-20261122T101500Z-5.jsonl")
        wall.signal(signal.SIGHUP)
        wall.wait_for(lambda: wall.log.exists() and wall.lines(), "another file")
        assert wall.stop() == 0
        assert verify("--config", wall.config, code=COMPLETE).stderr == ""
        for name in ("audit-20261122T101500Z-5.jsonl.gz", "audit.jsonl.2.gz"):
            old = old.rename(wall.state / name)
            left = verify("--config", wall.config, code=OPEN)
            assert f"{old}: not looked at" in left.stderr and "begins at seq" in left.stdout
        assert "log.removed" in verify("--config", wall.config, "--all", "--json", wall.log, code=BROKEN).stdout
        old.unlink()
        gone = verify("--config", wall.config, code=BROKEN)
        assert "the log goes further back" in gone.stdout and "seq 1 to " in gone.stdout
        verify("--config", wall.config, wall.log, code=OPEN)  # it is not said to be all
    finally:
        traffic.close()


def test_what_the_wall_itself_removes_is_not_missed_and_more_is(tmp_path):
    traffic = Traffic(tmp_path / "wall", audit_more="rotate_size = 4K\nrotate_keep = 3")
    wall = traffic.wall
    try:
        wall.start()
        while len(olds(wall)) < 3 or min(map(first_seq, olds(wall))) == 1:
            traffic.send(20)
            time.sleep(0.1)
        assert wall.stop() == 0
        found = verify("--config", wall.config, code=OPEN)
        assert "begins at seq" in found.stdout and ": 0 faults" not in found.stdout
        state = (wall.state / "audit.chain").read_text()
        assert f"begins {wall.lines()[0]['chain']} {min(map(first_seq, olds(wall)))}\n" in state
        min(olds(wall), key=first_seq).unlink()
        assert "log.removed" in verify("--config", wall.config, "--json", code=BROKEN).stdout
    finally:
        traffic.close()


def test_a_log_is_verified_while_it_is_rotated(tmp_path):
    """Two names for one file are one, and what was listed is listed again when it has moved."""
    traffic = Traffic(tmp_path / "wall", audit_more="rotate_size = 4K")
    wall = traffic.wall
    try:
        wall.start()
        begin = time.monotonic()
        while time.monotonic() < begin + 2 or len(olds(wall)) < 5:
            traffic.send(10)
            verify("--config", wall.config, code=OPEN)
            assert time.monotonic() < begin + 60
        assert wall.stop() == 0
        os.link(wall.log, wall.state / "audit-20261122T101500Z-5.jsonl")
        verify("--config", wall.config, code=COMPLETE)
    finally:
        traffic.close()


def olds(wall):
    return list(wall.state.glob("audit-*.jsonl"))


def first_seq(path):
    return json.loads(path.read_bytes().partition(b"\n")[0])["seq"]


def test_how_far_the_log_goes_back_is_unknown_when_its_state_was_damaged(traffic):
    wall = traffic.wall
    run_once(traffic, 3)
    old = wall.log.rename(wall.state / "audit-1.jsonl")
    (wall.state / "audit.chain").write_text("damaged")
    run_once(traffic, 3)
    assert "begins" not in (wall.state / "audit.chain").read_text()
    old.unlink()
    verify("--config", wall.config, code=COMPLETE)  # its own error event tells that something is missing


def test_of_two_chains_the_first_one_is_missed(traffic):
    wall = traffic.wall
    crash(traffic, 3)
    wall.log.unlink()  # the wall notices, and begins another chain
    run_once(traffic, 3)
    assert chain_of(wall)["what"] == "broken"
    gone = verify("--config", wall.config, code=BROKEN)
    assert "it was removed" in gone.stdout and "the log goes further back" in gone.stdout


def test_a_running_wall_is_open(traffic):
    wall = traffic.wall
    wall.start()
    traffic.send(5)
    wall.wait_for(lambda: len(wall.frames()) == 5, "lines")
    found = verify("--config", wall.config, code=OPEN)
    assert "not closed by a stop" in found.stdout
    verify("--config", wall.config, "--allow-open", code=COMPLETE)
    assert wall.stop() == 0
    verify("--config", wall.config, code=COMPLETE)


def test_a_crash_leaves_a_tail_that_the_next_start_names(traffic):
    wall = traffic.wall
    crash(traffic)
    last = wall.lines()[-1]["seq"]
    both(wall, code=OPEN)
    run_once(traffic)
    assert chain_of(wall) == {"what": "recovered", "unsealed": {"from": 1, "to": last}}
    both(wall, code=COMPLETE)
    verify("--config", wall.config, code=COMPLETE)


def test_a_torn_line_is_named_and_covered(traffic):
    wall = traffic.wall
    run_once(traffic)
    crash(traffic)
    whole = wall.log.read_bytes()
    wall.log.write_bytes(whole[:-40])
    torn = whole.splitlines()[-1][:-39]
    run_once(traffic)
    told = chain_of(wall)
    assert told["what"] == "recovered" and told["torn"]["bytes"] == len(torn)
    assert "torn by crashes" in both(wall, code=COMPLETE).stdout
    text = wall.log.read_bytes()
    at = text.index(torn) + 50
    wall.log.write_bytes(text[:at] + b"X" + text[at + 1:])
    assert "this is no audit line" in both(wall, code=BROKEN).stdout


def up_to_stop(wall):
    """The log without the first stop, its seal, and all behind."""
    text = wall.log.read_bytes()
    return text[:text.rindex(b"\n", 0, text.index(b'"event":"stop"')) + 1]


@pytest.mark.parametrize("harm, words", [
    (lambda wall: wall.log.write_bytes(up_to_stop(wall)), "lines are missing"),
    (lambda wall: wall.log.write_bytes(b""), "was not closed"),
    (lambda wall: wall.log.unlink(), "was not closed"),
    (lambda wall: (wall.state / "audit.chain").unlink(), "is gone"),
    (lambda wall: (wall.state / "audit.chain").write_bytes(b"x"), "is damaged"),
    (lambda wall: wall.log.write_bytes(wall.log.read_bytes().replace(b'"chan":"jobs"', b'"chan":"jobz"', 1)), ""),
])
def test_what_is_missing_after_a_crash_is_said(traffic, harm, words):
    wall = traffic.wall
    run_once(traffic)
    wall.start()
    traffic.send(3)
    wall.process.kill()
    wall.process.wait()
    harm(wall)
    wall.start()
    traffic.send(3)
    wall.stop()
    lines = wall.lines()
    start = [line for line in lines if line["event"] == "start"][-1]
    if words:
        assert start["detail"]["chain"]["what"] == "broken" and start["seq"] == 1
        error = [line for line in lines if line["event"] == "error"][-1]
        assert words in error["error"] and error["level"] == "high"
        assert words in wall.words.read_text()
        both(wall, code=OPEN)
    else:  # far before the newest checkpoint: only a verification of all finds it
        assert start["detail"]["chain"]["what"] == "recovered"
        assert "was changed or exchanged" in both(wall, code=BROKEN).stdout


def test_a_closed_log_that_was_moved_away_is_no_alarm_and_one_that_was_cut_is(traffic):
    wall = traffic.wall
    run_once(traffic)
    text = wall.log.read_bytes()
    wall.log.write_bytes(text[:text.rindex(b"\n", 0, -1) + 1])
    assert "ends before the last line that the wall has sealed" in verify("--config", wall.config, code=BROKEN).stdout
    both(wall, code=OPEN)
    run_once(traffic)
    assert chain_of(wall)["what"] == "broken"
    assert [line["level"] for line in wall.lines() if line["event"] == "error"] == ["high"]


def test_a_log_that_is_gone_with_its_state_is_missed_by_the_key_and_the_mirror(tmp_path):
    traffic = Traffic(tmp_path / "wall")
    wall = traffic.wall
    wall.config.write_text(wall.config.read_text().replace("audit\n", f'audit\n    mirror = "{tmp_path}/mirror"\n'))
    try:
        run_once(traffic, 1)
        first = wall.lines()[-1]
        assert not [line for line in wall.lines() if line["event"] == "error"]
        wall.log.unlink()
        (wall.state / "audit.chain").unlink()
        run_once(traffic, 1)
        assert chain_of(wall) == {"what": "new"}
        error, = [line for line in wall.lines() if line["event"] == "error"]
        assert error["level"] == "high" and "its log was removed" in error["error"]
        found = verify("--config", wall.config, code=OPEN)
        assert f"chain {first['chain']}: is known to go up to seq {first['seq'] - 1}, and no file given" in found.stdout
    finally:
        traffic.close()


def test_checkpoints_go_to_the_mirror_too(tmp_path):
    traffic = Traffic(tmp_path / "wall")
    wall = traffic.wall
    mirror = wall.folder / "mirror"
    wall.config.write_text(wall.config.read_text().replace("audit\n", f'audit\n    mirror = "{mirror}"\n'))
    try:
        run_once(traffic)
        first = wall.log.read_bytes()
        run_once(traffic)
    finally:
        traffic.close()
    notes = mirror.read_text()
    sealed = [line["checkpoint"]["note"] + "\n" for line in wall.lines() if line["event"] == "checkpoint"]
    assert notes == "".join(sealed)
    key = wall.state / "audit.pub"
    verify("--key", key, "--checkpoint", mirror, wall.log, code=COMPLETE)
    wall.log.write_bytes(first)
    verify("--key", key, wall.log, code=COMPLETE)  # it was, at that time
    for known in (["--key", key, "--checkpoint", mirror, wall.log], ["--config", wall.config]):
        assert "ends before" in verify(*known, code=BROKEN).stdout


@pytest.mark.parametrize("args, code, words", [
    (["--key", "nonsense+1+2", "x"], 65, "no key of a note"),
    (["--key", "/nonexistent.pub", "x"], 66, "/nonexistent.pub: no such file"),
    (["--key", "{pub}", "/nonexistent"], 66, "/nonexistent: No such file"),
    (["--key", "{pub}", "--checkpoint", "{pub}", "{log}"], 65, "no note that the key has signed"),
    (["--config", "/nonexistent"], 78, "/nonexistent: no such file"),
    (["--keys", "{pub}"], 64, "--key"),
])
def test_what_cannot_be_verified_is_said(traffic, args, code, words):
    run_once(traffic, 1)
    names = {"pub": traffic.wall.state / "audit.pub", "log": traffic.wall.log}
    assert words in verify(*[arg.format(**names) for arg in args], code=code).stderr


def test_a_key_may_be_given_as_file_public_half_or_text(traffic):
    run_once(traffic, 1)
    state = traffic.wall.state
    for key in (state / "audit.pub", state / "audit.pwkey", (state / "audit.pub").read_text().strip()):
        verify("--key", key, traffic.wall.log, code=COMPLETE)
    with open(traffic.wall.log) as log:
        done = subprocess.run([BINARY, "audit", "verify", "--key", state / "audit.pub", "-"], stdin=log,
                              capture_output=True, timeout=60)
    assert done.returncode == COMPLETE
    (state / "audit.pwkey").unlink()
    run_once(traffic, 1)
    assert "none of the keys has signed" in verify("--config", traffic.wall.config, code=BROKEN).stdout


def test_a_torn_line_that_a_new_chain_tells_of_is_missed_too(traffic):
    wall = traffic.wall
    run_once(traffic)
    wall.log.write_bytes(wall.log.read_bytes() + b'{"ts":"half a line')  # behind the end: a new chain must begin
    run_once(traffic)
    told = chain_of(wall)
    assert (told["what"], told["torn"]["bytes"]) == ("broken", len(b'{"ts":"half a line'))
    lines = wall.log.read_bytes().splitlines(True)
    at = lines.index(b'{"ts":"half a line\n')
    wall.log.write_bytes(b"".join(lines[at:]))
    assert "that line is not there" not in verify("--key", wall.state / "audit.pub", wall.log).stdout
    wall.log.write_bytes(b"".join(lines[at + 1:]))
    assert "that line is not there" in both(wall, code=BROKEN).stdout


def test_a_chain_before_must_be_there_as_far_as_the_next_one_says(traffic):
    wall = traffic.wall
    run_once(traffic, 1)
    cut = len(wall.lines())
    run_once(traffic, 1)
    end = len(wall.lines())
    first = wall.lines()[-1]["chain"]
    (wall.state / "audit.chain").unlink()
    run_once(traffic, 1)
    both(wall, code=COMPLETE)
    assert chain_of(wall)["before"] == {"chain": first, "seq": end}
    lines = wall.log.read_bytes().splitlines(True)
    wall.log.write_bytes(b"".join(lines[:cut] + lines[end:]))
    assert "the chain ends before the line that the start of the next one names" in both(wall, code=BROKEN).stdout
    wall.log.write_bytes(b"".join(lines[end:]))
    assert f"chain {first}: is known to go up to seq {end}, and no file given" in both(wall, code=OPEN).stdout
    found = json.loads(verify("--config", wall.config, "--json", code=OPEN).stdout)
    assert found["missing"] == [{"chain": first, "seq": end}]


KILLS = int(os.environ.get("PW_AUDIT_KILLS", "3"))


def test_a_wall_killed_before_its_first_line_has_removed_nothing(tmp_path):
    disk = IllDisk(tmp_path, tmp_path / "wall/state/audit.jsonl")
    disk.set("enospc")
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[tcp()], out_bind=[tcp()]), environment=disk.environment())
    wall.start(wait=False)
    wall.wait_for((wall.state / "audit.chain").exists, "the state of the chain")
    wall.wait_for(lambda: "No space left" in wall.words.read_text(), "the first line to be refused")
    wall.process.kill()
    wall.process.wait()
    assert "begins " in (wall.state / "audit.chain").read_text()
    wall.log.touch()  # as it is when the death comes somewhat later
    assert not wall.log.read_bytes()
    assert verify("--config", wall.config).returncode in (OPEN, COMPLETE)


def test_a_wall_killed_at_any_moment_leaves_a_log_that_verifies(tmp_path):
    """Walls are killed in the middle of their work; the lines on the way are lost, and nothing is wrong."""
    traffic, rng = Traffic(tmp_path / "wall"), random.Random(11)
    wall, found = traffic.wall, set()
    try:
        for _ in range(KILLS):
            wall.start(wait=False)
            end = time.monotonic() + rng.choice((0.02, 0.1, 0.3, 0.6))
            while time.monotonic() < end:
                try:
                    traffic.push.send(pickle.dumps("job"), zmq.DONTWAIT)
                except zmq.Again:
                    pass
                if traffic.pull.poll(0):
                    traffic.pull.recv()
            wall.process.kill()
            wall.process.wait()
            if wall.log.exists():
                both(wall, code=verify("--key", wall.state / "audit.pub", wall.log).returncode)
                assert verify("--config", wall.config).returncode in (OPEN, COMPLETE)
        run_once(traffic, 0)
        found.update(line["detail"]["chain"]["what"] for line in map(json.loads, starts_of(wall)))
        both(wall, code=COMPLETE)
        verify("--config", wall.config, code=COMPLETE)
        assert found <= {"new", "continued", "recovered"}
    finally:
        traffic.close()


def starts_of(wall):
    return [line for line in wall.log.read_bytes().splitlines() if b'"event":"start"' in line]


def test_a_crash_behind_a_rotation_does_not_break_the_chain(traffic):
    wall = traffic.wall
    wall.start()
    traffic.send(5)
    wall.wait_for(lambda: len(wall.frames()) == 5, "lines")
    old = wall.log.rename(wall.state / "audit-1.jsonl")
    wall.signal(signal.SIGHUP)
    wall.wait_for(lambda: any(line["event"] == "rotate" for line in wall.lines()), "another file")
    wall.process.kill()
    wall.process.wait()
    run_once(traffic)
    assert chain_of(wall)["what"] == "recovered"
    both(wall, old, wall.log, code=COMPLETE)
