/* SPDX-License-Identifier: Apache-2.0
 *
 * quarantine list: what is held, or where it went.
 */
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/ulid.h"
#include "proxy/cli/audit_filter.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"
#include "proxy/cli/quarantine.h"

enum { SHORT_ID = 10 };

struct totals {
    uint64_t messages;
    uint64_t unstored; /* of them: only metadata */
    uint64_t bytes;    /* of the others; the same message twice counts twice */
};

struct list {
    struct pw_quarantine_place place;
    const char *wanted; /* state, or "all" */
    const char *channel;
    const char *reason; /* how it begins */
    const char *since;
    uint64_t since_ns;
    bool totals;
    enum pw_store_state state; /* being listed */
    struct totals sum;
};

static int
read_arguments(struct list *list, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    enum pw_store_state state;
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--totals")) {
            list->totals = true;
        } else if (pw_quarantine_option(&list->place, &args) ||
                   pw_args_value(&args, "--state-is", &list->wanted) ||
                   pw_args_value(&args, "--channel", &list->channel) ||
                   pw_args_value(&args, "--reason", &list->reason) ||
                   pw_args_value(&args, "--since", &list->since)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            return pw_command_misused("\"%s\" is one argument too many", args.current);
        }
    }
    if (args.bad) {
        return EX_USAGE;
    }
    if (strcmp(list->wanted, "all") != 0 && !pw_store_state_parse(list->wanted, &state)) {
        return pw_command_misused(
            "--state-is %s: name held, releasing, released, purged or all", list->wanted);
    }
    if (list->since != NULL && !pw_audit_filter_time(list->since, &list->since_ns)) {
        return pw_command_misused(
            "--since %s: write 90s, 10m, 2h or 7d, or a time such as 2027-01-31T12:00:00Z",
            list->since);
    }
    return EX_OK;
}

static bool
is_wanted(const struct list *list, const json_t *meta)
{
    struct pw_span chan = pw_json_text(meta, "chan");
    struct pw_span reason = pw_json_text(meta, "reason");
    if (list->channel != NULL && !pw_span_equal(chan, pw_span_str(list->channel))) {
        return false;
    }
    size_t len = list->reason == NULL ? 0 : strlen(list->reason);
    return len == 0 || (reason.len >= len && memcmp(reason.ptr, list->reason, len) == 0);
}

static bool
is_stored(const json_t *meta)
{
    return !json_is_false(json_object_get(meta, "stored"));
}

static void
print_row(const struct list *list, const char *entry, const json_t *meta)
{
    struct pw_span object = pw_json_text(meta, "object");
    object.len = object.len < SHORT_ID ? object.len : SHORT_ID;
    pw_quarantine_print_time(entry);
    printf("  %s  ", entry);
    if (list->state != PW_STORE_HELD || strcmp(list->wanted, "all") == 0) {
        pw_quarantine_print_column(pw_span_str(pw_store_state_text(list->state)), 9);
        fputs("  ", stdout);
    }
    pw_quarantine_print_column(object, SHORT_ID);
    fputs("  ", stdout);
    pw_quarantine_print_column(pw_json_text(meta, "chan"), 12);
    printf("  %10lld B  ", pw_json_number(meta, "bytes"));
    fputs(is_stored(meta) ? "" : "not kept: ", stdout);
    pw_print_reason(stdout, meta);
    fputc('\n', stdout);
}

static void
print_json(const struct list *list, struct pw_span json)
{
    fwrite(json.ptr, 1, json.len - 1, stdout); /* all but the brace */
    printf(",\"state\":\"%s\"}\n", pw_store_state_text(list->state));
}

static bool
list_entry(void *arg, const char *entry, struct pw_span json)
{
    struct list *list = arg;
    PW_CLEANUP(pw_json_line_free) json_t *meta = pw_json_line_parse(json);
    if (meta == NULL || (list->place.json && !pw_json_line_plain(json))) {
        fprintf(stderr, "picklewall: %s: not a quarantine entry\n", entry);
        return true;
    }
    if (!is_wanted(list, meta)) {
        return true;
    }
    list->sum.messages++;
    list->sum.unstored += !is_stored(meta);
    list->sum.bytes += is_stored(meta) ? (uint64_t)pw_json_number(meta, "bytes") : 0;
    if (!list->totals && list->place.json) {
        print_json(list, json);
    } else if (!list->totals) {
        print_row(list, entry, meta);
    }
    return !ferror(stdout);
}

static void
print_totals(const struct list *list)
{
    const struct totals *sum = &list->sum;
    const char *state = pw_store_state_text(list->state);
    printf(list->place.json ? "{\"state\":\"%s\",\"messages\":%" PRIu64
                              ",\"unstored\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n"
                            : "%-9s  %" PRIu64 " messages, %" PRIu64
                              " of them not kept, %" PRIu64 " bytes\n",
           state, sum->messages, sum->unstored, sum->bytes);
}

static enum pw_err
list_states(struct list *list, struct pw_store *store, struct pw_why *why)
{
    char since[PW_ULID_TEXT];
    pw_ulid_floor(list->since_ns / 1000000, since);
    for (size_t i = 0; i < PW_STORE_STATES; i++) {
        list->state = (enum pw_store_state)i;
        if (strcmp(list->wanted, "all") != 0 &&
            strcmp(list->wanted, pw_store_state_text(list->state)) != 0) {
            continue;
        }
        list->sum = (struct totals){0};
        enum pw_err err =
            pw_store_list_since(store, list->state, since, list_entry, list, why);
        if (err != PW_E_OK) {
            return err;
        }
        if (list->totals) {
            print_totals(list);
        }
    }
    return PW_E_OK;
}

static bool
count_entry(void *arg, const char *entry, struct pw_span json)
{
    (void)entry, (void)json;
    *(size_t *)arg += 1;
    return true;
}

/* Who asks for what is held must not miss what only he can decide. */
static enum pw_err
tell_doubts(const struct list *list, struct pw_store *store, struct pw_why *why)
{
    size_t count = 0;
    if (strcmp(list->wanted, pw_store_state_text(PW_STORE_HELD)) != 0) {
        return PW_E_OK;
    }
    enum pw_err err = pw_store_list(store, PW_STORE_RELEASING, count_entry, &count, why);
    if (count > 0) {
        fprintf(stderr,
                "picklewall: %zu more under way or in doubt: quarantine list --state-is "
                "releasing\n",
                count);
    }
    return err;
}

int
pw_cmd_quarantine_list(int argc, char **argv)
{
    struct list list = {.wanted = "held"};
    struct pw_why why = {{0}};
    enum pw_err err = PW_E_OK;
    int code = read_arguments(&list, argc, argv);
    if (code != EX_OK) {
        return code;
    }
    PW_CLEANUP(pw_store_free)
    struct pw_store *store = pw_quarantine_open(&list.place, &err, &why);
    if (store == NULL) {
        return pw_command_fail(err, &why);
    }
    err = list_states(&list, store, &why);
    err = err == PW_E_OK ? tell_doubts(&list, store, &why) : err;
    return err == PW_E_OK ? EX_OK : pw_command_fail(err, &why);
}
