/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/number.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

enum { MAX_DIGITS = 4300, FLOAT_MAX = 400 };

static bool
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static size_t
digit_run(struct pw_span text)
{
    size_t len = 0;
    while (len < text.len && is_digit(text.ptr[len])) {
        len++;
    }
    return len;
}

static struct pw_span
skip(struct pw_span text, size_t len)
{
    return (struct pw_span){len == 0 ? text.ptr : text.ptr + len, text.len - len};
}

/* 0 or [1-9][0-9]*, all of `text`. */
static bool
is_natural(struct pw_span text)
{
    return text.len > 0 && text.len <= MAX_DIGITS && digit_run(text) == text.len &&
           (text.ptr[0] != '0' || text.len == 1);
}

static bool
is_integer(struct pw_span text)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    struct pw_span digits = skip(text, negative ? 1 : 0);
    return is_natural(digits) && !(negative && digits.ptr[0] == '0');
}

bool
pw_number_int(struct pw_span line, bool *is_bool)
{
    *is_bool =
        line.len == 2 && line.ptr[0] == '0' && (line.ptr[1] == '0' || line.ptr[1] == '1');
    return *is_bool || is_integer(line);
}

bool
pw_number_long(struct pw_span line)
{
    bool suffix = line.len > 0 && line.ptr[line.len - 1] == 'L';
    return is_integer((struct pw_span){line.ptr, line.len - (suffix ? 1 : 0)});
}

static bool
is_special_float(struct pw_span text)
{
    static const char *const names[] = {"inf", "infinity", "nan"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        if (text.len == strlen(names[i]) &&
            strncasecmp((const char *)text.ptr, names[i], text.len) == 0) {
            return true;
        }
    }
    return false;
}

/* e[+-]digits, or nothing. */
static bool
is_exponent(struct pw_span text)
{
    if (text.len == 0) {
        return true;
    }
    if (text.ptr[0] != 'e' && text.ptr[0] != 'E') {
        return false;
    }
    text = skip(text, 1);
    bool sign = text.len > 0 && (text.ptr[0] == '+' || text.ptr[0] == '-');
    text = skip(text, sign ? 1 : 0);
    /* Three digits are what repr() writes at most. */
    return text.len > 0 && text.len <= 3 && digit_run(text) == text.len;
}

/* A C unpickler refuses what is too large for a float; Python's reads infinity. */
static bool
is_finite(struct pw_span text)
{
    char copy[FLOAT_MAX + 1] = {0};
    memcpy(copy, text.ptr, text.len);
    return isfinite(strtod(copy, NULL));
}

bool
pw_number_float(struct pw_span line)
{
    bool sign = line.len > 0 && (line.ptr[0] == '+' || line.ptr[0] == '-');
    struct pw_span text = skip(line, sign ? 1 : 0);
    if (is_special_float(text)) {
        return true;
    }
    struct pw_span rest = skip(text, digit_run(text));
    size_t digits = text.len - rest.len;
    if (rest.len > 0 && rest.ptr[0] == '.') {
        rest = skip(rest, 1);
        size_t part = digit_run(rest);
        rest = skip(rest, part);
        digits += part;
    }
    return digits > 0 && is_exponent(rest) && text.len <= FLOAT_MAX && is_finite(text);
}

bool
pw_number_index(struct pw_span line, uint64_t *index)
{
    uint64_t value = 0;
    bool any = false;
    bool negative = false;
    for (size_t i = 0; i < line.len && line.ptr[i] != '\0'; i++) {
        negative = negative || line.ptr[i] == '-';
        if (!is_digit(line.ptr[i])) {
            continue;
        }
        any = true;
        value = value > UINT64_MAX / 20 ? UINT64_MAX / 2 : value * 10 + (line.ptr[i] - '0');
    }
    *index = any && (!negative || value == 0) ? value : UINT64_MAX;
    return is_natural(line) && value < UINT64_MAX / 20;
}
