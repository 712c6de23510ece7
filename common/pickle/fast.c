/* SPDX-License-Identifier: Apache-2.0
 *
 * The common path. Nine tenths of real pickles are constants, marks, memo entries and plain
 * containers of them; here they run with the machine's registers in the processor's.
 * Anything else, and any limit, is left to effects.c, which does the same at leisure.
 */
#include "common/pickle/cost.h"
#include "common/pickle/unfold.h"

/* Everything below is one loop, written as functions for the reader. */
#define PART static inline __attribute__((always_inline))

/* What needs more of the processor's registers than the loop can spare. */
#define APART static __attribute__((noinline))

/* So many bytes are there when the loop looks: the opcode and a one-byte argument. */
enum { LOOKS_AT = 2 };

/* What every opcode changes. The rest of the loop's state is m->fast: more of these would
 * not fit the processor. */
struct registers {
    size_t at;            /* of the opcode */
    struct pw_value *top; /* behind the topmost value */
    uint32_t ops;
};

PART struct registers
load(struct pw_scan *m, size_t at)
{
    uint32_t memo_room =
        m->memo.cap < m->limits.max_memo ? m->memo.cap : m->limits.max_memo;
    bool dense = !m->memo_gap && m->memo.len == m->memo_count;
    m->fast.room = m->stack.at + m->stack_room;
    m->fast.fence = m->stack.at + m->fence;
    m->fast.plain = m->stack.at + m->plain_from;
    m->fast.memo = m->memo.at + m->memo_count;
    m->fast.memo_room = m->memo.at + (dense ? memo_room : 0);
    return (struct registers){.at = at, .top = m->stack.at + m->stack.len};
}

PART void
save(struct pw_scan *m, const struct registers *r)
{
    uint32_t keys = (uint32_t)(m->fast.memo - m->memo.at);
    m->stack.len = (uint32_t)(r->top - m->stack.at);
    m->fence = (uint32_t)(m->fast.fence - m->stack.at);
    m->plain_from = (uint32_t)(m->fast.plain - m->stack.at);
    m->memo.len += keys - m->memo_count;
    m->memo_count = keys;
    m->ops += r->ops;
}

PART uint32_t
number4(const uint8_t *from)
{
    uint32_t number;
    memcpy(&number, from, sizeof number);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    number = __builtin_bswap32(number);
#endif
    return number;
}

/* Each of the following runs the opcode at r->at and goes on to the next; false when this
 * one is not for the loop. */
PART bool
next(struct registers *r, bool done, size_t width)
{
    r->at += done ? width : 0;
    return done;
}

/* A constant, `width` bytes with its opcode. */
PART bool
push(const struct pw_scan *m, struct registers *r, uint8_t kind, size_t width, size_t end)
{
    if (width > end - r->at || r->top == m->fast.room) {
        return false;
    }
    *r->top++ = pw_value_of(kind, r->at);
    r->at += width;
    return true;
}

/*
 * Constants of one opcode, `width` bytes each, come in runs. Their width stands in the
 * code, not in a table: a predicted branch lets the processor run ahead, a loaded width
 * makes each opcode wait for the one before.
 */
PART bool
push_run(const struct pw_scan *m, struct registers *r, uint8_t kind, const uint8_t *bytes,
         size_t width, size_t end)
{
    uint8_t opcode = bytes[r->at];
    const struct pw_value *room = m->fast.room;
    if (width > end - r->at || r->top == room) {
        return false;
    }
    struct pw_value *top = r->top;
    size_t last = end - width;
    do {
        *top++ = pw_value_of(kind, r->at);
        r->at += width;
    } while (r->at <= last && bytes[r->at] == opcode && top != room);
    r->ops += (uint32_t)(top - r->top) - 1; /* the loop counts one */
    r->top = top;
    return true;
}

PART bool
memoize(struct pw_scan *m, struct registers *r)
{
    struct pw_value *memo = m->fast.memo;
    if (memo >= m->fast.memo_room || r->top == m->fast.fence) {
        return false;
    }
    *memo = r->top[-1];
    m->fast.memo = memo + 1;
    return true;
}

/* A length and so many bytes. Long integers are left to cost.c; behind most strings stands
 * MEMOIZE. */
PART bool
push_short(struct pw_scan *m, struct registers *r, uint8_t kind, const uint8_t *bytes,
           size_t end)
{
    size_t len = bytes[r->at + 1];
    if ((kind == PW_V_INT && len >= PW_LONG_BYTES) || !push(m, r, kind, 2 + len, end)) {
        return false;
    }
    struct pw_value *memo = m->fast.memo;
    if (kind == PW_V_STR && r->at < end && bytes[r->at] == PW_OP_MEMOIZE &&
        memo < m->fast.memo_room) {
        *memo = r->top[-1];
        m->fast.memo = memo + 1;
        r->at++;
        r->ops++;
    }
    return true;
}

PART bool
push_counted(const struct pw_scan *m, struct registers *r, uint8_t kind,
             const uint8_t *bytes, size_t end)
{
    size_t head = 5;
    return end - r->at >= head && push(m, r, kind, head + number4(bytes + r->at + 1), end);
}

/* PUT of the next key is MEMOIZE. */
PART bool
put(struct pw_scan *m, struct registers *r, size_t key)
{
    return m->memo.at + key == m->fast.memo && memoize(m, r);
}

PART bool
get(struct pw_scan *m, struct registers *r, size_t key)
{
    if (r->top == m->fast.room || m->fast.memo > m->fast.memo_room ||
        key >= (size_t)(m->fast.memo - m->memo.at)) {
        return false;
    }
    *r->top++ = m->memo.at[key];
    m->fast.plain = m->memo.at[key].kind >= PW_V_GLOBAL ? r->top : m->fast.plain;
    return true;
}

PART bool
mark(struct pw_scan *m, struct registers *r)
{
    if (m->marks.len >= m->marks.cap || m->marks.len >= m->limits.max_stack) {
        return false;
    }
    m->marks.at[m->marks.len++] = (uint32_t)(r->top - m->stack.at);
    m->fast.fence = r->top;
    return true;
}

/* ---- containers: each returns the new top of the stack, NULL when it is not for this loop
 */

PART bool
room_for_object(const struct pw_scan *m, const struct pw_value *top)
{
    return m->objects.len < m->objects.cap && m->limits.max_depth > 0 &&
           top != m->fast.room;
}

PART struct pw_value *
push_object(struct pw_scan *m, struct pw_value *top, uint8_t kind, struct object object)
{
    pw_cost_object(m, kind);
    m->max_depth = m->max_depth > 0 ? m->max_depth : 1;
    *top = pw_value_of(kind, m->objects.len);
    m->objects.at[m->objects.len++] = object;
    m->fast.plain = top + 1;
    return top + 1;
}

PART struct pw_value *
empty(struct pw_scan *m, struct pw_value *top, uint8_t kind)
{
    if (kind == PW_V_TUPLE || !room_for_object(m, top)) {
        return NULL;
    }
    return push_object(m, top, kind, (struct object){.size = 1, .depth = 1});
}

/* TUPLE1, TUPLE2, TUPLE3 of constants. */
APART struct pw_value *
collect_TOP(struct pw_scan *m, struct pw_value *top, uint8_t kind, uint32_t pops)
{
    struct pw_value *first = top - pops;
    uint32_t link = m->items.len;
    if (kind != PW_V_TUPLE || first < m->fast.fence || m->fast.plain > first ||
        m->items.cap - link < pops || !room_for_object(m, first)) {
        return NULL;
    }
    memcpy(m->items.at + link, first, pops * sizeof *first);
    m->items.len += pops;
    return push_object(m, first, kind,
                       (struct object){.link = link,
                                       .count = pops,
                                       .size = 1 + pops,
                                       .depth = 1,
                                       .flags = OBJECT_KEPT});
}

/* Whether effects.c has nothing to do for a value, `index` places behind the first of those
 * that go into a container: no import to tell of, no key to look at, not itself. */
static bool
is_easy(const struct pw_scan *m, struct pw_value value, struct pw_value into, size_t index)
{
    enum { OPEN = OBJECT_HAS_GLOBAL };
    bool key = into.kind == PW_V_SET || (into.kind == PW_V_DICT && index % 2 == 0);
    return value.kind >= PW_V_TUPLE && !key && value.ref != into.ref &&
           (m->objects.at[value.ref].flags & (OPEN | OBJECT_SETTLED)) != OPEN;
}

/* The values from `first` on go into the container below them, and some are containers
 * themselves. False, with nothing changed, when one of them is not for this loop. */
static bool
nest(struct pw_scan *m, const struct pw_value *first, struct nested *sum)
{
    struct object *object = &m->objects.at[first[-1].ref];
    struct object before = *object;
    uint32_t items = m->items.len;
    uint32_t run = 0;
    bool easy = true;
    for (const struct pw_value *value = first; easy && value < m->fast.plain; value++) {
        if (value->kind < PW_V_GLOBAL) {
            continue;
        }
        easy = is_easy(m, *value, first[-1], (size_t)(value - first)) &&
               pw_unfold_note_next(m, first[-1], *value, &run);
        if (easy) {
            sum->size--;
            pw_cost_add(m, *value, sum);
        }
    }
    if (!easy || sum->depth >= m->limits.max_depth ||
        object->size + sum->size > m->limits.max_unfold) {
        *object = before;
        m->items.len = items;
        return false;
    }
    uint32_t depth = sum->depth + 1;
    object->depth = object->depth > depth ? object->depth : (uint16_t)depth;
    m->max_depth = m->max_depth > depth ? m->max_depth : depth;
    return true;
}

/* Whether a constant of a length in little endian is one key that effects.c looks at: it
 * begins `head` behind the opcode. */
PART bool
is_args(const uint8_t *bytes, uint32_t ref, size_t head)
{
    return bytes[ref + 1] == 4 && memcmp(bytes + ref + head, "args", 4) == 0;
}

/* Whether a key may begin with an underscore, or be "args"; so may all that nobody knows.
 * And whether it may be NaN. */
APART bool
is_special(const uint8_t *bytes, struct pw_value key)
{
    if (key.kind != PW_V_STR) {
        return key.kind == PW_V_BYTESTR || key.kind == PW_V_UNKNOWN ||
               key.kind == PW_V_FLOAT;
    }
    if (key.decoded || bytes[key.ref] == PW_OP_BINUNICODE8) {
        return true;
    }
    size_t head = bytes[key.ref] == PW_OP_SHORT_BINUNICODE ? 2 : 5;
    return bytes[key.ref + head] == '_' || is_args(bytes, key.ref, head);
}

/* Some key among keys and values may be in the table of effects_fill.c. */
static bool
has_special(const struct pw_scan *m, const struct pw_value *first,
            const struct pw_value *top)
{
    const uint8_t *bytes = m->frame.ptr;
    for (const struct pw_value *key = first; key < top; key += 2) {
        /* The commonest key is not worth a call. */
        bool common = pw_value_is(*key, PW_V_STR) &&
                      bytes[key->ref] == PW_OP_SHORT_BINUNICODE &&
                      bytes[key->ref + 2] != '_' && !is_args(bytes, key->ref, 2);
        if (!common && is_special(bytes, *key)) {
            return true;
        }
    }
    return false;
}

static bool
has_float(const struct pw_value *first, const struct pw_value *top)
{
    bool found = false;
    for (const struct pw_value *item = first; item < top; item++) {
        found |= item->kind == PW_V_FLOAT;
    }
    return found;
}

/* The values from `first` on go into the container below them, of the opcode's own kind. */
PART struct pw_value *
store(struct pw_scan *m, struct pw_value *first, struct pw_value *top,
      struct pw_value *floor, uint8_t kind)
{
    uint32_t count = (uint32_t)(top - first);
    struct nested sum = {.size = count};
    if (first <= floor || first[-1].kind != kind || (kind == PW_V_DICT && count % 2 != 0)) {
        return NULL;
    }
    struct object *object = &m->objects.at[first[-1].ref];
    if ((object->flags & OBJECT_STORED) != 0 || object->size > m->limits.max_unfold ||
        (kind == PW_V_DICT && has_special(m, first, top)) ||
        (kind == PW_V_SET && has_float(first, top))) {
        return NULL;
    }
    if (m->fast.plain > first) {
        if (!nest(m, first, &sum)) {
            return NULL;
        }
        m->fast.plain = first;
    }
    object->count += count;
    object->size += (uint32_t)sum.size;
    return first;
}

/* APPEND, SETITEM. */
APART struct pw_value *
store_TOP(struct pw_scan *m, struct pw_value *top, uint8_t kind, uint32_t pops)
{
    struct pw_value *fence = m->fast.fence;
    return top - fence >= pops ? store(m, top - (pops - 1), top, fence, kind) : NULL;
}

/* APPENDS, SETITEMS, ADDITEMS: down to the mark. */
APART struct pw_value *
store_MARK(struct pw_scan *m, struct pw_value *top, uint8_t kind, uint32_t pops)
{
    (void)pops;
    if (m->marks.len == 0) {
        return NULL;
    }
    uint32_t below = m->marks.len > 1 ? m->marks.at[m->marks.len - 2] : 0;
    struct pw_value *floor = m->stack.at + below;
    struct pw_value *left = store(m, m->fast.fence, top, floor, kind);
    if (left != NULL) {
        m->marks.len--;
        m->fast.fence = floor;
    }
    return left;
}

PART bool
move(struct registers *r, struct pw_value *top)
{
    r->top = top != NULL ? top : r->top;
    return top != NULL;
}

/*
 * How the loop below reads opcodes.def: the effect of a row names an expression over its
 * kind, argument, `from` and pops, all constants.
 */
enum { WIDTH_U8 = 2, WIDTH_U16 = 3, WIDTH_4 = 5, WIDTH_F64 = 9 };

#define PUSH_NONE(kind) push_run(m, &r, PW_V_##kind, bytes, 1, end)
#define PUSH_U8(kind) push_run(m, &r, PW_V_##kind, bytes, WIDTH_U8, end)
#define PUSH_U16(kind) push_run(m, &r, PW_V_##kind, bytes, WIDTH_U16, end)
#define PUSH_S32(kind) push_run(m, &r, PW_V_##kind, bytes, WIDTH_4, end)
#define PUSH_F64(kind) push_run(m, &r, PW_V_##kind, bytes, WIDTH_F64, end)
#define PUSH_LEN8(kind) push_short(m, &r, PW_V_##kind, bytes, end)
#define PUSH_LEN32(kind) push_counted(m, &r, PW_V_##kind, bytes, end)
#define PUSH_LEN32S(kind) false
#define PUSH_LEN64(kind) false

#define KEY_U8(what) next(&r, what(m, &r, bytes[r.at + 1]), WIDTH_U8)
#define KEY_U32(what)                                                                      \
    next(&r, end - r.at >= WIDTH_4 && what(m, &r, number4(bytes + r.at + 1)), WIDTH_4)
#define KEY_LINE(what) false

#define MOVED(top) next(&r, move(&r, top), 1)
#define FAST_PUSH(kind, arg, from, pops) PUSH_##arg(kind)
#define FAST_EMPTY(kind, arg, from, pops) MOVED(empty(m, r.top, PW_V_##kind))
#define FAST_STORE(kind, arg, from, pops) MOVED(store_##from(m, r.top, PW_V_##kind, pops))
#define FAST_COLLECT(kind, arg, from, pops) COLLECT_##from(kind, pops)
#define COLLECT_TOP(kind, pops) MOVED(collect_TOP(m, r.top, PW_V_##kind, pops))
#define COLLECT_MARK(kind, pops) false
#define FAST_MARK(kind, arg, from, pops) next(&r, mark(m, &r), 1)
#define FAST_PUT(kind, arg, from, pops) KEY_##arg(put)
#define FAST_MEMOIZE(kind, arg, from, pops) next(&r, memoize(m, &r), 1)
#define FAST_GET(kind, arg, from, pops) KEY_##arg(get)
#define SLOW(kind, arg, from, pops) false
#define FAST_PROTO SLOW
#define FAST_FRAME SLOW
#define FAST_TEXT SLOW
#define FAST_POP SLOW
#define FAST_POP_MARK SLOW
#define FAST_DUP SLOW
#define FAST_IMPORT SLOW
#define FAST_IMPORT_STACK SLOW
#define FAST_CALL SLOW
#define FAST_INST SLOW
#define FAST_OBJ SLOW
#define FAST_BUILD SLOW
#define FAST_EXTENSION SLOW
#define FAST_PERSISTENT SLOW
#define FAST_BUFFER SLOW
#define FAST_STOP SLOW

/* How far to run: to the end of the frame in force, and not past max_ops (an opcode takes
 * one byte at least). */
static size_t
fast_end(const struct pw_scan *m, size_t at)
{
    size_t end = m->frame_end < m->frame.len ? (size_t)m->frame_end : m->frame.len;
    size_t budget = m->limits.max_ops - m->ops;
    return end > at && end - at > budget ? at + budget : end;
}

/* Bytes that are no opcode leave the loop; the rows then say otherwise for the others. */
#pragma GCC diagnostic ignored "-Woverride-init"

size_t
pw_machine_fast(struct pw_scan *m, size_t at)
{
    const uint8_t *bytes = m->frame.ptr;
    size_t end = fast_end(m, at);
    if (at + LOOKS_AT > end || pw_decode_rows[bytes[at]].effect > PW_EFFECT_COLLECT) {
        return at; /* not worth loading the registers */
    }
    static const void *const steps[256] = {
        [0 ... 255] = &&leave,
#define PW_OPCODE(byte, name, arg, from, pops, pushes, kind, since, effect)                \
    [byte] = &&on_##name,
#include "common/pickle/opcodes.def"
#undef PW_OPCODE
    };
    struct registers r = load(m, at);
    goto *steps[bytes[at]];

    /* Each opcode jumps to the next one by itself: the processor predicts that better. */
#define PW_OPCODE(byte, name, arg, from, pops, pushes, kind, since, effect)                \
    on_##name : if (!(FAST_##effect(kind, arg, from, pops)))                               \
    {                                                                                      \
        goto leave;                                                                        \
    }                                                                                      \
    r.ops++;                                                                               \
    if (r.at + LOOKS_AT > end) {                                                           \
        goto leave;                                                                        \
    }                                                                                      \
    goto *steps[bytes[r.at]];
#include "common/pickle/opcodes.def"
#undef PW_OPCODE
leave:
    save(m, &r);
    return r.at;
}
