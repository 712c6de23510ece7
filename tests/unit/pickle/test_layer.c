/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/pickle/layer.h"
#include "tests/unit/fail_alloc.h"

static struct pw_span
pack(const void *bytes, size_t len, uint8_t *out, size_t room)
{
    uLongf packed = room;
    assert_int_equal(compress(out, &packed, bytes, len), Z_OK);
    return (struct pw_span){out, packed};
}

static void
what_was_packed_comes_back(void **state)
{
    (void)state;
    uint8_t room[256];
    struct pw_layer *layer = pw_layer_new();
    struct pw_span out;
    for (int i = 0; i < 3; i++) { /* the stream is used again */
        struct pw_span packed = pack("hello, pickle", 13, room, sizeof room);
        assert_int_equal(pw_layer_inflate(layer, packed, &pw_limits_default, &out),
                         PW_R_NONE);
        assert_true(pw_span_equal(out, BYTES("hello, pickle")));
    }
    pw_layer_free(&layer);
}

static void
a_damaged_stream_is_broken(void **state)
{
    (void)state;
    uint8_t room[256];
    struct pw_layer *layer = pw_layer_new();
    struct pw_span packed = pack("hello, pickle", 13, room, sizeof room);
    struct pw_span out;
    for (size_t len = 0; len < packed.len; len++) {
        struct pw_span cut = {packed.ptr, len};
        assert_int_equal(pw_layer_inflate(layer, cut, &pw_limits_default, &out),
                         PW_R_LAYER_BROKEN);
    }
    room[packed.len] = 'x'; /* a byte behind the end */
    struct pw_span more = {packed.ptr, packed.len + 1};
    assert_int_equal(pw_layer_inflate(layer, more, &pw_limits_default, &out),
                     PW_R_LAYER_BROKEN);
    room[packed.len - 1] ^= 1; /* the checksum */
    assert_int_equal(pw_layer_inflate(layer, packed, &pw_limits_default, &out),
                     PW_R_LAYER_BROKEN);
    pw_layer_free(&layer);
}

static void
a_bomb_stops_at_its_limits(void **state)
{
    (void)state;
    enum { BIG = 8 << 20 };
    uint8_t *zeros = calloc(1, BIG);
    uint8_t *room = malloc(1 << 20);
    struct pw_span packed = pack(zeros, BIG, room, 1 << 20);
    struct pw_layer *layer = pw_layer_new();
    struct pw_span out;
    struct pw_limits limits = pw_limits_default;
    assert_int_equal(pw_layer_inflate(layer, packed, &limits, &out), PW_R_LIMIT_INFLATE);
    limits.max_ratio = 100000;
    assert_int_equal(pw_layer_inflate(layer, packed, &limits, &out), PW_R_NONE);
    assert_int_equal(out.len, BIG);
    limits.max_bytes = BIG - 1;
    assert_int_equal(pw_layer_inflate(layer, packed, &limits, &out), PW_R_LIMIT_INFLATE);
    limits.max_bytes = BIG;
    assert_int_equal(pw_layer_inflate(layer, packed, &limits, &out), PW_R_NONE);
    pw_layer_free(&layer);
    free(room);
    free(zeros);
}

static void
fields_before_the_pickle_are_passed_over(void **state)
{
    (void)state;
    struct pw_span out;
    assert_int_equal(pw_layer_skip(BYTES("a b \x80\x04N."), ' ', 2, &out), PW_R_NONE);
    assert_true(pw_span_equal(out, BYTES("\x80\x04N.")));
    assert_int_equal(pw_layer_skip(BYTES("a b"), ' ', 2, &out), PW_R_RULE_MISMATCH);
    assert_int_equal(pw_layer_skip(BYTES(""), ' ', 1, &out), PW_R_RULE_MISMATCH);
}

static void
inflate_once(void *state)
{
    struct pw_span *packed = state;
    struct pw_layer *layer = pw_layer_new();
    struct pw_span out;
    if (layer != NULL) {
        enum pw_reason reason = pw_layer_inflate(layer, *packed, &pw_limits_default, &out);
        assert_true(reason == PW_R_NONE || reason == PW_R_INTERNAL_ERROR);
    }
    pw_layer_free(&layer);
}

static void
running_out_of_memory_is_said_and_leaks_nothing(void **state)
{
    (void)state;
    uint8_t room[256];
    struct pw_span packed = pack("hello, pickle", 13, room, sizeof room);
    size_t n = 1;
    while (fail_alloc_round(n, inflate_once, &packed)) {
        n++;
    }
    assert_true(n > 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_comes_back),
        cmocka_unit_test(a_damaged_stream_is_broken),
        cmocka_unit_test(a_bomb_stops_at_its_limits),
        cmocka_unit_test(fields_before_the_pickle_are_passed_over),
        cmocka_unit_test(running_out_of_memory_is_said_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
