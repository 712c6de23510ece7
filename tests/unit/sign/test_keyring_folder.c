/* SPDX-License-Identifier: Apache-2.0
 *
 * A key folder as a whole: its list of revoked keys, files that are replaced, changes that
 * are noticed, commands that keep out of each other's way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/hex.h"
#include "tests/unit/sign/folder.h"

#define ID_A "5b2e11c09d7a4f10"
#define ID_B "ffffffffffffffff"
#define HEX "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"

struct list_case {
    const char *name;
    const char *text;
    uint64_t version; /* 0: refused */
    size_t count;
    const char *why;
};

/* clang-format off */
static const struct list_case list_cases[] = {
    {"no key", "version: 1\n", 1, 0, ""},
    {"two keys", "version: 7\n" ID_A "\n" ID_B "\n", 7, 2, ""},
    {"no line end", "version: 7\n" ID_A, 7, 1, ""},
    {"comments and blank lines", "# lost\n\nversion: 2 # second\n  " ID_A "  # laptop\n#" ID_B "\n  \n", 2, 1, ""},
    {"capitals", "version: 7\n5B2E11C09D7A4F10\n", 7, 1, ""},
    {"a key twice", "version: 7\n" ID_A "\n" ID_A "\n", 7, 2, ""},
    {"no space behind the colon", "version:7\n", 7, 0, ""},
    {"the greatest version", "version: 9007199254740991\n", 9007199254740991, 0, ""},
    {"empty", "", 0, 0, "1: the file ends without a line \"version: N\""},
    {"only comments", "# a\n# b\n", 0, 0, "2: the file ends without"},
    {"no version", ID_A "\n", 0, 0, "1: a list of revoked keys begins with \"version: N\""},
    {"version 0", "version: 0\n", 0, 0, "1: a list of revoked keys begins"},
    {"a version below 0", "version: -1\n", 0, 0, "1: a list of revoked keys begins"},
    {"a version with a zero in front", "version: 07\n", 0, 0, "1: a list of revoked keys begins"},
    {"no number", "version:\n", 0, 0, "1: a list of revoked keys begins"},
    {"two numbers", "version: 1 2\n", 0, 0, "1: a list of revoked keys begins"},
    {"a version too great", "version: 9007199254740992\n", 0, 0, "1: a list of revoked keys begins"},
    {"a version of 30 digits", "version: 100000000000000000000000000000\n", 0, 0, "1: a list of"},
    {"version twice", "version: 1\nversion: 2\n", 0, 0, "2: not a key id"},
    {"a digit less", "version: 1\n" ID_A "\n5b2e11c09d7a4f1\n", 0, 0, "3: not a key id"},
    {"a digit more", "version: 1\n" ID_A "0\n", 0, 0, "2: not a key id"},
    {"a letter", "version: 1\n5b2e11c09d7a4f1g\n", 0, 0, "2: not a key id"},
    {"a name", "version: 1\n# x\nalpha\n", 0, 0, "3: not a key id"},
    {"two on a line", "version: 1\n" ID_A " " ID_B "\n", 0, 0, "2: not a key id"},
    {"binary", "\x80\x04\x95", 0, 0, "1: a list of revoked keys begins"},
};
/* clang-format on */

static void
a_list_is_a_version_and_key_ids(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(list_cases); i++) {
        const struct list_case *c = &list_cases[i];
        PW_CLEANUP(pw_revoked_free) struct pw_revoked list = {.version = 99};
        struct pw_why why = {0};
        print_message("%s\n", c->name);
        enum pw_err err = pw_revoked_parse(pw_span_str(c->text), &list, &why);
        assert_int_equal(err, c->version != 0 ? PW_E_OK : PW_E_FORMAT);
        assert_int_equal(list.version, c->version);
        assert_int_equal(list.count, c->count);
        if (strncmp(why.text, c->why, strlen(c->why)) != 0) {
            fail_msg("said: %s", why.text);
        }
    }
    static char large[PW_REVOKED_FILE_MAX + 1];
    memset(large, '#', sizeof large);
    struct pw_revoked list;
    struct pw_span text = {(const uint8_t *)large, sizeof large};
    assert_int_equal(pw_revoked_parse(text, &list, NULL), PW_E_LIMIT);
}

static void
a_list_has_what_is_in_it(void **state)
{
    (void)state;
    uint8_t a[8], b[8];
    PW_CLEANUP(pw_revoked_free) struct pw_revoked list = {0};
    assert_true(pw_hex_decode(pw_span_str(ID_A), a, 8));
    assert_true(pw_hex_decode(pw_span_str(ID_B), b, 8));
    assert_false(pw_revoked_has(&list, a));
    assert_int_equal(pw_revoked_parse(pw_span_str("version: 1\n" ID_A), &list, NULL),
                     PW_E_OK);
    assert_true(pw_revoked_has(&list, a));
    assert_false(pw_revoked_has(&list, b));
}

static void
a_listed_key_is_revoked_whatever_its_file_says(void **state)
{
    (void)state;
    save_key(PW_SUITE_BLAKE2B, "a", 1);
    save_key(PW_SUITE_BLAKE2B, "b", 2);
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *before = pw_keyring_load(folder, NULL);
    assert_int_equal(pw_keyring_list_version(before), 0);
    const struct pw_key *key = pw_keyring_find(before, "a");
    assert_int_equal(pw_key_status(key), PW_KEY_ACTIVE);

    uint64_t version = 0;
    assert_int_equal(pw_revoked_add(folder, pw_key_id(key), "a", &version, NULL), PW_E_OK);
    assert_int_equal(version, 1);
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *after = pw_keyring_load(folder, NULL);
    assert_int_equal(pw_keyring_list_version(after), 1);
    assert_int_equal(pw_key_status(pw_keyring_find(after, "a")), PW_KEY_REVOKED);
    assert_int_equal(pw_key_status(pw_keyring_find(after, "b")), PW_KEY_ACTIVE);
}

static void
holds_text(const char *name, const char *wanted)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_REVOKED_FILE_MAX};
    assert_int_equal(pw_file_read(in_folder(name), &text), PW_E_OK);
    assert_int_equal(text.len, strlen(wanted));
    assert_memory_equal(text.bytes, wanted, text.len);
}

static void
a_list_grows_and_keeps_its_comments(void **state)
{
    (void)state;
    uint8_t a[8], b[8];
    uint64_t version;
    assert_true(pw_hex_decode(pw_span_str(ID_A), a, 8));
    assert_true(pw_hex_decode(pw_span_str(ID_B), b, 8));
    write_file("revoked", "# ours\nversion: 41 # so many\n" ID_A "  # laptop");
    assert_int_equal(pw_revoked_add(folder, a, "again", &version, NULL), PW_E_OK);
    assert_int_equal(version, 41); /* nothing to do */
    assert_int_equal(pw_revoked_add(folder, b, "phone", &version, NULL), PW_E_OK);
    assert_int_equal(version, 42);
    holds_text("revoked", "# ours\nversion: 42\n" ID_A "  # laptop\n" ID_B "  # phone\n");
    struct stat info;
    assert_int_equal(stat(in_folder("revoked"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600); /* as it was */
}

static void
a_broken_list_refuses_the_folder_and_is_left_alone(void **state)
{
    (void)state;
    struct pw_why why = {0};
    uint8_t id[8] = {1};
    uint64_t version = 0;
    save_key(PW_SUITE_BLAKE2B, "a", 1);
    write_file("revoked", "version: 1\nnonsense\n");
    assert_null(pw_keyring_load(folder, &why));
    assert_non_null(strstr(why.text, "/revoked:2: not a key id"));
    assert_int_equal(pw_revoked_add(folder, id, "x", &version, &why), PW_E_FORMAT);
    holds_text("revoked", "version: 1\nnonsense\n");
    write_file("revoked", "");
    assert_null(pw_keyring_load(folder, &why));
    assert_non_null(strstr(why.text, "/revoked:1: the file ends without"));
    write_file("revoked", "version: 1\n");
    assert_int_equal(chmod(in_folder("revoked"), 0666), 0);
    assert_null(pw_keyring_load(folder, &why));
    assert_non_null(strstr(why.text, "/revoked: others may write it"));
    assert_int_equal(chmod(in_folder("revoked"), 0644), 0);
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(folder, &why);
    assert_non_null(ring);
}

static void
a_list_at_its_last_version_or_size_takes_no_more(void **state)
{
    (void)state;
    struct pw_why why = {0};
    uint8_t id[8] = {1};
    uint64_t version = 0;
    write_file("revoked", "version: 9007199254740991\n");
    assert_int_equal(pw_revoked_add(folder, id, "x", &version, &why), PW_E_LIMIT);
    assert_non_null(strstr(why.text, "cannot grow any more"));
    static char large[PW_REVOKED_FILE_MAX];
    memset(large, '#', sizeof large - 1);
    memcpy(large, "version: 1\n", 11);
    write_file("revoked", large);
    assert_int_equal(pw_revoked_add(folder, id, "x", &version, &why), PW_E_LIMIT);
    assert_non_null(strstr(why.text, "has no room for one key more"));
}

static void
a_file_of_64_digits_is_a_key_of_the_folder(void **state)
{
    (void)state;
    struct pw_why why = {0};
    write_file("trt.hex", HEX "\n");
    write_file(".hex", "no key");
    write_file("b.hex.old", "no key");
    save_key(PW_SUITE_BLAKE2B, "a", 1);
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(folder, &why);
    assert_non_null(ring);
    assert_int_equal(pw_keyring_count(ring), 2);
    assert_true(pw_key_is_bare(pw_keyring_find(ring, "trt")));
    assert_false(pw_key_is_bare(pw_keyring_find(ring, "a")));

    assert_int_equal(chmod(in_folder("trt.hex"), 0644), 0);
    assert_null(pw_keyring_load(folder, &why));
    assert_non_null(strstr(why.text, "trt.hex: others may read it (mode 0644)"));
    assert_int_equal(chmod(in_folder("trt.hex"), 0600), 0);
    write_file("trt.hex", "nonsense");
    assert_null(pw_keyring_load(folder, &why));
    assert_non_null(strstr(why.text, "trt.hex:1: not 64 hexadecimal digits"));
    write_file("trt.hex", HEX);
    assert_int_equal(rename(in_folder("trt.hex"), in_folder("a.hex")), 0);
    assert_null(pw_keyring_load(folder, &why));
    assert_non_null(strstr(why.text, "another file of"));
}

static void
names_tell_what_a_file_is(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum pw_key_file kind;
    } cases[] = {
        {"a.pwkey", PW_KEY_FILE_KEY},      {"a.b.pwkey", PW_KEY_FILE_KEY},
        {"a.hex", PW_KEY_FILE_KEY},        {"revoked", PW_KEY_FILE_REVOKED},
        {".a.pwkey", PW_KEY_FILE_NONE},    {"..data", PW_KEY_FILE_NONE},
        {"a.pwkey.new", PW_KEY_FILE_NONE}, {"pwkey", PW_KEY_FILE_NONE},
        {"Revoked", PW_KEY_FILE_NONE},     {"revoked.old", PW_KEY_FILE_NONE},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        print_message("%s\n", cases[i].name);
        assert_int_equal(pw_key_file_kind(cases[i].name), cases[i].kind);
    }
}

static void
a_key_file_is_replaced_whole_and_stays_as_private(void **state)
{
    (void)state;
    struct stat before, after;
    save_key(PW_SUITE_ED25519, "a", 1);
    char path[256];
    snprintf(path, sizeof path, "%s/a.pwkey", folder);
    assert_int_equal(chmod(path, 0400), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 54321, 54321), 0);
    }
    assert_int_equal(stat(path, &before), 0);
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_load(path, NULL);
    pw_key_set_status(key, PW_KEY_RETIRED);
    write_file(".a.pwkey.new", "what a crash left");
    assert_int_equal(pw_key_replace(key, path, NULL), PW_E_OK);

    assert_int_equal(stat(path, &after), 0);
    assert_int_not_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_uid, before.st_uid);
    assert_int_not_equal(access(in_folder(".a.pwkey.new"), F_OK), 0);
    PW_CLEANUP(pw_key_free) struct pw_key *back = pw_key_load(path, NULL);
    assert_int_equal(pw_key_status(back), PW_KEY_RETIRED);
    assert_memory_equal(pw_key_id(back), pw_key_id(key), 8);
}

static void
what_is_no_plain_file_is_not_replaced(void **state)
{
    (void)state;
    struct pw_why why = {0};
    save_key(PW_SUITE_ED25519, "a", 1);
    PW_CLEANUP(pw_key_free)
    struct pw_key *key = counting_key(PW_SUITE_ED25519, "a", 1, "");
    assert_int_equal(symlink("a.pwkey", in_folder("link.pwkey")), 0);
    assert_int_equal(pw_key_replace(key, in_folder("link.pwkey"), &why), PW_E_PERM);
    assert_non_null(strstr(why.text, "change it where it comes from"));
    assert_int_equal(pw_key_replace(key, in_folder("none.pwkey"), &why), PW_E_NO_INPUT);
    assert_int_equal(pw_key_replace(key, in_folder("none/a.pwkey"), &why), PW_E_NO_INPUT);
    assert_int_equal(pw_key_replace(key, folder, &why), PW_E_PERM);
}

/* --- changes --- */

/* So long ago that no further change can hide behind the grain of the clock. */
static void
make_old(const char *name)
{
    /* ctime cannot be set: the file system's clock has to go on. */
    struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, in_folder(name), times, 0), 0);
}

static void
rename_over(const char *from, const char *to)
{
    assert_int_equal(rename(in_folder(from), in_folder(to)), 0);
}

static void
every_change_of_keys_is_noticed_and_no_other(void **state)
{
    (void)state;
    struct pw_keyring_look look = {0};
    save_key(PW_SUITE_BLAKE2B, "a", 1);
    assert_true(pw_keyring_changed(folder, &look)); /* the first look */
    assert_false(pw_keyring_changed(folder, &look));

    save_key(PW_SUITE_BLAKE2B, "b", 2);
    assert_true(pw_keyring_changed(folder, &look));
    make_old("a.pwkey"); /* a stamp alone */
    assert_false(pw_keyring_changed(folder, &look));
    write_file("notes.txt", "x");
    write_file(".b.pwkey.new", "x");
    assert_false(pw_keyring_changed(folder, &look));

    assert_int_equal(chmod(in_folder("b.pwkey"), 0644), 0);
    assert_true(pw_keyring_changed(folder, &look));
    write_file("revoked", "version: 1\n");
    assert_true(pw_keyring_changed(folder, &look));
    write_file("revoked", "version: 2\n"); /* as long as before, and as young */
    assert_true(pw_keyring_changed(folder, &look));
    rename_over("b.pwkey", "c.pwkey");
    assert_true(pw_keyring_changed(folder, &look));
    assert_int_equal(unlink(in_folder("c.pwkey")), 0);
    assert_true(pw_keyring_changed(folder, &look));
    write_file("t.hex", HEX);
    assert_true(pw_keyring_changed(folder, &look));
    assert_false(pw_keyring_changed(folder, &look));
}

static void
a_mounted_version_that_is_exchanged_is_noticed(void **state)
{
    (void)state;
    struct pw_keyring_look look = {0};
    PW_CLEANUP(pw_key_free) struct pw_key *old = counting_key(PW_SUITE_BLAKE2B, "m", 1, "");
    PW_CLEANUP(pw_key_free) struct pw_key *new = counting_key(PW_SUITE_BLAKE2B, "m", 2, "");
    assert_int_equal(pw_key_save(old, in_folder("..v1"), NULL), PW_E_OK);
    assert_int_equal(pw_key_save(new, in_folder("..v2"), NULL), PW_E_OK);
    assert_int_equal(symlink("..data/m.pwkey", in_folder("m.pwkey")), 0);
    assert_int_equal(symlink("..v1", in_folder("..data")), 0);
    assert_true(pw_keyring_changed(folder, &look));
    assert_false(pw_keyring_changed(folder, &look));
    assert_int_equal(symlink("..v2", in_folder("..new")), 0);
    rename_over("..new", "..data");
    assert_true(pw_keyring_changed(folder, &look));
    assert_false(pw_keyring_changed(folder, &look));
}

static void
a_folder_that_goes_away_is_a_change(void **state)
{
    (void)state;
    struct pw_keyring_look look = {0};
    assert_true(pw_keyring_changed(folder, &look));
    assert_false(pw_keyring_changed(folder, &look));
    assert_true(pw_keyring_changed("/tmp/pw-no-such-folder", &look));
    assert_false(pw_keyring_changed("/tmp/pw-no-such-folder", &look));
    assert_true(pw_keyring_changed(folder, &look));
}

/* --- locks and shares --- */

static void
a_lock_delays_readers_and_stops_writers(void **state)
{
    (void)state;
    struct pw_why why = {0};
    uint64_t start = pw_clock_steady();
    PW_CLEANUP(pw_file_close) int lock = pw_keyring_lock(folder, NULL);
    assert_true(lock >= 0);
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(folder, NULL);
    assert_non_null(ring);
    assert_true(pw_clock_steady() - start >= 500000000);
    assert_int_equal(pw_keyring_lock(folder, &why), -1);
    assert_non_null(strstr(why.text, "try again"));
    pw_file_close(&lock);
    start = pw_clock_steady();
    PW_CLEANUP(pw_keyring_free)
    struct pw_keyring *free_ring = pw_keyring_load(folder, NULL);
    assert_non_null(free_ring);
    assert_true(pw_clock_steady() - start < 500000000);
    assert_int_equal(pw_keyring_lock("/tmp/pw-no-such-folder", &why), -1);
    assert_non_null(strstr(why.text, "name the key folder"));
}

static void
a_ring_lives_until_its_last_share_is_given_up(void **state)
{
    (void)state;
    struct pw_keyring *ring = pw_keyring_new();
    struct pw_key *key = counting_key(PW_SUITE_BLAKE2B, "a", 1, "");
    assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    struct pw_keyring *share = pw_keyring_share(ring);
    assert_ptr_equal(share, ring);
    pw_keyring_free(&ring);
    assert_null(ring);
    assert_int_equal(pw_keyring_count(share), 1); /* sanitizers watch */
    pw_keyring_free(&share);
    assert_null(share);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
        cmocka_unit_test(a_list_is_a_version_and_key_ids),
        cmocka_unit_test(a_list_has_what_is_in_it),
        FOLDER_TEST(a_listed_key_is_revoked_whatever_its_file_says),
        FOLDER_TEST(a_list_grows_and_keeps_its_comments),
        FOLDER_TEST(a_broken_list_refuses_the_folder_and_is_left_alone),
        FOLDER_TEST(a_list_at_its_last_version_or_size_takes_no_more),
        FOLDER_TEST(a_file_of_64_digits_is_a_key_of_the_folder),
        cmocka_unit_test(names_tell_what_a_file_is),
        FOLDER_TEST(a_key_file_is_replaced_whole_and_stays_as_private),
        FOLDER_TEST(what_is_no_plain_file_is_not_replaced),
        FOLDER_TEST(every_change_of_keys_is_noticed_and_no_other),
        FOLDER_TEST(a_mounted_version_that_is_exchanged_is_noticed),
        FOLDER_TEST(a_folder_that_goes_away_is_a_change),
        FOLDER_TEST(a_lock_delays_readers_and_stops_writers),
        cmocka_unit_test(a_ring_lives_until_its_last_share_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
