/* SPDX-License-Identifier: Apache-2.0
 *
 * The order `release`: held messages go on through their channels. A thread of its own does
 * one after the other, since disks and consumers take their time and the main thread must
 * hear signals. README.md in this folder tells in which order, and what a crash leaves.
 */
#include "proxy/daemon_inside.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "proxy/daemon_release_job.h"
#include "proxy/json_read.h"

enum {
    WAITING_MAX = 4, /* so that others find a place at the control socket */
    DETAIL_LIMIT = 16384,
    ENTRY_LIMIT = 1 << 20,
};

struct pw_release_desk {
    struct pw_daemon *daemon;
    pthread_t thread;
    bool started;
    int bell; /* eventfd: main is to wake the channels, or to give answers */
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct pw_release_job *waiting; /* the oldest first */
    struct pw_release_job *finished;
    size_t open; /* jobs that are not answered */
    bool closing;
};

static void
free_jobs(struct pw_release_job *list)
{
    while (list != NULL) {
        struct pw_release_job *next = list->next;
        pw_release_job_free(&list);
        list = next;
    }
}

void
pw_daemon_ring_releases(const struct pw_daemon *self)
{
    uint64_t one = 1;
    (void)!write(self->releases->bell, &one, sizeof one); /* full: it rings already */
}

/* --- the thread ---------------------------------------------------------------------- */

static void
append_job(struct pw_release_job **list, struct pw_release_job *job)
{
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = job;
    job->next = NULL;
}

static void *
work_off(void *arg)
{
    struct pw_release_desk *desk = arg;
    pthread_mutex_lock(&desk->lock);
    while (!desk->closing) {
        struct pw_release_job *job = desk->waiting;
        if (job == NULL) {
            pthread_cond_wait(&desk->work, &desk->lock);
            continue;
        }
        desk->waiting = job->next;
        pthread_mutex_unlock(&desk->lock);
        pw_release_job_run(job, desk->daemon);
        pthread_mutex_lock(&desk->lock);
        append_job(&desk->finished, job);
        pw_daemon_ring_releases(desk->daemon);
    }
    pthread_mutex_unlock(&desk->lock);
    return NULL;
}

/* --- main ---------------------------------------------------------------------------- */

enum pw_err
pw_daemon_open_releases(struct pw_daemon *self, struct pw_why *why)
{
    struct pw_release_desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    self->releases = desk;
    desk->daemon = self;
    pthread_mutex_init(&desk->lock, NULL);
    pthread_cond_init(&desk->work, NULL);
    desk->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (desk->bell < 0) {
        return pw_fail(why, PW_E_OS, "releases: %s; see `ulimit -n`", strerror(errno));
    }
    int failed = pthread_create(&desk->thread, NULL, work_off, desk);
    desk->started = failed == 0;
    return desk->started ? PW_E_OK
                         : pw_fail(why, PW_E_OS, "releases: no thread: %s; see `ulimit -u`",
                                   strerror(failed));
}

void
pw_daemon_close_releases(struct pw_daemon *self)
{
    struct pw_release_desk *desk = self->releases;
    if (desk == NULL) {
        return;
    }
    pthread_mutex_lock(&desk->lock);
    desk->closing = true;
    pthread_cond_signal(&desk->work);
    pthread_mutex_unlock(&desk->lock);
    if (desk->started) {
        pthread_join(desk->thread, NULL);
    }
    free_jobs(desk->waiting); /* only when main could not even wait for them */
    free_jobs(desk->finished);
    pw_file_close(&desk->bell);
    pthread_cond_destroy(&desk->work);
    pthread_mutex_destroy(&desk->lock);
    free(desk);
    self->releases = NULL;
}

int
pw_daemon_releases_fd(const struct pw_daemon *self)
{
    return self->releases->bell;
}

bool
pw_daemon_releases_idle(const struct pw_daemon *self)
{
    pthread_mutex_lock(&self->releases->lock);
    bool idle = self->releases->open == 0;
    pthread_mutex_unlock(&self->releases->lock);
    return idle;
}

static struct pw_release_job *
take_finished(struct pw_release_desk *desk)
{
    pthread_mutex_lock(&desk->lock);
    struct pw_release_job *job = desk->finished;
    if (job != NULL) {
        desk->finished = job->next;
        desk->open--;
    }
    pthread_mutex_unlock(&desk->lock);
    return job;
}

void
pw_daemon_serve_releases(struct pw_daemon *self)
{
    uint64_t rung;
    (void)!read(self->releases->bell, &rung, sizeof rung);
    pw_daemon_wake_lanes(self); /* a message may wait in a box */
    for (struct pw_release_job *job = take_finished(self->releases); job != NULL;
         job = take_finished(self->releases)) {
        pw_control_finish(self->control, job->ticket, job->result, &job->why,
                          pw_buf_span(&job->members));
        pw_release_job_free(&job);
    }
}

enum pw_err
pw_daemon_begin_release(void *arg, const struct pw_control_peer *peer, const char *argument,
                        uint64_t ticket, struct pw_why *why)
{
    struct pw_daemon *self = arg;
    struct pw_release_desk *desk = self->releases;
    PW_CLEANUP(pw_release_job_free) struct pw_release_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory; try again");
    }
    *job = (struct pw_release_job){
        .ticket = ticket, .peer = *peer, .members = {.limit = PW_CONTROL_ANSWER_MAX / 2}};
    enum pw_err err = pw_release_request_parse(pw_span_str(argument), &job->request, why);
    if (err != PW_E_OK) {
        return err;
    }
    pthread_mutex_lock(&desk->lock);
    bool room = desk->open < WAITING_MAX;
    if (room) {
        desk->open++;
        append_job(&desk->waiting, job);
        pthread_cond_signal(&desk->work);
        job = NULL;
    }
    pthread_mutex_unlock(&desk->lock);
    return room ? PW_E_OK
                : pw_fail(why, PW_E_BUSY, "%d releases are under way; try again",
                          WAITING_MAX);
}

/* --- what a crash has left ----------------------------------------------------------- */

/* What became of a release, by what the wall finds when it starts. */
static void
tell_found(struct pw_daemon *self, const char *entry, struct pw_span entry_json,
           enum pw_level level, const char *outcome)
{
    PW_CLEANUP(pw_json_line_free) json_t *meta = NULL;
    struct pw_buf text = {.limit = DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    if (pw_json_line_read(entry_json, &meta) == PW_E_NOMEM) {
        meta = NULL; /* the entry's name alone must do */
    }
    const char *object = json_string_value(json_object_get(meta, "object"));
    const char *chan = json_string_value(json_object_get(meta, "chan"));
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", "release");
    pw_json_str(&json, "outcome", outcome);
    pw_json_str(&json, "entry", entry);
    pw_json_str(&json, "object", object == NULL ? "" : object);
    pw_json_str(&json, "chan", chan == NULL ? "" : chan);
    pw_json_end_object(&json);
    pw_daemon_push_found(self, level, &json);
}

static bool
tell_in_doubt(void *arg, const char *entry, struct pw_span entry_json)
{
    tell_found(arg, entry, entry_json, PW_LEVEL_HIGH, "in_doubt");
    pw_log(PW_LOG_WARN,
           "quarantine: %s was being released when the wall ended: nobody can tell whether "
           "it was sent; ask the consumer, then `picklewall quarantine release --again`",
           entry);
    return true;
}

/* Only what is held can have been purged since. */
static const char *const found_outcomes[PW_STORE_STATES] = {
    [PW_STORE_HELD] = "undeliverable",
    [PW_STORE_RELEASING] = NULL, /* in doubt, and told as such */
    [PW_STORE_RELEASED] = "sent",
    [PW_STORE_PURGED] = "undeliverable",
};

static void
tell_begun(struct pw_daemon *self, const char *entry)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf meta = {.limit = ENTRY_LIMIT};
    struct pw_found found;
    struct pw_why why = {0};
    if (pw_store_find(self->store, entry, &found, &meta, &why) != PW_E_OK) {
        pw_log(PW_LOG_WARN,
               "quarantine: how the release of %s ended is in no line of the audit log, "
               "and cannot be looked up: %s",
               entry, why.text);
        return;
    }
    const char *outcome = found_outcomes[found.state];
    if (outcome == NULL) {
        return;
    }
    tell_found(self, entry, pw_buf_span(&meta), PW_LEVEL_MEDIUM, outcome);
    pw_log(PW_LOG_WARN,
           "quarantine: how the release of %s ended was not in the audit log, since the "
           "last wall died before it wrote that; it is now: %s",
           entry, outcome);
}

void
pw_daemon_tell_begun(struct pw_daemon *self, const struct pw_audit_told *told)
{
    for (size_t at = 0; at < told->begun.len; at += PW_ULID_TEXT) {
        tell_begun(self, (const char *)told->begun.bytes + at);
    }
}

void
pw_daemon_tell_in_doubt(struct pw_daemon *self)
{
    struct pw_why why = {0};
    if (pw_store_list(self->store, PW_STORE_RELEASING, tell_in_doubt, self, &why) !=
        PW_E_OK) {
        pw_log(PW_LOG_ERROR, "quarantine: %s", why.text);
    }
}
