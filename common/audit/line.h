/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines, quickly: what is the same for every line of a channel is rendered once (a form),
 * and the second of the time stamp once a second.
 */
#ifndef PW_COMMON_AUDIT_LINE_H
#define PW_COMMON_AUDIT_LINE_H

#include "common/audit/note.h"
#include "common/audit/record.h"
#include "common/audit/tree.h"
#include "common/base/clock.h"

enum { PW_AUDIT_LINE_MAX = 8192, PW_AUDIT_FORM_MAX = 5632 };

/* Members from "inst" to "out", with a leading comma. Zero-initialise, free with the bytes.
 */
struct pw_audit_form {
    struct pw_buf bytes;
};

/* Render a form anew. On PW_E_NOMEM it is empty. */
PW_CHECK_RESULT enum pw_err pw_audit_form_make(struct pw_audit_form *form,
                                               const struct pw_audit_identity *identity,
                                               const struct pw_audit_names *names);

/* The time stamp of the line before. Zero-initialise; good for one thread. */
struct pw_audit_stamp {
    uint64_t second;
    char text[PW_CLOCK_TEXT];
};

/* Passes that became a summary. */
struct pw_audit_sum {
    uint64_t messages;
    uint64_t bytes;
    uint64_t since_ns; /* wall time of the first */
};

/* What links a line to those before it (chain.h). */
struct pw_audit_link {
    const char *chain;          /* its id: nothing in it needs an escape */
    const char *prev;           /* 64 hexadecimal digits */
    const struct pw_tree *tree; /* over the lines before; START and ROTATE tell it */

    /* CHECKPOINT: escape the note that seals the tree and binds `before`, the bytes of the
     * line before it, into `out`; the length. */
    size_t (*seal)(void *arg, struct pw_span before, char out[static PW_NOTE_JSON]);
    void *arg;
};

/* What the writer adds to a record. */
struct pw_audit_extra {
    uint64_t seq;
    const char *id;          /* ULID text */
    uint64_t lost;           /* records given up since the line before */
    struct pw_audit_sum sum; /* SUMMARY only */
    struct pw_audit_link link;
};

/*
 * Append the line of `record` to `out`. Allocates nothing when `out` has room for
 * PW_AUDIT_LINE_MAX bytes; PW_E_NOMEM and PW_E_LIMIT leave it as it was.
 */
PW_CHECK_RESULT enum pw_err pw_audit_form_line(const struct pw_audit_form *form,
                                               struct pw_audit_stamp *stamp,
                                               const struct pw_audit_record *record,
                                               const struct pw_audit_extra *extra,
                                               struct pw_buf *out);

/*
 * Append the members that the `frame` line of this record has of itself: "ts", then from
 * "chan" to "dur_us", without braces. For whoever keeps what the line says. PW_E_NOMEM and
 * PW_E_LIMIT leave `out` as it was.
 */
PW_CHECK_RESULT enum pw_err pw_audit_members(const struct pw_audit_record *record,
                                             const struct pw_audit_names *names,
                                             struct pw_buf *out);

#endif
