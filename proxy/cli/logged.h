/* SPDX-License-Identifier: Apache-2.0
 *
 * A line of the audit log, as far as filters and counts need it: read where it stands, for
 * logs of millions of lines. To show a line to a person, see audit_render.h.
 */
#ifndef PW_PROXY_CLI_LOGGED_H
#define PW_PROXY_CLI_LOGGED_H

#include "common/base/json_read.h"

enum pw_logged_kind {
    PW_LOGGED_OTHER, /* start, key, checkpoint, …: no message */
    PW_LOGGED_PASS,
    PW_LOGGED_QUARANTINE,
    PW_LOGGED_DROP,
    PW_LOGGED_SUMMARY, /* `messages` clean passes */
    PW_LOGGED_KINDS,
};

/* Texts are borrowed from the line, with their escapes (pw_json_raw_text); empty when
 * absent. */
struct pw_logged {
    enum pw_logged_kind kind;
    bool reported; /* it passed only because the channel does not enforce */
    struct pw_span ts, event, level, inst, chan, src, verdict, reason;
    struct pw_span chain; /* of older logs, without one: empty */
    struct pw_span finds; /* the array, detail: the object */
    struct pw_span detail;
    uint64_t seq, pid;
    uint64_t messages; /* 1 of a frame, the sum of a summary, else 0 */
    uint64_t bytes;    /* of them */
    uint64_t lost;
};

/* False when the line is no JSON object; *out is of no use then. */
bool pw_logged_read(struct pw_span line, struct pw_logged *out);

/*
 * Nanoseconds since 1970 of RFC 3339 in UTC: "2026-11-21T23:40:00.123456Z", with or without
 * the fraction, or the day alone. False for any other text.
 */
bool pw_logged_time(struct pw_span ts, uint64_t *ns);

/* Whether two texts are the same; `text` has no escapes in it. */
static inline bool
pw_logged_is(struct pw_span raw, const char *text)
{
    return pw_span_equal(raw, pw_span_str(text));
}

#endif
