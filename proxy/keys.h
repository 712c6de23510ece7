/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and settings at work. One ring of keys and one configuration are in force; when the
 * key folder has changed, or other settings are ordered, the terms of every channel are
 * made beside them (terms.h), and each channel takes its own between two of its messages.
 * README.md in this folder tells what that promises.
 */
#ifndef PW_PROXY_KEYS_H
#define PW_PROXY_KEYS_H

#include "common/base/json.h"
#include "common/settings/settings.h"
#include "common/sign/sign.h"
#include "proxy/config.h"
#include "proxy/terms.h"

struct pw_keys;

/*
 * Check `settings` (pw_check_settings), and make the first terms of every channel. NULL
 * with a sentence in `why`. `settings` is borrowed.
 */
struct pw_keys *pw_keys_open(const struct pw_settings *settings, struct pw_why *why);

/* When no channel's thread runs any more. *keys becomes NULL; a NULL *keys is fine. */
void pw_keys_close(struct pw_keys **keys);

/*
 * The box of a channel, by its number in the settings of the start; `now` is filled.
 */
struct pw_terms_box *pw_keys_box(struct pw_keys *keys, size_t channel);

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

/*
 * Take over other settings, and the key folder with them, whole or not at all: all is
 * checked as at a start (pw_check_settings), and each channel's terms are made, before the
 * first box is filled. A channel that `next` does not have goes on by its old settings;
 * one that is new there does not run. *next is taken over, and freed after an error, which
 * has a sentence in `why`.
 */
PW_CHECK_RESULT enum pw_err pw_keys_change(struct pw_keys *keys, struct pw_config **next,
                                           struct pw_why *why);

/* The settings in force: of the last change, or of the start. Until the next change. */
const struct pw_settings *pw_keys_settings(const struct pw_keys *keys);

/* What a channel goes by, or will with its next message. Until the next change. */
const struct pw_channel *pw_keys_channel(const struct pw_keys *keys, size_t channel);

/* Members for the audit line: how many keys there are, which list, and who signs. */
void pw_keys_describe(const struct pw_keys *keys, struct pw_json *json);

/* The newest generation; a channel has taken it when its box says the same. */
unsigned pw_keys_generation(const struct pw_keys *keys);

/* All that are in force; NULL when no folder is set. Until the next look. */
const struct pw_keyring *pw_keys_ring(const struct pw_keys *keys);

/* Why the folder was refused when it was last looked at; NULL when it is in order. */
const char *pw_keys_refusal(const struct pw_keys *keys);

/* The key that signs for a channel; NULL when nothing is signed. */
const struct pw_key *pw_keys_signer(const struct pw_keys *keys, size_t channel);

#endif
