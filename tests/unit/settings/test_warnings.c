/* SPDX-License-Identifier: Apache-2.0
 *
 * What an allow-list names and leaves open to harm is said, with its place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"

#include "common/settings/settings.h"

static const char text[] = "state = \"s\"\n"
                           "channel\n"
                           "    jobs\n"
                           "        in\n"
                           "            bind = \"tcp://127.0.0.1:1\"\n"
                           "        out\n"
                           "            bind = \"tcp://127.0.0.1:2\"\n"
                           "        policy = \"mine\"\n"
                           "policy\n"
                           "    mine\n"
                           "        allow = \"%s\"\n";

static const struct {
    const char *entry;
    const char *words; /* NULL: no warning */
} cases[] = {
    {"myapp.jobs:Job", NULL},
    {"os:system", "\"os:system\" runs a program"},
    {"os:system call(str)", "\"os:system call(str)\" runs a program"},
    {"os:system call('true')", NULL},
    {"builtins:getattr call(m:C,'x')", NULL},
    {"builtins:getattr ref", "reads attributes"},
    {"__builtin__:eval", "runs code"},
    {"posixpath:os.system", "runs a program"},
    {"_codecs:encode call(str,'latin1'|'latin-1')", NULL},
};

static void
an_entry_that_leaves_harm_open_is_told_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        char config[1024];
        struct pw_why why = {0};
        snprintf(config, sizeof config, text, cases[i].entry);
        struct pw_settings *settings = pw_settings_parse(config, "wall.conf", &why);
        if (settings == NULL) {
            fail_msg("%s: %s", cases[i].entry, why.text);
        }
        struct pw_span said = pw_buf_span(&settings->warnings);
        if (cases[i].words == NULL) {
            check_case(cases[i].entry, said.len == 0);
        } else {
            static const char start[] = "wall.conf:11: policy.mine.allow: warning: ";
            check_case(cases[i].entry, memmem(said.ptr, said.len, cases[i].words,
                                              strlen(cases[i].words)) != NULL);
            check_case(cases[i].entry, memcmp(said.ptr, start, sizeof start - 1) == 0);
            check_case(cases[i].entry, said.ptr[said.len - 1] == '\n');
        }
        pw_settings_free(&settings);
    }
}

static void
no_shipped_policy_is_warned_about(void **state)
{
    (void)state;
    char folder[4096];
    struct pw_why why = {0};
    snprintf(folder, sizeof folder, "%s/config/policies", getenv("PW_SOURCE_DIR"));
    setenv("PICKLEWALL_POLICIES", folder, 1);
    struct pw_settings *settings = pw_settings_packs(&why);
    unsetenv("PICKLEWALL_POLICIES");
    if (settings == NULL) {
        fail_msg("%s", why.text);
    }
    assert_true(settings->policy_count > 0);
    if (settings->warnings.len > 0) {
        fail_msg("%.*s", (int)settings->warnings.len,
                 (const char *)settings->warnings.bytes);
    }
    pw_settings_free(&settings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_that_leaves_harm_open_is_told_with_its_line),
        cmocka_unit_test(no_shipped_policy_is_warned_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
