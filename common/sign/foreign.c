/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/foreign.h"

struct ready_key {
    const struct pw_key *key; /* the ring's */
    struct pw_foreign_key tag;
};

/* All of it in sodium_malloc memory: the hash states sign in the key's name. */
struct pw_foreign {
    union pw_hash work;
    struct ready_key signer; /* no key: nothing is signed */
    struct ready_key keys[PW_FOREIGN_KEYS];
    size_t count;
    enum pw_layout layout;
};

/* ---- where things stand ---------------------------------------------------------------
 */

static enum pw_reason
split_suffix(const struct pw_span *frames, size_t count, struct pw_foreign_parts *out)
{
    struct pw_cursor cur = pw_cursor_over(frames[count - 1]);
    size_t len = cur.rest.len;
    if (len < PW_FOREIGN_TAG) {
        return len == 0 ? PW_R_SIG_MISSING : PW_R_SIG_FORMAT;
    }
    out->tag_frame = count - 1;
    out->covered[0] = pw_cursor_take(&cur, len - PW_FOREIGN_TAG);
    out->covered_count = 1;
    out->tag = cur.rest;
    return PW_R_NONE;
}

static enum pw_reason
split_prefix(const struct pw_span *frames, size_t count, struct pw_foreign_parts *out)
{
    struct pw_cursor cur = pw_cursor_over(frames[count - 1]);
    if (cur.rest.len < PW_FOREIGN_TAG) {
        return cur.rest.len == 0 ? PW_R_SIG_MISSING : PW_R_SIG_FORMAT;
    }
    out->tag_frame = count - 1;
    out->tag = pw_cursor_take(&cur, PW_FOREIGN_TAG);
    out->covered[0] = cur.rest;
    out->covered_count = 1;
    return PW_R_NONE;
}

static enum pw_reason
split_detached(const struct pw_span *frames, size_t count, struct pw_foreign_parts *out)
{
    if (count < 2 || frames[count - 2].len == 0) {
        return PW_R_SIG_MISSING;
    }
    if (frames[count - 2].len != PW_FOREIGN_TAG) {
        return PW_R_SIG_FORMAT;
    }
    out->tag_frame = count - 2;
    out->tag = frames[count - 2];
    out->covered[0] = frames[count - 1];
    out->covered_count = 1;
    return PW_R_NONE;
}

/* At the first delimiter, as jupyter_client splits: identities are whatever comes before.
 */
static enum pw_reason
split_jupyter(const struct pw_span *frames, size_t count, struct pw_foreign_parts *out)
{
    const struct pw_span delimiter = pw_span_str("<IDS|MSG>");
    size_t at = 0;
    while (at < count && !pw_span_equal(frames[at], delimiter)) {
        at++;
    }
    if (count - at < 2 + PW_FOREIGN_PARTS) {
        return PW_R_SIG_FORMAT;
    }
    out->tag_frame = at + 1;
    out->tag = frames[at + 1];
    memcpy(out->covered, frames + at + 2, sizeof out->covered);
    out->covered_count = PW_FOREIGN_PARTS;
    if (out->tag.len == PW_FOREIGN_DIGITS) {
        return PW_R_NONE;
    }
    return out->tag.len == 0 ? PW_R_SIG_MISSING : PW_R_SIG_FORMAT;
}

static const struct layout {
    const char *name; /* as the setting spells it */
    bool digits;      /* tag and key are written in hexadecimal digits */
    enum pw_reason (*split)(const struct pw_span *frames, size_t count,
                            struct pw_foreign_parts *out);
} layouts[] = {
    [PW_LAYOUT_SUFFIX] = {"suffix", false, split_suffix},
    [PW_LAYOUT_DETACHED] = {"detached", false, split_detached},
    [PW_LAYOUT_PREFIX] = {"prefix", false, split_prefix},
    [PW_LAYOUT_JUPYTER] = {"jupyter", true, split_jupyter},
};

enum pw_reason
pw_foreign_split(enum pw_layout layout, const struct pw_span *frames, size_t count,
                 struct pw_foreign_parts *out)
{
    *out = (struct pw_foreign_parts){0};
    return count == 0 ? PW_R_SIG_MISSING : layouts[layout].split(frames, count, out);
}

size_t
pw_foreign_tag_size(enum pw_layout layout)
{
    return layouts[layout].digits ? PW_FOREIGN_DIGITS : PW_FOREIGN_TAG;
}

/* ---- keys -----------------------------------------------------------------------------
 */

/* Jupyter takes the text of its key file for the key, and does not decode it. */
static bool
make_ready(struct ready_key *ready, const struct pw_key *key, bool digits)
{
    char text[2 * PW_KEY_BYTES + 1];
    struct pw_span bytes = {key->secret, PW_KEY_BYTES};
    if (digits) {
        sodium_bin2hex(text, sizeof text, key->secret, PW_KEY_BYTES);
        bytes = (struct pw_span){(const uint8_t *)text, sizeof text - 1};
    }
    ready->key = key;
    bool filled = pw_foreign_key_fill(&ready->tag, bytes);
    sodium_memzero(text, sizeof text);
    return filled;
}

static bool
fail_empty(const struct pw_key *key, struct pw_why *why)
{
    (void)pw_fail(why, PW_E_CONFIG,
                  "%s: this key is empty; make another with picklewall key new",
                  pw_key_name(key));
    return false;
}

/* Not over: a key whose time is still to come may be tried, and is refused by name. */
static bool
may_verify(const struct pw_key *key, const struct pw_foreign_options *options)
{
    enum pw_reason reason = pw_key_usable(key, options->now_ns, false);
    return pw_key_suite(key) == PW_SUITE_HMAC_SHA256 &&
           pw_key_takes(key, options->channel) &&
           (reason == PW_R_NONE || reason == PW_R_SIG_NOT_YET);
}

static bool
take_verifiers(struct pw_foreign *foreign, const struct pw_keyring *ring,
               const struct pw_foreign_options *options, struct pw_why *why)
{
    const struct layout *layout = &layouts[options->layout];
    for (size_t i = 0; i < pw_keyring_count(ring); i++) {
        const struct pw_key *key = pw_keyring_at(ring, i);
        if (!may_verify(key, options)) {
            continue;
        }
        if (foreign->count == PW_FOREIGN_KEYS) {
            (void)pw_fail(why, PW_E_CONFIG,
                          "more than %d hmac-sha256 keys take the channel \"%.64s\", and "
                          "envelope = \"%s\" does not say which one signed; retire some, "
                          "or give them a channel: line",
                          PW_FOREIGN_KEYS, options->channel, layout->name);
            return false;
        }
        if (!make_ready(&foreign->keys[foreign->count++], key, layout->digits)) {
            return fail_empty(key, why);
        }
    }
    if (foreign->count == 0) {
        (void)pw_fail(why, PW_E_CONFIG,
                      "no hmac-sha256 key in the key folder takes the channel \"%.64s\", "
                      "and envelope = \"%s\" knows no others; put the sender's 64 digits "
                      "there as NAME.hex",
                      options->channel, layout->name);
    }
    return foreign->count > 0;
}

static bool
take_signer(struct pw_foreign *foreign, const struct pw_keyring *ring,
            const struct pw_foreign_options *options, struct pw_why *why)
{
    const struct layout *layout = &layouts[options->layout];
    const struct pw_key *key =
        pw_keyring_signer(ring, options->sign, options->channel, options->now_ns, why);
    if (key == NULL) {
        return false;
    }
    if (pw_key_suite(key) != PW_SUITE_HMAC_SHA256) {
        (void)pw_fail(why, PW_E_CONFIG,
                      "%s: this key is for %s, and envelope = \"%s\" is hmac-sha256; name "
                      "a key of that suite",
                      pw_key_name(key), pw_suite_text(pw_key_suite(key)), layout->name);
        return false;
    }
    return make_ready(&foreign->signer, key, layout->digits) || fail_empty(key, why);
}

struct pw_foreign *
pw_foreign_new(const struct pw_keyring *ring, const struct pw_foreign_options *options,
               struct pw_why *why)
{
    struct pw_foreign *foreign = sodium_malloc(sizeof *foreign);
    if (foreign == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    memset(foreign, 0, sizeof *foreign);
    foreign->layout = options->layout;
    if ((options->verify && !take_verifiers(foreign, ring, options, why)) ||
        (options->sign != NULL && !take_signer(foreign, ring, options, why))) {
        pw_foreign_free(&foreign);
    }
    return foreign;
}

void
pw_foreign_free(struct pw_foreign **foreign)
{
    sodium_free(*foreign);
    *foreign = NULL;
}

bool
pw_foreign_signs(const struct pw_foreign *foreign)
{
    return foreign->signer.key != NULL;
}

/* ---- messages -------------------------------------------------------------------------
 */

void
pw_foreign_check(struct pw_foreign *foreign, const struct pw_foreign_parts *parts,
                 uint64_t now_ns, struct pw_sig_result *out)
{
    bool digits = layouts[foreign->layout].digits;
    const struct pw_key *maker = NULL;
    for (size_t i = 0; i < foreign->count; i++) {
        bool fits =
            pw_foreign_key_fits(&foreign->keys[i].tag, &foreign->work, parts->covered,
                                parts->covered_count, digits, parts->tag);
        maker = fits ? foreign->keys[i].key : maker;
    }
    *out = (struct pw_sig_result){.state = PW_SIG_BAD, .reason = PW_R_SIG_BAD};
    if (maker == NULL) {
        return;
    }
    memcpy(out->key_id, pw_key_id(maker), sizeof out->key_id);
    out->reason = pw_key_usable(maker, now_ns, false);
    out->state = out->reason == PW_R_NONE ? PW_SIG_UNDATED : PW_SIG_BAD;
}

enum pw_reason
pw_foreign_sign(struct pw_foreign *foreign, const struct pw_span *parts, size_t count,
                uint64_t now_ns, uint8_t out[static PW_FOREIGN_DIGITS])
{
    enum pw_reason reason = pw_key_usable(foreign->signer.key, now_ns, true);
    if (reason == PW_R_NONE) {
        pw_foreign_key_sign(&foreign->signer.tag, &foreign->work, parts, count,
                            layouts[foreign->layout].digits, out);
    }
    return reason;
}
