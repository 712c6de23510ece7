/* SPDX-License-Identifier: Apache-2.0
 *
 * The channels of a wall: open and close each, with its thread, its pipeline and its relay.
 */
#include "proxy/daemon_inside.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <czmq.h>

#include "common/audit/audit.h"
#include "proxy/layout.h"
#include "proxy/port_zmq.h"

static const uint64_t ns_per_ms = 1000000;

static void
place_of(const struct pw_settings *settings, const struct pw_channel *channel,
         const char *key, char out[static PW_PLACE_MAX])
{
    char path[256];
    snprintf(path, sizeof path, "channel.%s.%s", channel->name, key);
    pw_settings_place(settings, path, out);
}

/* "signing key wrong" becomes "wall.conf:12: channel.jobs.sign: signing key wrong". */
static enum pw_err
fail_at(const struct pw_daemon *self, const struct pw_lane *lane, const char *key,
        enum pw_err err, struct pw_why *why)
{
    struct pw_why plain = *why;
    char place[PW_PLACE_MAX];
    place_of(self->settings, lane->channel, key, place);
    return pw_fail(why, err, "%s: %s", place, plain.text);
}

static bool
wants_guard(const struct pw_channel *channel)
{
    return channel->verify != PW_SET_VERIFY_OFF &&
           pw_channel_layout(channel) == PW_LAYOUT_NONE;
}

/*
 * It outlives all terms: what was accepted stays accepted. So does one that was opened for
 * terms which then were refused.
 */
static enum pw_err
open_guard(struct pw_daemon *self, struct pw_lane *lane, const struct pw_channel *channel,
           struct pw_why *why)
{
    if (!wants_guard(channel) || lane->guard != NULL) {
        return PW_E_OK;
    }
    lane->guard = pw_guard_open(
        &(struct pw_guard_options){
            .state = self->settings->state,
            .channel = channel->name,
            .max_age_ns = (uint64_t)channel->max_age_ms * ns_per_ms,
            .max_future_ns = (uint64_t)channel->max_future_ms * ns_per_ms,
            .replay = channel->replay,
        },
        why);
    return lane->guard != NULL ? PW_E_OK : fail_at(self, lane, "replay", PW_E_CREATE, why);
}

enum pw_err
pw_daemon_open_guards(struct pw_daemon *self, const struct pw_config *next,
                      struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && i < self->lane_count; i++) {
        struct pw_lane *lane = &self->lanes[i];
        const struct pw_channel *channel = pw_config_channel(next, lane->channel->name);
        err = channel != NULL ? open_guard(self, lane, channel, why) : PW_E_OK;
        atomic_store(&lane->terms->guard, lane->guard);
    }
    return err;
}

static void
open_port(struct pw_lane *lane, zsock_t *control)
{
    const struct pw_channel *channel = lane->channel;
    struct pw_port_zmq_options options = {
        .in = &channel->in,
        .out = &channel->out,
        .max_message_bytes = channel->max_message_bytes,
        .max_rss = lane->max_rss,
        .peers = &lane->peers,
        .control = zsock_resolve(control),
    };
    lane->port = pw_port_zmq_open(&options, &lane->fault, &lane->open_err, &lane->open_why);
}

/*
 * The thread of a channel. Its first signal says that the port is open or cannot be; then
 * it waits for a word, by which time the relay is made, or is NULL.
 */
static void
lane_thread(zsock_t *control, void *arg)
{
    struct pw_lane *lane = arg;
    open_port(lane, control);
    atomic_store(&lane->turn, PW_LANE_OPEN);
    zsock_signal(control, 0);
    do {
        free(zstr_recv(control));
    } while (atomic_load(&lane->turn) != PW_LANE_GO);
    if (lane->relay != NULL) {
        lane->err = pw_relay_run(lane->relay, &lane->port);
    } else if (lane->port != NULL) {
        lane->port->ops->close(&lane->port, 0);
    }
    atomic_store(&lane->turn, PW_LANE_ENDED);
}

static enum pw_err
open_lane(struct pw_daemon *self, struct pw_lane *lane, struct pw_why *why)
{
    enum pw_err err = open_guard(self, lane, lane->channel, why);
    if (err != PW_E_OK) {
        return err;
    }
    pw_terms_guard(lane->terms, lane->guard);
    lane->thread = zactor_new(lane_thread, lane);
    if (lane->thread == NULL) {
        return pw_fail(why, PW_E_OS,
                       "channel %s: no thread; see `ulimit -u` and `ulimit -n`",
                       lane->channel->name);
    }
    while (atomic_load(&lane->turn) != PW_LANE_OPEN) {
        usleep(1000); /* zactor_new comes back early from SIGSTOP and SIGCONT */
    }
    zsock_set_sndtimeo(lane->thread, 0); /* a thread that has ended reads no more words */
    if (lane->open_err != PW_E_OK) {
        char key[32];
        snprintf(key, sizeof key, "%s.%s", lane->fault.out ? "out" : "in",
                 lane->fault.setting != NULL ? lane->fault.setting : "bind");
        *why = lane->open_why;
        return fail_at(self, lane, key, lane->open_err, why);
    }
    return PW_E_OK;
}

static enum pw_err
make_relay(struct pw_daemon *self, struct pw_lane *lane, struct pw_why *why)
{
    if (lane->port == NULL) {
        return PW_E_OK; /* said already */
    }
    lane->inputs = strdup(pw_port_zmq_inputs(lane->port));
    lane->outputs = strdup(pw_port_zmq_outputs(lane->port));
    int number = lane->inputs == NULL || lane->outputs == NULL
                     ? -1
                     : pw_audit_channel(self->audit, lane->channel->name, lane->inputs,
                                        lane->outputs);
    if (number >= 0) {
        lane->audit_channel = number;
        lane->peers.channel = number;
        lane->peers.audit = self->audit; /* the port tells from now on */
        lane->relay = pw_relay_new(&(struct pw_relay_options){
            .name = lane->channel->name,
            .in = lane->inputs,
            .out = lane->outputs,
            .pipe = lane->terms->now->pipe,
            .terms = lane->terms,
            .releases = &lane->releases,
            .audit = self->audit,
            .audit_channel = number,
            .store = self->store,
            .keep_ns = (uint64_t)self->settings->quarantine_max_age_ms * ns_per_ms,
            .measure = self->settings->http != NULL,
            .drain_timeout_ms = self->settings->drain_timeout_ms,
            .order = &self->order,
        });
    }
    return lane->relay != NULL
               ? PW_E_OK
               : pw_fail(why, PW_E_NOMEM, "channel %s: out of memory", lane->channel->name);
}

static void
close_lane(struct pw_lane *lane)
{
    zactor_destroy(&lane->thread);
    pw_relay_free(&lane->relay);
    pw_guard_close(&lane->guard);
    pw_release_box_close(&lane->releases);
    free(lane->inputs);
    free(lane->outputs);
}

void
pw_daemon_close_lanes(struct pw_daemon *self)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        close_lane(&self->lanes[i]);
    }
    free(self->lanes);
    self->lanes = NULL;
    self->lane_count = 0;
}

enum pw_err
pw_daemon_make_lanes(struct pw_daemon *self, struct pw_why *why)
{
    size_t count = self->settings->channel_count;
    self->lanes = calloc(count, sizeof *self->lanes);
    if (self->lanes == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    self->lane_count = count;
    for (size_t i = 0; i < count; i++) {
        self->lanes[i].channel = &self->settings->channels[i];
        self->lanes[i].max_rss = self->settings->max_rss;
        self->lanes[i].terms = pw_keys_box(self->keys, i);
        pw_release_box_open(&self->lanes[i].releases);
    }
    return PW_E_OK;
}

/* What is open gets a relay in any case: see pw_daemon_let_go. */
enum pw_err
pw_daemon_open_lanes(struct pw_daemon *self, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && i < self->lane_count; i++) {
        err = open_lane(self, &self->lanes[i], why);
    }
    for (size_t i = 0; i < self->lane_count; i++) {
        struct pw_why later;
        enum pw_err made = make_relay(self, &self->lanes[i], err == PW_E_OK ? why : &later);
        err = err == PW_E_OK ? made : err;
    }
    return err;
}

void
pw_daemon_let_go(struct pw_daemon *self, enum pw_order order)
{
    if (atomic_load(&self->order) == PW_ORDER_RUN) { /* no signal has come meanwhile */
        atomic_store(&self->order, order);
    }
    for (size_t i = 0; i < self->lane_count; i++) {
        if (self->lanes[i].thread != NULL) {
            atomic_store(&self->lanes[i].turn, PW_LANE_GO);
            zstr_send(self->lanes[i].thread, "go");
        }
    }
}

void
pw_daemon_wake_lanes(struct pw_daemon *self)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        if (self->lanes[i].thread != NULL && !self->lanes[i].ended) {
            zstr_send(self->lanes[i].thread, "look");
        }
    }
}

size_t
pw_daemon_poll_lanes(struct pw_daemon *self, zmq_pollitem_t *items)
{
    size_t count = 0;
    for (size_t i = 0; i < self->lane_count; i++) {
        struct pw_lane *lane = &self->lanes[i];
        lane->ended = lane->ended || lane->thread == NULL;
        if (!lane->ended) {
            items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(lane->thread),
                                              .events = ZMQ_POLLIN};
        }
    }
    return count;
}

void
pw_daemon_note_ended(struct pw_daemon *self, const zmq_pollitem_t *items)
{
    for (size_t i = 0, item = 0; i < self->lane_count; i++) {
        struct pw_lane *lane = &self->lanes[i];
        if (!lane->ended) {
            lane->ended =
                items[item++].revents != 0 && atomic_load(&lane->turn) == PW_LANE_ENDED;
        }
    }
}
