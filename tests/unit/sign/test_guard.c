/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/guard.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/sign/epochs.h"
#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

enum { S = 1000000000 };

static const uint64_t now = UINT64_C(1700000000) * S;
static const uint64_t epoch = UINT64_C(1700000000) * 1000 - 5000;

static char folder[64];
static char running[80]; /* the state folder of a wall that runs, */
static char crashed[80]; /* and what a crash would leave of it */

static int
make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/pw-guard-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(running, sizeof running, "%s/running", folder);
    snprintf(crashed, sizeof crashed, "%s/crashed", folder);
    return 0;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static int
remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct pw_guard *
open_in(const char *state)
{
    struct pw_why why = {0};
    struct pw_guard *guard =
        pw_guard_open(&(struct pw_guard_options){state, "jobs", UINT64_C(300) * S,
                                                 UINT64_C(60) * S, true},
                      &why);
    if (guard == NULL) {
        fail_msg("%s", why.text);
    }
    return guard;
}

static enum pw_reason
admit_signed(struct pw_guard *guard, uint64_t start, uint64_t seq, uint64_t time_ns)
{
    struct pw_sig_result sig = {.state = PW_SIG_OK,
                                .suite = 1,
                                .key_id = "keyA",
                                .epoch = start,
                                .seq = seq,
                                .time_ns = time_ns};
    enum pw_reason reason = pw_guard_admit(guard, now, &sig);
    assert_int_equal(sig.state, reason == PW_R_NONE || reason == PW_R_INTERNAL_ERROR
                                    ? PW_SIG_OK
                                    : PW_SIG_BAD);
    assert_int_equal(sig.reason, sig.state == PW_SIG_OK ? PW_R_NONE : reason);
    return reason;
}

static enum pw_reason
admit(struct pw_guard *guard, uint64_t seq)
{
    return admit_signed(guard, epoch, seq, now);
}

/* --- time ---------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint64_t max_age_s;
    uint64_t max_future_s;
    int64_t signed_at_ns; /* from now */
    int64_t started_at_ms;
    enum pw_reason reason;
} time_cases[] = {
    {"now", 300, 60, 0, -5000, PW_R_NONE},
    {"as old as may be", 300, 60, INT64_C(-300) * S, -400000, PW_R_NONE},
    {"a nanosecond older", 300, 60, INT64_C(-300) * S - 1, -400000, PW_R_SIG_EXPIRED},
    {"an hour ago", 300, 60, INT64_C(-3600) * S, -4000000, PW_R_SIG_EXPIRED},
    {"an hour ago, any age", 0, 60, INT64_C(-3600) * S, -4000000, PW_R_NONE},
    {"in 1970, any age", 0, 60, INT64_C(-1700000000) * S, -4000000, PW_R_NONE},
    {"in 1970", 300, 60, INT64_C(-1700000000) * S, -4000000, PW_R_SIG_EXPIRED},
    {"as far ahead as may be", 300, 60, INT64_C(60) * S, 0, PW_R_NONE},
    {"a nanosecond further", 300, 60, INT64_C(60) * S + 1, 0, PW_R_SIG_FUTURE},
    {"in an hour", 300, 60, INT64_C(3600) * S, 0, PW_R_SIG_FUTURE},
    {"in an hour, any time", 300, 0, INT64_C(3600) * S, 0, PW_R_NONE},
    {"the end of time", 300, 60, INT64_MAX, 0, PW_R_SIG_FUTURE},
    {"the end of time, any time", 300, 0, INT64_MAX, 0, PW_R_NONE},
    {"a start as far ahead as may be", 300, 60, 0, 60000, PW_R_NONE},
    {"a start further ahead", 300, 60, 0, 60001, PW_R_SIG_FUTURE},
    {"a start at the end of time", 300, 60, 0, INT64_MAX, PW_R_SIG_FUTURE},
    {"a start at the end of time, any time", 300, 0, 0, INT64_MAX, PW_R_NONE},
};

static void
age_is_judged_by_the_clock_of_the_wall(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(time_cases); i++) {
        struct pw_guard *guard = pw_guard_open(
            &(struct pw_guard_options){.channel = "jobs",
                                       .max_age_ns = time_cases[i].max_age_s * S,
                                       .max_future_ns = time_cases[i].max_future_s * S},
            NULL);
        assert_non_null(guard);
        uint64_t start = now / 1000000 + (uint64_t)time_cases[i].started_at_ms;
        uint64_t time_ns = now + (uint64_t)time_cases[i].signed_at_ns;
        check_case(time_cases[i].name,
                   admit_signed(guard, start, 1, time_ns) == time_cases[i].reason);
        /* Without `replay` nothing is remembered. */
        check_case(time_cases[i].name,
                   admit_signed(guard, start, 1, time_ns) == time_cases[i].reason);
        pw_guard_close(&guard);
        assert_null(guard);
    }
}

static void
what_time_refuses_leaves_no_trace(void **state)
{
    (void)state;
    struct pw_guard *guard = open_in(running);
    assert_int_equal(admit_signed(guard, epoch + 9000, 7, now - UINT64_C(3600) * S),
                     PW_R_SIG_EXPIRED);
    assert_int_equal(admit_signed(guard, epoch + 90000, 7, now), PW_R_SIG_FUTURE);
    /* Neither a number nor a later start was remembered. */
    assert_int_equal(admit(guard, 7), PW_R_NONE);
    assert_int_equal(admit_signed(guard, epoch + 5000, 7, now), PW_R_NONE);
    pw_guard_close(&guard);
}

/* --- once only ----------------------------------------------------------------------- */

static void
a_message_passes_once(void **state)
{
    (void)state;
    struct pw_guard *guard = open_in(running);
    for (uint64_t seq = 1; seq <= 20000; seq++) {
        assert_int_equal(admit(guard, seq), PW_R_NONE);
        assert_int_equal(admit(guard, seq), PW_R_SIG_REPLAY);
    }
    assert_int_equal(admit(guard, 20100), PW_R_NONE); /* a gap, */
    assert_int_equal(admit(guard, 20050), PW_R_NONE); /* filled late */
    assert_int_equal(admit(guard, 20050), PW_R_SIG_REPLAY);
    assert_int_equal(admit_signed(guard, epoch - 1, 1, now), PW_R_SIG_REPLAY);
    pw_guard_close(&guard);
}

static void
a_restart_forgets_nothing_and_refuses_nothing_new(void **state)
{
    (void)state;
    struct pw_guard *guard = open_in(running);
    for (uint64_t seq = 1; seq <= 5000; seq++) {
        assert_int_equal(admit(guard, seq), PW_R_NONE);
    }
    pw_guard_close(&guard);
    guard = open_in(running);
    for (uint64_t seq = 1; seq <= 5000; seq++) {
        assert_int_equal(admit(guard, seq), PW_R_SIG_REPLAY);
    }
    assert_int_equal(admit(guard, 5001), PW_R_NONE);
    assert_int_equal(admit_signed(guard, epoch - 1, 9000, now), PW_R_SIG_REPLAY);
    pw_guard_close(&guard);
}

static void
file_in(const char *state, char out[static 128])
{
    snprintf(out, 128, "%s/replay/jobs.epochs", state);
}

static void
write_file(const char *path, struct pw_span bytes)
{
    PW_CLEANUP(pw_file_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(pw_file_write_all(fd, bytes), PW_E_OK);
}

/* The disk as it is this moment, under another wall. */
static struct pw_guard *
open_after_a_crash(void)
{
    char path[128];
    PW_CLEANUP(pw_buf_free) struct pw_buf bytes = {.limit = PW_EPOCHS_MAX};
    file_in(running, path);
    assert_int_equal(pw_file_read(path, &bytes), PW_E_OK);
    snprintf(path, sizeof path, "%s/replay", crashed);
    int made = pw_file_open_dir(path, NULL);
    assert_true(made >= 0);
    pw_file_close(&made);
    file_in(crashed, path);
    write_file(path, pw_buf_span(&bytes));
    return open_in(crashed);
}

/* The highest number that the file speaks of. */
static uint64_t
on_disk(const char *state)
{
    static struct pw_replay replay;
    char path[128];
    file_in(state, path);
    replay = (struct pw_replay){0};
    assert_int_equal(pw_epochs_load(path, &replay, NULL), PW_E_OK);
    return replay.count == 0 ? 0 : replay.senders[0].goal;
}

static void
a_crash_at_any_moment_lets_nothing_in_again(void **state)
{
    (void)state;
    struct pw_guard *guard = open_in(running);
    for (uint64_t seq = 1; seq <= 30000; seq++) {
        assert_int_equal(admit(guard, seq), PW_R_NONE);
        if (seq < 20 || seq % 997 == 0) {
            struct pw_guard *after = open_after_a_crash();
            for (uint64_t old = 1; old <= seq; old += 1 + seq / 100) {
                assert_int_equal(admit(after, old), PW_R_SIG_REPLAY);
            }
            assert_int_equal(admit(after, seq), PW_R_SIG_REPLAY);
            /* What it had kept ahead is refused too, and nothing behind that. */
            uint64_t ahead = on_disk(crashed);
            assert_true(ahead >= seq);
            assert_int_equal(admit(after, ahead), PW_R_SIG_REPLAY);
            assert_int_equal(admit(after, ahead + 1), PW_R_NONE);
            pw_guard_close(&after);
        }
    }
    pw_guard_close(&guard);
    assert_int_equal(on_disk(running), 30000);
}

static void
jumps_of_any_size_are_on_the_disk_first(void **state)
{
    (void)state;
    struct pw_guard *guard = open_in(running);
    for (uint64_t seq = 1; seq < UINT64_MAX / 2; seq = seq * 3 + 1) {
        assert_int_equal(admit(guard, seq), PW_R_NONE);
        assert_true(on_disk(running) >= seq);
    }
    assert_int_equal(admit(guard, UINT64_MAX), PW_R_NONE);
    assert_int_equal(on_disk(running), UINT64_MAX);
    pw_guard_close(&guard);
}

static void
a_slow_sender_loses_nothing_in_a_crash(void **state)
{
    (void)state;
    struct pw_guard *guard = open_in(running);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(admit(guard, seq), PW_R_NONE);
        assert_int_equal(on_disk(running), seq);
        usleep(1000000); /* also longer than a slow disk takes */
    }
    pw_guard_close(&guard);
}

static void
an_idle_sender_loses_nothing_in_a_crash(void **state)
{
    (void)state;
    struct pw_guard *guard = open_in(running);
    for (uint64_t seq = 1; seq <= 10000; seq++) {
        assert_int_equal(admit(guard, seq), PW_R_NONE);
    }
    assert_true(on_disk(running) > 10000);
    uint64_t until = pw_clock_steady() + UINT64_C(20) * S;
    while (on_disk(running) > 10000 && pw_clock_steady() < until) {
        usleep(20000);
    }
    assert_int_equal(on_disk(running), 10000);
    assert_int_equal(admit(guard, 10001), PW_R_NONE);
    assert_true(on_disk(running) >= 10001);
    pw_guard_close(&guard);
}

/* --- when the disk says no ----------------------------------------------------------- */

static void
what_cannot_be_kept_is_not_accepted(void **state)
{
    (void)state;
    char fresh[160];
    snprintf(fresh, sizeof fresh, "%s/replay/jobs.epochs.new", running);
    struct pw_guard *guard = open_in(running);
    assert_int_equal(admit(guard, 1), PW_R_NONE);
    uint64_t ahead = on_disk(running);
    assert_int_equal(mkdir(fresh, 0700), 0); /* in the way of the next write */
    assert_int_equal(admit(guard, ahead + 1), PW_R_INTERNAL_ERROR);
    assert_int_equal(admit(guard, ahead + 1), PW_R_INTERNAL_ERROR);
    assert_int_equal(admit_signed(guard, epoch + 1, 1, now), PW_R_INTERNAL_ERROR);
    assert_int_equal(admit(guard, 1), PW_R_SIG_REPLAY);
    assert_int_equal(rmdir(fresh), 0);
    assert_int_equal(admit(guard, ahead + 1), PW_R_NONE);
    assert_int_equal(admit(guard, ahead + 1), PW_R_SIG_REPLAY);
    assert_int_equal(admit_signed(guard, epoch + 1, 1, now), PW_R_NONE);
    pw_guard_close(&guard);
}

static void
a_damaged_file_stops_the_start(void **state)
{
    (void)state;
    char path[128];
    struct pw_why why = {0};
    struct pw_guard *guard = open_in(running);
    assert_int_equal(admit(guard, 1), PW_R_NONE);
    pw_guard_close(&guard);
    assert_int_equal(pw_guard_check(running, "jobs", &why), PW_E_OK);
    file_in(running, path);
    write_file(path, BYTES("PWE1 and no more"));
    assert_int_equal(pw_guard_check(running, "jobs", &why), PW_E_FORMAT);
    assert_non_null(strstr(why.text, path));
    why.text[0] = '\0';
    assert_null(pw_guard_open(
        &(struct pw_guard_options){.state = running, .channel = "jobs", .replay = true},
        &why));
    assert_non_null(strstr(why.text, "restore it, or give the senders new keys"));
}

static void
a_folder_that_cannot_be_made_stops_the_start(void **state)
{
    (void)state;
    char path[128], state_folder[8192];
    struct pw_why why = {0};
    snprintf(path, sizeof path, "%s/file", folder);
    write_file(path, BYTES("x"));
    struct pw_guard_options options = {.state = path, .channel = "jobs", .replay = true};
    assert_null(pw_guard_open(&options, &why));
    assert_non_null(strstr(why.text, path));
    memset(state_folder, 'x', sizeof state_folder);
    state_folder[0] = '/';
    state_folder[sizeof state_folder - 1] = '\0';
    options.state = state_folder;
    assert_null(pw_guard_open(&options, &why));
    assert_non_null(strstr(why.text, "longer than a path may be"));
    /* The file cannot be written. */
    snprintf(path, sizeof path, "%s/replay/jobs.epochs.new", running);
    int made = pw_file_open_dir(path, &why);
    pw_file_close(&made);
    options.state = running;
    assert_null(pw_guard_open(&options, &why));
    assert_non_null(strstr(why.text, "make room, or make its folder writable"));
}

/* --- memory -------------------------------------------------------------------------- */

static bool complete;

static void
open_and_admit(void *state)
{
    (void)state;
    struct pw_why why = {0};
    PW_CLEANUP(pw_guard_close)
    struct pw_guard *guard = pw_guard_open(
        &(struct pw_guard_options){.state = running, .channel = "jobs", .replay = true},
        &why);
    complete = guard != NULL;
    assert_true(complete || why.text[0] != '\0');
    enum pw_err err = pw_guard_check(running, "jobs", &why);
    assert_true(err == PW_E_OK || err == PW_E_NOMEM);
    complete = complete && err == PW_E_OK;
}

static void
every_allocation_may_fail(void **state)
{
    (void)state;
    size_t n = 1;
    for (; fail_alloc_round(n, open_and_admit, NULL); n++) {
        assert_false(complete);
    }
    assert_true(complete);
    assert_true(n > 4);
}

static void
a_message_needs_no_allocation(void **state)
{
    (void)state;
    struct pw_guard *guard = open_in(running);
    fail_alloc_at(1);
    for (uint64_t seq = 1; seq <= 3000; seq++) {
        assert_int_equal(admit_signed(guard, epoch + seq / 10, seq, now), PW_R_NONE);
    }
    pw_guard_close(&guard);
    assert_false(fail_alloc_happened());
    fail_alloc_at(0);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(age_is_judged_by_the_clock_of_the_wall),
        IN_A_FOLDER(what_time_refuses_leaves_no_trace),
        IN_A_FOLDER(a_message_passes_once),
        IN_A_FOLDER(a_restart_forgets_nothing_and_refuses_nothing_new),
        IN_A_FOLDER(a_crash_at_any_moment_lets_nothing_in_again),
        IN_A_FOLDER(jumps_of_any_size_are_on_the_disk_first),
        IN_A_FOLDER(a_slow_sender_loses_nothing_in_a_crash),
        IN_A_FOLDER(an_idle_sender_loses_nothing_in_a_crash),
        IN_A_FOLDER(what_cannot_be_kept_is_not_accepted),
        IN_A_FOLDER(a_damaged_file_stops_the_start),
        IN_A_FOLDER(a_folder_that_cannot_be_made_stops_the_start),
        IN_A_FOLDER(every_allocation_may_fail),
        IN_A_FOLDER(a_message_needs_no_allocation),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
