/* SPDX-License-Identifier: Apache-2.0
 *
 * A line of the log, read back as far as the chain is concerned. Only the places where our
 * writer puts things are looked at; what else a line holds is covered by its hash.
 */
#ifndef PW_COMMON_AUDIT_LINE_READ_H
#define PW_COMMON_AUDIT_LINE_READ_H

#include "common/audit/note.h"
#include "common/audit/tree.h"

/* Spans are borrowed from the line. */
struct pw_line_read {
    struct pw_span event;
    uint64_t seq;
    struct pw_span chain;
    uint8_t prev[PW_TREE_HASH];

    struct pw_span
        before;          /* `start`: the chain that this one could not continue; or empty */
    uint64_t before_seq; /* its last line */
    bool torn;           /* `start`: it tells of a line that a crash cut short */
    uint64_t torn_bytes;
    uint8_t torn_sha256[PW_TREE_HASH];

    bool has_tree; /* `start` and `rotate`: over the lines before */
    struct pw_tree tree;

    bool sealed;   /* it is a `checkpoint`; the rest is empty when it has no such form */
    uint64_t size; /* of the checkpoint */
    struct pw_span note; /* as it stands in the line, with its escapes */
    struct pw_span head; /* the line up to the note */
};

/* Read `line`, without its LF. False when it is no line of a chain. */
PW_CHECK_RESULT bool pw_line_read(struct pw_span line, struct pw_line_read *out);

bool pw_line_is(const struct pw_line_read *line, const char *event);

#endif
