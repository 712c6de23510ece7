/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation fails once: nothing leaks, nothing crashes, the caller is told. And a
 * message needs none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "common/sign/sign.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/sign/keys.h"

static char folder[64];
static bool complete; /* the last round got to its end */

static int
make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/pw-sign-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void
save_and_remove(const struct pw_key *key)
{
    char path[128];
    struct pw_why why = {0};
    snprintf(path, sizeof path, "%s/%s.pwkey", folder, pw_key_name(key));
    enum pw_err err = pw_key_save(key, folder, &why);
    PW_CLEANUP(pw_key_free) struct pw_key *back = pw_key_load(path, &why);
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(folder, &why);
    unlink(path);
    complete =
        err == PW_E_OK && back != NULL && ring != NULL && pw_keyring_count(ring) == 1;
    assert_true(complete || why.text[0] != '\0');
}

static void
make_keys(void *state)
{
    (void)state;
    struct pw_why why = {0};
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(PW_SUITE_ED25519, "a", &why);
    complete = false;
    if (key == NULL) {
        assert_string_equal(why.text, "out of memory");
        return;
    }
    PW_CLEANUP(pw_key_free) struct pw_key *half = pw_key_public(key);
    if (half != NULL) {
        save_and_remove(half);
    }
}

static void
sign_and_verify(void *state)
{
    const enum pw_suite *suite = state;
    struct pw_why why = {0};
    uint8_t bytes[PW_TRAILER_MAX];
    struct pw_span frame = pw_span_str("hello");
    complete = false;
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(*suite, "a", NULL);
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    if (key == NULL || ring == NULL || pw_keyring_add(ring, &key) != PW_E_OK) {
        return;
    }
    PW_CLEANUP(pw_signer_free)
    struct pw_signer *signer = pw_signer_new(ring, "a", "jobs", PW_DIR_FORWARD, 1, &why);
    PW_CLEANUP(pw_verifier_free)
    struct pw_verifier *verifier = pw_verifier_new(ring, "jobs", PW_DIR_FORWARD, NULL, 0);
    assert_true(signer != NULL || why.text[0] != '\0');
    if (signer == NULL || verifier == NULL) {
        return;
    }
    struct pw_sig_result result;
    assert_int_equal(pw_signer_sign(signer, &frame, 1, 1, bytes), PW_E_OK);
    struct pw_span trailer = {bytes, pw_signer_trailer_size(signer)};
    pw_verifier_check(verifier, &frame, 1, trailer, &result);
    complete = result.state == PW_SIG_OK;
}

static void
every_allocation_may_fail(void (*run)(void *state), void *with)
{
    size_t n = 1;
    while (fail_alloc_round(n, run, with)) {
        assert_false(complete);
        n++;
    }
    assert_true(complete);
    assert_true(n > 3);
}

static void
keys_survive_any_failed_allocation(void **state)
{
    (void)state;
    every_allocation_may_fail(make_keys, NULL);
}

static void
signers_survive_any_failed_allocation(void **state)
{
    (void)state;
    static enum pw_suite suites[] = {PW_SUITE_BLAKE2B, PW_SUITE_ED25519_BATCH};
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        every_allocation_may_fail(sign_and_verify, &suites[i]);
    }
}

static void
a_message_needs_no_allocation(void **state)
{
    (void)state;
    static const enum pw_suite suites[] = {PW_SUITE_HMAC_SHA256, PW_SUITE_ED25519,
                                           PW_SUITE_BLAKE2B, PW_SUITE_ED25519_BATCH};
    static const char *const siblings[] = {"x", "y"};
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        struct pw_span frame = pw_span_str("hello");
        struct pw_sig_result result;
        uint8_t bytes[PW_TRAILER_MAX];
        struct pw_key *key = counting_key(suites[i], "a", 1, "");
        PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
        assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
        PW_CLEANUP(pw_signer_free)
        struct pw_signer *signer =
            pw_signer_new(ring, "a", "jobs", PW_DIR_FORWARD, 1, NULL);
        PW_CLEANUP(pw_verifier_free)
        struct pw_verifier *verifier =
            pw_verifier_new(ring, "jobs", PW_DIR_FORWARD, siblings, PW_COUNT(siblings));
        fail_alloc_at(1);
        assert_int_equal(pw_signer_sign(signer, &frame, 1, 1, bytes), PW_E_OK);
        struct pw_span trailer = {bytes, pw_signer_trailer_size(signer)};
        pw_verifier_check(verifier, &frame, 1, trailer, &result);
        assert_int_equal(result.state, PW_SIG_OK);
        bytes[50] ^= 1;
        pw_verifier_check(verifier, &frame, 1, trailer, &result);
        assert_int_equal(result.reason, PW_R_SIG_BAD);
        assert_false(fail_alloc_happened());
        fail_alloc_at(0);
    }
}

static void
a_batch_needs_no_allocation(void **state)
{
    (void)state;
    static uint8_t trailers[PW_SIGN_BATCH_MAX][PW_TRAILER_MAX];
    struct pw_span frame = pw_span_str("hello");
    struct pw_sig_result result;
    size_t slot;
    struct pw_key *key = counting_key(PW_SUITE_ED25519_BATCH, "a", 1, "");
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    PW_CLEANUP(pw_signer_free)
    struct pw_signer *signer = pw_signer_new(ring, "a", "jobs", PW_DIR_FORWARD, 1, NULL);
    PW_CLEANUP(pw_verifier_free)
    struct pw_verifier *verifier = pw_verifier_new(ring, "jobs", PW_DIR_FORWARD, NULL, 0);
    fail_alloc_at(1);
    for (size_t i = 0; i < PW_SIGN_BATCH_MAX; i++) {
        assert_int_equal(pw_signer_add(signer, &frame, 1, 1, &slot), PW_E_OK);
    }
    pw_signer_close(signer);
    for (size_t i = 0; i < PW_SIGN_BATCH_MAX; i++) {
        struct pw_span trailer = {trailers[i], pw_signer_trailer(signer, i, trailers[i])};
        pw_verifier_check(verifier, &frame, 1, trailer, &result);
        assert_int_equal(result.state, PW_SIG_OK);
    }
    assert_false(fail_alloc_happened());
    fail_alloc_at(0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_survive_any_failed_allocation, make_folder,
                                        remove_folder),
        cmocka_unit_test(signers_survive_any_failed_allocation),
        cmocka_unit_test(a_message_needs_no_allocation),
        cmocka_unit_test(a_batch_needs_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
