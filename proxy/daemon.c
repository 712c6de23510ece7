/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/daemon_inside.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <czmq.h>

#include "common/audit/audit.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "proxy/daemon_health.h"
#include "proxy/daemon_keeper.h"
#include "proxy/daemon_quarantine.h"
#include "proxy/daemon_web.h"
#include "proxy/notify.h"

enum {
    AUDIT_GRACE_MS = 5000,
    GIVE_UP_MS = 500,   /* how often the end of that grace is looked for */
    FOUND_AT_ONCE = 64, /* events of the start, for which the log has room unwritten */
};

static const uint64_t ns_per_ms = 1000000;

static void
give_order(struct pw_daemon *self, enum pw_order order)
{
    atomic_store(&self->order, order);
    pw_daemon_wake_lanes(self);
}

void
pw_daemon_drain(struct pw_daemon *self, const struct pw_asker *by)
{
    if (atomic_load(&self->order) != PW_ORDER_RUN) {
        return;
    }
    int timeout_ms = pw_keys_settings(self->keys)->drain_timeout_ms;
    pw_log(PW_LOG_INFO, "stopping: delivering what is accepted, for at most %d ms",
           timeout_ms);
    pw_notify("STOPPING=1");
    self->stop_by = *by;
    self->abort_at =
        pw_clock_steady() + ((uint64_t)timeout_ms + AUDIT_GRACE_MS) * ns_per_ms;
    give_order(self, PW_ORDER_DRAIN);
}

static void
stop(struct pw_daemon *self, const struct pw_asker *by)
{
    if (atomic_load(&self->order) == PW_ORDER_RUN) {
        pw_daemon_drain(self, by);
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
        struct pw_control_peer peer = {info.ssi_uid, (pid_t)info.ssi_pid};
        if (info.ssi_signo == SIGTERM) {
            stop(self, &(struct pw_asker){"SIGTERM", peer});
        } else if (info.ssi_signo == SIGINT) {
            stop(self, &(struct pw_asker){"SIGINT", peer});
        } else if (info.ssi_signo == SIGHUP) {
            struct pw_why why = {0}; /* told by then */
            (void)!pw_daemon_reload(self, &(struct pw_asker){"SIGHUP", peer}, &why);
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

/* Until the log has all that it was given, or is given up. */
static void
wait_for_log(struct pw_daemon *self)
{
    while (pw_audit_flush(self->audit, pw_clock_steady() + GIVE_UP_MS * ns_per_ms) ==
           PW_E_BUSY) {
        read_signals(self);
        give_up_log(self);
    }
}

/* What the channels said is in the log before `stop`, as far as it can be written. */
static void
settle_log(struct pw_daemon *self)
{
    if (self->abort_at == 0) {
        self->abort_at = pw_clock_steady() + AUDIT_GRACE_MS * ns_per_ms;
    }
    wait_for_log(self);
}

enum pw_err
pw_daemon_push_found(struct pw_daemon *self, enum pw_level level, struct pw_json *json)
{
    if (++self->found % FOUND_AT_ONCE == 0 && !self->settings->audit_degrade) {
        wait_for_log(self);
    }
    return pw_daemon_push_event(self, PW_EVENT_QUARANTINE, level, json);
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
    duty = sooner(duty, pw_daemon_watchdog_wait_ms(self));
    duty = sooner(duty, pw_daemon_web_wait_ms(self));
    if (pw_keys_settings(self->keys)->keys == NULL && !self->reload.untold) {
        return duty;
    }
    uint64_t now = pw_clock_steady();
    int keys_ms = self->keys_at > now ? (int)((self->keys_at - now) / ns_per_ms) + 1 : 0;
    return sooner(duty, keys_ms);
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
        size_t left = pw_daemon_poll_lanes(self, items + first);
        if (left == 0 && pw_daemon_releases_idle(self) && pw_daemon_keeper_idle(self)) {
            break;
        }
        zmq_poll(items, (int)(first + left), next_duty(self));
        pw_daemon_feed_watchdog(self);
        pw_daemon_tell_web(self);
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
            (void)pw_daemon_look_at_keys(self, NULL);
        }
        give_up_log(self);
        pw_daemon_note_ended(self, items + first);
    }
    free(items);
    return PW_E_OK;
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
    enum pw_err err = pw_daemon_open_lanes(self, why);
    if (err == PW_E_OK) {          /* the log begins with what this wall is */
        struct pw_audit_told told; /* what the log says before this wall adds to it */
        enum pw_err looked = pw_audit_told_read(self->settings->audit_file, &told);
        pw_daemon_audit_start(self);
        pw_daemon_recover(self, looked, &told);
        pw_daemon_tell_begun(self, &told);
        pw_audit_told_free(&told);
        pw_daemon_store_started(self);
        pw_daemon_tell_in_doubt(self);
    }
    pw_daemon_let_go(self, err == PW_E_OK ? PW_ORDER_RUN : PW_ORDER_DRAIN);
    if (err == PW_E_OK) {
        pw_daemon_describe(self);
        self->started = true;
        pw_notify("READY=1");
    }
    struct pw_why later;
    enum pw_err watched = watch(self, &later);
    if (err != PW_E_OK) {
        return err;
    }
    pw_daemon_stop_keeper(self);
    settle_log(self);
    pw_daemon_check_notes(self);
    pw_daemon_audit_stop(self);
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
                             .started_at = pw_clock_steady(),
                             .watchdog_ns = pw_notify_watchdog_ns(),
                             .reload = {.good = true, .good_at = pw_clock_wall()}};
    enum pw_err err = pw_daemon_open(&self, why);
    err = err == PW_E_OK ? work(&self, why) : err;
    pw_daemon_close(&self);
    if (err == PW_E_OK) {
        pw_log(PW_LOG_INFO, "stopped");
    }
    return err;
}
