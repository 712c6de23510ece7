/* SPDX-License-Identifier: Apache-2.0
 *
 * The newest messages that were refused, or would have been, for the status page: a ring of
 * their audit lines, and the names that most of them asked for. It gets copies of lines as
 * any other target of the log does.
 */
#ifndef PW_PROXY_RECENT_H
#define PW_PROXY_RECENT_H

#include "common/audit/audit.h"
#include "common/base/json.h"
#include "common/quarantine/store.h"

enum { PW_RECENT_LINES = 64, PW_RECENT_NAMES = 64 };

struct pw_recent;

/* About 600 KiB. NULL when out of memory. */
struct pw_recent *pw_recent_new(void);
void pw_recent_free(struct pw_recent **recent);

/* For pw_audit_target: keeps the line of a message that was no clean pass. */
bool pw_recent_send(void *recent, const struct pw_audit_copy *copy);

/* How many lines it was given so far. */
uint64_t pw_recent_seen(struct pw_recent *recent);

/*
 * An array "findings" of the lines that came behind the `after` first ones, as far as they
 * are kept, newest first: `n`, its number, and the members of the audit line (README.md
 * there) that a page needs. Where a message came from is not among them. The number of the
 * newest.
 */
uint64_t pw_recent_write(struct pw_recent *recent, uint64_t after, struct pw_json *json);

/*
 * An array "globals" of at most `most` names, the most frequent first: `mod`, `name`,
 * `count`. Of a message its first name counts. Only PW_RECENT_NAMES names are followed: a
 * new one then takes the place of the rarest and goes on counting from there (Metwally,
 * Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements, 2005), so that
 * a count may be too high, never too low.
 */
void pw_recent_write_names(struct pw_recent *recent, size_t most, struct pw_json *json);

/* What was held of a message in the ring, and where its first finding is. */
struct pw_recent_held {
    char object[PW_STORE_ID];
    bool stored;
    uint64_t bytes; /* of the object */
    uint64_t frame;
    uint64_t off;
};

/* Look a line up by the ULID of its entry; false when it is not in the ring. */
bool pw_recent_find(struct pw_recent *recent, const char *entry,
                    struct pw_recent_held *held);

#endif
