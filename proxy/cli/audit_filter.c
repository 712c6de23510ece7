/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/clock.h"

bool
pw_audit_filter_option(struct pw_audit_filter *filter, struct pw_args *args)
{
    if (pw_args_flag(args, "--non-pass")) {
        filter->non_pass = true;
        return true;
    }
    return pw_args_value(args, "--verdict", &filter->verdict) ||
           pw_args_value(args, "--channel", &filter->channel) ||
           pw_args_value(args, "--reason", &filter->reason) ||
           pw_args_value(args, "--event", &filter->event) ||
           pw_args_value(args, "--grep", &filter->grep) ||
           pw_args_value(args, "--since", &filter->since);
}

/* "90s", "10m", "2h", "7d" before now. */
static bool
read_ago(const char *text, uint64_t now_ns, uint64_t *ns)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    errno = 0;
    unsigned long long count = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || end[0] == '\0' || end[1] != '\0') {
        return false;
    }
    for (size_t i = 0; i < PW_COUNT(units); i++) {
        if (units[i].unit == end[0]) {
            uint64_t most = now_ns / 1000000000 / units[i].seconds;
            *ns = count > most ? 1 : now_ns - count * units[i].seconds * 1000000000;
            return true;
        }
    }
    return false;
}

bool
pw_audit_filter_time(const char *text, uint64_t *ns)
{
    return read_ago(text, pw_clock_wall(), ns) || pw_logged_time(pw_span_str(text), ns);
}

int
pw_audit_filter_check(struct pw_audit_filter *filter)
{
    const char *verdict = filter->verdict;
    if (verdict != NULL && strcmp(verdict, "pass") != 0 &&
        strcmp(verdict, "quarantine") != 0 && strcmp(verdict, "drop") != 0) {
        return pw_command_misused("--verdict %s: name pass, quarantine or drop", verdict);
    }
    const char *since = filter->since;
    if (since != NULL && !pw_audit_filter_time(since, &filter->since_ns)) {
        return pw_command_misused(
            "--since %s: write 90s, 10m, 2h or 7d, or a time such as 2027-01-31T12:00:00Z",
            since);
    }
    return EX_OK;
}

bool
pw_audit_filter_active(const struct pw_audit_filter *filter)
{
    return filter->verdict != NULL || filter->channel != NULL || filter->reason != NULL ||
           filter->event != NULL || filter->grep != NULL || filter->non_pass ||
           filter->since_ns != 0;
}

/* Whether the string `raw` spells something with `wanted` in it. */
static bool
spells(struct pw_span raw, const char *wanted)
{
    if (raw.len == 0 || memchr(raw.ptr, '\\', raw.len) == NULL) {
        return raw.len > 0 && memmem(raw.ptr, raw.len, wanted, strlen(wanted)) != NULL;
    }
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = raw.len};
    return pw_json_raw_text(raw, &text) != PW_E_OK || /* rather a line too many */
           memmem(text.bytes, text.len, wanted, strlen(wanted)) != NULL;
}

static bool
is_nest(enum pw_json_kind kind)
{
    return kind == PW_JSON_OBJECT || kind == PW_JSON_ARRAY;
}

/* A string of the text, at any depth, has `wanted` in it. PW_JSON_DEPTH bounds the depth.
 */
static bool
holds_text(struct pw_span text, const char *wanted)
{
    struct pw_json_walk walk = pw_json_walk_over(text);
    while (pw_json_walk_next(&walk)) {
        if ((walk.kind == PW_JSON_STRING && spells(walk.raw, wanted)) ||
            (is_nest(walk.kind) && holds_text(walk.raw, wanted))) {
            return true;
        }
    }
    return false;
}

static bool
same_or_any(struct pw_span raw, const char *wanted)
{
    return wanted == NULL || pw_logged_is(raw, wanted);
}

static bool
begins(struct pw_span raw, const char *start)
{
    size_t len = strlen(start);
    return raw.len >= len && (len == 0 || memcmp(raw.ptr, start, len) == 0);
}

/* A code that the line gives: its reason, or that of one of its findings. */
static bool
has_reason(const struct pw_logged *logged, const char *start)
{
    if (logged->reason.len > 0 && begins(logged->reason, start)) {
        return true;
    }
    struct pw_json_walk finds = pw_json_walk_over(logged->finds);
    while (logged->finds.len > 0 && pw_json_walk_next(&finds)) {
        struct pw_json_walk find = pw_json_walk_over(finds.raw);
        while (finds.kind == PW_JSON_OBJECT && pw_json_walk_next(&find)) {
            if (pw_json_walk_at(&find, "code") && begins(find.raw, start)) {
                return true;
            }
        }
    }
    return false;
}

/* Refusals, reported ones, and whatever else a person should see. */
static bool
is_non_pass(const struct pw_logged *logged)
{
    bool clean = logged->kind == PW_LOGGED_PASS && !logged->reported;
    return !clean && logged->kind != PW_LOGGED_SUMMARY &&
           (logged->kind != PW_LOGGED_OTHER || !pw_logged_is(logged->level, "info"));
}

static bool
is_recent(const struct pw_logged *logged, uint64_t since_ns)
{
    uint64_t ns;
    return since_ns == 0 || (pw_logged_time(logged->ts, &ns) && ns >= since_ns);
}

bool
pw_audit_filter_takes(const struct pw_audit_filter *filter, struct pw_span line,
                      const struct pw_logged *logged)
{
    return same_or_any(logged->verdict, filter->verdict) &&
           same_or_any(logged->chan, filter->channel) &&
           same_or_any(logged->event, filter->event) &&
           (!filter->non_pass || is_non_pass(logged)) &&
           is_recent(logged, filter->since_ns) &&
           (filter->reason == NULL || has_reason(logged, filter->reason)) &&
           (filter->grep == NULL || holds_text(line, filter->grep));
}
