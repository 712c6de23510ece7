/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

#include "common/base/json.h"
#include "common/base/json_read.h"

struct walk_case {
    const char *name;
    const char *text;
    const char *members; /* KEY=KIND RAW; of all that were seen */
    bool good;
};

static const struct walk_case walk_cases[] = {
    {"nothing in it", "{}", "", true},
    {"blanks", " {\t} \r\n", "", true},
    {"one of each",
     "{\"a\":1,\"b\":\"x\",\"c\":true,\"d\":false,\"e\":null,\"f\":{},\"g\":[]}",
     "a=4 1;b=3 x;c=5 true;d=6 false;e=7 null;f=1 {};g=2 [];", true},
    {"an array", "[1, \"x\" ,[2]]", "=4 1;=3 x;=2 [2];", true},
    {"numbers", "[0,-1,1.5,2e9,-0.5E-3]", "=4 0;=4 -1;=4 1.5;=4 2e9;=4 -0.5E-3;", true},
    {"brackets in strings", "{\"a\":{\"]\":\"}\\\"}\"},\"b\":2}",
     "a=1 {\"]\":\"}\\\"}\"};b=4 2;", true},
    {"escapes stay", "{\"a\\n\":\"\\u001b[\"}", "a\\n=3 \\u001b[;", true},
    {"empty text", "", "", false},
    {"a number alone", "1", "", false},
    {"cut in the key", "{\"a", "", false},
    {"cut behind the key", "{\"a\":", "", false},
    {"cut behind the value", "{\"a\":1", "a=4 1;", false},
    {"cut in a string", "{\"a\":\"x", "", false},
    {"cut in an escape", "{\"a\":\"\\u00", "", false},
    {"cut in a nested one", "{\"a\":{\"b\":[1", "", false},
    {"a comma too many", "{\"a\":1,}", "a=4 1;", false},
    {"a comma too few", "{\"a\":1\"b\":2}", "a=4 1;", false},
    {"no key", "{1}", "", false},
    {"bytes behind", "{\"a\":1}x", "a=4 1;", false},
    {"brackets crossed", "{\"a\":[1}}", "", false},
    {"the other bracket", "{\"a\":1]", "a=4 1;", false},
    {"no such escape", "{\"a\":\"\\x41\"}", "", false},
    {"a control character", "{\"a\":\"\n\"}", "", false},
    {"a zero in front", "[01]", "", false},
    {"a point and no digits", "[1.]", "", false},
    {"no such word", "[nul]", "", false},
};

static void
walk_all(struct pw_span text, FILE *out, bool *bad)
{
    struct pw_json_walk walk = pw_json_walk_over(text);
    while (pw_json_walk_next(&walk)) {
        fprintf(out, "%.*s=%d %.*s;", (int)walk.key.len, (const char *)walk.key.ptr,
                (int)walk.kind, (int)walk.raw.len, (const char *)walk.raw.ptr);
    }
    *bad = walk.bad;
    assert_false(pw_json_walk_next(&walk));
}

static void
members_are_read_as_they_stand(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(walk_cases); i++) {
        const struct walk_case *c = &walk_cases[i];
        char *seen = NULL;
        size_t len;
        bool bad;
        FILE *out = open_memstream(&seen, &len);
        assert_non_null(out);
        walk_all(pw_span_str(c->text), out, &bad);
        assert_int_equal(fclose(out), 0);
        check_case(c->name, bad != c->good);
        check_case(c->name, strcmp(seen, c->members) == 0);
        free(seen);
    }
}

static void
brackets_are_bounded(void **state)
{
    (void)state;
    for (size_t depth = PW_JSON_DEPTH - 1; depth <= PW_JSON_DEPTH + 1; depth++) {
        char text[2 * PW_JSON_DEPTH + 5];
        memset(text, '[', depth + 1);
        memset(text + depth + 1, ']', depth + 1);
        struct pw_json_walk walk =
            pw_json_walk_over((struct pw_span){(uint8_t *)text, 2 * depth + 2});
        assert_int_equal(pw_json_walk_next(&walk), depth <= PW_JSON_DEPTH);
        assert_int_equal(walk.bad, depth > PW_JSON_DEPTH);
    }
}

static void
whole_numbers_are_read_up_to_64_bits(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_true(pw_json_raw_uint(BYTES("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_false(pw_json_raw_uint(BYTES("18446744073709551616"), &value));
    assert_false(pw_json_raw_uint(BYTES("-1"), &value));
    assert_false(pw_json_raw_uint(BYTES("1.5"), &value));
    assert_false(pw_json_raw_uint(BYTES(""), &value));
}

struct text_case {
    const char *name;
    struct pw_span raw, text;
};

static const struct text_case text_cases[] = {
    {"plain", {(const uint8_t *)"abc", 3}, {(const uint8_t *)"abc", 3}},
    {"short ones", {(const uint8_t *)"\\n\\\"\\\\\\/", 8}, {(const uint8_t *)"\n\"\\/", 4}},
    {"two bytes", {(const uint8_t *)"\\u00e4", 6}, {(const uint8_t *)"\xc3\xa4", 2}},
    {"three bytes", {(const uint8_t *)"\\u20AC", 6}, {(const uint8_t *)"\xe2\x82\xac", 3}},
    {"a pair",
     {(const uint8_t *)"\\ud83d\\ude00", 12},
     {(const uint8_t *)"\xf0\x9f\x98\x80", 4}},
    {"a byte that is no UTF-8",
     {(const uint8_t *)"\\udcff", 6},
     {(const uint8_t *)"\xff", 1}},
    {"half a pair",
     {(const uint8_t *)"\\ud83dx", 7},
     {(const uint8_t *)"\xef\xbf\xbdx", 4}},
};

static void
strings_are_spelled_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(text_cases); i++) {
        struct pw_buf out = {.limit = 64};
        check_case(text_cases[i].name,
                   pw_json_raw_text(text_cases[i].raw, &out) == PW_E_OK);
        check_case(text_cases[i].name,
                   pw_span_equal(pw_buf_span(&out), text_cases[i].text));
        pw_buf_free(&out);
    }
}

static void
any_bytes_come_back_from_the_writer(void **state)
{
    (void)state;
    uint8_t bytes[512];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    struct pw_span all = {bytes, sizeof bytes};
    struct pw_buf line = {.limit = 8192}, text = {.limit = 8192};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    pw_json_bytes(&json, "x", all, sizeof bytes);
    pw_json_end_object(&json);
    assert_int_equal(json.err, PW_E_OK);
    struct pw_json_walk walk = pw_json_walk_over(pw_buf_span(&line));
    assert_true(pw_json_walk_next(&walk) && pw_json_walk_at(&walk, "x"));
    assert_int_equal(pw_json_raw_text(walk.raw, &text), PW_E_OK);
    assert_true(pw_span_equal(pw_buf_span(&text), all));
    pw_buf_free(&text);
    pw_buf_free(&line);
}

static void
without_memory_nothing_changes(void **state)
{
    (void)state;
    struct pw_buf out = {.limit = 64};
    fail_alloc_at(1);
    assert_int_equal(pw_json_raw_text(BYTES("abc"), &out), PW_E_NOMEM);
    fail_alloc_at(0);
    assert_int_equal(out.len, 0);
    pw_buf_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_read_as_they_stand),
        cmocka_unit_test(brackets_are_bounded),
        cmocka_unit_test(whole_numbers_are_read_up_to_64_bits),
        cmocka_unit_test(strings_are_spelled_out),
        cmocka_unit_test(any_bytes_come_back_from_the_writer),
        cmocka_unit_test(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
