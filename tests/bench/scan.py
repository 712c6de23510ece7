# SPDX-License-Identifier: Apache-2.0
"""The scanner, with the policy python-data, beside CPython's pickle.loads and pickletools.genops
on the same messages, in one run. Scanner and pickle.loads take turns, and the best time of each
counts, since a shared machine is slow for seconds at a time.

Usage: scan.py PATH/TO/bench_scan
"""

import collections
import datetime
import decimal
import pickle
import pickletools
import random
import subprocess
import sys
import tempfile
import time
import uuid

RANDOM = random.Random(7)
TURNS = 4


def small(number):
    """A request of about 100 bytes."""
    return {"id": number, "prompt": "hello world", "tokens": [1, 2, number % 100, 4], "temperature": 0.7,
            "stream": True, "model": "m-7b"}


def record(number):
    """A record of the types that have argument rules."""
    return {"at": datetime.datetime(2026, 1, 1, 0, 0, number % 60), "id": uuid.UUID(int=RANDOM.getrandbits(128)),
            "price": decimal.Decimal(number) / 100, "tags": {"a", "b"},
            "counts": collections.OrderedDict(a=1, b=number)}


INPUTS = {
    "1,000,000 small ints": [list(range(1000000))],
    "1,000,000 floats": [[i * 0.5 for i in range(1000000)]],
    "nested dicts of strings": [{f"key-{i}": {f"name-{j}": f"value-{i}-{j}" for j in range(20)}
                                 for i in range(10000)}],
    "200,000 tuples of two": [[(i, i + 1) for i in range(200000)]],
    "64 MiB - 1 KiB of bytes": [b"x" * (64 * 1024 * 1024 - 1024)],
    "100,000 dicts of 115 bytes": [small(i) for i in range(100000)],
    "10,000 records with calls": [record(i) for i in range(10000)],
}


def best_ns(run, data, rounds):
    """The least time of some rounds over all messages, in nanoseconds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter_ns()
        for message in data:
            run(message)
        best = min(best, time.perf_counter_ns() - start)
    return best


def genops(message):
    for _ in pickletools.genops(message):
        pass


def scanner(program, name):
    """Nanoseconds over all messages of a file, refusals, opcodes."""
    line = subprocess.run([program, name], check=True, capture_output=True, text=True).stdout
    _, nanoseconds, refusals, opcodes = line.split()
    return float(nanoseconds), int(refusals), int(opcodes)


def measure(program, data):
    """The best of some turns: scanner, pickle.loads; then refusals, opcodes."""
    with tempfile.NamedTemporaryFile() as file:
        for message in data:
            file.write(len(message).to_bytes(4, "big") + message)
        file.flush()
        turns = [(*scanner(program, file.name), best_ns(pickle.loads, data, 2)) for _ in range(TURNS)]
    return min(turn[0] for turn in turns), min(turn[3] for turn in turns), *turns[0][1:3]


def main(program):
    print(f"{'pickle, protocol 4':28}{'bytes':>10}{'ns a message':>15}{'ns an op':>10}{'MB/s':>9}"
          f"{'loads ns':>14}{'loads/scan':>12}{'genops/scan':>13}")
    for name, values in INPUTS.items():
        data = [pickle.dumps(value, 4) for value in values]
        size = sum(map(len, data))
        scan, loads, refusals, opcodes = measure(program, data)
        assert refusals == 0, f"{name}: python-data refuses {refusals}"
        walk = best_ns(genops, data[:1000], 1) * len(data) / min(len(data), 1000)
        print(f"{name:28}{size:>10,}{scan / len(data):>15,.0f}{scan / opcodes:>10.2f}"
              f"{size * 1e3 / scan:>9,.0f}{loads / len(data):>14,.0f}{loads / scan:>11.1f}x{walk / scan:>12.0f}x")


main(sys.argv[1])
