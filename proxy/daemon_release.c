/* SPDX-License-Identifier: Apache-2.0
 *
 * The order `release`: held messages go on through their channels. A thread of its own does
 * one after the other, since disks and consumers take their time and the main thread must
 * hear signals. README.md in this folder tells in which order, and what a crash leaves.
 */
#include "proxy/daemon_inside.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/quarantine/release.h"
#include "proxy/json_read.h"
#include "proxy/release_request.h"

enum {
    WAITING_MAX = 4,    /* so that others find a place at the control socket */
    PATIENCE_MS = 3000, /* for the output, and for the audit log */
    SLICE_MS = 50,      /* how soon an end is noticed */
    SETTLE_MS = 50,     /* for libzmq's thread, which hands over to the kernel */
    DETAIL_LIMIT = 16384,
    ENTRY_LIMIT = 1 << 20,
};

static const uint64_t ns_per_ms = 1000000;

/* One request, from its question to its answer. */
struct job {
    struct job *next;
    uint64_t ticket; /* of the control socket */
    struct pw_control_peer peer;
    struct pw_release_request request;

    /* Found out on the way. */
    struct pw_found found;
    struct pw_lane *lane;
    struct pw_held held;
    struct pw_release release;

    /* The answer. */
    enum pw_err result;
    struct pw_why why;
    struct pw_buf members;
};

struct pw_release_desk {
    struct pw_daemon *daemon;
    pthread_t thread;
    bool started;
    int bell; /* eventfd: main is to wake the channels, or to give answers */
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct job *waiting; /* the oldest first */
    struct job *finished;
    size_t open; /* jobs that are not answered */
    bool closing;
};

static void
free_job(struct job **job)
{
    if (*job != NULL) {
        pw_held_free(&(*job)->held);
        pw_buf_free(&(*job)->release.finds);
        pw_buf_free(&(*job)->members);
    }
    free(*job);
    *job = NULL;
}

static void
free_jobs(struct job *list)
{
    while (list != NULL) {
        struct job *next = list->next;
        free_job(&list);
        list = next;
    }
}

static bool
is_stopping(const struct pw_release_desk *desk)
{
    return atomic_load(&desk->daemon->order) != PW_ORDER_RUN;
}

static void
ring(const struct pw_release_desk *desk)
{
    uint64_t one = 1;
    (void)!write(desk->bell, &one, sizeof one); /* full: it rings already */
}

/* --- what the audit log is told ------------------------------------------------------ */

static void
write_user(struct pw_json *json, uid_t uid)
{
    char space[1024];
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwuid_r(uid, &entry, space, sizeof space, &found) == 0 && found != NULL) {
        pw_json_bytes(json, "user", pw_span_str(found->pw_name), 64);
    }
}

static void
write_codes(struct pw_json *json, const char *key, const bool *set)
{
    pw_json_array(json, key);
    for (size_t i = 0; i < PW_R_COUNT; i++) {
        if (set[i]) {
            pw_json_str(json, NULL, pw_reason_code((enum pw_reason)i));
        }
    }
    pw_json_end_array(json);
}

static void
write_detail(const struct job *job, const char *outcome, struct pw_json *json)
{
    pw_json_object(json, "detail");
    pw_json_str(json, "what", "release");
    pw_json_str(json, "outcome", outcome);
    pw_json_str(json, "entry", job->found.entry);
    pw_json_str(json, "object", job->found.object);
    pw_json_str(json, "chan", job->lane->channel->name);
    pw_json_object(json, "by");
    pw_json_str(json, "via", "control");
    pw_json_uint(json, "uid", job->peer.uid);
    pw_json_uint(json, "pid", (uint64_t)job->peer.pid);
    write_user(json, job->peer.uid);
    pw_json_end_object(json);
    pw_json_str(json, "reason", job->request.reason);
    write_codes(json, "overrides", job->request.override);
    write_codes(json, "overruled", job->release.overrule.met);
    if (job->release.reason != PW_R_NONE) {
        pw_json_str(json, "refusal", pw_reason_code(job->release.reason));
    }
    pw_json_end_object(json);
}

/* PW_E_NOMEM when there was none for a whole line: then there is no line. */
static enum pw_err
push_line(const struct pw_release_desk *desk, const struct job *job, enum pw_level level,
          const char *outcome)
{
    struct pw_buf text = {.limit = DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    write_detail(job, outcome, &json);
    if (json.err == PW_E_OK) {
        json.err = pw_buf_append(&text, (struct pw_span){(const uint8_t *)"", 1});
    }
    if (json.err != PW_E_OK) {
        pw_buf_free(&text);
        return json.err;
    }
    struct pw_audit_record record = {.wall_ns = pw_clock_wall(),
                                     .channel = job->lane->audit_channel,
                                     .event = PW_EVENT_QUARANTINE,
                                     .level = (uint8_t)level,
                                     .detail = (char *)text.bytes};
    return pw_audit_push(desk->daemon->audit, &record, 1);
}

/* Before anything is sent: that it is about to be must outlive us. */
static enum pw_err
push_intent(const struct pw_release_desk *desk, struct job *job)
{
    struct pw_audit *audit = desk->daemon->audit;
    enum pw_err err =
        pw_audit_ready(audit) ? push_line(desk, job, PW_LEVEL_INFO, "begun") : PW_E_BUSY;
    if (err == PW_E_OK) {
        err = pw_audit_flush(audit, pw_clock_steady() + PATIENCE_MS * ns_per_ms);
    }
    return err == PW_E_OK ? PW_E_OK
                          : pw_fail(&job->why, err,
                                    "the audit log cannot be written, and without a line "
                                    "nothing is sent; see the log of the wall");
}

/* --- the answer ---------------------------------------------------------------------- */

static const char *const outcome_texts[] = {
    [PW_RELEASE_UNDELIVERABLE] = "undeliverable",
    [PW_RELEASE_REFUSED] = "refused",
    [PW_RELEASE_SENT] = "sent",
};

static void
write_answer(struct job *job, const char *outcome)
{
    struct pw_json json = pw_json_over(&job->members);
    pw_json_str(&json, "entry", job->found.entry);
    pw_json_str(&json, "object", job->found.object);
    pw_json_str(&json, "chan", job->lane->channel->name);
    pw_json_str(&json, "outcome", outcome);
    pw_json_bool(&json, "dry_run", job->request.dry_run);
    write_codes(&json, "overruled", job->release.overrule.met);
    if (job->release.reason != PW_R_NONE) {
        pw_json_str(&json, "reason", pw_reason_code(job->release.reason));
        pw_json_str(&json, "reason_text", pw_reason_text(job->release.reason));
        pw_json_raw(&json, pw_buf_span(&job->release.finds));
    }
    if (json.err != PW_E_OK) {
        pw_buf_clear(&job->members); /* the sentence must do */
    }
}

/* --- one message --------------------------------------------------------------------- */

static enum pw_err
check_state(struct job *job)
{
    const char *entry = job->found.entry;
    struct pw_why *why = &job->why;
    if (entry[0] == '\0') {
        return pw_fail(why, PW_E_USAGE,
                       "%s names an object, which may be held more than once; name an "
                       "entry, as quarantine list does",
                       job->request.id);
    }
    if (!job->found.stored) {
        return pw_fail(why, PW_E_NO_INPUT,
                       "%s has no message: the quarantine was full when it came; see its "
                       "entry with quarantine show",
                       entry);
    }
    switch (job->found.state) {
    case PW_STORE_HELD:
        return PW_E_OK;
    case PW_STORE_RELEASING:
        return job->request.again
                   ? PW_E_OK
                   : pw_fail(why, PW_E_BUSY,
                             "%s is in doubt: the wall ended, or its disk failed, while it "
                             "was being released; look whether the consumer has it, and "
                             "only if not, send it with --again",
                             entry);
    case PW_STORE_RELEASED:
        return pw_fail(why, PW_E_USAGE,
                       "%s was released already, and nothing is sent twice", entry);
    case PW_STORE_PURGED:
    default:
        return pw_fail(why, PW_E_USAGE, "%s was purged; there is nothing to send", entry);
    }
}

static enum pw_err
find_lane(const struct pw_release_desk *desk, struct job *job, struct pw_span json)
{
    PW_CLEANUP(pw_json_line_free) json_t *meta = NULL;
    if (pw_json_line_read(json, &meta) == PW_E_NOMEM) {
        return pw_fail(&job->why, PW_E_NOMEM, "no memory to read the entry; try again");
    }
    const char *name = json_string_value(json_object_get(meta, "chan"));
    for (size_t i = 0; name != NULL && i < desk->daemon->lane_count; i++) {
        struct pw_lane *lane = &desk->daemon->lanes[i];
        if (lane->relay != NULL && strcmp(lane->channel->name, name) == 0) {
            job->lane = lane;
            return PW_E_OK;
        }
    }
    return pw_fail(&job->why, PW_E_USAGE,
                   "%s came through channel %.64s, which this wall does not have; add the "
                   "channel to the configuration, and start the wall again",
                   job->found.entry, name == NULL ? "(unnamed)" : name);
}

static enum pw_err
look_up(const struct pw_release_desk *desk, struct job *job)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = ENTRY_LIMIT};
    struct pw_store *store = desk->daemon->store;
    enum pw_err err = pw_store_find(store, job->request.id, &job->found, &json, &job->why);
    err = err == PW_E_OK ? check_state(job) : err;
    err = err == PW_E_OK ? find_lane(desk, job, pw_buf_span(&json)) : err;
    return err == PW_E_OK ? pw_store_read(store, job->found.object, &job->held, &job->why)
                          : err;
}

static enum pw_err
fail_stopping(struct job *job)
{
    return pw_fail(&job->why, PW_E_STOPPED, "the wall is stopping; ask again when it runs");
}

/* Through the channel's box, until the channel is done with it or will not take it. */
static void
pass_through(const struct pw_release_desk *desk, struct job *job)
{
    struct pw_release_box *box = &job->lane->releases;
    uint64_t start = pw_clock_steady();
    uint64_t until = start + PATIENCE_MS * ns_per_ms;
    job->release = (struct pw_release){
        .frames = job->held.frames,
        .count = job->held.count,
        .rehearsal = job->request.dry_run,
        .until = until,
        .finds = {.limit = PW_RELEASE_FINDS},
    };
    memcpy(job->release.overrule.given, job->request.override,
           sizeof job->request.override);
    pw_release_offer(box, &job->release);
    ring(desk);
    for (uint64_t now = start;
         !pw_release_wait(box, &job->release, now + SLICE_MS * ns_per_ms);
         now = pw_clock_steady()) {
        bool late = now >= until || is_stopping(desk);
        if (late && pw_release_take_back(box, &job->release)) {
            return; /* which leaves it undeliverable */
        }
    }
}

static enum pw_err
explain_refusal(struct job *job)
{
    enum pw_reason reason = job->release.reason;
    return pw_fail(
        &job->why, PW_E_USAGE, "channel %s refuses it: %s (%s); it stays held. %s",
        job->lane->channel->name, pw_reason_text(reason), pw_reason_code(reason),
        pw_may_overrule(reason) ? "Change the policy, or name each reason with --override"
                                : "Nobody can overrule that; see `picklewall audit tail`");
}

static enum pw_err
explain(const struct pw_release_desk *desk, struct job *job)
{
    switch (job->release.outcome) {
    case PW_RELEASE_SENT:
        return PW_E_OK;
    case PW_RELEASE_REFUSED:
        return explain_refusal(job);
    case PW_RELEASE_UNDELIVERABLE:
    default:
        return is_stopping(desk)
                   ? fail_stopping(job)
                   : pw_fail(&job->why, PW_E_BUSY,
                             "channel %s took nothing for %d s: there is no consumer, it "
                             "is full, or the quarantine or the audit log cannot be "
                             "written; the message stays held",
                             job->lane->channel->name, PATIENCE_MS / 1000);
    }
}

/* It was not sent: back to where it was, in doubt if it was so before. */
static void
give_back(const struct pw_release_desk *desk, struct job *job)
{
    struct pw_why why = {0};
    if (job->found.state == PW_STORE_HELD &&
        pw_store_move(desk->daemon->store, job->found.entry, PW_STORE_RELEASING,
                      PW_STORE_HELD, &why) != PW_E_OK) {
        pw_log(PW_LOG_ERROR, "%s was not sent, but stays in releasing/: %s",
               job->found.entry, why.text);
    }
}

/* The transport has it: that must outlive us, too, or it is in doubt. */
static const char *
settle_sent(const struct pw_release_desk *desk, struct job *job)
{
    (void)poll(NULL, 0, SETTLE_MS);
    struct pw_why why = {0};
    enum pw_err err = pw_store_move(desk->daemon->store, job->found.entry,
                                    PW_STORE_RELEASING, PW_STORE_RELEASED, &why);
    if (err == PW_E_OK) {
        return "sent";
    }
    job->result =
        pw_fail(&job->why, err, "it was sent, but cannot be marked so: %s", why.text);
    return "in_doubt";
}

static enum pw_level
level_of(const struct job *job, const char *outcome)
{
    if (strcmp(outcome, "in_doubt") == 0) {
        return PW_LEVEL_HIGH;
    }
    for (size_t i = 0; i < PW_R_COUNT; i++) {
        if (job->release.overrule.met[i]) {
            return PW_LEVEL_HIGH;
        }
    }
    return PW_LEVEL_INFO;
}

/* In `releasing` already, and with its first line in the log. */
static void
send_begun(const struct pw_release_desk *desk, struct job *job)
{
    pass_through(desk, job);
    job->result = explain(desk, job);
    const char *outcome = outcome_texts[job->release.outcome];
    if (job->release.outcome == PW_RELEASE_SENT) {
        outcome = settle_sent(desk, job);
    } else {
        give_back(desk, job);
    }
    write_answer(job, outcome);
    /* Its first line stands whatever becomes of this one. */
    (void)!push_line(desk, job, level_of(job, outcome), outcome);
    (void)!pw_audit_flush(desk->daemon->audit, pw_clock_steady() + PATIENCE_MS * ns_per_ms);
}

static void
send_on(const struct pw_release_desk *desk, struct job *job)
{
    if (job->found.state == PW_STORE_HELD) {
        job->result = pw_store_move(desk->daemon->store, job->found.entry, PW_STORE_HELD,
                                    PW_STORE_RELEASING, &job->why);
    }
    if (job->result == PW_E_OK) {
        job->result = push_intent(desk, job);
    } else if (job->result == PW_E_NO_INPUT) {
        return; /* somebody took it away, and there is nothing to give back */
    }
    if (job->result != PW_E_OK) {
        give_back(desk, job);
        return;
    }
    send_begun(desk, job);
}

static void
carry_out(const struct pw_release_desk *desk, struct job *job)
{
    job->result = is_stopping(desk) ? fail_stopping(job) : look_up(desk, job);
    if (job->result != PW_E_OK) {
        return;
    }
    if (!job->request.dry_run) {
        send_on(desk, job);
        return;
    }
    pass_through(desk, job);
    job->result = explain(desk, job);
    write_answer(job, outcome_texts[job->release.outcome]);
}

/* --- the thread ---------------------------------------------------------------------- */

static void
append_job(struct job **list, struct job *job)
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
        struct job *job = desk->waiting;
        if (job == NULL) {
            pthread_cond_wait(&desk->work, &desk->lock);
            continue;
        }
        desk->waiting = job->next;
        pthread_mutex_unlock(&desk->lock);
        carry_out(desk, job);
        pthread_mutex_lock(&desk->lock);
        append_job(&desk->finished, job);
        ring(desk);
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

static struct job *
take_finished(struct pw_release_desk *desk)
{
    pthread_mutex_lock(&desk->lock);
    struct job *job = desk->finished;
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
    for (struct job *job = take_finished(self->releases); job != NULL;
         job = take_finished(self->releases)) {
        pw_control_finish(self->control, job->ticket, job->result, &job->why,
                          pw_buf_span(&job->members));
        free_job(&job);
    }
}

enum pw_err
pw_daemon_begin_release(void *arg, const struct pw_control_peer *peer, const char *argument,
                        uint64_t ticket, struct pw_why *why)
{
    struct pw_daemon *self = arg;
    struct pw_release_desk *desk = self->releases;
    PW_CLEANUP(free_job) struct job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory; try again");
    }
    *job = (struct job){
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

static bool
tell_in_doubt(void *arg, const char *entry, struct pw_span entry_json)
{
    struct pw_daemon *self = arg;
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
    pw_json_str(&json, "outcome", "in_doubt");
    pw_json_str(&json, "entry", entry);
    pw_json_str(&json, "object", object == NULL ? "" : object);
    pw_json_str(&json, "chan", chan == NULL ? "" : chan);
    pw_json_end_object(&json);
    pw_daemon_push_event(self, PW_EVENT_QUARANTINE, PW_LEVEL_HIGH, &json);
    pw_log(PW_LOG_WARN,
           "quarantine: %s was being released when the wall ended: nobody can tell whether "
           "it was sent; ask the consumer, then `picklewall quarantine release --again`",
           entry);
    return true;
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
