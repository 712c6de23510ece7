/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants spelled as text: their lines are read as the unpicklers read them.
 */
#include "common/pickle/effects.h"

#include "common/pickle/cost.h"
#include "common/pickle/number.h"
#include "common/pickle/text.h"

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
    return pw_push(m, op, value);
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
    return pw_push(m, op, value);
}

bool
pw_step_text(struct pw_scan *m, const struct pw_op *op)
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
        return pw_push(m, op, (struct pw_value){0});
    }
    if (value.kind == PW_V_INT && op->line.len >= PW_LONG_DIGITS && !pw_cost_int(m, op)) {
        return false;
    }
    value.kind = value.kind == PW_V_INT && op->line.len > 2 * (size_t)PW_LONG_FROM
                     ? PW_V_LONG
                     : value.kind;
    return pw_push(m, op, value);
}
