/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/epochs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "common/base/file.h"
#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

static struct pw_replay replay; /* too large for a stack */
static char folder[64];

static int
make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/pw-epochs-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/jobs.epochs", folder);
    (void)remove(path);
    strcat(path, ".new");
    (void)remove(path);
    return rmdir(folder);
}

/* A head and two senders. */
#define HEAD "PWE1\0\0\0\2\0\0\0\0\0\0\0\7"
#define ROW_A "AAAAAAAA\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\1\0"
#define ROW_B "BBBBBBBB\0\0\0\0\0\0\0\x0b\0\0\0\0\0\0\0\0"

/* The bytes with the sum that belongs to them. */
static struct pw_span
summed(struct pw_span bytes)
{
    static uint8_t text[512];
    assert_true(bytes.len + PW_EPOCHS_SUM <= sizeof text);
    memcpy(text, bytes.ptr, bytes.len);
    crypto_generichash(text + bytes.len, PW_EPOCHS_SUM, bytes.ptr, bytes.len, NULL, 0);
    return (struct pw_span){text, bytes.len + PW_EPOCHS_SUM};
}

static bool
reads(struct pw_span bytes)
{
    replay = (struct pw_replay){0};
    return pw_epochs_parse(bytes, &replay);
}

static void
a_file_tells_senders_and_how_far_they_came(void **state)
{
    (void)state;
    struct pw_span bytes = summed(BYTES(HEAD ROW_A ROW_B));
    assert_true(reads(bytes));
    assert_int_equal(replay.count, 2);
    assert_int_equal(replay.floor, 7);
    struct pw_sender *sender = pw_replay_find(&replay, (const uint8_t *)"AAAAAAAA", 10);
    assert_non_null(sender);
    assert_int_equal(sender->top, 256);
    assert_int_equal(sender->ceiling, 256);
    PW_CLEANUP(pw_buf_free) struct pw_buf again = {.limit = PW_EPOCHS_MAX};
    assert_int_equal(pw_epochs_format(&replay, &again), PW_E_OK);
    assert_true(pw_span_equal(pw_buf_span(&again), bytes));
}

static void
one_changed_bit_or_missing_byte_is_noticed(void **state)
{
    (void)state;
    struct pw_span whole = summed(BYTES(HEAD ROW_A ROW_B));
    uint8_t bytes[256];
    memcpy(bytes, whole.ptr, whole.len);
    for (size_t bit = 0; bit < whole.len * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(reads((struct pw_span){bytes, whole.len}));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len < whole.len; len++) {
        assert_false(reads((struct pw_span){bytes, len}));
    }
    assert_true(reads((struct pw_span){bytes, whole.len}));
}

static const struct {
    const char *name;
    struct pw_span bytes;
    bool good;
} file_cases[] = {
    {"nobody yet", BYTES("PWE1\0\0\0\0\0\0\0\0\0\0\0\0"), true},
    {"two epochs of one key",
     BYTES(HEAD ROW_A "AAAAAAAA\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\1"), true},
    {"another magic", BYTES("PWE2\0\0\0\2\0\0\0\0\0\0\0\7" ROW_A ROW_B), false},
    {"one sender too few", BYTES(HEAD ROW_A), false},
    {"one sender too many", BYTES(HEAD ROW_A ROW_B ROW_A), false},
    {"a byte too many", BYTES(HEAD ROW_A ROW_B "x"), false},
    {"the same sender twice", BYTES(HEAD ROW_A ROW_A), false},
    {"epoch 0", BYTES(HEAD ROW_A "BBBBBBBB\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), false},
    {"more than can be remembered", BYTES("PWE1\0\0\4\1\0\0\0\0\0\0\0\7" ROW_A), false},
    {"as many as there are bytes in the world",
     BYTES("PWE1\xff\xff\xff\xff\0\0\0\0\0\0\0\7" ROW_A), false},
    {"head cut", BYTES("PWE1\0\0\0\0\0\0\0\0\0\0\0"), false},
    {"nothing", BYTES(""), false},
};

static void
a_wrong_file_with_a_right_sum_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(file_cases); i++) {
        check_case(file_cases[i].name,
                   reads(summed(file_cases[i].bytes)) == file_cases[i].good);
    }
}

static void
a_full_memory_fits_and_comes_back(void **state)
{
    (void)state;
    static struct pw_replay full;
    full = (struct pw_replay){.floor = 3};
    for (uint64_t i = 0; i < PW_REPLAY_SENDERS; i++) {
        uint8_t id[8] = {(uint8_t)(i % 5)};
        pw_replay_add(&full, id, 10 + i, i)->goal = i;
    }
    PW_CLEANUP(pw_buf_free) struct pw_buf bytes = {.limit = PW_EPOCHS_MAX};
    assert_int_equal(pw_epochs_format(&full, &bytes), PW_E_OK);
    assert_int_equal(bytes.len, PW_EPOCHS_MAX);
    assert_true(reads(pw_buf_span(&bytes)));
    assert_int_equal(replay.count, PW_REPLAY_SENDERS);
    for (size_t i = 0; i < PW_REPLAY_SENDERS; i++) {
        assert_memory_equal(replay.senders[i].key_id, full.senders[i].key_id, 8);
        assert_int_equal(replay.senders[i].epoch, full.senders[i].epoch);
        assert_int_equal(replay.senders[i].top, i);
        assert_int_equal(replay.senders[i].latest, full.senders[i].latest);
    }
}

static void
what_is_saved_is_loaded(void **state)
{
    (void)state;
    char path[128];
    struct stat is;
    struct pw_why why = {0};
    PW_CLEANUP(pw_file_close) int dir = open(folder, O_RDONLY | O_DIRECTORY);
    snprintf(path, sizeof path, "%s/jobs.epochs", folder);
    replay = (struct pw_replay){0};
    assert_int_equal(pw_epochs_load(path, &replay, &why), PW_E_OK);
    assert_int_equal(replay.count, 0);
    struct pw_span bytes = summed(BYTES(HEAD ROW_A ROW_B));
    for (size_t round = 0; round < 2; round++) { /* a new file, and over an old one */
        assert_int_equal(pw_epochs_save(dir, "jobs.epochs", bytes), PW_E_OK);
        replay = (struct pw_replay){0};
        assert_int_equal(pw_epochs_load(path, &replay, &why), PW_E_OK);
        assert_int_equal(replay.count, 2);
    }
    assert_int_equal(stat(path, &is), 0);
    assert_int_equal(is.st_mode & 0777, 0600);
    strcat(path, ".new");
    assert_int_equal(stat(path, &is), -1);
}

static void
a_save_that_fails_leaves_the_old_file(void **state)
{
    (void)state;
    char path[128], fresh[160];
    PW_CLEANUP(pw_file_close) int dir = open(folder, O_RDONLY | O_DIRECTORY);
    snprintf(path, sizeof path, "%s/jobs.epochs", folder);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    struct pw_span bytes = summed(BYTES(HEAD ROW_A ROW_B));
    assert_int_equal(pw_epochs_save(dir, "jobs.epochs", bytes), PW_E_OK);
    assert_int_equal(mkdir(fresh, 0700), 0); /* in the way */
    struct pw_span other = summed(BYTES("PWE1\0\0\0\0\0\0\0\0\0\0\0\0"));
    assert_int_equal(pw_epochs_save(dir, "jobs.epochs", other), PW_E_IO);
    assert_int_equal(errno, EISDIR);
    replay = (struct pw_replay){0};
    assert_int_equal(pw_epochs_load(path, &replay, NULL), PW_E_OK);
    assert_int_equal(replay.count, 2);
    char name[300];
    memset(name, 'x', sizeof name);
    name[255] = '\0';
    assert_int_equal(pw_epochs_save(dir, name, other), PW_E_IO);
    assert_int_equal(errno, ENAMETOOLONG);
}

static void
write_file(const char *path, struct pw_span bytes)
{
    PW_CLEANUP(pw_file_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(pw_file_write_all(fd, bytes), PW_E_OK);
}

static void
what_cannot_be_read_is_named_with_its_remedy(void **state)
{
    (void)state;
    char path[128];
    uint8_t large[PW_EPOCHS_MAX + 1] = {0};
    struct pw_why why = {0};
    snprintf(path, sizeof path, "%s/jobs.epochs", folder);
    const struct pw_span damaged[] = {BYTES(""), BYTES("PWE1"), {large, sizeof large}};
    for (size_t i = 0; i < PW_COUNT(damaged); i++) {
        write_file(path, damaged[i]);
        replay = (struct pw_replay){0};
        assert_int_equal(pw_epochs_load(path, &replay, &why), PW_E_FORMAT);
        assert_non_null(strstr(why.text, path));
        assert_non_null(strstr(why.text, "restore it, or give the senders new keys"));
    }
    assert_int_equal(remove(path), 0);
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_int_equal(pw_epochs_load(path, &replay, &why), PW_E_PERM);
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(pw_epochs_load(path, &replay, &why), PW_E_IO);
}

static bool complete;

static void
load_once(void *state)
{
    (void)state;
    char path[128];
    struct pw_why why = {0};
    snprintf(path, sizeof path, "%s/jobs.epochs", folder);
    replay = (struct pw_replay){0};
    enum pw_err err = pw_epochs_load(path, &replay, &why);
    PW_CLEANUP(pw_buf_free) struct pw_buf bytes = {.limit = PW_EPOCHS_MAX};
    enum pw_err formatted = pw_epochs_format(&replay, &bytes);
    complete = err == PW_E_OK && formatted == PW_E_OK;
    assert_true(err == PW_E_OK || (err == PW_E_NOMEM && why.text[0] != '\0'));
    assert_true(formatted == PW_E_OK || formatted == PW_E_NOMEM);
}

static void
every_allocation_may_fail(void **state)
{
    (void)state;
    PW_CLEANUP(pw_file_close) int dir = open(folder, O_RDONLY | O_DIRECTORY);
    assert_int_equal(pw_epochs_save(dir, "jobs.epochs", summed(BYTES(HEAD ROW_A ROW_B))),
                     PW_E_OK);
    size_t n = 1;
    for (; fail_alloc_round(n, load_once, NULL); n++) {
        assert_false(complete);
    }
    assert_true(complete);
    assert_true(n > 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_tells_senders_and_how_far_they_came),
        cmocka_unit_test(one_changed_bit_or_missing_byte_is_noticed),
        cmocka_unit_test(a_wrong_file_with_a_right_sum_is_refused),
        cmocka_unit_test(a_full_memory_fits_and_comes_back),
        cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_save_that_fails_leaves_the_old_file, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_named_with_its_remedy,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, make_folder,
                                        remove_folder),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
