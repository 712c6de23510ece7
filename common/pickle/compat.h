/* SPDX-License-Identifier: Apache-2.0
 *
 * The renames of protocols 0 to 2 (Lib/_compat_pickle.py).
 */
#ifndef PW_COMMON_PICKLE_COMPAT_H
#define PW_COMMON_PICKLE_COMPAT_H

#include <stdbool.h>

#include "common/base/cursor.h"

/*
 * What find_class makes of (mod, name) while the protocol is below 3. True when it differs:
 * *new_mod and *new_name are static text, or `name` itself.
 */
bool pw_compat_map(struct pw_span mod, struct pw_span name, struct pw_span *new_mod,
                   struct pw_span *new_name);

#endif
