/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/json_line.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/base/utf8.h"

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
