/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/port_zmq_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

enum {
    BURST_BYTES = 1 << 20,
    DRAIN_STEP_MS = 2,
    BUSY_TICK_MS = 10,
    IDLE_TICK_MS = 500,
    MEMORY_TICK_MS = 50,
};

static const uint64_t ns_per_ms = 1000000;

/* 1: a whole message; 0: nothing there; -1: no memory for its next frame. */
static int
receive_frames(struct pw_port_zmq *self, struct pw_slot *slot)
{
    for (;;) {
        if (slot->count == slot->cap && !pw_slot_grow(slot)) {
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
message_in(struct pw_slot *slot)
{
    struct pw_message message = {.frames = slot->spans, .count = slot->count, .own = slot};
    for (size_t i = 0; i < slot->count; i++) {
        slot->spans[i].ptr = zmq_msg_data(&slot->msgs[i]);
        slot->spans[i].len = zmq_msg_size(&slot->msgs[i]);
        message.bytes += slot->spans[i].len;
    }
    return message;
}

/* What must be done now and then, however busy or idle the channel is. */
static void
tick(struct pw_port_zmq *self)
{
    uint64_t now = pw_clock_steady();
    if (now < self->tick_at) {
        return;
    }
    self->tick_at = now + BUSY_TICK_MS * ns_per_ms;
    pw_port_zmq_serve_zap(self);
    pw_port_zmq_read_events(self);
    pw_port_zmq_look_at_clients(self, now);
    pw_port_zmq_look_at_consumers(self, now);
    pw_port_zmq_look_at_memory(self, now);
    self->restless = pw_peers_tick(self->peers);
}

static size_t
port_receive(struct pw_port *port, struct pw_message *messages, size_t max)
{
    struct pw_port_zmq *self = pw_port_zmq_of(port);
    if (self->draining) {
        pw_port_zmq_read_events(self); /* who comes back is sent away before it says much */
        pw_port_zmq_stop_producers(self);
    }
    tick(self);
    size_t count = 0;
    for (size_t bytes = 0; count < max && bytes < BURST_BYTES; count++) {
        struct pw_slot *slot = pw_slot_take(self);
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
            self->memory.emptied = true;
            pw_slot_give(self, slot);
            return count;
        }
        if (self->memory.most > 0) {
            pw_port_zmq_note_message(self, slot);
        }
        messages[count] = message_in(slot);
        bytes += messages[count].bytes;
    }
    return count;
}

static bool
copy_frames(struct pw_slot *slot, const struct pw_span *frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if ((slot->count == slot->cap && !pw_slot_grow(slot)) ||
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
    struct pw_slot *slot = calloc(1, sizeof *slot); /* none that has half a message in it */
    if (slot == NULL) {
        return false;
    }
    if (!copy_frames(slot, frames, count)) {
        pw_slot_free(slot);
        return false;
    }
    *message = message_in(slot);
    return true;
}

void
pw_port_zmq_release(struct pw_port *port, struct pw_message *message)
{
    pw_slot_give(pw_port_zmq_of(port), message->own);
    *message = (struct pw_message){0};
}

static const char *
port_source(const struct pw_message *message)
{
    struct pw_slot *slot = message->own;
    /* ipc has an empty one. */
    const char *address = zmq_msg_gets(&slot->msgs[0], "Peer-Address");
    return address != NULL && address[0] != '\0' ? address : NULL;
}

static void
note_ready(const zmq_pollitem_t *item, unsigned bit, unsigned *ready)
{
    *ready |= (item->revents & item->events) != 0 ? bit : 0;
}

static void
read_control(struct pw_port_zmq *self)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    while (zmq_msg_recv(&msg, self->control, ZMQ_DONTWAIT) >= 0) {
    }
    zmq_msg_close(&msg);
}

/* How long to sleep at most; -1 is for ever. */
static int
longest_wait(struct pw_port_zmq *self, int timeout_ms)
{
    bool step = self->draining && self->in.count > 0 && !pw_port_zmq_stop_producers(self);
    bool duty = self->restless || self->zap != NULL || self->memory.most > 0;
    int most = step ? DRAIN_STEP_MS : duty ? IDLE_TICK_MS : -1;
    most = self->memory.most > 0 && most > MEMORY_TICK_MS ? MEMORY_TICK_MS : most;
    return most < 0 || (timeout_ms >= 0 && timeout_ms < most) ? timeout_ms : most;
}

static unsigned
port_wait(struct pw_port *port, unsigned want, int timeout_ms)
{
    struct pw_port_zmq *self = pw_port_zmq_of(port);
    timeout_ms = longest_wait(self, timeout_ms);
    short in = (want & PW_READY_IN) != 0 ? ZMQ_POLLIN : 0;
    short out = (want & PW_READY_OUT) != 0 ? ZMQ_POLLOUT : 0;
    zmq_pollitem_t items[6] = {
        {.socket = self->in.socket, .events = ZMQ_POLLIN},
        {.socket = self->out.socket, .events = ZMQ_POLLIN},
        {.socket = self->pull, .events = in},
        {.socket = self->push, .events = out},
    };
    /* A pollitem without a socket would be taken for file descriptor 0. */
    int count = 4;
    int control = -1;
    if (self->control != NULL) {
        control = count++;
        items[control] = (zmq_pollitem_t){.socket = self->control, .events = ZMQ_POLLIN};
    }
    if (self->zap != NULL) {
        items[count++] = (zmq_pollitem_t){.socket = self->zap, .events = ZMQ_POLLIN};
    }
    zmq_poll(items, count, timeout_ms);
    self->tick_at = 0;
    tick(self);
    unsigned ready = 0;
    note_ready(&items[2], PW_READY_IN, &ready);
    note_ready(&items[3], PW_READY_OUT, &ready);
    if (control >= 0) {
        note_ready(&items[control], PW_READY_CONTROL, &ready);
    }
    if ((ready & PW_READY_CONTROL) != 0) {
        read_control(self);
    }
    return ready | (self->draining && self->in.count == 0 ? PW_READY_DRAINED : 0);
}

static void
port_drain(struct pw_port *port)
{
    pw_port_zmq_begin_drain(pw_port_zmq_of(port));
}

static void
port_shut(struct pw_port *port)
{
    struct pw_port_zmq *self = pw_port_zmq_of(port);
    for (size_t i = 0; i < self->input_count; i++) {
        const struct pw_address *input = &self->inputs[i];
        /* Fails only for an endpoint that is gone already, which is what is wanted. */
        if (input->bind) {
            zmq_unbind(self->pull, input->text);
        } else {
            zmq_disconnect(self->pull, input->text);
        }
    }
}

static void
release_memory(struct pw_port_zmq *self)
{
    pw_slot_free(self->partial);
    while (self->spare != NULL) {
        struct pw_slot *next = self->spare->next;
        pw_slot_free(self->spare);
        self->spare = next;
    }
    for (size_t i = 0; i < self->input_count; i++) {
        free(self->inputs[i].text);
    }
    free(self->inputs);
    free(self->in.conns);
    free(self->out.conns);
    pw_clients_close(&self->in.clients);
    pw_clients_close(&self->out.clients);
    pw_port_zmq_close_memory(self);
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

bool
pw_port_zmq_close(struct pw_port **port, int linger_ms)
{
    if (*port == NULL) {
        return true;
    }
    struct pw_port_zmq *self = pw_port_zmq_of(*port);
    *port = NULL;
    pw_slot_free(self->partial);
    self->partial = NULL;
    close_socket(self->pull, 0);
    close_socket(self->zap, 0);
    close_socket(self->in.socket, 0);
    close_socket(self->out.socket, 0);
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

const struct pw_port_ops pw_port_zmq_ops = {
    .receive = port_receive,
    .adopt = port_adopt,
    .send = pw_port_zmq_send,
    .source = port_source,
    .release = pw_port_zmq_release,
    .wait = port_wait,
    .drain = port_drain,
    .shut = port_shut,
    .close = pw_port_zmq_close,
};
