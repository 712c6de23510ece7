/* SPDX-License-Identifier: Apache-2.0
 *
 * How much one frame may ask of its consumer (and of us). Each has a finding of its own.
 */
#ifndef PW_COMMON_PICKLE_LIMITS_H
#define PW_COMMON_PICKLE_LIMITS_H

#include <stdint.h>

struct pw_limits {
    uint64_t max_bytes; /* of the frame, and of what a layer unfolds to */
    uint32_t max_ops;   /* opcodes executed */
    uint32_t max_stack; /* values on the stack at once, marks included */
    uint32_t max_depth; /* containers inside containers */
    uint32_t max_memo;  /* memo entries */
    uint32_t max_ratio; /* unfolded bytes per compressed byte */

    /* What the consumer would spend; cost.c counts it. */
    uint32_t max_unfold;     /* values that a walk meets, beyond 100 for each opcode */
    uint32_t max_work;       /* steps of hashing and calls, beyond 16 for each byte */
    uint32_t max_key_depth;  /* containers inside a value that is hashed */
    uint32_t max_collisions; /* keys with one hash in one container */
    uint32_t max_int_bytes;  /* of one integer */
    uint64_t max_heap;       /* bytes of memory, estimated */
};

/* The defaults of a policy that sets none. */
extern const struct pw_limits pw_limits_default;

/* The largest frame the scanner can address. */
#define PW_BYTES_CEILING ((uint64_t)UINT32_MAX)

#endif
