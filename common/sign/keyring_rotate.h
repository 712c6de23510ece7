/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of a key folder, so that whoever reads it sees all of a change or nothing.
 */
#ifndef PW_COMMON_SIGN_KEYRING_ROTATE_H
#define PW_COMMON_SIGN_KEYRING_ROTATE_H

#include "common/sign/keyring.h"

/* What a change was about; `ring` is the folder as it is now. */
struct pw_rotation {
    struct pw_keyring *ring; /* the caller's to free; NULL after an error */
    const struct pw_key *from;
    const struct pw_key *to;
    bool made; /* there was no key `to` before */
};

/*
 * Let the key `to` sign instead of `from`, in the folder `dir`: `to`, which is verify_only,
 * or is made like `from` (suite, channels) when there is none, becomes active; `from`
 * becomes verify_only when it was active. The folder is locked meanwhile, so
 * pw_keyring_load, which waits, sees neither two active keys nor none. `to` is written
 * first: if the machine stops between the two, both are active, and the same call again
 * completes it. PW_E_CONFIG when the folder is not in order, or one of the keys cannot take
 * part; PW_E_BUSY, and what pw_key_replace says.
 */
PW_CHECK_RESULT enum pw_err pw_keyring_rotate(const char *dir, const char *from,
                                              const char *to, struct pw_rotation *out,
                                              struct pw_why *why);

/* What was revoked. */
struct pw_revocation {
    uint8_t id[8];
    char name[65];    /* "" when no key of the folder has the id */
    uint64_t version; /* of the list now */
    bool was_active;  /* and so nobody signs in its place */
    /* The sentence of a folder that is not in order otherwise; the list counts all the
     * same.
     */
    struct pw_why folder;
};

/*
 * Put a key on the list of the folder `dir`: `which` is its name, or its 16-digit id, which
 * need not be in the folder. PW_E_NO_INPUT when it is neither; PW_E_CONFIG when a name is
 * asked of a folder that cannot be read; what pw_revoked_add says.
 */
PW_CHECK_RESULT enum pw_err pw_keyring_revoke_in(const char *dir, const char *which,
                                                 struct pw_revocation *out,
                                                 struct pw_why *why);

#endif
