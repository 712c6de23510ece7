/* SPDX-License-Identifier: Apache-2.0
 *
 * The wall and its web server: what main tells it once a second.
 */
#ifndef PW_PROXY_DAEMON_WEB_H
#define PW_PROXY_DAEMON_WEB_H

#include "proxy/daemon_inside.h"

/* Start it, unless none is wanted. An error names the setting. */
PW_CHECK_RESULT enum pw_err pw_daemon_open_web(struct pw_daemon *self, struct pw_why *why);
void pw_daemon_close_web(struct pw_daemon *self);

/* On stderr: where it is, and whether others can reach it. */
void pw_daemon_describe_web(const struct pw_daemon *self);

/* Main must turn within so many milliseconds for it; -1: there is none. */
int pw_daemon_web_wait_ms(const struct pw_daemon *self);

/* When it is time: give it a new snapshot. In main's thread. */
void pw_daemon_tell_web(struct pw_daemon *self);

#endif
