# SPDX-License-Identifier: Apache-2.0
"""The quarantine has limits, ages and can be sealed: what producers, log and disk show of it."""
import json
import pathlib
import socket

import pytest
import zmq

from wall import HOSTILE, Wall, channel, tcp

EVIL = HOSTILE["reduce"]


def evil(number, size=0):
    """A message that is refused, another one for each number."""
    return EVIL + b"#%d" % number + b"x" * size


@pytest.fixture
def flow(tmp_path, sockets):
    """flow(more="", **channel settings): a wall, and what sends to it."""
    walls = []

    def begin(more="", **settings):
        into, out = tcp(), tcp()
        wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[into], out_bind=[out], **settings), more=more)
        walls.append(wall)
        wall.start()
        push = sockets(zmq.PUSH, connect=[into])
        wall.pull = sockets(zmq.PULL, connect=[out])
        wall.push = push
        return wall

    yield begin
    for wall in walls:
        wall.__exit__(None)


def wait_settled(wall, count):
    wall.wait_for(lambda: len(wall.frames("quarantine")) >= count, f"{count} lines")
    return wall.frames("quarantine")


def objects(wall):
    return sorted(path.name for path in wall.state.glob("quarantine/obj/*/*"))


def events(wall, what):
    return [line for line in wall.lines()
            if line["event"] == "quarantine" and line.get("detail", {}).get("what") == what]


def ask(wall, command):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(wall.state / "control.sock"))
        peer.sendall(command.encode() + b"\n")
        return json.loads(peer.makefile("rb").readline())


def test_when_bytes_are_full_only_metadata_is_kept(flow):
    wall = flow('quarantine\n    max_bytes = 2K\n    min_free = 0')
    for number in range(6):
        wall.push.send(evil(number, 900))
    wall.push.send(evil(0, 900))  # that is held already, and takes no more room
    lines = wait_settled(wall, 7)
    assert [line["q"]["stored"] for line in lines] == [True, True, False, False, False, False, True]
    assert {line["q"].get("full") for line in lines} == {None, "quarantine.max_bytes"}
    assert len(objects(wall)) == 2
    held = {entry["entry"]: entry for entry in wall.held()}
    assert len(held) == 7
    for line in lines:
        assert held[line["q"]["entry"]]["stored"] == line["q"]["stored"]
    assert [line["level"] for line in events(wall, "full")] == ["medium"]
    assert len(events(wall, "room")) == 1
    assert b"the quarantine is full (quarantine.max_bytes)" in wall.words.read_bytes()
    status = ask(wall, "status")
    assert status["quarantine"]["held"] == 7 and status["quarantine"]["bytes"] <= 2048
    assert status["channels"][0]["unstored"] == 4
    assert wall.stop() == 0
    assert wall.counts("jobs")["unstored"] == 4


def test_past_max_messages_not_even_metadata_is_kept(flow):
    wall = flow('quarantine\n    max_messages = 3\n    min_free = 0')
    for number in range(5):
        wall.push.send(evil(number))
    lines = wait_settled(wall, 5)
    assert [line["q"].get("full") for line in lines] == [None] * 3 + ["quarantine.max_messages"] * 2
    assert all(("entry" in line["q"]) == line["q"]["stored"] for line in lines)
    assert len(wall.held()) == 3 and len(objects(wall)) == 3


def test_a_channel_has_its_own_share(flow):
    wall = flow('quarantine\n    min_free = 0', quarantine_bytes="1500")
    for number in range(3):
        wall.push.send(evil(number, 900))
    lines = wait_settled(wall, 3)
    assert [line["q"]["stored"] for line in lines] == [True, False, False]
    assert lines[1]["q"]["full"] == "quarantine_bytes of its channel"


def test_below_the_floor_of_free_space_nothing_is_kept(flow):
    wall = flow('quarantine\n    min_free = "99%"')
    wall.push.send(evil(1))
    line = wait_settled(wall, 1)[0]
    assert line["q"]["full"] == "quarantine.min_free" and "entry" not in line["q"]
    assert not objects(wall) and not wall.held()


def test_stop_holds_the_producers_until_there_is_room(flow):
    wall = flow('quarantine\n    max_messages = 2\n    on_full = "stop"\n    min_free = 0')
    good = b"N."
    for number in range(3):
        wall.push.send(evil(number))
    wall.push.send(good)
    wall.wait_for(lambda: b"quarantine.max_messages is reached" in wall.words.read_bytes(), "the wall to stop")
    assert wall.pull.poll(300) == 0
    first = wall.held()[0]["entry"]
    answer = ask(wall, "purge " + json.dumps({"ids": [first], "reason": "room"}))
    assert (answer["ok"], answer["purged"], answer["missing"]) == (True, 1, [])
    assert wall.pull.recv() == good
    assert len(wall.held()) == 2
    assert [line["q"]["stored"] for line in wait_settled(wall, 3)] == [True] * 3


def test_old_entries_go_and_the_log_says_so(flow):
    wall = flow('quarantine\n    max_age = 1s\n    min_free = 0')
    for number in range(100):
        wall.push.send(evil(number % 50))
    wait_settled(wall, 100)
    expires = [entry.get("expires") for entry in wall.held()]
    assert all(expires)
    wall.wait_for(lambda: not list(wall.state.glob("quarantine/hold/*")), "the messages to go")
    wall.wait_for(lambda: objects(wall) == [], "the last object to go")
    wall.wait_for(lambda: sum(line["detail"]["count"] for line in events(wall, "expired")) == 100, "lines")
    assert len(list(wall.state.glob("quarantine/purged/*.json"))) == 100
    assert len(events(wall, "expired")) <= 6


def test_what_was_purged_is_remembered_up_to_max_messages(flow):
    wall = flow('quarantine\n    max_messages = 40\n    max_age = 1s\n    min_free = 0')
    for number in range(40):
        wall.push.send(evil(number))
    wait_settled(wall, 40)
    wall.wait_for(lambda: not list(wall.state.glob("quarantine/hold/*")), "the first to go")
    for number in range(40):
        wall.push.send(evil(number))
    wall.wait_for(lambda: sum(line["detail"]["count"] for line in events(wall, "forgotten")) == 40, "it to forget")
    assert len(list(wall.state.glob("quarantine/purged/*.json"))) == 40


def test_an_entry_tells_what_the_line_tells(flow):
    wall = flow('quarantine\n    max_age = 1h')
    wall.push.send(EVIL)
    line = wait_settled(wall, 1)[0]
    entry = wall.held()[0]
    of_the_line = {"schema", "event", "id", "seq", "level", "inst", "host", "ver", "pid", "q", "chain", "prev", "lost"}
    assert set(line) - of_the_line <= set(entry)
    for key in set(line) - of_the_line - {"msg"}:
        assert entry[key] == line[key], key
    assert entry["msg"] == {key: line["msg"][key] for key in ("frames", "bytes")}
    assert entry["object"] == line["msg"]["sha256"] == line["q"]["id"]
    assert entry["expires"] > entry["ts"]


def test_a_damaged_object_is_put_aside_and_stored_anew(flow):
    wall = flow()
    wall.push.send(EVIL)
    name = wait_settled(wall, 1)[0]["q"]["id"]
    path = wall.state / "quarantine/obj" / name[:2] / name
    damaged = bytearray(path.read_bytes())
    damaged[40] ^= 1
    path.write_bytes(damaged)
    wall.push.send(EVIL)
    wait_settled(wall, 2)
    assert path.read_bytes() != damaged
    aside = list(wall.state.glob("quarantine/corrupt/*"))
    assert len(aside) == 1 and aside[0].read_bytes() == damaged and aside[0].name.startswith(name)
    assert [(line["level"], line["detail"]["object"]) for line in events(wall, "corrupt")] == [("high", name)]


def test_what_a_stopping_wall_has_accepted_is_kept_past_every_limit(tmp_path, sockets):
    into, out = tcp(), tcp()
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[into], out_bind=[out]), drain="1s",
                more="quarantine\n    max_bytes = 0\n    max_messages = 0")
    with wall:
        push = sockets(zmq.PUSH, connect=[into])
        for number in range(20):
            push.send(b"I%d\n." % number)
        wall.wait_for(lambda: ask(wall, "status")["channels"][0]["received"] > 0, "messages")
        assert wall.stop() == 0
    assert {entry["reason"] for entry in wall.held()} == {"drain.timeout"}
    assert len(wall.held()) == 20 == len(objects(wall))


@pytest.mark.parametrize("argument", [
    "", "x", "{}", '{"ids":[]}', '{"ids":["01JD8Z3W5K9Q2M7X4T6B1C0V8R"]}',
    '{"ids":["01JD8Z3W5K9Q2M7X4T6B1C0V8R"],"reason":""}', '{"ids":["short"],"reason":"r"}',
    '{"ids":[1],"reason":"r"}', '{"ids":"01JD8Z3W5K9Q2M7X4T6B1C0V8R","reason":"r"}',
    json.dumps({"ids": ["01JD8Z3W5K9Q2M7X4T6B1C0V8R"] * 65, "reason": "r"}),
])
def test_a_purge_that_is_not_well_asked_is_refused(flow, argument):
    wall = flow()
    answer = ask(wall, f"purge {argument}".strip())
    assert not answer["ok"] and answer["error"]


def test_a_purge_names_who_asked(flow):
    wall = flow()
    for number in (1, 1, 2):
        wall.push.send(evil(number))
    wait_settled(wall, 3)
    ids = [entry["entry"] for entry in wall.held()]
    assert len(objects(wall)) == 2
    gone = ask(wall, "purge " + json.dumps({"ids": ids[:1], "reason": "noise \u2014 from tests"}))
    assert (gone["purged"], gone["bytes"]) == (1, 0)  # the second entry needs the object
    gone = ask(wall, "purge " + json.dumps({"ids": [ids[1], "../purged/" + ids[0][:16], ids[0]], "reason": "r"}))
    assert gone["purged"] == 1 and gone["bytes"] > 0 and len(gone["missing"]) == 2
    wall.wait_for(lambda: len(events(wall, "purge")) == 2, "two lines")
    first, second = (line["detail"] for line in events(wall, "purge"))
    assert first["entries"] == ids[:1] and second["entries"] == ids[1:2]
    assert first["reason"] == "noise \u2014 from tests"
    assert first["by"]["via"] == "control" and first["by"]["uid"] == pathlib.Path("/proc/self").stat().st_uid
    assert len(objects(wall)) == 1 and [entry["entry"] for entry in wall.held()] == ids[2:]
    assert sorted(path.stem for path in wall.state.glob("quarantine/purged/*")) == ids[:2]
