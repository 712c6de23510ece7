# SPDX-License-Identifier: Apache-2.0
"""Asks both sides: what the scanner says of streams, and what the CPythons of this machine do."""

import collections
import concurrent.futures
import glob
import json
import os
import re
import struct
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
JUDGE = os.environ.get("PW_ORACLE_JUDGE") or os.path.join(
    HERE, "..", "..", "build", "dev", "tests", "oracle", "oracle_judge")
WAYS = ("loads", "file", "peek", "python")
# The names are unknown here: made at run time, or kept in the consumer's registry.
NAMELESS = ("import.unresolved", "extension.denied")

REMEDY = "\nCPython's own tests are wanted: .ci/install-deps.sh test, or apt-get install libpython3-testsuite"
DOORS = ("extension.denied", "persistent_id.denied", "buffer.denied", "call.computed", "pickle.trailing")


def pythons():
    """Every CPython of this machine, by its path."""
    found = glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python"))
    return ["/usr/bin/python3"] + sorted(found, key=lambda path: version_in(path))


def version_in(path):
    return tuple(int(part) for part in re.search(r"/(\d+\.\d+\.\d+)/", path).group(1).split("."))


def version(python):
    """(3, 11, 2), as the interpreter says it."""
    words = "import sys; print(*sys.version_info[:3])"
    return tuple(map(int, subprocess.run([python, "-c", words], capture_output=True, timeout=60).stdout.split()))


def as_hex(text):
    return (text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")).hex()


def read_streams(data):
    """The streams that harvest.py wrote."""
    streams, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at:at + 4], "little")
        streams.append(data[at + 4:end])
        at = end
    return streams


def harvest(*modules):
    """Every stream that these test modules of Debian's CPython give to an unpickler."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "streams")
        result = subprocess.run(["/usr/bin/python3", os.path.join(HERE, "harvest.py"), path, *modules], cwd=folder,
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=250)
        assert os.path.exists(path), result.stderr[-1000:].decode() + REMEDY
        with open(path, "rb") as file:
            return read_streams(file.read())


def judge(streams):
    """The report of each stream."""
    data = b"".join(struct.pack("<I", len(stream)) + stream for stream in streams)
    result = subprocess.run([JUDGE], input=data, capture_output=True, timeout=200)
    assert result.returncode == 0, result.stderr
    reports = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(reports) == len(streams)
    return reports


def ask(python, streams, options=None):
    """What the unpicklers of `python` do with each stream: see unpickle.py."""
    options = options or [{}] * len(streams)
    lines = "".join(json.dumps(dict(option, hex=stream.hex())) + "\n" for stream, option in zip(streams, options))
    result = subprocess.run([python, os.path.join(HERE, "unpickle.py")], input=lines.encode(),
                            capture_output=True, timeout=250)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    # Too few: this interpreter died of the stream behind the last answer.
    assert len(answers) == len(streams), (streams[len(answers)][:200], result.stderr[-500:])
    return answers


def ask_all(streams, options=None):
    """What every CPython does, by its version; two of them at a time."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asked = {version(python): pool.submit(ask, python, streams, options) for python in pythons()}
        return {number: answers.result() for number, answers in asked.items()}


def codes(report):
    return [find["code"] for find in report["finds"]]


def names(report):
    return [[i["mod"], i["name"]] for i in report["imports"]]


def first_part(digits):
    return bytes.fromhex(digits).split(b".")[0].hex()


def looked_up(report):
    """What find_class asks the renamed module for: from protocol 4 on, names are walked."""
    return [[i["as"][0], i["as"][1] if i["proto"] < 4 else first_part(i["as"][1])] for i in report["imports"]]


def is_prefix(some, whole):
    return some == whole[: len(some)]


def unforeseen(some, report):
    """Names that the report should have and has not."""
    found = collections.Counter(codes(report))
    foreseen = names(report)
    strange = [name for name in some if name not in foreseen]
    known = [name for name in some if name in foreseen]
    allowed = sum(found[code] for code in NAMELESS)
    return strange if len(strange) > allowed else [] if is_prefix(known, foreseen) else known


def ended_by_limit(report):
    """Refused before its end, for what it would cost."""
    return report["kind"] == "broken" and codes(report)[-1].startswith("limit.")


def complaint(report, way, answer):
    """What is wrong with the report in the light of what an unpickler did; None: nothing."""
    found = set(codes(report))
    if ended_by_limit(report):
        return None
    # C before 3.13.15 skips bytes of a file at a broken frame: nothing can be foreseen then.
    if way in ("file", "peek") and any(code.startswith("frame.") for code in found):
        return None
    if answer["names"] is not None and unforeseen(answer["names"], report):
        return "resolves what the report has not"
    if answer["finished"] and not found and answer["names"] not in (None, names(report)):
        return "the report foresees more than happens"
    if answer["asked"] and "persistent_id.denied" not in found:
        return "persistent_load"
    if answer["buffers"] and "buffer.denied" not in found:
        return "buffers"
    if way == "python" and answer["finished"] and not found and answer["tell"] != report["consumed"]:
        return "ends elsewhere"
    return None


def closed(report):
    """The findings of a stream that loads, less those that a policy may open a door for."""
    return set(codes(report)) - set(DOORS)


def both_finish(answers):
    return answers["loads"]["finished"] and answers["python"]["finished"]


def complaints(report, answers):
    """All that is wrong, by the way of loading."""
    wrong = {way: complaint(report, way, answers[way]) for way in WAYS}
    if both_finish(answers) and report["kind"] != "pickle" and not ended_by_limit(report):
        wrong["kind"] = "both finish, and it is no pickle"
    return {way: words for way, words in wrong.items() if words}
