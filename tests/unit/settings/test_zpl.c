/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/zpl.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/check.h"

static const char good[] = "#   a comment\n"
                           "\n"
                           "   \n"
                           "state = \"/tmp/a # b\"   # a comment\n"
                           "audit\r\n"
                           "    # a comment\n"
                           "    file = 'say \"x\"'\n"
                           "    pass = each # a comment\n"
                           "channel # a comment\n"
                           "    jobs\n"
                           "        in\n"
                           "            bind=tcp://*:1\n"
                           "            bind = tcp://*:2\n"
                           "        frames = topic, pickle*\n"
                           "    more.jobs\n"
                           "keys = \"\"";

struct node_case {
    const char *path;
    const char *value;
    unsigned line;
    bool section;
};

static const struct node_case node_cases[] = {
    {"state", "/tmp/a # b", 4, false},
    {"audit", "", 5, true},
    {"audit.file", "say \"x\"", 7, false},
    {"audit.pass", "each", 8, false},
    {"channel", "", 9, true},
    {"channel.jobs", "", 10, true},
    {"channel.jobs.in", "", 11, true},
    {"channel.jobs.in.bind", "tcp://*:1", 12, false},
    {"channel.jobs.in.bind", "tcp://*:2", 13, false},
    {"channel.jobs.frames", "topic, pickle*", 14, false},
    {"channel.more.jobs", "", 15, true},
    {"keys", "", 16, false},
};

static void
every_line_keeps_its_number_path_and_value(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct pw_zpl *doc = pw_zpl_parse(BYTES(good), "a.conf", &why);
    assert_string_equal(why.text, "");
    assert_non_null(doc);
    assert_int_equal(doc->count, PW_COUNT(node_cases));
    for (size_t i = 0; i < PW_COUNT(node_cases); i++) {
        char path[PW_ZPL_PATH_MAX];
        pw_zpl_path(doc, i, path);
        assert_string_equal(path, node_cases[i].path);
        assert_string_equal(doc->nodes[i].value, node_cases[i].value);
        assert_int_equal(doc->nodes[i].line, node_cases[i].line);
        assert_int_equal(doc->nodes[i].section, node_cases[i].section);
    }
    pw_zpl_free(&doc);
    assert_null(doc);
    pw_zpl_free(&doc);
}

static void
a_path_finds_its_first_line(void **state)
{
    (void)state;
    struct pw_zpl *doc = pw_zpl_parse(BYTES(good), "a.conf", NULL);
    assert_non_null(doc);
    assert_int_equal(doc->nodes[pw_zpl_find(doc, "channel.jobs.in.bind")].line, 12);
    assert_true(pw_zpl_find(doc, "channel.jobs.out") == PW_ZPL_NONE);
    struct pw_why why;
    assert_int_equal(pw_zpl_fail(doc, pw_zpl_find(doc, "audit.pass"), &why, "is %s", "odd"),
                     PW_E_CONFIG);
    assert_string_equal(why.text, "a.conf:8: audit.pass: is odd");
    pw_zpl_free(&doc);
}

static void
an_empty_text_has_no_lines(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "# only this", "\r\n\r\n"};
    for (size_t i = 0; i < PW_COUNT(texts); i++) {
        struct pw_zpl *doc = pw_zpl_parse(pw_span_str(texts[i]), "a.conf", NULL);
        assert_non_null(doc);
        assert_int_equal(doc->count, 0);
        pw_zpl_free(&doc);
    }
}

struct broken_case {
    const char *name;
    struct pw_span text;
    const char *why;
};

static const struct broken_case broken_cases[] = {
    {"a tab on an empty line", BYTES("\t\n"), "a.conf:1: a tab; "},
    {"a tab behind the name", BYTES("a\t= 1\n"), "a.conf:1: a: a tab; "},
    {"a tab in a value", BYTES("a = \"x\ty\"\n"), "a.conf:1: a: a tab; "},
    {"NUL", BYTES("a = 1\nb\0 = 2\n"), "a.conf:2: b: control character 0x00; "},
    {"NUL at the end", BYTES("a = 1\n\0"), "a.conf:2: control character 0x00; "},
    {"a carriage return inside", BYTES("a = 1\rb = 2\n"),
     "a.conf:1: a: control character 0x0d; "},
    {"an escape in a comment", BYTES("# \x1b[2J\n"), "a.conf:1: control character 0x1b; "},
    {"Latin-1", BYTES("a = caf\xe9\n"), "a.conf:1: a: not UTF-8; "},
    {"a byte order mark",
     BYTES("\xef\xbb\xbf"
           "a = 1\n"),
     "a.conf:1: starts with a byte order"},
    {"a name of other letters", BYTES("\xc3\xa4 = 1\n"),
     "a.conf:1: \"\xc3\xa4 = 1\" where a name"},
    {"a name in quotes", BYTES("\"a\" = 1\n"), "where a name must stand"},
    {"no name", BYTES("= 1\n"), "where a name must stand"},
    {"a slash in a name", BYTES("a/b = 1\n"), "a.conf:1: a: \"/b = 1\" follows the name"},
    {"a colon", BYTES("a: 1\n"), "follows the name"},
    {"two words", BYTES("a b = 1\n"), "follows the name"},
    {"a comment for a value", BYTES("a = # 1\n"), "no value behind \"=\""},
    {"nothing for a value", BYTES("a =\n"), "no value behind \"=\""},
    {"a value cut at #", BYTES("a = b#c\n"), "\"#\" starts a comment"},
    {"an open quote", BYTES("a = \"b\n"), "the quote \" is not closed"},
    {"an open apostrophe", BYTES("a = 'b\"\n"), "the quote ' is not closed"},
    {"more behind the quote", BYTES("a = \"b\" c\n"), "follows the closing quote"},
    {"a quote inside", BYTES("a = b \"c\"\n"), "a quote inside the value"},
    {"three spaces", BYTES("a\n   b = 1\n"), "a.conf:2: b: indented by 3 spaces"},
    {"a comment at two spaces", BYTES("a = 1\n  # b\n"), "a.conf:2: indented by 2 spaces"},
    {"indented at the start", BYTES("    a = 1\n"), "where at most 0 fit"},
    {"two levels at once", BYTES("a\n        b = 1\n"), "where at most 4 fit"},
    {"below a value", BYTES("a = 1\n    b = 2\n"), "stands below line 1"},
    {"too deep",
     BYTES("a\n    a\n        a\n            a\n                a\n                    a\n"
           "                        a\n                            a\n"
           "                                a\n"),
     "a.conf:9: a: more than 8 levels"},
};

static void
what_zconfig_would_misread_is_refused_with_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(broken_cases); i++) {
        struct pw_why why = {0};
        struct pw_zpl *doc = pw_zpl_parse(broken_cases[i].text, "a.conf", &why);
        check_case(broken_cases[i].name, doc == NULL);
        if (strstr(why.text, broken_cases[i].why) == NULL) {
            fail_msg("%s: %s", broken_cases[i].name, why.text);
        }
    }
}

struct size_case {
    const char *name;
    size_t repeats;
    const char *line;
    const char *why; /* NULL: good */
};

static const struct size_case size_cases[] = {
    {"as many settings as there may be", 10000, "a\n", NULL},
    {"one more", 10001, "a\n", "a.conf:10001: a: more than 10000 settings; "},
    {"a megabyte", 1 << 17, "# 45678\n", NULL},
    {"more", (1 << 17) + 1, "# 45678\n", "a.conf: larger than 1 MiB; "},
    {"a line as long as it may be", 1000, "#", NULL},
    {"one byte longer", 1001, "#", "a.conf:1: 1001 bytes in one line; "},
};

static void
huge_files_are_refused_before_they_cost_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(size_cases); i++) {
        const struct size_case *it = &size_cases[i];
        size_t len = strlen(it->line);
        char *text = malloc(it->repeats * len);
        assert_non_null(text);
        for (size_t j = 0; j < it->repeats; j++) {
            memcpy(text + j * len, it->line, len);
        }
        struct pw_why why = {0};
        struct pw_span span = {(const uint8_t *)text, it->repeats * len};
        struct pw_zpl *doc = pw_zpl_parse(span, "a.conf", &why);
        check_case(it->name, (doc != NULL) == (it->why == NULL));
        check_case(it->name, it->why == NULL || strstr(why.text, it->why) == why.text);
        pw_zpl_free(&doc);
        free(text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_keeps_its_number_path_and_value),
        cmocka_unit_test(a_path_finds_its_first_line),
        cmocka_unit_test(an_empty_text_has_no_lines),
        cmocka_unit_test(what_zconfig_would_misread_is_refused_with_words),
        cmocka_unit_test(huge_files_are_refused_before_they_cost_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
