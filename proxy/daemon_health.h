/* SPDX-License-Identifier: Apache-2.0
 *
 * How the wall is, gathered for proxy/health.h, and said to the service manager's watchdog.
 */
#ifndef PW_PROXY_DAEMON_HEALTH_H
#define PW_PROXY_DAEMON_HEALTH_H

#include "proxy/daemon_inside.h"
#include "proxy/health.h"

/* Milliseconds since the last turn of its relay; 0 before there is one. */
uint64_t pw_lane_idle_ms(const struct pw_lane *lane);

/*
 * The facts of now; in main's thread. `channels` has room for lane_count. Texts are good
 * until main's next turn.
 */
void pw_daemon_health(struct pw_daemon *self, struct pw_health_channel *channels,
                      struct pw_health *out);

/* Whether it is well; with the sentence. In main's thread. */
bool pw_daemon_is_well(struct pw_daemon *self, enum pw_health_probe probe,
                       struct pw_why *why);

/* The member "health". */
void pw_daemon_write_health(struct pw_daemon *self, struct pw_json *json);

/* Main must turn within so many milliseconds for the watchdog; -1: nobody watches. */
int pw_daemon_watchdog_wait_ms(const struct pw_daemon *self);

/* Tell the manager that the wall lives, when it is time and every relay turns. */
void pw_daemon_feed_watchdog(struct pw_daemon *self);

#endif
