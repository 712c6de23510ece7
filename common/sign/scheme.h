/* SPDX-License-Identifier: Apache-2.0
 *
 * One suite: how a tag is made and checked. Each suite is one const struct in a file of its
 * own; the algorithm is always the key's, never the message's.
 */
#ifndef PW_COMMON_SIGN_SCHEME_H
#define PW_COMMON_SIGN_SCHEME_H

#include <sodium.h>

#include "common/base/cursor.h"
#include "common/sign/key_body.h"
#include "common/sign/merkle.h"

/* A message on its way into a tag. */
union pw_hash {
    crypto_auth_hmacsha256_state hmac;
    crypto_generichash_state blake2b;
};

struct pw_scheme {
    const char *name; /* of the suite, as key files and commands spell it */
    size_t tag_len;   /* of a message that is signed alone */
    size_t batch;     /* the most messages that one signature covers */
    bool symmetric;   /* who can verify can sign */

    /* An empty message; `key` is the channel's key, empty for a suite with key pairs. */
    void (*start)(union pw_hash *hash, struct pw_span key);
    void (*absorb)(union pw_hash *hash, struct pw_span bytes);

    /* End a message of a batch: its leaf. NULL where `batch` is 1. */
    void (*finish)(union pw_hash *hash, struct pw_node *leaf);

    /*
     * End a message that is alone. `key` is borrowed by suites with key pairs, ignored by
     * the others. A tag of another length than pw_tag_len says does not fit.
     */
    void (*sign)(union pw_hash *hash, const struct pw_key *key, uint8_t *tag);
    bool (*fits)(union pw_hash *hash, const struct pw_key *key, struct pw_span tag);
};

extern const struct pw_scheme pw_scheme_hmac_sha256;
extern const struct pw_scheme pw_scheme_ed25519;
extern const struct pw_scheme pw_scheme_blake2b;
extern const struct pw_scheme pw_scheme_ed25519_batch;

/* The row of a suite; NULL for a number that names none. */
const struct pw_scheme *pw_scheme_of(unsigned suite);

/*
 * How long a tag of this suite is that ends in the bytes `end`, of which at least the last
 * two are there; 0 when no tag ends so.
 */
size_t pw_tag_len(const struct pw_scheme *scheme, struct pw_span end);

#endif
