/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies around a pickle in a frame: prefixes, compression, archives, arrays.
 *
 * A chain of layers says how to get from a frame to the pickles in it. Walking the chain
 * calls back for each pickle, with its bytes and a label of where it lies. Nothing is
 * copied where nothing is unfolded.
 */
#ifndef PW_COMMON_PICKLE_LAYER_H
#define PW_COMMON_PICKLE_LAYER_H

#include <stdbool.h>

#include "common/base/cursor.h"
#include "common/base/err.h"
#include "common/base/reason.h"
#include "common/pickle/limits.h"

/* README.md in this folder says what each one takes and refuses. */
enum pw_layer_kind {
    /* These end a chain. */
    PW_LAYER_PICKLE,
    PW_LAYER_JOBLIB, /* what joblib.load reads: maybe compressed, raw arrays inside */
    PW_LAYER_ARRAYS, /* the same behind its compression; has no name of its own */
    PW_LAYER_AUTO,   /* whatever the first bytes say, again and again */

    /* Behind these comes another. */
    PW_LAYER_SKIP, /* fields that end in a separator, then the rest */
    PW_LAYER_ZLIB,
    PW_LAYER_GZIP,
    PW_LAYER_BZ2,
    PW_LAYER_XZ,
    PW_LAYER_BASE64,
    PW_LAYER_MSGPACK, /* the bodies of extension values */
    PW_LAYER_ZIP,     /* members: *.pkl, or every one when arrays come next */
    PW_LAYER_NPY,     /* an array of objects; a plain array holds no pickle */
    PW_LAYER_COUNT
};

struct pw_layer_rule {
    enum pw_layer_kind kind;
    uint8_t separator; /* SKIP: the byte behind each field */
    uint32_t count;    /* SKIP: how many fields; GZIP: most members, 0 for any number */
    int8_t first;      /* MSGPACK: the extension codes that are looked into */
    int8_t last;
};

enum { PW_LAYERS_MAX = 4 };

/* From the outside in, up to one that ends the chain. Zeroed, it is a bare pickle. */
struct pw_layers {
    struct pw_layer_rule rule[PW_LAYERS_MAX + 1];
};

/* "zlib", "msgpack", …: as settings and labels spell it; ARRAYS is "". */
const char *pw_layer_name(enum pw_layer_kind kind);

/* Whether `inner` may come right behind `outer`. */
bool pw_layer_takes(enum pw_layer_kind outer, enum pw_layer_kind inner);

/*
 * What a walk calls. `where` is empty for the frame itself; "zip:archive/data.pkl",
 * "gzip>npy" otherwise, names as the frame spells them (any bytes). Both spans end with the
 * call.
 */
struct pw_layer_visitor {
    void *arg;
    void (*pickle)(void *arg, struct pw_span bytes, struct pw_span where);
    void (*refused)(void *arg, enum pw_reason reason, struct pw_span where);
};

/* Unfolds; keeps its memory from frame to frame. NULL when out of memory. */
struct pw_layer *pw_layer_new(void);
void pw_layer_free(struct pw_layer **layer);

/*
 * Walk `layers` over `frame`. Hostile or unknown content is told to the visitor, and the
 * walk goes on with what else the frame holds: LAYER_BROKEN (not what the rule names),
 * LAYER_UNKNOWN (a container or variant that nobody here reads), RULE_MISMATCH (too few
 * fields), LIMIT_BYTES (the frame), LIMIT_INFLATE (max_bytes or max_ratio, also over all
 * parts of one depth), LIMIT_LAYERS, LIMIT_DEPTH, LIMIT_MEMO. PW_E_NOMEM is the only error;
 * not everything has been visited then: treat the frame as refused.
 */
PW_CHECK_RESULT enum pw_err
pw_layer_walk(struct pw_layer *layer, const struct pw_layers *layers, struct pw_span frame,
              const struct pw_limits *limits, const struct pw_layer_visitor *visitor);

#endif
