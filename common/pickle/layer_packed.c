/* SPDX-License-Identifier: Apache-2.0
 *
 * Compressed streams: zlib (RFC 1950), gzip (RFC 1952), bzip2, xz and lzma.
 *
 * Python's readers stop at the first end (zlib), take streams one behind the other (gzip,
 * bz2, lzma) and disagree about what else may follow. Here nothing may, but for the zeros
 * that gzip files are padded with.
 */
#include <stdlib.h>

#include "common/pickle/layer_walk.h"

enum {
    STEP_BYTES = 64 * 1024,
    STREAMS_MAX = 65536,       /* in one frame: each costs a reset */
    LZMA_MEMORY = 80 << 20,    /* preset 9 takes 65 MiB */
    LZMA_KEEP_BYTES = 4 << 20, /* a decoder that took more is ended at once */
    WINDOW_ZLIB = MAX_WBITS,
    WINDOW_GZIP = MAX_WBITS + 16,
    WINDOW_RAW = -MAX_WBITS,
};

enum progress { BROKEN, MORE, ENDED, NO_MEMORY, TOO_LARGE };

/* One stream of a format. `in` and `out` shrink by what was read and written. */
struct codec {
    const char *magics[2]; /* one must stand in front; NULL: the decoder looks itself */
    uint8_t magic_len[2];
    bool many;    /* streams may follow each other */
    bool padding; /* zeros may follow them */
    enum progress (*start)(struct pw_layer *layer, struct pw_span in);
    enum progress (*step)(struct pw_layer *layer, struct pw_span *in, uint8_t *out,
                          size_t *room);
    void (*stop)(struct pw_layer *layer);
};

/* ---- memory: every byte a library takes goes through here -------------------------------
 *
 * None is cleared, as the libraries' own functions do not: a block of bzip2 is 3.6 MB, a
 * dictionary of lzma 64 MB, and mostly not touched.
 */

static void *
take_z(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return malloc((size_t)count * size);
}

static void *
take_bz2(void *opaque, int count, int size)
{
    (void)opaque;
    return malloc((size_t)count * (size_t)size);
}

static void *
take_lzma(void *opaque, size_t count, size_t size)
{
    (void)opaque;
    return malloc(count * size);
}

static void
give_back(void *opaque, void *memory)
{
    (void)opaque;
    free(memory);
}

/* ---- zlib and gzip ----------------------------------------------------------------------
 */

static enum progress
start_inflate(struct pw_layer *layer, int window)
{
    if (layer->inflate_ready) {
        return inflateReset2(&layer->inflate, window) == Z_OK ? MORE : NO_MEMORY;
    }
    layer->inflate = (z_stream){.zalloc = take_z, .zfree = give_back};
    layer->inflate_ready = inflateInit2(&layer->inflate, window) == Z_OK;
    return layer->inflate_ready ? MORE : NO_MEMORY;
}

static enum progress
start_zlib(struct pw_layer *layer, struct pw_span in)
{
    (void)in;
    return start_inflate(layer, WINDOW_ZLIB);
}

static enum progress
start_gzip(struct pw_layer *layer, struct pw_span in)
{
    (void)in;
    return start_inflate(layer, WINDOW_GZIP);
}

static enum progress
start_raw(struct pw_layer *layer, struct pw_span in)
{
    (void)in;
    return start_inflate(layer, WINDOW_RAW);
}

static enum progress
step_inflate(struct pw_layer *layer, struct pw_span *in, uint8_t *out, size_t *room)
{
    z_stream *stream = &layer->inflate;
    stream->next_in = (Bytef *)(uintptr_t)in->ptr; /* zlib does not write there */
    stream->avail_in = (uInt)in->len;
    stream->next_out = out;
    stream->avail_out = (uInt)*room;
    int status = inflate(stream, Z_NO_FLUSH);
    *in = (struct pw_span){stream->next_in, stream->avail_in};
    *room = stream->avail_out;
    if (status == Z_STREAM_END) {
        return ENDED;
    }
    if (status == Z_MEM_ERROR) {
        return NO_MEMORY;
    }
    return status == Z_OK ? MORE : BROKEN; /* Z_BUF_ERROR: the input ended first */
}

static void
keep(struct pw_layer *layer)
{
    (void)layer; /* reset at the next start */
}

/* ---- bzip2 ------------------------------------------------------------------------------
 */

static enum progress
start_bz2(struct pw_layer *layer, struct pw_span in)
{
    (void)in;
    layer->bunzip = (bz_stream){.bzalloc = take_bz2, .bzfree = give_back};
    return BZ2_bzDecompressInit(&layer->bunzip, 0, 0) == BZ_OK ? MORE : NO_MEMORY;
}

static enum progress
step_bz2(struct pw_layer *layer, struct pw_span *in, uint8_t *out, size_t *room)
{
    bz_stream *stream = &layer->bunzip;
    stream->next_in = (char *)(uintptr_t)in->ptr; /* nor does libbz2 */
    stream->avail_in = (unsigned)in->len;
    stream->next_out = (char *)out;
    stream->avail_out = (unsigned)*room;
    int status = BZ2_bzDecompress(stream);
    *in = (struct pw_span){(const uint8_t *)stream->next_in, stream->avail_in};
    *room = stream->avail_out;
    if (status == BZ_STREAM_END) {
        return ENDED;
    }
    if (status == BZ_MEM_ERROR) {
        return NO_MEMORY;
    }
    return status == BZ_OK ? MORE : BROKEN;
}

/* libbz2 cannot begin again. */
static void
stop_bz2(struct pw_layer *layer)
{
    BZ2_bzDecompressEnd(&layer->bunzip);
    layer->bunzip = (bz_stream){0};
}

/* ---- xz and lzma ------------------------------------------------------------------------
 */

static enum progress
lzma_progress(lzma_ret status)
{
    switch (status) {
    case LZMA_OK:
        return MORE;
    case LZMA_STREAM_END:
        return ENDED;
    case LZMA_MEM_ERROR:
        return NO_MEMORY;
    case LZMA_MEMLIMIT_ERROR:
        return TOO_LARGE;
    default:
        return BROKEN;
    }
}

static enum progress
start_xz(struct pw_layer *layer, struct pw_span in)
{
    layer->unxz_memory = (lzma_allocator){.alloc = take_lzma, .free = give_back};
    layer->unxz.allocator = &layer->unxz_memory;
    bool xz = in.ptr[0] == 0xfd;
    return lzma_progress(xz ? lzma_stream_decoder(&layer->unxz, LZMA_MEMORY, 0)
                            : lzma_alone_decoder(&layer->unxz, LZMA_MEMORY));
}

static enum progress
step_xz(struct pw_layer *layer, struct pw_span *in, uint8_t *out, size_t *room)
{
    lzma_stream *stream = &layer->unxz;
    stream->next_in = in->ptr;
    stream->avail_in = in->len;
    stream->next_out = out;
    stream->avail_out = *room;
    lzma_ret status = lzma_code(stream, LZMA_RUN);
    *in = (struct pw_span){stream->next_in, stream->avail_in};
    *room = stream->avail_out;
    return lzma_progress(status);
}

static void
stop_xz(struct pw_layer *layer)
{
    if (lzma_memusage(&layer->unxz) > LZMA_KEEP_BYTES) {
        lzma_end(&layer->unxz);
        layer->unxz = (lzma_stream)LZMA_STREAM_INIT;
    }
}

/* ---- streams ----------------------------------------------------------------------------
 */

/* clang-format off */
static const struct codec codecs[PW_LAYER_COUNT] = {
    [PW_LAYER_ZLIB] = {{NULL, NULL}, {0, 0}, false, false, start_zlib, step_inflate, keep},
    [PW_LAYER_GZIP] = {{NULL, NULL}, {0, 0}, true, true, start_gzip, step_inflate, keep},
    [PW_LAYER_BZ2] = {{NULL, NULL}, {0, 0}, true, false, start_bz2, step_bz2, stop_bz2},
    [PW_LAYER_XZ] = {{"\xfd" "7zXZ\0", "]\0\0"}, {6, 3}, true, false, start_xz, step_xz, stop_xz},
};
static const struct codec raw = {.start = start_raw, .step = step_inflate, .stop = keep};
static const struct codec alone = {.start = start_xz, .step = step_xz, .stop = stop_xz};
/* clang-format on */

static bool
has_magic(const struct codec *codec, struct pw_span in)
{
    return codec->magics[0] == NULL ||
           pw_layer_starts(in, codec->magics[0], codec->magic_len[0]) ||
           pw_layer_starts(in, codec->magics[1], codec->magic_len[1]);
}

/* One stream, to its end. */
static enum progress
run_stream(const struct codec *codec, struct pw_layer *layer, struct pw_span *in,
           struct pw_buf *out)
{
    for (;;) {
        size_t room = out->limit - out->len;
        room = room < STEP_BYTES ? room : STEP_BYTES;
        if (room == 0) {
            return TOO_LARGE;
        }
        if (pw_buf_reserve(out, room) != PW_E_OK) {
            return NO_MEMORY;
        }
        size_t left = room;
        size_t before = in->len;
        enum progress progress = codec->step(layer, in, out->bytes + out->len, &left);
        out->len += room - left;
        if (progress != MORE) {
            return progress;
        }
        if (left == room && in->len == before) {
            return BROKEN; /* cut short: there is no more to give it */
        }
    }
}

static enum progress
unfold_stream(const struct codec *codec, struct pw_layer *layer, struct pw_span *in,
              struct pw_buf *out)
{
    if (!has_magic(codec, *in)) {
        return BROKEN;
    }
    enum progress progress = codec->start(layer, *in);
    if (progress == MORE) {
        progress = run_stream(codec, layer, in, out);
    }
    codec->stop(layer);
    return progress;
}

static struct pw_span
without_zeros(struct pw_span bytes)
{
    struct pw_cursor cur = pw_cursor_over(bytes);
    while (cur.rest.len > 0 && cur.rest.ptr[0] == 0) {
        (void)pw_cursor_take(&cur, 1);
    }
    return cur.rest;
}

static enum pw_reason
reason_of(enum progress progress)
{
    static const enum pw_reason reasons[] = {
        [BROKEN] = PW_R_LAYER_BROKEN,
        [MORE] = PW_R_LAYER_BROKEN,
        [ENDED] = PW_R_NONE,
        [NO_MEMORY] = PW_R_INTERNAL_ERROR,
        [TOO_LARGE] = PW_R_LIMIT_INFLATE,
    };
    return reasons[progress];
}

/* All streams of `in`, up to its end. */
static enum pw_reason
unfold(const struct codec *codec, struct pw_layer *layer, uint32_t most, struct pw_span in,
       struct pw_buf *out)
{
    for (uint32_t streams = 0; streams < most; streams++) {
        enum progress progress = unfold_stream(codec, layer, &in, out);
        if (progress != ENDED) {
            return reason_of(progress);
        }
        in = codec->padding ? without_zeros(in) : in;
        if (in.len == 0) {
            return pw_layer_charge(layer, out);
        }
    }
    return most == STREAMS_MAX ? PW_R_LIMIT_LAYERS : PW_R_LAYER_BROKEN;
}

void
pw_layer_open_packed(struct pw_layer *layer, const struct pw_layer_rule *rule,
                     struct pw_span bytes)
{
    const struct codec *codec = &codecs[rule->kind];
    uint32_t most = codec->many && rule->count == 0 ? STREAMS_MAX : 1;
    struct pw_buf *out = pw_layer_buffer(layer, bytes.len, UINT64_MAX);
    enum pw_reason reason = unfold(codec, layer, most, bytes, out);
    if (reason != PW_R_NONE) {
        pw_layer_refuse(layer, reason);
        return;
    }
    pw_layer_inside(layer, rule + 1, pw_buf_span(out), pw_layer_name(rule->kind), "",
                    (struct pw_span){0});
}

enum pw_reason
pw_layer_inflate_raw(struct pw_layer *layer, struct pw_span packed, uint64_t len,
                     struct pw_span *out)
{
    struct pw_buf *buf = pw_layer_buffer(layer, packed.len, len);
    bool limited = buf->limit <= len;
    enum pw_reason reason = unfold(&raw, layer, 1, packed, buf);
    if (reason == PW_R_LIMIT_INFLATE && !limited) {
        return PW_R_LAYER_BROKEN; /* longer than it says */
    }
    if (reason == PW_R_NONE && buf->len != len) {
        return PW_R_LAYER_BROKEN;
    }
    *out = pw_buf_span(buf);
    return reason;
}

/* The header of a zlib stream, of any window, without a dictionary (RFC 1950). */
static bool
looks_deflated(struct pw_span bytes)
{
    enum { DEFLATE = 8, WINDOW_MAX = 7, DICTIONARY = 1 << 5 };
    struct pw_cursor cur = pw_cursor_over(bytes);
    uint64_t head = pw_cursor_uint(&cur, 2);
    return !cur.truncated && (head >> 8 & 0xf) == DEFLATE && head >> 12 <= WINDOW_MAX &&
           head % 31 == 0 && (head & DICTIONARY) == 0;
}

/* The header of .lzma as liblzma tells it from anything else: properties, a dictionary of
 * 2^n or 3 * 2^n bytes, a length of less than 256 GiB or none. */
static bool
looks_alone(struct pw_span bytes)
{
    enum { LITERAL_BITS = 9, POSITION_BITS = 5, BITS_MAX = 4, LENGTH_BITS = 38 };
    struct pw_cursor cur = pw_cursor_over(bytes);
    unsigned properties = (unsigned)pw_cursor_uint(&cur, 1);
    uint32_t dictionary = (uint32_t)pw_cursor_little(&cur, 4);
    uint64_t len = pw_cursor_little(&cur, 8);
    unsigned bits = properties % LITERAL_BITS + properties / LITERAL_BITS % POSITION_BITS;
    uint32_t odd = dictionary == 0 ? 1 : dictionary >> __builtin_ctz(dictionary);
    return !cur.truncated && properties < LITERAL_BITS * POSITION_BITS * 5 &&
           bits <= BITS_MAX && (odd == 1 || odd == 3 || dictionary == UINT32_MAX) &&
           (len == UINT64_MAX || len >> LENGTH_BITS == 0);
}

enum pw_reason
pw_layer_packed_too(struct pw_layer *layer, struct pw_span bytes)
{
    const struct codec *codec = looks_deflated(bytes) ? &codecs[PW_LAYER_ZLIB] : NULL;
    codec = looks_alone(bytes) ? &alone : codec;
    if (codec == NULL) {
        return PW_R_NONE;
    }
    struct pw_buf *out = pw_layer_buffer(layer, bytes.len, UINT64_MAX);
    enum progress progress = unfold_stream(codec, layer, &bytes, out);
    if (progress == BROKEN) {
        return PW_R_NONE;
    }
    return progress == ENDED ? PW_R_LAYER_UNKNOWN : reason_of(progress);
}

void
pw_layer_end_decoders(struct pw_layer *layer)
{
    if (layer->inflate_ready) {
        inflateEnd(&layer->inflate);
    }
    lzma_end(&layer->unxz);
}
