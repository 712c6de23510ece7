/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check.h"

#include "common/audit/rotate.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "tests/unit/audit/fake_disk.h"
#include "tests/unit/fail_alloc.h"

static char folder[] = "/tmp/pw-logfile-XXXXXX";
static char file[64];
static char old[PATH_MAX];

/* 2026-11-22T10:15:00Z */
static const uint64_t quarter_past_ten = 1795342500000000000;

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
empty_folder(void **state)
{
    (void)state;
    char command[128];
    fake_disk_fails = false;
    fake_disk_kept = 0;
    fake_disk_total = 0;
    snprintf(command, sizeof command, "rm -f %s/*", folder);
    return system(command);
}

static int
remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static const char *
in_folder(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void
write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_int_equal(pw_file_write_all(fd, pw_span_str(text)), PW_E_OK);
    close(fd);
}

static void
assert_content(const char *path, const char *text)
{
    struct pw_buf bytes = {.limit = 1 << 20};
    assert_int_equal(pw_file_read(path, &bytes), PW_E_OK);
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.bytes, text, bytes.len);
    pw_buf_free(&bytes);
}

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static struct pw_logfile log_of_test;

static struct pw_logfile *
open_log(struct pw_logfile_options options)
{
    struct pw_why why = {{0}};
    options.path = file;
    assert_int_equal(pw_logfile_open(&log_of_test, &options, &why), PW_E_OK);
    return &log_of_test;
}

static void
add(struct pw_logfile *log, const char *text)
{
    assert_true(pw_logfile_has_room(log));
    assert_int_equal(pw_buf_append(&log->sink.lines, pw_span_str(text)), PW_E_OK);
    log->used = true;
}

static void
write_line(struct pw_logfile *log, const char *text, bool sync)
{
    add(log, text);
    assert_int_equal(pw_logfile_write(log, sync), PW_E_OK);
}

/* The next notice must be this one. */
static void
assert_notice(struct pw_logfile *log, enum pw_audit_event event, enum pw_level level,
              const char *part)
{
    char detail[PW_LOG_NEWS_MAX];
    struct pw_audit_record record;
    assert_true(pw_logfile_notice(log, &record, detail));
    assert_int_equal(record.event, event);
    assert_int_equal(record.level, level);
    check_case(part, strstr(detail, part) != NULL);
}

static void
assert_no_notice(struct pw_logfile *log)
{
    char detail[PW_LOG_NEWS_MAX];
    struct pw_audit_record record;
    assert_false(pw_logfile_notice(log, &record, detail));
}

/* ---- names ---- */

static enum pw_err
rotate_away(uint64_t seq)
{
    struct stat st;
    struct pw_why why = {{0}};
    assert_int_equal(stat(file, &st), 0);
    return pw_rotate_away(file, st.st_dev, st.st_ino, quarter_past_ten, seq, old, &why);
}

static void
an_old_log_is_named_after_its_time_and_its_last_line(void **state)
{
    (void)state;
    write_file(file, "one\n");
    assert_int_equal(rotate_away(4711), PW_E_OK);
    assert_string_equal(old, in_folder("audit-20261122T101500Z-4711.jsonl"));
    assert_false(exists(file));
    assert_content(old, "one\n");
    assert_int_equal(pw_rotate_back(file, old), PW_E_OK);
    assert_content(file, "one\n");
}

static void
a_rotation_overwrites_nothing(void **state)
{
    (void)state;
    write_file(file, "new\n");
    write_file(in_folder("audit-20261122T101500Z-1.jsonl"), "older\n");
    assert_int_equal(rotate_away(1), PW_E_OK);
    assert_string_equal(old, in_folder("audit-20261122T101500Z-1-1.jsonl"));
    assert_content(in_folder("audit-20261122T101500Z-1.jsonl"), "older\n");
    write_file(file, "in the way\n");
    assert_int_equal(pw_rotate_back(file, old), PW_E_IO);
    assert_content(file, "in the way\n");
}

static void
only_our_own_file_is_moved(void **state)
{
    (void)state;
    struct stat st;
    struct pw_why why = {{0}};
    write_file(file, "ours\n");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(rename(file, in_folder("elsewhere")), 0);
    write_file(file, "theirs\n");
    assert_int_equal(
        pw_rotate_away(file, st.st_dev, st.st_ino, quarter_past_ten, 1, old, &why),
        PW_E_IO);
    assert_non_null(strstr(why.text, "another file stands there"));
    assert_content(file, "theirs\n");
}

/* Oldest first, but for the strangers. */
static const struct {
    const char *name;
    bool ours;
} names[] = {
    {"audit-20251231T235959Z-900.jsonl", true},
    {"audit-20260101T000000Z-9.jsonl.gz", true},
    {"audit-20260101T000000Z-10.jsonl", true},
    {"audit-20260101T000000Z-10-1.jsonl.zst", true},
    {"audit-20260102T000000Z-11.jsonl", true},
    {"audit.jsonl", false},
    {"audit.jsonl.1", false},
    {"audit-notes.jsonl", false},
    {"audit-2026.jsonl", false},
    {"audit-20260101T000000Z-.jsonl", false},
    {"audit-20260101T000000Z-1.txt", false},
    {"audit-20260101t000000Z-1.jsonl", false},
    {"audit2-20260101T000000Z-1.jsonl", false},
    {"other-20260101T000000Z-1.jsonl", false},
};

enum { OURS = 5 };

static void
the_oldest_logs_go_and_strangers_stay(void **state)
{
    (void)state;
    for (size_t keep = 0; keep <= OURS + 1; keep++) {
        enum pw_err err;
        struct pw_why why = {{0}};
        for (size_t i = 0; i < PW_COUNT(names); i++) {
            write_file(in_folder(names[i].name), "");
        }
        size_t gone = keep < OURS ? OURS - keep : 0;
        assert_int_equal(pw_rotate_prune(file, keep, &err, &why), gone);
        assert_int_equal(err, PW_E_OK);
        for (size_t i = 0; i < PW_COUNT(names); i++) {
            bool stays = !names[i].ours || i >= gone;
            check_case(names[i].name, exists(in_folder(names[i].name)) == stays);
        }
    }
}

/* ---- the file ---- */

static void
a_large_file_gives_way_and_the_new_one_says_from_where(void **state)
{
    (void)state;
    struct pw_logfile *log =
        open_log((struct pw_logfile_options){.rotate_size = 10, .rotate_keep = 1});
    write_line(log, "12345678\n", false);
    assert_false(pw_logfile_wants_rotation(log));
    write_line(log, "two\n", false);
    assert_true(pw_logfile_wants_rotation(log));
    pw_logfile_rotate(log, 2);
    assert_false(pw_logfile_wants_rotation(log));
    assert_content(log->old, "12345678\ntwo\n");
    assert_content(file, "");
    assert_notice(log, PW_EVENT_ROTATE, PW_LEVEL_INFO, strrchr(log->old, '/') + 1);
    assert_no_notice(log);
    pw_logfile_close(log);
}

static void
a_file_is_filled_up_to_its_size_and_one_line(void **state)
{
    (void)state;
    struct pw_logfile *log = open_log((struct pw_logfile_options){.rotate_size = 10});
    add(log, "12345678\n");
    add(log, "two\n");
    assert_false(pw_logfile_has_room(log)); /* until the file is another */
    assert_int_equal(pw_logfile_write(log, false), PW_E_OK);
    pw_logfile_close(log);
}

static void
an_old_file_gives_way_when_it_has_lines(void **state)
{
    (void)state;
    struct pw_logfile *log = open_log((struct pw_logfile_options){.rotate_age_ns = 1});
    assert_false(pw_logfile_wants_rotation(log));
    write_line(log, "one\n", false);
    assert_true(pw_logfile_wants_rotation(log));
    pw_logfile_rotate(log, 1);
    assert_false(pw_logfile_wants_rotation(log));
    pw_logfile_close(log);
}

static void
a_rotation_that_cannot_be_leaves_the_file_in_use(void **state)
{
    (void)state;
    struct pw_logfile *log = open_log((struct pw_logfile_options){.rotate_size = 1});
    write_line(log, "one\n", false);
    assert_int_equal(unlink(file), 0);
    pw_logfile_rotate(log, 1);
    assert_no_notice(log);
    assert_false(pw_logfile_wants_rotation(log)); /* not again at once */
    assert_true(pw_logfile_has_room(log));
    pw_logfile_close(log);
}

static void
a_moved_file_and_a_cut_one_are_told_apart(void **state)
{
    (void)state;
    struct pw_logfile *log = open_log((struct pw_logfile_options){0});
    write_line(log, "one\n", false);
    pw_logfile_reopen(log); /* the same file */
    assert_no_notice(log);
    assert_int_equal(truncate(file, 0), 0);
    pw_logfile_look(log);
    assert_notice(log, PW_EVENT_ROTATE, PW_LEVEL_MEDIUM, "\"truncated\":true");
    write_line(log, "two\n", false);
    assert_content(file, "two\n");
    assert_int_equal(rename(file, in_folder("moved")), 0);
    pw_logfile_reopen(log);
    assert_notice(log, PW_EVENT_ROTATE, PW_LEVEL_INFO, "");
    write_line(log, "three\n", false);
    assert_content(in_folder("moved"), "two\n");
    assert_content(file, "three\n");
    pw_logfile_close(log);
}

/* ---- fdatasync fails ---- */

static void
assert_bytes(const char *path, struct pw_span expected)
{
    struct pw_buf bytes = {.limit = 1 << 20};
    assert_int_equal(pw_file_read(path, &bytes), PW_E_OK);
    assert_int_equal(bytes.len, expected.len);
    assert_memory_equal(bytes.bytes, expected.ptr, bytes.len);
    pw_buf_free(&bytes);
}

/* A log with one line that is safe, and two that the disk has just lost. */
static struct pw_logfile *
lose_two_lines(void)
{
    struct pw_logfile *log = open_log((struct pw_logfile_options){0});
    write_line(log, "safe\n", true);
    fake_disk_kept = 5;
    fake_disk_fails = true;
    write_line(log, "one\n", false);
    add(log, "two\n");
    assert_int_equal(pw_logfile_write(log, true), PW_E_IO);
    assert_int_equal(log->trouble, EIO);
    assert_bytes(file, BYTES("safe\n\0\0\0\0\0\0\0\0"));
    return log;
}

static void
what_a_failed_sync_lost_is_written_again(void **state)
{
    (void)state;
    struct pw_logfile *log = lose_two_lines();
    assert_int_equal(pw_logfile_write(log, false), PW_E_IO); /* it is not forgotten */
    fake_disk_fails = false;
    assert_int_equal(pw_logfile_write(log, false), PW_E_OK);
    assert_bytes(file, BYTES("safe\none\ntwo\n"));
    assert_notice(log, PW_EVENT_ERROR, PW_LEVEL_HIGH, "fdatasync: Input/output error");
    write_line(log, "three\n", true);
    assert_bytes(file, BYTES("safe\none\ntwo\nthree\n"));
    pw_logfile_close(log);
}

/* Somebody else writes to the log. */
static void
intrude(const char *text)
{
    int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(pw_file_write_all(fd, pw_span_str(text)), PW_E_OK);
    close(fd);
}

static void
what_a_failed_sync_lost_is_written_where_it_stood_though_others_write(void **state)
{
    (void)state;
    struct pw_logfile *log = open_log((struct pw_logfile_options){0});
    write_line(log, "safe\n", true);
    write_line(log, "one\n", false);
    intrude("alien\n");
    write_line(log, "two\n", false);
    fake_disk_kept = 5;
    fake_disk_fails = true;
    assert_int_equal(pw_logfile_write(log, true), PW_E_IO);
    fake_disk_fails = false;
    assert_int_equal(pw_logfile_write(log, false), PW_E_OK);
    assert_bytes(file, BYTES("safe\none\n\0\0\0\0\0\0two\n"));
    write_line(log, "three\n", true);
    assert_bytes(file, BYTES("safe\none\n\0\0\0\0\0\0two\nthree\n"));
    pw_logfile_close(log);
}

static void
many_who_write_between_are_kept_apart(void **state)
{
    (void)state;
    struct pw_logfile *log = open_log((struct pw_logfile_options){0});
    char expected[512] = "";
    fake_disk_kept = 0;
    for (int i = 0; i < 3 * PW_SINK_PIECES; i++) {
        write_line(log, "ours\n", false);
        intrude("theirs\n");
        strcat(expected, "ours\ntheirs\n");
    }
    pw_logfile_close(log);
    assert_bytes(file, pw_span_str(expected));
}

static void
a_line_is_not_joined_to_half_a_line_of_others(void **state)
{
    (void)state;
    struct pw_logfile *log = open_log((struct pw_logfile_options){0});
    write_line(log, "one\n", false);
    intrude("half");
    write_line(log, "two\n", true);
    write_line(log, "three\n", true);
    assert_bytes(file, BYTES("one\nhalf\ntwo\nthree\n"));
    pw_logfile_close(log);
}

static void
what_a_failed_sync_lost_goes_to_the_file_that_comes_next(void **state)
{
    (void)state;
    struct pw_logfile *log = lose_two_lines();
    assert_int_equal(rename(file, in_folder("moved")), 0);
    pw_logfile_reopen(log);
    fake_disk_fails = false;
    assert_int_equal(pw_logfile_write(log, true), PW_E_OK);
    assert_bytes(in_folder("moved"), BYTES("safe\n"));
    assert_bytes(file, BYTES("one\ntwo\n"));
    pw_logfile_close(log);
}

static void
much_that_is_not_synced_is_synced_early(void **state)
{
    (void)state;
    struct pw_logfile *log = open_log((struct pw_logfile_options){0});
    static char line[8000];
    memset(line, 'x', sizeof line - 2);
    line[sizeof line - 2] = '\n';
    unsigned before = fake_disk_syncs;
    for (int i = 0; i < 2000; i++) {
        write_line(log, line, false);
    }
    assert_in_range(fake_disk_syncs - before, 3, 10); /* 16 MB, at most 4 MiB in memory */
    pw_logfile_close(log);
}

/* ---- room ---- */

static const struct {
    const char *name;
    uint64_t total, free;
    int64_t low, critical;
    enum pw_space expected;
} spaces[] = {
    {"all free", 1000, 1000, -10, -2, PW_SPACE_ENOUGH},
    {"just enough", 1000, 100, -10, -2, PW_SPACE_ENOUGH},
    {"low", 1000, 99, -10, -2, PW_SPACE_LOW},
    {"just not critical", 1000, 20, -10, -2, PW_SPACE_LOW},
    {"critical", 1000, 19, -10, -2, PW_SPACE_CRITICAL},
    {"full", 1000, 0, -10, -2, PW_SPACE_CRITICAL},
    {"in bytes", 1000, 4, 5 << 20, 3 << 20, PW_SPACE_LOW},
    {"never mind", 1000, 0, 0, 0, PW_SPACE_ENOUGH},
};

static void
room_is_measured_by_two_marks(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(spaces); i++) {
        fake_disk_total = spaces[i].total;
        fake_disk_free = spaces[i].free;
        struct pw_space_look look = pw_space_look(0, spaces[i].low, spaces[i].critical);
        check_case(spaces[i].name, look.state == spaces[i].expected);
        check_case(spaces[i].name, look.free == spaces[i].free << 20);
    }
}

static void
little_room_is_said_once_until_there_is_more(void **state)
{
    (void)state;
    fake_disk_total = 100;
    fake_disk_free = 50;
    struct pw_logfile *log =
        open_log((struct pw_logfile_options){.space_low = -10, .space_critical = -2});
    for (int i = 0; i < 2; i++) {
        fake_disk_free = 5;
        pw_logfile_look_around(log);
        assert_false(pw_logfile_critical(log));
        assert_notice(log, PW_EVENT_ERROR, PW_LEVEL_MEDIUM, "\"free\":5242880");
        fake_disk_free = 1;
        pw_logfile_look_around(log);
        assert_true(pw_logfile_critical(log));
        assert_no_notice(log);
        fake_disk_free = 50;
        pw_logfile_look_around(log);
        assert_false(pw_logfile_critical(log));
    }
    pw_logfile_close(log);
}

/* ---- memory ---- */

static void
whole_life(void *arg)
{
    struct pw_why why = {{0}};
    struct pw_logfile log;
    assert_int_equal(empty_folder(arg), 0);
    struct pw_logfile_options options = {.path = file, .rotate_size = 1, .rotate_keep = 1};
    if (pw_logfile_open(&log, &options, &why) != PW_E_OK) {
        assert_true(why.text[0] != '\0');
        return;
    }
    write_line(&log, "one\n", true);
    pw_logfile_rotate(&log, 1);
    char oldest[PATH_MAX];
    assert_false(pw_logfile_oldest_kept(&log, oldest)); /* there is one, and one may be */
    pw_logfile_prune(&log);
    char detail[PW_LOG_NEWS_MAX];
    struct pw_audit_record record;
    assert_true(pw_logfile_notice(&log, &record, detail));
    assert_int_equal(record.event, PW_EVENT_ROTATE);
    pw_logfile_close(&log);
}

static void
out_of_memory_is_an_error_or_a_line_without_detail(void **state)
{
    size_t n = 1;
    while (fail_alloc_round(n, whole_life, state)) {
        n++;
    }
    assert_in_range(n, 5, 50);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, empty_folder)
    const struct CMUnitTest tests[] = {
        TEST(an_old_log_is_named_after_its_time_and_its_last_line),
        TEST(a_rotation_overwrites_nothing),
        TEST(only_our_own_file_is_moved),
        TEST(the_oldest_logs_go_and_strangers_stay),
        TEST(a_large_file_gives_way_and_the_new_one_says_from_where),
        TEST(a_file_is_filled_up_to_its_size_and_one_line),
        TEST(an_old_file_gives_way_when_it_has_lines),
        TEST(a_rotation_that_cannot_be_leaves_the_file_in_use),
        TEST(a_moved_file_and_a_cut_one_are_told_apart),
        TEST(what_a_failed_sync_lost_is_written_again),
        TEST(what_a_failed_sync_lost_is_written_where_it_stood_though_others_write),
        TEST(many_who_write_between_are_kept_apart),
        TEST(a_line_is_not_joined_to_half_a_line_of_others),
        TEST(what_a_failed_sync_lost_goes_to_the_file_that_comes_next),
        TEST(much_that_is_not_synced_is_synced_early),
        TEST(room_is_measured_by_two_marks),
        TEST(little_room_is_said_once_until_there_is_more),
        TEST(out_of_memory_is_an_error_or_a_line_without_detail),
    };
#undef TEST
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
