/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/json_read.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/hex.h"

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
