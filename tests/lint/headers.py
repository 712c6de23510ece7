#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone: it includes what it uses."""
import concurrent.futures
import os
import subprocess

from sources import ROOT, files, report

COMPILER = os.environ.get("CC", "cc")
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", '-DPW_VERSION="lint"', "-Wall", "-Wextra", "-Werror",
         "-fsyntax-only", "-I", ROOT]


def compile_alone(header):
    """What the compiler says of a file that holds nothing but this include; empty when fine."""
    source = f'#include "{header}"\n'
    command = [COMPILER, *FLAGS, "-x", "c", "-"]
    result = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return []
    return [f"{header}:1: does not compile alone; include what it uses\n{result.stderr.rstrip()}"]


if __name__ == "__main__":
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(compile_alone, files(".h"))
    report([problem for problems in results for problem in problems])
