/* SPDX-License-Identifier: Apache-2.0
 *
 * The file under the audit log, and the lines on their way into it. A line reaches the file
 * whole and once, through short writes, full disks, rotation and the leavings of a crash.
 *
 * What was written to a regular file stays in memory until fdatasync has taken it: when
 * that fails, the kernel has forgotten which pages it could not write and calls them clean
 * (https://wiki.postgresql.org/wiki/Fsync_Errors), so the bytes are written again, in
 * place, before the next try. The wall should be the only one who writes to the file; what
 * others append stays where it is, and no line of ours is joined to it.
 */
#ifndef PW_COMMON_AUDIT_SINK_H
#define PW_COMMON_AUDIT_SINK_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/buf.h"

/* Bytes of `lines` that stand together in the file. */
struct pw_sink_piece {
    size_t
        at; /* of its first, in `lines`; it ends where the next one begins, or at `done` */
    off_t start; /* of the same, in the file */
};

enum { PW_SINK_PIECES = 8 }; /* that wait for one sync; one, unless others write as well */

struct pw_sink {
    char *path; /* "-" is stdout, which is never reopened */
    int fd;
    bool regular;       /* has an end to look at, and a name that can move */
    bool torn;          /* the file ends inside a line: an LF goes first */
    bool dirty;         /* something was written since the last sync */
    bool sync_failed;   /* the last one did: `lines` up to `done` must be written again */
    bool shrunk;        /* somebody cut the file; for the caller to clear */
    bool intruder_said; /* that somebody else writes to it */
    dev_t dev;
    ino_t ino;
    struct pw_buf lines; /* append whole lines here, within pw_sink_room */
    size_t done;         /* bytes of `lines` that are in the file, and wait for a sync */
    off_t size;          /* of a regular file, as we left it */
    struct pw_sink_piece pieces[PW_SINK_PIECES];
    size_t piece_count;
};

/*
 * Open `path` (append, 0640, no symbolic link) with a buffer for `room` bytes of lines, and
 * of a regular file for `keep` more that are not synced. On failure there is a sentence in
 * `why` and nothing to close.
 */
PW_CHECK_RESULT enum pw_err pw_sink_open(struct pw_sink *sink, const char *path,
                                         size_t room, size_t keep, struct pw_why *why);

/* All lines have reached the file. */
static inline bool
pw_sink_empty(const struct pw_sink *sink)
{
    return sink->done == sink->lines.len;
}

/* So many bytes of lines can be appended without an allocation. */
static inline size_t
pw_sink_room(const struct pw_sink *sink)
{
    return sink->lines.limit - sink->lines.len;
}

/* Write what there is. After PW_E_IO (see errno) the rest is kept: call again later. */
PW_CHECK_RESULT enum pw_err pw_sink_flush(struct pw_sink *sink);

/* Whether the path names another file by now, or none. */
bool pw_sink_moved(const struct pw_sink *sink);

/*
 * Look whether somebody has cut the file (copytruncate): then `shrunk` is set, what was
 * written before is let go, and a line that was half written starts again; so it does when
 * somebody has written behind it.
 */
void pw_sink_look(struct pw_sink *sink);

/*
 * Go on in the file that the path names now. What the old file may not have kept, since its
 * fdatasync fails, is cut off there if that can be done, and goes to the new one. On
 * failure the old one stays in use.
 */
PW_CHECK_RESULT enum pw_err pw_sink_reopen(struct pw_sink *sink, struct pw_why *why);

/* fdatasync, if there is anything new. PW_E_IO leaves errno. */
PW_CHECK_RESULT enum pw_err pw_sink_sync(struct pw_sink *sink);

/* Release without writing. */
void pw_sink_close(struct pw_sink *sink);

#endif
