/* SPDX-License-Identifier: Apache-2.0
 *
 * Which lines of the audit log are wanted: options that `audit tail`, `stats` and `export`
 * share.
 */
#ifndef PW_PROXY_CLI_AUDIT_FILTER_H
#define PW_PROXY_CLI_AUDIT_FILTER_H

#include "proxy/cli/command.h"
#include "proxy/cli/logged.h"

/* Zeroed, it takes all. Texts are borrowed from the arguments. */
struct pw_audit_filter {
    const char *verdict;
    const char *channel;
    const char *reason; /* how it begins */
    const char *event;
    const char *grep;  /* stands in some text of the line */
    const char *since; /* as given */
    bool non_pass;
    uint64_t since_ns; /* 0: any time */
};

/* Whether the argument at hand is one of the options of a filter; its value is kept then.
 */
bool pw_audit_filter_option(struct pw_audit_filter *filter, struct pw_args *args);

/* "90s", "10m", "2h", "7d" before now, or a time of RFC 3339. False for anything else. */
bool pw_audit_filter_time(const char *text, uint64_t *ns);

/* EX_OK when the values make sense; otherwise said on stderr, and the exit code. */
int pw_audit_filter_check(struct pw_audit_filter *filter);

/* Anything is left out. */
bool pw_audit_filter_active(const struct pw_audit_filter *filter);

/* Whether the line is wanted. `logged` was read from `line`. */
bool pw_audit_filter_takes(const struct pw_audit_filter *filter, struct pw_span line,
                           const struct pw_logged *logged);

#endif
