/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings in force, held by all who go by them: by main, and by each channel until it goes
 * by newer ones. The last who lets go frees them.
 */
#ifndef PW_PROXY_CONFIG_H
#define PW_PROXY_CONFIG_H

#include <stdatomic.h>

#include "common/settings/settings.h"

struct pw_config {
    const struct pw_settings *settings;
    struct pw_settings *owned; /* the same, or NULL when they are borrowed */
    atomic_uint shares;
};

/* Over settings that the caller frees later than the last share. NULL: out of memory. */
struct pw_config *pw_config_over(const struct pw_settings *settings);

/* The same, which takes *settings over: it becomes NULL, unless this fails. */
struct pw_config *pw_config_own(struct pw_settings **settings);

/* One more share of it; from any thread. */
struct pw_config *pw_config_share(struct pw_config *config);

/* Give a share back, from any thread. *config becomes NULL; a NULL *config is fine. */
void pw_config_free(struct pw_config **config);

/* Its channel of this name, or NULL. */
const struct pw_channel *pw_config_channel(const struct pw_config *config,
                                           const char *name);

#endif
