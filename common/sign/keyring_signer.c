/* SPDX-License-Identifier: Apache-2.0
 *
 * Which key signs. A pattern instead of a name lets keys take turns without a change of the
 * configuration; the order of files never decides, only what the keys say of themselves.
 */
#include <fnmatch.h>
#include <stdio.h>

#include "common/sign/keyring.h"

enum { NAMES_MAX = 200 };

static bool
is_pattern(const char *wanted)
{
    return strpbrk(wanted, "*?") != NULL;
}

/* How many keys of a fitting name there are; their names, as far as there is room. */
struct matches {
    const struct pw_key *key; /* the last */
    size_t count;
    char names[NAMES_MAX];
};

static void
add_match(struct matches *matches, const struct pw_key *key)
{
    size_t len = strlen(matches->names);
    snprintf(matches->names + len, sizeof matches->names - len, "%s%s",
             len == 0 ? "" : ", ", pw_key_name(key));
    matches->key = key;
    matches->count++;
}

static bool
may_sign(const struct pw_key *key, const char *channel)
{
    return pw_key_role(key) == PW_ROLE_SIGN && pw_key_takes(key, channel);
}

static const struct pw_key *
find_active(const struct pw_keyring *ring, const char *pattern, const char *channel,
            struct pw_why *why)
{
    struct matches active = {0};
    struct matches others = {0};
    for (size_t i = 0; i < pw_keyring_count(ring); i++) {
        const struct pw_key *key = pw_keyring_at(ring, i);
        if (fnmatch(pattern, pw_key_name(key), 0) != 0 || !may_sign(key, channel)) {
            continue;
        }
        add_match(pw_key_status(key) == PW_KEY_ACTIVE ? &active : &others, key);
    }
    if (active.count == 1) {
        return active.key;
    }
    if (active.count > 1) {
        (void)pw_fail(
            why, PW_E_CONFIG,
            "%.64s: %zu keys of this pattern are active (%s); leave one, and make "
            "the others \"status: verify_only\", as picklewall key rotate does",
            pattern, active.count, active.names);
    } else if (others.count > 0) {
        (void)pw_fail(why, PW_E_CONFIG,
                      "%.64s: no key of this pattern is active (%s); make one of them "
                      "\"status: active\", as picklewall key rotate does",
                      pattern, others.names);
    } else {
        (void)pw_fail(
            why, PW_E_CONFIG,
            "%.64s: no key of this pattern in the key folder signs for \"%.64s\"; "
            "picklewall key list shows what is there",
            pattern, channel);
    }
    return NULL;
}

static const struct pw_key *
find_named(const struct pw_keyring *ring, const char *name, const char *channel,
           struct pw_why *why)
{
    const struct pw_key *key = pw_keyring_find(ring, name);
    if (key == NULL) {
        (void)pw_fail(
            why, PW_E_CONFIG,
            "%.64s: no key of this name in the key folder; picklewall key list shows "
            "what is there",
            name);
        return NULL;
    }
    if (pw_key_role(key) != PW_ROLE_SIGN) {
        (void)pw_fail(why, PW_E_CONFIG,
                      "%s: this key only verifies; sign with a \"role: sign\" key", name);
        return NULL;
    }
    if (!pw_key_takes(key, channel)) {
        (void)pw_fail(
            why, PW_E_CONFIG,
            "%s: this key is for channels \"%s\", not for \"%.64s\"; use another key or "
            "change its channel: line",
            name, pw_key_channel(key), channel);
        return NULL;
    }
    return key;
}

static void
tell_unusable(const struct pw_key *key, enum pw_reason reason, struct pw_why *why)
{
    char from[PW_KEY_TIME_TEXT];
    char until[PW_KEY_TIME_TEXT];
    const char *name = pw_key_name(key);
    pw_key_time_format(pw_key_validity(key).from, from);
    pw_key_time_format(pw_key_validity(key).until, until);
    if (reason == PW_R_SIG_NOT_YET) {
        (void)pw_fail(why, PW_E_CONFIG,
                      "%s: this key is not good before %s; sign with another until then",
                      name, from);
    } else if (reason == PW_R_SIG_KEY_EXPIRED) {
        (void)pw_fail(why, PW_E_CONFIG,
                      "%s: this key was good until %s; make another with picklewall key "
                      "rotate",
                      name, until);
    } else {
        (void)pw_fail(why, PW_E_CONFIG,
                      "%s: this key is %s and does not sign; sign with an active one", name,
                      pw_key_status_text(pw_key_status(key)));
    }
}

const struct pw_key *
pw_keyring_signer(const struct pw_keyring *ring, const char *wanted, const char *channel,
                  uint64_t now_ns, struct pw_why *why)
{
    const struct pw_key *key = is_pattern(wanted) ? find_active(ring, wanted, channel, why)
                                                  : find_named(ring, wanted, channel, why);
    enum pw_reason reason = key == NULL ? PW_R_NONE : pw_key_usable(key, now_ns, true);
    if (reason == PW_R_NONE) {
        return key;
    }
    tell_unusable(key, reason, why);
    return NULL;
}
