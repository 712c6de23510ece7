/* SPDX-License-Identifier: Apache-2.0
 *
 * The tag of ed25519-batch: one signature of the root of a tree, and the way there from the
 * message. README.md in this folder specifies the bytes.
 */
#ifndef PW_COMMON_SIGN_BATCH_H
#define PW_COMMON_SIGN_BATCH_H

#include <sodium.h>

#include "common/base/cursor.h"
#include "common/sign/key_body.h"
#include "common/sign/merkle.h"

enum {
    PW_BATCH_SIGNATURE = crypto_sign_BYTES,
    PW_BATCH_PLACE = 2, /* the bytes at the end: index, size - 1 */
    PW_BATCH_TAG_MIN = PW_BATCH_SIGNATURE + PW_BATCH_PLACE,
};

/* Borrows from the bytes that it was read from. */
struct pw_batch_tag {
    const uint8_t *signature;
    const uint8_t *path;
    unsigned index;
    unsigned size;
};

/*
 * How long a tag is that ends in these bytes; 0 when they end in no place of a message. At
 * least PW_BATCH_PLACE bytes are needed, and more may stand in front.
 */
size_t pw_batch_tag_len(struct pw_span end);

/* False for a tag of another length than its place asks for. */
PW_CHECK_RESULT bool pw_batch_tag_read(struct pw_span tag, struct pw_batch_tag *out);

/* Sign the root of `size` messages. */
void pw_batch_sign(const struct pw_key *key, const struct pw_node *root, unsigned size,
                   uint8_t signature[static PW_BATCH_SIGNATURE]);

/* Whether the root of `size` messages was signed so. */
bool pw_batch_signed(const struct pw_key *key, const struct pw_node *root, unsigned size,
                     const uint8_t signature[static PW_BATCH_SIGNATURE]);

#endif
