/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers spelled as text. Unpicklers disagree about blanks, underscores, bases, NUL and
 * signs, so only the spelling that all of them read alike passes.
 */
#ifndef PW_COMMON_PICKLE_NUMBER_H
#define PW_COMMON_PICKLE_NUMBER_H

#include <stdbool.h>

#include "common/base/cursor.h"

/* INT: 00, 01, 0 or -?[1-9][0-9]*, at most 4300 digits (sys.set_int_max_str_digits). */
bool pw_number_int(struct pw_span line, bool *is_bool);

/* LONG: as INT without the bools, with an L at the end or not. */
bool pw_number_long(struct pw_span line);

/* FLOAT: what both PyOS_string_to_double and float() accept. */
bool pw_number_float(struct pw_span line);

/*
 * GET, PUT: 0 or [1-9][0-9]*. *index is what the digits say even when the spelling is not
 * canonical (blanks, signs, underscores and what follows a NUL are passed over); UINT64_MAX
 * when there is no number or it does not fit.
 */
bool pw_number_index(struct pw_span line, uint64_t *index);

#endif
