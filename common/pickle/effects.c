/* SPDX-License-Identifier: Apache-2.0
 *
 * What each opcode does, as Modules/_pickle.c and Lib/pickle.py do it. Where both of them
 * fail, the scan ends with a finding; where only one does, there is a finding and the scan
 * goes on as the other would. The longer ones stand in files of their own.
 */
#include "common/pickle/effects.h"

#include "common/pickle/cost.h"
#include "common/pickle/unfold.h"

/* ---- what the steps share ------------------------------------------------------------
 */

bool
pw_grow_stack(struct pw_scan *m, const struct pw_op *op)
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

/* A new object of `kind` that holds `sum`; its value goes to *out. */
bool
pw_new_object(struct pw_scan *m, const struct pw_op *op, enum pw_value_kind kind,
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
    return !pw_cost_is_large(m, &object) || pw_unfold_root(m, *out);
}

bool
pw_note_use(struct pw_scan *m, const struct pw_op *op, uint32_t import, enum pw_use how,
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
bool
pw_settle(struct pw_scan *m, const struct pw_op *op, struct pw_value value)
{
    if (value.kind == PW_V_GLOBAL) {
        struct pw_import *import = &m->imports.at[value.ref];
        bool known = import->stands;
        import->stands = true;
        return known || pw_note_use(m, op, value.ref, PW_USE_REF, (struct pw_value){0});
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
        if (!pw_settle(m, op, m->items.at[tuple->link + i])) {
            return false;
        }
    }
    return true;
}

/* Settle the values from `first` to the top, and add up what they hold. */
bool
pw_settle_all(struct pw_scan *m, const struct pw_op *op, uint32_t first, struct nested *sum)
{
    *sum = (struct nested){.size = m->stack.len - first};
    for (uint32_t i = first; i < m->plain_from; i++) {
        struct pw_value value = m->stack.at[i];
        if (value.kind < PW_V_GLOBAL) {
            continue;
        }
        if (!pw_settle(m, op, value)) {
            return false;
        }
        sum->size--;
        pw_cost_add(m, value, sum);
    }
    return true;
}

/* ---- doors ---------------------------------------------------------------------------
 */

static bool
step_persistent(struct pw_scan *m, const struct pw_op *op)
{
    if (op->code == PW_OP_BINPERSID) {
        if (pw_height(m) == 0) {
            return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
        }
        if (!pw_settle(m, op, *pw_top(m, 0))) {
            return false;
        }
        pw_cut(m, m->stack.len - 1);
    }
    pw_machine_find(m, PW_R_PERSID_DENIED, op);
    return pw_push(m, op, (struct pw_value){0});
}

static bool
step_extension(struct pw_scan *m, const struct pw_op *op)
{
    pw_machine_find(m, PW_R_EXT_DENIED, op);
    return pw_push(m, op, pw_value_of(PW_V_UNKNOWN, PW_DOOR_EXTENSION));
}

static bool
step_buffer(struct pw_scan *m, const struct pw_op *op)
{
    pw_machine_find(m, PW_R_BUFFER_DENIED, op);
    if (op->code == PW_OP_NEXT_BUFFER) {
        m->buffers++;
        return pw_push(m, op, (struct pw_value){0});
    }
    if (pw_height(m) == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    *pw_top(m, 0) = (struct pw_value){0};
    return true;
}

/* ---- marks, and the ends of a stream -------------------------------------------------
 */

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

static bool
step_pop(struct pw_scan *m, const struct pw_op *op)
{
    if (pw_height(m) > 0) {
        pw_cut(m, m->stack.len - 1);
        return true;
    }
    if (m->marks.len == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    (void)pw_pop_mark(m);
    return true;
}

static bool
step_pop_mark(struct pw_scan *m, const struct pw_op *op)
{
    if (m->marks.len == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_NO_MARK, op);
    }
    pw_cut(m, pw_pop_mark(m));
    return true;
}

static bool
step_dup(struct pw_scan *m, const struct pw_op *op)
{
    return pw_height(m) > 0 ? pw_push(m, op, *pw_top(m, 0))
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
    if (pw_height(m) == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    if (!pw_settle(m, op, *pw_top(m, 0)) || !pw_cost_heap(m, op) ||
        !pw_unfold_result(m, op, *pw_top(m, 0))) {
        return false;
    }
    if (m->frame_end != UINT64_MAX && m->frame_end > op->end) {
        pw_machine_find(m, PW_R_FRAME_PAST_STOP, op);
    }
    return true;
}

static pw_step *const steps[PW_EFFECT_COUNT] = {
    [PW_EFFECT_PUSH] = pw_step_push,
    [PW_EFFECT_TEXT] = pw_step_text,
    [PW_EFFECT_EMPTY] = pw_step_empty,
    [PW_EFFECT_COLLECT] = pw_step_collect,
    [PW_EFFECT_STORE] = pw_step_store,
    [PW_EFFECT_MARK] = push_mark,
    [PW_EFFECT_POP] = step_pop,
    [PW_EFFECT_POP_MARK] = step_pop_mark,
    [PW_EFFECT_DUP] = step_dup,
    [PW_EFFECT_PUT] = pw_step_put,
    [PW_EFFECT_MEMOIZE] = pw_step_memoize,
    [PW_EFFECT_GET] = pw_step_get,
    [PW_EFFECT_IMPORT] = pw_step_import,
    [PW_EFFECT_IMPORT_STACK] = pw_step_import_stack,
    [PW_EFFECT_CALL] = pw_step_call,
    [PW_EFFECT_INST] = pw_step_inst,
    [PW_EFFECT_OBJ] = pw_step_obj,
    [PW_EFFECT_BUILD] = pw_step_build,
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
