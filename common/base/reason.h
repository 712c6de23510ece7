/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary of refusal, one row each in reason.def.
 */
#ifndef PW_COMMON_BASE_REASON_H
#define PW_COMMON_BASE_REASON_H

#include "common/base/cursor.h"

enum pw_reason {
#define PW_REASON(name, code, level, door, text, means, cause, remedy) PW_R_##name,
#include "common/base/reason.def"
#undef PW_REASON
    PW_R_COUNT
};

enum pw_level {
    PW_LEVEL_INFO,
    PW_LEVEL_LOW,
    PW_LEVEL_MEDIUM,
    PW_LEVEL_HIGH,
    PW_LEVEL_CRITICAL
};

/* What a policy can open on purpose; PW_DOOR_NONE cannot be opened. */
enum pw_door {
    PW_DOOR_NONE,
    PW_DOOR_EXTENSION,
    PW_DOOR_PERSISTENT,
    PW_DOOR_BUFFERS,
    PW_DOOR_COMPUTED,
    PW_DOOR_TRAILING,
    PW_DOOR_COUNT
};

/* Static strings and columns of the row; an unknown value gives that of INTERNAL_ERROR. */
const char *pw_reason_code(enum pw_reason reason);
const char *pw_reason_text(enum pw_reason reason);
enum pw_level pw_reason_level(enum pw_reason reason);
enum pw_door pw_reason_door(enum pw_reason reason);

/* The same for a person who looks the reason up: whole sentences. */
const char *pw_reason_means(enum pw_reason reason);
const char *pw_reason_cause(enum pw_reason reason);
const char *pw_reason_remedy(enum pw_reason reason);

/* The setting of a policy that opens the door, "trailing"; NULL for PW_DOOR_NONE. */
const char *pw_door_setting(enum pw_door door);

/* "info", "low", "medium", "high", "critical". */
const char *pw_level_text(enum pw_level level);

#endif
