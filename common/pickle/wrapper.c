/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/wrapper.h"

#include "common/pickle/decode.h"
#include "common/pickle/number.h"

enum {
    FIELDS_DEEP = 8, /* dtypes in dtypes */
    HAS_OBJECT = 1,  /* NPY_ITEM_HASOBJECT, a flag of a dtype */
};

static struct value
cell(const struct cells *cells, uint32_t at)
{
    return values_of(cells->table)[at];
}

/* ---- constants --------------------------------------------------------------------------
 */

struct pw_span
pw_cells_text(const struct cells *cells, struct value value)
{
    struct pw_op op = {0};
    (void)pw_decode(cells->in, value.ref, &op);
    return op.code == PW_OP_UNICODE ? op.line : pw_op_data(cells->in, &op);
}

static bool
is_text(const struct cells *cells, struct value value, const char *wanted)
{
    return value.kind == TEXT &&
           pw_span_equal(pw_cells_text(cells, value), pw_span_str(wanted));
}

/* False when it is no number of up to eight bytes. */
static bool
number_of(const struct cells *cells, struct value value, int64_t *number)
{
    struct pw_op op = {0};
    if (value.kind != NUMBER || pw_decode(cells->in, value.ref, &op) != PW_DECODE_OP) {
        return false;
    }
    if (op.code != PW_OP_LONG1) {
        *number = op.code == PW_OP_BININT ? (int32_t)op.arg : (int64_t)op.arg;
        return true;
    }
    struct pw_span bytes = pw_op_data(cells->in, &op);
    if (bytes.len > sizeof *number) {
        return false;
    }
    bool negative = bytes.len > 0 && (bytes.ptr[bytes.len - 1] & 0x80) != 0;
    uint64_t bits = negative ? UINT64_MAX : 0;
    for (size_t i = bytes.len; i-- > 0;) {
        bits = bits << 8 | bytes.ptr[i];
    }
    *number = (int64_t)bits;
    return true;
}

static bool
is_number(const struct cells *cells, struct value value, int64_t wanted)
{
    int64_t number;
    return number_of(cells, value, &number) && number == wanted;
}

const struct value *
pw_cells_items(const struct cells *cells, struct value value, uint32_t count)
{
    if (value.kind != TUPLE || cell(cells, value.ref).ref != count) {
        return NULL;
    }
    return values_of(cells->table) + value.ref + 1;
}

/* ---- the size of an array ---------------------------------------------------------------
 */

struct dtype {
    bool objects;
    uint64_t bytes;
};

/* A kind and a size: "f8". */
static bool
read_name(struct pw_span text, uint8_t *kind, uint64_t *bytes)
{
    struct pw_cursor cur = pw_cursor_over(text);
    *kind = (uint8_t)pw_cursor_uint(&cur, 1);
    return !cur.truncated && pw_number_index(cur.rest, bytes);
}

static bool read_dtype(const struct cells *cells, struct value value, unsigned depth,
                       struct dtype *out);

/* The fields of a structured type: {name: (dtype, offset), …}, all of them inside it. */
static bool
read_fields(const struct cells *cells, struct value fields, unsigned depth, uint64_t whole)
{
    if (fields.kind != DICT) {
        return fields.kind == NONE;
    }
    struct value dict = cell(cells, fields.ref);
    for (uint32_t i = 0; i < dict.kind; i++) {
        const struct value *pair =
            pw_cells_items(cells, cell(cells, dict.ref + 2 * i + 1), 2);
        struct dtype field;
        int64_t offset;
        if (pair == NULL || !read_dtype(cells, pair[0], depth + 1, &field) ||
            field.objects || !number_of(cells, pair[1], &offset) || offset < 0 ||
            (uint64_t)offset > whole || field.bytes > whole - (uint64_t)offset) {
            return false;
        }
    }
    return true;
}

/* Strings and structures carry their size in the state. */
static bool
read_flexible(const struct cells *cells, const struct value *state, unsigned depth,
              struct dtype *out)
{
    int64_t bytes;
    int64_t alignment;
    int64_t flags;
    if (!number_of(cells, state[5], &bytes) || bytes < 1 ||
        !number_of(cells, state[6], &alignment) ||
        alignment < 1 || /* numpy divides by it */
        !number_of(cells, state[7], &flags) || (flags & HAS_OBJECT) != 0 ||
        state[2].kind != NONE) {
        return false;
    }
    out->bytes = (uint64_t)bytes;
    return read_fields(cells, state[4], depth, out->bytes);
}

/*
 * numpy.dtype(name, False, True) and its state (version, order, subarray, names, fields,
 * size, alignment, flags[, metadata]), as numpy's arraydescr_reduce makes them.
 */
static bool
read_dtype(const struct cells *cells, struct value value, unsigned depth, struct dtype *out)
{
    *out = (struct dtype){0};
    if (value.kind != DTYPE || depth > FIELDS_DEEP) {
        return false;
    }
    uint8_t kind;
    uint64_t bytes;
    struct value whole = cell(cells, value.ref + 1);
    const struct value *state = pw_cells_items(cells, whole, 8);
    bool dated = state == NULL;
    state = dated ? pw_cells_items(cells, whole, 9) : state;
    if (state == NULL || !is_number(cells, state[0], dated ? 4 : 3) ||
        !read_name(pw_cells_text(cells, cell(cells, value.ref)), &kind, &bytes)) {
        return false;
    }
    if (!dated && memchr("SUV", kind, 3) != NULL) {
        return read_flexible(cells, state, depth, out);
    }
    bool plain = state[2].kind == NONE && state[3].kind == NONE && state[4].kind == NONE &&
                 is_number(cells, state[5], -1) && is_number(cells, state[6], -1);
    if (kind == 'O' && !dated) {
        out->objects = true; /* and joblib must see it so too: 63 is what numpy writes */
        return plain && is_number(cells, state[7], 63);
    }
    out->bytes = bytes;
    return plain && is_number(cells, state[7], 0) && bytes >= 1 && bytes <= 32 &&
           (dated ? memchr("mM", kind, 2) : memchr("biufc", kind, 5)) != NULL;
}

/* How many items an array of this shape has; false when that is not clear. */
static bool
read_shape(const struct cells *cells, struct value shape, uint64_t *count)
{
    if (shape.kind != TUPLE) {
        return false;
    }
    uint32_t dimensions = cell(cells, shape.ref).ref;
    *count = 1;
    bool none = false;
    for (uint32_t i = 0; i < dimensions; i++) {
        int64_t size;
        if (!number_of(cells, cell(cells, shape.ref + 1 + i), &size) || size < 0) {
            return false;
        }
        none |= size == 0;
        if (__builtin_mul_overflow(*count, (uint64_t)size, count)) {
            *count = UINT64_MAX;
        }
    }
    *count = none ? 0 : *count;
    return true;
}

enum member { SUBCLASS, SHAPE, ORDER, DTYPE_OF, ALLOW_MMAP, ALIGNMENT, MEMBERS };

/* What a wrapper's state says; false when something is there twice or not known. */
static bool
read_members(const struct cells *cells, struct value state,
             struct value members[static MEMBERS])
{
    static const char *const names[MEMBERS] = {
        "subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"};
    if (state.kind != DICT) {
        return false;
    }
    struct value dict = cell(cells, state.ref);
    for (uint32_t i = 0; i < dict.kind; i++) {
        struct value key = cell(cells, dict.ref + 2 * i);
        size_t which = 0;
        while (which < MEMBERS && !is_text(cells, key, names[which])) {
            which++;
        }
        if (which == MEMBERS || members[which].kind != ABSENT) {
            return false;
        }
        members[which] = cell(cells, dict.ref + 2 * i + 1);
    }
    return members[SUBCLASS].kind == ARRAY_CLASS &&
           (is_text(cells, members[ORDER], "C") || is_text(cells, members[ORDER], "F"));
}

bool
pw_wrapper_read(const struct cells *cells, struct value state, struct wrapped *out)
{
    *out = (struct wrapped){0};
    struct value members[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++) {
        members[i] = (struct value){.kind = ABSENT};
    }
    struct dtype dtype;
    if (!read_members(cells, state, members) ||
        !read_shape(cells, members[SHAPE], &out->count) ||
        !read_dtype(cells, members[DTYPE_OF], 0, &dtype)) {
        return false;
    }
    out->objects = dtype.objects;
    out->bytes = dtype.bytes;
    uint32_t alignment = members[ALIGNMENT].kind;
    out->padded = alignment == NUMBER;
    return dtype.objects || alignment == NUMBER || alignment == ABSENT || alignment == NONE;
}
