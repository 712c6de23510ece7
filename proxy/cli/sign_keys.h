/* SPDX-License-Identifier: Apache-2.0
 *
 * What sign and verify have in common.
 */
#ifndef PW_PROXY_CLI_SIGN_KEYS_H
#define PW_PROXY_CLI_SIGN_KEYS_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/sign/keyring.h"

/*
 * The keys of a folder, or the one key of a key file; then no list `revoked` is asked. NULL
 * with a sentence in `why`.
 */
struct pw_keyring *pw_cli_keys(const char *path, struct pw_why *why);

/* "-", which is standard input. */
bool pw_cli_is_stdin(const char *path);

/* Append the whole of standard input to `out`. */
PW_CHECK_RESULT enum pw_err pw_cli_read_stdin(struct pw_buf *out, struct pw_why *why);

#endif
