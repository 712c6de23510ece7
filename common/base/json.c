/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/json.h"

#include <string.h>

#include "common/base/utf8.h"

static void
put(struct pw_json *json, const void *bytes, size_t len)
{
    if (json->err == PW_E_OK) {
        json->err = pw_buf_append(json->out, (struct pw_span){bytes, len});
    }
}

static void
put_char(struct pw_json *json, char c)
{
    put(json, &c, 1);
}

/* The comma and the key that go before a value. */
static void
begin(struct pw_json *json, const char *key)
{
    if (json->comma) {
        put_char(json, ',');
    }
    json->comma = true;
    if (key != NULL) {
        put_char(json, '"');
        put(json, key, strlen(key));
        put(json, "\":", 2);
    }
}

static void
open_group(struct pw_json *json, const char *key, char bracket)
{
    begin(json, key);
    put_char(json, bracket);
    json->comma = false;
}

static void
close_group(struct pw_json *json, char bracket)
{
    put_char(json, bracket);
    json->comma = true;
}

void
pw_json_object(struct pw_json *json, const char *key)
{
    open_group(json, key, '{');
}

void
pw_json_end_object(struct pw_json *json)
{
    close_group(json, '}');
}

void
pw_json_array(struct pw_json *json, const char *key)
{
    open_group(json, key, '[');
}

void
pw_json_end_array(struct pw_json *json)
{
    close_group(json, ']');
}

void
pw_json_uint(struct pw_json *json, const char *key, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    begin(json, key);
    put(json, digits + at, sizeof digits - at);
}

void
pw_json_bool(struct pw_json *json, const char *key, bool value)
{
    begin(json, key);
    put(json, value ? "true" : "false", value ? 4 : 5);
}

void
pw_json_str(struct pw_json *json, const char *key, const char *value)
{
    struct pw_span text = pw_span_str(value);
    pw_json_bytes(json, key, text, text.len);
}

static void
put_unit(struct pw_json *json, unsigned unit)
{
    static const char digits[] = "0123456789abcdef";
    const char text[6] = {'\\',
                          'u',
                          digits[unit >> 12 & 15],
                          digits[unit >> 8 & 15],
                          digits[unit >> 4 & 15],
                          digits[unit & 15]};
    put(json, text, sizeof text);
}

static void
put_code_point(struct pw_json *json, uint32_t c)
{
    if (c < 0x10000) {
        put_unit(json, c);
        return;
    }
    put_unit(json, 0xd800 + ((c - 0x10000) >> 10));
    put_unit(json, 0xdc00 + ((c - 0x10000) & 0x3ff));
}

static bool
is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static size_t
plain_run(struct pw_span text, size_t from)
{
    size_t at = from;
    while (at < text.len && is_plain(text.ptr[at])) {
        at++;
    }
    return at - from;
}

/* Write the escape for the character at `at`; return how many bytes it took. */
static size_t
put_escaped(struct pw_json *json, struct pw_span text, size_t at)
{
    uint8_t c = text.ptr[at];
    if (c == '"' || c == '\\') {
        put_char(json, '\\');
        put_char(json, (char)c);
        return 1;
    }
    uint32_t code = 0;
    struct pw_span rest = {text.ptr + at, text.len - at};
    size_t taken = pw_utf8_next(rest, &code);
    if (taken == 0) {
        put_unit(json, 0xdc00u + c); /* not UTF-8: surrogateescape */
        return 1;
    }
    put_code_point(json, code);
    return taken;
}

void
pw_json_bytes(struct pw_json *json, const char *key, struct pw_span value, size_t cap)
{
    struct pw_span text = {value.ptr, value.len < cap ? value.len : cap};
    begin(json, key);
    put_char(json, '"');
    for (size_t at = 0; at < text.len;) {
        size_t plain = plain_run(text, at);
        put(json, text.ptr + at, plain);
        at += plain;
        if (at < text.len) {
            at += put_escaped(json, text, at);
        }
    }
    if (value.len > cap) {
        put(json, "...", 3);
    }
    put_char(json, '"');
}

void
pw_json_raw(struct pw_json *json, struct pw_span text)
{
    if (text.len == 0) {
        return;
    }
    begin(json, NULL);
    put(json, text.ptr, text.len);
}

void
pw_json_newline(struct pw_json *json)
{
    put_char(json, '\n');
    json->comma = false;
}
