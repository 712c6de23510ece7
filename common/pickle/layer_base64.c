/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 (RFC 4648, section 4), nothing but its alphabet and in its one right spelling:
 * Python's b64decode passes over any other byte, and other readers do not.
 */
#include "common/pickle/layer_walk.h"

enum { NO_DIGIT = 64 };

/* The value of a letter; NO_DIGIT for all that is none. */
static unsigned
digit_of(uint8_t letter)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = letter == '\0' ? NULL : memchr(letters, letter, sizeof letters - 1);
    return at == NULL ? NO_DIGIT : (unsigned)(at - letters);
}

/* Four letters to up to three bytes; `padding` of them are "=". False: not base64. */
static bool
decode_group(struct pw_span group, size_t padding, uint8_t out[static 3])
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        bool pad = i >= 4 - padding;
        unsigned digit = pad ? 0 : digit_of(group.ptr[i]);
        if (digit == NO_DIGIT || (pad && group.ptr[i] != '=')) {
            return false;
        }
        bits = bits << 6 | digit;
    }
    for (size_t i = 0; i < 3; i++) {
        out[i] = (uint8_t)(bits >> (16 - 8 * i));
    }
    uint32_t unused = padding == 0 ? 0 : (padding == 1 ? 0xff : 0xffff);
    return (bits & unused) == 0;
}

static enum pw_reason
decode(struct pw_span text, struct pw_buf *out)
{
    if (text.len % 4 != 0) {
        return PW_R_LAYER_BROKEN;
    }
    struct pw_cursor cur = pw_cursor_over(text);
    for (struct pw_span group = pw_cursor_take(&cur, 4); group.len == 4;
         group = pw_cursor_take(&cur, 4)) {
        size_t padding = 0;
        if (cur.rest.len == 0 && group.ptr[3] == '=') {
            padding = group.ptr[2] == '=' ? 2 : 1;
        }
        uint8_t bytes[3];
        if (!decode_group(group, padding, bytes)) {
            return PW_R_LAYER_BROKEN;
        }
        enum pw_err err = pw_buf_append(out, (struct pw_span){bytes, 3 - padding});
        if (err != PW_E_OK) {
            return err == PW_E_LIMIT ? PW_R_LIMIT_INFLATE : PW_R_INTERNAL_ERROR;
        }
    }
    return PW_R_NONE;
}

void
pw_layer_open_base64(struct pw_layer *layer, const struct pw_layer_rule *rule,
                     struct pw_span bytes)
{
    struct pw_buf *out = pw_layer_buffer(layer, bytes.len, UINT64_MAX);
    enum pw_reason reason = decode(bytes, out);
    if (reason == PW_R_NONE) {
        reason = pw_layer_charge(layer, out);
    }
    if (reason != PW_R_NONE) {
        pw_layer_refuse(layer, reason);
        return;
    }
    pw_layer_inside(layer, rule + 1, pw_buf_span(out), "base64", "", (struct pw_span){0});
}
