/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of the audit log as one line for a person, in as many columns as there are.
 */
#ifndef PW_PROXY_CLI_AUDIT_RENDER_H
#define PW_PROXY_CLI_AUDIT_RENDER_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "common/base/cursor.h"

/* Zero-initialise. */
struct pw_audit_view {
    size_t width; /* columns; 0: as wide as it gets */
    bool colours;

    size_t chan_width; /* of the longest channel so far */
    char day[11];      /* of the line before, when lines have no room for theirs */
};

/* Print the event with its LF. Nothing of it reaches `out` that is not printable ASCII. */
void pw_audit_render(struct pw_audit_view *view, const json_t *event, FILE *out);

/* A line of this channel will be printed: let its column be wide enough from the start. */
void pw_audit_view_expect(struct pw_audit_view *view, struct pw_span channel);

/* The same for what is no audit line: how it begins. */
void pw_audit_render_unreadable(struct pw_span line, FILE *out);

#endif
