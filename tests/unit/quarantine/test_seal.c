/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

#include "common/base/file.h"

static char folder[] = "/tmp/pw-seal-XXXXXX";
static uint8_t public[PW_SEAL_KEY], secret[PW_SEAL_KEY];
static const uint8_t name[PW_SEAL_NAME] = {1, 2, 3};
static struct pw_seal_room room;

/* The sealed file of these parts. */
static struct pw_buf
seal(const struct pw_span *parts, size_t count)
{
    struct pw_buf out = {.limit = SIZE_MAX / 2};
    const struct pw_seal_source source = {pw_span_str("head"), parts, count,
                                          pw_span_str("tail")};
    char path[64];
    snprintf(path, sizeof path, "%s/object", folder);
    FILE *file = fopen(path, "w+");
    assert_non_null(file);
    assert_true(pw_seal_write(fileno(file), public, name, &source, &room));
    fclose(file);
    assert_int_equal(pw_file_read(path, &out), PW_E_OK);
    remove(path);
    return out;
}

static enum pw_err
unseal(struct pw_span bytes, struct pw_buf *out, struct pw_why *why)
{
    uint8_t key[PW_SEAL_KEY];
    *out = (struct pw_buf){.limit = SIZE_MAX / 2};
    enum pw_err err = pw_seal_open_box(bytes, secret, key, why);
    return err == PW_E_OK ? pw_seal_open(bytes, name, key, out, why) : err;
}

static void
what_is_sealed_comes_back_whatever_its_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,     1,     65527,  65528,  65529,
                                   65536, 70000, 131064, 131065, 300000};
    static uint8_t bytes[300000];
    randombytes_buf(bytes, sizeof bytes);
    for (size_t i = 0; i < PW_COUNT(sizes); i++) {
        const struct pw_span parts[] = {{bytes, sizes[i] / 3},
                                        {NULL, 0},
                                        {bytes + sizes[i] / 3, sizes[i] - sizes[i] / 3}};
        struct pw_buf sealed = seal(parts, 3), plain;
        assert_int_equal(sealed.len, pw_seal_size(sizes[i] + 8));
        assert_int_equal(unseal(pw_buf_span(&sealed), &plain, NULL), PW_E_OK);
        assert_int_equal(plain.len, sizes[i] + 8);
        assert_memory_equal(plain.bytes, "head", 4);
        assert_memory_equal(plain.bytes + 4, bytes, sizes[i]);
        assert_memory_equal(plain.bytes + 4 + sizes[i], "tail", 4);
        pw_buf_free(&plain);
        pw_buf_free(&sealed);
    }
}

/* With a sum that fits, as whoever can write the file can make it. */
static void
sum_again(struct pw_buf *sealed)
{
    crypto_hash_sha256(sealed->bytes + sealed->len - PW_SEAL_SUM, sealed->bytes,
                       sealed->len - PW_SEAL_SUM);
}

static void
no_bit_can_be_changed_and_no_byte_be_missing(void **state)
{
    (void)state;
    const struct pw_span part = pw_span_str("some message");
    struct pw_buf sealed = seal(&part, 1), plain;
    struct pw_span whole = pw_buf_span(&sealed);
    for (size_t i = 0; i < sealed.len; i++) {
        struct pw_why why = {{0}};
        sealed.bytes[i] ^= (uint8_t)(1u << (i % 8));
        assert_int_not_equal(unseal(whole, &plain, &why), PW_E_OK);
        assert_true(why.text[0] != '\0');
        assert_int_equal(plain.len, 0);
        pw_buf_free(&plain);
        assert_int_not_equal(unseal((struct pw_span){whole.ptr, i}, &plain, &why), PW_E_OK);
        pw_buf_free(&plain);
        if (i < sealed.len - PW_SEAL_SUM) {
            sum_again(&sealed);
            assert_int_not_equal(unseal(whole, &plain, &why), PW_E_OK);
            pw_buf_free(&plain);
        }
        sealed.bytes[i] ^= (uint8_t)(1u << (i % 8));
        sum_again(&sealed);
    }
    assert_int_equal(unseal(whole, &plain, NULL), PW_E_OK);
    pw_buf_free(&plain);
    pw_buf_free(&sealed);
}

static void
chunks_cannot_be_dropped_or_swapped(void **state)
{
    (void)state;
    static uint8_t bytes[3 * PW_SEAL_CHUNK];
    enum { WHOLE = PW_SEAL_CHUNK + PW_SEAL_MORE };
    const struct pw_span part = {bytes, sizeof bytes};
    struct pw_buf sealed = seal(&part, 1), plain;
    struct pw_buf edited = {.limit = SIZE_MAX / 2};
    uint8_t *first = sealed.bytes + PW_SEAL_HEAD;
    assert_int_equal(pw_buf_append(&edited, pw_buf_span(&sealed)), PW_E_OK);
    memcpy(edited.bytes + PW_SEAL_HEAD, first + WHOLE, WHOLE);
    memcpy(edited.bytes + PW_SEAL_HEAD + WHOLE, first, WHOLE);
    sum_again(&edited);
    assert_int_equal(unseal(pw_buf_span(&edited), &plain, NULL), PW_E_FORMAT);
    pw_buf_free(&plain);
    edited.len = PW_SEAL_HEAD + 2 * WHOLE + PW_SEAL_SUM; /* ends at a chunk's end */
    memcpy(edited.bytes + PW_SEAL_HEAD, first, 2 * WHOLE);
    sum_again(&edited);
    assert_int_equal(unseal(pw_buf_span(&edited), &plain, NULL), PW_E_FORMAT);
    pw_buf_free(&plain);
    pw_buf_free(&edited);
    pw_buf_free(&sealed);
}

static void
another_key_or_name_does_not_open_it(void **state)
{
    (void)state;
    uint8_t others[PW_SEAL_KEY], key[PW_SEAL_KEY];
    const uint8_t other_name[PW_SEAL_NAME] = {1, 2, 4};
    const struct pw_span part = pw_span_str("some message");
    struct pw_buf sealed = seal(&part, 1);
    struct pw_buf plain = {.limit = 1 << 20};
    struct pw_why why = {{0}};
    randombytes_buf(others, sizeof others);
    assert_int_equal(pw_seal_open_box(pw_buf_span(&sealed), others, key, &why), PW_E_PERM);
    assert_non_null(strstr(why.text, "another key"));
    assert_int_equal(pw_seal_open_box(pw_buf_span(&sealed), secret, key, &why), PW_E_OK);
    assert_int_equal(pw_seal_open(pw_buf_span(&sealed), other_name, key, &plain, &why),
                     PW_E_FORMAT);
    assert_non_null(strstr(why.text, "another one under this name"));
    assert_int_equal(pw_seal_check(pw_buf_span(&sealed), name, &why), PW_E_OK);
    pw_buf_free(&plain);
    pw_buf_free(&sealed);
}

static struct pw_span sealed_once;

static void
unseal_once(void *arg)
{
    enum pw_err *err = arg;
    struct pw_buf plain;
    struct pw_why why = {{0}};
    *err = unseal(sealed_once, &plain, &why);
    pw_buf_free(&plain);
    assert_true(*err == PW_E_OK || (*err == PW_E_NOMEM && why.text[0] != '\0'));
}

static void
out_of_memory_is_said(void **state)
{
    (void)state;
    const struct pw_span part = pw_span_str("some message");
    struct pw_buf sealed = seal(&part, 1);
    enum pw_err err = PW_E_INTERNAL;
    size_t n = 1;
    sealed_once = pw_buf_span(&sealed);
    for (; fail_alloc_round(n, unseal_once, &err); n++) {
        assert_int_equal(err, PW_E_NOMEM);
    }
    assert_int_equal(err, PW_E_OK);
    assert_int_equal(n, 2);
    pw_buf_free(&sealed);
}

static void
key_files_are_made_once_and_read_strictly(void **state)
{
    (void)state;
    uint8_t a[PW_SEAL_KEY], b[PW_SEAL_KEY], made[PW_SEAL_KEY];
    char dir[64], pub[96], key[96];
    struct pw_why why = {{0}};
    snprintf(dir, sizeof dir, "%s/keys", folder);
    snprintf(pub, sizeof pub, "%s/quarantine.pub", dir);
    snprintf(key, sizeof key, "%s/quarantine.key", dir);
    assert_int_equal(pw_seal_keygen(dir, &why), PW_E_OK);
    assert_int_equal(pw_seal_read_public(pub, a, &why), PW_E_OK);
    assert_int_equal(pw_seal_read_secret(key, b, &why), PW_E_OK);
    assert_int_equal(crypto_scalarmult_base(made, b), 0);
    assert_memory_equal(made, a, sizeof a);
    assert_int_equal(pw_seal_keygen(dir, &why), PW_E_CREATE);
    assert_int_equal(pw_seal_read_public(key, a, &why), PW_E_FORMAT);
    assert_non_null(strstr(why.text, "other half"));
    static const char *const wrong[] = {"", "picklewall-quarantine-public-1 ",
                                        "picklewall-quarantine-public-1 00\n", "x"};
    for (size_t i = 0; i < PW_COUNT(wrong); i++) {
        FILE *file = fopen(pub, "w");
        fputs(wrong[i], file);
        fclose(file);
        assert_int_equal(pw_seal_read_public(pub, a, &why), PW_E_FORMAT);
        assert_non_null(strstr(why.text, "name quarantine.pub"));
    }
    chmod(key, 0640);
    assert_int_equal(pw_seal_read_secret(key, b, &why), PW_E_PERM);
    remove(pub), remove(key);
    assert_int_equal(pw_seal_read_public(pub, a, &why), PW_E_NO_INPUT);
    rmdir(dir);
}

static int
set_up(void **state)
{
    (void)state;
    return crypto_box_keypair(public, secret) != 0 || mkdtemp(folder) == NULL;
}

static int
tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_comes_back_whatever_its_size),
        cmocka_unit_test(no_bit_can_be_changed_and_no_byte_be_missing),
        cmocka_unit_test(chunks_cannot_be_dropped_or_swapped),
        cmocka_unit_test(another_key_or_name_does_not_open_it),
        cmocka_unit_test(out_of_memory_is_said),
        cmocka_unit_test(key_files_are_made_once_and_read_strictly),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, set_up, tear_down);
}
