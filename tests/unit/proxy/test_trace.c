/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pickle/scan.h"
#include "proxy/cli/trace.h"
#include "tests/unit/fail_alloc.h"

struct printed {
    char *text; /* NULL when out of memory */
    struct pw_trace_sum sum;
};

/* The trace of `stream` under a policy that allows m:C and copyreg's constructor. */
static struct printed
trace(struct pw_span stream, bool json)
{
    struct printed printed = {0};
    struct pw_report report;
    size_t len;
    struct pw_policy *policy = pw_policy_new("test");
    struct pw_scan *scan = pw_scan_new();
    FILE *out = open_memstream(&printed.text, &len);
    struct pw_trace_options options = {
        .out = out, .policy = policy, .json = json, .frame = json ? 7 : -1};
    bool good = policy != NULL && scan != NULL && out != NULL &&
                pw_policy_allow(policy, "m:C", NULL) == PW_E_OK &&
                pw_scan_frame(scan, stream, pw_policy_limits(policy), &report) == PW_E_OK &&
                pw_trace_print(&options, &report, &printed.sum) == PW_E_OK;
    good = out != NULL && fclose(out) == 0 && good;
    if (!good) {
        free(printed.text);
        printed.text = NULL;
    }
    pw_scan_free(&scan);
    pw_policy_free(&policy);
    return printed;
}

/* clang-format off */
static const struct {
    const char *name;
    struct pw_span stream;
    const char *line; /* whole */
} lines[] = {
    {"a number", BYTES("K\7."), "       0  BININT1          0>1        1     0  7"},
    {"a negative one", BYTES("J\xff\xff\xff\xff."), "       0  BININT           0>1        1     0  -1"},
    {"a float", BYTES("G\x3f\xf8\0\0\0\0\0\0."), "       0  BINFLOAT         0>1        1     0  1.5"},
    {"a mark", BYTES("(NNt."), "       0  MARK             0>1        0     1"},
    {"values above a mark", BYTES("(NNt."), "       2  NONE             0>1        2     1"},
    {"what a mark collects", BYTES("(NNt."), "       3  TUPLE            #0>1       1     0"},
    {"POP takes a mark", BYTES("N((00."), "       4  POP              1>0        1     0"},
    {"POP takes a value", BYTES("N(N00."), "       3  POP              1>0        1     1"},
    {"STOP takes the result", BYTES("N."), "       1  STOP             1>0        0     0"},
    {"an allowed name", BYTES("cm\nC\n."), "       0  GLOBAL           0>1        1     0  = \"m\":\"C\" (allowed)"},
    {"a name that is renamed", BYTES("c__builtin__\nint\n."), "       0  GLOBAL           0>1        1     0  = \"__builtin__\":\"int\", renamed \"builtins\":\"int\" (denied)"},
    {"a name that does harm", BYTES("cos\nsystem\n."), "       0  GLOBAL           0>1        1     0  = \"os\":\"system\" (denied)  runs a program"},
    {"its finding", BYTES("cos\nsystem\n."), "          ^ import.denied: a name that the policy does not allow: \"os\":\"system\"  runs a program"},
    {"a call", BYTES("cm\nC\n(K\1VA\\u00e9\nNS'x'\n\x88" "G\x3f\xf8\0\0\0\0\0\0tR."),
        "      34  REDUCE           2>1        1     0  calls \"m\":\"C\"(1, \"A\\xc3\\xa9\", None, \"x\", True, 1.5)"},
    {"a call with a name and what a call made", BYTES("cm\nC\ncm\nC\n)R]\x86R."),
        "      14  REDUCE           2>1        1     0  calls \"m\":\"C\"(an instance of \"m\":\"C\", a list)"},
    {"long numbers", BYTES("cm\nC\n\x8a\1\xff\x8a\0L12L\n\x87R."),
        "      16  REDUCE           2>1        1     0  calls \"m\":\"C\"(-1, 0, 12L)"},
    {"a new object", BYTES("cm\nC\n)\x81."), "       6  NEWOBJ           2>1        1     0  makes \"m\":\"C\"()"},
    {"a state", BYTES("cm\nC\n)\x81}b."), "       8  BUILD            2>1        1     0  sets the state of \"m\":\"C\": a dict"},
    {"items", BYTES("cm\nC\n)\x81Na."), "       8  APPEND           2>1        1     0  fills \"m\":\"C\""},
    {"an attack in the terminal", BYTES("cm\x1b[2J\nC\n."), "       0  GLOBAL           0>1        1     0  = \"m\\x1b[2J\":\"C\" (denied)"},
    {"no pickle at all", BYTES("xyz"), "       0  ^ pickle.opaque: the first byte is no pickle opcode"},
    {"an argument that is cut short", BYTES("N\x8c\x05" "ab"), "       1  ^ pickle.truncated: an argument runs past the end (SHORT_BINUNICODE)"},
    {"the end without STOP", BYTES("N"), "       1  ^ pickle.no_stop: the bytes end without STOP"},
    {"bytes behind STOP", BYTES("N.xx"), "       2  ^ pickle.trailing: bytes follow STOP"},
    {"more than the stack holds", BYTES("\x85."), "          ^ pickle.underflow: an opcode needs more than the stack holds"},
};
/* clang-format on */

static void
each_opcode_has_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(lines); i++) {
        char wanted[512];
        struct printed printed = trace(lines[i].stream, false);
        snprintf(wanted, sizeof wanted, "\n%s\n", lines[i].line);
        if (printed.text == NULL || strstr(printed.text, wanted) == NULL) {
            fail_msg("%s: %s", lines[i].name, printed.text);
        }
        free(printed.text);
    }
}

/* Tuples that double at each step, fifty times. */
static size_t
make_bulk(uint8_t *stream)
{
    size_t len = 0;
    static const uint8_t start[] = "cm\nf\nN";
    memcpy(stream, start, sizeof start - 1);
    len = sizeof start - 1;
    for (int i = 0; i < 50; i++) {
        memcpy(stream + len, "2\x86", 2);
        len += 2;
    }
    memcpy(stream + len, "\x85R.", 3);
    return len + 3;
}

static void
a_line_is_short_whatever_is_called(void **state)
{
    (void)state;
    uint8_t stream[256];
    struct pw_span bulk = {stream, make_bulk(stream)};
    for (int json = 0; json < 2; json++) {
        struct printed printed = trace(bulk, json != 0);
        assert_non_null(printed.text);
        for (char *line = strtok(printed.text, "\n"); line != NULL;
             line = strtok(NULL, "\n")) {
            assert_true(strlen(line) < 3000);
        }
        free(printed.text);
    }
}

static void
an_object_holds_its_findings(void **state)
{
    (void)state;
    struct printed printed = trace(BYTES("cos\nsystem\n.x"), true);
    assert_int_equal(printed.sum.refusals, 2);
    assert_int_equal(printed.sum.reason, PW_R_IMPORT_DENIED);
    assert_string_equal(
        printed.text,
        "{\"frame\":7,\"off\":0,\"op\":\"GLOBAL\",\"end\":11,\"mark\":false,\"pops\":0,"
        "\"pushes\":1,\"stack\":1,\"marks\":0,\"arg\":\"\\\"os\\\" \\\"system\\\"\","
        "\"mod\":\"os\",\"name\":\"system\",\"allowed\":false,\"level\":\"critical\","
        "\"note\":\"runs a program\",\"finds\":[{\"code\":\"import.denied\",\"off\":0,"
        "\"op\":\"GLOBAL\",\"mod\":\"os\",\"name\":\"system\",\"level\":\"critical\","
        "\"note\":\"runs a program\"}]}\n"
        "{\"frame\":7,\"off\":11,\"op\":\"STOP\",\"end\":12,\"mark\":false,\"pops\":1,"
        "\"pushes\":0,\"stack\":0,\"marks\":0,\"uses\":[{\"use\":\"ref\",\"mod\":\"os\","
        "\"name\":\"system\"}]}\n"
        "{\"frame\":7,\"off\":12,\"finds\":[{\"code\":\"pickle.trailing\",\"off\":12,"
        "\"level\":\"medium\"}]}\n");
    free(printed.text);
}

static void
trace_once(void *arg)
{
    struct printed *printed = arg;
    *printed = trace(BYTES("((((cos\nsystem\nN\x85R0000."), true);
}

static void
every_allocation_may_fail(void **state)
{
    (void)state;
    struct printed printed = {0};
    size_t n = 1;
    for (; fail_alloc_round(n, trace_once, &printed); n++) {
        assert_null(printed.text);
    }
    assert_non_null(printed.text);
    assert_true(n > 5);
    free(printed.text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_opcode_has_its_line),
        cmocka_unit_test(a_line_is_short_whatever_is_called),
        cmocka_unit_test(an_object_holds_its_findings),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
