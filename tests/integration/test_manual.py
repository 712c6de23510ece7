# SPDX-License-Identifier: Apache-2.0
"""The man pages name every command, option and setting there is, and none that is not."""

import re
import subprocess

import pytest
from wall import BINARY, ROOT

MAN = ROOT / "proxy/man"
COMMANDS = re.findall(r'^PW_COMMAND\("([^"]*)"', (ROOT / "proxy/cli/commands.def").read_text(), re.MULTILINE)
SETTINGS = re.findall(r'^PW_SETTING\("([^"]*)"', (ROOT / "common/settings/settings.def").read_text(), re.MULTILINE)


def page(name):
    """The text as it is read, without the formatting."""
    return subprocess.run(["mandoc", "-T", "utf8", "-O", "width=200", MAN / name], capture_output=True, text=True,
                          timeout=30, check=True).stdout


def plain(text):
    return re.sub(".\b", "", text)  # bold and underlined are struck twice


SOURCE = (MAN / "picklewall.1").read_text()


def synopsis():
    """The lines of each command in the synopsis, by its name."""
    text = SOURCE.split(".Sh SYNOPSIS")[1].split(".Sh ")[0]
    parts = [part.strip().partition("\n") for part in text.split(".Nm\n")]
    return {head.removeprefix(".Cm "): body for head, _, body in parts if head}


@pytest.fixture(name="commands", scope="module")
def fixture_commands():
    """What the list says of each command, by its name."""
    found = {}
    for part in re.split(r"^\.It Cm ", SOURCE.split(".Sh ENVIRONMENT")[0], flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        for name in head.split(" , Cm "):
            found[name.strip()] = body
    return found


def options(text):
    """Of a help: its own, not those of another command that its words speak of."""
    own = [line for line in text.splitlines() if line.startswith(("usage: ", "  -"))]
    return set(re.findall(r"--[a-z][a-z-]+", "\n".join(own)))


def written(text):
    """The options of mdoc's source: ".Fl -json", "Fl -live | -startup"."""
    return {f"-{option}" for line in text.splitlines() if line.startswith(".") and "Fl" in line
            for option in re.findall(r"(?<=[ ])-[a-z][a-z-]+", line)}


def test_every_command_has_its_paragraph_and_its_synopsis_and_no_other(commands):
    assert sorted(commands) == sorted(COMMANDS)
    assert sorted(synopsis()) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_told_of_its_command(name, commands):
    text = subprocess.run([BINARY, "help", *name.split()], capture_output=True, text=True, timeout=30, check=True).stdout
    missing = options(text) - {"--help"} - written(commands[name]) - written(synopsis()[name])
    assert not missing, f"{name}: {sorted(missing)} are not in picklewall.1"


def test_no_option_is_told_that_there_is_not(commands):
    known = {option for name in COMMANDS for option in options(
        subprocess.run([BINARY, "help", *name.split()], capture_output=True, text=True, timeout=30, check=True).stdout)}
    told = {option for body in [*commands.values(), *synopsis().values()] for option in written(body)}
    assert told <= known | {"--help"}


def test_every_setting_is_explained():
    text = plain(page("picklewall.conf.5")) + plain(page("picklewall-policy.5"))
    words = set(re.findall(r"[a-z_]+(?:\.[a-z_]+)*", text))
    missing = [path for path in SETTINGS if path not in words and path.split(".")[-1] not in words]
    assert not missing, missing
