/* SPDX-License-Identifier: Apache-2.0
 *
 * What each opcode does, as Modules/_pickle.c and Lib/pickle.py do it. Where both of them
 * fail, the scan ends with a finding; where only one does, there is a finding and the scan
 * goes on as the other would.
 */
#include "common/base/utf8.h"
#include "common/pickle/cost.h"
#include "common/pickle/hash.h"
#include "common/pickle/machine.h"
#include "common/pickle/number.h"
#include "common/pickle/text.h"
#include "common/pickle/unfold.h"

/* A memo index may run ahead of its entries by this much and twice their number. */
enum { MEMO_SLACK = 65536 };

/* No module or name is longer; what is, is told as far. */
enum { NAME_MAX_BYTES = 1024 };

/* ---- stack ----------------------------------------------------------------------------
 */

static bool
grow_stack(struct pw_scan *m, const struct pw_op *op)
{
    if (m->stack.len >= m->limits.max_stack) {
        return pw_machine_stop(m, PW_R_LIMIT_STACK, op);
    }
    if (!pw_machine_grow(m, &m->stack, sizeof *m->stack.at)) {
        return false;
    }
    pw_machine_set_room(m);
    return true;
}

static inline bool
push(struct pw_scan *m, const struct pw_op *op, struct pw_value value)
{
    if (__builtin_expect(m->stack.len == m->stack_room, 0) && !grow_stack(m, op)) {
        return false;
    }
    m->stack.at[m->stack.len++] = value;
    if (value.kind >= PW_V_GLOBAL) {
        m->plain_from = m->stack.len;
    }
    return true;
}

/* Take everything above `height` off the stack. */
static inline void
cut(struct pw_scan *m, uint32_t height)
{
    m->stack.len = height;
    m->plain_from = m->plain_from < height ? m->plain_from : height;
}

/* Values above the newest mark. */
static inline uint32_t
height(const struct pw_scan *m)
{
    return m->stack.len - m->fence;
}

static inline struct pw_value *
top(struct pw_scan *m, uint32_t depth)
{
    return &m->stack.at[m->stack.len - 1 - depth];
}

static bool
push_mark(struct pw_scan *m, const struct pw_op *op)
{
    if (m->marks.len >= m->limits.max_stack) {
        return pw_machine_stop(m, PW_R_LIMIT_STACK, op);
    }
    if (!PW_ARRAY_ROOM(m, &m->marks)) {
        return false;
    }
    m->marks.at[m->marks.len++] = m->stack.len;
    m->fence = m->stack.len;
    return true;
}

/* Remove the newest mark; what stood above it now stands above the one before. */
static uint32_t
pop_mark(struct pw_scan *m)
{
    uint32_t at = m->marks.at[--m->marks.len];
    m->fence = m->marks.len > 0 ? m->marks.at[m->marks.len - 1] : 0;
    return at;
}

/* ---- objects --------------------------------------------------------------------------
 */

/* A new object of `kind` that holds `sum`; its value goes to *out. */
static bool
new_object(struct pw_scan *m, const struct pw_op *op, enum pw_value_kind kind,
           struct nested sum, struct pw_value *out)
{
    struct object object = {.size = 1, .depth = 1};
    pw_cost_object(m, kind);
    if (!PW_ARRAY_ROOM(m, &m->objects) || !pw_cost_nest(m, op, &object, sum) ||
        !pw_cost_heap(m, op)) {
        return false;
    }
    *out = pw_value_of(kind, m->objects.len);
    m->objects.at[m->objects.len++] = object;
    return true;
}

/* ---- uses -----------------------------------------------------------------------------
 */

static bool
use(struct pw_scan *m, const struct pw_op *op, uint32_t import, enum pw_use how,
    struct pw_value args)
{
    if (!PW_ARRAY_ROOM(m, &m->used)) {
        return false;
    }
    m->used.at[m->used.len++] = (struct pw_used){.import = import,
                                                 .off = (uint32_t)op->off,
                                                 .op = op->code,
                                                 .use = (uint8_t)how,
                                                 .args = args};
    return true;
}

/*
 * `value` comes to stand somewhere: if it is a global, or a tuple that holds some, record
 * that they stand as values. Each global and each tuple once.
 */
static bool
settle(struct pw_scan *m, const struct pw_op *op, struct pw_value value)
{
    if (value.kind == PW_V_GLOBAL) {
        struct pw_import *import = &m->imports.at[value.ref];
        bool known = import->stands;
        import->stands = true;
        return known || use(m, op, value.ref, PW_USE_REF, (struct pw_value){0});
    }
    if (value.kind != PW_V_TUPLE) {
        return true;
    }
    struct object *tuple = &m->objects.at[value.ref];
    if ((tuple->flags & (OBJECT_HAS_GLOBAL | OBJECT_SETTLED)) != OBJECT_HAS_GLOBAL) {
        return true;
    }
    tuple->flags |= OBJECT_SETTLED;
    for (uint32_t i = 0; i < tuple->count; i++) {
        if (!settle(m, op, m->items.at[tuple->link + i])) {
            return false;
        }
    }
    return true;
}

/* Settle the values from `first` to the top, and add up what they hold. */
static bool
settle_all(struct pw_scan *m, const struct pw_op *op, uint32_t first, struct nested *sum)
{
    *sum = (struct nested){.size = m->stack.len - first};
    for (uint32_t i = first; i < m->plain_from; i++) {
        struct pw_value value = m->stack.at[i];
        if (value.kind < PW_V_GLOBAL) {
            continue;
        }
        if (!settle(m, op, value)) {
            return false;
        }
        sum->size--;
        pw_cost_add(m, value, sum);
    }
    return true;
}

/* ---- containers -----------------------------------------------------------------------
 */

/* Keep the values from `first` to the top as the items of `object`. */
static bool
keep_items(struct pw_scan *m, uint32_t object, uint32_t first)
{
    m->objects.at[object].link = m->items.len;
    m->objects.at[object].count = m->stack.len - first;
    for (uint32_t i = first; i < m->stack.len; i++) {
        struct pw_value value = m->stack.at[i];
        if (!pw_machine_keep(m, value)) {
            return false;
        }
        if (value.kind >= PW_V_TUPLE) {
            m->objects.at[value.ref].flags |= OBJECT_STORED;
        }
    }
    return true;
}

/* What a value says of the tuple that it is in: OBJECT_HAS_GLOBAL, OBJECT_PLANTS. */
static uint16_t
flags_of_item(const struct pw_scan *m, struct pw_value value)
{
    switch (value.kind) {
    case PW_V_GLOBAL:
        return OBJECT_HAS_GLOBAL;
    case PW_V_TUPLE:
        return m->objects.at[value.ref].flags & (OBJECT_HAS_GLOBAL | OBJECT_PLANTS);
    case PW_V_DICT:
        return m->objects.at[value.ref].flags & OBJECT_PLANTS;
    default:
        return 0;
    }
}

/* A tuple of the values from `first` to the top, which stay where they are. */
static bool
make_tuple(struct pw_scan *m, const struct pw_op *op, uint32_t first, struct pw_value *out)
{
    uint32_t count = m->stack.len - first;
    if (count == 0) {
        *out = pw_value_of(PW_V_TUPLE, 0);
        return true;
    }
    struct nested sum = {.size = count};
    uint16_t flags = OBJECT_KEPT;
    for (uint32_t i = first; i < m->plain_from; i++) {
        struct pw_value value = m->stack.at[i];
        sum.size--;
        pw_cost_add(m, value, &sum);
        flags |= flags_of_item(m, value);
    }
    if (!new_object(m, op, PW_V_TUPLE, sum, out) || !keep_items(m, out->ref, first)) {
        return false;
    }
    if (count > TUPLE_KEEPS) { /* too long for any rule: its globals stand as values */
        m->objects.at[out->ref].flags = flags & OBJECT_PLANTS;
        return settle_all(m, op, first, &sum);
    }
    m->objects.at[out->ref].flags = flags;
    return true;
}

/* Where the operands of a container opcode start: the mark, or `pops` below the top. */
static bool
operands(struct pw_scan *m, const struct pw_op *op, uint32_t *first)
{
    const struct pw_decode_row *row = &pw_decode_rows[op->code];
    if (row->from_mark) {
        if (m->marks.len == 0) {
            return pw_machine_stop(m, PW_R_PICKLE_NO_MARK, op);
        }
        *first = pop_mark(m);
        return true;
    }
    if (height(m) < row->pops) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    *first = m->stack.len - row->pops;
    return true;
}

static bool
step_push(struct pw_scan *m, const struct pw_op *op)
{
    bool counted = op->code == PW_OP_LONG1 || op->code == PW_OP_LONG4;
    if (counted && op->arg >= PW_LONG_BYTES && !pw_cost_int(m, op)) {
        return false;
    }
    bool is_long = counted && op->arg > PW_LONG_FROM;
    return push(m, op, pw_value_of(is_long ? PW_V_LONG : op->kind, op->off));
}

static bool
step_empty(struct pw_scan *m, const struct pw_op *op)
{
    struct pw_value made;
    if (op->kind == PW_V_TUPLE) {
        return push(m, op, pw_value_of(PW_V_TUPLE, 0));
    }
    return new_object(m, op, op->kind, (struct nested){0}, &made) && push(m, op, made);
}

/*
 * Keys that make another thing of an instance when setattr sets them, and those that no
 * state may have. An exception sets all of its state so; with a ring of contexts Python up
 * to 3.8 never finishes raising the next one. BUILD calls a __setstate__. numpy asks any
 * instance for the three of arrays, and takes memory at the address that an
 * __array_interface__ tells. pandas takes a zone with one of the next two for pytz's or
 * dateutil's, reads beside tables that do not fit one another, and keeps them for all zones
 * of that name; and what has a _typ for one of its own, whose methods it calls.
 */
static const struct {
    const char *name;
    uint16_t flags;
} special_keys[] = {
    {"__dict__", OBJECT_SPECIAL},
    {"__setstate__", OBJECT_SPECIAL | OBJECT_PLANTS},
    {"__class__", OBJECT_SPECIAL | OBJECT_PLANTS},
    {"__context__", OBJECT_SPECIAL | OBJECT_PLANTS},
    {"__array__", OBJECT_SPECIAL | OBJECT_PLANTS},
    {"__array_interface__", OBJECT_SPECIAL | OBJECT_PLANTS},
    {"__array_struct__", OBJECT_SPECIAL | OBJECT_PLANTS},
    {"_utc_transition_times", OBJECT_SPECIAL | OBJECT_PLANTS},
    {"_trans_list_utc", OBJECT_SPECIAL | OBJECT_PLANTS},
    {"_typ", OBJECT_POSES},
    {"args", OBJECT_ARGS}, /* fast.c leaves the keys of this table to this file */
};

/* What a key that is no constant string says of its dict. A str_ of numpy, which `scalar`
 * makes, is a str to every dict. */
static uint16_t
flags_of_object(const struct pw_scan *m, struct pw_value key)
{
    if (key.kind == PW_V_UNKNOWN) {
        return OBJECT_SPECIAL | OBJECT_HIDES;
    }
    if (key.kind != PW_V_INSTANCE) {
        return key.kind == PW_V_GLOBAL ? OBJECT_SPECIAL : 0;
    }
    const struct object *object = &m->objects.at[key.ref];
    bool text = (object->flags & OBJECT_ORIGIN) != 0 &&
                pw_span_equal(m->imports.at[object->link].name, pw_span_str("scalar"));
    return text ? OBJECT_SPECIAL | OBJECT_HIDES : OBJECT_SPECIAL;
}

/* What a key says of its dict: OBJECT_SPECIAL, …_PLANTS, …_HIDES, …_POSES, …_ARGS. */
static uint16_t
flags_of_key(const struct pw_scan *m, struct pw_value key)
{
    struct pw_span text;
    if (key.kind != PW_V_STR && key.kind != PW_V_BYTESTR) {
        return flags_of_object(m, key);
    }
    if (!pw_machine_value_text(m, key, &text)) {
        return OBJECT_SPECIAL | OBJECT_HIDES;
    }
    for (size_t i = 0; i < PW_COUNT(special_keys); i++) {
        if (pw_span_equal(text, pw_span_str(special_keys[i].name))) {
            return special_keys[i].flags;
        }
    }
    return 0;
}

/* Something that passes for a thing of pandas, with a method of the sender's choice. */
static bool
poses(const struct object *object)
{
    return (object->flags & OBJECT_POSES) != 0 && (object->flags & OBJECT_REFERS) != 0;
}

/* The values from `first` on are keys and values of `dict`, a dict or an instance. One that
 * is somewhere already may be the very __dict__ of an instance; and instances may have a
 * __getattr__ that looks among their items. */
static void
note_special(struct pw_scan *m, const struct pw_op *op, struct pw_value dict,
             uint32_t first)
{
    uint16_t flags = 0;
    for (uint32_t i = first; i < m->stack.len; i++) {
        struct pw_value value = m->stack.at[i];
        bool is_key = (i - first) % 2 == 0;
        flags |= is_key ? flags_of_key(m, value) : 0;
        flags |= !is_key && value.kind == PW_V_GLOBAL ? OBJECT_REFERS : 0;
    }
    struct object *object = &m->objects.at[dict.ref];
    object->flags |= flags;
    if (poses(object)) {
        flags |= OBJECT_PLANTS;
        object->flags |= OBJECT_PLANTS;
    }
    bool taken = dict.kind == PW_V_INSTANCE || (object->flags & OBJECT_STORED) != 0;
    uint16_t bad = taken ? OBJECT_PLANTS : 0;
    bad |= (object->flags & OBJECT_BUILT) != 0 ? OBJECT_HIDES : 0;
    if ((flags & bad) != 0) {
        pw_machine_find(m, PW_R_STATE_SPECIAL, op);
    }
}

/* LIST, DICT, FROZENSET: a container of the values from `first` to the top. */
static bool
make_container(struct pw_scan *m, const struct pw_op *op, uint32_t first,
               struct pw_value *out)
{
    if (op->kind == PW_V_DICT && (m->stack.len - first) % 2 != 0) {
        return pw_machine_stop(m, PW_R_PICKLE_ODD_ITEMS, op);
    }
    struct nested sum;
    if (!settle_all(m, op, first, &sum) || !new_object(m, op, op->kind, sum, out)) {
        return false;
    }
    m->objects.at[out->ref].count = m->stack.len - first;
    switch (op->kind) {
    case PW_V_LIST:
        return pw_unfold_note(m, *out, first);
    case PW_V_DICT:
        note_special(m, op, *out, first);
        return pw_unfold_note(m, *out, first) && pw_cost_keys(m, op, first, 2, out->ref);
    default:
        return keep_items(m, out->ref, first) && pw_cost_keys(m, op, first, 1, out->ref);
    }
}

static bool
step_collect(struct pw_scan *m, const struct pw_op *op)
{
    uint32_t first;
    if (!operands(m, op, &first)) {
        return false;
    }
    struct pw_value made;
    bool good = op->kind == PW_V_TUPLE ? make_tuple(m, op, first, &made)
                                       : make_container(m, op, first, &made);
    if (!good) {
        return false;
    }
    cut(m, first);
    return push(m, op, made);
}

/*
 * Whether what was planted in an instance could be called now: by anything behind its
 * state, and by a state or an append behind items, where its class may look for attributes.
 * Picklers write what is appended first, then keys and values, then the state.
 */
static bool
is_finished(const struct object *object, const struct pw_op *op, enum pw_use how)
{
    if (how == PW_USE_ITEMS && op->kind != PW_V_DICT) {
        return (object->flags & (OBJECT_BUILT | OBJECT_KEYED | OBJECT_SPECIAL)) != 0;
    }
    return (object->flags & OBJECT_BUILT) != 0 ||
           (how == PW_USE_BUILD && (object->flags & OBJECT_HIDES) != 0);
}

/* An opcode changes `target`: it must be made in this stream. `args` only matter to BUILD.
 */
static bool
change(struct pw_scan *m, const struct pw_op *op, struct pw_value target, enum pw_use how,
       enum pw_value_kind natural, struct pw_value args)
{
    if (target.kind == natural) {
        return true;
    }
    if (target.kind == PW_V_INSTANCE) {
        struct object *object = &m->objects.at[target.ref];
        if (is_finished(object, op, how)) {
            pw_machine_find(m, PW_R_TARGET_BUILT, op);
        }
        object->flags |= how == PW_USE_BUILD ? OBJECT_BUILT : 0;
        object->flags |= how == PW_USE_ITEMS && op->kind == PW_V_DICT ? OBJECT_KEYED : 0;
        if ((object->flags & OBJECT_ORIGIN) != 0) {
            if (!use(m, op, object->link, how, args)) {
                return false;
            }
            m->used.at[m->used.len - 1].shared = (object->flags & OBJECT_STORED) != 0;
            return true;
        }
        pw_machine_find(m, (enum pw_reason)object->link, op);
    } else if (target.kind == PW_V_GLOBAL) {
        const struct pw_import *import = &m->imports.at[target.ref];
        pw_machine_find_name(m, PW_R_TARGET_GLOBAL, op, import->mod, import->name);
    } else {
        bool unknown = target.kind == PW_V_UNKNOWN;
        pw_machine_find(m, unknown ? PW_R_TARGET_UNKNOWN : PW_R_PICKLE_TYPE, op);
    }
    return true;
}

/* `object` changes; what it is in already counted it as it was. */
static bool
grow(struct pw_scan *m, const struct pw_op *op, uint32_t object, struct nested sum)
{
    if ((m->objects.at[object].flags & OBJECT_STORED) != 0) {
        m->objects.at[object].flags |= OBJECT_LATE;
        m->late = true;
    }
    return pw_cost_nest(m, op, &m->objects.at[object], sum);
}

/* The values from `first` to the top go into `target`. */
static bool
fill(struct pw_scan *m, const struct pw_op *op, struct pw_value target, uint32_t first,
     struct nested sum)
{
    if (op->kind != PW_V_LIST &&
        !pw_cost_keys(m, op, first, op->kind == PW_V_DICT ? 2 : 1, target.ref)) {
        return false;
    }
    if (op->kind == PW_V_DICT &&
        (target.kind == PW_V_DICT || target.kind == PW_V_INSTANCE)) {
        note_special(m, op, target, first);
    }
    if (target.kind < PW_V_LIST || target.kind == PW_V_FROZENSET) {
        return true; /* refused already; what it holds does not change */
    }
    if (target.kind != PW_V_INSTANCE) {
        m->objects.at[target.ref].count += m->stack.len - first;
    }
    return pw_unfold_note(m, target, first) && grow(m, op, target.ref, sum);
}

/* APPEND, APPENDS, SETITEM, SETITEMS, ADDITEMS: the container is below the operands. */
static bool
step_store(struct pw_scan *m, const struct pw_op *op)
{
    uint32_t first;
    if (!operands(m, op, &first)) {
        return false;
    }
    bool from_mark = pw_decode_rows[op->code].from_mark;
    if (from_mark && first == m->fence) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op); /* nothing below the mark */
    }
    first += from_mark ? 0 : 1; /* TOP counts the container among its pops */
    struct pw_value target = m->stack.at[first - 1];
    struct nested sum;
    if (!change(m, op, target, PW_USE_ITEMS, op->kind, (struct pw_value){0}) ||
        !settle_all(m, op, first, &sum)) {
        return false;
    }
    if (op->kind == PW_V_DICT && (m->stack.len - first) % 2 != 0) {
        return pw_machine_stop(m, PW_R_PICKLE_ODD_ITEMS, op);
    }
    if (!fill(m, op, target, first, sum)) {
        return false;
    }
    cut(m, first);
    return true;
}

/* ---- constants spelled as text --------------------------------------------------------
 */

/* Push a string whose escapes are replaced; `decode` says how, `room` how much it may take.
 */
static bool
push_decoded(struct pw_scan *m, const struct pw_op *op,
             bool (*decode)(struct pw_span, uint8_t *, size_t *), size_t room,
             enum pw_reason reason)
{
    struct pw_span text = {pw_machine_text(m, room), 0};
    if (text.ptr == NULL || !PW_ARRAY_ROOM(m, &m->texts)) {
        return false;
    }
    if (!decode(op->line, (uint8_t *)(uintptr_t)text.ptr, &text.len)) {
        return pw_machine_stop(m, reason, op);
    }
    struct pw_value value = {.kind = op->kind, .decoded = true, .ref = m->texts.len};
    m->texts.at[m->texts.len++] = text;
    return push(m, op, value);
}

/* A string that stands for itself. Its end is not looked for again whenever it is used. */
static bool
push_line(struct pw_scan *m, const struct pw_op *op)
{
    if (!PW_ARRAY_ROOM(m, &m->texts)) {
        return false;
    }
    struct pw_value value = {.kind = op->kind, .decoded = true, .ref = m->texts.len};
    m->texts.at[m->texts.len++] = op->line;
    return push(m, op, value);
}

static bool
step_text(struct pw_scan *m, const struct pw_op *op)
{
    struct pw_value value = pw_value_of(op->kind, op->off);
    bool good = true;
    bool is_bool = false;
    switch (op->code) {
    case PW_OP_INT:
        good = pw_number_int(op->line, &is_bool);
        value.kind = is_bool ? PW_V_BOOL : PW_V_INT;
        break;
    case PW_OP_LONG:
        good = pw_number_long(op->line);
        break;
    case PW_OP_FLOAT:
        good = pw_number_float(op->line);
        break;
    case PW_OP_UNICODE:
        if (!pw_text_unicode_is_plain(op->line)) {
            return push_decoded(m, op, pw_text_unicode, 2 * op->line.len,
                                PW_R_PICKLE_UNICODE);
        }
        return push_line(m, op);
    default: /* STRING; quotes and escapes are checked by decoding */
        return push_decoded(m, op, pw_text_string, op->line.len + 1, PW_R_PICKLE_STRING);
    }
    if (!good) { /* nobody will look at it again: it may be megabytes */
        pw_machine_find(m, PW_R_PICKLE_NUMBER, op);
        return push(m, op, (struct pw_value){0});
    }
    if (value.kind == PW_V_INT && op->line.len >= PW_LONG_DIGITS && !pw_cost_int(m, op)) {
        return false;
    }
    value.kind = value.kind == PW_V_INT && op->line.len > 2 * (size_t)PW_LONG_FROM
                     ? PW_V_LONG
                     : value.kind;
    return push(m, op, value);
}

/* ---- memo -----------------------------------------------------------------------------
 */

/* The entry of this key, wherever it is; NULL when it was never written. */
static struct pw_value *
memo_find(struct pw_scan *m, uint64_t key)
{
    if (key < m->memo.len && m->memo.at[key].kind != VALUE_ABSENT) {
        return &m->memo.at[key];
    }
    for (uint32_t i = 0; i < m->far_count; i++) {
        if (m->far[i].key == key) {
            return &m->far[i].value;
        }
    }
    return NULL;
}

/*
 * A key so far ahead that a C unpickler up to 3.14 would allocate for all the keys before
 * it. The stream is refused; what it goes on to import is still told, as long as it has few
 * such.
 */
static bool
memo_put_far(struct pw_scan *m, const struct pw_op *op, uint64_t key, struct pw_value value)
{
    pw_machine_find(m, PW_R_LIMIT_MEMO, op);
    if (m->far_count == FAR_ENTRIES) {
        return false;
    }
    m->far[m->far_count++] = (struct far_entry){key, value};
    return true;
}

static bool
memo_put_new(struct pw_scan *m, const struct pw_op *op, uint64_t key, struct pw_value value)
{
    if (m->memo_count >= m->limits.max_memo) {
        return pw_machine_stop(m, PW_R_LIMIT_MEMO, op);
    }
    m->memo_gap = m->memo_gap || key != m->memo_count;
    if (key > 2 * (uint64_t)m->memo_count++ + MEMO_SLACK) {
        return memo_put_far(m, op, key, value);
    }
    while (m->memo.len <= key) {
        if (!PW_ARRAY_ROOM(m, &m->memo)) {
            return false;
        }
        m->memo.at[m->memo.len++].kind = VALUE_ABSENT;
    }
    m->memo.at[key] = value;
    return true;
}

static bool
memo_put(struct pw_scan *m, const struct pw_op *op, uint64_t key)
{
    if (height(m) == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    struct pw_value value = *top(m, 0);
    struct pw_value *entry = memo_find(m, key);
    if (entry == NULL) {
        return memo_put_new(m, op, key, value);
    }
    *entry = value; /* written again: nothing is counted */
    return true;
}

static bool
step_memoize(struct pw_scan *m, const struct pw_op *op)
{
    if (m->memo_gap) { /* the key depends on who counts: PyPy, or C 3.15 and later */
        pw_machine_find(m, PW_R_MEMO_GAP, op);
    }
    return memo_put(m, op, m->memo_count);
}

/* The index of GET or PUT: a number, or text. UINT64_MAX when there is none. */
static uint64_t
memo_index(struct pw_scan *m, const struct pw_op *op)
{
    if (op->code != PW_OP_GET && op->code != PW_OP_PUT) {
        return op->arg;
    }
    uint64_t index;
    if (!pw_number_index(op->line, &index)) {
        pw_machine_find(m, PW_R_PICKLE_NUMBER, op);
    }
    return index;
}

static bool
step_put(struct pw_scan *m, const struct pw_op *op)
{
    uint64_t index = memo_index(m, op);
    return index == UINT64_MAX ? pw_machine_stop(m, PW_R_PICKLE_NUMBER, op)
                               : memo_put(m, op, index);
}

static bool
step_get(struct pw_scan *m, const struct pw_op *op)
{
    const struct pw_value *entry = memo_find(m, memo_index(m, op));
    return entry != NULL ? push(m, op, *entry) : pw_machine_stop(m, PW_R_MEMO_MISSING, op);
}

/* ---- globals --------------------------------------------------------------------------
 */

static bool
is_name(struct pw_span text, bool ascii)
{
    if (text.len > NAME_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] == 0x7f || (ascii && text.ptr[i] > 0x7f)) {
            return false;
        }
    }
    return text.len > 0 && pw_utf8_valid(text);
}

bool
pw_machine_import(struct pw_scan *m, const struct pw_op *op, struct pw_span mod,
                  struct pw_span name, struct pw_value *out)
{
    if (!PW_ARRAY_ROOM(m, &m->imports)) {
        return false;
    }
    bool ascii = op->code == PW_OP_INST; /* the one opcode that takes no other names */
    bool good = is_name(mod, ascii) && is_name(name, ascii);
    mod.len = mod.len < NAME_MAX_BYTES ? mod.len : NAME_MAX_BYTES;
    name.len = name.len < NAME_MAX_BYTES ? name.len : NAME_MAX_BYTES;
    *out = pw_value_of(PW_V_GLOBAL, m->imports.len);
    m->imports.at[m->imports.len++] = (struct pw_import){.mod = mod,
                                                         .name = name,
                                                         .off = (uint32_t)op->off,
                                                         .op = op->code,
                                                         .proto = m->proto};
    if (!good) {
        pw_machine_find_name(m, PW_R_IMPORT_NAME, op, mod, name);
    }
    return true;
}

static bool
step_import(struct pw_scan *m, const struct pw_op *op)
{
    struct pw_value global;
    return pw_machine_import(m, op, op->line, op->line2, &global) && push(m, op, global);
}

/*
 * Both names must be constant strings. One that Python 2 wrote (STRING and its kin) is text
 * only for some encodings of the consumer: such an import is told, and refused.
 */
static bool
step_import_stack(struct pw_scan *m, const struct pw_op *op)
{
    if (height(m) < 2) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    struct pw_value name = *top(m, 0);
    struct pw_value mod = *top(m, 1);
    cut(m, m->stack.len - 2);
    struct pw_value global = {0};
    struct pw_span mod_text;
    struct pw_span name_text;
    bool texts = mod.kind != PW_V_BYTES && name.kind != PW_V_BYTES &&
                 pw_machine_value_text(m, mod, &mod_text) &&
                 pw_machine_value_text(m, name, &name_text);
    if (!texts || mod.kind != PW_V_STR || name.kind != PW_V_STR) {
        pw_machine_find(m, PW_R_IMPORT_UNRESOLVED, op);
    }
    if (texts && !pw_machine_import(m, op, mod_text, name_text, &global)) {
        return false;
    }
    return push(m, op, global);
}

/* ---- calls ----------------------------------------------------------------------------
 */

/*
 * The class of what a call makes. copyreg._reconstructor(cls, base, state) makes a cls (PEP
 * 307, protocols 0 and 1), so what is then built is an instance of cls, not of the
 * function.
 */
static uint32_t
origin_of(const struct pw_scan *m, uint32_t callee, struct pw_value args)
{
    const struct pw_import *import = &m->imports.at[callee];
    if (!pw_span_equal(import->name, pw_span_str("_reconstructor")) ||
        (!pw_span_equal(import->mod, pw_span_str("copyreg")) &&
         !pw_span_equal(import->mod, pw_span_str("copy_reg")))) {
        return callee;
    }
    const struct object *tuple = args.kind == PW_V_TUPLE ? &m->objects.at[args.ref] : NULL;
    if (tuple == NULL || (tuple->flags & OBJECT_KEPT) == 0 || tuple->count == 0) {
        return callee;
    }
    struct pw_value cls = m->items.at[tuple->link];
    return cls.kind == PW_V_GLOBAL ? cls.ref : callee;
}

/* Globals inside tuples inside the arguments stand as values; those right in the argument
 * tuple are the policy's to judge, since a rule may name them. */
static bool
settle_nested(struct pw_scan *m, const struct pw_op *op, struct pw_value callee,
              struct pw_value args)
{
    if (callee.kind != PW_V_GLOBAL || args.kind != PW_V_TUPLE) {
        return settle(m, op, args);
    }
    const struct object *tuple = &m->objects.at[args.ref];
    uint32_t link = tuple->link;
    uint32_t count = (tuple->flags & OBJECT_KEPT) != 0 ? tuple->count : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct pw_value item = m->items.at[link + i];
        if (item.kind == PW_V_TUPLE && !settle(m, op, item)) {
            return false;
        }
    }
    return true;
}

/* Types of Python's own whose instances are no mappings, whatever they are made of. */
static bool
makes_no_mapping(const struct pw_import *import)
{
    static const char *const types[][2] = {{"builtins", "set"},
                                           {"__builtin__", "set"},
                                           {"builtins", "frozenset"},
                                           {"__builtin__", "frozenset"},
                                           {"collections", "deque"}};
    for (size_t i = 0; i < PW_COUNT(types); i++) {
        if (pw_span_equal(import->mod, pw_span_str(types[i][0])) &&
            pw_span_equal(import->name, pw_span_str(types[i][1]))) {
            return true;
        }
    }
    return false;
}

/* Whether a call may make a mapping of keys that are not known: of a list or a dict. */
static bool
takes_mapping(const struct pw_scan *m, struct pw_value callee, struct pw_value args)
{
    struct object tuple =
        args.kind == PW_V_TUPLE ? m->objects.at[args.ref] : (struct object){0};
    if (callee.kind == PW_V_GLOBAL && makes_no_mapping(&m->imports.at[callee.ref])) {
        return false;
    }
    for (uint32_t i = 0; i < tuple.count; i++) {
        struct pw_value item = m->items.at[tuple.link + i];
        if (item.kind == PW_V_LIST || item.kind == PW_V_DICT ||
            (item.kind == PW_V_INSTANCE &&
             (m->objects.at[item.ref].flags & OBJECT_SPECIAL) != 0)) {
            return true;
        }
    }
    return args.kind != PW_V_TUPLE;
}

/* Why a value may not be called; NONE for a global, which a policy judges. */
static enum pw_reason
call_reason(struct pw_value callee)
{
    switch (callee.kind) {
    case PW_V_GLOBAL:
        return PW_R_NONE;
    case PW_V_INSTANCE:
        return PW_R_CALL_COMPUTED;
    default: /* an extension code may stand for a class, if the registry may be asked */
        return callee.kind == PW_V_UNKNOWN && callee.ref == PW_DOOR_EXTENSION
                   ? PW_R_EXT_DENIED
                   : PW_R_CALL_TARGET;
    }
}

/* A number that hashes by its value is remembered with its hash: it may become a key. */
static bool
keep_hash(struct pw_scan *m, const struct pw_import *import, struct pw_value args,
          uint32_t object)
{
    struct hashed hashed = {.object = object};
    if (!pw_hash_call(m, import, args, &hashed.hash)) {
        return true;
    }
    if (!PW_ARRAY_ROOM(m, &m->hashes)) {
        return false;
    }
    m->hashes.at[m->hashes.len++] = hashed;
    return true;
}

/* callee(*args), or callee.__new__(callee, *args): push the instance, which holds `sum`. */
static bool
call(struct pw_scan *m, const struct pw_op *op, struct pw_value callee,
     struct pw_value args, struct nested sum, enum pw_use how)
{
    if (!settle_nested(m, op, callee, args)) {
        return false;
    }
    if (callee.kind == PW_V_GLOBAL && !use(m, op, callee.ref, how, args)) {
        return false;
    }
    enum pw_reason reason = call_reason(callee);
    if (reason != PW_R_NONE) {
        pw_machine_find(m, reason, op);
    }
    if (args.kind == PW_V_TUPLE && (m->objects.at[args.ref].flags & OBJECT_PLANTS) != 0) {
        pw_machine_find(m, PW_R_STATE_SPECIAL, op);
    }
    struct pw_value made;
    if (!pw_cost_call(m, op, args) || !new_object(m, op, PW_V_INSTANCE, sum, &made)) {
        return false;
    }
    struct object *object = &m->objects.at[made.ref];
    object->link = reason == PW_R_CALL_TARGET ? PW_R_TARGET_UNKNOWN : reason;
    if (callee.kind == PW_V_GLOBAL) {
        object->link = origin_of(m, callee.ref, args);
        object->flags = OBJECT_ORIGIN;
    }
    object->flags |= takes_mapping(m, callee, args) ? OBJECT_SPECIAL : 0;
    if (callee.kind == PW_V_GLOBAL &&
        !keep_hash(m, &m->imports.at[callee.ref], args, made.ref)) {
        return false;
    }
    return push(m, op, made);
}

static bool
check_kind(struct pw_scan *m, const struct pw_op *op, struct pw_value value,
           enum pw_value_kind kind)
{
    if (value.kind == kind) {
        return true;
    }
    pw_machine_find(m, PW_R_PICKLE_TYPE, op);
    return false;
}

/* REDUCE, NEWOBJ: callable and arguments; NEWOBJ_EX: and keywords. */
static bool
step_call(struct pw_scan *m, const struct pw_op *op)
{
    bool keyworded = op->code == PW_OP_NEWOBJ_EX;
    uint32_t pops = keyworded ? 3 : 2;
    if (height(m) < pops) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    struct pw_value callee = *top(m, pops - 1);
    struct pw_value args = *top(m, pops - 2);
    struct pw_value keywords = keyworded ? *top(m, 0) : (struct pw_value){0};
    struct nested sum = {0};
    pw_cost_add(m, args, &sum);
    pw_cost_add(m, keywords, &sum);
    cut(m, m->stack.len - pops);
    bool described = check_kind(m, op, args, PW_V_TUPLE) && !keyworded;
    if (keyworded) {
        (void)check_kind(m, op, keywords, PW_V_DICT);
    }
    if (!described && !settle(m, op, args)) {
        return false;
    }
    /* No shape describes keywords, or arguments that are no tuple. */
    struct pw_value known = described ? args : (struct pw_value){0};
    return call(m, op, callee, known, sum,
                op->code == PW_OP_REDUCE ? PW_USE_CALL : PW_USE_NEW) &&
           pw_unfold_note_one(m, *top(m, 0), args) &&
           pw_unfold_note_one(m, *top(m, 0), keywords);
}

/* The values from `first` on become the arguments of `callee`; the stack is cut at `base`.
 */
static bool
instantiate(struct pw_scan *m, const struct pw_op *op, struct pw_value callee,
            uint32_t first, uint32_t base)
{
    struct pw_value args;
    if (!make_tuple(m, op, first, &args)) {
        return false;
    }
    struct nested sum = {0};
    pw_cost_add(m, args, &sum);
    cut(m, base);
    return call(m, op, callee, args, sum, PW_USE_CALL) &&
           pw_unfold_note_one(m, *top(m, 0), args);
}

/* Lib/pickle.py imports before it looks for the mark, Modules/_pickle.c after. */
static bool
step_inst(struct pw_scan *m, const struct pw_op *op)
{
    struct pw_value callee;
    if (!pw_machine_import(m, op, op->line, op->line2, &callee)) {
        return false;
    }
    if (m->marks.len == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_NO_MARK, op);
    }
    uint32_t first = pop_mark(m);
    return instantiate(m, op, callee, first, first);
}

static bool
step_obj(struct pw_scan *m, const struct pw_op *op)
{
    if (m->marks.len == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_NO_MARK, op);
    }
    if (height(m) == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    uint32_t first = pop_mark(m);
    return instantiate(m, op, m->stack.at[first], first + 1, first);
}

/* A mapping that may have keys of these kinds: one that a call made of others has any. */
static bool
is_mapping(const struct pw_scan *m, struct pw_value value, unsigned flags)
{
    return (value.kind == PW_V_DICT || value.kind == PW_V_INSTANCE) &&
           (m->objects.at[value.ref].flags & flags) != 0;
}

/* A mapping whose items may become attributes: it is a state now. */
static bool
plants(struct pw_scan *m, struct pw_value state)
{
    unsigned made = state.kind == PW_V_INSTANCE ? OBJECT_SPECIAL : 0;
    if (state.kind == PW_V_DICT) {
        m->objects.at[state.ref].flags |= OBJECT_BUILT;
    }
    return is_mapping(m, state, OBJECT_PLANTS | OBJECT_HIDES | made);
}

/*
 * A state of two with a mapping behind: BUILD sets attributes by its keys, and through
 * __class__ an instance becomes one of another class (PEP 307; load_build). A dict that is
 * filled later, or one that a call made of others, may have any keys. Other states go into
 * the __dict__, and a __setstate__ may take them out of a tuple first.
 */
static bool
sets_special(struct pw_scan *m, struct pw_value state)
{
    enum { STATE_PARTS = 3 };
    if (state.kind != PW_V_TUPLE) {
        return plants(m, state);
    }
    const struct object *tuple = &m->objects.at[state.ref];
    bool special = (tuple->flags & OBJECT_PLANTS) != 0 ||
                   (tuple->count == 2 && is_mapping(m, m->items.at[tuple->link + 1],
                                                    OBJECT_SPECIAL | OBJECT_LATE));
    for (uint32_t i = 0; i < tuple->count && tuple->count <= STATE_PARTS; i++) {
        special = plants(m, m->items.at[tuple->link + i]) || special;
    }
    return special;
}

/*
 * Classes of the shipped policies whose instances are looked at while a stream loads. None
 * has a global among its attributes: there it would stand for a method, and be called
 * (datetime hashes itself with the utcoffset of its zone, pandas asks a frame for a copy).
 * And those whose attributes are walked over when they are printed, or hashed. An exception
 * makes a tuple of the args that are set, be it a range of all numbers; its own pickles do
 * not set them so.
 */
static const struct looked_at {
    const char *module;
    const char *name; /* NULL: any */
    uint16_t never;   /* OBJECT_… that its state may not have */
    enum { COUNTS_ONE, IS_WALKED, IS_HASHED } state;
} looked_at[] = {
    {"builtins", NULL, OBJECT_ARGS, COUNTS_ONE},
    {"exceptions", NULL, OBJECT_ARGS, COUNTS_ONE},
    {"collections", "ChainMap", OBJECT_REFERS, IS_WALKED},
    {"collections", "UserDict", OBJECT_REFERS, IS_WALKED},
    {"collections", "UserList", OBJECT_REFERS, IS_WALKED},
    {"collections", "UserString", OBJECT_REFERS, IS_HASHED},
    {"UserDict", NULL, OBJECT_REFERS, IS_WALKED},
    {"UserList", NULL, OBJECT_REFERS, IS_WALKED},
    {"UserString", NULL, OBJECT_REFERS, IS_HASHED},
    {"uuid", NULL, OBJECT_REFERS, IS_HASHED},
    {"numpy", "dtype", OBJECT_REFERS, IS_HASHED},
    {"dateutil.tz.tz", NULL, OBJECT_REFERS, IS_HASHED},
    {"dateutil.relativedelta", NULL, OBJECT_REFERS, IS_HASHED},
    {"pandas._libs.arrays", NULL, OBJECT_REFERS, COUNTS_ONE},
    {"pandas._libs.interval", NULL, OBJECT_REFERS, COUNTS_ONE},
    {"pandas._libs.tslibs.offsets", NULL, OBJECT_REFERS, IS_HASHED},
    {"pandas.core.arrays.boolean", NULL, OBJECT_REFERS, IS_HASHED},
    {"pandas.core.arrays.floating", NULL, OBJECT_REFERS, IS_HASHED},
    {"pandas.core.arrays.integer", NULL, OBJECT_REFERS, IS_HASHED},
    {"pandas.core.arrays.sparse.array", NULL, OBJECT_REFERS, COUNTS_ONE},
    {"pandas.core.arrays.sparse.dtype", NULL, OBJECT_REFERS, IS_HASHED},
    {"pandas.core.arrays.string_", NULL, OBJECT_REFERS, IS_HASHED},
    {"pandas.core.dtypes.dtypes", NULL, OBJECT_REFERS, IS_HASHED},
    {"pandas.core.frame", NULL, OBJECT_REFERS, COUNTS_ONE},
    {"pandas.core.indexes.frozen", NULL, OBJECT_REFERS, COUNTS_ONE},
    {"pandas.core.internals.managers", NULL, OBJECT_REFERS, COUNTS_ONE},
    {"pandas.core.series", NULL, OBJECT_REFERS, COUNTS_ONE},
};

/* The row of what `target` is an instance of; NULL when there is none. */
static const struct looked_at *
looks_at(const struct pw_scan *m, struct pw_value target)
{
    if (target.kind != PW_V_INSTANCE ||
        (m->objects.at[target.ref].flags & OBJECT_ORIGIN) == 0) {
        return NULL;
    }
    const struct pw_import *origin = &m->imports.at[m->objects.at[target.ref].link];
    for (size_t i = 0; i < PW_COUNT(looked_at); i++) {
        const struct looked_at *row = &looked_at[i];
        if (pw_span_equal(origin->mod, pw_span_str(row->module)) &&
            (row->name == NULL || pw_span_equal(origin->name, pw_span_str(row->name)))) {
            return row;
        }
    }
    return NULL;
}

/*
 * A UUID whose is_safe is none prints that into an error while it loads, and what prints
 * has no bounds that attributes count towards. It holds numbers, and a uuid.SafeUUID when
 * Python 3.6 wrote it.
 */
static bool
is_no_uuid(const struct pw_scan *m, const struct pw_import *origin, struct pw_value state)
{
    if (!pw_span_equal(origin->mod, pw_span_str("uuid")) || state.kind != PW_V_DICT) {
        return false;
    }
    struct pw_value child;
    struct pw_children children = pw_unfold_children(m, state);
    while (pw_unfold_next(m, &children, &child)) {
        const struct object *object = &m->objects.at[child.ref];
        bool safe = child.kind == PW_V_INSTANCE && (object->flags & OBJECT_ORIGIN) != 0 &&
                    pw_span_equal(m->imports.at[object->link].mod, origin->mod);
        if (!safe) {
            return true;
        }
    }
    return false;
}

/* The state of an instance of such a class has what it may not have. */
static bool
is_seen_through(const struct pw_scan *m, struct pw_value target, struct pw_value state)
{
    const struct looked_at *row = looks_at(m, target);
    if (row == NULL) {
        return false;
    }
    if (state.kind != PW_V_TUPLE) {
        const struct object *object = &m->objects.at[target.ref];
        return is_mapping(m, state, row->never) ||
               is_no_uuid(m, &m->imports.at[object->link], state);
    }
    const struct object *tuple = &m->objects.at[state.ref];
    for (uint32_t i = 0; i < tuple->count; i++) {
        if (is_mapping(m, m->items.at[tuple->link + i], row->never)) {
            return true;
        }
    }
    return false;
}

/*
 * `target` gets `state`, of as many values as `sum` says. Attributes count one (unfold.h),
 * but where printing walks over them, or a hash, which is paid for at once. An instance
 * that is a part of a key already has been counted without, and no pickler fills such a one
 * so late.
 */
static bool
hold_state(struct pw_scan *m, const struct pw_op *op, struct pw_value target,
           struct pw_value state)
{
    struct nested sum = {0};
    pw_cost_add(m, state, &sum);
    const struct looked_at *row = looks_at(m, target);
    if (row == NULL || row->state == COUNTS_ONE) {
        sum.size = 1; /* see pw_unfold_note_state */
        return pw_unfold_note_state(m, target, state) && grow(m, op, target.ref, sum);
    }
    if (row->state == IS_WALKED) {
        return pw_unfold_note_one(m, target, state) && grow(m, op, target.ref, sum);
    }
    if ((m->objects.at[target.ref].flags & OBJECT_STORED) != 0) {
        pw_machine_find(m, PW_R_LIMIT_WORK, op);
    }
    return pw_unfold_note_one(m, target, state) && grow(m, op, target.ref, sum) &&
           pw_cost_keys(m, op, m->stack.len - 1, 1, target.ref);
}

static bool
step_build(struct pw_scan *m, const struct pw_op *op)
{
    if (height(m) < 2) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    struct pw_value state = *top(m, 0);
    struct pw_value target = *top(m, 1);
    cut(m, m->stack.len - 1);
    if (sets_special(m, state) || is_seen_through(m, target, state)) {
        pw_machine_find(m, PW_R_STATE_SPECIAL, op);
    }
    /* No built-in container takes a state: VALUE_ABSENT is natural to nothing. */
    if (!settle(m, op, state) ||
        !change(m, op, target, PW_USE_BUILD, (enum pw_value_kind)VALUE_ABSENT, state)) {
        return false;
    }
    return pw_cost_state(m, op, state) &&
           (target.kind != PW_V_INSTANCE || hold_state(m, op, target, state));
}

/* ---- doors ----------------------------------------------------------------------------
 */

static bool
step_persistent(struct pw_scan *m, const struct pw_op *op)
{
    if (op->code == PW_OP_BINPERSID) {
        if (height(m) == 0) {
            return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
        }
        if (!settle(m, op, *top(m, 0))) {
            return false;
        }
        cut(m, m->stack.len - 1);
    }
    pw_machine_find(m, PW_R_PERSID_DENIED, op);
    return push(m, op, (struct pw_value){0});
}

static bool
step_extension(struct pw_scan *m, const struct pw_op *op)
{
    pw_machine_find(m, PW_R_EXT_DENIED, op);
    return push(m, op, pw_value_of(PW_V_UNKNOWN, PW_DOOR_EXTENSION));
}

static bool
step_buffer(struct pw_scan *m, const struct pw_op *op)
{
    pw_machine_find(m, PW_R_BUFFER_DENIED, op);
    if (op->code == PW_OP_NEXT_BUFFER) {
        m->buffers++;
        return push(m, op, (struct pw_value){0});
    }
    if (height(m) == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    *top(m, 0) = (struct pw_value){0};
    return true;
}

/* ---- the rest -------------------------------------------------------------------------
 */

static bool
step_pop(struct pw_scan *m, const struct pw_op *op)
{
    if (height(m) > 0) {
        cut(m, m->stack.len - 1);
        return true;
    }
    if (m->marks.len == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    (void)pop_mark(m);
    return true;
}

static bool
step_pop_mark(struct pw_scan *m, const struct pw_op *op)
{
    if (m->marks.len == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_NO_MARK, op);
    }
    cut(m, pop_mark(m));
    return true;
}

static bool
step_dup(struct pw_scan *m, const struct pw_op *op)
{
    return height(m) > 0 ? push(m, op, *top(m, 0))
                         : pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
}

static bool
step_proto(struct pw_scan *m, const struct pw_op *op)
{
    if (op->arg > 5) {
        return pw_machine_stop(m, PW_R_PICKLE_PROTO, op);
    }
    m->proto = (uint8_t)op->arg;
    m->proto_high = m->proto > m->proto_high ? m->proto : m->proto_high;
    return true;
}

/* A header may be the last thing in the frame before it; otherwise frames do not nest. */
static bool
step_frame(struct pw_scan *m, const struct pw_op *op)
{
    if (m->frame_end != UINT64_MAX && op->end != m->frame_end) {
        pw_machine_find(m, PW_R_FRAME_NESTED, op);
    }
    if (op->arg > m->frame.len - op->end) {
        pw_machine_find(m, PW_R_FRAME_OVERRUN, op);
        return true;
    }
    m->frame_end = op->end + op->arg;
    return true;
}

static bool
step_stop(struct pw_scan *m, const struct pw_op *op)
{
    if (height(m) == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    if (!settle(m, op, *top(m, 0)) || !pw_cost_heap(m, op) ||
        !pw_unfold_result(m, op, *top(m, 0))) {
        return false;
    }
    if (m->frame_end != UINT64_MAX && m->frame_end > op->end) {
        pw_machine_find(m, PW_R_FRAME_PAST_STOP, op);
    }
    return true;
}

static bool (*const steps[PW_EFFECT_COUNT])(struct pw_scan *, const struct pw_op *) = {
    [PW_EFFECT_PUSH] = step_push,
    [PW_EFFECT_TEXT] = step_text,
    [PW_EFFECT_EMPTY] = step_empty,
    [PW_EFFECT_COLLECT] = step_collect,
    [PW_EFFECT_STORE] = step_store,
    [PW_EFFECT_MARK] = push_mark,
    [PW_EFFECT_POP] = step_pop,
    [PW_EFFECT_POP_MARK] = step_pop_mark,
    [PW_EFFECT_DUP] = step_dup,
    [PW_EFFECT_PUT] = step_put,
    [PW_EFFECT_MEMOIZE] = step_memoize,
    [PW_EFFECT_GET] = step_get,
    [PW_EFFECT_IMPORT] = step_import,
    [PW_EFFECT_IMPORT_STACK] = step_import_stack,
    [PW_EFFECT_CALL] = step_call,
    [PW_EFFECT_INST] = step_inst,
    [PW_EFFECT_OBJ] = step_obj,
    [PW_EFFECT_BUILD] = step_build,
    [PW_EFFECT_PROTO] = step_proto,
    [PW_EFFECT_FRAME] = step_frame,
    [PW_EFFECT_EXTENSION] = step_extension,
    [PW_EFFECT_PERSISTENT] = step_persistent,
    [PW_EFFECT_BUFFER] = step_buffer,
    [PW_EFFECT_STOP] = step_stop,
};

bool
pw_machine_step(struct pw_scan *m, const struct pw_op *op)
{
    return steps[op->effect](m, op);
}
