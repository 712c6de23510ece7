/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading back beside a writer: between a look at an object and what follows from it.
 */
#include "common/quarantine/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/base/file.h"
#include "common/quarantine/check.h"
#include "common/quarantine/seal.h"
#include "tests/unit/quarantine/folder.h"

enum { LARGE = 1 << 20 };

static char object_path[256];
static struct pw_buf good; /* what the path is given when the lock is taken next */
static size_t whole_reads; /* of files */

static void
write_object(struct pw_span bytes)
{
    int fd = open(object_path, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(pw_file_write_all(fd, bytes), PW_E_OK);
    close(fd);
}

/* ---- calls, as the linker's --wrap leads them here ---- */

int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);
int
__wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
    if (good.len > 0) {
        write_object(pw_buf_span(&good)); /* somebody was faster */
        pw_buf_free(&good);
    }
    return __real_pthread_mutex_lock(lock);
}

enum pw_err __real_pw_file_read_fd(int fd, struct pw_buf *out);
enum pw_err __wrap_pw_file_read_fd(int fd, struct pw_buf *out);
enum pw_err
__wrap_pw_file_read_fd(int fd, struct pw_buf *out)
{
    whole_reads++;
    return __real_pw_file_read_fd(fd, out);
}

/* ---- what is read ---- */

static size_t
files_aside(void)
{
    char path[128];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/corrupt", root);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static struct pw_stored
put(struct pw_store *store, struct pw_span frame)
{
    struct pw_stored stored;
    const struct pw_put what = {.frames = &frame,
                                .count = 1,
                                .chan = "jobs",
                                .meta = pw_span_str("\"chan\":\"jobs\"")};
    assert_int_equal(pw_store_put(store, &what, &stored, NULL), PW_E_OK);
    snprintf(object_path, sizeof object_path, "%s/obj/%.2s/%s", root, stored.object,
             stored.object);
    return stored;
}

static void
sum_again(struct pw_buf *bytes)
{
    crypto_hash_sha256(bytes->bytes + bytes->len - 32, bytes->bytes, bytes->len - 32);
}

static struct pw_buf
read_bytes(void)
{
    struct pw_buf bytes = {.limit = SIZE_MAX / 2};
    assert_int_equal(pw_file_read(object_path, &bytes), PW_E_OK);
    return bytes;
}

static struct pw_store *
open_store(bool sealed)
{
    static const uint8_t public[PW_SEAL_KEY] = {9};
    struct pw_why why = {{0}};
    struct pw_store *store = pw_store_open(root, &why);
    assert_non_null(store);
    if (sealed) {
        assert_int_equal(pw_store_seal(store, public, &why), PW_E_OK);
    }
    return store;
}

static void
what_was_stored_anew_meanwhile_is_handed_out(void **state)
{
    (void)state;
    struct pw_store *store = open_store(false);
    struct pw_stored stored = put(store, pw_span_str("message"));
    struct pw_held held;
    struct pw_buf kept = read_bytes();
    write_object(pw_span_str("damaged"));
    good = kept;
    assert_int_equal(pw_store_read(store, stored.object, &held, NULL), PW_E_OK);
    assert_int_equal(held.count, 1);
    assert_true(pw_span_equal(held.frames[0], pw_span_str("message")));
    assert_int_equal(files_aside(), 0);
    pw_held_free(&held);
    pw_store_free(&store);
}

static void
tell_newer(void *arg, enum pw_fault fault, const char *path)
{
    (void)path;
    *(bool *)arg = fault == PW_FAULT_NEWER;
}

static void
a_later_version_stays_where_it_is(void **state)
{
    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        struct pw_store *store = open_store(sealed == 1);
        struct pw_stored stored = put(store, pw_span_str("message"));
        struct pw_held held;
        struct pw_why why = {{0}};
        struct pw_store_check check;
        bool newer = false;
        PW_CLEANUP(pw_buf_free) struct pw_buf bytes = read_bytes();
        bytes.bytes[5] = 9; /* the version */
        sum_again(&bytes);
        write_object(pw_buf_span(&bytes));
        assert_int_equal(pw_store_read(store, stored.object, &held, &why), PW_E_USAGE);
        assert_non_null(strstr(why.text, "use the release that wrote it"));
        pw_held_free(&held);
        assert_int_equal(access(object_path, F_OK), 0);
        assert_int_equal(files_aside(), 0);
        assert_int_equal(pw_store_check(store, tell_newer, &newer, &check, &why), PW_E_OK);
        assert_true(newer);
        assert_int_equal(check.faults[PW_FAULT_DAMAGED], 0);
        pw_store_free(&store);
        (void)remove_store(NULL);
    }
}

/* ---- what is stored again ---- */

static void
a_message_is_compared_with_its_file_in_pieces(void **state)
{
    (void)state;
    static uint8_t large[LARGE];
    for (int sealed = 0; sealed < 2; sealed++) {
        struct pw_store *store = open_store(sealed == 1);
        (void)put(store, (struct pw_span){large, sizeof large});
        whole_reads = 0;
        struct pw_stored again = put(store, (struct pw_span){large, sizeof large});
        assert_false(again.fresh);
        assert_false(again.corrupt);
        assert_int_equal(whole_reads, 0);
        pw_store_free(&store);
        (void)remove_store(NULL);
    }
}

static void
any_other_byte_is_noticed_when_it_is_stored_again(void **state)
{
    (void)state;
    static uint8_t large[40000];
    static const struct pw_span frame = {large, sizeof large};
    for (int sealed = 0; sealed < 2; sealed++) {
        struct pw_store *store = open_store(sealed == 1);
        (void)put(store, frame);
        PW_CLEANUP(pw_buf_free) struct pw_buf bytes = read_bytes();
        size_t aside = 0;
        for (size_t at = 0; at < bytes.len; at += 1 + at * 2 / 3) {
            bytes.bytes[bytes.len - 1 - at] ^= 1;
            write_object(pw_buf_span(&bytes));
            bytes.bytes[bytes.len - 1 - at] ^= 1;
            assert_true(put(store, frame).corrupt);
            assert_int_equal(files_aside(), ++aside);
        }
        assert_in_range(aside, 10, 40);
        pw_store_free(&store);
        (void)remove_store(NULL);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, remove_store)
    const struct CMUnitTest tests[] = {
        TEST(what_was_stored_anew_meanwhile_is_handed_out),
        TEST(a_later_version_stays_where_it_is),
        TEST(a_message_is_compared_with_its_file_in_pieces),
        TEST(any_other_byte_is_noticed_when_it_is_stored_again),
    };
#undef TEST
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
