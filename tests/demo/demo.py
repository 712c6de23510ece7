#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The published attack on `pickle.loads(sock.recv())`, live on this machine.

usage: demo.py [--no-wall] [--binary PATH]
With the wall, the jobs arrive and no program starts; without it, the programs start. Exit 0 when
what was to be shown is what happened.
"""
import argparse
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ATTACKS = ["os-system", "subprocess", "cut-short"]
JOBS = 3
PATIENCE = 5.0  # seconds for any one step; on an idle machine each takes less than one

CONFIG = """\
state = "{folder}/state"
channel
    jobs
        in
            bind = "{entry}"
        out
            connect = "{consumer}"
        policy = "python-data"
        on_violation = "quarantine"
"""


def say(who, words):
    print(f"{who:>9} | {words}" if who else words, flush=True)


def free_addresses(count):
    """Loopback addresses that nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return ["tcp://127.0.0.1:%d" % sock.getsockname()[1] for sock in socks]


class Program:
    """A process whose lines go to the screen under its name; it ends with the `with` block."""

    def __init__(self, name, *command, env=None):
        self.name, self.lines = name, []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, text=True,
                                        env={**os.environ, **(env or {})})
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if not line.startswith((" ", "Traceback")):  # the last line of a traceback says it all
                say(self.name, line.rstrip())

    def wait_until(self, condition):
        """Whether `condition` came true, asked until it does or patience ends."""
        deadline = time.monotonic() + PATIENCE
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)
        return condition()

    def ended(self):
        return self.process.poll() is not None

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()


def python(name, script, *arguments):
    return Program(name, sys.executable, "-u", str(HERE / script), *arguments)


def started(folder):
    """The attacks whose program ran: each leaves a file behind."""
    return [attack for attack in ATTACKS if (folder / attack).exists()]


def verdict_on(claims):
    """Print each claim with yes or no; the exit code."""
    print()
    for words, true in claims:
        print(f"  {'yes' if true else 'NO '}  {words}")
    return 0 if all(true for _, true in claims) else 1


def without_wall(folder):
    say("", "producer -> consumer, nothing between them\n")
    address, = free_addresses(1)
    with python("consumer", "consumer.py", address) as consumer:
        with python("producer", "producer.py", address, str(folder)):
            consumer.wait_until(consumer.ended)
        arrived = [line for line in consumer.lines if "'job'" in line]
    return verdict_on([
        *((f"the attack's program ran: {folder / attack} exists", attack in started(folder))
          for attack in ATTACKS),
        ("the consumer died on the pickle that was cut short", len(arrived) < JOBS),
    ])


def refusals(folder):
    """The audit lines of what did not pass."""
    text = (folder / "state" / "audit.jsonl").read_text(encoding="ascii")
    records = [json.loads(line) for line in text.splitlines()]
    return [record for record in records if record.get("verdict", "pass") != "pass"]


def relay(folder, wall, entry, address):
    """Let producer and consumer run with the wall between them; the jobs that arrived."""
    with python("consumer", "consumer.py", address) as consumer:
        with python("producer", "producer.py", entry, str(folder)):
            consumer.wait_until(lambda: len(consumer.lines) >= JOBS or wall.ended())
            time.sleep(0.5)  # for whatever should not come any more
        return list(consumer.lines)


def with_wall(folder, binary):
    say("", "producer -> picklewall -> consumer; only the producer's address is another\n")
    entry, address = free_addresses(2)
    config = folder / "picklewall.conf"
    config.write_text(CONFIG.format(folder=folder, entry=entry, consumer=address))
    packs = {"PICKLEWALL_POLICIES": str(ROOT / "config" / "policies")}
    with Program("wall", binary, "run", "--config", str(config), env=packs) as wall:
        if not wall.wait_until(lambda: wall.ended() or any(entry in line for line in wall.lines)):
            say("demo", "the wall did not say that it listens")
        arrived = relay(folder, wall, entry, address)

    audit = refusals(folder)
    print("\nThe first refusal as it stands in the audit log:")
    for record in audit[:1]:
        print("    " + json.dumps(record, separators=(",", ":")))
    print("\nOne such line for each:")
    for record in audit:
        find = record["finds"][0]
        print(f"    {record['verdict']}  {record['reason']}  {find['mod']}.{find['name']}")
    print("\nThe same log through `picklewall audit tail`:", flush=True)
    tail = subprocess.run([binary, "audit", "tail", "--config", str(config)], check=False,
                          stdout=subprocess.PIPE, text=True, env={**os.environ, **packs})
    print("    " + "\n    ".join(tail.stdout.splitlines()))
    held = list((folder / "state" / "quarantine").rglob("*.json"))
    return verdict_on([
        (f"all {JOBS} jobs arrived, and nothing else",
         len(arrived) == JOBS and all("'job'" in line for line in arrived)),
        ("no program of the attacker started", started(folder) == []),
        (f"all {len(ATTACKS)} attacks are in the audit log by the name they would have called",
         sorted(f["finds"][0]["name"] for f in audit) == ["check_call", "system", "system"]),
        ("`audit tail` shows them", tail.returncode == 0 and tail.stdout.count("system") >= 2),
        ("their bytes are in quarantine", len(held) == len(ATTACKS)),
    ])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-wall", action="store_true", help="show the attack succeed")
    parser.add_argument("--binary", default=str(ROOT / "build" / "dev" / "picklewall"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="picklewall-demo-") as name:
        folder = pathlib.Path(name)
        if options.no_wall:
            return without_wall(folder)
        return with_wall(folder, options.binary)


if __name__ == "__main__":
    sys.exit(main())
