/* SPDX-License-Identifier: Apache-2.0
 *
 * A message out of the quarantine on its way through the relay.
 */
#include "proxy/release.h"

#include <pthread.h>
#include <string.h>

#include <sodium.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/unit/check.h"
#include "tests/unit/proxy/fake_port.h"

enum { SHORT_MS = 60 };

static const uint64_t ns_per_ms = 1000000;

struct release_case {
    const char *name;
    char letter; /* of what is released */
    struct script script;
    const char *sent; /* 'r' is the released one */
    enum pw_release_outcome outcome;
    enum pw_reason reason;
    enum pw_reason overrule; /* NONE: nothing is */
    bool rehearsal;
    bool met;
};

/* clang-format off */
static const struct release_case release_cases[] = {
    {"a good one goes before what comes in", 'g', {.in = "gg", .takes = 99}, "rgg", PW_RELEASE_SENT, PW_R_NONE, PW_R_NONE, false, false},
    {"a bad one is refused", 'e', {.in = "gg", .takes = 99}, "gg", PW_RELEASE_REFUSED, PW_R_IMPORT_DENIED, PW_R_NONE, false, false},
    {"a bad one that is overruled", 'e', {.in = "gg", .takes = 99}, "rgg", PW_RELEASE_SENT, PW_R_NONE, PW_R_IMPORT_DENIED, false, true},
    {"another reason is overruled", 'e', {.in = "g", .takes = 99}, "g", PW_RELEASE_REFUSED, PW_R_IMPORT_DENIED, PW_R_LIMIT_DEPTH, false, false},
    {"nobody takes anything", 'g', {.in = "", .takes = 0}, "", PW_RELEASE_UNDELIVERABLE, PW_R_NONE, PW_R_NONE, false, false},
    {"the output comes back", 'g', {.in = "", .takes_more = 1, .slow_ms = 1}, "r", PW_RELEASE_SENT, PW_R_NONE, PW_R_NONE, false, false},
    {"told to stop while it waits", 'g', {.in = "", .takes = 0, .wakes = true}, "", PW_RELEASE_UNDELIVERABLE, PW_R_NONE, PW_R_NONE, false, false},
    {"a rehearsal", 'g', {.in = "g", .takes = 99}, "g", PW_RELEASE_SENT, PW_R_NONE, PW_R_NONE, true, false},
    {"a rehearsal without a consumer", 'g', {.in = "", .takes = 0}, "", PW_RELEASE_SENT, PW_R_NONE, PW_R_NONE, true, false},
    {"a rehearsal of a bad one", 'e', {.in = "g", .takes = 99}, "g", PW_RELEASE_REFUSED, PW_R_IMPORT_DENIED, PW_R_NONE, true, false},
};
/* clang-format on */

struct play {
    struct pw_release_box box;
    struct pw_release release;
    struct pw_span frame;
};

static void
offer(struct play *play, char letter)
{
    play->frame = script_frame(letter);
    play->release = (struct pw_release){
        .frames = &play->frame,
        .count = 1,
        .until = pw_clock_steady() + SHORT_MS * ns_per_ms,
        .finds = {.limit = PW_RELEASE_FINDS},
    };
    pw_release_box_open(&play->box);
    pw_release_offer(&play->box, &play->release);
}

static void
finish(struct play *play)
{
    pw_buf_free(&play->release.finds);
    pw_release_box_close(&play->box);
}

static void
run_case(const struct release_case *c)
{
    struct script script = c->script;
    struct pw_relay_counts counts = {0};
    struct play play;
    struct rig rig;
    rig_make_folder(&rig);
    check_case(c->name, rig_open(&rig, PW_QUARANTINE));
    offer(&play, c->letter);
    play.release.rehearsal = c->rehearsal;
    play.release.overrule.given[c->overrule] = c->overrule != PW_R_NONE;
    rig.releases = &play.box;
    check_case(c->name, rig_play(&rig, &script, 100, &counts));
    rig_close(&rig);
    check_case(c->name, pw_release_wait(&play.box, &play.release, 0));
    check_case(c->name, !pw_release_take_back(&play.box, &play.release));
    check_case(c->name, play.release.outcome == c->outcome);
    check_case(c->name, play.release.reason == c->reason);
    check_case(c->name, play.release.overrule.met[PW_R_IMPORT_DENIED] == c->met);
    check_case(c->name, (play.release.finds.len > 0) == (c->reason != PW_R_NONE));
    check_case(c->name, strcmp(script.sent, c->sent) == 0);
    /* What was received stays what is counted. */
    check_case(c->name, counts.received == strlen(c->script.in));
    check_case(c->name, counts.forwarded == strlen(c->script.in));
    check_case(c->name, rig_lines_with(&rig, "\"event\":\"frame\"") == counts.received);
    rig_remove_folder(&rig);
    finish(&play);
}

static void
a_released_message_is_judged_sent_or_given_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(release_cases); i++) {
        run_case(&release_cases[i]);
    }
}

static void
what_nobody_took_is_taken_back_once(void **state)
{
    (void)state;
    struct play play;
    offer(&play, 'g');
    assert_false(pw_release_wait(&play.box, &play.release, pw_clock_steady()));
    assert_true(pw_release_take_back(&play.box, &play.release));
    assert_false(pw_release_take_back(&play.box, &play.release));
    assert_null(pw_release_take(&play.box));
    finish(&play);
}

enum { ROUNDS = 2000 };

/* Takes whatever lies in the box, until the one that nobody is to send. */
static void *
take_all(void *arg)
{
    struct pw_release_box *box = arg;
    for (;;) {
        struct pw_release *release = pw_release_take(box);
        if (release == NULL) {
            continue;
        }
        release->outcome = PW_RELEASE_SENT;
        bool last = release->rehearsal;
        pw_release_done(box, release);
        if (last) {
            return NULL;
        }
    }
}

static void
it_is_either_taken_or_taken_back(void **state)
{
    (void)state;
    struct pw_release_box box;
    pthread_t taker;
    pw_release_box_open(&box);
    assert_int_equal(pthread_create(&taker, NULL, take_all, &box), 0);
    for (size_t i = 0; i < ROUNDS; i++) {
        struct pw_release release = {0};
        pw_release_offer(&box, &release);
        bool back = i % 2 == 0 && pw_release_take_back(&box, &release);
        bool done = !back && pw_release_wait(&box, &release, UINT64_MAX / 2);
        assert_true(back != done);
        assert_int_equal(release.outcome,
                         back ? PW_RELEASE_UNDELIVERABLE : PW_RELEASE_SENT);
    }
    struct pw_release last = {.rehearsal = true};
    pw_release_offer(&box, &last);
    assert_int_equal(pthread_join(taker, NULL), 0);
    pw_release_box_close(&box);
}

static void
play_through_a_failure(void *state)
{
    struct rig *rig = state;
    struct script script = {.in = "g", .takes = 99};
    struct pw_relay_counts counts = {0};
    struct play play;
    offer(&play, 'e');
    if (rig_open(rig, PW_QUARANTINE)) {
        rig->releases = &play.box;
        if (rig_play(rig, &script, 500, &counts)) {
            assert_true(pw_release_wait(&play.box, &play.release, 0));
            assert_int_not_equal(play.release.outcome, PW_RELEASE_SENT);
            assert_null(strchr(script.sent, 'r'));
            assert_null(script.adopted);
        }
    }
    rig->releases = NULL;
    rig_close(rig);
    finish(&play);
}

static void
without_memory_nothing_bad_is_released(void **state)
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
        cmocka_unit_test(a_released_message_is_judged_sent_or_given_back),
        cmocka_unit_test(what_nobody_took_is_taken_back_once),
        cmocka_unit_test(it_is_either_taken_or_taken_back),
        cmocka_unit_test(without_memory_nothing_bad_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
