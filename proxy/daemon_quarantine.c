/* SPDX-License-Identifier: Apache-2.0
 *
 * The wall and its quarantine: its limits, how it was found, its state.
 */
#include "proxy/daemon_quarantine.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/quarantine/seal.h"
#include "proxy/daemon_keeper.h"
#include "proxy/json_read.h"

enum {
    PATH_LIMIT = 4096,
    REASON_CAP = 512,
    USER_ROOM = 1024,
};

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

void
pw_daemon_limit_store(struct pw_daemon *self, const struct pw_settings *settings)
{
    int64_t min_free = settings->quarantine_min_free;
    pw_store_limit(self->store,
                   &(struct pw_store_limits){
                       .max_bytes = settings->quarantine_max_bytes,
                       .max_messages = settings->quarantine_max_messages,
                       .min_free = min_free > 0 ? (uint64_t)min_free : 0,
                       .min_free_percent = min_free < 0 ? (unsigned)-min_free : 0,
                       .stop = settings->quarantine_stop,
                   });
    atomic_store(&self->keep_ms, settings->quarantine_max_age_ms);
}

enum pw_err
pw_daemon_open_store(struct pw_daemon *self, struct pw_why *why)
{
    char path[PATH_LIMIT];
    snprintf(path, sizeof path, "%s/quarantine", self->settings->state);
    self->store = pw_store_open(path, why);
    if (self->store == NULL) {
        return PW_E_CREATE;
    }
    pw_daemon_limit_store(self, self->settings);
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

/* Whoever reads the log reads a note as JSON: what is none must not stand there. */
static bool
is_note(struct pw_span note)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = note.len + 2};
    PW_CLEANUP(pw_json_line_free) json_t *object = NULL;
    return pw_buf_append(&text, pw_span_str("{")) == PW_E_OK &&
           pw_buf_append(&text, note) == PW_E_OK &&
           pw_buf_append(&text, pw_span_str("}")) == PW_E_OK &&
           memchr(text.bytes, '\n', text.len) == NULL &&
           pw_json_line_read(pw_buf_span(&text), &object) == PW_E_OK &&
           json_object_size(object) > 0;
}

static bool
tell_note(void *arg, const char *id, struct pw_span note)
{
    if (!is_note(note)) {
        pw_log(PW_LOG_WARN,
               "quarantine: notes/%s.json is no note; look at it, and remove it", id);
        return true;
    }
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "note", id);
    pw_json_raw(&json, note);
    pw_json_end_object(&json);
    if (pw_daemon_push_found(arg, PW_LEVEL_INFO, &json) == PW_E_OK) {
        pw_daemon_note_told(arg, id);
    }
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
        pw_log(PW_LOG_WARN,
               "quarantine: %s; what it says is told by the first wall that "
               "can read it",
               why.text);
    }
    pw_daemon_wake_keeper(self);
}

/* ---- status ---- */

void
pw_daemon_write_store_state(struct pw_daemon *self, struct pw_json *json)
{
    const struct pw_settings *settings = pw_keys_settings(self->keys);
    struct pw_store_usage usage = pw_store_usage(self->store);
    pw_json_object(json, "quarantine");
    for (size_t i = 0; i < PW_STORE_STATES; i++) {
        pw_json_uint(json, pw_store_state_text((enum pw_store_state)i), usage.entries[i]);
    }
    pw_json_uint(json, "bytes", usage.bytes);
    pw_json_uint(json, "max_bytes", settings->quarantine_max_bytes);
    pw_json_uint(json, "max_messages", settings->quarantine_max_messages);
    pw_json_bool(json, "sealed", pw_store_sealed(self->store));
    pw_json_end_object(json);
}

/* ---- how a purge is told ---- */

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
