# SPDX-License-Identifier: Apache-2.0
"""`picklewall scan` and `explain` on files, with CPython's pickles as they are."""

import datetime
import glob
import json
import os
import pickle
import pickletools
import subprocess

import pytest

BIN = os.environ.get("PICKLEWALL_BIN") or os.path.join(
    os.path.dirname(__file__), "..", "..", "build", "dev", "picklewall"
)

EXAMPLES = """
import array, collections, datetime, decimal, ipaddress, pathlib, time, uuid
VALUES = [
    None, True, 0, -1, 2**40, 1.5, "text", u"\\u20ac", b"bytes", bytearray(b"x"), [], {}, (), set(), frozenset([1]),
    [1, [2, (3, {"a": None})]], {"k": [1.0, b"v"]}, complex(1, 2), range(3), slice(1, 2, None),
    int, str, list, dict, Ellipsis, NotImplemented,
    collections.OrderedDict([("a", 1)]), collections.defaultdict(list, a=[1]), collections.deque([1, 2], 5),
    collections.Counter("abca"), collections.ChainMap({"a": 1}), collections.UserDict(a=1), collections.UserList([1]),
    collections.UserString("s"),
    datetime.date(2026, 1, 2), datetime.time(3, 4), datetime.timedelta(1, 2, 3), datetime.timezone.utc,
    datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=1), "CET")),
    decimal.Decimal("1.50"), decimal.Decimal("1.5").as_tuple(), uuid.UUID(int=7),
    ipaddress.ip_address("10.0.0.1"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("10.0.0.1/8"),
    ipaddress.ip_address("::1"), ipaddress.ip_network("::/8"), ipaddress.ip_interface("::1/8"),
    pathlib.PurePosixPath("a/b"), pathlib.PureWindowsPath("a/b"), time.gmtime(0), array.array("d", [1.0]),
]
"""

WRITER = EXAMPLES + """
import os, pickle, sys
for number, value in enumerate(VALUES):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with open(os.path.join(sys.argv[1], "%02d-%d.pkl" % (number, protocol)), "wb") as file:
            pickle.dump(value, file, protocol)
print(len(VALUES))
"""

ATTACKS = {
    "reduce": "8004951d000000000000008c05706f736978948c0673797374656d9493948c02696494859452942e",
    "text": "636f730a73797374656d0a2853276964270a74522e",
    "cut": "636f730a73797374656d0a2853276964270a7452",
    "build": "80026374797065730a53696d706c654e616d6573706163650a29817d580c0000005f5f73657473746174"
    "655f5f636f730a73797374656d0a736258020000006964622e",
    "dotted": "80045809000000706f7369787061746858090000006f732e73797374656d935802000000696485522e",
}


def run(*arguments, **options):
    return subprocess.run([BIN, *map(str, arguments)], capture_output=True, timeout=60, **options)


def scan(*arguments):
    result = run("scan", "--json", *arguments)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()]


def pythons():
    """Every CPython of this machine, by its path."""
    found = ["/usr/bin/python3"]
    found += sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python")))
    return found


@pytest.mark.parametrize("python", pythons())
def test_what_python_data_covers_passes_in_every_protocol(python, tmp_path):
    written = subprocess.run([python, "-c", WRITER, str(tmp_path)], capture_output=True, timeout=60)
    assert written.returncode == 0, written.stderr.decode()
    count = int(written.stdout)
    code, reports = scan(tmp_path)
    refused = [(r["path"][-8:], r["finds"]) for r in reports if r["verdict"] != "pass"]
    assert refused == []
    assert code == 0 and len(reports) >= count * 5


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_the_published_attacks_are_refused_by_the_name_they_call(name, tmp_path):
    path = tmp_path / "attack.pkl"
    path.write_bytes(bytes.fromhex(ATTACKS[name]))
    code, (report,) = scan(path)
    assert code == 1
    assert report["verdict"] == "quarantine" and report["reason"] == "import.denied"
    names = [(i["mod"], i["name"]) for i in report["imports"] if not i["allowed"]]
    assert names[-1] in {("posix", "system"), ("os", "system"), ("posixpath", "os.system")}


def test_the_object_has_the_members_that_are_promised(tmp_path):
    path = tmp_path / "a.pkl"
    data = bytes.fromhex(ATTACKS["reduce"])
    path.write_bytes(data)
    _, (report,) = scan(path)
    assert report == {
        "path": str(path), "bytes": len(data), "verdict": "quarantine", "reason": "import.denied",
        "policy": "python-data", "finds_total": 1,
        "kind": "pickle", "proto": 4, "ops": len(list(pickletools.genops(data))), "consumed": len(data),
        "imports": [{"mod": "posix", "name": "system", "op": "STACK_GLOBAL", "off": 28, "allowed": False,
                     "uses": ["call"]}],
        "finds": [{"code": "import.denied", "off": 28, "op": "STACK_GLOBAL", "mod": "posix", "name": "system",
                   "level": "critical", "note": "runs a program"}],
    }


def test_imports_are_never_capped(tmp_path):
    path = tmp_path / "many.pkl"
    path.write_bytes(b"".join(b"cm%d\nC\n0" % i for i in range(5000)) + b"N.")
    _, (report,) = scan(path)
    assert [i["mod"] for i in report["imports"]] == [f"m{i}" for i in range(5000)]


def test_folders_are_walked_in_byte_order_of_path(tmp_path):
    for name in ("b/c.pkl", "b-a.pkl", "a.pkl", "b/a/z.pkl", "B.pkl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"N.")
    _, reports = scan(tmp_path)
    paths = [r["path"] for r in reports]
    assert len(paths) == 5 and paths == sorted(paths, key=os.fsencode)


def test_standard_input_is_a_file_too():
    result = run("scan", "--json", "-", input=b"cos\nsystem\n.")
    assert result.returncode == 1
    assert json.loads(result.stdout)["reason"] == "import.denied"


def test_a_file_that_is_not_there_is_no_verdict(tmp_path):
    result = run("scan", tmp_path / "nothing.pkl")
    assert result.returncode == 66
    assert b"nothing.pkl" in result.stderr


def test_hostile_names_never_reach_the_terminal(tmp_path):
    path = tmp_path / "\x1b[31mred.pkl"
    path.write_bytes(b"c\x1b[2Jos\n\x07sys\n.")
    for command in ("scan", "explain"):
        result = run(command, path)
        assert result.returncode == 1
        assert b"\x1b" not in result.stdout and b"\x07" not in result.stdout


def test_explain_lists_the_opcodes_that_pickletools_lists(tmp_path):
    data = pickle.dumps({"a": [1, 2.5, ("x", b"y")], "when": datetime.date(2026, 1, 2)}, 4)
    path = tmp_path / "a.pkl"
    path.write_bytes(data)
    result = run("explain", "--json", path)
    assert result.returncode == 0
    ours = [(o["off"], o["op"]) for o in map(json.loads, result.stdout.splitlines()) if "op" in o]
    assert ours == [(pos, op.name) for op, _, pos in pickletools.genops(data)]


def test_explain_marks_the_finding_below_its_opcode(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(bytes.fromhex(ATTACKS["reduce"]))
    lines = run("explain", path).stdout.decode().splitlines()
    place = next(i for i, line in enumerate(lines) if "STACK_GLOBAL" in line)
    assert '"posix":"system" (denied)' in lines[place]
    assert "^ import.denied" in lines[place + 1]
    assert lines[-1].endswith("import.denied")


def test_a_policy_of_a_configuration_judges(tmp_path):
    config = tmp_path / "picklewall.conf"
    config.write_text(
        'state = "state"\nchannel\n    a\n        in\n            bind = "tcp://127.0.0.1:8006"\n'
        '        out\n            bind = "tcp://127.0.0.1:8007"\n        policy = "mine"\n'
        'policy\n    mine\n        allow = "posix:system"\n'
    )
    path = tmp_path / "a.pkl"
    path.write_bytes(bytes.fromhex(ATTACKS["reduce"]))
    assert run("scan", "--config", config, "--policy", "mine", path).returncode == 0
    result = run("scan", "--config", config, "--policy", "nobody", path)
    assert result.returncode == 78 and b"nobody" in result.stderr


def test_a_large_file_tells_its_length_and_a_pipe_is_opened_once(tmp_path):
    data = pickle.dumps(b"x" * (17 << 20), 4)
    (tmp_path / "large.pkl").write_bytes(data)
    code, (report,) = scan(tmp_path / "large.pkl")
    assert (code, report["bytes"], report["consumed"]) == (0, len(data), len(data))
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen([BIN, "scan", "--json", tmp_path / "pipe"], stdout=subprocess.PIPE) as process:
        with open(tmp_path / "pipe", "wb") as pipe:
            pipe.write(b"N.")
        try:
            assert json.loads(process.communicate(timeout=20)[0])["bytes"] == 2
        finally:
            process.kill()


def test_a_hint_names_the_policy_that_would_let_it_pass(tmp_path):
    numpy = pytest.importorskip("numpy")
    (tmp_path / "array").write_bytes(pickle.dumps(numpy.arange(3)))
    (tmp_path / "attack").write_bytes(b"cos\nsystem\n(S'id'\ntR.")
    packs = os.path.join(os.path.dirname(__file__), "..", "..", "config", "policies")

    def said(*arguments):
        done = subprocess.run([BIN, "scan", *arguments], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "PICKLEWALL_POLICIES": packs})
        return done.returncode, done.stdout

    code, text = said("--hint", str(tmp_path / "array"))
    assert code == 1 and text.endswith("    it passes under --policy numpy\n")
    assert said("--policy", "numpy", str(tmp_path / "array"))[0] == 0
    assert "it passes" not in said(str(tmp_path / "array"))[1]
    assert "it passes" not in said("--hint", str(tmp_path / "attack"))[1]


@pytest.mark.parametrize("door, stream", [
    ("trailing", b"\x80\4K\1.x"),
    ("extension", b"\x80\2\x82\1."),
    ("persistent_ids", b"Pabc\n."),
    ("buffers", b"\x80\5\x97."),
    ("computed_calls", b"\x80\4cdatetime\ndate\n(C\4\7\xeb\1\1tR(tR."),
])
def test_each_door_of_a_policy_opens(tmp_path, door, stream):
    (tmp_path / "pickle").write_bytes(stream)
    packs = os.path.join(os.path.dirname(__file__), "..", "..", "config", "policies")

    def finds(value):
        config = tmp_path / "conf"
        config.write_text(
            "channel\n    a\n        in\n            bind = \"tcp://127.0.0.1:1\"\n        out\n"
            "            bind = \"tcp://127.0.0.1:2\"\n        policy = \"own\"\npolicy\n    own\n"
            f"        include = \"python-data\"\n        {door} = {value}\n")
        done = subprocess.run([BIN, "scan", "--json", "--policy", "own", "--config", str(config), str(tmp_path / "pickle")],
                              capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "PICKLEWALL_POLICIES": packs})
        return {find["code"] for find in json.loads(done.stdout)["finds"]}

    code = {"trailing": "pickle.trailing", "extension": "extension.denied", "persistent_ids": "persistent_id.denied",
            "buffers": "buffer.denied", "computed_calls": "call.computed"}[door]
    assert code in finds("no")
    assert code not in finds("yes")
