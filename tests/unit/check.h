/* SPDX-License-Identifier: Apache-2.0
 *
 * cmocka with what it needs before it, and literals as spans.
 */
#ifndef PW_TESTS_UNIT_CHECK_H
#define PW_TESTS_UNIT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cursor.h"

/* The bytes of a literal, NULs included. */
#define BYTES(literal) ((struct pw_span){(const uint8_t *)(literal), sizeof(literal) - 1})

/* Fail with the name of the case that failed. */
#define check_case(name, condition)                                                        \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fail_msg("%s: %s", (name), #condition);                                        \
        }                                                                                  \
    } while (0)

#endif
