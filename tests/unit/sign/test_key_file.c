/* SPDX-License-Identifier: Apache-2.0
 *
 * Key files on disk. These tests hold for root too: they look at modes, not at what open
 * says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "tests/unit/sign/keys.h"

static char folder[64];

static const char *
in_folder(const char *name)
{
    static char path[2][256];
    static unsigned turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static int
make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/pw-key-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    PW_CLEANUP(pw_key_free)
    struct pw_key *key = counting_key(PW_SUITE_HMAC_SHA256, "a", 1, "jobs");
    return pw_key_save(key, folder, NULL) == PW_E_OK ? 0 : -1;
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
loads(const char *path)
{
    struct pw_why why = {0};
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_load(path, &why);
    assert_string_equal(why.text, "");
    assert_non_null(key);
}

/* The sentence holds both words. */
static void
refused(const char *path, const char *first, const char *second)
{
    struct pw_why why = {0};
    assert_null(pw_key_load(path, &why));
    if (strstr(why.text, first) == NULL || strstr(why.text, second) == NULL) {
        fail_msg("said: %s", why.text);
    }
    assert_null(pw_key_load(path, NULL));
}

static void
a_saved_key_is_its_owners_alone(void **state)
{
    (void)state;
    struct stat info;
    assert_int_equal(stat(in_folder("a.pwkey"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    loads(in_folder("a.pwkey"));
}

static void
a_key_is_never_overwritten(void **state)
{
    (void)state;
    struct pw_why why = {0};
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(PW_SUITE_ED25519, "a", NULL);
    assert_int_equal(pw_key_save(key, folder, &why), PW_E_CREATE);
    assert_non_null(strstr(why.text, "a.pwkey: File exists"));
    PW_CLEANUP(pw_key_free) struct pw_key *kept = pw_key_load(in_folder("a.pwkey"), NULL);
    assert_int_equal(pw_key_suite(kept), PW_SUITE_HMAC_SHA256);
}

static void
a_new_folder_is_its_owners_alone(void **state)
{
    (void)state;
    struct stat info;
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(PW_SUITE_ED25519, "b", NULL);
    assert_int_equal(pw_key_save(key, in_folder("new/keys"), NULL), PW_E_OK);
    assert_int_equal(stat(in_folder("new"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    loads(in_folder("new/keys/b.pwkey"));
    struct pw_why why = {0};
    assert_int_equal(pw_key_save(key, in_folder("a.pwkey"), &why), PW_E_CREATE);
    assert_non_null(strstr(why.text, "a.pwkey"));
}

static void
others_may_neither_read_nor_write(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        const char *word;
    } cases[] = {
        {0604, "others may read it (mode 0604); run chmod 600 /tmp/pw-key-"},
        {0644, "others may read it (mode 0644)"},
        {0444, "others may read it (mode 0444)"},
        {0602, "others may write it (mode 0602)"},
        {0620, "others may write it (mode 0620)"},
        {0660, "others may write it (mode 0660)"},
        {0666, "others may write it (mode 0666)"},
        {0777, "others may write it (mode 0777)"},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        assert_int_equal(chmod(in_folder("a.pwkey"), cases[i].mode), 0);
        refused(in_folder("a.pwkey"), cases[i].word, "chmod 600");
    }
    assert_int_equal(chmod(in_folder("a.pwkey"), 0400), 0);
    loads(in_folder("a.pwkey"));
}

/* What Kubernetes mounts with fsGroup: root owns it, and a group of ours may read. */
static void
a_group_may_read_only_what_root_gave_it(void **state)
{
    (void)state;
    assert_int_equal(chmod(in_folder("a.pwkey"), 0440), 0);
    if (geteuid() != 0) {
        refused(in_folder("a.pwkey"), "others may read it", "chmod 600");
        return;
    }
    assert_int_equal(chown(in_folder("a.pwkey"), 0, getegid()), 0);
    loads(in_folder("a.pwkey"));
    assert_int_equal(chown(in_folder("a.pwkey"), 0, 54321), 0);
    refused(in_folder("a.pwkey"), "others may read it (mode 0440)", "chmod 600");
    assert_int_equal(chown(in_folder("a.pwkey"), 54321, getegid()), 0);
    refused(in_folder("a.pwkey"), "others may read it (mode 0440)", "chmod 600");
    assert_int_equal(chown(in_folder("a.pwkey"), 0, getegid()), 0);
}

static void
a_public_half_may_be_read_by_all_but_written_by_none(void **state)
{
    (void)state;
    PW_CLEANUP(pw_key_free) struct pw_key *key = counting_key(PW_SUITE_ED25519, "p", 1, "");
    PW_CLEANUP(pw_key_free) struct pw_key *half = pw_key_public(key);
    assert_int_equal(pw_key_save(half, folder, NULL), PW_E_OK);
    assert_int_equal(chmod(in_folder("p.pwkey"), 0644), 0);
    loads(in_folder("p.pwkey"));
    assert_int_equal(chmod(in_folder("p.pwkey"), 0646), 0);
    refused(in_folder("p.pwkey"), "others may write it", "chmod 600");
}

static void
a_folder_that_anybody_may_write_holds_no_keys(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_folder("open"), 0700), 0);
    assert_int_equal(mkdir(in_folder("open/keys"), 0700), 0);
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(PW_SUITE_ED25519, "c", NULL);
    assert_int_equal(pw_key_save(key, in_folder("open/keys"), NULL), PW_E_OK);
    loads(in_folder("open/keys/c.pwkey"));
    assert_int_equal(chmod(in_folder("open"), 0777), 0);
    refused(in_folder("open/keys/c.pwkey"), "open (mode 0777)",
            "run chmod o-w /tmp/pw-key-");
    assert_int_equal(chmod(in_folder("open"), 01777), 0);
    loads(in_folder("open/keys/c.pwkey"));
    assert_int_equal(chmod(in_folder("open/keys"), 0703), 0);
    refused(in_folder("open/keys/c.pwkey"), "open/keys (mode 0703)", "chmod o-w");
}

static void
a_link_is_followed_only_as_kubernetes_makes_it(void **state)
{
    (void)state;
    assert_int_equal(symlink("a.pwkey", in_folder("link.pwkey")), 0);
    refused(in_folder("link.pwkey"), "a symbolic link", "put the key file itself there");

    assert_int_equal(mkdir(in_folder("..v1"), 0700), 0);
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(PW_SUITE_ED25519, "m", NULL);
    assert_int_equal(pw_key_save(key, in_folder("..v1"), NULL), PW_E_OK);
    assert_int_equal(symlink("..data/m.pwkey", in_folder("m.pwkey")), 0);
    refused(in_folder("m.pwkey"), "m.pwkey: ", "No such file"); /* no ..data yet */
    assert_int_equal(symlink("..v1", in_folder("..data")), 0);
    loads(in_folder("m.pwkey"));

    assert_int_equal(symlink("..data/m.pwkey", in_folder("n.pwkey")), 0);
    refused(in_folder("n.pwkey"), "a symbolic link", "");
    assert_int_equal(symlink("../a.pwkey", in_folder("..v1/o.pwkey")), 0);
    assert_int_equal(symlink("..data/o.pwkey", in_folder("o.pwkey")), 0);
    refused(in_folder("o.pwkey"), "a symbolic link", "");
}

static void
what_is_no_key_file_is_refused_by_name(void **state)
{
    (void)state;
    char long_path[6000];
    refused(in_folder("none.pwkey"), "none.pwkey: ", "No such file");
    refused(in_folder("none/a.pwkey"), "none/a.pwkey: ", "No such file");
    assert_int_equal(mkdir(in_folder("dir.pwkey"), 0700), 0);
    refused(in_folder("dir.pwkey"), "dir.pwkey: ", "not a file");
    assert_int_equal(mkfifo(in_folder("fifo.pwkey"), 0600), 0);
    refused(in_folder("fifo.pwkey"), "fifo.pwkey: ", "not a file");
    memset(long_path, 'a', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    refused(long_path, "the path is too long", "");
    long_path[300] = '\0';
    refused(long_path, "the path is too long", "");
}

static void
write_file(const char *path, const char *text, size_t len)
{
    PW_CLEANUP(pw_file_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pw_file_write_all(fd, (struct pw_span){(const uint8_t *)text, len}),
                     PW_E_OK);
}

static void
a_broken_key_file_is_named_with_its_line(void **state)
{
    (void)state;
    char big[5000];
    write_file(in_folder("e.pwkey"), "", 0);
    refused(in_folder("e.pwkey"), "e.pwkey:1: the file ends without", "");
    write_file(in_folder("e.pwkey"), "picklewall-key: 1\nwhat: x\n", 26);
    refused(in_folder("e.pwkey"), "e.pwkey:2: not a line of a key file", "");
    memset(big, '#', sizeof big);
    write_file(in_folder("e.pwkey"), big, sizeof big);
    refused(in_folder("e.pwkey"), "e.pwkey: ", "larger than any key file");
}

static void
a_bare_file_name_is_found_in_the_working_folder(void **state)
{
    (void)state;
    PW_CLEANUP(pw_file_close) int before = open(".", O_RDONLY | O_DIRECTORY);
    assert_int_equal(chdir(folder), 0);
    loads("a.pwkey");
    loads("./a.pwkey");
    assert_int_equal(fchdir(before), 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
        FILE_TEST(a_saved_key_is_its_owners_alone),
        FILE_TEST(a_key_is_never_overwritten),
        FILE_TEST(a_new_folder_is_its_owners_alone),
        FILE_TEST(others_may_neither_read_nor_write),
        FILE_TEST(a_group_may_read_only_what_root_gave_it),
        FILE_TEST(a_public_half_may_be_read_by_all_but_written_by_none),
        FILE_TEST(a_folder_that_anybody_may_write_holds_no_keys),
        FILE_TEST(a_link_is_followed_only_as_kubernetes_makes_it),
        FILE_TEST(what_is_no_key_file_is_refused_by_name),
        FILE_TEST(a_broken_key_file_is_named_with_its_line),
        FILE_TEST(a_bare_file_name_is_found_in_the_working_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
