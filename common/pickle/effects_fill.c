/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants, containers, and what goes into them.
 */
#include "common/pickle/effects.h"

#include "common/pickle/cost.h"
#include "common/pickle/unfold.h"

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
bool
pw_make_tuple(struct pw_scan *m, const struct pw_op *op, uint32_t first,
              struct pw_value *out)
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
    if (!pw_new_object(m, op, PW_V_TUPLE, sum, out) || !keep_items(m, out->ref, first)) {
        return false;
    }
    if (count > TUPLE_KEEPS) { /* too long for any rule: its globals stand as values */
        m->objects.at[out->ref].flags = flags & OBJECT_PLANTS;
        return pw_settle_all(m, op, first, &sum);
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
        *first = pw_pop_mark(m);
        return true;
    }
    if (pw_height(m) < row->pops) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    *first = m->stack.len - row->pops;
    return true;
}

bool
pw_step_push(struct pw_scan *m, const struct pw_op *op)
{
    bool counted = op->code == PW_OP_LONG1 || op->code == PW_OP_LONG4;
    if (counted && op->arg >= PW_LONG_BYTES && !pw_cost_int(m, op)) {
        return false;
    }
    bool is_long = counted && op->arg > PW_LONG_FROM;
    return pw_push(m, op, pw_value_of(is_long ? PW_V_LONG : op->kind, op->off));
}

bool
pw_step_empty(struct pw_scan *m, const struct pw_op *op)
{
    struct pw_value made;
    if (op->kind == PW_V_TUPLE) {
        return pw_push(m, op, pw_value_of(PW_V_TUPLE, 0));
    }
    return pw_new_object(m, op, op->kind, (struct nested){0}, &made) &&
           pw_push(m, op, made);
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
    if (!pw_settle_all(m, op, first, &sum) || !pw_new_object(m, op, op->kind, sum, out)) {
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

bool
pw_step_collect(struct pw_scan *m, const struct pw_op *op)
{
    uint32_t first;
    if (!operands(m, op, &first)) {
        return false;
    }
    struct pw_value made;
    bool good = op->kind == PW_V_TUPLE ? pw_make_tuple(m, op, first, &made)
                                       : make_container(m, op, first, &made);
    if (!good) {
        return false;
    }
    pw_cut(m, first);
    return pw_push(m, op, made);
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
bool
pw_change(struct pw_scan *m, const struct pw_op *op, struct pw_value target,
          enum pw_use how, enum pw_value_kind natural, struct pw_value args)
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
            if (!pw_note_use(m, op, object->link, how, args)) {
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

bool
pw_grow(struct pw_scan *m, const struct pw_op *op, struct pw_value value, struct nested sum)
{
    struct object *object = &m->objects.at[value.ref];
    bool known = (object->flags & OBJECT_LATE) != 0 || pw_cost_is_large(m, object);
    if ((object->flags & OBJECT_STORED) != 0) { /* what holds it counted it as it was */
        object->flags |= OBJECT_LATE;
    }
    if (!pw_cost_nest(m, op, object, sum)) {
        return false;
    }
    bool doubtful = (object->flags & OBJECT_LATE) != 0 || pw_cost_is_large(m, object);
    return known || !doubtful || pw_unfold_root(m, value);
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
    return pw_unfold_note(m, target, first) && pw_grow(m, op, target, sum);
}

/* APPEND, APPENDS, SETITEM, SETITEMS, ADDITEMS: the container is below the operands. */
bool
pw_step_store(struct pw_scan *m, const struct pw_op *op)
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
    if (!pw_change(m, op, target, PW_USE_ITEMS, op->kind, (struct pw_value){0}) ||
        !pw_settle_all(m, op, first, &sum)) {
        return false;
    }
    if (op->kind == PW_V_DICT && (m->stack.len - first) % 2 != 0) {
        return pw_machine_stop(m, PW_R_PICKLE_ODD_ITEMS, op);
    }
    if (!fill(m, op, target, first, sum)) {
        return false;
    }
    pw_cut(m, first);
    return true;
}
