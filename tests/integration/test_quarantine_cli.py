# SPDX-License-Identifier: Apache-2.0
"""What operators read: audit lines against their schema, audit tail, quarantine list and show."""
import hashlib
import json
import os
import pathlib
import re
import struct
import subprocess
import time

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("PICKLEWALL_BIN", ROOT / "build/dev/picklewall"))
SAMPLES = pathlib.Path(os.environ.get("PW_AUDIT_SAMPLES",
                                      BIN.parent / "tests/unit/audit/audit_samples"))
SCHEMA = json.loads((ROOT / "common/audit/audit.schema.json").read_text())
PRINTABLE = re.compile(rb"[\x20-\x7e\n]*")


def run(*args, **more):
    return subprocess.run([BIN, *map(str, args)], capture_output=True, timeout=30, **more)


# ---- audit ----

@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    subprocess.run([SAMPLES, path], check=True, timeout=30)
    return path


def test_every_line_is_short_ascii_and_fits_the_schema(log):
    validator = jsonschema.Draft202012Validator(SCHEMA)
    raw = log.read_bytes()
    assert PRINTABLE.fullmatch(raw) and raw.endswith(b"\n")
    lines = raw.splitlines()
    assert len(lines) > 100
    assert max(map(len, lines)) < 8192
    for line in lines:
        errors = [error.message for error in validator.iter_errors(json.loads(line))]
        assert not errors, (line, errors)
    events = [json.loads(line) for line in lines]
    assert {event["event"] for event in events} == set(
        SCHEMA["properties"]["event"]["enum"])
    assert len({event["id"] for event in events}) == len(events)


def test_the_schema_is_closed():
    line = {"ts": "2026-11-21T23:40:00.123456Z", "schema": "picklewall.audit/1", "event": "start",
            "id": "01JD8Z3W5K9Q2M7X4T6B1C0V8R", "seq": 1, "level": "info", "inst": "a",
            "host": "b", "ver": "1", "pid": 2, "chain": "a/1795304398001", "prev": 64 * "0"}
    jsonschema.validate(line, SCHEMA)
    for needed in line:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({key: value for key, value in line.items() if key != needed}, SCHEMA)
    for wrong in ({"extra": 1}, {"seq": 0}, {"seq": 2 ** 53}, {"verdict": "pass"},
                  {"event": "frame"}, {"reason": "import.denied"}, {"event": "checkpoint"},
                  {"checkpoint": {"size": 1, "note": ""}}, {"event": "stop", "tree": [43 * "A" + "="]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**line, **wrong}, SCHEMA)


def test_tail_shows_one_readable_line_an_event(log):
    done = run("audit", "tail", log, "--lines", 1000)
    assert (done.returncode, done.stderr) == (0, b"")
    assert PRINTABLE.fullmatch(done.stdout)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(log.read_bytes().splitlines())
    assert any(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} jobs +quarantine +posix:system, "
                            r"runs a program, import\.denied, 412 B, a name that the policy does not allow", line)
               for line in lines)
    assert any("posix:\\u001b[31mred" in line for line in lines)
    assert any("posix:\\u009b;31m, runs a program" in line for line in lines)
    assert any("clean passes" in line for line in lines)
    assert not any("not an audit line" in line for line in lines)


def test_tail_shows_the_gravest_finding():
    finds = [{"code": "import.denied", "mod": "myapp", "name": "Job", "level": "high"},
             {"code": "import.denied", "mod": "posix", "name": "system", "level": "critical",
              "note": "runs a program"}]
    line = json.dumps({"event": "frame", "verdict": "drop", "reason": "import.denied",
                       "reason_text": "a name", "finds": finds})
    done = run("audit", "tail", "-", input=line.encode())
    assert done.stdout.endswith(b"posix:system, runs a program, import.denied, a name\n")


def test_tail_filters_and_counts(log):
    def verdicts(*args):
        done = run("audit", "tail", log, "--json", *args)
        assert (done.returncode, done.stderr) == (0, b"")
        return [json.loads(line).get("verdict") for line in done.stdout.splitlines()]

    assert len(verdicts()) == 10
    assert len(verdicts("--lines=3")) == 3
    assert verdicts("--lines=0") == []
    assert set(verdicts("--verdict", "quarantine", "--lines", "5")) == {"quarantine"}
    assert set(verdicts("--verdict", "pass", "--lines", "500")) == {"pass"}
    assert verdicts("--channel", "other") == []
    assert None not in verdicts("--channel", "jobs", "--verdict", "drop", "--lines", "500")


@pytest.mark.parametrize("args, code, words", [
    (["--verdict", "fail"], 64, b"--verdict fail: name pass, quarantine or drop"),
    (["--lines", "-1"], 64, b"--lines -1: give a number"),
    (["--lines", "many"], 64, b"--lines many: give a number"),
    (["/nonexistent"], 66, b"/nonexistent: No such file or directory; name an audit log"),
    (["/nonexistent", "-"], 66, b"/nonexistent: No such file"),
    (["--since", "yesterday"], 64, b"--since yesterday: write 90s, 10m, 2h or 7d"),
    (["--state", "/x", "/y"], 64, b"name the log itself, or where it is configured; not both"),
    (["/"], 66, b"/: a folder; name the audit log in it"),
    (["tcp://nowhere"], 64, b"write it as the setting audit.publish has it"),
    (["--lines"], 64, b"--lines needs a value"),
])
def test_tail_says_what_is_wrong(args, code, words):
    done = run("audit", "tail", *args)
    assert (done.returncode, done.stdout) == (code, b"")
    assert words in done.stderr


def test_what_is_no_audit_line_is_shown_as_such_and_harmless(tmp_path, log):
    good = log.read_bytes().splitlines(keepends=True)[0]
    path = tmp_path / "log"
    path.write_bytes(b"{\"torn\":\n" + good + b"\x1b[2J\xff\x00garbage\n[1]\n" + good[:-1])
    done = run("audit", "tail", path)
    assert done.returncode == 0
    assert PRINTABLE.fullmatch(done.stdout)
    assert done.stdout.count(b"not an audit line: ") == 3
    assert b"not an audit line: \\u001b[2J\\xff\\u0000garbage" in done.stdout
    done = run("audit", "tail", "--json", path)
    assert done.stdout == good * 2
    assert done.stderr.count(b"not an audit line: ") == 3


def test_tail_reads_a_pipe(log):
    done = run("audit", "tail", "-", "--json", input=log.read_bytes())
    assert done.stdout == log.read_bytes()


def test_tail_follows_rotation_and_truncation(tmp_path):
    path = tmp_path / "log"
    line = '{"ts":"2026-11-21T23:40:00.123456Z","chan":"%s"}\n'
    path.write_text(line % "old")
    tail = subprocess.Popen([BIN, "audit", "tail", "-f", "--json", path],
                            stdout=subprocess.PIPE, text=True)
    try:
        def expect(name):
            assert json.loads(tail.stdout.readline())["chan"] == name

        expect("old")
        with path.open("a") as file:
            whole = line % "halves"
            file.write(whole[:20])
            file.flush()
            time.sleep(0.5)
            file.write(whole[20:])
        expect("halves")
        path.rename(tmp_path / "log.1")
        with (tmp_path / "log.1").open("a") as file:
            file.write(line % "after the rename")
        path.write_text(line % "new file")
        expect("after the rename")
        expect("new file")
        path.write_text("")
        time.sleep(0.5)
        with path.open("a") as file:
            file.write(line % "emptied")
        expect("emptied")
    finally:
        tail.kill()
        tail.wait()


# ---- quarantine ----

def hold(state, frames, meta, entry):
    """A message as the README of the store describes the files; returns the object's name."""
    body = b"PWQO" + struct.pack(">HHI", 1, 0, len(frames))
    body += b"".join(struct.pack(">Q", len(frame)) for frame in frames) + b"".join(frames)
    digest = hashlib.sha256(body)
    name = digest.hexdigest()
    shelf = state / "quarantine" / "obj" / name[:2]
    shelf.mkdir(parents=True, exist_ok=True)
    (shelf / name).write_bytes(body + digest.digest())
    folder = state / "quarantine" / "hold"
    folder.mkdir(exist_ok=True)
    head = {"entry": entry, "object": name, "bytes": len(body) + 32}
    (folder / f"{entry}.json").write_text(
        json.dumps({**head, **meta}, separators=(",", ":")) + "\n")
    return name


FIRST, SECOND = "01JD8Z3W5K9Q2M7X4T6B1C0V8R", "01JD8Z3W5M0000000000000000"
META = {"chan": "jobs", "reason": "import.denied",
        "reason_text": "a name that the policy does not allow",
        "finds": [{"code": "import.denied", "frame": 1, "off": 3, "mod": "posix",
                   "name": "sys\x1b[31mtem\udcff"}]}


@pytest.fixture
def state(tmp_path):
    hold(tmp_path, [b"topic", b"\x80\x04cposix\nsystem\n\x1b[2J" + b"x" * 100], META, FIRST)
    hold(tmp_path, [b""], {}, SECOND)
    return tmp_path


def test_list_tells_what_is_held(state):
    done = run("quarantine", "list", "--state", state)
    assert (done.returncode, done.stderr) == (0, b"")
    assert PRINTABLE.fullmatch(done.stdout)
    first, second = done.stdout.decode().splitlines()
    assert first.startswith("2024-11-22 ") and FIRST in first and " jobs " in first
    assert first.endswith("a name that the policy does not allow: posix:sys\\u001b[31mtem\\ufffd")
    assert SECOND in second


def test_list_as_json_is_what_the_entries_say(state):
    done = run("quarantine", "list", "--state", state, "--json")
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry["entry"] for entry in entries] == [FIRST, SECOND]
    assert entries[0]["finds"] == META["finds"]


def test_a_damaged_entry_does_not_hide_the_others(state):
    (state / "quarantine/hold" / f"{FIRST}.json").write_bytes(b"\x1b[2J{")
    done = run("quarantine", "list", "--state", state)
    assert SECOND.encode() in done.stdout
    assert PRINTABLE.fullmatch(done.stderr) and b"not a quarantine entry" in done.stderr


def test_show_prints_metadata_and_a_harmless_dump(state):
    done = run("quarantine", "show", FIRST, "--state", state)
    assert (done.returncode, done.stderr) == (0, b"")
    assert PRINTABLE.fullmatch(done.stdout)
    text = done.stdout.decode()
    assert "channel   jobs\n" in text
    assert "finding   frame 1, byte 3: import.denied posix:sys\\u001b[31mtem\\ufffd\n" in text
    assert "frame     0: 5 bytes\n  0000  74 6f 70 69 63 " in text
    assert "frame     1: 120 bytes; the first 64:\n  0000  80 04 63 70 6f 73 69 78" in text
    assert len(re.findall(r"^  00[0-9a-f]{2} ", text, re.MULTILINE)) == 1 + 4


def test_show_takes_the_start_of_an_id_and_the_object(state):
    name = json.loads(run("quarantine", "list", "--state", state, "--json").stdout
                      .splitlines()[0])["object"]
    for spelling in (FIRST[:14], name, name[:8]):
        done = run("quarantine", "show", spelling, "--state", state, "--json")
        shown = json.loads(done.stdout)
        assert shown["object"] == name
        assert [frame["bytes"] for frame in shown["frames"]] == [5, 120]
        assert bytes.fromhex(shown["frames"][0]["head"]) == b"topic"
    assert "entry" not in shown


@pytest.mark.parametrize("args, code, words", [
    (["show"], 64, b"give the id of a message"),
    (["show", "01J"], 64, b"at least 4 characters"),
    (["show", "01JD8Z3W5"], 64, b"2 messages are held under it; give more of the id"),
    (["show", "ffffffffffff"], 66, b"see picklewall quarantine list"),
    (["show", FIRST, SECOND], 64, b"one argument too many"),
    (["list", "now"], 64, b"one argument too many"),
])
def test_quarantine_says_what_is_wrong(state, args, code, words):
    done = run("quarantine", *args, "--state", state)
    assert (done.returncode, done.stdout) == (code, b"")
    assert words in done.stderr


def test_a_damaged_object_is_refused(state):
    name = json.loads(run("quarantine", "list", "--state", state, "--json").stdout
                      .splitlines()[0])["object"]
    path = state / "quarantine/obj" / name[:2] / name
    path.write_bytes(path.read_bytes()[:-1])
    done = run("quarantine", "show", FIRST, "--state", state)
    assert (done.returncode, done.stdout) == (65, b"")
    assert b"damaged" in done.stderr


def test_no_quarantine_is_told(tmp_path):
    done = run("quarantine", "list", "--state", tmp_path)
    assert done.returncode == 66
    assert b"no quarantine to read" in done.stderr
