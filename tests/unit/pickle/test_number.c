/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "common/pickle/number.h"

struct number_case {
    struct pw_span text;
    bool as_int, as_long, as_float;
};

/* clang-format off */
static const struct number_case number_cases[] = {
    {BYTES("0"), true, true, true},
    {BYTES("7"), true, true, true},
    {BYTES("-7"), true, true, true},
    {BYTES("00"), true, false, true},
    {BYTES("01"), true, false, true},
    {BYTES("02"), false, false, true},
    {BYTES("010"), false, false, true},
    {BYTES("-0"), false, false, true},
    {BYTES("+1"), false, false, true},
    {BYTES("-01"), false, false, true},
    {BYTES(""), false, false, false},
    {BYTES("-"), false, false, false},
    {BYTES(" 1"), false, false, false},
    {BYTES("1 "), false, false, false},
    {BYTES("1\r"), false, false, false},
    {BYTES("1_0"), false, false, false},
    {BYTES("0x10"), false, false, false},
    {BYTES("1\0junk"), false, false, false},
    {BYTES("7L"), false, true, false},
    {BYTES("7l"), false, false, false},
    {BYTES("7LL"), false, false, false},
    {BYTES("L"), false, false, false},
    {BYTES("1.5"), false, false, true},
    {BYTES(".5"), false, false, true},
    {BYTES("5."), false, false, true},
    {BYTES("."), false, false, false},
    {BYTES("1e16"), false, false, true},
    {BYTES("1e+16"), false, false, true},
    {BYTES("1e-999"), false, false, true},
    {BYTES("1e999"), false, false, false},
    {BYTES("1e"), false, false, false},
    {BYTES("1e+"), false, false, false},
    {BYTES("inf"), false, false, true},
    {BYTES("-Infinity"), false, false, true},
    {BYTES("+Inf"), false, false, true},
    {BYTES("nan"), false, false, true},
    {BYTES("nano"), false, false, false},
    {BYTES("0x1p3"), false, false, false},
    {BYTES("1e5x"), false, false, false},
    {BYTES("1e1000"), false, false, false},
    {BYTES("1x5"), false, false, false},
};

static const struct {
    struct pw_span text;
    bool canonical;
    uint64_t index;
} index_cases[] = {
    {BYTES("0"), true, 0},
    {BYTES("12"), true, 12},
    {BYTES("4294967296"), true, 4294967296u},
    {BYTES("007"), false, 7},
    {BYTES(" 7"), false, 7},
    {BYTES("+7"), false, 7},
    {BYTES("1_0"), false, 10},
    {BYTES("7\0junk9"), false, 7},
    {BYTES("-7"), false, UINT64_MAX},
    {BYTES("-0"), false, 0},
    {BYTES(""), false, UINT64_MAX},
    {BYTES("x"), false, UINT64_MAX},
};
/* clang-format on */

static void
only_spellings_that_all_unpicklers_read_alike_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(number_cases); i++) {
        const struct number_case *c = &number_cases[i];
        const char *name = (const char *)c->text.ptr;
        bool is_bool;
        check_case(name, pw_number_int(c->text, &is_bool) == c->as_int);
        check_case(name, pw_number_long(c->text) == c->as_long);
        check_case(name, pw_number_float(c->text) == c->as_float);
    }
}

static void
only_00_and_01_are_bools(void **state)
{
    (void)state;
    bool is_bool;
    assert_true(pw_number_int(BYTES("01"), &is_bool) && is_bool);
    assert_true(pw_number_int(BYTES("00"), &is_bool) && is_bool);
    assert_true(pw_number_int(BYTES("1"), &is_bool) && !is_bool);
}

static void
more_than_4300_digits_are_refused(void **state)
{
    (void)state;
    static uint8_t digits[4301];
    memset(digits, '9', sizeof digits);
    bool is_bool;
    assert_true(pw_number_int((struct pw_span){digits, 4300}, &is_bool));
    assert_false(pw_number_int((struct pw_span){digits, 4301}, &is_bool));
    assert_false(pw_number_long((struct pw_span){digits, 4301}));
    uint64_t index;
    assert_false(pw_number_index((struct pw_span){digits, 4300}, &index));
}

static void
an_index_is_read_even_when_it_is_misspelled(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(index_cases); i++) {
        uint64_t index;
        const char *name = (const char *)index_cases[i].text.ptr;
        check_case(name, pw_number_index(index_cases[i].text, &index) ==
                             index_cases[i].canonical);
        check_case(name, index == index_cases[i].index);
    }
}

/* 309 digits may be finite; more are only with a point or an exponent that repr() has not.
 */
static void
a_float_has_no_more_digits_than_the_largest(void **state)
{
    (void)state;
    static uint8_t digits[310];
    memset(digits, '1', sizeof digits);
    assert_true(pw_number_float((struct pw_span){digits, 309}));
    assert_false(pw_number_float((struct pw_span){digits, 310}));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_spellings_that_all_unpicklers_read_alike_pass),
        cmocka_unit_test(only_00_and_01_are_bools),
        cmocka_unit_test(more_than_4300_digits_are_refused),
        cmocka_unit_test(a_float_has_no_more_digits_than_the_largest),
        cmocka_unit_test(an_index_is_read_even_when_it_is_misspelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
