/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/port_zmq_inside.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    ZERO_COPY_FROM = 16384, /* below, copying a frame costs less than a holder for it */
    ASK_FROM = 16384,       /* and less than asking whether it can be sent */
};

/* A frame that a shorter one borrows from, until libzmq's thread has sent that. */
struct holder {
    zmq_msg_t whole;
    atomic_bool made; /* libzmq's own ordering is hidden from thread sanitizers */
};

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
changes_make(struct changes *changes, struct pw_slot *slot, const struct pw_edit *edit)
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
changed_frame(struct changes *changes, struct pw_slot *slot, size_t index)
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
send_frames(struct pw_port_zmq *self, struct pw_slot *slot, size_t count,
            struct changes *changes)
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
takes_more(struct pw_port_zmq *self, const struct pw_slot *slot, const struct pw_edit *edit)
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
is_carrier_alone(const struct pw_slot *slot, const struct pw_edit *edit)
{
    return slot->count == 1 && edit != NULL && !edit->as_frame && !edit->drop_frame;
}

static bool
send_edited(struct pw_port_zmq *self, struct pw_slot *slot, const struct pw_edit *edit)
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

bool
pw_port_zmq_send(struct pw_port *port, struct pw_message *message,
                 const struct pw_edit *edit)
{
    struct pw_port_zmq *self = pw_port_zmq_of(port);
    struct pw_slot *slot = message->own;
    bool sent = edit == NULL && slot->count == 1
                    ? zmq_msg_send(&slot->msgs[0], self->push, ZMQ_DONTWAIT) >= 0
                    : send_edited(self, slot, edit);
    if (sent) {
        pw_port_zmq_release(port, message);
    }
    return sent;
}
