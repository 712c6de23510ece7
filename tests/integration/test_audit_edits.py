# SPDX-License-Identifier: Apache-2.0
"""A log that was edited at random never verifies as complete, and C and Python say the same of it.

PW_AUDIT_EDITS is how many edits of each log are tried.
"""

import os
import random
import shutil
import signal
import sys

import pytest
from test_audit_chain import BROKEN, COMPLETE, OPEN, Traffic, crash, run_once, verify
from wall import ROOT

sys.path.insert(0, str(ROOT / "common/audit/python"))
import picklewall_audit  # noqa: E402

EDITS = int(os.environ.get("PW_AUDIT_EDITS", "30"))


def sealed_run(traffic):
    """Three parts, a checkpoint behind each."""
    traffic.wall.start()
    for part in range(1, 4):
        traffic.send(12)
        traffic.wall.wait_for(lambda part=part: len(traffic.wall.frames()) == 12 * part, "lines")
        traffic.wall.signal(signal.SIGHUP)
        traffic.wall.wait_for(
            lambda part=part: sum(line["event"] == "checkpoint" for line in traffic.wall.lines()) == part, "a seal")
    assert traffic.wall.stop() == 0


def crashed_runs(traffic):
    """A log with everything in it: restarts, a crash, a torn line."""
    run_once(traffic, 10)
    crash(traffic, 10)
    traffic.wall.log.write_bytes(traffic.wall.log.read_bytes()[:-7])
    run_once(traffic, 10)
    sealed_again = traffic.wall.log.read_bytes()
    assert b'"torn"' in sealed_again


@pytest.fixture(scope="module", params=[sealed_run, crashed_runs])
def logs(request, tmp_path_factory):
    """The wall whose log it is, its bytes, and those of another log of the same key."""
    folder = tmp_path_factory.mktemp("edits")
    ours, theirs = Traffic(folder / "ours"), Traffic(folder / "theirs")
    try:
        request.param(ours)
        theirs.wall.state.mkdir()
        shutil.copy(ours.wall.state / "audit.pwkey", theirs.wall.state)
        sealed_run(theirs)
        yield ours.wall, ours.wall.log.read_bytes(), theirs.wall.log.read_bytes(), request.param is sealed_run
    finally:
        ours.close()
        theirs.close()


def flip(rng, text, _):
    at = rng.randrange(len(text))
    return text[:at] + bytes([text[at] ^ 1 << rng.randrange(8)]) + text[at + 1:]


def cut(rng, text, _):
    return text[:rng.randrange(len(text))]


def cut_at_line(rng, text, _):
    lines = text.splitlines(True)
    return b"".join(lines[:rng.randrange(len(lines))])


def cut_start(rng, text, _):
    lines = text.splitlines(True)
    return b"".join(lines[rng.randrange(1, len(lines)):])


def delete(rng, text, _):
    lines = text.splitlines(True)
    at = rng.randrange(len(lines))
    del lines[at:at + rng.choice((1, 1, 2, 5))]
    return b"".join(lines)


def duplicate(rng, text, _):
    lines = text.splitlines(True)
    at = rng.randrange(len(lines))
    lines.insert(rng.choice((at, at + 1, rng.randrange(len(lines) + 1))), lines[at])
    return b"".join(lines)


def swap(rng, text, _):
    lines = text.splitlines(True)
    one, other = rng.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def splice(rng, text, other):
    lines, theirs = text.splitlines(True), other.splitlines(True)
    start = rng.randrange(len(theirs))
    part = rng.choice((theirs, theirs[start:start + 1 + rng.randrange(len(theirs))]))
    at = rng.randrange(len(lines) + 1)
    return b"".join(lines[:at] + part + lines[at + rng.choice((0, len(part))):])


def insert(rng, text, _):
    lines = text.splitlines(True)
    made = rng.choice((b"\n", b"x\n", b"{}\n", lines[rng.randrange(len(lines))].replace(b"jobs", b"soap"),
                       lines[0][:-1] + b" \n"))
    lines.insert(rng.randrange(len(lines) + 1), made)
    return b"".join(lines)


def rewrite(rng, text, _):
    """Change a line, and every hash after it: all that one can do without the key."""
    lines = text.splitlines()
    at = rng.randrange(len(lines) - 1)
    before = lines[at]
    lines[at] = before.replace(b'"level":"info"', b'"level":"low"', 1)
    for number in range(at + 1, len(lines)):
        head, mark, _ = lines[number].rpartition(b'"prev":"')
        if mark:
            lines[number] = head + mark + picklewall_audit.sha256(lines[number - 1]).hex().encode() + b'"}'
    return b"\n".join(lines) + b"\n"


def stretch(rng, text, _):
    """Put something between a note and the end of its line, where no hash of its own line covers it."""
    lines = text.splitlines(True)
    at = rng.choice([number for number, line in enumerate(lines) if b'"event":"checkpoint"' in line])
    made = rng.choice((b'"chain":"x",', b'"chain":"x","verdict":"pass","detail":{"forged":true},', b'"lost":1,'))
    lines[at] = lines[at].replace(b'"},"chain":"', b'"},' + made + b'"chain":"')
    if rng.random() < 0.5:
        del lines[at + 1:]
    return b"".join(lines)


KINDS = (flip, flip, flip, cut, cut_at_line, cut_start, delete, duplicate, swap, splice, insert, rewrite, stretch)


def test_nothing_stands_between_a_note_and_the_end_of_its_line(logs):
    wall, text, other, _ = logs
    key, rng = wall.state / "audit.pub", random.Random(7)
    try:
        for _ in range(6):
            wall.log.write_bytes(stretch(rng, text, other))
            assert "no signed note of this chain at this place" in verify("--key", key, wall.log, code=BROKEN).stdout
            python = picklewall_audit.verify([wall.log], [key.read_text()])
            assert "checkpoint.form" in [fault.code for fault in python.faults]
    finally:
        wall.log.write_bytes(text)


def test_every_edit_is_found(logs, tmp_path):
    wall, text, other, one_run = logs
    key = wall.state / "audit.pub"
    path, rng, tried, verdicts = wall.log, random.Random(5), 0, {COMPLETE: 0, BROKEN: 0, OPEN: 0}
    verify("--key", key, path, code=COMPLETE)
    verify("--config", wall.config, code=COMPLETE)
    try:
        while tried < EDITS:
            kind = rng.choice(KINDS)
            edited = kind(rng, text, other)
            if edited in (text, other):  # all of another log is another log, which only the state tells
                continue
            tried += 1
            path.write_bytes(edited)
            c = verify("--key", key, path)
            python = picklewall_audit.verify([path], [key.read_text()])
            assert picklewall_audit.EXIT[python.verdict] == c.returncode, (kind.__name__, tried, c.stdout, python)
            known = verify("--config", wall.config)
            assert known.returncode in (BROKEN, OPEN), (kind.__name__, tried, known.stdout)
            if one_run:
                assert c.returncode in (BROKEN, OPEN), (kind.__name__, tried, c.stdout)
            verdicts[c.returncode] += 1
    finally:
        path.write_bytes(text)
    print(f"{tried} edits: {verdicts}")
