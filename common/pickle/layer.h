/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies around a pickle in a frame: a prefix, or zlib.
 */
#ifndef PW_COMMON_PICKLE_LAYER_H
#define PW_COMMON_PICKLE_LAYER_H

#include "common/base/cursor.h"
#include "common/base/reason.h"
#include "common/pickle/limits.h"

/* Unfolds containers; keeps its memory from frame to frame. NULL when out of memory. */
struct pw_layer;
struct pw_layer *pw_layer_new(void);
void pw_layer_free(struct pw_layer **layer);

/*
 * Inflate a zlib stream (RFC 1950), exactly one and nothing behind it. *out is good until
 * the next call. PW_R_NONE, PW_R_LAYER_BROKEN, PW_R_LIMIT_INFLATE (past max_bytes or
 * max_ratio), PW_R_INTERNAL_ERROR (out of memory).
 */
enum pw_reason pw_layer_inflate(struct pw_layer *layer, struct pw_span packed,
                                const struct pw_limits *limits, struct pw_span *out);

/* Pass over `count` fields that end in `separator`. PW_R_NONE or PW_R_RULE_MISMATCH. */
enum pw_reason pw_layer_skip(struct pw_span frame, uint8_t separator, uint32_t count,
                             struct pw_span *out);

#endif
