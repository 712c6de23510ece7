/* SPDX-License-Identifier: Apache-2.0
 *
 * What all channels share: opened in this order, and closed.
 */
#include "proxy/daemon_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>

#include <czmq.h>
#include <sodium.h>

#include "common/audit/audit.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/quarantine/store.h"
#include "proxy/daemon_keeper.h"
#include "proxy/daemon_quarantine.h"
#include "proxy/daemon_web.h"
#include "proxy/descriptors.h"
#include "proxy/sandbox.h"

static const uint64_t ns_per_ms = 1000000;

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

struct pw_audit_options
pw_daemon_audit_options(const struct pw_settings *settings)
{
    return (struct pw_audit_options){
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
    };
}

static enum pw_err
enter_sandbox(struct pw_daemon *self, struct pw_why *why)
{
    return pw_sandbox_enter(self->settings, why);
}

static enum pw_err
open_audit(struct pw_daemon *self, struct pw_why *why)
{
    const struct pw_settings *settings = self->settings;
    enum pw_err err = pw_copies_open(&self->copies, settings, why);
    if (err != PW_E_OK) {
        return err;
    }
    struct pw_audit_options options = pw_daemon_audit_options(settings);
    options.targets = self->copies.targets;
    options.target_count = self->copies.count;
    self->audit = pw_audit_open(&options, why);
    return self->audit != NULL ? PW_E_OK : PW_E_CREATE;
}

static enum pw_err
raise_descriptors(struct pw_daemon *self, struct pw_why *why)
{
    (void)why;
    pw_descriptors_raise(self->settings);
    return PW_E_OK;
}

enum pw_err
pw_daemon_open(struct pw_daemon *self, struct pw_why *why)
{
    static enum pw_err (*const steps[])(struct pw_daemon *, struct pw_why *) = {
        open_signals,
        open_keys,
        open_state,
        raise_descriptors, /* a sandbox would forbid it */
        enter_sandbox,     /* before anything makes a thread, or hears from outside */
        pw_daemon_open_store,
        open_audit,
        pw_daemon_open_control,
        pw_daemon_make_lanes,
        pw_daemon_open_releases,
        pw_daemon_open_keeper,
        pw_daemon_open_web,
    };
    pw_log_set_level((enum pw_log_level)self->settings->log_level);
    for (size_t i = 0; i < PW_COUNT(steps); i++) {
        enum pw_err err = steps[i](self, why);
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

void
pw_daemon_close(struct pw_daemon *self)
{
    pw_daemon_close_web(self);
    pw_daemon_close_releases(self);
    pw_daemon_close_lanes(self);
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
