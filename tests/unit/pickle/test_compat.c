/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <string.h>

#include "common/pickle/compat.h"

struct rename {
    const char *mod, *name, *new_mod, *new_name;
};

static const struct rename rows[] = {
#define PW_RENAME(mod, name, new_mod, new_name) {mod, name, new_mod, new_name},
#include "common/pickle/compat.def"
#undef PW_RENAME
};

static void
rows_are_sorted_for_the_search(void **state)
{
    (void)state;
    for (size_t i = 1; i < PW_COUNT(rows); i++) {
        int order = strcmp(rows[i - 1].mod, rows[i].mod);
        check_case(rows[i].mod, order <= 0);
        check_case(rows[i].mod, order < 0 || strcmp(rows[i - 1].name, rows[i].name) < 0);
    }
    assert_int_equal(PW_COUNT(rows), 88 + 55);
}

static void
every_row_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(rows); i++) {
        bool any = rows[i].name[0] == '*';
        struct pw_span name = pw_span_str(any ? "Nobody" : rows[i].name);
        struct pw_span mod, new_name;
        check_case(rows[i].mod,
                   pw_compat_map(pw_span_str(rows[i].mod), name, &mod, &new_name));
        check_case(rows[i].mod, pw_span_equal(mod, pw_span_str(rows[i].new_mod)));
        check_case(rows[i].mod,
                   pw_span_equal(new_name, any ? name : pw_span_str(rows[i].new_name)));
    }
}

static void
everything_else_stays(void **state)
{
    (void)state;
    struct pw_span mod, name;
    assert_false(pw_compat_map(BYTES("os"), BYTES("system"), &mod, &name));
    assert_false(pw_compat_map(BYTES("__builtin__\0"), BYTES("set"), &mod, &name));
    assert_false(pw_compat_map(BYTES(""), BYTES(""), &mod, &name));
    assert_false(pw_compat_map(BYTES("zzz"), BYTES("x"), &mod, &name));
    assert_false(pw_compat_map(BYTES("itertools"), BYTES("chain"), &mod, &name));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sorted_for_the_search),
        cmocka_unit_test(every_row_is_found),
        cmocka_unit_test(everything_else_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
