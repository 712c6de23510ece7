/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/reason.h"

struct row {
    const char *code;
    const char *text;
    const char *means, *cause, *remedy;
    enum pw_level level;
    enum pw_door door;
};

static const struct row table[PW_R_COUNT] = {
#define PW_REASON(name, code, level, door, text, means, cause, remedy)                     \
    [PW_R_##name] = {code, text, means, cause, remedy, PW_LEVEL_##level, PW_DOOR_##door},
#include "common/base/reason.def"
#undef PW_REASON
};

static const struct row *
row_of(enum pw_reason reason)
{
    return &table[(unsigned)reason < PW_R_COUNT ? reason : PW_R_INTERNAL_ERROR];
}

const char *
pw_reason_code(enum pw_reason reason)
{
    return row_of(reason)->code;
}

const char *
pw_reason_text(enum pw_reason reason)
{
    return row_of(reason)->text;
}

enum pw_level
pw_reason_level(enum pw_reason reason)
{
    return row_of(reason)->level;
}

enum pw_door
pw_reason_door(enum pw_reason reason)
{
    return row_of(reason)->door;
}

const char *
pw_reason_means(enum pw_reason reason)
{
    return row_of(reason)->means;
}

const char *
pw_reason_cause(enum pw_reason reason)
{
    return row_of(reason)->cause;
}

const char *
pw_reason_remedy(enum pw_reason reason)
{
    return row_of(reason)->remedy;
}

const char *
pw_door_setting(enum pw_door door)
{
    static const char *const settings[PW_DOOR_COUNT] = {
        [PW_DOOR_EXTENSION] = "extension", [PW_DOOR_PERSISTENT] = "persistent_ids",
        [PW_DOOR_BUFFERS] = "buffers",     [PW_DOOR_COMPUTED] = "computed_calls",
        [PW_DOOR_TRAILING] = "trailing",
    };
    return (unsigned)door < PW_DOOR_COUNT ? settings[door] : NULL;
}

const char *
pw_level_text(enum pw_level level)
{
    static const char *const texts[] = {"info", "low", "medium", "high", "critical"};
    return texts[(unsigned)level < PW_COUNT(texts) ? level : PW_LEVEL_CRITICAL];
}
