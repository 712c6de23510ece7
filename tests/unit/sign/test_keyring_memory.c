/* SPDX-License-Identifier: Apache-2.0
 *
 * A key folder when memory runs out: nothing leaks, nothing is half done, the caller is
 * told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/sign/sign.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/sign/folder.h"

static bool complete; /* the last round got to its end */

static void
load_all(void *state)
{
    (void)state;
    struct pw_why why = {0};
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(folder, &why);
    complete =
        ring != NULL && pw_keyring_count(ring) == 2 && pw_keyring_list_version(ring) == 3;
    assert_int_equal(complete, why.text[0] == '\0');
}

static void
change_all(void *state)
{
    (void)state;
    struct pw_why why = {0};
    uint64_t version = 0;
    const uint8_t id[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    write_file("revoked", "version: 3\n");
    complete = pw_revoked_add(folder, id, "x", &version, &why) == PW_E_OK && version == 4;
    assert_int_equal(complete, why.text[0] == '\0');
    write_file("revoked", "version: 3\n");
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_load(in_folder("a.pwkey"), &why);
    if (key != NULL) {
        complete = pw_key_replace(key, in_folder("a.pwkey"), &why) == PW_E_OK && complete;
    }
    complete = complete && key != NULL;
    assert_int_equal(complete, why.text[0] == '\0');
}

/* Out of memory, a folder may look changed or not; it must do so without harm. */
static void
look_at_all(void *state)
{
    (void)state;
    struct pw_keyring_look look = {0};
    complete = pw_keyring_changed(folder, &look) && !fail_alloc_happened();
}

static void
every_allocation_may_fail(void (*run)(void *state))
{
    size_t n = 1;
    while (fail_alloc_round(n, run, NULL)) {
        assert_false(complete);
        n++;
    }
    assert_true(complete);
    assert_true(n > 2);
}

static int
fill_folder(void **state)
{
    if (make_folder(state) != 0) {
        return -1;
    }
    save_key(PW_SUITE_ED25519, "a", 1);
    write_file("b.hex", "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20");
    write_file("revoked", "version: 3\n5b2e11c09d7a4f10\n");
    return 0;
}

static void
a_folder_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    every_allocation_may_fail(load_all);
}

static void
a_folder_is_changed_or_left_as_it_was(void **state)
{
    (void)state;
    every_allocation_may_fail(change_all);
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(folder, NULL);
    assert_int_equal(pw_keyring_count(ring), 2);
}

static void
a_folder_is_looked_at_without_harm(void **state)
{
    (void)state;
    every_allocation_may_fail(look_at_all);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_folder_is_read_whole_or_not_at_all, fill_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_folder_is_changed_or_left_as_it_was, fill_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_folder_is_looked_at_without_harm, fill_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
