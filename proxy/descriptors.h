/* SPDX-License-Identifier: Apache-2.0
 *
 * How many files this process may have open.
 */
#ifndef PW_PROXY_DESCRIPTORS_H
#define PW_PROXY_DESCRIPTORS_H

#include "common/settings/settings.h"

/*
 * Raise the soft limit (often 1024) to what the connections of all channels can take, as
 * far as the hard limit lets it; warn when that is less. Without a descriptor libzmq cannot
 * accept, and its thread spins over the connection that waits. Before the sandbox.
 */
void pw_descriptors_raise(const struct pw_settings *settings);

#endif
