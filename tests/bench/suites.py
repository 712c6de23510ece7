#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What each signature suite costs on the wire: messages a second through a bare zmq_proxy, a wall
that does not sign, one that signs, one that verifies, and a signing wall in front of a verifying
one. Real processes over loopback tcp, all of one build, the subjects in turns; medians, their
ratios to the wall without signatures and to zmq_proxy, and the processor time that a message takes
in what stands between the ends, which moves less than the rest when the machine has other work.

Usage: suites.py PATH/TO/bench_suites [--rounds N] [--seconds S] [--audit each|summary] [WORD…]

A WORD picks the rows whose name has it, or a size ("100 B"). Take the release build:
    cmake --preset release && cmake --build build/release
    tests/bench/suites.py build/release/tests/bench/bench_suites
"""

import argparse
import os
import pathlib
import pickle
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUITES = ("hmac-sha256", "blake2b", "ed25519", "ed25519-batch")
PAIRS = ("ed25519", "ed25519-batch")
DEEDS = ("sign", "verify", "chain")


def job(size):
    """A dict of seven items whose pickle has about `size` bytes."""
    task = {"id": 4711, "name": "resize", "args": [640, 480], "ratio": 0.75, "tags": ("a", "b"), "ok": True, "by": "w"}
    short = size - len(pickle.dumps(task, 4))
    if short > 0:
        task["args"] = bytes(short)
        task["args"] = bytes(short + size - len(pickle.dumps(task, 4)))
    return pickle.dumps(task, 4)


LOADS = {"100 B": job(100), "4 KiB": job(4096), "1 MiB": job(1 << 20)}


def subjects():
    """Name, and for each wall in a row whether it verifies and signs, and with which suite."""
    yield "zmq_proxy", None, None
    yield "no signatures", [(False, False)], None
    for suite in SUITES:
        yield f"sign {suite}", [(False, True)], suite
    for suite in SUITES:
        yield f"verify {suite}", [(True, False)], suite
    yield "chain, no signatures", [(False, False), (False, False)], None
    for suite in SUITES:
        yield f"chain {suite}", [(False, True), (True, False)], suite


def address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def processor_time(process):
    """Seconds."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, program, folder, audit):
        self.program = pathlib.Path(program).resolve()
        self.wall = self.program.parents[2] / "picklewall"
        self.folder = pathlib.Path(folder)
        self.audit = audit
        self.started = 0
        for suite in SUITES:
            self.make_keys(suite)
        for name, payload in LOADS.items():
            self.payload(name).write_bytes(payload)

    def payload(self, name):
        return self.folder / name.replace(" ", "")

    def make_keys(self, suite):
        ours, theirs = self.folder / suite / "sign", self.folder / suite / "verify"
        for each in (ours, theirs):
            each.mkdir(mode=0o700, parents=True)
        self.run("key", "new", "--suite", suite, "--id", "bench", "--out", ours)
        if suite in PAIRS:
            self.run("key", "public", "--out", theirs, ours / "bench.pwkey")
        else:
            key = theirs / "bench.pwkey"
            key.write_bytes((ours / "bench.pwkey").read_bytes())
            key.chmod(0o600)

    def run(self, *words):
        subprocess.run([self.wall, *map(str, words)], check=True, capture_output=True)

    def start_wall(self, verifies, signs, suite, ends):
        """The wall between two addresses; of a chain, the first connects to the second."""
        self.started += 1
        folder = self.folder / f"wall-{self.started}"
        folder.mkdir()
        lines = [
            f'state = "{folder}/state"',
            *([f'keys = "{self.folder / suite / ("verify" if verifies else "sign")}"'] if suite else []),
            f'audit\n    pass = "{self.audit}"',
            "channel\n    jobs",
            f'        in\n            bind = "{ends[0]}"',
            f'        out\n            {ends[2]} = "{ends[1]}"',
            '        policy = "python-data"',
            *(['        verify = "required"'] if verifies else []),
            *(['        sign = "bench"'] if signs else []),
        ]
        config, words = folder / "wall.conf", folder / "stderr"
        config.write_text("\n".join(lines) + "\n")
        with open(words, "wb") as out:
            process = subprocess.Popen(
                [self.wall, "run", "--config", config],
                stderr=out,
                env={**os.environ, "PICKLEWALL_POLICIES": str(ROOT / "config/policies")},
            )
        end = time.monotonic() + 20
        while b"is ready" not in words.read_bytes():
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"suites.py: the wall did not start: {words.read_text()}")
            time.sleep(0.01)
        return process

    def start(self, walls, suite):
        """The processes of a subject, and the addresses of its two ends."""
        if walls is None:
            ends = address(), address()
            return [subprocess.Popen([self.program, "proxy", *ends])], ends
        places = [address() for _ in range(len(walls) + 1)]
        processes = []
        for i, (verifies, signs) in reversed(list(enumerate(walls))):
            how = "bind" if i == len(walls) - 1 else "connect"
            processes.append(self.start_wall(verifies, signs, suite, (places[i], places[i + 1], how)))
        return processes, (places[0], places[-1])

    def measure(self, subject, load, seconds):
        """Messages per second, and microseconds of processor time a message."""
        name, walls, suite = subject
        processes, ends = self.start(walls, suite)
        signed = [self.folder / suite / "sign", "bench"] if name.startswith("verify") else []
        try:
            done = subprocess.run(
                [self.program, "flow", *ends, self.payload(load), str(seconds), *signed],
                capture_output=True,
                text=True,
                timeout=300,
            )
            used = sum(map(processor_time, processes))
        finally:
            for process in reversed(processes):
                process.send_signal(signal.SIGKILL if walls is None else signal.SIGTERM)
                process.wait(60)
        if done.returncode != 0:
            raise SystemExit(f"suites.py: {name}, {load}: not all messages came: {done.stderr}")
        rate, total = done.stdout.split()
        return float(rate), used / int(total) * 1e6


def show(load, rates):
    middle = {name: statistics.median(rate for rate, _ in each) for name, each in rates.items()}
    print(f"\n{load:34}    msg/s   of no signatures   of zmq_proxy   us a message")
    for name, rate in middle.items():
        plain = middle.get("chain, no signatures" if name.startswith("chain") else "no signatures")
        beside = [f"{rate / base:12.3f}" if base else " " * 12 for base in (plain, middle.get("zmq_proxy"))]
        used = statistics.median(used for _, used in rates[name])
        print(f"    {name:26} {rate:12,.0f}       {beside[0]}  {beside[1]} {used:14.2f}", flush=True)
    gains = []
    for deed in DEEDS:
        one, many = middle.get(f"{deed} ed25519"), middle.get(f"{deed} ed25519-batch")
        if one and many:
            gains.append(f"{deed} {many / one:.1f}")
    if gains:
        print(f"ed25519-batch / ed25519 at {load}: {', '.join(gains)}", flush=True)


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("program")
    words.add_argument("pick", nargs="*", metavar="WORD")
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--seconds", type=float, default=0.5, help="about so long a run")
    words.add_argument("--audit", choices=("each", "summary"), default="each", help="audit.pass of the walls")
    options = words.parse_intermixed_args()
    sizes = [word for word in options.pick if word in LOADS] or list(LOADS)
    picked = [word for word in options.pick if word not in LOADS]
    rows = [row for row in subjects() if not picked or any(word in row[0] for word in picked)]
    with tempfile.TemporaryDirectory(prefix="bench-suites.") as folder:
        bench = Bench(options.program, folder, options.audit)
        print(f"build {bench.wall}; audit.pass = {options.audit}; medians of {options.rounds} rounds in turns")
        for load in sizes:
            rates = {name: [] for name, _, _ in rows}
            for _ in range(options.rounds):
                for row in rows:
                    rates[row[0]].append(bench.measure(row, load, options.seconds))
            show(load, rates)


if __name__ == "__main__":
    sys.exit(main())
