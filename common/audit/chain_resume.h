/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a chain goes on at the start of the wall: its state file says how it was at the
 * newest checkpoint, the log what came after.
 */
#ifndef PW_COMMON_AUDIT_CHAIN_RESUME_H
#define PW_COMMON_AUDIT_CHAIN_RESUME_H

#include "common/audit/follow.h"

enum pw_chain_what {
    PW_CHAIN_NEW,       /* there was none */
    PW_CHAIN_CONTINUED, /* after a stop: at its last line */
    PW_CHAIN_RECOVERED, /* after a crash: behind the lines that the log has since */
    PW_CHAIN_BROKEN,    /* it cannot be continued: a new one begins */
};

struct pw_chain_resume {
    enum pw_chain_what what;
    bool torn;               /* the log ends in, or holds, what is no line */
    bool blank;              /* NEW: neither a state nor a line of a log to be read */
    struct pw_follow follow; /* CONTINUED and RECOVERED: the chain as it stands */
    uint64_t torn_bytes;
    uint64_t before_seq;
    uint64_t begins_seq;
    uint8_t torn_sha256[PW_TREE_HASH];
    char before[PW_CHAIN_ID]; /* BROKEN: the newest chain of the log, or of the state */
    char begins[PW_CHAIN_ID]; /* BROKEN: as in pw_chain_state */
    struct pw_why
        alarm; /* what is missing; empty when nothing is, as far as one can tell */
};

/*
 * Read the state file and the log, both of which may be absent. `keys` are those that may
 * have signed. An error, with a sentence, only for what cannot be read or for want of
 * memory.
 */
PW_CHECK_RESULT enum pw_err pw_chain_resume(const char *state_path, const char *log,
                                            const struct pw_note_key *keys,
                                            size_t key_count, struct pw_chain_resume *out,
                                            struct pw_why *why);

/* "chain":{"what":…} as it stands in the detail of `start`. */
void pw_chain_resume_format(const struct pw_chain_resume *resume, struct pw_buf *out);

#endif
