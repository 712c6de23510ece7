#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""House rules that a compiler does not know: licences, banned calls, lengths, unique codes."""
import re

from sources import code_only, files, line_of, read, report

BANNED = {
    "strcpy": "use memcpy with the length at hand, or snprintf",
    "strncpy": "use memcpy with the length at hand, or snprintf",
    "strcat": "use snprintf or struct pw_buf",
    "strncat": "use snprintf or struct pw_buf",
    "sprintf": "use snprintf",
    "vsprintf": "use vsnprintf",
    "gets": "use getline",
    "alloca": "use an array of fixed size, or struct pw_buf",
    "atoi": "use strtol and look at errno",
    "system": "start nothing through a shell",
    "rand": "use randombytes_buf",
}
LONGEST_FUNCTION = 80

# What carries a licence line, and where: a #! line or an XML head may stand before it.
LICENSED = (".c", ".h", ".def", ".py", ".sh", ".cmake", "CMakeLists.txt", "Makefile",
            "Dockerfile", ".yaml", ".supp")


def without_licence(path, text):
    if text and "SPDX-License-Identifier: Apache-2.0" not in "".join(text.splitlines(True)[:3]):
        yield f"{path}:1: no licence line; start with SPDX-License-Identifier: Apache-2.0"


def banned_calls(path, text):
    code = code_only(text)
    for match in re.finditer(r"(?<![\w.>])(%s)[ \t]*\(" % "|".join(BANNED), code):
        name = match.group(1)
        yield f"{path}:{line_of(code, match.start())}: {name}() is banned; {BANNED[name]}"


def functions(text):
    """Name, first line and length of each function: the name is at column 0, so are the braces."""
    name, start = None, 0
    for number, line in enumerate(code_only(text).splitlines(), 1):
        called = re.match(r"(\w+)\(", line)
        if called:
            name, start = called.group(1), number
        elif line == "}" and name:
            yield name, start, number - start + 1
            name = None
        elif line.rstrip().endswith(";") and not line.startswith((" ", "\t")):
            name = None


def long_functions(path, text):
    for name, start, length in functions(text):
        if length > LONGEST_FUNCTION:
            yield (f"{path}:{start}: {name}() has {length} lines; split it, {LONGEST_FUNCTION} is "
                   "the most and 40 the rule")


def reason_rows(text):
    return re.findall(r'^PW_REASON\((\w+),\s*"([^"]*)"', text, re.M)


def reasons(text, manual):
    """Rows and codes of reason.def are unique, and the README's table knows every code."""
    rows = reason_rows(text)
    where = "common/base/reason.def"
    for column, what in ((0, "name"), (1, "code")):
        seen = [row[column] for row in rows]
        for value in sorted({value for value in seen if seen.count(value) > 1}):
            yield f"{where}: {what} {value!r} stands twice; give one of them another"
    for _, code in rows:
        if code and f"`{code}`" not in manual:
            yield f"README.md: no row for the reason `{code}`; say what it catches"
    known = {code for _, code in rows}
    for code in re.findall(r"\| `([a-z_]+\.[a-z_]+)` \|$", manual, re.M):
        if code not in known:
            yield f"README.md: `{code}` is no reason of {where}"


def main():
    problems = []
    for path in files(*LICENSED):
        problems += without_licence(path, read(path))
    for path in files(".c", ".h"):
        if not path.startswith("tests/"):
            problems += banned_calls(path, read(path))
        problems += long_functions(path, read(path))
    problems += reasons(read("common/base/reason.def"), read("README.md"))
    report(problems)


if __name__ == "__main__":
    main()
