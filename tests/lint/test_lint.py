# SPDX-License-Identifier: Apache-2.0
"""The lint itself: each rule refuses what it is there to refuse."""
import pytest

import constant_time
import floors
import house


@pytest.mark.parametrize("path, include, wrong", [
    ("common/pickle/a.c", '"common/base/buf.h"', None),
    ("common/pickle/a.c", '"common/sign/key.h"', "share a floor"),
    ("common/sign/a.c", '"common/pickle/scan.h"', "share a floor"),
    ("common/policy/a.c", '"common/sign/sign.h"', None),
    ("common/base/a.c", '"common/pickle/scan.h"', "is above"),
    ("common/audit/a.c", '"common/quarantine/store.h"', "share a floor"),
    ("proxy/pipeline.c", '"proxy/port.h"', "is above"),
    ("proxy/relay.c", '"proxy/pipeline.h"', None),
    ("proxy/relay.c", '"pipeline.h"', "from the root"),
    ("common/pickle/a.c", "<zmq.h>", "does not use zmq"),
    ("common/pickle/a.c", "<zlib.h>", None),
    ("common/pickle/a.c", "<string.h>", None),
    ("common/pickle/a.c", "<time.h>", "pure function"),
    ("common/pickle/a.c", "<fcntl.h>", "pure function"),
    ("common/policy/a.c", "<sodium.h>", "does not use sodium"),
    ("common/sign/a.c", "<sodium.h>", None),
    ("proxy/relay.c", "<zmq.h>", None),
])
def test_floors_refuses_what_climbs_the_stair(path, include, wrong):
    problems = list(floors.violations(path, f"#include {include}\n"))
    assert (wrong is None) == (problems == [])
    assert wrong is None or wrong in problems[0]


@pytest.mark.parametrize("line, count", [
    ("strcpy(a, b);", 1),
    ("n = sprintf (a, b);", 1),
    ("snprintf(a, n, b);", 0),
    ("/* strcpy(a, b) */", 0),
    ('puts("strcpy(a, b)");', 0),
    ("my_gets(a);", 0),
    ("ops->system(a);", 0),
])
def test_a_banned_call_is_found_in_code_only(line, count):
    assert len(list(house.banned_calls("a.c", line))) == count


def test_a_function_is_as_long_as_its_lines():
    first = "static int\nfirst(void)\n{\n    return 1;\n}\n\n"
    declared = "int second(int);\n\n"
    third = "void\nthird(int a,\n      int b)\n{\n}\n"
    assert list(house.functions(first + declared + third)) == [("first", 2, 4), ("third", 10, 4)]


def test_a_function_beyond_the_limit_is_named():
    body = "    step();\n" * 90
    problems = list(house.long_functions("a.c", f"void\nendless(void)\n{{\n{body}}}\n"))
    assert len(problems) == 1 and "endless() has 93 lines" in problems[0]


def test_a_file_without_licence_is_named():
    assert list(house.without_licence("a.c", "int x;\n"))
    assert not list(house.without_licence("a.c", "/* SPDX-License-Identifier: Apache-2.0 */\n"))


@pytest.mark.parametrize("rows, manual, wrong", [
    ('PW_REASON(A, "sig.a", X)\n', "`sig.a`", None),
    ('PW_REASON(A, "sig.a", X)\nPW_REASON(B, "sig.a", X)\n', "`sig.a`", "stands twice"),
    ('PW_REASON(A, "sig.a", X)\n', "", "no row for"),
    ('PW_REASON(A, "sig.a", X)\n', "| `sig.a` |\n| x | `sig.b` |", "is no reason"),
    ('PW_REASON(A, "sig.a", X)\n', "`sig.a`, `os.system`", None),
])
def test_reasons_and_the_readme_agree(rows, manual, wrong):
    problems = list(house.reasons(rows, manual))
    assert (wrong is None) == (problems == [])
    assert wrong is None or wrong in problems[0]


@pytest.mark.parametrize("body, wrong", [
    ("return sodium_memcmp(a, tag, 32) == 0;", None),
    ("return crypto_sign_verify_detached(tag, a, n, key) == 0;", None),
    ("return memcmp(a, tag, 32) == 0;", "ends early"),
    ("return sodium_memcmp(a, tag, 32) == 0 && strcmp(b, c) == 0;", "ends early"),
    ("return pw_span_equal(a, tag);", "ends early"),
    ("return a[0] == tag[0]; /* memcmp(a, tag, 32) */", "in constant time"),
])
def test_a_tag_compared_in_haste_is_named(body, wrong):
    text = f"static bool\nfits(int a)\n{{\n    {body}\n}}\n"
    problems = list(constant_time.violations("common/sign/a.c", text, {}))
    assert (wrong is None) == (problems == [])
    assert wrong is None or wrong in problems[0]


def test_what_is_listed_may_be_compared_and_must_be_there():
    text = "static bool\nis_name(int a)\n{\n    return memcmp(a, b, 8) == 0;\n}\n"
    public = {"a.c:is_name": "a name"}
    assert not list(constant_time.violations("common/sign/a.c", text, public))
    assert not list(constant_time.stale({"a.c": text}, public))
    assert "is_name compares nothing any more" in next(constant_time.stale({"a.c": ""}, public))
