/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/json.h"

#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

struct text_case {
    const char *name;
    struct pw_span value;
    size_t cap;
    const char *json;
};

static const struct text_case text_cases[] = {
    {"plain", BYTES("posix"), 99, "\"posix\""},
    {"empty", BYTES(""), 99, "\"\""},
    {"quote and backslash", BYTES("a\"b\\c"), 99, "\"a\\\"b\\\\c\""},
    {"controls", BYTES("\0\n\x1b[31m\x7f"), 99, "\"\\u0000\\u000a\\u001b[31m\\u007f\""},
    {"two bytes", BYTES("caf\xc3\xa9"), 99, "\"caf\\u00e9\""},
    {"past the first plane", BYTES("\xf0\x9f\xa5\x92"), 99, "\"\\ud83e\\udd52\""},
    {"the last code point", BYTES("\xf4\x8f\xbf\xbf"), 99, "\"\\udbff\\udfff\""},
    {"not UTF-8", BYTES("\xff\x80"), 99, "\"\\udcff\\udc80\""},
    {"a UTF-8 surrogate is three bytes that are not", BYTES("\xed\xa0\x80"), 99,
     "\"\\udced\\udca0\\udc80\""},
    {"overlong", BYTES("\xc0\xaf"), 99, "\"\\udcc0\\udcaf\""},
    {"line separator", BYTES("\xe2\x80\xa8"), 99, "\"\\u2028\""},
    {"at the cap", BYTES("abc"), 3, "\"abc\""},
    {"beyond the cap", BYTES("abcd"), 3, "\"abc...\""},
    {"the cap splits a character", BYTES("\xc3\xa9"), 1, "\"\\udcc3...\""},
};

static void
hostile_text_stays_inside_its_quotes_and_ascii(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(text_cases); i++) {
        struct pw_buf out = {.limit = 1000};
        struct pw_json json = pw_json_over(&out);
        pw_json_bytes(&json, NULL, text_cases[i].value, text_cases[i].cap);
        check_case(text_cases[i].name, json.err == PW_E_OK);
        check_case(text_cases[i].name,
                   pw_span_equal(pw_buf_span(&out), pw_span_str(text_cases[i].json)));
        pw_buf_free(&out);
    }
}

static void
write_document(struct pw_json *json)
{
    pw_json_object(json, NULL);
    pw_json_uint(json, "zero", 0);
    pw_json_uint(json, "most", UINT64_MAX);
    pw_json_bool(json, "yes", true);
    pw_json_bool(json, "no", false);
    pw_json_array(json, "list");
    pw_json_uint(json, NULL, 1);
    pw_json_object(json, NULL);
    pw_json_end_object(json);
    pw_json_str(json, NULL, "x");
    pw_json_end_array(json);
    pw_json_raw(json, BYTES("\"raw\":1"));
    pw_json_raw(json, BYTES(""));
    pw_json_object(json, "in");
    pw_json_str(json, "a", "b");
    pw_json_end_object(json);
    pw_json_end_object(json);
    pw_json_newline(json);
}

static const char document[] =
    "{\"zero\":0,\"most\":18446744073709551615,\"yes\":true,\"no\":false,"
    "\"list\":[1,{},\"x\"],\"raw\":1,\"in\":{\"a\":\"b\"}}\n";

static void
commas_stand_between_members_and_nowhere_else(void **state)
{
    (void)state;
    struct pw_buf out = {.limit = 1000};
    struct pw_json json = pw_json_over(&out);
    write_document(&json);
    write_document(&json); /* the next line starts afresh */
    assert_int_equal(json.err, PW_E_OK);
    assert_int_equal(out.len, 2 * strlen(document));
    assert_memory_equal(out.bytes, document, strlen(document));
    assert_memory_equal(out.bytes + strlen(document), document, strlen(document));
    pw_buf_free(&out);
}

static void
a_full_buffer_latches_an_error_at_every_length(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < strlen(document); limit++) {
        struct pw_buf out = {.limit = limit};
        struct pw_json json = pw_json_over(&out);
        write_document(&json);
        assert_int_equal(json.err, PW_E_LIMIT);
        assert_true(out.len <= limit);
        pw_buf_free(&out);
    }
}

static void
write_once(void *arg)
{
    struct pw_buf out = {.limit = 1000};
    struct pw_json json = pw_json_over(&out);
    write_document(&json);
    *(enum pw_err *)arg = json.err;
    pw_buf_free(&out);
}

static void
without_memory_the_error_latches(void **state)
{
    (void)state;
    enum pw_err err;
    assert_true(fail_alloc_round(1, write_once, &err));
    assert_int_equal(err, PW_E_NOMEM);
    assert_false(fail_alloc_round(2, write_once, &err));
    assert_int_equal(err, PW_E_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_text_stays_inside_its_quotes_and_ascii),
        cmocka_unit_test(commas_stand_between_members_and_nowhere_else),
        cmocka_unit_test(a_full_buffer_latches_an_error_at_every_length),
        cmocka_unit_test(without_memory_the_error_latches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
