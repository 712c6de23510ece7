/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/unfold.h"

#include "common/pickle/cost.h"

/*
 * The containers in a tuple or frozenset are among its items. Those in other objects are
 * kept in runs in `items` too: a value that refers to the run before, one that counts, then
 * the containers.
 */
enum { RUN_HEAD = 2, EMPTY_TUPLE = 0 };

static bool
has_items(struct pw_value value)
{
    return value.kind == PW_V_TUPLE || value.kind == PW_V_FROZENSET;
}

/* Where an object keeps its newest run: the link of an instance is its origin. */
static uint32_t *
newest_run(struct pw_scan *m, struct pw_value of)
{
    struct object *object = &m->objects.at[of.ref];
    return of.kind == PW_V_INSTANCE ? &object->count : &object->link;
}

/* A run's head, in room that is there. */
static uint32_t
begin_run(struct pw_scan *m, struct pw_value into)
{
    struct pw_value *items = m->items.at;
    if (m->items.len == 0) { /* no run is number 0 */
        items[m->items.len++] = (struct pw_value){0};
    }
    uint32_t begin = m->items.len;
    items[begin] = (struct pw_value){.ref = *newest_run(m, into)};
    items[begin + 1] = (struct pw_value){0};
    m->items.len = begin + RUN_HEAD;
    *newest_run(m, into) = begin;
    return begin;
}

bool
pw_unfold_note_next(struct pw_scan *m, struct pw_value into, struct pw_value value,
                    uint32_t *run)
{
    enum { MOST = RUN_HEAD + 2 };
    m->objects.at[value.ref].flags |= OBJECT_STORED;
    if (m->items.cap - m->items.len < MOST &&
        !pw_machine_grow(m, &m->items, sizeof *m->items.at)) {
        return false;
    }
    if (*run == 0) {
        *run = begin_run(m, into);
    }
    m->items.at[m->items.len++] = value;
    m->items.at[*run + 1].ref++;
    return true;
}

bool
pw_unfold_note(struct pw_scan *m, struct pw_value into, uint32_t first)
{
    uint32_t run = 0;
    for (uint32_t i = first; i < m->plain_from; i++) {
        struct pw_value value = m->stack.at[i];
        if (value.kind >= PW_V_TUPLE && !pw_unfold_note_next(m, into, value, &run)) {
            return false;
        }
    }
    return true;
}

bool
pw_unfold_note_one(struct pw_scan *m, struct pw_value into, struct pw_value value)
{
    uint32_t run = 0;
    bool container = value.kind >= PW_V_TUPLE && value.ref != EMPTY_TUPLE;
    return !container || pw_unfold_note_next(m, into, value, &run);
}

bool
pw_unfold_note_state(struct pw_scan *m, struct pw_value into, struct pw_value state)
{
    state.decoded = true; /* means nothing of a container; here, that it does not unfold */
    return pw_unfold_note_one(m, into, state);
}

struct pw_children
pw_unfold_children(const struct pw_scan *m, struct pw_value of)
{
    const struct object *object = &m->objects.at[of.ref];
    if (has_items(of)) {
        return (struct pw_children){.at = object->link,
                                    .end = object->link + object->count};
    }
    return (struct pw_children){.run = of.kind == PW_V_INSTANCE ? object->count
                                                                : object->link};
}

bool
pw_unfold_next(const struct pw_scan *m, struct pw_children *children,
               struct pw_value *child)
{
    for (;;) {
        while (children->at < children->end) {
            *child = m->items.at[children->at++];
            if (child->kind >= PW_V_TUPLE) {
                return true;
            }
        }
        if (children->run == 0) {
            return false;
        }
        children->at = children->run + RUN_HEAD;
        children->end = children->at + m->items.at[children->run + 1].ref;
        children->run = m->items.at[children->run].ref;
    }
}

/* ---- once more ------------------------------------------------------------------------
 */

/* Begin with `value`, which is now on the way down. */
static bool
enter(struct pw_scan *m, struct pw_value value)
{
    if (!PW_ARRAY_ROOM(m, &m->walk)) {
        return false;
    }
    struct object *object = &m->objects.at[value.ref];
    object->flags |= OBJECT_ENTERED;
    m->walk.at[m->walk.len++] = (struct walk_step){
        .value = value,
        .children = pw_unfold_children(m, value),
        .sum.size = value.kind == PW_V_INSTANCE ? 0 : object->count,
    };
    return true;
}

/* What `child`, walked, adds to the step that met it. */
static void
add(struct walk_step *step, struct pw_value child, const struct object *object)
{
    step->sum.depth = object->depth > step->sum.depth ? object->depth : step->sum.depth;
    if (!child.decoded) { /* not a state */
        step->sum.size += object->size - (step->value.kind == PW_V_INSTANCE ? 0 : 1);
    }
}

/* All of the newest step is added up. */
static bool
leave(struct pw_scan *m, const struct pw_op *op)
{
    struct walk_step *step = &m->walk.at[--m->walk.len];
    struct pw_value value = step->value;
    struct object *object = &m->objects.at[value.ref];
    object->size = 1;
    object->depth = 1;
    object->flags |= OBJECT_WALKED;
    if (!pw_cost_nest(m, op, object, step->sum)) {
        return false;
    }
    if (pw_cost_is_large(m, object)) {
        return pw_machine_stop(m, PW_R_LIMIT_UNFOLD, op);
    }
    if (m->walk.len > 0) {
        add(step - 1, value, object);
    }
    return true;
}

/* A container is met: for the first time, once more, or on the way down to itself, where
 * walks end. */
static bool
meet(struct pw_scan *m, struct pw_value child)
{
    const struct object *object = &m->objects.at[child.ref];
    if ((object->flags & OBJECT_ENTERED) == 0) {
        return enter(m, child);
    }
    if ((object->flags & OBJECT_WALKED) != 0) {
        add(&m->walk.at[m->walk.len - 1], child, object);
    }
    return true;
}

/* Add up `root` and what is in it, unless that is done. */
static bool
walk(struct pw_scan *m, const struct pw_op *op, struct pw_value root)
{
    if ((m->objects.at[root.ref].flags & OBJECT_ENTERED) != 0) {
        return true;
    }
    m->walk.len = 0;
    bool good = enter(m, root);
    while (good && m->walk.len > 0) {
        struct pw_value child;
        struct pw_children *children = &m->walk.at[m->walk.len - 1].children;
        good = pw_unfold_next(m, children, &child) ? meet(m, child) : leave(m, op);
    }
    return good;
}

bool
pw_unfold_root(struct pw_scan *m, struct pw_value value)
{
    if (!PW_ARRAY_ROOM(m, &m->roots)) {
        return false;
    }
    m->roots.at[m->roots.len++] = value;
    return true;
}

/* The result first: of what holds itself, the sums depend on where a walk begins. */
bool
pw_unfold_result(struct pw_scan *m, const struct pw_op *op, struct pw_value result)
{
    if (m->roots.len == 0) {
        return true;
    }
    if (result.kind >= PW_V_TUPLE && !walk(m, op, result)) {
        return false;
    }
    for (uint32_t i = 0; i < m->roots.len; i++) {
        if (!walk(m, op, m->roots.at[i])) {
            return false;
        }
    }
    return true;
}
