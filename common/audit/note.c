/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/note.h"

#include <inttypes.h>
#include <stdio.h>

#include <sodium.h>

#include "common/base/hex.h"

enum {
    HASH_TEXT = 45, /* 32 bytes in base64, with the NUL */
    SIGNATURE = PW_NOTE_KEY_ID + crypto_sign_BYTES,
    SIGNATURE_TEXT = 93,
    ED25519 = 0x01, /* the byte that stands for the algorithm */
    KEY_MATERIAL = 1 + crypto_sign_PUBLICKEYBYTES,
};

static const char dash[] = "\xe2\x80\x94 "; /* an em dash and a space */
static const char bound_word[] = "line ";

static bool
starts_with(struct pw_span text, const char *word)
{
    size_t len = strlen(word);
    return text.len >= len &&
           pw_span_equal((struct pw_span){text.ptr, len}, pw_span_str(word));
}

/*
 * The one way to spell exactly `len` bytes, at most SIGNATURE. libsodium takes some letters
 * with their high bit set for others, so what it read is written and compared.
 */
static bool
read_base64(struct pw_span text, uint8_t *out, size_t len)
{
    char again[SIGNATURE_TEXT];
    size_t wanted = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL) - 1;
    if (text.len != wanted ||
        sodium_base642bin(out, len, (const char *)text.ptr, text.len, NULL, NULL, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0) {
        return false;
    }
    sodium_bin2base64(again, sizeof again, out, len, sodium_base64_VARIANT_ORIGINAL);
    return memcmp(again, text.ptr, text.len) == 0;
}

/* ---- keys ---- */

/* No spaces, no plus, no control characters; we ask for plain ASCII. */
static bool
is_key_name(struct pw_span name)
{
    if (name.len == 0 || name.len > PW_NOTE_KEY_NAME) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] <= ' ' || name.ptr[i] > '~' || name.ptr[i] == '+') {
            return false;
        }
    }
    return true;
}

/* SHA-256(name, LF, algorithm, public key), its first bytes. */
static void
fill_key(struct pw_note_key *key, struct pw_span name, const uint8_t *public_key)
{
    static const uint8_t middle[] = {'\n', ED25519};
    uint8_t digest[crypto_hash_sha256_BYTES];
    *key = (struct pw_note_key){0};
    memcpy(key->name, name.ptr, name.len);
    memcpy(key->public_key, public_key, sizeof key->public_key);
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, name.ptr, name.len);
    crypto_hash_sha256_update(&state, middle, sizeof middle);
    crypto_hash_sha256_update(&state, public_key, sizeof key->public_key);
    crypto_hash_sha256_final(&state, digest);
    memcpy(key->id, digest, sizeof key->id);
}

bool
pw_note_key_of(const struct pw_key *key, struct pw_note_key *out)
{
    const uint8_t *public_key = pw_key_public_bytes(key);
    if (public_key == NULL || pw_key_suite(key) != PW_SUITE_ED25519) {
        return false;
    }
    fill_key(out, pw_span_str(pw_key_name(key)), public_key);
    return true;
}

enum pw_err
pw_note_key_parse(struct pw_span text, struct pw_note_key *out, struct pw_why *why)
{
    uint8_t id[PW_NOTE_KEY_ID];
    uint8_t material[KEY_MATERIAL];
    if (text.len > 0 && text.ptr[text.len - 1] == '\n') {
        text.len--;
    }
    struct pw_cursor cur = pw_cursor_over(text);
    struct pw_span name = pw_cursor_until(&cur, '+');
    struct pw_span hash = pw_cursor_until(&cur, '+');
    if (cur.truncated || !is_key_name(name) || !pw_hex_decode(hash, id, sizeof id) ||
        !read_base64(cur.rest, material, sizeof material)) {
        return pw_fail(
            why, PW_E_FORMAT,
            "no key of a note: name+8 hexadecimal digits+base64, as it stands in "
            "audit.pub");
    }
    if (material[0] != ED25519) {
        return pw_fail(why, PW_E_FORMAT,
                       "a key of an algorithm that is not known here; use Ed25519");
    }
    fill_key(out, name, material + 1);
    if (memcmp(out->id, id, sizeof id) != 0) {
        return pw_fail(why, PW_E_FORMAT,
                       "the 8 digits are not those of the key behind them; copy it again");
    }
    return PW_E_OK;
}

void
pw_note_key_format(const struct pw_note_key *key, char out[static PW_NOTE_KEY_TEXT])
{
    char id[2 * PW_NOTE_KEY_ID + 1];
    char text[sodium_base64_ENCODED_LEN(KEY_MATERIAL, sodium_base64_VARIANT_ORIGINAL)];
    uint8_t material[KEY_MATERIAL] = {ED25519};
    memcpy(material + 1, key->public_key, sizeof key->public_key);
    pw_hex_encode((struct pw_span){key->id, sizeof key->id}, id);
    sodium_bin2base64(text, sizeof text, material, sizeof material,
                      sodium_base64_VARIANT_ORIGINAL);
    snprintf(out, PW_NOTE_KEY_TEXT, "%s+%s+%s", key->name, id, text);
}

/* ---- making ---- */

static void
hash_text(const uint8_t hash[static PW_TREE_HASH], char out[static HASH_TEXT])
{
    sodium_bin2base64(out, HASH_TEXT, hash, PW_TREE_HASH, sodium_base64_VARIANT_ORIGINAL);
}

size_t
pw_note_make(const struct pw_checkpoint *point, const struct pw_key *key,
             char out[static PW_NOTE_MAX])
{
    struct pw_note_key who = {0};
    char root[HASH_TEXT], line[HASH_TEXT], text[SIGNATURE_TEXT];
    uint8_t signature[SIGNATURE] = {0};
    hash_text(point->root, root);
    hash_text(point->line, line);
    int len = snprintf(out, PW_NOTE_MAX, "%.*s\n%" PRIu64 "\n%s\n%s%s%s",
                       (int)point->origin.len, (const char *)point->origin.ptr, point->size,
                       root, point->bound ? bound_word : "", point->bound ? line : "",
                       point->bound ? "\n" : "");
    struct pw_span signed_text = {(const uint8_t *)out, (size_t)len};
    if (!pw_note_key_of(key, &who) ||
        !pw_key_sign_text(key, signed_text, signature + PW_NOTE_KEY_ID)) {
        return 0;
    }
    memcpy(signature, who.id, sizeof who.id);
    sodium_bin2base64(text, sizeof text, signature, sizeof signature,
                      sodium_base64_VARIANT_ORIGINAL);
    len +=
        snprintf(out + len, PW_NOTE_MAX - (size_t)len, "\n%s%s %s\n", dash, who.name, text);
    return (size_t)len;
}

/* ---- as JSON ---- */

size_t
pw_note_escape(struct pw_span note, char out[static PW_NOTE_JSON])
{
    size_t len = 0;
    for (size_t i = 0; i < note.len; i++) {
        const char *text = NULL;
        if (note.ptr[i] == '\n') {
            text = "\\n";
        } else if (note.ptr[i] == 0xe2) { /* of the dash: nothing else is beyond ASCII */
            text = "\\u2014";
            i += 2;
        }
        size_t width = text == NULL ? 1 : strlen(text);
        memcpy(out + len, text == NULL ? (const char *)note.ptr + i : text, width);
        len += width;
    }
    out[len] = '\0';
    return len;
}

bool
pw_note_unescape(struct pw_span text, char out[static PW_NOTE_MAX], size_t *len)
{
    static const char dash_text[] = "\\u2014";
    struct pw_cursor cur = pw_cursor_over(text);
    *len = 0;
    while (cur.rest.len > 0 && *len + sizeof dash < PW_NOTE_MAX) {
        if (starts_with(cur.rest, dash_text)) {
            (void)pw_cursor_take(&cur, sizeof dash_text - 1);
            memcpy(out + *len, dash, 3);
            *len += 3;
            continue;
        }
        if (starts_with(cur.rest, "\\n")) {
            (void)pw_cursor_take(&cur, 2);
            out[(*len)++] = '\n';
            continue;
        }
        uint8_t byte = (uint8_t)pw_cursor_uint(&cur, 1);
        if (byte < ' ' || byte > '~' || byte == '\\' || byte == '"') {
            return false;
        }
        out[(*len)++] = (char)byte;
    }
    return cur.rest.len == 0;
}

/* ---- reading ---- */

bool
pw_note_next(struct pw_span *bytes, struct pw_note *out)
{
    struct pw_cursor cur = pw_cursor_over(*bytes);
    while (cur.rest.len > 0 && cur.rest.ptr[0] == '\n') {
        (void)pw_cursor_take(&cur, 1);
    }
    const uint8_t *start = cur.rest.ptr;
    struct pw_span line = pw_cursor_until(&cur, '\n');
    const uint8_t *end = start;
    while (!cur.truncated && line.len > 0) {
        end = cur.rest.ptr;
        line = pw_cursor_until(&cur, '\n');
    }
    if (cur.truncated || end == start) {
        return false;
    }
    out->text = (struct pw_span){start, (size_t)(end - start)};
    out->signatures = (struct pw_span){cur.rest.ptr, 0};
    while (starts_with(cur.rest, dash)) {
        line = pw_cursor_until(&cur, '\n');
        if (cur.truncated) {
            return false;
        }
        out->signatures.len += line.len + 1;
    }
    *bytes = cur.rest;
    return out->signatures.len > 0;
}

bool
pw_note_split(struct pw_span bytes, struct pw_note *out)
{
    bool starts_well = bytes.len > 0 && bytes.ptr[0] != '\n';
    return starts_well && pw_note_next(&bytes, out) && bytes.len == 0;
}

/* What one line of signature means for one key. */
static enum pw_note_trust
judge(struct pw_span text, struct pw_span line, const struct pw_note_key *key)
{
    uint8_t signature[SIGNATURE];
    struct pw_cursor cur = pw_cursor_over(line);
    (void)pw_cursor_take(&cur, sizeof dash - 1);
    struct pw_span name = pw_cursor_until(&cur, ' ');
    if (cur.truncated || !pw_span_equal(name, pw_span_str(key->name))) {
        return PW_NOTE_UNKNOWN_KEY;
    }
    if (!read_base64(cur.rest, signature, sizeof signature) ||
        memcmp(signature, key->id, sizeof key->id) != 0) {
        return PW_NOTE_UNKNOWN_KEY;
    }
    bool fits = crypto_sign_verify_detached(signature + PW_NOTE_KEY_ID, text.ptr, text.len,
                                            key->public_key) == 0;
    return fits ? PW_NOTE_GOOD : PW_NOTE_BAD;
}

enum pw_note_trust
pw_note_verify(const struct pw_note *note, const struct pw_note_key *keys, size_t count)
{
    enum pw_note_trust trust = PW_NOTE_UNKNOWN_KEY;
    struct pw_cursor cur = pw_cursor_over(note->signatures);
    while (cur.rest.len > 0) {
        struct pw_span line = pw_cursor_until(&cur, '\n');
        for (size_t i = 0; i < count; i++) {
            enum pw_note_trust now = judge(note->text, line, &keys[i]);
            if (now == PW_NOTE_BAD) {
                return PW_NOTE_BAD;
            }
            trust = now > trust ? now : trust;
        }
        if (cur.truncated) {
            break;
        }
    }
    return trust;
}

/* Decimal digits, no zero in front. */
static bool
read_size(struct pw_span text, uint64_t *size)
{
    if (text.len == 0 || text.len > 19 || (text.ptr[0] == '0' && text.len > 1)) {
        return false;
    }
    *size = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        *size = *size * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return true;
}

/* Further lines are extensions, of which we know one. */
static bool
read_extensions(struct pw_cursor *cur, struct pw_checkpoint *out)
{
    while (cur->rest.len > 0) {
        struct pw_span line = pw_cursor_until(cur, '\n');
        if (!starts_with(line, bound_word)) {
            continue;
        }
        struct pw_span hash = {line.ptr + sizeof bound_word - 1,
                               line.len - (sizeof bound_word - 1)};
        if (out->bound || !read_base64(hash, out->line, sizeof out->line)) {
            return false;
        }
        out->bound = true;
    }
    return !cur->truncated;
}

bool
pw_note_checkpoint(const struct pw_note *note, struct pw_checkpoint *out)
{
    *out = (struct pw_checkpoint){0};
    struct pw_cursor cur = pw_cursor_over(note->text);
    out->origin = pw_cursor_until(&cur, '\n');
    struct pw_span size = pw_cursor_until(&cur, '\n');
    struct pw_span root = pw_cursor_until(&cur, '\n');
    return !cur.truncated && out->origin.len > 0 && out->origin.len <= PW_NOTE_ORIGIN &&
           read_size(size, &out->size) && read_base64(root, out->root, sizeof out->root) &&
           read_extensions(&cur, out);
}
