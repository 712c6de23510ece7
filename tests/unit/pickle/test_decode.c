/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdlib.h>
#include <string.h>

#include "common/pickle/decode.h"

struct decode_case {
    const char *name;
    struct pw_span bytes;
    enum pw_decoded result;
    size_t end;
    uint64_t arg;
};

/* clang-format off */
static const struct decode_case decode_cases[] = {
    {"nothing", BYTES(""), PW_DECODE_END, 0, 0},
    {"no opcode", BYTES("\xff"), PW_DECODE_UNKNOWN, 0, 0},
    {"NUL is no opcode", BYTES("\0"), PW_DECODE_UNKNOWN, 0, 0},
    {"no argument", BYTES("N."), PW_DECODE_OP, 1, 0},
    {"U8", BYTES("K\x2a"), PW_DECODE_OP, 2, 42},
    {"U8 cut", BYTES("K"), PW_DECODE_TRUNCATED, 0, 0},
    {"U16 is little-endian", BYTES("M\x01\x02"), PW_DECODE_OP, 3, 0x0201},
    {"U16 far from the end", BYTES("M\x01\x02NNNNNNNNNN"), PW_DECODE_OP, 3, 0x0201},
    {"S32", BYTES("J\xff\xff\xff\xff"), PW_DECODE_OP, 5, 0xffffffff},
    {"S32 cut", BYTES("J\xff\xff\xff"), PW_DECODE_TRUNCATED, 0, 0},
    {"U64", BYTES("\x95\x01\0\0\0\0\0\0\0"), PW_DECODE_OP, 9, 1},
    {"U64 cut", BYTES("\x95\x01\0\0\0\0\0\0"), PW_DECODE_TRUNCATED, 0, 0},
    {"F64", BYTES("G\x3f\xf0\0\0\0\0\0\0"), PW_DECODE_OP, 9, 0xf03f},
    {"LEN8", BYTES("\x8c\x02os."), PW_DECODE_OP, 4, 2},
    {"LEN8 of nothing", BYTES("\x8c\0"), PW_DECODE_OP, 2, 0},
    {"LEN8 cut", BYTES("\x8c\x03os"), PW_DECODE_TRUNCATED, 0, 0},
    {"LEN8 with no length", BYTES("\x8c"), PW_DECODE_TRUNCATED, 0, 0},
    {"LEN32", BYTES("X\x02\0\0\0os"), PW_DECODE_OP, 7, 2},
    {"LEN32 of four billion", BYTES("X\xff\xff\xff\xffos"), PW_DECODE_TRUNCATED, 0, 0},
    {"LEN32S", BYTES("T\x01\0\0\0x"), PW_DECODE_OP, 6, 1},
    {"LEN32S below zero", BYTES("T\xff\xff\xff\xffx"), PW_DECODE_LENGTH, 0, 0},
    {"LONG4 below zero", BYTES("\x8b\0\0\0\x80"), PW_DECODE_LENGTH, 0, 0},
    {"LEN64", BYTES("\x8d\x02\0\0\0\0\0\0\0os"), PW_DECODE_OP, 11, 2},
    {"LEN64 cut", BYTES("\x8d\x03\0\0\0\0\0\0\0os"), PW_DECODE_TRUNCATED, 0, 0},
    {"LEN64 past SSIZE_MAX", BYTES("\x8e\xff\xff\xff\xff\xff\xff\xff\xffx"), PW_DECODE_LENGTH, 0, 0},
    {"LEN64 that would wrap", BYTES("\x96\xf8\xff\xff\xff\xff\xff\xff\x7fx"), PW_DECODE_TRUNCATED, 0, 0},
    {"line", BYTES("I42\n."), PW_DECODE_OP, 4, 0},
    {"line without newline", BYTES("I42"), PW_DECODE_TRUNCATED, 0, 0},
    {"empty line", BYTES("I\n"), PW_DECODE_OP, 2, 0},
    {"two lines", BYTES("cos\nsystem\n"), PW_DECODE_OP, 11, 0},
    {"second line without newline", BYTES("cos\nsystem"), PW_DECODE_TRUNCATED, 0, 0},
    {"carriage return is data", BYTES("cos\r\nx\n"), PW_DECODE_OP, 7, 0},
};
/* clang-format on */

static void
decoder_stops_where_the_bytes_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(decode_cases); i++) {
        const struct decode_case *c = &decode_cases[i];
        /* An exact copy: a sanitizer sees one byte too many. */
        uint8_t *copy = malloc(c->bytes.len + 1);
        memcpy(copy + 1, c->bytes.ptr, c->bytes.len);
        struct pw_op op = {0};
        enum pw_decoded result =
            pw_decode((struct pw_span){copy + 1, c->bytes.len}, 0, &op);
        check_case(c->name, result == c->result);
        if (result == PW_DECODE_OP) {
            check_case(c->name, op.end == c->end);
            check_case(c->name, op.arg == c->arg);
        }
        free(copy);
    }
}

static void
lines_exclude_their_newline(void **state)
{
    (void)state;
    struct pw_op op;
    assert_int_equal(pw_decode(BYTES("cos\nsystem\nR"), 0, &op), PW_DECODE_OP);
    assert_true(pw_span_equal(op.line, BYTES("os")));
    assert_true(pw_span_equal(op.line2, BYTES("system")));
}

static void
data_is_what_the_length_counts(void **state)
{
    (void)state;
    struct pw_span frame = BYTES("NX\x03\0\0\0abcN");
    struct pw_op op;
    assert_int_equal(pw_decode(frame, 1, &op), PW_DECODE_OP);
    assert_true(pw_span_equal(pw_op_data(frame, &op), BYTES("abc")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoder_stops_where_the_bytes_say),
        cmocka_unit_test(lines_exclude_their_newline),
        cmocka_unit_test(data_is_what_the_length_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
