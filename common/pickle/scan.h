/* SPDX-License-Identifier: Apache-2.0
 *
 * The scanner: one pass over a frame with an abstract pickle machine. It never unpickles.
 * Its model is CPython's (Modules/_pickle.c and Lib/pickle.py, 3.6 to main): where those
 * differ, it follows everything any of them may do. README.md in this folder explains the
 * machine.
 */
#ifndef PW_COMMON_PICKLE_SCAN_H
#define PW_COMMON_PICKLE_SCAN_H

#include "common/base/err.h"
#include "common/pickle/limits.h"
#include "common/pickle/report.h"

/* A scanner with no memory yet; it grows with the frames it sees and is then reused. NULL
 * when out of memory. One thread at a time. */
struct pw_scan *pw_scan_new(void);
void pw_scan_free(struct pw_scan **scan);

/*
 * Scan `frame` (borrowed until the next call) and fill `out`. PW_E_NOMEM is the only error
 * and leaves `out` at kind BROKEN with what was seen so far: treat the frame as refused.
 */
PW_CHECK_RESULT enum pw_err pw_scan_frame(struct pw_scan *scan, struct pw_span frame,
                                          const struct pw_limits *limits,
                                          struct pw_report *out);

/*
 * Scan a pickle that stands in a constant of `outer`, by the same limits, with a scanner
 * that the outer one owns. `out` is good until the next call for the same report, or the
 * next scan. PW_E_LIMIT: pickles in pickles, PW_SCAN_NESTING deep; nothing was scanned.
 */
PW_CHECK_RESULT enum pw_err pw_scan_nested(const struct pw_report *outer,
                                           struct pw_span bytes, struct pw_report *out);

enum { PW_SCAN_NESTING = 4 };

#endif
