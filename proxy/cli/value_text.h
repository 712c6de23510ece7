/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments and values of a pickle as short plain text: ASCII without control characters,
 * whatever the stream holds.
 */
#ifndef PW_PROXY_CLI_VALUE_TEXT_H
#define PW_PROXY_CLI_VALUE_TEXT_H

#include "common/base/cursor.h"
#include "common/base/def.h"
#include "common/pickle/decode.h"
#include "common/pickle/report.h"

/* A text that stops growing when it is full. Zero-initialise. */
struct pw_short {
    size_t len;
    char text[1024]; /* NUL-terminated */
};

/* Append; what does not fit is cut. */
void pw_short_put(struct pw_short *out, const char *format, ...) PW_PRINTF(2, 3);

/* "text" in quotes, other bytes as \xXX; of a long one the start, and how long it is. */
void pw_short_bytes(struct pw_short *out, struct pw_span bytes);

/* "module":"name" */
void pw_short_pair(struct pw_short *out, struct pw_span mod, struct pw_span name);

/* The argument of an opcode; nothing when it has none. */
void pw_short_argument(struct pw_short *out, struct pw_span frame, const struct pw_op *op);

/* A value of the abstract stack: a constant, ("posix":"system", "id"), a list, … */
void pw_short_value(struct pw_short *out, const struct pw_report *report,
                    struct pw_value value);

#endif
