/* SPDX-License-Identifier: Apache-2.0
 *
 * How a policy is held in memory. Internal to this folder.
 */
#ifndef PW_COMMON_POLICY_ENTRY_H
#define PW_COMMON_POLICY_ENTRY_H

#include "common/policy/policy.h"
#include "common/policy/shape.h"

/* call(…), new(…), build(…), or call(…)+build(…) and new(…)+build(…). */
struct pw_form {
    enum pw_use use;
    struct pw_shape shape;
    bool tied;             /* `state` is there: */
    struct pw_shape state; /* what may be set right upon what this call made */
};

/* What one `allow` line says of its name. */
struct pw_entry_line {
    char *text;    /* the uses as written; owned */
    uint32_t uses; /* bit 1 << enum pw_use */
    uint32_t bare; /* those without a shape: any arguments, any state */
    size_t count;
    struct pw_form *forms; /* owned */
};

struct pw_entry {
    char *mod; /* owned; NULL: an empty slot */
    char *name;
    uint32_t uses; /* of all lines */
    size_t count;
    struct pw_entry_line *lines; /* owned */
};

/* A hash table with open addressing; a power of two, at most half full. */
struct pw_policy {
    char *name;
    struct pw_limits limits;
    bool doors[PW_DOOR_COUNT];
    size_t size;
    size_t slots;
    struct pw_entry *table;
};

/* The entry of this exact pair, or NULL. */
const struct pw_entry *pw_policy_entry(const struct pw_policy *policy, struct pw_span mod,
                                       struct pw_span name);

#endif
