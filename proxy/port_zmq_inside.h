/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the port over libzmq share; nobody else includes it.
 */
#ifndef PW_PROXY_PORT_ZMQ_INSIDE_H
#define PW_PROXY_PORT_ZMQ_INSIDE_H

#include <sys/types.h>

#include <zmq.h>

#include "common/base/buf.h"
#include "proxy/clients.h"
#include "proxy/peers.h"
#include "proxy/port_zmq.h"

/* Room for one message; reused. */
struct pw_slot {
    struct pw_slot *next;
    zmq_msg_t *msgs;
    struct pw_span *spans;
    size_t count;
    size_t cap;
};

enum { PW_CONN_PEER = 64 };

/* How long events of strangers may keep a channel from its messages, each kind at a time.
 */
enum { PW_MOMENT_NS = 1000000 };

/* One connection, as the monitor of its side tells. */
struct pw_conn {
    int fd;
    ino_t ino;    /* an fd number is used again, a socket's inode is not */
    bool stopped; /* by the drain */
    bool greeted; /* its handshake has ended well */
    bool shed;    /* we have cut it off, and said so */
    bool refused; /* its key is not on the list, which was said */
    bool leaving; /* it is asked to go, and cut off at `leave_at` */
    uint64_t leave_at;
    uint64_t since;          /* steady clock */
    bool grows;              /* `held` does, since the last look; see port_zmq_memory.c */
    uint64_t heard;          /* bytes that a consumer had sent at the last look */
    uint64_t taken;          /* bytes of its messages that have reached us */
    uint64_t held;           /* the others that it has sent */
    char peer[PW_CONN_PEER]; /* "10.0.0.7:4711", or "" */
};

/* One side: its socket's monitor, and who may connect. */
struct pw_watch {
    bool out;
    void *socket; /* of the monitor */
    bool curve;
    size_t most;           /* connections */
    int patience_ms;       /* of a handshake */
    struct pw_conn *conns; /* the oldest first */
    size_t count;
    size_t cap;
    const char *failure;        /* of the connection that ends next; NULL: not told */
    struct pw_clients *clients; /* NULL: no CURVE for those who connect to us */
};

/* What is watched when max_rss is set; see port_zmq_memory.c. */
struct pw_memory {
    uint64_t most; /* bytes; 0: any */
    int statm;     /* fd of /proc/self/statm */
    bool emptied;  /* the input was, since the last look */
    bool told;     /* that there was nobody to cut off */
    uint64_t look_at;
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
    void *zap; /* answers who may connect; NULL: not asked */
    struct pw_watch in;
    struct pw_watch out;
    struct pw_peers *peers; /* never NULL */
    struct pw_peers no_peers;
    uint64_t tick_at; /* steady clock */
    bool restless;    /* there is something to say of peers, in a second */
    uint64_t look_at; /* at the folders of clients */
    uint64_t hear_at; /* at what consumers send */
    struct pw_memory memory;
    void *control;
    struct pw_slot *spare;
    struct pw_slot *partial; /* a message whose rest found no memory yet */
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

/* ---- port_zmq_monitor.c ---- */

/* Learn what the monitors have told since, for a moment at most. */
void pw_port_zmq_read_events(struct pw_port_zmq *self);

/* Our own copy of its descriptor, which libzmq cannot close and reuse; -1: it is gone. */
int pw_conn_open(const struct pw_conn *conn);

/* Bytes that it has brought in all; false when it is gone, or not TCP. */
bool pw_conn_bytes(const struct pw_conn *conn, uint64_t *bytes);

/* Whether it comes from this address: as ZAP has it, without a port, and "" for ipc. */
bool pw_conn_is_from(const struct pw_conn *conn, const char *host);

/*
 * Whose handshake has just ended, from this host (NULL: any), or NULL. libzmq 4.3 does not
 * say. It is the newest that has sent as much as a handshake takes, of the newest few; who
 * is taken for another is known at the latest when the time for handshakes is over.
 */
struct pw_conn *pw_conn_likely(struct pw_watch *watch, const char *host);

/* Cut it off at once, and tell. `bytes` that it has sent; 0: not told. */
void pw_conn_shed(struct pw_port_zmq *self, struct pw_watch *watch, struct pw_conn *conn,
                  const char *why, uint64_t bytes);

/* ---- port_zmq_curve.c ---- */

/* Read the keys of a side, and ask libzmq to ask us who may connect. With a sentence. */
PW_CHECK_RESULT enum pw_err pw_port_zmq_open_curve(struct pw_port_zmq *self,
                                                   struct pw_watch *watch,
                                                   const struct pw_side *side,
                                                   struct pw_port_zmq_fault *fault,
                                                   struct pw_why *why);

/* Set the keys for the endpoint that is bound or connected next. */
PW_CHECK_RESULT enum pw_err pw_port_zmq_use_curve(const struct pw_side *side, bool out,
                                                  bool bind, void *socket,
                                                  struct pw_why *why);

/* Answer who may connect, for a moment at most. */
void pw_port_zmq_serve_zap(struct pw_port_zmq *self);

/* Look at the folders of clients; who is no longer there loses his connections. */
void pw_port_zmq_look_at_clients(struct pw_port_zmq *self, uint64_t now);

/* ---- port_zmq_memory.c ---- */

void pw_port_zmq_open_memory(struct pw_port_zmq *self, uint64_t most);
void pw_port_zmq_close_memory(struct pw_port_zmq *self);

/* A message was received, and max_rss is set. */
void pw_port_zmq_note_message(struct pw_port_zmq *self, const struct pw_slot *slot);

/* Cut off who sends to an output, where nobody would ever read it. Once a second. */
void pw_port_zmq_look_at_consumers(struct pw_port_zmq *self, uint64_t now);

/* Look whether it is too much, and cut off whose it is. */
void pw_port_zmq_look_at_memory(struct pw_port_zmq *self, uint64_t now);

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
