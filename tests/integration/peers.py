# SPDX-License-Identifier: Apache-2.0
"""Producers and consumers as processes of their own, so that they can be stopped or killed.

    peers.py produce ADDRESS FIRST COUNT BYTES     numbered pickles, then ends when all are sent
    peers.py consume ADDRESS FILE EVERY PAUSE      numbers to FILE, 4 bytes each; a pause of
                                                   PAUSE seconds behind EVERY messages (0: never)
    peers.py stream ADDRESS RATE                   numbered pickles, RATE a second until stdin ends;
                                                   then prints how many, and ends when all are sent
    peers.py mixed ADDRESS RATE EVERY              the same, but each EVERY-th is hostile: it runs a
                                                   command that bears its number
    peers.py contested ADDRESS RATE EVERY          the same, but each EVERY-th has myapp.jobs:Job in it
    peers.py take ADDRESS FILE                     numbers of `stream` and `contested` to FILE, 4 bytes
                                                   each, as fast as can be
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


def load(count):
    """So many messages, or what LOAD_SHARE leaves of them to a build that is slow."""
    return int(count * float(os.environ.get("LOAD_SHARE", "1")))


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


def numbered(number):
    return HEAD + struct.pack("<I", FIRST + number) + TAIL


def number_in(data):
    """Of the first numbered pickle in there."""
    behind = data.partition(HEAD)[2]
    return struct.unpack("<I", behind[:4])[0] - FIRST


def hostile(number):
    """os.system of a comment; nobody loads it."""
    return pickle.dumps(Command(number))


class Command:
    def __init__(self, number):
        self.number = number

    def __reduce__(self):
        return os.system, (f"# {self.number}",)


def contested(number):
    """Its number stands where that of numbered() does."""
    body = b"J" + struct.pack("<I", FIRST + number) + b"\x8c\x0amyapp.jobs\x8c\x03Job\x93\x86."
    return b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body


def is_hostile(number, every):
    return every > 0 and number % every == every - 1


def stream(address, rate, every=0, other=hostile):
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.linger = -1
    push.connect(address)
    rate, every, sent, start = int(rate), int(every), 0, time.monotonic()
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        due = int((time.monotonic() - start) * rate)
        for sent in range(sent + 1, min(due, sent + rate // 50) + 1):
            push.send(other(sent - 1) if is_hostile(sent - 1, every) else numbered(sent - 1))
    print(sent, flush=True)
    push.close()
    context.term()


def stream_contested(address, rate, every):
    stream(address, rate, every, contested)


def take(address, path):
    pull = zmq.Context().socket(zmq.PULL)
    pull.connect(address)
    with open(path, "wb", buffering=0) as out:
        while True:
            got = [pull.recv()]
            try:
                while len(got) < 1000:
                    got.append(pull.recv(zmq.DONTWAIT))
            except zmq.Again:
                pass
            at = len(HEAD)
            out.write(b"".join(struct.pack(">I", struct.unpack_from("<I", one, at)[0] - FIRST) for one in got))


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
    {"produce": produce, "consume": consume, "stream": stream, "mixed": stream, "contested": stream_contested,
     "take": take}[sys.argv[1]](*sys.argv[2:])
