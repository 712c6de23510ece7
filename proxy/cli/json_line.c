/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/json_line.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/base/utf8.h"

enum { LONGEST = 8 << 20 };

/* The code unit of an escape \uXXXX at `at`; -1 when there is none. */
static int32_t
unit_at(struct pw_span text, size_t at)
{
    uint8_t bytes[2];
    if (text.len < 6 || at > text.len - 6 || text.ptr[at] != '\\' ||
        text.ptr[at + 1] != 'u' ||
        !pw_hex_decode((struct pw_span){text.ptr + at + 2, 4}, bytes, sizeof bytes)) {
        return -1;
    }
    return bytes[0] << 8 | bytes[1];
}

static bool
is_high(int32_t unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool
is_low(int32_t unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

/* Bytes of the escape at `at`; `*lone` says that it is half of a pair. */
static size_t
escape_length(struct pw_span text, size_t at, bool *lone)
{
    int32_t unit = unit_at(text, at);
    *lone = false;
    if (is_high(unit) && is_low(unit_at(text, at + 6))) {
        return 12;
    }
    *lone = is_high(unit) || is_low(unit);
    return unit >= 0 ? 6 : 2;
}

static void
mend_surrogates(char *copy, size_t len)
{
    struct pw_span text = {(const uint8_t *)copy, len};
    size_t at = 0;
    while (at < len) {
        const char *escape = memchr(copy + at, '\\', len - at);
        if (escape == NULL) {
            return;
        }
        bool lone;
        at = (size_t)(escape - copy);
        size_t taken = escape_length(text, at, &lone);
        if (lone) {
            memcpy(copy + at + 2, "fffd", 4);
        }
        at += taken;
    }
}

enum pw_err
pw_json_line_read(struct pw_span line, json_t **object)
{
    *object = NULL;
    if (line.len == 0 || line.len > LONGEST) {
        return PW_E_FORMAT;
    }
    char *copy = malloc(line.len);
    if (copy == NULL) {
        return PW_E_NOMEM;
    }
    memcpy(copy, line.ptr, line.len);
    mend_surrogates(copy, line.len);
    json_error_t error;
    *object = json_loadb(copy, line.len, JSON_ALLOW_NUL, &error);
    free(copy);
    if (*object == NULL) {
        bool no_memory = json_error_code(&error) == json_error_out_of_memory;
        return no_memory ? PW_E_NOMEM : PW_E_FORMAT;
    }
    if (!json_is_object(*object)) {
        pw_json_line_free(object);
        return PW_E_FORMAT;
    }
    return PW_E_OK;
}

json_t *
pw_json_line_parse(struct pw_span line)
{
    json_t *object;
    return pw_json_line_read(line, &object) == PW_E_OK ? object : NULL;
}

void
pw_json_line_free(json_t **object)
{
    json_decref(*object);
    *object = NULL;
}

static bool
is_printable(uint32_t code)
{
    return code >= 0x20 && code < 0x7f;
}

bool
pw_json_line_plain(struct pw_span line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (!is_printable(line.ptr[i])) {
            return false;
        }
    }
    return true;
}

void
pw_print_text(FILE *out, struct pw_span text)
{
    struct pw_cursor cur = pw_cursor_over(text);
    while (cur.rest.len > 0) {
        uint32_t code = 0;
        size_t taken = pw_utf8_next(cur.rest, &code);
        uint8_t byte = cur.rest.ptr[0];
        (void)pw_cursor_take(&cur, taken > 0 ? taken : 1);
        if (taken == 0) {
            fprintf(out, "\\x%02x", byte);
        } else if (is_printable(code)) {
            fputc((int)code, out);
        } else {
            fprintf(out, "\\u%04" PRIx32, code);
        }
    }
}

struct pw_span
pw_json_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) {
        return (struct pw_span){0};
    }
    return (struct pw_span){(const uint8_t *)json_string_value(value),
                            json_string_length(value)};
}

long long
pw_json_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

bool
pw_print_name(FILE *out, const json_t *find)
{
    struct pw_span mod = pw_json_text(find, "mod");
    struct pw_span name = pw_json_text(find, "name");
    if (mod.len + name.len == 0) {
        return false;
    }
    pw_print_text(out, mod);
    fputc(':', out);
    pw_print_text(out, name);
    return true;
}

void
pw_print_note(FILE *out, const json_t *find)
{
    struct pw_span note = pw_json_text(find, "note");
    if (note.len > 0) {
        fputs("  ", out);
        pw_print_text(out, note);
    }
}

/* The finding that matters most: the first of the highest level. */
static const json_t *
gravest(const json_t *finds)
{
    static const char *const levels[] = {"critical", "high", "medium", "low"};
    for (size_t level = 0; level < PW_COUNT(levels); level++) {
        for (size_t i = 0; i < json_array_size(finds); i++) {
            const json_t *find = json_array_get(finds, i);
            if (pw_span_equal(pw_json_text(find, "level"), pw_span_str(levels[level]))) {
                return find;
            }
        }
    }
    return json_array_get(finds, 0);
}

void
pw_print_reason(FILE *out, const json_t *object)
{
    struct pw_span words = pw_json_text(object, "reason_text");
    if (words.len == 0) {
        words = pw_json_text(object, "reason");
    }
    pw_print_text(out, words);
    const json_t *find = gravest(json_object_get(object, "finds"));
    if (pw_json_text(find, "mod").len + pw_json_text(find, "name").len > 0) {
        fputs(words.len > 0 ? ": " : "", out);
        (void)pw_print_name(out, find);
    }
    pw_print_note(out, find);
}
