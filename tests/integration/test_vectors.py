# SPDX-License-Identifier: Apache-2.0
"""The test vectors in Python: the client module, a third Ed25519, and the wall over real sockets."""

import hashlib
import json
import re
import struct
import subprocess
import sys

import pytest
import zmq
from test_sign_cli import ed25519_fits
from wall import ROOT, Wall, channel, tcp

sys.path.insert(0, str(ROOT / "common/sign/python"))
import picklewall_sign as client  # noqa: E402

VECTORS = ROOT / "tests/data/vectors"
SUITES = ("hmac-sha256", "ed25519", "blake2b", "ed25519-batch")
FILES = {suite: json.loads((VECTORS / f"{suite}.json").read_text()) for suite in SUITES}
TAILS = json.loads((VECTORS / "tails.json").read_text())["tails"]


def rows(section):
    """Every row of the section in all files, as parameters named after it."""
    return [pytest.param(suite, row, id=f"{suite}: {row.get('name', number)}")
            for suite in SUITES for number, row in enumerate(FILES[suite].get(section, []))]


def frame_of(row):
    return bytes.fromhex(row) if isinstance(row, str) else bytes.fromhex(row["repeat"]) * row["times"]


def frames_of(row):
    return [frame_of(frame) for frame in row["frames"]]


def key_of(suite, name):
    row = next(row for row in FILES[suite]["keys"] if row["name"] == name)
    return client.Key.parse(row["file"].encode())


def test_the_files_are_what_the_script_writes(tmp_path):
    subprocess.run(["/usr/bin/python3", ROOT / "tests/data/make_vectors.py", tmp_path], check=True, timeout=60)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in VECTORS.glob("*.json")}


@pytest.mark.parametrize("suite, row", rows("keys"))
def test_a_key_has_its_id(suite, row):
    key = key_of(suite, row["name"])
    assert (key.id.hex(), key.suite, key.channel) == (row["key_id"], row["suite"], row["channel"])
    assert key.role == ("sign" if "secret" in row else "verify")
    made = client.Key(key.suite, bytes.fromhex(row.get("secret") or row["public"]), public="secret" not in row,
                      role=key.role)
    assert made.id == key.id


@pytest.mark.parametrize("suite, row", rows("derived"))
def test_a_channel_has_its_key(suite, row):
    key, name = key_of(suite, row["key"]), row["channel"].encode()
    raw = client.Key(suite, bytes.fromhex(row["channel_key"]))
    head = bytes(40)
    text = (b"picklewall/frame-signature/v1\0" + head + struct.pack(">H", len(name)) + name
            + bytes([row["direction"]]) + struct.pack(">Q", 3) + b"abc")
    tag = client._ChannelKey(key, row["channel"], row["direction"]).sign(head, [memoryview(b"abc")])
    material = raw._secret
    if suite == "blake2b":
        assert tag == hashlib.blake2b(text, key=material, digest_size=32).digest()
    else:
        assert tag == client.hmac.new(material, text, hashlib.sha256).digest()


@pytest.mark.parametrize("suite, row", rows("signed"))
def test_a_signature_is_accepted(suite, row):
    verifier = client.Verifier([key_of(suite, row["key"])], row["channel"], row["direction"], max_age=None,
                               max_future=None)
    found = verifier.check(frames_of(row), bytes.fromhex(row["trailer"]))
    assert found.frames == frames_of(row)
    assert [str(found.epoch), str(found.seq), str(found.time_ns)] == [row["epoch"], row["seq"], row["time"]]


@pytest.mark.parametrize("suite, row", rows("signed"))
def test_a_signature_is_made(suite, row):
    signer = client.Signer(key_of(suite, row["key"]), row["channel"], row["direction"], int(row["epoch"]),
                           int(row["seq"]))
    assert signer.sign(frames_of(row), int(row["time"])).hex() == row["trailer"]


@pytest.mark.parametrize("row", FILES["ed25519"]["signed"], ids=lambda row: row["name"])
def test_plain_integers_accept_it_too(row):
    public = bytes.fromhex(FILES["ed25519"]["keys"][0]["public"])
    text = b"picklewall/ed25519/v1\0" + bytes.fromhex(row["digest"])
    assert ed25519_fits(public, text, bytes.fromhex(row["trailer"])[40:])


@pytest.mark.parametrize("row", FILES["ed25519-batch"]["signed"], ids=lambda row: row["name"])
def test_plain_integers_accept_a_batch_of_one(row):
    key, trailer = key_of("ed25519-batch", row["key"]), bytes.fromhex(row["trailer"])
    name, frames = row["channel"].encode(), frames_of(row)
    message = (b"\0picklewall/frame-signature/v1\0" + trailer[:40] + struct.pack(">H", len(name)) + name
               + bytes([row["direction"]]) + b"".join(struct.pack(">Q", len(frame)) for frame in frames)
               + b"".join(frames))
    root = hashlib.blake2b(message, digest_size=32).digest()
    assert ed25519_fits(key._public, b"picklewall/ed25519-batch/v1\0\0" + root, trailer[40:104])


def messages_of(row):
    return [[bytes.fromhex(frame) for frame in frames] for frames in row["messages"]]


@pytest.mark.parametrize("row", FILES["ed25519-batch"]["batches"], ids=lambda row: row["name"])
def test_a_batch_is_made(row, monkeypatch):
    signer = client.Signer(key_of("ed25519-batch", row["key"]), row["channel"], row["direction"], int(row["epoch"]),
                           int(row["seq"]))
    ticks = iter(range(int(row["time"]), int(row["time"]) + len(row["messages"])))
    heads = signer._heads
    monkeypatch.setattr(signer, "_heads", lambda batch, _: [heads([views], next(ticks))[0] for views in batch])
    trailers = signer.sign_batch(messages_of(row))
    for member in row["members"]:
        trailer = trailers[member["index"]]
        leaf = signer._ready.digest(trailer[:40], list(map(memoryview, messages_of(row)[member["index"]])))
        assert (trailer.hex(), leaf.hex()) == (member["trailer"], member["leaf"])
        assert client._climb(leaf, trailer[40:]).hex() == row["root"]


@pytest.mark.parametrize("row", FILES["ed25519-batch"]["batches"], ids=lambda row: row["name"])
def test_members_of_a_batch_are_accepted(row, monkeypatch):
    """In any order, each twice, with the signature verified once for all of them."""
    messages = messages_of(row)
    verified = []
    original = client._nacl.crypto_sign_open
    monkeypatch.setattr(client._nacl, "crypto_sign_open",
                        lambda *words: verified.append(words) or original(*words))
    verifier = client.Verifier([key_of("ed25519-batch", row["key"])], row["channel"], row["direction"], max_age=None,
                               max_future=None, replay=False)
    for member in [*reversed(row["members"]), *row["members"]]:
        found = verifier.check(messages[member["index"]], bytes.fromhex(member["trailer"]))
        assert found.seq == int(row["seq"]) + member["index"]
    assert len(verified) == (1 if len(messages) > 1 else 2)


@pytest.mark.parametrize("suite, row", rows("refused"))
def test_a_refusal_has_its_reason(suite, row):
    verifier = client.Verifier([key_of(suite, name) for name in row["keys"]], row["channel"], row["direction"],
                               row["siblings"])
    with pytest.raises(client.SignatureError) as refusal:
        verifier.check(frames_of(row), bytes.fromhex(row["trailer"]))
    assert refusal.value.code == row["reason"]


@pytest.mark.parametrize("row", TAILS, ids=lambda row: row["name"])
def test_a_trailer_is_found_at_the_end(row):
    assert client.trailer_at_end(frame_of(row["frame"])) == row["trailer_bytes"]


# The same over real sockets. The trailer is a frame of its own, so that each can be as wrong as it likes.

def wired(suite):
    """What can be sent: (row, the reason that the wall's log must give)."""
    for row in FILES[suite]["refused"]:
        trailer = bytes.fromhex(row["trailer"])
        missing = client.trailer_at_end(trailer) != len(trailer) or not trailer
        if row["frames"] and len(row["frames"]) <= 1024 and row["direction"] == 0:
            absent = "sig.format" if re.search(rb"PWS[1-9]", trailer) else "sig.missing"
            yield row, absent if missing else row["reason"]


@pytest.mark.parametrize("suite", SUITES)
def test_the_wall_gives_every_refusal_its_reason(tmp_path, sockets, suite):
    groups = {}
    for row, reason in wired(suite):
        keys = {*row["keys"], "other"}  # without any key for its channel a wall does not start
        groups.setdefault((row["channel"], frozenset(keys), *row["siblings"]), []).append((row, reason))
    assert sum(map(len, groups.values())) > 80
    for number, ((name, keys, *siblings), group) in enumerate(groups.items()):
        assert_refused(tmp_path / str(number), sockets, suite, name, keys, siblings, group)


def assert_refused(folder, sockets, suite, name, keys, siblings, group):
    ring = folder / "keys"
    ring.mkdir(parents=True)
    for row in FILES[suite]["keys"]:
        if row["name"] in keys:
            path = ring / f"{row['name']}.pwkey"
            path.write_text(row["file"])
            path.chmod(0o600)
    source = tcp()
    settings = {"verify": "required", "envelope": "frame", "frames": "opaque*"}
    walls = [channel(other, in_bind=[at], out_bind=[tcp()], **settings)
             for other, at in [(name, source), *((sibling, tcp()) for sibling in siblings)]]
    with Wall(folder, *walls, keys=ring) as wall:
        producer = sockets(zmq.PUSH, connect=[source])
        for row, _ in group:
            producer.send_multipart([*frames_of(row), bytes.fromhex(row["trailer"])])
        wall.wait_for(lambda: len(wall.frames()) >= len(group), "the refusals")
        lines = wall.frames()
    told = [(row["name"], line["verdict"], line["reason"]) for (row, _), line in zip(group, lines)]
    assert told == [(row["name"], "quarantine", reason) for row, reason in group]
