/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/fail_alloc.h"

#define BYTES(text)                                                                        \
    {                                                                                      \
        (const uint8_t *)text, sizeof(text) - 1                                            \
    }

static struct pw_buf
buffer_of(struct pw_span bytes)
{
    struct pw_buf buf = {.limit = 1 << 20};
    assert_int_equal(pw_buf_append(&buf, bytes), PW_E_OK);
    return buf;
}

/* The bytes of `body` with their SHA-256 behind them. */
static struct pw_buf
sealed(struct pw_span body)
{
    uint8_t sum[PW_OBJECT_SUM];
    crypto_hash_sha256(sum, body.ptr, body.len);
    struct pw_buf buf = buffer_of(body);
    assert_int_equal(pw_buf_append(&buf, (struct pw_span){sum, sizeof sum}), PW_E_OK);
    return buf;
}

static struct pw_buf
object_of(const struct pw_span *frames, size_t count)
{
    struct pw_buf buf = {.limit = 1 << 20};
    uint8_t sum[PW_OBJECT_SUM];
    assert_int_equal(pw_object_make(frames, count, &buf, sum), PW_E_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pw_buf_append(&buf, frames[i]), PW_E_OK);
    }
    assert_int_equal(pw_buf_append(&buf, (struct pw_span){sum, sizeof sum}), PW_E_OK);
    assert_int_equal(buf.len, pw_object_size(frames, count));
    return buf;
}

struct body_case {
    const char *name;
    struct pw_span body;
    enum pw_err err;
    size_t frames;
};

/* clang-format off */
static const struct body_case body_cases[] = {
    {"no frame", BYTES("PWQO\0\1\0\0\0\0\0\0"), PW_E_OK, 0},
    {"one empty frame", BYTES("PWQO\0\1\0\0\0\0\0\1" "\0\0\0\0\0\0\0\0"), PW_E_OK, 1},
    {"two frames", BYTES("PWQO\0\1\0\0\0\0\0\2" "\0\0\0\0\0\0\0\1" "\0\0\0\0\0\0\0\2" "abb"), PW_E_OK, 2},
    {"nothing", BYTES(""), PW_E_FORMAT, 0},
    {"only the magic", BYTES("PWQO"), PW_E_FORMAT, 0},
    {"another magic", BYTES("PWQ1\0\1\0\0\0\0\0\0"), PW_E_FORMAT, 0},
    {"a later version", BYTES("PWQO\0\2\0\0\0\0\0\0"), PW_E_USAGE, 0},
    {"version zero", BYTES("PWQO\0\0\0\0\0\0\0\0"), PW_E_FORMAT, 0},
    {"a reserved byte is set", BYTES("PWQO\0\1\0\1\0\0\0\0"), PW_E_FORMAT, 0},
    {"head cut short", BYTES("PWQO\0\1\0\0\0\0\0"), PW_E_FORMAT, 0},
    {"more frames than bytes", BYTES("PWQO\0\1\0\0\xff\xff\xff\xff"), PW_E_FORMAT, 0},
    {"lengths cut short", BYTES("PWQO\0\1\0\0\0\0\0\1" "\0\0\0\0\0\0\0"), PW_E_FORMAT, 0},
    {"a frame cut short", BYTES("PWQO\0\1\0\0\0\0\0\1" "\0\0\0\0\0\0\0\2" "a"), PW_E_FORMAT, 0},
    {"bytes behind the frames", BYTES("PWQO\0\1\0\0\0\0\0\1" "\0\0\0\0\0\0\0\1" "ab"), PW_E_FORMAT, 0},
    {"lengths that wrap around",
     BYTES("PWQO\0\1\0\0\0\0\0\2" "\xff\xff\xff\xff\xff\xff\xff\xff" "\0\0\0\0\0\0\0\2" "a"), PW_E_FORMAT, 0},
};
/* clang-format on */

static void
a_body_parses_when_everything_adds_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(body_cases); i++) {
        const struct body_case *c = &body_cases[i];
        struct pw_buf bytes = sealed(c->body);
        struct pw_held held;
        struct pw_why why = {{0}};
        enum pw_err err = pw_held_parse(&bytes, &held, &why);
        if (err != c->err || held.count != c->frames || bytes.bytes != NULL) {
            fail_msg("%s: %s, %zu frames", c->name, pw_err_text(err), held.count);
        }
        assert_true((err == PW_E_OK) == (why.text[0] == '\0'));
        pw_held_free(&held);
    }
}

static const struct pw_span message[] = {BYTES("first"), BYTES(""), BYTES("third frame")};

static void
frames_come_back_as_they_went(void **state)
{
    (void)state;
    struct pw_buf bytes = object_of(message, PW_COUNT(message));
    struct pw_held held;
    assert_int_equal(pw_held_parse(&bytes, &held, NULL), PW_E_OK);
    assert_int_equal(held.count, PW_COUNT(message));
    for (size_t i = 0; i < held.count; i++) {
        assert_true(pw_span_equal(held.frames[i], message[i]));
    }
    pw_held_free(&held);
}

static void
every_changed_byte_is_refused(void **state)
{
    (void)state;
    struct pw_buf whole = object_of(message, PW_COUNT(message));
    for (size_t i = 0; i < whole.len * 8; i++) {
        struct pw_buf bytes = buffer_of(pw_buf_span(&whole));
        struct pw_held held;
        struct pw_why why = {{0}};
        bytes.bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(pw_held_parse(&bytes, &held, &why), PW_E_FORMAT);
        assert_non_null(strstr(why.text, "damaged"));
        assert_int_equal(held.count, 0);
        pw_held_free(&held);
    }
    pw_buf_free(&whole);
}

static void
every_torn_or_longer_object_is_refused(void **state)
{
    (void)state;
    struct pw_buf whole = object_of(message, PW_COUNT(message));
    assert_int_equal(pw_buf_append(&whole, pw_span_str("x")), PW_E_OK);
    for (size_t len = 0; len <= whole.len; len++) {
        struct pw_buf bytes = buffer_of((struct pw_span){whole.bytes, len});
        struct pw_held held;
        enum pw_err err = pw_held_parse(&bytes, &held, NULL);
        assert_int_equal(err, len == whole.len - 1 ? PW_E_OK : PW_E_FORMAT);
        pw_held_free(&held);
    }
    pw_buf_free(&whole);
}

static void
the_name_is_the_sum_and_tells_frames_apart(void **state)
{
    (void)state;
    static const struct pw_span moved[] = {BYTES("firs"), BYTES("t"), BYTES("third frame")};
    char name[PW_STORE_ID];
    char other[PW_STORE_ID];
    pw_store_name(message, PW_COUNT(message), name);
    pw_store_name(moved, PW_COUNT(moved), other);
    assert_string_not_equal(name, other);
    pw_store_name(message, 2, other);
    assert_string_not_equal(name, other);
    pw_store_name(NULL, 0, other);
    assert_string_equal(other,
                        "0e9891ba50a492d0e79b88d9cd34d00de6b0375720fa06cebe87f0d066f45d02");
}

static void
parse_once(void *arg)
{
    struct pw_buf *whole = arg;
    struct pw_buf bytes = {.limit = 1 << 20};
    struct pw_held held = {0};
    enum pw_err err = pw_buf_append(&bytes, pw_buf_span(whole));
    if (err == PW_E_OK) {
        err = pw_held_parse(&bytes, &held, NULL);
    }
    assert_int_equal(err, fail_alloc_happened() ? PW_E_NOMEM : PW_E_OK);
    pw_held_free(&held);
}

static void
out_of_memory_is_an_error_and_no_leak(void **state)
{
    (void)state;
    struct pw_buf whole = object_of(message, PW_COUNT(message));
    size_t n = 1;
    while (fail_alloc_round(n, parse_once, &whole)) {
        n++;
    }
    assert_int_equal(n, 3);
    pw_buf_free(&whole);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_parses_when_everything_adds_up),
        cmocka_unit_test(frames_come_back_as_they_went),
        cmocka_unit_test(every_changed_byte_is_refused),
        cmocka_unit_test(every_torn_or_longer_object_is_refused),
        cmocka_unit_test(the_name_is_the_sum_and_tells_frames_apart),
        cmocka_unit_test(out_of_memory_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
