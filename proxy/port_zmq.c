/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/port_zmq.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <zmq.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/file.h"

enum {
    BURST_BYTES = 1 << 20,
    SLOT_FRAMES = 4,         /* of a fresh slot */
    SLOT_FRAMES_KEPT = 1024, /* a slot that grew past this is not kept */
    ZERO_COPY_FROM = 16384,  /* below, copying a frame costs less than a holder for it */
    ASK_FROM = 16384,        /* and less than asking whether it can be sent */
    EVENTS_EVERY = 1024,     /* bursts, when nothing else looks at the monitor */
    NAMES_LIMIT = 65536,
    DRAIN_STEP_MS = 2,
    WIDE = 65536, /* messages: more than a relay that reads at full speed falls behind */
};

/* How long a producer that never pauses may go on until it is stopped in mid-stream. */
static const uint64_t drain_patience_ns = 100 * UINT64_C(1000000);
static const uint64_t probe_patience_ns = 500 * UINT64_C(1000000);
static const uint64_t ns_per_ms = 1000000;

/* Room for one message; reused. */
struct slot {
    struct slot *next;
    zmq_msg_t *msgs;
    struct pw_span *spans;
    size_t count;
    size_t cap;
};

/* One input connection, as the monitor tells. */
struct conn {
    int fd;
    ino_t ino; /* an fd number is used again, a socket's inode is not */
    bool stopped;
};

struct address {
    bool bind;
    char *text; /* as ZMQ_LAST_ENDPOINT has it */
};

struct port_zmq {
    struct pw_port port;
    void *ctx;
    void *pull;
    void *push;
    void *watch; /* the monitor of `pull` */
    void *control;
    struct slot *spare;
    struct slot *partial; /* a message whose rest found no memory yet */
    struct conn *conns;
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
    struct address *inputs;
    size_t input_count;
    struct pw_buf in_names;
    struct pw_buf out_names;
};

static struct port_zmq *
port_of(struct pw_port *port)
{
    return (struct port_zmq *)port;
}

static bool
set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

/* --- slots -------------------------------------------------------------------------- */

static void
slot_empty(struct slot *slot)
{
    for (size_t i = 0; i < slot->count; i++) {
        zmq_msg_close(&slot->msgs[i]);
    }
    slot->count = 0;
}

static void
slot_free(struct slot *slot)
{
    if (slot == NULL) {
        return;
    }
    slot_empty(slot);
    free(slot->msgs);
    free(slot->spans);
    free(slot);
}

/* A message must be moved by libzmq: its bytes may lie inside zmq_msg_t itself. */
static bool
slot_grow(struct slot *slot)
{
    size_t cap = slot->cap == 0 ? SLOT_FRAMES : slot->cap * 2;
    zmq_msg_t *msgs = malloc(cap * sizeof *msgs);
    struct pw_span *spans = malloc(cap * sizeof *spans);
    if (msgs == NULL || spans == NULL) {
        free(msgs);
        free(spans);
        return false;
    }
    for (size_t i = 0; i < slot->count; i++) {
        zmq_msg_init(&msgs[i]);
        zmq_msg_move(&msgs[i], &slot->msgs[i]);
    }
    free(slot->msgs);
    free(slot->spans);
    slot->msgs = msgs;
    slot->spans = spans;
    slot->cap = cap;
    return true;
}

static struct slot *
slot_take(struct port_zmq *self)
{
    struct slot *slot = self->partial;
    if (slot != NULL) {
        self->partial = NULL;
        return slot;
    }
    slot = self->spare;
    if (slot == NULL) {
        return calloc(1, sizeof *slot);
    }
    self->spare = slot->next;
    return slot;
}

static void
slot_give(struct port_zmq *self, struct slot *slot)
{
    slot_empty(slot);
    if (slot->cap > SLOT_FRAMES_KEPT) {
        slot_free(slot);
        return;
    }
    slot->next = self->spare;
    self->spare = slot;
}

/* --- input connections -------------------------------------------------------------- */

static void
conn_add(struct port_zmq *self, int fd)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0) {
        return; /* gone already */
    }
    if (self->conn_count == self->conn_cap) {
        size_t cap = self->conn_cap == 0 ? 8 : self->conn_cap * 2;
        struct conn *conns = realloc(self->conns, cap * sizeof *conns);
        if (conns == NULL) {
            return; /* it will not be asked to stop, only cut off */
        }
        self->conns = conns;
        self->conn_cap = cap;
    }
    self->conns[self->conn_count++] = (struct conn){.fd = fd, .ino = facts.st_ino};
}

static void
conn_remove(struct port_zmq *self, int fd)
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
next_event(struct port_zmq *self, uint16_t *event, int *fd)
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

static void
read_events(struct port_zmq *self)
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

/*
 * Close our direction: the producer's libzmq takes that for a lost connection, writes no
 * more and closes; its kernel still delivers all that it wrote. A connection with unread
 * bytes is left alone for a while, since a producer that finds its kernel buffer full
 * holds some messages half written, and drops those.
 */
static void
conn_stop(struct conn *conn, bool force)
{
    /* libzmq's thread may close the number at any moment; our own copy stays what it is. */
    PW_CLEANUP(pw_file_close) int fd = fcntl(conn->fd, F_DUPFD_CLOEXEC, 0);
    struct stat facts;
    if (fd < 0 || fstat(fd, &facts) != 0 || facts.st_ino != conn->ino ||
        !S_ISSOCK(facts.st_mode)) {
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
name_probe(struct port_zmq *self, unsigned number)
{
    snprintf(self->probe, sizeof self->probe, "ipc://@picklewall-probe-%d-%p-%u",
             (int)getpid(), (void *)self, number);
}

/*
 * Ask libzmq's thread for a sign that it has done what we told it before: it reports when
 * an address refuses us, and nobody listens at this one.
 */
static void
probe(struct port_zmq *self, uint64_t now)
{
    name_probe(self, self->probes++);
    self->probing = true;
    self->widen_at = now + probe_patience_ns;
    zmq_connect(self->pull, self->probe); /* if it fails, the time passes instead */
}

/* Not before the last change of the mark: a connection that we leave is one that ends. */
static void
end_probes(struct port_zmq *self)
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
forget_the_ended(struct port_zmq *self, uint64_t now)
{
    zmq_pollitem_t item = {.socket = self->watch, .events = ZMQ_POLLIN};
    probe(self, now);
    while (self->probing && zmq_poll(&item, 1, (long)(probe_patience_ns / ns_per_ms)) > 0) {
        read_events(self);
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
widen(struct port_zmq *self, uint64_t now)
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
    set_int(self->pull, ZMQ_RCVHWM, self->hwm);
    probe(self, now);
    return false;
}

/* Ask each producer once; true when all have been asked. */
static bool
stop_producers(struct port_zmq *self)
{
    uint64_t now = pw_clock_steady();
    if (!widen(self, now)) {
        return false;
    }
    bool all = true;
    for (size_t i = 0; i < self->conn_count; i++) {
        if (!self->conns[i].stopped) {
            conn_stop(&self->conns[i], now >= self->force_at);
        }
        all = all && self->conns[i].stopped;
    }
    return all;
}

/* --- operations --------------------------------------------------------------------- */

/* 1: a whole message; 0: nothing there; -1: no memory for its next frame. */
static int
receive_frames(struct port_zmq *self, struct slot *slot)
{
    for (;;) {
        if (slot->count == slot->cap && !slot_grow(slot)) {
            return -1;
        }
        zmq_msg_t *msg = &slot->msgs[slot->count];
        zmq_msg_init(msg);
        if (zmq_msg_recv(msg, self->pull, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(msg);
            return slot->count == 0 ? 0 : -1;
        }
        slot->count++;
        if (!zmq_msg_more(msg)) {
            return 1;
        }
    }
}

static struct pw_message
message_in(struct slot *slot)
{
    struct pw_message message = {.frames = slot->spans, .count = slot->count, .own = slot};
    for (size_t i = 0; i < slot->count; i++) {
        slot->spans[i].ptr = zmq_msg_data(&slot->msgs[i]);
        slot->spans[i].len = zmq_msg_size(&slot->msgs[i]);
        message.bytes += slot->spans[i].len;
    }
    return message;
}

static size_t
port_receive(struct pw_port *port, struct pw_message *messages, size_t max)
{
    struct port_zmq *self = port_of(port);
    if (self->draining) {
        read_events(self); /* who comes back is sent away before it says much */
        stop_producers(self);
    } else if (++self->bursts % EVENTS_EVERY == 0) {
        read_events(self);
    }
    size_t count = 0;
    for (size_t bytes = 0; count < max && bytes < BURST_BYTES; count++) {
        struct slot *slot = slot_take(self);
        if (slot == NULL) {
            return count;
        }
        int got = receive_frames(self, slot);
        if (got < 0) {
            self->partial = slot;
            return count;
        }
        if (got == 0) {
            self->emptied = !self->probing;
            slot_give(self, slot);
            return count;
        }
        messages[count] = message_in(slot);
        bytes += messages[count].bytes;
    }
    return count;
}

static bool
copy_frames(struct slot *slot, const struct pw_span *frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if ((slot->count == slot->cap && !slot_grow(slot)) ||
            zmq_msg_init_size(&slot->msgs[i], frames[i].len) != 0) {
            return false;
        }
        slot->count++;
        if (frames[i].len > 0) {
            memcpy(zmq_msg_data(&slot->msgs[i]), frames[i].ptr, frames[i].len);
        }
    }
    return true;
}

static bool
port_adopt(struct pw_port *port, const struct pw_span *frames, size_t count,
           struct pw_message *message)
{
    (void)port;
    struct slot *slot = calloc(1, sizeof *slot); /* none that has half a message in it */
    if (slot == NULL) {
        return false;
    }
    if (!copy_frames(slot, frames, count)) {
        slot_free(slot);
        return false;
    }
    *message = message_in(slot);
    return true;
}

static void
port_release(struct pw_port *port, struct pw_message *message)
{
    slot_give(port_of(port), message->own);
    *message = (struct pw_message){0};
}

/* A frame that a shorter one borrows from, until libzmq's thread has sent that. */
struct holder {
    zmq_msg_t whole;
    atomic_bool made; /* libzmq's own ordering is hidden from thread sanitizers */
};

static const char *
port_source(const struct pw_message *message)
{
    struct slot *slot = message->own;
    /* ipc has an empty one. */
    const char *address = zmq_msg_gets(&slot->msgs[0], "Peer-Address");
    return address != NULL && address[0] != '\0' ? address : NULL;
}

static void
drop_holder(void *data, void *arg)
{
    (void)data;
    struct holder *holder = arg;
    if (atomic_load(&holder->made)) {
        zmq_msg_close(&holder->whole);
    }
    free(holder);
}

/* The bytes of `whole` that `edit` keeps; `whole` stays, and a large one is not copied. */
static bool
kept_bytes(zmq_msg_t *out, zmq_msg_t *whole, const struct pw_edit *edit)
{
    size_t keep = edit->keep;
    if (keep < ZERO_COPY_FROM) {
        if (zmq_msg_init_size(out, keep) != 0) {
            return false;
        }
        memcpy(zmq_msg_data(out), (uint8_t *)zmq_msg_data(whole) + edit->skip, keep);
        return true;
    }
    struct holder *holder = malloc(sizeof *holder);
    if (holder == NULL) {
        return false;
    }
    zmq_msg_init(&holder->whole);
    zmq_msg_copy(&holder->whole, whole);
    atomic_init(&holder->made, false);
    atomic_store(&holder->made, true);
    uint8_t *bytes = (uint8_t *)zmq_msg_data(&holder->whole) + edit->skip;
    if (zmq_msg_init_data(out, bytes, keep, drop_holder, holder) != 0) {
        drop_holder(NULL, holder);
        return false;
    }
    return true;
}

static bool
with_trailer(zmq_msg_t *out, zmq_msg_t *whole, size_t keep, const struct pw_edit *edit)
{
    if (zmq_msg_init_size(out, keep + edit->trailer.len) != 0) {
        return false;
    }
    uint8_t *bytes = zmq_msg_data(out);
    size_t before = edit->front ? edit->trailer.len : 0;
    memcpy(bytes + before, (uint8_t *)zmq_msg_data(whole) + edit->skip, keep);
    memcpy(bytes + (edit->front ? 0 : keep), edit->trailer.ptr, edit->trailer.len);
    return true;
}

/* The carrier frame as it leaves. False when out of memory. */
static bool
edited_carrier(zmq_msg_t *out, zmq_msg_t *whole, const struct pw_edit *edit)
{
    size_t keep = edit->cut ? edit->keep : zmq_msg_size(whole);
    if (!edit->as_frame && edit->trailer.len > 0) {
        return with_trailer(out, whole, keep, edit);
    }
    if (edit->cut) {
        return kept_bytes(out, whole, edit);
    }
    zmq_msg_init(out);
    return zmq_msg_copy(out, whole) == 0;
}

/* What of a message is not as it came. */
struct changes {
    const struct pw_edit *edit; /* NULL: nothing */
    zmq_msg_t carrier;
    zmq_msg_t trailer; /* when it is a frame of its own */
};

static void
changes_drop(struct changes *changes)
{
    if (changes->edit != NULL) {
        zmq_msg_close(&changes->carrier);
        zmq_msg_close(&changes->trailer);
    }
}

static bool
changes_make(struct changes *changes, struct slot *slot, const struct pw_edit *edit)
{
    *changes = (struct changes){0};
    if (edit == NULL) {
        return true;
    }
    size_t trailer_len = edit->as_frame ? edit->trailer.len : 0;
    if (zmq_msg_init_size(&changes->trailer, trailer_len) != 0) {
        return false;
    }
    if (trailer_len > 0) {
        memcpy(zmq_msg_data(&changes->trailer), edit->trailer.ptr, trailer_len);
    }
    if (!edited_carrier(&changes->carrier, &slot->msgs[edit->carrier], edit)) {
        zmq_msg_close(&changes->trailer);
        return false;
    }
    changes->edit = edit;
    return true;
}

/* The frame that leaves as number `index`. */
static zmq_msg_t *
changed_frame(struct changes *changes, struct slot *slot, size_t index)
{
    const struct pw_edit *edit = changes->edit;
    if (edit == NULL) {
        return &slot->msgs[index];
    }
    size_t place = slot->count - edit->behind - edit->drop_frame;
    if (index >= place && edit->as_frame && edit->trailer.len > 0) {
        if (index == place) {
            return &changes->trailer;
        }
        index--;
    }
    index += index >= place && edit->drop_frame;
    return index == edit->carrier ? &changes->carrier : &slot->msgs[index];
}

/*
 * Send copies (libzmq counts references, large bytes are shared): a consumer may go away
 * between two frames, and then the whole message must be there to send again.
 */
static bool
send_frames(struct port_zmq *self, struct slot *slot, size_t count, struct changes *changes)
{
    bool sent = true;
    for (size_t i = 0; i < count; i++) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        zmq_msg_copy(&part, changed_frame(changes, slot, i));
        int flags = ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0);
        if (zmq_msg_send(&part, self->push, flags) >= 0) {
            continue;
        }
        zmq_msg_close(&part);
        if (i == 0) {
            return false;
        }
        /* It is rolled back; libzmq swallows the rest of it, up to its last frame. */
        sent = false;
    }
    return sent;
}

/* Asked before a large frame is copied for its trailer, in vain. */
static bool
takes_more(struct port_zmq *self, const struct slot *slot, const struct pw_edit *edit)
{
    if (edit == NULL || zmq_msg_size(&slot->msgs[edit->carrier]) < ASK_FROM) {
        return true;
    }
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(self->push, ZMQ_EVENTS, &events, &size) == 0 &&
           (events & ZMQ_POLLOUT) != 0;
}

/* A single frame that stays one: nobody can go away in the middle of the message. */
static bool
is_carrier_alone(const struct slot *slot, const struct pw_edit *edit)
{
    return slot->count == 1 && edit != NULL && !edit->as_frame && !edit->drop_frame;
}

static bool
send_edited(struct port_zmq *self, struct slot *slot, const struct pw_edit *edit)
{
    struct changes changes;
    if (!takes_more(self, slot, edit) || !changes_make(&changes, slot, edit)) {
        return false;
    }
    if (is_carrier_alone(slot, edit)) {
        bool sent = zmq_msg_send(&changes.carrier, self->push, ZMQ_DONTWAIT) >= 0;
        changes_drop(&changes);
        return sent;
    }
    size_t count = slot->count;
    if (edit != NULL) {
        count += (edit->as_frame && edit->trailer.len > 0);
        count -= edit->drop_frame;
    }
    bool sent = send_frames(self, slot, count, &changes);
    changes_drop(&changes);
    return sent;
}

static bool
port_send(struct pw_port *port, struct pw_message *message, const struct pw_edit *edit)
{
    struct port_zmq *self = port_of(port);
    struct slot *slot = message->own;
    bool sent = edit == NULL && slot->count == 1
                    ? zmq_msg_send(&slot->msgs[0], self->push, ZMQ_DONTWAIT) >= 0
                    : send_edited(self, slot, edit);
    if (sent) {
        port_release(port, message);
    }
    return sent;
}

static void
note_ready(const zmq_pollitem_t *item, unsigned bit, unsigned *ready)
{
    *ready |= (item->revents & item->events) != 0 ? bit : 0;
}

static void
read_control(struct port_zmq *self)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    while (zmq_msg_recv(&msg, self->control, ZMQ_DONTWAIT) >= 0) {
    }
    zmq_msg_close(&msg);
}

static unsigned
port_wait(struct pw_port *port, unsigned want, int timeout_ms)
{
    struct port_zmq *self = port_of(port);
    bool step = self->draining && self->conn_count > 0 && !stop_producers(self);
    if (step && (timeout_ms < 0 || timeout_ms > DRAIN_STEP_MS)) {
        timeout_ms = DRAIN_STEP_MS;
    }
    short in = (want & PW_READY_IN) != 0 ? ZMQ_POLLIN : 0;
    short out = (want & PW_READY_OUT) != 0 ? ZMQ_POLLOUT : 0;
    zmq_pollitem_t items[] = {
        {.socket = self->watch, .events = ZMQ_POLLIN},
        {.socket = self->pull, .events = in},
        {.socket = self->push, .events = out},
        {.socket = self->control, .events = ZMQ_POLLIN},
    };
    /* A pollitem without a socket would be taken for file descriptor 0. */
    int count = self->control == NULL ? 3 : 4;
    zmq_poll(items, count, timeout_ms);
    unsigned ready = 0;
    note_ready(&items[1], PW_READY_IN, &ready);
    note_ready(&items[2], PW_READY_OUT, &ready);
    note_ready(&items[3], PW_READY_CONTROL, &ready);
    if (items[0].revents != 0) {
        read_events(self);
    }
    if ((ready & PW_READY_CONTROL) != 0) {
        read_control(self);
    }
    return ready | (self->draining && self->conn_count == 0 ? PW_READY_DRAINED : 0);
}

static void
port_drain(struct pw_port *port)
{
    struct port_zmq *self = port_of(port);
    self->draining = true;
    self->widen_at = pw_clock_steady() + probe_patience_ns;
    self->emptied = false;
    read_events(self);
    stop_producers(self);
}

static void
port_shut(struct pw_port *port)
{
    struct port_zmq *self = port_of(port);
    for (size_t i = 0; i < self->input_count; i++) {
        const struct address *input = &self->inputs[i];
        /* Fails only for an endpoint that is gone already, which is what is wanted. */
        if (input->bind) {
            zmq_unbind(self->pull, input->text);
        } else {
            zmq_disconnect(self->pull, input->text);
        }
    }
}

static void
release_memory(struct port_zmq *self)
{
    slot_free(self->partial);
    while (self->spare != NULL) {
        struct slot *next = self->spare->next;
        slot_free(self->spare);
        self->spare = next;
    }
    for (size_t i = 0; i < self->input_count; i++) {
        free(self->inputs[i].text);
    }
    free(self->inputs);
    free(self->conns);
    pw_buf_free(&self->in_names);
    pw_buf_free(&self->out_names);
    free(self);
}

static void
close_socket(void *socket, int linger_ms)
{
    if (socket != NULL) {
        zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(socket);
    }
}

static bool
port_close(struct pw_port **port, int linger_ms)
{
    if (*port == NULL) {
        return true;
    }
    struct port_zmq *self = port_of(*port);
    *port = NULL;
    slot_free(self->partial);
    self->partial = NULL;
    close_socket(self->pull, 0);
    close_socket(self->watch, 0);
    close_socket(self->push, linger_ms);
    uint64_t start = pw_clock_steady();
    if (self->ctx != NULL) {
        while (zmq_ctx_term(self->ctx) != 0 && errno == EINTR) {
        }
    }
    bool delivered = pw_clock_steady() - start < (uint64_t)linger_ms * ns_per_ms;
    release_memory(self);
    return delivered;
}

static const struct pw_port_ops ops = {
    .receive = port_receive,
    .adopt = port_adopt,
    .send = port_send,
    .source = port_source,
    .release = port_release,
    .wait = port_wait,
    .drain = port_drain,
    .shut = port_shut,
    .close = port_close,
};

/* --- opening ------------------------------------------------------------------------ */

static const struct {
    int number;
    enum pw_err err;
    const char *remedy;
} faults[] = {
    {EADDRINUSE, PW_E_BUSY, "stop the program that has it, or choose another"},
    {EADDRNOTAVAIL, PW_E_CONFIG, "choose an address of this machine, or 0.0.0.0 for all"},
    {ENODEV, PW_E_CONFIG, "choose an address or interface of this machine"},
    {EACCES, PW_E_PERM, "choose a port above 1023 or a folder that you may write"},
    {ENOENT, PW_E_CONFIG, "make the folder first"},
    {ENAMETOOLONG, PW_E_CONFIG, "choose a path of less than 108 characters"},
    {EINVAL, PW_E_CONFIG, "write tcp://ADDRESS:PORT, tcp://[IPV6]:PORT or ipc://PATH"},
    {EPROTONOSUPPORT, PW_E_CONFIG, "write tcp://ADDRESS:PORT or ipc://PATH"},
};

static enum pw_err
refused(const char *address, int number, struct pw_why *why)
{
    for (size_t i = 0; i < PW_COUNT(faults); i++) {
        if (faults[i].number == number) {
            return pw_fail(why, faults[i].err, "%s: %s; %s", address, zmq_strerror(number),
                           faults[i].remedy);
        }
    }
    return pw_fail(why, PW_E_OS, "%s: %s; see the system's log", address,
                   zmq_strerror(number));
}

/* libzmq takes a path away from the program that serves it, without a word. */
static bool
path_is_served(const char *address)
{
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    if (strncmp(address, "ipc://", 6) != 0 || address[6] == '@' ||
        strlen(address + 6) >= sizeof peer.sun_path) {
        return false;
    }
    memcpy(peer.sun_path, address + 6, strlen(address + 6) + 1);
    PW_CLEANUP(pw_file_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0;
}

static enum pw_err
note_name(struct pw_buf *names, const char *text)
{
    names->limit = NAMES_LIMIT;
    if (names->len > 0) {
        names->len--; /* the NUL */
        enum pw_err err = pw_buf_append(names, pw_span_str(", "));
        if (err != PW_E_OK) {
            return err;
        }
    }
    return pw_buf_append(names, (struct pw_span){(const uint8_t *)text, strlen(text) + 1});
}

/* tcp://1.2.3.4:5: an IPv6 socket would show it as ::ffff:1.2.3.4, if the machine has one.
 */
static bool
is_ipv4(const char *address)
{
    static const char tcp[] = "tcp://";
    size_t start = sizeof tcp - 1;
    return strncmp(address, tcp, start) == 0 &&
           address[start + strspn(address + start, "0123456789.")] == ':';
}

static enum pw_err
attach(void *socket, const struct pw_endpoint *endpoint, struct pw_buf *names,
       struct pw_why *why)
{
    if (endpoint->bind && path_is_served(endpoint->address)) {
        return refused(endpoint->address, EADDRINUSE, why);
    }
    set_int(socket, ZMQ_IPV6, !is_ipv4(endpoint->address)); /* counts for what follows */
    int rc = endpoint->bind ? zmq_bind(socket, endpoint->address)
                            : zmq_connect(socket, endpoint->address);
    if (rc != 0) {
        return refused(endpoint->address, zmq_errno(), why);
    }
    char actual[1024];
    size_t size = sizeof actual;
    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, actual, &size) != 0) {
        return refused(endpoint->address, zmq_errno(), why);
    }
    enum pw_err err = note_name(names, actual);
    return err == PW_E_OK ? err : pw_fail(why, err, "%s: out of memory", actual);
}

/* The names tell each endpoint's real address, which zmq_unbind wants. */
static enum pw_err
note_input(struct port_zmq *self, const struct pw_endpoint *endpoint, size_t from,
           struct pw_why *why)
{
    const char *names = (const char *)self->in_names.bytes;
    struct address *input = &self->inputs[self->input_count];
    input->bind = endpoint->bind;
    input->text = names == NULL ? NULL : strdup(names + (from == 0 ? 0 : from + 1));
    if (input->text == NULL) {
        return pw_fail(why, PW_E_NOMEM, "%s: out of memory", endpoint->address);
    }
    self->input_count++;
    return PW_E_OK;
}

static enum pw_err
attach_outputs(struct port_zmq *self, const struct pw_side *side,
               struct pw_port_zmq_fault *fault, struct pw_why *why)
{
    fault->out = true;
    for (size_t i = 0; i < side->count; i++) {
        fault->bind = side->endpoints[i].bind;
        enum pw_err err = attach(self->push, &side->endpoints[i], &self->out_names, why);
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

static enum pw_err
attach_inputs(struct port_zmq *self, const struct pw_side *side,
              struct pw_port_zmq_fault *fault, struct pw_why *why)
{
    fault->out = false;
    self->inputs = calloc(side->count, sizeof *self->inputs);
    if (self->inputs == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < side->count; i++) {
        fault->bind = side->endpoints[i].bind;
        size_t from = self->in_names.len;
        enum pw_err err = attach(self->pull, &side->endpoints[i], &self->in_names, why);
        err = err == PW_E_OK ? note_input(self, &side->endpoints[i], from, why) : err;
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

static bool
set_up_input(struct port_zmq *self, const struct pw_port_zmq_options *options)
{
    int64_t most = options->max_message_bytes;
    self->hwm = options->in->hwm + options->in->hwm % 2; /* see widen */
    self->pull = zmq_socket(self->ctx, ZMQ_PULL);
    return self->pull != NULL && set_int(self->pull, ZMQ_LINGER, 0) &&
           set_int(self->pull, ZMQ_RCVHWM, self->hwm) &&
           set_int(self->pull, ZMQ_RCVBUF, options->in->buffer) &&
           zmq_setsockopt(self->pull, ZMQ_MAXMSGSIZE, &most, sizeof most) == 0;
}

static bool
set_up_output(struct port_zmq *self, const struct pw_port_zmq_options *options)
{
    self->push = zmq_socket(self->ctx, ZMQ_PUSH);
    /* IMMEDIATE: what no consumer is there to take stays with us, where it can be kept. */
    return self->push != NULL && set_int(self->push, ZMQ_LINGER, 0) &&
           set_int(self->push, ZMQ_IMMEDIATE, 1) &&
           set_int(self->push, ZMQ_SNDHWM, options->out->hwm) &&
           set_int(self->push, ZMQ_SNDBUF, options->out->buffer);
}

/* Without a limit on the monitor's queue, or a storm of connections would stall libzmq. */
static bool
set_up_watch(struct port_zmq *self)
{
    int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED |
                 ZMQ_EVENT_CONNECT_RETRIED;
    self->watch = zmq_socket(self->ctx, ZMQ_PAIR);
    return self->watch != NULL && set_int(self->watch, ZMQ_RCVHWM, 0) &&
           zmq_socket_monitor(self->pull, "inproc://input", events) == 0 &&
           zmq_connect(self->watch, "inproc://input") == 0;
}

static enum pw_err
open_all(struct port_zmq *self, const struct pw_port_zmq_options *options,
         struct pw_port_zmq_fault *fault, struct pw_why *why)
{
    /* A context of its own: only ending it says that the output was delivered. */
    self->ctx = zmq_ctx_new();
    if (self->ctx == NULL || !set_up_input(self, options) || !set_up_watch(self) ||
        !set_up_output(self, options)) {
        return pw_fail(why, PW_E_OS, "sockets: %s; see `ulimit -n`",
                       zmq_strerror(zmq_errno()));
    }
    enum pw_err err = attach_outputs(self, options->out, fault, why);
    return err == PW_E_OK ? attach_inputs(self, options->in, fault, why) : err;
}

struct pw_port *
pw_port_zmq_open(const struct pw_port_zmq_options *options, struct pw_port_zmq_fault *fault,
                 enum pw_err *err, struct pw_why *why)
{
    *fault = (struct pw_port_zmq_fault){0};
    struct port_zmq *self = calloc(1, sizeof *self);
    if (self == NULL) {
        *err = pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    self->port.ops = &ops;
    self->control = options->control;
    *err = open_all(self, options, fault, why);
    struct pw_port *port = &self->port;
    if (*err != PW_E_OK) {
        port_close(&port, 0);
    }
    return port;
}

const char *
pw_port_zmq_inputs(const struct pw_port *port)
{
    return (const char *)((const struct port_zmq *)port)->in_names.bytes;
}

const char *
pw_port_zmq_outputs(const struct pw_port *port)
{
    return (const char *)((const struct port_zmq *)port)->out_names.bytes;
}
