/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/reason.h"
#include "tests/unit/fail_alloc.h"

static char folder[] = "/tmp/pw-base-XXXXXX";

static int
make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static const char *
in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void
write_file(const char *path, struct pw_span bytes)
{
    PW_CLEANUP(pw_file_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pw_file_write_all(fd, bytes), PW_E_OK);
}

/* -- Tables -------------------------------------------------------------------------------
 */

static void
every_error_has_words_and_an_exit_code_of_sysexits(void **state)
{
    (void)state;
    for (int i = 0; i < PW_E_COUNT; i++) {
        assert_true(strlen(pw_err_text((enum pw_err)i)) > 3);
        int code = pw_err_exit((enum pw_err)i);
        assert_true(i == PW_E_OK ? code == 0 : code >= EX__BASE && code <= EX__MAX);
    }
    assert_string_equal(pw_err_text((enum pw_err)999), "unknown error");
    assert_int_equal(pw_err_exit((enum pw_err)999), EX_SOFTWARE);
    assert_int_equal(pw_err_exit(PW_E_CONFIG), 78);
}

static void
a_sentence_that_is_too_long_is_cut_and_a_missing_one_is_fine(void **state)
{
    (void)state;
    struct pw_why why;
    assert_int_equal(pw_fail(&why, PW_E_IO, "%0600d", 7), PW_E_IO);
    assert_int_equal(strlen(why.text), sizeof why.text - 1);
    assert_int_equal(pw_fail(NULL, PW_E_CONFIG, "%s", "x"), PW_E_CONFIG);
}

static void
every_reason_has_its_own_code_words_level_and_door(void **state)
{
    (void)state;
    for (int i = 0; i < PW_R_COUNT; i++) {
        const char *code = pw_reason_code((enum pw_reason)i);
        assert_true((i == PW_R_NONE) == (code[0] == '\0'));
        assert_true(i == PW_R_NONE || strchr(code, '.') != NULL);
        assert_true(strlen(pw_reason_text((enum pw_reason)i)) > 10);
        assert_true(pw_reason_level((enum pw_reason)i) <= PW_LEVEL_CRITICAL);
        assert_true(pw_reason_door((enum pw_reason)i) < PW_DOOR_COUNT);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(code, pw_reason_code((enum pw_reason)j));
        }
    }
}

static void
an_unknown_reason_is_taken_for_the_gravest(void **state)
{
    (void)state;
    assert_string_equal(pw_reason_code((enum pw_reason)999), "internal.error");
    assert_int_equal(pw_reason_level((enum pw_reason)999), PW_LEVEL_CRITICAL);
    assert_int_equal(pw_reason_door((enum pw_reason)999), PW_DOOR_NONE);
    assert_string_equal(pw_level_text((enum pw_level)999), "critical");
    assert_string_equal(pw_level_text(PW_LEVEL_INFO), "info");
}

static void
every_door_is_one_that_some_reason_waits_behind(void **state)
{
    (void)state;
    bool waits[PW_DOOR_COUNT] = {0};
    for (int i = 0; i < PW_R_COUNT; i++) {
        waits[pw_reason_door((enum pw_reason)i)] = true;
    }
    for (int i = 0; i < PW_DOOR_COUNT; i++) {
        assert_true(waits[i]);
    }
}

/* -- Clock --------------------------------------------------------------------------------
 */

struct time_case {
    uint64_t ns;
    const char *text;
};

static const struct time_case time_cases[] = {
    {0, "1970-01-01T00:00:00.000000Z"},
    {999, "1970-01-01T00:00:00.000000Z"},
    {UINT64_C(1795304400123456789), "2026-11-21T23:40:00.123456Z"},
    {UINT64_C(1709251199999999999), "2024-02-29T23:59:59.999999Z"},
    {UINT64_MAX, "2554-07-21T23:34:33.709551Z"},
};

static void
times_are_rfc_3339_in_utc(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(time_cases); i++) {
        char text[PW_CLOCK_TEXT];
        pw_clock_format(time_cases[i].ns, text);
        assert_string_equal(text, time_cases[i].text);
    }
}

static void
the_steady_clock_never_goes_back_and_the_wall_clock_is_past_2024(void **state)
{
    (void)state;
    uint64_t before = pw_clock_steady();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = pw_clock_steady();
        assert_true(now >= before);
        before = now;
    }
    assert_true(pw_clock_wall() > UINT64_C(1704067200000000000));
}

/* -- Files --------------------------------------------------------------------------------
 */

static void
a_file_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static uint8_t big[200000];
    memset(big, 'x', sizeof big);
    write_file(in_folder("big"), (struct pw_span){big, sizeof big});
    struct pw_buf exact = {.limit = sizeof big};
    assert_int_equal(pw_file_read(in_folder("big"), &exact), PW_E_OK);
    assert_int_equal(exact.len, sizeof big);
    assert_memory_equal(exact.bytes, big, sizeof big);
    pw_buf_free(&exact);
    struct pw_buf small = {.limit = sizeof big - 1};
    assert_int_equal(pw_file_read(in_folder("big"), &small), PW_E_LIMIT);
    pw_buf_free(&small);
}

static void
a_file_that_is_not_there_is_told_from_one_that_is_no_file(void **state)
{
    (void)state;
    struct pw_buf out = {.limit = 100};
    assert_int_equal(pw_file_read(in_folder("gone"), &out), PW_E_NO_INPUT);
    assert_int_equal(pw_file_read(folder, &out), PW_E_IO);
    pw_buf_free(&out);
}

static void
a_full_disk_is_an_error(void **state)
{
    (void)state;
    PW_CLEANUP(pw_file_close) int fd = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pw_file_write_all(fd, BYTES("x")), PW_E_IO);
    assert_int_equal(errno, ENOSPC);
}

static void
a_folder_is_made_with_its_parents_for_its_owner_alone(void **state)
{
    (void)state;
    struct pw_why why;
    struct stat is;
    PW_CLEANUP(pw_file_close) int fd = pw_file_open_dir(in_folder("a/b/c"), &why);
    assert_true(fd >= 0);
    assert_int_equal(stat(in_folder("a/b"), &is), 0);
    assert_int_equal(is.st_mode & 0777, 0700);
    PW_CLEANUP(pw_file_close) int again = pw_file_open_dir(in_folder("a/b/c"), &why);
    assert_true(again >= 0);
}

static void
a_folder_that_cannot_be_is_named(void **state)
{
    (void)state;
    struct pw_why why;
    write_file(in_folder("file"), BYTES("x"));
    assert_int_equal(pw_file_open_dir(in_folder("file/below"), &why), -1);
    assert_non_null(strstr(why.text, "file/below: Not a directory; name a folder"));
}

static void
closing_twice_is_fine(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY);
    assert_true(fd >= 0);
    pw_file_close(&fd);
    assert_int_equal(fd, -1);
    pw_file_close(&fd);
}

static void
read_big(void *arg)
{
    struct pw_buf out = {.limit = 1 << 20};
    *(enum pw_err *)arg = pw_file_read(in_folder("big"), &out);
    pw_buf_free(&out);
}

static void
reading_without_memory_says_so(void **state)
{
    (void)state;
    enum pw_err err;
    size_t n = 1;
    for (; fail_alloc_round(n, read_big, &err); n++) {
        assert_int_equal(err, PW_E_NOMEM);
    }
    assert_true(n > 2);
    assert_int_equal(err, PW_E_OK);
}

/* -- Log ----------------------------------------------------------------------------------
 */

static void
a_log_line_is_one_line_with_its_level(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int before = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    pw_log(PW_LOG_WARN, "%s", "disk");
    pw_log(PW_LOG_DEBUG, "%s", "silent");
    pw_log_set_level(PW_LOG_DEBUG);
    pw_log(PW_LOG_DEBUG, "%02000d", 1);
    pw_log_set_level(PW_LOG_INFO);
    dup2(before, STDERR_FILENO);
    close(before);
    char text[4096] = "";
    ssize_t got = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    close(ends[1]);
    static const char first[] = "picklewall: warning: disk\n";
    assert_memory_equal(text, first, sizeof first - 1);
    assert_int_equal(got, sizeof first - 1 + 1024);
    assert_int_equal(text[got - 1], '\n');
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_words_and_an_exit_code_of_sysexits),
        cmocka_unit_test(a_sentence_that_is_too_long_is_cut_and_a_missing_one_is_fine),
        cmocka_unit_test(every_reason_has_its_own_code_words_level_and_door),
        cmocka_unit_test(an_unknown_reason_is_taken_for_the_gravest),
        cmocka_unit_test(every_door_is_one_that_some_reason_waits_behind),
        cmocka_unit_test(times_are_rfc_3339_in_utc),
        cmocka_unit_test(the_steady_clock_never_goes_back_and_the_wall_clock_is_past_2024),
        cmocka_unit_test(a_file_is_read_whole_or_not_at_all),
        cmocka_unit_test(a_file_that_is_not_there_is_told_from_one_that_is_no_file),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(a_folder_is_made_with_its_parents_for_its_owner_alone),
        cmocka_unit_test(a_folder_that_cannot_be_is_named),
        cmocka_unit_test(closing_twice_is_fine),
        cmocka_unit_test(reading_without_memory_says_so),
        cmocka_unit_test(a_log_line_is_one_line_with_its_level),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
