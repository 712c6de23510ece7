/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/utf8.h"
#include "proxy/cli/screen.h"

void
pw_words_put(struct pw_words *words, const char *format, ...)
{
    size_t room = sizeof words->text - words->len;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(words->text + words->len, room, format, args);
    va_end(args);
    if (len > 0) {
        words->len += (size_t)len < room ? (size_t)len : room - 1;
    }
}

void
pw_words_quote(struct pw_words *words, struct pw_span text)
{
    struct pw_cursor cur = pw_cursor_over(text);
    while (cur.rest.len > 0 && words->len + 1 < sizeof words->text) {
        uint32_t code = 0;
        size_t taken = pw_utf8_next(cur.rest, &code);
        uint8_t byte = cur.rest.ptr[0];
        (void)pw_cursor_take(&cur, taken > 0 ? taken : 1);
        if (taken == 0) {
            pw_words_put(words, "\\x%02x", byte);
        } else if (code >= 0x20 && code < 0x7f) {
            words->text[words->len++] = (char)code;
            words->text[words->len] = '\0';
        } else {
            pw_words_put(words, "\\u%04" PRIx32, code);
        }
    }
}

void
pw_words_size(struct pw_words *words, double bytes)
{
    char text[PW_QUANTITY_TEXT];
    pw_quantity_size(bytes, text);
    pw_words_put(words, "%s", text);
}

void
pw_words_count(struct pw_words *words, uint64_t count)
{
    char text[PW_QUANTITY_TEXT];
    pw_quantity_count(count, text);
    pw_words_put(words, "%s", text);
}

void
pw_words_cut(struct pw_words *words, size_t width)
{
    if (words->len <= width) {
        return;
    }
    words->len = width;
    words->text[width] = '\0';
    if (words->len > 6) {
        memcpy(&words->text[words->len - 3], "...", 3);
    }
}
