/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys at work. One ring of keys is in force; when the key folder has changed, the next
 * one is made beside it, and each channel takes it over between two of its messages.
 * README.md in this folder tells what that promises.
 */
#ifndef PW_PROXY_KEYS_H
#define PW_PROXY_KEYS_H

#include <stdatomic.h>

#include "common/base/json.h"
#include "common/settings/settings.h"
#include "common/sign/foreign.h"
#include "common/sign/sign.h"

/* What one channel verifies and signs with, all of one ring. */
struct pw_channel_keys {
    struct pw_keyring *ring;      /* a share */
    struct pw_verifier *verifier; /* NULL when verify is off */
    struct pw_signer *signer;     /* NULL when nothing is signed */
    struct pw_foreign *foreign;   /* instead of both, in another program's layout */
    unsigned generation;          /* 1 for the keys of the start, then one more each */
};

/* Where the next keys of a channel wait for its thread. */
struct pw_keys_box {
    _Atomic(struct pw_channel_keys *) next; /* NULL, or to be taken; either thread's */
    struct pw_channel_keys *now;            /* the channel's thread's, once it runs */
    atomic_uint generation;                 /* that of `now`, for every thread */
};

/*
 * For the channel's thread, between two messages: the keys to use from now on, or NULL
 * while they are what they were. What was used before is gone when this returns; a signer
 * with the same key goes on counting.
 */
const struct pw_channel_keys *pw_keys_take(struct pw_keys_box *box);

struct pw_keys;

/*
 * Check `settings` (pw_check_settings), and make the first keys of every channel. NULL with
 * a sentence in `why`. `settings` is borrowed.
 */
struct pw_keys *pw_keys_open(const struct pw_settings *settings, struct pw_why *why);

/* When no channel's thread runs any more. *keys becomes NULL; a NULL *keys is fine. */
void pw_keys_close(struct pw_keys **keys);

/* The box of a channel, by its number in the settings; `now` is filled. */
struct pw_keys_box *pw_keys_box(struct pw_keys *keys, size_t channel);

enum pw_keys_news {
    PW_KEYS_SAME,    /* nothing to tell */
    PW_KEYS_NEW,     /* the boxes are filled: wake the channels */
    PW_KEYS_REFUSED, /* the folder is not in order: the last good keys stay, `why` tells */
};

/*
 * Look at the key folder, and take it over whole or not at all: each file is read, and each
 * channel's signer and verifier made, before the first box is filled. Only the list of
 * revoked keys counts at once and in any case, as long as it can be read itself. `force`
 * takes the folder over even when it looks as before. The same refusal is told once.
 */
enum pw_keys_news pw_keys_look(struct pw_keys *keys, bool force, struct pw_why *why);

/* Members for the audit line: how many keys there are, which list, and who signs. */
void pw_keys_describe(const struct pw_keys *keys, struct pw_json *json);

/* The generation of the newest keys; a channel has taken them when its box says the same.
 */
unsigned pw_keys_generation(const struct pw_keys *keys);

/* Why the folder was refused when it was last looked at; NULL when it is in order. */
const char *pw_keys_refusal(const struct pw_keys *keys);

/* The key that signs for a channel; NULL when nothing is signed. */
const struct pw_key *pw_keys_signer(const struct pw_keys *keys, size_t channel);

#endif
