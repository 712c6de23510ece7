#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Verify an audit log of picklewall without picklewall.

    picklewall_audit.py --key audit.pub audit-1.jsonl audit.jsonl

One file for Python 3.6 and later with PyNaCl (apt-get install python3-nacl). What is checked, and what the
verdicts mean, is specified in common/audit/README.md of picklewall; this is a second reading of it.
"""

import base64
import hashlib
import json
import re
import sys
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

import nacl.exceptions
import nacl.signing

COMPLETE, OPEN, BROKEN = "complete", "open", "broken"
EXIT = {COMPLETE: 0, BROKEN: 1, OPEN: 2}
EVERY = 1024  # lines that may stand without a checkpoint
LINE_MAX = 8192
ZEROS = "0" * 64

_LINE = re.compile(
    rb'\{"ts":"[^"]{27}","schema":"picklewall\.audit/1","event":"([a-z_]+)","id":"[^"]{26}","seq":([0-9]{1,16}),'
    rb'.*,"chain":"([A-Za-z0-9._/-]{1,96})","prev":"([0-9a-f]{64})"\}', re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9._/-]{1,96}")
_CHECKPOINT = re.compile(rb'(.*,"checkpoint":\{"size":([0-9]{1,16}),"note":")([^"]*)"\},"chain":"[^"]*","prev":"[^"]*"\}',
                         re.DOTALL)
_NOTE = re.compile(r"((?:[^\n]+\n)+)\n((?:\u2014 [^\n]+\n)+)")


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text: str) -> bytes:
    """Only the one way to spell it."""
    found = base64.b64decode(text, validate=True)
    if base64.b64encode(found).decode() != text:
        raise ValueError("base64 that says more than its bytes")
    return found


class Key(NamedTuple):
    name: str
    id: bytes
    verify: nacl.signing.VerifyKey

    @classmethod
    def parse(cls, text: str) -> "Key":
        name, digits, material = text.rstrip("\n").split("+", 2)
        public = unbase64(material)
        key_id = sha256(name.encode(), b"\n", public)[:4]
        if public[:1] != b"\x01" or len(public) != 33 or key_id.hex() != digits.lower():
            raise ValueError("no Ed25519 key of a note")
        return cls(name, key_id, nacl.signing.VerifyKey(public[1:]))


class Tree:
    """RFC 6962, as the roots of its perfect subtrees: [(leaves, hash)], largest first."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()):
        widths = [1 << bit for bit in range(size.bit_length() - 1, -1, -1) if size >> bit & 1]
        self.parts = list(zip(widths, hashes))
        if len(self.parts) != len(widths):
            raise ValueError("a tree of another size")

    def append(self, entry: bytes) -> None:
        self.parts.append((1, sha256(b"\0", entry)))
        while len(self.parts) > 1 and self.parts[-1][0] == self.parts[-2][0]:
            (left_size, left), (_, right) = self.parts[-2:]
            self.parts[-2:] = [(2 * left_size, sha256(b"\1", left, right))]

    def root(self) -> bytes:
        if not self.parts:
            return sha256()
        hashes = [part for _, part in self.parts]
        root = hashes.pop()
        while hashes:
            root = sha256(b"\1", hashes.pop(), root)
        return root


class Line(NamedTuple):
    event: str
    seq: int
    chain: str
    prev: str
    text: bytes
    body: Dict[str, Any]

    @classmethod
    def read(cls, text: bytes) -> Optional["Line"]:
        found = _LINE.fullmatch(text)
        if not found or len(text) >= LINE_MAX or int(found.group(2)) == 0:
            return None
        try:
            body = json.loads(text.decode("ascii"))
        except ValueError:
            return None
        event, seq, chain, prev = (group.decode() for group in found.groups())
        if (body.get("event"), body.get("seq"), body.get("chain"), body.get("prev")) != (event, int(seq), chain, prev):
            return None
        return cls(event, int(seq), chain, prev, text, body)

    def told(self, name: str) -> Dict[str, Any]:
        """A member of detail.chain of a `start`."""
        detail = self.body.get("detail") if self.event == "start" else None
        chain = detail.get("chain") if isinstance(detail, dict) else None
        member = chain.get(name) if isinstance(chain, dict) else None
        return member if isinstance(member, dict) else {}


class Fault(NamedTuple):
    code: str
    file: str
    line: int
    seq: int


class Chain:
    def __init__(self, line: Line, mended: bool):
        self.first_told = mended or line.seq > 1  # what a later line tells of may be in a file that is not given
        self.id, self.first, self.next = line.chain, line.seq, line.seq
        self.prev = line.prev
        before = line.told("before")
        self.before, self.before_seq = before.get("chain"), before.get("seq")
        if before and not (isinstance(self.before_seq, int) and _ID.fullmatch(self.before)):
            raise ValueError("no chain is called that")
        self.tree = Tree() if line.seq == 1 else None  # type: Optional[Tree]
        self.sealed = line.seq - 1
        self.last_event = ""
        self.closed = False


class Result(NamedTuple):
    verdict: str
    faults: List[Fault]
    chains: List[Chain]
    lines: int


class Verifier:
    def __init__(self, keys: Iterable[str]):
        self.keys = [Key.parse(text) for text in keys]
        self.chains = []  # type: List[Chain]
        self.faults = []  # type: List[Fault]
        self.lines = 0
        self.torn = None  # type: Optional[tuple]
        self.rest = b""
        self.rest_at = ("", 0)
        self.refused = None  # type: Optional[str]

    def fault(self, code: str, file: str, number: int, seq: int = 0) -> None:
        self.faults.append(Fault(code, file, number, seq))

    def not_a_line(self, text: bytes, file: str, number: int) -> None:
        if self.torn:
            self.fault("line.unreadable", *self.torn[1:])
        self.torn = ({"bytes": len(text), "sha256": sha256(text).hex()}, file, number)

    def mend(self, line: Line) -> bool:
        told = line.told("torn")
        if told and self.torn and told == self.torn[0]:
            self.torn, told = None, {}
        return not told

    def end_chain(self) -> None:
        if self.torn:
            self.fault("line.unreadable", *self.torn[1:])
            self.torn = None
        if self.chains and self.chains[-1].tree is None:
            self.fault("chain.late", "", 0, self.chains[-1].first)

    def take(self, line: Line, file: str, number: int, file_starts: bool) -> None:
        now = self.chains[-1] if self.chains else None
        if now is None or line.chain != now.id:
            follows = now is not None and line.seq == 1 and line.told("before").get("chain") == now.id
            if line.chain in [chain.id for chain in self.chains] or not (now is None or file_starts or follows):
                if self.refused != line.chain:
                    self.fault("chain.spliced", file, number, line.seq)
                self.refused = line.chain
                return
            mended = self.mend(line)
            self.end_chain()
            self.chains.append(Chain(line, mended))
            self.refused = None
        self.link(self.chains[-1], line, file, number)

    def link(self, chain: Chain, line: Line, file: str, number: int) -> None:
        wrong = None
        if line.seq != chain.next:
            wrong = "line.missing" if line.seq > chain.next else "line.behind"
        elif line.seq == 1 and line.prev != ZEROS:
            wrong = "line.first"
        elif line.prev != chain.prev:
            wrong = "line.changed"
        if wrong:
            if self.torn:
                self.fault("line.unreadable", *self.torn[1:])
                self.torn = None
            else:
                self.fault(wrong, file, number, line.seq)
            if wrong == "line.behind":
                return
            chain.tree, chain.sealed = None, line.seq - 1
        if not self.mend(line) and not (line.seq == chain.first and chain.first_told):
            self.fault("line.torn_gone", file, number, line.seq)
        self.inside(chain, line, file, number)
        entry = sha256(line.text)
        if chain.tree:
            chain.tree.append(entry)
        chain.next, chain.prev, chain.last_event = line.seq + 1, entry.hex(), line.event

    def inside(self, chain: Chain, line: Line, file: str, number: int) -> None:
        stopped, chain.closed = chain.last_event == "stop", False
        if line.event == "checkpoint":
            code = self.checkpoint(chain, line)
            if code:
                self.fault(code, file, number, line.seq)
            if code == "checkpoint.root":
                chain.tree = None
            chain.closed = stopped and code is None and chain.tree is not None
            return
        tree = line.body.get("tree")
        if line.event in ("start", "rotate") and tree is not None:
            told = Tree(line.seq - 1, map(unbase64, tree))
            if chain.tree is None:
                chain.tree = told
            elif told.parts != chain.tree.parts:
                self.fault("tree.wrong", file, number, line.seq)
        if chain.tree is not None and line.seq - chain.sealed == EVERY + 1:
            self.fault("checkpoint.missing", file, number, line.seq)

    def checkpoint(self, chain: Chain, line: Line) -> Optional[str]:
        found = _CHECKPOINT.fullmatch(line.text)
        if not found:
            return "checkpoint.form"
        head, size, escaped = found.groups()
        note = line.body["checkpoint"]["note"]
        again = note.replace("\n", "\\n").replace("\u2014", "\\u2014").encode("ascii", "replace")
        parts = _NOTE.fullmatch(note)
        words = parts.group(1).split("\n")[:-1] if parts else []
        if not parts or again != escaped or len(words) < 4 or words[0] != chain.id or words[1] != str(line.seq - 1):
            return "checkpoint.form"
        if int(size) != line.seq - 1:
            return "checkpoint.form"
        code = self.signature(parts.group(1), parts.group(2))
        if code:
            return code
        if "line " + base64.b64encode(sha256(head)).decode() not in words[3:]:
            return "checkpoint.line"
        if chain.tree is None:
            return None
        if unbase64(words[2]) != chain.tree.root():
            return "checkpoint.root"
        chain.sealed = line.seq - 1
        return None

    def signature(self, text: str, signatures: str) -> Optional[str]:
        good = False
        for row in signatures.splitlines():
            _, name, material = row.split(" ", 2)
            for key in self.keys:
                try:
                    raw = unbase64(material)
                except ValueError:
                    continue
                if name != key.name or raw[:4] != key.id:
                    continue
                try:
                    key.verify.verify(text.encode(), raw[4:])
                    good = True
                except (nacl.exceptions.BadSignatureError, ValueError):
                    return "checkpoint.signature"
        return None if good else "checkpoint.unknown_key"

    def file(self, path: Any) -> None:
        with open(path, "rb") as log:
            for number, text in enumerate(log, 1):
                if self.rest:
                    if not text.startswith(self.rest):
                        self.not_a_line(self.rest, *self.rest_at)
                    self.rest = b""
                if not text.endswith(b"\n"):
                    self.rest, self.rest_at = text, (str(path), number)
                    break
                self.lines += 1
                line = Line.read(text[:-1])
                try:
                    if line is None:
                        self.not_a_line(text[:-1], str(path), number)
                    else:
                        self.take(line, str(path), number, number == 1)
                except (ValueError, KeyError, TypeError, AttributeError):
                    self.fault("line.unreadable", str(path), number)

    def end(self) -> Result:
        self.end_chain()
        ends = {chain.id: chain.next - 1 for chain in self.chains}
        told = [(chain.before, chain.before_seq) for chain in self.chains if chain.before]
        for before, seq in told:
            if ends.get(before, seq) < seq:
                self.fault("chain.short", "", 0, ends[before] + 1)
        whole = (self.chains and all(chain.first == 1 and chain.closed for chain in self.chains)
                 and all(before in ends for before, _ in told) and not self.rest)
        verdict = BROKEN if self.faults else COMPLETE if whole else OPEN
        return Result(verdict, self.faults, self.chains, self.lines)


def _first(path: Any) -> tuple:
    with open(path, "rb") as log:
        for text in log:
            line = Line.read(text[:-1])
            if line:
                return int(line.chain.rpartition("/")[2]), line.seq
    return 0, 0


def verify(paths: Iterable[Any], keys: Iterable[str]) -> Result:
    """The files of one log, in any order, and the texts of the keys that may have signed."""
    verifier = Verifier(keys)
    for path in sorted(paths, key=_first):
        verifier.file(path)
    return verifier.end()


def main(arguments: List[str]) -> int:
    if len(arguments) < 3 or arguments[0] != "--key":
        print("picklewall_audit.py --key audit.pub FILE...", file=sys.stderr)
        return 64
    with open(arguments[1]) as key:
        result = verify(arguments[2:], [key.read()])
    for fault in result.faults:
        print("{}:{}: seq {}: {}".format(fault.file, fault.line, fault.seq, fault.code))
    for chain in result.chains:
        print("chain {}: seq {} to {}, verified up to seq {}{}".format(
            chain.id, chain.first, chain.next - 1, chain.sealed, ", closed" if chain.closed else ""))
    print("{}: {} lines, {} faults".format(result.verdict, result.lines, len(result.faults)))
    return EXIT[result.verdict]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
