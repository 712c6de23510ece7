/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two halves of the audit log share; nobody else includes it: audit.c, where
 * records come in, and writer.c, the thread that makes lines of them.
 */
#ifndef PW_COMMON_AUDIT_INSIDE_H
#define PW_COMMON_AUDIT_INSIDE_H

#include <pthread.h>

#include "common/audit/audit.h"
#include "common/audit/chain.h"
#include "common/audit/line.h"
#include "common/audit/logfile.h"
#include "common/base/clock.h"
#include "common/base/ulid.h"

struct pw_audit_lane {
    char *name; /* "" for [0] */
    struct pw_audit_form form;
    struct pw_audit_sum sum;   /* under `lock`: passes that wait for the next summary */
    struct pw_audit_sum taken; /* the writer's: of the summary it is to write */
};

/* What the writer is doing, so that producers signal only when somebody waits. */
enum pw_audit_rest {
    PW_REST_NONE, /* at work: it looks again before it waits */
    PW_REST_NAP,  /* lets a burst gather; wake it for what is urgent or much */
    PW_REST_IDLE, /* has nothing: wake it for anything */
};

struct pw_audit {
    struct pw_audit_identity identity;
    char *instance;
    char host[256];
    bool pass_each;
    bool sync_each;
    bool degrade;

    /* Held by the writer while it makes lines; taken before `lock` where both are. */
    pthread_mutex_t forms;
    struct pw_audit_lane *channels; /* [0] has no name; a record's number is one less */
    size_t channel_count;
    size_t channel_room;

    pthread_mutex_t lock; /* everything down to `counts` */
    pthread_cond_t work;
    pthread_cond_t room;
    pthread_cond_t durable;
    struct pw_audit_record *ring;
    size_t capacity; /* for records of channels */
    size_t slots;    /* of the ring: with the reserve for events of the process */
    size_t head;
    size_t count;
    size_t waiting; /* producers in need of room, or of their lines in the file */
    uint64_t filed; /* so many of the records are in the file, whole */
    enum pw_audit_rest rest;
    bool urgent;  /* a record in the ring is not to nap */
    bool summing; /* some channel's sum is not empty */
    bool sync;    /* somebody waits until it is on the disk */
    bool broken;  /* the last write or sync failed */
    bool scarce;  /* less room on the disk than space_critical */
    bool reopen;
    bool rotate;
    bool aborted;
    bool stopping;
    uint64_t lost_unsaid;           /* lost, and not yet in a line */
    uint64_t busy_since;            /* steady clock: the round under way; 0: none */
    uint64_t enqueued;              /* records ever put into the ring, */
    uint64_t settled;               /* and those of them that are on the disk */
    struct pw_logfile_options next; /* for the file, once `changed` */
    bool changed;
    struct pw_audit_counts counts;

    /* The writer's own. */
    pthread_t thread;
    struct pw_logfile file;
    struct pw_audit_target targets[PW_AUDIT_TARGETS];
    size_t target_count;
    uint64_t said_missed_at; /* steady clock */
    uint64_t said_missed;
    uint64_t missed[PW_AUDIT_TARGETS];
    struct pw_ulid ulid;
    struct pw_audit_stamp stamp;
    struct pw_chain *chain;
    uint64_t next_tick;
    bool spoke;          /* a record of this process has its line */
    uint64_t give_up_at; /* steady clock; once `stopping` */
    bool closed;         /* the log is written to its end, and sealed */
};

/* A clean pass, which a summary can stand for. */
static inline bool
pw_audit_is_plain_pass(const struct pw_audit_record *record)
{
    return record->event == PW_EVENT_FRAME && record->verdict == PW_PASS &&
           record->reason == PW_R_NONE && record->detail == NULL;
}

/* Under `lock`: the log cannot be written, nearly cannot, or hangs. */
bool pw_audit_in_trouble(const struct pw_audit *audit);

/* Under `lock`: messages go on although it is. */
static inline bool
pw_audit_gives_way(const struct pw_audit *audit)
{
    return audit->degrade && pw_audit_in_trouble(audit);
}

/* The channel of a record, or the one without a name. Under `forms` or `lock`. */
static inline struct pw_audit_lane *
pw_audit_lane_of(struct pw_audit *audit, int32_t number)
{
    bool known = number >= 0 && (size_t)number + 1 < audit->channel_count;
    return &audit->channels[known ? (size_t)number + 1 : 0];
}

/* The writer's thread, until the log is to be closed. */
void *pw_audit_write(void *audit);

#endif
