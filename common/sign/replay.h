/* SPDX-License-Identifier: Apache-2.0
 *
 * What was accepted before: a window for each sender, and a memory of all senders. Plain
 * memory of fixed size without locks or files (guard.h has those); ask it only about
 * messages whose tag fits.
 */
#ifndef PW_COMMON_SIGN_REPLAY_H
#define PW_COMMON_SIGN_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/def.h"

/*
 * The sliding window of RFC 6479: a ring of 64-bit blocks, of which the one that the
 * highest number lies in is only partly used. So one block less than the ring holds can be
 * promised behind the highest number.
 */
enum {
    PW_WINDOW_BLOCKS = 128,
    PW_WINDOW_BITS = 64,
    PW_WINDOW_SIZE = (PW_WINDOW_BLOCKS - 1) * PW_WINDOW_BITS, /* 8128 */
};

struct pw_window {
    uint64_t top; /* the highest number taken; 0: none yet */
    uint64_t blocks[PW_WINDOW_BLOCKS];
};

/* A window that has seen every number up to `top`, and none above. */
void pw_window_start(struct pw_window *window, uint64_t top);

/*
 * Never taken, and not so far behind that nobody can tell. A number that is PW_WINDOW_SIZE
 * below the highest is the last that can be told. 0 is no number.
 */
bool pw_window_fresh(const struct pw_window *window, uint64_t seq);

/* Take a number that is fresh. */
void pw_window_take(struct pw_window *window, uint64_t seq);

enum {
    PW_REPLAY_SENDERS = 1024, /* pairs of key and epoch that are remembered */
    PW_REPLAY_WINDOWS = 64,   /* those of them, used last, that have a window */
};

/* One epoch of one key: a sender between its start and its end. */
struct pw_sender {
    uint8_t key_id[8];
    uint64_t epoch;
    uint64_t top;     /* the highest number taken */
    uint64_t top_ns;  /* when that message was signed; 0: not known any more */
    uint64_t used;    /* by pw_replay's own clock: who was used last */
    uint16_t window;  /* 1 + its index; 0: none, everything up to `top` counts as taken */
    bool latest;      /* no later epoch of this key is known */
    bool told_shared; /* the operator has been told that somebody shares this key */

    /* For guard.c, which keeps ahead on disk what this memory would lose in a crash. */
    uint64_t ceiling;  /* no number above it is accepted before the disk has it */
    uint64_t goal;     /* the ceiling that is being written */
    uint64_t need;     /* a number that waits for the ceiling; 0: none */
    uint64_t noted;    /* `top` when its pace was last measured, */
    uint64_t noted_ns; /* and the steady clock then */
    uint32_t block;    /* how far ahead of `top` a ceiling is set */
    bool asks;         /* the ceiling is near */
};

struct pw_replay {
    struct pw_sender senders[PW_REPLAY_SENDERS];
    size_t count;
    uint64_t floor; /* epochs up to this one are refused when their key is not known here */
    uint64_t clock;
    size_t last; /* index of the sender that was found last */
    size_t window_count;
    uint16_t owners[PW_REPLAY_WINDOWS]; /* of windows: index of the sender */
    struct pw_window windows[PW_REPLAY_WINDOWS];
};

/* All zero is a memory that remembers nobody. It is 160 KiB: do not put it on a stack. */

enum pw_replay_answer {
    PW_REPLAY_SEEN,  /* this number of this sender: taken, or too far behind to tell */
    PW_REPLAY_EPOCH, /* this sender started before one that is known of its key */
    PW_REPLAY_FRESH,
};

/* What a verified message says of itself. */
struct pw_claim {
    const uint8_t *key_id; /* 8 bytes */
    uint64_t epoch;
    uint64_t seq;
    uint64_t time_ns;
};

/* The sender that was remembered for this key and epoch; NULL when there is none. */
struct pw_sender *pw_replay_find(struct pw_replay *replay, const uint8_t key_id[static 8],
                                 uint64_t epoch);

/* The sender of this key with the latest epoch; NULL when the key is not known. */
struct pw_sender *pw_replay_latest(struct pw_replay *replay,
                                   const uint8_t key_id[static 8]);

/*
 * Is the message new? There is no epoch 0, and no number 0. `*sender` is the one it comes
 * from; or, when the answer is EPOCH, the latest of its key, if any; or NULL when the
 * answer is FRESH and the sender is new. Only the order of use changes.
 */
enum pw_replay_answer pw_replay_ask(struct pw_replay *replay, const struct pw_claim *claim,
                                    struct pw_sender **sender);

/*
 * Remember a sender whose numbers up to `top` are taken. Never fails: when there is no room
 * it forgets the one that was used longest ago among those with a later epoch of the same
 * key, which are refused for that reason alone. When there is none, among all: then `floor`
 * rises to its epoch, so that nothing of it is accepted again.
 */
struct pw_sender *pw_replay_add(struct pw_replay *replay, const uint8_t key_id[static 8],
                                uint64_t epoch, uint64_t top);

/* Take a number that pw_replay_ask called fresh of this sender. */
void pw_replay_take(struct pw_replay *replay, struct pw_sender *sender,
                    const struct pw_claim *claim);

#endif
