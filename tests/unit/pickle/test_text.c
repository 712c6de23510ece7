/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdlib.h>

#include "common/pickle/text.h"

struct text_case {
    const char *name;
    struct pw_span line;
    bool good;
    struct pw_span out;
};

/* clang-format off */
static const struct text_case unicode_cases[] = {
    {"plain", BYTES("os"), true, BYTES("os")},
    {"empty", BYTES(""), true, BYTES("")},
    {"latin-1 becomes UTF-8", BYTES("\xe9"), true, BYTES("\xc3\xa9")},
    {"four digits", BYTES("\\u006fs"), true, BYTES("os")},
    {"eight digits", BYTES("\\U0001F600"), true, BYTES("\xf0\x9f\x98\x80")},
    {"backslash pair stays", BYTES("\\\\u006f"), true, BYTES("\\\\u006f")},
    {"three backslashes", BYTES("\\\\\\u006f"), true, BYTES("\\\\o")},
    {"no newline escape", BYTES("a\\n"), true, BYTES("a\\n")},
    {"lone surrogate kept", BYTES("\\ud800"), true, BYTES("\xed\xa0\x80")},
    {"cut escape", BYTES("\\u006"), false, BYTES("")},
    {"no digits", BYTES("\\u00zz"), false, BYTES("")},
    {"past U+10FFFF", BYTES("\\U00110000"), false, BYTES("")},
    {"backslash at the end", BYTES("a\\"), true, BYTES("a\\")},
};

static const struct text_case string_cases[] = {
    {"single quotes", BYTES("'os'"), true, BYTES("os")},
    {"double quotes", BYTES("\"os\""), true, BYTES("os")},
    {"empty", BYTES("''"), true, BYTES("")},
    {"quotes inside stay", BYTES("'a'b'"), true, BYTES("a'b")},
    {"other quote at the end", BYTES("'a\""), false, BYTES("")},
    {"one quote", BYTES("'"), false, BYTES("")},
    {"blank behind", BYTES("'a' "), false, BYTES("")},
    {"no quotes", BYTES("ab"), false, BYTES("")},
    {"named escapes", BYTES("'\\n\\t\\\\\\''"), true, BYTES("\n\t\\'")},
    {"hexadecimal", BYTES("'\\x6fs'"), true, BYTES("os")},
    {"one hexadecimal digit", BYTES("'\\x6'"), false, BYTES("")},
    {"octal", BYTES("'\\157s'"), true, BYTES("os")},
    {"octal wraps", BYTES("'\\557'"), true, BYTES("o")},
    {"short octal", BYTES("'\\0z'"), true, BYTES("\0z")},
    {"octal at the end", BYTES("'\\7'"), true, BYTES("\7")},
    {"octal ends at a blank", BYTES("'\\7 8'"), true, BYTES("\7 8")},
    {"octal ends at an eight", BYTES("'\\78'"), true, BYTES("\7" "8")},
    {"unknown escape stays", BYTES("'\\q'"), true, BYTES("\\q")},
    {"backslash at the end", BYTES("'a\\'"), false, BYTES("")},
};
/* clang-format on */

static void
walk(const struct text_case *cases, size_t count,
     bool (*decode)(struct pw_span, uint8_t *, size_t *), size_t factor)
{
    for (size_t i = 0; i < count; i++) {
        const struct text_case *c = &cases[i];
        uint8_t *out = malloc(factor * c->line.len + 1);
        size_t len = 0;
        check_case(c->name, decode(c->line, out, &len) == c->good);
        if (c->good) {
            check_case(c->name, pw_span_equal((struct pw_span){out, len}, c->out));
        }
        free(out);
    }
}

static void
unicode_is_raw_unicode_escape(void **state)
{
    (void)state;
    walk(unicode_cases, PW_COUNT(unicode_cases), pw_text_unicode, 2);
}

static void
string_is_unquoted_and_unescaped(void **state)
{
    (void)state;
    walk(string_cases, PW_COUNT(string_cases), pw_text_string, 1);
}

static void
a_plain_line_stands_for_itself(void **state)
{
    (void)state;
    assert_true(pw_text_unicode_is_plain(BYTES("os")));
    assert_true(pw_text_unicode_is_plain(BYTES("a\\n")));
    assert_false(pw_text_unicode_is_plain(BYTES("\\u0041")));
    assert_false(pw_text_unicode_is_plain(BYTES("\\U00000041")));
    assert_false(pw_text_unicode_is_plain(BYTES("\xe9")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unicode_is_raw_unicode_escape),
        cmocka_unit_test(string_is_unquoted_and_unescaped),
        cmocka_unit_test(a_plain_line_stands_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
