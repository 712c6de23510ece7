/* SPDX-License-Identifier: Apache-2.0
 *
 * What an audit log adds up to: messages by channel, reason, refused name, source and hour.
 * Senders choose names and addresses, so memory is bounded.
 */
#ifndef PW_PROXY_CLI_AUDIT_COUNTS_H
#define PW_PROXY_CLI_AUDIT_COUNTS_H

#include "common/base/buf.h"
#include "proxy/cli/logged.h"

enum {
    PW_COUNT_KEYS = 65536, /* of one kind; the rest is added up as `others` */
    PW_COUNT_TEXT = 512,   /* bytes of a key */
};

enum pw_count_by {
    PW_BY_CHANNEL,
    PW_BY_REASON,
    PW_BY_GLOBAL,
    PW_BY_SOURCE,
    PW_BY_HOUR,
    PW_BYS
};

struct pw_count {
    uint8_t *text; /* owned; what it is that is counted, of a global module:name */
    size_t len, mod_len;
    uint64_t messages; /* with pass, quarantine and drop as its parts */
    uint64_t kinds[PW_LOGGED_KINDS];
    uint64_t reported; /* of the passes, those that were violations */
    uint64_t bytes;
    uint64_t fresh; /* messages since pw_counts.fresh_ns */
    uint64_t line;  /* in which it was counted last */
};

struct pw_count_table {
    struct pw_count *rows;
    size_t count, room;
    uint32_t *slots; /* indexes + 1, open addressing */
    size_t slot_count;
    struct pw_count others;
};

/* Zero-initialise. */
struct pw_counts {
    struct pw_count_table by[PW_BYS];
    struct pw_count total;
    uint64_t lines; /* that were taken */
    uint64_t lost;  /* records that the wall itself gave up */
    uint64_t first_ns, last_ns;
    uint64_t fresh_ns; /* what is not older counts as fresh; 0: everything */

    struct pw_buf scratch;
    char second[20];    /* of the time stamp before, */
    uint64_t second_ns; /* and what it means */
};

void pw_counts_free(struct pw_counts *counts);

/* Add a line. PW_E_NOMEM; it may be half counted then. */
PW_CHECK_RESULT enum pw_err pw_counts_take(struct pw_counts *counts,
                                           const struct pw_logged *line);

/* Put the rows of one kind in order: most messages first, hours by time. Indexes into
 * `rows` go to `order`, at most `most` of them; returns how many. */
size_t pw_counts_order(const struct pw_counts *counts, enum pw_count_by by, uint32_t *order,
                       size_t most);

#endif
