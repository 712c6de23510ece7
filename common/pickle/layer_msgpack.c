/* SPDX-License-Identifier: Apache-2.0
 *
 * MessagePack: one value and nothing behind it. What lies in the bodies of its extension
 * values, of the codes the rule names, is looked at; the rest is plain data, but arrays of
 * objects of msgpack_numpy, which are refused.
 */
#include "common/pickle/layer_walk.h"

enum { NESTING = 128 };

/* How a value goes on behind its first byte. */
enum shape {
    PLAIN,   /* `width` bytes of it */
    COUNTED, /* a length of `width` bytes, then as many bytes */
    ITEMS,   /* a number of `width` bytes, then as many values */
    PAIRS,   /* the same with twice as many */
    EXT,     /* a length of `width` bytes (or `fixed`), a code, the body */
    NEVER,   /* no value begins so */
};

struct form {
    enum shape shape;
    uint8_t width;
    uint8_t fixed; /* EXT of a length that the first byte says */
};

/* The first bytes 0xc0 to 0xdf; the others say all in their bits. */
static const struct form forms[32] = {
    [0x00] = {PLAIN, 0, 0},   [0x01] = {NEVER, 0, 0},   [0x02] = {PLAIN, 0, 0},
    [0x03] = {PLAIN, 0, 0},   [0x04] = {COUNTED, 1, 0}, [0x05] = {COUNTED, 2, 0},
    [0x06] = {COUNTED, 4, 0}, [0x07] = {EXT, 1, 0},     [0x08] = {EXT, 2, 0},
    [0x09] = {EXT, 4, 0},     [0x0a] = {PLAIN, 4, 0},   [0x0b] = {PLAIN, 8, 0},
    [0x0c] = {PLAIN, 1, 0},   [0x0d] = {PLAIN, 2, 0},   [0x0e] = {PLAIN, 4, 0},
    [0x0f] = {PLAIN, 8, 0},   [0x10] = {PLAIN, 1, 0},   [0x11] = {PLAIN, 2, 0},
    [0x12] = {PLAIN, 4, 0},   [0x13] = {PLAIN, 8, 0},   [0x14] = {EXT, 0, 1},
    [0x15] = {EXT, 0, 2},     [0x16] = {EXT, 0, 4},     [0x17] = {EXT, 0, 8},
    [0x18] = {EXT, 0, 16},    [0x19] = {COUNTED, 1, 0}, [0x1a] = {COUNTED, 2, 0},
    [0x1b] = {COUNTED, 4, 0}, [0x1c] = {ITEMS, 2, 0},   [0x1d] = {ITEMS, 4, 0},
    [0x1e] = {PAIRS, 2, 0},   [0x1f] = {PAIRS, 4, 0},
};

struct reader {
    struct pw_layer *layer;
    const struct pw_layer_rule *rule;
    size_t len; /* of the whole */
    struct pw_cursor cur;
    uint64_t left[NESTING]; /* values still to come, from the outermost container in */
    size_t depth;
    uint64_t values;  /* read so far */
    uint64_t kind_at; /* how many, when the latest "kind" was read; 0 for none */
    bool arrays;      /* some value is "nd" … */
    bool objects;     /* … and some "kind" is "O": see note_string */
};

/* msgpack_numpy makes arrays of maps with an "nd", and unpickles the "data" of those whose
 * "kind" is "O" (msgpack_numpy.py, decode). Keys are bytes, or text under raw=True. */
static void
note_string(struct reader *reader, struct pw_span string)
{
    reader->arrays |= pw_span_equal(string, pw_span_str("nd"));
    reader->objects |= reader->kind_at != 0 && reader->values == reader->kind_at + 1 &&
                       pw_span_equal(string, pw_span_str("O"));
    if (pw_span_equal(string, pw_span_str("kind"))) {
        reader->kind_at = reader->values;
    }
}

static void
look_into(struct reader *reader, int8_t code, struct pw_span body)
{
    if (code < reader->rule->first || code > reader->rule->last) {
        return;
    }
    uint8_t digits[PW_DIGITS];
    size_t off = reader->len - reader->cur.rest.len - body.len;
    pw_layer_inside(reader->layer, reader->rule + 1, body, "msgpack", "@",
                    pw_layer_digits(off, digits));
}

static enum pw_reason
open_container(struct reader *reader, uint64_t values)
{
    if (values == 0) {
        return PW_R_NONE;
    }
    if (reader->depth == NESTING) {
        return PW_R_LIMIT_DEPTH;
    }
    reader->left[reader->depth++] = values;
    return PW_R_NONE;
}

static enum pw_reason
read_form(struct reader *reader, struct form form)
{
    struct pw_cursor *cur = &reader->cur;
    if (form.shape == NEVER) {
        return PW_R_LAYER_BROKEN;
    }
    if (form.shape == PLAIN) {
        (void)pw_cursor_take(cur, form.width);
        return PW_R_NONE;
    }
    uint64_t count = form.width > 0 ? pw_cursor_uint(cur, form.width) : form.fixed;
    if (form.shape == COUNTED) {
        note_string(reader, pw_cursor_take(cur, count));
        return PW_R_NONE;
    }
    if (form.shape == EXT) {
        int8_t code = (int8_t)pw_cursor_uint(cur, 1);
        struct pw_span body = pw_cursor_take(cur, count);
        if (!cur->truncated) {
            look_into(reader, code, body);
        }
        return PW_R_NONE;
    }
    return open_container(reader, form.shape == PAIRS ? 2 * count : count);
}

static enum pw_reason
read_value(struct reader *reader)
{
    uint8_t first = (uint8_t)pw_cursor_uint(&reader->cur, 1);
    reader->values++;
    if (first >= 0xc0 && first <= 0xdf) {
        return read_form(reader, forms[first - 0xc0]);
    }
    if (first >= 0x80 && first <= 0x8f) {
        return open_container(reader, UINT64_C(2) * (first & 0x0f));
    }
    if (first >= 0x90 && first <= 0x9f) {
        return open_container(reader, first & 0x0f);
    }
    if (first >= 0xa0 && first <= 0xbf) {
        note_string(reader, pw_cursor_take(&reader->cur, first & 0x1f));
    }
    return PW_R_NONE; /* a small integer */
}

/* The innermost container that still wants a value has had one more. */
static void
count_value(struct reader *reader)
{
    while (reader->depth > 0 && reader->left[reader->depth - 1] == 0) {
        reader->depth--;
    }
    if (reader->depth > 0) {
        reader->left[reader->depth - 1]--;
    }
}

static enum pw_reason
read_all(struct reader *reader)
{
    reader->left[0] = 1;
    reader->depth = 1;
    for (count_value(reader); reader->depth > 0; count_value(reader)) {
        enum pw_reason reason = read_value(reader);
        if (reason != PW_R_NONE) {
            return reason;
        }
        if (reader->cur.truncated) {
            return PW_R_LAYER_BROKEN;
        }
    }
    if (reader->cur.rest.len > 0) {
        return PW_R_LAYER_BROKEN;
    }
    return reader->arrays && reader->objects ? PW_R_LAYER_UNKNOWN : PW_R_NONE;
}

void
pw_layer_open_msgpack(struct pw_layer *layer, const struct pw_layer_rule *rule,
                      struct pw_span bytes)
{
    struct reader reader = {
        .layer = layer, .rule = rule, .len = bytes.len, .cur = pw_cursor_over(bytes)};
    enum pw_reason reason = read_all(&reader);
    if (reason != PW_R_NONE) {
        pw_layer_refuse(layer, reason);
    }
}
