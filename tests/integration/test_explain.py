# SPDX-License-Identifier: Apache-2.0
"""`picklewall explain`, on files, standard input and held messages."""
import gzip
import io
import json
import os
import pathlib
import pickle
import pty
import re
import subprocess
import zipfile

import pytest

from test_quarantine_cli import FIRST, META, hold

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("PICKLEWALL_BIN", str(ROOT / "build/dev/picklewall"))
PRINTABLE = re.compile(rb"[\x20-\x7e\n]*")


class Attack:
    def __reduce__(self):
        return os.system, ("id \x1b[31m",)


def run(*args, **options):
    return subprocess.run([BIN, *map(str, args)], capture_output=True, timeout=60, **options)


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_call_is_shown_with_what_is_called_and_its_arguments():
    done = run("explain", "-", input=pickle.dumps(Attack(), 4))
    assert done.returncode == 1
    assert PRINTABLE.fullmatch(done.stdout)
    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["offset", "opcode", "effect", "stack", "marks"]
    call = next(line for line in lines if "REDUCE" in line)
    assert call.endswith('calls "posix":"system"("id \\x1b[31m")')
    name = next(i for i, line in enumerate(lines) if "STACK_GLOBAL" in line)
    assert lines[name].endswith('= "posix":"system" (denied)  runs a program')
    assert lines[name + 1].strip().startswith("^ import.denied: ")
    assert lines[-1] == ("pickle, protocol 4, opcodes 15, bytes 46 of 46, imports 1, "
                         "policy python-data: 1 finding, import.denied")


def test_what_is_renamed_below_protocol_3_shows_both_names():
    done = run("explain", "-", input=b"c__builtin__\nxrange\n(I1\nI2\ntR.")
    assert done.returncode == 0
    text = done.stdout.decode()
    assert '= "__builtin__":"xrange", renamed "builtins":"range" (allowed)' in text
    assert 'calls "__builtin__":"xrange"(1, 2)' in text
    first = objects(run("explain", "--json", "-", input=b"c__builtin__\nxrange\n0N."))[0]
    assert first["renamed"] == {"mod": "builtins", "name": "range"}


@pytest.mark.parametrize("protocol", range(6))
def test_stack_and_marks_are_those_of_the_unpickler(protocol):
    data = pickle.dumps([1, {"a": (1, 2, 3, 4)}, {5, 6}, [[], "text"]], protocol)
    *ops, summary = objects(run("explain", "--json", "-", input=data))
    assert [op["end"] for op in ops][-1] == len(data)
    assert (ops[-1]["op"], ops[-1]["stack"], ops[-1]["marks"]) == ("STOP", 0, 0)
    assert ops[-2]["stack"] == 1
    assert summary["verdict"] == "pass" and summary["ops"] == len(ops)


def test_one_object_an_opcode_and_one_at_the_end():
    *ops, summary = objects(run("explain", "--json", "-", input=pickle.dumps(Attack(), 4)))
    assert all("op" in op for op in ops)
    (name,) = [op for op in ops if op["op"] == "STACK_GLOBAL"]
    assert (name["mod"], name["name"], name["allowed"]) == ("posix", "system", False)
    assert (name["level"], name["note"]) == ("critical", "runs a program")
    assert [find["code"] for find in name["finds"]] == ["import.denied"]
    (call,) = [op for op in ops if op["op"] == "REDUCE"]
    assert call["uses"] == [{"use": "call", "mod": "posix", "name": "system",
                             "args": '("id \\x1b[31m")'}]
    assert summary == {"verdict": "quarantine", "reason": "import.denied",
                       "policy": "python-data", "kind": "pickle", "proto": 4, "ops": len(ops),
                       "bytes": 46, "consumed": 46, "finds_total": 1}


def test_long_constants_are_cut():
    done = run("explain", "-", input=pickle.dumps("x" * 1000000, 4))
    assert len(done.stdout) < 1000
    assert b'"... (1000000 bytes)' in done.stdout


def test_every_finding_is_marked_where_it_arises():
    data = b"".join(b"cm%d\nC\n0" % i for i in range(500)) + b"N."
    ops = objects(run("explain", "--json", "-", input=data))
    assert sum(len(op.get("finds", [])) for op in ops) == 500 == ops[-1]["finds_total"]
    assert all(op["finds"][0]["off"] == op["off"] for op in ops if "finds" in op)


def test_output_is_not_kept_in_memory():
    data = b"(" + b"N0" * 2000000 + b"t."
    command = ["/usr/bin/python3", "-c",
               "import resource, subprocess, sys\n"
               "subprocess.run(sys.argv[1:], stdin=sys.stdin, stdout=subprocess.DEVNULL)\n"
               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"]
    done = subprocess.run([*command, BIN, "explain", "--json", "-"], input=data,
                          capture_output=True, timeout=120)
    assert int(done.stdout) < 100 * 1024, done.stderr  # KiB; the output has 400 MB


def terminal(*args, data=b""):
    """What a terminal sees of standard output, and the exit code."""
    ours, theirs = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with subprocess.Popen([BIN, *args], stdin=subprocess.PIPE, stdout=theirs,
                          stderr=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        process.stdin.write(data)
        process.stdin.close()
        seen = b""
        try:
            while chunk := os.read(ours, 65536):
                seen += chunk
        except OSError:
            pass  # the other end is closed
        os.close(ours)
    return seen, process.returncode


def test_a_terminal_gets_colours_and_no_other_control():
    seen, code = terminal("explain", "-", data=pickle.dumps(Attack(), 4))
    assert code == 1
    assert b"\033[31m          ^ import.denied" in seen
    assert set(re.findall(rb"\x1b[^m]*m", seen)) == {b"\033[31m", b"\033[33m", b"\033[0m"}


# ---- layers ----

def archive(*members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, data in members:
            file.writestr(name, data)
    return packed.getvalue()


def test_each_pickle_of_an_archive_is_explained_in_its_place():
    data = archive(("model/data.pkl", pickle.dumps(Attack(), 4)), ("b.pkl", pickle.dumps([1])))
    done = run("explain", "-", input=data)
    assert done.returncode == 1
    text = done.stdout.decode()
    assert text.startswith("part zip:model/data.pkl: 46 bytes\n  offset")
    assert 'calls "posix":"system"' in text
    assert "\npart zip:b.pkl: " in text
    assert text.endswith("\n2 parts: 1 finding, import.denied\n")
    said = objects(run("explain", "--json", "-", input=data))
    assert {item["in"] for item in said} == {"zip:model/data.pkl", "zip:b.pkl"}
    assert [item["verdict"] for item in said if "verdict" in item] == ["quarantine", "pass"]


def test_what_is_compressed_is_unfolded():
    done = run("explain", "-", input=gzip.compress(pickle.dumps(Attack(), 4)))
    assert done.returncode == 1
    assert done.stdout.startswith(b"part gzip: 46 bytes\n")
    assert b'calls "posix":"system"' in done.stdout


def test_a_layer_that_is_broken_is_said():
    done = run("explain", "-", input=gzip.compress(pickle.dumps([1]))[:-9])
    assert done.returncode == 1
    assert b"^ layer.broken: " in done.stdout


# ---- held messages ----

@pytest.fixture
def held(tmp_path):
    """A topic, an attack that was blamed, and a pickle that was not."""
    finds = [{"code": "import.denied", "frame": 1, "off": 0, "mod": "posix", "name": "system"}]
    name = hold(tmp_path, [b"west", pickle.dumps(Attack(), 4), pickle.dumps([1])],
                {**META, "finds": finds, "rule": {"id": "import.denied", "set": "python-data"}},
                FIRST)
    return tmp_path, name


def test_each_frame_of_a_held_message_is_explained(held):
    state, name = held
    for spelling in (FIRST, name, name[:10]):
        done = run("quarantine", "explain", "--state", state, spelling)
        assert (done.returncode, done.stderr) == (1, b"")
        text = done.stdout.decode()
        assert text.startswith("frame 0: 4 bytes, no pickle\n\nframe 1: 46 bytes\n")
        assert 'calls "posix":"system"' in text
        assert "frame 2: " in text and text.endswith("policy python-data: pass\n")
        assert run("explain", "--state", state, spelling).stdout == done.stdout


def test_objects_of_a_held_message_tell_their_frame(held):
    state, _ = held
    said = objects(run("quarantine", "explain", "--state", state, "--json", FIRST))
    assert {item["frame"] for item in said} == {0, 1, 2}
    assert [item["verdict"] for item in said if "verdict" in item] == [
        "pass", "quarantine", "pass"]


def test_a_frame_that_nobody_blamed_need_not_be_a_pickle(tmp_path):
    for entry, blamed, said in ((FIRST, 1, b"frame 0: 5 bytes, no pickle\n"),
                                (FIRST[:-1] + "S", 0, b"frame 0: 5 bytes\n")):
        finds = [{"code": "import.denied", "frame": blamed}]
        hold(tmp_path, [b"topic", b"N."], {**META, "finds": finds}, entry)
        done = run("quarantine", "explain", "--state", tmp_path, entry)
        assert done.stdout.startswith(said) and done.returncode == 1 - blamed


def test_show_points_to_the_trace(held):
    state, name = held
    shown = run("quarantine", "show", "--state", state, FIRST).stdout.decode()
    assert shown.endswith(f"trace     picklewall quarantine explain {name}\n")


def test_an_id_alone_is_looked_up_in_the_configured_quarantine(held):
    state, name = held
    config = state / "wall.conf"
    config.write_text(
        f'state = "{state}"\nchannel\n    a\n        in\n            bind = "tcp://127.0.0.1:8006"\n'
        '        out\n            bind = "tcp://127.0.0.1:8007"\n        policy = "python-data"\n')
    for spelling in (FIRST, name):
        done = run("explain", spelling, env={**os.environ, "PICKLEWALL_CONFIG": str(config)})
        assert done.returncode == 1 and b"frame 1: 46 bytes" in done.stdout


def test_the_policy_that_refused_it_judges(held):
    state, _ = held
    hold(state, [pickle.dumps(Attack(), 4)], {**META, "rule": {"set": "mine"}},
         "01JD8Z3W5M0000000000000000")
    done = run("quarantine", "explain", "--state", state, "01JD8Z3W5M0000000000000000")
    assert b"policy mine is not known here" in done.stderr and done.returncode == 1
    config = state / "wall.conf"
    config.write_text(
        f'state = "{state}"\nchannel\n    a\n        in\n            bind = "tcp://127.0.0.1:8006"\n'
        '        out\n            bind = "tcp://127.0.0.1:8007"\n        policy = "mine"\n'
        'policy\n    mine\n        allow = "posix:system"\n')
    done = run("quarantine", "explain", "--config", config, "01JD8Z3W5M0000000000000000")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"policy mine: pass" in done.stdout


@pytest.mark.parametrize("args, code, words", [
    (["explain"], 64, b"name a file, - for stdin, or the id of a held message"),
    (["explain", "a", "b"], 64, b"not both a and b"),
    (["explain", "nothing.pkl"], 66, b"nothing.pkl"),
    (["explain", "--state", "/nonexistent", FIRST], 66, b"no quarantine to read"),
    (["quarantine", "explain"], 64, b"quarantine list shows them"),
])
def test_wrong_usage_names_the_remedy(args, code, words):
    done = run(*args)
    assert (done.returncode, done.stdout) == (code, b"")
    assert words in done.stderr
