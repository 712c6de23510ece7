/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries on their way out of the quarantine.
 */
#include "common/quarantine/release.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/quarantine/folder.h"

static struct pw_store *
open_store(void)
{
    struct pw_why why = {0};
    struct pw_store *store = pw_store_open(root, &why);
    if (store == NULL) {
        fail_msg("%s", why.text);
    }
    return store;
}

static void
put(struct pw_store *store, struct pw_stored *out)
{
    struct pw_why why = {0};
    struct pw_span frame = BYTES("N.");
    struct pw_put message = {
        .frames = &frame, .count = 1, .chan = "jobs", .meta = BYTES("\"chan\":\"jobs\"")};
    assert_int_equal(pw_store_put(store, &message, out, &why), PW_E_OK);
}

static enum pw_err
move(struct pw_store *store, const char *entry, enum pw_store_state from,
     enum pw_store_state to)
{
    struct pw_why why = {0};
    enum pw_err err = pw_store_move(store, entry, from, to, &why);
    assert_int_equal(err == PW_E_OK, why.text[0] == '\0');
    return err;
}

/* Where it is, as another start would find it. */
static enum pw_store_state
state_of(struct pw_store *store, const char *entry)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = 4096};
    struct pw_found found;
    struct pw_why why = {0};
    assert_int_equal(pw_store_find(store, entry, &found, &json, &why), PW_E_OK);
    return found.state;
}

static bool
has_object(struct pw_store *store, const char *object)
{
    PW_CLEANUP(pw_held_free) struct pw_held held = {0};
    struct pw_why why = {0};
    return pw_store_read(store, object, &held, &why) == PW_E_OK;
}

static void
an_entry_is_in_one_state_at_a_time(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_stored stored;
    put(store, &stored);
    const char *entry = stored.entry;
    assert_int_equal(move(store, entry, PW_STORE_RELEASING, PW_STORE_HELD), PW_E_NO_INPUT);
    assert_int_equal(move(store, entry, PW_STORE_HELD, PW_STORE_RELEASING), PW_E_OK);
    assert_int_equal(move(store, entry, PW_STORE_HELD, PW_STORE_RELEASING), PW_E_NO_INPUT);
    assert_int_equal(state_of(store, entry), PW_STORE_RELEASING);
    assert_int_equal(move(store, entry, PW_STORE_RELEASING, PW_STORE_HELD), PW_E_OK);
    assert_int_equal(move(store, entry, PW_STORE_HELD, PW_STORE_RELEASING), PW_E_OK);
    pw_store_free(&store);
    store = open_store();
    assert_int_equal(state_of(store, entry), PW_STORE_RELEASING);
    assert_true(has_object(store, stored.object)); /* in doubt: it may be needed again */
    assert_int_equal(move(store, entry, PW_STORE_RELEASING, PW_STORE_RELEASED), PW_E_OK);
    assert_int_equal(state_of(store, entry), PW_STORE_RELEASED);
    struct pw_store_usage usage = pw_store_usage(store);
    assert_int_equal(usage.entries[PW_STORE_RELEASED], 1);
    assert_int_equal(usage.entries[PW_STORE_HELD] + usage.entries[PW_STORE_RELEASING], 0);
    pw_store_free(&store);
}

static void
an_object_stays_while_another_entry_needs_it(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_stored first, second;
    put(store, &first);
    put(store, &second);
    assert_string_equal(first.object, second.object);
    assert_int_equal(move(store, first.entry, PW_STORE_HELD, PW_STORE_RELEASING), PW_E_OK);
    assert_int_equal(move(store, first.entry, PW_STORE_RELEASING, PW_STORE_RELEASED),
                     PW_E_OK);
    assert_true(has_object(store, second.object));
    assert_int_equal(move(store, second.entry, PW_STORE_HELD, PW_STORE_RELEASING), PW_E_OK);
    assert_int_equal(move(store, second.entry, PW_STORE_RELEASING, PW_STORE_RELEASED),
                     PW_E_OK);
    assert_false(has_object(store, second.object));
    pw_store_free(&store);
}

/* How many calls of fsync fail from now on. */
static unsigned refusals;

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int
__wrap_fsync(int fd)
{
    if (refusals > 0) {
        refusals--;
        errno = EIO;
        return -1;
    }
    return __real_fsync(fd);
}

static const struct {
    const char *name;
    unsigned refusals;
    enum pw_err result;
} refused_syncs[] = {
    {"none", 0, PW_E_OK},
    {"one, which may be about something before", 1, PW_E_OK},
    {"both tries", 2, PW_E_IO},
    {"all that follow, too", 100, PW_E_IO},
};

static void
an_entry_that_has_moved_is_accounted_for_whatever_the_disk_promises(void **state)
{
    for (size_t i = 0; i < PW_COUNT(refused_syncs); i++) {
        const char *name = refused_syncs[i].name;
        struct pw_store *store = open_store();
        struct pw_stored stored;
        put(store, &stored);
        check_case(name,
                   move(store, stored.entry, PW_STORE_HELD, PW_STORE_RELEASING) == PW_E_OK);
        refusals = refused_syncs[i].refusals;
        check_case(name, move(store, stored.entry, PW_STORE_RELEASING, PW_STORE_RELEASED) ==
                             refused_syncs[i].result);
        refusals = 0;
        check_case(name, state_of(store, stored.entry) == PW_STORE_RELEASED);
        /* An entry that may come back finds its object. */
        check_case(name, has_object(store, stored.object) ==
                             (refused_syncs[i].result != PW_E_OK));
        struct pw_store_usage usage = pw_store_usage(store);
        check_case(name, usage.bytes == 0 && usage.entries[PW_STORE_RELEASING] == 0);
        check_case(name, usage.entries[PW_STORE_RELEASED] == 1);
        pw_store_free(&store);
        (void)remove_store(state);
    }
}

static void
a_folder_that_is_gone_is_said_and_nothing_moves(void **state)
{
    (void)state;
    char path[128];
    struct pw_store *store = open_store();
    struct pw_stored stored;
    struct pw_why why = {0};
    put(store, &stored);
    snprintf(path, sizeof path, "%s/releasing", root);
    assert_int_equal(rmdir(path), 0);
    enum pw_err err =
        pw_store_move(store, stored.entry, PW_STORE_HELD, PW_STORE_RELEASING, &why);
    assert_int_not_equal(err, PW_E_OK);
    assert_int_equal(state_of(store, stored.entry), PW_STORE_HELD);
    pw_store_free(&store);
}

static void
move_with_a_failure(void *arg)
{
    struct pw_why why = {0};
    struct pw_store *store = pw_store_open(root, &why);
    const char *entry = arg;
    if (store == NULL) {
        return;
    }
    if (pw_store_move(store, entry, PW_STORE_HELD, PW_STORE_RELEASING, &why) == PW_E_OK) {
        (void)!pw_store_move(store, entry, PW_STORE_RELEASING, PW_STORE_HELD, &why);
    }
    pw_store_free(&store);
}

static void
without_memory_it_is_in_one_state_all_the_same(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_stored stored;
    put(store, &stored);
    pw_store_free(&store);
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        failed = fail_alloc_round(n, move_with_a_failure, stored.entry);
        store = open_store();
        enum pw_store_state now = state_of(store, stored.entry);
        if (now == PW_STORE_RELEASING) { /* it failed on the way back */
            assert_true(failed);
            assert_int_equal(move(store, stored.entry, now, PW_STORE_HELD), PW_E_OK);
        }
        struct pw_store_usage usage = pw_store_usage(store);
        assert_int_equal(usage.entries[PW_STORE_HELD], 1);
        assert_int_equal(usage.entries[PW_STORE_RELEASING], 0);
        pw_store_free(&store);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, remove_store)
    const struct CMUnitTest tests[] = {
        TEST(an_entry_is_in_one_state_at_a_time),
        TEST(an_object_stays_while_another_entry_needs_it),
        TEST(an_entry_that_has_moved_is_accounted_for_whatever_the_disk_promises),
        TEST(a_folder_that_is_gone_is_said_and_nothing_moves),
        TEST(without_memory_it_is_in_one_state_all_the_same),
    };
#undef TEST
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
