/* SPDX-License-Identifier: Apache-2.0
 *
 * Which held messages a log tells of, near its end. A wall that dies may have stored a
 * message whose line was still on its way; the next one looks here and makes up for it. So
 * it does for a release that has begun, and whose end no line tells.
 */
#ifndef PW_COMMON_AUDIT_TOLD_H
#define PW_COMMON_AUDIT_TOLD_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/ulid.h"

/* How long before the last line of a log a message may have been stored that has none. */
enum { PW_AUDIT_TOLD_MS = 30000 };

struct pw_audit_told {
    char since[PW_ULID_TEXT]; /* whatever is older (by ULID) was not looked for */
    char from[PW_ULID_TEXT];  /* the oldest line that is there; "" when it is of before
                                 `since`, or the first of all */
    bool reaches;             /* while it is read */
    struct pw_buf entries;    /* ULIDs with NUL, PW_ULID_TEXT bytes each, sorted */
    struct pw_buf begun;      /* the same, of those whose newest release has only begun */
};

/*
 * Read the log at `path` backwards, as far as its lines are of the last PW_AUDIT_TOLD_MS
 * before its last one; when it does not go back that far, also the files beside it (see
 * beside.h) that were written since. Without a line in the log, the last one is that of the
 * newest such file. A line that was cut short counts as none. `told` is to be freed in any
 * case. PW_E_NO_INPUT when there is no line in any of them; PW_E_IO, PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_audit_told_read(const char *path,
                                               struct pw_audit_told *told);

/* Whether the log tells of this entry (its ULID), or it is too old to tell. */
bool pw_audit_told_has(const struct pw_audit_told *told, const char *entry);

/* Whether a line would have been found: false when it may be in an old log that is not here
 * any more, or compressed. */
bool pw_audit_told_would(const struct pw_audit_told *told, const char *entry);

void pw_audit_told_free(struct pw_audit_told *told);

#endif
