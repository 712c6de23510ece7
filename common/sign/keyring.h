/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a folder.
 */
#ifndef PW_COMMON_SIGN_KEYRING_H
#define PW_COMMON_SIGN_KEYRING_H

#include "common/base/err.h"
#include "common/sign/key.h"

struct pw_keyring;

/* An empty ring; NULL when out of memory. */
struct pw_keyring *pw_keyring_new(void);

/*
 * Every *.pwkey file of the folder `dir`, in byte order of file name; hidden files are left
 * out. NULL with a sentence in `why` that names the file and the remedy: a file others can
 * read, a broken file, two keys of one name or one key twice, no such folder.
 */
struct pw_keyring *pw_keyring_load(const char *dir, struct pw_why *why);

/* Wipe and release all keys. *ring becomes NULL; a NULL *ring is fine. */
void pw_keyring_free(struct pw_keyring **ring);

/*
 * Take ownership of *key, which becomes NULL. PW_E_CONFIG (a key of that name, or the same
 * key, is there already) and PW_E_NOMEM leave it with the caller.
 */
PW_CHECK_RESULT enum pw_err pw_keyring_add(struct pw_keyring *ring, struct pw_key **key);

size_t pw_keyring_count(const struct pw_keyring *ring);
const struct pw_key *pw_keyring_at(const struct pw_keyring *ring, size_t index);

/* By name (`id:` line), or by the 8-byte key id of the wire; NULL when there is none. */
const struct pw_key *pw_keyring_find(const struct pw_keyring *ring, const char *name);
const struct pw_key *pw_keyring_find_id(const struct pw_keyring *ring,
                                        const uint8_t id[static 8]);

#endif
