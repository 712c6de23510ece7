/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/limits.h"

const struct pw_limits pw_limits_default = {
    .max_bytes = 64u << 20,
    .max_ops = 32u << 20,
    .max_stack = 1u << 20,
    .max_depth = 1000,
    .max_memo = 8u << 20,
    .max_ratio = 200,
};
