# SPDX-License-Identifier: Apache-2.0
"""Copies of audit lines: the same as in the file, and no trouble for it when nobody takes them."""

import json
import os
import pickle
import socket
import subprocess
import time

import pytest
import zmq
from wall import BINARY, HOSTILE, Wall, channel, tcp

COUNT = 200


@pytest.fixture(name="make")
def fixture_make(tmp_path, sockets):
    def make(audit_more, **settings):
        source, target = tcp(), tcp()
        wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target], **settings),
                    audit_more=audit_more)
        wall.push, wall.pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        return wall

    return make


def flow(wall, count=COUNT):
    """Clean numbers, and one pickle that is not allowed."""
    for number in range(count):
        wall.push.send(pickle.dumps(number))
    assert [pickle.loads(wall.pull.recv()) for _ in range(count)] == list(range(count))
    wall.push.send(HOSTILE["reduce"])
    wall.wait_for(lambda: wall.frames("quarantine"), "the refusal's line")


def raw_lines(wall):
    return wall.log.read_bytes().splitlines()


def told(line):
    line = json.loads(line)
    return not (line["event"] == "summary" or (line.get("verdict") == "pass" and "reason" not in line))


def of_messages(lines):
    """Without those of connections, which come when they come."""
    return [line for line in lines if b'"event":"peer"' not in line]


def missed(wall):
    status = subprocess.run([BINARY, "ctl", "status", "--json", "--config", wall.config], check=True,
                            capture_output=True, env=wall.environment, timeout=60)
    return json.loads(status.stdout)["audit"]["missed"]


def test_subscribers_get_each_line_under_its_topic(make, sockets):
    endpoint = tcp()
    wall = make(f'publish = "{endpoint}"')
    with wall:
        every, few = sockets(zmq.SUB), sockets(zmq.SUB)
        for subscriber, topic in ((every, b""), (few, b"quarantine/")):
            subscriber.subscribe(topic)
            subscriber.connect(endpoint)
        time.sleep(0.3)  # until the subscriptions are there
        at = len(of_messages(raw_lines(wall)))
        flow(wall)
        heard = []
        while not heard or heard[-1][0] != b"quarantine/jobs":
            heard.append(every.recv_multipart())
        topic, line = few.recv_multipart()
        assert topic == b"quarantine/jobs" and json.loads(line)["verdict"] == "quarantine"
        assert missed(wall) == {"publish": 0}
    lines = of_messages(raw_lines(wall))
    got = of_messages(line for _, line in heard)
    assert got == lines[at : at + len(got)]
    assert {topic for topic, _ in heard} - {b"peer/jobs"} == {b"pass/jobs", b"quarantine/jobs"}
    topics = {}
    while every.poll(200):
        topic, line = every.recv_multipart()
        topics[topic] = line
    assert json.loads(topics[b"stop/"])["event"] == "stop"


def test_stdout_gets_each_line_and_holds_nothing_up(make, monkeypatch):
    wall = make('stdout = "yes"')
    reader, writer = os.pipe()
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **more: real(*words, stdout=writer, **more))
    wall.start()
    monkeypatch.undo()
    flow(wall)
    first = os.read(reader, 1 << 20).splitlines()
    for _ in range(40):  # the pipe holds 64 KiB, and nobody reads it
        flow_clean(wall, 50)
    assert missed(wall)["stdout"] > 0
    assert wall.stop() == 0
    os.close(writer)
    with os.fdopen(reader, "rb") as rest:
        heard = first + rest.read().splitlines()
    lines = raw_lines(wall)
    assert set(heard) <= set(lines) and first == lines[: len(first)]  # whole lines, or none
    assert b"audit.stdout" in wall.words.read_bytes()
    numbers = [json.loads(line)["seq"] for line in lines]
    assert numbers == list(range(1, len(lines) + 1))


def flow_clean(wall, count):
    for number in range(count):
        wall.push.send(pickle.dumps(number))
    assert [pickle.loads(wall.pull.recv()) for _ in range(count)] == list(range(count))


def listen(path):
    daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    daemon.bind(str(path))
    daemon.settimeout(10)
    return daemon


def hear(daemon):
    """The next line; of connections there may be any number."""
    while b'"event":"peer"' in (line := daemon.recv(65536)):
        pass
    return line


def test_syslog_gets_what_is_no_clean_pass(make, tmp_path):
    wall = make(f'syslog = "syslog"\nsyslog_socket = "{tmp_path}/log"')
    with listen(tmp_path / "log") as daemon, wall:
        flow(wall)
        heard = [hear(daemon) for _ in range(2)]
        expected = [line for line in of_messages(raw_lines(wall)) if told(line)]
        assert heard == [b"<30>picklewall: " + expected[0], b"<26>picklewall: " + expected[1]]  # start, refusal
        assert json.loads(expected[1])["level"] == "critical"


def test_the_journal_gets_fields(make, tmp_path):
    wall = make(f'syslog = "journal"\nsyslog_socket = "{tmp_path}/journal"')
    with listen(tmp_path / "journal") as daemon, wall:
        flow(wall)
        hear(daemon)
        fields = dict(line.split(b"=", 1) for line in hear(daemon).splitlines())
    assert json.loads(fields.pop(b"MESSAGE"))["verdict"] == "quarantine"
    assert fields == {
        b"PRIORITY": b"2", b"SYSLOG_IDENTIFIER": b"picklewall", b"PICKLEWALL_EVENT": b"frame",
        b"PICKLEWALL_LEVEL": b"critical", b"PICKLEWALL_CHANNEL": b"jobs", b"PICKLEWALL_VERDICT": b"quarantine",
        b"PICKLEWALL_REASON": b"import.denied"}


def test_a_daemon_that_is_gone_is_found_again(make, tmp_path):
    wall = make(f'syslog = "syslog"\nsyslog_socket = "{tmp_path}/log"', on_violation="drop")
    with wall:
        for _ in range(3):
            wall.push.send(HOSTILE["reduce"])
        wall.wait_for(lambda: missed(wall)["syslog"] >= 4, "lines that nobody takes")
        with listen(tmp_path / "log") as daemon:
            daemon.settimeout(0.2)
            for _ in range(50):
                wall.push.send(HOSTILE["reduce"])
                try:
                    heard = daemon.recv(65536)
                    break
                except TimeoutError:
                    continue
            assert b'"verdict":"drop"' in heard
    assert wall.words.read_bytes().count(b"audit.syslog: ") == 1  # once a minute at most


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ('publish = "tcp://127.0.0.1"', "audit.publish: \"tcp://127.0.0.1\" has no port"),
        ('syslog = "sislog"', "did you mean syslog?"),
        ('space_low = "120%"', "write 0% to 99%"),
        ('file = "-"\nstdout = "yes"', "audit.file is stdout already"),
        ('rotate_age = "1 week"', "write 500ms, 10s, 2m, 12h or 30d"),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(make, lines, sentence):
    wall = make(lines)
    done = subprocess.run([BINARY, "check-config", "--config", wall.config], capture_output=True, text=True,
                          env=wall.environment, timeout=60)
    assert done.returncode == 78 and sentence in done.stderr
