/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines of a file, one by one, in constant memory.
 */
#ifndef PW_COMMON_AUDIT_LINES_H
#define PW_COMMON_AUDIT_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cursor.h"
#include "common/base/err.h"

enum { PW_LINES_ROOM = 64 * 1024 };

/* Zero-initialise with a descriptor, which stays the caller's. */
struct pw_lines {
    int fd;
    uint64_t number; /* of the line that was read last; 1 is the first */
    bool ended;      /* it has its LF: all have, but perhaps the last */
    bool failed;     /* read(2) did not work: errno says why */
    bool at_end;
    size_t start; /* of what is not yet read, in `room` */
    size_t len;
    uint8_t room[PW_LINES_ROOM];
};

/*
 * The next line, without its LF, good until the next call. False at the end, and when
 * reading fails. A line that does not fit the room is so many zeros instead.
 */
PW_CHECK_RESULT bool pw_lines_next(struct pw_lines *lines, struct pw_span *line);

#endif
