/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_gaps.h"

/* FNV-1a. */
static uint64_t
add_hash(uint64_t hash, struct pw_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ text.ptr[i]) * 0x100000001b3;
    }
    return hash;
}

static uint64_t
chain_of(const struct pw_logged *line)
{
    uint64_t hash = add_hash(0xcbf29ce484222325, line->chain);
    if (line->chain.len == 0) {
        hash = add_hash(hash, line->inst) + line->pid;
    }
    return hash != 0 ? hash : 1;
}

uint64_t
pw_audit_gaps_take(struct pw_audit_gaps *gaps, const struct pw_logged *line)
{
    if (line->seq == 0) {
        return 0;
    }
    uint64_t chain = chain_of(line);
    for (size_t i = 0; i < PW_AUDIT_CHAINS; i++) {
        if (gaps->seen[i].chain != chain) {
            continue;
        }
        uint64_t before = gaps->seen[i].seq;
        uint64_t missing = line->seq > before ? line->seq - before - 1 : 0;
        gaps->seen[i].seq = line->seq;
        gaps->missing += missing;
        return missing;
    }
    gaps->seen[gaps->next].chain = chain;
    gaps->seen[gaps->next].seq = line->seq;
    gaps->next = (gaps->next + 1) % PW_AUDIT_CHAINS;
    return 0;
}
