# SPDX-License-Identifier: Apache-2.0
"""What `make install` lays down: all of it, in its places, and it works from there."""

import os
import pathlib
import subprocess

import pytest
from wall import BINARY, ROOT

BUILD = pathlib.Path(BINARY).resolve().parent
PLACES = [
    "bin/picklewall",
    "etc/logrotate.d/picklewall",
    "lib/systemd/system/picklewall.service",
    "lib/sysusers.d/picklewall.conf",
    "share/bash-completion/completions/picklewall",
    "share/zsh/site-functions/_picklewall",
    "share/doc/picklewall/README.md",
    "share/doc/picklewall/LICENSE",
    "share/man/man1/picklewall.1",
    "share/man/man5/picklewall.conf.5",
    "share/man/man5/picklewall-policy.5",
    "share/picklewall/picklewall.conf",
]


@pytest.fixture(name="prefix", scope="module")
def fixture_prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    subprocess.run(["cmake", "--install", BUILD], check=True, stdout=subprocess.DEVNULL, timeout=60,
                   env={**os.environ, "DESTDIR": str(folder)})
    return folder / "usr/local"


def test_everything_is_in_its_place(prefix):
    assert [place for place in PLACES if not (prefix / place).is_file()] == []
    shipped = {path.name for path in (ROOT / "config/policies").iterdir()}
    assert {path.name for path in (prefix / "share/picklewall/policies").iterdir()} == shipped


def test_the_unit_starts_the_program_that_was_installed(prefix):
    unit = (prefix / "lib/systemd/system/picklewall.service").read_text()
    assert "\nExecStart=/usr/local/bin/picklewall run\n" in unit and "@" not in unit.replace("@system-service", "").replace(
        "@privileged", "")


def test_the_installed_program_takes_the_installed_configuration(prefix, tmp_path):
    env = {**os.environ, "PICKLEWALL_STATE": str(tmp_path / "state"),
           "PICKLEWALL_POLICIES": str(prefix / "share/picklewall/policies")}
    done = subprocess.run([prefix / "bin/picklewall", "check-config", "--config",
                           prefix / "share/picklewall/picklewall.conf"], capture_output=True, text=True, timeout=30,
                          env=env)
    assert (done.returncode, done.stderr) == (0, "")
