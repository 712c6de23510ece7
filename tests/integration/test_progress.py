# SPDX-License-Identifier: Apache-2.0
"""The progress of `picklewall scan` on a terminal, and its absence everywhere else."""
import fcntl
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import termios
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("PICKLEWALL_BIN", str(ROOT / "build/dev/picklewall"))
BAR = re.compile(rb"\r\[([# ]{20})\] (\d+) of 4 files, \S+ \S+, \S+ \S+/s, (\d) refused\x1b\[K")
CLEAR = b"\r\x1b[K"


@pytest.fixture
def slow(tmp_path):
    """Four files, the second a pipe that nobody writes to yet."""
    for name, data in (("a.pkl", b"N."), ("c.pkl", b"cos\nsystem\n."), ("d.pkl", b"N.")):
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "b.pkl")
    return [str(tmp_path / name) for name in ("a.pkl", "b.pkl", "c.pkl", "d.pkl")]


def scan(paths, *options, columns=120, stdout=subprocess.DEVNULL, **environment):
    """What a terminal sees of a scan that takes more than a second, and the exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
    clean = {key: value for key, value in os.environ.items()
             if key not in ("CI", "NO_COLOR", "TERM")}
    process = subprocess.Popen([BIN, "scan", *options, *paths], stdin=subprocess.DEVNULL,
                               stdout=theirs if stdout is None else stdout, stderr=theirs,
                               env={**clean, "TERM": "xterm", **environment})
    os.close(theirs)
    seen = b""
    try:
        with open(paths[1], "wb") as pipe:  # when the scan has come to it
            time.sleep(1.3)
            pipe.write(b"N.")
        while select.select([ours], [], [], 30)[0]:
            seen += os.read(ours, 65536)
    except OSError:
        pass  # the other end is closed
    try:
        return seen, process.wait(30)
    finally:
        process.kill()
        os.close(ours)


def test_long_work_shows_how_far_it_has_come_and_leaves_nothing(slow):
    seen, code = scan(slow)
    assert code == 1
    bars = BAR.findall(seen)
    assert bars[0] == (b"#" * 10 + b" " * 10, b"2", b"0")
    assert seen.endswith(CLEAR)
    assert BAR.sub(b"", seen) == CLEAR


def test_results_on_the_same_terminal_stand_on_lines_of_their_own(slow):
    seen, _ = scan(slow, stdout=None)
    text = BAR.sub(b"", seen).replace(CLEAR, b"").decode()
    assert [line.rsplit("/")[-1][:12] for line in text.splitlines() if line.startswith("/")] == [
        "a.pkl: pass ", "b.pkl: pass ", "c.pkl: refus", "d.pkl: pass "]
    assert BAR.search(seen)


def test_an_error_stands_on_a_line_of_its_own(slow):
    seen, code = scan([*slow[:3], slow[3] + "x"])
    assert code == 66
    assert CLEAR + b"picklewall: " + slow[3].encode() + b"x: no such file" in seen


def test_a_narrow_terminal_is_not_wrapped(slow):
    seen, _ = scan(slow, columns=30)
    drawn = re.findall(rb"\r([^\r]*?)\x1b\[K", seen)
    assert any(drawn) and all(len(line) < 30 for line in drawn)


@pytest.mark.parametrize("options, environment", [
    (["--no-progress"], {}), ([], {"CI": "true"}), ([], {"TERM": "dumb"})])
def test_no_bar_where_none_is_wanted(slow, options, environment):
    assert scan(slow, *options, **environment) == (b"", 1)


def test_short_work_shows_none(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"N.")
    ours, theirs = pty.openpty()
    done = subprocess.run([BIN, "scan", tmp_path], stdout=subprocess.DEVNULL, stderr=theirs,
                          env={**os.environ, "TERM": "xterm"}, timeout=30)
    os.close(theirs)
    assert done.returncode == 0
    with pytest.raises(OSError):
        os.read(ours, 100)
    os.close(ours)


def test_no_terminal_gets_none(slow):
    process = subprocess.Popen([BIN, "scan", *slow], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    time.sleep(1.2)
    with open(slow[1], "wb") as pipe:
        pipe.write(b"N.")
    assert process.communicate(timeout=30)[1] == b""
