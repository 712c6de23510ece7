/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/port_zmq_inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void
conn_add(struct pw_port_zmq *self, int fd)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0) {
        return; /* gone already */
    }
    if (self->conn_count == self->conn_cap) {
        size_t cap = self->conn_cap == 0 ? 8 : self->conn_cap * 2;
        struct pw_conn *conns = realloc(self->conns, cap * sizeof *conns);
        if (conns == NULL) {
            return; /* it will not be asked to stop, only cut off */
        }
        self->conns = conns;
        self->conn_cap = cap;
    }
    self->conns[self->conn_count++] = (struct pw_conn){.fd = fd, .ino = facts.st_ino};
}

static void
conn_remove(struct pw_port_zmq *self, int fd)
{
    for (size_t i = 0; i < self->conn_count; i++) {
        if (self->conns[i].fd == fd) {
            self->conns[i] = self->conns[--self->conn_count];
            return;
        }
    }
}

/* A monitor event: 16 bits of event, 32 of value, then a frame with the address. */
static bool
next_event(struct pw_port_zmq *self, uint16_t *event, int *fd)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    bool got = zmq_msg_recv(&msg, self->watch, ZMQ_DONTWAIT) >= 6;
    if (got) {
        int32_t value;
        memcpy(event, zmq_msg_data(&msg), sizeof *event);
        memcpy(&value, (const char *)zmq_msg_data(&msg) + sizeof *event, sizeof value);
        *fd = value;
        zmq_msg_recv(&msg, self->watch, ZMQ_DONTWAIT);
        struct pw_span address = {zmq_msg_data(&msg), zmq_msg_size(&msg)};
        if (self->probing && pw_span_equal(address, pw_span_str(self->probe))) {
            self->probing = false;
        }
    }
    zmq_msg_close(&msg);
    return got;
}

void
pw_port_zmq_read_events(struct pw_port_zmq *self)
{
    uint16_t event;
    int fd;
    while (next_event(self, &event, &fd)) {
        if (event == ZMQ_EVENT_CONNECT_RETRIED) {
            continue; /* its value is a time */
        }
        /* A number that comes back without a farewell belongs to the new connection. */
        conn_remove(self, fd);
        if (event != ZMQ_EVENT_DISCONNECTED) {
            conn_add(self, fd);
        }
    }
}
