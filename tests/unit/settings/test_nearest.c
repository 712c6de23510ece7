/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/nearest.h"

#include "tests/unit/check.h"

struct distance_case {
    const char *a;
    const char *b;
    size_t distance;
};

static const struct distance_case distance_cases[] = {
    {"", "", 0},
    {"abc", "abc", 0},
    {"abc", "", 3},
    {"", "abc", 3},
    {"abc", "abd", 1},
    {"abc", "ab", 1},
    {"abc", "xabc", 1},
    {"abc", "acb", 1},
    {"scna", "scan", 1},
    {"kitten", "sitting", 3},
    {"verify", "policy", 4},
    {"ca", "abc", 3},
};

static void
letters_inserted_deleted_replaced_or_swapped_count_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(distance_cases); i++) {
        const struct distance_case *it = &distance_cases[i];
        check_case(it->a, pw_nearest_distance(it->a, it->b) == it->distance);
        check_case(it->a, pw_nearest_distance(it->b, it->a) == it->distance);
    }
}

static void
long_texts_are_far_from_everything(void **state)
{
    (void)state;
    char text[200];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct pw_nearest nearest = {.wanted = text};
    pw_nearest_offer(&nearest, text);
    assert_string_equal(nearest.best, "");
    text[PW_NEAREST_MAX - 1] = '\0';
    pw_nearest_offer(&nearest, text);
    assert_string_equal(nearest.best, text);
}

static void
the_nearest_wins_and_what_is_far_is_not_named(void **state)
{
    (void)state;
    struct pw_nearest nearest = {.wanted = "biind"};
    pw_nearest_offer(&nearest, "connect");
    assert_string_equal(nearest.best, "");
    pw_nearest_offer(&nearest, "blend");
    pw_nearest_offer(&nearest, "bind");
    pw_nearest_offer(&nearest, "bend");
    assert_string_equal(nearest.best, "bind");
    struct pw_nearest far = {.wanted = "metrics"};
    pw_nearest_offer(&far, "state");
    pw_nearest_offer(&far, "keys");
    pw_nearest_offer(&far, "in");
    assert_string_equal(far.best, "");
}

static void
a_short_word_is_not_near_to_every_other(void **state)
{
    (void)state;
    struct pw_nearest nearest = {.wanted = "x"};
    pw_nearest_offer(&nearest, "a");
    assert_string_equal(nearest.best, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_inserted_deleted_replaced_or_swapped_count_one),
        cmocka_unit_test(long_texts_are_far_from_everything),
        cmocka_unit_test(the_nearest_wins_and_what_is_far_is_not_named),
        cmocka_unit_test(a_short_word_is_not_near_to_every_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
