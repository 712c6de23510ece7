/* SPDX-License-Identifier: Apache-2.0
 *
 * A transport in memory, and what else a relay works with, in a folder of its own.
 */
#ifndef PW_TESTS_UNIT_PROXY_FAKE_PORT_H
#define PW_TESTS_UNIT_PROXY_FAKE_PORT_H

#include "common/policy/policy.h"
#include "proxy/relay.h"

enum { MESSAGES_MAX = 1000 };

/* A script of what comes in, and how willing the output is. */
struct script {
    struct pw_port port;
    const char *in;     /* 'g' good, 'e' evil, 'l' good and large */
    size_t next;        /* of `in` */
    size_t at_once;     /* messages of a receive; 0: as many as there are */
    size_t takes;       /* messages that the output takes until the next wait for it */
    size_t takes_more;  /* and after each such wait, */
    unsigned slow_ms;   /* which takes so long */
    size_t stop_at;     /* order DRAIN when so many have been received; see `order` */
    size_t now_at_wait; /* order NOW at the n-th wait after that; 0: never */
    bool wakes;         /* order DRAIN, and tell so, at the first question for the output */
    bool woke;
    size_t waits;
    size_t disk_fails; /* waits until the disk works again; 0: it does */
    struct pw_span frames[MESSAGES_MAX];
    char sent[MESSAGES_MAX];
    size_t sent_count;
    size_t released; /* given up, but for the adopted */
    struct pw_span *adopted;
    atomic_int order;

    /* Told of each message that leaves; NULL: none may leave otherwise than it came. */
    void (*leaves)(struct script *script, const struct pw_message *message,
                   const struct pw_edit *edit);
    void *arg;
};

/* The bytes behind the letters of a script. */
struct pw_span script_frame(char letter);

struct rig {
    char folder[32];
    struct pw_policy *policy;
    struct pw_frame_rules rules;
    struct pw_pipeline_options options; /* filled in by rig_open, but for keys */
    struct pw_pipeline *pipe;
    struct pw_terms_box *terms;      /* NULL: those of the options */
    struct pw_release_box *releases; /* NULL: none */
    struct pw_audit *audit;
    struct pw_store *store;
    int channel;
};

void rig_make_folder(struct rig *rig);
void rig_remove_folder(struct rig *rig);

/* Into the folder; false when out of memory. rig_close is right after either. */
bool rig_open(struct rig *rig, enum pw_verdict on_violation);
void rig_close(struct rig *rig);

/* Run the script through a relay. False when out of memory before it could start. */
bool rig_play(struct rig *rig, struct script *script, int drain_ms,
              struct pw_relay_counts *counts);

/* play(rig), in a folder, with each allocation failing in its turn. */
void rig_fail_allocations(void (*play)(void *rig));

/* How often `words` stand in the audit log. */
size_t rig_lines_with(const struct rig *rig, const char *words);

#endif
