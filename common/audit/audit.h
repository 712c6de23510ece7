/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit log: one JSON line a message or event, written by a thread of its own behind a
 * bounded queue. README.md in this folder holds the schema and the guarantees.
 *
 *   - a line that is not a pass is never lost: its producer waits for room
 *   - pass lines become one `summary` a second and channel when the queue is over three
 *     quarters full; the summary counts them, so nothing goes uncounted
 *   - when the file cannot be written, the writer keeps what it has, retries, and the queue
 *     fills: producers wait, and so, through ZeroMQ's high-water marks, do theirs
 */
#ifndef PW_COMMON_AUDIT_AUDIT_H
#define PW_COMMON_AUDIT_AUDIT_H

#include <stdbool.h>

#include "common/audit/record.h"
#include "common/base/err.h"

struct pw_audit;

struct pw_audit_options {
    const char *path;     /* file, opened O_APPEND 0640; "-" is stdout */
    const char *instance; /* `inst` of each line, such as the host's name */
    size_t queue_records; /* room of the queue; 0 means 65,536 */
    bool pass_each;       /* false: passes only in summaries */
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
 * Hand over `count` records, in order, with one lock for all. Takes over each record's
 * `detail`, whatever the result. Waits for room when a record is not a pass. PW_E_STOPPED
 * when pw_audit_abort was called while waiting: what was not taken is counted as lost.
 */
PW_CHECK_RESULT enum pw_err pw_audit_push(struct pw_audit *audit,
                                          struct pw_audit_record *records, size_t count);

/*
 * Whether the log takes records without delay: false while it cannot be written or the
 * queue is full. A relay stops receiving while this is false.
 */
bool pw_audit_ready(struct pw_audit *audit);

/* Open the path again before the next line (after rotation). Safe from any thread. */
void pw_audit_reopen(struct pw_audit *audit);

/* Stop waiting for a log that cannot be written: pushes that wait return PW_E_STOPPED. */
void pw_audit_abort(struct pw_audit *audit);

/* Records written, and records given up (only ever by abort). */
struct pw_audit_counts {
    uint64_t written;    /* lines */
    uint64_t summarised; /* pass records counted in summaries instead of lines */
    uint64_t lost;
    uint64_t errors; /* failed writes */
};
struct pw_audit_counts pw_audit_counts(struct pw_audit *audit);

/* Write what is queued (unless aborted), fdatasync, stop the thread, release. */
void pw_audit_close(struct pw_audit **audit);

#endif
