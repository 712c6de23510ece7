/* SPDX-License-Identifier: Apache-2.0
 *
 * The object file: numbers are big-endian.
 *
 *     0   4  magic "PWQO"
 *     4   2  version, 1
 *     6   2  zero
 *     8   4  number of frames
 *    12   8  length of each frame
 *     …      the frames
 *     …  32  SHA-256 of everything before
 */
#ifndef PW_COMMON_QUARANTINE_OBJECT_H
#define PW_COMMON_QUARANTINE_OBJECT_H

#include "common/quarantine/store.h"

enum {
    PW_OBJECT_HEAD = 12,
    PW_OBJECT_LENGTH = 8,
    PW_OBJECT_SUM = 32,
    PW_OBJECT_VERSION = 1
};

/* Bytes of the object file of these frames. */
uint64_t pw_object_size(const struct pw_span *frames, size_t count);

/*
 * Append what goes before the frames to `out`, and write what goes behind them to `sum`.
 * PW_E_NOMEM; PW_E_LIMIT when there are more frames than the format can count.
 */
PW_CHECK_RESULT enum pw_err pw_object_make(const struct pw_span *frames, size_t count,
                                           struct pw_buf *out,
                                           uint8_t sum[static PW_OBJECT_SUM]);

#endif
