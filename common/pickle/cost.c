/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/cost.h"

#include <stdlib.h>

#include "common/pickle/hash.h"
#include "common/pickle/unfold.h"

enum {
    UNFOLD_EACH = 100, /* what honest sharing may come to, for each opcode */
    WORK_EACH = 16,    /* … and for each byte */
    ITEM_WORK = 4,     /* hashing an item and storing it */
    CONSTANT_BYTES = 32,

    /* Of a sketch, below. */
    SKETCH_BITS = 16,
    SKETCH_SLACK = 4, /* times the mean of an entry */
    COUNT_BITS = 16,
    SCAN_BITS = 24,
    TELL_SHIFT = COUNT_BITS + SCAN_BITS,
};

static const uint64_t count_mask = (1u << COUNT_BITS) - 1;
static const uint32_t scan_mask = (1u << SCAN_BITS) - 1;

/* No size grows past this, so that sums of a few fit 32 bits. */
static const uint64_t size_ceiling = 0xf0000000u;

void
pw_cost_reset(struct pw_scan *m)
{
    m->sketch_scan = (m->sketch_scan + 1) & scan_mask;
    if (m->sketch_scan == 0 && m->sketch != NULL) {
        memset(m->sketch, 0, sizeof *m->sketch << SKETCH_BITS);
    }
    m->sketch_fed = 0;
    m->work = 0;
    m->heap = 0;
}

bool
pw_cost_heap(struct pw_scan *m, const struct pw_op *op)
{
    uint64_t constants = (uint64_t)m->ops * CONSTANT_BYTES + m->frame.len;
    return m->heap + constants <= m->limits.max_heap ||
           pw_machine_stop(m, PW_R_LIMIT_HEAP, op);
}

bool
pw_cost_nest(struct pw_scan *m, const struct pw_op *op, struct object *object,
             struct nested sum)
{
    if (sum.depth >= m->limits.max_depth) {
        return pw_machine_stop(m, PW_R_LIMIT_DEPTH, op);
    }
    uint64_t size = object->size + sum.size;
    object->size = (uint32_t)(size < size_ceiling ? size : size_ceiling);
    object->depth = object->depth > sum.depth ? object->depth : (uint16_t)(sum.depth + 1);
    m->max_depth = object->depth > m->max_depth ? object->depth : m->max_depth;
    return true;
}

bool
pw_cost_is_large(const struct pw_scan *m, const struct object *object)
{
    uint64_t most = m->limits.max_unfold + (uint64_t)m->ops * UNFOLD_EACH;
    return object->size > most || object->size >= size_ceiling;
}

uint64_t
pw_cost_long(const struct pw_scan *m, struct pw_value value)
{
    struct pw_op op = {0};
    (void)pw_decode(m->frame, value.ref, &op);
    return 1 + (op.end - op.off) / sizeof(uint64_t);
}

static bool
work(struct pw_scan *m, const struct pw_op *op, uint64_t steps)
{
    m->work += steps;
    return m->work <= m->limits.max_work + (uint64_t)m->frame.len * WORK_EACH ||
           pw_machine_stop(m, PW_R_LIMIT_WORK, op);
}

/* ---- collisions -----------------------------------------------------------------------
 *
 * A sketch counts hashes: honest ones spread evenly over its entries, and whoever makes
 * many keys with one hash fills one of them. An entry is 24 bits that tell the last value
 * apart, 24 bits of the scan it belongs to (so nothing needs clearing), and the count.
 */

static bool
make_sketch(struct pw_scan *m)
{
    if (m->sketch == NULL) {
        m->sketch = calloc((size_t)1 << SKETCH_BITS, sizeof *m->sketch);
    }
    if (m->sketch == NULL) {
        m->err = PW_E_NOMEM;
    }
    return m->sketch != NULL;
}

/* Count a hash. The same value twice in a row, told by `tell` (0: it is always new), counts
 * once: honest data repeats itself. */
static bool
count_hash(struct pw_scan *m, const struct pw_op *op, uint64_t hash, uint64_t tell)
{
    if (!make_sketch(m)) {
        return false;
    }
    uint64_t *entry = &m->sketch[hash * 0x9e3779b97f4a7c15u >> (64 - SKETCH_BITS)];
    uint64_t scan = m->sketch_scan;
    bool fresh = (*entry >> COUNT_BITS & scan_mask) != scan;
    uint64_t count = fresh ? 0 : *entry & count_mask;
    bool again = !fresh && tell != 0 && *entry >> TELL_SHIFT == tell >> TELL_SHIFT;
    count += again || count == count_mask ? 0 : 1;
    *entry = tell >> TELL_SHIFT << TELL_SHIFT | scan << COUNT_BITS | count;
    m->sketch_fed++;
    uint64_t most =
        m->limits.max_collisions + ((uint64_t)m->sketch_fed * SKETCH_SLACK >> SKETCH_BITS);
    return count <= most || pw_machine_stop(m, PW_R_LIMIT_COLLISIONS, op);
}

/* Integers below the modulus hash to themselves and cannot collide with each other. */
bool
pw_cost_int(struct pw_scan *m, const struct pw_op *op)
{
    bool text = op->code == PW_OP_INT || op->code == PW_OP_LONG;
    struct pw_span bytes = text ? op->line : pw_op_data(m->frame, op);
    if (bytes.len > m->limits.max_int_bytes) {
        return pw_machine_stop(m, PW_R_LIMIT_INT, op);
    }
    uint64_t hash = text ? pw_hash_digits(bytes) : pw_hash_long(bytes);
    return count_hash(m, op, hash, pw_hash_bytes(bytes) | (uint64_t)1 << TELL_SHIFT);
}

/* One value that is no constant is hashed by the container `owner`. */
static bool
hash_key(struct pw_scan *m, const struct pw_op *op, struct pw_value value, uint32_t owner)
{
    const struct object *object = &m->objects.at[value.ref];
    if (object->depth > m->limits.max_key_depth) {
        return pw_machine_stop(m, PW_R_LIMIT_KEY_DEPTH, op);
    }
    if (!work(m, op, object->size)) {
        return false;
    }
    bool made_of_items = value.kind == PW_V_TUPLE || value.kind == PW_V_FROZENSET;
    if (!made_of_items && pw_machine_hashed(m, value) == NULL) {
        return true;
    }
    uint64_t hash = pw_hash_value(m, value) ^ (uint64_t)owner << 32;
    return count_hash(m, op, hash, 0);
}

static bool
is_nan(const struct pw_scan *m, struct pw_value value)
{
    struct pw_op op = {0};
    (void)pw_decode(m->frame, value.ref, &op);
    static const uint64_t infinite = (uint64_t)0x7ff << 52;
    uint64_t magnitude = __builtin_bswap64(op.arg) & ~((uint64_t)1 << 63);
    return op.code == PW_OP_FLOAT ? op.line.len > 0 && memchr(op.line.ptr, 'n', op.line.len)
                                  : magnitude > infinite;
}

bool
pw_cost_keys(struct pw_scan *m, const struct pw_op *op, uint32_t first, uint32_t step,
             uint32_t owner)
{
    for (uint32_t i = first; i < m->stack.len; i += step) {
        struct pw_value value = m->stack.at[i];
        if (value.kind == PW_V_FLOAT && is_nan(m, value) && !count_hash(m, op, owner, 0)) {
            return false; /* up to Python 3.9 all of them hash to 0, and none is another */
        }
        if (i >= m->plain_from) {
            continue;
        }
        if (value.kind == PW_V_LONG && !work(m, op, pw_cost_long(m, value))) {
            return false;
        }
        if (value.kind >= PW_V_TUPLE && !hash_key(m, op, value, owner)) {
            return false;
        }
    }
    return true;
}

/* ---- calls ----------------------------------------------------------------------------
 */

static bool
is_hashable(struct pw_value value)
{
    return value.kind < PW_V_LIST || value.kind > PW_V_SET;
}

/*
 * The key of a pair, when it is one to look at: dict([(key, value), …]). Of a tuple it is
 * the first of what is in it; anything else of two, such as a dict, may be a pair as well,
 * and does not tell which of them comes first.
 */
static bool
hash_pair(struct pw_scan *m, const struct pw_op *op, struct pw_value pair, uint32_t owner)
{
    static const uint32_t other = 1u << 31; /* pairs and their keys count apart */
    struct pw_value key;
    struct pw_children items = pw_unfold_children(m, pair);
    bool tuple = pair.kind == PW_V_TUPLE;
    if (tuple && m->objects.at[pair.ref].count != 2) {
        return true;
    }
    for (uint32_t i = 0; i < (tuple ? 1 : 4) && pw_unfold_next(m, &items, &key); i++) {
        if (is_hashable(key) && !hash_key(m, op, key, owner | other)) {
            return false;
        }
    }
    return true;
}

/* A call may make a set or a dict of a list or tuple. */
static bool
hash_items(struct pw_scan *m, const struct pw_op *op, struct pw_value of)
{
    struct pw_value item;
    struct pw_children items = pw_unfold_children(m, of);
    while (pw_unfold_next(m, &items, &item)) {
        if ((is_hashable(item) && !hash_key(m, op, item, of.ref)) ||
            !hash_pair(m, op, item, of.ref)) {
            return false;
        }
    }
    return true;
}

/* Bytes of a constant, items of a container: what a call may copy of an argument. Long
 * integers may be divided, which is quadratic. */
static uint64_t
length_of(const struct pw_scan *m, struct pw_value value)
{
    struct pw_op op = {0};
    if (value.kind >= PW_V_TUPLE) {
        return value.kind == PW_V_INSTANCE ? 1 : m->objects.at[value.ref].count;
    }
    if (value.kind == PW_V_LONG) {
        uint64_t words = pw_cost_long(m, value);
        return words * words / 2;
    }
    if (value.kind < PW_V_STR || value.kind > PW_V_BYTEARRAY) {
        return 1;
    }
    if (value.decoded) {
        return m->texts.at[value.ref].len;
    }
    return pw_decode(m->frame, value.ref, &op) == PW_DECODE_OP ? op.end - op.off : 1;
}

/* What a set or dict is made of, each item is hashed; long integers count their words. */
static bool
call_looks_at(struct pw_scan *m, const struct pw_op *op, struct pw_value value)
{
    if (value.kind != PW_V_LIST && value.kind != PW_V_TUPLE) {
        return work(m, op, length_of(m, value));
    }
    return work(m, op, ITEM_WORK * (uint64_t)m->objects.at[value.ref].size) &&
           hash_items(m, op, value);
}

bool
pw_cost_call(struct pw_scan *m, const struct pw_op *op, struct pw_value args)
{
    if (args.kind != PW_V_TUPLE) {
        return true;
    }
    struct object tuple = m->objects.at[args.ref];
    if (!work(m, op, tuple.count)) {
        return false;
    }
    for (uint32_t i = 0; i < tuple.count; i++) {
        struct pw_value item = m->items.at[tuple.link + i];
        bool small = item.kind < PW_V_STR || (item.kind == PW_V_TUPLE && item.ref == 0);
        if (!small && !call_looks_at(m, op, item)) {
            return false;
        }
    }
    return true;
}

bool
pw_cost_state(struct pw_scan *m, const struct pw_op *op, struct pw_value state)
{
    if (!work(m, op, length_of(m, state))) {
        return false;
    }
    struct object tuple =
        state.kind == PW_V_TUPLE ? m->objects.at[state.ref] : (struct object){0};
    for (uint32_t i = 0; i < tuple.count; i++) {
        struct pw_value item = m->items.at[tuple.link + i];
        bool copied = item.kind >= PW_V_STR && item.kind != PW_V_LONG;
        if (copied && !work(m, op, length_of(m, item))) {
            return false;
        }
    }
    return true;
}
