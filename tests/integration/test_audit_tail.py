# SPDX-License-Identifier: Apache-2.0
"""What `audit tail`, `--top`, `stats` and `export` make of a log, on a terminal and off it."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest
import zmq

from wall import HOSTILE, Wall, channel, tcp

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("PICKLEWALL_BIN", str(ROOT / "build/dev/picklewall"))
PRINTABLE = re.compile(r"[\x20-\x7e\n]*")
ENTRY = "01M81KPD4X2X5JXWZM3ZTMS8SP"
COUNT = int(os.environ.get("PW_TAIL_LINES", "20000"))

SYSTEM = {"code": "import.denied", "frame": 0, "off": 3, "mod": "os", "name": "system",
          "level": "critical", "note": "runs a program"}


class Log:
    """Lines as the wall writes them, chained."""

    def __init__(self, at=1795305600.0):
        self.at, self.seq, self.prev, self.lines = at, 0, "0" * 64, []

    def add(self, event, **members):
        self.seq += 1
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.at))
        line = {"ts": f"{seconds}.{int(self.at % 1 * 1e6):06d}Z", "schema": "picklewall.audit/1",
                "event": event, "id": f"01JD8Z3W5K{self.seq:016d}", "seq": self.seq, "level": "info",
                "inst": "w", "host": "h", "ver": "0.1.0", "pid": 7, **members,
                "chain": "w/1795305600000", "prev": self.prev}
        text = json.dumps(line, separators=(",", ":"))
        self.prev = hashlib.sha256(text.encode()).hexdigest()
        self.lines.append(text)
        self.at += 0.25
        return self

    def passes(self, chan="jobs", **more):
        return self.add("frame", chan=chan, dir="in", **{"in": "tcp://127.0.0.1:1", "out": "tcp://127.0.0.1:2"},
                        verdict="pass", enforced=True, msg={"frames": 1, "bytes": 100}, dur_us=1.5, **more)

    def refused(self, verdict="quarantine", reason="import.denied", text="a name that the policy does not allow",
                finds=(SYSTEM,), chan="jobs", src="10.0.3.7", level="critical", **more):
        held = {"q": {"id": "ab" * 32, "entry": ENTRY, "bytes": 100, "stored": True}} if verdict == "quarantine" else {}
        more = {"level": level, "chan": chan, "dir": "in", "in": "tcp://127.0.0.1:1", "out": "tcp://127.0.0.1:2",
                "src": src, "verdict": verdict, "enforced": verdict != "pass", "reason": reason,
                "reason_text": text, "msg": {"frames": 1, "bytes": 57, "sha256": "cd" * 32}, **more}
        return self.add("frame", **more, rule={"id": reason, "set": "python-data"}, finds=list(finds),
                        finds_total=len(finds), **held)

    def text(self):
        return "".join(line + "\n" for line in self.lines)

    def write(self, path):
        path.write_text(self.text())
        return path


NOTE = "w/1795305600000\n12\nq1w2e3r4t5y6u7i8o9p0AAAAAAAAAAAAAAAAAAAAAAA=\n\n\u2014 audit abc=\n"


def life():
    """One of each event that there is."""
    log = Log()
    log.add("start", detail={"config": "/etc/p.conf", "channels": [{"chan": "jobs"}], "chain": {"what": "new"}})
    log.passes().refused().refused("drop", chan="other").refused("pass", chan="other")
    log.refused("drop", "sig.bad", "the signature does not fit the message", (), sig={"state": "bad", "kid": "00" * 8})
    log.add("summary", chan="jobs", summary={"messages": 1234, "bytes": 99, "since": "2026-11-22T00:00:01.000000Z"})
    log.add("key", detail={"what": "key.reload", "keys": 3, "signs": [{"chan": "jobs", "key": "k1", "kid": "00"}],
                           "by": {"via": "control", "uid": 1000, "pid": 4}})
    log.add("key", level="high", error="keys/a.pwkey: its mode is 0644; chmod 600", detail={"what": "key.reload_failed"})
    log.add("quarantine", detail={"what": "release", "outcome": "sent", "entry": ENTRY, "reason": "ours",
                                  "by": {"via": "control", "uid": 0, "pid": 5, "user": "root"}})
    log.add("error", level="high", error="little room is left on the disk of the audit log",
            detail={"what": "audit.space_low", "free": 1024})
    log.add("checkpoint", checkpoint={"size": 12, "note": NOTE})
    log.add("rotate", detail={"from": "audit.jsonl.1"}).add("rotate", detail={"truncated": True}).add("rotate")
    log.add("start", detail={"chain": {"what": "broken"}}, level="high")
    log.add("stop", detail={"channels": [{"chan": "jobs", "received": 5, "forwarded": 3, "quarantined": 2,
                                          "dropped": 0, "undelivered": 0, "lost": 0, "delivered": True}]})
    return log


WORDS = [
    "start .*picklewall 0.1.0 started, a new chain of lines begins, channels jobs, host h, pid 7, /etc/p.conf",
    "jobs  *pass  *clean, 100 B", f"jobs  *quarantine  *os:system, runs a program, import.denied, from 10.0.3.7, .*{ENTRY}",
    "other  *drop  *os:system", "other  *reported  *os:system, .*forwarded all the same",
    "the signature does not fit the message, sig.bad, from 10.0.3.7, 57 B, signature bad, key 0000000000000000",
    "passes  *1,234 clean passes, 99 B, since 00:00:01", "key  *keys read again, 3 in force, jobs signs with k1, asked by "
    "user 1000 through control", "keys not read, the old ones stay: keys/a.pwkey: its mode is 0644; chmod 600",
    f"release  *released and sent, because: ours, .*asked by root through control  *{ENTRY}",
    "error  *little room is left on the disk of the audit log, make room there, or move old logs away, free 1024",
    "checkpoint the first 12 lines are sealed, root q1w2e3r4t5y6", "the log goes on in a new file; the old one is audit.jsonl.1",
    "somebody cut the log short; lines are missing before", "somebody moved the log; it goes on in a new file",
    "THE LOG IS NOT WHAT WAS SEALED", "stopped, jobs: 5 received 3 forwarded 2 held",
]


def run(*args, columns=None, **more):
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    environment.update({"COLUMNS": str(columns)} if columns else {})
    return subprocess.run([BIN, "audit", *map(str, args)], capture_output=True, text=True, timeout=60, check=False,
                          env=environment, **more)


def test_every_event_is_told_in_words(tmp_path):
    log = life()
    done = run("tail", log.write(tmp_path / "log"), "--lines", 100)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(log.lines) == len(WORDS)
    for line, words in zip(lines, WORDS):
        assert re.search(words, line), (words, line)


@pytest.mark.parametrize("columns", [20, 40, 80, 119, 120, 200])
def test_lines_keep_to_the_width(tmp_path, columns):
    done = run("tail", life().write(tmp_path / "log"), "--lines", 100, columns=columns)
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) < columns
    days = [line for line in lines if line.startswith("-- ")]
    assert len(days) == (columns < 120)
    assert sum(line.endswith(ENTRY) for line in lines) == (2 if columns >= 80 else 0)


def test_a_change_of_the_configuration_is_told_in_words(tmp_path):
    log = Log().add("config", detail={"what": "config.reload", "config": "/etc/p.conf", "generation": 4,
                                      "restart": ["channel.a.in.bind"], "by": {"via": "SIGHUP", "uid": 0, "pid": 5}})
    log.add("config", chan="jobs", detail={"what": "config.in_force", "generation": 4, "policy": "mine",
                                           "on_violation": "drop"})
    log.add("config", level="high", error="p.conf:3: colour: no such setting",
            detail={"what": "config.reload_failed", "config": "/etc/p.conf", "generation": 4, "restart": []})
    words = ["config  *configuration read again, and in force, waits for the next start: channel.a.in.bind, generation 4, "
             "asked by user 0 through SIGHUP", "from here on judged by policy mine, what it refuses: drop, generation 4",
             "configuration refused, the old one stays: p.conf:3: colour: no such setting"]
    lines = run("tail", log.write(tmp_path / "log"), columns=220).stdout.splitlines()[-3:]
    for line, expected in zip(lines, words, strict=True):
        assert re.search(expected, line), f"{expected} is not in {line}"


def test_connections_are_told_in_words(tmp_path):
    log = Log()
    for what, side in (("connected", "in"), ("disconnected", "out"), ("shed", "in")):
        log.add("peer", chan="jobs", detail={"what": what, "side": side, "peer": "10.0.0.7:4711"})
    log.add("peer", chan="jobs", detail={"what": "refused", "side": "in", "peer": "10.0.0.8", "why": "stranger"})
    log.add("peer", chan="jobs", detail={"what": "more", "shed": 7})
    said = run("tail", log.write(tmp_path / "log"), columns=200).stdout
    for words in ("producer connected, 10.0.0.7:4711", "consumer left, 10.0.0.7:4711", "producer cut off, 10.0.0.7:4711",
                  "producer refused: its key is not listed, 10.0.0.8, stranger",
                  "connections that had no line of their own, shed 7"):
        assert words in said, (words, said)


def test_hostile_strings_never_reach_the_terminal(tmp_path):
    evil = "\x1b[2J\x9b31m\r\n\u202e\udcff"
    log = Log().refused(chan=evil, src=evil, text=evil, finds=[{**SYSTEM, "mod": evil, "name": evil, "note": evil}])
    log.add("error", error=evil, detail={evil: evil, "what": evil}).add(evil, detail={"by": {"via": evil, "uid": 1}})
    log.add("rotate", detail={"from": evil}).add("quarantine", detail={"what": evil, "entry": evil, "reason": evil})
    path = log.write(tmp_path / "log")
    for args in (["tail", path], ["stats", path], ["tail", "--top", path], ["export", "--format", "ecs", path]):
        for columns in (None, 80, 200):
            done = run(*args, columns=columns)
            assert done.returncode == 0
            assert PRINTABLE.fullmatch(done.stdout), done.stdout


@pytest.mark.parametrize("args, count", [
    (["--verdict", "drop"], 2), (["--non-pass"], 7), (["--reason", "sig."], 1), (["--reason", "sig.b"], 1),
    (["--reason", "import.denied"], 3), (["--channel", "other"], 2), (["--event", "key"], 2),
    (["--grep", "chmod"], 1), (["--grep", "10.0.3"], 4), (["--grep", "verdict"], 0), (["--grep", "\u2014"], 1),
    (["--since", "2026-11-22T00:00:02Z"], 9), (["--since", "2026-11-23"], 0),
    (["--verdict", "drop", "--channel", "other"], 1),
])
def test_filters_choose(tmp_path, args, count):
    done = run("tail", life().write(tmp_path / "log"), "--json", "--lines", 100, *args)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, count)


def test_since_counts_back_from_now(tmp_path):
    log = Log(time.time() - 7200).passes()
    log.at = time.time() - 60
    path = log.passes("new").write(tmp_path / "log")
    assert len(run("tail", path, "--since", "3h").stdout.splitlines()) == 2
    assert " new " in run("tail", path, "--since", "10m").stdout
    assert run("tail", path, "--since", "5s").stdout == ""


def test_missing_lines_are_said(tmp_path):
    log = Log()
    for _ in range(9):
        log.passes()
    path = tmp_path / "log"
    path.write_text("".join(line + "\n" for line in log.lines[:3] + log.lines[6:]))
    assert "-- 3 lines are missing here\n" in run("tail", path, "--lines", 20).stdout
    assert "-- 3 lines are missing here\n" in run("tail", "-", stdin=path.open()).stdout
    done = run("tail", "--json", path)
    assert len(done.stdout.splitlines()) == 6 and "3 lines are missing" in done.stderr
    assert "3 LINES MISSING" in run("stats", path).stdout
    assert "missing" not in run("tail", path, "--lines", 2).stdout


def test_several_logs_and_the_state_folder(tmp_path):
    first, second = tmp_path / "audit.jsonl.1", tmp_path / "audit.jsonl"
    log = Log()
    first.write_text(log.passes("a").text())
    log.lines.clear()
    second.write_text(log.passes("b").text())
    chans = re.compile(r" ([ab]) +pass")
    assert chans.findall(run("tail", first, second).stdout) == ["a", "b"]
    assert chans.findall(run("tail", "--state", tmp_path).stdout) == ["b"]
    assert run("tail", "--state", tmp_path, first).returncode == 64


def rotated(folder, names):
    """Files of one line each, the newest under its own name; each says which came before it."""
    log = Log(time.time() - 100)
    for i, name in enumerate(names):
        log.lines.clear()
        if i > 0:
            log.add("rotate", detail={"from": names[i - 1]})
        log.passes(f"c{i}").write(folder / name)
    return folder / names[-1]


def test_since_reads_the_rotated_files_too(tmp_path):
    path = rotated(tmp_path, ["audit.jsonl.A", "audit.jsonl.B", "audit.jsonl"])
    assert re.findall(r"c\d", run("tail", path, "--since", "1h", "--event", "frame").stdout) == ["c0", "c1", "c2"]
    assert json.loads(run("stats", path, "--since", "1h", "--json").stdout)["messages"] == 3
    assert json.loads(run("stats", path, "--json").stdout)["messages"] == 1


def test_follow_does_not_lose_a_file_that_was_rotated_twice(tmp_path):
    path = tmp_path / "audit.jsonl"
    Log().passes("old").write(path)
    tail = subprocess.Popen([BIN, "audit", "tail", "-f", "--json", "--event", "frame", path],
                            stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(tail.stdout.readline())["chan"] == "old"
        tail.send_signal(signal.SIGSTOP)
        path.rename(tmp_path / "audit.jsonl.A")
        rotated(tmp_path, ["audit.jsonl.A", "audit.jsonl.B", "audit.jsonl"][1:])
        # Both say what they took over from.
        for name, before in (("audit.jsonl.B", "audit.jsonl.A"),):
            log = Log().add("rotate", detail={"from": before}).passes("c0")
            log.write(tmp_path / name)
        tail.send_signal(signal.SIGCONT)
        assert [json.loads(tail.stdout.readline())["chan"] for _ in range(2)] == ["c0", "c1"]
    finally:
        tail.kill()
        tail.wait()


def test_an_endpoint_is_subscribed_to(tmp_path):
    at = f"ipc://{tmp_path}/publish"
    context = zmq.Context()
    publisher = context.socket(zmq.XPUB)
    publisher.linger = 0
    publisher.bind(at)
    tail = subprocess.Popen([BIN, "audit", "tail", "--non-pass", at], stdout=subprocess.PIPE, text=True)
    try:
        assert publisher.poll(20000) and publisher.recv() == b"\x01"
        log = Log().passes().refused().refused("drop").passes().refused("drop")
        for i in (0, 1, 4):
            publisher.send_multipart([b"frame", log.lines[i].encode()])
        publisher.send_multipart([b"junk", b"\x1b[2Jno line"])
        publisher.send_multipart([b"drop/jobs", log.lines[4].encode()])
        assert ENTRY in tail.stdout.readline()
        assert tail.stdout.readline() == "-- 2 lines are missing here\n"
        assert " drop " in tail.stdout.readline()
    finally:
        tail.kill()
        tail.wait()
        context.destroy(linger=0)


def test_a_real_wall_is_followed_over_its_own_rotations(tmp_path, sockets):
    source, target, publish = tcp(), tcp(), tcp()
    wall = Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target]))
    wall.config.write_text(wall.config.read_text().replace(
        "audit\n", f'audit\n    rotate_size = "64K"\n    publish = "{publish}"\n'))
    with wall, open(tmp_path / "seen", "w") as seen, open(tmp_path / "told", "w") as told:
        tails = [subprocess.Popen([BIN, "audit", "tail", "-f", "--json", "--lines", "1000000", wall.log], stdout=seen),
                 subprocess.Popen([BIN, "audit", "tail", "--json", publish], stdout=told)]
        try:
            push, pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
            early = 0  # until both read along
            while early < 400 and not all((tmp_path / name).stat().st_size for name in ("seen", "told")):
                push.send(b"\x80\4K\1.")
                early += 1
                time.sleep(0.05)
            for i in range(1000):
                push.send(HOSTILE["reduce"] if i % 100 == 0 else b"\x80\4K\1.")
            for _ in range(early + 990):
                pull.recv()
            assert wall.stop() == 0
            files = sorted(wall.state.glob("audit-*.jsonl")) + [wall.log]
            whole = b"".join(path.read_bytes() for path in files)
            assert len(files) > 3
            end = time.monotonic() + 20
            while (tmp_path / "seen").stat().st_size < len(whole) and time.monotonic() < end:
                time.sleep(0.05)
            assert sorted((tmp_path / "seen").read_bytes().splitlines()) == sorted(whole.splitlines())
            published = (tmp_path / "told").read_bytes().splitlines()
            assert len(published) > 900 and set(published) <= set(whole.splitlines())
        finally:
            for tail in tails:
                tail.kill()
                tail.wait()
    said = json.loads(run("stats", "--since", "1h", "--json", "--state", wall.state).stdout)
    assert (said["messages"], said["quarantine"], said["missing"]) == (early + 1000, 10, 0)


# ---- numbers ----

def many(path):
    log, lines = Log(), []
    for i in range(COUNT):
        if i % 10 == 0:
            log.refused("quarantine" if i % 20 else "drop", chan="other" if i % 50 else "jobs", src=f"10.0.0.{i % 30}")
        else:
            log.passes()
        lines.append(log.lines.pop())
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_stats_add_up(tmp_path):
    path = many(tmp_path / "log")
    said = json.loads(run("stats", path, "--json").stdout)
    assert said["lines"] == said["messages"] == COUNT
    assert (said["pass"], said["quarantine"], said["drop"]) == (COUNT * 9 // 10, COUNT // 20, COUNT // 20)
    assert (said["missing"], said["unreadable"], said["lost"]) == (0, 0, 0)
    assert sum(row["messages"] for row in said["channels"]) == COUNT
    assert sum(row["bytes"] for row in said["hours"]) == said["bytes"]
    assert [row["hour"] for row in said["hours"]] == sorted(row["hour"] for row in said["hours"])
    assert said["globals"] == [{"global": "os:system", "messages": COUNT // 10, "pass": 0, "quarantine": COUNT // 20,
                                "drop": COUNT // 20, "reported": 0, "bytes": 57 * COUNT // 10, "note": "runs a program"}]
    counts = [row["messages"] for row in said["sources"]]
    assert len(counts) == 3 and counts == sorted(counts, reverse=True)
    assert list(json.loads(run("stats", path, "--json", "--by", "reason").stdout)).count("channels") == 0


def test_stats_for_a_person(tmp_path):
    done = run("stats", many(tmp_path / "log"), columns=80)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) < 80
    assert re.search(r"^os:system +[\d,]+  runs a program$", done.stdout, re.MULTILINE)
    assert re.search(r"^import.denied +[\d,]+  a name that", done.stdout, re.MULTILINE)
    assert run("stats", "--by", "day", tmp_path / "log").returncode == 64


def test_a_summary_counts_its_messages(tmp_path):
    said = json.loads(run("stats", life().write(tmp_path / "log"), "--json").stdout)
    assert (said["messages"], said["pass"], said["reported"]) == (5 + 1234, 2 + 1234, 1)


# ---- a terminal ----

@pytest.fixture
def terminal(tmp_path):
    """terminal(width, height, args): keys go in by .keys, the screen comes out by .screen()."""
    if shutil.which("tmux") is None:
        pytest.fail("no tmux; .ci/install-deps.sh test installs it")
    server = tmp_path / "tmux.sock"

    def tmux(*args):
        return subprocess.run(["tmux", "-S", server, "-f", "/dev/null", *map(str, args)], check=True, timeout=20,
                              capture_output=True, text=True).stdout

    class Terminal:
        def __init__(self, width, height, *args):
            command = " ".join([BIN, "audit", "tail", *map(str, args)])
            tmux("new-session", "-d", "-x", width, "-y", height,
                 f"echo before; stty -a >{tmp_path}/stty.1; {command}; echo code $?; stty -a >{tmp_path}/stty.2; exec cat")

        def screen(self):
            return tmux("capture-pane", "-p")

        def keys(self, *keys):
            tmux("send-keys", *keys)

        def resize(self, width, height):
            tmux("resize-window", "-x", width, "-y", height)

        def wait_for(self, words):
            end = time.monotonic() + 20
            while not re.search(words, self.screen(), re.MULTILINE):
                assert time.monotonic() < end, f"no {words} on\n{self.screen()}"
                time.sleep(0.05)
            return self.screen()

    yield Terminal
    subprocess.run(["tmux", "-S", server, "kill-server"], check=False, timeout=20, capture_output=True)


def test_top_is_redrawn_in_place_and_gives_the_terminal_back(tmp_path, terminal):
    log = life()
    path = log.write(tmp_path / "log")
    screen = terminal(80, 24, "--top", path)
    shown = screen.wait_for(r"^NEWEST REFUSALS$")
    assert "before" not in shown
    assert shown.startswith("17 lines, ") and "UTC, q ends" in shown
    with path.open("a") as file:
        for _ in range(5):
            file.write(log.refused().lines[-1] + "\n")
    shown = screen.wait_for(r"^22 lines, ")
    assert len(re.findall(r"^CHANNEL ", shown, re.MULTILINE)) == 1
    assert len([line for line in shown.splitlines() if line.endswith(ENTRY)]) >= 3
    screen.keys("q")
    shown = screen.wait_for(r"^code 0$")
    assert shown.startswith("before\n")
    assert "22 lines, " in shown
    time.sleep(0.2)
    assert (tmp_path / "stty.1").read_text() == (tmp_path / "stty.2").read_text()


@pytest.mark.parametrize("key", ["C-c", "C-\\"])
def test_top_gives_the_terminal_back_at_a_signal(tmp_path, terminal, key):
    screen = terminal(80, 24, "--top", life().write(tmp_path / "log"))
    screen.wait_for(r"^NEWEST REFUSALS$")
    screen.keys(key)
    assert screen.wait_for(r"^before$").startswith("before\n17 lines, ")


def test_top_follows_the_size_of_the_terminal(tmp_path, terminal):
    screen = terminal(80, 24, "--top", life().write(tmp_path / "log"))
    screen.wait_for(r"^NEWEST REFUSALS$")
    screen.resize(200, 50)
    assert re.search(r"^2026-11-22 .*quarantine os:system", screen.wait_for(r"^2026-11-22 "), re.MULTILINE)
    screen.resize(60, 10)
    screen.wait_for(r"^17 lines, .*\n.*\nCHANNEL")
    assert len(screen.screen().splitlines()) <= 10


def test_top_off_a_terminal_is_one_summary(tmp_path):
    done = run("tail", "--top", life().write(tmp_path / "log"))
    assert done.returncode == 0 and "\x1b" not in done.stdout
    assert done.stdout.startswith("17 lines, 2026-11-22 00:00:00 to 2026-11-22 00:00:04 UTC\n")
    assert run("tail", "--top", "--json", tmp_path / "log").returncode == 64


def test_tail_on_a_terminal_has_colours_and_its_width(tmp_path, terminal):
    screen = terminal(80, 40, "-f", "--lines", "100", life().write(tmp_path / "log"))
    shown = screen.wait_for("stopped")
    assert all(len(line) < 80 for line in shown.splitlines())
    assert f"  {ENTRY}" in shown
    screen.keys("C-c")


# ---- export ----

def at(value, path):
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def exported(tmp_path, form, *args):
    log = life()
    done = run("export", "--format", form, log.write(tmp_path / "log"), *args)
    assert (done.returncode, done.stderr) == (0, "")
    assert PRINTABLE.fullmatch(done.stdout)
    return [json.loads(line) for line in log.lines], [json.loads(line) for line in done.stdout.splitlines()], log


def rows(name):
    text = (ROOT / "proxy/cli" / name).read_text()
    return re.findall(r'\{"([a-z_.]+)", "([@a-z_0-9.]+)"\}', text)


@pytest.mark.parametrize("form, file", [("ecs", "audit_ecs.c"), ("ocsf", "audit_ocsf.c")])
def test_the_readme_has_every_row_of_the_mapping(form, file):
    readme = (ROOT / "proxy/cli/README.md").read_text()
    assert len(rows(file)) > 20
    for source, target in rows(file):
        assert f"| `{source}` | `{target}` |" in readme, (form, source, target)


def test_ecs_has_every_member_where_the_table_says(tmp_path):
    natives, objects, log = exported(tmp_path, "ecs")
    assert len(objects) == len(natives)
    for native, made, line in zip(natives, objects, log.lines):
        for source, target in rows("audit_ecs.c"):
            assert at(made, target) == at(native, source), (source, target)
        assert made["ecs"]["version"] == "9.0.0"
        assert made["event"]["hash"] == hashlib.sha256(line.encode()).hexdigest()
        assert made["event"]["dataset"] == "picklewall." + native["event"]


def test_ecs_says_what_happened_in_its_own_words(tmp_path):
    _, objects, _ = exported(tmp_path, "ecs")
    start, clean, held, drop, report = objects[:5]
    assert (start["event"]["category"], start["event"]["type"], start["event"]["kind"]) == (["process"], ["start"], "event")
    assert (clean["event"]["type"], clean["event"]["action"], clean["event"]["kind"]) == (["allowed"], "passed", "event")
    assert clean["event"]["duration"] == 1500
    assert (held["event"]["type"], held["event"]["action"], held["event"]["kind"]) == (["denied"], "quarantined", "alert")
    assert (held["event"]["severity"], held["event"]["category"]) == (5, ["intrusion_detection"])
    assert (drop["event"]["action"], report["event"]["action"], report["event"]["kind"]) == ("dropped", "passed", "alert")
    assert (held["source"], held["related"]) == ({"address": "10.0.3.7", "ip": "10.0.3.7"},
                                                 {"ip": ["10.0.3.7"], "hash": ["cd" * 32]})
    assert held["message"] == "quarantine: os:system, runs a program"
    failed = [made for made in objects if "error" in made]
    assert [made["event"]["outcome"] for made in failed] == ["failure", "failure"]


def test_ocsf_has_its_required_attributes(tmp_path):
    natives, objects, log = exported(tmp_path, "ocsf")
    for native, made, line in zip(natives, objects, log.lines):
        refused = "reason" in native
        assert made["class_uid"] == (2004 if refused else 6002)
        assert made["category_uid"] == made["class_uid"] // 1000
        assert made["type_uid"] == made["class_uid"] * 100 + made["activity_id"]
        assert 1795305600000 <= made["time"] < 1795305610000
        assert made["severity_id"] == {"info": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}[native["level"]]
        assert made["metadata"]["version"] == "1.9.0" and made["metadata"]["product"]["name"] == "picklewall"
        attestation, = made["attestation_list"]
        assert attestation["chain_uid"] == native["chain"]
        assert attestation["fingerprint"]["value"] == hashlib.sha256(line.encode()).hexdigest()
        assert ("prev_event" in attestation) == (native["seq"] > 1)
        if native["seq"] > 1:
            assert attestation["prev_event"]["fingerprint"] == {"algorithm_id": 3, "algorithm": "SHA-256",
                                                                "value": native["prev"]}
        assert "finding_info" in made if refused else "app" in made


def test_ocsf_has_every_member_where_the_table_says(tmp_path):
    natives, objects, _ = exported(tmp_path, "ocsf")
    finding = dict.fromkeys(target for _, target in rows("audit_ocsf.c") if target.startswith(("finding_info", "policy")))
    for native, made in zip(natives, objects):
        for source, target in rows("audit_ocsf.c"):
            value, refused = at(native, source), "reason" in native
            if target in ("status_code", "status_detail") or target in finding and not refused:
                continue
            if refused and target.startswith(("unmapped", "app")) and target not in (
                    "unmapped.pid", "unmapped.in", "unmapped.lost"):
                continue
            assert at(made, target) == value, (source, target)


def test_ocsf_says_what_was_done(tmp_path):
    _, objects, _ = exported(tmp_path, "ocsf", "--reason", "import")
    assert [(made["action_id"], made["disposition_id"]) for made in objects] == [(2, 3), (2, 6), (3, 17)]
    held = objects[0]
    assert held["finding_info"]["analytic"]["uid"] == held["status_code"] == "import.denied"
    assert held["policy"] == {"name": "python-data"}
    evidence, = held["evidences"]
    assert evidence["file"] == {"name": "cd" * 32, "type_id": 1, "size": 57, "hashes": [
        {"algorithm_id": 3, "algorithm": "SHA-256", "value": "cd" * 32}]}
    assert (evidence["uid"], evidence["name"]) == (ENTRY, "jobs")
    assert (evidence["src_endpoint"], evidence["dst_endpoint"]) == ({"ip": "10.0.3.7"}, {"name": "tcp://127.0.0.1:2"})
    assert evidence["data"]["findings"] == [SYSTEM]
    _, objects, _ = exported(tmp_path, "ocsf", "--event", "start")
    assert [(made["activity_id"], made["activity_name"]) for made in objects] == [(3, "Start")] * 2


def test_export_says_what_it_could_not_read(tmp_path):
    path = tmp_path / "log"
    path.write_text("nonsense\n" + Log().passes().text() + '{"ts":"never"}\n')
    done = run("export", "--format", "ecs", path)
    assert (done.returncode, len(done.stdout.splitlines())) == (65, 1)
    assert "2 lines are no audit lines" in done.stderr
    assert run("export", path).returncode == 64
