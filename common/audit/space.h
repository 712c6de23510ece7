/* SPDX-License-Identifier: Apache-2.0
 *
 * How much room a file system has left, and what that means: two marks, each a share of
 * the file system or a number of bytes. What only root may use does not count as free.
 */
#ifndef PW_COMMON_AUDIT_SPACE_H
#define PW_COMMON_AUDIT_SPACE_H

#include <stdint.h>

enum pw_space {
    PW_SPACE_UNKNOWN, /* not asked yet, or the file system does not tell */
    PW_SPACE_ENOUGH,
    PW_SPACE_LOW,
    PW_SPACE_CRITICAL,
};

/* What was found. */
struct pw_space_look {
    enum pw_space state;
    uint64_t free;  /* bytes */
    uint64_t total; /* bytes */
};

/*
 * Ask for the file system of `fd` (fstatvfs). A mark is bytes that should be free, or, when
 * it is negative, a percentage of the file system: -10 is 10%.
 */
struct pw_space_look pw_space_look(int fd, int64_t low, int64_t critical);

#endif
