/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings/settings.h"
#include "proxy/cli/learned.h"
#include "tests/unit/fail_alloc.h"

#define FIND(code, op, mod, name)                                                          \
    "{\"code\":\"" code "\",\"op\":\"" op "\",\"mod\":\"" mod "\",\"name\":\"" name "\"}"

static bool
knows_base(void *arg, struct pw_span policy)
{
    (void)arg;
    return pw_span_equal(policy, BYTES("base"));
}

/* What the lines teach, as text that the caller frees; NULL when out of memory. */
static char *
learn(const char *lines, uint64_t least, size_t *written)
{
    struct pw_learned learned;
    struct pw_learn_options options = {
        .name = "learned", .least = least, .is_known = knows_base};
    char *text = NULL;
    size_t len = 0, left = 0;
    pw_learned_init(&learned);
    FILE *out = open_memstream(&text, &len);
    bool good = out != NULL && pw_learned_feed(&learned, pw_span_str(lines)) == PW_E_OK &&
                pw_learned_end(&learned) == PW_E_OK &&
                pw_learned_print(&learned, &options, out, written, &left) == PW_E_OK;
    pw_learned_free(&learned);
    good = out != NULL && fclose(out) == 0 && good;
    if (!good) {
        free(text);
        return NULL;
    }
    return text;
}

/* The policy holds as a part of a configuration. */
static void
check_accepted(const char *name, const char *policy)
{
    static const char head[] =
        "state = \"s\"\nchannel\n    a\n        in\n            bind = "
        "\"tcp://127.0.0.1:1\"\n        out\n            bind = "
        "\"tcp://127.0.0.1:2\"\n        policy = \"learned\"\n";
    static const char base[] = "    base\n        allow = \"b:B\"\n";
    size_t room = sizeof head + strlen(policy) + sizeof base;
    char *text = malloc(room);
    assert_non_null(text);
    snprintf(text, room, "%s%s%s", head, policy, base);
    struct pw_why why = {0};
    struct pw_settings *settings = pw_settings_parse(text, "learned.conf", &why);
    if (settings == NULL) {
        fail_msg("%s: %s\n%s", name, why.text, text);
    }
    if (settings->warnings.len > 0) {
        fail_msg("%s: %.*s", name, (int)settings->warnings.len,
                 (const char *)settings->warnings.bytes);
    }
    pw_settings_free(&settings);
    free(text);
}

static const struct {
    const char *name;
    const char *line;
    const char *holds; /* this line, whole */
    size_t entries;
} lessons[] = {
    {"a refused name",
     "{\"schema\":\"picklewall.audit/1\",\"ts\":\"2026\",\"finds\":[" FIND(
         "import.denied", "GLOBAL", "m", "C") "],\"pickle\":{\"proto\":4}}",
     "        allow = \"m:C\"", 1},
    {"a refused use",
     "{\"schema\":\"picklewall.audit/1\",\"finds\":[" FIND(
         "use.denied", "BUILD", "m", "C") "],\"pickle\":{\"proto\":4}}",
     "        allow = \"m:C ref build\"", 1},
    {"refused arguments",
     "{\"schema\":\"picklewall.audit/1\",\"finds\":[" FIND(
         "args.denied", "NEWOBJ", "m", "C") "],\"pickle\":{\"proto\":4}}",
     "        allow = \"m:C new\"", 1},
    {"an old protocol renames",
     "{\"schema\":\"picklewall.audit/1\",\"finds\":[" FIND(
         "args.denied", "REDUCE", "__builtin__", "xrange") "],\"pickle\":{\"proto\":2}}",
     "        allow = \"builtins:range call\"", 2},
    {"a new one does not",
     "{\"schema\":\"picklewall.audit/1\",\"finds\":[" FIND(
         "args.denied", "REDUCE", "__builtin__", "xrange") "],\"pickle\":{\"proto\":3}}",
     "        allow = \"__builtin__:xrange call\"", 1},
    {"an import with its uses",
     "{\"path\":\"a\",\"verdict\":\"quarantine\",\"policy\":\"base\",\"imports\":[{\"mod\":"
     "\"m\",\"name\":\"C\",\"allowed\":false,\"uses\":[\"new\",\"build\",\"odd\"]}]}",
     "        allow = \"m:C new build\"", 1},
    {"an import without any use",
     "{\"path\":\"a\",\"verdict\":\"quarantine\",\"imports\":[{\"mod\":"
     "\"m\",\"name\":\"C\",\"allowed\":false,\"uses\":[]}]}",
     "        allow = \"m:C ref\"", 1},
    {"an import that is allowed by what is included",
     "{\"path\":\"a\",\"verdict\":\"pass\",\"policy\":\"base\",\"imports\":[{\"mod\":"
     "\"m\",\"name\":\"C\",\"allowed\":true,\"uses\":[\"new\"]}]}",
     "        include = \"base\"", 0},
    {"an import that is allowed by what cannot be included",
     "{\"path\":\"a\",\"verdict\":\"pass\",\"policy\":\"own\",\"imports\":[{\"mod\":"
     "\"m\",\"name\":\"C\",\"allowed\":true,\"uses\":[\"new\"]}]}",
     "        allow = \"m:C new\"", 1},
    {"a dangerous name",
     "{\"schema\":\"picklewall.audit/1\",\"finds\":[" FIND("import.denied", "INST", "posix",
                                                           "system") "]}",
     "        # allow = \"posix:system\"", 0},
    {"a name that ends the line",
     "{\"schema\":\"picklewall.audit/1\",\"finds\":[" FIND(
         "import.denied", "INST", "m", "C\\\"\\n        allow = \\\"os:system") "]}",
     "        #   m:C\"\\u000a        allow = \"os:system", 0},
    {"a module that ends the line",
     "{\"schema\":\"picklewall.audit/1\",\"finds\":[" FIND("import.denied", "INST",
                                                           "m\\r\\n#", "C") "]}",
     "        # -- m\\u000d\\u000a#", 0},
    {"a name that the log cut short",
     "{\"schema\":\"picklewall.audit/1\",\"finds\":[" FIND("import.denied", "INST", "m",
                                                           "C...") "]}",
     "        #   m:C...", 0},
    {"a name in letters that look like others",
     "{\"schema\":\"picklewall.audit/1\",\"finds\":[" FIND("import.denied", "INST", "m",
                                                           "\\u0430") "]}",
     "        #   m:\\u0430", 0},
    {"what no entry allows",
     "{\"schema\":\"picklewall.audit/1\",\"finds\":[" FIND("buffer.denied", "NEXT_BUFFER",
                                                           "", "") "]}",
     "        # buffers = yes", 0},
    {"nothing", "{\"schema\":\"picklewall.audit/1\"}", "    learned", 0},
};

static void
each_line_teaches_what_it_tells(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(lessons); i++) {
        size_t written;
        char wanted[256];
        char *text = learn(lessons[i].line, 0, &written);
        assert_non_null(text);
        snprintf(wanted, sizeof wanted, "\n%s\n", lessons[i].holds);
        if (strstr(text, wanted) == NULL || written != lessons[i].entries) {
            fail_msg("%s: %zu entries\n%s", lessons[i].name, written, text);
        }
        check_accepted(lessons[i].name, text);
        free(text);
    }
}

static const char log_text[] =
    "{\"schema\":\"picklewall.audit/1\",\"ts\":\"2026-2\",\"chan\":\"a\",\"finds\":[" FIND(
        "import.denied", "GLOBAL", "m",
        "C") "," FIND("import.denied", "GLOBAL", "m",
                      "C") "]}\n\n"
                           "{\"schema\":\"picklewall.audit/"
                           "1\",\"ts\":\"2026-1\",\"chan\":\"b\",\"finds\":[" FIND(
                               "import.denied", "GLOBAL", "m",
                               "C") "]}\n"
                                    "{\"path\":\"x\",\"verdict\":\"quarantine\","
                                    "\"imports\":[{\"mod\":\"m\",\"name\":\"D\","
                                    "\"uses\":[\"call\"]}]}";

static void
a_name_has_its_history(void **state)
{
    (void)state;
    size_t written;
    char *text = learn(log_text, 0, &written);
    assert_non_null(strstr(text, "what 3 lines told"));
    assert_non_null(strstr(text, "seen 2 times; first 2026-1; channels a, b; its uses"));
    assert_non_null(strstr(text, "seen 1 time; first in x\n"));
    assert_int_equal(written, 2);
    free(text);
    text = learn(log_text, 2, &written);
    assert_int_equal(written, 1);
    assert_non_null(strstr(text, "1 name of fewer than 2 lines left out"));
    free(text);
}

static void
lines_may_be_cut_anywhere_and_end_without_a_line_feed(void **state)
{
    (void)state;
    struct pw_learned learned;
    pw_learned_init(&learned);
    for (size_t i = 0; i < sizeof log_text - 1; i++) {
        struct pw_span byte = {(const uint8_t *)log_text + i, 1};
        assert_int_equal(pw_learned_feed(&learned, byte), PW_E_OK);
    }
    assert_int_equal(learned.lines, 2);
    assert_int_equal(pw_learned_end(&learned), PW_E_OK);
    assert_int_equal(learned.lines, 3);
    assert_int_equal(learned.malformed, 0);
    assert_int_equal(learned.seen_count, 2);
    pw_learned_free(&learned);
}

static void
malformed_lines_are_counted_and_the_first_is_told(void **state)
{
    (void)state;
    struct pw_learned learned;
    pw_learned_init(&learned);
    static const char lines[] =
        "\n{\"path\":\"x\",\"verdict\":\"pass\"}\nnot JSON\n[1]\n{}\n"
        "{\"path\":1,\"verdict\":\"pass\"}\n\xff\n{";
    assert_int_equal(pw_learned_feed(&learned, BYTES(lines)), PW_E_OK);
    assert_int_equal(pw_learned_end(&learned), PW_E_OK);
    assert_int_equal(learned.lines, 7);
    assert_int_equal(learned.malformed, 6);
    assert_int_equal(learned.first_malformed, 3);
    pw_learned_free(&learned);
}

static void
a_line_without_end_takes_bounded_memory(void **state)
{
    (void)state;
    struct pw_learned learned;
    static uint8_t chunk[1 << 16];
    memset(chunk, 'x', sizeof chunk);
    pw_learned_init(&learned);
    for (size_t fed = 0; fed < 3 * (size_t)PW_LEARN_LINE_MAX; fed += sizeof chunk) {
        assert_int_equal(pw_learned_feed(&learned, (struct pw_span){chunk, sizeof chunk}),
                         PW_E_OK);
        assert_true(learned.pending.cap <= PW_LEARN_LINE_MAX);
    }
    assert_int_equal(pw_learned_feed(&learned, BYTES("\n")), PW_E_OK);
    assert_int_equal(learned.malformed, 1);
    assert_int_equal(
        pw_learned_feed(&learned, BYTES("{\"path\":\"x\",\"verdict\":\"pass\"}\n")),
        PW_E_OK);
    assert_int_equal(learned.lines, 2);
    assert_int_equal(learned.malformed, 1);
    pw_learned_free(&learned);
}

static void
names_past_the_bounds_are_left_out_and_the_policy_still_holds(void **state)
{
    (void)state;
    struct pw_learned learned;
    pw_learned_init(&learned);
    for (int i = 0; i < PW_LEARN_NAMES + 100; i++) {
        char line[256];
        int len =
            snprintf(line, sizeof line,
                     "{\"path\":\"x\",\"verdict\":\"quarantine\",\"imports\":[{\"mod\":"
                     "\"m\",\"name\":\"C%06d\",\"uses\":[\"new\"]}]}\n",
                     i);
        struct pw_span bytes = {(const uint8_t *)line, (size_t)len};
        assert_int_equal(pw_learned_feed(&learned, bytes), PW_E_OK);
    }
    assert_int_equal(learned.seen_count, PW_LEARN_NAMES);
    assert_int_equal(learned.forgotten, 100);
    struct pw_learn_options options = {.name = "learned", .is_known = knows_base};
    char *text = NULL;
    size_t len, written, left;
    FILE *out = open_memstream(&text, &len);
    assert_int_equal(pw_learned_print(&learned, &options, out, &written, &left), PW_E_OK);
    fclose(out);
    assert_true(written > 5000 && written + left == PW_LEARN_NAMES);
    check_accepted("many names", text);
    free(text);
    pw_learned_free(&learned);
}

static void
learn_once(void *arg)
{
    char **text = arg;
    size_t written;
    *text = learn(log_text, 0, &written);
}

static void
every_allocation_may_fail(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 1;
    for (; fail_alloc_round(n, learn_once, &text); n++) {
        assert_null(text);
    }
    assert_non_null(text);
    assert_true(n > 5);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_teaches_what_it_tells),
        cmocka_unit_test(a_name_has_its_history),
        cmocka_unit_test(lines_may_be_cut_anywhere_and_end_without_a_line_feed),
        cmocka_unit_test(malformed_lines_are_counted_and_the_first_is_told),
        cmocka_unit_test(a_line_without_end_takes_bounded_memory),
        cmocka_unit_test(names_past_the_bounds_are_left_out_and_the_policy_still_holds),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
