/* SPDX-License-Identifier: Apache-2.0
 *
 * `audit tail --top`: what goes on now, redrawn in place.
 */
#ifndef PW_PROXY_CLI_AUDIT_TOP_H
#define PW_PROXY_CLI_AUDIT_TOP_H

#include "proxy/cli/audit_filter.h"
#include "proxy/cli/audit_inputs.h"

/*
 * Read the inputs, count what the filter takes, and show it until q, SIGINT or the end of
 * the inputs; then print the summary. When stdout is no terminal, only the summary is
 * printed. `follow` as for files in audit_source.h; a terminal always follows. Returns the
 * exit code.
 */
int pw_audit_top(const struct pw_audit_inputs *inputs, const struct pw_audit_filter *filter,
                 bool follow);

#endif
