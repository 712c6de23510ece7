#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each floor of the house includes only floors below it, and only the libraries it may use."""
import os
import re

from sources import ROOT, files, line_of, read, report

# Lowest first. Floors in one row do not see each other. The longest matching prefix decides.
STAIR = [
    {"common/base/"},
    {"common/pickle/", "common/sign/"},
    {"common/policy/"},
    {"common/audit/", "common/quarantine/"},
    {"common/settings/"},
    {"proxy/pipeline"},
    {"proxy/"},
    {"tests/"},
]

PLAIN = {
    "assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646", "limits",
    "locale", "math", "setjmp", "signal", "stdalign", "stdarg", "stdatomic", "stdbool", "stddef",
    "stdint", "stdio", "stdlib", "stdnoreturn", "string", "strings", "tgmath", "threads", "time",
    "uchar", "wchar", "wctype",
}
LIBRARY = {
    "zmq.h": "zmq", "czmq.h": "czmq", "sodium.h": "sodium", "zlib.h": "zlib",
    "lzma.h": "lzma", "bzlib.h": "bzip2", "jansson.h": "jansson", "cmocka.h": "cmocka", "microhttpd.h": "microhttpd",
    "seccomp.h": "seccomp",
}

# What a floor may use from outside besides the C library.
MAY_LINK = {
    "common/base/": set(),
    "common/pickle/": {"zlib", "lzma", "bzip2"},
    "common/sign/": {"sodium"},
    "common/policy/": set(),
    "common/audit/": {"sodium"},
    "common/quarantine/": {"sodium"},
    "common/settings/": {"czmq"},
    "proxy/pipeline": set(),
}

# The scanner and the judgement are pure functions of bytes: no files, no clock, no threads.
PURE = {"common/pickle/", "common/policy/", "proxy/pipeline"}
IMPURE = {"stdio.h", "time.h", "signal.h", "threads.h", "locale.h", "setjmp.h"}
# These two put sentences together (snprintf); the scanner has none.
FORMATTING = {"common/policy/", "proxy/pipeline"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)', re.M)


def floor_of(path):
    """The row in the stair and the prefix, or None for what stands outside the house."""
    best = None
    for height, prefixes in enumerate(STAIR):
        for prefix in prefixes:
            if path.startswith(prefix) and (best is None or len(prefix) > len(best[1])):
                best = (height, prefix)
    return best


def wrong_inside(path, included):
    """Why `path` may not include our own header `included`; None when it may."""
    if not os.path.exists(os.path.join(ROOT, included)):
        return "no such file from the root; write the path from the root"
    here, there = floor_of(path), floor_of(included)
    if here is None or there is None or here[1] == there[1]:
        return None
    if there[0] < here[0]:
        return None
    if there[0] == here[0]:
        return f"{here[1]} and {there[1]} share a floor and do not see each other"
    return f"{there[1]} is above {here[1]}; move what is needed down, or the caller up"


def wrong_outside(path, header):
    """Why `path` may not include the system header `header`; None when it may."""
    here = floor_of(path)
    if here is None or here[1] not in MAY_LINK:
        return None
    library = LIBRARY.get(header)
    if library is not None and library not in MAY_LINK[here[1]]:
        return f"{here[1]} does not use {library}"
    if here[1] not in PURE or library is not None:
        return None
    if here[1] in FORMATTING and header == "stdio.h":
        return None
    if header.removesuffix(".h") not in PLAIN or header in IMPURE:
        return f"{here[1]} is a pure function of bytes; leave files, clocks and threads to callers"
    return None


def violations(path, text):
    for match in INCLUDE.finditer(text):
        ours, outside = match.groups()
        why = wrong_inside(path, ours) if ours else wrong_outside(path, outside)
        if why:
            yield f"{path}:{line_of(text, match.start())}: {ours or outside}: {why}"


if __name__ == "__main__":
    report([wrong for path in files(".c", ".h", ".def") for wrong in violations(path, read(path))])
