# SPDX-License-Identifier: Apache-2.0
"""The files of the house, and C text without its comments and strings."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = {".git", "build", "corpus", "data", "__pycache__", ".pytest_cache"}


def files(*endings, under="."):
    """Paths relative to the root, in byte order, whose names end so."""
    found = []
    for folder, folders, names in os.walk(os.path.join(ROOT, under)):
        folders[:] = [name for name in folders if name not in SKIPPED]
        found += [os.path.join(folder, name) for name in names if name.endswith(endings)]
    return sorted(os.path.relpath(path, ROOT) for path in found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def code_only(text):
    """Comments and literals blanked out; line numbers stay."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda match: re.sub(r"[^\n]", " ", match.group()), text, flags=re.S)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def report(problems):
    """Print what is wrong, one line each; the exit code says whether anything was."""
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
