/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a folder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/sign/keys.h"

static char folder[64];

static int
make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/pw-ring-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_one(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static int
remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
save(enum pw_suite suite, const char *name, uint8_t first)
{
    PW_CLEANUP(pw_key_free) struct pw_key *key = counting_key(suite, name, first, "");
    assert_int_equal(pw_key_save(key, folder, NULL), PW_E_OK);
}

/* Give the file of one key another name. */
static void
move(const char *from, const char *to)
{
    char old_path[128], new_path[128];
    snprintf(old_path, sizeof old_path, "%s/%s", folder, from);
    snprintf(new_path, sizeof new_path, "%s/%s", folder, to);
    assert_int_equal(rename(old_path, new_path), 0);
}

static void
refused(const char *dir, const char *words)
{
    struct pw_why why = {0};
    assert_null(pw_keyring_load(dir, &why));
    if (strstr(why.text, words) == NULL) {
        fail_msg("said: %s", why.text);
    }
}

static void
keys_stand_in_byte_order_of_file_name(void **state)
{
    (void)state;
    static const char *const names[] = {"B", "a", "a-1",
                                        "b"}; /* a-1.pwkey, a.pwkey: '-' < '.' */
    static const char *const order[] = {"B", "a-1", "a", "b"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        save(PW_SUITE_BLAKE2B, names[PW_COUNT(names) - 1 - i], (uint8_t)(i + 1));
    }
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(folder, NULL);
    assert_non_null(ring);
    assert_int_equal(pw_keyring_count(ring), PW_COUNT(order));
    for (size_t i = 0; i < PW_COUNT(order); i++) {
        const struct pw_key *key = pw_keyring_at(ring, i);
        assert_string_equal(pw_key_name(key), order[i]);
        assert_ptr_equal(pw_keyring_find(ring, order[i]), key);
        assert_ptr_equal(pw_keyring_find_id(ring, pw_key_id(key)), key);
    }
    static const uint8_t nobody[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    assert_null(pw_keyring_at(ring, 4));
    assert_null(pw_keyring_find(ring, "c"));
    assert_null(pw_keyring_find_id(ring, nobody));
}

static void
other_files_are_left_alone(void **state)
{
    (void)state;
    save(PW_SUITE_BLAKE2B, "a", 1);
    save(PW_SUITE_BLAKE2B, "b", 2);
    save(PW_SUITE_BLAKE2B, "c", 3);
    move("b.pwkey", "b.pwkey.old");
    move("c.pwkey", ".#c.pwkey");
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(folder, NULL);
    assert_int_equal(pw_keyring_count(ring), 1);
}

static void
an_empty_folder_is_an_empty_ring(void **state)
{
    (void)state;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(folder, NULL);
    assert_non_null(ring);
    assert_int_equal(pw_keyring_count(ring), 0);
    refused("/tmp/pw-no-such-folder", "/tmp/pw-no-such-folder: No such file");
}

static void
a_name_stands_for_one_key(void **state)
{
    (void)state;
    save(PW_SUITE_BLAKE2B, "a", 1);
    move("a.pwkey", "z.pwkey");
    save(PW_SUITE_BLAKE2B, "a", 2);
    refused(folder, "z.pwkey: another file of ");
}

static void
a_key_has_one_name(void **state)
{
    (void)state;
    save(PW_SUITE_BLAKE2B, "a", 1);
    save(PW_SUITE_BLAKE2B, "b", 1);
    refused(folder, "b.pwkey: another file of ");
}

static void
one_bad_file_refuses_the_folder(void **state)
{
    (void)state;
    char path[128];
    save(PW_SUITE_BLAKE2B, "a", 1);
    save(PW_SUITE_BLAKE2B, "b", 2);
    snprintf(path, sizeof path, "%s/b.pwkey", folder);
    assert_int_equal(chmod(path, 0644), 0);
    refused(folder, "b.pwkey: others may read it (mode 0644); run chmod 600 ");
    assert_int_equal(truncate(path, 0), 0);
    refused(folder, "b.pwkey:1: the file ends without");
}

static void
the_ring_takes_a_key_or_leaves_it(void **state)
{
    (void)state;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    struct pw_key *key = counting_key(PW_SUITE_BLAKE2B, "a", 1, "");
    assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    assert_null(key);
    key = counting_key(PW_SUITE_BLAKE2B, "a", 2, "");
    assert_int_equal(pw_keyring_add(ring, &key), PW_E_CONFIG);
    assert_non_null(key);
    pw_key_free(&key);
    for (uint8_t i = 2; i < 40; i++) {
        char name[8];
        snprintf(name, sizeof name, "k%u", i);
        key = counting_key(PW_SUITE_ED25519, name, i, "");
        assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    }
    assert_int_equal(pw_keyring_count(ring), 39);
    struct pw_keyring *none = NULL;
    pw_keyring_free(&none);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
        RING_TEST(keys_stand_in_byte_order_of_file_name),
        RING_TEST(other_files_are_left_alone),
        RING_TEST(an_empty_folder_is_an_empty_ring),
        RING_TEST(a_name_stands_for_one_key),
        RING_TEST(a_key_has_one_name),
        RING_TEST(one_bad_file_refuses_the_folder),
        cmocka_unit_test(the_ring_takes_a_key_or_leaves_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
