/* SPDX-License-Identifier: Apache-2.0
 *
 * The common path. Nine tenths of real pickles are constants, marks, memo entries and plain
 * containers of them; here they run with the machine's registers in the processor's.
 * Anything else, and any limit, is left to effects.c, which does the same at leisure.
 */
#include "common/pickle/machine.h"

/* Everything below is one loop, written as functions for the reader. */
#define PART static inline __attribute__((always_inline))

/* So many bytes are there when the loop looks: the opcode and a one-byte argument. */
enum { LOOKS_AT = 2 };

/* The machine's state that the loop touches, as pointers into its arrays. */
struct registers {
    struct pw_value *top; /* behind the topmost value */
    struct pw_value *room;
    struct pw_value *fence;
    struct pw_value *plain; /* from here on the stack holds constants only */
    struct pw_value *memo;  /* behind the newest entry, as long as the keys are dense */
    struct pw_value *memo_room;
    uint32_t ops;
};

PART struct registers
load(const struct pw_scan *m)
{
    uint32_t memo_room =
        m->memo.cap < m->limits.max_memo ? m->memo.cap : m->limits.max_memo;
    bool dense = !m->memo_gap && m->memo.len == m->memo_count;
    return (struct registers){
        .top = m->stack.at + m->stack.len,
        .room = m->stack.at + m->stack_room,
        .fence = m->stack.at + m->fence,
        .plain = m->stack.at + m->plain_from,
        .memo = m->memo.at + m->memo_count,
        .memo_room = m->memo.at + (dense ? memo_room : 0),
    };
}

PART void
save(struct pw_scan *m, const struct registers *r)
{
    uint32_t keys = (uint32_t)(r->memo - m->memo.at);
    m->stack.len = (uint32_t)(r->top - m->stack.at);
    m->fence = (uint32_t)(r->fence - m->stack.at);
    m->plain_from = (uint32_t)(r->plain - m->stack.at);
    m->memo.len += keys - m->memo_count;
    m->memo_count = keys;
    m->ops += r->ops;
}

PART uint32_t
length4(const uint8_t *from)
{
    uint32_t len;
    memcpy(&len, from, sizeof len);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    len = __builtin_bswap32(len);
#endif
    return len;
}

/* A constant that ends at `next`. */
PART size_t
push(struct registers *r, uint8_t kind, size_t at, size_t next, size_t end)
{
    if (next > end || r->top == r->room) {
        return at;
    }
    *r->top++ = pw_value_of(kind, at);
    return next;
}

PART bool
memoize(struct registers *r)
{
    if (r->memo >= r->memo_room || r->top == r->fence) {
        return false;
    }
    *r->memo++ = r->top[-1];
    return true;
}

/* PUT of the next key is MEMOIZE. */
PART bool
put(struct pw_scan *m, struct registers *r, size_t key)
{
    return m->memo.at + key == r->memo && memoize(r);
}

PART bool
get(struct pw_scan *m, struct registers *r, size_t key)
{
    if (r->top == r->room || r->memo > r->memo_room ||
        key >= (size_t)(r->memo - m->memo.at)) {
        return false;
    }
    *r->top++ = m->memo.at[key];
    r->plain = m->memo.at[key].kind >= PW_V_GLOBAL ? r->top : r->plain;
    return true;
}

PART bool
mark(struct pw_scan *m, struct registers *r)
{
    if (m->marks.len >= m->marks.cap || m->marks.len >= m->limits.max_stack) {
        return false;
    }
    m->marks.at[m->marks.len++] = (uint32_t)(r->top - m->stack.at);
    r->fence = r->top;
    return true;
}

PART bool
empty(struct pw_scan *m, struct registers *r, uint8_t kind)
{
    if (kind == PW_V_TUPLE || m->objects.len >= m->objects.cap ||
        m->limits.max_depth == 0 || r->top == r->room) {
        return false;
    }
    m->max_depth = m->max_depth > 0 ? m->max_depth : 1;
    *r->top++ = pw_value_of(kind, m->objects.len);
    r->plain = r->top;
    m->objects.at[m->objects.len++] = (struct object){.depth = 1};
    return true;
}

/* Constants from `first` on go into the container below them, of the opcode's own kind. */
PART bool
store(struct registers *r, struct pw_value *first, struct pw_value *floor, uint8_t kind)
{
    bool pairs = kind != PW_V_DICT || (r->top - first) % 2 == 0;
    if (first <= floor || !pairs || r->plain > first || first[-1].kind != kind) {
        return false;
    }
    r->top = first;
    return true;
}

/* APPENDS, SETITEMS, ADDITEMS, down to the mark; APPEND, SETITEM. */
PART bool
store_any(struct pw_scan *m, struct registers *r, const struct pw_decode_row *row)
{
    if (!row->from_mark) {
        return r->top - r->fence >= row->pops &&
               store(r, r->top - (row->pops - 1), r->fence, row->kind);
    }
    if (m->marks.len == 0) {
        return false;
    }
    uint32_t below = m->marks.len > 1 ? m->marks.at[m->marks.len - 2] : 0;
    if (!store(r, r->fence, m->stack.at + below, row->kind)) {
        return false;
    }
    m->marks.len--;
    r->fence = m->stack.at + below;
    return true;
}

/*
 * Run the opcode at `at`; return where the next is, or `at` when it is not for this loop.
 * Widths stand in the cases, not in the table: a predicted branch lets the processor run
 * ahead, a loaded width makes each opcode wait for the one before.
 */
PART size_t
run_one(struct pw_scan *m, struct registers *r, const uint8_t *bytes, size_t at, size_t end)
{
    const struct pw_decode_row *row = &pw_decode_rows[bytes[at]];
    switch (row->path) {
    case PW_ARG_NONE:
        return push(r, row->kind, at, at + 1, end);
    case PW_ARG_U8:
        return push(r, row->kind, at, at + 2, end);
    case PW_ARG_U16:
        return push(r, row->kind, at, at + 3, end);
    case PW_ARG_S32:
        return push(r, row->kind, at, at + 5, end);
    case PW_ARG_F64:
        return push(r, row->kind, at, at + 9, end);
    case PW_ARG_LEN8:
        return push(r, row->kind, at, at + 2 + bytes[at + 1], end);
    case PW_ARG_LEN32:
        return end - at < 5 ? at
                            : push(r, row->kind, at, at + 5 + length4(bytes + at + 1), end);
    case PW_PATH(PW_EFFECT_MEMOIZE):
        return at + memoize(r);
    case PW_PATH(PW_EFFECT_MARK):
        return at + mark(m, r);
    case PW_PATH(PW_EFFECT_STORE):
        return at + store_any(m, r, row);
    case PW_PATH(PW_EFFECT_EMPTY):
        return at + empty(m, r, row->kind);
    case PW_PATH(PW_EFFECT_PUT):
        return row->width == 1 && put(m, r, bytes[at + 1]) ? at + 2 : at;
    case PW_PATH(PW_EFFECT_GET):
        return row->width == 1 && get(m, r, bytes[at + 1]) ? at + 2 : at;
    default:
        return at;
    }
}

PART bool
is_common(uint8_t byte)
{
    return pw_decode_rows[byte].path <= PW_PATH(PW_EFFECT_GET);
}

/* How far to run: to the end of the frame in force, and not past max_ops (an opcode takes
 * one byte at least). */
static size_t
fast_end(const struct pw_scan *m, size_t at)
{
    size_t end = m->frame_end < m->frame.len ? (size_t)m->frame_end : m->frame.len;
    size_t budget = m->limits.max_ops - m->ops;
    return end > at && end - at > budget ? at + budget : end;
}

size_t
pw_machine_fast(struct pw_scan *m, size_t at)
{
    const uint8_t *bytes = m->frame.ptr;
    size_t end = fast_end(m, at);
    if (at + LOOKS_AT > end || !is_common(bytes[at])) {
        return at; /* not worth loading the registers */
    }
    struct registers r = load(m);
    do {
        size_t next = run_one(m, &r, bytes, at, end);
        if (next == at) {
            break;
        }
        at = next;
        r.ops++;
    } while (at + LOOKS_AT <= end);
    save(m, &r);
    return at;
}
