/* SPDX-License-Identifier: Apache-2.0
 *
 * HMAC-SHA-256: the suite every language's standard library can check.
 */
#include "common/sign/scheme.h"

static void
start(union pw_hash *hash, struct pw_span key)
{
    crypto_auth_hmacsha256_init(&hash->hmac, key.ptr, key.len);
}

static void
absorb(union pw_hash *hash, struct pw_span bytes)
{
    crypto_auth_hmacsha256_update(&hash->hmac, bytes.ptr, bytes.len);
}

static void
sign(union pw_hash *hash, const struct pw_key *key, uint8_t *tag)
{
    (void)key; /* it is in the state since `start` */
    crypto_auth_hmacsha256_final(&hash->hmac, tag);
}

static bool
fits(union pw_hash *hash, const struct pw_key *key, struct pw_span tag)
{
    uint8_t expected[crypto_auth_hmacsha256_BYTES];
    sign(hash, key, expected);
    bool same = tag.len == sizeof expected &&
                sodium_memcmp(expected, tag.ptr, sizeof expected) == 0;
    sodium_memzero(expected, sizeof expected); /* it would sign a forger's message */
    return same;
}

const struct pw_scheme pw_scheme_hmac_sha256 = {
    .name = "hmac-sha256",
    .tag_len = crypto_auth_hmacsha256_BYTES,
    .batch = 1,
    .symmetric = true,
    .start = start,
    .absorb = absorb,
    .sign = sign,
    .fits = fits,
};
