/* SPDX-License-Identifier: Apache-2.0
 *
 * With which line of which chain a log file begins: where it belongs among others.
 */
#ifndef PW_COMMON_AUDIT_FIRST_H
#define PW_COMMON_AUDIT_FIRST_H

#include "common/audit/chain_state.h"

struct pw_first {
    char chain[PW_CHAIN_ID]; /* "" when there is no such line, or it cannot be read */
    uint64_t seq;
};

/* The first line of a chain that the file at `path` has. */
struct pw_first pw_first_of(const char *path);

#endif
