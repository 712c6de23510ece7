/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/layer.h"

#include <stdlib.h>

#include "common/pickle/layer_walk.h"

enum { KEEP_BYTES = 16 << 20 };

const struct pw_layer_rule pw_layer_bare[] = {{.kind = PW_LAYER_PICKLE}};
const struct pw_layer_rule pw_layer_array[] = {{.kind = PW_LAYER_NPY},
                                               {.kind = PW_LAYER_PICKLE}};

/* ---- the kinds ------------------------------------------------------------------------
 */

void
pw_layer_inside_bare(struct pw_layer *layer, struct pw_span bytes)
{
    struct pw_span where = {(const uint8_t *)layer->place, layer->place_len};
    layer->visitor->pickle(layer->visitor->arg, bytes, where);
}

static void
open_pickle(struct pw_layer *layer, const struct pw_layer_rule *rule, struct pw_span bytes)
{
    (void)rule;
    pw_layer_inside_bare(layer, bytes);
}

static void
open_skip(struct pw_layer *layer, const struct pw_layer_rule *rule, struct pw_span bytes)
{
    struct pw_cursor cur = pw_cursor_over(bytes);
    for (uint32_t i = 0; i < rule->count; i++) {
        (void)pw_cursor_until(&cur, rule->separator);
    }
    if (cur.truncated) {
        pw_layer_refuse(layer, PW_R_RULE_MISMATCH);
        return;
    }
    pw_layer_inside(layer, rule + 1, cur.rest, "skip", "", (struct pw_span){0});
}

static pw_layer_open open_auto;
static pw_layer_open open_joblib;

enum { TAKES_ALL = ~0, TAKES_NONE = 0 };

#define TAKES(kind) (1 << PW_LAYER_##kind)

static const struct type {
    const char *name;
    pw_layer_open *open;
    int takes; /* what may come next */
} types[PW_LAYER_COUNT] = {
    [PW_LAYER_PICKLE] = {"pickle", open_pickle, TAKES_NONE},
    [PW_LAYER_JOBLIB] = {"joblib", open_joblib, TAKES_NONE},
    [PW_LAYER_ARRAYS] = {"", pw_layer_open_arrays, TAKES_NONE},
    [PW_LAYER_AUTO] = {"auto", open_auto, TAKES_NONE},
    [PW_LAYER_SKIP] = {"skip", open_skip, TAKES_ALL},
    [PW_LAYER_ZLIB] = {"zlib", pw_layer_open_packed, TAKES_ALL},
    [PW_LAYER_GZIP] = {"gzip", pw_layer_open_packed, TAKES_ALL},
    [PW_LAYER_BZ2] = {"bz2", pw_layer_open_packed, TAKES_ALL},
    [PW_LAYER_XZ] = {"xz", pw_layer_open_packed, TAKES_ALL},
    [PW_LAYER_BASE64] = {"base64", pw_layer_open_base64, TAKES_ALL},
    [PW_LAYER_MSGPACK] = {"msgpack", pw_layer_open_msgpack, TAKES_ALL},
    /* numpy.load and torch.load give what is inside to pickle.load, whatever it is. */
    [PW_LAYER_ZIP] = {"zip", pw_layer_open_zip, TAKES(PICKLE) | TAKES(NPY) | TAKES(AUTO)},
    [PW_LAYER_NPY] = {"npy", pw_layer_open_npy, TAKES(PICKLE)},
};

const char *
pw_layer_name(enum pw_layer_kind kind)
{
    return types[kind].name;
}

bool
pw_layer_takes(enum pw_layer_kind outer, enum pw_layer_kind inner)
{
    return (types[outer].takes & 1 << inner) != 0;
}

/* Look at `bytes` as layer rule[0]. */
static void
open_layer(struct pw_layer *layer, const struct pw_layer_rule *rule, struct pw_span bytes)
{
    if (rule->kind > PW_LAYER_AUTO && layer->depth == PW_LAYERS_MAX) {
        pw_layer_refuse(layer, PW_R_LIMIT_LAYERS);
        return;
    }
    types[rule->kind].open(layer, rule, bytes);
}

/* ---- what the first bytes say ---------------------------------------------------------
 */

enum { UNKNOWN = PW_LAYER_COUNT }; /* a container that nobody here reads */

struct magic {
    const char *bytes;
    size_t len;
    int kind;
};

#define MAGIC(text, kind)                                                                  \
    {                                                                                      \
        text, sizeof(text) - 1, kind                                                       \
    }

/*
 * None of these begins a pickle that does anything: either the first byte is no opcode, or
 * those behind it stop every unpickler before it has resolved a name; "PK" would be a
 * persistent id.
 */
/* clang-format off */
static const struct magic magics[] = {
    MAGIC("PK\3\4", PW_LAYER_ZIP),
    MAGIC("PK\5\6", PW_LAYER_ZIP), /* without members */
    MAGIC("\x1f\x8b", PW_LAYER_GZIP),
    MAGIC("BZh11AY&SY", PW_LAYER_BZ2), /* "BZh9" alone could be BINBYTES of 800 MB */
    MAGIC("BZh21AY&SY", PW_LAYER_BZ2),
    MAGIC("BZh31AY&SY", PW_LAYER_BZ2),
    MAGIC("BZh41AY&SY", PW_LAYER_BZ2),
    MAGIC("BZh51AY&SY", PW_LAYER_BZ2),
    MAGIC("BZh61AY&SY", PW_LAYER_BZ2),
    MAGIC("BZh71AY&SY", PW_LAYER_BZ2),
    MAGIC("BZh81AY&SY", PW_LAYER_BZ2),
    MAGIC("BZh91AY&SY", PW_LAYER_BZ2),
    MAGIC("\xfd" "7zXZ\0", PW_LAYER_XZ),
    MAGIC("]\0\0", PW_LAYER_XZ), /* .lzma with the usual properties */
    MAGIC("x\x01", PW_LAYER_ZLIB),
    MAGIC("x\x5e", PW_LAYER_ZLIB),
    MAGIC("x\x9c", PW_LAYER_ZLIB),
    MAGIC("x\xda", PW_LAYER_ZLIB),
    MAGIC("\x93NUMPY", PW_LAYER_NPY),
    MAGIC("ZF0x", UNKNOWN),           /* joblib before 0.10 */
    MAGIC("\4\"M\x18", UNKNOWN),     /* LZ4 */
    MAGIC("(\xb5/\xfd", UNKNOWN),     /* Zstandard */
    MAGIC("LZIP", UNKNOWN),
    MAGIC("\x89HDF\r\n", UNKNOWN),
    MAGIC("7z\xbc\xaf\x27", UNKNOWN),
    MAGIC("Rar!\x1a\7", UNKNOWN),
    /* torch before 1.6: five pickles and the raw tensors */
    MAGIC("\x80\2\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", UNKNOWN),
};

/* What joblib.load tells its compressors by (joblib/compressor.py). */
static const struct magic joblib_magics[] = {
    MAGIC("x", PW_LAYER_ZLIB),
    MAGIC("\x1f\x8b", PW_LAYER_GZIP),
    MAGIC("BZ", PW_LAYER_BZ2),
    MAGIC("\xfd" "7zXZ", PW_LAYER_XZ),
    MAGIC("]\0", PW_LAYER_XZ),
    MAGIC("\4\"M\x18", UNKNOWN),
    MAGIC("ZF", UNKNOWN),
};
/* clang-format on */

/* Where a tar header has its checksum: the sum of its bytes, with blanks for itself. */
enum { TAR_BYTES = 512, TAR_SUM = 148, TAR_SUM_BYTES = 8 };

/* The octal number of a field, up to a NUL. int() of Python takes blanks, underscores and a
 * sign as well: whatever is no digit is passed over. */
static uint64_t
octal(const uint8_t *field, size_t len)
{
    uint64_t number = 0;
    for (size_t i = 0; i < len && field[i] != '\0'; i++) {
        bool digit = field[i] >= '0' && field[i] <= '7';
        number = digit ? number << 3 | (field[i] - (unsigned)'0') : number;
    }
    return number;
}

/* The same of one that begins with 0x80, or 0xff when it is negative: GNU tar's way. */
static uint64_t
big_endian(const uint8_t *field, size_t len)
{
    uint64_t number = field[0] == 0xff ? UINT64_MAX : 0;
    for (size_t i = 1; i < len; i++) {
        number = number << 8 | field[i];
    }
    return number;
}

/*
 * torch.load takes a file for a tar archive before it takes it for pickles
 * (torch/serialization.py, legacy_load), and a tar archive may begin with a pickle: with
 * the name of its first member. tarfile.py goes by the checksum alone, of bytes with a sign
 * or without.
 */
static bool
is_tar(struct pw_span bytes)
{
    if (bytes.len < TAR_BYTES) {
        return false;
    }
    const uint8_t *field = bytes.ptr + TAR_SUM;
    uint64_t sum = TAR_SUM_BYTES * (uint64_t)' ';
    uint64_t with_sign = sum;
    for (size_t i = 0; i < TAR_BYTES; i++) {
        bool own = i >= TAR_SUM && i < TAR_SUM + TAR_SUM_BYTES;
        sum += own ? 0 : bytes.ptr[i];
        with_sign += own ? 0 : (uint64_t)(int64_t)(int8_t)bytes.ptr[i];
    }
    bool large = field[0] == 0x80 || field[0] == 0xff;
    uint64_t said = large ? big_endian(field, TAR_SUM_BYTES) : octal(field, TAR_SUM_BYTES);
    return said == sum || said == with_sign || said == -with_sign;
}

static int
kind_of(struct pw_span bytes, const struct magic *rows, size_t count, int otherwise)
{
    for (size_t i = 0; i < count; i++) {
        if (pw_layer_starts(bytes, rows[i].bytes, rows[i].len)) {
            return rows[i].kind;
        }
    }
    return otherwise;
}

/* Open `bytes` as the kind that was found, with `inside` in it. */
static void
open_found(struct pw_layer *layer, int kind, enum pw_layer_kind inside,
           struct pw_span bytes)
{
    if (kind == UNKNOWN) {
        pw_layer_refuse(layer, PW_R_LAYER_UNKNOWN);
        return;
    }
    struct pw_layer_rule chain[] = {{.kind = (enum pw_layer_kind)kind}, {.kind = inside}};
    /* joblib reads the first member of a gzip file only; there must be no other. */
    chain[0].count = inside == PW_LAYER_ARRAYS ? 1 : 0;
    open_layer(layer, chain, bytes);
}

static void
open_auto(struct pw_layer *layer, const struct pw_layer_rule *rule, struct pw_span bytes)
{
    (void)rule;
    int kind = kind_of(bytes, magics, PW_COUNT(magics), PW_LAYER_ARRAYS);
    if (kind == PW_LAYER_ARRAYS) { /* and nothing else? */
        enum pw_reason reason =
            is_tar(bytes) ? PW_R_LAYER_UNKNOWN : pw_layer_packed_too(layer, bytes);
        if (reason != PW_R_NONE) {
            pw_layer_refuse(layer, reason);
            return;
        }
    }
    open_found(layer, kind, kind == PW_LAYER_NPY ? PW_LAYER_PICKLE : PW_LAYER_AUTO, bytes);
}

static void
open_joblib(struct pw_layer *layer, const struct pw_layer_rule *rule, struct pw_span bytes)
{
    (void)rule;
    int kind = kind_of(bytes, joblib_magics, PW_COUNT(joblib_magics), PW_LAYER_ARRAYS);
    open_found(layer, kind, PW_LAYER_ARRAYS, bytes);
}

/* ---- the walk -------------------------------------------------------------------------
 */

struct pw_layer *
pw_layer_new(void)
{
    return calloc(1, sizeof(struct pw_layer));
}

void
pw_layer_free(struct pw_layer **layer)
{
    if (*layer != NULL) {
        pw_layer_end_decoders(*layer);
        for (size_t i = 0; i <= PW_LAYERS_MAX; i++) {
            pw_buf_free(&(*layer)->out[i]);
        }
        for (size_t i = 0; i < PW_COUNT((*layer)->work); i++) {
            pw_buf_free(&(*layer)->work[i]);
        }
    }
    free(*layer);
    *layer = NULL;
}

void
pw_layer_refuse(struct pw_layer *layer, enum pw_reason reason)
{
    if (reason == PW_R_INTERNAL_ERROR) {
        layer->err = PW_E_NOMEM;
        return;
    }
    struct pw_span where = {(const uint8_t *)layer->place, layer->place_len};
    layer->visitor->refused(layer->visitor->arg, reason, where);
}

static void
add_place(struct pw_layer *layer, const void *text, size_t len)
{
    size_t room = sizeof layer->place - layer->place_len;
    len = len < room ? len : room;
    if (len > 0) {
        memcpy(layer->place + layer->place_len, text, len);
    }
    layer->place_len += len;
}

/* One label more; returns how long the place was without it. */
static size_t
go_inside(struct pw_layer *layer, const char *name, const char *mark, struct pw_span detail)
{
    size_t outside = layer->place_len;
    add_place(layer, ">", outside > 0 ? 1 : 0);
    add_place(layer, name, strlen(name));
    add_place(layer, mark, strlen(mark));
    add_place(layer, detail.ptr, detail.len);
    return outside;
}

void
pw_layer_inside(struct pw_layer *layer, const struct pw_layer_rule *inside,
                struct pw_span bytes, const char *name, const char *mark,
                struct pw_span detail)
{
    size_t outside = go_inside(layer, name, mark, detail);
    layer->depth++;
    if (layer->err == PW_E_OK) {
        open_layer(layer, inside, bytes);
    }
    layer->depth--;
    layer->place_len = outside;
}

void
pw_layer_refuse_inside(struct pw_layer *layer, enum pw_reason reason, const char *name,
                       const char *mark, struct pw_span detail)
{
    size_t outside = go_inside(layer, name, mark, detail);
    pw_layer_refuse(layer, reason);
    layer->place_len = outside;
}

struct pw_span
pw_layer_digits(uint64_t number, uint8_t digits[static PW_DIGITS])
{
    size_t at = PW_DIGITS;
    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return (struct pw_span){digits + at, PW_DIGITS - at};
}

struct pw_buf *
pw_layer_buffer(struct pw_layer *layer, size_t packed, uint64_t most)
{
    const struct pw_limits *limits = layer->limits;
    struct pw_buf *out = &layer->out[layer->depth];
    uint64_t spent = layer->spent[layer->depth];
    uint64_t left = limits->max_bytes > spent ? limits->max_bytes - spent : 0;
    uint64_t by_ratio = (uint64_t)packed * limits->max_ratio;
    left = left < by_ratio ? left : by_ratio;
    left = left < most ? left : most;
    pw_buf_clear(out);
    out->limit = (size_t)left + 1;
    return out;
}

enum pw_reason
pw_layer_charge(struct pw_layer *layer, const struct pw_buf *out)
{
    if (out->len == out->limit) {
        return PW_R_LIMIT_INFLATE;
    }
    layer->spent[layer->depth] += out->len;
    return PW_R_NONE;
}

/* What a giant took is given back. */
static void
trim(struct pw_buf *buf)
{
    if (buf->cap > KEEP_BYTES) {
        pw_buf_free(buf);
    }
}

enum pw_err
pw_layer_walk(struct pw_layer *layer, const struct pw_layers *layers, struct pw_span frame,
              const struct pw_limits *limits, const struct pw_layer_visitor *visitor)
{
    if (layers->rule[0].kind == PW_LAYER_PICKLE) {
        visitor->pickle(visitor->arg, frame, (struct pw_span){0});
        return PW_E_OK;
    }
    layer->limits = limits;
    layer->visitor = visitor;
    layer->err = PW_E_OK;
    layer->depth = 0;
    layer->place_len = 0;
    memset(layer->spent, 0, sizeof layer->spent);
    if (frame.len > limits->max_bytes || frame.len > PW_BYTES_CEILING) {
        pw_layer_refuse(layer, PW_R_LIMIT_BYTES);
        return PW_E_OK;
    }
    open_layer(layer, layers->rule, frame);
    for (size_t i = 0; i <= PW_LAYERS_MAX; i++) {
        trim(&layer->out[i]);
    }
    for (size_t i = 0; i < PW_COUNT(layer->work); i++) {
        trim(&layer->work[i]);
    }
    return layer->err;
}
