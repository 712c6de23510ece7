/* SPDX-License-Identifier: Apache-2.0
 *
 * What a key is made of; for this folder only.
 */
#ifndef PW_COMMON_SIGN_KEY_BODY_H
#define PW_COMMON_SIGN_KEY_BODY_H

#include "common/sign/key.h"

enum {
    PW_KEY_BYTES = 32, /* a symmetric secret, an Ed25519 seed, an Ed25519 public key */
    PW_KEY_ID = 8,
    PW_KEY_NAME_MAX = 64,
    PW_KEY_CHANNEL_MAX = 255,
    PW_KEY_FILE_MAX = 4096,
};

struct pw_key {
    enum pw_suite suite;
    enum pw_role role;
    char name[PW_KEY_NAME_MAX + 1];
    char channel[PW_KEY_CHANNEL_MAX + 1];
    uint8_t id[PW_KEY_ID];
    uint8_t public_key[PW_KEY_BYTES]; /* Ed25519 only */

    /*
     * sodium_malloc memory, read-only once filled; NULL in the public half of a pair.
     * Ed25519 keeps seed and public key here, the 64 bytes that libsodium signs with. It
     * stays readable: the ring is shared between threads, and closing the pages between
     * uses would cost two system calls a message.
     */
    uint8_t *secret;
};

/* What a key is built from. Wipe it afterwards. */
struct pw_key_parts {
    enum pw_suite suite;
    enum pw_role role;
    struct pw_span name;
    struct pw_span channel;
    bool is_public; /* `bytes` are the public key of a pair */
    uint8_t bytes[PW_KEY_BYTES];
};

/* Check the parts and make a key of them; NULL with a sentence in `why`. */
struct pw_key *pw_key_from(const struct pw_key_parts *parts, struct pw_why *why);

#endif
