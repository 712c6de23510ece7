/* SPDX-License-Identifier: Apache-2.0
 *
 * One audit record, and the line it becomes. A record is small and flat so that a burst of
 * passes is a memcpy; whatever only refusals need is in `detail`.
 */
#ifndef PW_COMMON_AUDIT_RECORD_H
#define PW_COMMON_AUDIT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/reason.h"
#include "common/policy/verdict.h"
#include "common/sign/sign.h"

enum pw_audit_event {
    PW_EVENT_FRAME,   /* a message was judged */
    PW_EVENT_SUMMARY, /* passes of one channel since the last summary */
    PW_EVENT_START,
    PW_EVENT_STOP,
    PW_EVENT_CONFIG,
    PW_EVENT_KEY,
    PW_EVENT_QUARANTINE,
    PW_EVENT_ROTATE,
    PW_EVENT_ERROR,
    PW_EVENT_PEER,       /* somebody connected, left, or was not let in */
    PW_EVENT_CHECKPOINT, /* the chain up to here is signed (chain.h) */
};

struct pw_audit_record {
    uint64_t wall_ns;
    int32_t channel; /* from pw_audit_channel; -1 for none */
    uint8_t event;   /* enum pw_audit_event */
    uint8_t verdict; /* enum pw_verdict; FRAME only */
    bool enforced;   /* false: policy said no, the channel only reports */
    bool scanned;    /* proto, ops, depth, memo mean something */
    uint8_t proto;
    uint8_t reason; /* enum pw_reason; NONE on a clean pass */
    uint8_t level;  /* enum pw_level, when a finding is graver than its reason, or an event
                       than is usual for it, or less so; or 0 */
    uint16_t frames;
    uint32_t ops; /* sums over the frames of the message; depth the greatest */
    uint32_t depth;
    uint32_t memo;
    uint32_t dur_ns; /* examined for so long; 0 when not measured */
    uint64_t bytes;
    bool hashed; /* sha256 is the message's name (common/quarantine) */
    uint8_t sha256[32];
    struct pw_sig_result sig;
    char *detail; /* malloc'd, or NULL: more JSON members without braces, "\"finds\":[…]" */
};

_Static_assert(PW_R_COUNT <= 256, "a reason must fit its byte");

/* The `level` and the `event` of its line. */
enum pw_level pw_audit_level(const struct pw_audit_record *record);
const char *pw_audit_event_text(const struct pw_audit_record *record);

/* What is the same for every line of a process. */
struct pw_audit_identity {
    const char *instance;
    const char *host;
    uint32_t pid;
};

/* A channel's names as they stand in its lines. */
struct pw_audit_names {
    const char *chan; /* NULL: no channel members */
    const char *in;
    const char *out;
};

/*
 * Append the line of `record`, with its LF, to `out`, as the first of a chain that nobody
 * signs. `seq` and `id` (ULID text) are the writer's. At most 8 KiB: a `detail` that does
 * not fit is left out and "detail_cut":true says so. PW_E_NOMEM leaves `out` as it was.
 */
PW_CHECK_RESULT enum pw_err pw_audit_line(const struct pw_audit_record *record,
                                          const struct pw_audit_identity *identity,
                                          const struct pw_audit_names *names, uint64_t seq,
                                          const char *id, struct pw_buf *out);

#endif
