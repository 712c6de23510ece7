/* SPDX-License-Identifier: Apache-2.0
 *
 * What a verification of the audit log came to, for people and for programs.
 */
#ifndef PW_PROXY_CLI_AUDIT_VERIFY_PRINT_H
#define PW_PROXY_CLI_AUDIT_VERIFY_PRINT_H

#include "common/audit/verify.h"

/* The paths of the files, in the order in which they were given to pw_verify_file. */
struct pw_verify_names {
    size_t count;
    const char *(*path)(const void *arg, size_t file);
    const void *arg;
};

/* On stdout. */
void pw_verify_print_words(const struct pw_verify *verify,
                           const struct pw_verify_names *names);

/* One object, and LF. PW_E_NOMEM, PW_E_LIMIT. */
PW_CHECK_RESULT enum pw_err pw_verify_print_json(const struct pw_verify *verify,
                                                 const struct pw_verify_names *names);

#endif
