/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes we borrow, and a reader that never leaves them. Reading past the end yields zeros
 * and latches `truncated`, so a parser reads straight down and asks once.
 */
#ifndef PW_COMMON_BASE_CURSOR_H
#define PW_COMMON_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/def.h"

/* Borrowed bytes. `ptr` may be NULL when `len` is 0. */
struct pw_span {
    const uint8_t *ptr;
    size_t len;
};

/* The bytes of a C string, without its NUL. */
static inline struct pw_span
pw_span_str(const char *text)
{
    return (struct pw_span){(const uint8_t *)text, strlen(text)};
}

static inline bool
pw_span_equal(struct pw_span a, struct pw_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Below, at or above zero, as a comes before, at or behind b in byte order. */
static inline int
pw_span_compare(struct pw_span a, struct pw_span b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.ptr, b.ptr, shorter);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

struct pw_cursor {
    struct pw_span rest; /* what has not been read */
    bool truncated;      /* some read wanted more than there was */
};

static inline struct pw_cursor
pw_cursor_over(struct pw_span bytes)
{
    return (struct pw_cursor){.rest = bytes};
}

/* The next `len` bytes; an empty span, with `truncated` set, when there are fewer. */
static inline struct pw_span
pw_cursor_take(struct pw_cursor *cur, size_t len)
{
    if (cur->truncated || len > cur->rest.len) {
        cur->truncated = true;
        return (struct pw_span){0};
    }
    struct pw_span taken = {cur->rest.ptr, len};
    cur->rest.ptr = len == 0 ? cur->rest.ptr : cur->rest.ptr + len;
    cur->rest.len -= len;
    return taken;
}

/* A big-endian unsigned integer of 1 to 8 bytes. */
static inline uint64_t
pw_cursor_uint(struct pw_cursor *cur, size_t bytes)
{
    struct pw_span field = pw_cursor_take(cur, bytes);
    uint64_t value = 0;
    for (size_t i = 0; i < field.len; i++) {
        value = value << 8 | field.ptr[i];
    }
    return value;
}

/* The bytes up to the next `end`, which is consumed too; truncated when there is none. */
static inline struct pw_span
pw_cursor_until(struct pw_cursor *cur, uint8_t end)
{
    const uint8_t *at = cur->truncated || cur->rest.len == 0
                            ? NULL
                            : memchr(cur->rest.ptr, end, cur->rest.len);
    if (at == NULL) {
        cur->truncated = true;
        return (struct pw_span){0};
    }
    struct pw_span line = pw_cursor_take(cur, (size_t)(at - cur->rest.ptr));
    (void)pw_cursor_take(cur, 1);
    return line;
}

#endif
