# SPDX-License-Identifier: Apache-2.0
"""The scanner beside CPython's pickle.loads on the same pickles, in one run.

Usage: scan.py PATH/TO/bench_scan
"""

import os
import pickle
import subprocess
import sys
import tempfile
import time

SMALL = {"id": 7, "prompt": "hello world", "tokens": [1, 2, 3, 4], "temperature": 0.7,
         "stream": True, "model": "m-7b"}
INPUTS = {
    "1,000,000 small ints": list(range(1000000)),
    "1,000,000 floats": [i * 0.5 for i in range(1000000)],
    "nested dicts of strings": {
        f"key-{i}": {f"name-{j}": f"value-{i}-{j}" for j in range(20)} for i in range(10000)
    },
    "64 MiB - 1 KiB of bytes": b"x" * (64 * 1024 * 1024 - 1024),
    "a small dict": SMALL,
}


def loads_ns(data):
    """The best of five rounds, in nanoseconds."""
    best = float("inf")
    times = max(1, int(2e7 / (len(data) * 10 + 1000)))
    for _ in range(5):
        start = time.perf_counter_ns()
        for _ in range(times):
            pickle.loads(data)
        best = min(best, (time.perf_counter_ns() - start) / times)
    return best


def main(program):
    print(f"{'pickle (protocol 4)':28}{'bytes':>10}{'scan ns':>13}{'MB/s':>10}"
          f"{'loads ns':>14}{'MB/s':>8}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name, value in INPUTS.items():
            data = pickle.dumps(value, 4)
            path = os.path.join(folder, "input")
            with open(path, "wb") as file:
                file.write(data)
            line = subprocess.run([program, path], check=True, capture_output=True, text=True)
            scan = float(line.stdout.split()[-2])
            loads = loads_ns(data)
            print(f"{name:28}{len(data):>10}{scan:>13,.0f}{len(data) * 1e3 / scan:>10,.0f}"
                  f"{loads:>14,.0f}{len(data) * 1e3 / loads:>8,.0f}{loads / scan:>7.1f}x")


main(sys.argv[1])
