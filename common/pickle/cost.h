/* SPDX-License-Identifier: Apache-2.0
 *
 * What the consumer would spend. A short stream can ask for much: values shared until a
 * walk over them never ends, keys that all hash alike, the same large argument over and
 * over. Each has a limit (limits.h) and a finding; counting costs us a few steps an opcode.
 * Internal to this folder.
 */
#ifndef PW_COMMON_PICKLE_COST_H
#define PW_COMMON_PICKLE_COST_H

#include "common/pickle/machine.h"

/* Start counting for a new frame. */
void pw_cost_reset(struct pw_scan *m);

/* An object takes memory at the consumer's. */
static inline void
pw_cost_object(struct pw_scan *m, enum pw_value_kind kind)
{
    /* sys.getsizeof of the empty ones; EMPTY_SET is the most for one byte of a stream. */
    static const uint8_t bytes[PW_V_COUNT] = {
        [PW_V_TUPLE] = 48, [PW_V_LIST] = 80,       [PW_V_DICT] = 80,
        [PW_V_SET] = 235,  [PW_V_FROZENSET] = 235, [PW_V_INSTANCE] = 120,
    };
    m->heap += bytes[kind];
}

/* False, with LIMIT_HEAP, when all of it is too much. */
bool pw_cost_heap(struct pw_scan *m, const struct pw_op *op);

/* Words of a LONG: what hashing it costs. */
uint64_t pw_cost_long(const struct pw_scan *m, struct pw_value value);

/* `values` with all that is in them, to be added up; constants count one. */
static inline void
pw_cost_add(const struct pw_scan *m, struct pw_value value, struct nested *sum)
{
    if (value.kind < PW_V_TUPLE) {
        sum->size += value.kind == PW_V_LONG ? pw_cost_long(m, value) : 1;
        return;
    }
    const struct object *object = &m->objects.at[value.ref];
    sum->depth = object->depth > sum->depth ? object->depth : sum->depth;
    sum->size += object->size;
}

/*
 * `sum` goes into `object`. False with LIMIT_DEPTH. What unfolds too far is added up once
 * more at the end (unfold.h): walks end at cycles, sums on the way do not.
 */
bool pw_cost_nest(struct pw_scan *m, const struct pw_op *op, struct object *object,
                  struct nested sum);

/* Bytes and digits of the least integer that hashes to another number than itself. */
enum { PW_LONG_BYTES = 8, PW_LONG_DIGITS = 19 };

/* Whether an object unfolds too far. */
bool pw_cost_is_large(const struct pw_scan *m, const struct object *object);

/* An integer that is long: it may collide with others as a key, wherever it goes. */
bool pw_cost_int(struct pw_scan *m, const struct pw_op *op);

/*
 * Every `step`th value of the stack from `first` on is hashed, as a key of the container
 * numbered `owner`. False with LIMIT_KEY_DEPTH, LIMIT_WORK or LIMIT_COLLISIONS, or with err
 * latched.
 */
bool pw_cost_keys(struct pw_scan *m, const struct pw_op *op, uint32_t first, uint32_t step,
                  uint32_t owner);

/* A call looks at its arguments, and may hash what is in a list or tuple among them. */
bool pw_cost_call(struct pw_scan *m, const struct pw_op *op, struct pw_value args);

/* BUILD copies its state, and what is in one that is a tuple: the data of an array. */
bool pw_cost_state(struct pw_scan *m, const struct pw_op *op, struct pw_value state);

#endif
