/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/logged.h"

struct text_field {
    const char *key;
    size_t at;
    enum pw_json_kind kind;
};

#define FIELD(name, kind)                                                                  \
    {                                                                                      \
#name, offsetof(struct pw_logged, name), PW_JSON_##kind                            \
    }
/* clang-format off */
static const struct text_field text_fields[] = {
    FIELD(ts, STRING),     FIELD(event, STRING),   FIELD(level, STRING), FIELD(inst, STRING),
    FIELD(chan, STRING),   FIELD(verdict, STRING), FIELD(src, STRING),   FIELD(reason, STRING),
    FIELD(chain, STRING),  FIELD(finds, ARRAY),    FIELD(detail, OBJECT),
};
static const struct text_field number_fields[] = {
    FIELD(seq, NUMBER), FIELD(pid, NUMBER), FIELD(lost, NUMBER),
};
/* clang-format on */

static bool
take_text(struct pw_logged *out, const struct pw_json_walk *walk)
{
    for (size_t i = 0; i < PW_COUNT(text_fields); i++) {
        const struct text_field *field = &text_fields[i];
        if (walk->kind == field->kind && pw_json_walk_at(walk, field->key)) {
            memcpy((char *)out + field->at, &walk->raw, sizeof walk->raw);
            return true;
        }
    }
    return false;
}

static bool
take_number(struct pw_logged *out, const struct pw_json_walk *walk)
{
    uint64_t value;
    for (size_t i = 0; i < PW_COUNT(number_fields); i++) {
        const struct text_field *field = &number_fields[i];
        if (pw_json_walk_at(walk, field->key) && pw_json_raw_uint(walk->raw, &value)) {
            memcpy((char *)out + field->at, &value, sizeof value);
            return true;
        }
    }
    return false;
}

static uint64_t
inner_number(struct pw_span object, const char *key)
{
    uint64_t value = 0;
    struct pw_json_walk walk = pw_json_walk_over(object);
    while (pw_json_walk_next(&walk)) {
        if (walk.kind == PW_JSON_NUMBER && pw_json_walk_at(&walk, key)) {
            return pw_json_raw_uint(walk.raw, &value) ? value : 0;
        }
    }
    return 0;
}

static void
take_member(struct pw_logged *out, const struct pw_json_walk *walk)
{
    switch (walk->kind) {
    case PW_JSON_NUMBER:
        (void)take_number(out, walk);
        return;
    case PW_JSON_FALSE:
        out->reported = out->reported || pw_json_walk_at(walk, "enforced");
        return;
    case PW_JSON_OBJECT:
        if (pw_json_walk_at(walk, "msg")) {
            out->bytes = inner_number(walk->raw, "bytes");
            return;
        }
        if (pw_json_walk_at(walk, "summary")) {
            out->bytes = inner_number(walk->raw, "bytes");
            out->messages = inner_number(walk->raw, "messages");
            return;
        }
        (void)take_text(out, walk);
        return;
    default:
        (void)take_text(out, walk);
    }
}

static enum pw_logged_kind
kind_of(const struct pw_logged *line)
{
    static const char *const verdicts[PW_LOGGED_KINDS] = {
        [PW_LOGGED_PASS] = "pass",
        [PW_LOGGED_QUARANTINE] = "quarantine",
        [PW_LOGGED_DROP] = "drop",
    };
    if (pw_logged_is(line->event, "summary")) {
        return PW_LOGGED_SUMMARY;
    }
    if (!pw_logged_is(line->event, "frame")) {
        return PW_LOGGED_OTHER;
    }
    for (unsigned i = PW_LOGGED_PASS; i <= PW_LOGGED_DROP; i++) {
        if (pw_logged_is(line->verdict, verdicts[i])) {
            return (enum pw_logged_kind)i;
        }
    }
    return PW_LOGGED_OTHER;
}

bool
pw_logged_read(struct pw_span line, struct pw_logged *out)
{
    *out = (struct pw_logged){0};
    struct pw_json_walk walk = pw_json_walk_over(line);
    if (walk.array) {
        return false;
    }
    while (pw_json_walk_next(&walk)) {
        take_member(out, &walk);
    }
    out->kind = kind_of(out);
    if (out->kind != PW_LOGGED_SUMMARY) {
        out->messages = out->kind != PW_LOGGED_OTHER;
    }
    return !walk.bad;
}

/* ---- time ---- */

static uint64_t
digits(struct pw_cursor *cur, size_t count)
{
    struct pw_span text = pw_cursor_take(cur, count);
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        cur->truncated = cur->truncated || text.ptr[i] < '0' || text.ptr[i] > '9';
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return value;
}

static void
expect(struct pw_cursor *cur, char byte)
{
    cur->truncated = pw_cursor_uint(cur, 1) != (uint8_t)byte || cur->truncated;
}

static uint64_t
fraction(struct pw_cursor *cur)
{
    enum { NS_DIGITS = 9 };
    uint64_t value = 0;
    size_t count = 0;
    while (cur->rest.len > 0 && cur->rest.ptr[0] >= '0' && cur->rest.ptr[0] <= '9') {
        uint64_t digit = digits(cur, 1);
        value = count < NS_DIGITS ? value * 10 + digit : value;
        count += count < NS_DIGITS;
    }
    cur->truncated = cur->truncated || count == 0;
    for (; count < NS_DIGITS; count++) {
        value *= 10;
    }
    return value;
}

static bool
is_leap(uint64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970 of a day of the Gregorian calendar; `truncated` when there is none. */
static uint64_t
read_day(struct pw_cursor *cur)
{
    static const uint16_t before[] = {0,   31,  59,  90,  120, 151, 181,
                                      212, 243, 273, 304, 334, 365};
    uint64_t year = digits(cur, 4);
    expect(cur, '-');
    uint64_t month = digits(cur, 2);
    expect(cur, '-');
    uint64_t day = digits(cur, 2);
    if (cur->truncated || year < 1970 || year > 2553 || month < 1 || month > 12) {
        cur->truncated = true;
        return 0;
    }
    uint64_t last = before[month] - before[month - 1] + (month == 2 && is_leap(year));
    cur->truncated = day < 1 || day > last;
    uint64_t past = year - 1;
    uint64_t leaps =
        past / 4 - past / 100 + past / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    return (year - 1970) * 365 + leaps + before[month - 1] + (month > 2 && is_leap(year)) +
           day - 1;
}

bool
pw_logged_time(struct pw_span ts, uint64_t *ns)
{
    struct pw_cursor cur = pw_cursor_over(ts);
    uint64_t seconds = read_day(&cur) * 86400, part = 0;
    if (!cur.truncated && cur.rest.len > 0) {
        expect(&cur, 'T');
        uint64_t hour = digits(&cur, 2);
        expect(&cur, ':');
        uint64_t minute = digits(&cur, 2);
        expect(&cur, ':');
        uint64_t second = digits(&cur, 2);
        if (cur.rest.len > 0 && cur.rest.ptr[0] == '.') {
            expect(&cur, '.');
            part = fraction(&cur);
        }
        expect(&cur, 'Z');
        cur.truncated = cur.truncated || hour > 23 || minute > 59 || second > 60;
        seconds += hour * 3600 + minute * 60 + second;
    }
    *ns = seconds * 1000000000 + part;
    return !cur.truncated && cur.rest.len == 0;
}
