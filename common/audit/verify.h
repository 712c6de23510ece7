/* SPDX-License-Identifier: Apache-2.0
 *
 * Verifying a log: every line, every checkpoint, and what is known from elsewhere of how
 * far it goes. In constant memory, but for the list of chains; the other lists have caps.
 */
#ifndef PW_COMMON_AUDIT_VERIFY_H
#define PW_COMMON_AUDIT_VERIFY_H

#include "common/audit/follow.h"
#include "common/base/buf.h"

/* A checkpoint that was kept elsewhere: the newest of its chain. */
struct pw_verify_point {
    char chain[PW_CHAIN_ID];
    uint64_t size;
    uint8_t root[PW_TREE_HASH];
    bool seen; /* the log goes so far */
};

struct pw_verify_points {
    struct pw_verify_point *list;
    size_t count;
    size_t skipped; /* what is no whole note of one of the keys, and does not count */
};

/*
 * Add the notes of `text` (a mirror, or a single note). What was cut short by a full disk,
 * or is not signed by one of `keys`, is passed over and counted. PW_E_FORMAT with a
 * sentence, without the file's name, when no note is left; PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_verify_points_add(struct pw_verify_points *points,
                                                 struct pw_span text,
                                                 const struct pw_note_key *keys,
                                                 size_t key_count, struct pw_why *why);
void pw_verify_points_free(struct pw_verify_points *points);

enum pw_verify_verdict {
    PW_VERIFY_BROKEN, /* something is wrong */
    PW_VERIFY_OPEN,   /* what is there holds; it does not show that it is all */
    PW_VERIFY_COMPLETE,
};

enum { PW_VERIFY_FAULTS = 64, PW_VERIFY_MISSING = 64 };

struct pw_verify_chain {
    char id[PW_CHAIN_ID];
    uint64_t first; /* seq */
    uint64_t last;
    uint64_t sealed; /* lines up to this seq are verified */
    uint64_t seals;
    uint64_t unsealed; /* lines behind them */
    bool closed;
    struct pw_place begin;
    struct pw_place end;
    char before[PW_CHAIN_ID]; /* the chain that its start names, or empty */
    uint64_t before_seq;
};

/* A chain that a start or a checkpoint tells of, and of which no file has a line. */
struct pw_verify_missing {
    char id[PW_CHAIN_ID];
    uint64_t seq; /* it has so many lines, at least */
};

struct pw_verify_options {
    const struct pw_note_key *keys; /* borrowed, all three */
    size_t key_count;
    const struct pw_chain_state *state; /* NULL: not known */
    bool whole; /* all files are given: with `state`, the beginning must be there, too */
    struct pw_verify_points *points; /* NULL: none; `seen` is set */
};

struct pw_verify {
    struct pw_verify_options options;
    struct pw_follow follow;
    struct pw_verify_point *point; /* of the chain that is followed, or NULL */
    char spliced[PW_CHAIN_ID];     /* the chain that was refused last */
    bool state_seen;
    bool beyond_said;

    /* The last bytes of a file, when no LF is behind them. */
    uint8_t *rest; /* PW_LINES_ROOM bytes */
    size_t rest_len;
    struct pw_place rest_at;

    uint64_t lines;
    size_t files;
    bool unfinished; /* the last line has no end */
    struct pw_found faults[PW_VERIFY_FAULTS];
    uint64_t fault_count; /* also of those that did not fit */
    struct pw_verify_chain *chains;
    size_t chain_count;
    size_t chain_room;
    uint64_t open_chains; /* that do not begin at 1, or are not closed */
    struct pw_verify_missing missing[PW_VERIFY_MISSING];
    size_t missing_count; /* also of those that did not fit */
    enum pw_verify_verdict verdict;
};

/* NULL when out of memory. */
struct pw_verify *pw_verify_new(const struct pw_verify_options *options);
void pw_verify_free(struct pw_verify **verify);

/* The next file, from where `fd` stands. PW_E_IO leaves errno; PW_E_NOMEM. */
PW_CHECK_RESULT enum pw_err pw_verify_file(struct pw_verify *verify, int fd);

/* There are no more: the verdict, and what else can be said now, are in the struct. */
void pw_verify_end(struct pw_verify *verify);

#endif
