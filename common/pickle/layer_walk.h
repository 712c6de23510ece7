/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of a walk through layers, and what each kind of layer may ask of it. Internal
 * to this folder.
 */
#ifndef PW_COMMON_PICKLE_LAYER_WALK_H
#define PW_COMMON_PICKLE_LAYER_WALK_H

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>

#include "common/base/buf.h"
#include "common/pickle/layer.h"

enum { PW_PLACE_BYTES = 512 };

struct pw_layer {
    struct pw_buf out[PW_LAYERS_MAX + 1]; /* what each depth unfolded to */
    uint64_t spent[PW_LAYERS_MAX + 1];    /* bytes unfolded at each depth in this walk */
    unsigned depth;                       /* layers around what is looked at now */

    const struct pw_limits *limits;
    const struct pw_layer_visitor *visitor;
    enum pw_err err; /* latched: PW_E_NOMEM */

    char place[PW_PLACE_BYTES]; /* cut where it is full */
    size_t place_len;

    z_stream inflate; /* zlib, gzip and the members of a zip */
    bool inflate_ready;
    bz_stream bunzip;
    lzma_stream unxz;
    lzma_allocator unxz_memory;

    struct pw_buf work[4]; /* tables of whoever is at work */
};

/* Open one layer: rule[0] is its own, rule[1] what is inside. */
typedef void pw_layer_open(struct pw_layer *layer, const struct pw_layer_rule *rule,
                           struct pw_span bytes);

pw_layer_open pw_layer_open_base64;
pw_layer_open pw_layer_open_arrays;
pw_layer_open pw_layer_open_msgpack;
pw_layer_open pw_layer_open_npy;
pw_layer_open pw_layer_open_packed; /* ZLIB, GZIP, BZ2, XZ */
pw_layer_open pw_layer_open_zip;

/*
 * Look at `bytes`, which lie in the layer of `rule` under the label `name` and, behind
 * `mark`, `detail`: "zip", ":", "a.pkl". `inside` says what they are.
 */
void pw_layer_inside(struct pw_layer *layer, const struct pw_layer_rule *inside,
                     struct pw_span bytes, const char *name, const char *mark,
                     struct pw_span detail);

/* `bytes` are a pickle, and lie where the layer itself does. */
void pw_layer_inside_bare(struct pw_layer *layer, struct pw_span bytes);

/* Tell the visitor; out of memory (INTERNAL_ERROR) is latched instead. */
void pw_layer_refuse(struct pw_layer *layer, enum pw_reason reason);

/* The same about something inside, labelled as pw_layer_inside does. */
void pw_layer_refuse_inside(struct pw_layer *layer, enum pw_reason reason, const char *name,
                            const char *mark, struct pw_span detail);

/* Chains that a layer may need of its own accord. */
extern const struct pw_layer_rule pw_layer_bare[];  /* a pickle */
extern const struct pw_layer_rule pw_layer_array[]; /* an array, and the pickle in it */

/*
 * An empty buffer for what `packed` bytes unfold to at this depth. It holds one byte more
 * than limits allow, to notice that there are more. `most` is a limit of the caller's own.
 */
struct pw_buf *pw_layer_buffer(struct pw_layer *layer, size_t packed, uint64_t most);

/* Charge what the buffer holds to this depth; NONE or LIMIT_INFLATE. */
enum pw_reason pw_layer_charge(struct pw_layer *layer, const struct pw_buf *out);

/*
 * Unfold one deflated stream without a header (RFC 1951), all of `packed`, to exactly `len`
 * bytes. NONE, LAYER_BROKEN, LIMIT_INFLATE, INTERNAL_ERROR. Good until the next at this
 * depth.
 */
enum pw_reason pw_layer_inflate_raw(struct pw_layer *layer, struct pw_span packed,
                                    uint64_t len, struct pw_span *out);

/*
 * Whether bytes that do not begin as packed ones usually do are a stream of zlib or lzma
 * all the same: LAYER_UNKNOWN, else NONE. LIMIT_INFLATE, INTERNAL_ERROR.
 */
enum pw_reason pw_layer_packed_too(struct pw_layer *layer, struct pw_span bytes);

/* End the decoders and release their memory. */
void pw_layer_end_decoders(struct pw_layer *layer);

enum { PW_DIGITS = 20 };

/* The number in decimal digits, for a label; they lie in `digits`. */
struct pw_span pw_layer_digits(uint64_t number, uint8_t digits[static PW_DIGITS]);

/* A little-endian unsigned integer of 1 to 8 bytes. */
static inline uint64_t
pw_cursor_little(struct pw_cursor *cur, size_t bytes)
{
    struct pw_span field = pw_cursor_take(cur, bytes);
    uint64_t value = 0;
    for (size_t i = field.len; i-- > 0;) {
        value = value << 8 | field.ptr[i];
    }
    return value;
}

/* Whether `bytes` begin with the `len` bytes at `magic`. */
static inline bool
pw_layer_starts(struct pw_span bytes, const char *magic, size_t len)
{
    return bytes.len >= len && memcmp(bytes.ptr, magic, len) == 0;
}

#endif
