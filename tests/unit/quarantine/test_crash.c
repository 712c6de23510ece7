/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer dies, or is refused, at each of its system calls in turn. What it had said is
 * stored must be there, whole, in one state; and nothing else is handed out.
 *
 *     CRASH_STEP=3   every third call; 1 for all of them
 */
#include "common/quarantine/check.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/quarantine/inside.h"
#include "common/quarantine/release.h"
#include "common/quarantine/seal.h"
#include "tests/unit/quarantine/folder.h"

enum { DIED = 9, MOST_CALLS = 400 };

/* What happens at call number `at`. */
enum fate { DIE_BEFORE, DIE_AFTER, REFUSED };

static enum fate fate;
static long calls;
static long at; /* 0: nothing happens */

/* ---- system calls, as the linker's --wrap leads them here ---- */

/* Whether the call is to be made. */
static bool
begin_call(void)
{
    if (at == 0 || ++calls != at) {
        return true;
    }
    if (fate == DIE_BEFORE) {
        _exit(DIED);
    }
    if (fate == REFUSED) {
        errno = ENOSPC;
        return false;
    }
    return true;
}

static void
end_call(void)
{
    if (at != 0 && calls == at && fate == DIE_AFTER) {
        _exit(DIED);
    }
}

#define WRAPPED(type, name, parameters, arguments)                                         \
    type __real_##name parameters;                                                         \
    type __wrap_##name parameters;                                                         \
    type __wrap_##name parameters                                                          \
    {                                                                                      \
        if (!begin_call()) {                                                               \
            return -1;                                                                     \
        }                                                                                  \
        type result = __real_##name arguments;                                             \
        end_call();                                                                        \
        return result;                                                                     \
    }

WRAPPED(ssize_t, write, (int fd, const void *bytes, size_t len), (fd, bytes, len))
WRAPPED(int, fsync, (int fd), (fd))
WRAPPED(int, syncfs, (int fd), (fd))
WRAPPED(int, renameat, (int from, const char *old, int to, const char *name),
        (from, old, to, name))
WRAPPED(int, unlinkat, (int dir, const char *name, int flags), (dir, name, flags))
WRAPPED(int, mkdirat, (int dir, const char *name, mode_t mode), (dir, name, mode))

/* ---- the writer ---- */

static int said; /* pipe: what the writer has been told is stored */

static void
put(struct pw_store *store, const char *text, bool later, struct pw_stored *stored)
{
    struct pw_span frames[] = {pw_span_str("topic"), pw_span_str(text)};
    const struct pw_put what = {.frames = frames,
                                .count = 2,
                                .chan = "jobs",
                                .meta = pw_span_str("\"chan\":\"jobs\""),
                                .later = later};
    struct pw_why why;
    enum pw_err err = pw_store_put(store, &what, stored, &why);
    if (err == PW_E_OK && later) {
        err = pw_store_sync(store, &why);
    }
    if (err != PW_E_OK) {
        stored->entry[0] = '\0';
        return;
    }
    (void)!__real_write(said, stored->entry, PW_STORE_ULID);
}

/* Everything that a store does, over and over the same messages. */
static void
live(bool sealed)
{
    static const uint8_t public[PW_SEAL_KEY] = {9}; /* the base point: as good as any */
    struct pw_why why;
    struct pw_stored one, again, two, three;
    struct pw_gone gone = {0};
    char note[PW_STORE_ULID] = "";
    struct pw_store *store = pw_store_open(root, &why);
    if (store == NULL || (sealed && pw_store_seal(store, public, &why) != PW_E_OK)) {
        pw_store_free(&store);
        return;
    }
    put(store, "one", false, &one);
    put(store, "one", false, &again);
    put(store, "two", false, &two);
    put(store, "three", true, &three);
    (void)!pw_store_note(store, pw_span_str("\"what\":\"purge\""), note, &why);
    (void)!pw_store_purge(store, one.entry, &gone, &why);
    if (pw_store_move(store, two.entry, PW_STORE_HELD, PW_STORE_RELEASING, &why) ==
        PW_E_OK) {
        (void)!pw_store_move(store, two.entry, PW_STORE_RELEASING, PW_STORE_RELEASED, &why);
    }
    (void)!pw_store_purge(store, again.entry, &gone, &why);
    pw_store_note_told(store, note);
    pw_store_free(&store);
}

/* ---- what is left of it ---- */

struct survey {
    struct pw_store *store;
    enum pw_store_state state;
    bool sealed;
};

static bool
is_whole(void *arg, const char *entry, struct pw_span json)
{
    struct survey *survey = arg;
    struct pw_entry what;
    struct pw_why why = {{0}};
    PW_CLEANUP(pw_buf_free) struct pw_buf bytes = {.limit = 1 << 20};
    assert_true(pw_entry_parse(json, &what));
    enum pw_err err = pw_store_read_file(survey->store, what.object, &bytes, &why);
    bool needed = survey->state == PW_STORE_HELD || survey->state == PW_STORE_RELEASING;
    if (err != PW_E_OK && (needed || err != PW_E_NO_INPUT)) {
        fail_msg("%s %s: %s", pw_store_state_text(survey->state), entry, why.text);
    }
    return true;
}

/* Before any writer has put anything in order. */
static void
read_all(void)
{
    struct survey survey = {.store = pw_store_open_readonly(root, NULL)};
    if (survey.store == NULL) {
        return; /* it died before there was anything */
    }
    for (size_t i = 0; i < PW_STORE_STATES; i++) {
        survey.state = (enum pw_store_state)i;
        assert_int_equal(pw_store_list(survey.store, survey.state, is_whole, &survey, NULL),
                         PW_E_OK);
    }
    pw_store_free(&survey.store);
}

static void
no_fault(void *arg, enum pw_fault fault, const char *path)
{
    (void)arg;
    fail_msg("%s: %s", pw_fault_text(fault), path);
}

static uint64_t
orphans_after_start(void)
{
    struct pw_why why = {{0}};
    struct pw_store_check check;
    struct pw_store *store = pw_store_open(root, &why);
    if (store == NULL) {
        fail_msg("%s", why.text);
    }
    struct pw_store_usage usage = pw_store_usage(store);
    assert_int_equal(usage.torn, 0);
    assert_int_equal(usage.missing, 0);
    assert_int_equal(pw_store_check(store, no_fault, NULL, &check, &why), PW_E_OK);
    assert_int_equal(check.bytes, usage.bytes);
    assert_memory_equal(check.entries, usage.entries, sizeof check.entries);
    pw_store_free(&store);
    return usage.orphans;
}

static void
find_all_said(int fd)
{
    char entry[PW_STORE_ULID];
    struct pw_store *store = pw_store_open_readonly(root, NULL);
    while (read(fd, entry, sizeof entry) == (ssize_t)sizeof entry) {
        struct pw_found found;
        struct pw_why why = {{0}};
        PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = 1 << 20};
        if (pw_store_find(store, entry, &found, &json, &why) != PW_E_OK) {
            fail_msg("%s was said to be stored: %s", entry, why.text);
        }
    }
    pw_store_free(&store);
}

/* One life up to its end at call `n`; false when there was no such call any more. */
static bool
end_at(enum fate how, long n, bool sealed, uint64_t *orphans)
{
    int ends[2];
    int status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        fate = how;
        at = n;
        said = ends[1];
        live(sealed);
        _exit(calls < n ? 0 : DIED);
    }
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == DIED);
    read_all();
    *orphans += orphans_after_start();
    find_all_said(ends[0]);
    close(ends[0]);
    return WEXITSTATUS(status) == DIED;
}

static void
at_each_call(enum fate how, bool sealed, uint64_t *orphans)
{
    const char *given = getenv("CRASH_STEP");
    long step = given == NULL ? 3 : strtol(given, NULL, 10);
    long n = 1;
    assert_in_range(step, 1, 10);
    while (end_at(how, n, sealed, orphans)) {
        n += step;
    }
    assert_in_range(n, 30, MOST_CALLS);
}

static void
a_writer_that_dies_before_any_call_leaves_all_in_order(void **state)
{
    (void)state;
    uint64_t orphans = 0;
    at_each_call(DIE_BEFORE, false, &orphans);
    assert_true(orphans > 0); /* the test gets between object and entry */
}

static void
a_writer_that_dies_behind_any_call_leaves_all_in_order(void **state)
{
    (void)state;
    uint64_t orphans = 0;
    at_each_call(DIE_AFTER, false, &orphans);
    assert_true(orphans > 0);
}

static void
so_does_one_that_seals(void **state)
{
    (void)state;
    uint64_t orphans = 0;
    at_each_call(DIE_BEFORE, true, &orphans);
    at_each_call(DIE_AFTER, true, &orphans);
}

static void
a_call_that_is_refused_leaves_nothing_half_there(void **state)
{
    (void)state;
    uint64_t orphans = 0;
    at_each_call(REFUSED, false, &orphans);
    at_each_call(REFUSED, true, &orphans);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, remove_store)
    const struct CMUnitTest tests[] = {
        TEST(a_writer_that_dies_before_any_call_leaves_all_in_order),
        TEST(a_writer_that_dies_behind_any_call_leaves_all_in_order),
        TEST(so_does_one_that_seals),
        TEST(a_call_that_is_refused_leaves_nothing_half_there),
    };
#undef TEST
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
