/* SPDX-License-Identifier: Apache-2.0
 *
 * How a message out of the quarantine gets to the thread of its channel, and what became of
 * it back: a box for one message. One thread offers, the channel's thread takes.
 */
#ifndef PW_PROXY_RELEASE_H
#define PW_PROXY_RELEASE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "proxy/pipeline.h"

/* Zero: nobody took it. */
enum pw_release_outcome {
    PW_RELEASE_UNDELIVERABLE, /* the output took nothing, or the wall is stopping */
    PW_RELEASE_REFUSED,       /* today's policy says no; see `reason` */
    PW_RELEASE_SENT,          /* the transport has it; of a rehearsal: would have it */
};

enum { PW_RELEASE_FINDS = 65536 };

struct pw_release {
    /* Of who offers it; borrowed until it is done or taken back. */
    const struct pw_span *frames;
    size_t count;
    bool rehearsal;              /* judge, and send nothing */
    uint64_t until;              /* steady clock: give it back then */
    struct pw_overrule overrule; /* `given`; `met` is the channel's */

    /* Of the channel. */
    enum pw_release_outcome outcome;
    enum pw_reason reason; /* NONE, or the first that stands */
    struct pw_buf finds;   /* limit PW_RELEASE_FINDS: what pw_decision_detail tells */
};

struct pw_release_box {
    _Atomic(struct pw_release *) next; /* NULL, or to be taken; either thread's */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct pw_release *done; /* under the lock: the one that the channel is done with */
};

void pw_release_box_open(struct pw_release_box *box);
void pw_release_box_close(struct pw_release_box *box);

/* For the channel's thread, between two messages: the one to be sent, or NULL. */
struct pw_release *pw_release_take(struct pw_release_box *box);

/* It is done with; from now on it is the other thread's again. */
void pw_release_done(struct pw_release_box *box, struct pw_release *release);

/* Leave a message for the channel, whose box is empty. Wake it after this. */
void pw_release_offer(struct pw_release_box *box, struct pw_release *release);

/* Whether the channel is done with it; waits for that, but not beyond `until` (steady). */
bool pw_release_wait(struct pw_release_box *box, struct pw_release *release,
                     uint64_t until);

/*
 * True: the channel has not taken it, and never will. False: it has, and will be done with
 * it soon after release->until, or has been.
 */
bool pw_release_take_back(struct pw_release_box *box, struct pw_release *release);

#endif
