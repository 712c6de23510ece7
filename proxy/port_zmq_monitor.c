/* SPDX-License-Identifier: Apache-2.0
 *
 * What libzmq's monitors tell of the connections of either side, and how many there may be.
 */
#include "proxy/port_zmq_inside.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h> /* glibc's tcp_info ends too early */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/file.h"

enum {
    PATIENCE_SLACK_MS = 1000,
    LOOKS_MAX = 16,
    /* Bytes that the least handshake takes (https://rfc.zeromq.org/spec/23, 26): greeting,
       and READY with a socket type; or greeting, HELLO and INITIATE without metadata. */
    NULL_HANDSHAKE = 64 + 28,
    CURVE_HANDSHAKE = 64 + 202 + 259,
};

static const uint64_t ns_per_ms = 1000000;

/* A monitor event: 16 bits of event, 32 of value, then a frame with the address. */
struct event {
    uint16_t number;
    int32_t value; /* mostly a descriptor */
};

/* --- one connection ----------------------------------------------------------------- */

int
pw_conn_open(const struct pw_conn *conn)
{
    /* libzmq's thread may close the number at any moment; our own copy stays what it is. */
    int fd = fcntl(conn->fd, F_DUPFD_CLOEXEC, 0);
    struct stat facts;
    if (fd >= 0 &&
        (fstat(fd, &facts) != 0 || facts.st_ino != conn->ino || !S_ISSOCK(facts.st_mode))) {
        pw_file_close(&fd);
    }
    return fd;
}

bool
pw_conn_bytes(const struct pw_conn *conn, uint64_t *bytes)
{
    PW_CLEANUP(pw_file_close) int fd = pw_conn_open(conn);
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof *bytes) {
        return false;
    }
    *bytes = info.tcpi_bytes_received;
    return true;
}

/* The other end of a TCP connection, as text; "" of others. */
static void
name_peer(int fd, char out[static PW_CONN_PEER])
{
    struct sockaddr_storage peer = {0};
    socklen_t size = sizeof peer;
    char host[INET6_ADDRSTRLEN];
    out[0] = '\0';
    if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0) {
        return;
    }
    if (peer.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&peer;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(out, PW_CONN_PEER, "%s:%u", host, ntohs(in->sin_port));
    } else if (peer.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&peer;
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        snprintf(out, PW_CONN_PEER, "[%s]:%u", host, ntohs(in->sin6_port));
    }
}

bool
pw_conn_is_from(const struct pw_conn *conn, const char *host)
{
    const char *start = conn->peer + (conn->peer[0] == '[');
    size_t len = strlen(host);
    return strncmp(start, host, len) == 0 &&
           (start[len] == ':' || start[len] == ']' || start[len] == '\0');
}

void
pw_conn_shed(struct pw_port_zmq *self, struct pw_watch *watch, struct pw_conn *conn,
             const char *why, uint64_t bytes)
{
    PW_CLEANUP(pw_file_close) int fd = pw_conn_open(conn);
    if (fd < 0 || conn->shed) {
        return;
    }
    conn->shed = true;
    shutdown(fd, SHUT_RDWR); /* fails only when the connection is gone */
    pw_peers_tell(self->peers, &(struct pw_peer_event){.what = PW_PEER_SHED,
                                                       .out = watch->out,
                                                       .address = conn->peer,
                                                       .why = why,
                                                       .bytes = bytes});
}

/* --- all of a side ------------------------------------------------------------------ */

static struct pw_conn *
conn_find(struct pw_watch *watch, int fd)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->conns[i].fd == fd) {
            return &watch->conns[i];
        }
    }
    return NULL;
}

static struct pw_conn *
conn_add(struct pw_watch *watch, int fd)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0) {
        return NULL; /* gone already */
    }
    if (watch->count == watch->cap) {
        size_t cap = watch->cap == 0 ? 8 : watch->cap * 2;
        struct pw_conn *conns = realloc(watch->conns, cap * sizeof *conns);
        if (conns == NULL) {
            return NULL; /* it will not be asked to stop, only cut off */
        }
        watch->conns = conns;
        watch->cap = cap;
    }
    struct pw_conn *conn = &watch->conns[watch->count++];
    *conn = (struct pw_conn){.fd = fd, .ino = facts.st_ino, .since = pw_clock_steady()};
    name_peer(fd, conn->peer);
    return conn;
}

/* The others keep their order: the newest is the last. */
static void
conn_remove(struct pw_watch *watch, struct pw_conn *conn)
{
    size_t at = (size_t)(conn - watch->conns);
    watch->count--;
    memmove(conn, conn + 1, (watch->count - at) * sizeof *conn);
}

/* libzmq itself ends a handshake that takes longer. */
static bool
is_greeted(const struct pw_watch *watch, const struct pw_conn *conn)
{
    uint64_t age_ms = (pw_clock_steady() - conn->since) / ns_per_ms;
    return conn->greeted || age_ms > (uint64_t)watch->patience_ms + PATIENCE_SLACK_MS;
}

/*
 * One too many: the oldest whose handshake goes on must leave, for strangers can open
 * connections without a word, and a good peer needs only a moment. If there is none, the
 * newest.
 */
static void
make_room(struct pw_port_zmq *self, struct pw_watch *watch, struct pw_conn *newest)
{
    size_t there = 0;
    struct pw_conn *victim = newest;
    for (size_t i = 0; i < watch->count; i++) {
        struct pw_conn *conn = &watch->conns[i];
        there += !conn->shed;
        if (!is_greeted(watch, conn) && !conn->shed && conn->since < victim->since) {
            victim = conn;
        }
    }
    if (there > watch->most) {
        pw_conn_shed(self, watch, victim, "more than max_connections", 0);
    }
}

static void
conn_begins(struct pw_port_zmq *self, struct pw_watch *watch, const struct event *event)
{
    /* A number that comes back without a farewell belongs to the new connection. */
    struct pw_conn *old = conn_find(watch, event->value);
    if (old != NULL) {
        conn_remove(watch, old);
    }
    struct pw_conn *conn = conn_add(watch, event->value);
    if (conn != NULL && event->number == ZMQ_EVENT_ACCEPTED) {
        make_room(self, watch, conn);
    }
}

/* How well a connection fits a handshake that has ended. */
static int
likelihood(const struct pw_watch *watch, const struct pw_conn *conn)
{
    uint64_t bytes;
    if (!pw_conn_bytes(conn, &bytes)) {
        return 1; /* ipc, or it has left already */
    }
    return bytes >= (watch->curve ? CURVE_HANDSHAKE : NULL_HANDSHAKE) ? 2 : 0;
}

/* Newest first, and not many: each takes system calls, and strangers can be a thousand. */
struct pw_conn *
pw_conn_likely(struct pw_watch *watch, const char *host)
{
    struct pw_conn *best = NULL;
    unsigned looks = 0;
    for (size_t i = watch->count; i > 0 && looks < LOOKS_MAX; i--) {
        struct pw_conn *conn = &watch->conns[i - 1];
        if (is_greeted(watch, conn) || conn->refused ||
            (host != NULL && !pw_conn_is_from(conn, host))) {
            continue;
        }
        looks++;
        int fits = likelihood(watch, conn);
        if (fits == 2) {
            return conn;
        }
        best = best == NULL && fits > 0 ? conn : best;
    }
    return best;
}

static void
conn_greets(struct pw_port_zmq *self, struct pw_watch *watch)
{
    struct pw_conn *conn = pw_conn_likely(watch, NULL);
    if (conn != NULL) {
        conn->greeted = true;
    }
    pw_peers_tell(self->peers,
                  &(struct pw_peer_event){.what = PW_PEER_CONNECTED,
                                          .out = watch->out,
                                          .address = conn == NULL ? NULL : conn->peer});
}

/* Why a handshake has not ended well. */
static const char *
failure_of(const struct pw_watch *watch, const struct pw_conn *conn)
{
    uint64_t age_ms = (pw_clock_steady() - conn->since) / ns_per_ms;
    if (watch->failure != NULL) {
        return watch->failure;
    }
    uint64_t patience_ms = (uint64_t)watch->patience_ms;
    /* We hear of a connection somewhat later than libzmq begins to count. */
    return age_ms >= patience_ms - patience_ms / 8 ? "longer than handshake_timeout"
                                                   : "it left before the end";
}

static void
conn_ends(struct pw_port_zmq *self, struct pw_watch *watch, int fd)
{
    struct pw_conn *conn = conn_find(watch, fd);
    if (conn != NULL) {
        bool greeted = is_greeted(watch, conn);
        if (!conn->shed && !conn->refused) {
            pw_peers_tell(self->peers,
                          &(struct pw_peer_event){
                              .what = greeted ? PW_PEER_DISCONNECTED : PW_PEER_FAILED,
                              .out = watch->out,
                              .address = conn->peer,
                              .why = greeted ? NULL : failure_of(watch, conn),
                          });
        }
        conn_remove(watch, conn);
    }
    watch->failure = NULL;
}

/* --- events ------------------------------------------------------------------------- */

static bool
next_event(struct pw_port_zmq *self, struct pw_watch *watch, struct event *event)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    bool got = zmq_msg_recv(&msg, watch->socket, ZMQ_DONTWAIT) >= 6;
    if (got) {
        const char *data = zmq_msg_data(&msg);
        memcpy(&event->number, data, sizeof event->number);
        memcpy(&event->value, data + sizeof event->number, sizeof event->value);
        zmq_msg_recv(&msg, watch->socket, ZMQ_DONTWAIT);
        struct pw_span address = {zmq_msg_data(&msg), zmq_msg_size(&msg)};
        if (self->probing && pw_span_equal(address, pw_span_str(self->probe))) {
            self->probing = false;
        }
    }
    zmq_msg_close(&msg);
    return got;
}

static const char *
protocol_fault(int32_t value)
{
    switch (value) {
    case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
        return "it speaks another mechanism (one side CURVE, the other not)";
    case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
    case ZMQ_PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE:
        return "its keys do not fit ours";
    default:
        return "it does not keep to ZMTP";
    }
}

static void
heed(struct pw_port_zmq *self, struct pw_watch *watch, const struct event *event)
{
    switch (event->number) {
    case ZMQ_EVENT_ACCEPTED:
    case ZMQ_EVENT_CONNECTED:
        conn_begins(self, watch, event);
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        conn_greets(self, watch);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        watch->failure = protocol_fault(event->value);
        break;
    case ZMQ_EVENT_DISCONNECTED:
        conn_ends(self, watch, event->value);
        break;
    case ZMQ_EVENT_ACCEPT_FAILED:
        pw_peers_tell(self->peers, &(struct pw_peer_event){.what = PW_PEER_UNACCEPTED,
                                                           .out = watch->out,
                                                           .why = strerror(event->value)});
        break;
    default: /* CONNECT_RETRIED is for the drain's probe alone */
        break;
    }
}

/* Not for longer than a moment: strangers may come faster than they can be counted. */
static void
read_watch(struct pw_port_zmq *self, struct pw_watch *watch)
{
    struct event event;
    bool any = false;
    uint64_t until = pw_clock_steady() + PW_MOMENT_NS;
    while (next_event(self, watch, &event)) {
        heed(self, watch, &event);
        any = true;
        if (pw_clock_steady() >= until) {
            break; /* the poll wakes at once for the rest */
        }
    }
    if (any) {
        pw_peers_connections(self->peers, watch->out, watch->count);
    }
}

void
pw_port_zmq_read_events(struct pw_port_zmq *self)
{
    read_watch(self, &self->in);
    read_watch(self, &self->out);
}
