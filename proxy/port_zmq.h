/* SPDX-License-Identifier: Apache-2.0
 *
 * The port over libzmq: PULL in, PUSH out.
 */
#ifndef PW_PROXY_PORT_ZMQ_H
#define PW_PROXY_PORT_ZMQ_H

#include "common/settings/settings.h"
#include "proxy/peers.h"
#include "proxy/port.h"

struct pw_port_zmq_options {
    const struct pw_side *in; /* borrowed for the call */
    const struct pw_side *out;
    int64_t max_message_bytes; /* of a frame; -1: none */
    uint64_t max_rss;          /* bytes; 0: any */
    struct pw_peers *peers; /* borrowed, as long as the port; NULL: nobody wants to know */
    void *control;          /* a ZeroMQ socket that wakes wait, borrowed; NULL: none */
};

/* Which endpoint a failure is about. */
struct pw_port_zmq_fault {
    bool out;            /* else in */
    const char *setting; /* of it: "bind"; constant */
};

/*
 * Open both sides; outputs first, so that nothing is received that could not be sent. NULL
 * with a sentence "ADDRESS: what is wrong; what would be right" in `why`, the kind of error
 * in *err and the setting in *fault. For the thread that will use it, or any other before.
 */
struct pw_port *pw_port_zmq_open(const struct pw_port_zmq_options *options,
                                 struct pw_port_zmq_fault *fault, enum pw_err *err,
                                 struct pw_why *why);

/*
 * The endpoints as they came to be (a wildcard port resolved), separated by a comma and a
 * space; good as long as the port.
 */
const char *pw_port_zmq_inputs(const struct pw_port *port);
const char *pw_port_zmq_outputs(const struct pw_port *port);

#endif
