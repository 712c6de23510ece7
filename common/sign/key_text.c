/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a key file. README.md in this folder specifies it.
 */
#include <stdio.h>

#include <sodium.h>

#include "common/base/hex.h"
#include "common/sign/key_body.h"
#include "common/sign/scheme.h"

enum {
    CHECK = 4,
    MATERIAL = PW_KEY_BYTES + CHECK,
    MATERIAL_TEXT = 48, /* 36 bytes in base64 are 48 letters, nothing left over */
    TEXT_MAX = 1024,
    TIME_LINE = 40,
};

static const char secret_prefix[] =
    "PWSK1"; /* what a scanner for leaked secrets looks for */
static const char public_prefix[] = "PWPK1";

enum line {
    VERSION,
    SUITE,
    ID,
    ROLE,
    CHANNEL,
    STATUS,
    NOT_BEFORE,
    NOT_AFTER,
    SECRET,
    PUBLIC,
    LINES
};

static const char *const line_names[LINES] = {
    [VERSION] = "picklewall-key",
    [SUITE] = "suite",
    [ID] = "id",
    [ROLE] = "role",
    [CHANNEL] = "channel",
    [STATUS] = "status",
    [NOT_BEFORE] = "not_before",
    [NOT_AFTER] = "not_after",
    [SECRET] = "secret",
    [PUBLIC] = "public",
};

static const char *const roles[] = {[PW_ROLE_SIGN] = "sign", [PW_ROLE_VERIFY] = "verify"};

static const char *const statuses[PW_KEY_STATUSES] = {
    [PW_KEY_REVOKED] = "revoked",
    [PW_KEY_RETIRED] = "retired",
    [PW_KEY_VERIFY_ONLY] = "verify_only",
    [PW_KEY_ACTIVE] = "active",
};

struct text {
    struct pw_span value[LINES];
    size_t at[LINES]; /* line number; 0 when there is none */
    size_t last;
};

/* Catches a typing slip or a changed suite line; a forger it does not stop. */
static void
fill_check(enum pw_suite suite, bool is_public, const uint8_t bytes[static PW_KEY_BYTES],
           uint8_t out[static CHECK])
{
    static const char context[] = "picklewall/key-text/v1"; /* with its NUL */
    uint8_t kind[] = {is_public ? 'P' : 'S', (uint8_t)suite};
    uint8_t digest[crypto_generichash_BYTES];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof digest);
    crypto_generichash_update(&state, (const uint8_t *)context, sizeof context);
    crypto_generichash_update(&state, kind, sizeof kind);
    crypto_generichash_update(&state, bytes, PW_KEY_BYTES);
    crypto_generichash_final(&state, digest, sizeof digest);
    memcpy(out, digest, CHECK);
    sodium_memzero(&state, sizeof state);
}

static struct pw_span
trim(struct pw_span text)
{
    while (text.len > 0 && text.ptr[0] == ' ') {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && text.ptr[text.len - 1] == ' ') {
        text.len--;
    }
    return text;
}

static enum line
find_line(struct pw_span name)
{
    size_t i = 0;
    while (i < LINES && !pw_span_equal(name, pw_span_str(line_names[i]))) {
        i++;
    }
    return (enum line)i;
}

/* Never quotes the line: a misspelt name may stand before a secret. */
static enum pw_err
read_line(struct text *text, struct pw_span line, struct pw_why *why)
{
    if (trim(line).len == 0 || line.ptr[0] == '#') {
        return PW_E_OK;
    }
    struct pw_cursor cur = pw_cursor_over(line);
    enum line which = find_line(pw_cursor_until(&cur, ':'));
    if (which == LINES) {
        return pw_fail(
            why, PW_E_FORMAT,
            "%zu: not a line of a key file; it knows picklewall-key, suite, id, role, "
            "channel, status, not_before, not_after, secret, public, each with \": \" "
            "behind it",
            text->last);
    }
    if (which != VERSION && text->at[VERSION] == 0) {
        return pw_fail(why, PW_E_FORMAT,
                       "%zu: a key file begins with \"picklewall-key: 1\"", text->last);
    }
    if (text->at[which] != 0) {
        return pw_fail(why, PW_E_FORMAT, "%zu: %s: was said on line %zu; remove one",
                       text->last, line_names[which], text->at[which]);
    }
    text->at[which] = text->last;
    text->value[which] = trim(cur.rest);
    return PW_E_OK;
}

static enum pw_err
read_lines(struct text *text, struct pw_span bytes, struct pw_why *why)
{
    struct pw_cursor cur = pw_cursor_over(bytes);
    while (cur.rest.len > 0) {
        struct pw_cursor ahead = cur;
        struct pw_span line = pw_cursor_until(&ahead, '\n');
        if (ahead.truncated) { /* the last line may lack its line end */
            line = cur.rest;
            ahead = (struct pw_cursor){0};
        }
        text->last++;
        enum pw_err err = read_line(text, line, why);
        if (err != PW_E_OK) {
            return err;
        }
        cur = ahead;
    }
    return PW_E_OK;
}

static enum pw_err
require_lines(const struct text *text, struct pw_why *why)
{
    static const enum line required[] = {VERSION, SUITE, ID, ROLE};
    size_t last = text->last == 0 ? 1 : text->last;
    for (size_t i = 0; i < PW_COUNT(required); i++) {
        if (text->at[required[i]] == 0) {
            return pw_fail(why, PW_E_FORMAT, "%zu: the file ends without a line \"%s: \"",
                           last, line_names[required[i]]);
        }
    }
    if (text->at[SECRET] == 0 && text->at[PUBLIC] == 0) {
        return pw_fail(why, PW_E_FORMAT,
                       "%zu: the file ends without a line \"secret: \" or \"public: \"",
                       last);
    }
    if (text->at[SECRET] != 0 && text->at[PUBLIC] != 0) {
        return pw_fail(
            why, PW_E_FORMAT,
            "%zu: a key file holds a secret or a public key, never both; remove one",
            text->at[SECRET] > text->at[PUBLIC] ? text->at[SECRET] : text->at[PUBLIC]);
    }
    return PW_E_OK;
}

static enum pw_suite
find_suite(struct pw_span value)
{
    char name[32];
    if (value.len >= sizeof name) {
        return (enum pw_suite)0;
    }
    memcpy(name, value.ptr, value.len);
    name[value.len] = '\0';
    return pw_suite_parse(name);
}

static enum pw_err
read_words(const struct text *text, struct pw_key_parts *parts, struct pw_why *why)
{
    if (!pw_span_equal(text->value[VERSION], pw_span_str("1"))) {
        return pw_fail(why, PW_E_FORMAT,
                       "%zu: picklewall-key: this program reads version 1 and no other",
                       text->at[VERSION]);
    }
    parts->suite = find_suite(text->value[SUITE]);
    if (pw_scheme_of(parts->suite) == NULL) {
        return pw_fail(why, PW_E_FORMAT,
                       "%zu: suite: no such suite; write ed25519, ed25519-batch, "
                       "hmac-sha256 or blake2b",
                       text->at[SUITE]);
    }
    size_t role = 0;
    while (role < PW_COUNT(roles) &&
           !pw_span_equal(text->value[ROLE], pw_span_str(roles[role]))) {
        role++;
    }
    if (role == PW_COUNT(roles)) {
        return pw_fail(why, PW_E_FORMAT, "%zu: role: write sign or verify", text->at[ROLE]);
    }
    parts->role = (enum pw_role)role;
    parts->name = text->value[ID];
    parts->channel = text->value[CHANNEL];
    return PW_E_OK;
}

/* What may be left out: a key without these lines is active, and for ever. */
struct standing {
    enum pw_key_status status;
    struct pw_key_validity validity;
};

static enum pw_err
read_time(const struct text *text, enum line which, uint64_t *ns, struct pw_why *why)
{
    if (text->at[which] == 0 || pw_key_time_parse(text->value[which], ns)) {
        return PW_E_OK;
    }
    return pw_fail(why, PW_E_FORMAT,
                   "%zu: %s: not a time between 1970 and 2553; write it as "
                   "2027-01-31T12:00:00Z, in UTC",
                   text->at[which], line_names[which]);
}

static enum pw_err
read_standing(const struct text *text, struct standing *out, struct pw_why *why)
{
    *out = (struct standing){PW_KEY_ACTIVE, {0, PW_KEY_FOR_EVER}};
    if (text->at[STATUS] != 0) {
        out->status = pw_key_status_parse(text->value[STATUS]);
    }
    if (out->status == PW_KEY_STATUSES) {
        return pw_fail(why, PW_E_FORMAT,
                       "%zu: status: write active, verify_only, retired or revoked",
                       text->at[STATUS]);
    }
    enum pw_err err = read_time(text, NOT_BEFORE, &out->validity.from, why);
    err = err == PW_E_OK ? read_time(text, NOT_AFTER, &out->validity.until, why) : err;
    if (err == PW_E_OK && out->validity.until <= out->validity.from) {
        return pw_fail(why, PW_E_FORMAT,
                       "%zu: not_after: is not later than not_before; correct one of them",
                       text->at[NOT_AFTER]);
    }
    return err;
}

static bool
decode(struct pw_span value, const char *prefix, uint8_t out[static MATERIAL])
{
    size_t prefix_len = strlen(prefix);
    if (value.len != prefix_len + MATERIAL_TEXT ||
        memcmp(value.ptr, prefix, prefix_len) != 0) {
        return false;
    }
    size_t len = 0;
    return sodium_base642bin(out, MATERIAL, (const char *)value.ptr + prefix_len,
                             MATERIAL_TEXT, NULL, &len, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           len == MATERIAL;
}

static enum pw_err
read_material(const struct text *text, struct pw_key_parts *parts, struct pw_why *why)
{
    parts->is_public = text->at[PUBLIC] != 0;
    enum line which = parts->is_public ? PUBLIC : SECRET;
    const char *prefix = parts->is_public ? public_prefix : secret_prefix;
    uint8_t material[MATERIAL];
    uint8_t check[CHECK];
    if (!decode(text->value[which], prefix, material)) {
        sodium_memzero(material, sizeof material);
        return pw_fail(why, PW_E_FORMAT,
                       "%zu: %s: not %s and %d letters of base64url; was it cut?",
                       text->at[which], line_names[which], prefix, MATERIAL_TEXT);
    }
    memcpy(parts->bytes, material, sizeof parts->bytes);
    fill_check(parts->suite, parts->is_public, parts->bytes, check);
    bool fits = memcmp(check, material + PW_KEY_BYTES, CHECK) == 0;
    sodium_memzero(material, sizeof material);
    if (!fits) {
        return pw_fail(
            why, PW_E_FORMAT,
            "%zu: %s: its check letters do not fit; a letter or the suite was changed, "
            "copy the file again",
            text->at[which], line_names[which]);
    }
    return PW_E_OK;
}

/* The sentence of pw_key_from, with the line it speaks of. */
static struct pw_key *
build(const struct text *text, const struct pw_key_parts *parts,
      const struct standing *standing, struct pw_why *why)
{
    struct pw_why inner = {0};
    struct pw_key *key = pw_key_from(parts, &inner);
    if (key == NULL) {
        (void)pw_fail(why, PW_E_FORMAT, "%zu: %.400s",
                      parts->is_public ? text->at[PUBLIC] : text->at[SECRET], inner.text);
        return NULL;
    }
    key->status = standing->status;
    key->validity = standing->validity;
    return key;
}

struct pw_key *
pw_key_parse(struct pw_span bytes, struct pw_why *why)
{
    struct text text = {0};
    struct pw_key_parts parts = {0};
    struct standing standing;
    struct pw_key *key = NULL;
    if (bytes.len > PW_KEY_FILE_MAX) {
        (void)pw_fail(why, PW_E_LIMIT, "1: a key file is at most %d bytes",
                      PW_KEY_FILE_MAX);
        return NULL;
    }
    if (read_lines(&text, bytes, why) == PW_E_OK && require_lines(&text, why) == PW_E_OK &&
        read_words(&text, &parts, why) == PW_E_OK &&
        read_standing(&text, &standing, why) == PW_E_OK &&
        read_material(&text, &parts, why) == PW_E_OK) {
        key = build(&text, &parts, &standing, why);
    }
    sodium_memzero(&parts, sizeof parts);
    return key;
}

/* What openssl rand -hex 32, or an editor, leaves behind the digits. */
static struct pw_span
without_line_end(struct pw_span text)
{
    text.len -= text.len > 0 && text.ptr[text.len - 1] == '\n';
    text.len -= text.len > 0 && text.ptr[text.len - 1] == '\r';
    return text;
}

struct pw_key *
pw_key_parse_hex(struct pw_span text, const char *name, struct pw_why *why)
{
    struct pw_key_parts parts = {
        .suite = PW_SUITE_HMAC_SHA256,
        .role = PW_ROLE_SIGN,
        .name = pw_span_str(name),
    };
    struct pw_why inner = {0};
    if (!pw_hex_decode(without_line_end(text), parts.bytes, sizeof parts.bytes)) {
        sodium_memzero(&parts, sizeof parts);
        (void)pw_fail(why, PW_E_FORMAT,
                      "1: not 64 hexadecimal digits and a line end; write 32 random bytes "
                      "there with openssl rand -hex 32");
        return NULL;
    }
    struct pw_key *key = pw_key_from(&parts, &inner);
    sodium_memzero(&parts, sizeof parts);
    if (key == NULL) {
        (void)pw_fail(why, PW_E_FORMAT, "1: %.400s", inner.text);
        return NULL;
    }
    key->bare = true;
    return key;
}

const char *
pw_key_status_text(enum pw_key_status status)
{
    return status < PW_KEY_STATUSES ? statuses[status] : "";
}

enum pw_key_status
pw_key_status_parse(struct pw_span text)
{
    size_t i = 0;
    while (i < PW_KEY_STATUSES && !pw_span_equal(text, pw_span_str(statuses[i]))) {
        i++;
    }
    return (enum pw_key_status)i;
}

/* `out` has room for MATERIAL_TEXT letters and a NUL. */
static void
encode(const struct pw_key *key, char *out)
{
    bool is_public = key->secret == NULL;
    uint8_t material[MATERIAL];
    /* The first 32 bytes of what libsodium signs with are the seed. */
    memcpy(material, is_public ? key->public_key : key->secret, PW_KEY_BYTES);
    fill_check(key->suite, is_public, material, material + PW_KEY_BYTES);
    sodium_bin2base64(out, MATERIAL_TEXT + 1, material, sizeof material,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(material, sizeof material);
}

/* "not_after: …\n", or nothing where there is no bound. */
static void
write_time(const char *name, uint64_t ns, bool bound, char out[static TIME_LINE])
{
    char time[PW_KEY_TIME_TEXT];
    out[0] = '\0';
    if (bound) {
        pw_key_time_format(ns, time);
        snprintf(out, TIME_LINE, "%s: %s\n", name, time);
    }
}

enum pw_err
pw_key_format(const struct pw_key *key, struct pw_buf *out)
{
    bool is_public = key->secret == NULL;
    char material[MATERIAL_TEXT + 1];
    char text[TEXT_MAX];
    char from[TIME_LINE];
    char until[TIME_LINE];
    const struct pw_key_validity *validity = &key->validity;
    write_time(line_names[NOT_BEFORE], validity->from, validity->from != 0, from);
    write_time(line_names[NOT_AFTER], validity->until, validity->until != PW_KEY_FOR_EVER,
               until);
    encode(key, material);
    int len = snprintf(text, sizeof text,
                       "# %s\n"
                       "picklewall-key: 1\n"
                       "suite: %s\n"
                       "id: %s\n"
                       "role: %s\n"
                       "channel:%s%s\n"
                       "status: %s\n"
                       "%s%s"
                       "%s: %s%s\n",
                       is_public ? "The public half: give it to whoever verifies."
                                 : "Whoever reads the secret can sign in this key's name.",
                       pw_suite_text(key->suite), key->name, roles[key->role],
                       key->channel[0] == '\0' ? "" : " ", key->channel,
                       pw_key_status_text(pw_key_status(key)), from, until,
                       line_names[is_public ? PUBLIC : SECRET],
                       is_public ? public_prefix : secret_prefix, material);
    /* In one piece, so that the buffer never moves and leaves a copy of the secret behind.
     */
    enum pw_err err =
        pw_buf_append(out, (struct pw_span){(const uint8_t *)text, (size_t)len});
    sodium_memzero(text, sizeof text);
    sodium_memzero(material, sizeof material);
    return err;
}
