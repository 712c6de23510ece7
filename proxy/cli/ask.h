/* SPDX-License-Identifier: Apache-2.0
 *
 * One question to a running wall, through its control socket, and its answer.
 */
#ifndef PW_PROXY_CLI_ASK_H
#define PW_PROXY_CLI_ASK_H

#include <stdbool.h>

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "proxy/control.h"

struct pw_ask {
    const char *config; /* of that wall; NULL: the usual one. Or: */
    const char *socket; /* its control socket itself, or NULL */
    int patience_s;     /* for the answer */
    bool secret; /* the question is for root and the owner of the state folder only; it goes
                    with `config`, and nobody else who listens there gets a byte of it */
};

enum { PW_ASK_ANSWER_MAX = PW_CONTROL_ANSWER_MAX + 4096 };

/*
 * Ask COMMAND, with ARGUMENT unless that is NULL. `line` (limit PW_ASK_ANSWER_MAX) receives
 * the answer as it came, without its LF, and *answer the object in it, with a boolean "ok".
 * Errors with a sentence in `why`: PW_E_BUSY when no wall answers, PW_E_PERM, PW_E_CONFIG,
 * PW_E_USAGE when the question is too long, PW_E_FORMAT when that was no wall, PW_E_IO,
 * PW_E_OS.
 */
PW_CHECK_RESULT enum pw_err pw_ask_wall(const struct pw_ask *ask, const char *command,
                                        const char *argument, struct pw_buf *line,
                                        json_t **answer, struct pw_why *why);

#endif
