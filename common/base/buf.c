/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/buf.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void
pw_buf_free(struct pw_buf *buf)
{
    free(buf->bytes);
    *buf = (struct pw_buf){.limit = buf->limit};
}

void
pw_buf_clear(struct pw_buf *buf)
{
    buf->len = 0;
}

enum pw_err
pw_buf_reserve(struct pw_buf *buf, size_t more)
{
    if (more > buf->limit - buf->len) {
        return PW_E_LIMIT;
    }
    size_t need = buf->len + more;
    if (need <= buf->cap) {
        return PW_E_OK;
    }
    size_t cap = buf->cap > buf->limit / 2 ? buf->limit : buf->cap * 2;
    cap = cap < FIRST_CAPACITY ? FIRST_CAPACITY : cap;
    cap = cap < need ? need : cap;
    uint8_t *bytes = realloc(buf->bytes, cap);
    if (bytes == NULL) {
        return PW_E_NOMEM;
    }
    buf->bytes = bytes;
    buf->cap = cap;
    return PW_E_OK;
}

enum pw_err
pw_buf_append(struct pw_buf *buf, struct pw_span bytes)
{
    enum pw_err err = pw_buf_reserve(buf, bytes.len);
    if (err != PW_E_OK || bytes.len == 0) {
        return err;
    }
    memcpy(buf->bytes + buf->len, bytes.ptr, bytes.len);
    buf->len += bytes.len;
    return PW_E_OK;
}
