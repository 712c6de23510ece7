/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/limits.h"

const struct pw_limits pw_limits_default = {
    .max_bytes = 64u << 20,
    .max_ops = 32u << 20,
    .max_stack = 1u << 20,
    .max_depth = 1000,
    .max_memo = 8u << 20,
    .max_ratio = 200,
    .max_unfold = 1000 * 1000,
    .max_work = 250 * 1000,
    .max_key_depth = 500,
    .max_collisions = 64,
    .max_int_bytes = 64 << 10,
    .max_heap = (uint64_t)4 << 30,
};
