/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/daemon_health.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "proxy/notify.h"

static const uint64_t ns_per_ms = 1000000;

uint64_t
pw_lane_idle_ms(const struct pw_lane *lane)
{
    uint64_t now = pw_clock_steady();
    uint64_t turned = lane->relay != NULL ? pw_relay_pulse(lane->relay).turned_at : now;
    return now > turned ? (now - turned) / ns_per_ms : 0;
}

static struct pw_health_channel
channel_of(const struct pw_lane *lane)
{
    return (struct pw_health_channel){
        .name = lane->channel->name,
        .idle_ms = pw_lane_idle_ms(lane),
        .ended = lane->ended,
        .holds = lane->relay != NULL && pw_relay_pulse(lane->relay).holds,
    };
}

void
pw_daemon_health(struct pw_daemon *self, struct pw_health_channel *channels,
                 struct pw_health *out)
{
    struct pw_audit_counts log = pw_audit_counts(self->audit);
    for (size_t i = 0; i < self->lane_count; i++) {
        channels[i] = channel_of(&self->lanes[i]);
    }
    *out = (struct pw_health){
        .started = self->started,
        .stopping = atomic_load(&self->order) != PW_ORDER_RUN,
        .channels = channels,
        .channel_count = self->lane_count,
        .audit_ready = pw_audit_ready(self->audit),
        .audit_error = log.trouble != 0 ? strerror(log.trouble)
                       : log.scarce     ? "less room on the disk than audit.space_critical"
                                        : NULL,
        .keys_error = pw_keys_refusal(self->keys),
        .full = pw_store_short_of(self->store),
    };
}

bool
pw_daemon_is_well(struct pw_daemon *self, enum pw_health_probe probe, struct pw_why *why)
{
    struct pw_health health;
    struct pw_health_channel *channels = calloc(self->lane_count, sizeof *channels);
    if (channels == NULL) {
        pw_fail(why, PW_E_NOMEM, "out of memory; give the wall more");
        return false;
    }
    pw_daemon_health(self, channels, &health);
    bool well = pw_health_judge(&health, probe, why);
    free(channels);
    return well;
}

void
pw_daemon_write_health(struct pw_daemon *self, struct pw_json *json)
{
    pw_json_object(json, "health");
    for (int i = 0; i < PW_HEALTH_PROBES; i++) {
        enum pw_health_probe probe = (enum pw_health_probe)i;
        struct pw_why why;
        bool well = pw_daemon_is_well(self, probe, &why);
        pw_json_object(json, pw_health_text(probe));
        pw_json_bool(json, "good", well);
        if (!well) {
            pw_json_bytes(json, "error", pw_span_str(why.text), sizeof why.text);
        }
        pw_json_end_object(json);
    }
    pw_json_end_object(json);
}

int
pw_daemon_watchdog_wait_ms(const struct pw_daemon *self)
{
    uint64_t now = pw_clock_steady();
    if (self->watchdog_ns == 0) {
        return -1;
    }
    return self->watchdog_at > now ? (int)((self->watchdog_at - now) / ns_per_ms) + 1 : 0;
}

/* Three words in each period, so that one that is late does no harm. */
void
pw_daemon_feed_watchdog(struct pw_daemon *self)
{
    struct pw_why why;
    if (pw_daemon_watchdog_wait_ms(self) != 0) {
        return;
    }
    bool silent = self->watchdog_silent;
    self->watchdog_at = pw_clock_steady() + self->watchdog_ns / 3;
    self->watchdog_silent = !pw_daemon_is_well(self, PW_HEALTH_LIVE, &why);
    if (!self->watchdog_silent) {
        pw_notify("WATCHDOG=1");
    } else if (!silent) {
        pw_log(PW_LOG_ERROR, "the watchdog is not fed: %s", why.text);
    }
}
