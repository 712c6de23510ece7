/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts of an audit log as tables for a person, or as one JSON object.
 */
#ifndef PW_PROXY_CLI_AUDIT_REPORT_H
#define PW_PROXY_CLI_AUDIT_REPORT_H

#include <stdio.h>

#include "proxy/cli/audit_counts.h"

enum { PW_SHEET_ROWS = 1000 }; /* of a table, at the most */

struct pw_sheet {
    size_t width; /* columns; 0: any */
    bool colours;
    const char *line_end; /* "\n", or what clears the rest of a terminal's line before */
    /* Messages a second of each row of PW_BY_CHANNEL, by its index; NULL: no such column.
     */
    const double *rates;
};

/* "1,234 messages from … to …, and how they ended": two lines. */
void pw_sheet_head(const struct pw_sheet *report, const struct pw_counts *counts,
                   uint64_t unreadable, uint64_t missing, FILE *out);

/* A table: a line of heads and up to `rows` lines. Returns the lines printed. */
size_t pw_sheet_table(const struct pw_sheet *report, const struct pw_counts *counts,
                      enum pw_count_by by, size_t rows, FILE *out);

/* The kind that `word` names ("channel"), PW_BYS when none. */
enum pw_count_by pw_sheet_by(const char *word);

/* All of it, or with `by` below PW_BYS that table alone, as a JSON object and LF. */
PW_CHECK_RESULT enum pw_err pw_sheet_json(const struct pw_counts *counts,
                                          enum pw_count_by by, uint64_t unreadable,
                                          uint64_t missing, FILE *out);

#endif
