/* SPDX-License-Identifier: Apache-2.0
 *
 * Which changes of a file a running wall cannot take over.
 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <string.h>

#include "common/settings/live.h"
#include "common/settings/schema.h"

#define CHANNEL(name, in, more)                                                            \
    "    " name "\n        in\n" in                                                        \
    "        out\n            bind = \"ipc:///tmp/out-" name                               \
    "\"\n        policy = \"p\"\n" more
#define BIND "            bind = \"ipc:///tmp/in\"\n"
#define POLICY "policy\n    p\n        allow = \"a:B\"\n"

static const char start[] = "state = \"state\"\nchannel\n" CHANNEL("jobs", BIND, "") POLICY;

struct live_case {
    const char *name;
    const char *text;
    const char *pending; /* paths, a space behind each */
};

/* clang-format off */
static const struct live_case cases[] = {
    {"the same", start, ""},
    {"what is live", "state = \"state\"\ndrain_timeout = 1s\nkeys = \"k\"\naudit\n    pass = \"summary\"\n    rotate_size = 1M\nquarantine\n    max_age = 1d\nchannel\n"
     CHANNEL("jobs", BIND, "        max_frames = 2\n        frames = \"opaque\"\n        verify = \"required\"\n")
     "policy\n    p\n        allow = \"c:D\"\n        max_bytes = 4\n", ""},
    {"texts", "state = \"other\"\nhttp = \"127.0.0.1:9101\"\ninstance = \"me\"\naudit\n    mirror = \"m\"\nchannel\n" CHANNEL("jobs", BIND, "") POLICY,
     "state control instance http audit.file audit.key audit.mirror "},
    {"numbers and choices", "state = \"state\"\naudit\n    queue = 512\n    on_full = \"degrade\"\nchannel\n" CHANNEL("jobs", BIND "            hwm = 7\n", "        replay = no\n") POLICY,
     "audit.queue audit.on_full channel.jobs.in.hwm channel.jobs.replay "},
    {"an endpoint more", "state = \"state\"\nchannel\n" CHANNEL("jobs", BIND "            bind = \"ipc:///tmp/in2\"\n", "") POLICY,
     "channel.jobs.in.bind "},
    {"another endpoint", "state = \"state\"\nchannel\n" CHANNEL("jobs", "            connect = \"ipc:///tmp/in\"\n", "") POLICY,
     "channel.jobs.in.bind channel.jobs.in.connect "},
    {"a channel that is gone, and one that is new", "state = \"state\"\nchannel\n" CHANNEL("tasks", BIND, "") POLICY,
     "channel.jobs channel.tasks "},
};
/* clang-format on */

static void
append(void *arg, const char *path)
{
    char *out = arg;
    size_t len = strlen(out);
    snprintf(out + len, 512 - len, "%s ", path);
}

static void
what_needs_another_start_is_named(void **state)
{
    (void)state;
    struct pw_why why = {0};
    PW_CLEANUP(pw_settings_free)
    struct pw_settings *first = pw_settings_parse(start, "/tmp/wall.conf", &why);
    assert_non_null(first);
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        char pending[512] = "";
        PW_CLEANUP(pw_settings_free)
        struct pw_settings *newer =
            pw_settings_parse(cases[i].text, "/tmp/wall.conf", &why);
        if (newer == NULL) {
            fail_msg("%s: %s", cases[i].name, why.text);
        }
        pw_live_pending(first, newer, append, pending);
        if (strcmp(pending, cases[i].pending) != 0) {
            fail_msg("%s: pending are \"%s\", not \"%s\"", cases[i].name, pending,
                     cases[i].pending);
        }
    }
}

/* A struct in a setting may have gaps, and would differ without a difference. */
static void
settings_that_wait_are_texts_numbers_or_endpoints(void **state)
{
    (void)state;
    for (size_t i = 0; i < pw_row_count; i++) {
        const struct pw_row *row = &pw_rows[i];
        bool plain = row->type == PW_TYPE_ENDPOINT || row->size <= sizeof(void *);
        check_case(row->path, pw_row_is_live(row) || plain);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_needs_another_start_is_named),
        cmocka_unit_test(settings_that_wait_are_texts_numbers_or_endpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
