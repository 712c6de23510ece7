/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/unit/check.h"

#include "common/base/buf.h"
#include "common/base/hex.h"
#include "common/base/utf8.h"
#include "tests/unit/fail_alloc.h"

static void
a_cursor_reads_straight_down(void **state)
{
    (void)state;
    struct pw_cursor cur = pw_cursor_over(BYTES("\x01\x02\x03name\nrest"));
    assert_int_equal(pw_cursor_uint(&cur, 1), 1);
    assert_int_equal(pw_cursor_uint(&cur, 2), 0x0203);
    assert_true(pw_span_equal(pw_cursor_until(&cur, '\n'), BYTES("name")));
    assert_true(pw_span_equal(pw_cursor_take(&cur, 4), BYTES("rest")));
    assert_true(pw_span_equal(pw_cursor_take(&cur, 0), BYTES("")));
    assert_false(cur.truncated);
    assert_int_equal(cur.rest.len, 0);
}

static void
a_cursor_latches_the_first_read_past_the_end(void **state)
{
    (void)state;
    struct pw_cursor cur = pw_cursor_over(BYTES("ab"));
    assert_int_equal(pw_cursor_uint(&cur, 4), 0);
    assert_true(cur.truncated);
    assert_int_equal(pw_cursor_take(&cur, 1).len, 0);
    assert_int_equal(pw_cursor_until(&cur, 'b').len, 0);
    assert_true(cur.truncated);
}

static void
a_cursor_needs_the_end_that_it_reads_up_to(void **state)
{
    (void)state;
    struct pw_cursor cur = pw_cursor_over(BYTES("no line end"));
    assert_int_equal(pw_cursor_until(&cur, '\n').len, 0);
    assert_true(cur.truncated);
    struct pw_cursor empty = pw_cursor_over((struct pw_span){0});
    assert_int_equal(pw_cursor_until(&empty, '\n').len, 0);
    assert_true(empty.truncated);
}

static void
an_integer_of_eight_bytes_keeps_them_all(void **state)
{
    (void)state;
    struct pw_cursor cur = pw_cursor_over(BYTES("\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8"));
    assert_true(pw_cursor_uint(&cur, 8) == UINT64_C(0xfffefdfcfbfaf9f8));
}

static void
a_buffer_holds_its_limit_and_not_a_byte_more(void **state)
{
    (void)state;
    struct pw_buf buf = {.limit = 5};
    assert_int_equal(pw_buf_append(&buf, BYTES("abc")), PW_E_OK);
    assert_int_equal(pw_buf_append(&buf, BYTES("def")), PW_E_LIMIT);
    assert_true(pw_span_equal(pw_buf_span(&buf), BYTES("abc")));
    assert_int_equal(pw_buf_append(&buf, BYTES("de")), PW_E_OK);
    assert_int_equal(pw_buf_append(&buf, BYTES("")), PW_E_OK);
    assert_int_equal(pw_buf_append(&buf, BYTES("f")), PW_E_LIMIT);
    assert_true(pw_span_equal(pw_buf_span(&buf), BYTES("abcde")));
    pw_buf_clear(&buf);
    assert_int_equal(pw_buf_append(&buf, BYTES("fghij")), PW_E_OK);
    pw_buf_free(&buf);
    assert_null(buf.bytes);
    assert_int_equal(buf.limit, 5);
}

static void
a_buffer_grows_without_losing_bytes(void **state)
{
    (void)state;
    struct pw_buf buf = {.limit = 100000};
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        assert_int_equal(pw_buf_append(&buf, (struct pw_span){&byte, 1}), PW_E_OK);
    }
    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal(buf.bytes[i], (uint8_t)(i * 7));
    }
    pw_buf_free(&buf);
}

static void
append_twice(void *arg)
{
    struct pw_buf buf = {.limit = 10000};
    static const uint8_t block[600];
    size_t *kept = arg;
    *kept = 0;
    for (int i = 0; i < 3; i++) {
        size_t before = buf.len;
        if (pw_buf_append(&buf, (struct pw_span){block, sizeof block}) != PW_E_OK) {
            assert_int_equal(buf.len, before);
        }
    }
    *kept = buf.len;
    pw_buf_free(&buf);
}

static void
a_buffer_without_memory_is_as_it_was(void **state)
{
    (void)state;
    size_t kept;
    size_t rounds = 0;
    while (fail_alloc_round(rounds + 1, append_twice, &kept)) {
        assert_true(kept < 1800);
        rounds++;
    }
    assert_true(rounds > 0);
    assert_int_equal(kept, 1800);
}

struct hex_case {
    const char *name;
    struct pw_span text;
    bool good;
    struct pw_span bytes;
};

static const struct hex_case hex_cases[] = {
    {"lower case", BYTES("00ff7a"), true, BYTES("\x00\xff\x7a")},
    {"upper case", BYTES("00FF7A"), true, BYTES("\x00\xff\x7a")},
    {"a digit short", BYTES("00ff7"), false, BYTES("\0\0\0")},
    {"a digit long", BYTES("00ff7a0"), false, BYTES("\0\0\0")},
    {"no digit in front", BYTES("g0ff7a"), false, BYTES("\0\0\0")},
    {"no digit behind", BYTES("00ff7G"), false, BYTES("\0\0\0")},
    {"a sign", BYTES("+0ff7a"), false, BYTES("\0\0\0")},
    {"a byte that looks like a digit when its case is folded",
     BYTES("\x10\x10"
           "ff7a"),
     false, BYTES("\0\0\0")},
};

static void
hex_is_read_exactly(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(hex_cases); i++) {
        const struct hex_case *it = &hex_cases[i];
        uint8_t out[3] = {0};
        check_case(it->name, pw_hex_decode(it->text, out, sizeof out) == it->good);
        check_case(it->name, !it->good || memcmp(out, it->bytes.ptr, sizeof out) == 0);
    }
}

static void
hex_of_every_byte_reads_back(void **state)
{
    (void)state;
    uint8_t all[256], back[256];
    char text[513];
    for (int i = 0; i < 256; i++) {
        all[i] = (uint8_t)i;
    }
    pw_hex_encode((struct pw_span){all, sizeof all}, text);
    assert_int_equal(strlen(text), 512);
    assert_true(pw_hex_decode(pw_span_str(text), back, sizeof back));
    assert_memory_equal(all, back, sizeof all);
}

struct utf8_case {
    const char *name;
    struct pw_span text;
    size_t taken; /* 0: not UTF-8 */
    uint32_t code;
};

static const struct utf8_case utf8_cases[] = {
    {"ASCII", BYTES("a"), 1, 'a'},
    {"NUL", BYTES("\0"), 1, 0},
    {"the last of two bytes", BYTES("\xdf\xbf"), 2, 0x7ff},
    {"the last of three", BYTES("\xef\xbf\xbf"), 3, 0xffff},
    {"the last of all", BYTES("\xf4\x8f\xbf\xbf"), 4, 0x10ffff},
    {"only the first is taken", BYTES("\xc3\xa9z"), 2, 0xe9},
    {"nothing", BYTES(""), 0, 0},
    {"a continuation alone", BYTES("\x80"), 0, 0},
    {"overlong slash", BYTES("\xc0\xaf"), 0, 0},
    {"overlong in three", BYTES("\xe0\x9f\xbf"), 0, 0},
    {"overlong in four", BYTES("\xf0\x8f\xbf\xbf"), 0, 0},
    {"a surrogate", BYTES("\xed\xa0\x80"), 0, 0},
    {"the last surrogate", BYTES("\xed\xbf\xbf"), 0, 0},
    {"past the end of Unicode", BYTES("\xf4\x90\x80\x80"), 0, 0},
    {"a lead byte of five", BYTES("\xf8\x88\x80\x80\x80"), 0, 0},
    {"cut short", BYTES("\xe2\x82"), 0, 0},
    {"a broken continuation", BYTES("\xe2\x28\xa1"), 0, 0},
};

static void
utf8_is_read_as_rfc_3629_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(utf8_cases); i++) {
        uint32_t code = 0;
        size_t taken = pw_utf8_next(utf8_cases[i].text, &code);
        check_case(utf8_cases[i].name, taken == utf8_cases[i].taken);
        check_case(utf8_cases[i].name, taken == 0 || code == utf8_cases[i].code);
    }
    assert_true(pw_utf8_valid(BYTES("caf\xc3\xa9 \xf0\x9f\xa5\x92")));
    assert_true(pw_utf8_valid(BYTES("")));
    assert_false(pw_utf8_valid(BYTES("caf\xe9")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_reads_straight_down),
        cmocka_unit_test(a_cursor_latches_the_first_read_past_the_end),
        cmocka_unit_test(a_cursor_needs_the_end_that_it_reads_up_to),
        cmocka_unit_test(an_integer_of_eight_bytes_keeps_them_all),
        cmocka_unit_test(a_buffer_holds_its_limit_and_not_a_byte_more),
        cmocka_unit_test(a_buffer_grows_without_losing_bytes),
        cmocka_unit_test(a_buffer_without_memory_is_as_it_was),
        cmocka_unit_test(hex_is_read_exactly),
        cmocka_unit_test(hex_of_every_byte_reads_back),
        cmocka_unit_test(utf8_is_read_as_rfc_3629_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
