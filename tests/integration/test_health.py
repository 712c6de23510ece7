# SPDX-License-Identifier: Apache-2.0
"""`picklewall health` and the service manager: well, ill and why, gone."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import pytest
import zmq
from test_disk import IllDisk
from wall import BINARY, HOSTILE, ROOT, Wall, channel, tcp

POLICIES = {**os.environ, "PICKLEWALL_POLICIES": str(ROOT / "config/policies")}
WELL = {"--live": "live", "--ready": "ready", "--startup": "startup"}


def health(wall, *words):
    """The exit code, stdout and stderr."""
    done = subprocess.run([BINARY, "health", "--config", wall.config, *words], capture_output=True, text=True,
                          timeout=60, env=POLICIES)
    return done.returncode, done.stdout, done.stderr


def said(wall, *words):
    code, out, err = health(wall, *words, "--json")
    assert err == ""
    return code, json.loads(out)


@pytest.fixture(name="make")
def fixture_make(tmp_path):
    """make(**settings): a wall that runs, with its input in `wall.source`."""
    with contextlib.ExitStack() as stack:
        def make(**settings):
            source = tcp()
            wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[tcp()]), **settings)
            wall.source = source
            return stack.enter_context(wall)
        yield make


def test_a_wall_is_well_until_it_is_gone(make):
    wall = make()
    for option, word in WELL.items():
        assert health(wall, option) == (0, f"{word}\n", "")
        assert said(wall, option) == (0, {"probe": word, "good": True})
    assert health(wall)[1] == "ready\n"
    assert wall.stop() == 0
    for option in WELL:
        code, out, err = health(wall, option)
        assert (code, out) == (69, "") and err.startswith("picklewall: "), err


def test_a_wall_that_does_not_answer_is_not_there(make):
    wall = make()
    wall.signal(signal.SIGSTOP)
    code, out, err = health(wall, "--live")
    wall.signal(signal.SIGCONT)
    assert (code, out, err) == (69, "", "picklewall: no answer in 5 s; the wall hangs\n")
    wall.wait_for(lambda: health(wall, "--live")[0] == 0, "life")


def test_an_idle_channel_turns_every_second(make):
    wall = make()
    time.sleep(1.5)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(wall.state / "control.sock"))
        client.sendall(b"status\n")
        status = json.loads(client.makefile().readline())
    assert 0 <= status["channels"][0]["idle_ms"] < 1400
    assert status["health"] == {word: {"good": True} for word in WELL.values()}


def test_a_full_quarantine_is_not_ready_and_says_what_to_do(make, sockets):
    wall = make(more="quarantine\n    max_messages = 1")
    sockets(zmq.PUSH, connect=[wall.source]).send(HOSTILE["reduce"])
    wall.wait_for(lambda: health(wall)[0] == 1, "the limit")
    sentence = ("the quarantine is full (quarantine.max_messages); purge what is not wanted, make room, or change "
                "that setting")
    assert health(wall) == (1, "", f"picklewall: not ready: {sentence}\n")
    assert said(wall) == (1, {"probe": "ready", "good": False, "error": sentence})
    assert health(wall, "--live")[0] == health(wall, "--startup")[0] == 0
    done = subprocess.run([BINARY, "quarantine", "purge", "--config", wall.config, "--reason", "seen", "ALL"],
                          capture_output=True, text=True, timeout=60, env=POLICIES)
    assert done.returncode == 0, done.stderr
    assert health(wall)[0] == 0


def test_a_refused_key_folder_is_not_ready(make, tmp_path):
    keys = tmp_path / "keys"
    subprocess.run([BINARY, "key", "new", "--suite", "blake2b", "--id", "jobs-1", "--out", keys], check=True,
                   timeout=60, stdout=subprocess.DEVNULL)
    wall = make(keys=keys)
    (keys / "z.pwkey").write_text("nonsense\n")
    (keys / "z.pwkey").chmod(0o600)
    wall.wait_for(lambda: health(wall)[0] == 1, "the look at the folder")
    assert "the key folder is refused, and the last good keys stay; mend it: " in health(wall)[2]
    assert "z.pwkey:1" in health(wall)[2]
    (keys / "z.pwkey").unlink()
    wall.wait_for(lambda: health(wall)[0] == 0, "the keys to be in order")


def test_a_disk_that_refuses_is_not_ready_and_lives(make, tmp_path, sockets):
    disk = IllDisk(tmp_path, tmp_path / "wall/state/quarantine")
    wall = make(environment=disk.environment())
    disk.set("enospc")
    sockets(zmq.PUSH, connect=[wall.source]).send(HOSTILE["reduce"])
    wall.wait_for(lambda: "channel jobs receives nothing, since the quarantine cannot be written" in health(wall)[2],
                  "the refusal")
    assert health(wall, "--live")[0] == 0
    disk.set("ok")
    wall.wait_for(lambda: health(wall)[0] == 0, "the disk to be well")


@pytest.mark.parametrize("words, sentence", [
    (["--alive"], "picklewall health: no option --alive; did you mean --live?"),
    (["jobs"], 'picklewall health: "jobs" is too much; leave it out'),
    (["--socket", "/x", "--config", "/y"], "picklewall health: --socket or --config, not both"),
])
def test_wrong_usage_names_the_remedy(words, sentence):
    done = subprocess.run([BINARY, "health", *words], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (64, "", sentence + "\n")


def test_the_service_manager_hears_of_start_life_and_end(make, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        wall = make(environment={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "900000"})
        start = time.monotonic()
        heard = [manager.recv(4096) for _ in range(4)]
        assert heard == [b"READY=1"] + 3 * [b"WATCHDOG=1"]
        assert 0.5 < time.monotonic() - start < 10  # three in a period, not as fast as can be
        wall.signal(signal.SIGTERM)
        while (word := manager.recv(4096)) == b"WATCHDOG=1":
            pass
        assert word == b"STOPPING=1"
        assert wall.stop() == 0
