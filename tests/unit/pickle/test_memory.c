/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation of a scan may fail, wherever the scan is by then: PW_E_NOMEM, a report
 * of kind BROKEN, and nothing is lost. Each case runs with each of its allocations failing.
 */
#include "tests/unit/check.h"

#include <string.h>

#include "common/pickle/scan.h"
#include "tests/unit/fail_alloc.h"

enum { STREAM_MAX = 2048, FILL_FROM = 61, FILL_TO = 66 };

/* Repeated, these fill an array to where it must grow. */
static const struct pw_span fills[] = {
    BYTES("N"),
    BYTES("]"),
    BYTES("("),
    BYTES("]\x94"),
    BYTES("N\x94"),
    BYTES("cm\nC\n"),
    BYTES("]cm\nC\n"
          "a0"),
    BYTES("K\1\x85"),
    BYTES("V\\u0061\n0"),
    BYTES("]]a0"),
    BYTES("cm\nC\n)R0"),
    BYTES(")\x85\x85"),
    BYTES("S'\\x61'\n"),
};

struct end {
    const char *name;
    struct pw_span bytes;
};

/* Each needs memory in a way of its own. */
/* clang-format off */
static const struct end ends[] = {
    {"a constant", BYTES("N.")},
    {"a mark", BYTES("(N.")},
    {"an empty list", BYTES("].")},
    {"a list", BYTES("(]l.")},
    {"a list of a global", BYTES("(cm\nC\nl.")},
    {"a dict", BYTES("(N]d.")},
    {"a dict with a tuple for a key", BYTES("(N\x85]d.")},
    {"a frozenset", BYTES("(N]\x85\x91.")},
    {"a set", BYTES("\x8f(N\x85\x90.")},
    {"a tuple", BYTES("(]N" "t.")},
    {"a tuple of globals in a tuple", BYTES("cm\nC\n\x85\x85.")},
    {"a tuple of globals in a list", BYTES("](cm\nC\n\x85" "e.")},
    {"a long tuple of globals", BYTES("(cm\nC\n22222222222222222t.")},
    {"an import", BYTES("cm\nC\n.")},
    {"an import from the stack", BYTES("\x8c\1m\x8c\1C\x93.")},
    {"an import cut off", BYTES("cm\nC")},
    {"INST", BYTES("(im\nC\n.")},
    {"INST with an operand", BYTES("(]im\nC\n.")},
    {"OBJ", BYTES("(cm\nC\n]o.")},
    {"REDUCE", BYTES("cm\nC\n]\x85R.")},
    {"REDUCE with a global in a tuple", BYTES("cm\nC\ncm\nD\n\x85\x85R.")},
    {"REDUCE of a list", BYTES("cm\nC\n]R.")},
    {"REDUCE of a global", BYTES("cm\nC\ncm\nD\nR.")},
    {"NEWOBJ", BYTES("cm\nC\n)\x81.")},
    {"NEWOBJ_EX", BYTES("cm\nC\ncm\nD\n\x85}\x92.")},
    {"BUILD", BYTES("cm\nC\n)R}" "b.")},
    {"BUILD with a global", BYTES("cm\nC\n)Rcm\nD\n" "b.")},
    {"APPEND of a global", BYTES("]cm\nC\n" "a.")},
    {"APPEND to an instance", BYTES("cm\nC\n)RN" "a.")},
    {"SETITEM with a tuple for a key", BYTES("}N\x85NN\x85s.")},
    {"a persistent id of a global", BYTES("cm\nC\nQ.")},
    {"UNICODE with escapes", BYTES("V\\u0061\n.")},
    {"STRING", BYTES("S'\\x61'\n.")},
    {"PUT", BYTES("Np70\n.")},
    {"PUT far away", BYTES("Np99999999\n.")},
    {"MEMOIZE", BYTES("N\x94.")},
    {"a long integer", BYTES("\x8a\x09\1\1\1\1\1\1\1\1\1.")},
    {"a list filled late", BYTES("]\x94]\x94" "a0h\1]" "a0h\0.")},
    {"a call with a list of tuples", BYTES("cm\nC\n](N\x85" "e\x85R.")},
};
/* clang-format on */

struct stream {
    uint8_t bytes[STREAM_MAX];
    size_t len;
};

static void
add(struct stream *to, struct pw_span bytes)
{
    assert_true(bytes.len <= STREAM_MAX - to->len);
    memcpy(to->bytes + to->len, bytes.ptr, bytes.len);
    to->len += bytes.len;
}

static void
scan_once(void *state)
{
    const struct stream *stream = state;
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    if (scan != NULL) {
        enum pw_err err = pw_scan_frame(scan, (struct pw_span){stream->bytes, stream->len},
                                        &pw_limits_default, &report);
        assert_true(err == PW_E_NOMEM ? report.kind == PW_KIND_BROKEN : err == PW_E_OK);
        assert_int_equal(err == PW_E_NOMEM, fail_alloc_happened());
    }
    pw_scan_free(&scan);
}

/* The end behind so many times the fill, with each allocation failing in turn. */
static void
fail_each(struct pw_span fill, size_t times, const struct end *end)
{
    struct stream stream = {.len = 0};
    for (size_t i = 0; i < times; i++) {
        add(&stream, fill);
    }
    add(&stream, end->bytes);
    size_t n = 1;
    while (fail_alloc_round(n, scan_once, &stream)) {
        n++;
    }
    check_case(end->name, n > 4); /* the scanner, objects, stack, marks */
}

static void
each_end_survives_each_failure(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(ends); i++) {
        fail_each(BYTES(""), 0, &ends[i]);
    }
}

static void
so_it_does_where_an_array_must_grow(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(fills) * PW_COUNT(ends); i++) {
        for (size_t times = FILL_FROM; times < FILL_TO; times++) {
            fail_each(fills[i / PW_COUNT(ends)], times, &ends[i % PW_COUNT(ends)]);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_end_survives_each_failure),
        cmocka_unit_test(so_it_does_where_an_array_must_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
