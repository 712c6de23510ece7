# SPDX-License-Identifier: Apache-2.0
"""A picklewall process under test: its configuration, its audit log, its quarantine."""

import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import time

from lines import ROOT, SCHEMA, check_lines

BINARY = os.environ.get("PICKLEWALL_BIN", str(ROOT / "build/dev/picklewall"))
# Memory that is freed stays with the process there, and calls take others of the system.
SANITIZED = any(mark in pathlib.Path(BINARY).read_bytes() for mark in (b"__asan_init", b"__tsan_init"))

# WALL_SANDBOX=kill: no wall starts with less than all of the sandbox, and the first system call that is not on
# its list is the end of it. Otherwise they run as they are shipped.
if os.environ.get("WALL_SANDBOX") == "kill":
    os.environ.update(PICKLEWALL_SANDBOX="require", PICKLEWALL_SANDBOX_VIOLATION="kill")

# The id command, never run: each pickle below is only looked at.
HOSTILE = {
    "reduce": bytes.fromhex("8004951d000000000000008c05706f736978948c0673797374656d9493948c02696494859452942e"),
    "text": bytes.fromhex("636f730a73797374656d0a2853276964270a74522e"),
    "cut": bytes.fromhex("636f730a73797374656d0a2853276964270a7452"),
    "build": bytes.fromhex(
        "80026374797065730a53696d706c654e616d6573706163650a29817d580c0000005f5f73657473746174655f5f"
        "636f730a73797374656d0a736258020000006964622e"
    ),
    "dotted": bytes.fromhex("80045809000000706f7369787061746858090000006f732e73797374656d935802000000696485522e"),
}


GIVEN = set()


def free_port():
    """No port twice, and none that the kernel gives to whoever connects: tests run side by side."""
    while True:
        port = random.randrange(10000, 32768)
        with socket.socket() as probe:
            if port not in GIVEN and probe.connect_ex(("127.0.0.1", port)) != 0:
                GIVEN.add(port)
                return port


def write_in_place(path, text):
    """One short write: who has the file open reads the old text or the new one, and lines behind it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(file, text.encode().ljust(31, b"\n"), 0)
    finally:
        os.close(file)


def tcp():
    return f"tcp://127.0.0.1:{free_port()}"


def channel(name, in_bind=(), in_connect=(), out_bind=(), out_connect=(), in_more="", out_more="", **settings):
    """The lines of one channel, four spaces in."""
    settings = {"policy": "python-data", **settings}
    lines = [f"    {name}", "        in"]
    lines += [f'            bind = "{at}"' for at in in_bind]
    lines += [f'            connect = "{at}"' for at in in_connect]
    lines += [f"            {line}" for line in in_more.splitlines()]
    lines += ["        out"]
    lines += [f'            bind = "{at}"' for at in out_bind]
    lines += [f'            connect = "{at}"' for at in out_connect]
    lines += [f"            {line}" for line in out_more.splitlines()]
    lines += [f'        {key} = "{value}"' for key, value in settings.items()]
    return "\n".join(lines)


class Wall:
    """`with Wall(folder, channel(...)) as wall:` runs the real binary; leaving stops it."""

    made = []  # in this test: conftest.py looks through their logs when it has ended

    def __init__(self, folder, *channels, drain="10s", keys=None, audit_pass="each", audit_more="", more="",
                 environment=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self.folder / "state"
        self.log = self.state / "audit.jsonl"
        self.config = self.folder / "picklewall.conf"
        self.words = self.folder / "stderr"
        lines = [f'state = "{self.state}"', f'drain_timeout = "{drain}"']
        lines += [f'keys = "{keys}"'] if keys else []
        lines += ["audit", f'    pass = "{audit_pass}"', *(f"    {line}" for line in audit_more.splitlines())]
        lines += ["channel", *channels, more]
        self.config.write_text("\n".join(lines) + "\n")
        self.environment = {**os.environ, "PICKLEWALL_POLICIES": str(ROOT / "config/policies"), **dict(environment)}
        self.process = None
        self.kills = 0
        Wall.made.append(self)

    def start(self, wait=True):
        with open(self.words, "ab") as words:
            at = words.tell()
            self.count_kill()
            self.process = subprocess.Popen(
                [BINARY, "run", "--config", str(self.config)], stderr=words, env=self.environment
            )
        if wait:
            self.wait_for(lambda: b"is ready" in self.words.read_bytes()[at:], "the wall to start")
        return self

    def count_kill(self):
        self.kills += self.process is not None and self.process.poll() == -signal.SIGKILL

    def check_log(self):
        """Every line of it, and of what it was rotated to, against the schema."""
        self.count_kill()
        for path in self.state.glob("audit*"):
            if ".jsonl" in path.name:
                check_lines(path, torn=self.kills)

    def verify_log(self, code=0):
        """`audit verify` of the log and its old files, whoever moved them."""
        files = [str(path) for path in self.state.glob("audit*") if ".jsonl" in path.name]
        done = subprocess.run([BINARY, "audit", "verify", "--config", str(self.config), *files], capture_output=True,
                              text=True, timeout=120, env=self.environment)
        assert done.returncode == code, done.stdout + done.stderr

    def wait_for(self, condition, what, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(f"the wall ended while waiting for {what}:\n{self.words.read_text()}")
            if time.monotonic() > end:
                raise AssertionError(f"no sign of {what} in {seconds} s:\n{self.words.read_text()}")
            time.sleep(0.01)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=40):
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                if kind is None:
                    raise
        if kind is not None:
            sys.stderr.write(self.words.read_text())

    def endpoint(self, name, side):
        """The address that a wildcard became."""
        found = re.findall(rf"channel {name}: in (.*); out (.*)", self.words.read_text())[-1]
        return found[("in", "out").index(side)].split(" ")[-1]

    def lines(self):
        """Every audit line; each must be whole."""
        if not self.log.exists():
            return []
        text = self.log.read_bytes()
        if self.process.poll() is None:
            text = text.rpartition(b"\n")[0]  # a line may be under way
        return [json.loads(line) for line in text.splitlines()]

    def frames(self, verdict=None):
        found = [line for line in self.lines() if line["event"] == "frame"]
        return [line for line in found if verdict is None or line["verdict"] == verdict]

    def held(self):
        """Occurrences in quarantine, oldest first, as the store's files tell."""
        return [json.loads(path.read_bytes()) for path in sorted(self.state.glob("quarantine/hold/*.json"))]

    def counts(self, name):
        """What the last stop record says about a channel."""
        last = [line for line in self.lines() if line["event"] == "stop"][-1]
        return next(entry for entry in last["detail"]["channels"] if entry["chan"] == name)

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
