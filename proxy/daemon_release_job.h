/* SPDX-License-Identifier: Apache-2.0
 *
 * One held message on its way out of the quarantine, from the request to the answer.
 * README.md in this folder tells in which order, and what a crash leaves.
 */
#ifndef PW_PROXY_DAEMON_RELEASE_JOB_H
#define PW_PROXY_DAEMON_RELEASE_JOB_H

#include "proxy/daemon_inside.h"
#include "proxy/release_request.h"

/* All but `next`, the peer and the request is filled in as it goes. */
struct pw_release_job {
    struct pw_release_job *next;
    uint64_t ticket; /* of the control socket */
    struct pw_control_peer peer;
    struct pw_release_request request;

    /* Found out on the way. */
    struct pw_found found;
    struct pw_lane *lane;
    struct pw_held held;
    struct pw_release release;
    bool begun; /* the log may have its first line, now or later */

    /* The answer. */
    enum pw_err result;
    struct pw_why why;
    struct pw_buf members;
};

void pw_release_job_free(struct pw_release_job **job);

/* Do it all, on a thread that may wait for disks and consumers; leaves the answer. */
void pw_release_job_run(struct pw_release_job *job, struct pw_daemon *self);

#endif
