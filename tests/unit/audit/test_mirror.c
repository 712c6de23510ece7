/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/mirror.h"

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
#include "common/base/log.h"
#include "tests/unit/fail_alloc.h"

#define NOTE "wall/1\n31\nAAAA\n\n\xe2\x80\x94 audit BBBB\n"

static char folder[] = "/tmp/pw-mirror-XXXXXX";
static char path[64];

static int
make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/notes", folder);
    return 0;
}

static int
clean(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static struct pw_mirror *
open_mirror(void)
{
    struct pw_why why = {{0}};
    struct pw_mirror *mirror = pw_mirror_open(path, &why);
    assert_string_equal(why.text, "");
    assert_non_null(mirror);
    return mirror;
}

static void
put(struct pw_mirror *mirror)
{
    pw_mirror_put(mirror, pw_span_str(NOTE));
}

static void
assert_file(const char *expected)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 4096};
    assert_int_equal(pw_file_read(path, &text), PW_E_OK);
    assert_true(pw_span_equal(pw_buf_span(&text), pw_span_str(expected)));
}

static void
notes_stand_with_an_empty_line_between(void **state)
{
    (void)state;
    struct pw_mirror *mirror = open_mirror();
    put(mirror);
    put(mirror);
    pw_mirror_close(&mirror);
    assert_file(NOTE "\n" NOTE "\n");
}

static void
a_file_that_was_moved_away_is_made_anew(void **state)
{
    (void)state;
    struct pw_mirror *mirror = open_mirror();
    put(mirror);
    assert_int_equal(unlink(path), 0);
    put(mirror);
    pw_mirror_close(&mirror);
    assert_file(NOTE "\n");
}

static void
behind_half_a_note_the_next_one_is_whole(void **state)
{
    (void)state;
    struct rlimit old;
    struct rlimit small = {10, RLIM_INFINITY};
    struct pw_mirror *mirror = open_mirror();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    put(mirror);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    put(mirror);
    pw_mirror_close(&mirror);
    assert_file("wall/1\n31\n\n\n" NOTE "\n");
}

static void
a_pipe_that_nobody_reads_holds_nobody_up(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    struct pw_mirror *mirror = open_mirror();
    for (int i = 0; i < MANY; i++) {
        put(mirror);
    }
    char text[sizeof NOTE];
    size_t whole = 0;
    while (read(reader, text, sizeof text) == (ssize_t)sizeof text) {
        assert_memory_equal(text, NOTE "\n", sizeof text);
        whole++;
    }
    assert_in_range(whole, 100, MANY - 1);
    put(mirror);
    assert_int_equal(read(reader, text, sizeof text), sizeof text);
    pw_mirror_close(&mirror);
    close(reader);
}

static void
what_cannot_be_opened_is_said(void **state)
{
    (void)state;
    struct pw_why why = {{0}};
    assert_null(pw_mirror_open(folder, &why));
    assert_non_null(strstr(why.text, "audit.mirror"));
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_null(pw_mirror_open(path, &why));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(pw_mirror_open(path, &why)); /* a pipe without a reader does not wait */
}

static void
without_memory_there_is_none(void **state)
{
    (void)state;
    struct pw_mirror *mirror = NULL;
    for (size_t n = 1; mirror == NULL; n++) {
        assert_true(n < 5);
        fail_alloc_at(n);
        mirror = pw_mirror_open(path, NULL);
        fail_alloc_at(0);
    }
    pw_mirror_close(&mirror);
    pw_mirror_close(&mirror);
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int
main(void)
{
    signal(SIGXFSZ, SIG_IGN);
    pw_log_set_level(PW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(notes_stand_with_an_empty_line_between),
        TEST(a_file_that_was_moved_away_is_made_anew),
        TEST(behind_half_a_note_the_next_one_is_whole),
        TEST(a_pipe_that_nobody_reads_holds_nobody_up),
        TEST(what_cannot_be_opened_is_said),
        TEST(without_memory_there_is_none),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
