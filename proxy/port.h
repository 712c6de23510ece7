/* SPDX-License-Identifier: Apache-2.0
 *
 * What the relay needs of a transport, and nothing else: a burst of whole messages in, a
 * message out, wait, drain. libzmq stands behind it in port_zmq.c.
 */
#ifndef PW_PROXY_PORT_H
#define PW_PROXY_PORT_H

#include <stdbool.h>

#include "common/base/cursor.h"
#include "common/base/err.h"
#include "proxy/pipeline.h"

/*
 * One received message. The frames belong to the port and stay good, over later receives
 * too, until the message is sent or released.
 */
struct pw_message {
    const struct pw_span *frames;
    size_t count;
    size_t bytes; /* of all frames */
    void *own;    /* the port's */
};

/* What pw_port_ops.wait came back for; a set of bits. */
enum pw_ready {
    PW_READY_IN = 1,  /* a message may be received */
    PW_READY_OUT = 2, /* a message may be sent */
    PW_READY_CONTROL =
        4, /* somebody woke us; what the control socket said is read and dropped */
    PW_READY_DRAINED = 8, /* after drain: no input connection is left */
};

struct pw_port;

struct pw_port_ops {
    /* Up to `max` whole messages that are here now, about 1 MiB at most; how many. */
    size_t (*receive)(struct pw_port *port, struct pw_message *messages, size_t max);

    /*
     * Make a message of copies of these frames, at least one, as if it had been received.
     * False when out of memory.
     */
    bool (*adopt)(struct pw_port *port, const struct pw_span *frames, size_t count,
                  struct pw_message *message);

    /*
     * Send one message, as it came (edit NULL) or edited. True: it is the transport's now.
     * False: the output takes nothing at the moment; the message is unchanged.
     */
    bool (*send)(struct pw_port *port, struct pw_message *message,
                 const struct pw_edit *edit);

    /*
     * Where a message came from, such as "10.0.0.7"; NULL when the transport cannot tell.
     * Good until the message is sent or released.
     */
    const char *(*source)(const struct pw_message *message);

    /* Give a message up that will not be sent. */
    void (*release)(struct pw_port *port, struct pw_message *message);

    /*
     * Wait until one of `want` (IN, OUT; the others are always included) or for timeout_ms
     * (-1: for ever). 0 when the time is up, or sooner: look again, and then wait again.
     */
    unsigned (*wait)(struct pw_port *port, unsigned want, int timeout_ms);

    /*
     * Tell every producer, present and to come, to stop sending; what they have written
     * still arrives. Go on receiving until wait says DRAINED.
     */
    void (*drain)(struct pw_port *port);

    /* Take the input away. What it has received already is still to be received. */
    void (*shut)(struct pw_port *port);

    /*
     * Close: hand what lies in the output to its peers for at most linger_ms. False when
     * the time was not enough. *port becomes NULL; a NULL *port is fine (true).
     */
    bool (*close)(struct pw_port **port, int linger_ms);
};

struct pw_port {
    const struct pw_port_ops *ops;
};

#endif
