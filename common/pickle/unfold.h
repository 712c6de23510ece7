/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a value unfolds when somebody walks over it. Sizes and depths are added up as
 * containers are filled (cost.h), which is exact as long as each is full before it goes
 * into another. Recursive data is not like that, and hostile data need not be: then all is
 * added up once more at the end. Internal to this folder.
 */
#ifndef PW_COMMON_PICKLE_UNFOLD_H
#define PW_COMMON_PICKLE_UNFOLD_H

#include "common/pickle/machine.h"

/*
 * Note the containers among the values of the stack from `first` on: they go into `into`.
 * False: err is latched.
 */
bool pw_unfold_note(struct pw_scan *m, struct pw_value into, uint32_t first);

/* The same for one container after the other: *run is 0 before the first. */
bool pw_unfold_note_next(struct pw_scan *m, struct pw_value into, struct pw_value value,
                         uint32_t *run);

/* The same for one value. */
bool pw_unfold_note_one(struct pw_scan *m, struct pw_value into, struct pw_value value);

/*
 * The same for the state of an instance. Printing, comparing and hashing an object does not
 * walk over its attributes unless its class says so: graphs of objects are honest, and a
 * state counts one.
 */
bool pw_unfold_note_state(struct pw_scan *m, struct pw_value into, struct pw_value state);

/* The containers that were noted for `of`, one after the other. */
struct pw_children pw_unfold_children(const struct pw_scan *m, struct pw_value of);

/* The next one of kind TUPLE and up; false at the end. */
bool pw_unfold_next(const struct pw_scan *m, struct pw_children *children,
                    struct pw_value *child);

/*
 * The size or depth of `value`, a container or an instance, may be wrong: it was filled
 * after it went into another, or looks too large. It is added up once more at the end, also
 * when the result does not hold it: it was printed on the way, perhaps, and is torn down.
 * False: err is latched.
 */
bool pw_unfold_root(struct pw_scan *m, struct pw_value value);

/* Add up `result` once more, if that is necessary, and all roots. False with LIMIT_UNFOLD
 * or LIMIT_DEPTH, or with err latched. */
bool pw_unfold_result(struct pw_scan *m, const struct pw_op *op, struct pw_value result);

#endif
