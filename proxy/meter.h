/* SPDX-License-Identifier: Apache-2.0
 *
 * What one channel counts for `/metrics`, besides the fates of its messages. The channel's
 * thread adds to plain numbers of its own and shows them once a burst; other threads read
 * what was shown.
 */
#ifndef PW_PROXY_METER_H
#define PW_PROXY_METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/reason.h"
#include "common/sign/sign.h"
#include "proxy/pipeline.h"

enum { PW_METER_SIG_STATES = PW_SIG_UNDATED + 1, PW_METER_BUCKETS = 11 };

/* A number each. SCAN has one more for what took longer than the last bound. */
enum pw_meter_slot {
    PW_METER_BYTES_IN,
    PW_METER_BYTES_OUT, /* of what was forwarded, as it came */
    PW_METER_QUEUE,     /* messages in hand; the only one that shrinks */
    PW_METER_SCANS,     /* judgements that were timed */
    PW_METER_SCAN_NS,
    PW_METER_SIG, /* by enum pw_sig_state */
    PW_METER_SCAN = PW_METER_SIG + PW_METER_SIG_STATES,
    PW_METER_REASON = PW_METER_SCAN + PW_METER_BUCKETS + 1, /* by enum pw_reason */
    PW_METER_SLOTS = PW_METER_REASON + PW_R_COUNT,
};

/* Zero-initialise. */
struct pw_meter {
    uint64_t now[PW_METER_SLOTS]; /* the channel's thread's */
    bool refused;                 /* a reason was counted since they were shown */
    atomic_uint_least64_t shown[PW_METER_SLOTS];
};

/* The upper bounds of SCAN in ns, ascending, and as a metric spells them in seconds. */
struct pw_meter_bound {
    uint64_t ns;
    const char *seconds;
};
extern const struct pw_meter_bound pw_meter_bounds[PW_METER_BUCKETS];

static inline void
pw_meter_add(struct pw_meter *meter, enum pw_meter_slot slot, uint64_t more)
{
    meter->now[slot] += more;
}

/* A judgement took so long. */
void pw_meter_scan(struct pw_meter *meter, uint64_t ns);

/*
 * This was decided about a message, and done: its signature, and each finding that the
 * decision keeps (at most PW_FINDS_MAX), or its reason when no finding stands for that.
 */
void pw_meter_decision(struct pw_meter *meter, const struct pw_decision *decision);

/* For the channel's thread, once a burst: let others see the numbers. */
void pw_meter_show(struct pw_meter *meter);

/* From any thread: what was shown last, each number for itself. */
void pw_meter_read(struct pw_meter *meter, uint64_t out[static PW_METER_SLOTS]);

#endif
