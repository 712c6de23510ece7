# SPDX-License-Identifier: Apache-2.0
"""check-config: silence when all is well, otherwise one sentence with the place and the remedy."""
import json
import os
import pathlib
import pty
import shutil
import stat
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("PICKLEWALL_BIN", str(ROOT / "build/dev/picklewall"))
BROKEN = ROOT / "tests/data/broken"

CHANNEL = """
channel
    jobs
        in
            bind = "tcp://127.0.0.1:8006"
        out
            bind = "tcp://127.0.0.1:8007"
        policy = "python-data"
"""


def run(*args, cwd=None, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PICKLEWALL_")}
    clean.setdefault("PATH", "/usr/bin:/bin")
    clean["PICKLEWALL_POLICIES"] = str(ROOT / "config/policies")
    clean.update(env)
    return subprocess.run([BIN, *args], cwd=cwd, env=clean, capture_output=True, text=True,
                          timeout=30)


def check(path, **env):
    return run("check-config", "--config", path.name, cwd=path.parent, **env)


def wrong(path, sentence, **env):
    done = check(path, **env)
    assert (done.returncode, done.stdout, done.stderr) == (78, "", sentence + "\n")


@pytest.fixture
def config(tmp_path):
    def write(text, name="wall.conf"):
        path = tmp_path / name
        path.write_text(f'state = "{tmp_path}/state"\n' + text)
        return path
    return write


@pytest.mark.parametrize("path", sorted(BROKEN.glob("*.conf")), ids=lambda path: path.stem)
def test_a_broken_configuration_gets_one_sentence(path):
    line, remedy = path.with_suffix(".expected").read_text().splitlines()
    done = check(path, PICKLEWALL_POLICIES="../../../config/policies")
    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr == line + "\n"
    assert line.startswith(path.name + ":")
    assert line.endswith(remedy)


def test_there_are_enough_broken_configurations():
    assert len(list(BROKEN.glob("*.conf"))) >= 30


def test_the_shipped_configuration_is_good(tmp_path):
    done = run("check-config", "--config", str(ROOT / "config/picklewall.conf"),
               PICKLEWALL_STATE=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_shipped_policies_are_found_beside_the_configuration(tmp_path):
    done = run("check-config", "--config", str(ROOT / "config/picklewall.conf"),
               PICKLEWALL_STATE=str(tmp_path), PICKLEWALL_POLICIES="")
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_created(config, tmp_path):
    path = config(CHANNEL)
    assert check(path).returncode == 0
    assert [p.name for p in tmp_path.iterdir()] == ["wall.conf"]


def test_a_terminal_is_told_that_all_is_well(config):
    path = config(CHANNEL)
    master, slave = pty.openpty()
    subprocess.run([BIN, "check-config", "--config", str(path)], stdout=slave, check=True,
                   env={"PICKLEWALL_POLICIES": str(ROOT / "config/policies")}, timeout=30)
    os.close(slave)
    assert os.read(master, 1000).decode().startswith(
        "wall.conf: good: 1 channel, policy python-data (76 names)")
    os.close(master)


def test_json_is_one_object_either_way(config):
    good = run("check-config", "--json", "--config", str(config(CHANNEL)))
    assert good.returncode == 0
    assert json.loads(good.stdout)["channels"] == [
        {"name": "jobs", "policy": "python-data", "names": 76}]
    bad = run("check-config", "--json", "--config", str(config(CHANNEL + "x = 1\n")))
    assert bad.returncode == 78
    assert json.loads(bad.stdout)["good"] is False
    assert ":10: x: no such setting" in json.loads(bad.stdout)["error"]


def test_an_entry_that_leaves_harm_open_is_warned_about(config):
    path = config(CHANNEL + 'policy\n    mine\n        allow = "myapp:Job"\n'
                  '        allow = "os:system"\n        allow = "os:getpid call()"\n')
    warning = ('wall.conf:13: policy.mine.allow: warning: "os:system" runs a program; remove it, or '
               "pin its arguments to names and texts, as in call(str,'latin1')")
    done = check(path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", warning + "\n")
    done = run("check-config", "--json", "--config", path.name, cwd=path.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["warnings"] == [warning]


def test_a_policy_file_is_warned_about_under_its_own_name(config, tmp_path):
    folder = tmp_path / "policies"
    shutil.copytree(ROOT / "config/policies", folder)
    (folder / "mine.conf").write_text('policy\n    mine\n        allow = "builtins:eval ref"\n')
    done = check(config(CHANNEL), PICKLEWALL_POLICIES="policies")
    assert done.returncode == 0
    assert done.stderr.startswith(
        'policies/mine.conf:3: policy.mine.allow: warning: "builtins:eval ref" runs code; ')


def test_a_missing_file_is_named():
    done = run("check-config", "--config", "/nonexistent/wall.conf")
    assert done.returncode == 78
    assert done.stderr == ("/nonexistent/wall.conf: no such file; name one with --config FILE "
                           "or PICKLEWALL_CONFIG\n")


def test_a_folder_is_no_configuration(tmp_path):
    done = run("check-config", "--config", str(tmp_path))
    assert done.returncode == 78
    assert "make it a file that this user may read" in done.stderr


def test_the_environment_names_the_file(config):
    done = run("check-config", PICKLEWALL_CONFIG=str(config(CHANNEL)))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name, value, sentence", [
    ("PICKLEWALL_STAET", "/tmp", "no such setting; did you mean PICKLEWALL_STATE?"),
    ("PICKLEWALL_SECRET", "x", "no such setting; unset it, or put it into the file"),
    ("PICKLEWALL_DRAIN_TIMEOUT", "soon", '"soon" is not a duration; write 500ms, 10s, 2m, 12h or 30d'),
    ("PICKLEWALL_STATE", "", "is empty; name a path, or leave the line out"),
    ("PICKLEWALL_STATE", "/dev/null", "/dev/null is no folder; name one, or move it away"),
])
def test_a_wrong_variable_is_named(config, name, value, sentence):
    wrong(config(CHANNEL), f"environment: {name}: {sentence}", **{name: value})


@pytest.mark.parametrize("name", ["PICKLEWALL_SERVICE_HOST", "PICKLEWALL_PORT_8006_TCP"])
def test_what_kubernetes_adds_is_left_alone(config, name):
    assert check(config(CHANNEL), **{name: "tcp://10.0.0.1:8006"}).returncode == 0


# -- Keys ------------------------------------------------------------------------------------

@pytest.fixture
def keys(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)

    def new(name, *args):
        done = run("key", "new", "--suite", "ed25519", "--id", name, "--out", str(folder), *args)
        assert done.returncode == 0, done.stderr
        return folder / f"{name}.pwkey"
    return new


KEYS = 'keys = "keys"\n' + CHANNEL


def test_a_channel_that_signs_needs_its_key(config, keys, tmp_path):
    keys("wall-1")
    assert check(config(KEYS + '        sign = "wall-1"\n')).returncode == 0
    wrong(config(KEYS + '        sign = "wall-2"\n'),
          'wall.conf:11: channel.jobs.sign: wall-2: no key of this name in the key folder; '
          'picklewall key list shows what is there')


def test_a_pattern_stands_for_the_one_key_that_is_active(config, keys, tmp_path):
    first, second = keys("wall-1"), keys("wall-2")
    path = config(KEYS + '        sign = "wall-*"\n')
    wrong(path, 'wall.conf:11: channel.jobs.sign: wall-*: 2 keys of this pattern are active '
          '(wall-1, wall-2); leave one, and make the others "status: verify_only", as picklewall '
          'key rotate does')
    first.write_text(first.read_text().replace("status: active", "status: verify_only"))
    assert check(path).returncode == 0
    second.write_text(second.read_text().replace("status: active", "status: retired"))
    wrong(path, 'wall.conf:11: channel.jobs.sign: wall-*: no key of this pattern is active '
          '(wall-1, wall-2); make one of them "status: active", as picklewall key rotate does')
    wrong(config(KEYS + '        sign = "wall-[12]"\n'),
          'wall.conf:11: channel.jobs.sign: "wall-[12]" is no name of a key; use up to 64 letters, '
          'digits, . _ - and no dot in front, or a pattern for names with * and ?')


@pytest.mark.parametrize("lines, sentence", [
    ("status: retired", "wall-1: this key is retired and does not sign; sign with an active one"),
    ("status: revoked", "wall-1: this key is revoked and does not sign; sign with an active one"),
    ("not_after: 2001-01-01T00:00:00Z", "wall-1: this key was good until 2001-01-01T00:00:00Z; "
     "make another with picklewall key rotate"),
    ("not_before: 2550-01-01T00:00:00Z", "wall-1: this key is not good before "
     "2550-01-01T00:00:00Z; sign with another until then"),
])
def test_a_key_that_may_not_sign_now_is_named(config, keys, lines, sentence):
    path = keys("wall-1")
    path.write_text(path.read_text().replace("status: active", lines))
    wrong(config(KEYS + '        sign = "wall-1"\n'),
          "wall.conf:11: channel.jobs.sign: " + sentence)


def test_a_bare_key_signs_only_for_other_programs(config, tmp_path):
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys/trt.hex").write_text("01" * 32 + "\n")
    (tmp_path / "keys/trt.hex").chmod(0o600)
    wrong(config(KEYS + '        sign = "trt"\n'),
          "wall.conf:11: channel.jobs.sign: trt: this key is for the envelopes of other programs; "
          "make one with picklewall key new")
    wrong(config(KEYS + '        verify = "required"\n'),
          f"wall.conf:11: channel.jobs.verify: no key in {tmp_path}/keys is for this channel, so "
          "no message would pass; put the senders' keys there")
    path = config(KEYS + '        sign = "trt"\n        envelope = "suffix"\n')
    assert check(path).stderr == ""


def test_a_key_must_be_for_its_channel(config, keys):
    keys("wall-1", "--channel", "other*")
    wrong(config(KEYS + '        sign = "wall-1"\n'),
          'wall.conf:11: channel.jobs.sign: wall-1: this key is for channels "other*", not for '
          '"jobs"; use another key or change its channel: line')


def test_a_verifying_key_cannot_sign(config, keys, tmp_path):
    secret = keys("wall-1")
    (tmp_path / "public").mkdir(mode=0o700)
    done = run("key", "public", "--out", str(tmp_path / "public"), str(secret))
    assert done.returncode == 0, done.stderr
    path = config(KEYS.replace('"keys"', '"public"') + '        sign = "wall-1"\n')
    done = check(path)
    assert done.returncode == 78
    assert 'channel.jobs.sign: wall-1: this key only verifies; sign with' in done.stderr


def test_required_signatures_need_a_key_that_could_have_made_them(config, tmp_path):
    (tmp_path / "keys").mkdir(mode=0o700)
    wrong(config(KEYS + '        verify = "required"\n'),
          f"wall.conf:11: channel.jobs.verify: no key in {tmp_path}/keys is for this channel, so "
          f"no message would pass; put the senders' keys there")


def test_a_key_that_others_can_read_stops_everything(config, keys):
    keys("wall-1").chmod(stat.S_IRUSR | stat.S_IROTH)
    done = check(config(KEYS))
    assert done.returncode == 78
    assert done.stderr.startswith("wall.conf:2: keys: ")
    assert "chmod" in done.stderr


# -- Policy files ------------------------------------------------------------------------------

@pytest.mark.parametrize("name, text, sentence", [
    ("mine", "policy\n    mine\n        allow = \"a\"\n",
     "policies/mine.conf:3: policy.mine.allow: "),
    ("mine", "policy\n    other\n        allow = \"a:b\"\n",
     "policies/mine.conf:2: policy.other: stands in a file of another name; "),
    ("mine", "state = \"/tmp\"\n", "policies/mine.conf:1: state: does not belong in a policy file"),
    ("mine", "# nothing\n", "policies/mine.conf: defines no policy; add the section policy.mine"),
    ("mine", "policy\n  mine\n", "policies/mine.conf:2: mine: indented by 2 spaces"),
    ("python-data", "policy\n    python-data\n        include = \"gone\"\n",
     "policies/python-data.conf:3: policy.python-data.include: no policy \"gone\""),
])
def test_a_broken_policy_file_names_itself(config, tmp_path, name, text, sentence):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / f"{name}.conf").write_text(text)
    done = check(config(CHANNEL.replace("python-data", name)), PICKLEWALL_POLICIES="policies")
    assert done.returncode == 78
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
