/* SPDX-License-Identifier: Apache-2.0
 *
 * What is taken over while a wall runs.
 */
#include "proxy/daemon_inside.h"

#include <string.h>

#include "common/audit/audit.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/settings/live.h"
#include "proxy/daemon_quarantine.h"
#include "proxy/sandbox.h"

enum { KEYS_MS = 1000 /* how often the key folder is looked at */ };

static const uint64_t ns_per_ms = 1000000;

void
pw_daemon_write_asker(struct pw_json *json, const struct pw_asker *asker)
{
    if (asker->via == NULL) {
        return;
    }
    pw_json_object(json, "by");
    pw_json_str(json, "via", asker->via);
    pw_json_uint(json, "uid", asker->peer.uid);
    pw_json_uint(json, "pid", (uint64_t)asker->peer.pid);
    pw_json_end_object(json);
}

/*
 * "event":"key": what became of a look at the key folder. Later, while the log cannot be
 * written: this thread must go on to hear signals.
 */
static void
audit_keys(struct pw_daemon *self)
{
    if (self->keys_news == PW_KEYS_SAME || !pw_audit_ready(self->audit)) {
        return;
    }
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    bool refused = self->keys_news == PW_KEYS_REFUSED;
    if (refused) {
        pw_json_str(&json, "error", self->keys_why.text);
    }
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", refused ? "key.reload_failed" : "key.reload");
    pw_daemon_write_asker(&json, &self->keys_by);
    pw_keys_describe(self->keys, &json);
    pw_json_end_object(&json);
    pw_daemon_push_event(self, PW_EVENT_KEY, refused ? PW_LEVEL_HIGH : PW_LEVEL_INFO,
                         &json);
    self->keys_news = PW_KEYS_SAME;
}

static void
write_path(void *arg, const char *path)
{
    pw_json_str(arg, NULL, path);
}

void
pw_daemon_write_pending(const struct pw_daemon *self, struct pw_json *json)
{
    pw_json_array(json, "restart");
    pw_live_pending(self->settings, pw_keys_settings(self->keys), write_path, json);
    pw_json_end_array(json);
}

/* "event":"config": what became of the last order to reload. Later, as with keys. */
static void
audit_config(struct pw_daemon *self)
{
    struct pw_reload *reload = &self->reload;
    if (!reload->untold || !pw_audit_ready(self->audit)) {
        return;
    }
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    if (!reload->good) {
        pw_json_str(&json, "error", reload->why.text);
    }
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", reload->good ? "config.reload" : "config.reload_failed");
    pw_daemon_write_asker(&json, &reload->by);
    pw_json_str(&json, "config", self->settings->file);
    pw_json_uint(&json, "generation", reload->generation);
    pw_daemon_write_pending(self, &json);
    pw_json_end_object(&json);
    pw_daemon_push_event(self, PW_EVENT_CONFIG,
                         reload->good ? PW_LEVEL_INFO : PW_LEVEL_HIGH, &json);
    reload->untold = false;
}

static void
tell_new_keys(struct pw_daemon *self)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        const struct pw_key *key = pw_keys_signer(self->keys, i);
        if (key != NULL) {
            pw_log(PW_LOG_INFO, "channel %s: key that signs: %s",
                   self->lanes[i].channel->name, pw_key_name(key));
        }
    }
    pw_log(PW_LOG_INFO, "keys: %s was read again, and is in force",
           pw_keys_settings(self->keys)->keys);
}

static void
note_keys(struct pw_daemon *self, enum pw_keys_news news, const struct pw_asker *by)
{
    if (news != PW_KEYS_SAME) {
        self->keys_news = news;
        self->keys_by = by != NULL ? *by : (struct pw_asker){0};
    }
    audit_keys(self);
}

enum pw_keys_news
pw_daemon_look_at_keys(struct pw_daemon *self, const struct pw_asker *by)
{
    struct pw_why why = {0};
    self->keys_at = pw_clock_steady() + KEYS_MS * ns_per_ms;
    enum pw_keys_news news = pw_keys_look(self->keys, by != NULL, &why);
    if (news == PW_KEYS_NEW) {
        pw_daemon_wake_lanes(self);
        tell_new_keys(self);
    } else if (news == PW_KEYS_REFUSED) {
        pw_log(PW_LOG_ERROR, "keys: %s; the keys that were in force stay", why.text);
        self->keys_why = why;
    }
    note_keys(self, news, by);
    audit_config(self);
    return news;
}

/* Nothing can fail any more. What channels go by is in their boxes. */
static void
put_in_force(struct pw_daemon *self)
{
    const struct pw_settings *settings = pw_keys_settings(self->keys);
    const struct pw_audit_options options = pw_daemon_audit_options(settings);
    pw_audit_change(self->audit, &options);
    pw_daemon_limit_store(self, settings);
    pw_log_set_level((enum pw_log_level)settings->log_level);
    pw_daemon_wake_lanes(self);
}

/* All is read, checked and made before the first of it is exchanged. */
static enum pw_err
change_config(struct pw_daemon *self, struct pw_why *why)
{
    PW_CLEANUP(pw_config_free) struct pw_config *next = NULL;
    PW_CLEANUP(pw_settings_free)
    struct pw_settings *settings = pw_settings_load(self->settings->file, why);
    if (settings == NULL) {
        pw_sandbox_remark(self->settings->file, why);
        return PW_E_CONFIG;
    }
    next = pw_config_own(&settings);
    if (next == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    enum pw_err err = pw_daemon_open_guards(self, next, why);
    err = err == PW_E_OK ? pw_keys_change(self->keys, &next, why) : err;
    if (err == PW_E_OK) {
        put_in_force(self);
    }
    return err;
}

static void
warn_of_pending(void *arg, const char *path)
{
    (void)arg;
    pw_log(PW_LOG_WARN, "%s: it has changed, and waits for the next start", path);
}

static void
tell_reloaded(struct pw_daemon *self)
{
    const struct pw_settings *settings = pw_keys_settings(self->keys);
    self->reload.good_at = pw_clock_wall();
    if (settings->keys != NULL) {
        tell_new_keys(self);
        note_keys(self, PW_KEYS_NEW, &self->reload.by);
    }
    pw_log(PW_LOG_INFO, "configuration: %s was read again, and is in force",
           settings->file);
    pw_live_pending(self->settings, settings, warn_of_pending, NULL);
}

/*
 * The key folder goes on being looked at by itself: when it is what is not in order, it is
 * told as keys are. Otherwise it may be taken over, by the old settings.
 */
static void
tell_refused(struct pw_daemon *self, struct pw_why *why)
{
    self->reload.failed++;
    if (pw_daemon_look_at_keys(self, &self->reload.by) == PW_KEYS_REFUSED) {
        (void)pw_fail(why, PW_E_CONFIG, "%s; the keys that were in force stay",
                      pw_keys_refusal(self->keys));
    } else {
        struct pw_why plain = *why;
        pw_log(PW_LOG_ERROR, "configuration: %s; what was in force stays", plain.text);
        (void)pw_fail(why, PW_E_CONFIG, "%s; what was in force stays", plain.text);
    }
}

enum pw_err
pw_daemon_reload(struct pw_daemon *self, const struct pw_asker *by, struct pw_why *why)
{
    struct pw_reload *reload = &self->reload;
    pw_audit_reopen(self->audit);
    reload->total++;
    reload->by = *by;
    enum pw_err err = change_config(self, why);
    reload->good = err == PW_E_OK;
    reload->generation = pw_keys_generation(self->keys);
    reload->untold = true;
    if (err == PW_E_OK) {
        tell_reloaded(self);
    } else {
        reload->why = *why;
        tell_refused(self, why);
    }
    audit_config(self);
    return err;
}
