# SPDX-License-Identifier: Apache-2.0
"""Write the seed corpus of the scan fuzzer: small pickles of every protocol, and the published
attacks in their canonical forms. Usage: corpus_scan.py FOLDER"""

import collections
import datetime
import decimal
import hashlib
import os
import pickle
import sys
import uuid


class Node:
    def __init__(self, value):
        self.value = value
        self.next = self


class Slots:
    __slots__ = ("a", "b")

    def __init__(self):
        self.a, self.b = 1, "two"


OBJECTS = [
    None, True, [], {}, (), 0, -1, 255, 65536, 2**40, -(2**70), 1.5, "", "text", "\u20ac\U0001f600",
    b"", b"bytes", bytearray(b"array"), {1, 2}, frozenset("ab"), [1, [2, [3, [4]]]],
    {"a": 1, "b": [1.0, None, (True, False)]}, ("x",) * 20, list(range(300)),
    collections.OrderedDict(a=1), collections.defaultdict(list, a=[1]), collections.deque([1], 3),
    datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
    decimal.Decimal("1.50"), uuid.UUID(int=5), Node(1), Slots(), complex(1, 2), range(3), slice(1),
]

ATTACKS = [
    "8004951d000000000000008c05706f736978948c0673797374656d9493948c02696494859452942e",
    "636f730a73797374656d0a2853276964270a74522e",
    "636f730a73797374656d0a2853276964270a7452",
    "80026374797065730a53696d706c654e616d6573706163650a29817d580c0000005f5f7365747374617465"
    "5f5f636f730a73797374656d0a736258020000006964622e",
    "80045809000000706f7369787061746858090000006f732e73797374656d935802000000696485522e",
]


def main(folder):
    os.makedirs(folder, exist_ok=True)
    streams = [bytes.fromhex(text) for text in ATTACKS]
    for value in OBJECTS:
        for protocol in range(6):
            try:
                streams.append(pickle.dumps(value, protocol))
            except (TypeError, pickle.PicklingError):
                pass  # slots need protocol 2
    for stream in streams:
        name = hashlib.sha256(stream).hexdigest()[:16]
        with open(os.path.join(folder, name), "wb") as file:
            file.write(stream)


main(sys.argv[1])
