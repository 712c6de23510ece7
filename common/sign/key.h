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
#include "common/base/reason.h"

/* Numbers of the wire; 0 is none. */
enum pw_suite {
    PW_SUITE_HMAC_SHA256 = 1,
    PW_SUITE_ED25519 = 2,
    PW_SUITE_BLAKE2B = 3,
    PW_SUITE_ED25519_BATCH = 4,
};
enum pw_role { PW_ROLE_SIGN, PW_ROLE_VERIFY };

/* What a key may still do: the `status:` line of its file. */
enum pw_key_status {
    PW_KEY_REVOKED,     /* nothing: somebody else may hold it */
    PW_KEY_RETIRED,     /* nothing: its time is over */
    PW_KEY_VERIFY_ONLY, /* verify: not the turn to sign yet, or not any more */
    PW_KEY_ACTIVE,      /* verify, and sign when its role is to sign */
    PW_KEY_STATUSES,
};

/* Good from `from` until just before `until`; wall clock, ns since 1970. */
struct pw_key_validity {
    uint64_t from;  /* 0: always was */
    uint64_t until; /* PW_KEY_FOR_EVER: no end */
};

#define PW_KEY_FOR_EVER UINT64_MAX

struct pw_key;

/*
 * Make a key that signs, for any channel. `name` is 1 to 64 of [A-Za-z0-9._-] and begins
 * with no dot. NULL with `why`.
 */
struct pw_key *pw_key_new(enum pw_suite suite, const char *name, struct pw_why *why);

/* A key of this suite is a pair of which one half only verifies. */
bool pw_suite_is_pair(enum pw_suite suite);

/* The verifying half of a pair (a copy); NULL for symmetric keys or out of memory. */
struct pw_key *pw_key_public(const struct pw_key *key);

/* Wipe and release. *key becomes NULL; a NULL *key is fine. */
void pw_key_free(struct pw_key **key);

/* Give the key a `channel:` pattern. PW_E_FORMAT leaves it as it was. */
PW_CHECK_RESULT enum pw_err pw_key_set_channel(struct pw_key *key, const char *pattern,
                                               struct pw_why *why);

/*
 * Say what the key may do from now on; not for a key that another thread uses. A validity
 * that ends before it begins is PW_E_FORMAT and leaves the key as it was.
 */
void pw_key_set_status(struct pw_key *key, enum pw_key_status status);
PW_CHECK_RESULT enum pw_err pw_key_set_validity(struct pw_key *key,
                                                struct pw_key_validity validity,
                                                struct pw_why *why);

/* Parse the text of a key file. NULL with a sentence in `why` that starts with the line
 * number. */
struct pw_key *pw_key_parse(struct pw_span text, struct pw_why *why);

/*
 * Parse a bare key: 64 hexadecimal digits, with one line end or none behind them. It is an
 * hmac-sha256 key that signs, named `name`, for the layouts of other programs only (see
 * pw_key_is_bare). NULL like pw_key_parse.
 */
struct pw_key *pw_key_parse_hex(struct pw_span text, const char *name, struct pw_why *why);

/* Append the text of the key's file to `out`, in one piece (wipe it afterwards). */
PW_CHECK_RESULT enum pw_err pw_key_format(const struct pw_key *key, struct pw_buf *out);

/*
 * Append a file of keys in another program's format to `out`, with the same care: no links
 * but those of a mounted secret, nothing that others may write or exchange, and nothing
 * that others may read when it is `secret`. Errors name the file and the remedy.
 */
PW_CHECK_RESULT enum pw_err pw_key_read_file(const char *path, bool secret,
                                             struct pw_buf *out, struct pw_why *why);

/*
 * Read a key file: a bare key when its name ends in ".hex", which the key is then called
 * by, otherwise the text that pw_key_format makes. Refuses one that others may write, and a
 * secret that others may read (rules in README.md). NULL with `why`.
 */
struct pw_key *pw_key_load(const char *path, struct pw_why *why);

/* Create DIR/NAME.pwkey 0600 (and DIR 0700 when absent); PW_E_CREATE when the file exists.
 */
PW_CHECK_RESULT enum pw_err pw_key_save(const struct pw_key *key, const char *dir,
                                        struct pw_why *why);

/*
 * Put the text of `key` in the place of the key file `path`: a draft beside it, synced and
 * renamed, with the owner and the mode of the old file. Comments of the old file are gone.
 * Errors leave the old file as it was: PW_E_PERM for what is no plain file (a link, as
 * Kubernetes mounts it), PW_E_NO_INPUT, PW_E_CREATE, PW_E_IO.
 */
PW_CHECK_RESULT enum pw_err pw_key_replace(const struct pw_key *key, const char *path,
                                           struct pw_why *why);

const char *pw_key_name(const struct pw_key *key);
enum pw_suite pw_key_suite(const struct pw_key *key);
enum pw_role pw_key_role(const struct pw_key *key);
const uint8_t *pw_key_id(const struct pw_key *key);   /* 8 bytes */
const char *pw_key_channel(const struct pw_key *key); /* the pattern; "" means any */

/* The 32 bytes of a pair's public half; NULL for a symmetric key. */
const uint8_t *pw_key_public_bytes(const struct pw_key *key);

/*
 * Ed25519 (RFC 8032) over the bytes themselves, for formats that say what is signed, such
 * as the notes of common/audit. False for a key that is no pair, or only verifies.
 */
PW_CHECK_RESULT bool pw_key_sign_text(const struct pw_key *key, struct pw_span text,
                                      uint8_t out[static 64]);

/* The file in its folder that it was loaded from, such as "a.pwkey"; "" for a key without.
 */
const char *pw_key_file(const struct pw_key *key);

/* The file's word, or PW_KEY_REVOKED once pw_key_revoke was called. */
enum pw_key_status pw_key_status(const struct pw_key *key);
struct pw_key_validity pw_key_validity(const struct pw_key *key);

/* Read from 64 hexadecimal digits: no PWS1 trailer is made or accepted with it. */
bool pw_key_is_bare(const struct pw_key *key);

/* From now on the key is revoked, in every thread that uses it; there is no way back. */
void pw_key_revoke(struct pw_key *key);

/*
 * Why the key cannot verify (or sign) at `now_ns`, wall clock: PW_R_SIG_REVOKED,
 * PW_R_SIG_RETIRED (for signing also when it is verify_only), PW_R_SIG_NOT_YET,
 * PW_R_SIG_KEY_EXPIRED, in this order; PW_R_NONE when it can. Its role is not asked.
 */
enum pw_reason pw_key_usable(const struct pw_key *key, uint64_t now_ns, bool for_signing);

/* The key's `channel:` pattern (fnmatch; empty means any) takes this channel. */
bool pw_key_takes(const struct pw_key *key, const char *channel);

/*
 * "hmac-sha256", "ed25519", "blake2b", "ed25519-batch"; NULL for an unknown suite; 0 for an
 * unknown text.
 */
const char *pw_suite_text(enum pw_suite suite);
enum pw_suite pw_suite_parse(const char *text);

/* "active", "verify_only", "retired", "revoked"; PW_KEY_STATUSES for an unknown text. */
const char *pw_key_status_text(enum pw_key_status status);
enum pw_key_status pw_key_status_parse(struct pw_span text);

enum { PW_KEY_TIME_TEXT = 21 };

/*
 * "2027-01-31T12:00:00Z", the one spelling of RFC 3339 that key files use: UTC, no
 * fractions. False for any other text, for days that no calendar has, and outside of the
 * years 1970 to 2553.
 */
PW_CHECK_RESULT bool pw_key_time_parse(struct pw_span text, uint64_t *ns);
void pw_key_time_format(uint64_t ns, char out[static PW_KEY_TIME_TEXT]);

#endif
