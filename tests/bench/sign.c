/* SPDX-License-Identifier: Apache-2.0
 *
 * What a signature costs: each suite, messages of three sizes, and for ed25519-batch how
 * many share one. Verified in order, as they come from one sender.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/sign/sign.h"

enum { ENOUGH_NS = 100000000, WORD = 14 };

static const size_t sizes[] = {100, 4096, 1 << 20};

/* clang-format off */
static const struct {
    enum pw_suite suite;
    size_t batch;
} rows[] = {
    {PW_SUITE_HMAC_SHA256, 1}, {PW_SUITE_BLAKE2B, 1}, {PW_SUITE_ED25519, 1},
    {PW_SUITE_ED25519_BATCH, 1}, {PW_SUITE_ED25519_BATCH, 8}, {PW_SUITE_ED25519_BATCH, 64},
    {PW_SUITE_ED25519_BATCH, 256},
};
/* clang-format on */

/* A channel's two ends, and a batch on its way. */
struct ends {
    struct pw_signer *signer;
    struct pw_verifier *verifier;
    struct pw_span frame;
    size_t batch;
    uint8_t trailers[PW_SIGN_BATCH_MAX][PW_TRAILER_MAX];
    size_t len[PW_SIGN_BATCH_MAX];
};

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static uint64_t
cpu_now(void)
{
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
}

static void
sign(struct ends *ends)
{
    for (size_t i = 0; i < ends->batch; i++) {
        size_t slot;
        require(pw_signer_add(ends->signer, &ends->frame, 1, 1, &slot) == PW_E_OK);
    }
    pw_signer_close(ends->signer);
    for (size_t i = 0; i < ends->batch; i++) {
        ends->len[i] = pw_signer_trailer(ends->signer, i, ends->trailers[i]);
    }
}

static void
verify(struct ends *ends)
{
    for (size_t i = 0; i < ends->batch; i++) {
        struct pw_sig_result result;
        struct pw_span trailer = {ends->trailers[i], ends->len[i]};
        pw_verifier_check(ends->verifier, &ends->frame, 1, trailer, &result);
        require(result.state == PW_SIG_OK);
    }
}

/* Nanoseconds of CPU a message: signing, and verifying. */
static void
measure(struct ends *ends, double *signing, double *verifying)
{
    uint64_t spent[2] = {0};
    uint64_t messages = 0;
    while (spent[0] + spent[1] < ENOUGH_NS) {
        uint64_t start = cpu_now();
        sign(ends);
        uint64_t middle = cpu_now();
        verify(ends);
        spent[0] += middle - start;
        spent[1] += cpu_now() - middle;
        messages += ends->batch;
    }
    *signing = (double)spent[0] / (double)messages;
    *verifying = (double)spent[1] / (double)messages;
}

static void
bench(struct ends *ends, enum pw_suite suite, const uint8_t *bytes)
{
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    struct pw_key *key = pw_key_new(suite, "k", NULL);
    require(ring != NULL && key != NULL && pw_keyring_add(ring, &key) == PW_E_OK);
    printf("%-*s %5zu", WORD, pw_suite_text(suite), ends->batch);
    for (size_t i = 0; i < PW_COUNT(sizes); i++) {
        double signing;
        double verifying;
        ends->signer = pw_signer_new(ring, "k", "jobs", PW_DIR_FORWARD, 1, NULL);
        ends->verifier = pw_verifier_new(ring, "jobs", PW_DIR_FORWARD, NULL, 0);
        require(ends->signer != NULL && ends->verifier != NULL);
        ends->frame = (struct pw_span){bytes, sizes[i]};
        measure(ends, &signing, &verifying);
        printf(" %11.0f %11.0f", signing, verifying);
        pw_signer_free(&ends->signer);
        pw_verifier_free(&ends->verifier);
    }
    putchar('\n');
}

int
main(void)
{
    static struct ends ends;
    uint8_t *bytes = calloc(1, sizes[PW_COUNT(sizes) - 1]);
    require(bytes != NULL);
    puts("ns of CPU a message: to sign it, to verify it");
    printf("%-*s %5s", WORD, "suite", "batch");
    for (size_t i = 0; i < PW_COUNT(sizes); i++) {
        printf(" %9zu B %11s", sizes[i], "");
    }
    putchar('\n');
    for (size_t i = 0; i < PW_COUNT(rows); i++) {
        ends.batch = rows[i].batch;
        bench(&ends, rows[i].suite, bytes);
    }
    free(bytes);
    return 0;
}
