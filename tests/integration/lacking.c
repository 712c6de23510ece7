/* SPDX-License-Identifier: Apache-2.0
 *
 * A kernel, or a container's profile, that lacks the system call whose number is $LACKING:
 * landlock_create_ruleset, for one. For LD_PRELOAD.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

long
syscall(long number, ...)
{
    long args[6];
    va_list more;
    va_start(more, number);
    for (int i = 0; i < 6; i++) {
        args[i] = va_arg(more, long);
    }
    va_end(more);
    if (number == strtol(getenv("LACKING"), NULL, 10)) {
        errno = ENOSYS;
        return -1;
    }
    long (*real)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return real(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}
