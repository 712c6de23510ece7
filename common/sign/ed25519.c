/* SPDX-License-Identifier: Apache-2.0
 *
 * Ed25519 over a BLAKE2b-512 digest. Plain Ed25519 reads a message twice to sign it;
 * hashing first makes a large message four times cheaper and lets frames stream.
 */
#include "common/sign/scheme.h"

/* The NUL is part of it. */
static const char context[] = "picklewall/ed25519/v1";

enum { DIGEST = crypto_generichash_BYTES_MAX, SIGNED = sizeof context + DIGEST };

static void
start(union pw_hash *hash, struct pw_span key)
{
    (void)key; /* the digest has none: everyone may compute it */
    crypto_generichash_init(&hash->blake2b, NULL, 0, DIGEST);
}

static void
absorb(union pw_hash *hash, struct pw_span bytes)
{
    crypto_generichash_update(&hash->blake2b, bytes.ptr, bytes.len);
}

static void
finish(union pw_hash *hash, uint8_t out[static SIGNED])
{
    memcpy(out, context, sizeof context);
    crypto_generichash_final(&hash->blake2b, out + sizeof context, DIGEST);
}

static void
sign(union pw_hash *hash, const struct pw_key *key, uint8_t *tag)
{
    uint8_t text[SIGNED];
    finish(hash, text);
    crypto_sign_detached(tag, NULL, text, sizeof text, key->secret);
}

static bool
fits(union pw_hash *hash, const struct pw_key *key, struct pw_span tag)
{
    uint8_t text[SIGNED];
    finish(hash, text);
    return tag.len == crypto_sign_BYTES &&
           crypto_sign_verify_detached(tag.ptr, text, sizeof text, key->public_key) == 0;
}

const struct pw_scheme pw_scheme_ed25519 = {
    .name = "ed25519",
    .tag_len = crypto_sign_BYTES,
    .batch = 1,
    .symmetric = false,
    .start = start,
    .absorb = absorb,
    .sign = sign,
    .fits = fits,
};
