/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay.h"

#include <string.h>

#include <sodium.h>

#include "common/base/log.h"
#include "tests/unit/check.h"
#include "tests/unit/proxy/fake_port.h"

struct relay_case {
    const char *name;
    enum pw_verdict on_violation;
    struct script script;
    int drain_ms;
    const char *sent;
    struct pw_relay_counts counts;
    const char *words; /* that stand in the log */
    size_t lines;      /* so often */
};

/* clang-format off */
static const struct relay_case relay_cases[] = {
    {"quarantine", PW_QUARANTINE, {.in = "gegge", .takes = 99}, 200, "ggg",
     {.received = 5, .forwarded = 3, .quarantined = 2}, "\"stored\":true", 2},
    {"drop", PW_DROP, {.in = "gegge", .takes = 99}, 200, "ggg",
     {.received = 5, .forwarded = 3, .dropped = 2}, "\"verdict\":\"drop\"", 2},
    {"report only", PW_PASS, {.in = "gegge", .takes = 99}, 200, "gegge",
     {.received = 5, .forwarded = 5}, "\"enforced\":false", 2},
    {"a slow output keeps the order", PW_PASS, {.in = "gegegegege", .takes_more = 1}, 200, "gegegegege",
     {.received = 10, .forwarded = 10}, "\"verdict\":\"pass\"", 10},
    {"nobody takes anything", PW_QUARANTINE, {.in = "gge", .stop_at = 3}, 100, "",
     {.received = 3, .quarantined = 3, .undelivered = 2}, "drain.timeout", 4},
    {"told to hurry", PW_QUARANTINE, {.in = "gge", .stop_at = 3, .now_at_wait = 2}, 60000, "",
     {.received = 3, .quarantined = 3, .undelivered = 2}, "drain.timeout", 4},
    {"no time at all", PW_QUARANTINE, {.in = "ggg", .stop_at = 3, .takes = 2}, 0, "gg",
     {.received = 3, .forwarded = 2, .quarantined = 1, .undelivered = 1}, "drain.timeout", 2},
    {"the disk fails and comes back", PW_QUARANTINE, {.in = "geg", .takes = 99, .disk_fails = 2}, 200, "gg",
     {.received = 3, .forwarded = 2, .quarantined = 1}, "\"event\":\"error\"", 1},
    {"the disk fails for ever", PW_QUARANTINE, {.in = "geg", .takes = 99, .stop_at = 3, .disk_fails = 9999}, 100, "g",
     {.received = 3, .forwarded = 1, .lost = 2}, "\"verdict\":\"drop\"", 2},
};
/* clang-format on */

static void
each_message_goes_where_it_must(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(relay_cases); i++) {
        const struct relay_case *c = &relay_cases[i];
        struct script script = c->script;
        struct pw_relay_counts counts = {0};
        struct rig rig;
        rig_make_folder(&rig);
        check_case(c->name, rig_open(&rig, c->on_violation));
        check_case(c->name, rig_play(&rig, &script, c->drain_ms, &counts));
        rig_close(&rig);
        check_case(c->name, strcmp(script.sent, c->sent) == 0);
        check_case(c->name, counts.received == c->counts.received);
        check_case(c->name, counts.forwarded == c->counts.forwarded);
        check_case(c->name, counts.quarantined == c->counts.quarantined);
        check_case(c->name, counts.dropped == c->counts.dropped);
        check_case(c->name, counts.undelivered == c->counts.undelivered);
        check_case(c->name, counts.lost == c->counts.lost);
        check_case(c->name, script.sent_count + script.released == counts.received);
        check_case(c->name, rig_lines_with(&rig, c->words) == c->lines);
        check_case(c->name, rig_lines_with(&rig, "\"event\":\"frame\"") == counts.received);
        rig_remove_folder(&rig);
    }
}

static void
play_through_a_failure(void *state)
{
    struct rig *rig = state;
    struct script script = {.in = "gegege", .takes_more = 1};
    struct pw_relay_counts counts = {0};
    if (rig_open(rig, PW_QUARANTINE) && rig_play(rig, &script, 500, &counts)) {
        assert_int_equal(counts.received, 6);
        /* What cannot be examined for want of memory is held back: never the other way. */
        assert_int_equal(counts.forwarded + counts.quarantined, 6);
        assert_true(counts.forwarded <= 3);
        assert_null(strchr(script.sent, 'e'));
    }
    rig_close(rig);
}

static void
every_allocation_may_fail(void **state)
{
    (void)state;
    rig_fail_allocations(play_through_a_failure);
}

int
main(void)
{
    pw_log_set_level(PW_LOG_ERROR);
    if (sodium_init() < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_goes_where_it_must),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
