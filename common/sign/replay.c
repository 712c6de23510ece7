/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/replay.h"

#include <string.h>

/* --- one window ------------------------------------------------------------------------
 */

static uint64_t *
block_of(struct pw_window *window, uint64_t seq)
{
    return &window->blocks[seq / PW_WINDOW_BITS % PW_WINDOW_BLOCKS];
}

static uint64_t
bit_of(uint64_t seq)
{
    return UINT64_C(1) << seq % PW_WINDOW_BITS;
}

void
pw_window_start(struct pw_window *window, uint64_t top)
{
    memset(window->blocks, 0xff, sizeof window->blocks);
    window->top = top;
    *block_of(window, top) = bit_of(top) | (bit_of(top) - 1); /* nothing above it */
}

bool
pw_window_fresh(const struct pw_window *window, uint64_t seq)
{
    if (seq > window->top) {
        return true;
    }
    if (seq == 0 || window->top - seq > PW_WINDOW_SIZE) {
        return false;
    }
    uint64_t block = window->blocks[seq / PW_WINDOW_BITS % PW_WINDOW_BLOCKS];
    return (block & bit_of(seq)) == 0;
}

/* Empty the blocks between the highest number and `seq`; their bits are those of numbers
 * that have left the window. */
static void
advance(struct pw_window *window, uint64_t seq)
{
    uint64_t steps = seq / PW_WINDOW_BITS - window->top / PW_WINDOW_BITS;
    if (steps > PW_WINDOW_BLOCKS) {
        steps = PW_WINDOW_BLOCKS;
    }
    for (uint64_t step = 0; step < steps; step++) {
        *block_of(window, seq - step * PW_WINDOW_BITS) = 0;
    }
    window->top = seq;
}

void
pw_window_take(struct pw_window *window, uint64_t seq)
{
    if (seq > window->top) {
        advance(window, seq);
    }
    *block_of(window, seq) |= bit_of(seq);
}

/* --- all senders -----------------------------------------------------------------------
 */

static bool
is_key(const struct pw_sender *sender, const uint8_t key_id[static 8])
{
    return memcmp(sender->key_id, key_id, sizeof sender->key_id) == 0;
}

static bool
is_sender(const struct pw_sender *sender, const uint8_t key_id[static 8], uint64_t epoch)
{
    return sender->epoch == epoch && is_key(sender, key_id);
}

struct pw_sender *
pw_replay_find(struct pw_replay *replay, const uint8_t key_id[static 8], uint64_t epoch)
{
    if (replay->last < replay->count &&
        is_sender(&replay->senders[replay->last], key_id, epoch)) {
        return &replay->senders[replay->last];
    }
    for (size_t i = 0; i < replay->count; i++) {
        if (is_sender(&replay->senders[i], key_id, epoch)) {
            replay->last = i;
            return &replay->senders[i];
        }
    }
    return NULL;
}

struct pw_sender *
pw_replay_latest(struct pw_replay *replay, const uint8_t key_id[static 8])
{
    for (size_t i = 0; i < replay->count; i++) {
        if (replay->senders[i].latest && is_key(&replay->senders[i], key_id)) {
            return &replay->senders[i];
        }
    }
    return NULL;
}

static bool
fresh_of(const struct pw_replay *replay, const struct pw_sender *sender, uint64_t seq)
{
    if (sender->window == 0) {
        return seq > sender->top;
    }
    return pw_window_fresh(&replay->windows[sender->window - 1], seq);
}

enum pw_replay_answer
pw_replay_ask(struct pw_replay *replay, const struct pw_claim *claim,
              struct pw_sender **sender)
{
    *sender = pw_replay_find(replay, claim->key_id, claim->epoch);
    if (*sender != NULL) {
        (*sender)->used = ++replay->clock;
        return fresh_of(replay, *sender, claim->seq) ? PW_REPLAY_FRESH : PW_REPLAY_SEEN;
    }
    struct pw_sender *latest = pw_replay_latest(replay, claim->key_id);
    uint64_t least = latest != NULL ? latest->epoch : replay->floor;
    if (claim->epoch <= least) {
        *sender = latest;
        return PW_REPLAY_EPOCH;
    }
    return claim->seq > 0 ? PW_REPLAY_FRESH : PW_REPLAY_SEEN;
}

/* Whether `a` is to go before `b`. */
static bool
goes_first(const struct pw_sender *a, const struct pw_sender *b)
{
    return a->latest != b->latest ? b->latest : a->used < b->used;
}

static struct pw_sender *
forget_one(struct pw_replay *replay)
{
    struct pw_sender *victim = &replay->senders[0];
    for (size_t i = 1; i < replay->count; i++) {
        if (goes_first(&replay->senders[i], victim)) {
            victim = &replay->senders[i];
        }
    }
    if (victim->latest && victim->epoch > replay->floor) {
        replay->floor = victim->epoch;
    }
    return victim;
}

/* Whoever is added is the latest of its key, unless a later one is there. */
static void
settle_latest(struct pw_replay *replay, struct pw_sender *sender)
{
    struct pw_sender *latest = pw_replay_latest(replay, sender->key_id);
    sender->latest = latest == NULL || latest->epoch < sender->epoch;
    if (sender->latest && latest != NULL) {
        latest->latest = false;
    }
}

struct pw_sender *
pw_replay_add(struct pw_replay *replay, const uint8_t key_id[static 8], uint64_t epoch,
              uint64_t top)
{
    struct pw_sender added = {.epoch = epoch, .top = top, .noted = top};
    memcpy(added.key_id, key_id, sizeof added.key_id);
    settle_latest(replay, &added); /* first: the one it replaces may be the one to go */
    struct pw_sender *sender = replay->count < PW_REPLAY_SENDERS
                                   ? &replay->senders[replay->count++]
                                   : forget_one(replay);
    added.window = sender->window; /* of the one that went: it is started anew */
    if (added.window != 0) {
        pw_window_start(&replay->windows[added.window - 1], top);
    }
    *sender = added;
    sender->used = ++replay->clock;
    return sender;
}

/* A window for a sender without; the one that lost it forgets all but its `top`. */
static void
give_window(struct pw_replay *replay, struct pw_sender *sender)
{
    size_t index = replay->window_count;
    if (index < PW_REPLAY_WINDOWS) {
        replay->window_count++;
    } else {
        index = 0;
        for (size_t i = 1; i < PW_REPLAY_WINDOWS; i++) {
            if (goes_first(&replay->senders[replay->owners[i]],
                           &replay->senders[replay->owners[index]])) {
                index = i;
            }
        }
        replay->senders[replay->owners[index]].window = 0;
    }
    replay->owners[index] = (uint16_t)(sender - replay->senders);
    sender->window = (uint16_t)(index + 1);
    pw_window_start(&replay->windows[index], sender->top);
}

void
pw_replay_take(struct pw_replay *replay, struct pw_sender *sender,
               const struct pw_claim *claim)
{
    if (sender->window == 0) {
        give_window(replay, sender);
    }
    pw_window_take(&replay->windows[sender->window - 1], claim->seq);
    if (claim->seq > sender->top) {
        sender->top = claim->seq;
        sender->top_ns = claim->time_ns;
    }
}
