/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings/endpoint.h"
#include "common/settings/nearest.h"

typedef enum pw_err read_fn(const struct pw_row *row, const char *text, void *field,
                            struct pw_why *why);

static void
store(const struct pw_row *row, void *field, int64_t value)
{
    switch (row->size) {
    case sizeof(uint8_t):
        *(uint8_t *)field = (uint8_t)value;
        break;
    case sizeof(uint32_t):
        *(uint32_t *)field = (uint32_t)value;
        break;
    default:
        *(uint64_t *)field = (uint64_t)value;
    }
}

static enum pw_err
store_text(void *field, const char *text, struct pw_why *why)
{
    char *copy = NULL;
    if (text[0] != '\0' && (copy = strdup(text)) == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    char **slot = field;
    free(*slot);
    *slot = copy;
    return PW_E_OK;
}

static enum pw_err
read_path(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    if (text[0] == '\0' && row->fallback != NULL) {
        return pw_fail(why, PW_E_CONFIG, "is empty; name a path, or leave the line out");
    }
    return store_text(field, text, why);
}

static enum pw_err
read_name(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    (void)row;
    if (text[0] != '\0' && !pw_schema_is_name(text)) {
        return pw_fail(
            why, PW_E_CONFIG,
            "\"%.80s\" is no name; use up to 64 letters, digits, . _ - and no dot "
            "in front",
            text);
    }
    return store_text(field, text, why);
}

/* A name, or a pattern for names: * and ? besides. */
static enum pw_err
read_key(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    char name[80];
    size_t len = strlen(text);
    for (size_t i = 0; i < len && i < sizeof name; i++) {
        name[i] = text[i] == '*' || text[i] == '?' ? 'x' : text[i];
    }
    name[len < sizeof name ? len : sizeof name - 1] = '\0';
    if (text[0] != '\0' && !pw_schema_is_name(name)) {
        return pw_fail(why, PW_E_CONFIG,
                       "\"%.80s\" is no name of a key; use up to 64 letters, digits, . _ - "
                       "and no dot in front, or a pattern for names with * and ?",
                       text);
    }
    (void)row;
    return store_text(field, text, why);
}

static enum pw_err
read_bool(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    bool yes = strcmp(text, "yes") == 0;
    if (!yes && strcmp(text, "no") != 0) {
        return pw_fail(why, PW_E_CONFIG,
                       "\"%.80s\" is neither yes nor no; write one of them", text);
    }
    store(row, field, yes);
    return PW_E_OK;
}

static enum pw_err
read_choice(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    char choices[64];
    snprintf(choices, sizeof choices, "%s", row->choices);
    struct pw_nearest nearest = {.wanted = text};
    char *rest = choices;
    int64_t index = 0;
    for (char *choice = strsep(&rest, "|"); choice != NULL; choice = strsep(&rest, "|")) {
        if (strcmp(choice, text) == 0) {
            store(row, field, index);
            return PW_E_OK;
        }
        pw_nearest_offer(&nearest, choice);
        index++;
    }
    if (nearest.best[0] != '\0') {
        return pw_fail(why, PW_E_CONFIG, "\"%.80s\" is no choice of %s; did you mean %s?",
                       text, row->choices, nearest.best);
    }
    return pw_fail(why, PW_E_CONFIG, "\"%.80s\" is no choice; write one of %s", text,
                   row->choices);
}

/* Digits, then a unit that the caller looks at. False for anything else, or past 2^62. */
static bool
split_number(const char *text, int64_t *number, const char **unit)
{
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    *unit = end;
    return errno == 0 && *number <= INT64_MAX / 2;
}

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit plain_units[] = {{"", 1}, {NULL, 0}};
static const struct unit size_units[] = {
    {"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0}};
static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

/* A number with one of `units`, at most INT64_MAX. */
static bool
parse_units(const char *text, const struct unit *units, int64_t *value)
{
    const char *unit;
    int64_t number;
    if (!split_number(text, &number, &unit)) {
        return false;
    }
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, unit) == 0) {
            return !__builtin_mul_overflow(number, units->factor, value);
        }
    }
    return false;
}

/* The largest unit that divides the value, as a file would spell it: 65536 is 64K. */
static void
spell(int64_t value, const struct unit *units, char *out, size_t room)
{
    const struct unit *best = &units[0];
    for (; units->name != NULL; units++) {
        if (value != 0 && value % units->factor == 0 && units->factor > best->factor) {
            best = units;
        }
    }
    snprintf(out, room, "%lld%s", (long long)(value / best->factor), best->name);
}

static enum pw_err
read_number(const struct pw_row *row, const char *text, const struct unit *units,
            const char *right, void *field, struct pw_why *why)
{
    int64_t value;
    if (!parse_units(text, units, &value)) {
        return pw_fail(why, PW_E_CONFIG, "\"%.80s\" is not a %s", text, right);
    }
    if (value < row->least || value > row->most) {
        char least[32], most[32];
        spell(row->least, units, least, sizeof least);
        spell(row->most, units, most, sizeof most);
        return pw_fail(why, PW_E_CONFIG, "\"%.80s\" is out of range; write %s to %s", text,
                       least, most);
    }
    store(row, field, value);
    return PW_E_OK;
}

static enum pw_err
read_int(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    return read_number(row, text, plain_units, "number; write digits alone", field, why);
}

static enum pw_err
read_size(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    return read_number(row, text, size_units, "size; write 64K, 64M or 64G", field, why);
}

static enum pw_err
read_duration(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    return read_number(row, text, duration_units,
                       "duration; write 500ms, 10s, 2m, 12h or 30d", field, why);
}

/* A size, or "5%" of the file system, which is stored as -5. */
static enum pw_err
read_space(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    const char *unit;
    int64_t percent;
    if (!split_number(text, &percent, &unit) || strcmp(unit, "%") != 0) {
        return read_number(row, text, size_units, "share or size; write 5%, 64M or 64G",
                           field, why);
    }
    if (percent > 99) {
        return pw_fail(why, PW_E_CONFIG, "\"%.80s\" is out of range; write 0%% to 99%%",
                       text);
    }
    store(row, field, -percent);
    return PW_E_OK;
}

static enum pw_err
read_address(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    (void)row;
    enum pw_err err = text[0] == '\0' ? PW_E_OK : pw_endpoint_check(text, true, why);
    return err == PW_E_OK ? store_text(field, text, why) : err;
}

static enum pw_err
read_listen(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    (void)row;
    enum pw_err err = text[0] == '\0' ? PW_E_OK : pw_listen_check(text, why);
    return err == PW_E_OK ? store_text(field, text, why) : err;
}

static enum pw_err
read_frames(const struct pw_row *row, const char *text, void *field, struct pw_why *why)
{
    (void)row;
    return pw_frame_rules_parse(text, field, why);
}

static read_fn *const readers[] = {
    [PW_TYPE_NAME] = read_name,     [PW_TYPE_KEY] = read_key,
    [PW_TYPE_PATH] = read_path,     [PW_TYPE_BOOL] = read_bool,
    [PW_TYPE_CHOICE] = read_choice, [PW_TYPE_INT] = read_int,
    [PW_TYPE_SIZE] = read_size,     [PW_TYPE_DURATION] = read_duration,
    [PW_TYPE_SPACE] = read_space,   [PW_TYPE_ADDRESS] = read_address,
    [PW_TYPE_LISTEN] = read_listen, [PW_TYPE_FRAMES] = read_frames,
};

enum pw_err
pw_value_read(const struct pw_row *row, const char *text, void *base, struct pw_why *why)
{
    return readers[row->type](row, text, (char *)base + row->offset, why);
}

enum pw_err
pw_value_defaults(enum pw_base base_kind, void *base, struct pw_why *why)
{
    for (size_t i = 0; i < pw_row_count; i++) {
        if (pw_rows[i].base != base_kind || pw_rows[i].fallback == NULL) {
            continue;
        }
        enum pw_err err = pw_value_read(&pw_rows[i], pw_rows[i].fallback, base, why);
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}
