/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the pipeline share; nobody else includes it.
 */
#ifndef PW_PROXY_PIPELINE_INSIDE_H
#define PW_PROXY_PIPELINE_INSIDE_H

#include "common/pickle/layer.h"
#include "common/pickle/scan.h"
#include "proxy/pipeline.h"

struct pw_pipeline {
    struct pw_pipeline_options options;
    struct pw_scan *scan;
    struct pw_layer *layer;
    struct pw_span *payload; /* max_frames + 1 of them: the frames without the trailer */
    uint8_t trailer[PW_TRAILER_MAX];
    struct pw_decision_find finds[PW_FINDS_MAX];
};

/* One message on its way through. */
struct pw_passage {
    struct pw_pipeline *pipe;
    const struct pw_span *frames; /* the payload */
    size_t count;
    size_t frame; /* under examination */
    size_t gap;   /* so many frames of the message, from `gap_at` on, are no payload */
    size_t gap_at;
    size_t told;                  /* findings, the overruled ones included */
    struct pw_overrule *overrule; /* NULL: none is */
    struct pw_decision *out;
};

/* A finding about the frame under examination, or about the message. */
void pw_passage_refuse(struct pw_passage *passage, enum pw_reason reason);

/* ---- pipeline_sign.c ---- */

/* Take the trailer out of the payload, and refuse what it does not vouch for. */
void pw_passage_verify(struct pw_passage *passage, uint64_t now_ns);

/* Into the batch of this wall, with the frames as they leave; the trailer comes later. */
void pw_passage_sign(struct pw_passage *passage, uint64_t now_ns);

/*
 * The two for the layouts of other programs. Opening is false when the message is refused
 * and there is no more to be done.
 */
bool pw_passage_open_foreign(struct pw_passage *passage, uint64_t now_ns);
void pw_passage_sign_foreign(struct pw_passage *passage, uint64_t now_ns);

/* Take out of the payload what vouched for it once, without asking it again. */
void pw_passage_unwrap(struct pw_passage *passage);

#endif
