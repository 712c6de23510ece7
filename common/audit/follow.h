/* SPDX-License-Identifier: Apache-2.0
 *
 * Following a chain line by line, and what is wrong with the line that does not fit. Both
 * the wall, which continues its log, and `audit verify` read it this way.
 */
#ifndef PW_COMMON_AUDIT_FOLLOW_H
#define PW_COMMON_AUDIT_FOLLOW_H

#include "common/audit/chain_state.h"
#include "common/audit/line_read.h"

enum pw_chain_fault {
    PW_CHAIN_FAULT_NONE,
#define PW_CHAIN_FAULT(name, code, words, remedy) PW_CHAIN_FAULT_##name,
#include "common/audit/fault.def"
#undef PW_CHAIN_FAULT
    PW_CHAIN_FAULTS
};

/* "line.changed"; what it means, and what to do, as two sentences. */
const char *pw_chain_fault_code(enum pw_chain_fault fault);
const char *pw_chain_fault_words(enum pw_chain_fault fault);
const char *pw_chain_fault_remedy(enum pw_chain_fault fault);

/* Where a line stands. */
struct pw_place {
    size_t file; /* the caller's number */
    uint64_t line;
};

struct pw_found {
    enum pw_chain_fault fault;
    struct pw_place at;
    uint64_t seq; /* the first that is concerned; 0: none */
    uint64_t last;
};

struct pw_follow {
    const struct pw_note_key *keys; /* borrowed */
    size_t key_count;

    /* The chain, after its newest line. Without `knows_tree`, the tree has only its size.
     */
    struct pw_chain_state at;
    bool begun;
    bool knows_tree;
    uint64_t first;    /* seq of the first line that was seen */
    bool first_told;   /* it needs no torn line before it, or there was one */
    uint64_t sealed;   /* size of the newest checkpoint that holds, or first - 1 */
    uint64_t seals;    /* checkpoints that hold */
    uint64_t untested; /* checkpoints that came before the tree was known */
    bool ends_in_seal; /* the newest line is a checkpoint that holds, */
    bool ends_in_stop; /* and the one before it is a `stop` */
    bool gap_said;
    struct pw_place where;

    bool torn; /* something that is no line; a later `start` may tell of it */
    struct pw_place torn_at;
    uint64_t torn_bytes;
    uint8_t torn_sha256[PW_TREE_HASH];
    uint64_t mended; /* such that a `start` told of */
};

/* Begin a chain where `state` ends. */
void pw_follow_from(struct pw_follow *follow, const struct pw_chain_state *state);

/* The line belongs to the chain that is followed. */
bool pw_follow_has(const struct pw_follow *follow, const struct pw_line_read *line);

/*
 * Begin another chain with this line. It is told by its tree when it is not its first; the
 * line itself is then given to pw_follow_line. `mended` is what pw_follow_mend said of the
 * line, in the chain before. What a line in the middle of a chain tells of may stand in a
 * file that is not given, so it is believed.
 */
void pw_follow_begin(struct pw_follow *follow, const struct pw_line_read *line,
                     bool mended);

/*
 * The next line of the chain; `text` is without its LF. What does not fit goes to `found`;
 * then it goes on with this line, or, when that stands behind where the chain is already,
 * without it.
 */
void pw_follow_line(struct pw_follow *follow, struct pw_span text,
                    const struct pw_line_read *line, struct pw_place place,
                    struct pw_found *found);

/* Bytes that are no line. When there were such before: in `found`. */
void pw_follow_torn(struct pw_follow *follow, struct pw_span text, struct pw_place place,
                    struct pw_found *found);

/*
 * A `start` that may tell of what is no line: of the next chain, too. False when it tells
 * of something that is not there.
 */
bool pw_follow_mend(struct pw_follow *follow, const struct pw_line_read *line);

/* No more lines: what is left to be said, in `found`. */
void pw_follow_end(struct pw_follow *follow, struct pw_found *found);

/* The newest line is the seal of a log that was closed by a stop. */
bool pw_follow_is_closed(const struct pw_follow *follow);

/* Lines behind what the newest checkpoint seals; none when it is the newest line. */
uint64_t pw_follow_unsealed(const struct pw_follow *follow);

#endif
