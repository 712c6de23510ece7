# SPDX-License-Identifier: Apache-2.0
"""What operators do with the quarantine: filter, export, purge, check; and sealed messages."""
import json
import os
import random
import stat
import subprocess
import time

import pytest
import zmq

from test_quarantine_limits import EVIL, ask, events, evil, flow, objects, wait_settled  # noqa: F401
from wall import BINARY, Wall, channel, tcp


def run(*args):
    return subprocess.run([BINARY, "quarantine", *map(str, args)], capture_output=True, timeout=60)


def listed(wall, *args):
    done = run("list", "--state", wall.state, "--json", *args)
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


def hold(wall, *messages):
    count = len(wall.frames("quarantine"))
    for message in messages:
        wall.push.send_multipart(message if isinstance(message, list) else [message])
    wait_settled(wall, count + len(messages))
    return [entry["entry"] for entry in wall.held()]


def test_list_filters_and_adds_up(flow):
    wall = flow('quarantine\n    max_bytes = 400\n    min_free = 0')
    ids = hold(wall, evil(1), evil(2), evil(3, 300))
    assert [entry["entry"] for entry in listed(wall)] == ids
    assert [entry["state"] for entry in listed(wall)] == ["held"] * 3
    assert listed(wall, "--channel", "other") == [] == listed(wall, "--reason", "sig.")
    assert len(listed(wall, "--channel", "jobs", "--reason", "trailing.")) == len(
        [entry for entry in wall.held() if entry["reason"].startswith("trailing.")])
    assert len(listed(wall, "--since", "1h")) == 3 and listed(wall, "--since", "2200-01-01T00:00:00Z") == []
    totals = listed(wall, "--state-is", "all", "--totals")
    assert [total["state"] for total in totals] == ["held", "releasing", "released", "purged"]
    assert (totals[0]["messages"], totals[0]["unstored"]) == (3, 1)
    assert b"not kept: " in run("list", "--state", wall.state).stdout
    shown = run("show", "--state", wall.state, ids[2])
    assert shown.returncode == 0 and b"it was not kept" in shown.stdout
    assert run("explain", "--state", wall.state, ids[2]).returncode == 66
    for wrong in (["--state-is", "lost"], ["--since", "soon"]):
        assert run("list", "--state", wall.state, *wrong).returncode == 64


def test_show_says_what_the_frames_import(flow):
    wall = flow()
    first = hold(wall, EVIL)[0]
    words = run("show", "--state", wall.state, first).stdout.decode()
    assert "pickle, protocol 4, " in words and ": posix:system\n" in words and "state     held\n" in words
    shown = json.loads(run("show", "--state", wall.state, "--json", first).stdout)
    assert [(find["mod"], find["name"]) for find in shown["frames"][0]["imports"]] == [("posix", "system")]


def test_export_writes_new_files_only(flow, tmp_path):
    wall = flow(frames="pickle*")
    first = hold(wall, [EVIL, b"N."])[0]
    name = wall.held()[0]["object"]
    stored = (wall.state / "quarantine/obj" / name[:2] / name).read_bytes()
    for form, made in (("object", {"": stored}), ("raw", {"": EVIL + b"N."}), ("frames", {".0": EVIL, ".1": b"N."})):
        out = tmp_path / form
        done = run("export", "--state", wall.state, "--format", form, "--out", out, first)
        assert done.returncode == 0 and b"live ammunition" in done.stderr
        for end, bytes_ in made.items():
            path = out.with_name(form + end)
            assert path.read_bytes() == bytes_ and stat.S_IMODE(path.stat().st_mode) == 0o600
        again = run("export", "--state", wall.state, "--format", form, "--out", out, first)
        assert again.returncode == 73 and b"name a file that does not exist" in again.stderr
    assert run("export", "--state", wall.state, first).returncode == 64
    assert run("export", "--state", wall.state, "--format", "zip", "--out", tmp_path / "z", first).returncode == 64


def test_purge_through_the_wall(flow):
    wall = flow()
    ids = hold(wall, *(evil(number) for number in range(120)))
    done = run("purge", "--state", wall.state, "--reason", "noise", ids[0], ids[1], "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["purged"] == 2
    assert run("purge", "--state", wall.state, "--reason", "x", ids[0]).returncode == 64  # purged, not held
    assert run("purge", "--state", wall.state, "--reason", "x", "--older-than", "1h").stdout.startswith(b"0 purged")
    done = run("purge", "--config", wall.config, "--reason", "all of it", "ALL")
    assert (done.returncode, done.stdout.split()[0]) == (0, b"118"), done.stderr
    assert not wall.held() and objects(wall) == []
    wall.wait_for(lambda: sum(line["detail"]["count"] for line in events(wall, "purge")) == 120, "the lines")
    assert {line["detail"]["by"]["via"] for line in events(wall, "purge")} == {"control"}
    assert [entry["entry"] for entry in listed(wall, "--state-is", "purged")] == ids
    assert run("check", "--state", wall.state).returncode == 0


@pytest.mark.parametrize("args", [
    ["ALL"], ["--reason", "", "ALL"], ["--reason", "r"], ["--reason", "r", "ALL", "--older-than", "1h"],
    ["--reason", "r", "all"], ["--reason", "r", "--older-than", "soon"], ["--reason", "r" * 401, "ALL"],
])
def test_a_purge_says_which_and_why(flow, args):
    wall = flow()
    hold(wall, EVIL)
    done = run("purge", "--state", wall.state, *args)
    assert done.returncode in (64, 66) and len(wall.held()) == 1


def test_purge_without_a_wall_is_told_by_the_next(flow):
    wall = flow()
    ids = hold(wall, evil(1), evil(2), evil(3))
    assert wall.stop() == 0
    done = run("purge", "--state", wall.state, "--reason", "while it was down", ids[0], ids[1])
    assert done.returncode == 0 and b"no wall runs" in done.stderr, done.stderr
    assert [entry["entry"] for entry in wall.held()] == ids[2:] and len(objects(wall)) == 1
    wall.start()
    wall.wait_for(lambda: events(wall, "purge"), "its line")
    told = events(wall, "purge")[0]["detail"]
    assert (told["entries"], told["reason"], told["by"]["via"]) == (ids[:2], "while it was down", "no wall")
    assert told["by"]["uid"] == os.getuid()
    wall.wait_for(lambda: not list(wall.state.glob("quarantine/notes/*")), "the note to go", 30)
    assert wall.stop() == 0
    wall.start()
    assert wall.stop() == 0
    assert len(events(wall, "purge")) == 1


def test_check_names_each_fault_with_its_remedy(flow):
    wall = flow()
    ids = hold(wall, evil(1), evil(2), evil(3), evil(4))
    names = [entry["object"] for entry in wall.held()]
    assert run("check", "--state", wall.state).returncode == 0
    assert wall.stop() == 0
    root = wall.state / "quarantine"
    path = [root / "obj" / name[:2] / name for name in names]
    path[0].write_bytes(path[0].read_bytes()[:-1])
    path[1].unlink()
    (root / "hold" / f"{ids[2]}.json").write_text('{"entry":"')
    (root / "purged" / f"{ids[3]}.json").write_bytes((root / "hold" / f"{ids[3]}.json").read_bytes())
    for old in path[2:]:
        os.utime(old, (1, 1))
    done = run("check", "--state", wall.state, "--json")
    *faults, total = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and all(fault["remedy"] for fault in faults)
    assert {(fault["fault"], fault["path"].rpartition("/")[2][:26]) for fault in faults} == {
        ("damaged", names[0][:26]), ("missing", ids[1]), ("torn", ids[2]), ("orphan", names[2][:26]),
        ("twice", ids[3]), ("orphan", names[3][:26])}
    assert total["faults"] == {"torn": 1, "twice": 1, "missing": 1, "damaged": 1, "newer": 0, "orphan": 2}
    wall.start()  # puts in order what it can, and says so
    wall.wait_for(lambda: events(wall, "start"), "the line")
    assert events(wall, "start")[0]["detail"] == {"what": "start", "torn": 1, "missing": 1, "orphans": 2}
    assert sorted(path.name for path in (root / "corrupt").iterdir()) == [f"{ids[2]}.json"]
    assert not (root / "hold" / f"{ids[3]}.json").exists()


# ---- sealed ----

@pytest.fixture
def keys(tmp_path):
    done = run("keygen", "--out", tmp_path / "keys")
    assert done.returncode == 0 and stat.S_IMODE((tmp_path / "keys/quarantine.key").stat().st_mode) == 0o600
    return tmp_path / "keys"


def test_a_sealed_message_is_read_with_the_secret_key_only(flow, keys, tmp_path):
    wall = flow(f'quarantine\n    seal = "{keys}/quarantine.pub"')
    ids = hold(wall, [EVIL, b"N." * 50000], [EVIL, b"N." * 50000])
    entries = wall.held()
    assert len(objects(wall)) == 1 and {entry["object"] for entry in entries} == set(objects(wall))
    whole = b"".join(path.read_bytes() for path in wall.state.rglob("*") if path.is_file())
    assert EVIL not in whole and b"N.N.N." not in whole and b"PWQS" in whole
    name = entries[0]["object"]
    unseal = ["--unseal", keys / "quarantine.key"]
    for line in wall.frames("quarantine"):
        assert line["q"]["id"] == name and "sha256" not in line["msg"]
    for command in ("show", "explain"):
        done = run(command, "--state", wall.state, ids[0])
        assert done.returncode == 77 and b"--unseal" in done.stderr, done.stderr
        assert run(command, "--state", wall.state, *unseal, ids[0]).returncode in (0, 1)
    assert b"posix" in run("explain", "--state", wall.state, *unseal, ids[0]).stdout
    out = tmp_path / "out"
    assert run("export", "--state", wall.state, *unseal, "--format", "raw", "--out", out, ids[0]).returncode == 0
    assert out.read_bytes() == EVIL + b"N." * 50000
    assert run("check", "--state", wall.state).returncode == 0
    assert ask(wall, "status")["quarantine"]["sealed"] is True


def test_a_wrong_or_open_key_does_not_unseal(flow, keys, tmp_path):
    wall = flow(f'quarantine\n    seal = "{keys}/quarantine.pub"')
    first = hold(wall, EVIL)[0]
    run("keygen", "--out", tmp_path / "others")
    for key, code, words in (
        (tmp_path / "others/quarantine.key", 77, b"sealed to another key"),
        (keys / "quarantine.pub", 77, b"chmod 600"),
        (tmp_path / "none", 66, b"keygen"),
    ):
        done = run("show", "--state", wall.state, "--unseal", key, first)
        assert (done.returncode, done.stdout) == (code, b"") and words in done.stderr, done.stderr
    os.chmod(keys / "quarantine.pub", 0o600)
    assert b"other half" in run("show", "--state", wall.state, "--unseal", keys / "quarantine.pub", first).stderr
    assert run("keygen", "--out", keys).returncode == 73  # and does not write over them


def test_the_same_message_has_one_name_over_restarts_and_another_elsewhere(flow, keys):
    wall = flow(f'quarantine\n    seal = "{keys}/quarantine.pub"')
    hold(wall, EVIL)
    key = wall.state / "quarantine/name.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and key.stat().st_size == 32
    assert wall.stop() == 0
    wall.start()
    hold(wall, EVIL)
    assert len(objects(wall)) == 1
    assert wall.stop() == 0
    key.unlink()
    wall.start()
    hold(wall, EVIL)
    assert len(objects(wall)) == 2


def test_a_damaged_sealed_object_is_put_aside(flow, keys):
    wall = flow(f'quarantine\n    seal = "{keys}/quarantine.pub"')
    hold(wall, EVIL)
    path = next(wall.state.glob("quarantine/obj/*/*"))
    bytes_ = bytearray(path.read_bytes())
    bytes_[-40] ^= 1
    path.write_bytes(bytes_)
    done = run("show", "--state", wall.state, "--unseal", keys / "quarantine.key", wall.held()[0]["entry"])
    assert done.returncode == 65 and b"damaged" in done.stderr
    hold(wall, EVIL)
    assert len(list(wall.state.glob("quarantine/corrupt/*"))) == 1
    assert run("check", "--state", wall.state).returncode == 0
    assert events(wall, "corrupt")


def test_a_key_that_cannot_be_read_stops_the_start(flow, tmp_path):
    with pytest.raises(AssertionError, match="quarantine.seal: .*name the file that"):
        flow(f'quarantine\n    seal = "{tmp_path}/none.pub"')


@pytest.mark.parametrize("sealed", [False, True])
def test_a_killed_wall_leaves_a_quarantine_in_order(tmp_path, sockets, keys, sealed):
    """KILLS=3: how often. Messages come, limits are met and entries expire all the while."""
    into, out = tcp(), tcp()
    more = 'quarantine\n    max_bytes = 20K\n    max_age = 1s\n    min_free = 0'
    more += f'\n    seal = "{keys}/quarantine.pub"' if sealed else ""
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[into], out_bind=[out]), more=more)
    push = sockets(zmq.PUSH, connect=[into], hwm=100)
    push.sndtimeo = 0
    number = 0
    for life in range(int(os.environ.get("KILLS", "3"))):
        wall.start()
        end = time.monotonic() + random.uniform(0.3, 3.5)
        while time.monotonic() < end:
            try:
                push.send(evil(number, number % 7 * 100))
                number += 1
            except zmq.Again:
                pass
            time.sleep(0.001)
        wall.process.kill()
        wall.process.wait()
        left = run("check", "--state", wall.state, "--json").stdout.splitlines()
        assert {json.loads(line)["fault"] for line in left[:-1]} <= {"orphan"}, (life, left)
    wall.start()
    assert run("check", "--state", wall.state).returncode == 0
    assert wall.stop() == 0
    assert not list(wall.state.glob("quarantine/tmp/*"))
    for line in wall.frames("quarantine"):
        if "entry" in line["q"]:
            name = line["q"]["entry"] + ".json"
            places = [state for state in ("hold", "purged") if (wall.state / "quarantine" / state / name).exists()]
            assert len(places) == 1, (name, places)
