/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operator and the audit log are told of a wall as a whole.
 */
#include "proxy/daemon_inside.h"

#include <stdio.h>
#include <string.h>

#include "common/audit/audit.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/settings/endpoint.h"
#include "proxy/daemon_web.h"
#include "proxy/sandbox.h"

/* "listens on A, connects to B": `names` are the real addresses, in the order of `side`. */
static void
describe_side(const struct pw_side *side, const char *names, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < side->count && len < size; i++) {
        int name_len = (int)strcspn(names, ",");
        len += (size_t)snprintf(out + len, size - len, "%s%s %.*s", i == 0 ? "" : ", ",
                                side->endpoints[i].bind ? "listens on" : "connects to",
                                name_len, names);
        names += name_len;
        names += strspn(names, ", ");
    }
}

/* What check-config says, too. */
static void
tell_warnings(const struct pw_settings *settings)
{
    struct pw_cursor cur = pw_cursor_over(pw_buf_span(&settings->warnings));
    while (cur.rest.len > 0) {
        struct pw_span line = pw_cursor_until(&cur, '\n');
        pw_log(PW_LOG_WARN, "%.*s", (int)line.len, (const char *)line.ptr);
    }
}

static void
describe_lane(const struct pw_daemon *self, const struct pw_lane *lane)
{
    static const char *const violation[] = {[PW_DROP] = "dropped",
                                            [PW_QUARANTINE] = "quarantined",
                                            [PW_PASS] = "only reported"};
    static const char *const verify[] = {[PW_SET_VERIFY_OFF] = "not verified",
                                         [PW_SET_VERIFY_OPTIONAL] = "verified when there",
                                         [PW_SET_VERIFY_REQUIRED] = "required"};
    const struct pw_channel *channel = lane->channel;
    const struct pw_key *signer = pw_keys_signer(self->keys, (size_t)(lane - self->lanes));
    char in[400];
    char out[400];
    describe_side(&channel->in, lane->inputs, in, sizeof in);
    describe_side(&channel->out, lane->outputs, out, sizeof out);
    pw_log(PW_LOG_INFO, "channel %s: in %s; out %s", channel->name, in, out);
    pw_log(
        PW_LOG_INFO,
        "channel %s: policy %s, violations are %s; signatures are %s, key that signs: %s",
        channel->name, pw_policy_name(channel->policy), violation[channel->on_violation],
        verify[channel->verify], signer == NULL ? "none" : pw_key_name(signer));
}

void
pw_daemon_describe(const struct pw_daemon *self)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        describe_lane(self, &self->lanes[i]);
    }
    tell_warnings(self->settings);
    pw_log(PW_LOG_INFO, "audit log %s, quarantine %s/quarantine",
           self->settings->audit_file, self->settings->state);
    if (self->copies.publish != NULL) {
        const char *endpoint = pw_publish_endpoint(self->copies.publish);
        pw_log(PW_LOG_INFO, "audit lines are published on %s", endpoint);
        if (!pw_endpoint_is_local(endpoint)) {
            pw_log(PW_LOG_WARN,
                   "audit.publish: other machines can read the audit log on %s; use "
                   "127.0.0.1",
                   endpoint);
        }
    }
    pw_daemon_describe_web(self);
    pw_log(PW_LOG_INFO, "%s is ready", PW_VERSION);
}

enum pw_err
pw_daemon_push_event(struct pw_daemon *self, enum pw_audit_event event, enum pw_level level,
                     struct pw_json *json)
{
    struct pw_buf *text = json->out;
    enum pw_err err = json->err;
    if (err == PW_E_OK) {
        err = pw_buf_append(text, (struct pw_span){(const uint8_t *)"", 1});
    }
    if (err != PW_E_OK) {
        pw_buf_free(text); /* the event alone must do */
    }
    struct pw_audit_record record = {.wall_ns = pw_clock_wall(),
                                     .channel = -1,
                                     .event = (uint8_t)event,
                                     .level = (uint8_t)level,
                                     .detail = (char *)text->bytes};
    enum pw_err pushed = pw_audit_push(self->audit, &record, 1);
    return err == PW_E_OK ? pushed : err;
}

/* "event":"error": lines are missing of what the log was when it was last signed. */
static void
audit_alarm(struct pw_daemon *self)
{
    const char *alarm = pw_audit_chain_alarm(self->audit);
    if (alarm == NULL) {
        return;
    }
    pw_log(PW_LOG_ERROR, "%s", alarm);
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_str(&json, "error", alarm);
    pw_daemon_push_event(self, PW_EVENT_ERROR, PW_LEVEL_HIGH, &json);
}

void
pw_daemon_audit_start(struct pw_daemon *self)
{
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "config", self->settings->file);
    pw_daemon_versions(&json);
    pw_sandbox_write_own(&json);
    pw_json_array(&json, "channels");
    for (size_t i = 0; i < self->lane_count; i++) {
        const struct pw_lane *lane = &self->lanes[i];
        pw_json_object(&json, NULL);
        pw_json_str(&json, "chan", lane->channel->name);
        pw_json_str(&json, "in", lane->inputs);
        pw_json_str(&json, "out", lane->outputs);
        pw_json_str(&json, "policy", pw_policy_name(lane->channel->policy));
        pw_json_str(&json, "on_violation", pw_verdict_text(lane->channel->on_violation));
        pw_json_bool(&json, "verify", lane->channel->verify != PW_SET_VERIFY_OFF);
        pw_json_bool(&json, "sign", lane->channel->sign != NULL);
        pw_json_end_object(&json);
    }
    pw_json_end_array(&json);
    pw_json_raw(&json, pw_span_str(pw_audit_chain_news(self->audit)));
    pw_json_end_object(&json);
    pw_daemon_push_event(self, PW_EVENT_START, PW_LEVEL_INFO, &json);
    audit_alarm(self);
}

void
pw_daemon_audit_stop(struct pw_daemon *self)
{
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_daemon_write_asker(&json, &self->stop_by);
    pw_json_array(&json, "channels");
    for (size_t i = 0; i < self->lane_count; i++) {
        if (self->lanes[i].relay == NULL) {
            continue;
        }
        struct pw_relay_counts counts = pw_relay_counts(self->lanes[i].relay);
        pw_json_object(&json, NULL);
        pw_json_str(&json, "chan", self->lanes[i].channel->name);
        pw_json_uint(&json, "received", counts.received);
        pw_json_uint(&json, "forwarded", counts.forwarded);
        pw_json_uint(&json, "quarantined", counts.quarantined);
        pw_json_uint(&json, "dropped", counts.dropped);
        pw_json_uint(&json, "unstored", counts.unstored);
        pw_json_uint(&json, "undelivered", counts.undelivered);
        pw_json_uint(&json, "lost", counts.lost);
        pw_json_bool(&json, "delivered", counts.delivered);
        pw_json_end_object(&json);
    }
    pw_json_end_array(&json);
    pw_json_end_object(&json);
    pw_daemon_push_event(self, PW_EVENT_STOP, PW_LEVEL_INFO, &json);
}
