/* SPDX-License-Identifier: Apache-2.0
 *
 * The wall and its quarantine: limits, what goes when it is old, what an operator purges.
 */
#include "proxy/daemon_quarantine.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/quarantine/seal.h"

enum {
    PATH_LIMIT = 4096,
    TICK_MS = 2000,
    SOON_MS = 100,
    TICKS_OF_NOTES = 5, /* before what was told is taken for told */
    REASON_CAP = 512,
    USER_ROOM = 1024,
};

static const uint64_t ns_per_ms = 1000000;

/* ---- the start ---- */

static enum pw_err
limit_channels(struct pw_daemon *self, struct pw_why *why)
{
    for (size_t i = 0; i < self->settings->channel_count; i++) {
        const struct pw_channel *channel = &self->settings->channels[i];
        uint64_t most = channel->quarantine_bytes;
        enum pw_err err = pw_store_limit_channel(self->store, channel->name,
                                                 most > 0 ? most : UINT64_MAX);
        if (err != PW_E_OK) {
            return pw_fail(why, err, "channel %s: out of memory", channel->name);
        }
    }
    return PW_E_OK;
}

static enum pw_err
seal(struct pw_daemon *self, struct pw_why *why)
{
    uint8_t public[PW_SEAL_KEY];
    struct pw_why plain;
    if (self->settings->quarantine_seal == NULL) {
        return PW_E_OK;
    }
    enum pw_err err = pw_seal_read_public(self->settings->quarantine_seal, public, &plain);
    if (err != PW_E_OK) {
        char place[PW_PLACE_MAX];
        pw_settings_place(self->settings, "quarantine.seal", place);
        return pw_fail(why, PW_E_CONFIG, "%s: %s", place, plain.text);
    }
    return pw_store_seal(self->store, public, why);
}

enum pw_err
pw_daemon_open_store(struct pw_daemon *self, struct pw_why *why)
{
    const struct pw_settings *settings = self->settings;
    int64_t min_free = settings->quarantine_min_free;
    char path[PATH_LIMIT];
    snprintf(path, sizeof path, "%s/quarantine", settings->state);
    self->store = pw_store_open(path, why);
    if (self->store == NULL) {
        return PW_E_CREATE;
    }
    pw_store_limit(self->store,
                   &(struct pw_store_limits){
                       .max_bytes = settings->quarantine_max_bytes,
                       .max_messages = settings->quarantine_max_messages,
                       .min_free = min_free > 0 ? (uint64_t)min_free : 0,
                       .min_free_percent = min_free < 0 ? (unsigned)-min_free : 0,
                       .stop = settings->quarantine_stop,
                   });
    enum pw_err err = limit_channels(self, why);
    return err == PW_E_OK ? seal(self, why) : err;
}

static void
tell_findings(struct pw_daemon *self, const struct pw_store_usage *usage)
{
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_log(PW_LOG_WARN,
           "quarantine: %" PRIu64 " entries were cut short and are in corrupt/, %" PRIu64
           " lack their object, %" PRIu64
           " objects had no entry; see `picklewall quarantine check`",
           usage->torn, usage->missing, usage->orphans);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", "start");
    pw_json_uint(&json, "torn", usage->torn);
    pw_json_uint(&json, "missing", usage->missing);
    pw_json_uint(&json, "orphans", usage->orphans);
    pw_json_end_object(&json);
    pw_daemon_push_event(self, PW_EVENT_QUARANTINE, PW_LEVEL_MEDIUM, &json);
}

void
pw_daemon_tell_corrupt(struct pw_daemon *self, const struct pw_found *found)
{
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", "corrupt");
    pw_json_str(&json, "object", found->object);
    pw_json_str(&json, "entry", found->entry);
    pw_json_end_object(&json);
    pw_daemon_push_event(self, PW_EVENT_QUARANTINE, PW_LEVEL_HIGH, &json);
}

static bool
tell_note(void *arg, const char *id, struct pw_span note)
{
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "note", id);
    pw_json_raw(&json, note);
    pw_json_end_object(&json);
    pw_daemon_push_event(arg, PW_EVENT_QUARANTINE, PW_LEVEL_INFO, &json);
    return true;
}

void
pw_daemon_store_started(struct pw_daemon *self)
{
    struct pw_why why;
    struct pw_store_usage usage = pw_store_usage(self->store);
    if (usage.torn + usage.missing + usage.orphans > 0) {
        tell_findings(self, &usage);
    }
    if (pw_store_notes(self->store, tell_note, self, &why) != PW_E_OK) {
        pw_log(PW_LOG_WARN, "quarantine: %s; what was done while no wall ran is told later",
               why.text);
    }
    self->store_at = pw_clock_steady() + TICK_MS * ns_per_ms;
}

/* ---- what goes by itself ---- */

/* One line for all that went: how many, and from which to which. */
static void
tell_gone(struct pw_daemon *self, const char *what, const struct pw_gone *gone)
{
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", what);
    pw_json_uint(&json, "count", gone->count);
    pw_json_uint(&json, "bytes", gone->bytes);
    pw_json_str(&json, "first", gone->entries[0]);
    pw_json_str(&json, "last", gone->entries[gone->count - 1]);
    pw_json_end_object(&json);
    pw_daemon_push_event(self, PW_EVENT_QUARANTINE, PW_LEVEL_INFO, &json);
}

static void
note_trouble(struct pw_daemon *self, enum pw_err err, const struct pw_why *why)
{
    if (err != PW_E_OK && !self->store_trouble) { /* once, not every two seconds */
        pw_log(PW_LOG_ERROR, "quarantine: %s", why->text);
    }
    self->store_trouble = err != PW_E_OK;
}

static void
expire(struct pw_daemon *self)
{
    struct pw_gone gone = {0};
    struct pw_why why = {{0}};
    uint64_t age_ns = (uint64_t)self->settings->quarantine_max_age_ms * ns_per_ms;
    uint64_t now = pw_clock_wall();
    enum pw_err err = PW_E_OK;
    if (age_ns > 0 && now > age_ns) {
        err = pw_store_purge_before(self->store, now - age_ns, &gone, &why);
    }
    if (gone.count > 0) {
        tell_gone(self, "expired", &gone);
    }
    if (gone.count == PW_STORE_BATCH) { /* there may be more */
        self->store_at = pw_clock_steady() + SOON_MS * ns_per_ms;
    }
    static const enum pw_store_state remembered[] = {PW_STORE_RELEASED, PW_STORE_PURGED};
    for (size_t i = 0; err == PW_E_OK && i < PW_COUNT(remembered); i++) {
        err = pw_store_forget(self->store, remembered[i], &gone, &why);
        if (gone.count > 0) {
            tell_gone(self, "forgotten", &gone);
        }
    }
    note_trouble(self, err, &why);
}

int
pw_daemon_store_wait_ms(const struct pw_daemon *self)
{
    uint64_t now = pw_clock_steady();
    return self->store_at > now ? (int)((self->store_at - now) / ns_per_ms) + 1 : 0;
}

void
pw_daemon_store_tick(struct pw_daemon *self)
{
    if (pw_clock_steady() < self->store_at) {
        return;
    }
    self->store_at = pw_clock_steady() + TICK_MS * ns_per_ms;
    if (!pw_audit_ready(self->audit)) {
        return; /* nothing goes that nobody can read of */
    }
    if (++self->store_ticks == TICKS_OF_NOTES) {
        pw_store_notes_told(self->store); /* their lines are on the disk by now */
    }
    expire(self);
}

/* ---- status ---- */

void
pw_daemon_write_store_state(struct pw_daemon *self, struct pw_json *json)
{
    struct pw_store_usage usage = pw_store_usage(self->store);
    pw_json_object(json, "quarantine");
    for (size_t i = 0; i < PW_STORE_STATES; i++) {
        pw_json_uint(json, pw_store_state_text((enum pw_store_state)i), usage.entries[i]);
    }
    pw_json_uint(json, "bytes", usage.bytes);
    pw_json_uint(json, "max_bytes", self->settings->quarantine_max_bytes);
    pw_json_uint(json, "max_messages", self->settings->quarantine_max_messages);
    pw_json_bool(json, "sealed", pw_store_sealed(self->store));
    pw_json_end_object(json);
}

/* ---- purge ---- */

void
pw_write_operator(struct pw_json *json, const char *via, uid_t uid, pid_t pid)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char room[USER_ROOM];
    pw_json_object(json, "by");
    pw_json_str(json, "via", via);
    pw_json_uint(json, "uid", uid);
    pw_json_uint(json, "pid", (uint64_t)pid);
    if (getpwuid_r(uid, &entry, room, sizeof room, &found) == 0 && found != NULL) {
        pw_json_bytes(json, "user", pw_span_str(entry.pw_name), 64);
    }
    pw_json_end_object(json);
}

void
pw_write_purge(struct pw_json *json, const struct pw_gone *gone, const char *reason)
{
    pw_json_str(json, "what", "purge");
    pw_json_bytes(json, "reason", pw_span_str(reason), REASON_CAP);
    pw_json_uint(json, "count", gone->count);
    pw_json_uint(json, "bytes", gone->bytes);
    pw_json_array(json, "entries");
    for (size_t i = 0; i < gone->count; i++) {
        pw_json_str(json, NULL, gone->entries[i]);
    }
    pw_json_end_array(json);
}

static void
tell_purge(struct pw_daemon *self, const struct pw_gone *gone, const char *reason,
           const struct pw_control_peer *peer)
{
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_write_purge(&json, gone, reason);
    pw_write_operator(&json, "control", peer->uid, peer->pid);
    pw_json_end_object(&json);
    pw_daemon_push_event(self, PW_EVENT_QUARANTINE, PW_LEVEL_LOW, &json);
}

/* {"ids":["01JD8Z…",…],"reason":"…"}: whole ULIDs, at most PW_STORE_BATCH. */
static enum pw_err
read_request(const json_t *request, const json_t **ids, const char **reason,
             struct pw_why *why)
{
    *ids = json_object_get(request, "ids");
    *reason = json_string_value(json_object_get(request, "reason"));
    size_t count = json_array_size(*ids);
    if (count == 0 || count > PW_STORE_BATCH) {
        return pw_fail(why, PW_E_USAGE, "name 1 to %d entries as \"ids\"", PW_STORE_BATCH);
    }
    for (size_t i = 0; i < count; i++) {
        if (json_string_length(json_array_get(*ids, i)) != PW_STORE_ULID - 1) {
            return pw_fail(why, PW_E_USAGE,
                           "\"ids\": each is an entry, of %d characters; see picklewall "
                           "quarantine list",
                           PW_STORE_ULID - 1);
        }
    }
    return *reason != NULL && (*reason)[0] != '\0'
               ? PW_E_OK
               : pw_fail(why, PW_E_USAGE, "say why they go, as \"reason\"");
}

/* Entries that are not held (any more) are passed over, and named in the answer. */
static enum pw_err
purge_all(struct pw_daemon *self, const json_t *ids, struct pw_gone *gone,
          struct pw_json *json, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    pw_json_array(json, "missing");
    for (size_t i = 0; err == PW_E_OK && i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        err = pw_store_purge(self->store, id, gone, why);
        if (err == PW_E_NO_INPUT) {
            pw_json_bytes(json, NULL, pw_span_str(id), PW_STORE_ULID);
            err = PW_E_OK;
        }
    }
    pw_json_end_array(json);
    return err;
}

enum pw_err
pw_daemon_answer_purge(void *arg, const struct pw_control_peer *peer, const char *argument,
                       struct pw_json *json, struct pw_why *why)
{
    struct pw_daemon *self = arg;
    struct pw_gone gone = {0};
    const json_t *ids = NULL;
    const char *reason = NULL;
    if (!pw_audit_ready(self->audit)) {
        return pw_fail(why, PW_E_BUSY,
                       "the audit log cannot be written, so that nobody could read of it; "
                       "make room for it first");
    }
    json_t *request = json_loads(argument, 0, NULL);
    enum pw_err err = read_request(request, &ids, &reason, why);
    if (err == PW_E_OK) {
        err = purge_all(self, ids, &gone, json, why);
        pw_json_uint(json, "purged", gone.count);
        pw_json_uint(json, "bytes", gone.bytes);
    }
    if (gone.count > 0) {
        tell_purge(self, &gone, reason, peer);
    }
    json_decref(request);
    return err;
}
