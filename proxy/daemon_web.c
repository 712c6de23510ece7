/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/daemon_web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/ulid.h"
#include "common/sign/keyring.h"
#include "proxy/board.h"
#include "proxy/daemon_health.h"
#include "proxy/sandbox.h"
#include "proxy/web.h"

enum { PATH_LIMIT = 4096, TELL_MS = 1000 };

static const uint64_t ns_per_ms = 1000000;
static const uint64_t oldest_ns = 10000000000; /* how often a folder is read for it */

struct pw_daemon_web {
    struct pw_board *board;
    struct pw_web *server;
    char quarantine[PATH_LIMIT];
    uint64_t tell_at; /* steady clock */
    uint64_t started; /* wall clock */
    uint64_t oldest;  /* as in pw_metrics */
    uint64_t oldest_at;
};

/* --- a snapshot ----------------------------------------------------------------------- */

static void
copy_name(char *out, size_t room, const char *name)
{
    snprintf(out, room, "%s", name != NULL ? name : "");
}

static void
fill_peers(const struct pw_peers *peers, struct pw_metrics_channel *out)
{
    for (size_t side = 0; side < 2; side++) {
        const struct pw_peer_counts *counts = &peers->counts[side];
        out->connections[side] =
            atomic_load_explicit(&counts->connections, memory_order_relaxed);
        for (size_t what = 0; what < PW_PEER_WHATS; what++) {
            out->peers[side][what] =
                atomic_load_explicit(&counts->whats[what], memory_order_relaxed);
        }
    }
}

static void
fill_channel(const struct pw_daemon *self, size_t number, struct pw_metrics_channel *out)
{
    const struct pw_lane *lane = &self->lanes[number];
    const struct pw_channel *channel = pw_keys_channel(self->keys, number);
    copy_name(out->name, sizeof out->name, channel->name);
    copy_name(out->policy, sizeof out->policy, pw_policy_name(channel->policy));
    copy_name(out->in, sizeof out->in, lane->inputs);
    copy_name(out->out, sizeof out->out, lane->outputs);
    out->ended = lane->ended;
    fill_peers(&lane->peers, out);
    if (lane->relay == NULL) {
        return;
    }
    struct pw_relay_counts counts = pw_relay_counts_now(lane->relay);
    out->received = counts.received;
    out->forwarded = counts.forwarded;
    out->quarantined = counts.quarantined;
    out->dropped = counts.dropped;
    out->unstored = counts.unstored;
    pw_meter_read(pw_relay_meter(lane->relay), out->slots);
}

static void
fill_channels(const struct pw_daemon *self, struct pw_metrics *out)
{
    out->channels = calloc(self->lane_count + 1, sizeof *out->channels);
    for (size_t i = 0; out->channels != NULL && i < self->lane_count; i++) {
        fill_channel(self, i, &out->channels[out->channel_count++]);
    }
}

static void
fill_keys(const struct pw_daemon *self, struct pw_metrics *out)
{
    const struct pw_keyring *ring = pw_keys_ring(self->keys);
    size_t count = ring != NULL ? pw_keyring_count(ring) : 0;
    out->keys = calloc(count + 1, sizeof *out->keys);
    for (size_t i = 0; out->keys != NULL && i < count; i++) {
        const struct pw_key *key = pw_keyring_at(ring, i);
        struct pw_metrics_key *row = &out->keys[out->key_count++];
        copy_name(row->name, sizeof row->name, pw_key_name(key));
        row->suite = pw_suite_text(pw_key_suite(key));
        row->unusable = pw_key_usable(key, out->wall_ns, false);
        row->until = pw_key_validity(key).until;
    }
}

static void
fill_health(struct pw_daemon *self, struct pw_metrics *out)
{
    for (int i = 0; i < PW_HEALTH_PROBES; i++) {
        struct pw_metrics_probe *probe = &out->probes[i];
        probe->good = pw_daemon_is_well(self, (enum pw_health_probe)i, &probe->why);
    }
}

static void
fill_log(struct pw_daemon *self, struct pw_metrics *out)
{
    out->audit = pw_audit_counts(self->audit);
    out->audit_ready = pw_audit_ready(self->audit);
    out->copy_count = self->copies.count;
    for (size_t i = 0; i < out->copy_count; i++) {
        out->copies[i] = self->copies.targets[i].name;
    }
}

static bool
note_oldest(void *arg, const char *entry, struct pw_span json)
{
    uint64_t *oldest = arg;
    (void)json;
    *oldest = pw_ulid_ms(entry) * ns_per_ms;
    return false;
}

static void
fill_quarantine(struct pw_daemon *self, struct pw_metrics *out)
{
    struct pw_daemon_web *web = self->web;
    out->quarantine = pw_store_usage(self->store);
    out->quarantine_max_bytes = pw_keys_settings(self->keys)->quarantine_max_bytes;
    out->sealed = pw_store_sealed(self->store);
    uint64_t now = pw_clock_steady();
    bool any = out->quarantine.entries[PW_STORE_HELD] > 0;
    if (any && (web->oldest == 0 || now >= web->oldest_at)) {
        struct pw_why why;
        web->oldest_at = now + oldest_ns;
        (void)!pw_store_list(self->store, PW_STORE_HELD, note_oldest, &web->oldest, &why);
    }
    web->oldest = any ? web->oldest : 0;
    out->oldest = web->oldest;
}

static void
fill_reload(const struct pw_daemon *self, struct pw_metrics *out)
{
    const struct pw_reload *reload = &self->reload;
    const char *refusal = pw_keys_refusal(self->keys); /* also without an order */
    out->reload = (struct pw_metrics_reload){
        .good = reload->good && refusal == NULL,
        .at = reload->good_at,
        .done = reload->total - reload->failed,
        .refused = reload->failed,
    };
    const char *error = reload->good ? refusal : reload->why.text;
    copy_name(out->reload.error, sizeof out->reload.error, error);
}

static struct pw_metrics
snapshot(struct pw_daemon *self)
{
    struct pw_metrics out = {
        .wall_ns = pw_clock_wall(),
        .started = self->web->started,
        .stopping = atomic_load(&self->order) != PW_ORDER_RUN,
    };
    copy_name(out.instance, sizeof out.instance, self->settings->instance);
    fill_channels(self, &out);
    fill_keys(self, &out);
    fill_health(self, &out);
    fill_log(self, &out);
    fill_quarantine(self, &out);
    fill_reload(self, &out);
    out.sandbox = pw_sandbox_level();
    return out;
}

int
pw_daemon_web_wait_ms(const struct pw_daemon *self)
{
    uint64_t now = pw_clock_steady();
    if (self->web == NULL) {
        return -1;
    }
    return self->web->tell_at > now ? (int)((self->web->tell_at - now) / ns_per_ms) + 1 : 0;
}

void
pw_daemon_tell_web(struct pw_daemon *self)
{
    if (pw_daemon_web_wait_ms(self) != 0) {
        return;
    }
    self->web->tell_at = pw_clock_steady() + TELL_MS * ns_per_ms;
    struct pw_metrics now = snapshot(self);
    pw_board_put(self->web->board, &now);
    pw_web_tick(self->web->server);
}

/* --- open and close ------------------------------------------------------------------- */

static enum pw_err
open_server(struct pw_daemon *self, struct pw_why *why)
{
    struct pw_why plain;
    char *folder = self->web->quarantine;
    snprintf(folder, PATH_LIMIT, "%s/quarantine", self->settings->state);
    self->web->server = pw_web_open(
        &(struct pw_web_options){
            .address = self->settings->http,
            .name = self->settings->http_name,
            .board = self->web->board,
            .recent = self->copies.recent,
            .quarantine = folder,
        },
        &plain);
    if (self->web->server != NULL) {
        return PW_E_OK;
    }
    char place[PW_PLACE_MAX];
    pw_settings_place(self->settings, "http", place);
    return pw_fail(why, PW_E_CREATE, "%s: %s", place, plain.text);
}

enum pw_err
pw_daemon_open_web(struct pw_daemon *self, struct pw_why *why)
{
    if (self->settings->http == NULL) {
        return PW_E_OK;
    }
    self->web = calloc(1, sizeof *self->web);
    if (self->web == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    self->web->started = pw_clock_wall();
    self->web->board = pw_board_new(self->copies.recent);
    return self->web->board != NULL ? open_server(self, why)
                                    : pw_fail(why, PW_E_NOMEM, "out of memory");
}

void
pw_daemon_close_web(struct pw_daemon *self)
{
    if (self->web == NULL) {
        return;
    }
    pw_web_close(&self->web->server);
    pw_board_free(&self->web->board);
    free(self->web);
    self->web = NULL;
}

void
pw_daemon_describe_web(const struct pw_daemon *self)
{
    if (self->web == NULL) {
        return;
    }
    pw_log(PW_LOG_INFO, "metrics, health and the status page are at http://%s/",
           self->settings->http);
    if (!pw_web_is_local(self->web->server)) {
        pw_log(PW_LOG_WARN,
               "http: other machines can read the metrics and which messages were refused "
               "on %s; use 127.0.0.1, or let only the monitoring reach it",
               self->settings->http);
    }
}
