# SPDX-License-Identifier: Apache-2.0
"""The front door: help, versions, misspellings, exit codes."""
import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("PICKLEWALL_BIN", str(ROOT / "build/dev/picklewall"))
COMMANDS = re.findall(r'^PW_COMMAND\("([^"]*)"', (ROOT / "proxy/cli/commands.def").read_text(),
                      re.MULTILINE)


def run(*args):
    return subprocess.run([BIN, *args], capture_output=True, text=True, timeout=30)


def test_no_arguments_is_wrong_usage():
    done = run()
    assert (done.returncode, done.stdout) == (64, "")
    assert "usage: picklewall COMMAND" in done.stderr


@pytest.mark.parametrize("spelling", [["help"], ["--help"], ["-h"]])
def test_help_lists_every_command(spelling):
    done = run(*spelling)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("  ")[1].strip() for line in done.stdout.splitlines()
            if line.startswith("  ")] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    asked = run(*command.split(), "--help")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith(f"usage: picklewall {command} ")
    assert run("help", *command.split()).stdout == asked.stdout
    assert max(map(len, asked.stdout.splitlines())) <= 100


@pytest.mark.parametrize("args, sentence", [
    (["scna"], 'picklewall: "scna" is no command; did you mean "scan"?'),
    (["key", "neww"], 'picklewall: "key neww" is no command; did you mean "key new"?'),
    (["key"], 'picklewall: "key" needs one word more; picklewall help lists them'),
    (["frobnicate"], 'picklewall: "frobnicate" is no command; picklewall help lists them'),
    (["help", "scna"], 'picklewall help: "scna" is no command; did you mean "scan"?'),
    (["version", "--jsno"], "picklewall version: no option --jsno; did you mean --json?"),
    (["version", "-x"], "picklewall version: no option -x; picklewall version --help lists them"),
    (["version", "now"], 'picklewall version: takes no argument, but here is "now"'),
    (["check-config", "--config"], "picklewall check-config: --config needs a value behind it"),
    (["\x1b[31mred"], 'picklewall: "?[31mred" is no command; picklewall help lists them'),
])
def test_wrong_usage_names_the_remedy(args, sentence):
    done = run(*args)
    assert (done.returncode, done.stdout, done.stderr) == (64, "", sentence + "\n")


def test_versions_are_those_in_use():
    lines = dict(line.split() for line in run("--version").stdout.splitlines())
    assert list(lines) == ["picklewall", "libzmq", "czmq", "libsodium", "zlib", "libseccomp", "landlock-abi"]
    assert all(re.fullmatch(r"\d+(\.\d+)*", version) for version in lines.values())
    assert json.loads(run("version", "--json").stdout) == lines


def test_a_full_disk_is_no_success():
    with open("/dev/full", "w") as full:
        done = subprocess.run([BIN, "help"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=30)
    assert done.returncode == 74
    assert done.stderr == "picklewall: standard output: No space left on device\n"
