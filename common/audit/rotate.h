/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of old log files, and how a file comes by one: audit.jsonl becomes
 * audit-20261122T101500Z-4711.jsonl beside it, after the time (UTC) and the last line's
 * `seq`. In that order they sort.
 */
#ifndef PW_COMMON_AUDIT_ROTATE_H
#define PW_COMMON_AUDIT_ROTATE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"

/*
 * Rename the file `path`, which is device `dev` and inode `ino`. Nothing is overwritten: a
 * name that is taken gets a number behind it. `old` is then the new path, and the folder
 * is synced. PW_E_IO with a sentence, and nothing has moved; also when the path names
 * another file by now.
 */
PW_CHECK_RESULT enum pw_err pw_rotate_away(const char *path, dev_t dev, ino_t ino,
                                           uint64_t wall_ns, uint64_t seq,
                                           char old[static PATH_MAX], struct pw_why *why);

/* Take that back, unless something stands at `path` again. */
PW_CHECK_RESULT enum pw_err pw_rotate_back(const char *path, const char *old);

/*
 * The path of the oldest old file that pw_rotate_prune would leave; false when it would
 * remove none, or it cannot be told.
 */
bool pw_rotate_oldest_kept(const char *path, size_t keep, char out[static PATH_MAX]);

/*
 * Remove the oldest of the old files of `path` until `keep` are left, whatever stands
 * behind their names (.gz). Other files are left alone. How many were removed; on a failure
 * *err and `why` say which could not be.
 */
size_t pw_rotate_prune(const char *path, size_t keep, enum pw_err *err, struct pw_why *why);

#endif
