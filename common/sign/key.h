/* SPDX-License-Identifier: Apache-2.0
 *
 * One key: its file and its bytes. Secrets live in sodium_malloc memory.
 */
#ifndef PW_COMMON_SIGN_KEY_H
#define PW_COMMON_SIGN_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/err.h"

/* Numbers of the wire; 0 is none. */
enum pw_suite { PW_SUITE_HMAC_SHA256 = 1, PW_SUITE_ED25519 = 2, PW_SUITE_BLAKE2B = 3 };
enum pw_role { PW_ROLE_SIGN, PW_ROLE_VERIFY };

struct pw_key;

/*
 * Make a key that signs, for any channel. `name` is 1 to 64 of [A-Za-z0-9._-] and begins
 * with no dot. NULL with `why`.
 */
struct pw_key *pw_key_new(enum pw_suite suite, const char *name, struct pw_why *why);

/* The verifying half of an Ed25519 key (a copy); NULL for symmetric keys or out of memory.
 */
struct pw_key *pw_key_public(const struct pw_key *key);

/* Wipe and release. *key becomes NULL; a NULL *key is fine. */
void pw_key_free(struct pw_key **key);

/* Give the key a `channel:` pattern. PW_E_FORMAT leaves it as it was. */
PW_CHECK_RESULT enum pw_err pw_key_set_channel(struct pw_key *key, const char *pattern,
                                               struct pw_why *why);

/* Parse the text of a key file. NULL with a sentence in `why` that starts with the line
 * number. */
struct pw_key *pw_key_parse(struct pw_span text, struct pw_why *why);

/* Append the text of the key's file to `out`, in one piece (wipe it afterwards). */
PW_CHECK_RESULT enum pw_err pw_key_format(const struct pw_key *key, struct pw_buf *out);

/*
 * Read a key file. Refuses one that others may write, and a secret that others may read
 * (rules in README.md). NULL with `why`.
 */
struct pw_key *pw_key_load(const char *path, struct pw_why *why);

/* Create DIR/NAME.pwkey 0600 (and DIR 0700 when absent); PW_E_CREATE when the file exists.
 */
PW_CHECK_RESULT enum pw_err pw_key_save(const struct pw_key *key, const char *dir,
                                        struct pw_why *why);

const char *pw_key_name(const struct pw_key *key);
enum pw_suite pw_key_suite(const struct pw_key *key);
enum pw_role pw_key_role(const struct pw_key *key);
const uint8_t *pw_key_id(const struct pw_key *key);   /* 8 bytes */
const char *pw_key_channel(const struct pw_key *key); /* the pattern; "" means any */

/* The key's `channel:` pattern (fnmatch; empty means any) takes this channel. */
bool pw_key_takes(const struct pw_key *key, const char *channel);

/* "hmac-sha256", "ed25519", "blake2b"; NULL for an unknown suite; 0 for an unknown text. */
const char *pw_suite_text(enum pw_suite suite);
enum pw_suite pw_suite_parse(const char *text);

#endif
