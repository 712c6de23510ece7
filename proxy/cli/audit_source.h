/* SPDX-License-Identifier: Apache-2.0
 *
 * Where lines of the audit log come from: files that are followed over rotation, standard
 * input, and the endpoint at which a wall publishes them (`audit.publish`).
 */
#ifndef PW_PROXY_CLI_AUDIT_SOURCE_H
#define PW_PROXY_CLI_AUDIT_SOURCE_H

#include <stdbool.h>

#include "common/base/cursor.h"
#include "common/base/err.h"

/* Take one line, without its LF and never empty. An error ends the reading. */
typedef enum pw_err pw_audit_line_fn(void *arg, struct pw_span line);

struct pw_audit_source;

struct pw_audit_source_options {
    bool follow;       /* wait for more when a file ends */
    uint64_t since_ns; /* begin with the rotated file that holds this time; 0: do not */
    pw_audit_line_fn *take;
    void *arg;
};

/* NULL when out of memory. */
struct pw_audit_source *pw_audit_source_new(const struct pw_audit_source_options *options);
void pw_audit_source_free(struct pw_audit_source **source);

/*
 * Read from `name`, too: a path, "-", or an endpoint such as tcp://127.0.0.1:8010. On
 * failure *why names it and the remedy. `name` must outlive the source.
 */
PW_CHECK_RESULT enum pw_err pw_audit_source_add(struct pw_audit_source *source,
                                                const char *name, struct pw_why *why);

/* Of a single regular file, read the last `lines` lines only (and what comes after). */
void pw_audit_source_seek(struct pw_audit_source *source, size_t lines);

/*
 * Hand over what is there, some megabytes at most; when there is nothing, wait up to
 * `wait_ms` for it (negative: as long as it takes), or until a signal. Files are read one
 * after the other to their ends, then all in turn. Errors are those of reading (PW_E_IO,
 * PW_E_NOMEM) and of `take`.
 */
PW_CHECK_RESULT enum pw_err pw_audit_source_step(struct pw_audit_source *source,
                                                 int wait_ms);

/* Everything that was there has been read: files and standard input to their ends. */
bool pw_audit_source_caught_up(const struct pw_audit_source *source);

/* Nothing will come any more. */
bool pw_audit_source_ended(const struct pw_audit_source *source);

/* Some of it is no file: lines come when they come. */
bool pw_audit_source_live(const struct pw_audit_source *source);

#endif
