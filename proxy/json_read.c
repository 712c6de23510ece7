/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/json_read.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
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

/* What stands before a block of jansson's, so that it can be wiped. */
struct block {
    alignas(max_align_t) size_t size;
};

/* jansson calls some allocations that failed a syntax error, and cuts strings at others. */
static _Thread_local bool exhausted;

static void *
take_block(size_t size)
{
    struct block *block =
        size > SIZE_MAX - sizeof *block ? NULL : malloc(sizeof *block + size);
    if (block == NULL) {
        exhausted = true;
        return NULL;
    }
    block->size = size;
    return block + 1;
}

static void
wipe_block(void *bytes)
{
    struct block *block = bytes;
    if (block != NULL) {
        block--;
        explicit_bzero(bytes, block->size);
    }
    free(block);
}

void
pw_json_wipes(void)
{
    json_set_alloc_funcs(take_block, wipe_block);
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
    exhausted = false;
    *object = json_loadb(copy, line.len, JSON_ALLOW_NUL, &error);
    explicit_bzero(copy, line.len); /* it may hold a key */
    free(copy);
    if (exhausted) {
        pw_json_line_free(object);
        return PW_E_NOMEM;
    }
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
