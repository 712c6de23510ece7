/* SPDX-License-Identifier: Apache-2.0
 *
 * What joblib.dump writes (joblib/numpy_pickle.py): a pickle in which an array is an
 * instance of NumpyArrayWrapper, and right behind the BUILD of that instance stand the raw
 * bytes of the array, or, for an array of objects, another pickle. Only joblib's own
 * unpickler can read it.
 *
 * How many raw bytes there are depends on the state of the wrapper. A small machine, which
 * follows the whole stream but knows only what such a state is made of, works that out; the
 * stream without the raw bytes is then an ordinary pickle. Where the machine cannot go on
 * the scanner cannot either and says why; where it cannot be sure about a wrapper, the
 * stream is refused. joblib 1.2 and later is meant: older ones do not know the padding that
 * it writes in front of an array.
 */
#include "common/pickle/decode.h"
#include "common/pickle/layer_walk.h"
#include "common/pickle/number.h"
#include "common/pickle/text.h"

enum {
    CELLS_BYTES = 16 << 20, /* of what the states of wrappers are made of */
    MEMO_SLACK = 65536,     /* as the scanner's */
    FIELDS_DEEP = 8,        /* dtypes in dtypes */
    HAS_OBJECT = 1,         /* NPY_ITEM_HASOBJECT, a flag of a dtype */
};

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

struct machine {
    struct pw_layer *layer;
    struct pw_span in;
    struct pw_buf *cells;
    struct pw_buf *memo;
    uint64_t memo_count; /* entries that are there */
    struct pw_buf *stack;
    struct pw_buf *marks;  /* heights of the stack */
    struct pw_buf *clean;  /* the stream without raw bytes, up to `cut` */
    size_t cut;            /* where the part of `in` begins that is not in `clean` */
    size_t next;           /* where the next opcode is */
    uint64_t frame_end;    /* of the FRAME in force; UINT64_MAX outside */
    unsigned waiting;      /* wrappers without a state: what is pushed may belong to it */
    bool wrapped;          /* some array was cut out */
    enum pw_reason reason; /* why it is refused */
};

/* ---- memory -----------------------------------------------------------------------------
 */

static bool
refuse(struct machine *m, enum pw_reason reason)
{
    m->reason = reason;
    return false;
}

static bool
add(struct machine *m, struct pw_buf *buf, const void *item, size_t len)
{
    enum pw_err err = pw_buf_append(buf, (struct pw_span){item, len});
    if (err != PW_E_OK) {
        return refuse(m, err == PW_E_LIMIT ? PW_R_LIMIT_MEMO : PW_R_INTERNAL_ERROR);
    }
    return true;
}

static struct value *
values_of(const struct pw_buf *buf)
{
    return (struct value *)(void *)buf->bytes;
}

static uint32_t
count_of(const struct pw_buf *buf)
{
    return (uint32_t)(buf->len / sizeof(struct value));
}

static struct value
cell(const struct machine *m, uint32_t at)
{
    return values_of(m->cells)[at];
}

/* A new cell that holds `value`; *at is its number. */
static bool
add_cell(struct machine *m, struct value value, uint32_t *at)
{
    *at = count_of(m->cells);
    return add(m, m->cells, &value, sizeof value);
}

/* ---- stack ------------------------------------------------------------------------------
 */

static uint32_t
fence(const struct machine *m)
{
    uint32_t newest = 0;
    if (m->marks->len > 0) {
        memcpy(&newest, m->marks->bytes + m->marks->len - sizeof newest, sizeof newest);
    }
    return newest;
}

static bool
push(struct machine *m, enum kind kind, size_t ref)
{
    struct value value = {kind, (uint32_t)ref};
    return add(m, m->stack, &value, sizeof value);
}

/* The value `depth` below the top; false when the stack does not reach there. */
static bool
peek(const struct machine *m, uint32_t depth, struct value *value)
{
    uint32_t count = count_of(m->stack);
    if (count - fence(m) <= depth) {
        return false;
    }
    *value = values_of(m->stack)[count - 1 - depth];
    return true;
}

static bool
is_fresh(const struct machine *m, struct value value)
{
    return value.kind == WRAPPER && cell(m, value.ref).kind == OTHER;
}

/* A wrapper without a state may go nowhere but to its BUILD; its class, to NEWOBJ only. */
static bool
may_be_used(struct machine *m, struct value value)
{
    return value.kind == CLASS || is_fresh(m, value) ? refuse(m, PW_R_LAYER_UNKNOWN) : true;
}

/* Take `count` values off for some ordinary use. */
static bool
use(struct machine *m, uint32_t count)
{
    struct value value;
    for (uint32_t i = 0; i < count; i++) {
        if (!peek(m, 0, &value) || !may_be_used(m, value)) {
            return false;
        }
        m->stack->len -= sizeof value;
    }
    return true;
}

/* How many values stand above the newest mark, which is taken away. */
static bool
take_mark(struct machine *m, uint32_t *count)
{
    if (m->marks->len == 0) {
        return false;
    }
    *count = count_of(m->stack) - fence(m);
    m->marks->len -= sizeof(uint32_t);
    return true;
}

/* What an opcode takes and leaves, when nothing about it matters here. */
static bool
run_plain(struct machine *m, const struct pw_op *op)
{
    const struct pw_op_info *info = pw_opcode_info(op->code);
    uint32_t above = 0;
    if (info->from_mark && !take_mark(m, &above)) {
        return false;
    }
    return use(m, above) && use(m, info->pops) && (info->pushes == 0 || push(m, OTHER, 0));
}

/* ---- constants --------------------------------------------------------------------------
 */

static struct pw_span
text_of(const struct machine *m, struct value value)
{
    struct pw_op op = {0};
    (void)pw_decode(m->in, value.ref, &op);
    return op.code == PW_OP_UNICODE ? op.line : pw_op_data(m->in, &op);
}

static bool
is_text(const struct machine *m, struct value value, const char *wanted)
{
    return value.kind == TEXT && pw_span_equal(text_of(m, value), pw_span_str(wanted));
}

/* False when it is no number of up to eight bytes. */
static bool
number_of(const struct machine *m, struct value value, int64_t *number)
{
    struct pw_op op = {0};
    if (value.kind != NUMBER || pw_decode(m->in, value.ref, &op) != PW_DECODE_OP) {
        return false;
    }
    if (op.code != PW_OP_LONG1) {
        *number = op.code == PW_OP_BININT ? (int32_t)op.arg : (int64_t)op.arg;
        return true;
    }
    struct pw_span bytes = pw_op_data(m->in, &op);
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
is_number(const struct machine *m, struct value value, int64_t wanted)
{
    int64_t number;
    return number_of(m, value, &number) && number == wanted;
}

/* The items of a tuple; NULL when it is none, or not of this length. */
static const struct value *
items_of(const struct machine *m, struct value value, uint32_t count)
{
    if (value.kind != TUPLE || cell(m, value.ref).ref != count) {
        return NULL;
    }
    return values_of(m->cells) + value.ref + 1;
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

static bool read_dtype(const struct machine *m, struct value value, unsigned depth,
                       struct dtype *out);

/* The fields of a structured type: {name: (dtype, offset), …}, all of them inside it. */
static bool
read_fields(const struct machine *m, struct value fields, unsigned depth, uint64_t whole)
{
    if (fields.kind != DICT) {
        return fields.kind == NONE;
    }
    struct value dict = cell(m, fields.ref);
    for (uint32_t i = 0; i < dict.kind; i++) {
        const struct value *pair = items_of(m, cell(m, dict.ref + 2 * i + 1), 2);
        struct dtype field;
        int64_t offset;
        if (pair == NULL || !read_dtype(m, pair[0], depth + 1, &field) || field.objects ||
            !number_of(m, pair[1], &offset) || offset < 0 || (uint64_t)offset > whole ||
            field.bytes > whole - (uint64_t)offset) {
            return false;
        }
    }
    return true;
}

/* Strings and structures carry their size in the state. */
static bool
read_flexible(const struct machine *m, const struct value *state, unsigned depth,
              struct dtype *out)
{
    int64_t bytes;
    int64_t alignment;
    int64_t flags;
    if (!number_of(m, state[5], &bytes) || bytes < 1 ||
        !number_of(m, state[6], &alignment) || alignment < 1 || /* numpy divides by it */
        !number_of(m, state[7], &flags) || (flags & HAS_OBJECT) != 0 ||
        state[2].kind != NONE) {
        return false;
    }
    out->bytes = (uint64_t)bytes;
    return read_fields(m, state[4], depth, out->bytes);
}

/*
 * numpy.dtype(name, False, True) and its state (version, order, subarray, names, fields,
 * size, alignment, flags[, metadata]), as numpy's arraydescr_reduce makes them.
 */
static bool
read_dtype(const struct machine *m, struct value value, unsigned depth, struct dtype *out)
{
    *out = (struct dtype){0};
    if (value.kind != DTYPE || depth > FIELDS_DEEP) {
        return false;
    }
    uint8_t kind;
    uint64_t bytes;
    struct value whole = cell(m, value.ref + 1);
    const struct value *state = items_of(m, whole, 8);
    bool dated = state == NULL;
    state = dated ? items_of(m, whole, 9) : state;
    if (state == NULL || !is_number(m, state[0], dated ? 4 : 3) ||
        !read_name(text_of(m, cell(m, value.ref)), &kind, &bytes)) {
        return false;
    }
    if (!dated && memchr("SUV", kind, 3) != NULL) {
        return read_flexible(m, state, depth, out);
    }
    bool plain = state[2].kind == NONE && state[3].kind == NONE && state[4].kind == NONE &&
                 is_number(m, state[5], -1) && is_number(m, state[6], -1);
    if (kind == 'O' && !dated) {
        out->objects = true; /* and joblib must see it so too: 63 is what numpy writes */
        return plain && is_number(m, state[7], 63);
    }
    out->bytes = bytes;
    return plain && is_number(m, state[7], 0) && bytes >= 1 && bytes <= 32 &&
           (dated ? memchr("mM", kind, 2) : memchr("biufc", kind, 5)) != NULL;
}

/* How many items an array of this shape has; false when that is not clear. */
static bool
read_shape(const struct machine *m, struct value shape, uint64_t *count)
{
    if (shape.kind != TUPLE) {
        return false;
    }
    uint32_t dimensions = cell(m, shape.ref).ref;
    *count = 1;
    bool none = false;
    for (uint32_t i = 0; i < dimensions; i++) {
        int64_t size;
        if (!number_of(m, cell(m, shape.ref + 1 + i), &size) || size < 0) {
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
read_members(const struct machine *m, struct value state,
             struct value members[static MEMBERS])
{
    static const char *const names[MEMBERS] = {
        "subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"};
    if (state.kind != DICT) {
        return false;
    }
    struct value dict = cell(m, state.ref);
    for (uint32_t i = 0; i < dict.kind; i++) {
        struct value key = cell(m, dict.ref + 2 * i);
        size_t which = 0;
        while (which < MEMBERS && !is_text(m, key, names[which])) {
            which++;
        }
        if (which == MEMBERS || members[which].kind != ABSENT) {
            return false;
        }
        members[which] = cell(m, dict.ref + 2 * i + 1);
    }
    return members[SUBCLASS].kind == ARRAY_CLASS &&
           (is_text(m, members[ORDER], "C") || is_text(m, members[ORDER], "F"));
}

/* ---- cutting out ------------------------------------------------------------------------
 */

/* Copy what stands in front of `from` and go on at `to`. */
static bool
cut_out(struct machine *m, size_t from, size_t to)
{
    struct pw_cursor cur = pw_cursor_over(m->in);
    (void)pw_cursor_take(&cur, m->cut);
    struct pw_span kept = pw_cursor_take(&cur, from - m->cut);
    m->wrapped = true;
    m->cut = to;
    m->next = to;
    return add(m, m->clean, kept.ptr, kept.len);
}

/* An array of objects: a pickle of its own, up to its STOP. */
static bool
cut_pickle(struct machine *m, size_t at)
{
    struct pw_op op = {.end = at};
    do {
        if (pw_decode(m->in, op.end, &op) != PW_DECODE_OP) {
            return refuse(m, PW_R_LAYER_BROKEN);
        }
    } while (op.effect != PW_EFFECT_STOP);
    uint8_t digits[PW_DIGITS];
    struct pw_cursor cur = pw_cursor_over(m->in);
    (void)pw_cursor_take(&cur, at);
    struct pw_span pickle = pw_cursor_take(&cur, op.end - at);
    pw_layer_inside(m->layer, pw_layer_bare, pickle, "joblib", "@",
                    pw_layer_digits(at, digits));
    return cut_out(m, at, op.end);
}

static bool
cut_raw(struct machine *m, size_t at, struct value alignment, uint64_t count,
        uint64_t bytes)
{
    struct pw_cursor cur = pw_cursor_over(m->in);
    (void)pw_cursor_take(&cur, at);
    if (alignment.kind == NUMBER) {
        (void)pw_cursor_take(&cur, pw_cursor_uint(&cur, 1));
    } else if (alignment.kind != ABSENT && alignment.kind != NONE) {
        return refuse(m, PW_R_LAYER_UNKNOWN);
    }
    if (__builtin_mul_overflow(count, bytes, &bytes)) {
        bytes = UINT64_MAX;
    }
    (void)pw_cursor_take(&cur, bytes);
    if (cur.truncated) {
        return refuse(m, PW_R_LAYER_BROKEN);
    }
    return cut_out(m, at, m->in.len - cur.rest.len);
}

/* The array behind the BUILD that ends at `at`. joblib ends the FRAME there. */
static bool
cut_array(struct machine *m, size_t at, struct value state)
{
    struct value members[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++) {
        members[i] = (struct value){.kind = ABSENT};
    }
    struct dtype dtype;
    uint64_t count;
    if ((m->frame_end != UINT64_MAX && m->frame_end != at) ||
        !read_members(m, state, members) || !read_shape(m, members[SHAPE], &count) ||
        !read_dtype(m, members[DTYPE_OF], 0, &dtype)) {
        return refuse(m, PW_R_LAYER_UNKNOWN);
    }
    return dtype.objects ? cut_pickle(m, at)
                         : cut_raw(m, at, members[ALIGNMENT], count, dtype.bytes);
}

/* ---- opcodes: false ends the run, refused or not
 * -----------------------------------------
 */

static bool
run_push(struct machine *m, const struct pw_op *op)
{
    static const uint8_t kinds[PW_V_COUNT] = {
        [PW_V_NONE] = NONE, [PW_V_INT] = NUMBER, [PW_V_STR] = TEXT};
    if (op->kind == PW_V_BOOL) {
        return push(m, op->code == PW_OP_NEWTRUE ? TRUE : FALSE, 0);
    }
    return push(m, op->code == PW_OP_LONG4 ? OTHER : kinds[op->kind], op->off);
}

static bool
run_text(struct machine *m, const struct pw_op *op)
{
    bool plain = op->code == PW_OP_UNICODE && pw_text_unicode_is_plain(op->line);
    return push(m, plain ? TEXT : OTHER, op->off);
}

static bool
make_tuple(struct machine *m, uint32_t count)
{
    uint32_t at;
    if (!add_cell(m, (struct value){.ref = count}, &at)) {
        return false;
    }
    const struct value *items = values_of(m->stack) + count_of(m->stack) - count;
    return (count == 0 || add(m, m->cells, items, count * sizeof *items)) &&
           use(m, count) && push(m, TUPLE, at);
}

static bool
run_empty(struct machine *m, const struct pw_op *op)
{
    uint32_t at;
    if (m->waiting > 0 && op->code == PW_OP_EMPTY_DICT) {
        return add_cell(m, (struct value){0}, &at) && push(m, DICT, at);
    }
    if (op->code == PW_OP_EMPTY_TUPLE) { /* cell 0 is the empty one */
        return push(m, TUPLE, 0);
    }
    return push(m, OTHER, 0);
}

static bool
run_collect(struct machine *m, const struct pw_op *op)
{
    if (op->kind != PW_V_TUPLE || m->waiting == 0) {
        return run_plain(m, op);
    }
    const struct pw_op_info *info = pw_opcode_info(op->code);
    uint32_t count = info->pops;
    if (info->from_mark ? !take_mark(m, &count) : count_of(m->stack) - fence(m) < count) {
        return false;
    }
    return make_tuple(m, count);
}

/* A dictionary of a state is filled once; any other store takes what it takes. */
static bool
run_store(struct machine *m, const struct pw_op *op)
{
    const struct pw_op_info *info = pw_opcode_info(op->code);
    uint32_t count = info->from_mark ? 0 : info->pops - 1u;
    struct value into;
    if ((info->from_mark && !take_mark(m, &count)) || !peek(m, count, &into) ||
        !may_be_used(m, into)) {
        return false;
    }
    if (into.kind == DICT && count % 2 == 0 && cell(m, into.ref).kind == 0) {
        const struct value *items = values_of(m->stack) + count_of(m->stack) - count;
        struct value dict = {.kind = count / 2, .ref = count_of(m->cells)};
        if (count > 0 && !add(m, m->cells, items, count * sizeof *items)) {
            return false;
        }
        values_of(m->cells)[into.ref] = dict;
    } else if (into.kind == DICT) {
        return refuse(m, PW_R_LAYER_UNKNOWN);
    }
    return use(m, count);
}

static bool
run_mark(struct machine *m, const struct pw_op *op)
{
    (void)op;
    uint32_t at = count_of(m->stack);
    return add(m, m->marks, &at, sizeof at);
}

/* The memo index of an opcode; false when it is spelled in a way the scanner refuses. */
static bool
index_of(const struct pw_op *op, uint64_t *index)
{
    *index = op->arg;
    return pw_opcode_info(op->code)->arg != PW_ARG_LINE || pw_number_index(op->line, index);
}

static bool
store(struct machine *m, uint64_t index)
{
    struct value value;
    uint64_t count = count_of(m->memo);
    if (!peek(m, 0, &value) || index > 2 * m->memo_count + MEMO_SLACK) {
        return false;
    }
    for (; count <= index; count++) {
        struct value absent = {.kind = ABSENT};
        if (!add(m, m->memo, &absent, sizeof absent)) {
            return false;
        }
    }
    m->memo_count += values_of(m->memo)[index].kind == ABSENT;
    values_of(m->memo)[index] = value;
    return true;
}

static bool
run_put(struct machine *m, const struct pw_op *op)
{
    uint64_t index;
    return index_of(op, &index) && store(m, index);
}

static bool
run_memoize(struct machine *m, const struct pw_op *op)
{
    (void)op;
    return store(m, count_of(m->memo)); /* behind a gap the scanner refuses it */
}

static bool
run_get(struct machine *m, const struct pw_op *op)
{
    uint64_t index;
    if (!index_of(op, &index) || index >= count_of(m->memo)) {
        return false;
    }
    struct value value = values_of(m->memo)[index];
    return value.kind != ABSENT && push(m, (enum kind)value.kind, value.ref);
}

static bool
run_pop(struct machine *m, const struct pw_op *op)
{
    (void)op;
    if (count_of(m->stack) > fence(m)) {
        m->stack->len -= sizeof(struct value);
        return true;
    }
    uint32_t count;
    return take_mark(m, &count);
}

static bool
run_pop_mark(struct machine *m, const struct pw_op *op)
{
    (void)op;
    uint32_t count;
    if (!take_mark(m, &count)) {
        return false;
    }
    m->stack->len -= count * sizeof(struct value);
    return true;
}

static bool
run_dup(struct machine *m, const struct pw_op *op)
{
    (void)op;
    struct value value;
    return peek(m, 0, &value) && push(m, (enum kind)value.kind, value.ref);
}

/* Push what the name stands for. Whatever looks like a wrapper, but is not known, is
 * refused: its unpickler would read raw bytes too. */
static bool
import(struct machine *m, struct pw_span mod, struct pw_span name)
{
    static const struct {
        const char *mod;
        const char *name;
        enum kind kind;
    } known[] = {
        {"joblib.numpy_pickle", "NumpyArrayWrapper", CLASS},
        {"numpy", "dtype", DTYPE_CLASS},
        {"numpy", "ndarray", ARRAY_CLASS},
        {"numpy", "matrix", ARRAY_CLASS},
        {"numpy", "memmap", ARRAY_CLASS},
    };
    for (size_t i = 0; i < PW_COUNT(known); i++) {
        if (pw_span_equal(mod, pw_span_str(known[i].mod)) &&
            pw_span_equal(name, pw_span_str(known[i].name))) {
            return push(m, known[i].kind, 0);
        }
    }
    if (name.len > 0 && memmem(name.ptr, name.len, "ArrayWrapper", 12) != NULL) {
        return refuse(m, PW_R_LAYER_UNKNOWN);
    }
    return push(m, OTHER, 0);
}

static bool
run_import(struct machine *m, const struct pw_op *op)
{
    return import(m, op->line, op->line2);
}

static bool
run_import_stack(struct machine *m, const struct pw_op *op)
{
    (void)op;
    struct value mod;
    struct value name;
    if (!peek(m, 1, &mod) || !peek(m, 0, &name)) {
        return false;
    }
    if (mod.kind != TEXT || name.kind != TEXT) {
        return refuse(m, PW_R_LAYER_UNKNOWN);
    }
    return use(m, 2) && import(m, text_of(m, mod), text_of(m, name));
}

static bool
run_inst(struct machine *m, const struct pw_op *op)
{
    return import(m, op->line, op->line2) && use(m, 1) && run_plain(m, op);
}

/* cls() of a wrapper, and numpy.dtype(name, False, True), are understood. */
static bool
run_call(struct machine *m, const struct pw_op *op)
{
    struct value callee;
    struct value args;
    if (op->code == PW_OP_NEWOBJ_EX || !peek(m, 1, &callee) || !peek(m, 0, &args)) {
        return run_plain(m, op);
    }
    uint32_t at;
    if (callee.kind == CLASS && op->code == PW_OP_NEWOBJ && items_of(m, args, 0) != NULL) {
        m->stack->len -= 2 * sizeof args;
        m->waiting++;
        return add_cell(m, (struct value){.kind = OTHER}, &at) && push(m, WRAPPER, at);
    }
    const struct value *three = items_of(m, args, 3);
    if (callee.kind == DTYPE_CLASS && op->code == PW_OP_REDUCE && three != NULL &&
        three[0].kind == TEXT && three[1].kind == FALSE && three[2].kind == TRUE) {
        struct value name = three[0];
        uint32_t state;
        return add_cell(m, name, &at) &&
               add_cell(m, (struct value){.kind = OTHER}, &state) && use(m, 2) &&
               push(m, DTYPE, at);
    }
    return run_plain(m, op);
}

static bool
run_build(struct machine *m, const struct pw_op *op)
{
    struct value target;
    struct value state;
    if (!peek(m, 1, &target) || !peek(m, 0, &state)) {
        return false;
    }
    if (target.kind == CLASS || !use(m, 1)) {
        return refuse(m, m->reason == PW_R_NONE ? PW_R_LAYER_UNKNOWN : m->reason);
    }
    if (target.kind == WRAPPER) {
        if (!is_fresh(m, target)) {
            return refuse(m, PW_R_LAYER_UNKNOWN);
        }
        values_of(m->cells)[target.ref].kind = NONE;
        m->waiting--;
        return cut_array(m, op->end, state);
    }
    if (target.kind == DTYPE) { /* a second state would change what the first one said */
        struct value *known = &values_of(m->cells)[target.ref + 1];
        bool first = known->kind == OTHER && state.kind == TUPLE;
        *known = first ? state : (struct value){.kind = NONE};
    }
    return true;
}

/* Bytes in front of a FRAME, or behind its end, are outside; in one there is no other. */
static bool
run_frame(struct machine *m, const struct pw_op *op)
{
    m->frame_end = op->end + op->arg;
    return op->arg <= m->in.len - op->end;
}

static bool
run_proto(struct machine *m, const struct pw_op *op)
{
    (void)m;
    (void)op;
    return true;
}

static bool
run_stop(struct machine *m, const struct pw_op *op)
{
    (void)m;
    (void)op;
    return false;
}

static bool (*const runs[PW_EFFECT_COUNT])(struct machine *, const struct pw_op *) = {
    [PW_EFFECT_NONE] = run_stop,
    [PW_EFFECT_PUSH] = run_push,
    [PW_EFFECT_EMPTY] = run_empty,
    [PW_EFFECT_STORE] = run_store,
    [PW_EFFECT_MARK] = run_mark,
    [PW_EFFECT_PUT] = run_put,
    [PW_EFFECT_MEMOIZE] = run_memoize,
    [PW_EFFECT_GET] = run_get,
    [PW_EFFECT_TEXT] = run_text,
    [PW_EFFECT_COLLECT] = run_collect,
    [PW_EFFECT_POP] = run_pop,
    [PW_EFFECT_POP_MARK] = run_pop_mark,
    [PW_EFFECT_DUP] = run_dup,
    [PW_EFFECT_IMPORT] = run_import,
    [PW_EFFECT_IMPORT_STACK] = run_import_stack,
    [PW_EFFECT_CALL] = run_call,
    [PW_EFFECT_INST] = run_inst,
    [PW_EFFECT_OBJ] = run_plain,
    [PW_EFFECT_BUILD] = run_build,
    [PW_EFFECT_PROTO] = run_proto,
    [PW_EFFECT_FRAME] = run_frame,
    [PW_EFFECT_EXTENSION] = run_plain,
    [PW_EFFECT_PERSISTENT] = run_plain,
    [PW_EFFECT_BUFFER] = run_plain,
    [PW_EFFECT_STOP] = run_stop,
};

static void
run(struct machine *m)
{
    struct pw_op op = {0};
    while (pw_decode(m->in, m->next, &op) == PW_DECODE_OP) {
        if (op.end > m->frame_end) {
            m->frame_end = UINT64_MAX;
        }
        m->next = op.end;
        if (!runs[op.effect](m, &op)) {
            return;
        }
    }
}

/* Whether some global may be a wrapper: its name stands there, or a name has escapes. */
static bool
may_have_arrays(struct pw_span bytes)
{
    return bytes.len > 0 && (memmem(bytes.ptr, bytes.len, "ArrayWrapper", 12) != NULL ||
                             memmem(bytes.ptr, bytes.len, "\\u", 2) != NULL ||
                             memmem(bytes.ptr, bytes.len, "\\U", 2) != NULL);
}

static struct pw_buf *
table(struct pw_layer *layer, size_t which, uint64_t limit)
{
    pw_buf_clear(&layer->work[which]);
    layer->work[which].limit = (size_t)limit;
    return &layer->work[which];
}

void
pw_layer_open_arrays(struct pw_layer *layer, const struct pw_layer_rule *rule,
                     struct pw_span bytes)
{
    (void)rule;
    if (!may_have_arrays(bytes)) {
        pw_layer_inside_bare(layer, bytes);
        return;
    }
    const struct pw_limits *limits = layer->limits;
    struct machine m = {
        .layer = layer,
        .in = bytes,
        .cells = table(layer, 0, CELLS_BYTES),
        .memo = table(layer, 1, (limits->max_memo + MEMO_SLACK) * sizeof(struct value)),
        .stack = table(layer, 2, (limits->max_stack + 1ull) * sizeof(struct value)),
        .marks = table(layer, 3, (limits->max_stack + 1ull) * sizeof(uint32_t)),
        .clean = pw_layer_buffer(layer, bytes.len, bytes.len),
        .frame_end = UINT64_MAX,
    };
    uint32_t empty;
    if (add_cell(&m, (struct value){0}, &empty)) {
        run(&m);
    }
    bool failed = m.wrapped && !cut_out(&m, bytes.len, bytes.len);
    if (m.reason != PW_R_NONE) {
        pw_layer_refuse(layer, m.reason);
    }
    if (!failed) { /* also what is refused: its names are worth telling */
        pw_layer_inside_bare(layer, m.wrapped ? pw_buf_span(m.clean) : bytes);
    }
}
