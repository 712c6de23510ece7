/* SPDX-License-Identifier: Apache-2.0
 *
 * What is taken over while a wall runs.
 */
#include "proxy/daemon_inside.h"

#include "common/audit/audit.h"
#include "common/base/clock.h"
#include "common/base/log.h"

enum { KEYS_MS = 1000 /* how often the key folder is looked at */ };

static const uint64_t ns_per_ms = 1000000;

static void
write_asker(struct pw_json *json, const struct pw_asker *asker)
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
    write_asker(&json, &self->keys_by);
    pw_keys_describe(self->keys, &json);
    pw_json_end_object(&json);
    pw_daemon_push_event(self, PW_EVENT_KEY, refused ? PW_LEVEL_HIGH : PW_LEVEL_INFO,
                         &json);
    self->keys_news = PW_KEYS_SAME;
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
    pw_log(PW_LOG_INFO, "keys: %s was read again, and is in force", self->settings->keys);
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
    if (news != PW_KEYS_SAME) {
        self->keys_news = news;
        self->keys_by = by != NULL ? *by : (struct pw_asker){0};
    }
    audit_keys(self);
    return news;
}

enum pw_keys_news
pw_daemon_reload(struct pw_daemon *self, const struct pw_asker *by)
{
    pw_audit_reopen(self->audit);
    return pw_daemon_look_at_keys(self, by);
}
