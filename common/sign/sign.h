/* SPDX-License-Identifier: Apache-2.0
 *
 * Sign and verify messages: the PWS1 trailer (README.md in this folder specifies it).
 *
 * A signer or verifier belongs to one channel and one thread; the keyring may be shared and
 * must outlive both. Nothing here allocates per message.
 */
#ifndef PW_COMMON_SIGN_SIGN_H
#define PW_COMMON_SIGN_SIGN_H

#include "common/base/cursor.h"
#include "common/base/err.h"
#include "common/base/reason.h"
#include "common/sign/keyring.h"

enum {
    PW_TRAILER_HEAD = 40,
    PW_TRAILER_MAX = 362, /* of ed25519-batch, with 256 messages */
    PW_SIGN_FRAMES_MAX = 1024,
    PW_SIGN_BATCH_MAX = 256,   /* messages under one signature */
    PW_SIGN_CHANNEL_MAX = 255, /* bytes of a channel's name */
};

/* Where a message stands as to its signature; the words of the audit line's sig.state. */
enum pw_sig_state {
    PW_SIG_NONE, /* not looked at */
    PW_SIG_OK,
    PW_SIG_MISSING,
    PW_SIG_BAD,     /* refused; `reason` says why */
    PW_SIG_UNDATED, /* fits, but tells no time and no number: a replay looks the same */
};

/* What a verification found. Fields after `reason` are set as far as the trailer was read.
 */
struct pw_sig_result {
    enum pw_sig_state state;
    enum pw_reason reason; /* PW_R_NONE when state is OK */
    uint8_t suite;
    uint8_t key_id[8];
    uint64_t epoch;
    uint64_t seq;
    uint64_t time_ns;
};

/* Toward the consumer, or back from it; a signed byte. */
enum pw_direction { PW_DIR_FORWARD = 0, PW_DIR_BACK = 1 };

struct pw_signer;

/*
 * A signer for `channel` with the key that `key_name` stands for: its `id:`, or a pattern
 * (pw_keyring_signer). `epoch` is the sender's start in ms since 1970. NULL with a sentence
 * in `why` when there is no such key, it cannot sign, not here or not at that time, or the
 * channel's name is empty or longer than PW_SIGN_CHANNEL_MAX.
 */
struct pw_signer *pw_signer_new(const struct pw_keyring *ring, const char *key_name,
                                const char *channel, enum pw_direction dir, uint64_t epoch,
                                struct pw_why *why);
void pw_signer_free(struct pw_signer **signer);

/*
 * Count on where `before` stopped (its epoch, its seq), if it has the same key; with
 * another key the signer begins its own epoch with 1.
 */
void pw_signer_continue(struct pw_signer *signer, const struct pw_signer *before);

/* Why nothing may be signed at `now_ns` any more (pw_key_usable); PW_R_NONE when it may. */
enum pw_reason pw_signer_usable(const struct pw_signer *signer, uint64_t now_ns);

/* The key that signs; the ring's. */
const struct pw_key *pw_signer_key(const struct pw_signer *signer);

/* Bytes of the trailer that pw_signer_sign makes. */
size_t pw_signer_trailer_size(const struct pw_signer *signer);

/*
 * Sign `count` frames (1 to PW_SIGN_FRAMES_MAX) as the next message of the epoch, alone; an
 * open batch stays as it is. `out` receives pw_signer_trailer_size bytes. PW_E_LIMIT, and
 * nothing is counted, when there is no frame or there are too many.
 */
PW_CHECK_RESULT enum pw_err pw_signer_sign(struct pw_signer *signer,
                                           const struct pw_span *frames, size_t count,
                                           uint64_t now_ns,
                                           uint8_t out[static PW_TRAILER_MAX]);

/*
 * The most messages that one signature of this signer covers: PW_SIGN_BATCH_MAX for
 * ed25519-batch, 1 for the other suites. The three calls below serve them all; a suite that
 * signs each message has batches of one.
 */
size_t pw_signer_batch(const struct pw_signer *signer);

/*
 * Add a message as the next of the epoch to the open batch; `slot` is its place there, 0
 * for the first. After pw_signer_close this begins a new batch, and the slots of the old
 * one are gone. PW_E_LIMIT, and nothing is counted, when there is no frame or there are too
 * many, or when the batch is full: then close it. The frames are read now and not kept. A
 * number that was given and never signed, since the signer was freed before, is a gap like
 * any.
 */
PW_CHECK_RESULT enum pw_err pw_signer_add(struct pw_signer *signer,
                                          const struct pw_span *frames, size_t count,
                                          uint64_t now_ns, size_t *slot);

/* Sign what was added; nothing happens when nothing was, or when it is closed already. */
void pw_signer_close(struct pw_signer *signer);

/*
 * Write the trailer of the message in `slot` of the closed batch, until the next
 * pw_signer_add as often as you like; how many bytes it has. 0 when the batch is open or
 * has no such slot.
 */
size_t pw_signer_trailer(const struct pw_signer *signer, size_t slot,
                         uint8_t out[static PW_TRAILER_MAX]);

struct pw_verifier;

/*
 * A verifier for `channel`. `siblings` (may be NULL, `sibling_count` of them, borrowed
 * until free, the first 8 are asked) are the other channels of this process, asked only to
 * tell "sig.channel" from "sig.bad", and for 100 messages a second at most. NULL when out
 * of memory, or when `channel` is longer than PW_SIGN_CHANNEL_MAX. With a key of
 * ed25519-batch it takes 1 MiB, where it remembers which batches it has verified, so that
 * their other messages cost hashes alone.
 */
struct pw_verifier *pw_verifier_new(const struct pw_keyring *ring, const char *channel,
                                    enum pw_direction dir, const char *const *siblings,
                                    size_t sibling_count);
void pw_verifier_free(struct pw_verifier **verifier);

/* The wall clock's time, by which keys are valid or not; at first that of pw_verifier_new.
 */
void pw_verifier_set_now(struct pw_verifier *verifier, uint64_t now_ns);

/*
 * How many bytes at the end of `frame` are a trailer: 72, 104, or for ed25519-batch 106 to
 * 362, where the magic stands that far from the end, otherwise 0. A magic before an unknown
 * suite counts too, so that it is refused as "sig.format" and does not pass for an unsigned
 * message.
 */
size_t pw_trailer_at_end(struct pw_span frame);

/*
 * Whether the end of `frame`, where no trailer was found, looks like one that was cut,
 * lengthened or made by a later version: "PWS" and a digit. Where a signature must be,
 * this tells "sig.format" from "sig.missing"; both refuse.
 */
bool pw_trailer_remains(struct pw_span frame);

/* Check `trailer` over the payload `frames` (without it). Never fails: see `out`. */
void pw_verifier_check(struct pw_verifier *verifier, const struct pw_span *frames,
                       size_t count, struct pw_span trailer, struct pw_sig_result *out);

/* "none", "ok", "ok_undated", "missing", or the reason's code behind "sig."; static. */
const char *pw_sig_state_text(const struct pw_sig_result *result);

#endif
