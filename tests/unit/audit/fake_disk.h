/* SPDX-License-Identifier: Apache-2.0
 *
 * fdatasync and fstatvfs of this program, in place of the C library's.
 */
#ifndef PW_TESTS_UNIT_AUDIT_FAKE_DISK_H
#define PW_TESTS_UNIT_AUDIT_FAKE_DISK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* While true, fdatasync fails, and every byte behind `fake_disk_kept` is zero then. */
extern atomic_bool fake_disk_fails;
extern off_t fake_disk_kept;

/* So long does fdatasync take. */
extern atomic_uint fake_disk_hangs_ms;

/* How often fdatasync worked. */
extern atomic_uint fake_disk_syncs;

/* What fstatvfs says, in MiB; fake_disk_total 0 stands for 100, all of them free. */
extern uint64_t fake_disk_total;
extern uint64_t fake_disk_free;

#endif
