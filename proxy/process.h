/* SPDX-License-Identifier: Apache-2.0
 *
 * What this process takes of the machine.
 */
#ifndef PW_PROXY_PROCESS_H
#define PW_PROXY_PROCESS_H

#include "proxy/metrics.h"

struct pw_process;

/*
 * Open what is read later, before a sandbox closes /proc. Without a /proc the numbers that
 * it would tell stay 0. NULL when out of memory.
 */
struct pw_process *pw_process_open(void);
void pw_process_close(struct pw_process **process);

/* From one thread at a time. */
void pw_process_read(struct pw_process *process, struct pw_metrics_process *out);

#endif
