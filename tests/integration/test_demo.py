# SPDX-License-Identifier: Apache-2.0
"""The demo shows what it says, with the wall and without."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("PICKLEWALL_BIN") or ROOT / "build" / "dev" / "picklewall"


@pytest.mark.parametrize("options", [[], ["--no-wall"]], ids=["wall", "no wall"])
def test_the_demo_shows_what_it_says(options):
    command = [sys.executable, str(ROOT / "tests" / "demo" / "demo.py"), "--binary", str(BINARY)]
    result = subprocess.run(command + options, timeout=60, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "  NO   " not in result.stdout
