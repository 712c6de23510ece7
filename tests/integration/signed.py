# SPDX-License-Identifier: Apache-2.0
"""Signed messages under test: their keys, a sender that signs by itself, a wall that verifies it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from wall import BINARY, ROOT, write_in_place

sys.path.insert(0, str(ROOT / "common/sign/python"))
import picklewall_sign as client  # noqa: E402  (what a producer without a wall signs with)

# The schema holds the order; no text of a message gets a bare quote into the line.
TOLD = re.compile(rb'"verdict":"(\w+)","enforced":\w+(?:,"reason":"([\w.]+)")?')
SUITES = tuple(client.SUITES)
PAIRS = tuple(suite for suite in SUITES if suite.startswith("ed25519"))  # who verifies has no secret


def run(*words):
    done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def new_key(folder, name, *more, suite="blake2b"):
    run("key", "new", "--suite", suite, "--id", name, "--out", folder, *more)
    return folder / f"{name}.pwkey"


def publish(path, folder):
    """What those who verify get of this key."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if "suite: ed25519" in path.read_text():
        run("key", "public", "--out", folder, path)
    else:
        shutil.copy2(path, folder)
    return folder / path.name


def put(path, text):
    """As one should: beside it, then renamed."""
    draft = path.with_name("." + path.name)
    draft.write_text(text)
    draft.chmod(0o600)
    draft.rename(path)


def key_events(wall, what=None):
    lines = [line for line in wall.log.read_bytes().split(b"\n")[:-1] if b'"event":"key"' in line]
    found = [json.loads(line) for line in lines]
    return [line for line in found if what in (None, line["detail"]["what"])]


def wait_for_reload(wall, count=1):
    wall.wait_for(lambda: len(key_events(wall, "key.reload")) >= count, "keys that are read again")


def reload(wall):
    """Not before this the folder as it is now is in force."""
    for _ in range(2):  # the first may have begun to read before the last change
        before = len(key_events(wall, "key.reload"))
        wall.signal(signal.SIGHUP)
        wait_for_reload(wall, before + 1)


class Sender:
    """One start of a sender that signs by itself, so that it can choose epoch, number and time."""

    def __init__(self, path, channel="jobs", direction=client.FORWARD, epoch=None):
        self.key = client.Key.load(path)
        self.channel, self.direction = channel, direction
        self.epoch = time.time_ns() // 10**6 if epoch is None else epoch
        self.signer = self.begin(1)

    def begin(self, seq):
        return client.Signer(self.key, self.channel, self.direction, self.epoch, seq)

    def trailer(self, frames, seq=None, shift=0):
        """`shift` is how wrong the sender's clock is, in ns; from `seq` on it counts on."""
        if seq is not None:
            self.signer = self.begin(seq)
        if self.key.suite != "ed25519-batch":
            return self.signer.sign(frames, time.time_ns() + shift)
        # The second of three that share a signature; the others are lost on the way.
        return self.signer.sign_batch([[b"lost"], frames, [b"lost"]], time.time_ns() + shift)[1]

    def sign(self, *frames, **how):
        """The frames with the trailer behind the last one."""
        return [*frames[:-1], frames[-1] + self.trailer(frames, **how)]


class Flow:
    """A wall between a producer and a consumer, and what its log says of each message."""

    def __init__(self, wall, push, pull):
        self.wall, self.push, self.pull = wall, push, pull
        self.read = 0

    def news(self):
        """(verdict, reason) of each message since the last call; "" is the reason of what passes."""
        with open(self.wall.log, "rb") as log:
            log.seek(self.read)
            text = log.read().rpartition(b"\n")[0]
        self.read += len(text) + 1 if text else 0
        return [(verdict.decode(), reason.decode()) for verdict, reason in TOLD.findall(text)]

    def judge(self, *messages):
        """What becomes of these messages, in their order: a reason each, "" for what passes."""
        for frames in messages:
            self.push.send_multipart(frames)
        told = []

        def all_are_told():
            told.extend(self.news())
            return len(told) >= len(messages)

        self.wall.wait_for(all_are_told, "audit lines", 60)
        assert len(told) == len(messages)
        assert all((verdict == "pass") == (reason == "") for verdict, reason in told)
        return [reason for _, reason in told]

    def restart(self, how):
        if how == "SIGTERM":
            assert self.wall.stop() == 0
        else:
            self.wall.process.kill()
            self.wall.process.wait()
        self.read = self.wall.log.stat().st_size
        self.wall.start()


class Clocks:
    """What makes a wall's clock wrong, by a library that is loaded in front of the C library."""

    def __init__(self, folder):
        self.folder, self.library = folder, folder / "wrong_clock.so"
        source = ROOT / "tests/integration/wrong_clock.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.library, source], check=True, timeout=60)

    def set(self, name, seconds):
        write_in_place(self.folder / name, str(seconds))

    def environment(self, name):
        self.set(name, 0)
        return {
            "LD_PRELOAD": str(self.library),
            "WRONG_CLOCK": str(self.folder / name),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
        }
