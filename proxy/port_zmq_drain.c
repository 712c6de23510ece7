/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/port_zmq_inside.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"

enum {
    WIDE = 65536, /* messages: more than a relay that reads at full speed falls behind */
};

/* How long a producer that never pauses may go on until it is stopped in mid-stream. */
static const uint64_t drain_patience_ns = 100 * UINT64_C(1000000);
static const uint64_t probe_patience_ns = 500 * UINT64_C(1000000);
static const uint64_t ns_per_ms = 1000000;

/*
 * Close our direction: the producer's libzmq takes that for a lost connection, writes no
 * more and closes; its kernel still delivers all that it wrote. A connection with unread
 * bytes is left alone for a while, since a producer that finds its kernel buffer full
 * holds some messages half written, and drops those.
 */
static void
conn_stop(struct pw_conn *conn, bool force)
{
    PW_CLEANUP(pw_file_close) int fd = pw_conn_open(conn);
    if (fd < 0) {
        return;
    }
    int unread = 0;
    if (!force && ioctl(fd, FIONREAD, &unread) == 0 && unread > 0) {
        return;
    }
    conn->stopped = true;
    shutdown(fd, SHUT_WR); /* fails only when the connection is gone */
}

static void
name_probe(struct pw_port_zmq *self, unsigned number)
{
    snprintf(self->probe, sizeof self->probe, "ipc://@picklewall-probe-%d-%p-%u",
             (int)getpid(), (void *)self, number);
}

/*
 * Ask libzmq's thread for a sign that it has done what we told it before: it reports when
 * an address refuses us, and nobody listens at this one.
 */
static void
probe(struct pw_port_zmq *self, uint64_t now)
{
    name_probe(self, self->probes++);
    self->probing = true;
    self->widen_at = now + probe_patience_ns;
    zmq_connect(self->pull, self->probe); /* if it fails, the time passes instead */
}

/* Not before the last change of the mark: a connection that we leave is one that ends. */
static void
end_probes(struct pw_port_zmq *self)
{
    self->probing = false;
    while (self->probes > 0) {
        name_probe(self, --self->probes);
        zmq_disconnect(self->pull, self->probe);
    }
}

/*
 * libzmq 4.3 tells a changed mark also to the other half of a connection that has ended,
 * and crashes when its thread has freed that already and we have not heard so. We agree to
 * an end by receiving, so: receive nothing, wait until the thread has caught up, then heed
 * what it has sent us. False when it does not answer.
 */
static bool
forget_the_ended(struct pw_port_zmq *self, uint64_t now)
{
    zmq_pollitem_t item = {.socket = self->in.socket, .events = ZMQ_POLLIN};
    probe(self, now);
    while (self->probing && zmq_poll(&item, 1, (long)(probe_patience_ns / ns_per_ms)) > 0) {
        pw_port_zmq_read_events(self);
    }
    /* There is no such endpoint; that is found out after all commands have been heeded. */
    zmq_disconnect(self->pull, "inproc://picklewall-none");
    return !self->probing;
}

/*
 * A connection that ends while its queue is full loses what the kernel still holds: libzmq
 * hears of the end and reads no more. So the queues grow first, by doubling: libzmq wakes a
 * full queue's writer each time the reader has taken a multiple of half the mark. Only when
 * the old mark is half the new one, both ends know it, and the reader has caught up since,
 * does such a multiple always lie ahead; otherwise the writer sleeps for ever.
 */
static bool
widen(struct pw_port_zmq *self, uint64_t now)
{
    if ((self->probing || !self->emptied) && now < self->widen_at) {
        return false;
    }
    if (self->hwm >= WIDE) {
        end_probes(self);
        return true;
    }
    if (!forget_the_ended(self, now)) {
        self->hwm = WIDE; /* it stays as it is: to lose a few is better than to crash */
        return true;
    }
    self->hwm *= 2;
    self->emptied = false;
    self->force_at = now + drain_patience_ns;
    pw_port_zmq_set_int(self->pull, ZMQ_RCVHWM, self->hwm);
    probe(self, now);
    return false;
}

/* Ask each producer once; true when all have been asked. */
bool
pw_port_zmq_stop_producers(struct pw_port_zmq *self)
{
    uint64_t now = pw_clock_steady();
    if (!widen(self, now)) {
        return false;
    }
    bool all = true;
    for (size_t i = 0; i < self->in.count; i++) {
        if (!self->in.conns[i].stopped) {
            conn_stop(&self->in.conns[i], now >= self->force_at);
        }
        all = all && self->in.conns[i].stopped;
    }
    return all;
}

void
pw_port_zmq_begin_drain(struct pw_port_zmq *self)
{
    self->draining = true;
    self->widen_at = pw_clock_steady() + probe_patience_ns;
    self->emptied = false;
    pw_port_zmq_read_events(self);
    pw_port_zmq_stop_producers(self);
}
