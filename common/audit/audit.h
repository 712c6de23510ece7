/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit log: one JSON line a message or event, written by a thread of its own behind a
 * bounded queue. README.md in this folder holds the schema and the guarantees.
 *
 *   - a line that is not a pass is never lost: its producer waits for room
 *   - pass lines become one `summary` a second and channel when the queue is over three
 *     quarters full; the summary counts them, so nothing goes uncounted
 *   - when the file cannot be written, the writer keeps what it has, retries, and the queue
 *     fills: producers wait, and so, through ZeroMQ's high-water marks, do theirs; unless
 *     `degrade` says that messages go on, counted
 */
#ifndef PW_COMMON_AUDIT_AUDIT_H
#define PW_COMMON_AUDIT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/audit/record.h"
#include "common/base/cursor.h"
#include "common/base/err.h"

struct pw_audit;

/* One line on its way to somebody besides the file. */
struct pw_audit_copy {
    struct pw_span line; /* without its LF */
    const struct pw_audit_record *record;
    const char *chan; /* "" when no channel is concerned */
};

/*
 * Somebody who gets copies. `send` runs in the writer's thread and must not wait: false
 * when the line could not be delivered, which is counted. It gets a line when it is made,
 * which may be a write before the file has it, and gets it once.
 */
struct pw_audit_target {
    const char *name; /* of its setting behind "audit."; not copied */
    bool every;       /* false: no clean passes and no summaries */
    bool (*send)(void *arg, const struct pw_audit_copy *copy);
    void *arg; /* borrowed, until the log is closed */
};

enum { PW_AUDIT_TARGETS = 4 };

struct pw_audit_options {
    const char *path;     /* file, opened O_APPEND 0640; "-" is stdout */
    const char *instance; /* `inst` of each line, such as the host's name */
    size_t queue_records; /* room of the queue; 0 means 65,536 */
    bool pass_each;       /* false: passes only in summaries */
    bool sync_each;       /* refusals are on the disk when pw_audit_push returns */
    bool degrade;         /* messages go on when the log cannot be written */
    uint64_t rotate_size; /* bytes of a file; 0: any */
    uint64_t rotate_age_ns;
    size_t rotate_keep; /* old files; 0: all */
    int64_t space_low;  /* as in pw_space_look */
    int64_t space_critical;
    const char *state;  /* folder of the chain's key and state; NULL: nothing is signed */
    const char *key;    /* key file; NULL: audit.pwkey in `state` */
    const char *mirror; /* checkpoints are appended here too; "-" is stdout; or NULL */
    const struct pw_audit_target *targets;
    size_t target_count; /* at most PW_AUDIT_TARGETS */
};

/* Open the log and start its thread. NULL with a sentence in `why`. Strings are copied. */
struct pw_audit *pw_audit_open(const struct pw_audit_options *options, struct pw_why *why);

/*
 * Name a channel once, before its first record; `chan`, `in` and `out` are copied. Returns
 * the number for pw_audit_record.channel, or -1 when out of memory.
 */
int pw_audit_channel(struct pw_audit *audit, const char *chan, const char *in,
                     const char *out);

/*
 * How the chain of lines began (chain.h): a JSON member for the detail of the `start`
 * event, and the sentence of an `error` event when something is missing, else NULL.
 */
const char *pw_audit_chain_news(const struct pw_audit *audit);
const char *pw_audit_chain_alarm(const struct pw_audit *audit);

/*
 * Hand over `count` records, in order, with one lock for all. Takes over each record's
 * `detail`, whatever the result. Waits for room when a record is of a channel and not a
 * pass; with sync_each also until the disk has each such record. Never waits for an event
 * of the process (channel -1): these have a reserve of 256 records behind a full queue.
 * PW_E_STOPPED when there is no waiting: after pw_audit_abort, with `degrade` while the
 * log is in trouble, or for an event that the reserve has no room for. What was not taken
 * is counted as lost.
 */
PW_CHECK_RESULT enum pw_err pw_audit_push(struct pw_audit *audit,
                                          struct pw_audit_record *records, size_t count);

/*
 * Wait until every record that was handed over before is in the file, but not beyond
 * `until` (steady clock): a process that is killed then has not lost it. PW_E_BUSY when the
 * time is up, PW_E_STOPPED after pw_audit_abort.
 */
PW_CHECK_RESULT enum pw_err pw_audit_flush(struct pw_audit *audit, uint64_t until);

/*
 * Whether messages may be received: false while the log cannot be written, a write hangs,
 * the disk has less than space_critical left, or the queue is full; with `degrade` only
 * while the queue is full of what a working disk is slow to take.
 */
bool pw_audit_ready(struct pw_audit *audit);

/* Open the path again before the next line (after rotation). Safe from any thread. */
void pw_audit_reopen(struct pw_audit *audit);

/*
 * Move the file away before the next line, as when it is too large. Safe from any thread;
 * counts.rotate_orders says when it was tried, counts.rotations whether it moved.
 */
void pw_audit_rotate(struct pw_audit *audit);

/*
 * Go by these from now on, the file from the next round of the writer: pass_each,
 * sync_each, rotate_…, space_…; the other members are not looked at. Safe from any thread.
 */
void pw_audit_change(struct pw_audit *audit, const struct pw_audit_options *options);

/* Stop waiting for a log that cannot be written: pushes that wait return PW_E_STOPPED. */
void pw_audit_abort(struct pw_audit *audit);

struct pw_audit_counts {
    uint64_t written;    /* lines */
    uint64_t summarised; /* pass records counted in summaries instead of lines */
    uint64_t lost;       /* records given up: by abort, with `degrade`, past the reserve */
    uint64_t errors;     /* failed writes and syncs */
    uint64_t chain_size; /* number of the newest line, over all starts of the log */
    uint64_t reopens;    /* orders of pw_audit_reopen that were carried out */
    uint64_t rotate_orders;            /* of pw_audit_rotate that were carried out */
    uint64_t rotations;                /* files that were moved away, for whatever cause */
    int trouble;                       /* errno, while the log cannot be written; or 0 */
    bool scarce;                       /* less room on the disk than space_critical */
    uint64_t missed[PW_AUDIT_TARGETS]; /* lines that a target could not take */
};
struct pw_audit_counts pw_audit_counts(struct pw_audit *audit);

/*
 * Write what is queued, fdatasync, stop the thread, release. A log that cannot be written
 * is given up after pw_audit_abort, or 5 seconds.
 */
void pw_audit_close(struct pw_audit **audit);

#endif
