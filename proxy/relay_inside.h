/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the relay share; nobody else includes it.
 */
#ifndef PW_PROXY_RELAY_INSIDE_H
#define PW_PROXY_RELAY_INSIDE_H

#include "proxy/relay.h"

enum { PW_RELAY_BURST = 256 };

/* Messages in hand, oldest first; a ring. In the run a burst, in the drain a backlog. */
struct pw_queue {
    struct pw_message *ring;
    size_t cap; /* a power of two */
    size_t head;
    size_t count;
    size_t bytes;
};

/* Copies of `counts` for other threads. */
struct pw_shown {
    atomic_uint_least64_t received;
    atomic_uint_least64_t forwarded;
    atomic_uint_least64_t quarantined;
    atomic_uint_least64_t dropped;
    atomic_uint_least64_t unstored;
    atomic_uint_least64_t turned_at; /* steady clock */
    atomic_bool holds;
};

struct pw_relay {
    struct pw_relay_options options;
    struct pw_port *port;
    struct pw_queue queue;
    struct pw_message burst[PW_RELAY_BURST];
    struct pw_audit_record records[PW_RELAY_BURST];
    size_t record_count;
    uint64_t now; /* wall clock, of this burst */
    bool keeping; /* at the end: `burst` has what is stored, but not durably yet */
    size_t kept;  /* so many */
    char name[PW_STORE_ID]; /* SHA-256 of the oldest message once it was refused, or "" */
    bool refused;           /* the transport said ready, and then took or gave nothing */
    bool woken;             /* by an order, which the next wait must not sleep over */
    int store_pause_ms;
    const char *full; /* the setting that the newest refusal ran into; NULL: none */
    struct pw_relay_counts counts;
    struct pw_shown shown;
    struct pw_meter meter;
    bool timing;        /* the next judgement is measured */
    size_t judged;      /* so many of the oldest messages are, */
    size_t first;       /* and from here on stands what was decided; see judge_some */
    uint64_t signed_at; /* by `now` */
    struct pw_decision decisions[PW_RELAY_BURST];
};

/* What the operator wants now. */
enum pw_order pw_relay_order(const struct pw_relay *relay);

/* Go by the newest terms, and say so in the log: between two messages, never inside one. */
void pw_relay_take_terms(struct pw_relay *relay);

/* Hand the records over, wait for the port, and look at the clock. The port's bits. */
unsigned pw_relay_wait(struct pw_relay *relay, unsigned want, int timeout_ms);

/*
 * relay_release.c: send the message that waits in the box, when nothing else is in hand.
 * False: there was none.
 */
bool pw_relay_release(struct pw_relay *relay);

#endif
