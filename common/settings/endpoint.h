/* SPDX-License-Identifier: Apache-2.0
 *
 * ZeroMQ endpoints, checked before a socket says "Invalid argument".
 */
#ifndef PW_COMMON_SETTINGS_ENDPOINT_H
#define PW_COMMON_SETTINGS_ENDPOINT_H

#include <stdbool.h>

#include "common/base/err.h"

/* tcp://HOST:PORT or ipc://PATH. PW_E_CONFIG with "what is wrong; what would be right". */
PW_CHECK_RESULT enum pw_err pw_endpoint_check(const char *address, bool bind,
                                              struct pw_why *why);

/* HOST:PORT, as a server listens on it. PW_E_CONFIG with such a sentence. */
PW_CHECK_RESULT enum pw_err pw_listen_check(const char *address, struct pw_why *why);

/* Binding both must fail: the same text, or one TCP port where either takes every address.
 */
bool pw_endpoint_clash(const char *a, const char *b);

/* Only programs of this machine are at the other end: ipc, and loopback addresses. */
bool pw_endpoint_is_local(const char *address);

#endif
