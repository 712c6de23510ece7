/* SPDX-License-Identifier: Apache-2.0
 *
 * How much room a file system has left, and what that means: two marks, each a share of
 * the file system or a number of bytes. What only root may use does not count as free.
 */
#ifndef PW_COMMON_AUDIT_SPACE_H
#define PW_COMMON_AUDIT_SPACE_H

#include <stdint.h>

/* Room that should be free. Both zero: never mind. */
struct pw_space_mark {
    uint64_t bytes;
    unsigned percent; /* of the file system, when it is not 0 */
};

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

/* Ask for the file system of `fd` (fstatvfs). */
struct pw_space_look pw_space_look(int fd, const struct pw_space_mark *low,
                                   const struct pw_space_mark *critical);

#endif
