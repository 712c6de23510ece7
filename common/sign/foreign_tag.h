/* SPDX-License-Identifier: Apache-2.0
 *
 * HMAC-SHA-256 (RFC 2104) as other programs use it: the key as it is, over nothing but
 * bytes of the message.
 */
#ifndef PW_COMMON_SIGN_FOREIGN_TAG_H
#define PW_COMMON_SIGN_FOREIGN_TAG_H

#include "common/sign/scheme.h"

enum {
    PW_FOREIGN_TAG = crypto_auth_hmacsha256_BYTES,
    PW_FOREIGN_DIGITS = 2 * PW_FOREIGN_TAG,
};

/* A hash state that has taken the key; a secret. Keep it in sodium_malloc memory. */
struct pw_foreign_key {
    union pw_hash start;
};

/*
 * Take a key of any length. False, and nothing is taken, when it is empty: programs read
 * that as "do not check at all".
 */
PW_CHECK_RESULT bool pw_foreign_key_fill(struct pw_foreign_key *ready, struct pw_span key);

/*
 * The tag over `count` parts, one behind the other with nothing between them: 32 bytes, or
 * (`digits`) the 64 lower-case hexadecimal digits of them. `work` is the caller's scratch,
 * in sodium_malloc memory too.
 */
void pw_foreign_key_sign(const struct pw_foreign_key *ready, union pw_hash *work,
                         const struct pw_span *parts, size_t count, bool digits,
                         uint8_t out[static PW_FOREIGN_DIGITS]);

/* Whether `tag` is that; a tag of another length is not. Takes as long either way. */
PW_CHECK_RESULT bool pw_foreign_key_fits(const struct pw_foreign_key *ready,
                                         union pw_hash *work, const struct pw_span *parts,
                                         size_t count, bool digits, struct pw_span tag);

#endif
