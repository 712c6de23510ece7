/* SPDX-License-Identifier: Apache-2.0
 *
 * The files that stand beside a log and may hold what it went on from, whoever moved them
 * there: all whose names begin as its own does, up to the dot. audit.jsonl has
 * audit-20261122T101500Z-4711.jsonl and audit.jsonl.1.
 */
#ifndef PW_COMMON_AUDIT_BESIDE_H
#define PW_COMMON_AUDIT_BESIDE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

enum { PW_BESIDE_MOST = 256 }; /* files; of more, those that were written last */

struct pw_beside_file {
    uint64_t written_ns; /* mtime, wall clock */
    char name[NAME_MAX + 1];
};

struct pw_beside {
    struct pw_beside_file *files; /* the one that was written last is the first */
    size_t count;
};

/*
 * List the regular files beside the log at `path`, without that. `out` is to be freed in
 * any case. A folder that cannot be read has none; PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_beside_list(const char *path, struct pw_beside *out);

/* Open one for reading; -1 when it is gone by now. The caller closes it. */
int pw_beside_open(const char *path, const struct pw_beside_file *file);

void pw_beside_free(struct pw_beside *beside);

#endif
