/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines that are missing between those that were read: `seq` counts without a gap within a
 * chain (of older logs: within a process).
 */
#ifndef PW_PROXY_CLI_AUDIT_GAPS_H
#define PW_PROXY_CLI_AUDIT_GAPS_H

#include "proxy/cli/logged.h"

enum { PW_AUDIT_CHAINS = 16 }; /* that are remembered at a time */

/* Zero-initialise. */
struct pw_audit_gaps {
    struct {
        uint64_t chain; /* a hash of its name; 0: free */
        uint64_t seq;   /* the highest so far */
    } seen[PW_AUDIT_CHAINS];
    size_t next;
    uint64_t missing; /* in all */
};

/* How many lines are missing just before this one. */
uint64_t pw_audit_gaps_take(struct pw_audit_gaps *gaps, const struct pw_logged *line);

#endif
