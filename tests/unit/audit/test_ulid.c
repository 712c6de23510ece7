/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/ulid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
all_ones(void *bytes, size_t len)
{
    memset(bytes, 0xff, len);
}

static void
counting(void *bytes, size_t len)
{
    static uint8_t next;
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)bytes)[i] = next++;
    }
}

static const uint64_t ns_per_ms = 1000000;

static void
a_ulid_spells_time_and_chance_in_base32(void **state)
{
    (void)state;
    struct pw_ulid source = {.fill = all_ones};
    char text[PW_ULID_TEXT];
    pw_ulid_next(&source, 1469918176385 * ns_per_ms, text);
    assert_string_equal(text, "01ARYZ6S41ZZZZZZZZZZZZZZZZ");
}

static void
ulids_grow_when_the_clock_stands_still_or_steps_back(void **state)
{
    (void)state;
    static const uint64_t times[] = {5, 5, 5, 3, 1, 6, 6, 2, 7};
    struct pw_ulid source = {.fill = counting};
    char before[PW_ULID_TEXT] = "";
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char text[PW_ULID_TEXT];
        pw_ulid_next(&source, times[i] * ns_per_ms, text);
        assert_true(strcmp(before, text) < 0);
        memcpy(before, text, sizeof before);
    }
}

static void
a_full_random_part_carries_into_the_time(void **state)
{
    (void)state;
    struct pw_ulid source = {.fill = all_ones};
    char first[PW_ULID_TEXT];
    char second[PW_ULID_TEXT];
    pw_ulid_next(&source, 9 * ns_per_ms, first);
    pw_ulid_next(&source, 9 * ns_per_ms, second);
    assert_string_equal(first, "0000000009ZZZZZZZZZZZZZZZZ");
    assert_string_equal(second, "000000000A0000000000000000");
}

static void
a_ulid_tells_its_time_and_the_first_of_a_time_sorts_before_all_of_it(void **state)
{
    (void)state;
    assert_int_equal(pw_ulid_ms("01ARYZ6S41ZZZZZZZZZZZZZZZZ"), 1469918176385);
    assert_int_equal(pw_ulid_ms("??????????"), 0);
    char text[PW_ULID_TEXT];
    pw_ulid_floor(1469918176385, text);
    assert_string_equal(text, "01ARYZ6S410000000000000000");
    pw_ulid_floor(((uint64_t)1 << 48) - 1, text);
    assert_string_equal(text, "7ZZZZZZZZZ0000000000000000");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ulid_spells_time_and_chance_in_base32),
        cmocka_unit_test(ulids_grow_when_the_clock_stands_still_or_steps_back),
        cmocka_unit_test(a_full_random_part_carries_into_the_time),
        cmocka_unit_test(
            a_ulid_tells_its_time_and_the_first_of_a_time_sorts_before_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
