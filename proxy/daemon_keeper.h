/* SPDX-License-Identifier: Apache-2.0
 *
 * What leaves the quarantine for good: what is too old, what was purged long ago, what an
 * operator purges. A thread of its own does it, since disks take their time and main must
 * hear signals. README.md in this folder tells in which order, and what a crash leaves.
 */
#ifndef PW_PROXY_DAEMON_KEEPER_H
#define PW_PROXY_DAEMON_KEEPER_H

#include "proxy/daemon_inside.h"

/* Start the thread, which only waits; close it after a failure, too. */
PW_CHECK_RESULT enum pw_err pw_daemon_open_keeper(struct pw_daemon *self,
                                                  struct pw_why *why);

/* The log has the line of the note `id`, or will: the note may go when it is in the file.
 * Before pw_daemon_wake_keeper. */
void pw_daemon_note_told(struct pw_daemon *self, const char *id);

/* The log has begun: from now on let go what is old, every two seconds. */
void pw_daemon_wake_keeper(struct pw_daemon *self);

/* When this is readable: give the answers. */
int pw_daemon_keeper_fd(const struct pw_daemon *self);
void pw_daemon_serve_keeper(struct pw_daemon *self);

/* Whether nothing is under way, and all are answered. */
bool pw_daemon_keeper_idle(const struct pw_daemon *self);

/* End the thread: it has nothing more to say in the log. */
void pw_daemon_stop_keeper(struct pw_daemon *self);

/* The same; and remove the notes whose lines are in the log, which is closed. */
void pw_daemon_close_keeper(struct pw_daemon *self);

/* The log was flushed, behind pw_daemon_stop_keeper: see which lines of notes it has. */
void pw_daemon_check_notes(struct pw_daemon *self);

/* The command `purge`: pw_control_begin, with the daemon as `arg`. */
enum pw_err pw_daemon_begin_purge(void *arg, const struct pw_control_peer *peer,
                                  const char *argument, uint64_t ticket,
                                  struct pw_why *why);

#endif
