/* SPDX-License-Identifier: Apache-2.0
 *
 * The memo: an array of what was put there, by number.
 */
#include "common/pickle/effects.h"

#include "common/pickle/number.h"

/* A memo index may run ahead of its entries by this much and twice their number. */
enum { MEMO_SLACK = 65536 };

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
    if (pw_height(m) == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    struct pw_value value = *pw_top(m, 0);
    struct pw_value *entry = memo_find(m, key);
    if (entry == NULL) {
        return memo_put_new(m, op, key, value);
    }
    *entry = value; /* written again: nothing is counted */
    return true;
}

bool
pw_step_memoize(struct pw_scan *m, const struct pw_op *op)
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

bool
pw_step_put(struct pw_scan *m, const struct pw_op *op)
{
    uint64_t index = memo_index(m, op);
    return index == UINT64_MAX ? pw_machine_stop(m, PW_R_PICKLE_NUMBER, op)
                               : memo_put(m, op, index);
}

bool
pw_step_get(struct pw_scan *m, const struct pw_op *op)
{
    const struct pw_value *entry = memo_find(m, memo_index(m, op));
    return entry != NULL ? pw_push(m, op, *entry)
                         : pw_machine_stop(m, PW_R_MEMO_MISSING, op);
}
