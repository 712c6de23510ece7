/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service manager is told, and wants to be told (sd_notify(3)): datagrams to
 * $NOTIFY_SOCKET. Without that variable nothing happens.
 */
#ifndef PW_PROXY_NOTIFY_H
#define PW_PROXY_NOTIFY_H

#include <stdint.h>

/* Send assignments, a line each, such as "STOPPING=1". A failure is a warning in the log.
 */
void pw_notify(const char *words);

/* "RELOADING=1", with the time that systemd wants; pw_notify("READY=1") ends it. */
void pw_notify_reloading(void);

/*
 * How often the manager wants WATCHDOG=1 at least, in nanoseconds; 0: it does not. What
 * $WATCHDOG_USEC says, when $WATCHDOG_PID is this process or is not set.
 */
uint64_t pw_notify_watchdog_ns(void);

#endif
