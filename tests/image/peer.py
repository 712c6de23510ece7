# SPDX-License-Identifier: Apache-2.0
"""What runs beside the wall, in its network namespace: a consumer that unpickles all it gets, and a producer.

usage: peer.py consume N          print N objects, a JSON line each; exit 3 when they do not come
       peer.py send N             send {"job": 0} … {"job": N - 1}
       peer.py attack PATH        send a pickle that makes PATH
"""
import json
import os
import sys

import zmq

IN, OUT = "tcp://127.0.0.1:8006", "tcp://127.0.0.1:8007"
PATIENCE_MS = 30000


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def socket(kind, address):
    sock = zmq.Context.instance().socket(kind)
    sock.sndtimeo = sock.rcvtimeo = sock.linger = PATIENCE_MS
    sock.connect(address)
    return sock


def main():
    what, argument = sys.argv[1:]
    if what == "consume":
        pull = socket(zmq.PULL, OUT)
        for _ in range(int(argument)):
            try:
                print(json.dumps(pull.recv_pyobj()), flush=True)
            except zmq.Again:
                sys.exit(3)
        return
    push = socket(zmq.PUSH, IN)
    for message in [Attack(argument)] if what == "attack" else [{"job": job} for job in range(int(argument))]:
        push.send_pyobj(message)


main()
