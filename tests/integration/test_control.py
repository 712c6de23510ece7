# SPDX-License-Identifier: Apache-2.0
"""A running wall is asked and ordered through its control socket."""

import contextlib
import json
import os
import pathlib
import pickle
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest
import zmq
from wall import BINARY, HOSTILE, ROOT, SCHEMA, Wall, channel, tcp

POLICIES = {**os.environ, "PICKLEWALL_POLICIES": str(ROOT / "config/policies")}
STATE = ["audit.chain", "audit.jsonl", "audit.pub", "audit.pwkey", "control.sock.lock", "lock", "quarantine"]


def run(*words, code=0, **more):
    done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=60, env=POLICIES, **more)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def ctl(wall, command, *words, code=0):
    return run("ctl", command, "--config", wall.config, *words, code=code)


def asked(wall, command, *words, code=0):
    return json.loads(ctl(wall, command, "--json", *words, code=code).stdout)


def new_key(folder, name, *options):
    run("key", "new", "--suite", "blake2b", "--id", name, "--out", folder, *options)
    return folder / f"{name}.pwkey"


def raw(path, data=None, seconds=20):
    """All that the wall says to whoever sends these bytes."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(seconds)
        client.connect(str(path))
        if data is not None:
            with contextlib.suppress(BrokenPipeError):  # turned away before it could ask
                client.sendall(data)
        heard = b""
        while True:
            try:
                more = client.recv(65536)
            except ConnectionResetError:  # it did not read all that was sent
                more = b""
            if not more:
                return heard
            heard += more


def key_events(wall):
    return [line for line in wall.lines() if line["event"] == "key"]


@pytest.fixture(name="wall")
def fixture_wall(tmp_path):
    keys = tmp_path / "keys"
    new_key(keys, "jobs-1")
    new_key(keys, "jobs-2", "--status", "verify_only")
    source, target = tcp(), tcp()
    plain = channel("plain", in_bind=[tcp()], out_bind=[tcp()])
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target], sign="jobs-*"), plain,
                keys=keys)
    wall.keys, wall.source, wall.target, wall.socket = keys, source, target, wall.state / "control.sock"
    with wall:
        yield wall


def test_status_tells_what_each_channel_has_done(wall, sockets):
    producer, consumer = sockets(zmq.PUSH, connect=[wall.source]), sockets(zmq.PULL, connect=[wall.target])
    for number in range(20):
        producer.send(pickle.dumps(number))
    producer.send(HOSTILE["reduce"])
    for _ in range(20):
        consumer.recv()
    wall.wait_for(lambda: asked(wall, "status")["channels"][0]["quarantined"] == 1, "the counts")
    status = asked(wall, "status")
    assert (status["ok"], status["pid"], status["stopping"]) == (True, wall.process.pid, False)
    assert status["version"] == json.loads(run("version", "--json").stdout)["picklewall"]
    assert 0 <= status["uptime_s"] < 60
    assert status["config"] == str(wall.config)
    jobs, plain = status["channels"]
    assert {name: jobs[name] for name in ("chan", "in", "out", "received", "forwarded", "quarantined", "dropped",
                                          "generation", "signs_with")} == {
        "chan": "jobs", "in": wall.source, "out": wall.target, "received": 21, "forwarded": 20, "quarantined": 1,
        "dropped": 0, "generation": 1, "signs_with": "jobs-1"}
    assert (plain["chan"], plain["received"]) == ("plain", 0) and "signs_with" not in plain
    assert status["audit"]["ready"] and status["audit"]["lost"] == 0 and status["audit"]["written"] >= 21
    assert (status["keys"]["generation"], status["keys"]["good"], status["keys"]["keys"]) == (1, True, 2)
    assert [entry["chan"] for entry in asked(wall, "status", "plain")["channels"]] == ["plain"]
    words = ctl(wall, "status").stdout
    assert "channel jobs: 21 received, 20 forwarded, 1 quarantined, 0 dropped; signs with jobs-1; keys of " in words
    assert f", pid {wall.process.pid}, up 0 d 00:" in words


def test_reload_answers_when_the_new_keys_are_in_force(wall, sockets):
    producer, consumer = sockets(zmq.PUSH, connect=[wall.source]), sockets(zmq.PULL, connect=[wall.target])
    ids = {row["id"]: row["key_id"] for row in
           map(json.loads, run("key", "list", "--json", wall.keys).stdout.splitlines())}
    names = ["jobs-1", "jobs-2"]
    for turn in range(6):
        old, new = names[turn % 2], names[(turn + 1) % 2]
        run("key", "rotate", "--dir", wall.keys, "--from", old, "--to", new)
        answer = asked(wall, "reload")
        assert answer["ok"] and answer["waiting"] == []
        assert [(entry["chan"], entry["key"]) for entry in answer["signs"]] == [("jobs", new)]
        producer.send(pickle.dumps(turn))
        assert consumer.recv()[-72:][8:16].hex() == ids[new]
        assert all(entry["generation"] == answer["generation"] for entry in asked(wall, "status")["channels"])
    assert "the keys are in force: 2, generation " in ctl(wall, "reload").stdout


def test_a_turn_of_keys_is_followed_before_it_ends(wall):
    turn = ["--dir", wall.keys, "--from", "jobs-1", "--to", "jobs-2"]
    done = run("key", "rotate", *turn, "--socket", wall.socket)
    generation = asked(wall, "status")["keys"]["generation"]
    assert generation > 1 and done.stderr.startswith("picklewall: in force in the running wall, generation ")
    assert asked(wall, "status", "jobs")["channels"][0]["signs_with"] == "jobs-2"
    done = run("key", "revoke", "--dir", wall.keys, "jobs-1", "--config", wall.config)
    # The wall may have looked at the folder by itself in between.
    assert int(re.search(r"in force in the running wall, generation (\d+)\n", done.stderr)[1]) > generation
    (wall.keys / "z.pwkey").write_text("nonsense\n")
    done = run("key", "revoke", "--dir", wall.keys, "00112233445566ff", "--socket", wall.socket, code=78)
    assert "z.pwkey" in done.stderr
    (wall.keys / "z.pwkey").unlink()
    done = run("key", "revoke", "--dir", wall.keys, "0011223344556677", "--socket", wall.socket.with_name("no"), code=69)
    assert "is the wall running" in done.stderr and "is revoked" in done.stdout


def test_reload_says_why_the_old_keys_stay(wall):
    before = asked(wall, "status")["keys"]["generation"]
    (wall.keys / "z.pwkey").write_text("nonsense\n")
    (wall.keys / "z.pwkey").chmod(0o600)
    for _ in range(2):  # the second time it is no news, and told all the same
        answer = asked(wall, "reload", code=1)
        assert not answer["ok"] and answer["generation"] == before
        assert f"{wall.keys}/z.pwkey:1: not a line of a key file" in answer["error"]
        assert answer["error"].endswith("; the keys that were in force stay")
    done = ctl(wall, "reload", code=1)
    assert done.stdout == "" and done.stderr == f"picklewall: refused: {answer['error']}\n"
    status = asked(wall, "status")
    assert not status["keys"]["good"] and "z.pwkey:1" in status["keys"]["error"]
    assert "keys: the folder is refused: " in ctl(wall, "status").stdout
    (wall.keys / "z.pwkey").unlink()
    assert asked(wall, "reload")["generation"] > before
    assert asked(wall, "status")["keys"]["good"]


def test_the_audit_log_tells_who_asked(wall):
    with subprocess.Popen([BINARY, "ctl", "reload", "--socket", str(wall.socket)], stdout=subprocess.DEVNULL) as asker:
        assert asker.wait(30) == 0
    (wall.keys / "z.pwkey").write_text("nonsense\n")
    wall.wait_for(lambda: len(key_events(wall)) == 2, "the look that nobody asked for")
    wall.signal(signal.SIGHUP)
    wall.wait_for(lambda: len(key_events(wall)) == 3, "the refusal")
    done, by_itself, hung_up = key_events(wall)
    assert done["detail"]["what"] == "key.reload"
    assert done["detail"]["by"] == {"via": "control", "uid": os.getuid(), "pid": asker.pid}
    assert by_itself["detail"]["what"] == "key.reload_failed" and "by" not in by_itself["detail"]
    assert hung_up["detail"]["by"] == {"via": "SIGHUP", "uid": os.getuid(), "pid": os.getpid()}
    for line in key_events(wall):
        SCHEMA.validate(line)


def test_reload_opens_a_rotated_log_again(wall):
    wall.log.rename(wall.log.with_name("audit.1"))
    assert asked(wall, "reload")["ok"]
    wall.wait_for(wall.log.exists, "the new log", 5)


@pytest.mark.parametrize("data, sentence", [
    (b"reboot\n", "reboot is no command of this wall; there are status, reopen, reload, drain, log-level, rotate, purge"),
    (b"reload now\n", "reload takes no argument; leave it out"),
    (b"status nobody\n", "nobody is no channel of this wall"),
    (b"\n", "the request begins with no command"),
    (b"GET / HTTP/1.1\r\n\r\n", "the request is not printable ASCII"),
    (b"\x80\x04\x95\xff\x00garbage\n", "the request is not printable ASCII"),
    (b"a" * 5000, "the request is longer than 4096 bytes"),
    (HOSTILE["reduce"] + b"\n", "the request is not printable ASCII"),
])
def test_what_is_no_request_is_refused_in_one_line(wall, data, sentence):
    heard = raw(wall.socket, data)
    assert heard.count(b"\n") == 1 and heard.endswith(b"\n")
    answer = json.loads(heard)
    assert answer["ok"] is False and sentence in answer["error"]


def test_versions_are_answered(wall):
    versions = json.loads(raw(wall.socket, b"version\n"))["versions"]
    assert list(versions) == ["picklewall", "libzmq", "libsodium"]


def test_whoever_says_nothing_costs_no_message_and_is_let_go(wall, sockets):
    producer, consumer = sockets(zmq.PUSH, connect=[wall.source]), sockets(zmq.PULL, connect=[wall.target])
    started, cpu = time.monotonic(), wall.cpu_seconds()
    silent = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    for client in silent:
        client.connect(str(wall.socket))
    assert b"8 others are being served; try again" in raw(wall.socket, b"status\n")
    for number in range(2000):
        producer.send(pickle.dumps(number))
    assert [pickle.loads(consumer.recv()[:-72]) for _ in range(2000)] == list(range(2000))
    for client in silent:
        with client:
            client.settimeout(20)
            assert client.recv(1) == b""
    assert 4.5 < time.monotonic() - started < 20
    assert wall.cpu_seconds() - cpu < 2
    assert asked(wall, "status")["channels"][0]["received"] == 2000


def test_a_stranger_is_told_that_he_may_not_ask(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pw-control-"))  # where strangers may look
    try:
        folder.chmod(0o755)
        at = folder / "control.sock"
        wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[tcp()], out_bind=[tcp()]))
        wall.config.write_text(f'control = "{at}"\n' + wall.config.read_text())
        with wall:
            assert stat.S_IMODE(at.stat().st_mode) == 0o600
            asker = [BINARY, "ctl", "status", "--socket", str(at)]
            locked_out = subprocess.run(asker, capture_output=True, text=True, timeout=30, user=65534, group=65534)
            assert locked_out.returncode == 77
            assert "Permission denied; ask as root, or as the user of the wall" in locked_out.stderr
            at.chmod(0o666)
            refused = subprocess.run(asker, capture_output=True, text=True, timeout=30, user=65534, group=65534)
            assert (refused.returncode, refused.stdout) == (1, "")
            assert refused.stderr == "picklewall: refused: uid 65534 may not ask this wall; ask as root, or as uid 0\n"
            assert json.loads(raw(at, b"status\n"))["ok"]
            assert "control: uid 65534, pid " in wall.words.read_text()
        assert not at.exists()
    finally:
        shutil.rmtree(folder)


def test_the_socket_of_a_killed_wall_is_replaced(wall):
    wall.process.kill()
    wall.process.wait()
    assert wall.socket.is_socket()
    done = ctl(wall, "status", code=69)
    assert "Connection refused; the wall that made it has ended; start it again" in done.stderr
    wall.start()
    assert asked(wall, "status")["pid"] == wall.process.pid


def test_a_second_wall_does_not_take_the_socket_of_the_first(wall, tmp_path):
    other = Wall(tmp_path / "other", channel("jobs", in_bind=[tcp()], out_bind=[tcp()]))
    other.config.write_text(f'control = "{wall.socket}"\n' + other.config.read_text())
    done = run("run", "--config", other.config, code=69)
    assert f"{other.config}:1: control: {wall.socket}: process {wall.process.pid} answers there already; " \
           "stop it, or name another path" in done.stderr
    assert asked(wall, "status")["ok"]


def test_no_wall_has_an_exit_code_of_its_own(tmp_path):
    config = Wall(tmp_path / "wall", channel("jobs", in_bind=[tcp()], out_bind=[tcp()])).config
    for command in ("status", "reload"):
        done = run("ctl", command, "-c", config, code=69)
        assert done.stdout == "" and "control.sock: No such file or directory; is the wall running" in done.stderr
    run("ctl", "status", "--config", tmp_path / "none.conf", code=78)
    run("ctl", "status", "--config", config, "--socket", "/tmp/x", code=64)
    run("ctl", "reload", "--socket", "/tmp/x", "jobs", code=64)
    config.write_text('control = "-"\n' + config.read_text())
    assert "control is off there" in run("ctl", "status", "--config", config, code=78).stderr


def test_an_answer_that_is_no_walls_is_not_believed(tmp_path):
    for answer, code in ((b"hello\n", 65), (b'{"status":"fine"}\n', 65), (b'{"ok":"yes"}\n', 65),
                         (b'{"ok":false,"error":"\x1b[31m"}\n', 65), (b"", 69), (b'{"ok":true', 69)):
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            with subprocess.Popen([BINARY, "ctl", "status", "--socket", str(path)], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as asker:
                client, _ = server.accept()
                with client:
                    client.recv(4096)
                    client.sendall(answer)
                words, error = asker.communicate(timeout=30)
        assert (asker.returncode, words) == (code, ""), answer
        assert error.startswith("picklewall: ") and "\x1b" not in error
        path.unlink()


def test_a_wall_that_is_stopping_says_so(tmp_path, sockets):
    source = tcp()
    with Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[tcp()]), drain="5s") as wall:
        sockets(zmq.PUSH, connect=[source]).send(pickle.dumps(1))  # nobody takes it
        wall.wait_for(lambda: asked(wall, "status")["channels"][0]["received"] == 1, "the message")
        assert asked(wall, "status")["stopping"] is False
        wall.signal(signal.SIGTERM)
        wall.wait_for(lambda: asked(wall, "status")["stopping"], "the word", 4)
        assert asked(wall, "reload")["ok"]
        assert wall.stop() == 0
        assert not (wall.state / "control.sock").exists()


def test_a_wall_that_cannot_start_leaves_no_socket(wall, tmp_path):
    other = Wall(tmp_path / "other", channel("jobs", in_bind=[wall.source], out_bind=[tcp()]))
    assert "Address already in use" in run("run", "--config", other.config, code=69).stderr
    assert sorted(path.name for path in other.state.iterdir()) == STATE


def test_many_orders_at_once_are_carried_out_one_by_one(wall, sockets):
    producer, consumer = sockets(zmq.PUSH, connect=[wall.source]), sockets(zmq.PULL, connect=[wall.target])
    askers = [subprocess.Popen([BINARY, "ctl", "reload", "--json", "--socket", str(wall.socket)],
                               stdout=subprocess.PIPE, text=True) for _ in range(6)]
    for number in range(3000):
        producer.send(pickle.dumps(number))
    generations = []
    for asker in askers:
        with asker:
            generations.append(json.loads(asker.communicate(timeout=60)[0])["generation"])
    assert sorted(generations) == list(range(2, 8))
    assert [pickle.loads(consumer.recv()[:-72]) for _ in range(3000)] == list(range(3000))


@pytest.mark.parametrize("path, sentence", [
    ("{folder}/none/c.sock", "there is no folder {folder}/none; run mkdir -p {folder}/none"),
    ("{folder}/file", "{folder}/file is no socket; move it away, or name another path"),
    ("{folder}/file/c.sock", "there is no folder {folder}/file"),
])
def test_a_place_for_no_socket_stops_the_start(tmp_path, path, sentence):
    (tmp_path / "file").write_text("")
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[tcp()], out_bind=[tcp()]))
    wall.config.write_text(f'control = "{path.format(folder=tmp_path)}"\n' + wall.config.read_text())
    for command in ("check-config", "run"):
        assert sentence.format(folder=tmp_path) in run(command, "--config", wall.config, code=78).stderr


def test_a_wall_can_do_without(tmp_path):
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[tcp()], out_bind=[tcp()]))
    wall.config.write_text('control = "-"\n' + wall.config.read_text())
    with wall:
        found = sorted(path.name for path in wall.state.iterdir() if not path.name.startswith("audit.chain"))
        assert found == [name for name in STATE[1:] if "control" not in name]
