/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames in, decision out; no sockets. One pipeline serves one channel on one thread.
 */
#ifndef PW_PROXY_PIPELINE_H
#define PW_PROXY_PIPELINE_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/reason.h"
#include "common/policy/dangerous.h"
#include "common/policy/frame_rules.h"
#include "common/policy/policy.h"
#include "common/policy/verdict.h"
#include "common/sign/foreign.h"
#include "common/sign/guard.h"
#include "common/sign/sign.h"

enum pw_verify { PW_VERIFY_OFF, PW_VERIFY_OPTIONAL, PW_VERIFY_REQUIRED };
enum pw_envelope { PW_ENVELOPE_TAIL, PW_ENVELOPE_FRAME };

/* Everything is borrowed and must outlive the pipeline. */
struct pw_pipeline_options {
    const struct pw_policy *policy;
    const struct pw_frame_rules *rules;
    enum pw_verdict on_violation; /* PW_PASS reports only */
    enum pw_verify verify;
    enum pw_envelope envelope;
    bool strip; /* take a verified trailer off */
    size_t max_frames;
    struct pw_verifier *verifier; /* NULL when verify is off */
    struct pw_guard *guard;       /* NULL: whatever verifies is taken, however old */
    struct pw_signer *signer;     /* NULL when nothing is signed */
    enum pw_layout layout;        /* of another program, instead of `envelope` */
    struct pw_foreign *foreign;   /* and then instead of verifier, guard and signer; NULL
                                     when nothing is verified or signed */
};

/*
 * How a message leaves, when not as it came. Applied in this order: the carrier frame keeps
 * `keep` bytes, the frame that was a trailer is dropped, the trailer is added to the
 * carrier or as one more frame.
 */
struct pw_edit {
    bool drop_frame; /* a frame was a trailer: the one with `behind` frames behind it */
    bool cut;       /* `carrier` is shortened to `keep` bytes, those behind `skip` others */
    bool as_frame;  /* the trailer travels as a frame, with `behind` frames behind it */
    bool front;     /* the trailer goes before the bytes of `carrier`, not behind them */
    uint8_t behind; /* 0: it is the last frame */
    size_t carrier; /* index of the frame that carries the trailer, as the message came */
    size_t skip;
    size_t keep;
    struct pw_span trailer; /* empty: nothing is added */
};

enum { PW_FINDS_MAX = 16, PW_NAME_MAX = 128 };

/* A finding with its names copied (the frame may go away). */
struct pw_decision_find {
    enum pw_reason reason;
    uint16_t frame;
    uint64_t off;
    const char *op;                 /* static; NULL when no opcode is to blame */
    const struct pw_danger *danger; /* what is known of the name; NULL when nothing is */
    uint16_t mod_len; /* of the name itself; at most PW_NAME_MAX bytes are kept */
    uint16_t name_len;
    char mod[PW_NAME_MAX];
    char name[PW_NAME_MAX];
};

/* Small: what is large lies in the pipeline, until it judges the next message. */
struct pw_decision {
    enum pw_verdict verdict;
    bool enforced; /* false: `reason` would have refused it */
    bool edited;   /* `edit` means something */
    bool batched;  /* its trailer is still to come: pw_pipeline_seal */
    bool scanned;
    enum pw_reason reason; /* of the first finding; NONE on a clean pass */
    enum pw_level level;   /* the highest of all findings, by their reasons and names */
    uint8_t proto;
    uint32_t ops;
    uint32_t depth;
    uint32_t memo;
    uint64_t bytes;
    struct pw_sig_result sig;
    struct pw_edit edit;
    size_t slot; /* in the batch */
    size_t finds_total;
    size_t find_count;                    /* at most PW_FINDS_MAX */
    const struct pw_decision_find *finds; /* the pipeline's */
};

struct pw_pipeline;

/* NULL when out of memory. */
struct pw_pipeline *pw_pipeline_new(const struct pw_pipeline_options *options);
void pw_pipeline_free(struct pw_pipeline **pipe);

/* From the next message on ask this guard, which is borrowed; NULL: none. */
void pw_pipeline_guard(struct pw_pipeline *pipe, struct pw_guard *guard);

/*
 * Judge one message of `count` frames. Never fails: what cannot be examined is refused with
 * "internal.error". `now_ns` is wall time, read once a burst.
 */
void pw_pipeline_judge(struct pw_pipeline *pipe, const struct pw_span *frames, size_t count,
                       uint64_t now_ns, struct pw_decision *out);

/* The findings that an operator lets pass, by their reasons. */
struct pw_overrule {
    bool given[PW_R_COUNT]; /* these, all of which pw_may_overrule */
    bool met[PW_R_COUNT];   /* and which of them there were */
};

/*
 * Whether a finding may be overruled at all: not what could not be examined, nor what
 * cannot be signed.
 */
bool pw_may_overrule(enum pw_reason reason);

/*
 * The same for a message that was held and is let go now, by today's policy: a signature of
 * its sender is taken off as of any message, and not asked again. `overrule->met` is added
 * to. Behind a finding at which the scan ends, such as a limit, nothing was looked at.
 */
void pw_pipeline_judge_released(struct pw_pipeline *pipe, const struct pw_span *frames,
                                size_t count, uint64_t now_ns, struct pw_overrule *overrule,
                                struct pw_decision *out);

/*
 * How many messages may be judged before the first of them leaves: 1, or as many as one
 * signature covers. They are a batch: judge them all, close it, and only then seal and send
 * one after the other.
 */
size_t pw_pipeline_batch(const struct pw_pipeline *pipe);

/* The batch is complete, if there is one: make its signature. */
void pw_pipeline_close(struct pw_pipeline *pipe);

/*
 * Put the trailer of a `batched` message of the last batch into its edit. It is good until
 * the next is sealed or judged; sealing again is fine.
 */
void pw_pipeline_seal(struct pw_pipeline *pipe, struct pw_decision *decision);

/* Whether the key of the last batch may still sign. */
bool pw_pipeline_may_sign(const struct pw_pipeline *pipe, uint64_t now_ns);

/*
 * Add a `batched` message of the last batch, which has not left, to the next one: with a
 * new number, and `now_ns`. `frames` are those that were judged. Do so with all of them
 * that have not left, close, and seal.
 */
void pw_pipeline_sign_again(struct pw_pipeline *pipe, const struct pw_span *frames,
                            size_t count, uint64_t now_ns, struct pw_decision *decision);

/*
 * The members "rule":{…},"finds":[…],"finds_total":n for an audit line or quarantine entry
 * (no braces around), into `out`; behind a comma when something is there already. Errors:
 * PW_E_NOMEM, PW_E_LIMIT.
 */
PW_CHECK_RESULT enum pw_err pw_decision_detail(const struct pw_decision *decision,
                                               const struct pw_pipeline *pipe,
                                               struct pw_buf *out);

#endif
