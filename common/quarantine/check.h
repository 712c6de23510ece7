/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything in a quarantine looked at, and nothing changed.
 */
#ifndef PW_COMMON_QUARANTINE_CHECK_H
#define PW_COMMON_QUARANTINE_CHECK_H

#include "common/quarantine/store.h"

/* What can be wrong; README.md tells what to do about each. */
enum pw_fault {
    PW_FAULT_TORN,    /* an entry that is cut short, or none of ours */
    PW_FAULT_TWICE,   /* an entry in two states */
    PW_FAULT_MISSING, /* an entry whose object is not there */
    PW_FAULT_DAMAGED, /* an object that does not fit its sum or its name */
    PW_FAULT_NEWER,   /* an object of a later version than this program reads */
    PW_FAULT_ORPHAN,  /* an object that no entry needs */
    PW_FAULT_COUNT
};

/* "torn", …; and what it is, with the remedy. */
const char *pw_fault_text(enum pw_fault fault);
const char *pw_fault_remedy(enum pw_fault fault);

struct pw_store_check {
    uint64_t entries[PW_STORE_STATES];
    uint64_t unstored; /* of them: metadata of messages that were not kept */
    uint64_t objects;
    uint64_t bytes;   /* of them */
    uint64_t corrupt; /* files put aside in corrupt/ */
    uint64_t faults[PW_FAULT_COUNT];
};

/* Told of each fault: `path` is below the folder of the store. */
typedef void pw_store_fault(void *arg, enum pw_fault fault, const char *path);

/*
 * Read every entry, and every object with its sum. Also beside a running wall: what changes
 * meanwhile is no fault. PW_E_IO, PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_store_check(struct pw_store *store, pw_store_fault *fault,
                                           void *arg, struct pw_store_check *out,
                                           struct pw_why *why);

#endif
