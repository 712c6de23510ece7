/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/daemon_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <czmq.h>
#include <sodium.h>

#include "common/audit/audit.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/quarantine/store.h"
#include "proxy/daemon_keeper.h"
#include "proxy/daemon_quarantine.h"
#include "proxy/layout.h"
#include "proxy/port_zmq.h"

enum {
    PATH_LIMIT = 4096,
    AUDIT_GRACE_MS = 5000,
    GIVE_UP_MS = 500, /* how often the end of that grace is looked for */
    KEYS_MS = 1000,   /* how often the key folder is looked at */
};

static const uint64_t ns_per_ms = 1000000;

/* --- one channel -------------------------------------------------------------------- */

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

/* It outlives the keys, which may be loaded anew: what was accepted stays accepted. */
static enum pw_err
open_guard(struct pw_daemon *self, struct pw_lane *lane, struct pw_why *why)
{
    const struct pw_channel *channel = lane->channel;
    if (channel->verify == PW_SET_VERIFY_OFF ||
        pw_channel_layout(channel) != PW_LAYOUT_NONE) {
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

static enum pw_err
open_pipeline(struct pw_daemon *self, struct pw_lane *lane, struct pw_why *why)
{
    static const enum pw_verify verify[] = {
        [PW_SET_VERIFY_OFF] = PW_VERIFY_OFF,
        [PW_SET_VERIFY_OPTIONAL] = PW_VERIFY_OPTIONAL,
        [PW_SET_VERIFY_REQUIRED] = PW_VERIFY_REQUIRED,
    };
    const struct pw_channel *channel = lane->channel;
    bool as_frame = channel->envelope == PW_SET_ENVELOPE_FRAME;
    lane->pipe = pw_pipeline_new(&(struct pw_pipeline_options){
        .policy = channel->policy,
        .rules = &channel->frames,
        .on_violation = channel->on_violation,
        .verify = verify[channel->verify],
        .envelope = as_frame ? PW_ENVELOPE_FRAME : PW_ENVELOPE_TAIL,
        .strip = channel->strip,
        .max_frames = channel->max_frames,
        .verifier = lane->keys->now->verifier,
        .guard = lane->guard,
        .signer = lane->keys->now->signer,
        .layout = pw_channel_layout(channel),
        .foreign = lane->keys->now->foreign,
    });
    if (lane->pipe == NULL) {
        pw_fail(why, PW_E_NOMEM, "out of memory");
        return fail_at(self, lane, "policy", PW_E_NOMEM, why);
    }
    return PW_E_OK;
}

static void
open_port(struct pw_lane *lane, zsock_t *control)
{
    const struct pw_channel *channel = lane->channel;
    struct pw_port_zmq_options options = {
        .in = &channel->in,
        .out = &channel->out,
        .max_message_bytes = channel->max_message_bytes,
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

/* Pipeline first: nothing is received before it can be judged. */
static enum pw_err
open_lane(struct pw_daemon *self, struct pw_lane *lane, struct pw_why *why)
{
    enum pw_err err = open_guard(self, lane, why);
    err = err == PW_E_OK ? open_pipeline(self, lane, why) : err;
    if (err != PW_E_OK) {
        return err;
    }
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
        char key[16];
        snprintf(key, sizeof key, "%s.%s", lane->fault.out ? "out" : "in",
                 lane->fault.bind ? "bind" : "connect");
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
        lane->relay = pw_relay_new(&(struct pw_relay_options){
            .name = lane->channel->name,
            .in = lane->inputs,
            .out = lane->outputs,
            .pipe = lane->pipe,
            .keys = lane->keys,
            .releases = &lane->releases,
            .audit = self->audit,
            .audit_channel = number,
            .store = self->store,
            .keep_ns = (uint64_t)self->settings->quarantine_max_age_ms * ns_per_ms,
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
    pw_pipeline_free(&lane->pipe);
    pw_guard_close(&lane->guard);
    pw_release_box_close(&lane->releases);
    free(lane->inputs);
    free(lane->outputs);
}

/* --- what all channels share -------------------------------------------------------- */

/* Block the signals here, before any thread, so that they reach none but the signalfd. */
static enum pw_err
open_signals(struct pw_daemon *self, struct pw_why *why)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < PW_COUNT(numbers); i++) {
        sigaddset(&set, numbers[i]);
    }
    signal(SIGPIPE, SIG_IGN); /* an audit log on a closed pipe is an error to report */
    sigprocmask(SIG_BLOCK, &set, NULL);
    self->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->signals < 0) {
        return pw_fail(why, PW_E_OS, "signals: %s", strerror(errno));
    }
    zsys_init();
    zsys_handler_set(NULL); /* czmq would take SIGINT and SIGTERM for itself */
    return PW_E_OK;
}

/* Two walls with one state folder would mix their logs and quotas. */
static enum pw_err
open_state(struct pw_daemon *self, struct pw_why *why)
{
    const char *path = self->settings->state;
    self->state = pw_file_open_dir(path, why);
    if (self->state < 0) {
        return PW_E_CREATE;
    }
    self->lock =
        openat(self->state, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (self->lock < 0) {
        return pw_fail(why, PW_E_CREATE,
                       "%s/lock: %s; make the folder writable for this user", path,
                       strerror(errno));
    }
    if (flock(self->lock, LOCK_EX | LOCK_NB) != 0) {
        return pw_fail(why, PW_E_BUSY,
                       "%s: another picklewall is using this state folder; stop it, or set "
                       "`state` to a folder of its own",
                       path);
    }
    return PW_E_OK;
}

static enum pw_err
open_keys(struct pw_daemon *self, struct pw_why *why)
{
    if (sodium_init() < 0) {
        return pw_fail(why, PW_E_CRYPTO, "libsodium does not start");
    }
    self->keys = pw_keys_open(self->settings, why);
    return self->keys != NULL ? PW_E_OK : PW_E_CONFIG;
}

static enum pw_err
open_audit(struct pw_daemon *self, struct pw_why *why)
{
    const struct pw_settings *settings = self->settings;
    enum pw_err err = pw_copies_open(&self->copies, settings, why);
    if (err != PW_E_OK) {
        return err;
    }
    self->audit = pw_audit_open(
        &(struct pw_audit_options){
            .path = settings->audit_file,
            .instance = settings->instance,
            .queue_records = settings->audit_queue,
            .pass_each = settings->audit_pass_each,
            .state = settings->state,
            .key = settings->audit_key,
            .mirror = settings->audit_mirror,
            .sync_each = settings->audit_sync_each,
            .degrade = settings->audit_degrade,
            .rotate_size = settings->audit_rotate_size,
            .rotate_age_ns = settings->audit_rotate_age_ms * ns_per_ms,
            .rotate_keep = settings->audit_rotate_keep,
            .space_low = settings->audit_space_low,
            .space_critical = settings->audit_space_critical,
            .targets = self->copies.targets,
            .target_count = self->copies.count,
        },
        why);
    return self->audit != NULL ? PW_E_OK : PW_E_CREATE;
}

static enum pw_err
make_lanes(struct pw_daemon *self, struct pw_why *why)
{
    size_t count = self->settings->channel_count;
    self->lanes = calloc(count, sizeof *self->lanes);
    if (self->lanes == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    self->lane_count = count;
    for (size_t i = 0; i < count; i++) {
        self->lanes[i].channel = &self->settings->channels[i];
        self->lanes[i].keys = pw_keys_box(self->keys, i);
        pw_release_box_open(&self->lanes[i].releases);
    }
    return PW_E_OK;
}

static enum pw_err
open_daemon(struct pw_daemon *self, struct pw_why *why)
{
    static enum pw_err (*const steps[])(struct pw_daemon *, struct pw_why *) = {
        open_signals,
        open_keys,
        open_state,
        pw_daemon_open_store,
        open_audit,
        pw_daemon_open_control,
        make_lanes,
        pw_daemon_open_releases,
        pw_daemon_open_keeper,
    };
    for (size_t i = 0; i < PW_COUNT(steps); i++) {
        enum pw_err err = steps[i](self, why);
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

static void
close_daemon(struct pw_daemon *self)
{
    pw_daemon_close_releases(self);
    for (size_t i = 0; i < self->lane_count; i++) {
        close_lane(&self->lanes[i]);
    }
    free(self->lanes);
    pw_control_close(&self->control);
    pw_daemon_stop_keeper(self);
    pw_audit_close(&self->audit);
    pw_daemon_close_keeper(self);
    pw_copies_close(&self->copies);
    pw_store_free(&self->store);
    pw_keys_close(&self->keys);
    pw_file_close(&self->signals);
    pw_file_close(&self->lock);
    pw_file_close(&self->state);
}

/* --- what the operator reads --------------------------------------------------------- */

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

static bool
stays_on_this_machine(const char *address)
{
    static const char *const starts[] = {"ipc://", "tcp://127.",
                                         "tcp://[::1]:", "tcp://[127.", "tcp://localhost:"};
    for (size_t i = 0; i < PW_COUNT(starts); i++) {
        if (strncmp(address, starts[i], strlen(starts[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void
warn_if_open(const struct pw_channel *channel)
{
    if (channel->verify == PW_SET_VERIFY_REQUIRED) {
        return;
    }
    for (size_t i = 0; i < channel->in.count; i++) {
        const char *address = channel->in.endpoints[i].address;
        if (!stays_on_this_machine(address)) {
            pw_log(PW_LOG_WARN,
                   "channel %s: other machines can send to %s and need not sign; set "
                   "verify = \"required\", or use 127.0.0.1",
                   channel->name, address);
        }
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
    warn_if_open(channel);
}

static void
describe(const struct pw_daemon *self)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        describe_lane(self, &self->lanes[i]);
    }
    pw_log(PW_LOG_INFO, "audit log %s, quarantine %s/quarantine",
           self->settings->audit_file, self->settings->state);
    if (self->copies.publish != NULL) {
        const char *endpoint = pw_publish_endpoint(self->copies.publish);
        pw_log(PW_LOG_INFO, "audit lines are published on %s", endpoint);
        if (!stays_on_this_machine(endpoint)) {
            pw_log(PW_LOG_WARN,
                   "audit.publish: other machines can read the audit log on %s; use "
                   "127.0.0.1",
                   endpoint);
        }
    }
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

static void
audit_start(struct pw_daemon *self)
{
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "config", self->settings->file);
    pw_daemon_versions(&json);
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

static void
audit_stop(struct pw_daemon *self)
{
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
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

/* Tell a service manager that waits for it (sd_notify(3)). */
static void
notify(const char *words)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un manager = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) < 2 || strlen(path) >= sizeof manager.sun_path) {
        return;
    }
    memcpy(manager.sun_path, path, strlen(path));
    if (path[0] == '@') {
        manager.sun_path[0] = '\0';
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    PW_CLEANUP(pw_file_close) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && sendto(fd, words, strlen(words), MSG_NOSIGNAL,
                          (struct sockaddr *)&manager, size) < 0) {
        pw_log(PW_LOG_WARN, "NOTIFY_SOCKET: %s", strerror(errno));
    }
}

/* --- running ------------------------------------------------------------------------- */

void
pw_daemon_wake_lanes(struct pw_daemon *self)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        if (self->lanes[i].thread != NULL && !self->lanes[i].ended) {
            zstr_send(self->lanes[i].thread, "look");
        }
    }
}

static void
give_order(struct pw_daemon *self, enum pw_order order)
{
    atomic_store(&self->order, order);
    pw_daemon_wake_lanes(self);
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

/* `by` is NULL for the look that is taken every second. */
static enum pw_keys_news
look_at_keys(struct pw_daemon *self, const struct pw_asker *by)
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
    return look_at_keys(self, by);
}

static void
stop(struct pw_daemon *self)
{
    if (atomic_load(&self->order) == PW_ORDER_RUN) {
        int timeout_ms = self->settings->drain_timeout_ms;
        pw_log(PW_LOG_INFO, "stopping: delivering what is accepted, for at most %d ms",
               timeout_ms);
        notify("STOPPING=1");
        self->abort_at =
            pw_clock_steady() + ((uint64_t)timeout_ms + AUDIT_GRACE_MS) * ns_per_ms;
        give_order(self, PW_ORDER_DRAIN);
        return;
    }
    pw_log(PW_LOG_WARN, "stopping now: what is not delivered goes to quarantine");
    self->abort_at = pw_clock_steady() + AUDIT_GRACE_MS * ns_per_ms;
    give_order(self, PW_ORDER_NOW);
}

static void
read_signals(struct pw_daemon *self)
{
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
            stop(self);
        } else if (info.ssi_signo == SIGHUP) {
            struct pw_control_peer peer = {info.ssi_uid, (pid_t)info.ssi_pid};
            (void)pw_daemon_reload(self, &(struct pw_asker){"SIGHUP", peer});
        } else {
            pw_audit_reopen(self->audit);
        }
    }
}

/* A log that cannot be written must not hold up the end. */
static void
give_up_log(struct pw_daemon *self)
{
    bool works = pw_audit_ready(self->audit) && pw_audit_counts(self->audit).trouble == 0;
    if (self->abort_at == 0 || pw_clock_steady() < self->abort_at || works) {
        return;
    }
    pw_log(PW_LOG_ERROR, "audit log: it cannot be written, and there is no more time");
    pw_audit_abort(self->audit);
    self->abort_at = 0;
}

/* Until the log has what the channels said, or is given up: then `stop` finds room. */
static void
settle_log(struct pw_daemon *self)
{
    if (self->abort_at == 0) {
        self->abort_at = pw_clock_steady() + AUDIT_GRACE_MS * ns_per_ms;
    }
    while (pw_audit_flush(self->audit, pw_clock_steady() + GIVE_UP_MS * ns_per_ms) ==
           PW_E_BUSY) {
        read_signals(self);
        give_up_log(self);
    }
}

/* The earlier of two waits; ms, -1 is for ever. */
static int
sooner(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* How long watch may sleep; ms, -1 for ever. */
static int
next_duty(const struct pw_daemon *self)
{
    int duty = self->abort_at != 0 ? GIVE_UP_MS : -1;
    if (self->control != NULL) {
        duty = sooner(duty, pw_control_wait_ms(self->control));
    }
    if (self->settings->keys == NULL) {
        return duty;
    }
    uint64_t now = pw_clock_steady();
    int keys_ms = self->keys_at > now ? (int)((self->keys_at - now) / ns_per_ms) + 1 : 0;
    return sooner(duty, keys_ms);
}

/* An item for each lane that has not ended; how many. */
static size_t
poll_lanes(struct pw_daemon *self, zmq_pollitem_t *items)
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

/* Which of these lanes have said their last word. */
static void
note_ended(struct pw_daemon *self, const zmq_pollitem_t *items)
{
    for (size_t i = 0, item = 0; i < self->lane_count; i++) {
        struct pw_lane *lane = &self->lanes[i];
        if (!lane->ended) {
            lane->ended =
                items[item++].revents != 0 && atomic_load(&lane->turn) == PW_LANE_ENDED;
        }
    }
}

/* Signals, questions, and the last word of each channel, until all have said it. */
static enum pw_err
watch(struct pw_daemon *self, struct pw_why *why)
{
    zmq_pollitem_t *items = calloc(self->lane_count + 4, sizeof *items);
    if (items == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    size_t first = 0; /* of the lanes' items */
    items[first++] = (zmq_pollitem_t){.fd = self->signals, .events = ZMQ_POLLIN};
    items[first++] =
        (zmq_pollitem_t){.fd = pw_daemon_releases_fd(self), .events = ZMQ_POLLIN};
    items[first++] =
        (zmq_pollitem_t){.fd = pw_daemon_keeper_fd(self), .events = ZMQ_POLLIN};
    if (self->control != NULL) {
        items[first++] =
            (zmq_pollitem_t){.fd = pw_control_fd(self->control), .events = ZMQ_POLLIN};
    }
    for (;;) {
        size_t left = poll_lanes(self, items + first);
        if (left == 0 && pw_daemon_releases_idle(self) && pw_daemon_keeper_idle(self)) {
            break;
        }
        zmq_poll(items, (int)(first + left), next_duty(self));
        if (items[0].revents != 0) {
            read_signals(self);
        }
        if (items[1].revents != 0) {
            pw_daemon_serve_releases(self);
        }
        if (items[2].revents != 0) {
            pw_daemon_serve_keeper(self);
        }
        if (self->control != NULL) {
            pw_control_serve(self->control);
        }
        if (pw_clock_steady() >= self->keys_at) {
            (void)look_at_keys(self, NULL);
        }
        give_up_log(self);
        note_ended(self, items + first);
    }
    free(items);
    return PW_E_OK;
}

static enum pw_err
open_lanes(struct pw_daemon *self, struct pw_why *why)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        enum pw_err err = open_lane(self, &self->lanes[i], why);
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

/* `err` is how opening them went: what is open gets a relay in any case, see let_go. */
static enum pw_err
make_relays(struct pw_daemon *self, enum pw_err err, struct pw_why *why)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        struct pw_why later;
        enum pw_err made = make_relay(self, &self->lanes[i], err == PW_E_OK ? why : &later);
        err = err == PW_E_OK ? made : err;
    }
    return err;
}

/*
 * Let the threads go: with a relay, or to close what they opened. After a failure too, for
 * channels that are open may have received: they drain, as at any other end.
 */
static void
let_go(struct pw_daemon *self, enum pw_order order)
{
    atomic_store(&self->order, order);
    for (size_t i = 0; i < self->lane_count; i++) {
        if (self->lanes[i].thread != NULL) {
            atomic_store(&self->lanes[i].turn, PW_LANE_GO);
            zstr_send(self->lanes[i].thread, "go");
        }
    }
}

static enum pw_err
how_it_ended(const struct pw_daemon *self, struct pw_why *why)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        if (self->lanes[i].err != PW_E_OK) {
            return pw_fail(why, self->lanes[i].err,
                           "channel %s: messages were lost, since the quarantine could not "
                           "be written; see the lines above",
                           self->lanes[i].channel->name);
        }
    }
    return PW_E_OK;
}

static enum pw_err
work(struct pw_daemon *self, struct pw_why *why)
{
    enum pw_err err = make_relays(self, open_lanes(self, why), why);
    if (err == PW_E_OK) {          /* the log begins with what this wall is */
        struct pw_audit_told told; /* what the log says before this wall adds to it */
        enum pw_err looked = pw_audit_told_read(self->settings->audit_file, &told);
        audit_start(self);
        pw_daemon_recover(self, looked, &told);
        pw_daemon_tell_begun(self, &told);
        pw_audit_told_free(&told);
        pw_daemon_store_started(self);
        pw_daemon_tell_in_doubt(self);
    }
    let_go(self, err == PW_E_OK ? PW_ORDER_RUN : PW_ORDER_DRAIN);
    if (err == PW_E_OK) {
        describe(self);
        notify("READY=1");
    }
    struct pw_why later;
    enum pw_err watched = watch(self, &later);
    if (err != PW_E_OK) {
        return err;
    }
    pw_daemon_stop_keeper(self);
    settle_log(self);
    pw_daemon_check_notes(self);
    audit_stop(self);
    if (watched != PW_E_OK) {
        *why = later;
        return watched;
    }
    return how_it_ended(self, why);
}

enum pw_err
pw_daemon_run(const struct pw_settings *settings, struct pw_why *why)
{
    struct pw_daemon self = {.settings = settings,
                             .state = -1,
                             .lock = -1,
                             .signals = -1,
                             .started_at = pw_clock_steady()};
    enum pw_err err = open_daemon(&self, why);
    err = err == PW_E_OK ? work(&self, why) : err;
    close_daemon(&self);
    if (err == PW_E_OK) {
        pw_log(PW_LOG_INFO, "stopped");
    }
    return err;
}
