/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/told.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fail_alloc.h"

enum { HOUR_MS = 3600000 };

static const uint64_t start_ms = 1700000000000;
static char path[] = "/tmp/picklewall-told-XXXXXX";

static int
make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int
remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* A line made at `ms`; it tells of the entry of that time, when it is to. */
static void
put_line(FILE *file, uint64_t ms, bool tells)
{
    char id[PW_ULID_TEXT];
    pw_ulid_floor(ms, id);
    fprintf(file, "{\"ts\":\"\",\"id\":\"%s\"", id);
    if (tells) {
        fprintf(file, ",\"q\":{\"id\":\"%064d\",\"entry\":\"%s\"}", 7, id);
    }
    fprintf(file, ",\"padding\":\"%0100d\"}\n", 0);
}

/* What a release_case calls `letter`. */
static void
put_release(FILE *file, uint64_t ms, char letter)
{
    char id[PW_ULID_TEXT];
    bool begins = letter >= 'a';
    pw_ulid_floor(ms, id);
    fprintf(file,
            "{\"id\":\"%s\",\"detail\":{\"what\":\"release\",\"outcome\":\"%s\","
            "\"entry\":\"%025d%c\"}}\n",
            id, begins ? "begun" : "sent", 0, begins ? letter - 'a' + 'A' : letter);
}

static bool
has(const struct pw_audit_told *told, uint64_t ms)
{
    char entry[PW_ULID_TEXT];
    pw_ulid_floor(ms, entry);
    return pw_audit_told_has(told, entry);
}

static bool
would_have(const struct pw_audit_told *told, uint64_t ms)
{
    char entry[PW_ULID_TEXT];
    pw_ulid_floor(ms, entry);
    return pw_audit_told_would(told, entry);
}

static void
behind_the_first_line_of_all_every_line_would_be_there(void **state)
{
    (void)state;
    static const char *const chains[] = {"new", "continued"};
    for (size_t i = 0; i < PW_COUNT(chains); i++) {
        char id[PW_ULID_TEXT];
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        pw_ulid_floor(start_ms, id);
        fprintf(file,
                "{\"id\":\"%s\",\"seq\":1,\"detail\":{\"chain\":{\"what\":\"%s\"}}}\n", id,
                chains[i]);
        assert_int_equal(fclose(file), 0);
        struct pw_audit_told told;
        assert_int_equal(pw_audit_told_read(path, &told), PW_E_OK);
        assert_true(would_have(&told, start_ms));
        assert_int_equal(would_have(&told, start_ms - 1000), i == 0);
        pw_audit_told_free(&told);
    }
}

static void
a_clock_that_stepped_back_hides_nothing(void **state)
{
    (void)state;
    char id[PW_ULID_TEXT];
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    pw_ulid_floor(UINT64_C(1795304398000) + 86400000, id); /* ids grow all the same */
    fprintf(file, "{\"ts\":\"2026-11-21T23:39:58.000000Z\",\"id\":\"%s\"}\n", id);
    assert_int_equal(fclose(file), 0);
    struct pw_audit_told told;
    assert_int_equal(pw_audit_told_read(path, &told), PW_E_OK);
    assert_false(has(&told, UINT64_C(1795304398000)));        /* is looked for */
    assert_true(has(&told, UINT64_C(1795304398000) - 31000)); /* is too old */
    pw_audit_told_free(&told);
}

static void
what_the_last_half_minute_tells_is_found_over_many_chunks(void **state)
{
    (void)state;
    enum { LINES = 40000 }; /* 1 ms apart, 7 MiB */
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (uint64_t i = 0; i < LINES; i++) {
        put_line(file, start_ms + i, i % 3 != 0);
    }
    assert_int_equal(fclose(file), 0);
    struct pw_audit_told told;
    assert_int_equal(pw_audit_told_read(path, &told), PW_E_OK);
    uint64_t since = LINES - 1 - PW_AUDIT_TOLD_MS;
    for (uint64_t i = 0; i < LINES; i++) {
        bool expected = i < since || i % 3 != 0;
        if (has(&told, start_ms + i) != expected) {
            fail_msg("entry %d of %d", (int)i, LINES);
        }
    }
    assert_false(has(&told, start_ms + LINES));
    assert_true(would_have(&told, start_ms + since));
    pw_audit_told_free(&told);
}

/* Three files of one line each, a second apart; the newest says where the older ones are.
 */
static void
what_the_old_files_of_a_rotation_tell_counts_too(void **state)
{
    (void)state;
    char names[2][64];
    for (int i = 0; i < 2; i++) {
        snprintf(names[i], sizeof names[i], "%s-%d", path, i);
    }
    const char *const files[] = {names[0], names[1], path};
    for (uint64_t i = 0; i < PW_COUNT(files); i++) {
        FILE *file = fopen(files[i], "w");
        assert_non_null(file);
        if (i > 0) {
            fprintf(file, "{\"ts\":\"\",\"event\":\"rotate\",\"id\":\"");
            char id[PW_ULID_TEXT];
            pw_ulid_floor(start_ms + i * 1000, id);
            fprintf(file, "%s\",\"detail\":{\"from\":\"%s\"}}\n", id,
                    strrchr(files[i - 1], '/') + 1);
        }
        put_line(file, start_ms + i * 1000, true);
        assert_int_equal(fclose(file), 0);
    }
    for (int missing = 2; missing >= 0; missing--) { /* the second time names[1] is gone */
        struct pw_audit_told told;
        assert_int_equal(pw_audit_told_read(path, &told), PW_E_OK);
        assert_true(has(&told, start_ms + 2000));
        assert_int_equal(has(&told, start_ms + 1000), missing > 1);
        assert_int_equal(has(&told, start_ms), missing > 0);
        assert_false(has(&told, start_ms + 500));
        uint64_t oldest = start_ms + (missing == 2 ? 0 : missing == 1 ? 0 : 2000);
        assert_true(would_have(&told, oldest));
        assert_false(would_have(&told, oldest - 1)); /* there was a log before */
        pw_audit_told_free(&told);
        unlink(names[missing > 1]);
    }
}

/* What logrotate moves away; the new log is not there, is empty, or has a line. */
static void
a_log_that_somebody_else_moved_away_tells_its_last_half_minute(void **state)
{
    (void)state;
    char moved[64];
    snprintf(moved, sizeof moved, "%s.1", path);
    for (int is = 0; is < 3; is++) {
        FILE *old = fopen(moved, "w");
        assert_non_null(old);
        put_line(old, start_ms, true);
        put_line(old, start_ms + 5000, true);
        assert_int_equal(fclose(old), 0);
        unlink(path);
        FILE *new = is == 0 ? NULL : fopen(path, "w");
        if (is == 2) {
            put_line(new, start_ms + 10000, true);
        }
        assert_true(new == NULL || fclose(new) == 0);
        struct pw_audit_told told;
        assert_int_equal(pw_audit_told_read(path, &told), PW_E_OK);
        assert_true(has(&told, start_ms));
        assert_true(has(&told, start_ms + 5000));
        assert_int_equal(has(&told, start_ms + 10000), is == 2);
        assert_false(has(&told, start_ms + 20000));
        pw_audit_told_free(&told);
    }
    unlink(moved);
}

static void
a_line_that_was_cut_short_counts_as_none(void **state)
{
    (void)state;
    static const char *const ends[] = {"{\"ts\":\"\",\"id\":\"01ARYZ6S41ZZZZZ", "{\"ts\"",
                                       "x", "{\"ts\":\"\"}\n{\"id"};
    for (size_t i = 0; i < PW_COUNT(ends); i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        put_line(file, start_ms - HOUR_MS, true);
        put_line(file, start_ms, true);
        fputs(ends[i], file);
        assert_int_equal(fclose(file), 0);
        struct pw_audit_told told;
        assert_int_equal(pw_audit_told_read(path, &told), PW_E_OK);
        assert_true(has(&told, start_ms));
        assert_false(has(&told, start_ms + 1));
        assert_false(has(&told, start_ms - 1));
        assert_true(has(&told, start_ms - 2 * HOUR_MS)); /* too old to be looked for */
        pw_audit_told_free(&told);
    }
}

static void
a_log_without_a_line_tells_nothing(void **state)
{
    (void)state;
    static const char *const logs[] = {"", "x", "\n", "\n\n\n", "{\"id\":\"01ARYZ"};
    struct pw_audit_told told;
    for (size_t i = 0; i < PW_COUNT(logs); i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(logs[i], file);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(pw_audit_told_read(path, &told), PW_E_NO_INPUT);
        pw_audit_told_free(&told);
    }
    assert_int_equal(pw_audit_told_read("/nonexistent/log", &told), PW_E_NO_INPUT);
    pw_audit_told_free(&told);
    assert_int_equal(pw_audit_told_read("/tmp", &told), PW_E_NO_INPUT);
    pw_audit_told_free(&told);
}

static void
memory_that_runs_out_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    put_line(file, start_ms, true);
    put_release(file, start_ms + 1, 'a');
    assert_int_equal(fclose(file), 0);
    enum pw_err err = PW_E_NOMEM;
    for (size_t n = 1; err != PW_E_OK; n++) {
        assert_true(n < 10);
        struct pw_audit_told told;
        fail_alloc_at(n);
        err = pw_audit_told_read(path, &told);
        fail_alloc_at(0);
        assert_true(err == PW_E_OK || err == PW_E_NOMEM);
        pw_audit_told_free(&told);
    }
}

/* One letter a line: whose release it tells of; small: that it begins, large: its end. */
static const struct {
    const char *name;
    const char *lines;
    const char *begun;
} release_cases[] = {
    {"no release", "", ""},
    {"one that has ended", "aA", ""},
    {"one that has only begun", "a", "a"},
    {"another after it", "abB", "a"},
    {"begun once more", "aAa", "a"},
    {"ended twice", "aAaA", ""},
    {"an end alone", "A", ""},
    {"two, and one that has ended", "cbaB", "ac"},
};

static void
a_release_that_has_only_begun_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(release_cases); i++) {
        const char *lines = release_cases[i].lines;
        FILE *file = fopen(path, "w");
        struct pw_audit_told told;
        assert_non_null(file);
        put_line(file, start_ms, false);
        for (size_t k = 0; k < strlen(lines); k++) {
            put_release(file, start_ms + k + 1, lines[k]);
        }
        assert_int_equal(fclose(file), 0);
        assert_int_equal(pw_audit_told_read(path, &told), PW_E_OK);
        size_t count = strlen(release_cases[i].begun);
        bool right = told.begun.len == count * PW_ULID_TEXT;
        for (size_t k = 0; right && k < count; k++) {
            const uint8_t *entry = told.begun.bytes + k * PW_ULID_TEXT;
            right = entry[25] == release_cases[i].begun[k] - 'a' + 'A' && entry[26] == '\0';
        }
        if (!right) {
            fail_msg("%s", release_cases[i].name);
        }
        pw_audit_told_free(&told);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_the_first_line_of_all_every_line_would_be_there),
        cmocka_unit_test(a_clock_that_stepped_back_hides_nothing),
        cmocka_unit_test(what_the_last_half_minute_tells_is_found_over_many_chunks),
        cmocka_unit_test(what_the_old_files_of_a_rotation_tell_counts_too),
        cmocka_unit_test(a_log_that_somebody_else_moved_away_tells_its_last_half_minute),
        cmocka_unit_test(a_line_that_was_cut_short_counts_as_none),
        cmocka_unit_test(a_release_that_has_only_begun_is_found),
        cmocka_unit_test(a_log_without_a_line_tells_nothing),
        cmocka_unit_test(memory_that_runs_out_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
