/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the commands find the quarantine.
 */
#ifndef PW_PROXY_CLI_QUARANTINE_H
#define PW_PROXY_CLI_QUARANTINE_H

#include "common/quarantine/store.h"

/*
 * Open, for reading only, the store of the state folder `state`, or (NULL) of the one that
 * the configuration names (`config` as pw_command_config takes it). NULL with *err and a
 * sentence.
 */
struct pw_store *pw_quarantine_open(const char *config, const char *state, enum pw_err *err,
                                    struct pw_why *why);

#endif
