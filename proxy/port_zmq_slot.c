/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/port_zmq_inside.h"

#include <stdlib.h>

enum {
    SLOT_FRAMES = 4,         /* of a fresh slot */
    SLOT_FRAMES_KEPT = 1024, /* a slot that grew past this is not kept */
};

static void
slot_empty(struct pw_slot *slot)
{
    for (size_t i = 0; i < slot->count; i++) {
        zmq_msg_close(&slot->msgs[i]);
    }
    slot->count = 0;
}

void
pw_slot_free(struct pw_slot *slot)
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
bool
pw_slot_grow(struct pw_slot *slot)
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

struct pw_slot *
pw_slot_take(struct pw_port_zmq *self)
{
    struct pw_slot *slot = self->partial;
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

void
pw_slot_give(struct pw_port_zmq *self, struct pw_slot *slot)
{
    slot_empty(slot);
    if (slot->cap > SLOT_FRAMES_KEPT) {
        pw_slot_free(slot);
        return;
    }
    slot->next = self->spare;
    self->spare = slot;
}
