/* SPDX-License-Identifier: Apache-2.0
 *
 * The file under the audit log, and the lines on their way into it. A line reaches the file
 * whole and once, through short writes, full disks, rotation and the leavings of a crash.
 */
#ifndef PW_COMMON_AUDIT_SINK_H
#define PW_COMMON_AUDIT_SINK_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/buf.h"

struct pw_sink {
    char *path; /* "-" is stdout, which is never reopened */
    int fd;
    bool regular; /* has an end to look at, and a name that can move */
    bool torn;    /* the file ends inside a line: an LF goes first */
    bool dirty;   /* something was written since the last sync */
    dev_t dev;
    ino_t ino;
    struct pw_buf lines; /* append whole lines here */
    size_t done;         /* bytes of `lines` that are in the file */
    off_t size;          /* of a regular file, when a write was last cut short */
};

/*
 * Open `path` (append, 0640, no symbolic link) with a buffer for `room` bytes of lines. On
 * failure there is a sentence in `why` and nothing to close.
 */
PW_CHECK_RESULT enum pw_err pw_sink_open(struct pw_sink *sink, const char *path,
                                         size_t room, struct pw_why *why);

/* All lines have reached the file. */
static inline bool
pw_sink_empty(const struct pw_sink *sink)
{
    return sink->done == sink->lines.len;
}

/* Write what there is. After PW_E_IO (see errno) the rest is kept: call again later. */
PW_CHECK_RESULT enum pw_err pw_sink_flush(struct pw_sink *sink);

/* Whether the path names another file by now, or none. */
bool pw_sink_moved(const struct pw_sink *sink);

/* Go on in the file that the path names now. On failure the old one stays in use. */
PW_CHECK_RESULT enum pw_err pw_sink_reopen(struct pw_sink *sink, struct pw_why *why);

/* fdatasync, if there is anything new. PW_E_IO leaves errno. */
PW_CHECK_RESULT enum pw_err pw_sink_sync(struct pw_sink *sink);

/* Release without writing. */
void pw_sink_close(struct pw_sink *sink);

#endif
