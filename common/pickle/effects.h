/* SPDX-License-Identifier: Apache-2.0
 *
 * What opcodes do to the machine: the steps of effects*.c, and what they share. Internal to
 * those files.
 *
 * A step returns false when the scan ends there, with its finding or with err latched.
 */
#ifndef PW_COMMON_PICKLE_EFFECTS_H
#define PW_COMMON_PICKLE_EFFECTS_H

#include "common/pickle/machine.h"

typedef bool pw_step(struct pw_scan *m, const struct pw_op *op);

/* effects_fill.c: constants, containers, and what goes into them. */
pw_step pw_step_push, pw_step_empty, pw_step_collect, pw_step_store;

/* effects_text.c: constants spelled as text. */
pw_step pw_step_text;

/* effects_memo.c */
pw_step pw_step_put, pw_step_memoize, pw_step_get;

/* effects_call.c: globals, and what calls one. */
pw_step pw_step_import, pw_step_import_stack, pw_step_call, pw_step_inst, pw_step_obj;

/* effects_build.c */
pw_step pw_step_build;

/* ---- stack ---- */

/* Make room for one more value. */
bool pw_grow_stack(struct pw_scan *m, const struct pw_op *op);

static inline bool
pw_push(struct pw_scan *m, const struct pw_op *op, struct pw_value value)
{
    if (__builtin_expect(m->stack.len == m->stack_room, 0) && !pw_grow_stack(m, op)) {
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
pw_cut(struct pw_scan *m, uint32_t height)
{
    m->stack.len = height;
    m->plain_from = m->plain_from < height ? m->plain_from : height;
}

/* Values above the newest mark. */
static inline uint32_t
pw_height(const struct pw_scan *m)
{
    return m->stack.len - m->fence;
}

static inline struct pw_value *
pw_top(struct pw_scan *m, uint32_t depth)
{
    return &m->stack.at[m->stack.len - 1 - depth];
}

/* Remove the newest mark; what stood above it now stands above the one before. */
static inline uint32_t
pw_pop_mark(struct pw_scan *m)
{
    uint32_t at = m->marks.at[--m->marks.len];
    m->fence = m->marks.len > 0 ? m->marks.at[m->marks.len - 1] : 0;
    return at;
}

/* ---- objects and uses ---- */

/* A new object of `kind` that holds `sum`; its value goes to *out. */
bool pw_new_object(struct pw_scan *m, const struct pw_op *op, enum pw_value_kind kind,
                   struct nested sum, struct pw_value *out);

/* An import is used at `op`, for the policy to judge. */
bool pw_note_use(struct pw_scan *m, const struct pw_op *op, uint32_t import,
                 enum pw_use how, struct pw_value args);

/*
 * `value` comes to stand somewhere: if it is a global, or a tuple that holds some, record
 * that they stand as values. Each global and each tuple once.
 */
bool pw_settle(struct pw_scan *m, const struct pw_op *op, struct pw_value value);

/* Settle the values from `first` to the top, and add up what they hold. */
bool pw_settle_all(struct pw_scan *m, const struct pw_op *op, uint32_t first,
                   struct nested *sum);

/* A tuple of the values from `first` to the top, which stay there. */
bool pw_make_tuple(struct pw_scan *m, const struct pw_op *op, uint32_t first,
                   struct pw_value *out);

/* An opcode changes `target`: it must be made in this stream. `args` only matter to BUILD.
 */
bool pw_change(struct pw_scan *m, const struct pw_op *op, struct pw_value target,
               enum pw_use how, enum pw_value_kind natural, struct pw_value args);

/* `value`, a container or an instance, changes: `sum` goes into it. */
bool pw_grow(struct pw_scan *m, const struct pw_op *op, struct pw_value value,
             struct nested sum);

#endif
