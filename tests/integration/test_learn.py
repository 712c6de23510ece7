# SPDX-License-Identifier: Apache-2.0
"""`picklewall learn`: the policy it prints is accepted, lets the same inputs pass, and no attack."""
import collections
import datetime
import json
import os
import pathlib
import pickle
import shutil
import subprocess

import jsonschema
import pytest
import zmq

from wall import HOSTILE, Wall, channel, tcp

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("PICKLEWALL_BIN", str(ROOT / "build/dev/picklewall"))


class Job:
    def __init__(self, when):
        self.when = when
        self.kind = Job


class Attack:
    def __reduce__(self):
        return os.system, ("true",)


def run(*args, **options):
    return subprocess.run([BIN, *map(str, args)], capture_output=True, timeout=60, **options)


def learn(*args, **options):
    done = run("learn", *args, **options)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture
def packs(tmp_path):
    """A folder of policies that has the shipped ones, and the environment that names it."""
    folder = tmp_path / "policies"
    shutil.copytree(ROOT / "config/policies", folder)
    return folder


def scan_under(packs, name, *paths):
    done = run("scan", "--json", "--policy", name, *paths,
               env={**os.environ, "PICKLEWALL_POLICIES": str(packs)})
    assert done.returncode in (0, 1), done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("protocol", range(6))
def test_what_was_scanned_passes_under_what_was_learned(protocol, tmp_path, packs):
    value = [Job(datetime.date(2026, 1, 2)), collections.OrderedDict(a=1), {1}, b"bytes", range(3)]
    (tmp_path / "job.pkl").write_bytes(pickle.dumps(value, protocol))
    (tmp_path / "attack.pkl").write_bytes(pickle.dumps([value, Attack()], protocol))
    scanned = run("scan", "--json", tmp_path / "job.pkl", tmp_path / "attack.pkl")
    assert scanned.returncode == 1
    (packs / "mine.conf").write_text(learn("--name", "mine", "-", input=scanned.stdout))
    job, attack = scan_under(packs, "mine", tmp_path / "job.pkl", tmp_path / "attack.pkl")
    assert job["verdict"] == "pass", job["finds"]
    assert [(f["code"], f["name"], f["note"]) for f in attack["finds"]] == [
        ("import.denied", "system", "runs a program")]


def test_every_name_stands_with_its_history(tmp_path):
    for name in ("b.pkl", "a.pkl"):
        (tmp_path / name).write_bytes(pickle.dumps(Job(datetime.date(2026, 1, 2)), 4))
    text = learn("-", input=run("scan", "--json", ".", cwd=tmp_path).stdout)
    module = Job.__module__
    assert (f"\n        # -- {module}\n        #   seen 2 times; first in ./a.pkl\n"
            f'        allow = "{module}:Job ref new build"\n') in text
    assert 'include = "python-data"' in text
    assert '        # allow = "datetime:date call"\n' in text


def audit_line(seq, ts, mod, name, code="import.denied", op="STACK_GLOBAL", **more):
    return json.dumps({
        "ts": ts, "schema": "picklewall.audit/1", "event": "frame", "seq": seq, "chan": "jobs",
        "verdict": "quarantine", "rule": {"set": "python-data"}, "pickle": {"proto": 4},
        "finds": [{"code": code, "frame": 0, "off": 3, "op": op, "mod": mod, "name": name}],
        "finds_total": 1, **more}) + "\n"


CONFIG = """state = "{state}"
channel
    jobs
        in
            bind = "tcp://127.0.0.1:8006"
        out
            bind = "tcp://127.0.0.1:8007"
        policy = "learned"
"""


def check_config(tmp_path, policy):
    config = tmp_path / "wall.conf"
    config.write_text(CONFIG.format(state=tmp_path / "state") + policy)
    return run("check-config", "--config", config)


def test_audit_lines_teach_too_and_mix_with_scans(tmp_path):
    log = tmp_path / "audit.jsonl"
    log.write_text(audit_line(1, "2026-11-21T10:00:00.000000Z", "myapp.jobs", "Job")
                   + audit_line(2, "2026-11-20T10:00:00.000000Z", "myapp.jobs", "Job")
                   + audit_line(3, "2026-11-21T11:00:00.000000Z", "collections", "deque",
                                "args.denied", "REDUCE"))
    (tmp_path / "a.pkl").write_bytes(b"cmyapp.jobs\nState\n)\x81}b.")
    text = learn(log, "-", input=run("scan", "--json", tmp_path / "a.pkl").stdout)
    assert "seen 2 times; first 2026-11-20T10:00:00.000000Z; channel jobs" in text
    assert '        allow = "myapp.jobs:Job"\n' in text
    assert '        allow = "myapp.jobs:State new build"\n' in text
    assert '        allow = "collections:deque call"\n' in text
    done = check_config(tmp_path, text)
    assert (done.returncode, done.stderr) == (0, b"")


def test_hostile_names_reach_no_line_of_the_policy(tmp_path):
    lines = [audit_line(i, "2026", mod, name) for i, (mod, name) in enumerate([
        ("m", 'C"\n        allow = "os:system'), ('m"\n\tallow = "x:y', "C"), ("", ""),
        ("m\x1b[31m", "C"), ("m", "C" * 400), ("..", "."), ("m", "\udcff"), ("m", "\u202eC"),
        ("m", "# comment"), ("posixpath", "os.system"), ("__builtin__", "eval"),
    ])]
    text = learn("-", input="".join(lines).encode())
    assert text.isascii() and "\x1b" not in text
    assert "\n        allow" not in text
    done = check_config(tmp_path, text)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr


def test_dangerous_names_are_left_out_with_the_reason():
    text = learn("-", input=audit_line(1, "2026", "posix", "system").encode())
    assert '        #   left out: runs a program\n        # allow = "posix:system"\n' in text


def test_rare_names_can_be_left_out():
    lines = audit_line(1, "2026", "m", "Often") * 3 + audit_line(2, "2026", "m", "Once")
    text = learn("--min-count", "2", "-", input=lines.encode())
    assert '"m:Often"' in text and "Once" not in text
    assert "1 name of fewer than 2 lines left out" in text


def test_what_no_entry_allows_is_listed_with_the_setting_that_would():
    line = audit_line(1, "2026", "", "", "buffer.denied", "NEXT_BUFFER")
    text = learn("-", input=line.encode())
    assert "1 x buffer.denied: " in text and "        # buffers = yes\n" in text


def test_malformed_lines_are_counted_with_the_number_of_the_first(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(audit_line(1, "2026", "m", "C").encode() + b"\xff\n{}\n" + b"x" * 9000000)
    done = run("learn", log)
    assert done.returncode == 0
    assert f"{log}:2: neither an audit line nor an object of scan --json; 3 such lines" in (
        done.stderr.decode())
    assert b'allow = "m:C"' in done.stdout


@pytest.mark.parametrize("content", [b"", b"\n\n", b"garbage\n", b"[]\n{}\n"])
def test_nothing_that_can_be_read_is_wrong_data(content):
    done = run("learn", "-", input=content)
    assert (done.returncode, done.stdout) == (65, b"")
    assert b"nothing to learn from" in done.stderr


def test_more_findings_than_a_line_holds_are_told():
    line = audit_line(1, "2026", "m", "C", finds_total=40)
    done = run("learn", "-", input=line.encode())
    assert b"1 line told only the first findings of a message" in done.stderr


@pytest.mark.parametrize("args, code, words", [
    ([], 64, b"name an audit log, or - for standard input"),
    (["--name", "a b", "-"], 64, b"--name a b: letters, digits"),
    (["--min-count", "many", "-"], 64, b"--min-count many: give a number"),
    (["--min-cuont", "1", "-"], 64, b"did you mean --min-count?"),
    (["/nonexistent"], 66, b"/nonexistent: No such file or directory"),
    (["/tmp"], 74, b"/tmp: input or output failed"),
])
def test_wrong_usage_names_the_remedy(args, code, words):
    done = run("learn", *args, input=b"")
    assert (done.returncode, done.stdout) == (code, b"")
    assert words in done.stderr


def test_a_wall_under_the_learned_policy_forwards_what_it_held_before(tmp_path, sockets):
    jobs = [pickle.dumps(Job(datetime.date(2026, 1, 2)), protocol) for protocol in range(6)]
    source, target = tcp(), tcp()
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target])) as wall:
        push, pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        for data in (*jobs, HOSTILE["reduce"]):
            push.send(data)
        wall.wait_for(lambda: len(wall.frames("quarantine")) == 7, "seven refusals")
    schema = json.loads((ROOT / "common/audit/audit.schema.json").read_text())
    for line in wall.frames():
        jsonschema.validate(line, schema)
    attack = wall.frames("quarantine")[-1]
    assert attack["level"] == "critical"
    assert [(f["level"], f["note"]) for f in attack["finds"]] == [("critical", "runs a program")]
    done = run("quarantine", "explain", "--config", wall.config, attack["q"]["entry"])
    assert done.returncode == 1 and b'calls "posix":"system"("id")' in done.stdout

    policy = learn("--name", "mine", wall.log)
    assert "channel jobs" in policy and '# allow = "posix:system"' in policy
    source, target = tcp(), tcp()
    lane = channel("jobs", in_bind=[source], out_bind=[target], policy="mine")
    with Wall(tmp_path / "second", lane, more=policy) as wall:
        push, pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        for data in (HOSTILE["reduce"], *jobs):
            push.send(data)
        assert [pull.recv() for _ in jobs] == jobs
    assert [line["reason"] for line in wall.frames("quarantine")] == ["import.denied"]
