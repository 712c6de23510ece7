/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors of our own. A hostile message is a finding (reason.h), never an error.
 */
#ifndef PW_COMMON_BASE_ERR_H
#define PW_COMMON_BASE_ERR_H

#include <stddef.h>

#include "common/base/def.h"

enum pw_err {
#define PW_ERR(name, sysexit, text) PW_E_##name,
#include "common/base/err.def"
#undef PW_ERR
    PW_E_COUNT
};

/* A few lower-case words for `err`; never NULL. */
const char *pw_err_text(enum pw_err err);

/* The exit code (sysexits.h) of a command that ends with `err`; 0 for PW_E_OK. */
int pw_err_exit(enum pw_err err);

/*
 * The sentence that goes with an error: the place and the remedy, for a person. Functions
 * that can fail for a reason worth telling take one; it may be NULL. Always NUL-terminated,
 * cut when too long.
 */
struct pw_why {
    char text[512];
};

/* Write the sentence and return `err`, so that `return pw_fail(why, PW_E_IO, "…")` reads
 * well. */
enum pw_err pw_fail(struct pw_why *why, enum pw_err err, const char *format, ...)
    PW_PRINTF(3, 4);

#endif
