/* SPDX-License-Identifier: Apache-2.0
 *
 * The relay of one channel: receive, judge, send or hold back, audit; in order, on one
 * thread, without an allocation for a message that passes. README.md in this folder
 * explains the drain.
 */
#ifndef PW_PROXY_RELAY_H
#define PW_PROXY_RELAY_H

#include <stdatomic.h>

#include "common/audit/audit.h"
#include "common/quarantine/store.h"
#include "proxy/meter.h"
#include "proxy/pipeline.h"
#include "proxy/port.h"
#include "proxy/release.h"
#include "proxy/terms.h"

/* What the operator wants; it only ever grows. Wake the port's control socket after it. */
enum pw_order {
    PW_ORDER_RUN,
    PW_ORDER_DRAIN, /* take nothing new, deliver what is accepted */
    PW_ORDER_NOW,   /* stop waiting: what is not delivered goes to quarantine */
};

/* Everything is borrowed and must outlive the relay, but for the port: see pw_relay_run. */
struct pw_relay_options {
    const char *name; /* of the channel */
    const char *in;   /* endpoints, for entries of the quarantine */
    const char *out;
    struct pw_pipeline *pipe;        /* until `terms` has newer ones */
    struct pw_terms_box *terms;      /* NULL: there are none, ever */
    struct pw_release_box *releases; /* NULL: there are none */
    struct pw_audit *audit;
    int audit_channel;
    struct pw_store *store;
    uint64_t keep_ns; /* entries of the quarantine are wanted for so long; 0: for ever */
    bool measure;     /* time one judgement a burst */
    int drain_timeout_ms;
    const atomic_int *order; /* enum pw_order */
};

/* received = forwarded + quarantined + dropped + lost, once the relay has ended. */
struct pw_relay_counts {
    uint64_t received;
    uint64_t forwarded;
    uint64_t quarantined;
    uint64_t dropped;
    uint64_t unstored;    /* of the quarantined: no room, so that only metadata was kept */
    uint64_t undelivered; /* of the quarantined: passed, but the time was up */
    uint64_t lost;        /* neither delivered nor stored: the disk refused at the end */
    bool delivered; /* consumers took all that was forwarded, as far as libzmq tells */
};

struct pw_relay;

/* NULL when out of memory. */
struct pw_relay *pw_relay_new(const struct pw_relay_options *options);
void pw_relay_free(struct pw_relay **relay);

/*
 * Relay until the order is to stop, then drain and close *port, which becomes NULL.
 * PW_E_IO when a message was lost.
 */
enum pw_err pw_relay_run(struct pw_relay *relay, struct pw_port **port);

/* To be asked when pw_relay_run has returned. */
struct pw_relay_counts pw_relay_counts(const struct pw_relay *relay);

enum { PW_RELAY_IDLE_MS = 1000 }; /* a running relay waits no longer, and then turns */

/* How it is, from any thread. */
struct pw_relay_pulse {
    uint64_t turned_at; /* steady clock */
    bool holds;         /* it receives nothing, since the quarantine takes nothing */
};
struct pw_relay_pulse pw_relay_pulse(struct pw_relay *relay);

/*
 * While it runs, from any thread: what it received, forwarded, held and dropped up to its
 * last burst, each number for itself. The other members are zero.
 */
struct pw_relay_counts pw_relay_counts_now(struct pw_relay *relay);

/* The same of what else it counts; pw_meter_read reads it. The relay's. */
struct pw_meter *pw_relay_meter(struct pw_relay *relay);

#endif
