/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes behind the tag: is the message neither too old nor from the future, and is it
 * new? A guard belongs to one channel. It keeps what it accepted on disk, ahead of
 * accepting it, so that nothing is accepted again after a crash; README.md in this folder
 * tells how.
 */
#ifndef PW_COMMON_SIGN_GUARD_H
#define PW_COMMON_SIGN_GUARD_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/base/reason.h"
#include "common/sign/sign.h"

struct pw_guard_options {
    const char *state;      /* its folder `replay` holds CHANNEL.epochs; made when absent */
    const char *channel;    /* a name that can be a file's */
    uint64_t max_age_ns;    /* 0: any age */
    uint64_t max_future_ns; /* 0: any time */
    bool replay;            /* false: only time is judged, and there is no file */
};

struct pw_guard;

/*
 * A guard that knows what the file tells. The strings of `options` need not live on. NULL
 * with a sentence in `why`: a damaged file, a folder that cannot be written, no memory, no
 * thread. Nobody else may have the folder in use.
 */
struct pw_guard *pw_guard_open(const struct pw_guard_options *options, struct pw_why *why);

/*
 * Judge time by these from the next message on, as the options did. For the thread that
 * admits, or before there is one.
 */
void pw_guard_limit(struct pw_guard *guard, uint64_t max_age_ns, uint64_t max_future_ns);

/* Write down exactly what was accepted, and release. *guard becomes NULL; NULL is fine. */
void pw_guard_close(struct pw_guard **guard);

/*
 * Judge a message whose tag fits (`sig` is PW_SIG_OK) at the wall time `now_ns`, and
 * remember it when it is new. Otherwise `sig` tells SIG_EXPIRED, SIG_FUTURE or SIG_REPLAY,
 * which is returned too. INTERNAL_ERROR when the disk cannot be written: the message is
 * not remembered, and `sig` stays as it is. One thread a guard; it may wait for the disk.
 */
enum pw_reason pw_guard_admit(struct pw_guard *guard, uint64_t now_ns,
                              struct pw_sig_result *sig);

/* What pw_guard_open would say of the file, for check-config: nothing is made or changed.
 */
PW_CHECK_RESULT enum pw_err pw_guard_check(const char *state, const char *channel,
                                           struct pw_why *why);

#endif
