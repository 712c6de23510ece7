/* SPDX-License-Identifier: Apache-2.0
 *
 * Where checkpoints are kept besides the log: a file, a pipe, stdout. Nobody waits for it:
 * what it does not take is given up, and said.
 */
#ifndef PW_COMMON_AUDIT_MIRROR_H
#define PW_COMMON_AUDIT_MIRROR_H

#include "common/base/cursor.h"
#include "common/base/err.h"

struct pw_mirror;

/*
 * Open `path` to append to (made 0644 when absent, no symbolic link), or stdout when it is
 * "-". NULL with a sentence in `why`.
 */
struct pw_mirror *pw_mirror_open(const char *path, struct pw_why *why);

/* *mirror becomes NULL; a NULL *mirror is fine. */
void pw_mirror_close(struct pw_mirror **mirror);

/*
 * Append a note, with an empty line behind it: whole, or not at all as far as that can be
 * had. After half a one, the next begins with empty lines, so that only the half is lost. A
 * file that was moved away is made anew.
 */
void pw_mirror_put(struct pw_mirror *mirror, struct pw_span note);

#endif
