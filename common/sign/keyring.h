/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a folder.
 */
#ifndef PW_COMMON_SIGN_KEYRING_H
#define PW_COMMON_SIGN_KEYRING_H

#include "common/base/err.h"
#include "common/sign/key.h"
#include "common/sign/keyring_revoked.h"

struct pw_keyring;

/* An empty ring; NULL when out of memory. */
struct pw_keyring *pw_keyring_new(void);

/*
 * Every *.pwkey and *.hex file of the folder `dir`, in byte order of file name; hidden
 * files are left out. What its list of revoked keys names is revoked. NULL with a sentence
 * in `why` that names the file and the remedy: a file others can read, a broken file, two
 * keys of one name or one key twice, no such folder. Waits for a command that is changing
 * the folder, but no longer than half a second.
 */
struct pw_keyring *pw_keyring_load(const char *dir, struct pw_why *why);

/* The same for a caller that holds pw_keyring_lock. */
struct pw_keyring *pw_keyring_read(const char *dir, struct pw_why *why);

/* One more share of the ring, for an owner of its own; the ring itself. Any thread. */
struct pw_keyring *pw_keyring_share(struct pw_keyring *ring);

/*
 * Give up one's share; with the last one all keys are wiped and released. *ring becomes
 * NULL; a NULL *ring is fine. Any thread.
 */
void pw_keyring_free(struct pw_keyring **ring);

/*
 * Take ownership of *key, which becomes NULL. PW_E_CONFIG (a key of that name, or the same
 * key, is there already) and PW_E_NOMEM leave it with the caller.
 */
PW_CHECK_RESULT enum pw_err pw_keyring_add(struct pw_keyring *ring, struct pw_key **key);

/* Revoke the keys of the list, for every thread that uses them; how many it were. */
size_t pw_keyring_revoke(struct pw_keyring *ring, const struct pw_revoked *list);

/* The version of the list that was in the folder; 0 when there was none. */
uint64_t pw_keyring_list_version(const struct pw_keyring *ring);

size_t pw_keyring_count(const struct pw_keyring *ring);
const struct pw_key *pw_keyring_at(const struct pw_keyring *ring, size_t index);

/* By name (`id:` line), or by the 8-byte key id of the wire; NULL when there is none. */
const struct pw_key *pw_keyring_find(const struct pw_keyring *ring, const char *name);
const struct pw_key *pw_keyring_find_id(const struct pw_keyring *ring,
                                        const uint8_t id[static 8]);

/*
 * The key that signs for `channel` at `now_ns`: the one that is called `wanted`; or, when
 * `wanted` holds * or ?, the one key that is active, signs, takes the channel and has a
 * name that fits (fnmatch). NULL with a sentence in `why` that names the keys in question:
 * there is none, or more than one; it may not sign, not here, or not now.
 */
const struct pw_key *pw_keyring_signer(const struct pw_keyring *ring, const char *wanted,
                                       const char *channel, uint64_t now_ns,
                                       struct pw_why *why);

/* What a file of a key folder is, by its name alone; hidden files are PW_KEY_FILE_NONE. */
enum pw_key_file { PW_KEY_FILE_NONE, PW_KEY_FILE_KEY, PW_KEY_FILE_REVOKED };
enum pw_key_file pw_key_file_kind(const char *name);

/*
 * Keep others from reading the folder while it changes: a lock (flock) of the folder, held
 * until the descriptor is closed. Waits up to 2 s for another holder. -1 with a sentence in
 * `why`.
 */
int pw_keyring_lock(const char *dir, struct pw_why *why);

/* What a folder looked like; zeroed, it looks like no other. */
struct pw_keyring_look {
    uint8_t stamps[32];   /* which files, where they lie, when they were changed */
    uint8_t contents[32]; /* what is in them, whose they are and who may read */
    bool settled;         /* all stamps were old enough to tell a later change */
};

/*
 * Look at `dir` again, and remember it. True when its keys or its list may be others than
 * before. Files are read only when a stamp differs or was too young to trust.
 */
bool pw_keyring_changed(const char *dir, struct pw_keyring_look *look);

#endif
