/* SPDX-License-Identifier: Apache-2.0
 *
 * A change of a key folder that a running wall is to take over at once.
 */
#ifndef PW_PROXY_CLI_KEY_FOLLOW_H
#define PW_PROXY_CLI_KEY_FOLLOW_H

#include "proxy/cli/command.h"

/* The configuration of that wall, or its control socket itself. Neither: it is left to
 * notice by itself. */
struct pw_follow {
    const char *config;
    const char *socket;
};

/* Take --config or --socket; false when the current word is neither. */
bool pw_follow_option(struct pw_args *args, struct pw_follow *wall);

/*
 * Order that wall to read its keys again (`ctl reload`), and say on stderr that they are in
 * force. The exit code: 1 with words when it refuses, 69 when no wall answers.
 */
int pw_follow_keys(const struct pw_follow *wall);

#endif
