/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "tests/unit/fail_alloc.h"

static char folder[] = "/tmp/pw-sink-XXXXXX";
static char file[64];
static char rotated[64];

static int
make_folder(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(file, sizeof file, "%s/audit.jsonl", folder);
    snprintf(rotated, sizeof rotated, "%s/audit.jsonl.1", folder);
    return 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    unlink(file);
    unlink(rotated);
    return rmdir(folder);
}

static int
remove_files(void **state)
{
    (void)state;
    unlink(file);
    unlink(rotated);
    return 0;
}

static void
assert_content(const char *path, const char *text)
{
    struct pw_buf bytes = {.limit = 1 << 20};
    assert_int_equal(pw_file_read(path, &bytes), PW_E_OK);
    assert_int_equal(pw_buf_append(&bytes, (struct pw_span){(const uint8_t *)"", 1}),
                     PW_E_OK);
    assert_string_equal((const char *)bytes.bytes, text);
    pw_buf_free(&bytes);
}

static void
write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_int_equal(pw_file_write_all(fd, pw_span_str(text)), PW_E_OK);
    close(fd);
}

static struct pw_sink
open_sink(void)
{
    struct pw_sink sink;
    struct pw_why why = {{0}};
    assert_int_equal(pw_sink_open(&sink, file, 65536, 65536, &why), PW_E_OK);
    return sink;
}

static void
add(struct pw_sink *sink, const char *text)
{
    assert_int_equal(pw_buf_append(&sink->lines, pw_span_str(text)), PW_E_OK);
}

static void
flush(struct pw_sink *sink)
{
    assert_int_equal(pw_sink_flush(sink), PW_E_OK);
    assert_true(pw_sink_empty(sink));
}

/* No file of this process grows past `bytes`: as good as a full disk. */
static void
fill_disk_at(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
lines_are_appended_and_private(void **state)
{
    (void)state;
    struct pw_sink sink = open_sink();
    struct stat st;
    add(&sink, "one\ntwo\n");
    flush(&sink);
    assert_int_equal(pw_sink_sync(&sink), PW_E_OK);
    pw_sink_close(&sink);
    sink = open_sink();
    add(&sink, "three\n");
    flush(&sink);
    pw_sink_close(&sink);
    assert_content(file, "one\ntwo\nthree\n");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0027, 0);
}

static void
a_torn_line_of_a_crash_ends_before_the_next(void **state)
{
    (void)state;
    write_file(file, "one\n{\"torn\":");
    struct pw_sink sink = open_sink();
    assert_content(file, "one\n{\"torn\":"); /* nothing is written without need */
    add(&sink, "two\n");
    flush(&sink);
    pw_sink_close(&sink);
    assert_content(file, "one\n{\"torn\":\ntwo\n");
}

static void
a_full_disk_completes_the_line_when_there_is_room(void **state)
{
    (void)state;
    for (rlim_t room = 0; room < 12; room++) {
        struct pw_sink sink = open_sink();
        add(&sink, "first\nsecond\n");
        fill_disk_at(room);
        assert_int_equal(pw_sink_flush(&sink), PW_E_IO);
        assert_int_equal(errno, EFBIG);
        assert_int_equal(sink.done, room);
        assert_int_equal(pw_sink_flush(&sink), PW_E_IO);
        fill_disk_at(RLIM_INFINITY);
        flush(&sink);
        pw_sink_close(&sink);
        assert_content(file, "first\nsecond\n");
        unlink(file);
    }
}

static void
an_emptied_file_gets_the_cut_line_whole(void **state)
{
    (void)state;
    struct pw_sink sink = open_sink();
    add(&sink, "first\nsecond\n");
    fill_disk_at(9);
    assert_int_equal(pw_sink_flush(&sink), PW_E_IO);
    fill_disk_at(RLIM_INFINITY);
    assert_int_equal(truncate(file, 0), 0);
    flush(&sink);
    pw_sink_close(&sink);
    assert_content(file, "second\n");
}

static void
a_rotated_file_gets_the_cut_line_whole(void **state)
{
    (void)state;
    struct pw_sink sink = open_sink();
    struct pw_why why = {{0}};
    add(&sink, "first\nsecond\n");
    fill_disk_at(9);
    assert_int_equal(pw_sink_flush(&sink), PW_E_IO);
    fill_disk_at(RLIM_INFINITY);
    assert_false(pw_sink_moved(&sink));
    assert_int_equal(rename(file, rotated), 0);
    assert_true(pw_sink_moved(&sink));
    assert_int_equal(pw_sink_reopen(&sink, &why), PW_E_OK);
    assert_false(pw_sink_moved(&sink));
    flush(&sink);
    pw_sink_close(&sink);
    assert_content(rotated, "first\nsec");
    assert_content(file, "second\n");
}

static void
reopening_the_same_file_goes_on_mid_line(void **state)
{
    (void)state;
    struct pw_sink sink = open_sink();
    struct pw_why why = {{0}};
    add(&sink, "first\nsecond\n");
    fill_disk_at(9);
    assert_int_equal(pw_sink_flush(&sink), PW_E_IO);
    fill_disk_at(RLIM_INFINITY);
    assert_int_equal(pw_sink_reopen(&sink, &why), PW_E_OK);
    flush(&sink);
    pw_sink_close(&sink);
    assert_content(file, "first\nsecond\n");
}

static void
a_path_that_cannot_be_opened_again_keeps_the_old_file(void **state)
{
    (void)state;
    struct pw_sink sink = open_sink();
    struct pw_why why = {{0}};
    assert_int_equal(rename(file, rotated), 0);
    assert_int_equal(symlink("/dev/null", file), 0);
    assert_true(pw_sink_moved(&sink));
    assert_int_equal(pw_sink_reopen(&sink, &why), PW_E_CREATE);
    assert_non_null(strstr(why.text, "symbolic link"));
    add(&sink, "kept\n");
    flush(&sink);
    pw_sink_close(&sink);
    assert_content(rotated, "kept\n");
}

static void
what_is_no_log_file_is_refused_with_words(void **state)
{
    (void)state;
    struct pw_sink sink;
    struct pw_why why = {{0}};
    assert_int_equal(pw_sink_open(&sink, folder, 4096, 65536, &why), PW_E_CREATE);
    assert_non_null(strstr(why.text, folder));
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_int_equal(pw_sink_open(&sink, file, 4096, 65536, &why), PW_E_CREATE);
    assert_non_null(strstr(why.text, "not a file"));
    assert_int_equal(pw_sink_open(&sink, "/nonexistent/audit", 4096, 65536, &why),
                     PW_E_CREATE);
}

static void
a_device_that_is_full_keeps_the_lines(void **state)
{
    (void)state;
    struct pw_sink sink;
    struct pw_why why = {{0}};
    assert_int_equal(pw_sink_open(&sink, "/dev/full", 4096, 65536, &why), PW_E_OK);
    add(&sink, "kept\n");
    assert_int_equal(pw_sink_flush(&sink), PW_E_IO);
    assert_int_equal(errno, ENOSPC);
    assert_false(pw_sink_empty(&sink));
    pw_sink_close(&sink);
}

static void
open_and_close(void *arg)
{
    struct pw_why why = {{0}};
    struct pw_sink sink;
    (void)arg;
    if (pw_sink_open(&sink, file, 4096, 65536, &why) == PW_E_OK) {
        pw_sink_close(&sink);
    }
    assert_int_equal(sink.fd, -1);
}

static void
out_of_memory_opens_nothing(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, open_and_close, NULL)) {
        n++;
    }
    assert_int_equal(n, 3);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, remove_files)
    const struct CMUnitTest tests[] = {
        TEST(lines_are_appended_and_private),
        TEST(a_torn_line_of_a_crash_ends_before_the_next),
        TEST(a_full_disk_completes_the_line_when_there_is_room),
        TEST(an_emptied_file_gets_the_cut_line_whole),
        TEST(a_rotated_file_gets_the_cut_line_whole),
        TEST(reopening_the_same_file_goes_on_mid_line),
        TEST(a_path_that_cannot_be_opened_again_keeps_the_old_file),
        TEST(what_is_no_log_file_is_refused_with_words),
        TEST(a_device_that_is_full_keeps_the_lines),
        TEST(out_of_memory_opens_nothing),
    };
#undef TEST
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
