/* SPDX-License-Identifier: Apache-2.0
 *
 * BUILD: what a state may do to an instance.
 */
#include "common/pickle/effects.h"

#include "common/pickle/cost.h"
#include "common/pickle/unfold.h"

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

/* A UserString holds a text, and hashes as what it holds. */
static bool
is_no_text(const struct pw_scan *m, const struct pw_import *origin, struct pw_value state)
{
    if (!pw_span_equal(origin->name, pw_span_str("UserString")) ||
        state.kind != PW_V_DICT) {
        return false;
    }
    struct pw_value child;
    struct pw_children children = pw_unfold_children(m, state);
    return pw_unfold_next(m, &children, &child);
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
               is_no_text(m, &m->imports.at[object->link], state) ||
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
        return pw_unfold_note_state(m, target, state) && pw_grow(m, op, target, sum);
    }
    if (row->state == IS_WALKED) {
        return pw_unfold_note_one(m, target, state) && pw_grow(m, op, target, sum);
    }
    if ((m->objects.at[target.ref].flags & OBJECT_STORED) != 0) {
        pw_machine_find(m, PW_R_LIMIT_WORK, op);
    }
    return pw_unfold_note_one(m, target, state) && pw_grow(m, op, target, sum) &&
           pw_cost_keys(m, op, m->stack.len - 1, 1, target.ref);
}

bool
pw_step_build(struct pw_scan *m, const struct pw_op *op)
{
    if (pw_height(m) < 2) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    struct pw_value state = *pw_top(m, 0);
    struct pw_value target = *pw_top(m, 1);
    pw_cut(m, m->stack.len - 1);
    if (sets_special(m, state) || is_seen_through(m, target, state)) {
        pw_machine_find(m, PW_R_STATE_SPECIAL, op);
    }
    /* No built-in container takes a state: VALUE_ABSENT is natural to nothing. */
    if (!pw_settle(m, op, state) ||
        !pw_change(m, op, target, PW_USE_BUILD, (enum pw_value_kind)VALUE_ABSENT, state)) {
        return false;
    }
    return pw_cost_state(m, op, state) &&
           (target.kind != PW_V_INSTANCE || hold_state(m, op, target, state));
}
