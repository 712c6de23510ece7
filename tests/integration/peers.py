# SPDX-License-Identifier: Apache-2.0
"""Producers and consumers as processes of their own, so that they can be stopped or killed.

    peers.py produce ADDRESS FIRST COUNT BYTES     numbered pickles, then ends when all are sent
    peers.py consume ADDRESS FILE EVERY PAUSE      numbers to FILE, 4 bytes each; a pause of
                                                   PAUSE seconds behind EVERY messages (0: never)
    peers.py stream ADDRESS RATE                   numbered pickles, RATE a second until stdin ends;
                                                   then prints how many, and ends when all are sent
"""

import os
import pathlib
import pickle
import select
import struct
import subprocess
import sys
import time

import zmq


def produce(address, first, count, size):
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.linger = -1
    push.connect(address)
    padding = b"x" * int(size)
    for number in range(int(first), int(first) + int(count)):
        push.send(pickle.dumps((number, padding)))
    push.close()
    context.term()


def consume(address, path, every, pause):
    pull = zmq.Context().socket(zmq.PULL)
    pull.connect(address)
    every = int(every)
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for taken in range(1, sys.maxsize):
        number, _ = pickle.loads(pull.recv())
        os.write(out, struct.pack(">I", number))
        if every and taken % every == 0:
            time.sleep(float(pause))


# A pickle of 100 bytes, all alike but for the four of the number.
FIRST = 1 << 24
HEAD, TAIL = pickle.dumps((FIRST, "x" * 76), 4).split(struct.pack("<I", FIRST))


def stream(address, rate):
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.linger = -1
    push.connect(address)
    rate, sent, start = int(rate), 0, time.monotonic()
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        due = int((time.monotonic() - start) * rate)
        for sent in range(sent + 1, min(due, sent + rate // 50) + 1):
            push.send(HEAD + struct.pack("<I", FIRST + sent - 1) + TAIL)
    print(sent, flush=True)
    push.close()
    context.term()


def spawn(*words, **how):
    return subprocess.Popen(["/usr/bin/python3", __file__, *map(str, words)], **how)


def numbers(path):
    """What a consumer has taken so far, in its order."""
    path = pathlib.Path(path)
    data = path.read_bytes() if path.exists() else b""
    return list(struct.unpack(f">{len(data) // 4}I", data[: len(data) // 4 * 4]))


def wait_for(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"no sign of {what} in {seconds} s"
        time.sleep(0.02)


if __name__ == "__main__":
    {"produce": produce, "consume": consume, "stream": stream}[sys.argv[1]](*sys.argv[2:])
