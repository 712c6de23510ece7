/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of senders. The first byte says whether the sum behind the others is put right,
 * so that the fuzzer gets past it. What is read is written again as the same bytes, and
 * nothing that the file speaks of is new.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "common/sign/epochs.h"

static struct pw_replay replay; /* too large for a stack */
static uint8_t bytes[PW_EPOCHS_MAX + 64];

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
is_taken(const struct pw_sender *known, uint64_t seq)
{
    struct pw_sender *sender = NULL;
    struct pw_claim claim = {known->key_id, known->epoch, seq, 0};
    require(pw_replay_ask(&replay, &claim, &sender) == PW_REPLAY_SEEN);
    require(sender == known);
}

static void
check_sender(const struct pw_sender *known)
{
    struct pw_sender *sender = NULL;
    const struct pw_sender *latest = pw_replay_latest(&replay, known->key_id);
    require(latest != NULL && latest->epoch >= known->epoch);
    require((latest == known) == known->latest);
    is_taken(known, known->goal);
    is_taken(known, known->goal / 2);
    is_taken(known, 0);
    struct pw_claim claim = {known->key_id, known->epoch - 1, UINT64_MAX, 0};
    if (pw_replay_find(&replay, claim.key_id, claim.epoch) == NULL) {
        require(pw_replay_ask(&replay, &claim, &sender) == PW_REPLAY_EPOCH);
    }
}

static void
accept_one(struct pw_sender *sender)
{
    if (sender->top == UINT64_MAX) {
        return;
    }
    struct pw_sender *found = NULL;
    struct pw_claim claim = {sender->key_id, sender->epoch, sender->top + 1, 0};
    require(pw_replay_ask(&replay, &claim, &found) == PW_REPLAY_FRESH && found == sender);
    pw_replay_take(&replay, sender, &claim);
    is_taken(sender, claim.seq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size - 1 > sizeof bytes - PW_EPOCHS_SUM) {
        return 0;
    }
    size_t len = size - 1;
    memcpy(bytes, data + 1, len);
    if ((data[0] & 1) != 0) {
        crypto_generichash(bytes + len, PW_EPOCHS_SUM, bytes, len, NULL, 0);
        len += PW_EPOCHS_SUM;
    }
    replay = (struct pw_replay){0};
    if (!pw_epochs_parse((struct pw_span){bytes, len}, &replay)) {
        return 0;
    }
    PW_CLEANUP(pw_buf_free) struct pw_buf again = {.limit = PW_EPOCHS_MAX};
    require(pw_epochs_format(&replay, &again) == PW_E_OK);
    require(pw_span_equal(pw_buf_span(&again), (struct pw_span){bytes, len}));
    for (size_t i = 0; i < replay.count; i++) {
        check_sender(&replay.senders[i]);
        accept_one(&replay.senders[i]);
    }
    return 0;
}
