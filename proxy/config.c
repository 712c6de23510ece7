/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/config.h"

#include <stdlib.h>
#include <string.h>

struct pw_config *
pw_config_over(const struct pw_settings *settings)
{
    struct pw_config *config = calloc(1, sizeof *config);
    if (config != NULL) {
        config->settings = settings;
        atomic_init(&config->shares, 1);
    }
    return config;
}

struct pw_config *
pw_config_own(struct pw_settings **settings)
{
    struct pw_config *config = pw_config_over(*settings);
    if (config != NULL) {
        config->owned = *settings;
        *settings = NULL;
    }
    return config;
}

struct pw_config *
pw_config_share(struct pw_config *config)
{
    atomic_fetch_add(&config->shares, 1);
    return config;
}

void
pw_config_free(struct pw_config **config)
{
    struct pw_config *it = *config;
    *config = NULL;
    if (it != NULL && atomic_fetch_sub(&it->shares, 1) == 1) {
        pw_settings_free(&it->owned);
        free(it);
    }
}

const struct pw_channel *
pw_config_channel(const struct pw_config *config, const char *name)
{
    const struct pw_settings *settings = config->settings;
    for (size_t i = 0; i < settings->channel_count; i++) {
        if (strcmp(settings->channels[i].name, name) == 0) {
            return &settings->channels[i];
        }
    }
    return NULL;
}
