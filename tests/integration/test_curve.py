# SPDX-License-Identifier: Apache-2.0
"""CURVE on either side, with the certificates of pyzmq and ours: who is let in, and who is not."""

import os
import pathlib
import pickle
import stat
import subprocess
import time

import pytest
import zmq
import zmq.auth
from wall import BINARY, Wall, channel, tcp

NOBODY_MS = 700


def run(*words):
    return subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=60)


def by_pyzmq(folder, name):
    """A pair of pyzmq's; its secret is readable for everybody, which the wall refuses."""
    folder.mkdir(parents=True, exist_ok=True)
    public, secret = zmq.auth.create_certificates(folder, name)
    os.chmod(secret, 0o600)
    return pathlib.Path(public), pathlib.Path(secret)


def by_us(folder, name):
    done = run("key", "curve", "--id", name, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder / f"{name}.key", folder / f"{name}.key_secret"


class Party:
    """The wall's keys and lists, and sockets that speak CURVE with it."""

    def __init__(self, folder, sockets, make=by_us):
        self.folder, self.sockets = folder, sockets
        self.wall_in, self.wall_out = make(folder / "wall", "in"), make(folder / "wall", "out")
        self.lists = {side: folder / f"clients-{side}" for side in ("in", "out")}
        for place in self.lists.values():
            place.mkdir()

    def invite(self, side, public):
        """Under another name first: a half copied certificate is no certificate."""
        draft = self.lists[side] / f".{public.name}"
        draft.write_bytes(public.read_bytes())
        draft.rename(self.lists[side] / public.name)

    def more(self, side):
        secret = self.wall_in[1] if side == "in" else self.wall_out[1]
        return f'curve\n    key = "{secret}"\n    clients = "{self.lists[side]}"'

    def socket(self, kind, address, pair, server):
        socket = self.sockets(kind)
        socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(pair[1])
        socket.curve_serverkey = zmq.auth.load_certificate(server[0])[0]
        socket.connect(address)
        return socket


def peers(wall, what):
    return [line["detail"] for line in wall.lines() if line["event"] == "peer" and line["detail"]["what"] == what]


@pytest.fixture
def party(tmp_path, sockets):
    return Party(tmp_path, sockets)


@pytest.mark.parametrize("make", [by_us, by_pyzmq])
def test_both_sides_speak_curve_with_keys_of_their_own(tmp_path, sockets, make):
    party = Party(tmp_path, sockets, make)
    source, target = tcp(), tcp()
    producer, consumer = make(tmp_path / "users", "producer"), make(tmp_path / "users", "consumer")
    party.invite("in", producer[0])
    party.invite("out", consumer[0])
    lines = channel("jobs", in_bind=[source], out_bind=[target], in_more=party.more("in"), out_more=party.more("out"))
    with Wall(tmp_path / "w", lines) as wall:
        pull = party.socket(zmq.PULL, target, consumer, party.wall_out)
        push = party.socket(zmq.PUSH, source, producer, party.wall_in)
        for number in range(100):
            push.send(pickle.dumps(number))
        assert [pickle.loads(pull.recv()) for _ in range(100)] == list(range(100))
        wall.wait_for(lambda: {line["side"] for line in peers(wall, "connected")} == {"in", "out"}, "both lines")
        connected = peers(wall, "connected")
        assert all(line["peer"].startswith("127.0.0.1:") for line in connected)
        assert not peers(wall, "refused")
    assert wall.stop() == 0


def test_a_strangers_key_is_refused_and_audited(party, tmp_path):
    source, target = tcp(), tcp()
    friend, stranger = by_us(tmp_path / "users", "friend"), by_us(tmp_path / "users", "stranger")
    party.invite("in", friend[0])
    party.invite("out", friend[0])
    lines = channel("jobs", in_bind=[source], out_bind=[target], in_more=party.more("in"), out_more=party.more("out"))
    with Wall(tmp_path / "w", lines) as wall:
        pull = party.socket(zmq.PULL, target, friend, party.wall_out)
        thief = party.socket(zmq.PULL, target, stranger, party.wall_out)
        forger = party.socket(zmq.PUSH, source, stranger, party.wall_in)
        forger.send(pickle.dumps("forged"))
        plain = party.sockets(zmq.PUSH, connect=[source])
        plain.send(pickle.dumps("plain"))
        wall.wait_for(lambda: {line["side"] for line in peers(wall, "refused")} == {"in", "out"}, "both refusals")
        key = zmq.auth.load_certificate(stranger[0])[0].decode()
        refused = peers(wall, "refused")[0]
        assert refused["key"] == key and refused["peer"] == "127.0.0.1", refused
        wall.wait_for(lambda: peers(wall, "handshake_failed"), "who speaks no CURVE")
        push = party.socket(zmq.PUSH, source, friend, party.wall_in)
        for number in range(20):
            push.send(pickle.dumps(number))
        assert [pickle.loads(pull.recv()) for _ in range(20)] == list(range(20))
        assert not thief.poll(NOBODY_MS)
        # However often he tries, he has few lines; the others are counted.
        lines_of = [line for line in peers(wall, "refused")]
        assert len(lines_of) < 5 * 2 * 10, len(lines_of)
    assert wall.stop() == 0
    assert wall.counts("jobs")["received"] == 20


def test_the_list_counts_as_soon_as_it_changes(party, tmp_path):
    source, target = tcp(), tcp()
    guest, other = by_us(tmp_path / "users", "guest"), by_us(tmp_path / "users", "other")
    party.invite("in", other[0])
    lines = channel("jobs", in_bind=[source], out_bind=[target], in_more=party.more("in"))
    with Wall(tmp_path / "w", lines) as wall:
        pull = party.sockets(zmq.PULL, connect=[target])
        push = party.socket(zmq.PUSH, source, guest, party.wall_in)
        push.send(pickle.dumps("wait"))
        wall.wait_for(lambda: peers(wall, "refused"), "the refusal")
        party.invite("in", guest[0])
        assert pickle.loads(pull.recv()) == "wait"
        left = len(peers(wall, "disconnected"))
        refused = len(peers(wall, "refused"))
        (party.lists["in"] / guest[0].name).unlink()
        wall.wait_for(lambda: len(peers(wall, "disconnected")) > left, "his connection to end", 5)
        wall.wait_for(lambda: len(peers(wall, "refused")) > refused, "the next refusal", 5)
        # What is no certificate changes nothing, and is said.
        (party.lists["in"] / "broken.key").write_text("curve\n    public-key = \"short\"\n")
        wall.wait_for(lambda: "broken.key:2:" in wall.words.read_text(), "a word about it", 5)
        trusted = party.socket(zmq.PUSH, source, other, party.wall_in)
        trusted.send(pickle.dumps("still"))
        assert pickle.loads(pull.recv()) == "still"
    assert wall.stop() == 0


def test_the_wall_connects_as_a_client(party, tmp_path):
    """Producer and consumer bind, and have keys of their own; the wall knows both."""
    source, target = tcp(), tcp()
    producer, consumer = by_pyzmq(tmp_path / "users", "producer"), by_pyzmq(tmp_path / "users", "consumer")
    wrong = by_us(tmp_path / "users", "wrong")
    sockets = []
    for kind, address, pair in ((zmq.PUSH, source, producer), (zmq.PULL, target, consumer)):
        socket = party.sockets(kind)
        socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(pair[1])
        socket.curve_server = True
        socket.bind(address)
        sockets.append(socket)
    push, pull = sockets
    in_more = f'curve\n    key = "{party.wall_in[1]}"\n    server = "{producer[0]}"'
    out_more = f'curve\n    key = "{party.wall_out[1]}"\n    server = "{consumer[0]}"'
    with Wall(tmp_path / "w", channel("jobs", in_connect=[source], out_connect=[target], in_more=in_more,
                                      out_more=out_more)) as wall:
        push.send(pickle.dumps("through"))
        assert pickle.loads(pull.recv()) == "through"
    assert wall.stop() == 0
    out_more = f'curve\n    key = "{party.wall_out[1]}"\n    server = "{wrong[0]}"'
    with Wall(tmp_path / "x", channel("jobs", in_connect=[source], out_connect=[target], in_more=in_more,
                                      out_more=out_more), drain="1s") as wall:
        push.send(pickle.dumps("into the wrong hands"))
        assert not pull.poll(NOBODY_MS)
        assert peers(wall, "handshake_failed")


def conf(tmp_path, in_more="", out_more="", in_bind="tcp://127.0.0.1:8006", **settings):
    path = tmp_path / "picklewall.conf"
    path.write_text("\n".join([f'state = "{tmp_path / "state"}"', "channel",
                               channel("jobs", in_bind=[in_bind], out_bind=["tcp://127.0.0.1:8007"],
                                       in_more=in_more, out_more=out_more, **settings)]) + "\n")
    return run("check-config", "--config", path)


def curve(**keys):
    return "curve\n" + "\n".join(f'    {key} = "{value}"' for key, value in keys.items())


def test_what_does_not_fit_together_is_said(tmp_path):
    public, secret = by_us(tmp_path / "c", "wall")
    clients = tmp_path / "clients"
    clients.mkdir()
    assert conf(tmp_path, curve(key=secret, clients=clients)).returncode == 0
    assert conf(tmp_path, curve(key=secret, clients="*")).returncode == 0
    for keys, words in (
        ({"key": secret}, "says nothing of who may connect"),
        ({"clients": clients}, "means nothing without our own pair"),
        ({"key": secret, "clients": "*", "server": public}, "nothing connects here"),
        ({"key": tmp_path / "none", "clients": "*"}, "No such file"),
        ({"key": secret, "clients": tmp_path / "c" / "none"}, "No such file"),
    ):
        done = conf(tmp_path, curve(**keys))
        assert done.returncode == 78 and words in done.stderr, done.stderr
        assert "picklewall.conf:" in done.stderr and "channel.jobs.in.curve." in done.stderr
    public.chmod(0o600)
    assert "has no secret-key" in conf(tmp_path, curve(key=public, clients="*")).stderr
    (clients / "careless.key").write_bytes(secret.read_bytes())
    assert "belongs to the client alone" in conf(tmp_path, curve(key=secret, clients=clients)).stderr
    secret.chmod(0o644)
    assert "chmod 600" in conf(tmp_path, curve(key=secret, clients="*")).stderr


def test_open_endpoints_are_warned_of(tmp_path):
    public, secret = by_us(tmp_path / "c", "wall")
    open_to_all = conf(tmp_path, in_bind="tcp://0.0.0.0:8006")
    assert open_to_all.returncode == 0
    assert "channel.jobs.in.bind: warning: other machines can send" in open_to_all.stderr
    assert conf(tmp_path).stderr == ""
    assert conf(tmp_path, curve(key=secret, clients="*"), in_bind="tcp://0.0.0.0:8006").stderr == ""
    assert conf(tmp_path, in_bind="ipc:///tmp/x").stderr == ""


def test_certificates_are_made_once_and_for_the_owner(tmp_path):
    public, secret = by_us(tmp_path / "c", "wall")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    key, both = zmq.auth.load_certificate(public), zmq.auth.load_certificate(secret)
    assert key == (both[0], None) and len(both[1]) == 40
    assert zmq.curve_public(both[1]) == both[0]
    before = secret.read_bytes()
    again = run("key", "curve", "--id", "wall", "--out", tmp_path / "c")
    assert again.returncode == 73 and secret.read_bytes() == before
    assert run("key", "curve", "--id", "../x", "--out", tmp_path / "c").returncode == 64
    assert run("key", "curve", "--id", "x").returncode == 64
