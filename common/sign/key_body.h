/* SPDX-License-Identifier: Apache-2.0
 *
 * What a key is made of; for this folder only.
 */
#ifndef PW_COMMON_SIGN_KEY_BODY_H
#define PW_COMMON_SIGN_KEY_BODY_H

#include <limits.h>
#include <stdatomic.h>
#include <sys/stat.h>

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
    enum pw_key_status status;
    struct pw_key_validity validity;
    bool bare;
    char file[NAME_MAX + 1];
    atomic_bool revoked; /* the list may name it while relays use it */
    uint8_t id[PW_KEY_ID];
    uint8_t public_key[PW_KEY_BYTES]; /* of a pair */

    /*
     * sodium_malloc memory, read-only once filled; NULL in the public half of a pair.
     * A pair keeps seed and public key here, the 64 bytes that libsodium signs with. It
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

/* Check the parts and make a key of them, active for ever; NULL with a sentence in `why`.
 */
struct pw_key *pw_key_from(const struct pw_key_parts *parts, struct pw_why *why);

/*
 * Open a file of the key folder, through one descriptor to be judged and read: no links but
 * those of a mounted Kubernetes secret. -1 with a sentence in `why`, errno ENOENT when
 * there is no such file.
 */
int pw_key_open(const char *path, struct pw_why *why);

/* Refuse what is no file, and what others may write or exchange. `info` is of the open
 * file.
 */
PW_CHECK_RESULT enum pw_err pw_key_check_place(const char *path, const struct stat *info,
                                               struct pw_why *why);

/*
 * Put `text` in the place of the file `path` as pw_key_replace does; where there is none,
 * make it with `mode` for the owner of the folder. The caller holds pw_keyring_lock.
 */
PW_CHECK_RESULT enum pw_err pw_key_write(const char *path, struct pw_span text, mode_t mode,
                                         struct pw_why *why);

#endif
