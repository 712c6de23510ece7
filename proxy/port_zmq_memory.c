/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that a peer takes and nobody sees: libzmq keeps the frames of a message until its
 * last one is there, and bounds neither their number nor their sum. README.md in this
 * folder tells how the peer is found.
 */
#include "proxy/port_zmq_inside.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"

enum {
    LOOK_MS = 100,
    HEAR_MS = 1000,
    CHATTER = 64 << 10, /* bytes between two looks: a handshake, heartbeats */
    SETTLE_MS = 500,
    LEAST = 1 << 20, /* bytes: not worth cutting off for less */
    SHORT_HEAD = 2,
    LONG_HEAD = 9,
    CURVE_EXTRA = 33,
};

static const uint64_t ns_per_ms = 1000000;

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
pw_port_zmq_open_memory(struct pw_port_zmq *self, uint64_t most)
{
    /* Open from now on: a sandbox may forbid it later. */
    self->memory = (struct pw_memory){.most = most, .statm = -1};
    if (most > 0) {
        self->memory.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    }
}

void
pw_port_zmq_close_memory(struct pw_port_zmq *self)
{
    pw_file_close(&self->memory.statm);
}

/* Resident bytes of the process (proc(5)); 0 when the system does not tell. */
static uint64_t
resident(const struct pw_memory *memory)
{
    char text[128];
    uint64_t size, pages;
    ssize_t len = pread(memory->statm, text, sizeof text - 1, 0);
    if (len <= 0) {
        return 0;
    }
    text[len] = '\0';
    if (sscanf(text, "%" SCNu64 " %" SCNu64, &size, &pages) != 2) {
        return 0;
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What a frame takes on the wire (ZMTP 3.1, and https://rfc.zeromq.org/spec/26). */
static uint64_t
wire_bytes(uint64_t size, bool curve)
{
    size += curve ? CURVE_EXTRA : 0;
    return size + (size < 256 ? SHORT_HEAD : LONG_HEAD);
}

static struct pw_conn *
conn_of(struct pw_watch *watch, int fd)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->conns[i].fd == fd) {
            return &watch->conns[i];
        }
    }
    return NULL;
}

void
pw_port_zmq_note_message(struct pw_port_zmq *self, const struct pw_slot *slot)
{
    int fd = zmq_msg_get(&slot->msgs[0], ZMQ_SRCFD);
    struct pw_conn *conn = conn_of(&self->in, fd);
    if (conn == NULL) { /* so new that we have not heard of it */
        pw_port_zmq_read_events(self);
        conn = conn_of(&self->in, fd);
    }
    for (size_t frame = 0; conn != NULL && frame < slot->count; frame++) {
        conn->taken += wire_bytes(zmq_msg_size(&slot->msgs[frame]), self->in.curve);
    }
}

/* What each connection has sent of messages that have not reached us. */
static void
weigh(struct pw_port_zmq *self)
{
    for (size_t i = 0; i < self->in.count; i++) {
        struct pw_conn *conn = &self->in.conns[i];
        uint64_t bytes;
        uint64_t before = conn->held;
        conn->held = 0;
        if (pw_conn_bytes(conn, &bytes)) {
            conn->taken = least(conn->taken, bytes); /* a number is used again */
            conn->held = bytes - conn->taken;
        }
        conn->grows = conn->held > before;
    }
}

/* Who holds most; NULL when nobody holds `threshold`, or, of those that grow, does. */
static struct pw_conn *
worst_of(struct pw_watch *watch, uint64_t threshold, bool growing)
{
    struct pw_conn *worst = NULL;
    for (size_t i = 0; i < watch->count; i++) {
        struct pw_conn *conn = &watch->conns[i];
        if (!conn->shed && conn->held >= threshold && (conn->grows || !growing)) {
            threshold = conn->held;
            worst = conn;
        }
    }
    return worst;
}

/* Whose bytes cannot be counted (ipc) goes when he has ended nothing meanwhile. */
static size_t
shed_uncounted(struct pw_port_zmq *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->in.count; i++) {
        struct pw_conn *conn = &self->in.conns[i];
        uint64_t bytes;
        if (!conn->shed && conn->taken == 0 && !pw_conn_bytes(conn, &bytes)) {
            pw_conn_shed(self, &self->in, conn, "past max_rss, and has ended no message",
                         0);
            count++;
        }
    }
    return count;
}

static void
tell_nobody(struct pw_port_zmq *self, uint64_t bytes)
{
    if (!self->memory.told) {
        pw_log(PW_LOG_WARN,
               "memory: %" PRIu64 " MiB are in use, past max_rss, and no producer is "
               "in a message without end; lower in.hwm or max_message_bytes, or raise it",
               bytes >> 20);
    }
    self->memory.told = true;
}

/*
 * Cut off who holds most, and so on, until the excess is accounted for. While the input is
 * empty libzmq holds unfinished messages only, and no whole one goes with its connection.
 * While it is not, a queue of whole ones may be what fills the memory; it grows no more
 * when it is full, so whoever holds much and grows is no such.
 */
static void
shed(struct pw_port_zmq *self, uint64_t bytes)
{
    uint64_t most = self->memory.most;
    uint64_t excess = bytes - most / 4 * 3;
    uint64_t gained = 0;
    bool full = !self->memory.emptied;
    while (gained < excess) {
        struct pw_conn *worst = worst_of(&self->in, full ? most / 4 : LEAST, full);
        if (worst == NULL) {
            break;
        }
        gained += worst->held;
        pw_conn_shed(self, &self->in, worst, "past max_rss, in a message without end",
                     worst->held);
        worst->held = 0;
    }
    if (gained == 0 && !full && shed_uncounted(self) == 0) {
        tell_nobody(self, bytes);
    }
    self->memory.look_at = pw_clock_steady() + SETTLE_MS * ns_per_ms;
}

void
pw_port_zmq_look_at_memory(struct pw_port_zmq *self, uint64_t now)
{
    struct pw_memory *memory = &self->memory;
    if (memory->most == 0 || now < memory->look_at || self->draining) {
        return;
    }
    memory->look_at = now + LOOK_MS * ns_per_ms;
    uint64_t bytes = resident(memory);
    if (bytes > memory->most) {
        malloc_trim(0); /* what is free already is not to be blamed on anybody */
        bytes = resident(memory);
    }
    if (bytes > memory->most / 2) {
        weigh(self);
    } else {
        memory->told = false;
    }
    if (bytes > memory->most) {
        shed(self, bytes);
    }
    memory->emptied = false;
}

void
pw_port_zmq_look_at_consumers(struct pw_port_zmq *self, uint64_t now)
{
    if (now < self->hear_at) {
        return;
    }
    self->hear_at = now + HEAR_MS * ns_per_ms;
    for (size_t i = 0; i < self->out.count; i++) {
        struct pw_conn *conn = &self->out.conns[i];
        uint64_t bytes;
        if (!pw_conn_bytes(conn, &bytes)) {
            continue;
        }
        if (bytes > conn->heard + CHATTER) {
            pw_conn_shed(self, &self->out, conn, "a consumer has nothing to say", bytes);
        }
        conn->heard = bytes;
    }
}
