/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/health.h"

#include <string.h>

#include "tests/unit/check.h"

enum { CHANNELS = 2 };

static const struct pw_health_channel channels[CHANNELS] = {{.name = "a"}, {.name = "b"}};
static const struct pw_health_channel slow[CHANNELS] = {
    {.name = "a"}, {.name = "b", .idle_ms = PW_HEALTH_STALE_MS + 1000}};
static const struct pw_health_channel late[CHANNELS] = {
    {.name = "a"}, {.name = "b", .idle_ms = PW_HEALTH_STALE_MS}};
static const struct pw_health_channel ended[CHANNELS] = {{.name = "a", .ended = true},
                                                         {.name = "b"}};
static const struct pw_health_channel holding[CHANNELS] = {{.name = "a"},
                                                           {.name = "b", .holds = true}};

/* NULL: it is well. Otherwise words of the sentence. */
static const struct health_case {
    const char *name;
    struct pw_health health;
    const char *live, *ready, *startup;
} cases[] = {
    {"nothing is known", {0}, NULL, "is starting", "is starting"},
    {"all is well",
     {.started = true, .channels = channels, .channel_count = 2, .audit_ready = true},
     NULL,
     NULL,
     NULL},
    {"just in time",
     {.started = true, .channels = late, .channel_count = 2, .audit_ready = true},
     NULL,
     NULL,
     NULL},
    {"a channel hangs",
     {.started = true, .channels = slow, .channel_count = 2, .audit_ready = true},
     "channel b has not turned for 11 s",
     "channel b has not turned for 11 s",
     NULL},
    {"a channel takes long to drain",
     {.started = true,
      .stopping = true,
      .channels = slow,
      .channel_count = 2,
      .audit_ready = true},
     NULL,
     "is stopping",
     NULL},
    {"a channel has ended",
     {.started = true, .channels = ended, .channel_count = 2, .audit_ready = true},
     "channel a has ended",
     "channel a has ended",
     NULL},
    {"main hangs",
     {.started = true, .main_idle_ms = 12345, .audit_ready = true},
     "has not turned for 12 s",
     "has not turned for 12 s",
     NULL},
    {"the log takes nothing",
     {.started = true, .audit_error = "No space left on device"},
     NULL,
     "the audit log takes no lines (No space left on device); make its disk work",
     NULL},
    {"the log is behind", {.started = true}, NULL, "(it is behind)", NULL},
    {"the keys are refused",
     {.started = true, .audit_ready = true, .keys_error = "keys/z.pwkey:1: no key"},
     NULL,
     "mend it: keys/z.pwkey:1: no key",
     NULL},
    {"the quarantine is full",
     {.started = true, .audit_ready = true, .full = "quarantine.max_messages"},
     NULL,
     "is full (quarantine.max_messages); purge",
     NULL},
    {"the quarantine cannot be written",
     {.started = true, .audit_ready = true, .channels = holding, .channel_count = 2},
     NULL,
     "channel b receives nothing",
     NULL},
};

static void
check_probe(const struct health_case *c, enum pw_health_probe probe, const char *words)
{
    struct pw_why why = {""};
    bool well = pw_health_judge(&c->health, probe, &why);
    if (well != (words == NULL) || strstr(why.text, words == NULL ? "" : words) == NULL) {
        fail_msg("%s: %s: \"%s\"", c->name, pw_health_text(probe), why.text);
    }
}

static void
each_fact_counts_for_its_probes_and_names_the_cause(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        check_probe(&cases[i], PW_HEALTH_LIVE, cases[i].live);
        check_probe(&cases[i], PW_HEALTH_READY, cases[i].ready);
        check_probe(&cases[i], PW_HEALTH_STARTUP, cases[i].startup);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fact_counts_for_its_probes_and_names_the_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
