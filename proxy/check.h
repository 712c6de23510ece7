/* SPDX-License-Identifier: Apache-2.0
 *
 * What a configuration promises but only the machine can keep: keys that load, folders that
 * can be written, the sandbox that is required. `check-config` and `run` ask the same
 * questions; nothing is created.
 */
#ifndef PW_PROXY_CHECK_H
#define PW_PROXY_CHECK_H

#include "common/settings/settings.h"
#include "common/sign/keyring.h"

/*
 * Check `settings`. PW_E_CONFIG with one sentence "FILE:LINE: setting: what is wrong; what
 * would be right", or PW_E_NOMEM. On success *ring holds the keys, or NULL when `keys` is
 * not set; the caller frees it. `ring` may be NULL.
 */
PW_CHECK_RESULT enum pw_err pw_check_settings(const struct pw_settings *settings,
                                              struct pw_keyring **ring, struct pw_why *why);

/* Of these checks, those of the keys. *ring is NULL after an error. */
PW_CHECK_RESULT enum pw_err pw_check_keys(const struct pw_settings *settings,
                                          struct pw_keyring **ring, struct pw_why *why);

#endif
