# SPDX-License-Identifier: Apache-2.0
"""key, sign and verify, beside a second implementation that knows only common/sign/README.md.

Python's standard library has HMAC and BLAKE2b; Ed25519 is verified here with plain integers.
"""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import pickle
import stat
import struct
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("PICKLEWALL_BIN") or str(
    pathlib.Path(os.environ.get("PW_BINARY_DIR", ROOT / "build" / "dev")) / "picklewall")
SUITES = {"hmac-sha256": 1, "ed25519": 2, "blake2b": 3, "ed25519-batch": 4}
PAIRS = ("ed25519", "ed25519-batch")
PAYLOAD = pickle.dumps({"job": 7})


def picklewall(*words, code=0):
    result = subprocess.run([BINARY, *map(str, words)], timeout=30, capture_output=True,
                            text=True, check=False)
    assert result.returncode == code, result.stdout + result.stderr
    return result


# The second implementation.

def blake2b(data, key=b"", size=32):
    return hashlib.blake2b(data, key=key, digest_size=size).digest()


def read_key(path):
    lines = [line.split(":", 1) for line in path.read_text().splitlines() if line[0] != "#"]
    key = {name: value.strip() for name, value in lines}
    kind = "secret" if "secret" in key else "public"
    text = key[kind]
    assert text.startswith({"secret": "PWSK1", "public": "PWPK1"}[kind])
    material = base64.urlsafe_b64decode(text[5:])
    key["suite"] = SUITES[key["suite"]]
    key["bytes"], check = material[:32], material[32:]
    letters = {"secret": b"S", "public": b"P"}[kind] + bytes([key["suite"]])
    assert check == blake2b(b"picklewall/key-text/v1\0" + letters + key["bytes"])[:4]
    return key


def key_id(key):
    text = b"picklewall/keyid/v1\0" + bytes([key["suite"]])
    if "public" in key:
        return blake2b(text + key["bytes"])[:8]
    return blake2b(text, key["bytes"])[:8]


def signed_bytes(head, channel, frames):
    name = channel.encode()
    return (b"picklewall/frame-signature/v1\0" + head + struct.pack(">H", len(name)) + name
            + b"\0" + b"".join(struct.pack(">Q", len(frame)) for frame in frames)
            + b"".join(frames))


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493


def recover(text):
    """A point from its 32 bytes."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0
    return (P - x if x & 1 != sign else x), y


def add(a, b):
    product = D * a[0] * b[0] * a[1] * b[1] % P
    return ((a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, P) % P,
            (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P) % P)


def times(number, point):
    result = (0, 1)
    while number:
        if number & 1:
            result = add(result, point)
        point, number = add(point, point), number >> 1
    return result


def ed25519_fits(public, text, signature):
    base = recover((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    scalar = int.from_bytes(signature[32:], "little")
    challenge = hashlib.sha512(signature[:32] + public + text).digest()
    challenge = int.from_bytes(challenge, "little") % ORDER
    return times(scalar, base) == add(recover(signature[:32]), times(challenge, recover(public)))


def fits(key, channel, frames, trailer):
    head, tag = trailer[:40], trailer[40:]
    text = signed_bytes(head, channel, frames)
    if key["suite"] == 2:
        return ed25519_fits(key["bytes"],
                            b"picklewall/ed25519/v1\0" + blake2b(text, size=64), tag)
    if key["suite"] == 4:  # alone: the leaf is the root
        root = blake2b(b"\0" + text)
        return tag[64:] == b"\0\0" and ed25519_fits(
            key["bytes"], b"picklewall/ed25519-batch/v1\0\0" + root, tag[:64])
    name = channel.encode()
    derived = blake2b(b"picklewall/kdf/v1\0" + bytes([key["suite"], 0])
                      + struct.pack(">H", len(name)) + name, key["bytes"])
    if key["suite"] == 1:
        return hmac.compare_digest(tag, hmac.new(derived, text, hashlib.sha256).digest())
    return hmac.compare_digest(tag, blake2b(text, derived))


# What an operator does.

@pytest.fixture(name="keys")
def fixture_keys(tmp_path):
    for suite in SUITES:
        picklewall("key", "new", "--suite", suite, "--id", suite, "--out", tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture(name="message")
def fixture_message(tmp_path):
    path = tmp_path / "message.pkl"
    path.write_bytes(PAYLOAD)
    return path


def sign(keys, key, message, *options, channel="jobs"):
    return picklewall("sign", "--keys", keys, "--key", key, "--channel", channel, *options, message)


def verify(keys, message, *options, channel="jobs", code=0):
    result = picklewall("verify", "--keys", keys, "--channel", channel, "--json", *options,
                        message, code=code)
    return json.loads(result.stdout)


@pytest.mark.parametrize("suite", SUITES)
def test_another_implementation_accepts_the_signature(keys, message, tmp_path, suite):
    before = time.time_ns()
    sign(keys, suite, message, "--detached")
    trailer = pathlib.Path(f"{message}.pws").read_bytes()
    path = keys / f"{suite}.pwkey"
    if suite in PAIRS:
        picklewall("key", "public", path, "--out", tmp_path / "public")
        path = tmp_path / "public" / f"{suite}.pwkey"
    key = read_key(path)

    assert len(trailer) == {2: 104, 4: 106}.get(SUITES[suite], 72)
    assert trailer[:8] == b"PWS1" + bytes([SUITES[suite], 0, 0, 1])
    assert trailer[8:16] == key_id(key)
    epoch, seq, signed_at = struct.unpack(">QQQ", trailer[16:40])
    assert seq == 1
    assert before // 10**6 <= epoch and before <= signed_at <= time.time_ns()

    assert fits(key, "jobs", [PAYLOAD], trailer)
    assert not fits(key, "jobs", [PAYLOAD + b"x"], trailer)
    assert not fits(key, "mail", [PAYLOAD], trailer)
    assert not fits(key, "jobs", [PAYLOAD[:1], PAYLOAD[1:]], trailer)


@pytest.mark.parametrize("suite", SUITES)
def test_a_signed_tail_is_still_the_same_pickle(keys, message, suite):
    message.chmod(0o640)
    assert sign(keys, suite, message, "--tail").stdout == f"{message}\n"
    assert pickle.loads(message.read_bytes()) == {"job": 7}
    assert message.read_bytes().startswith(PAYLOAD + b"PWS1")
    assert stat.S_IMODE(message.stat().st_mode) == 0o640
    assert [path.name for path in message.parent.iterdir() if path.is_file()] == [message.name]
    answer = verify(keys, message, "--tail")
    assert (answer["state"], answer["key"], answer["suite"]) == ("ok", suite, suite)
    assert answer["key_id"] == message.read_bytes()[len(PAYLOAD) + 8:][:8].hex()


def test_signatures_of_one_run_are_counted(keys, tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_bytes(b"")
    picklewall("sign", "--keys", keys, "--key", "blake2b", "--channel", "jobs", *paths)
    answers = [verify(keys, path) for path in paths]
    assert [answer["seq"] for answer in answers] == [1, 2, 3]
    assert len({answer["epoch"] for answer in answers}) == 1


@pytest.mark.parametrize("suite", PAIRS)
def test_who_holds_the_public_half_verifies_and_cannot_sign(keys, message, tmp_path, suite):
    public = tmp_path / "public"
    sign(keys, suite, message)
    text = picklewall("key", "public", keys / f"{suite}.pwkey").stdout
    picklewall("key", "public", keys / f"{suite}.pwkey", "--out", public)
    assert (public / f"{suite}.pwkey").read_text() == text
    assert "PWSK1" not in text
    assert verify(public, message)["state"] == "ok"
    result = picklewall("sign", "--keys", public, "--key", suite, "--channel", "jobs",
                        message, code=78)
    assert "only verifies" in result.stderr
    result = picklewall("key", "public", keys / "blake2b.pwkey", code=65)
    assert "has no public half" in result.stderr


def change(path, at, value):
    data = bytearray(path.read_bytes())
    data[at] = value
    path.write_bytes(data)


def test_every_refusal_has_its_own_word(keys, message, tmp_path):
    beside = pathlib.Path(f"{message}.pws")

    def refused(channel="jobs", ring=keys):
        answer = verify(ring, message, channel=channel, code=1)
        assert answer["reason"] == "sig." + answer["state"]
        return answer["state"]

    assert refused() == "missing"
    sign(keys, "hmac-sha256", message)
    good = beside.read_bytes()
    assert verify(keys, message)["state"] == "ok"
    assert refused(channel="mail") == "bad"
    for at, value, state in [(0, 0x51, "format"), (4, 9, "format"), (4, 2, "format"),
                             (4, 3, "wrong_suite"), (5, 1, "format"), (7, 2, "frames"),
                             (8, good[8] ^ 1, "unknown_key"), (39, good[39] ^ 1, "bad"),
                             (71, good[71] ^ 1, "bad")]:
        beside.write_bytes(good)
        change(beside, at, value)
        assert refused() == state, at
    for wrong in (good[:-1], good + b"\0", good * 100):
        beside.write_bytes(wrong)
        assert refused() == "format"
    beside.write_bytes(good)
    message.write_bytes(PAYLOAD[:-1] + b"!")
    assert refused() == "bad"
    message.write_bytes(PAYLOAD)

    narrow = tmp_path / "narrow"
    narrow.mkdir()
    text = (keys / "hmac-sha256.pwkey").read_text().replace("channel:", "channel: mail*")
    (narrow / "a.pwkey").write_text(text)
    (narrow / "a.pwkey").chmod(0o600)
    assert refused(ring=narrow) == "channel"


def test_a_place_in_a_batch_is_part_of_the_signature(keys, message):
    """A file is signed alone; what stands behind its signature says so."""
    beside = pathlib.Path(f"{message}.pws")
    sign(keys, "ed25519-batch", message)
    good = beside.read_bytes()
    assert good[104:] == b"\0\0"
    for wrong in (good[:104], good[:-1], good + b"\0", good[:104] + b"\1\0", good[:104] + b"\0\1"):
        beside.write_bytes(wrong)
        assert verify(keys, message, code=1)["state"] == "format"
    for wrong in (good[:104] + bytes(32) + b"\0\1", good[:104] + bytes(256) + b"\7\xff"):
        beside.write_bytes(wrong)
        assert verify(keys, message, code=1)["state"] == "bad"


def test_words_for_a_person_name_file_and_reason(keys, message, tmp_path):
    sign(keys, "blake2b", message)
    unsigned = tmp_path / "unsigned"
    unsigned.write_bytes(b"N.")
    result = picklewall("verify", "--keys", keys, "--channel", "jobs", message, unsigned, code=1)
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{message}: ok, signed with blake2b (blake2b) at 20")
    assert second == (f"{unsigned}: sig.missing: no signature where one is required; there is no {unsigned}.pws; "
                      "get it from the sender, or try --tail")


def test_what_cannot_be_read_ends_with_a_sysexit(keys, message, tmp_path):
    sign(keys, "blake2b", message)
    result = picklewall("verify", "--keys", keys, "--channel", "jobs", tmp_path / "none", message,
                        code=66)
    assert f"{message}: ok" in result.stdout
    assert "none: No such file" in result.stderr
    picklewall("verify", "--keys", keys, "--channel", "jobs", tmp_path, code=66)
    picklewall("sign", "--keys", keys, "--key", "blake2b", "--channel", "jobs",
               tmp_path / "none", code=66)
    picklewall("sign", "--keys", keys, "--key", "none", "--channel", "jobs", message, code=78)
    picklewall("verify", "--keys", tmp_path / "none", "--channel", "jobs", message, code=78)
    (tmp_path / "empty").mkdir()
    picklewall("verify", "--keys", tmp_path / "empty", "--channel", "jobs", message, code=78)
    for words in (["sign"], ["verify"], ["key", "new"], ["key", "list"], ["key", "public"],
                  ["sign", "--tail", "--detached", "--keys", keys, "--key", "blake2b",
                   "--channel", "jobs", message],
                  ["verify", "--keys", keys, "--channel", "jobs"],
                  ["verify", "--keys", keys, "--channel", "x" * 256, message],
                  ["key", "new", "--suite", "rsa", "--id", "a", "--out", tmp_path],
                  ["key", "new", "--suite", "ed25519", "--id", "a/b", "--out", tmp_path]):
        assert picklewall(*words, code=64).stderr.startswith("picklewall ")


def test_a_file_is_not_signed_twice(keys, message):
    sign(keys, "ed25519", message, "--tail")
    signed = message.read_bytes()
    result = picklewall("sign", "--keys", keys, "--key", "blake2b", "--channel", "jobs", "--tail",
                        message, code=65)
    assert "ends in a signature already" in result.stderr
    assert message.read_bytes() == signed


def test_a_link_is_signed_where_it_leads(keys, message, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(message)
    sign(keys, "blake2b", link, "--tail")
    assert link.is_symlink()
    assert verify(keys, message, "--tail")["state"] == "ok"


def test_a_key_is_private_and_never_overwritten(keys):
    path = keys / "blake2b.pwkey"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    text = path.read_text()
    result = picklewall("key", "new", "--suite", "blake2b", "--id", "blake2b", "--out", keys, code=73)
    assert f"{path}: File exists" in result.stderr
    assert path.read_text() == text


def test_a_key_that_others_may_read_is_refused(keys, message):
    path = keys / "hmac-sha256.pwkey"
    path.chmod(0o644)
    for words in (["key", "list", keys], ["key", "public", path],
                  ["sign", "--keys", keys, "--key", "blake2b", "--channel", "jobs", message],
                  ["verify", "--keys", keys, "--channel", "jobs", message]):
        result = picklewall(*words, code=78)
        assert result.stderr == (f"picklewall: {path}: others may read it (mode 0644); "
                                 f"run chmod 600 {path}\n")


def test_the_list_names_every_key_and_no_secret(keys):
    picklewall("key", "new", "--suite", "ed25519", "--id", "narrow", "--out", keys,
               "--channel", "jo*")
    result = picklewall("key", "list", "--json", keys)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in rows] == ["blake2b", "ed25519-batch", "ed25519", "hmac-sha256", "narrow"]
    assert [row["channel"] for row in rows] == ["", "", "", "", "jo*"]
    assert all(row["role"] == "sign" for row in rows)
    for row in rows:
        assert row["suite"] == row["id"] or row["id"] == "narrow"
        assert row["key_id"] in picklewall("key", "list", keys).stdout
        if row["suite"] not in PAIRS:
            assert row["key_id"] == key_id(read_key(keys / f"{row['id']}.pwkey")).hex()
    assert "PWSK1" not in result.stdout + picklewall("key", "list", keys).stdout
