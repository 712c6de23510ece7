# SPDX-License-Identifier: Apache-2.0
"""What the shells complete is what the program knows: every command, and every option of each."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from wall import BINARY, ROOT

BASH = ROOT / "config/completion/picklewall.bash"
ROWS = re.findall(r'^PW_COMMAND\("([^"]*)".*?(?=^PW_COMMAND|\Z)', (ROOT / "proxy/cli/commands.def").read_text(),
                  re.MULTILINE | re.DOTALL)


def helped(command):
    text = subprocess.run([BINARY, *command.split(), "--help"], capture_output=True, text=True, timeout=30,
                          check=True).stdout
    return set(re.findall(r"--[a-z][a-z-]+", text))


def completed(*words):
    """What bash offers behind these words, the last of which is being written."""
    script = f"""
        source {BASH}
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _picklewall
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script, "bash", BINARY, *words], capture_output=True, text=True, timeout=30)
    return {line for line in done.stdout.split("\n") if line}


def test_the_first_words_are_those_of_the_commands():
    assert completed("") == {row.split()[0] for row in ROWS}
    assert completed("qu") == {"quarantine"}
    for first in {row.split()[0] for row in ROWS if " " in row}:
        assert completed(first, "") == {row.split()[1] for row in ROWS if row.startswith(f"{first} ")}


def test_the_options_of_each_command_are_completed():
    for row in ROWS:
        assert completed(*row.split(), "-") == helped(row), row


def test_values_that_are_known_are_offered():
    os.environ["PICKLEWALL_POLICIES"] = str(ROOT / "config/policies")
    assert "python-data" in completed("scan", "--policy", "")
    assert completed("key", "new", "--suite", "ed25519-") == {"ed25519-batch"}


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_zsh_offers_the_same(tmp_path):
    """A zsh whose completion builtins only print what they are given."""
    for words in ([""], ["quarantine", ""], ["scan", "-"], ["audit", "tail", "-"]):
        script = f"""
            _describe() {{ print -l -- "${{(@)found%%:*}}" }}
            compadd() {{ shift; print -l -- "$@" }}
            words=({BINARY} "$@") CURRENT=$(($# + 1))
            fpath=({ROOT}/config/completion $fpath); autoload -Uz _picklewall; _picklewall
        """
        done = subprocess.run(["zsh", "-fc", script, "zsh", *words], capture_output=True, text=True, timeout=30,
                              cwd=tmp_path)
        assert {line for line in done.stdout.splitlines() if line} == completed(*words), (words, done.stderr)


def test_the_files_stand_where_shells_look():
    names = {pathlib.Path(path).name for path in (ROOT / "config/completion").iterdir()}
    assert names == {"picklewall.bash", "_picklewall"}
