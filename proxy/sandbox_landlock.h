/* SPDX-License-Identifier: Apache-2.0
 *
 * Landlock (landlock(7)): which files this process, and every thread it makes from then on,
 * may still open, make and remove, and which ports it may connect to. Raw system calls, for
 * Debian's C library has no others; known are ABI 1 to 7, what an older kernel lacks is
 * left out.
 */
#ifndef PW_PROXY_SANDBOX_LANDLOCK_H
#define PW_PROXY_SANDBOX_LANDLOCK_H

#include <stdbool.h>

#include "common/base/err.h"

/*
 * The newest ABI that this build knows, and the oldest that is of use: with ABI 1 no file
 * may be renamed to another folder, which is how the quarantine settles what it holds.
 */
enum { PW_LANDLOCK_NEWEST = 7, PW_LANDLOCK_OLDEST = 2 };

/* What a rule permits below its folder, or of its file. */
enum pw_landlock_rights {
    PW_LANDLOCK_READ,   /* files and lists of folders */
    PW_LANDLOCK_DEVICE, /* read and write, nothing is made or removed */
    PW_LANDLOCK_SOCKET, /* unix sockets, and the files and folders beside them */
    PW_LANDLOCK_WRITE,  /* all but programs, devices, pipes and links */
};

struct pw_landlock {
    int fd; /* the rules; -1: none */
    int abi;
};

/* The ABI that the kernel offers, at most PW_LANDLOCK_NEWEST; 0: none that is of use. */
int pw_landlock_abi(void);

/*
 * Begin a set of rules for `abi`: nothing is permitted. `abstract` leaves sockets without a
 * path reachable that other processes have. False when the kernel refuses; errno says why.
 */
PW_CHECK_RESULT bool pw_landlock_begin(struct pw_landlock *rules, int abi, bool abstract);

/*
 * Permit `rights` at a path, and below it when it is a folder. A link counts as what it
 * leads to now. Paths that are not there, and pipes, are passed over: nothing to permit.
 * False when the kernel refuses; errno says why.
 */
PW_CHECK_RESULT bool pw_landlock_permit(struct pw_landlock *rules, const char *path,
                                        enum pw_landlock_rights rights);

/*
 * Permit connections over tcp to a port of any host. Nothing before ABI 4, which leaves all
 * of them open. False when the kernel refuses; errno says why.
 */
PW_CHECK_RESULT bool pw_landlock_permit_port(struct pw_landlock *rules, unsigned port);

/*
 * Put the rules in force for the calling thread and those it makes. No new privileges must
 * have been given up. False when the kernel refuses; errno says why.
 */
PW_CHECK_RESULT bool pw_landlock_enforce(struct pw_landlock *rules);

/* Release the set, in force or not. For PW_CLEANUP. */
void pw_landlock_end(struct pw_landlock *rules);

#endif
