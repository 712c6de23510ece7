# SPDX-License-Identifier: Apache-2.0
"""What scripts may rely on: words and exit codes of sign and verify, for each thing that can be wrong."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest
from wall import BINARY, ROOT

sys.path.insert(0, str(ROOT / "common/sign/python"))
import picklewall_sign  # noqa: E402  (signs at any time one likes)

PAYLOAD = b"\x80\x04N."
DAY_NS = 86400 * 10**9


def run(*words, code=0, text=True, **more):
    done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=text, timeout=60, **more)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def sign(keys, *words, code=0, **more):
    return run("sign", "--keys", keys, "--channel", "jobs", *words, code=code, **more)


def verify(keys, *words, code=0, channel="jobs", **more):
    return run("verify", "--keys", keys, "--channel", channel, *words, code=code, **more)


@pytest.fixture(name="keys")
def fixture_keys(tmp_path):
    folder = tmp_path / "keys"
    run("key", "new", "--suite", "blake2b", "--id", "a", "--out", folder)
    run("key", "new", "--suite", "ed25519", "--id", "pair", "--out", folder)
    return folder


@pytest.fixture(name="message")
def fixture_message(tmp_path, keys):
    """Signed both ways."""
    path = tmp_path / "message.pkl"
    path.write_bytes(PAYLOAD)
    (tmp_path / "tail.pkl").write_bytes(PAYLOAD)
    sign(keys, "--key", "a", path)
    sign(keys, "--key", "a", "--tail", tmp_path / "tail.pkl")
    return path


def rewrite(keys, line, old="status: active"):
    path = keys / "a.pwkey"
    path.write_text(re.sub(f"^{old}.*$", line, path.read_text(), flags=re.M))


def change(path, at, value):
    data = bytearray(path.read_bytes())
    data[at] = value
    path.write_bytes(data)


def signature(folder):
    return folder / "message.pkl.pws"


def sign_at(folder, offset_ns, monkeypatch):
    """As a signer whose clock is off by so much."""
    key = picklewall_sign.Key.load(str(folder / "keys/a.pwkey"))
    now = picklewall_sign.time.time()
    monkeypatch.setattr(picklewall_sign.time, "time", lambda: now + offset_ns / 10**9)
    if hasattr(picklewall_sign.time, "time_ns"):
        monkeypatch.setattr(picklewall_sign.time, "time_ns", lambda: int(now * 10**9) + offset_ns)
    signature(folder).write_bytes(picklewall_sign.Signer(key, "jobs").sign([PAYLOAD]))


# name: what is done to a folder of keys, message.pkl and its signature; options; what the line says besides
STATES = {
    "missing": (lambda folder, _: signature(folder).unlink(), [],
                "there is no {folder}/message.pkl.pws; get it from the sender, or try --tail"),
    "bad": (lambda folder, _: (folder / "message.pkl").write_bytes(PAYLOAD + b"!"), [],
            "key a {id} (a.pwkey); file or signature changed"),
    "format": (lambda folder, _: signature(folder).write_bytes(b"PWS1"), [], "get the signature again"),
    "format, empty": (lambda folder, _: signature(folder).write_bytes(b""), [], "get the signature again"),
    "format, long": (lambda folder, _: signature(folder).write_bytes(bytes(10**6)), [], "get the signature again"),
    "frames": (lambda folder, _: change(signature(folder), 7, 2), [], "which no file is; sign the file itself"),
    "unknown_key": (lambda folder, _: (folder / "keys/a.pwkey").unlink(), [],
                    "key {id} is not in {folder}/keys; if you trust the sender, put its key there"),
    "revoked": (lambda folder, _: run("key", "revoke", "--dir", folder / "keys", "a"), [],
                "key a {id} (a.pwkey); do not use the file"),
    "retired": (lambda folder, _: rewrite(folder / "keys", "status: retired"), [],
                "key a {id} (a.pwkey); have it signed with a key that is in use"),
    "not_yet": (lambda folder, _: rewrite(folder / "keys", "not_before: 2500-01-01T00:00:00Z"), [],
                "key a {id} (a.pwkey, from 2500-01-01T00:00:00Z); wait until then"),
    "key_expired": (lambda folder, _: rewrite(folder / "keys", "not_after: 2001-01-01T00:00:00Z"), [],
                    "key a {id} (a.pwkey, until 2001-01-01T00:00:00Z); have it signed"),
    "wrong_suite": (lambda folder, _: change(signature(folder), 4, 1), [],
                    "key a {id} (a.pwkey); the signature was changed"),
    "channel": (lambda folder, _: rewrite(folder / "keys", "channel: mail*", "channel:"), [],
                "key a {id} (a.pwkey); name its --channel"),
    "expired": (lambda folder, patch: sign_at(folder, -2 * DAY_NS, patch), ["--max-age", "1d"],
                "key a {id} (a.pwkey); get one that was signed later, or allow more with --max-age"),
    "future": (lambda folder, patch: sign_at(folder, 2 * DAY_NS, patch), ["--max-age", "1d"],
               "key a {id} (a.pwkey); set the clock"),
}


@pytest.mark.parametrize("state", STATES)
def test_each_state_names_the_file_the_key_and_the_remedy(keys, message, tmp_path, monkeypatch, state):
    spoil, options, words = STATES[state]
    state = state.partition(",")[0]
    identity = signature(tmp_path).read_bytes()[8:16].hex()
    assert ": ok, signed with a (blake2b) at 20" in verify(keys, *options, message).stdout
    spoil(tmp_path, monkeypatch)
    done = verify(keys, *options, message, code=1)
    assert done.stdout.startswith(f"{message}: sig.{state}: ") and done.stdout.count("\n") == 1
    assert words.format(folder=tmp_path, id=identity) in done.stdout
    assert ": ok" not in done.stdout and done.stderr == ""
    answer = json.loads(verify(keys, "--json", *options, message, code=1).stdout)
    assert (answer["path"], answer["state"], answer["reason"]) == (str(message), state, f"sig.{state}")
    assert answer["text"] in done.stdout
    assert "seq" not in answer and "time" not in answer  # a stranger's claims


@pytest.mark.parametrize("age, good", [("1s", False), ("60m", False), ("24h", False), ("1d", False), ("49h", True),
                                       ("3d", True), ("36525d", True), (None, True)])
def test_an_age_is_asked_for_only_when_it_is_given(keys, message, tmp_path, monkeypatch, age, good):
    sign_at(tmp_path, -2 * DAY_NS, monkeypatch)
    verify(keys, *(["--max-age", age] if age else []), message, code=0 if good else 1)


# which of three files is what; the exit code
MIXTURES = [
    (["good", "good", "good"], 0),
    (["bad", "good", "good"], 1),
    (["good", "bad", "good"], 1),
    (["good", "good", "bad"], 1),
    (["good", "good", "unsigned"], 1),
    (["unsigned", "unsigned", "unsigned"], 1),
    (["absent", "good", "good"], 66),
    (["good", "good", "absent"], 66),
    (["bad", "absent", "good"], 66),
    (["absent", "bad", "good"], 66),
    (["folder", "good", "good"], 66),
    (["good", "absent", "folder"], 66),
]


@pytest.mark.parametrize("form", ["--detached", "--tail"])
@pytest.mark.parametrize("kinds, code", MIXTURES, ids=["-".join(kinds) for kinds, _ in MIXTURES])
def test_nought_means_that_every_file_verified(keys, tmp_path, form, kinds, code):
    paths = []
    for number, kind in enumerate(kinds):
        path = tmp_path / f"{number}"
        paths.append(path)
        if kind == "folder":
            path.mkdir()
        elif kind != "absent":
            path.write_bytes(PAYLOAD)
        if kind in ("good", "bad"):
            sign(keys, "--key", "pair", form, path)
        if kind == "bad":
            change(path, 0, 0x81)
    done = verify(keys, form, *paths, code=code)
    lines = done.stdout.splitlines()
    examined = [(path, kind) for path, kind in zip(paths, kinds) if kind not in ("absent", "folder")]
    assert len(lines) == len(examined)
    for line, (path, kind) in zip(lines, examined):
        assert line.startswith(f"{path}: " + {"good": "ok, ", "bad": "sig.bad: ", "unsigned": "sig.missing: "}[kind])
    failed = sum(kind != "good" for kind in kinds)
    assert done.stderr.endswith(f"picklewall: {failed} of 3 files did not verify\n" if failed else "")
    assert (done.stderr == "") == (code == 0)


def test_files_are_found_without_a_folder_in_their_name(keys, tmp_path):
    for name in ("plain", "-odd", "with blank", "-"):
        (tmp_path / name).write_bytes(PAYLOAD)
    assert sign(keys, "--key", "a", "--", "plain", "-odd", "with blank", "./-",
                cwd=tmp_path).stdout == "plain.pws\n-odd.pws\nwith blank.pws\n./-.pws\n"
    assert verify(keys, "--", "plain", "-odd", "with blank", "./-", cwd=tmp_path).stdout.count(": ok, ") == 4
    sign(keys, "--key", "a", "--tail", "plain", cwd=tmp_path)
    assert verify(keys, "--tail", "plain", cwd=tmp_path).stdout.startswith("plain: ok, ")


@pytest.mark.parametrize("key", ["a", "pair"])
def test_standard_input_is_signed_and_verified(keys, tmp_path, key):
    whole = sign(keys, "--key", key, "--tail", "-", input=PAYLOAD, text=False).stdout
    assert whole.startswith(PAYLOAD + b"PWS1")
    assert verify(keys, "--tail", "-", input=whole, text=False).stdout.startswith(b"-: ok, signed with " + key.encode())
    changed = verify(keys, "--tail", "-", input=b"!" + whole, text=False, code=1).stdout
    assert changed.startswith(b"-: sig.bad: ")
    assert verify(keys, "--tail", "-", input=PAYLOAD, text=False, code=1).stdout.startswith(b"-: sig.missing: ")
    assert sign(keys, "--key", key, "--tail", "-", input=whole, text=False, code=65).stdout == b""

    apart = tmp_path / "apart"
    apart.write_bytes(sign(keys, "--key", key, "-", input=PAYLOAD, text=False).stdout)
    assert verify(keys, "--signature", apart, "-", input=PAYLOAD, text=False).stdout.startswith(b"-: ok")
    verify(keys, "--signature", apart, "-", input=PAYLOAD + b"!", text=False, code=1)
    verify(keys, "--signature", tmp_path / "none", "-", input=PAYLOAD, text=False, code=1)
    (tmp_path / "copy").write_bytes(PAYLOAD)
    verify(keys, "--signature", apart, tmp_path / "copy")
    (tmp_path / "whole").write_bytes(whole)
    verify(keys, "--tail", "-", tmp_path / "whole", input=whole, text=False)


def test_an_empty_standard_input_is_a_message_like_any(keys):
    whole = sign(keys, "--key", "a", "--tail", "-", input=b"", text=False).stdout
    assert len(whole) == 72
    verify(keys, "--tail", "-", input=whole, text=False)


def test_one_key_file_serves_instead_of_a_folder(keys, message, tmp_path):
    assert verify(keys / "a.pwkey", message).stdout.startswith(f"{message}: ok, ")
    assert verify(keys / "pair.pwkey", message, code=1).stdout.startswith(f"{message}: sig.unknown_key: ")
    run("key", "public", keys / "pair.pwkey", "--out", tmp_path / "public")
    sign(keys / "pair.pwkey", message)  # which key is no question
    verify(tmp_path / "public/pair.pwkey", message)
    assert "only verifies" in sign(tmp_path / "public/pair.pwkey", message, code=78).stderr
    assert "--key is needed: there are 2 keys in " in sign(keys, message, code=64).stderr
    (keys / "a.pwkey").chmod(0o644)
    assert "others may read it" in verify(keys / "a.pwkey", message, code=78).stderr


def test_signing_stops_at_the_first_failure_and_says_how_far_it_came(keys, tmp_path):
    for name in ("one", "three"):
        (tmp_path / name).write_bytes(PAYLOAD)
    done = sign(keys, "--key", "a", tmp_path / "one", tmp_path / "two", tmp_path / "three", code=66)
    assert done.stdout == f"{tmp_path}/one.pws\n"
    assert done.stderr.endswith("two: No such file or directory\npicklewall: 1 of 3 files were signed, the others not\n")
    assert not (tmp_path / "three.pws").exists()


def test_what_was_signed_is_told_in_json(keys, message, tmp_path):
    (tmp_path / "b").write_bytes(PAYLOAD)
    rows = [json.loads(line) for line in sign(keys, "--key", "a", "--json", message, tmp_path / "b").stdout.splitlines()]
    identity = signature(tmp_path).read_bytes()[8:16].hex()
    assert rows == [{"path": str(path), "signature": f"{path}.pws", "key": "a", "key_id": identity, "suite": "blake2b"}
                    for path in (message, tmp_path / "b")]
    (tmp_path / "c").write_bytes(PAYLOAD)
    row = json.loads(sign(keys, "--key", "pair", "--json", "--tail", tmp_path / "c").stdout)
    assert (row["signature"], row["suite"]) == (str(tmp_path / "c"), "ed25519")


@pytest.mark.parametrize("words, sentence", [
    (["--max-age", "1", "m"], '--max-age: "1" is no duration; write 90s, 15m, 12h or 30d'),
    (["--max-age", "0s", "m"], '"0s" is no duration'),
    (["--max-age", "-1s", "m"], '"-1s" is no duration'),
    (["--max-age", "1w", "m"], '"1w" is no duration'),
    (["--max-age", "1dd", "m"], '"1dd" is no duration'),
    (["--max-age", "36526d", "m"], '"36526d" is no duration'),
    (["--max-age", "99999999999999999999s", "m"], "is no duration"),
    (["--max-age", "", "m"], '"" is no duration'),
    (["--tail", "--detached", "m"], "--tail or --detached, not both"),
    (["--tail", "--signature", "s", "m"], "--tail or --detached, not both"),
    (["--signature", "s", "m", "n"], "--signature is of one file"),
    (["-"], "- has no name that .pws could be put behind"),
    ([], "name the files to verify, or - for standard input"),
])
def test_wrong_usage_of_verify_is_told(keys, words, sentence):
    done = verify(keys, *words, code=64)
    assert sentence in done.stderr and done.stdout == ""


@pytest.mark.parametrize("words", [["-", "m"], ["m", "-"], ["-", "-"], ["--json", "-"]])
def test_standard_input_is_signed_alone(keys, words):
    assert "let it stand alone" in sign(keys, "--key", "a", *words, code=64, input="").stderr


def test_a_line_that_cannot_be_written_is_no_success(keys, message):
    with open("/dev/full", "w") as full:
        for words in (["verify", "--keys", keys, "--channel", "jobs", message],
                      ["sign", "--keys", keys, "--key", "a", "--channel", "jobs", message]):
            done = subprocess.run([BINARY, *map(str, words)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
            assert done.returncode == 74 and "No space left on device" in done.stderr


def test_what_may_not_be_read_has_the_code_for_permissions(keys, message):
    if os.geteuid() == 0:
        words = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        for path in [keys, *keys.parents][:4]:
            path.chmod(0o755)
        for path in keys.iterdir():
            path.chmod(0o600)
            os.chown(path, 65534, 65534)
    else:
        words = []
    message.chmod(0)
    done = subprocess.run([*words, BINARY, "verify", "--keys", str(keys), "--channel", "jobs", str(message)],
                          capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (77, ""), done.stderr
    assert done.stderr.startswith(f"picklewall: {message}: ")
    message.chmod(0o644)
    signature(message.parent).chmod(0)
    done = subprocess.run([*words, BINARY, "verify", "--keys", str(keys), "--channel", "jobs", str(message)],
                          capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (77, ""), done.stderr


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_lies_in_the_signatures_place_is_not_waited_for(keys, message, make):
    whole = signature(message.parent).read_bytes()
    signature(message.parent).unlink()
    make(signature(message.parent))
    done = verify(keys, message, code=66)
    assert done.stderr.startswith(f"picklewall: {message}.pws: not a file; ") and done.stdout == ""
    reader, writer = os.pipe()
    os.write(writer, whole)
    os.close(writer)
    verify(keys, "--signature", f"/dev/fd/{reader}", message, pass_fds=[reader])  # a pipe that was named
    os.close(reader)


def test_a_pipe_is_not_signed_and_not_waited_for(keys, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in sign(keys, "--key", "a", tmp_path / "pipe", code=66).stderr
    assert not (tmp_path / "pipe.pws").exists()


def read_so_far(process):
    try:
        return int(pathlib.Path(f"/proc/{process.pid}/io").read_text().split()[1])
    except OSError:  # it has ended
        return 1 << 30


@pytest.mark.parametrize("form", ["--tail", "--detached"])
def test_a_file_that_is_being_written_is_not_signed(keys, tmp_path, form):
    path, size = tmp_path / "large", 96 << 20
    words = [BINARY, "sign", "--keys", keys, "--key", "a", "--channel", "jobs", form, path]
    for _ in range(9):  # until we are faster than it once
        path.write_bytes(bytes(size))
        signer = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while read_so_far(signer) < 1 << 20:
            pass
        signer.send_signal(signal.SIGSTOP)
        with open(path, "ab") as writer:
            writer.write(b"more")
        signer.send_signal(signal.SIGCONT)
        words_told = signer.communicate(timeout=30)[1]
        if signer.returncode != 0:
            break
    assert (signer.returncode, words_told) == (
        69, f"picklewall: {path}: changed while it was signed; sign it when it is complete\n")
    assert path.stat().st_size == size + 4


def test_hostile_names_colour_no_terminal(keys, tmp_path):
    path = pathlib.Path(f"{tmp_path}/\x1b[31mred\n")
    path.write_bytes(PAYLOAD)
    sign(keys, "--key", "a", path)
    done = verify(keys, path, tmp_path / "\x1b]0;x", code=66)
    assert "\x1b" not in done.stdout + done.stderr
    assert re.search(r"/\?\[31mred\?: ok, ", done.stdout)
