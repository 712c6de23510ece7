/* SPDX-License-Identifier: Apache-2.0
 *
 * PICKLEWALL_STATE, PICKLEWALL_AUDIT_FILE, …: the settings outside of named sections, for
 * containers. Never the bytes of a key.
 */
#ifndef PW_COMMON_SETTINGS_ENVIRONMENT_H
#define PW_COMMON_SETTINGS_ENVIRONMENT_H

#include "common/settings/settings.h"

/*
 * Let every PICKLEWALL_* variable override its setting. PW_E_CONFIG, "environment: NAME:
 * what is wrong; what would be right", also for a variable that is none of ours.
 */
PW_CHECK_RESULT enum pw_err pw_environment_apply(struct pw_settings *settings,
                                                 struct pw_why *why);

/*
 * Put the folder of systemd's credentials (systemd.exec(5)) in the place of a leading
 * ${CREDENTIALS_DIRECTORY} of each path. PW_E_CONFIG with the place, when it is not set or
 * another variable is asked for; PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_environment_expand(struct pw_settings *settings,
                                                  struct pw_why *why);

/* Whether the environment set this path, and "environment: NAME" when it did. */
bool pw_environment_set(const struct pw_settings *settings, const char *path);
void pw_environment_place(const char *path, char *out, size_t room);

#endif
