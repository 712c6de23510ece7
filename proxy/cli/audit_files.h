/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of an audit log: the one that is written, and those that it was before.
 */
#ifndef PW_PROXY_CLI_AUDIT_FILES_H
#define PW_PROXY_CLI_AUDIT_FILES_H

#include <stddef.h>

#include "common/base/err.h"

struct pw_audit_names {
    char **paths; /* malloc'd, as each of them is */
    size_t count;
};

/* Release. It is empty then. */
void pw_audit_names_free(struct pw_audit_names *names);

/*
 * For audit.jsonl: audit-*.jsonl beside it with a digit behind the hyphen, in no order, and
 * last itself, to `files`. What is of the log but cannot be read as such goes to `skipped`:
 * the same with something behind it (.gz), and what logrotate makes (audit.jsonl.1). Both
 * must be empty before. PW_E_IO with a sentence when the folder cannot be read; PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_audit_files_find(const char *path,
                                                struct pw_audit_names *files,
                                                struct pw_audit_names *skipped,
                                                struct pw_why *why);

#endif
