/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys that take turns, and keys that are taken back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/base/clock.h"
#include "common/base/hex.h"
#include "common/sign/keyring_rotate.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/sign/folder.h"

static void
save_with(const char *name, uint8_t first, enum pw_key_status status)
{
    PW_CLEANUP(pw_key_free)
    struct pw_key *key = counting_key(PW_SUITE_BLAKE2B, name, first, "jobs*");
    pw_key_set_status(key, status);
    assert_int_equal(pw_key_save(key, folder, NULL), PW_E_OK);
}

static enum pw_key_status
status_of(const char *name)
{
    struct pw_why why = {0};
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(folder, &why);
    assert_string_equal(why.text, "");
    const struct pw_key *key = pw_keyring_find(ring, name);
    return key == NULL ? PW_KEY_STATUSES : pw_key_status(key);
}

struct rotate_case {
    const char *name;
    enum pw_key_status from; /* PW_KEY_STATUSES: no such key */
    enum pw_key_status to;
    const char *why; /* NULL: it works */
    enum pw_key_status from_after;
    enum pw_key_status to_after;
};

/* clang-format off */
static const struct rotate_case rotate_cases[] = {
    {"the next takes over", PW_KEY_ACTIVE, PW_KEY_VERIFY_ONLY, NULL, PW_KEY_VERIFY_ONLY, PW_KEY_ACTIVE},
    {"the next is made", PW_KEY_ACTIVE, PW_KEY_STATUSES, NULL, PW_KEY_VERIFY_ONLY, PW_KEY_ACTIVE},
    {"cut short between the two files", PW_KEY_ACTIVE, PW_KEY_ACTIVE, NULL, PW_KEY_VERIFY_ONLY, PW_KEY_ACTIVE},
    {"done before", PW_KEY_VERIFY_ONLY, PW_KEY_ACTIVE, NULL, PW_KEY_VERIFY_ONLY, PW_KEY_ACTIVE},
    {"after a revoked one", PW_KEY_REVOKED, PW_KEY_VERIFY_ONLY, NULL, PW_KEY_REVOKED, PW_KEY_ACTIVE},
    {"after a retired one", PW_KEY_RETIRED, PW_KEY_STATUSES, NULL, PW_KEY_RETIRED, PW_KEY_ACTIVE},
    {"to a retired one", PW_KEY_ACTIVE, PW_KEY_RETIRED, "cannot begin to sign: it is retired or revoked", PW_KEY_ACTIVE, PW_KEY_RETIRED},
    {"to a revoked one", PW_KEY_ACTIVE, PW_KEY_REVOKED, "cannot begin to sign: it is retired or revoked", PW_KEY_ACTIVE, PW_KEY_REVOKED},
    {"from nobody", PW_KEY_STATUSES, PW_KEY_VERIFY_ONLY, "no key \"old\" there", PW_KEY_STATUSES, PW_KEY_VERIFY_ONLY},
};
/* clang-format on */

static void
one_key_signs_after_a_turn_or_nothing_has_changed(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(rotate_cases); i++) {
        const struct rotate_case *c = &rotate_cases[i];
        struct pw_why why = {0};
        struct pw_rotation done;
        print_message("%s\n", c->name);
        if (c->from != PW_KEY_STATUSES) {
            save_with("old", 1, c->from);
        }
        if (c->to != PW_KEY_STATUSES) {
            save_with("new", 2, c->to);
        }
        enum pw_err err = pw_keyring_rotate(folder, "old", "new", &done, &why);
        assert_int_equal(err, c->why == NULL ? PW_E_OK : PW_E_CONFIG);
        assert_int_equal(status_of("old"), c->from_after);
        assert_int_equal(status_of("new"), c->to_after);
        if (c->why != NULL) {
            assert_non_null(strstr(why.text, c->why));
            assert_null(done.ring);
        } else {
            assert_int_equal(done.made, c->to == PW_KEY_STATUSES);
            assert_string_equal(pw_key_name(done.to), "new");
            assert_string_equal(pw_key_channel(done.to), "jobs*");
            assert_int_equal(pw_key_suite(done.to), PW_SUITE_BLAKE2B);
        }
        pw_keyring_free(&done.ring);
        unlink(in_folder("old.pwkey"));
        unlink(in_folder("new.pwkey"));
    }
}

static void
a_turn_finds_files_by_what_is_in_them(void **state)
{
    (void)state;
    struct pw_rotation done;
    save_with("old", 1, PW_KEY_ACTIVE);
    save_with("new", 2, PW_KEY_VERIFY_ONLY);
    assert_int_equal(rename(in_folder("old.pwkey"), in_folder("2026.pwkey")), 0);
    assert_int_equal(rename(in_folder("new.pwkey"), in_folder("2027.pwkey")), 0);
    assert_int_equal(pw_keyring_rotate(folder, "old", "new", &done, NULL), PW_E_OK);
    assert_string_equal(pw_key_file(done.to), "2027.pwkey");
    assert_int_equal(pw_key_status(done.from), PW_KEY_VERIFY_ONLY);
    pw_keyring_free(&done.ring);
    assert_int_not_equal(access(in_folder("old.pwkey"), F_OK), 0);

    struct pw_why why = {0};
    assert_int_equal(rename(in_folder("2026.pwkey"), in_folder("third.pwkey")), 0);
    assert_int_equal(pw_keyring_rotate(folder, "new", "third", &done, &why), PW_E_CREATE);
    assert_non_null(strstr(why.text, "third.pwkey: is there already"));
}

static void
a_key_out_of_its_time_does_not_begin(void **state)
{
    (void)state;
    static const struct {
        int64_t from_s;
        int64_t until_s;
        const char *why;
    } cases[] = {{100, 200, "its not_before is still to come"},
                 {-200, -100, "its not_after has passed"}};
    save_with("old", 1, PW_KEY_ACTIVE);
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        struct pw_why why = {0};
        struct pw_rotation done;
        int64_t now = (int64_t)(pw_clock_wall() / 1000000000);
        PW_CLEANUP(pw_key_free)
        struct pw_key *key = counting_key(PW_SUITE_BLAKE2B, "new", 2, "");
        struct pw_key_validity validity = {(uint64_t)(now + cases[i].from_s) * 1000000000,
                                           (uint64_t)(now + cases[i].until_s) * 1000000000};
        assert_int_equal(pw_key_set_validity(key, validity, NULL), PW_E_OK);
        assert_int_equal(pw_key_save(key, folder, NULL), PW_E_OK);
        assert_int_equal(pw_keyring_rotate(folder, "old", "new", &done, &why), PW_E_CONFIG);
        assert_non_null(strstr(why.text, cases[i].why));
        assert_int_equal(unlink(in_folder("new.pwkey")), 0);
    }
    assert_int_equal(status_of("old"), PW_KEY_ACTIVE);
}

static void
what_makes_no_trailer_takes_no_turn(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct pw_rotation done;
    save_with("old", 1, PW_KEY_ACTIVE);
    write_file("trt.hex",
               "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20");
    PW_CLEANUP(pw_key_free) struct pw_key *key = counting_key(PW_SUITE_ED25519, "p", 3, "");
    PW_CLEANUP(pw_key_free) struct pw_key *half = pw_key_public(key);
    assert_int_equal(pw_key_save(half, folder, NULL), PW_E_OK);
    static const char *const pairs[][2] = {
        {"trt", "old"}, {"old", "trt"}, {"p", "old"}, {"old", "p"}};
    for (size_t i = 0; i < PW_COUNT(pairs); i++) {
        assert_int_equal(pw_keyring_rotate(folder, pairs[i][0], pairs[i][1], &done, &why),
                         PW_E_CONFIG);
        assert_non_null(strstr(why.text, "makes no trailers"));
    }
    assert_int_equal(pw_keyring_rotate(folder, "old", "a/b", &done, &why), PW_E_CONFIG);
    assert_non_null(strstr(why.text, "a key's name is"));
    assert_int_equal(pw_keyring_rotate("/tmp/pw-no-such-folder", "old", "new", &done, &why),
                     PW_E_BUSY);
    assert_int_equal(status_of("old"), PW_KEY_ACTIVE);
}

static void
a_key_is_revoked_by_name_or_id(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct pw_revocation done;
    save_with("a", 1, PW_KEY_ACTIVE);
    save_with("b", 2, PW_KEY_VERIFY_ONLY);
    assert_int_equal(pw_keyring_revoke_in(folder, "a", &done, &why), PW_E_OK);
    assert_string_equal(done.name, "a");
    assert_int_equal(done.version, 1);
    assert_true(done.was_active);
    assert_string_equal(done.folder.text, "");
    assert_int_equal(status_of("a"), PW_KEY_REVOKED);
    assert_int_equal(status_of("b"), PW_KEY_VERIFY_ONLY);
    assert_int_equal(pw_keyring_revoke_in(folder, "a", &done, &why), PW_E_OK);
    assert_int_equal(done.version, 1); /* was there */
    assert_false(done.was_active);

    char digits[17];
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(folder, NULL);
    pw_hex_encode((struct pw_span){pw_key_id(pw_keyring_find(ring, "b")), 8}, digits);
    assert_int_equal(pw_keyring_revoke_in(folder, digits, &done, &why), PW_E_OK);
    assert_string_equal(done.name, "b");
    assert_false(done.was_active);
    assert_int_equal(status_of("b"), PW_KEY_REVOKED);
    assert_int_equal(pw_keyring_revoke_in(folder, "00112233445566ff", &done, &why),
                     PW_E_OK);
    assert_string_equal(done.name, "");
    assert_int_equal(done.version, 3);
    assert_int_equal(pw_keyring_revoke_in(folder, "c", &done, &why), PW_E_NO_INPUT);
    assert_non_null(strstr(why.text, "no key \"c\" there, and it is no key id"));
}

static void
an_id_is_revoked_in_a_broken_folder_too(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct pw_revocation done;
    save_with("a", 1, PW_KEY_ACTIVE);
    write_file("b.pwkey", "nonsense");
    assert_int_equal(pw_keyring_revoke_in(folder, "a", &done, &why), PW_E_CONFIG);
    assert_non_null(strstr(why.text, "b.pwkey:1: "));
    assert_non_null(strstr(why.text, "name the key by its 16 digits"));
    assert_int_equal(pw_keyring_revoke_in(folder, "00112233445566ff", &done, &why),
                     PW_E_OK);
    assert_int_equal(done.version, 1);
    assert_non_null(strstr(done.folder.text, "b.pwkey:1: "));
}

/* --- memory --- */

static bool complete;

/* With the n-th allocation failing. */
static void
turn(size_t n)
{
    struct pw_why why = {0};
    struct pw_rotation done;
    unlink(in_folder("old.pwkey"));
    unlink(in_folder("new.pwkey"));
    save_with("old", 1, PW_KEY_ACTIVE);
    fail_alloc_at(n);
    complete = pw_keyring_rotate(folder, "old", "new", &done, &why) == PW_E_OK;
    assert_int_equal(complete, why.text[0] == '\0');
    assert_int_equal(complete, done.ring != NULL);
    pw_keyring_free(&done.ring);
    assert_int_equal(complete, !fail_alloc_happened());
    fail_alloc_at(0);
    /* Whatever failed, somebody signs; and the same command again completes it. */
    assert_true(status_of("old") == PW_KEY_ACTIVE || status_of("new") == PW_KEY_ACTIVE);
}

static void
take_back(void *arg)
{
    (void)arg;
    struct pw_why why = {0};
    struct pw_revocation done;
    unlink(in_folder("revoked"));
    complete = pw_keyring_revoke_in(folder, "old", &done, &why) == PW_E_OK;
    assert_int_equal(complete, why.text[0] == '\0');
}

static void
a_turn_without_memory_leaves_a_key_that_signs(void **state)
{
    (void)state;
    size_t n = 0;
    do {
        turn(++n);
    } while (!complete);
    assert_true(n > 10);
    assert_int_equal(status_of("old"), PW_KEY_VERIFY_ONLY);
    assert_int_equal(status_of("new"), PW_KEY_ACTIVE);
}

static void
a_key_is_taken_back_or_the_caller_is_told(void **state)
{
    (void)state;
    save_with("old", 1, PW_KEY_ACTIVE);
    size_t n = 1;
    while (fail_alloc_round(n, take_back, NULL)) {
        assert_false(complete);
        n++;
    }
    assert_true(complete);
    assert_int_equal(status_of("old"), PW_KEY_REVOKED);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
        FOLDER_TEST(one_key_signs_after_a_turn_or_nothing_has_changed),
        FOLDER_TEST(a_turn_finds_files_by_what_is_in_them),
        FOLDER_TEST(a_key_out_of_its_time_does_not_begin),
        FOLDER_TEST(what_makes_no_trailer_takes_no_turn),
        FOLDER_TEST(a_key_is_revoked_by_name_or_id),
        FOLDER_TEST(an_id_is_revoked_in_a_broken_folder_too),
        FOLDER_TEST(a_turn_without_memory_leaves_a_key_that_signs),
        FOLDER_TEST(a_key_is_taken_back_or_the_caller_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
