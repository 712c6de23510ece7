/* SPDX-License-Identifier: Apache-2.0
 *
 * `picklewall run`: state, keys, log, quarantine, a relay thread for each channel, signals.
 */
#ifndef PW_PROXY_DAEMON_H
#define PW_PROXY_DAEMON_H

#include "common/settings/settings.h"

/*
 * Run the wall until SIGTERM or SIGINT, and then until it is drained (a second signal cuts
 * that short). SIGHUP and SIGUSR1 reopen the audit log; SIGHUP reads the configuration and
 * the keys again. Keys are read by themselves, too, within a second of a change of their
 * folder. The control socket
 * is served meanwhile (README.md says what it can be asked). Blocks these signals
 * in the calling thread, which must be the only one. On an error `why` has the sentence.
 */
PW_CHECK_RESULT enum pw_err pw_daemon_run(const struct pw_settings *settings,
                                          struct pw_why *why);

#endif
