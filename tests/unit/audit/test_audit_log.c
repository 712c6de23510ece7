/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "tests/unit/fail_alloc.h"

static char folder[] = "/tmp/pw-audit-XXXXXX";
static char file[64];
static char rotated[80];

static int
make_folder(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(file, sizeof file, "%s/audit.jsonl", folder);
    return 0;
}

static void
rotated_name(int i)
{
    snprintf(rotated, sizeof rotated, "%s.%d", file, i);
}

static int
remove_files(void **state)
{
    (void)state;
    unlink(file);
    for (int i = 0; i < 64; i++) {
        rotated_name(i);
        unlink(rotated);
    }
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
open_log(const char *path, size_t records, bool pass_each)
{
    struct pw_why why = {{0}};
    struct pw_audit_options options = {
        .path = path, .instance = "test", .queue_records = records, .pass_each = pass_each};
    struct pw_audit *audit = pw_audit_open(&options, &why);
    assert_non_null(audit);
    assert_int_equal(pw_audit_channel(audit, "jobs", "inproc://in", "inproc://out"), 0);
    return audit;
}

static struct pw_audit_record
pass(void)
{
    return (struct pw_audit_record){.wall_ns = pw_clock_wall(),
                                    .event = PW_EVENT_FRAME,
                                    .verdict = PW_PASS,
                                    .enforced = true,
                                    .scanned = true,
                                    .proto = 5,
                                    .frames = 1,
                                    .bytes = 10};
}

static struct pw_audit_record
refusal(void)
{
    struct pw_audit_record record = pass();
    record.verdict = PW_DROP;
    record.reason = PW_R_IMPORT_DENIED;
    record.detail = strdup("\"finds\":[{\"mod\":\"posix\"}]");
    return record;
}

/* What a file tells, by looking for a few words in each line. */
struct tally {
    uint64_t lines, passes, refusals, summed, summed_bytes, rotations, errors, lost;
};

static uint64_t
number_behind(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    return at == NULL ? 0 : strtoull(at + strlen(key), NULL, 10);
}

static void
count_line(const char *line, struct tally *tally)
{
    size_t len = strlen(line);
    assert_true(len > 10 && memcmp(line, "{\"ts\":\"2", 8) == 0 && line[len - 1] == '}');
    tally->lines++;
    tally->passes += strstr(line, "\"verdict\":\"pass\"") != NULL;
    tally->refusals += strstr(line, "\"verdict\":\"drop\"") != NULL;
    tally->rotations += strstr(line, "\"event\":\"rotate\"") != NULL;
    tally->errors += strstr(line, "\"event\":\"error\"") != NULL;
    tally->lost += number_behind(line, "\"lost\":");
    if (strstr(line, "\"event\":\"summary\"") != NULL) {
        tally->summed += number_behind(line, "\"messages\":");
        tally->summed_bytes += number_behind(line, "\"bytes\":");
    }
}

static void
count_stream(FILE *stream, struct tally *tally)
{
    static _Thread_local char line[16384];
    while (fgets(line, sizeof line, stream) != NULL) {
        assert_true(strlen(line) <= 8192);
        line[strcspn(line, "\n")] = '\0';
        count_line(line, tally);
    }
    fclose(stream);
}

static void
count_file(const char *path, struct tally *tally)
{
    FILE *stream = fopen(path, "r");
    if (stream != NULL) {
        count_stream(stream, tally);
    }
}

static void
push(struct pw_audit *audit, struct pw_audit_record record)
{
    assert_int_equal(pw_audit_push(audit, &record, 1), PW_E_OK);
    assert_null(record.detail);
}

static void
wait_for_lines(const char *path, uint64_t lines)
{
    struct tally tally = {0};
    for (int i = 0; i < 300 && tally.lines < lines; i++) {
        pause_ms(10);
        tally = (struct tally){0};
        count_file(path, &tally);
    }
    assert_in_range(tally.lines, lines, UINT64_MAX);
}

static void
records_become_lines_in_order(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log(file, 0, true);
    struct pw_audit_record records[] = {pass(), refusal(), pass()};
    assert_int_equal(pw_audit_push(audit, records, 3), PW_E_OK);
    pw_audit_close(&audit);
    assert_null(audit);
    struct pw_buf text = {.limit = 65536};
    assert_int_equal(pw_file_read(file, &text), PW_E_OK);
    assert_int_equal(pw_buf_append(&text, (struct pw_span){(const uint8_t *)"", 1}),
                     PW_E_OK);
    const char *first = strstr((char *)text.bytes, "\"seq\":1,");
    const char *second = strstr((char *)text.bytes, "\"seq\":2,");
    const char *third = strstr((char *)text.bytes, "\"seq\":3,");
    assert_true(first != NULL && first < second && second < third);
    assert_non_null(strstr(second, "\"finds\":[{\"mod\":\"posix\"}],\"chain\":\"test/"));
    pw_buf_free(&text);
}

static void
a_pass_is_written_soon_and_a_refusal_at_once(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log(file, 0, true);
    push(audit, pass());
    wait_for_lines(file, 1);
    push(audit, refusal());
    wait_for_lines(file, 2);
    assert_true(pw_audit_ready(audit));
    pw_audit_close(&audit);
}

static void
an_unknown_channel_has_no_names(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log(file, 0, true);
    struct pw_audit_record strangers[] = {refusal(), refusal(), refusal()};
    strangers[0].channel = -1;
    strangers[1].channel = 1;
    strangers[2].channel = INT32_MIN;
    assert_int_equal(pw_audit_push(audit, strangers, 3), PW_E_OK);
    pw_audit_close(&audit);
    struct pw_buf text = {.limit = 65536};
    assert_int_equal(pw_file_read(file, &text), PW_E_OK);
    assert_null(memmem(text.bytes, text.len, "\"chan\"", 6));
    pw_buf_free(&text);
}

static void
summaries_count_what_they_stand_for(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log(file, 0, false);
    assert_int_equal(pw_audit_channel(audit, "other", NULL, NULL), 1);
    for (int i = 0; i < 1000; i++) {
        struct pw_audit_record record = pass();
        record.channel = i % 2;
        push(audit, record);
    }
    struct pw_audit_record reported = pass();
    reported.enforced = false;
    reported.reason = PW_R_IMPORT_DENIED;
    push(audit, reported);
    pw_audit_close(&audit);
    struct tally tally = {0};
    count_file(file, &tally);
    assert_int_equal(tally.summed, 1000);
    assert_int_equal(tally.summed_bytes, 10000);
    assert_int_equal(tally.passes, 1);  /* a violation is never summarised */
    assert_in_range(tally.lines, 3, 5); /* a second may end while we push */
}

struct reader {
    int fd;
    struct tally tally;
};

/* A sink that is slow at first: the queue must fill. */
static void *
read_slowly(void *arg)
{
    struct reader *reader = arg;
    pause_ms(300);
    count_stream(fdopen(reader->fd, "r"), &reader->tally);
    return NULL;
}

static int
stdout_into_pipe(struct reader *reader)
{
    int ends[2];
    int saved = dup(STDOUT_FILENO);
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
    reader->fd = ends[0];
    return saved;
}

static void
a_tiny_queue_before_a_slow_reader_loses_nothing(void **state)
{
    (void)state;
    enum { PASSES = 200000, REFUSALS = 2000, BURST = 100 };
    struct reader reader = {0};
    pthread_t thread;
    int saved = stdout_into_pipe(&reader);
    struct pw_audit *audit = open_log("-", 64, true);
    pthread_create(&thread, NULL, read_slowly, &reader);
    for (int i = 0; i < PASSES / BURST; i++) {
        struct pw_audit_record burst[BURST + 1];
        for (int j = 0; j < BURST; j++) {
            burst[j] = pass();
        }
        burst[BURST] = refusal();
        if (pw_audit_push(audit, burst, BURST + 1) != PW_E_OK) {
            break;
        }
    }
    struct pw_audit_counts before = pw_audit_counts(audit);
    pw_audit_close(&audit);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    pthread_join(thread, NULL);
    assert_int_equal(reader.tally.passes + reader.tally.summed, PASSES);
    assert_int_equal(reader.tally.refusals, REFUSALS);
    assert_int_equal(reader.tally.summed, before.summarised);
    assert_in_range(before.summarised, 1, PASSES - 1);
    assert_int_equal(before.lost, 0);
}

struct producer {
    struct pw_audit *audit;
    int count;
};

static void *
produce(void *arg)
{
    struct producer *producer = arg;
    for (int i = 0; i < producer->count; i++) {
        struct pw_audit_record records[] = {pass(), refusal()};
        if (pw_audit_push(producer->audit, records, 2) != PW_E_OK) {
            abort();
        }
    }
    return NULL;
}

static void
rotation_under_load_loses_and_splits_no_line(void **state)
{
    (void)state;
    enum { PRODUCERS = 3, EACH = 4000, ROTATIONS = 10 };
    struct pw_audit *audit = open_log(file, 4096, true);
    struct producer producer = {audit, EACH};
    pthread_t threads[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_create(&threads[i], NULL, produce, &producer);
    }
    for (int i = 0; i < ROTATIONS; i++) {
        rotated_name(i);
        pause_ms(3);
        assert_int_equal(rename(file, rotated), 0);
        pw_audit_reopen(audit);
        for (int wait = 0; access(file, F_OK) != 0; wait++) {
            assert_in_range(wait, 0, 500);
            pause_ms(10);
        }
    }
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
    }
    pw_audit_close(&audit);
    struct tally tally = {0};
    count_file(file, &tally);
    for (int i = 0; i < ROTATIONS; i++) {
        rotated_name(i);
        count_file(rotated, &tally);
    }
    assert_int_equal(tally.passes + tally.summed, PRODUCERS * EACH);
    assert_int_equal(tally.refusals, PRODUCERS * EACH);
    /* A file that is moved before it has its first line may share that of the next. */
    assert_in_range(tally.rotations, ROTATIONS / 2, ROTATIONS);
}

static void
a_file_that_vanished_is_made_again_unasked(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log(file, 0, true);
    assert_int_equal(unlink(file), 0);
    for (int wait = 0; access(file, F_OK) != 0; wait++) {
        assert_in_range(wait, 0, 300);
        pause_ms(10);
    }
    push(audit, refusal());
    pw_audit_close(&audit);
    struct tally tally = {0};
    count_file(file, &tally);
    assert_int_equal(tally.refusals, 1);
}

static void
fill_disk_at(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
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
a_full_disk_holds_everything_until_there_is_room(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log(file, 256, true);
    fill_disk_at(1000);
    for (int i = 0; i < 100; i++) {
        push(audit, refusal());
    }
    wait_until_ready(audit, false);
    assert_in_range(pw_audit_counts(audit).errors, 1, 1000);
    fill_disk_at(RLIM_INFINITY);
    wait_until_ready(audit, true);
    push(audit, refusal());
    pw_audit_close(&audit);
    struct tally tally = {0};
    count_file(file, &tally);
    assert_int_equal(tally.refusals, 101);
    assert_int_equal(tally.errors, 1); /* it says how long */
    assert_int_equal(tally.lines, 102);
}

static uint64_t
in_ms(uint64_t ms)
{
    return pw_clock_steady() + ms * 1000000;
}

static void
what_was_flushed_is_in_the_file(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log(file, 0, true);
    assert_int_equal(pw_audit_flush(audit, in_ms(0)), PW_E_OK); /* there is nothing */
    for (uint64_t i = 1; i <= 20; i++) {
        struct tally tally = {0};
        push(audit, i % 2 == 0 ? pass() : refusal());
        assert_int_equal(pw_audit_flush(audit, in_ms(10000)), PW_E_OK);
        count_file(file, &tally);
        assert_int_equal(tally.lines, i);
    }
    pw_audit_close(&audit);
}

static void
a_flush_waits_for_the_disk_but_not_for_ever(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log(file, 0, true);
    fill_disk_at(100);
    push(audit, refusal());
    assert_int_equal(pw_audit_flush(audit, in_ms(50)), PW_E_BUSY);
    fill_disk_at(RLIM_INFINITY);
    assert_int_equal(pw_audit_flush(audit, in_ms(10000)), PW_E_OK);
    fill_disk_at(100);
    push(audit, refusal());
    pw_audit_abort(audit);
    assert_int_equal(pw_audit_flush(audit, in_ms(10000)), PW_E_STOPPED);
    fill_disk_at(RLIM_INFINITY);
    pw_audit_close(&audit);
}

static void *
abort_soon(void *arg)
{
    pause_ms(200);
    pw_audit_abort(arg);
    return NULL;
}

static void
abort_ends_the_waiting_and_counts_what_is_lost(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log("/dev/full", 8, true);
    pthread_t thread;
    pthread_create(&thread, NULL, abort_soon, audit);
    enum pw_err err = PW_E_OK;
    uint64_t refused = 0;
    for (int i = 0; i < 100; i++) {
        struct pw_audit_record record = refusal();
        err = pw_audit_push(audit, &record, 1);
        assert_null(record.detail);
        refused += err != PW_E_OK;
    }
    pthread_join(thread, NULL);
    assert_int_equal(err, PW_E_STOPPED);
    assert_false(pw_audit_ready(audit));
    assert_int_equal(pw_audit_counts(audit).lost, refused);
    pw_audit_close(&audit); /* returns, although nothing can be written */
}

static void
the_next_line_says_how_many_were_lost(void **state)
{
    (void)state;
    struct pw_audit *audit = open_log(file, 8, true);
    fill_disk_at(0);
    pw_audit_abort(audit);
    uint64_t lost = 0;
    for (int i = 0; i < 200; i++) {
        struct pw_audit_record record = refusal();
        lost += pw_audit_push(audit, &record, 1) == PW_E_STOPPED;
    }
    fill_disk_at(RLIM_INFINITY);
    wait_until_ready(audit, true);
    push(audit, refusal());
    pw_audit_close(&audit);
    struct tally tally = {0};
    count_file(file, &tally);
    assert_in_range(lost, 1, 199);
    assert_int_equal(tally.lost, lost);
    assert_int_equal(tally.refusals, 201 - lost);
}

static void
the_reason_it_cannot_open_is_said(void **state)
{
    (void)state;
    struct pw_why why = {{0}};
    struct pw_audit_options options = {
        .path = folder, .instance = "test", .pass_each = true};
    assert_null(pw_audit_open(&options, &why));
    assert_non_null(strstr(why.text, folder));
    options.path = "/nonexistent/audit.jsonl";
    assert_null(pw_audit_open(&options, &why));
    assert_non_null(strstr(why.text, "/nonexistent/audit.jsonl: "));
}

static void
whole_life(void *arg)
{
    struct pw_why why = {{0}};
    struct pw_audit_options options = {
        .path = file, .instance = "test", .queue_records = 64, .pass_each = true};
    struct pw_audit *audit = pw_audit_open(&options, &why);
    (void)arg;
    if (audit == NULL) {
        assert_true(why.text[0] != '\0');
        return;
    }
    int channel = pw_audit_channel(audit, "jobs", "in", "out");
    for (int i = 0; i < 10 && channel >= -1; i++) {
        channel = pw_audit_channel(audit, "more", NULL, NULL);
    }
    struct pw_audit_record record = pass();
    record.channel = channel;
    assert_int_equal(pw_audit_push(audit, &record, 1), PW_E_OK);
    pw_audit_close(&audit);
}

static void
out_of_memory_is_an_error_and_no_leak(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, whole_life, NULL)) {
        n++;
    }
    assert_in_range(n, 8, 100);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, remove_files)
    const struct CMUnitTest tests[] = {
        TEST(records_become_lines_in_order),
        TEST(a_pass_is_written_soon_and_a_refusal_at_once),
        TEST(an_unknown_channel_has_no_names),
        TEST(summaries_count_what_they_stand_for),
        TEST(a_tiny_queue_before_a_slow_reader_loses_nothing),
        TEST(rotation_under_load_loses_and_splits_no_line),
        TEST(a_file_that_vanished_is_made_again_unasked),
        TEST(a_full_disk_holds_everything_until_there_is_room),
        TEST(what_was_flushed_is_in_the_file),
        TEST(a_flush_waits_for_the_disk_but_not_for_ever),
        TEST(abort_ends_the_waiting_and_counts_what_is_lost),
        TEST(the_next_line_says_how_many_were_lost),
        TEST(the_reason_it_cannot_open_is_said),
        TEST(out_of_memory_is_an_error_and_no_leak),
    };
#undef TEST
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
