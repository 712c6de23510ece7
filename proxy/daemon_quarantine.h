/* SPDX-License-Identifier: Apache-2.0
 *
 * The wall and its quarantine; and how a purge is told, for who purges without a wall.
 */
#ifndef PW_PROXY_DAEMON_QUARANTINE_H
#define PW_PROXY_DAEMON_QUARANTINE_H

#include "proxy/daemon_inside.h"

/* Open the store with all limits, and sealed when it shall be. An error names the setting.
 */
PW_CHECK_RESULT enum pw_err pw_daemon_open_store(struct pw_daemon *self,
                                                 struct pw_why *why);

/* From now on go by these limits, but for those of channels. */
void pw_daemon_limit_store(struct pw_daemon *self, const struct pw_settings *settings);

/* Tell the audit log how the store was found, and what was done while no wall ran; then
 * wake the keeper. */
void pw_daemon_store_started(struct pw_daemon *self);

/* Tell the audit log that the object of this entry is damaged, and was put aside. From any
 * thread. */
void pw_daemon_tell_corrupt(struct pw_daemon *self, const struct pw_found *found);

/* The member "quarantine" of the status. */
void pw_daemon_write_store_state(struct pw_daemon *self, struct pw_json *json);

/* The member "by": who asked, and how. */
void pw_write_operator(struct pw_json *json, const char *via, uid_t uid, pid_t pid);

/* Members of the detail of a purge. */
void pw_write_purge(struct pw_json *json, const struct pw_gone *gone, const char *reason);

#endif
