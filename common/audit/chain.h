/* SPDX-License-Identifier: Apache-2.0
 *
 * The running chain of an audit log: what the next line says of those before it, and the
 * checkpoints that sign them. For the thread that writes the log. README.md in this folder
 * says what a chain proves.
 */
#ifndef PW_COMMON_AUDIT_CHAIN_H
#define PW_COMMON_AUDIT_CHAIN_H

#include "common/audit/chain_state.h"
#include "common/audit/line.h"

enum { PW_CHAIN_EVERY = 1024 }; /* lines that are not sealed, at most */

struct pw_chain;

struct pw_chain_options {
    const char *instance; /* the first half of the chain's id */
    const char *state;    /* folder; NULL: nothing is signed, kept or continued */
    const char *key;      /* key file, made when absent; NULL: audit.pwkey in `state` */
    const char *mirror;   /* each note is appended here; "-" is stdout; NULL: nowhere */
    const char *log;      /* what is continued; "-" is stdout */
};

/* Strings are copied. NULL with a sentence in `why`. */
struct pw_chain *pw_chain_open(const struct pw_chain_options *options, struct pw_why *why);

/* Release. Writes nothing. *chain becomes NULL; a NULL *chain is fine. */
void pw_chain_free(struct pw_chain **chain);

/* The number of the next line, and its last members; good until pw_chain_add. */
uint64_t pw_chain_next(const struct pw_chain *chain);
struct pw_audit_link pw_chain_link(struct pw_chain *chain);

/* The next line was made: `line` is without its LF. Allocates nothing. */
void pw_chain_add(struct pw_chain *chain, struct pw_span line, enum pw_audit_event event);

/* The next line must be a checkpoint: PW_CHAIN_EVERY lines are not sealed. */
bool pw_chain_is_full(const struct pw_chain *chain);

/* The oldest line that is not sealed has waited for 10 s (`now` is pw_clock_steady). */
bool pw_chain_is_late(const struct pw_chain *chain, uint64_t now);

/*
 * Nothing is there to be sealed: no line of this process, or the last one is a checkpoint;
 * or no key. What a crash left is not sealed before a `start` has told of it.
 */
bool pw_chain_is_sealed(const struct pw_chain *chain);

/* All lines have reached the log: append new notes to the mirror. */
void pw_chain_written(struct pw_chain *chain);

/*
 * The log is on the disk as far as it was written, which was all: keep the state of the
 * newest checkpoint. With `closed` nothing more will be written. An error is logged, once
 * until it works again.
 */
void pw_chain_save(struct pw_chain *chain, bool closed);

/*
 * The log begins with line `seq` of chain `id` from now on (an empty id: nobody knows), for
 * what is older is about to be removed. False when that could not be saved: keep it then.
 */
PW_CHECK_RESULT bool pw_chain_begins(struct pw_chain *chain, struct pw_span id,
                                     uint64_t seq);

/*
 * How the chain began: a JSON member "chain":{…} for the detail of the `start` event. And
 * when something is missing, the sentence for an `error` event, else NULL.
 */
const char *pw_chain_news(const struct pw_chain *chain);
const char *pw_chain_alarm(const struct pw_chain *chain);

#endif
