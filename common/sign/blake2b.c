/* SPDX-License-Identifier: Apache-2.0
 *
 * Keyed BLAKE2b-256: the fast suite where both ends are ours.
 */
#include "common/sign/scheme.h"

enum { TAG = crypto_generichash_BYTES };

static void
start(union pw_hash *hash, struct pw_span key)
{
    crypto_generichash_init(&hash->blake2b, key.ptr, key.len, TAG);
}

static void
absorb(union pw_hash *hash, struct pw_span bytes)
{
    crypto_generichash_update(&hash->blake2b, bytes.ptr, bytes.len);
}

static void
sign(union pw_hash *hash, const struct pw_key *key, uint8_t *tag)
{
    (void)key; /* it is in the state since `start` */
    crypto_generichash_final(&hash->blake2b, tag, TAG);
}

static bool
fits(union pw_hash *hash, const struct pw_key *key, struct pw_span tag)
{
    uint8_t expected[TAG];
    sign(hash, key, expected);
    bool same = tag.len == sizeof expected &&
                sodium_memcmp(expected, tag.ptr, sizeof expected) == 0;
    sodium_memzero(expected, sizeof expected); /* it would sign a forger's message */
    return same;
}

const struct pw_scheme pw_scheme_blake2b = {
    .name = "blake2b",
    .tag_len = TAG,
    .batch = 1,
    .symmetric = true,
    .start = start,
    .absorb = absorb,
    .sign = sign,
    .fits = fits,
};
