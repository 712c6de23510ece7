/* SPDX-License-Identifier: Apache-2.0
 *
 * The terms of one channel: all that a message is judged, verified and signed by. They are
 * made whole, beside those in force, and the channel takes them over between two of its
 * messages: each message is dealt with by the terms of one generation.
 */
#ifndef PW_PROXY_TERMS_H
#define PW_PROXY_TERMS_H

#include <stdatomic.h>

#include "common/sign/foreign.h"
#include "common/sign/guard.h"
#include "common/sign/sign.h"
#include "proxy/config.h"
#include "proxy/pipeline.h"

struct pw_terms {
    struct pw_config *config; /* a share; `channel` is of it */
    const struct pw_channel *channel;
    struct pw_keyring *ring;      /* a share; NULL when there are no keys */
    struct pw_verifier *verifier; /* NULL when verify is off */
    struct pw_signer *signer;     /* NULL when nothing is signed */
    struct pw_foreign *foreign;   /* instead of both, in another program's layout */
    struct pw_pipeline *pipe;     /* policy and rules of `channel`, with these keys */
    unsigned generation;          /* 1 for the terms of the start, then one more each */
};

struct pw_terms_source {
    struct pw_config *config; /* shared */
    const struct pw_channel *channel;
    struct pw_keyring *ring;  /* shared; NULL when `keys` is not set */
    const char *const *names; /* of all channels; borrowed */
    size_t count;
    unsigned generation;
};

/* NULL with a sentence "FILE:LINE: setting: …". */
struct pw_terms *pw_terms_new(const struct pw_terms_source *source, struct pw_why *why);
void pw_terms_free(struct pw_terms **terms);

/* Where the next terms of a channel wait for its thread. */
struct pw_terms_box {
    _Atomic(struct pw_terms *) next; /* NULL, or to be taken; either thread's */
    struct pw_terms *now;            /* the channel's thread's, once it runs */
    atomic_uint generation;          /* that of `now`, for every thread */
    /* The channel's: NULL until it needs one, then the same for ever. Set before a next. */
    _Atomic(struct pw_guard *) guard;
};

/*
 * For the channel's thread, between two messages: the terms from now on, or NULL while they
 * are what they were. What was used before is gone when this returns; a signer with the
 * same key goes on counting.
 */
const struct pw_terms *pw_terms_take(struct pw_terms_box *box);

/* Leave terms for the channel. Those that it never took are freed. */
void pw_terms_leave(struct pw_terms_box *box, struct pw_terms *terms);

/* When the channel's thread does not run any more; frees what is in the box. */
void pw_terms_box_close(struct pw_terms_box *box);

/* Give a channel whose thread does not run yet its guard, which is borrowed. */
void pw_terms_guard(struct pw_terms_box *box, struct pw_guard *guard);

#endif
