/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of joblib's NumpyArrayWrapper: how many raw bytes stand behind it in the
 * stream. Internal to this folder; layer_arrays.c builds the cells that are read here.
 */
#ifndef PW_COMMON_PICKLE_WRAPPER_H
#define PW_COMMON_PICKLE_WRAPPER_H

#include "common/base/buf.h"
#include "common/base/cursor.h"

enum kind {
    OTHER, /* what no wrapper's state holds */
    TEXT,  /* `ref` is the offset of the opcode that pushed it */
    NUMBER,
    NONE,
    FALSE,
    TRUE,
    CLASS,       /* joblib.numpy_pickle:NumpyArrayWrapper */
    ARRAY_CLASS, /* numpy:ndarray and what reads like it */
    DTYPE_CLASS, /* numpy:dtype */
    TUPLE,       /* `ref` is a cell with the count; the items are in those behind it */
    DICT,        /* `ref` is a cell with the count and the first of the cells, two a pair */
    DTYPE,       /* `ref` is a cell with its name, and one with its state or OTHER */
    WRAPPER,     /* `ref` is a cell that becomes NONE when it has had its state */
    ABSENT,      /* a memo entry that was never written */
};

struct value {
    uint32_t kind;
    uint32_t ref;
};

/* What tuples, dictionaries, dtypes and wrappers of a stream are made of. */
struct cells {
    struct pw_span in; /* the stream */
    struct pw_buf *table;
};

static inline struct value *
values_of(const struct pw_buf *buf)
{
    return (struct value *)(void *)buf->bytes;
}

/* The text of a TEXT. */
struct pw_span pw_cells_text(const struct cells *cells, struct value value);

/* The items of a tuple; NULL when it is none, or not of this length. */
const struct value *pw_cells_items(const struct cells *cells, struct value value,
                                   uint32_t count);

/* An array as its wrapper describes it. */
struct wrapped {
    bool objects;   /* a pickle stands there, and no raw bytes */
    bool padded;    /* the first raw byte says how many to pass over */
    uint64_t count; /* items; saturates */
    uint64_t bytes; /* of one */
};

/* What a wrapper's state says (joblib/numpy_pickle.py). False when something is there
 * twice, or is not known, so that nobody can be sure. */
bool pw_wrapper_read(const struct cells *cells, struct value state, struct wrapped *out);

#endif
