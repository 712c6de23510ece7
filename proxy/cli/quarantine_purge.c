/* SPDX-License-Identifier: Apache-2.0
 *
 * quarantine purge: held messages go, through the wall that runs, or without one.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/ulid.h"
#include "common/settings/settings.h"
#include "proxy/cli/ask.h"
#include "proxy/cli/audit_filter.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"
#include "proxy/cli/quarantine.h"
#include "proxy/daemon_quarantine.h"

enum {
    INCOMPLETE = 1,
    PATIENCE_S = 30,
    META_LIMIT = 1 << 20,
    REASON_MAX = 400,
    ID_ROOM = PW_STORE_ULID,
    BATCH = 48, /* a request has room for them */
};

struct purge {
    struct pw_quarantine_place place;
    const char *socket;
    const char *reason;
    const char *older_than;
    bool all;
    char **ids; /* as given: the arguments themselves */
    size_t id_count;
    char (*entries)[ID_ROOM]; /* to go, whole ULIDs */
    size_t count;
    uint64_t purged;
    uint64_t bytes;
    uint64_t missing; /* gone before us */
};

/* ---- the question ---- */

static void
add_id(struct purge *purge, char *id)
{
    if (strcmp(id, "ALL") == 0) {
        purge->all = true;
    } else {
        purge->ids[purge->id_count++] = id;
    }
}

/* One way to say which, and why. */
static int
check_arguments(const struct purge *purge)
{
    int ways = purge->all + (purge->older_than != NULL) + (purge->id_count > 0);
    if (ways != 1) {
        return pw_command_misused(
            "give ids, or --older-than AGE, or ALL (in capitals), and one of them only");
    }
    if (purge->reason == NULL || purge->reason[0] == '\0') {
        return pw_command_misused("say why: --reason TEXT; it goes to the audit log");
    }
    return strlen(purge->reason) <= REASON_MAX
               ? EX_OK
               : pw_command_misused("--reason: at most %d bytes", REASON_MAX);
}

static int
read_arguments(struct purge *purge, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_quarantine_option(&purge->place, &args) ||
            pw_args_value(&args, "--socket", &purge->socket) ||
            pw_args_value(&args, "--reason", &purge->reason) ||
            pw_args_value(&args, "--older-than", &purge->older_than)) {
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        add_id(purge, args.current);
    }
    return args.bad ? EX_USAGE : check_arguments(purge);
}

/* ---- which entries ---- */

static bool
add_entry(void *arg, const char *entry, struct pw_span json)
{
    struct purge *purge = arg;
    (void)json;
    char(*more)[ID_ROOM] =
        realloc(purge->entries, (purge->count + 1) * sizeof *purge->entries);
    if (more == NULL) {
        return false;
    }
    purge->entries = more;
    memcpy(more[purge->count++], entry, ID_ROOM);
    return true;
}

struct selection {
    struct purge *purge;
    uint64_t before_ms;
    bool failed;
};

static bool
add_old(void *arg, const char *entry, struct pw_span json)
{
    struct selection *selection = arg;
    if (pw_ulid_ms(entry) >= selection->before_ms) {
        return false; /* they come in order of time */
    }
    selection->failed = !add_entry(selection->purge, entry, json);
    return !selection->failed;
}

static enum pw_err
select_old(struct purge *purge, struct pw_store *store, struct pw_why *why)
{
    uint64_t before_ns = UINT64_MAX;
    struct selection selection = {.purge = purge};
    if (!purge->all && !pw_audit_filter_time(purge->older_than, &before_ns)) {
        return pw_fail(why, PW_E_USAGE,
                       "--older-than %s: write 90s, 10m, 2h or 7d, or a time such as "
                       "2027-01-31T12:00:00Z",
                       purge->older_than);
    }
    selection.before_ms = before_ns / 1000000;
    enum pw_err err = pw_store_list(store, PW_STORE_HELD, add_old, &selection, why);
    return selection.failed ? pw_fail(why, PW_E_NOMEM, "out of memory") : err;
}

static enum pw_err
select_ids(struct purge *purge, struct pw_store *store, struct pw_why *why)
{
    for (size_t i = 0; i < purge->id_count; i++) {
        struct pw_found found;
        PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = META_LIMIT};
        enum pw_err err = pw_store_find(store, purge->ids[i], &found, &json, why);
        if (err != PW_E_OK) {
            return err;
        }
        if (found.entry[0] == '\0') {
            return pw_fail(why, PW_E_USAGE,
                           "\"%s\" is an object, which several entries may need; name the "
                           "entries, see picklewall quarantine list",
                           purge->ids[i]);
        }
        if (found.state != PW_STORE_HELD) {
            return pw_fail(why, PW_E_USAGE, "%s is not held, but %s; nothing was purged",
                           found.entry, pw_store_state_text(found.state));
        }
        if (!add_entry(purge, found.entry, (struct pw_span){0})) {
            return pw_fail(why, PW_E_NOMEM, "out of memory");
        }
    }
    return PW_E_OK;
}

static enum pw_err
select_entries(struct purge *purge, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    PW_CLEANUP(pw_store_free)
    struct pw_store *store = pw_quarantine_open(&purge->place, &err, why);
    if (store == NULL) {
        return err;
    }
    return purge->id_count > 0 ? select_ids(purge, store, why)
                               : select_old(purge, store, why);
}

/* ---- through the wall ---- */

static enum pw_err
write_request(const struct purge *purge, size_t from, size_t count, struct pw_buf *out)
{
    struct pw_json json = pw_json_over(out);
    pw_json_object(&json, NULL);
    pw_json_array(&json, "ids");
    for (size_t i = 0; i < count; i++) {
        pw_json_str(&json, NULL, purge->entries[from + i]);
    }
    pw_json_end_array(&json);
    pw_json_bytes(&json, "reason", pw_span_str(purge->reason), REASON_MAX);
    pw_json_end_object(&json);
    const struct pw_span nul = {(const uint8_t *)"", 1};
    return json.err == PW_E_OK ? pw_buf_append(out, nul) : json.err;
}

static void
add_answer(struct purge *purge, const json_t *answer)
{
    purge->purged += (uint64_t)pw_json_number(answer, "purged");
    purge->bytes += (uint64_t)pw_json_number(answer, "bytes");
    purge->missing += json_array_size(json_object_get(answer, "missing"));
}

static enum pw_err
ask_some(struct purge *purge, const struct pw_ask *ask, size_t from, size_t count,
         struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf request = {.limit = PW_CONTROL_REQUEST_MAX};
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = PW_ASK_ANSWER_MAX};
    PW_CLEANUP(pw_json_line_free) json_t *answer = NULL;
    enum pw_err err = write_request(purge, from, count, &request);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "--reason: write it shorter");
    }
    err = pw_ask_wall(ask, "purge", (const char *)request.bytes, &line, &answer, why);
    if (err != PW_E_OK) {
        return err;
    }
    add_answer(purge, answer);
    if (json_is_true(json_object_get(answer, "ok"))) {
        return PW_E_OK;
    }
    struct pw_span words = pw_json_text(answer, "error");
    return pw_fail(why, PW_E_IO, "the wall: %.*s", (int)words.len, (const char *)words.ptr);
}

/* ---- without one ---- */

/* What will be done is written down before it is; the next wall tells its log. */
static enum pw_err
leave_note(const struct purge *purge, struct pw_store *store, size_t from, size_t count,
           struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = META_LIMIT};
    struct pw_json json = pw_json_over(&text);
    struct pw_gone gone = {.count = count};
    memcpy(gone.entries, purge->entries[from], count * sizeof gone.entries[0]);
    pw_write_purge(&json, &gone, purge->reason);
    pw_write_operator(&json, "no wall", getuid(), getpid());
    return json.err == PW_E_OK ? pw_store_note(store, pw_buf_span(&text), NULL, why)
                               : pw_fail(why, json.err, "out of memory");
}

static enum pw_err
purge_some(struct purge *purge, struct pw_store *store, size_t from, size_t count,
           struct pw_why *why)
{
    struct pw_gone gone = {0};
    enum pw_err err = leave_note(purge, store, from, count, why);
    for (size_t i = 0; err == PW_E_OK && i < count; i++) {
        err = pw_store_purge(store, purge->entries[from + i], &gone, why);
        if (err == PW_E_NO_INPUT) {
            purge->missing++;
            err = PW_E_OK;
        }
    }
    purge->purged += gone.count;
    purge->bytes += gone.bytes;
    return err;
}

static size_t
batch_at(const struct purge *purge, size_t from)
{
    size_t left = purge->count - from;
    return left < BATCH ? left : BATCH;
}

/* No wall runs: nobody may start one meanwhile, which the lock of the store sees to. */
static enum pw_err
purge_alone(struct purge *purge, struct pw_why *why)
{
    char path[PW_QUARANTINE_PATH];
    enum pw_err err = pw_quarantine_path(&purge->place, path, why);
    if (err != PW_E_OK) {
        return err;
    }
    PW_CLEANUP(pw_store_free) struct pw_store *store = pw_store_open(path, why);
    if (store == NULL) {
        return pw_fail(why, PW_E_BUSY,
                       "%s: a wall runs, and does not answer on its control socket; name "
                       "that with --socket, or set `control` and start the wall again",
                       path);
    }
    fputs("picklewall: no wall runs; the next one tells its audit log of this\n", stderr);
    for (size_t from = 0; err == PW_E_OK && from < purge->count; from += BATCH) {
        err = purge_some(purge, store, from, batch_at(purge, from), why);
    }
    return err;
}

/* ---- the command ---- */

static enum pw_err
purge_all(struct purge *purge, struct pw_why *why)
{
    char beside[PW_QUARANTINE_PATH];
    struct pw_ask ask = {
        .config = purge->place.config, .socket = purge->socket, .patience_s = PATIENCE_S};
    if (ask.socket == NULL && purge->place.state != NULL) {
        snprintf(beside, sizeof beside, "%s/control.sock", purge->place.state);
        ask.socket = beside;
    }
    enum pw_err err = PW_E_OK;
    for (size_t from = 0; err == PW_E_OK && from < purge->count; from += BATCH) {
        err = ask_some(purge, &ask, from, batch_at(purge, from), why);
        if ((err == PW_E_BUSY || err == PW_E_CONFIG) && from == 0) { /* nobody to ask */
            return purge_alone(purge, why);
        }
    }
    return err;
}

static void
print_outcome(const struct purge *purge)
{
    printf(purge->place.json ? "{\"purged\":%" PRIu64 ",\"bytes\":%" PRIu64
                               ",\"missing\":%" PRIu64 "}\n"
                             : "%" PRIu64 " purged, %" PRIu64 " bytes free, %" PRIu64
                               " were gone before\n",
           purge->purged, purge->bytes, purge->missing);
}

int
pw_cmd_quarantine_purge(int argc, char **argv)
{
    struct purge purge = {.ids = calloc((size_t)argc + 1, sizeof *purge.ids)};
    struct pw_why why = {{0}};
    int code = purge.ids == NULL ? EX_OSERR : read_arguments(&purge, argc, argv);
    if (code == EX_OK) {
        enum pw_err err = select_entries(&purge, &why);
        bool selected = err == PW_E_OK;
        err = selected ? purge_all(&purge, &why) : err;
        if (selected) {
            print_outcome(&purge);
        }
        code = err != PW_E_OK       ? pw_command_fail(err, &why)
               : purge.missing == 0 ? EX_OK
                                    : INCOMPLETE;
    }
    free(purge.ids);
    free(purge.entries);
    return code;
}
