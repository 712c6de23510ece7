/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages that share a signature: each verifies by itself, in any order, and what a
 * verifier remembers of a batch changes the price of an answer and never the answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/sign/channel_key.h"
#include "common/sign/sign.h"
#include "common/sign/trailer.h"
#include "tests/unit/sign/keys.h"

static const uint64_t epoch = 1700000000000;
static const uint64_t now_ns = 1700000000123456789;

enum { REMEMBERED = 56, ASIDE = 8 };

/* How often a signature of Ed25519 was verified. */
static size_t verified;

int __real_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *text,
                                       unsigned long long len, const unsigned char *key);
int __wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *text,
                                       unsigned long long len, const unsigned char *key);

int
__wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *text,
                                   unsigned long long len, const unsigned char *key)
{
    verified++;
    return __real_crypto_sign_verify_detached(sig, text, len, key);
}

static struct pw_keyring *
ring_of(enum pw_suite suite)
{
    struct pw_keyring *ring = pw_keyring_new();
    struct pw_key *key = counting_key(suite, "k", 1, "");
    assert_non_null(ring);
    assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    return ring;
}

static struct pw_signer *
signer_of(const struct pw_keyring *ring, uint64_t start)
{
    struct pw_why why = {0};
    struct pw_signer *signer =
        pw_signer_new(ring, "k", "jobs", PW_DIR_FORWARD, start, &why);
    assert_string_equal(why.text, "");
    return signer;
}

static struct pw_verifier *
verifier_of(const struct pw_keyring *ring)
{
    struct pw_verifier *verifier = pw_verifier_new(ring, "jobs", PW_DIR_FORWARD, NULL, 0);
    assert_non_null(verifier);
    return verifier;
}

/* Messages of two frames, the second of which is its number in the batch. */
struct batch {
    size_t size;
    uint8_t payload[PW_SIGN_BATCH_MAX];
    struct pw_span frames[PW_SIGN_BATCH_MAX][2];
    uint8_t trailers[PW_SIGN_BATCH_MAX][PW_TRAILER_MAX];
    size_t len[PW_SIGN_BATCH_MAX];
};

static void
sign_batch(struct pw_signer *signer, struct batch *batch, size_t size)
{
    batch->size = size;
    for (size_t i = 0; i < size; i++) {
        size_t slot = SIZE_MAX;
        batch->payload[i] = (uint8_t)i;
        batch->frames[i][0] = pw_span_str("hello");
        batch->frames[i][1] = (struct pw_span){&batch->payload[i], 1};
        assert_int_equal(pw_signer_add(signer, batch->frames[i], 2, now_ns + i, &slot),
                         PW_E_OK);
        assert_int_equal(slot, i);
    }
    pw_signer_close(signer);
    for (size_t i = 0; i < size; i++) {
        batch->len[i] = pw_signer_trailer(signer, i, batch->trailers[i]);
        assert_in_range(batch->len[i], 72, PW_TRAILER_MAX);
    }
}

static enum pw_reason
reason_of(struct pw_verifier *verifier, const struct batch *batch, size_t i)
{
    struct pw_sig_result result;
    struct pw_span trailer = {batch->trailers[i], batch->len[i]};
    pw_verifier_check(verifier, batch->frames[i], 2, trailer, &result);
    assert_int_equal(result.state, result.reason == PW_R_NONE ? PW_SIG_OK : PW_SIG_BAD);
    return result.reason;
}

/* How many signatures it took to verify this message. */
static size_t
price_of(struct pw_verifier *verifier, const struct batch *batch, size_t i)
{
    size_t before = verified;
    assert_int_equal(reason_of(verifier, batch, i), PW_R_NONE);
    return verified - before;
}

static void
a_batch_of_any_size_verifies_for_one_signature(void **state)
{
    (void)state;
    static struct batch batch;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
    uint64_t seq = 0;
    for (size_t size = 1; size <= PW_SIGN_BATCH_MAX; size++) {
        size_t before = verified;
        sign_batch(signer, &batch, size);
        for (size_t i = 0; i < size; i++) {
            struct pw_sig_result result;
            struct pw_span trailer = {batch.trailers[i], batch.len[i]};
            assert_int_equal(pw_trailer_at_end(trailer), trailer.len);
            pw_verifier_check(verifier, batch.frames[i], 2, trailer, &result);
            assert_int_equal(result.state, PW_SIG_OK);
            assert_int_equal(result.suite, PW_SUITE_ED25519_BATCH);
            assert_int_equal(result.seq, ++seq);
            assert_int_equal(result.time_ns, now_ns + i);
        }
        assert_int_equal(verified - before, 1);
    }
}

static void
the_order_of_arrival_does_not_matter(void **state)
{
    (void)state;
    static const size_t sizes[] = {2, 3, 5, 31, 129, 255, 256};
    static struct batch batch;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    for (size_t s = 0; s < PW_COUNT(sizes); s++) {
        size_t size = sizes[s];
        sign_batch(signer, &batch, size);
        /* 1, -1 and steps that have no divisor in common with any size here. */
        const size_t steps[] = {1, size - 1, 7 % size, 101 % size, 157 % size};
        for (size_t way = 0; way < PW_COUNT(steps); way++) {
            PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
            size_t before = verified;
            for (size_t i = 0, at = size / 2; i < size;
                 i++, at = (at + steps[way]) % size) {
                assert_int_equal(reason_of(verifier, &batch, at), PW_R_NONE);
                assert_int_equal(reason_of(verifier, &batch, at), PW_R_NONE);
            }
            assert_int_equal(verified - before, 1);
        }
    }
}

static void
any_suite_is_signed_by_the_same_calls(void **state)
{
    (void)state;
    static const enum pw_suite suites[] = {PW_SUITE_HMAC_SHA256, PW_SUITE_ED25519,
                                           PW_SUITE_BLAKE2B, PW_SUITE_ED25519_BATCH};
    static struct batch batch;
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(suites[i]);
        PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
        PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
        size_t most = suites[i] == PW_SUITE_ED25519_BATCH ? PW_SIGN_BATCH_MAX : 1;
        assert_int_equal(pw_signer_batch(signer), most);
        for (int turn = 0; turn < 3; turn++) {
            sign_batch(signer, &batch, most);
            for (size_t at = 0; at < most; at++) {
                assert_int_equal(reason_of(verifier, &batch, at), PW_R_NONE);
            }
        }
        sign_batch(signer, &batch, 1);
        assert_int_equal(batch.len[0], pw_signer_trailer_size(signer));
    }
}

static void
a_full_batch_takes_no_more(void **state)
{
    (void)state;
    static struct pw_span many[PW_SIGN_FRAMES_MAX + 1];
    static struct batch batch;
    uint8_t bytes[PW_TRAILER_MAX];
    size_t slot = 7;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    for (size_t i = 0; i < PW_SIGN_BATCH_MAX; i++) {
        assert_int_equal(pw_signer_add(signer, many, 0, now_ns, &slot), PW_E_LIMIT);
        assert_int_equal(pw_signer_add(signer, many, PW_COUNT(many), now_ns, &slot),
                         PW_E_LIMIT);
        assert_int_equal(pw_signer_add(signer, many, PW_SIGN_FRAMES_MAX, now_ns, &slot),
                         PW_E_OK);
        assert_int_equal(slot, i);
    }
    assert_int_equal(pw_signer_add(signer, many, 1, now_ns, &slot), PW_E_LIMIT);
    assert_int_equal(slot, PW_SIGN_BATCH_MAX - 1);
    assert_int_equal(pw_signer_trailer(signer, 0, bytes), 0); /* it is open */
    pw_signer_close(signer);
    assert_int_equal(pw_signer_trailer(signer, 0, bytes), PW_TRAILER_MAX);
    assert_int_equal(pw_signer_trailer(signer, PW_SIGN_BATCH_MAX, bytes), 0);
    sign_batch(signer, &batch, 1);
    assert_int_equal(batch.trailers[0][31], 1); /* number 257: nothing else was counted */
    assert_int_equal(batch.trailers[0][30], 1);
}

static void
slots_stay_until_the_next_message_is_added(void **state)
{
    (void)state;
    static struct batch batch;
    uint8_t bytes[PW_TRAILER_MAX];
    size_t slot;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    pw_signer_close(signer); /* of nothing there is nothing */
    assert_int_equal(pw_signer_trailer(signer, 0, bytes), 0);

    sign_batch(signer, &batch, 3);
    assert_int_equal(pw_signer_sign(signer, batch.frames[0], 2, now_ns, bytes), PW_E_OK);
    pw_signer_close(signer);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pw_signer_trailer(signer, i, bytes), batch.len[i]);
        assert_memory_equal(bytes, batch.trailers[i], batch.len[i]);
    }
    assert_int_equal(pw_signer_add(signer, batch.frames[0], 2, now_ns, &slot), PW_E_OK);
    assert_int_equal(slot, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pw_signer_trailer(signer, i, bytes), 0);
    }
}

/* A message that must leave now does not wait for the batch, nor break it. */
static void
a_lone_message_leaves_the_open_batch_as_it_is(void **state)
{
    (void)state;
    static struct batch batch;
    size_t slot;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
    sign_batch(signer, &batch, 3);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pw_signer_add(signer, batch.frames[i], 2, now_ns, &slot), PW_E_OK);
    }
    assert_int_equal(pw_signer_sign(signer, batch.frames[2], 2, now_ns, batch.trailers[2]),
                     PW_E_OK);
    batch.len[2] = pw_signer_trailer_size(signer);
    assert_int_equal(batch.len[2], 106);
    pw_signer_close(signer);
    for (size_t i = 0; i < 2; i++) {
        batch.len[i] = pw_signer_trailer(signer, i, batch.trailers[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(reason_of(verifier, &batch, i), PW_R_NONE);
        assert_int_equal(batch.trailers[i][31], 4 + i); /* numbers go on */
    }
}

static void
numbers_that_were_given_are_not_given_again(void **state)
{
    (void)state;
    static struct batch batch;
    size_t slot;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *before = signer_of(ring, epoch);
    PW_CLEANUP(pw_signer_free) struct pw_signer *after = signer_of(ring, epoch + 9);
    sign_batch(before, &batch, 5);
    assert_int_equal(pw_signer_add(before, batch.frames[0], 2, now_ns, &slot), PW_E_OK);
    pw_signer_continue(after, before);
    sign_batch(after, &batch, 1);
    assert_int_equal(batch.trailers[0][31], 7);
    assert_memory_equal(batch.trailers[0] + 16, "\0\0\x01\x8b\xcf\xe5\x68\0", 8);
}

/* All bits of the trailer and of the frames, against verifiers that know the batch. */
static void
flip_every_bit(struct batch *batch, size_t i, struct pw_verifier *verifier)
{
    for (size_t bit = 0; bit < 8 * (batch->len[i] + 1); bit++) {
        uint8_t *byte =
            bit / 8 < batch->len[i] ? &batch->trailers[i][bit / 8] : &batch->payload[i];
        *byte ^= (uint8_t)(1U << bit % 8);
        assert_int_not_equal(reason_of(verifier, batch, i), PW_R_NONE);
        *byte ^= (uint8_t)(1U << bit % 8);
    }
}

static void
no_bit_can_change_whatever_is_known(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 5};
    static struct batch batch;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    for (size_t s = 0; s < PW_COUNT(sizes); s++) {
        sign_batch(signer, &batch, sizes[s]);
        for (size_t i = 0; i < sizes[s]; i++) {
            /* Nothing known; then message after message of the batch, this one too. */
            PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
            flip_every_bit(&batch, i, verifier);
            for (size_t known = 0; known < sizes[s]; known++) {
                assert_int_equal(reason_of(verifier, &batch, known), PW_R_NONE);
                flip_every_bit(&batch, i, verifier);
            }
            assert_int_equal(reason_of(verifier, &batch, i), PW_R_NONE);
        }
    }
}

static uint64_t seed = 1;

/* splitmix64 */
static uint64_t
draw(uint64_t below)
{
    seed += 0x9e3779b97f4a7c15;
    uint64_t value = seed;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return (value ^ value >> 31) % below;
}

/* Often nothing, else a bit, a place, an element of the path, or what another one has. */
static size_t
change(const struct batch *batch, size_t i, uint8_t out[static PW_TRAILER_MAX])
{
    size_t len = batch->len[i];
    size_t other = draw(batch->size);
    size_t at = draw(len);
    memcpy(out, batch->trailers[i], len);
    switch (draw(8)) {
    case 0:
        out[at] ^= (uint8_t)(1U << draw(8));
        break;
    case 1:
        out[len - 2] = (uint8_t)other;
        break;
    case 2:
        out[len - 1] = (uint8_t)draw(batch->size + 3);
        break;
    case 3:
        memcpy(out + 40, batch->trailers[other] + 40, batch->len[other] - 40);
        return batch->len[other];
    case 4:
        if (len > 138) { /* two elements at least: the first two are exchanged */
            memcpy(out + 104, batch->trailers[i] + 136, 32);
            memcpy(out + 136, batch->trailers[i] + 104, 32);
        }
        break;
    default:
        break;
    }
    return len;
}

/* Beside a computation that remembers nothing. */
static void
memory_never_changes_an_answer(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 5, 8, 33, 255, 256};
    static struct batch batches[PW_COUNT(sizes)];
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
    struct pw_scope scope;
    struct pw_channel_key ready;
    assert_true(pw_scope_fill(&scope, "jobs", PW_DIR_FORWARD));
    pw_channel_key_fill(&ready, pw_keyring_at(ring, 0), &scope);
    for (size_t s = 0; s < PW_COUNT(sizes); s++) {
        sign_batch(signer, &batches[s], sizes[s]);
    }
    size_t counts[2] = {0};
    for (int turn = 0; turn < 8000; turn++) {
        const struct batch *batch = &batches[draw(PW_COUNT(sizes))];
        size_t i = draw(batch->size);
        uint8_t bytes[PW_TRAILER_MAX];
        struct pw_span trailer = {bytes, change(batch, i, bytes)};
        struct pw_trailer parsed;
        union pw_hash work;
        bool good = pw_trailer_parse(trailer, &parsed);
        struct pw_signed text = {parsed.head, &scope, batch->frames[i], 2};
        good = good && parsed.frames == 2 &&
               memcmp(parsed.key_id, pw_key_id(ready.key), 8) == 0 &&
               pw_channel_key_fits(&ready, &work, &text, parsed.tag);
        struct pw_sig_result result;
        pw_verifier_check(verifier, batch->frames[i], 2, trailer, &result);
        assert_int_equal(result.state == PW_SIG_OK, good);
        counts[good]++;
    }
    assert_true(counts[0] > 1000 && counts[1] > 1000);
}

static void
the_roots_used_last_are_remembered(void **state)
{
    (void)state;
    static struct batch batches[REMEMBERED + 1];
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
    for (size_t i = 0; i < REMEMBERED; i++) {
        sign_batch(signer, &batches[i], 3);
        assert_int_equal(price_of(verifier, &batches[i], 0), 1);
    }
    for (size_t i = 0; i < REMEMBERED; i++) {
        assert_int_equal(price_of(verifier, &batches[i], 1), 0);
    }
    assert_int_equal(price_of(verifier, &batches[0], 2), 0); /* so 1 is the oldest */
    sign_batch(signer, &batches[REMEMBERED], 3);
    assert_int_equal(price_of(verifier, &batches[REMEMBERED], 0), 1);
    for (size_t i = 0; i <= REMEMBERED; i++) {
        assert_true(i == 1 || price_of(verifier, &batches[i], 1) == 0);
    }
    assert_int_equal(price_of(verifier, &batches[1], 1), 1);
}

static void
a_message_that_is_alone_is_not_remembered(void **state)
{
    (void)state;
    static struct batch batches[2];
    static struct batch alone;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
    sign_batch(signer, &batches[0], 2);
    assert_int_equal(price_of(verifier, &batches[0], 0), 1);
    for (size_t i = 0; i < REMEMBERED + ASIDE + 1; i++) {
        sign_batch(signer, &alone, 1);
        assert_int_equal(price_of(verifier, &alone, 0), 1);
        assert_int_equal(price_of(verifier, &alone, 0), 1);
    }
    assert_int_equal(price_of(verifier, &batches[0], 1), 0);
}

static void
a_forgery_costs_one_verification_and_pushes_nothing_out(void **state)
{
    (void)state;
    static struct batch batch;
    static struct batch forged;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
    sign_batch(signer, &batch, 256);
    assert_int_equal(price_of(verifier, &batch, 0), 1);
    for (size_t i = 0; i < 1000; i++) {
        size_t at = i % batch.size;
        size_t before = verified;
        forged = batch;
        bool own = i % 2 == 0; /* a signature that is not remembered */
        forged.trailers[at][own ? 40 : 104] ^= (uint8_t)(1 + i / 256);
        forged.trailers[at][24] ^= 0x80; /* and a number that is later than all */
        assert_int_equal(reason_of(verifier, &forged, at), PW_R_SIG_BAD);
        assert_int_equal(verified - before, own ? 1 : 0);
    }
    for (size_t i = 0; i < batch.size; i++) {
        assert_int_equal(price_of(verifier, &batch, i), 0);
    }
}

/* Their signatures are true: only what came later than all of a key may push out a root. */
static void
yesterdays_messages_push_nothing_out(void **state)
{
    (void)state;
    static struct batch old[2 * REMEMBERED];
    static struct batch live[REMEMBERED];
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *before = signer_of(ring, epoch - 1);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
    for (size_t i = 0; i < PW_COUNT(old); i++) {
        sign_batch(i % 2 == 0 ? before : signer, &old[i], 2);
    }
    for (size_t i = 0; i < REMEMBERED; i++) {
        sign_batch(signer, &live[i], 2);
        assert_int_equal(price_of(verifier, &live[i], 0), 1);
    }
    for (size_t i = 0; i < PW_COUNT(old); i++) {
        assert_int_equal(price_of(verifier, &old[i], 0), 1);
        assert_int_equal(price_of(verifier, &old[i], 1), 0); /* remembered, but aside */
    }
    for (size_t i = 0; i < REMEMBERED; i++) {
        assert_int_equal(price_of(verifier, &live[i], 1), 0);
    }
    for (size_t i = 0; i < ASIDE; i++) {
        assert_int_equal(price_of(verifier, &old[PW_COUNT(old) - 1 - i], 0), 0);
    }
    assert_int_equal(price_of(verifier, &old[PW_COUNT(old) - 1 - ASIDE], 0), 1);
}

static void
a_revoked_key_is_refused_whatever_is_remembered(void **state)
{
    (void)state;
    static struct batch batch;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    struct pw_key *key = counting_key(PW_SUITE_ED25519_BATCH, "k", 1, "");
    struct pw_key *same = key;
    assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
    sign_batch(signer, &batch, 2);
    assert_int_equal(reason_of(verifier, &batch, 0), PW_R_NONE);
    pw_key_revoke(same);
    assert_int_equal(reason_of(verifier, &batch, 0), PW_R_SIG_REVOKED);
    assert_int_equal(reason_of(verifier, &batch, 1), PW_R_SIG_REVOKED);
}

static void
a_remembered_root_is_its_keys_alone(void **state)
{
    (void)state;
    static struct batch batch;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    struct pw_key *other = counting_key(PW_SUITE_ED25519_BATCH, "other", 2, "");
    struct pw_key *plain = counting_key(PW_SUITE_ED25519, "plain", 1, "");
    const struct pw_key *wrong[] = {other, plain};
    assert_int_equal(pw_keyring_add(ring, &other), PW_E_OK);
    assert_int_equal(pw_keyring_add(ring, &plain), PW_E_OK);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = verifier_of(ring);
    sign_batch(signer, &batch, 2);
    assert_int_equal(reason_of(verifier, &batch, 0), PW_R_NONE);
    memcpy(batch.trailers[1] + 8, pw_key_id(wrong[0]), 8);
    assert_int_equal(reason_of(verifier, &batch, 1), PW_R_SIG_BAD);
    memcpy(batch.trailers[1] + 8, pw_key_id(wrong[1]), 8);
    assert_int_equal(reason_of(verifier, &batch, 1), PW_R_SIG_WRONG_SUITE);
}

static void
a_message_of_a_sibling_is_told_and_not_remembered(void **state)
{
    (void)state;
    static const char *const siblings[] = {"jobs"};
    static struct batch batch;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    PW_CLEANUP(pw_verifier_free)
    struct pw_verifier *verifier =
        pw_verifier_new(ring, "mail", PW_DIR_FORWARD, siblings, 1);
    sign_batch(signer, &batch, 3);
    for (size_t i = 0; i < 3; i++) {
        size_t before = verified;
        assert_int_equal(reason_of(verifier, &batch, i), PW_R_SIG_CHANNEL);
        assert_int_equal(verified - before, 2);
    }
}

/* In the payload in front, at every place, stands what looks like a trailer. */
static void
a_trailer_is_found_behind_any_payload(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 5, 8, 256};
    static struct batch batch;
    enum { PAYLOAD = 400 };
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_ED25519_BATCH);
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = signer_of(ring, epoch);
    for (size_t s = 0; s < PW_COUNT(sizes); s++) {
        sign_batch(signer, &batch, sizes[s]);
        size_t i = sizes[s] / 2;
        for (size_t at = 0; at + 8 <= PAYLOAD; at++) {
            for (unsigned suite = 1; suite <= 5; suite++) {
                uint8_t wire[PAYLOAD + PW_TRAILER_MAX] = {0};
                const uint8_t head[] = {'P', 'W', 'S', '1', (uint8_t)suite, 0, 0, 1};
                memcpy(wire + at, head, sizeof head);
                memcpy(wire + PAYLOAD, batch.trailers[i], batch.len[i]);
                struct pw_span whole = {wire, PAYLOAD + batch.len[i]};
                assert_int_equal(pw_trailer_at_end(whole), batch.len[i]);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_of_any_size_verifies_for_one_signature),
        cmocka_unit_test(the_order_of_arrival_does_not_matter),
        cmocka_unit_test(any_suite_is_signed_by_the_same_calls),
        cmocka_unit_test(a_full_batch_takes_no_more),
        cmocka_unit_test(slots_stay_until_the_next_message_is_added),
        cmocka_unit_test(a_lone_message_leaves_the_open_batch_as_it_is),
        cmocka_unit_test(numbers_that_were_given_are_not_given_again),
        cmocka_unit_test(no_bit_can_change_whatever_is_known),
        cmocka_unit_test(memory_never_changes_an_answer),
        cmocka_unit_test(the_roots_used_last_are_remembered),
        cmocka_unit_test(a_message_that_is_alone_is_not_remembered),
        cmocka_unit_test(a_forgery_costs_one_verification_and_pushes_nothing_out),
        cmocka_unit_test(yesterdays_messages_push_nothing_out),
        cmocka_unit_test(a_revoked_key_is_refused_whatever_is_remembered),
        cmocka_unit_test(a_remembered_root_is_its_keys_alone),
        cmocka_unit_test(a_message_of_a_sibling_is_told_and_not_remembered),
        cmocka_unit_test(a_trailer_is_found_behind_any_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
