/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes we own: a growing buffer with a ceiling. Zero-initialise with a limit:
 *     struct pw_buf buf = {.limit = 1 << 20};
 */
#ifndef PW_COMMON_BASE_BUF_H
#define PW_COMMON_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/cursor.h"
#include "common/base/err.h"

struct pw_buf {
    uint8_t *bytes; /* NULL until the first append */
    size_t len;
    size_t cap;
    size_t limit; /* most bytes it may hold */
};

/* Release the bytes and zero len and cap; the limit stays. */
void pw_buf_free(struct pw_buf *buf);

/* Forget the content, keep the memory. */
void pw_buf_clear(struct pw_buf *buf);

/* Make room for `more` bytes behind the content. PW_E_LIMIT or PW_E_NOMEM leave it as it
 * was. */
PW_CHECK_RESULT enum pw_err pw_buf_reserve(struct pw_buf *buf, size_t more);

/* Copy `bytes` to the end. On failure the buffer is as it was. */
PW_CHECK_RESULT enum pw_err pw_buf_append(struct pw_buf *buf, struct pw_span bytes);

static inline struct pw_span
pw_buf_span(const struct pw_buf *buf)
{
    return (struct pw_span){buf->bytes, buf->len};
}

#endif
