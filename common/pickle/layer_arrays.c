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
#include "common/pickle/wrapper.h"

enum {
    CELLS_BYTES = 16 << 20, /* of what the states of wrappers are made of */
    MEMO_SLACK = 65536,     /* as the scanner's */
};

struct machine {
    struct pw_layer *layer;
    struct cells cells;
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

static uint32_t
count_of(const struct pw_buf *buf)
{
    return (uint32_t)(buf->len / sizeof(struct value));
}

static struct value
cell(const struct machine *m, uint32_t at)
{
    return values_of(m->cells.table)[at];
}

/* A new cell that holds `value`; *at is its number. */
static bool
add_cell(struct machine *m, struct value value, uint32_t *at)
{
    *at = count_of(m->cells.table);
    return add(m, m->cells.table, &value, sizeof value);
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

/* ---- cutting out ------------------------------------------------------------------------
 */

/* Copy what stands in front of `from` and go on at `to`. */
static bool
cut_out(struct machine *m, size_t from, size_t to)
{
    struct pw_cursor cur = pw_cursor_over(m->cells.in);
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
        if (pw_decode(m->cells.in, op.end, &op) != PW_DECODE_OP) {
            return refuse(m, PW_R_LAYER_BROKEN);
        }
    } while (op.effect != PW_EFFECT_STOP);
    uint8_t digits[PW_DIGITS];
    struct pw_cursor cur = pw_cursor_over(m->cells.in);
    (void)pw_cursor_take(&cur, at);
    struct pw_span pickle = pw_cursor_take(&cur, op.end - at);
    pw_layer_inside(m->layer, pw_layer_bare, pickle, "joblib", "@",
                    pw_layer_digits(at, digits));
    return cut_out(m, at, op.end);
}

static bool
cut_raw(struct machine *m, size_t at, const struct wrapped *array)
{
    struct pw_cursor cur = pw_cursor_over(m->cells.in);
    (void)pw_cursor_take(&cur, at);
    if (array->padded) {
        (void)pw_cursor_take(&cur, pw_cursor_uint(&cur, 1));
    }
    uint64_t bytes;
    if (__builtin_mul_overflow(array->count, array->bytes, &bytes)) {
        bytes = UINT64_MAX;
    }
    (void)pw_cursor_take(&cur, bytes);
    if (cur.truncated) {
        return refuse(m, PW_R_LAYER_BROKEN);
    }
    return cut_out(m, at, m->cells.in.len - cur.rest.len);
}

/* The array behind the BUILD that ends at `at`. joblib ends the FRAME there. */
static bool
cut_array(struct machine *m, size_t at, struct value state)
{
    struct wrapped array;
    if ((m->frame_end != UINT64_MAX && m->frame_end != at) ||
        !pw_wrapper_read(&m->cells, state, &array)) {
        return refuse(m, PW_R_LAYER_UNKNOWN);
    }
    return array.objects ? cut_pickle(m, at) : cut_raw(m, at, &array);
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
    return (count == 0 || add(m, m->cells.table, items, count * sizeof *items)) &&
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
        struct value dict = {.kind = count / 2, .ref = count_of(m->cells.table)};
        if (count > 0 && !add(m, m->cells.table, items, count * sizeof *items)) {
            return false;
        }
        values_of(m->cells.table)[into.ref] = dict;
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
    return use(m, 2) &&
           import(m, pw_cells_text(&m->cells, mod), pw_cells_text(&m->cells, name));
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
    if (callee.kind == CLASS && op->code == PW_OP_NEWOBJ &&
        pw_cells_items(&m->cells, args, 0) != NULL) {
        m->stack->len -= 2 * sizeof args;
        m->waiting++;
        return add_cell(m, (struct value){.kind = OTHER}, &at) && push(m, WRAPPER, at);
    }
    const struct value *three = pw_cells_items(&m->cells, args, 3);
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
        values_of(m->cells.table)[target.ref].kind = NONE;
        m->waiting--;
        return cut_array(m, op->end, state);
    }
    if (target.kind == DTYPE) { /* a second state would change what the first one said */
        struct value *known = &values_of(m->cells.table)[target.ref + 1];
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
    return op->arg <= m->cells.in.len - op->end;
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
    while (pw_decode(m->cells.in, m->next, &op) == PW_DECODE_OP) {
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
        .cells = {.in = bytes, .table = table(layer, 0, CELLS_BYTES)},
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
