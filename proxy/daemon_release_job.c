/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/daemon_release_job.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/quarantine/release.h"
#include "proxy/daemon_quarantine.h"
#include "proxy/json_read.h"

enum {
    PATIENCE_MS = 3000, /* for the output, and for the audit log */
    SLICE_MS = 50,      /* how soon an end is noticed */
    SETTLE_MS = 50,     /* for libzmq's thread, which hands over to the kernel */
    DETAIL_LIMIT = 16384,
    ENTRY_LIMIT = 1 << 20,
};

static const uint64_t ns_per_ms = 1000000;

void
pw_release_job_free(struct pw_release_job **job)
{
    if (*job != NULL) {
        sodium_memzero(&(*job)->request, sizeof(*job)->request);
        pw_held_free(&(*job)->held);
        pw_buf_free(&(*job)->release.finds);
        pw_buf_free(&(*job)->members);
    }
    free(*job);
    *job = NULL;
}

static bool
is_stopping(const struct pw_daemon *self)
{
    return atomic_load(&self->order) != PW_ORDER_RUN;
}

/* --- what the audit log is told ------------------------------------------------------ */

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
write_detail(const struct pw_release_job *job, const char *outcome, struct pw_json *json)
{
    pw_json_object(json, "detail");
    pw_json_str(json, "what", "release");
    pw_json_str(json, "outcome", outcome);
    pw_json_str(json, "entry", job->found.entry);
    pw_json_str(json, "object", job->found.object);
    pw_json_str(json, "chan", job->lane->channel->name);
    pw_write_operator(json, "control", job->peer.uid, job->peer.pid);
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
push_line(struct pw_daemon *self, const struct pw_release_job *job, enum pw_level level,
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
    return pw_audit_push(self->audit, &record, 1);
}

/* Before anything is sent: that it is about to be must outlive us. */
static enum pw_err
push_intent(struct pw_daemon *self, struct pw_release_job *job)
{
    struct pw_audit *audit = self->audit;
    enum pw_err err = PW_E_BUSY;
    if (pw_audit_ready(audit)) {
        err = push_line(self, job, PW_LEVEL_INFO, "begun");
        job->begun = err != PW_E_NOMEM; /* other errors come when it may be on its way */
    }
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
write_answer(struct pw_release_job *job, const char *outcome)
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
check_state(struct pw_release_job *job)
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
        return job->request.arrived
                   ? pw_fail(why, PW_E_USAGE,
                             "%s is held, and was not under way; only what is in doubt can "
                             "be said to have arrived",
                             entry)
                   : PW_E_OK;
    case PW_STORE_RELEASING:
        return job->request.again || job->request.arrived
                   ? PW_E_OK
                   : pw_fail(why, PW_E_BUSY,
                             "%s is in doubt: the wall ended, or its disk failed, while it "
                             "was being released; look whether the consumer has it, and "
                             "send it with --again, or say --arrived",
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
find_lane(struct pw_daemon *self, struct pw_release_job *job, struct pw_span json)
{
    PW_CLEANUP(pw_json_line_free) json_t *meta = NULL;
    if (pw_json_line_read(json, &meta) == PW_E_NOMEM) {
        return pw_fail(&job->why, PW_E_NOMEM, "no memory to read the entry; try again");
    }
    const char *name = json_string_value(json_object_get(meta, "chan"));
    for (size_t i = 0; name != NULL && i < self->lane_count; i++) {
        struct pw_lane *lane = &self->lanes[i];
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
look_up(struct pw_daemon *self, struct pw_release_job *job)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = ENTRY_LIMIT};
    struct pw_store *store = self->store;
    enum pw_err err = pw_store_find(store, job->request.id, &job->found, &json, &job->why);
    err = err == PW_E_OK ? check_state(job) : err;
    err = err == PW_E_OK ? find_lane(self, job, pw_buf_span(&json)) : err;
    if (err != PW_E_OK || job->request.arrived) {
        return err;
    }
    err = pw_store_read_with(store, job->found.object,
                             job->request.sealed ? job->request.key : NULL, &job->held,
                             &job->why);
    if (err == PW_E_FORMAT) {
        pw_daemon_tell_corrupt(self, &job->found);
    }
    return err;
}

static enum pw_err
fail_stopping(struct pw_release_job *job)
{
    return pw_fail(&job->why, PW_E_STOPPED, "the wall is stopping; ask again when it runs");
}

/* Through the channel's box, until the channel is done with it or will not take it. */
static void
pass_through(struct pw_daemon *self, struct pw_release_job *job)
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
    pw_daemon_ring_releases(self);
    for (uint64_t now = start;
         !pw_release_wait(box, &job->release, now + SLICE_MS * ns_per_ms);
         now = pw_clock_steady()) {
        bool late = now >= until || is_stopping(self);
        if (late && pw_release_take_back(box, &job->release)) {
            return; /* which leaves it undeliverable */
        }
    }
}

static enum pw_err
explain_refusal(struct pw_release_job *job)
{
    enum pw_reason reason = job->release.reason;
    return pw_fail(
        &job->why, PW_E_USAGE, "channel %s refuses it: %s (%s); it stays held. %s",
        job->lane->channel->name, pw_reason_text(reason), pw_reason_code(reason),
        pw_may_overrule(reason) ? "Change the policy, or name each reason with --override"
                                : "Nobody can overrule that; see `picklewall audit tail`");
}

static enum pw_err
explain(struct pw_daemon *self, struct pw_release_job *job)
{
    switch (job->release.outcome) {
    case PW_RELEASE_SENT:
        return PW_E_OK;
    case PW_RELEASE_REFUSED:
        return explain_refusal(job);
    case PW_RELEASE_UNDELIVERABLE:
    default:
        return is_stopping(self)
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
give_back(struct pw_daemon *self, struct pw_release_job *job)
{
    struct pw_why why = {0};
    if (job->found.state != PW_STORE_HELD) {
        return;
    }
    enum pw_err err = pw_store_move(self->store, job->found.entry, PW_STORE_RELEASING,
                                    PW_STORE_HELD, &why);
    if (err == PW_E_IO) {
        pw_log(PW_LOG_WARN, "%s was not sent: %s", job->found.entry, why.text);
    } else if (err != PW_E_OK) {
        pw_log(PW_LOG_ERROR, "%s was not sent, but stays in releasing/: %s",
               job->found.entry, why.text);
    }
}

/* It has gone on. Once it is in released/ that is settled, whatever the disk promises. */
static enum pw_err
mark_released(struct pw_daemon *self, const struct pw_release_job *job, struct pw_why *why)
{
    enum pw_err err = pw_store_move(self->store, job->found.entry, PW_STORE_RELEASING,
                                    PW_STORE_RELEASED, why);
    if (err != PW_E_IO) {
        return err;
    }
    pw_log(PW_LOG_WARN, "%s was released: %s", job->found.entry, why->text);
    return PW_E_OK;
}

/* The transport has it: that must outlive us, too, or it is in doubt. */
static const char *
settle_sent(struct pw_daemon *self, struct pw_release_job *job)
{
    (void)poll(NULL, 0, SETTLE_MS);
    struct pw_why why = {0};
    enum pw_err err = mark_released(self, job, &why);
    if (err == PW_E_OK) {
        return "sent";
    }
    job->result =
        pw_fail(&job->why, err, "it was sent, but cannot be marked so: %s", why.text);
    return "in_doubt";
}

static enum pw_level
level_of(const struct pw_release_job *job, const char *outcome)
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

/* What has begun in the log ends there; should that fail, the next start makes up for it.
 */
static void
push_end(struct pw_daemon *self, const struct pw_release_job *job, const char *outcome)
{
    if (job->begun) {
        (void)!push_line(self, job, level_of(job, outcome), outcome);
    }
}

/* As far as that goes in time: an answer must come, too. */
static void
flush_log(struct pw_daemon *self)
{
    (void)!pw_audit_flush(self->audit, pw_clock_steady() + PATIENCE_MS * ns_per_ms);
}

/* In `releasing` already, and with its first line in the log. */
static void
send_begun(struct pw_daemon *self, struct pw_release_job *job)
{
    pass_through(self, job);
    job->result = explain(self, job);
    const char *outcome = outcome_texts[job->release.outcome];
    if (job->release.outcome == PW_RELEASE_SENT) {
        outcome = settle_sent(self, job);
    } else {
        give_back(self, job);
    }
    write_answer(job, outcome);
    push_end(self, job, outcome);
    flush_log(self);
}

/* It was in doubt, and the operator knows better. */
static void
mark_arrived(struct pw_daemon *self, struct pw_release_job *job)
{
    job->result = push_intent(self, job);
    if (job->result == PW_E_OK) {
        job->result = mark_released(self, job, &job->why);
    }
    if (job->result != PW_E_OK) {
        push_end(self, job, "in_doubt");
        return;
    }
    write_answer(job, "arrived");
    push_end(self, job, "arrived");
    flush_log(self);
}

static void
send_on(struct pw_daemon *self, struct pw_release_job *job)
{
    if (job->found.state == PW_STORE_HELD) {
        job->result = pw_store_move(self->store, job->found.entry, PW_STORE_HELD,
                                    PW_STORE_RELEASING, &job->why);
    }
    if (job->result == PW_E_IO) { /* after a power cut it would be held, and sent twice */
        give_back(self, job);
    }
    if (job->result != PW_E_OK) {
        return; /* or it has not left hold/ at all */
    }
    job->result = push_intent(self, job);
    if (job->result == PW_E_OK) {
        send_begun(self, job);
        return;
    }
    give_back(self, job);
    push_end(self, job, outcome_texts[PW_RELEASE_UNDELIVERABLE]);
}

void
pw_release_job_run(struct pw_release_job *job, struct pw_daemon *self)
{
    job->result = is_stopping(self) ? fail_stopping(job) : look_up(self, job);
    if (job->result != PW_E_OK) {
        return;
    }
    if (job->request.arrived) {
        mark_arrived(self, job);
        return;
    }
    if (!job->request.dry_run) {
        send_on(self, job);
        return;
    }
    pass_through(self, job);
    job->result = explain(self, job);
    write_answer(job, outcome_texts[job->release.outcome]);
}
