/* SPDX-License-Identifier: Apache-2.0
 *
 * Which audit logs a command reads: those that were named, or the configured one.
 */
#ifndef PW_PROXY_CLI_AUDIT_INPUTS_H
#define PW_PROXY_CLI_AUDIT_INPUTS_H

#include <limits.h>

#include "common/settings/settings.h"
#include "proxy/cli/audit_source.h"
#include "proxy/cli/command.h"

enum { PW_AUDIT_INPUTS = 64 };

/* Zero-initialise; free at the end. */
struct pw_audit_inputs {
    const char *config, *state; /* the options */
    const char *names[PW_AUDIT_INPUTS];
    size_t count;
    size_t given; /* names on the command line; more than there is room for, too */

    struct pw_settings *settings;
    char path[PATH_MAX];
};

void pw_audit_inputs_free(struct pw_audit_inputs *inputs);

/* Whether the argument at hand is --config or --state; its value is kept then. */
bool pw_audit_inputs_option(struct pw_audit_inputs *inputs, struct pw_args *args);

/* The argument at hand is the name of a log. */
void pw_audit_inputs_add(struct pw_audit_inputs *inputs, const char *name);

/* Find out what is meant when nothing was named. EX_OK, or said on stderr and the exit
 * code. */
int pw_audit_inputs_settle(struct pw_audit_inputs *inputs);

/* Open them all; EX_OK, or said on stderr and the exit code. */
int pw_audit_inputs_open(const struct pw_audit_inputs *inputs,
                         struct pw_audit_source *source);

#endif
