# SPDX-License-Identifier: Apache-2.0
"""What operators do with a key folder: make, list, check, take turns, take back."""

import json
import os
import pathlib
import re
import stat
import subprocess

import pytest
from wall import BINARY, ROOT



def run(*words, code=0):
    done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=30)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def rows(*words, code=0):
    return [json.loads(line) for line in run(*words, "--json", code=code).stdout.splitlines()]


def listed(folder):
    return {row["id"]: row for row in rows("key", "list", folder)}


@pytest.fixture(name="keys")
def fixture_keys(tmp_path):
    """Two keys for taking turns, and one of another program."""
    folder = tmp_path / "keys"
    run("key", "new", "--suite", "blake2b", "--id", "jobs-1", "--out", folder, "--channel", "jobs*")
    run("key", "new", "--suite", "ed25519", "--id", "jobs-2", "--out", folder, "--status", "verify_only",
        "--not-before", "2020-01-31T00:00:00Z", "--not-after", "2500-12-31T23:59:59Z")
    (folder / "trt.hex").write_text("5a" * 32 + "\n")
    (folder / "trt.hex").chmod(0o600)
    return folder


def test_a_new_key_says_its_status_and_time(keys):
    text = (keys / "jobs-2.pwkey").read_text()
    assert "status: verify_only\nnot_before: 2020-01-31T00:00:00Z\nnot_after: 2500-12-31T23:59:59Z\n" in text
    assert "status: active\nsecret: " in (keys / "jobs-1.pwkey").read_text()


KEY_MEMBERS = ["id", "suite", "role", "channel", "key_id", "status", "verifies", "signs"]


def test_json_of_a_new_key_is_what_the_list_says_and_its_file(tmp_path):
    folder = tmp_path / "keys"
    row = rows("key", "new", "--suite", "blake2b", "--id", "a", "--out", folder, "--channel", "jobs*")[0]
    assert list(row) == ["file", *KEY_MEMBERS]
    assert row.pop("file") == str(folder / "a.pwkey")
    assert row == listed(folder)["a"]
    bound = rows("key", "new", "--suite", "ed25519", "--id", "b", "--out", folder, "--status", "verify_only",
                 "--not-before", "2020-01-31T00:00:00Z", "--not-after", "2500-12-31T23:59:59Z")[0]
    assert list(bound) == ["file", *KEY_MEMBERS[:6], "not_before", "not_after", *KEY_MEMBERS[6:]]
    assert (bound["status"], bound["verifies"], bound["signs"]) == ("verify_only", True, False)
    done = run("key", "new", "--suite", "blake2b", "--id", "a", "--out", folder, "--json", code=73)
    assert done.stdout == "" and "a.pwkey: File exists" in done.stderr


def test_json_has_the_members_that_the_manual_names(keys):
    assert [list(row) for row in rows("key", "check", keys)][0] == ["file", "good", "mode", *KEY_MEMBERS]
    turned = rows("key", "rotate", "--dir", keys, "--from", "jobs-1", "--to", "jobs-2")[0]
    assert list(turned) == ["from", "to", "made"] and list(turned["from"]) == KEY_MEMBERS
    revoked = rows("key", "revoke", "--dir", keys, "jobs-1")[0]
    assert list(revoked) == ["key_id", "id", "version", "was_active"]
    manual = (ROOT / "proxy/man/picklewall.1").read_text()
    members = {*turned, *turned["to"], *revoked, *rows("key", "check", keys)[0], "not_before", "not_after", "remark",
               "error"}
    assert [name for name in sorted(members) if f".Ql {name}" not in manual] == []


@pytest.mark.parametrize("options, sentence", [
    (["--status", "on"], '"on" is no status; use active, verify_only, retired or revoked'),
    (["--not-after", "tomorrow"], '--not-after: "tomorrow" is no time; write it as 2027-01-31T12:00:00Z'),
    (["--not-before", "2027-02-29T00:00:00Z"], '--not-before: "2027-02-29T00:00:00Z" is no time'),
    (["--not-before", "2028-01-01T00:00:00Z", "--not-after", "2027-01-01T00:00:00Z"],
     "--not-after is not later than --not-before"),
])
def test_wrong_options_make_no_key(tmp_path, options, sentence):
    done = run("key", "new", "--suite", "blake2b", "--id", "a", "--out", tmp_path / "keys", *options, code=64)
    assert done.stderr.startswith("picklewall key new: " + sentence)
    assert not (tmp_path / "keys").exists()


def test_the_list_tells_status_and_time(keys):
    found = listed(keys)
    assert list(found) == ["jobs-1", "jobs-2", "trt"]
    assert [found[name]["status"] for name in found] == ["active", "verify_only", "active"]
    assert [found[name]["signs"] for name in found] == [True, False, True]
    assert found["jobs-2"]["not_before"] == "2020-01-31T00:00:00Z"
    assert found["jobs-2"]["not_after"] == "2500-12-31T23:59:59Z"
    assert "not_after" not in found["jobs-1"]
    line = run("key", "list", keys).stdout.splitlines()[1]
    assert re.fullmatch(r"jobs-2 +ed25519 +sign +verify_only +any +[0-9a-f]{16} +"
                        r"from 2020-01-31T00:00:00Z until 2500-12-31T23:59:59Z", line)


def test_the_public_half_keeps_status_and_time(keys):
    text = run("key", "public", keys / "jobs-2.pwkey").stdout
    assert "status: verify_only\n" in text and "not_after: 2500-12-31T23:59:59Z\n" in text


def test_keys_take_turns(keys):
    os.chmod(keys / "jobs-1.pwkey", 0o400)
    done = run("key", "rotate", "--dir", keys, "--from", "jobs-1", "--to", "jobs-2")
    assert re.fullmatch(r"jobs-2 [0-9a-f]{16} is active, jobs-1 is verify_only\n", done.stdout)
    assert done.stderr == ""
    assert [row["status"] for row in listed(keys).values()] == ["verify_only", "active", "active"]
    assert listed(keys)["jobs-2"]["not_after"] == "2500-12-31T23:59:59Z"
    assert stat.S_IMODE((keys / "jobs-1.pwkey").stat().st_mode) == 0o400
    assert sorted(path.name for path in keys.iterdir()) == ["jobs-1.pwkey", "jobs-2.pwkey", "trt.hex"]
    again = run("key", "rotate", "--dir", keys, "--from", "jobs-1", "--to", "jobs-2")
    assert again.stdout == done.stdout


@pytest.mark.parametrize("suite", ["hmac-sha256", "blake2b", "ed25519", "ed25519-batch"])
def test_a_key_of_any_suite_has_its_turn_and_a_pair_has_a_half(tmp_path, suite):
    folder = tmp_path / "keys"
    run("key", "new", "--suite", suite, "--id", "a-1", "--out", folder)
    run("key", "rotate", "--dir", folder, "--from", "a-1", "--to", "a-2")
    assert [(row["suite"], row["signs"]) for row in listed(folder).values()] == [(suite, False), (suite, True)]
    assert all(row["good"] for row in rows("key", "check", folder))
    if not suite.startswith("ed25519"):
        assert "has no public half" in run("key", "public", folder / "a-2.pwkey", code=65).stderr
        return
    run("key", "public", folder / "a-2.pwkey", "--out", tmp_path / "public")
    half = listed(tmp_path / "public")["a-2"]
    assert (half["suite"], half["role"], half["signs"]) == (suite, "verify", False)
    assert half["key_id"] == listed(folder)["a-2"]["key_id"]


def test_a_key_that_is_made_for_its_turn_is_like_the_one_before(keys):
    done = run("key", "rotate", "--dir", keys, "--from", "jobs-1", "--to", "jobs-3")
    assert "jobs-3 was made now, and whoever verifies does not have it yet" in done.stderr
    row = listed(keys)["jobs-3"]
    assert (row["suite"], row["channel"], row["status"]) == ("blake2b", "jobs*", "active")
    assert stat.S_IMODE((keys / "jobs-3.pwkey").stat().st_mode) == 0o600
    one = rows("key", "rotate", "--dir", keys, "--from", "jobs-3", "--to", "jobs-1")[0]
    assert (one["from"]["status"], one["to"]["status"], one["made"]) == ("verify_only", "active", False)


@pytest.mark.parametrize("words, code, sentence", [
    (["--from", "jobs-9", "--to", "jobs-2"], 78, 'no key "jobs-9" there; picklewall key list'),
    (["--from", "jobs-1", "--to", "trt"], 78, 'key "trt" makes no trailers'),
    (["--from", "jobs-1", "--to", "jobs-1"], 64, "--from and --to name one key; name two"),
    (["--from", "jobs-1"], 64, "--dir, --from and --to are needed"),
    (["--from", "jobs-1", "--to", "a/b"], 78, "a key's name is 1 to 64 of"),
])
def test_a_turn_that_cannot_be_changes_nothing(keys, words, code, sentence):
    before = {path: path.read_bytes() for path in keys.iterdir()}
    done = run("key", "rotate", "--dir", keys, *words, code=code)
    assert sentence in done.stderr
    assert {path: path.read_bytes() for path in keys.iterdir()} == before


def test_a_key_is_revoked_by_name_or_id_and_stays_listed(keys):
    first = run("key", "revoke", "--dir", keys, "jobs-2")
    assert re.fullmatch(rf"jobs-2 [0-9a-f]{{16}} is revoked, by version 1 of {keys}/revoked\n", first.stdout)
    assert first.stderr == ""
    active = listed(keys)["jobs-1"]["key_id"]
    second = run("key", "revoke", "--dir", keys, active.upper())
    assert "version 2" in second.stdout
    assert f"it was active: what it should have signed is held back now; picklewall key rotate --dir {keys} " \
           "--from jobs-1 --to NEW\n" in second.stderr
    assert [row["status"] for row in listed(keys).values()] == ["revoked", "revoked", "active"]
    one = rows("key", "revoke", "--dir", keys, "00112233445566ff")[0]
    assert one == {"key_id": "00112233445566ff", "version": 3, "was_active": False}
    text = (keys / "revoked").read_text().splitlines()
    assert text[0].startswith("# ") and "version: 3" in text
    assert re.fullmatch(rf"{active}  # jobs-1 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text[-2])
    assert stat.S_IMODE((keys / "revoked").stat().st_mode) == 0o644


def test_what_is_no_key_is_not_revoked(keys):
    done = run("key", "revoke", "--dir", keys, "nobody", code=66)
    assert 'no key "nobody" there, and it is no key id of 16 digits' in done.stderr
    assert not (keys / "revoked").exists()
    run("key", "revoke", "--dir", keys, code=64)
    run("key", "revoke", "jobs-1", code=64)
    run("key", "revoke", "--dir", keys / "none", "jobs-1", code=69)


def test_revoking_in_a_broken_folder_says_what_else_is_wrong(keys):
    identity = listed(keys)["jobs-2"]["key_id"]
    (keys / "broken.pwkey").write_text("nonsense\n")
    (keys / "broken.pwkey").chmod(0o600)
    done = run("key", "revoke", "--dir", keys, identity, code=78)
    assert "is revoked, by version 1" in done.stdout
    assert "broken.pwkey:1: not a line of a key file" in done.stderr
    assert identity in (keys / "revoked").read_text()


def test_a_good_folder_is_good_file_by_file(keys):
    run("key", "revoke", "--dir", keys, "jobs-2")
    (keys / "notes.txt").write_text("not a key")
    found = rows("key", "check", keys)
    assert [(row["file"], row["good"]) for row in found] == [
        ("jobs-1.pwkey", True), ("jobs-2.pwkey", True), ("revoked", True), ("trt.hex", True)]
    assert [row.get("status") for row in found] == ["active", "revoked", None, "active"]
    assert (found[0]["mode"], found[2]["version"], found[2]["revoked"]) == ("0600", 1, 1)
    lines = run("key", "check", keys).stdout.splitlines()
    assert re.fullmatch(r"jobs-1\.pwkey: good: jobs-1 [0-9a-f]{16} blake2b, sign, active, mode 0600", lines[0])
    assert re.fullmatch(r"jobs-2\.pwkey: good: .* revoked from 2020-01-31T00:00:00Z until .*, mode 0600", lines[1])
    assert lines[2] == "revoked: good: version 1, keys revoked: 1, mode 0644"
    assert re.fullmatch(r"trt\.hex: good: trt [0-9a-f]{16} hmac-sha256, for other programs, active, mode 0600",
                        lines[3])


def twin(keys):
    (keys / "z.pwkey").write_text((keys / "jobs-1.pwkey").read_text())


def twin_of_another_name(keys):
    (keys / "z.pwkey").write_text((keys / "jobs-1.pwkey").read_text().replace("id: jobs-1", "id: z"))


def over(keys):
    text = (keys / "jobs-1.pwkey").read_text()
    (keys / "z.pwkey").write_text(re.sub("status: active", "not_after: 2001-01-01T00:00:00Z", text))
    (keys / "jobs-1.pwkey").unlink()


@pytest.mark.parametrize("spoil, name, sentence", [
    (lambda keys: (keys / "z.pwkey").write_text(""), "z.pwkey", "z.pwkey:1: the file ends without a line"),
    (lambda keys: (keys / "z.hex").write_text("00"), "z.hex", "z.hex:1: not 64 hexadecimal digits"),
    (lambda keys: (keys / "revoked").write_text("x"), "revoked", "revoked:1: a list of revoked keys begins"),
    (lambda keys: (keys / "trt.hex").chmod(0o640), "trt.hex", "others may read it (mode 0640); run chmod 600"),
    (lambda keys: (keys / "z.pwkey").symlink_to("jobs-1.pwkey"), "z.pwkey", "a symbolic link"),
    (twin, "z.pwkey", "jobs-1.pwkey holds a key of this name already"),
    (twin_of_another_name, "z.pwkey", "jobs-1.pwkey holds this very key already"),
    (over, "z.pwkey", "it was good until 2001-01-01T00:00:00Z"),
])
def test_one_wrong_file_is_named_and_the_others_are_not(keys, spoil, name, sentence):
    if name == "trt.hex" and os.geteuid() == 0:
        os.chown(keys / name, 54321, 54321)
    spoil(keys)
    if (keys / name).is_file() and not (keys / name).is_symlink() and name[0] == "z":
        (keys / name).chmod(0o600)
    found = {row["file"]: row for row in rows("key", "check", keys, code=1)}
    assert [file for file, row in found.items() if not row["good"]] == [name]
    assert sentence in found[name]["error"]
    text = run("key", "check", keys, code=1).stdout
    assert f"\n{name}: wrong: " in "\n" + text and sentence in text
    assert "5a5a5a" not in text


def test_a_key_that_ends_soon_is_remarked_upon(keys):
    soon = subprocess.run(["date", "-u", "-d", "+10 days", "+%Y-%m-%dT%H:%M:%SZ"], capture_output=True, text=True,
                          check=True).stdout.strip()
    run("key", "new", "--suite", "blake2b", "--id", "soon", "--out", keys, "--not-after", soon)
    row = next(row for row in rows("key", "check", keys) if row["file"] == "soon.pwkey")
    assert row["remark"] in ("ends in 9 days", "ends in 10 days")
    assert "; it ends in " in run("key", "check", keys).stdout


def test_a_folder_that_is_not_there_has_an_exit_code_of_its_own(tmp_path):
    done = run("key", "check", tmp_path / "none", code=66)
    assert done.stderr.endswith("none: No such file or directory; name the key folder\n")
    run("key", "check", code=64)
    run("key", "check", tmp_path, tmp_path, code=64)
    assert run("key", "check", tmp_path).stdout == ""


def test_a_revoked_or_retired_key_neither_signs_nor_verifies(keys, tmp_path):
    message = tmp_path / "message"
    message.write_bytes(b"N.")

    def sign(code=0):
        return run("sign", "--keys", keys, "--key", "jobs-1", "--channel", "jobs", message, code=code)

    def verify(code):
        return run("verify", "--keys", keys, "--channel", "jobs", message, code=code).stdout

    sign()
    assert ": ok, signed with jobs-1" in verify(0)
    path = keys / "jobs-1.pwkey"
    good = path.read_text()
    for line, reason in [("status: retired", "sig.retired"), ("status: revoked", "sig.revoked"),
                         ("not_before: 2500-01-01T00:00:00Z", "sig.not_yet"),
                         ("not_after: 2001-01-01T00:00:00Z", "sig.key_expired")]:
        path.write_text(good.replace("status: active", line))
        assert f": {reason}: " in verify(1)
        sign(code=78)
    path.write_text(good.replace("status: active", "status: verify_only"))
    assert ": ok, signed with jobs-1" in verify(0)
    assert "this key is verify_only and does not sign" in sign(code=78).stderr
    path.write_text(good)
    run("key", "revoke", "--dir", keys, "jobs-1")
    assert ": sig.revoked: " in verify(1)
    assert pathlib.Path(f"{message}.pws").exists()
