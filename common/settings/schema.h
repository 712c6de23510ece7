/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of settings.def, and which of them a line of the file means.
 */
#ifndef PW_COMMON_SETTINGS_SCHEMA_H
#define PW_COMMON_SETTINGS_SCHEMA_H

#include "common/settings/settings.h"
#include "common/settings/zpl.h"

/* How a value is read. From ENDPOINT on it needs more than its text and the row. */
enum pw_type {
    PW_TYPE_NAME,
    PW_TYPE_KEY,
    PW_TYPE_PATH,
    PW_TYPE_BOOL,
    PW_TYPE_CHOICE,
    PW_TYPE_INT,
    PW_TYPE_SIZE,
    PW_TYPE_DURATION,
    PW_TYPE_SPACE,   /* a SIZE, or a share of the file system: "5%" is stored as -5 */
    PW_TYPE_ADDRESS, /* an endpoint that is bound */
    PW_TYPE_LISTEN,  /* HOST:PORT that is listened on */
    PW_TYPE_FRAMES,
    PW_TYPE_ENDPOINT,
    PW_TYPE_POLICY,
    PW_TYPE_INCLUDE,
    PW_TYPE_ENTRY,
};

enum pw_base { PW_BASE_SETTINGS, PW_BASE_CHANNEL, PW_BASE_POLICY };

/* What a policy's own lines say, before its includes are counted in. */
struct pw_policy_draft {
    struct pw_limits limits;
    bool doors[PW_DOOR_COUNT];
};

enum {
    PW_ROW_NONE = 0,
    PW_ROW_REPEAT = 1,
    PW_ROW_REQUIRED = 2,
    PW_ROW_LIVE = 4,
    PW_ROW_REQUIRED_LIVE = PW_ROW_REQUIRED | PW_ROW_LIVE
};

struct pw_row {
    const char *path;
    enum pw_type type;
    enum pw_base base;
    size_t offset; /* of the field in its base */
    size_t size;
    const char *fallback;
    int64_t least;
    int64_t most;
    unsigned flags;
    const char *choices;
    const char *doc;
};

extern const struct pw_row pw_rows[];
extern const size_t pw_row_count;

/* Whether a running wall takes a change of it over. */
static inline bool
pw_row_is_live(const struct pw_row *row)
{
    return row->base == PW_BASE_POLICY || (row->flags & PW_ROW_LIVE) != 0;
}

/* The row that a node is a value of, or NULL for a section. The document was checked. */
const struct pw_row *pw_schema_row(const struct pw_zpl *doc, size_t node);

/* The node is the section of a name, such as channel.jobs for "channel". */
bool pw_schema_is_named(const struct pw_zpl *doc, size_t node, const char *section);

/*
 * Every line is a setting or a section of the table, nothing stands twice that must not,
 * names are names, required settings are there. Values are not looked at.
 */
PW_CHECK_RESULT enum pw_err pw_schema_check(const struct pw_zpl *doc, struct pw_why *why);

/* The environment variable that overrides a row outside of named sections. False for
 * others. */
bool pw_schema_variable(const struct pw_row *row, char out[static PW_ZPL_PATH_MAX]);

/* "letters, digits, . _ -", at most 64 of them, and no dot in front: safe as a file name.
 */
bool pw_schema_is_name(const char *text);

#endif
