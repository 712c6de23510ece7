/* SPDX-License-Identifier: Apache-2.0
 *
 * seccomp(2), through libseccomp: which system calls this process may still make. The list
 * is sandbox_calls.def.
 */
#ifndef PW_PROXY_SANDBOX_SECCOMP_H
#define PW_PROXY_SANDBOX_SECCOMP_H

#include <stdbool.h>

/* Whether the kernel has filters. */
bool pw_seccomp_offered(void);

/*
 * Refuse what the list does not have, in all threads and for good: with EPERM, or, when
 * `kill`, with the end of the process (SIGSYS). Either is in the kernel's log. 0, or a
 * negative errno and nothing is refused.
 */
int pw_seccomp_enforce(bool kill);

#endif
