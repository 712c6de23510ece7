/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/layer.h"

#include <stdlib.h>
#include <zlib.h>

#include "common/base/buf.h"

enum { STEP_BYTES = 64 * 1024, KEEP_BYTES = 16 << 20 };

struct pw_layer {
    struct pw_buf out;
    z_stream stream;
    bool ready; /* the stream is initialised */
};

struct pw_layer *
pw_layer_new(void)
{
    return calloc(1, sizeof(struct pw_layer));
}

void
pw_layer_free(struct pw_layer **layer)
{
    if (*layer != NULL) {
        if ((*layer)->ready) {
            inflateEnd(&(*layer)->stream);
        }
        pw_buf_free(&(*layer)->out);
    }
    free(*layer);
    *layer = NULL;
}

static bool
rewind_stream(struct pw_layer *layer)
{
    if (!layer->ready) {
        layer->ready = inflateInit(&layer->stream) == Z_OK;
        return layer->ready;
    }
    return inflateReset(&layer->stream) == Z_OK;
}

/* The most a frame of this length may unfold to, and one byte to notice more. */
static size_t
output_limit(size_t packed, const struct pw_limits *limits)
{
    uint64_t by_ratio = (uint64_t)packed * limits->max_ratio;
    uint64_t most = by_ratio < limits->max_bytes ? by_ratio : limits->max_bytes;
    return (size_t)most + 1;
}

static enum pw_reason
inflate_all(struct pw_layer *layer)
{
    for (;;) {
        size_t room = layer->out.limit - layer->out.len;
        room = room < STEP_BYTES ? room : STEP_BYTES;
        if (room == 0) {
            return PW_R_LIMIT_INFLATE;
        }
        if (pw_buf_reserve(&layer->out, room) != PW_E_OK) {
            return PW_R_INTERNAL_ERROR;
        }
        layer->stream.next_out = layer->out.bytes + layer->out.len;
        layer->stream.avail_out = (uInt)room;
        int status = inflate(&layer->stream, Z_NO_FLUSH);
        layer->out.len += room - layer->stream.avail_out;
        if (status == Z_STREAM_END) {
            return layer->stream.avail_in == 0 ? PW_R_NONE : PW_R_LAYER_BROKEN;
        }
        if (status == Z_MEM_ERROR) {
            return PW_R_INTERNAL_ERROR;
        }
        if (status != Z_OK) { /* Z_BUF_ERROR: the input ended first */
            return PW_R_LAYER_BROKEN;
        }
    }
}

enum pw_reason
pw_layer_inflate(struct pw_layer *layer, struct pw_span packed,
                 const struct pw_limits *limits, struct pw_span *out)
{
    *out = (struct pw_span){0};
    if (packed.len > UINT32_MAX) {
        return PW_R_LIMIT_BYTES;
    }
    if (!rewind_stream(layer)) {
        return PW_R_INTERNAL_ERROR;
    }
    if (layer->out.cap > KEEP_BYTES) {
        pw_buf_free(&layer->out);
    }
    pw_buf_clear(&layer->out);
    layer->out.limit = output_limit(packed.len, limits);
    layer->stream.next_in = (Bytef *)(uintptr_t)packed.ptr; /* zlib does not write there */
    layer->stream.avail_in = (uInt)packed.len;
    enum pw_reason reason = inflate_all(layer);
    if (reason == PW_R_NONE && layer->out.len == layer->out.limit) {
        reason = PW_R_LIMIT_INFLATE;
    }
    if (reason == PW_R_NONE) {
        *out = pw_buf_span(&layer->out);
    }
    return reason;
}

enum pw_reason
pw_layer_skip(struct pw_span frame, uint8_t separator, uint32_t count, struct pw_span *out)
{
    struct pw_cursor cur = pw_cursor_over(frame);
    for (uint32_t i = 0; i < count; i++) {
        (void)pw_cursor_until(&cur, separator);
    }
    *out = cur.rest;
    return cur.truncated ? PW_R_RULE_MISMATCH : PW_R_NONE;
}
