/* SPDX-License-Identifier: Apache-2.0
 *
 * What the control socket can be asked.
 */
#include "proxy/daemon_inside.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "proxy/daemon_health.h"
#include "proxy/daemon_keeper.h"
#include "proxy/daemon_quarantine.h"
#include "proxy/sandbox.h"

enum { TAKING_MS = 100, REOPEN_MS = 500 };

static const uint64_t ns_per_ms = 1000000;

void
pw_daemon_versions(struct pw_json *json)
{
    int major;
    int minor;
    int patch;
    char zmq[32];
    zmq_version(&major, &minor, &patch);
    snprintf(zmq, sizeof zmq, "%d.%d.%d", major, minor, patch);
    pw_json_object(json, "versions");
    pw_json_str(json, "picklewall", PW_VERSION);
    pw_json_str(json, "libzmq", zmq);
    pw_json_str(json, "libsodium", sodium_version_string());
    pw_json_end_object(json);
}

static enum pw_err
answer_version(void *arg, const struct pw_control_peer *peer, const char *argument,
               struct pw_json *json, struct pw_why *why)
{
    (void)arg, (void)peer, (void)argument, (void)why;
    pw_daemon_versions(json);
    return PW_E_OK;
}

static void
write_peers(const struct pw_peer_counts *counts, const char *side, struct pw_json *json)
{
    pw_json_object(json, side);
    pw_json_uint(json, "connections", atomic_load(&counts->connections));
    for (int what = 0; what < PW_PEER_WHATS; what++) {
        pw_json_uint(json, pw_peer_what_text((enum pw_peer_what)what),
                     atomic_load(&counts->whats[what]));
    }
    pw_json_end_object(json);
}

static void
write_lane(const struct pw_daemon *self, const struct pw_lane *lane, struct pw_json *json)
{
    size_t number = (size_t)(lane - self->lanes);
    const struct pw_key *signer = pw_keys_signer(self->keys, number);
    pw_json_object(json, NULL);
    pw_json_str(json, "chan", lane->channel->name);
    pw_json_str(json, "in", lane->inputs);
    pw_json_str(json, "out", lane->outputs);
    struct pw_relay_counts counts = pw_relay_counts_now(lane->relay);
    pw_json_uint(json, "received", counts.received);
    pw_json_uint(json, "forwarded", counts.forwarded);
    pw_json_uint(json, "quarantined", counts.quarantined);
    pw_json_uint(json, "dropped", counts.dropped);
    pw_json_uint(json, "unstored", counts.unstored);
    pw_json_str(json, "policy",
                pw_policy_name(pw_keys_channel(self->keys, number)->policy));
    pw_json_uint(json, "generation", atomic_load(&lane->terms->generation));
    pw_json_uint(json, "idle_ms", pw_lane_idle_ms(lane));
    if (signer != NULL) {
        pw_json_str(json, "signs_with", pw_key_name(signer));
    }
    pw_json_object(json, "peers");
    write_peers(&lane->peers.counts[false], "in", json);
    write_peers(&lane->peers.counts[true], "out", json);
    pw_json_end_object(json);
    pw_json_end_object(json);
}

static void
write_log_state(struct pw_daemon *self, struct pw_json *json)
{
    struct pw_audit_counts counts = pw_audit_counts(self->audit);
    pw_json_object(json, "audit");
    pw_json_str(json, "file", self->settings->audit_file);
    pw_json_bool(json, "ready", pw_audit_ready(self->audit));
    pw_json_uint(json, "written", counts.written);
    pw_json_uint(json, "summarised", counts.summarised);
    pw_json_uint(json, "lost", counts.lost);
    pw_json_uint(json, "errors", counts.errors);
    if (counts.trouble != 0) {
        pw_json_str(json, "error", strerror(counts.trouble));
    } else if (counts.scarce) {
        pw_json_str(json, "error", "less room on the disk than audit.space_critical");
    }
    pw_json_object(json, "missed");
    for (size_t i = 0; i < self->copies.count; i++) {
        pw_json_uint(json, self->copies.targets[i].name, counts.missed[i]);
    }
    pw_json_end_object(json);
    pw_json_end_object(json);
}

static void
write_keys_state(struct pw_daemon *self, struct pw_json *json)
{
    const char *refusal = pw_keys_refusal(self->keys);
    pw_json_object(json, "keys");
    pw_json_uint(json, "generation", pw_keys_generation(self->keys));
    pw_json_bool(json, "good", refusal == NULL);
    if (refusal != NULL) {
        pw_json_str(json, "error", refusal);
    }
    pw_keys_describe(self->keys, json);
    pw_json_end_object(json);
}

static void
write_reload_state(const struct pw_daemon *self, struct pw_json *json)
{
    const struct pw_reload *reload = &self->reload;
    char when[PW_CLOCK_TEXT];
    pw_clock_format(reload->good_at, when);
    pw_json_object(json, "reload");
    pw_json_bool(json, "good", reload->good);
    pw_json_str(json, "since", when);
    pw_json_uint(json, "total", reload->total);
    pw_json_uint(json, "failed", reload->failed);
    if (!reload->good) {
        pw_json_str(json, "error", reload->why.text);
    }
    pw_daemon_write_pending(self, json);
    pw_json_end_object(json);
}

/* The channel of this name, or all of them when it is "". */
static enum pw_err
answer_status(void *arg, const struct pw_control_peer *peer, const char *argument,
              struct pw_json *json, struct pw_why *why)
{
    struct pw_daemon *self = arg;
    (void)peer;
    size_t found = 0;
    pw_json_str(json, "version", PW_VERSION);
    pw_json_uint(json, "pid", (uint64_t)getpid());
    pw_json_uint(json, "uptime_s",
                 (pw_clock_steady() - self->started_at) / (1000 * ns_per_ms));
    pw_json_str(json, "config", self->settings->file);
    pw_json_bool(json, "stopping", atomic_load(&self->order) != PW_ORDER_RUN);
    pw_daemon_write_health(self, json);
    pw_sandbox_write_own(json);
    write_reload_state(self, json);
    write_keys_state(self, json);
    write_log_state(self, json);
    pw_daemon_write_store_state(self, json);
    pw_json_array(json, "channels");
    for (size_t i = 0; i < self->lane_count; i++) {
        const struct pw_lane *lane = &self->lanes[i];
        bool wanted = argument[0] == '\0' || strcmp(argument, lane->channel->name) == 0;
        if (wanted && lane->relay != NULL) { /* none when the start failed */
            write_lane(self, lane, json);
            found++;
        }
    }
    pw_json_end_array(json);
    return found > 0 ? PW_E_OK
                     : pw_fail(why, PW_E_USAGE,
                               "%.64s is no channel of this wall; ask "
                               "without a name for all of them",
                               argument);
}

static bool
has_newest_terms(const struct pw_daemon *self, const struct pw_lane *lane)
{
    return lane->ended ||
           atomic_load(&lane->terms->generation) == pw_keys_generation(self->keys);
}

/* Channels take new terms between two messages; one that is stuck in a message takes long.
 */
static void
wait_for_lanes(const struct pw_daemon *self)
{
    uint64_t until = pw_clock_steady() + TAKING_MS * ns_per_ms;
    for (size_t i = 0; i < self->lane_count; i++) {
        while (!has_newest_terms(self, &self->lanes[i]) && pw_clock_steady() < until) {
            usleep(500);
        }
    }
}

static enum pw_err
answer_reload(void *arg, const struct pw_control_peer *peer, const char *argument,
              struct pw_json *json, struct pw_why *why)
{
    struct pw_daemon *self = arg;
    (void)argument;
    enum pw_err err = pw_daemon_reload(self, &(struct pw_asker){"control", *peer}, why);
    wait_for_lanes(self);
    pw_json_uint(json, "generation", pw_keys_generation(self->keys));
    pw_keys_describe(self->keys, json);
    pw_json_array(json, "waiting");
    for (size_t i = 0; i < self->lane_count; i++) {
        if (!has_newest_terms(self, &self->lanes[i])) {
            pw_json_str(json, NULL, self->lanes[i].channel->name);
        }
    }
    pw_json_end_array(json);
    pw_daemon_write_pending(self, json);
    return err;
}

/* Ends when the writer has looked at the path, so that the old file may be compressed. */
static enum pw_err
answer_reopen(void *arg, const struct pw_control_peer *peer, const char *argument,
              struct pw_json *json, struct pw_why *why)
{
    struct pw_daemon *self = arg;
    (void)peer, (void)argument;
    uint64_t before = pw_audit_counts(self->audit).reopens;
    uint64_t until = pw_clock_steady() + REOPEN_MS * ns_per_ms;
    pw_audit_reopen(self->audit);
    bool done = false;
    while (!done && pw_clock_steady() < until) {
        usleep(500);
        done = pw_audit_counts(self->audit).reopens > before;
    }
    pw_json_str(json, "file", self->settings->audit_file);
    return done
               ? PW_E_OK
               : pw_fail(why, PW_E_BUSY,
                         "the disk of %s is slow, and its old file still in use; ask again "
                         "before that is moved or compressed",
                         self->settings->audit_file);
}

static const struct pw_control_command control_commands[] = {
    {"status", true, answer_status, NULL},
    {"reopen", false, answer_reopen, NULL},
    {"reload", false, answer_reload, NULL},
    {"drain", false, pw_daemon_answer_drain, NULL},
    {"log-level", true, pw_daemon_answer_log_level, NULL},
    {"rotate", false, pw_daemon_answer_rotate, NULL},
    {"purge", true, NULL, pw_daemon_begin_purge},
    {"version", false, answer_version, NULL},
    {"release", true, NULL, pw_daemon_begin_release},
};

enum pw_err
pw_daemon_open_control(struct pw_daemon *self, struct pw_why *why)
{
    if (strcmp(self->settings->control, "-") == 0) {
        return PW_E_OK;
    }
    struct pw_control_options options = {
        .path = self->settings->control,
        .owner = geteuid(),
        .commands = control_commands,
        .command_count = PW_COUNT(control_commands),
        .arg = self,
    };
    enum pw_err err = pw_control_open(&options, &self->control, why);
    if (err == PW_E_OK) {
        return PW_E_OK;
    }
    struct pw_why plain = *why;
    char place[PW_PLACE_MAX];
    pw_settings_place(self->settings, "control", place);
    return pw_fail(why, err, "%s: %s", place, plain.text);
}
