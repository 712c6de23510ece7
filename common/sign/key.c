/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/key.h"

#include <fnmatch.h>
#include <stdlib.h>

#include <sodium.h>

#include "common/sign/key_body.h"
#include "common/sign/scheme.h"

static const char name_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz"
                                   "0123456789._-";

/* A leading dot would hide the key's file from a listing and from the ring. */
static bool
is_name(struct pw_span name)
{
    if (name.len == 0 || name.len > PW_KEY_NAME_MAX || name.ptr[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '\0' || strchr(name_letters, name.ptr[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool
is_pattern(struct pw_span pattern)
{
    if (pattern.len > PW_KEY_CHANNEL_MAX) {
        return false;
    }
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] < ' ' || pattern.ptr[i] > '~') {
            return false;
        }
    }
    return true;
}

static enum pw_err
check_parts(const struct pw_key_parts *parts, struct pw_why *why)
{
    const struct pw_scheme *scheme = pw_scheme_of(parts->suite);
    if (scheme == NULL) {
        return pw_fail(why, PW_E_FORMAT,
                       "no such suite; use ed25519, ed25519-batch, hmac-sha256 or blake2b");
    }
    if (!is_name(parts->name)) {
        return pw_fail(
            why, PW_E_FORMAT,
            "a key's name is 1 to %d of A-Z a-z 0-9 . _ - and begins with no dot",
            PW_KEY_NAME_MAX);
    }
    if (!is_pattern(parts->channel)) {
        return pw_fail(why, PW_E_FORMAT,
                       "a channel pattern is at most %d characters of printable ASCII",
                       PW_KEY_CHANNEL_MAX);
    }
    if (parts->is_public && (scheme->symmetric || parts->role == PW_ROLE_SIGN)) {
        return pw_fail(why, PW_E_FORMAT,
                       "a public key is for \"suite: ed25519\" or \"ed25519-batch\" with "
                       "\"role: verify\"");
    }
    if (!parts->is_public && !scheme->symmetric && parts->role == PW_ROLE_VERIFY) {
        return pw_fail(why, PW_E_FORMAT,
                       "a verifying %s key holds no secret; export its public half with "
                       "picklewall key public",
                       scheme->name);
    }
    /* All zeros is what an unset variable or an empty disk block makes of a key. */
    if (sodium_is_zero(parts->bytes, sizeof parts->bytes)) {
        return pw_fail(why, PW_E_FORMAT,
                       "the key is all zeros; make one with picklewall key new");
    }
    if (parts->is_public && crypto_core_ed25519_is_valid_point(parts->bytes) == 0) {
        return pw_fail(why, PW_E_FORMAT,
                       "not the public key of any %s key; export it again with "
                       "picklewall key public",
                       scheme->name);
    }
    return PW_E_OK;
}

static bool
fill_secret(struct pw_key *key, const uint8_t bytes[static PW_KEY_BYTES])
{
    bool pair = pw_suite_is_pair(key->suite);
    key->secret = sodium_malloc(pair ? crypto_sign_SECRETKEYBYTES : PW_KEY_BYTES);
    if (key->secret == NULL) {
        return false;
    }
    if (pair) {
        crypto_sign_seed_keypair(key->public_key, key->secret, bytes);
    } else {
        memcpy(key->secret, bytes, PW_KEY_BYTES);
    }
    sodium_mprotect_readonly(key->secret);
    return true;
}

/* The suite is hashed too, so that one secret under two suites has two ids. */
static void
fill_id(struct pw_key *key)
{
    static const char context[] = "picklewall/keyid/v1"; /* with its NUL */
    bool pair = pw_suite_is_pair(key->suite);
    uint8_t suite = (uint8_t)key->suite;
    uint8_t digest[crypto_generichash_BYTES];
    crypto_generichash_state state;
    crypto_generichash_init(&state, pair ? NULL : key->secret, pair ? 0 : PW_KEY_BYTES,
                            sizeof digest);
    crypto_generichash_update(&state, (const uint8_t *)context, sizeof context);
    crypto_generichash_update(&state, &suite, sizeof suite);
    crypto_generichash_update(&state, key->public_key, pair ? PW_KEY_BYTES : 0);
    crypto_generichash_final(&state, digest, sizeof digest);
    memcpy(key->id, digest, sizeof key->id);
    sodium_memzero(&state, sizeof state);
}

static void
copy_text(char *out, struct pw_span text)
{
    if (text.len > 0) {
        memcpy(out, text.ptr, text.len);
    }
    out[text.len] = '\0';
}

struct pw_key *
pw_key_from(const struct pw_key_parts *parts, struct pw_why *why)
{
    if (sodium_init() < 0) {
        (void)pw_fail(why, PW_E_CRYPTO,
                      "libsodium cannot start: no source of random bytes");
        return NULL;
    }
    if (check_parts(parts, why) != PW_E_OK) {
        return NULL;
    }
    struct pw_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    key->suite = parts->suite;
    key->role = parts->role;
    key->status = PW_KEY_ACTIVE;
    key->validity.until = PW_KEY_FOR_EVER;
    copy_text(key->name, parts->name);
    copy_text(key->channel, parts->channel);
    if (parts->is_public) {
        memcpy(key->public_key, parts->bytes, sizeof key->public_key);
    } else if (!fill_secret(key, parts->bytes)) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        pw_key_free(&key);
        return NULL;
    }
    fill_id(key);
    return key;
}

struct pw_key *
pw_key_new(enum pw_suite suite, const char *name, struct pw_why *why)
{
    if (sodium_init() < 0) { /* before the first random byte */
        (void)pw_fail(why, PW_E_CRYPTO,
                      "libsodium cannot start: no source of random bytes");
        return NULL;
    }
    struct pw_key_parts parts = {
        .suite = suite,
        .role = PW_ROLE_SIGN,
        .name = pw_span_str(name),
    };
    randombytes_buf(parts.bytes, sizeof parts.bytes);
    struct pw_key *key = pw_key_from(&parts, why);
    sodium_memzero(&parts, sizeof parts);
    return key;
}

struct pw_key *
pw_key_public(const struct pw_key *key)
{
    if (!pw_suite_is_pair(key->suite)) {
        return NULL;
    }
    struct pw_key_parts parts = {
        .suite = key->suite,
        .role = PW_ROLE_VERIFY,
        .name = pw_span_str(key->name),
        .channel = pw_span_str(key->channel),
        .is_public = true,
    };
    memcpy(parts.bytes, key->public_key, sizeof parts.bytes);
    struct pw_key *half = pw_key_from(&parts, NULL);
    if (half != NULL) {
        half->status = pw_key_status(key);
        half->validity = key->validity;
    }
    return half;
}

void
pw_key_free(struct pw_key **key)
{
    if (*key == NULL) {
        return;
    }
    sodium_free((*key)->secret); /* makes it writable and wipes it */
    free(*key);
    *key = NULL;
}

enum pw_err
pw_key_set_channel(struct pw_key *key, const char *pattern, struct pw_why *why)
{
    struct pw_span text = pw_span_str(pattern);
    if (!is_pattern(text)) {
        return pw_fail(why, PW_E_FORMAT,
                       "a channel pattern is at most %d characters of printable ASCII",
                       PW_KEY_CHANNEL_MAX);
    }
    copy_text(key->channel, text);
    return PW_E_OK;
}

void
pw_key_set_status(struct pw_key *key, enum pw_key_status status)
{
    key->status = status;
}

enum pw_err
pw_key_set_validity(struct pw_key *key, struct pw_key_validity validity, struct pw_why *why)
{
    if (validity.until <= validity.from) {
        return pw_fail(why, PW_E_FORMAT,
                       "not_after: is not later than not_before; correct one of them");
    }
    key->validity = validity;
    return PW_E_OK;
}

const char *
pw_key_name(const struct pw_key *key)
{
    return key->name;
}

enum pw_suite
pw_key_suite(const struct pw_key *key)
{
    return key->suite;
}

enum pw_role
pw_key_role(const struct pw_key *key)
{
    return key->role;
}

const uint8_t *
pw_key_id(const struct pw_key *key)
{
    return key->id;
}

const uint8_t *
pw_key_public_bytes(const struct pw_key *key)
{
    return pw_suite_is_pair(key->suite) ? key->public_key : NULL;
}

bool
pw_key_sign_text(const struct pw_key *key, struct pw_span text, uint8_t out[static 64])
{
    if (!pw_suite_is_pair(key->suite) || key->secret == NULL) {
        return false;
    }
    crypto_sign_detached(out, NULL, text.ptr, text.len, key->secret);
    return true;
}

const char *
pw_key_channel(const struct pw_key *key)
{
    return key->channel;
}

bool
pw_key_takes(const struct pw_key *key, const char *channel)
{
    return key->channel[0] == '\0' || fnmatch(key->channel, channel, 0) == 0;
}

enum pw_key_status
pw_key_status(const struct pw_key *key)
{
    bool revoked = atomic_load_explicit(&key->revoked, memory_order_relaxed);
    return revoked ? PW_KEY_REVOKED : key->status;
}

struct pw_key_validity
pw_key_validity(const struct pw_key *key)
{
    return key->validity;
}

const char *
pw_key_file(const struct pw_key *key)
{
    return key->file;
}

bool
pw_key_is_bare(const struct pw_key *key)
{
    return key->bare;
}

void
pw_key_revoke(struct pw_key *key)
{
    atomic_store_explicit(&key->revoked, true, memory_order_relaxed);
}

enum pw_reason
pw_key_usable(const struct pw_key *key, uint64_t now_ns, bool for_signing)
{
    enum pw_key_status status = pw_key_status(key);
    if (status == PW_KEY_REVOKED) {
        return PW_R_SIG_REVOKED;
    }
    if (status < (for_signing ? PW_KEY_ACTIVE : PW_KEY_VERIFY_ONLY)) {
        return PW_R_SIG_RETIRED;
    }
    if (now_ns < key->validity.from) {
        return PW_R_SIG_NOT_YET;
    }
    return now_ns < key->validity.until ? PW_R_NONE : PW_R_SIG_KEY_EXPIRED;
}
