/* SPDX-License-Identifier: Apache-2.0
 *
 * Make the n-th allocation fail. The linker routes malloc, calloc, realloc, str[n]dup of
 * our own objects here (--wrap); libraries that allocate inside themselves are not touched.
 *
 *     for (size_t n = 1; fail_alloc_round(n, run, state); n++) {}
 */
#ifndef PW_TESTS_UNIT_FAIL_ALLOC_H
#define PW_TESTS_UNIT_FAIL_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now on fails (1 is the next); 0 lets all succeed. */
void fail_alloc_at(size_t n);

/* Whether an allocation has failed since fail_alloc_at. */
bool fail_alloc_happened(void);

/* Run `run(state)` with the n-th allocation failing; true while that allocation was
 * reached. */
bool fail_alloc_round(size_t n, void (*run)(void *state), void *state);

#endif
