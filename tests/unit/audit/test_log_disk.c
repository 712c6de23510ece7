/* SPDX-License-Identifier: Apache-2.0
 *
 * What producers feel of the disk: audit.sync, audit.on_full, and room that runs out.
 */
#include "common/audit/audit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "common/base/file.h"
#include "tests/unit/audit/fake_disk.h"

enum { QUEUE = 64 };

static char folder[] = "/tmp/pw-log-disk-XXXXXX";
static char file[64];

static int
make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(file, sizeof file, "%s/audit.jsonl", folder);
    return 0;
}

static int
clean(void **state)
{
    (void)state;
    fake_disk_fails = false;
    fake_disk_hangs_ms = 0;
    fake_disk_total = 0;
    unlink(file);
    return 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void
pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static struct pw_audit *
open_log(struct pw_audit_options options)
{
    struct pw_why why = {{0}};
    options.path = file;
    options.instance = "test";
    options.queue_records = QUEUE;
    options.pass_each = true;
    struct pw_audit *audit = pw_audit_open(&options, &why);
    assert_non_null(audit);
    assert_int_equal(pw_audit_channel(audit, "jobs", "in", "out"), 0);
    return audit;
}

static struct pw_audit_record
pass(void)
{
    return (struct pw_audit_record){.wall_ns = pw_clock_wall(),
                                    .event = PW_EVENT_FRAME,
                                    .verdict = PW_PASS,
                                    .enforced = true};
}

static struct pw_audit_record
refusal(void)
{
    struct pw_audit_record record = pass();
    record.verdict = PW_DROP;
    record.reason = PW_R_IMPORT_DENIED;
    return record;
}

/* How often `word` stands in the log. */
static size_t
count(const char *word)
{
    struct pw_buf text = {.limit = 1 << 24};
    assert_int_equal(pw_file_read(file, &text), PW_E_OK);
    assert_int_equal(pw_buf_append(&text, BYTES("\0")), PW_E_OK);
    size_t found = 0;
    for (char *at = (char *)text.bytes; (at = strstr(at, word)) != NULL; at++) {
        found++;
    }
    pw_buf_free(&text);
    return found;
}

static void
wait_until_ready(struct pw_audit *audit, bool ready)
{
    for (int i = 0; pw_audit_ready(audit) != ready; i++) {
        assert_in_range(i, 0, 500);
        pause_ms(10);
    }
}

static void
a_refusal_is_on_the_disk_when_push_returns(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log((struct pw_audit_options){.sync_each = true});
    for (size_t i = 1; i <= 20; i++) {
        unsigned before = fake_disk_syncs;
        struct pw_audit_record burst[] = {pass(), refusal(), pass(), refusal()};
        assert_int_equal(pw_audit_push(audit, burst, PW_COUNT(burst)), PW_E_OK);
        assert_int_equal(count("\"verdict\":\"drop\""), 2 * i);
        assert_in_range(fake_disk_syncs - before, 1, 2); /* a tick may come between */
    }
    pw_audit_close(&audit);
}

static void
a_clean_pass_and_an_event_of_the_process_wait_for_no_disk(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log((struct pw_audit_options){.sync_each = true});
    fake_disk_fails = true;
    struct pw_audit_record event = {
        .wall_ns = pw_clock_wall(), .channel = -1, .event = PW_EVENT_KEY};
    struct pw_audit_record clean_pass = pass();
    uint64_t start = pw_clock_steady();
    assert_int_equal(pw_audit_push(audit, &event, 1), PW_E_OK);
    assert_int_equal(pw_audit_push(audit, &clean_pass, 1), PW_E_OK);
    assert_in_range(pw_clock_steady() - start, 0, 1000000000);
    fake_disk_fails = false;
    pw_audit_close(&audit);
    assert_int_equal(count("\"event\":\"key\""), 1);
}

static void *
mend_soon(void *arg)
{
    (void)arg;
    pause_ms(300);
    fake_disk_fails = false;
    return NULL;
}

static void
a_refusal_waits_for_a_disk_that_fails(void **state)
{
    (void)state;
    pthread_t mender;
    struct pw_audit *audit = open_log((struct pw_audit_options){.sync_each = true});
    struct pw_audit_record record = refusal();
    fake_disk_fails = true;
    uint64_t start = pw_clock_steady();
    assert_int_equal(pthread_create(&mender, NULL, mend_soon, NULL), 0);
    assert_int_equal(pw_audit_push(audit, &record, 1), PW_E_OK);
    assert_in_range(pw_clock_steady() - start, 250000000, 10000000000);
    pthread_join(mender, NULL);
    pw_audit_close(&audit);
    assert_int_equal(count("\"verdict\":\"drop\""), 1);
    assert_int_equal(count("fdatasync: Input/output error"), 1);
}

static void *
abort_soon(void *arg)
{
    pause_ms(200);
    pw_audit_abort(arg);
    return NULL;
}

static void
whoever_waits_for_the_disk_is_let_go_by_abort(void **state)
{
    (void)state;
    pthread_t aborter;
    struct pw_audit *audit = open_log((struct pw_audit_options){.sync_each = true});
    struct pw_audit_record record = refusal();
    fake_disk_fails = true;
    assert_int_equal(pthread_create(&aborter, NULL, abort_soon, audit), 0);
    assert_int_equal(pw_audit_push(audit, &record, 1), PW_E_STOPPED);
    pthread_join(aborter, NULL);
    pw_audit_close(&audit);
}

static void
degraded_nobody_waits_and_everything_is_counted(void **state)
{
    (void)state;
    struct pw_audit *audit =
        open_log((struct pw_audit_options){.sync_each = true, .degrade = true});
    struct pw_audit_record first = refusal();
    fake_disk_fails = true;
    assert_int_equal(pw_audit_push(audit, &first, 1), PW_E_STOPPED); /* not on the disk */
    assert_true(pw_audit_ready(audit));
    assert_int_equal(pw_audit_counts(audit).trouble, 5);
    size_t refused = 0;
    for (size_t i = 0; i < 3 * QUEUE; i++) {
        struct pw_audit_record records[] = {pass(), refusal()};
        refused += pw_audit_push(audit, records, PW_COUNT(records)) == PW_E_STOPPED;
    }
    assert_int_equal(refused, 3 * QUEUE);
    uint64_t lost = pw_audit_counts(audit).lost;
    assert_int_equal(lost, 2 * QUEUE);
    fake_disk_fails = false;
    pw_audit_close(&audit);
    assert_int_equal(count("\"verdict\":\"drop\""), 3 * QUEUE + 1 - lost);
    assert_int_equal(count("\"lost\":128"), 1);
    assert_int_equal(count("\"summary\":{\"messages\":192"), 1);
}

static void
below_the_critical_mark_nothing_is_received_until_there_is_room(void **state)
{
    (void)state;
    fake_disk_total = 100;
    fake_disk_free = 50;
    struct pw_audit *audit =
        open_log((struct pw_audit_options){.space_low = -10, .space_critical = -2});
    assert_true(pw_audit_ready(audit));
    fake_disk_free = 1;
    wait_until_ready(audit, false);
    assert_true(pw_audit_counts(audit).scarce);
    struct pw_audit_record record = refusal();
    assert_int_equal(pw_audit_push(audit, &record, 1), PW_E_OK); /* what was in hand */
    fake_disk_free = 50;
    wait_until_ready(audit, true);
    pw_audit_close(&audit);
    assert_int_equal(count("audit.space_low"), 1);
    assert_int_equal(count("\"verdict\":\"drop\""), 1);
}

static void
a_disk_that_hangs_is_not_waited_for_in_silence(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log((struct pw_audit_options){0});
    struct pw_audit_record record = refusal();
    fake_disk_hangs_ms = 3000;
    assert_int_equal(pw_audit_push(audit, &record, 1), PW_E_OK);
    assert_true(pw_audit_ready(audit));
    wait_until_ready(audit, false); /* after two seconds of one write */
    fake_disk_hangs_ms = 0;
    wait_until_ready(audit, true);
    pw_audit_close(&audit);
    assert_int_equal(count("\"verdict\":\"drop\""), 1);
}

static void
a_log_that_starts_without_room_is_not_ready(void **state)
{
    (void)state;
    fake_disk_total = 100;
    fake_disk_free = 1;
    struct pw_audit *audit = open_log((struct pw_audit_options){.space_critical = -2});
    assert_false(pw_audit_ready(audit));
    pw_audit_close(&audit);
}

/* A channel that meets a full queue, and how far it came. */
struct channel {
    struct pw_audit *audit;
    atomic_uint pushed;
};

enum { MESSAGES = 20 * QUEUE };

static void *
refuse_many(void *arg)
{
    struct channel *channel = arg;
    for (; channel->pushed < MESSAGES; channel->pushed++) {
        struct pw_audit_record record = refusal();
        assert_int_equal(pw_audit_push(channel->audit, &record, 1), PW_E_OK);
    }
    return NULL;
}

static void
wait_until_it_waits(struct channel *channel)
{
    for (unsigned before = MESSAGES; channel->pushed != before || before == 0;) {
        before = channel->pushed;
        pause_ms(200);
    }
    assert_in_range(channel->pushed, QUEUE, MESSAGES - 1);
}

static void
behind_a_full_queue_an_event_of_the_process_waits_for_nobody(void **state)
{
    (void)state;
    enum { RESERVE = 256, MORE = 40 };
    pthread_t thread;
    struct channel channel = {.audit = open_log((struct pw_audit_options){0})};
    fake_disk_fails = true;
    wait_until_ready(channel.audit, true);
    assert_int_equal(pthread_create(&thread, NULL, refuse_many, &channel), 0);
    wait_until_it_waits(&channel);
    uint64_t start = pw_clock_steady();
    size_t taken = 0;
    for (size_t i = 0; i < RESERVE + MORE; i++) {
        struct pw_audit_record event = {.wall_ns = pw_clock_wall(),
                                        .channel = -1,
                                        .event = PW_EVENT_KEY,
                                        .detail = strdup("\"detail\":{}")};
        taken += pw_audit_push(channel.audit, &event, 1) == PW_E_OK;
        assert_null(event.detail);
    }
    assert_in_range(pw_clock_steady() - start, 0, 1000000000);
    assert_int_equal(taken, RESERVE);
    assert_int_equal(pw_audit_counts(channel.audit).lost, MORE);
    fake_disk_fails = false;
    pthread_join(thread, NULL);
    pw_audit_close(&channel.audit);
    assert_int_equal(count("\"event\":\"key\""), RESERVE);
    assert_int_equal(count("\"verdict\":\"drop\""), MESSAGES);
    assert_int_equal(count("\"lost\":40"), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, clean)
    const struct CMUnitTest tests[] = {
        TEST(a_refusal_is_on_the_disk_when_push_returns),
        TEST(a_clean_pass_and_an_event_of_the_process_wait_for_no_disk),
        TEST(a_refusal_waits_for_a_disk_that_fails),
        TEST(whoever_waits_for_the_disk_is_let_go_by_abort),
        TEST(degraded_nobody_waits_and_everything_is_counted),
        TEST(behind_a_full_queue_an_event_of_the_process_waits_for_nobody),
        TEST(below_the_critical_mark_nothing_is_received_until_there_is_room),
        TEST(a_disk_that_hangs_is_not_waited_for_in_silence),
        TEST(a_log_that_starts_without_room_is_not_ready),
    };
#undef TEST
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
