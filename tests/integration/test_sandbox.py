# SPDX-License-Identifier: Apache-2.0
"""What a running wall has given up, and what works all the same."""

import json
import os
import pathlib
import pickle
import shutil
import signal
import socket
import subprocess

import pytest
import zmq
from wall import BINARY, HOSTILE, ROOT, SANITIZED, Wall, channel, tcp

KILL = os.environ.get("WALL_SANDBOX") == "kill"
SECCOMP = "kill" if KILL else "errno"
MODES = ["errno", "kill"]


def run(*arguments, **more):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60, **more)


def status(pid):
    """Of each thread, what the kernel says."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        yield dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)


def pass_one(wall, sockets, source, target, value=1):
    producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
    producer.send(pickle.dumps(value))
    assert pickle.loads(consumer.recv()) == value
    producer.send(HOSTILE["reduce"])
    wall.wait_for(lambda: wall.frames("quarantine"), "the hostile message in quarantine")
    return producer, consumer


@pytest.fixture(name="ends")
def fixture_ends():
    return tcp(), tcp()


def test_every_thread_is_in_it_and_the_level_is_told(tmp_path, sockets, ends):
    with Wall(tmp_path, channel("jobs", in_bind=[ends[0]], out_bind=[ends[1]])) as wall:
        pass_one(wall, sockets, *ends)
        threads = list(status(wall.process.pid))
        assert len(threads) > 5
        # ThreadSanitizer's own thread is older than the program.
        confined = [thread for thread in threads if thread["NoNewPrivs"] == "1" and thread["Seccomp"] == "2"]
        assert len(confined) >= len(threads) - SANITIZED
        limits = pathlib.Path(f"/proc/{wall.process.pid}/limits").read_text()
        assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]
        start = next(line for line in wall.lines() if line["event"] == "start")["detail"]["sandbox"]
        assert start["level"] == 3 and start["landlock"] >= 2
        assert start == {"level": 3, "no_new_privs": True, "core": False, "landlock": start["landlock"],
                         "seccomp": SECCOMP}
        told = json.loads(run("ctl", "status", "--json", "--config", wall.config, env=wall.environment).stdout)
        assert told["sandbox"] == start
        words = run("ctl", "status", "--config", wall.config, env=wall.environment).stdout
        assert f"sandbox: level 3, Landlock ABI {start['landlock']}, seccomp {SECCOMP}\n" in words
        assert "sandbox: level 3 of 3: no new privileges, no core dumps, Landlock of ABI" in wall.words.read_text()
        checked = json.loads(run("check-config", "--json", "--config", wall.config, env=wall.environment).stdout)
        assert checked["sandbox"] == start


@pytest.mark.skipif(KILL, reason="WALL_SANDBOX=kill is the setting here")
def test_off_gives_up_nothing_and_says_so(tmp_path, sockets, ends):
    wall = Wall(tmp_path, channel("jobs", in_bind=[ends[0]], out_bind=[ends[1]]),
                environment={"PICKLEWALL_SANDBOX": "off"})
    with wall:
        pass_one(wall, sockets, *ends)
        assert {thread["Seccomp"] for thread in status(wall.process.pid)} == {"0"}
        assert "warning: sandbox: off, as it is set" in wall.words.read_text()
        start = next(line for line in wall.lines() if line["event"] == "start")["detail"]["sandbox"]
        assert start == {"level": 0, "no_new_privs": False, "core": True, "landlock": 0, "seccomp": "none"}


LACKING = {"landlock_create_ruleset": (444, "no Landlock", "Landlock (Linux 5.19 or later"),
           "seccomp": (317, "no seccomp", "CONFIG_SECCOMP_FILTER")}


@pytest.fixture(name="lacking", scope="module")
def fixture_lacking(tmp_path_factory):
    library = tmp_path_factory.mktemp("lacking") / "lacking.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, ROOT / "tests/integration/lacking.c"], check=True, timeout=60)
    return lambda name: {"LD_PRELOAD": str(library), "LACKING": str(LACKING[name][0]),
                         "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of system calls are those of x86_64")
@pytest.mark.parametrize("name", LACKING)
def test_require_refuses_less_and_names_what_is_missing(tmp_path, ends, lacking, name):
    wall = Wall(tmp_path, channel("jobs", in_bind=[ends[0]], out_bind=[ends[1]]),
                environment={**lacking(name), "PICKLEWALL_SANDBOX": "require"})
    for command in ("run", "check-config"):
        done = run(command, "--config", wall.config, env=wall.environment)
        assert done.returncode == 78, done.stderr
        assert "environment: PICKLEWALL_SANDBOX: all of it is required" in done.stderr
        assert LACKING[name][2] in done.stderr and 'or write sandbox = "best-effort"' in done.stderr
    assert not wall.state.exists()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of system calls are those of x86_64")
@pytest.mark.parametrize("name", LACKING)
def test_best_effort_goes_on_with_less_and_warns(tmp_path, sockets, ends, lacking, name):
    wall = Wall(tmp_path, channel("jobs", in_bind=[ends[0]], out_bind=[ends[1]]),
                environment={**lacking(name), "PICKLEWALL_SANDBOX": "best-effort"})
    with wall:
        pass_one(wall, sockets, *ends)
        assert "warning: sandbox: level 2 of 3" in wall.words.read_text()
        assert LACKING[name][1] in wall.words.read_text()


@pytest.mark.parametrize("violation", MODES)
def test_everything_that_may_be_elsewhere_is_in_reach(tmp_path, sockets, violation):
    """Log, mirror, control socket, ipc endpoints, syslog, keys behind a link, in folders of their own."""
    place = {name: tmp_path / name for name in ("logs", "mirror", "run", "ipc", "vault", "dev")}
    for folder in place.values():
        folder.mkdir(mode=0o700)
    made = run("key", "new", "--suite", "blake2b", "--id", "a", "--out", place["vault"])
    assert made.returncode == 0, made.stderr
    (tmp_path / "keys").symlink_to("vault")
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(str(place["dev"] / "log"))
    journal.settimeout(20)
    source, target = f"ipc://{place['ipc']}/in", f"ipc://{place['ipc']}/out"
    more = (f'file = "{place["logs"]}/audit.jsonl"\nmirror = "{place["mirror"]}/notes"\nrotate_size = "4K"\n'
            f'publish = "ipc://{place["ipc"]}/lines"\nsyslog = "syslog"\nsyslog_socket = "{place["dev"]}/log"')
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target], sign="a"), keys=tmp_path / "keys",
                audit_more=more, environment={"PICKLEWALL_SANDBOX": "require",
                                              "PICKLEWALL_CONTROL": str(place["run"] / "wall.sock"),
                                              "PICKLEWALL_SANDBOX_VIOLATION": violation})
    wall.log = place["logs"] / "audit.jsonl"
    with wall:
        producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        for number in range(40):
            producer.send(pickle.dumps(number))
            assert consumer.recv()[-72:] != b""
        producer.send(HOSTILE["reduce"])
        wall.wait_for(wall.held, "the message in quarantine")
        assert journal.recv(65536)
        wall.wait_for(lambda: len(list(place["logs"].glob("audit-*.jsonl"))) > 1, "old logs")
        done = run("ctl", "reload", "--socket", place["run"] / "wall.sock")
        assert done.returncode == 0, done.stderr
        entry = next(wall.state.glob("quarantine/hold/*.json")).stem
        done = run("quarantine", "purge", "--config", wall.config, "--reason", "a test", entry, env=wall.environment)
        assert done.returncode == 0, done.stderr
        wall.signal(signal.SIGHUP)
        producer.send(pickle.dumps("last"))
        assert consumer.recv()
        assert wall.stop() == 0
    assert (place["mirror"] / "notes").stat().st_size > 0
    assert sum(b'"event":"frame"' in line for path in place["logs"].glob("audit*.jsonl")
               for line in path.read_bytes().splitlines()) == 42


@pytest.mark.parametrize("violation", MODES)
def test_the_name_of_a_host_is_looked_up(tmp_path, sockets, violation):
    source, port = tcp(), tcp().rpartition(":")[2]
    consumer = sockets(zmq.PULL, bind=[f"tcp://127.0.0.1:{port}"])
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_connect=[f"tcp://localhost:{port}"]),
              environment={"PICKLEWALL_SANDBOX": "require", "PICKLEWALL_SANDBOX_VIOLATION": violation}):
        sockets(zmq.PUSH, connect=[source]).send(pickle.dumps(1))
        assert pickle.loads(consumer.recv()) == 1


def test_a_log_folder_that_is_moved_stays_and_one_in_its_place_needs_a_restart(tmp_path, sockets, ends):
    logs = tmp_path / "logs"
    logs.mkdir()
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[ends[0]], out_bind=[ends[1]]),
                audit_more=f'file = "{logs}/audit.jsonl"')
    wall.log = logs / "audit.jsonl"
    with wall:
        producer, consumer = pass_one(wall, sockets, *ends)
        logs.rename(tmp_path / "moved")
        producer.send(pickle.dumps("written where the file is now"))
        assert consumer.recv()
        wall.log = tmp_path / "moved/audit.jsonl"
        wall.wait_for(lambda: len(wall.frames()) == 3, "the line")
        assert not logs.exists()
        (tmp_path / "moved").rename(logs)
        wall.log = logs / "audit.jsonl"
        wall.signal(signal.SIGUSR1)
        producer.send(pickle.dumps("back"))
        wall.wait_for(lambda: len(wall.frames()) == 4, "the line")
        assert wall.stop() == 0
    assert wall.counts("jobs")["received"] == 4


@pytest.mark.skipif(SANITIZED, reason="with sanitizers every file may be read")
def test_a_key_folder_that_is_new_needs_a_restart_and_says_so(tmp_path, sockets, ends):
    for name in ("first", "second"):
        assert run("key", "new", "--suite", "blake2b", "--id", "a", "--out", tmp_path / name).returncode == 0
    keys = tmp_path / "keys"
    keys.symlink_to("first")
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[ends[0]], out_bind=[ends[1]], sign="a"), keys=keys)
    with wall:
        (tmp_path / "link").symlink_to("second")
        (tmp_path / "link").rename(keys)
        done = run("ctl", "reload", "--config", wall.config, env=wall.environment)
        assert done.returncode == 1
        assert "the sandbox knows the files of the start: restart the wall" in done.stderr
        assert "the keys that were in force stay" in done.stderr
        pass_one(wall, sockets, *ends)
        (tmp_path / "link").symlink_to("first")
        (tmp_path / "link").rename(keys)
        done = run("ctl", "reload", "--config", wall.config, env=wall.environment)
        assert done.returncode == 0, done.stderr
        wall.config.write_text(wall.config.read_text().replace(f'keys = "{keys}"', f'keys = "{tmp_path}/second"'))
        done = run("ctl", "reload", "--config", wall.config, env=wall.environment)
        assert done.returncode == 1
        assert f"{tmp_path}/second" in done.stderr and "the sandbox knows the files of the start" in done.stderr
    wall.start()
    assert wall.stop() == 0


def test_a_wall_of_another_user_reaches_all_that_it_needs(tmp_path, sockets, ends):
    """Not dumpable: what is its own in /proc is then root's."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    os.chmod(tmp_path, 0o755)
    for folder in tmp_path.parents:
        if not os.stat(folder).st_mode & 0o001:
            os.chmod(folder, os.stat(folder).st_mode | 0o001)
    binary = tmp_path / "picklewall"
    shutil.copy(BINARY, binary)
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[ends[0]], out_bind=[ends[1]]), audit_more="stdout = yes",
                environment={"PICKLEWALL_POLICIES": str(tmp_path / "policies")})
    shutil.copytree(ROOT / "config/policies", tmp_path / "policies")
    shutil.chown(wall.folder, 65534, 65534)
    out = open(tmp_path / "out", "wb")
    words = open(wall.words, "wb")
    wall.process = subprocess.Popen([binary, "run", "--config", wall.config], stdout=out, stderr=words,
                                    env=wall.environment, user=65534, group=65534, extra_groups=[])
    with out, words:
        try:
            wall.wait_for(lambda: b"is ready" in wall.words.read_bytes(), "the wall to start")
            pass_one(wall, sockets, *ends)
            assert "sandbox: level 3 of 3" in wall.words.read_text()
        finally:
            assert wall.stop() == 0
    assert (tmp_path / "out").read_bytes().count(b'"event":"frame"') == 2
