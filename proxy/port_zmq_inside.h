/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the port over libzmq share; nobody else includes it.
 */
#ifndef PW_PROXY_PORT_ZMQ_INSIDE_H
#define PW_PROXY_PORT_ZMQ_INSIDE_H

#include <sys/types.h>

#include <zmq.h>

#include "common/base/buf.h"
#include "proxy/port_zmq.h"

/* Room for one message; reused. */
struct pw_slot {
    struct pw_slot *next;
    zmq_msg_t *msgs;
    struct pw_span *spans;
    size_t count;
    size_t cap;
};

/* One input connection, as the monitor tells. */
struct pw_conn {
    int fd;
    ino_t ino; /* an fd number is used again, a socket's inode is not */
    bool stopped;
};

struct pw_address {
    bool bind;
    char *text; /* as ZMQ_LAST_ENDPOINT has it */
};

struct pw_port_zmq {
    struct pw_port port;
    void *ctx;
    void *pull;
    void *push;
    void *watch; /* the monitor of `pull` */
    void *control;
    struct pw_slot *spare;
    struct pw_slot *partial; /* a message whose rest found no memory yet */
    struct pw_conn *conns;
    size_t conn_count;
    size_t conn_cap;
    size_t bursts;
    bool draining;
    int hwm;           /* of `pull`; even */
    bool probing;      /* libzmq's thread has not answered yet */
    bool emptied;      /* everything was received since it has */
    unsigned probes;   /* made so far */
    char probe[64];    /* address of the last one */
    uint64_t widen_at; /* steady clock: do without an answer */
    uint64_t force_at;
    struct pw_address *inputs;
    size_t input_count;
    struct pw_buf in_names;
    struct pw_buf out_names;
};

/* Room for one message, the half received one first; NULL when out of memory. */
struct pw_slot *pw_slot_take(struct pw_port_zmq *self);

/* It is not used any more. */
void pw_slot_give(struct pw_port_zmq *self, struct pw_slot *slot);

/* Room for more frames. False when out of memory; nothing has changed then. */
bool pw_slot_grow(struct pw_slot *slot);

/* A NULL is fine. */
void pw_slot_free(struct pw_slot *slot);

/* Learn what the monitor has told since. */
void pw_port_zmq_read_events(struct pw_port_zmq *self);

/* The operations of port.h that have files of their own, or are used by others. */
bool pw_port_zmq_send(struct pw_port *port, struct pw_message *message,
                      const struct pw_edit *edit);
void pw_port_zmq_release(struct pw_port *port, struct pw_message *message);
bool pw_port_zmq_close(struct pw_port **port, int linger_ms);
extern const struct pw_port_ops pw_port_zmq_ops;

/* Ask the producers to stop, for the first time. */
void pw_port_zmq_begin_drain(struct pw_port_zmq *self);

/* Ask each producer once; true when all have been asked. Again and again, until then. */
bool pw_port_zmq_stop_producers(struct pw_port_zmq *self);

static inline struct pw_port_zmq *
pw_port_zmq_of(struct pw_port *port)
{
    return (struct pw_port_zmq *)port;
}

static inline bool
pw_port_zmq_set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

#endif
