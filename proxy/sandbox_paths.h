/* SPDX-License-Identifier: Apache-2.0
 *
 * Which paths and ports a configuration leads to, as Landlock rules. The rows are
 * sandbox_paths.def.
 */
#ifndef PW_PROXY_SANDBOX_PATHS_H
#define PW_PROXY_SANDBOX_PATHS_H

#include "common/settings/settings.h"
#include "proxy/sandbox_landlock.h"

/*
 * Permit what `settings` need while the wall runs. Of paths what is there now, for a folder
 * that is made later, or in the place of another, is a different one. False when the kernel
 * refuses a rule; errno says why.
 */
PW_CHECK_RESULT bool pw_sandbox_permit(struct pw_landlock *rules,
                                       const struct pw_settings *settings);

/* Whether an endpoint, or the service manager's socket, is one without a path ("@…"). */
bool pw_sandbox_abstract(const struct pw_settings *settings);

/* Whether an endpoint has the name of a host that must be looked up. */
bool pw_sandbox_hosts(const struct pw_settings *settings);

#endif
