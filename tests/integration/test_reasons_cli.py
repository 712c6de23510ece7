# SPDX-License-Identifier: Apache-2.0
"""`picklewall reasons`: what the codes of refusals mean."""
import json
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("PICKLEWALL_BIN", str(ROOT / "build/dev/picklewall"))
CODES = re.findall(r'^PW_REASON\(\w+,\s*"([^"]+)"', (ROOT / "common/base/reason.def").read_text(),
                   re.MULTILINE)


def reasons(*args):
    return subprocess.run([BIN, "reasons", *args], capture_output=True, text=True, timeout=30,
                          check=False)


def test_the_list_has_every_code_in_the_order_of_the_table():
    done = reasons()
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == CODES


def test_a_code_is_explained():
    done = reasons("sig.bad")
    assert done.returncode == 0
    assert re.fullmatch(r"sig\.bad +critical  the signature .*\n    means   .+\n    cause   .+\n"
                        r"    remedy  .+\n", done.stdout)
    assert 'door    "trailing = yes" in a policy' in reasons("pickle.trailing").stdout


def test_a_beginning_means_all_that_begin_so():
    signed = [code for code in CODES if code.startswith("sig.")]
    said = [json.loads(line) for line in reasons("--json", "sig.").stdout.splitlines()]
    assert [row["code"] for row in said] == signed
    assert all(row["means"] and row["cause"] and row["remedy"] for row in said)


def test_what_is_no_code_is_told():
    done = reasons("nope")
    assert (done.returncode, done.stdout) == (64, "")
    assert 'no reason begins with "nope"' in done.stderr
    assert reasons("sig.bad", "sig.replay").returncode == 64


def test_the_reference_has_a_chapter_for_each():
    text = (ROOT / "common/base/REASONS.md").read_text()
    assert re.findall(r"^## (\S+)$", text, re.MULTILINE) == CODES
