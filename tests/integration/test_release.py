# SPDX-License-Identifier: Apache-2.0
"""`quarantine release`: held messages that go on through the running wall."""

import json
import os
import pathlib
import pickle
import pwd
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import pytest
import zmq
from wall import BINARY, HOSTILE, Wall, channel, tcp

HELD = HOSTILE["reduce"]


def release(wall, *words, reason="checked by hand", seconds=60):
    """(exit code, answers, stderr)"""
    words = [*words, "--json", "--config", str(wall.config)] + (["--reason", reason] if reason else [])
    done = subprocess.run([BINARY, "quarantine", "release", *words], capture_output=True, text=True,
                          timeout=seconds, env=wall.environment)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def one(wall, *words, **more):
    code, answers, words = release(wall, *words, **more)
    assert len(answers) == 1, words
    assert code == (0 if answers[0]["ok"] else 1)
    return answers[0]


def states(wall):
    """Of every entry, where it is."""
    found = {}
    for state in ("hold", "releasing", "released", "purged"):
        for path in wall.state.glob(f"quarantine/{state}/*.json"):
            assert path.stem not in found
            found[path.stem] = state
    return found


def told(wall, outcome=None):
    """The audit lines about releases."""
    lines = [line for line in wall.lines() if line["event"] == "quarantine" and line["detail"]["what"] == "release"]
    return [line for line in lines if outcome in (None, line["detail"]["outcome"])]


def hold(wall, producer, *messages):
    """Their entries, in order."""
    before = set(states(wall))
    for message in messages:
        producer.send_multipart(message)
    wall.wait_for(lambda: len(states(wall)) == len(before) + len(messages), "the messages to be held")
    new = set(states(wall)) - before
    wall.wait_for(lambda: new <= {line["q"]["entry"] for line in wall.frames("quarantine")}, "their lines")
    return sorted(new)


def quiet(socket, ms=300):
    return socket.poll(ms) == 0


@pytest.fixture
def rig(tmp_path, sockets):
    source, target = tcp(), tcp()
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target])) as wall:
        wall.producer = sockets(zmq.PUSH, connect=[source])
        wall.consumer = sockets(zmq.PULL, connect=[target])
        wall.producer.send(pickle.dumps("ready"))
        assert wall.consumer.poll(5000) and wall.consumer.recv() == pickle.dumps("ready")
        yield wall


def test_without_an_override_it_is_refused_again_and_stays_held(rig):
    (entry,) = hold(rig, rig.producer, [HELD])
    answer = one(rig, entry)
    assert not answer["ok"] and (answer["outcome"], answer["reason"]) == ("refused", "import.denied")
    assert "import.denied" in answer["error"] and "--override" in answer["error"]
    assert {find["code"] for find in answer["finds"]} == {"import.denied"}
    assert quiet(rig.consumer)
    assert states(rig) == {entry: "hold"}
    assert [line["detail"]["outcome"] for line in told(rig)] == ["begun", "refused"]
    assert told(rig, "refused")[0]["detail"]["refusal"] == "import.denied"


def test_a_channel_that_only_reports_now_releases_nothing_that_is_refused(tmp_path, sockets):
    source, target = tcp(), tcp()
    wall = Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target]))
    producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
    with wall:
        (entry,) = hold(wall, producer, [HELD])
    text = wall.config.read_text()
    wall.config.write_text(text.replace('policy = "python-data"', 'policy = "python-data"\n        on_violation = "pass"'))
    with wall:
        answer = one(wall, entry)
        assert not answer["ok"] and (answer["outcome"], answer["reason"]) == ("refused", "import.denied")
        assert quiet(consumer) and states(wall) == {entry: "hold"}
        assert one(wall, entry, "--override", "import.denied")["outcome"] == "sent"
        assert consumer.poll(5000) and consumer.recv() == HELD


def test_an_override_sends_it_once_and_the_log_says_who_and_why(rig):
    frames = [pickle.dumps([1, 2]), HELD, pickle.dumps("last")]
    (entry,) = hold(rig, rig.producer, frames)
    answer = one(rig, entry, "--override", "import.denied", reason="ticket 4711: \u00fcber")
    assert answer["ok"] and answer["outcome"] == "sent" and answer["overruled"] == ["import.denied"]
    assert rig.consumer.poll(5000) and rig.consumer.recv_multipart() == frames
    assert states(rig) == {entry: "released"}
    begun, sent = told(rig)
    assert [begun["detail"]["outcome"], sent["detail"]["outcome"]] == ["begun", "sent"]
    for line in (begun, sent):
        detail = line["detail"]
        assert (line["chan"], detail["chan"], detail["entry"]) == ("jobs", "jobs", entry)
        assert detail["object"] == answer["object"] and detail["reason"] == "ticket 4711: \u00fcber"
        assert detail["by"]["via"] == "control" and detail["by"]["uid"] == os.getuid()
        assert detail["by"]["user"] == pwd.getpwuid(os.getuid()).pw_name and detail["by"]["pid"] > 0
        assert detail["overrides"] == ["import.denied"]
    assert (begun["detail"]["overruled"], sent["detail"]["overruled"]) == ([], ["import.denied"])
    assert sent["level"] == "high"
    again = one(rig, entry, "--override", "import.denied")
    assert not again["ok"] and "released already" in again["error"]
    assert quiet(rig.consumer)


def test_a_wider_policy_lets_it_go_by_itself(tmp_path, sockets):
    source, target = tcp(), tcp()
    jobs = channel("jobs", in_bind=[source], out_bind=[target])
    with Wall(tmp_path, jobs) as wall:
        (entry,) = hold(wall, sockets(zmq.PUSH, connect=[source]), [HELD])
    wider = 'policy\n    wider\n        include = "python-data"\n        allow = "posix:system"'
    jobs = channel("jobs", in_bind=[source], out_bind=[target], policy="wider")
    with Wall(tmp_path, jobs, more=wider) as wall:
        consumer = sockets(zmq.PULL, connect=[target])
        assert one(wall, entry)["overruled"] == []
        assert consumer.poll(5000) and consumer.recv() == HELD


def test_the_counts_are_of_what_was_received(rig):
    entries = hold(rig, rig.producer, *[[HELD]] * 3)
    code, answers, _ = release(rig, *entries, "--override", "import.denied")
    assert code == 0 and [answer["entry"] for answer in answers] == entries
    assert [rig.consumer.recv() for _ in entries] == [HELD] * 3
    assert rig.stop() == 0
    counts = rig.counts("jobs")
    assert (counts["received"], counts["forwarded"], counts["quarantined"]) == (4, 1, 3)
    assert len(rig.frames()) == 4


def test_a_dry_run_changes_nothing(rig):
    (entry,) = hold(rig, rig.producer, [HELD])
    lines = len(rig.lines())
    assert one(rig, entry, "--dry-run", reason=None)["outcome"] == "refused"
    answer = one(rig, entry, "--dry-run", "--override", "import.denied", reason=None)
    assert answer["ok"] and answer["dry_run"] and answer["outcome"] == "sent"
    assert quiet(rig.consumer) and states(rig) == {entry: "hold"} and len(rig.lines()) == lines


@pytest.mark.parametrize("words, code, says", [
    ([], 64, "--reason TEXT is missing"),
    (["--reason", "  "], 64, "--reason TEXT is missing"),
    (["--reason", "x" * 501], 64, "--reason: say it in 500 bytes"),
    (["--reason", "x", "--override", "import.allowed"], 64, "import.allowed is no reason"),
    (["--reason", "x", "--override", "sig.bad"], 64, "sig.bad cannot be overruled"),
    (["--reason", "x", "--override", "internal.error"], 64, "cannot be overruled"),
    (["--reason", "x", "--socket", "/nowhere", "--config", "/nowhere"], 64, "not both"),
    (["--reason", "x", "--socket", "/nowhere"], 69, "is the wall running"),
])
def test_what_is_wrong_is_said(words, code, says):
    done = subprocess.run([BINARY, "quarantine", "release", "01ABCDEF", *words], capture_output=True, text=True,
                          timeout=30)
    assert (done.returncode, done.stdout) == (code, "") and says in done.stderr


def test_an_id_must_name_one_entry(rig):
    first, second = hold(rig, rig.producer, [HELD], [HELD])
    object_name = json.loads((rig.state / f"quarantine/hold/{first}.json").read_text())["object"]
    for name, says in ((first[:4], "2 messages"), ("01ZZZZZZ", "0 messages"), (object_name, "names an object"),
                       ("../../etc", "that is none")):
        assert says in one(rig, name)["error"]
    assert one(rig, second[:-1] if first[:-1] != second[:-1] else second, "--override", "import.denied")["ok"]


def test_a_channel_that_is_gone_is_said(tmp_path, sockets):
    source, target = tcp(), tcp()
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target])) as wall:
        (entry,) = hold(wall, sockets(zmq.PUSH, connect=[source]), [HELD])
    with Wall(tmp_path, channel("other", in_bind=[source], out_bind=[target])) as wall:
        assert "channel jobs, which this wall does not have" in one(wall, entry)["error"]
        assert states(wall) == {entry: "hold"} and told(wall) == []


def test_without_a_consumer_it_stays_held_and_the_wall_goes_on(tmp_path, sockets):
    source, target = tcp(), tcp()
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target])) as wall:
        producer = sockets(zmq.PUSH, connect=[source])
        (entry,) = hold(wall, producer, [HELD])
        answer = one(wall, entry, "--override", "import.denied")
        assert answer["outcome"] == "undeliverable" and "took nothing for 3 s" in answer["error"]
        assert states(wall) == {entry: "hold"}
        assert [line["detail"]["outcome"] for line in told(wall)] == ["begun", "undeliverable"]
        consumer = sockets(zmq.PULL, connect=[target])
        producer.send(pickle.dumps(1))
        assert consumer.poll(5000) and consumer.recv() == pickle.dumps(1)
        assert one(wall, entry, "--override", "import.denied")["ok"]
        assert consumer.poll(5000) and consumer.recv() == HELD


def test_the_main_thread_goes_on_while_a_release_waits(tmp_path, sockets):
    source = tcp()
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[tcp()])) as wall:
        (entry,) = hold(wall, sockets(zmq.PUSH, connect=[source]), [HELD])
        answers = []
        waiting = [threading.Thread(target=lambda: answers.append(release(wall, entry, "--override", "import.denied")))
                   for _ in range(6)]
        for each in waiting:
            each.start()
        wall.wait_for(lambda: states(wall) == {entry: "releasing"}, "the first release to begin")
        done = subprocess.run([BINARY, "ctl", "status", "--config", wall.config], capture_output=True, timeout=30)
        assert done.returncode == 0 and b"1 under way" in done.stdout
        assert any(each.is_alive() for each in waiting)
        wall.wait_for(lambda: len(answers) >= 2, "those who find no place")
        assert wall.stop() == 0
        for each in waiting:
            each.join(60)
        words = [answer[1][0]["error"] for answer in answers]
        assert sum("4 releases are under way" in word for word in words) == 2
        assert sum("the wall is stopping" in word or "took nothing" in word for word in words) == 4
        assert states(wall) == {entry: "hold"}


def test_a_stop_ends_the_wait(tmp_path, sockets):
    source = tcp()
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[tcp()])) as wall:
        (entry,) = hold(wall, sockets(zmq.PUSH, connect=[source]), [HELD])
        asker = subprocess.Popen(
            [BINARY, "quarantine", "release", entry, "--reason", "x", "--override", "import.denied", "--json",
             "--config", wall.config], stdout=subprocess.PIPE, text=True)
        wall.wait_for(lambda: states(wall) == {entry: "releasing"}, "the release to begin")
        time.sleep(0.2)
        assert wall.stop() == 0
        answer = json.loads(asker.communicate(timeout=30)[0])
        assert answer["outcome"] == "undeliverable" and "the wall is stopping" in answer["error"]
        assert states(wall) == {entry: "hold"}
        assert [line["detail"]["outcome"] for line in told(wall)] == ["begun", "undeliverable"]


def test_two_at_once_send_it_once(rig):
    (entry,) = hold(rig, rig.producer, [HELD])
    answers = []
    both = [threading.Thread(target=lambda: answers.append(one(rig, entry, "--override", "import.denied")))
            for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert sorted(answer["ok"] for answer in answers) == [False, True]
    assert rig.consumer.poll(5000) and rig.consumer.recv() == HELD and quiet(rig.consumer)


def test_the_same_id_twice_is_sent_once(rig):
    (entry,) = hold(rig, rig.producer, [HELD])
    code, answers, _ = release(rig, entry, entry, "--override", "import.denied")
    assert code == 1 and [answer["ok"] for answer in answers] == [True, False]
    assert rig.consumer.poll(5000) and rig.consumer.recv() == HELD and quiet(rig.consumer)


@pytest.mark.parametrize("frames", [
    [HELD, bytes(os.urandom(1 << 20)) * 63],
    [HELD] * 1000,
], ids=["63 MiB", "1,000 frames"])
def test_large_ones_arrive_byte_for_byte(tmp_path, sockets, frames):
    source, target = tcp(), tcp()
    jobs = channel("jobs", in_bind=[source], out_bind=[target], frames="pickle,opaque*" if len(frames) == 2 else "pickle*")
    with Wall(tmp_path, jobs) as wall:
        consumer = sockets(zmq.PULL, connect=[target])
        (entry,) = hold(wall, sockets(zmq.PUSH, connect=[source]), frames)
        assert one(wall, entry, "--override", "import.denied")["ok"]
        assert consumer.poll(20000) and consumer.recv_multipart() == frames


def make_keys(folder):
    """(of the first wall, of the second, of the producer)"""
    ours, theirs = folder / "ours", folder / "theirs"
    for each in (ours, theirs):
        each.mkdir(mode=0o700)
    for where, name in ((ours, "first"), (theirs, "sender")):
        subprocess.run([BINARY, "key", "new", "--suite", "blake2b", "--id", name, "--out", where], check=True,
                       capture_output=True, timeout=30)
    shutil.copy2(ours / "first.pwkey", theirs)
    shutil.copy2(theirs / "sender.pwkey", ours)
    return ours, theirs


def test_it_is_signed_freshly_and_the_next_wall_accepts_it(tmp_path, sockets):
    ours, theirs = make_keys(tmp_path)
    source, middle, target = tcp(), tcp(), tcp()
    frame = tmp_path / "frame"
    frame.write_bytes(HELD)
    subprocess.run([BINARY, "sign", "--keys", ours, "--key", "sender", "--channel", "jobs", "--tail", frame],
                   check=True, capture_output=True, timeout=30)
    signed = frame.read_bytes()
    wider = 'policy\n    wider\n        include = "python-data"\n        allow = "posix:system"'
    first = Wall(tmp_path / "first", channel("jobs", in_bind=[source], out_connect=[middle], verify="required",
                                             sign="first"), keys=ours)
    second = Wall(tmp_path / "second", channel("jobs", in_bind=[middle], out_bind=[target], verify="required",
                                               policy="wider"), keys=theirs, more=wider)
    with first, second:
        producer = sockets(zmq.PUSH, connect=[source])
        consumer = sockets(zmq.PULL, connect=[target])
        held = hold(first, producer, [signed], [HELD])  # the second is unsigned, too
        assert [line["reason"] for line in first.frames("quarantine")] == ["import.denied", "sig.missing"]
        for entry in held:
            assert one(first, entry, "--override", "import.denied")["ok"]
            assert consumer.poll(5000) and consumer.recv() == HELD
        second.wait_for(lambda: len(second.frames("pass")) == 2, "the lines of the second wall")
        assert [line["sig"]["state"] for line in second.frames("pass")] == ["ok", "ok"]
        # Without a key that signs nothing leaves, and nobody can overrule that.
        third = hold(first, producer, [HELD])[0]
        subprocess.run([BINARY, "key", "revoke", "--dir", ours, "first"], check=True, capture_output=True, timeout=30)
        subprocess.run([BINARY, "ctl", "reload", "--config", first.config], capture_output=True, timeout=30)
        answer = one(first, third, "--override", "import.denied")
        assert (answer["outcome"], answer["reason"]) == ("refused", "sig.revoked")
        assert "Nobody can overrule" in answer["error"]
        assert states(first)[third] == "hold" and quiet(consumer)


def test_what_was_under_way_when_the_wall_died_is_in_doubt(tmp_path, sockets):
    source, target = tcp(), tcp()
    jobs = channel("jobs", in_bind=[source], out_bind=[target])
    with Wall(tmp_path, jobs) as wall:
        first, second = hold(wall, sockets(zmq.PUSH, connect=[source]), [HELD], [HELD])
    store = wall.state / "quarantine"
    (store / "hold" / f"{first}.json").rename(store / "releasing" / f"{first}.json")
    with Wall(tmp_path, jobs) as wall:
        consumer = sockets(zmq.PULL, connect=[target])
        wall.wait_for(lambda: told(wall, "in_doubt"), "the line")
        (line,) = told(wall, "in_doubt")
        assert (line["detail"]["entry"], line["detail"]["chan"], line["level"]) == (first, "jobs", "high")
        assert f"{first} was being released when the wall ended" in wall.words.read_text()
        assert states(wall) == {first: "releasing", second: "hold"}
        shown = subprocess.run([BINARY, "quarantine", "list", "--json", "--config", wall.config], capture_output=True,
                               text=True, timeout=30)
        assert [json.loads(line)["entry"] for line in shown.stdout.splitlines()] == [second]
        assert "1 more under way or in doubt" in shown.stderr
        shown = subprocess.run([BINARY, "quarantine", "list", "--json", "--state-is", "all", "--config", wall.config],
                               capture_output=True, text=True, timeout=30)
        found = {line["entry"]: line["state"] for line in map(json.loads, shown.stdout.splitlines())}
        assert found == {first: "releasing", second: "held"} and shown.stderr == ""
        answer = one(wall, first, "--override", "import.denied")
        assert "in doubt" in answer["error"] and "--again" in answer["error"]
        assert one(wall, first, "--again")["outcome"] == "refused"
        assert states(wall) == {first: "releasing", second: "hold"}  # not sent now, but perhaps then
        assert quiet(consumer)
        assert one(wall, first, "--again", "--override", "import.denied")["ok"]
        assert consumer.poll(5000) and consumer.recv() == HELD
        assert states(wall) == {first: "released", second: "hold"}


def test_a_damaged_object_is_not_sent(rig):
    (entry,) = hold(rig, rig.producer, [HELD])
    (path,) = rig.state.glob("quarantine/obj/*/*")
    body = bytearray(path.read_bytes())
    body[30] ^= 1
    path.write_bytes(body)
    assert "damaged" in one(rig, entry, "--override", "import.denied")["error"]
    assert quiet(rig.consumer) and states(rig) == {entry: "hold"}
    rig.stop()
    aside = [line for line in rig.lines() if line.get("detail", {}).get("what") == "corrupt"]
    assert [(line["level"], line["detail"]["entry"]) for line in aside] == [("high", entry)]


def test_a_sealed_one_is_opened_by_the_operator_alone(tmp_path, sockets):
    source, target = tcp(), tcp()
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    subprocess.run([BINARY, "quarantine", "keygen", "--out", keys], check=True, capture_output=True, timeout=30)
    sealed = f'quarantine\n    seal = "{keys}/quarantine.pub"'
    with Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target]), more=sealed) as wall:
        consumer = sockets(zmq.PULL, connect=[target])
        first, second = hold(wall, sockets(zmq.PUSH, connect=[source]), [HELD, b"N."], [HELD])
        assert "sealed" in one(wall, first, "--override", "import.denied")["error"]
        answer = one(wall, first, "--override", "import.denied", "--unseal", str(keys / "quarantine.key"))
        assert answer["outcome"] == "sent"
        assert consumer.poll(5000) and consumer.recv_multipart() == [HELD, b"N."]
        assert states(wall) == {first: "released", second: "hold"}
        assert (keys / "quarantine.key").read_text().split()[-1] not in wall.log.read_text()
        code, answers, words = release(wall, second, "--unseal", str(keys / "quarantine.pub"))
        assert code != 0 and not answers and words
        assert states(wall)[second] == "hold" and quiet(consumer)


LISTENER = """
import socket, sys
with socket.socket(socket.AF_UNIX) as door:
    door.bind(sys.argv[1])
    door.listen()
    print("listens", flush=True)
    with door.accept()[0] as client:
        print(client.recv(65536), flush=True)
        client.sendall(b'{"ok":true}\\n')
"""


@pytest.mark.parametrize("uid, code, hears", [(0, 0, "key"), (65533, 0, "key"), (65534, 77, "b''")])
def test_a_key_goes_only_to_root_and_the_owner_of_the_state(tmp_path, sockets, uid, code, hears):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    keys, door = tmp_path / "keys", pathlib.Path(tempfile.mkdtemp(prefix="pw-release-")) / "control.sock"
    keys.mkdir(mode=0o700)
    door.parent.chmod(0o777)
    subprocess.run([BINARY, "quarantine", "keygen", "--out", keys], check=True, capture_output=True, timeout=30)
    source = tcp()
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[tcp()]),
                more=f'quarantine\n    seal = "{keys}/quarantine.pub"')
    wall.config.write_text(f'control = "{door}"\n' + wall.config.read_text())
    try:
        with wall:
            (entry,) = hold(wall, sockets(zmq.PUSH, connect=[source]), [HELD])
        os.chown(wall.state, 65533, 65533)
        with subprocess.Popen([sys.executable, "-c", LISTENER, str(door)], stdout=subprocess.PIPE, text=True,
                              user=uid, group=uid) as listener:
            assert listener.stdout.readline() == "listens\n"
            done = release(wall, entry, "--unseal", str(keys / "quarantine.key"))
            assert done[0] == code, done
            assert hears in listener.stdout.readline()
        if code != 0:
            assert f"uid {uid} listens there" in done[2] and "is neither root nor the owner" in done[2]
    finally:
        shutil.rmtree(door.parent)


def test_a_channel_that_is_stuck_gives_it_back(tmp_path, sockets):
    source, target = tcp(), tcp()
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target])) as wall:
        producer = sockets(zmq.PUSH, connect=[source])
        (entry,) = hold(wall, producer, [HELD])
        producer.send(pickle.dumps("waits for a consumer"))
        time.sleep(0.3)  # it has been judged, and nobody takes it
        answer = one(wall, entry, "--override", "import.denied")
        assert answer["outcome"] == "undeliverable" and states(wall) == {entry: "hold"}
        consumer = sockets(zmq.PULL, connect=[target])
        assert consumer.poll(5000) and consumer.recv() == pickle.dumps("waits for a consumer")
        assert one(wall, entry, "--override", "import.denied")["ok"]
        assert consumer.poll(5000) and consumer.recv() == HELD


def test_a_log_that_cannot_be_written_lets_nothing_go(tmp_path, sockets):
    source, target = tcp(), tcp()
    with Wall(tmp_path, channel("jobs", in_bind=[source], out_bind=[target])) as wall:
        consumer = sockets(zmq.PULL, connect=[target])
        (entry,) = hold(wall, sockets(zmq.PUSH, connect=[source]), [HELD])
        resource.prlimit(wall.process.pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        answer = one(wall, entry, "--override", "import.denied")
        assert "audit log cannot be written" in answer["error"]
        assert states(wall) == {entry: "hold"} and quiet(consumer)
        resource.prlimit(wall.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wall.wait_for(lambda: one(wall, entry, "--override", "import.denied")["ok"], "the log to be written again")
        assert consumer.poll(5000) and consumer.recv() == HELD and quiet(consumer)
