/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/json_read.h"

#include "common/base/hex.h"

static bool
is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void
pass(struct pw_cursor *cur, size_t count)
{
    (void)pw_cursor_take(cur, count);
}

static void
pass_blanks(struct pw_cursor *cur)
{
    size_t count = 0;
    while (count < cur->rest.len && is_blank(cur->rest.ptr[count])) {
        count++;
    }
    pass(cur, count);
}

/* The next byte that is no blank, taken only when it is `wanted`. */
static bool
take_byte(struct pw_cursor *cur, uint8_t wanted)
{
    pass_blanks(cur);
    if (cur->rest.len == 0 || cur->rest.ptr[0] != wanted) {
        return false;
    }
    pass(cur, 1);
    return true;
}

/* Bytes of the escape that text begins with; 0 when it is none. */
static size_t
escape_length(struct pw_span text)
{
    uint8_t unit[2];
    if (text.len < 2) {
        return 0;
    }
    if (text.ptr[1] == 'u') {
        return text.len >= 6 && pw_hex_decode((struct pw_span){text.ptr + 2, 4}, unit, 2)
                   ? 6
                   : 0;
    }
    return memchr("\"\\/bfnrt", text.ptr[1], 8) != NULL ? 2 : 0;
}

/* The string that begins behind a quote, up to the closing one, which is taken too. */
static bool
take_string(struct pw_cursor *cur, struct pw_span *raw)
{
    struct pw_span rest = cur->rest;
    size_t at = 0;
    while (at < rest.len && rest.ptr[at] != '"') {
        size_t step = 1;
        if (rest.ptr[at] == '\\') {
            step = escape_length((struct pw_span){rest.ptr + at, rest.len - at});
        }
        if (step == 0 || rest.ptr[at] < 0x20) {
            return false;
        }
        at += step;
    }
    if (at >= rest.len) {
        return false;
    }
    *raw = (struct pw_span){rest.ptr, at};
    pass(cur, at + 1);
    return true;
}

/* Brackets that are open: a bit for each, set for '['. */
struct nest {
    uint64_t arrays;
    size_t depth;
};

static bool
open_bracket(struct nest *nest, uint8_t byte)
{
    if (nest->depth == PW_JSON_DEPTH) {
        return false;
    }
    nest->arrays = nest->arrays << 1 | (byte == '[');
    nest->depth++;
    return true;
}

static bool
close_bracket(struct nest *nest, uint8_t byte)
{
    bool fits = (nest->arrays & 1) == (byte == ']');
    nest->arrays >>= 1;
    nest->depth--;
    return fits;
}

/* An object or array as a whole, from its opening bracket on. */
static bool
take_nested(struct pw_cursor *cur, struct pw_span *raw)
{
    struct nest nest = {0};
    const uint8_t *start = cur->rest.ptr;
    bool good = true;
    do {
        struct pw_span inner;
        uint8_t byte = cur->rest.ptr[0];
        pass(cur, 1);
        if (byte == '"') {
            good = take_string(cur, &inner);
        } else if (byte == '{' || byte == '[') {
            good = open_bracket(&nest, byte);
        } else if (byte == '}' || byte == ']') {
            good = close_bracket(&nest, byte);
        } else {
            good = byte >= 0x20 || is_blank(byte);
        }
    } while (good && nest.depth > 0 && cur->rest.len > 0);
    *raw = (struct pw_span){start, (size_t)(cur->rest.ptr - start)};
    return good && nest.depth == 0;
}

static size_t
digits_at(struct pw_span text, size_t at)
{
    size_t count = 0;
    while (at + count < text.len && text.ptr[at + count] >= '0' &&
           text.ptr[at + count] <= '9') {
        count++;
    }
    return count;
}

static bool
byte_at(struct pw_span text, size_t at, const char *any)
{
    return at < text.len && memchr(any, text.ptr[at], strlen(any)) != NULL;
}

static bool
take_number(struct pw_cursor *cur, struct pw_span *raw)
{
    struct pw_span rest = cur->rest;
    size_t at = byte_at(rest, 0, "-");
    size_t whole = digits_at(rest, at);
    if (whole == 0 || (whole > 1 && rest.ptr[at] == '0')) {
        return false;
    }
    at += whole;
    if (byte_at(rest, at, ".")) {
        size_t part = digits_at(rest, at + 1);
        if (part == 0) {
            return false;
        }
        at += 1 + part;
    }
    if (byte_at(rest, at, "eE")) {
        size_t sign = byte_at(rest, at + 1, "+-");
        size_t power = digits_at(rest, at + 1 + sign);
        if (power == 0) {
            return false;
        }
        at += 1 + sign + power;
    }
    *raw = pw_cursor_take(cur, at);
    return true;
}

static bool
take_word(struct pw_cursor *cur, const char *word, struct pw_span *raw)
{
    size_t len = strlen(word);
    if (cur->rest.len < len || memcmp(cur->rest.ptr, word, len) != 0) {
        return false;
    }
    *raw = pw_cursor_take(cur, len);
    return true;
}

static bool
take_value(struct pw_json_walk *walk)
{
    struct pw_cursor *cur = &walk->cur;
    pass_blanks(cur);
    switch (cur->rest.len == 0 ? '\0' : cur->rest.ptr[0]) {
    case '"':
        pass(cur, 1);
        walk->kind = PW_JSON_STRING;
        return take_string(cur, &walk->raw);
    case '{':
        walk->kind = PW_JSON_OBJECT;
        return take_nested(cur, &walk->raw);
    case '[':
        walk->kind = PW_JSON_ARRAY;
        return take_nested(cur, &walk->raw);
    case 't':
        walk->kind = PW_JSON_TRUE;
        return take_word(cur, "true", &walk->raw);
    case 'f':
        walk->kind = PW_JSON_FALSE;
        return take_word(cur, "false", &walk->raw);
    case 'n':
        walk->kind = PW_JSON_NULL;
        return take_word(cur, "null", &walk->raw);
    default:
        walk->kind = PW_JSON_NUMBER;
        return take_number(cur, &walk->raw);
    }
}

struct pw_json_walk
pw_json_walk_over(struct pw_span text)
{
    struct pw_json_walk walk = {.cur = pw_cursor_over(text)};
    walk.array = take_byte(&walk.cur, '[');
    walk.bad = !walk.array && !take_byte(&walk.cur, '{');
    return walk;
}

static bool
end(struct pw_json_walk *walk, bool good)
{
    pass_blanks(&walk->cur);
    walk->bad = !good || walk->cur.rest.len > 0;
    walk->cur.rest.len = 0;
    walk->kind = PW_JSON_NONE;
    walk->key = walk->raw = (struct pw_span){0};
    walk->begun = true;
    return false;
}

bool
pw_json_walk_next(struct pw_json_walk *walk)
{
    struct pw_cursor *cur = &walk->cur;
    if (walk->bad || (walk->begun && cur->rest.len == 0)) {
        walk->bad = walk->bad || walk->kind != PW_JSON_NONE; /* it ends without bracket */
        return false;
    }
    if (take_byte(cur, walk->array ? ']' : '}')) {
        return end(walk, true);
    }
    if (walk->begun && !take_byte(cur, ',')) {
        return end(walk, false);
    }
    walk->begun = true;
    if (!walk->array &&
        (!take_byte(cur, '"') || !take_string(cur, &walk->key) || !take_byte(cur, ':'))) {
        return end(walk, false);
    }
    return take_value(walk) || end(walk, false);
}

bool
pw_json_raw_uint(struct pw_span raw, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < raw.len; i++) {
        uint64_t digit = (uint64_t)raw.ptr[i] - '0';
        if (digit > 9 || sum > (UINT64_MAX - digit) / 10) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return raw.len > 0;
}

/* ---- what a string spells ---- */

static uint32_t
unit_at(struct pw_span raw, size_t at)
{
    uint8_t unit[2];
    if (at > raw.len || raw.len - at < 6 || raw.ptr[at] != '\\' || raw.ptr[at + 1] != 'u' ||
        !pw_hex_decode((struct pw_span){raw.ptr + at + 2, 4}, unit, 2)) {
        return UINT32_MAX;
    }
    return (uint32_t)unit[0] << 8 | unit[1];
}

static size_t
put_utf8(uint32_t code, uint8_t *out)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t heads[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (uint8_t)(heads[more] | code >> (6 * more));
    for (size_t i = 1; i <= more; i++) {
        out[i] = (uint8_t)(0x80 | (code >> (6 * (more - i)) & 0x3f));
    }
    return more + 1;
}

/* Spell the \u escape at `at`; *taken are its bytes. */
static size_t
put_unit(struct pw_span raw, size_t at, size_t *taken, uint8_t *out)
{
    uint32_t unit = unit_at(raw, at);
    uint32_t next = unit_at(raw, at + 6);
    *taken = 6;
    if (unit >= 0xd800 && unit < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
        *taken = 12;
        return put_utf8(0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00), out);
    }
    if (unit >= 0xdc80 && unit <= 0xdcff) {
        out[0] = (uint8_t)unit;
        return 1;
    }
    return put_utf8(unit >= 0xd800 && unit < 0xe000 ? 0xfffd : unit, out);
}

static uint8_t
short_escape(uint8_t letter)
{
    static const char letters[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    const char *at = memchr(letters, letter, sizeof letters - 1);
    return at == NULL ? letter : (uint8_t)bytes[at - letters];
}

enum pw_err
pw_json_raw_text(struct pw_span raw, struct pw_buf *out)
{
    enum pw_err err = pw_buf_reserve(out, raw.len); /* no spelling is shorter */
    if (err != PW_E_OK) {
        return err;
    }
    size_t at = 0;
    while (at < raw.len) {
        uint8_t *to = out->bytes + out->len;
        size_t taken = 1;
        if (raw.ptr[at] != '\\' || at + 1 == raw.len) {
            *to = raw.ptr[at];
            out->len++;
        } else if (raw.ptr[at + 1] == 'u' && unit_at(raw, at) != UINT32_MAX) {
            out->len += put_unit(raw, at, &taken, to);
        } else {
            *to = short_escape(raw.ptr[at + 1]);
            out->len++;
            taken = 2;
        }
        at += taken;
    }
    return PW_E_OK;
}
