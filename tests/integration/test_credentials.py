# SPDX-License-Identifier: Apache-2.0
"""Keys that systemd hands to a unit (LoadCredential=), laid out here as systemd.exec(5) says."""

import os
import pathlib
import pickle
import shutil
import struct
import subprocess
import tempfile

import pytest
import zmq
from wall import BINARY, ROOT, Wall, channel, tcp

NOBODY = 65534
SECRET = "PWSK1AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyBMsbDq"


@pytest.fixture(name="folder")
def fixture_folder():
    """What stands for /run/credentials/wall.service, where another user gets at it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pw-credentials-"))
    folder.chmod(0o755)
    made = [BINARY, "key", "new", "--suite", "blake2b", "--id", "jobs", "--out", str(folder / "wall.service")]
    subprocess.run(made, check=True, capture_output=True, timeout=30)
    yield folder
    shutil.rmtree(folder)


def seal(path, uid=-1):
    """Readable for the unit's user alone; nothing can be created there."""
    for file in path.iterdir():
        file.chmod(0o400)
        os.chown(file, uid, uid)
    path.chmod(0o500)
    os.chown(path, uid, uid)


def config(folder, keys="${CREDENTIALS_DIRECTORY}"):
    wall = Wall(folder / "wall", channel("jobs", in_bind=[tcp()], out_bind=[tcp()], sign="jobs"), keys=keys)
    (folder / "wall").chmod(0o777)
    return wall.config


def check(path, code, user=None, **environment):
    environment = {"PATH": "/usr/bin:/bin", "PICKLEWALL_POLICIES": str(ROOT / "config/policies"), **environment}
    user = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
    done = subprocess.run([BINARY, "check-config", "--config", str(path)], capture_output=True, text=True, timeout=30,
                          env=environment, **user)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr


def test_a_wall_signs_with_a_key_from_its_credentials(tmp_path, folder, sockets, monkeypatch):
    seal(folder / "wall.service")
    source, target = tcp(), tcp()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder / "wall.service"))
    with Wall(tmp_path / "wall", channel("jobs", in_bind=[source], out_bind=[target], sign="jobs"),
              keys="${CREDENTIALS_DIRECTORY}"):
        producer, consumer = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        producer.send(pickle.dumps(7))
        assert consumer.recv()[-72:][:4] == b"PWS1"


def test_a_unit_without_credentials_is_told_what_it_lacks(folder):
    path = config(folder)
    assert f"{path}:3: keys: CREDENTIALS_DIRECTORY names no folder; give the systemd unit LoadCredential=" \
        in check(path, 78)
    check(path, 0, CREDENTIALS_DIRECTORY=str(folder / "wall.service"))
    check(config(folder, "${CREDENTIALS_DIRECTORY}/none"), 78, CREDENTIALS_DIRECTORY=str(folder / "wall.service"))
    assert "only a leading ${CREDENTIALS_DIRECTORY} is known" in check(config(folder, "${HOME}/keys"), 78, HOME="/root")


def acl_for(uid):
    """Owner and this user read, nobody else: the bytes of system.posix_acl_access (linux/posix_acl_xattr.h)."""
    entries = [(0x01, 4, 0xFFFFFFFF), (0x02, 4, uid), (0x04, 0, 0xFFFFFFFF), (0x10, 4, 0xFFFFFFFF),
               (0x20, 0, 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.parametrize("way", ["given to the user", "kept by root, with an ACL"])
def test_the_user_of_a_unit_reads_its_credentials(folder, way):
    if os.geteuid() != 0:
        pytest.skip("only root can hand files to another user")
    credentials = folder / "wall.service"
    path = config(folder)
    if way == "given to the user":
        seal(credentials, NOBODY)
    else:
        seal(credentials)
        credentials.chmod(0o555)
        try:
            os.setxattr(credentials / "jobs.pwkey", "system.posix_acl_access", acl_for(NOBODY))
        except OSError as error:
            pytest.skip(f"no access control lists on the file system of {folder}: {error.strerror}")
        assert (credentials / "jobs.pwkey").stat().st_mode & 0o777 == 0o440
    check(path, 0, user=NOBODY, CREDENTIALS_DIRECTORY=str(credentials))
    denied = check(path, 78, user=NOBODY - 1, CREDENTIALS_DIRECTORY=str(credentials))
    assert "Permission denied" in denied


@pytest.mark.parametrize("name", ["PICKLEWALL_KEYS", "PICKLEWALL_KEY", "PICKLEWALL_STATE", "PICKLEWALL_SIGN"])
@pytest.mark.parametrize("value", [SECRET, "5a" * 32])
def test_a_key_in_the_environment_is_never_taken_nor_shown(folder, name, value):
    words = check(config(folder, folder / "wall.service"), 78, **{name: value})
    assert words.startswith(f"environment: {name}: ") and value[8:] not in words
