/* SPDX-License-Identifier: Apache-2.0
 *
 * Three attributes every floor uses.
 */
#ifndef PW_COMMON_BASE_DEF_H
#define PW_COMMON_BASE_DEF_H

/* The caller must look at the result. */
#define PW_CHECK_RESULT __attribute__((warn_unused_result))

/* Call fn(&variable) when the variable leaves scope; fn accepts a pointer to NULL. */
#define PW_CLEANUP(fn) __attribute__((cleanup(fn)))

/* The compiler checks arguments as it does printf's. */
#define PW_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))

#define PW_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
