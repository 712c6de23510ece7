/* SPDX-License-Identifier: Apache-2.0
 *
 * From the text of a setting to its field.
 */
#ifndef PW_COMMON_SETTINGS_VALUE_H
#define PW_COMMON_SETTINGS_VALUE_H

#include "common/settings/schema.h"

/*
 * Read `text` as the row's type into the field of `base`. PW_E_CONFIG with "what is wrong;
 * what would be right" in `why`, PW_E_NOMEM. Types from ENDPOINT on are not for this
 * function.
 */
PW_CHECK_RESULT enum pw_err pw_value_read(const struct pw_row *row, const char *text,
                                          void *base, struct pw_why *why);

/* Every row of this base that has a default, read from it. */
PW_CHECK_RESULT enum pw_err pw_value_defaults(enum pw_base base_kind, void *base,
                                              struct pw_why *why);

#endif
