/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/text.h"

static int
hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `count` hexadecimal digits at the start of `text`; false when there are fewer. */
static bool
read_hex(struct pw_span text, size_t count, uint32_t *value)
{
    *value = 0;
    if (text.len < count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        int digit = hex_digit(text.ptr[i]);
        if (digit < 0) {
            return false;
        }
        *value = *value << 4 | (uint32_t)digit;
    }
    return true;
}

static size_t
put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t extra = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (uint8_t)(leads[extra] | c >> (6 * extra));
    for (size_t i = 1; i <= extra; i++) {
        out[i] = (uint8_t)(0x80 | (c >> (6 * (extra - i)) & 0x3f));
    }
    return extra + 1;
}

bool
pw_text_unicode_is_plain(struct pw_span line)
{
    for (size_t i = 0; i < line.len; i++) {
        bool escape =
            line.ptr[i] == '\\' && i + 1 < line.len && (line.ptr[i + 1] | 0x20) == 'u';
        if (line.ptr[i] >= 0x80 || escape) {
            return false;
        }
    }
    return true;
}

bool
pw_text_unicode(struct pw_span line, uint8_t *out, size_t *len)
{
    size_t written = 0;
    size_t at = 0;
    bool odd = false; /* an odd number of backslashes stands right before `at` */
    while (at < line.len) {
        uint8_t c = line.ptr[at++];
        bool escape = odd && (c == 'u' || c == 'U');
        odd = c == '\\' && !odd;
        if (!escape) {
            written += put_utf8(out + written, c);
            continue;
        }
        size_t digits = c == 'u' ? 4 : 8;
        uint32_t value;
        struct pw_span rest = {line.ptr + at, line.len - at};
        if (!read_hex(rest, digits, &value) || value > 0x10ffff) {
            return false;
        }
        at += digits;
        written--; /* the backslash */
        written += put_utf8(out + written, value);
    }
    *len = written;
    return true;
}

/* The bytes between the quotes of a STRING line; false when they are not quoted. */
static bool
unquote(struct pw_span line, struct pw_span *inner)
{
    if (line.len < 2 || line.ptr[0] != line.ptr[line.len - 1] ||
        (line.ptr[0] != '\'' && line.ptr[0] != '"')) {
        return false;
    }
    *inner = (struct pw_span){line.ptr + 1, line.len - 2};
    return true;
}

static const struct {
    uint8_t letter;
    uint8_t byte;
} simple_escapes[] = {{'\\', '\\'}, {'\'', '\''}, {'"', '"'},  {'a', '\a'}, {'b', '\b'},
                      {'f', '\f'},  {'n', '\n'},  {'r', '\r'}, {'t', '\t'}, {'v', '\v'}};

/* The escape behind a backslash: bytes it takes (0 when CPython raises), and its value. */
static size_t
read_escape(struct pw_span text, uint8_t *value, bool *known)
{
    *known = true;
    if (text.len == 0) {
        return 0;
    }
    for (size_t i = 0; i < PW_COUNT(simple_escapes); i++) {
        if (text.ptr[0] == simple_escapes[i].letter) {
            *value = simple_escapes[i].byte;
            return 1;
        }
    }
    if (text.ptr[0] == 'x') {
        uint32_t code;
        struct pw_span digits = {text.ptr + 1, text.len - 1};
        bool good = read_hex(digits, 2, &code);
        *value = (uint8_t)code;
        return good ? 3 : 0;
    }
    unsigned octal = 0;
    size_t taken = 0;
    while (taken < 3 && taken < text.len && text.ptr[taken] >= '0' &&
           text.ptr[taken] <= '7') {
        octal = octal * 8 + (text.ptr[taken++] - '0');
    }
    *value = (uint8_t)octal;
    *known = taken > 0;
    return taken > 0 ? taken : 1;
}

bool
pw_text_string(struct pw_span line, uint8_t *out, size_t *len)
{
    struct pw_span text;
    if (!unquote(line, &text)) {
        return false;
    }
    size_t written = 0;
    for (size_t at = 0; at < text.len;) {
        uint8_t c = text.ptr[at++];
        if (c != '\\') {
            out[written++] = c;
            continue;
        }
        uint8_t value;
        bool known;
        size_t taken =
            read_escape((struct pw_span){text.ptr + at, text.len - at}, &value, &known);
        if (taken == 0) {
            return false;
        }
        if (!known) { /* kept, with its backslash */
            out[written++] = '\\';
            value = text.ptr[at];
        }
        out[written++] = value;
        at += taken;
    }
    *len = written;
    return true;
}
