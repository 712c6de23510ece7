/* SPDX-License-Identifier: Apache-2.0
 *
 * For a file that was refused: the policy that would let it pass.
 */
#ifndef PW_PROXY_CLI_HINT_H
#define PW_PROXY_CLI_HINT_H

#include "proxy/cli/judge.h"

/*
 * The name of another policy under which the file that was judged last passes: one that
 * checks what it allows, or else one that does not (NAME-unchecked). Borrowed from the
 * settings; NULL when there is none, or the file was too large to be read whole. The
 * judgement stays as it is.
 */
const char *pw_hint_policy(const struct pw_judge *judge);

#endif
