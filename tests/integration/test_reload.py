# SPDX-License-Identifier: Apache-2.0
"""A running wall takes a new configuration over, between two messages, whole or not at all.

RELOADS and RATE make the load heavier than the few seconds of a usual run.
"""

import json
import os
import pickle
import re
import signal
import subprocess
import time

import pytest
import zmq

from peers import contested, load, numbers, spawn
from signed import new_key, run
from wall import BINARY, SANITIZED, Wall, channel, tcp

RELOADS = int(os.environ.get("RELOADS", "25"))
RATE = load(int(os.environ.get("RATE", "20000")))
EVERY = 5  # of so many messages one is judged otherwise by the other policy
POLICIES = """policy
    narrow
        allow = "datetime:date"
    wide
        include = "narrow"
        allow = "myapp.jobs:Job"
"""


def asked(wall, *words, code=0):
    done = subprocess.run([BINARY, "ctl", *words, "--json", "--socket", str(wall.state / "control.sock")], capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def said(wall, *words, code=0):
    done = subprocess.run([BINARY, "ctl", *words, "--socket", str(wall.state / "control.sock")], capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def config_events(wall, what=None):
    lines = [line for line in wall.log.read_bytes().split(b"\n")[:-1] if b'"event":"config"' in line]
    found = [json.loads(line) for line in lines]
    return [line for line in found if what in (None, line["detail"]["what"])]


class Ends:
    """A wall of one channel, `jobs`, and both its ends; its file can be written again."""

    def __init__(self, folder, sockets, keys=None, more="", **settings):
        self.folder, self.keys, self.more = folder / "wall", keys, more
        self.source, self.target = tcp(), tcp()
        self.wall = self.made(**settings)
        self.push, self.pull = sockets(zmq.PUSH, connect=[self.source]), sockets(zmq.PULL, connect=[self.target])

    def made(self, source=None, others=(), more=POLICIES, drain="10s", audit_more="", **settings):
        jobs = channel("jobs", in_bind=[source or self.source], out_bind=[self.target],
                       **{"policy": "narrow", "on_violation": "drop", **settings})
        return Wall(self.folder, jobs, *others, keys=self.keys, more=more, drain=drain, audit_more=audit_more)

    def write(self, **settings):
        """The same file with other settings, renamed to its place as one should."""
        config = self.wall.config
        before = config.read_bytes()
        draft = self.made(**settings)
        Wall.made.remove(draft)
        text = config.read_bytes()
        config.write_bytes(before)
        config.with_name("draft").write_bytes(text)
        config.with_name("draft").rename(config)

    def outcome(self, message):
        """The line that the message gets."""
        count = len(self.wall.frames())
        self.push.send(message)
        self.wall.wait_for(lambda: len(self.wall.frames()) > count, "the line of the message")
        return self.wall.frames()[count]


@pytest.fixture(name="ends")
def fixture_ends(tmp_path, sockets):
    made = []

    def make(**how):
        made.append(Ends(tmp_path, sockets, **how))
        made[-1].wall.start()
        return made[-1]

    yield make
    for ends in made:
        assert ends.wall.stop() == 0
        ends.write()
        ends.wall.verify_log()


def test_a_policy_is_exchanged_between_two_messages(ends):
    it = ends()
    assert it.outcome(contested(1))["reason"] == "import.denied"
    it.write(policy="wide")
    answer = asked(it.wall, "reload")
    assert (answer["ok"], answer["generation"], answer["restart"], answer["waiting"]) == (True, 2, [], [])
    assert "reason" not in it.outcome(contested(2))
    assert it.pull.recv() == contested(2)
    status = asked(it.wall, "status")
    assert (status["channels"][0]["policy"], status["channels"][0]["generation"]) == ("wide", 2)
    assert (status["reload"]["good"], status["reload"]["total"], status["reload"]["failed"]) == (True, 1, 0)
    it.write(policy="narrow")
    it.wall.signal(signal.SIGHUP)
    it.wall.wait_for(lambda: len(config_events(it.wall, "config.in_force")) == 2, "the channel's word")
    assert it.outcome(contested(3))["rule"]["set"] == "narrow"
    ordered = config_events(it.wall, "config.reload")
    assert [line["detail"]["by"]["via"] for line in ordered] == ["control", "SIGHUP"]
    assert ordered[1]["detail"]["by"]["pid"] == os.getpid()
    taken = [line["detail"] for line in config_events(it.wall, "config.in_force")]
    assert [(one["generation"], one["policy"]) for one in taken] == [(2, "wide"), (3, "narrow")]
    assert "the configuration is in force, generation 4" in said(it.wall, "reload")


BROKEN = [
    ({"policy": "nowhere"}, "channel.jobs.policy: "),
    ({"max_frames": "many"}, "channel.jobs.max_frames: "),
    ({"verify": "required"}, "channel.jobs.verify: needs the keys of the senders"),
    ({"more": POLICIES + "    third\n        allow = \"not a name\"\n"}, "policy.third.allow: "),
    ({"more": POLICIES + "colour = \"blue\"\n"}, "colour: no such setting"),
]


@pytest.mark.parametrize("wrong, sentence", BROKEN, ids=[sentence for _, sentence in BROKEN])
def test_a_broken_configuration_leaves_the_old_one_and_says_so(ends, wrong, sentence):
    it = ends()
    it.write(**{"policy": "wide", **wrong})
    answer = asked(it.wall, "reload", code=1)
    assert re.search(rf"{it.wall.config}:\d+: {re.escape(sentence)}", answer["error"])
    assert answer["error"].endswith("; what was in force stays") and answer["generation"] == 1
    assert it.outcome(contested(1))["rule"]["set"] == "narrow"
    status = asked(it.wall, "status")
    assert (status["reload"]["good"], status["reload"]["failed"], status["reload"]["total"]) == (False, 1, 1)
    assert sentence in status["reload"]["error"] and sentence in said(it.wall, "status")
    assert it.wall.words.read_text().count(sentence) == 1
    event, = config_events(it.wall)
    assert (event["detail"]["what"], event["level"]) == ("config.reload_failed", "high")
    assert sentence in event["error"] and event["detail"]["by"]["via"] == "control"
    it.write(policy="wide")
    assert asked(it.wall, "reload")["generation"] == 2
    assert asked(it.wall, "status")["reload"]["good"]


def test_a_file_that_is_gone_leaves_the_old_one(ends):
    it = ends()
    it.wall.config.rename(it.wall.config.with_name("away"))
    it.wall.signal(signal.SIGHUP)
    it.wall.wait_for(lambda: config_events(it.wall, "config.reload_failed"), "the refusal")
    assert "no such file" in config_events(it.wall)[0]["error"]
    it.wall.config.with_name("away").rename(it.wall.config)
    assert asked(it.wall, "reload")["ok"]


def test_settings_of_a_channel_change_while_it_runs(ends, tmp_path):
    keys = tmp_path / "keys"
    new_key(keys, "jobs-1")
    it = ends(keys=keys)
    steps = [
        ({"on_violation": "quarantine"}, contested(1), ("quarantine", "import.denied")),
        ({"on_violation": "pass"}, contested(2), ("pass", "import.denied")),
        ({"frames": "opaque"}, contested(3), ("pass", None)),
        ({"frames": "empty"}, contested(4), ("drop", "rule.mismatch")),
        ({"verify": "required"}, pickle.dumps(5), ("drop", "sig.missing")),
        ({"verify": "off"}, pickle.dumps(6), ("pass", None)),
        ({"verify": "optional", "max_age": "1s"}, pickle.dumps(7), ("pass", None)),
        ({"sign": "jobs-1"}, pickle.dumps(8), ("pass", None)),
        ({"more": POLICIES.replace("narrow\n", 'narrow\n        max_bytes = "2"\n', 1)}, pickle.dumps("long"),
         ("drop", "limit.bytes")),
    ]
    for settings, message, expected in steps:
        it.write(**settings)
        assert asked(it.wall, "reload")["restart"] == []
        line = it.outcome(message)
        assert (line["verdict"], line.get("reason")) == expected, settings
    came = [it.pull.recv() for _ in range(5)]
    assert came[:4] == [contested(2), contested(3), pickle.dumps(6), pickle.dumps(7)]
    assert came[4].startswith(pickle.dumps(8)) and len(came[4]) > len(pickle.dumps(8))


def test_what_was_accepted_stays_accepted_over_a_reload(ends, tmp_path):
    keys = tmp_path / "keys"
    new_key(keys, "jobs-1")
    signer = ends(keys=keys, sign="jobs-1")
    signer.push.send(pickle.dumps("once"))
    signed = signer.pull.recv()
    assert signer.wall.stop() == 0
    it = signer
    it.wall = it.made()
    it.wall.start()
    it.write(verify="required")
    assert asked(it.wall, "reload")["ok"]
    assert it.outcome(signed)["verdict"] == "pass"
    for settings in ({"verify": "required", "max_age": "60s"}, {"verify": "off"}, {"verify": "required"}):
        it.write(**settings)
        assert asked(it.wall, "reload")["ok"]
    assert it.outcome(signed)["reason"] == "sig.replay"
    it.write(verify="required", max_age="500ms")
    assert asked(it.wall, "reload")["ok"]
    time.sleep(0.6)
    assert it.outcome(signed)["reason"] == "sig.expired"


def test_what_waits_for_the_next_start_is_named_and_the_rest_is_in_force(ends):
    it = ends()
    other = channel("other", in_bind=[tcp()], out_bind=[tcp()])
    it.write(policy="wide", others=[other], source=tcp(), audit_more="queue = 512", max_message_bytes="1M")
    waits = ["audit.queue", "channel.jobs.in.bind", "channel.jobs.max_message_bytes", "channel.other"]
    assert asked(it.wall, "reload")["restart"] == waits
    assert asked(it.wall, "status")["reload"]["restart"] == waits
    assert config_events(it.wall, "config.reload")[0]["detail"]["restart"] == waits
    assert "channel.jobs.in.bind has changed, and waits for the next start" in said(it.wall, "status")
    assert "channel.other: it has changed, and waits for the next start" in it.wall.words.read_text()
    assert it.outcome(contested(1))["verdict"] == "pass"  # by the socket that it had
    text = it.wall.config.read_text().replace("    jobs\n", "    tasks\n", 1)
    it.wall.config.write_text(text)
    assert asked(it.wall, "reload")["restart"][-3:] == ["channel.jobs", "channel.tasks", "channel.other"]
    assert it.outcome(contested(2))["verdict"] == "pass"  # by the settings that it had
    it.write()
    assert asked(it.wall, "reload")["restart"] == []
    assert it.outcome(contested(3))["verdict"] == "drop"


def test_limits_of_the_quarantine_and_of_the_log_change_while_it_runs(ends):
    it = ends(on_violation="quarantine")
    assert it.outcome(contested(1))["q"]["stored"]
    it.write(on_violation="quarantine", quarantine_bytes="1")
    assert asked(it.wall, "reload")["restart"] == []
    assert not it.outcome(contested(2))["q"]["stored"]
    it.write(on_violation="quarantine", more=POLICIES + "quarantine\n    max_messages = 2\n")
    assert asked(it.wall, "reload")["ok"]
    assert it.outcome(contested(3))["q"]["full"] == "quarantine.max_messages"
    assert asked(it.wall, "status")["quarantine"]["max_messages"] == 2
    it.write(audit_more="rotate_size = 2K\nspace_low = 0")
    assert asked(it.wall, "reload")["ok"]
    for number in range(20):
        it.push.send(contested(number))
    it.wall.wait_for(lambda: len(list(it.wall.state.glob("audit-*.jsonl"))) > 1, "the log to move aside")


def test_orders_are_answered_and_told_with_who_gave_them(ends):
    it = ends()
    assert asked(it.wall, "log-level")["level"] == "info"
    assert asked(it.wall, "log-level", "debug")["level"] == "debug"
    assert asked(it.wall, "reload")["ok"]  # goes by the file again
    assert said(it.wall, "log-level") == "info\n"
    assert "loud is no level; write error, warning, info or debug" in said(it.wall, "log-level", "loud", code=1)
    assert asked(it.wall, "log-level", "error")["level"] == "error"
    assert asked(it.wall, "rotate")["ok"]
    assert len(list(it.wall.state.glob("audit-*.jsonl"))) == 1
    assert it.outcome(contested(1))["verdict"] == "drop"
    assert "moved aside" in said(it.wall, "rotate")
    assert asked(it.wall, "drain")["stopping"]
    assert it.wall.process.wait(20) == 0
    lines = [json.loads(line) for path in it.wall.state.glob("audit*.jsonl") for line in path.read_text().splitlines()]
    lines.sort(key=lambda line: line["seq"])
    ordered = [line["detail"] for line in lines if line["event"] == "config" and "by" in line["detail"]]
    assert [(one["what"], one.get("level")) for one in ordered] == [
        ("config.log_level", "debug"), ("config.reload", None), ("config.log_level", "error"), ("audit.rotate", None),
        ("audit.rotate", None)]
    stop, = [line for line in lines if line["event"] == "stop"]
    assert {one["by"]["via"] for one in [*ordered, stop["detail"]]} == {"control"}
    assert "stopping" not in it.wall.words.read_text()


def test_the_last_line_tells_who_sent_the_signal(ends):
    it = ends()
    it.wall.signal(signal.SIGTERM)
    assert it.wall.process.wait(20) == 0
    assert it.wall.lines()[-2]["detail"]["by"] == {"via": "SIGTERM", "uid": os.getuid(), "pid": os.getpid()}


def frames_and_turns(wall):
    """Of each line of the channel, in order: the policy that took over, or the verdict of the next message."""
    what = re.compile(rb'"event":"frame".*?"verdict":"(\w+)"|"what":"config.in_force","generation":(\d+),"policy":"(\w+)"')
    with open(wall.log, "rb") as log:
        for line in log:
            found = what.search(line)
            if found is not None:
                yield found.groups()
            assert b'"event":"summary"' not in line, "a line stands for many: raise audit.queue"


def check_verdicts(wall):
    """Each message's verdict is that of the policy in force at its place; the numbers that left, and how often it
    was exchanged."""
    policy, last, number, left = b"narrow", 1, 0, []
    for verdict, generation, name in frames_and_turns(wall):
        if generation is not None:
            assert int(generation) > last
            policy, last = name, int(generation)
            continue
        passes = number % EVERY != EVERY - 1 or policy == b"wide"
        assert verdict == (b"pass" if passes else b"drop"), f"message {number} by {policy}, generation {last}"
        left += [number] if passes else []
        number += 1
    return number, left, last


def test_nothing_is_lost_twice_or_misjudged_while_policies_are_exchanged(ends, tmp_path, capsys):
    it = ends(audit_more="queue = 4000000")
    producer = spawn("contested", it.source, RATE, EVERY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    it.pull.close()
    taker = spawn("take", it.target, tmp_path / "taken")
    started = time.monotonic()
    rss = []
    try:
        for turn in range(RELOADS):
            broken = turn % 5 == 4
            it.write(policy="nowhere" if broken else ("wide", "narrow")[turn % 2])
            answer = asked(it.wall, "reload", code=1 if broken else 0)
            assert answer["ok"] is not broken
            rss.append(it.wall.rss_bytes())
            time.sleep(0.05)
        with producer:
            sent = int(producer.communicate("", timeout=60)[0])
        seconds = time.monotonic() - started
        it.wall.wait_for(lambda: asked(it.wall, "status")["channels"][0]["received"] == sent, "the last message", 120)
        status = asked(it.wall, "status")
        assert it.wall.stop() == 0
        received, left, generation = check_verdicts(it.wall)
        it.wall.process.poll()
        deadline = time.monotonic() + 30
        while len(numbers(tmp_path / "taken")) < len(left) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        producer.kill()
        taker.kill()
        taker.wait()
    assert received == sent
    assert numbers(tmp_path / "taken") == left
    good = RELOADS - RELOADS // 5
    assert generation == good + 1
    assert (status["reload"]["total"], status["reload"]["failed"]) == (RELOADS, RELOADS // 5)
    with capsys.disabled():
        print(f"\n    {RELOADS} reloads, {RELOADS // 5} of them refused, in {seconds:.1f} s; {sent} messages, "
              f"{sent / seconds:.0f} a second, {len(left)} left; RSS {rss[0] >> 20} to {rss[-1] >> 20} MiB")


def test_reloads_leave_nothing_behind(ends):
    it = ends()
    for turn in range(8):
        asked(it.wall, "reload")
    before = it.wall.rss_bytes()
    folder = f"/proc/{it.wall.process.pid}/fd"
    descriptors = len(os.listdir(folder))
    for turn in range(2 * RELOADS):
        it.write(policy=("wide", "nowhere", "narrow")[turn % 3])
        it.wall.signal(signal.SIGHUP)
        asked(it.wall, "reload", code=turn % 3 == 1)
    if not SANITIZED:
        assert it.wall.rss_bytes() < before + (8 << 20)  # one generation takes a tenth of what all would
    it.wall.wait_for(lambda: len(os.listdir(folder)) <= descriptors, "the end of the last connection", 10)
