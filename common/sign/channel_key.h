/* SPDX-License-Identifier: Apache-2.0
 *
 * A key made ready for one channel and direction, so that a message starts from a copied
 * hash state instead of a derivation. Keep it in sodium_malloc memory: a symmetric one is a
 * secret.
 */
#ifndef PW_COMMON_SIGN_CHANNEL_KEY_H
#define PW_COMMON_SIGN_CHANNEL_KEY_H

#include "common/sign/scheme.h"
#include "common/sign/sign.h"

/* The channel, as it is signed: never sent, both ends know it. */
struct pw_scope {
    uint8_t direction;
    size_t len;
    uint8_t channel[2 + PW_SIGN_CHANNEL_MAX]; /* u16 length, then the name */
};

struct pw_channel_key {
    union pw_hash start; /* keyed, and past the context string */
    const struct pw_scheme *scheme;
    const struct pw_key *key; /* borrowed */
};

/* What a tag is over. */
struct pw_signed {
    struct pw_span head; /* of the trailer */
    const struct pw_scope *scope;
    const struct pw_span *frames;
    size_t count;
};

/* False when the name is longer than PW_SIGN_CHANNEL_MAX. */
PW_CHECK_RESULT bool pw_scope_fill(struct pw_scope *scope, const char *channel,
                                   enum pw_direction direction);

void pw_channel_key_fill(struct pw_channel_key *ready, const struct pw_key *key,
                         const struct pw_scope *scope);

/* `work` is the caller's scratch, in sodium_malloc memory too. */
void pw_channel_key_sign(const struct pw_channel_key *ready, union pw_hash *work,
                         const struct pw_signed *text, uint8_t *tag);
bool pw_channel_key_fits(const struct pw_channel_key *ready, union pw_hash *work,
                         const struct pw_signed *text, struct pw_span tag);

/* The leaf of a message of a batch; for suites that have batches. */
void pw_channel_key_leaf(const struct pw_channel_key *ready, union pw_hash *work,
                         const struct pw_signed *text, struct pw_node *leaf);

#endif
