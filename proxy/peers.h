/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of the connections of a channel: counters for every thread, and audit lines
 * (event `peer`), so few a second that strangers cannot fill the log.
 */
#ifndef PW_PROXY_PEERS_H
#define PW_PROXY_PEERS_H

#include <stdatomic.h>

#include "common/audit/audit.h"

enum pw_peer_what {
    PW_PEER_CONNECTED,    /* its handshake has ended well */
    PW_PEER_DISCONNECTED, /* after that */
    PW_PEER_FAILED,       /* it left, or had to, before its handshake had ended */
    PW_PEER_REFUSED,      /* its key is not on the list */
    PW_PEER_SHED,         /* we cut it off: too many connections, or too much memory */
    PW_PEER_UNACCEPTED,   /* the system could not take a connection */
    PW_PEER_WHATS,
};

/* Of one side. Read them from any thread, each for itself. */
struct pw_peer_counts {
    atomic_uint_least64_t connections; /* now, handshakes under way included */
    atomic_uint_least64_t whats[PW_PEER_WHATS];
};

/* One event; the texts are borrowed for the call, and may be NULL. */
struct pw_peer_event {
    enum pw_peer_what what;
    bool out;            /* side */
    const char *address; /* of the peer */
    const char *key;     /* public, in Z85, or the name of a client */
    const char *why;
    uint64_t bytes; /* received from it; 0: not told */
};

enum { PW_PEER_LINES = 5 }; /* audit lines a second of each kind; the rest is counted */

/* Of one channel. Starts zeroed; nothing is told while `audit` is NULL. */
struct pw_peers {
    struct pw_audit *audit;
    int channel;                     /* its number there */
    struct pw_peer_counts counts[2]; /* in, out */
    /* From here on the channel's thread's. */
    uint64_t second; /* steady clock: begin of the second that is counted */
    unsigned lines[PW_PEER_WHATS];
    uint64_t untold[PW_PEER_WHATS];
};

/* The word of audit lines and metrics: "connected". */
const char *pw_peer_what_text(enum pw_peer_what what);

/* Count an event, and write its line unless there were too many this second. */
void pw_peers_tell(struct pw_peers *peers, const struct pw_peer_event *event);

/* Connections now. */
void pw_peers_connections(struct pw_peers *peers, bool out, size_t count);

/*
 * Write the line that counts what had none, when its second is over and the log takes it.
 * True while there is something left to say: come again within a second.
 */
bool pw_peers_tick(struct pw_peers *peers);

#endif
