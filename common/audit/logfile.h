/* SPDX-License-Identifier: Apache-2.0
 *
 * The log's file and all that befalls it: it is moved away, cut, grows too large or too
 * old, its disk fills up, breaks, and comes back. The writer thread owns one; it asks here
 * what to do about the file, and which lines the file itself has to say (notices).
 */
#ifndef PW_COMMON_AUDIT_LOGFILE_H
#define PW_COMMON_AUDIT_LOGFILE_H

#include <limits.h>

#include "common/audit/record.h"
#include "common/audit/sink.h"
#include "common/audit/space.h"

struct pw_logfile_options {
    const char *path;       /* copied; "-" is stdout */
    uint64_t rotate_size;   /* bytes of a file; 0: any */
    uint64_t rotate_age_ns; /* of a file that has lines; 0: any */
    size_t rotate_keep;     /* old files; 0: all */
    int64_t space_low;      /* as in pw_space_look */
    int64_t space_critical;
    bool degrade; /* only for the words: messages go on without lines */
};

/* What the file wants to have in the log, a line each. */
enum pw_log_news {
    PW_LOG_MOVED = 1 << 0,     /* it is another file now */
    PW_LOG_CUT = 1 << 1,       /* somebody cut it */
    PW_LOG_ROTATED = 1 << 2,   /* we moved it away */
    PW_LOG_SPACE = 1 << 3,     /* there is little room left */
    PW_LOG_RECOVERED = 1 << 4, /* it could not be written for a while */
};

struct pw_logfile {
    struct pw_logfile_options options;
    struct pw_sink sink;
    uint64_t born_ns; /* wall clock */
    bool wanted;      /* an operator wants it moved away now */
    bool used;        /* it has lines that are worth a rotation */
    unsigned news;    /* enum pw_log_news, not yet in a line */
    char old[PATH_MAX];
    struct pw_space_look space;
    bool space_said; /* that it is low */
    bool open_said;  /* that what the path names cannot be opened */

    int trouble;          /* errno of the last write or sync; 0: it works */
    int last_trouble;     /* the same, of the trouble that is over */
    bool trouble_in_sync; /* it was fdatasync that failed */
    uint64_t trouble_at;  /* steady clock */
    uint64_t trouble_ns;  /* so long did the last one take */
    uint64_t retry_after;
    uint64_t next_retry;    /* steady clock */
    uint64_t next_rotation; /* steady clock: not again before, when one has failed */
};

/* On failure there is a sentence in `why` and nothing to close. */
PW_CHECK_RESULT enum pw_err pw_logfile_open(struct pw_logfile *file,
                                            const struct pw_logfile_options *options,
                                            struct pw_why *why);
void pw_logfile_close(struct pw_logfile *file);

/* Whether one more line may be appended to file->sink.lines before it is to be written. */
bool pw_logfile_has_room(const struct pw_logfile *file);

/*
 * Write what there is, and sync it when `sync` says so or much has gathered. PW_E_IO: it is
 * in trouble, which is said on stderr once; call again at file->next_retry.
 */
PW_CHECK_RESULT enum pw_err pw_logfile_write(struct pw_logfile *file, bool sync);

/* Has somebody cut it? */
void pw_logfile_look(struct pw_logfile *file);

/* Once a second: how much room is there? Both marks are said on stderr when passed. */
void pw_logfile_look_around(struct pw_logfile *file);

/* There is less room than space_critical. */
static inline bool
pw_logfile_critical(const struct pw_logfile *file)
{
    return file->space.state == PW_SPACE_CRITICAL;
}

/* Whether the file is to be moved away by pw_logfile_rotate. */
bool pw_logfile_wants_rotation(const struct pw_logfile *file);

/*
 * Move the file away, under a name with the last line's `seq`, and start a new one. All
 * lines must have been written. A failure is said on stderr, and the file stays in use.
 */
void pw_logfile_rotate(struct pw_logfile *file, uint64_t seq);

/*
 * When there are more old files than rotate_keep: the path of the oldest that stays. Then
 * pw_logfile_prune removes those before it; a failure is said on stderr.
 */
bool pw_logfile_oldest_kept(const struct pw_logfile *file, char out[static PATH_MAX]);
void pw_logfile_prune(struct pw_logfile *file);

/* Go on in what the path names now, if that is another file. */
void pw_logfile_reopen(struct pw_logfile *file);

enum { PW_LOG_NEWS_MAX = PATH_MAX + 512 };

/*
 * The next notice: its event and level, and in `detail` (which record->detail then points
 * to) its members. False when there is none.
 */
bool pw_logfile_notice(struct pw_logfile *file, struct pw_audit_record *record,
                       char detail[static PW_LOG_NEWS_MAX]);

#endif
