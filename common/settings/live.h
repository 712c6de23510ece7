/* SPDX-License-Identifier: Apache-2.0
 *
 * Which settings a running wall can take over (LIVE in settings.def), and which of those
 * that differ it cannot.
 */
#ifndef PW_COMMON_SETTINGS_LIVE_H
#define PW_COMMON_SETTINGS_LIVE_H

#include "common/settings/settings.h"

/* A setting by its path, "channel.jobs.in.bind"; or a channel, "channel.jobs". */
typedef void pw_live_visit(void *arg, const char *path);

/*
 * Visit what differs between what a wall was started with and newer settings, and needs
 * another start: settings in the order of settings.def, and channels that are in one only.
 */
void pw_live_pending(const struct pw_settings *start, const struct pw_settings *newer,
                     pw_live_visit *visit, void *arg);

#endif
