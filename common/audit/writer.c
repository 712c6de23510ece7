/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread that makes lines of records, and brings them to the file.
 */
#include "common/audit/inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/audit/first.h"
#include "common/base/log.h"

static const uint64_t ns_per_s = 1000000000;
static const uint64_t nap_ns = 50000000;    /* a pass waits so long for company */
static const uint64_t tick_ns = 1000000000; /* summaries, fdatasync, moved file */
static const uint64_t missed_pause_ns = 60000000000;

/* What one round of the writer takes from under the lock, and gives back. */
struct round {
    size_t head;
    size_t count; /* records taken; what is made into lines goes down to `made` */
    size_t made;
    uint64_t lost;
    uint64_t lines;
    uint64_t reopens;
    uint64_t rotations;
    bool tick;
    bool reopen;
    bool rotate;
    bool sync;
    bool first; /* it made the first line of this process */
    bool last;  /* nothing comes after what it takes */
    enum pw_err err;
};

/* ---- lines ---- */

static void
copy_line(struct pw_audit *audit, const struct pw_audit_record *record,
          const struct pw_audit_lane *channel, size_t start)
{
    const struct pw_buf *lines = &audit->file.sink.lines;
    struct pw_audit_copy copy = {
        .line = {lines->bytes + start, lines->len - start - 1},
        .record = record,
        .chan = channel->name,
    };
    bool quiet = pw_audit_is_plain_pass(record) || record->event == PW_EVENT_SUMMARY;
    for (size_t i = 0; i < audit->target_count; i++) {
        const struct pw_audit_target *target = &audit->targets[i];
        if (target->every || !quiet) {
            audit->missed[i] += !target->send(target->arg, &copy);
        }
    }
}

/* The buffer has room, so making a line cannot fail. */
static void
add_line(struct pw_audit *audit, struct round *round, const struct pw_audit_record *record,
         const struct pw_audit_sum *sum)
{
    struct pw_audit_lane *channel = pw_audit_lane_of(audit, record->channel);
    struct pw_buf *lines = &audit->file.sink.lines;
    size_t start = lines->len;
    char id[PW_ULID_TEXT];
    pw_ulid_next(&audit->ulid, record->wall_ns, id);
    struct pw_audit_extra extra = {.seq = pw_chain_next(audit->chain),
                                   .id = id,
                                   .lost = round->lost,
                                   .link = pw_chain_link(audit->chain)};
    if (sum != NULL) {
        extra.sum = *sum;
    }
    if (pw_audit_form_line(&channel->form, &audit->stamp, record, &extra, lines) !=
        PW_E_OK) {
        return;
    }
    pw_chain_add(audit->chain,
                 (struct pw_span){lines->bytes + start, lines->len - start - 1},
                 (enum pw_audit_event)record->event);
    audit->file.used = audit->file.used || (record->event != PW_EVENT_ROTATE &&
                                            record->event != PW_EVENT_CHECKPOINT);
    round->lines++;
    round->lost = 0;
    copy_line(audit, record, channel, start);
}

/* Sign the chain up to here, if there is anything new. */
static void
seal(struct pw_audit *audit, struct round *round)
{
    if (pw_chain_is_sealed(audit->chain) ||
        pw_sink_room(&audit->file.sink) < PW_AUDIT_LINE_MAX) {
        return;
    }
    struct pw_audit_record record = {
        .wall_ns = pw_clock_wall(), .channel = -1, .event = PW_EVENT_CHECKPOINT};
    add_line(audit, round, &record, NULL);
}

static void
make_line(struct pw_audit *audit, struct round *round, const struct pw_audit_record *record,
          const struct pw_audit_sum *sum)
{
    if (pw_chain_is_full(audit->chain)) {
        seal(audit, round);
    }
    add_line(audit, round, record, sum);
}

/* What the file itself has to say: it is new, it was cut, it could not be written. */
static void
make_notices(struct pw_audit *audit, struct round *round)
{
    char detail[PW_LOG_NEWS_MAX];
    struct pw_audit_record record;
    while (pw_logfile_has_room(&audit->file) &&
           pw_logfile_notice(&audit->file, &record, detail)) {
        make_line(audit, round, &record, NULL);
    }
}

static void
make_summaries(struct pw_audit *audit, struct round *round)
{
    for (size_t i = 0; i < audit->channel_count && pw_logfile_has_room(&audit->file); i++) {
        struct pw_audit_sum *taken = &audit->channels[i].taken;
        if (taken->messages > 0) {
            struct pw_audit_record record = {.wall_ns = pw_clock_wall(),
                                             .channel = (int32_t)i - 1,
                                             .event = PW_EVENT_SUMMARY};
            make_line(audit, round, &record, taken);
            *taken = (struct pw_audit_sum){0};
        }
    }
}

/* The records taken stay in the ring, where no producer touches them, until the round ends.
 */
static void
make_records(struct pw_audit *audit, struct round *round)
{
    while (round->made < round->count && pw_logfile_has_room(&audit->file)) {
        size_t at = round->head + round->made;
        at = at < audit->slots ? at : at - audit->slots;
        make_line(audit, round, &audit->ring[at], NULL);
        free(audit->ring[at].detail);
        audit->ring[at].detail = NULL;
        audit->spoke = true;
        round->made++;
    }
}

/* At the end of the log, or when lines have waited for it. */
static void
seal_if_due(struct pw_audit *audit, struct round *round)
{
    bool at_end = round->last && round->made == round->count;
    if (at_end || (round->tick && pw_chain_is_late(audit->chain, pw_clock_steady()))) {
        seal(audit, round);
    }
}

/* The file has its say first, but not before the first record: a life begins with `start`.
 */
static void
make_lines(struct pw_audit *audit, struct round *round)
{
    bool held = !audit->spoke;
    if (!held) {
        make_notices(audit, round);
    }
    make_summaries(audit, round);
    make_records(audit, round);
    if (held && (audit->spoke || round->last)) {
        make_notices(audit, round);
    }
    seal_if_due(audit, round);
    round->first = held && audit->spoke;
}

/* ---- the file ---- */

/* Before the log goes on elsewhere, while the old file is still open. */
static void
seal_file(struct pw_audit *audit, struct round *round)
{
    pthread_mutex_lock(&audit->forms);
    seal(audit, round);
    pthread_mutex_unlock(&audit->forms);
}

/* The oldest go; what is then the first line is kept before that, so that nobody can remove
 * more and leave it at that. One that cannot be read (.gz) leaves it unknown. */
static void
prune(struct pw_audit *audit)
{
    char path[PATH_MAX];
    if (!pw_logfile_oldest_kept(&audit->file, path)) {
        return;
    }
    struct pw_first first = pw_first_of(path);
    if (pw_chain_begins(audit->chain, pw_span_str(first.chain), first.seq)) {
        pw_logfile_prune(&audit->file);
    }
}

/* Another file when somebody moved this one, asked for it, or it is time. */
static void
change_file(struct pw_audit *audit, struct round *round)
{
    struct pw_logfile *file = &audit->file;
    if (round->reopen || (round->tick && pw_sink_moved(&file->sink))) {
        seal_file(audit, round);
        /* What it cannot take goes to the new one. */
        if (pw_sink_flush(&file->sink) == PW_E_OK && pw_sink_sync(&file->sink) == PW_E_OK) {
            pw_chain_save(audit->chain, false);
        }
        pw_logfile_reopen(file);
        round->reopens += round->reopen;
    }
    file->wanted = round->rotate;
    if (audit->spoke && pw_sink_empty(&file->sink) && pw_logfile_wants_rotation(file)) {
        seal_file(audit, round);
        round->err = pw_logfile_write(file, true);
        if (round->err == PW_E_OK) {
            pw_chain_save(audit->chain, false); /* the new file begins where it ends */
            pw_logfile_rotate(file, pw_chain_next(audit->chain) - 1);
            round->rotations += (file->news & PW_LOG_ROTATED) != 0;
            prune(audit);
        }
    }
}

/* At most once a minute. */
static void
say_missed(struct pw_audit *audit)
{
    uint64_t now = pw_clock_steady();
    uint64_t all = 0;
    for (size_t i = 0; i < audit->target_count; i++) {
        all += audit->missed[i];
    }
    if (all == audit->said_missed ||
        (audit->said_missed_at != 0 && now - audit->said_missed_at < missed_pause_ns)) {
        return;
    }
    audit->said_missed = all;
    audit->said_missed_at = now;
    for (size_t i = 0; i < audit->target_count; i++) {
        if (audit->missed[i] > 0) {
            pw_log(PW_LOG_WARN,
                   "audit.%s: %" PRIu64 " lines could not be delivered so far; all of "
                   "them are in %s",
                   audit->targets[i].name, audit->missed[i], audit->file.sink.path);
        }
    }
}

/* The chain's state follows the log, and is never ahead of what the disk has of it. */
static void
keep_chain(struct pw_audit *audit, const struct round *round)
{
    const struct pw_sink *sink = &audit->file.sink;
    bool sealed = pw_chain_is_sealed(audit->chain);
    bool written = round->err == PW_E_OK && pw_sink_empty(sink);
    audit->closed = round->last && written && sealed;
    if (written) {
        pw_chain_written(audit->chain);
    }
    if (written && (round->tick || round->first) && !sink->dirty) {
        pw_chain_save(audit->chain, audit->closed);
    }
}

static void
work_round(struct pw_audit *audit, struct round *round)
{
    struct pw_logfile *file = &audit->file;
    pw_logfile_look(file);
    if (round->tick) {
        pw_logfile_look_around(file);
    }
    change_file(audit, round);
    if (round->err == PW_E_OK && pw_sink_empty(&file->sink) && !file->sink.sync_failed) {
        /* else what is left goes first */
        pthread_mutex_lock(&audit->forms);
        make_lines(audit, round);
        pthread_mutex_unlock(&audit->forms);
    }
    round->err = pw_logfile_write(file, round->tick || round->sync || round->first);
    keep_chain(audit, round);
    if (round->tick) {
        say_missed(audit);
    }
}

/* ---- under the lock ---- */

/* Before `until`, or when signalled. */
static void
rest_until(struct pw_audit *audit, enum pw_audit_rest rest, uint64_t until)
{
    struct timespec at = {.tv_sec = (time_t)(until / ns_per_s),
                          .tv_nsec = (long)(until % ns_per_s)};
    audit->rest = rest;
    (void)pthread_cond_timedwait(&audit->work, &audit->lock, &at);
    audit->rest = PW_REST_NONE;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The last write failed: wait for the time to try again, or for someone to change things.
 */
static void
wait_to_retry(struct pw_audit *audit)
{
    while (!audit->reopen && !(audit->stopping && audit->aborted) &&
           pw_clock_steady() < audit->file.next_retry) {
        rest_until(audit, PW_REST_NONE, audit->file.next_retry);
    }
}

static bool
is_due(const struct pw_audit *audit, uint64_t now, uint64_t nap_end)
{
    return audit->stopping || audit->reopen || audit->rotate || audit->urgent ||
           now >= audit->next_tick || audit->count >= audit->capacity / 2 ||
           (audit->count > 0 && now >= nap_end);
}

static void
wait_for_work(struct pw_audit *audit)
{
    if (audit->broken) {
        wait_to_retry(audit);
        return;
    }
    uint64_t now = pw_clock_steady();
    uint64_t nap_end = now + nap_ns;
    while (!is_due(audit, now, nap_end)) {
        bool idle = audit->count == 0 && now >= nap_end;
        rest_until(audit, idle ? PW_REST_IDLE : PW_REST_NAP,
                   idle ? audit->next_tick : earlier(nap_end, audit->next_tick));
        now = pw_clock_steady();
        nap_end = idle ? now + nap_ns : nap_end;
    }
}

static void
take_sums(struct pw_audit *audit)
{
    for (size_t i = 0; i < audit->channel_count; i++) {
        struct pw_audit_sum *sum = &audit->channels[i].sum;
        struct pw_audit_sum *taken = &audit->channels[i].taken;
        if (sum->messages > 0) {
            taken->since_ns = taken->messages > 0 ? taken->since_ns : sum->since_ns;
            taken->messages += sum->messages;
            taken->bytes += sum->bytes;
            *sum = (struct pw_audit_sum){0};
        }
    }
    audit->summing = false;
}

/* What the file is called, and what happens when it cannot be written, stay as they were.
 */
static void
take_options(struct pw_audit *audit)
{
    struct pw_logfile_options *options = &audit->file.options;
    audit->next.path = options->path;
    audit->next.degrade = options->degrade;
    *options = audit->next;
    audit->changed = false;
}

static struct round
begin_round(struct pw_audit *audit)
{
    struct round round = {.head = audit->head, .count = audit->count};
    uint64_t now = pw_clock_steady();
    if (audit->changed) {
        take_options(audit);
    }
    round.last = audit->stopping;
    round.tick = now >= audit->next_tick || audit->stopping;
    if (round.tick) {
        audit->next_tick = now + tick_ns;
        take_sums(audit);
    }
    round.reopen = audit->reopen;
    round.rotate = audit->rotate;
    round.sync = audit->sync;
    round.lost = audit->lost_unsaid;
    audit->busy_since = now;
    audit->reopen = false;
    audit->rotate = false;
    audit->sync = false;
    audit->urgent = false;
    audit->lost_unsaid = 0;
    return round;
}

/* Every record that is no longer in the ring has been synced, or nobody waits for it. */
static void
note_settled(struct pw_audit *audit)
{
    if (!audit->file.sink.dirty && pw_sink_empty(&audit->file.sink)) {
        audit->settled = audit->enqueued - audit->count;
    }
    pthread_cond_broadcast(&audit->durable);
}

static void
end_round(struct pw_audit *audit, const struct round *round)
{
    audit->head = (audit->head + round->made) % audit->slots;
    audit->count -= round->made;
    if (round->err == PW_E_OK) {
        audit->filed = audit->enqueued - audit->count;
    }
    audit->lost_unsaid += round->lost;
    audit->urgent = audit->urgent || round->made < round->count;
    audit->counts.written += round->lines;
    audit->counts.chain_size = pw_chain_next(audit->chain) - 1;
    audit->counts.errors += round->err != PW_E_OK;
    audit->counts.reopens += round->reopens;
    audit->counts.rotate_orders += round->rotate;
    audit->counts.rotations += round->rotations;
    memcpy(audit->counts.missed, audit->missed, sizeof audit->missed);
    audit->broken = round->err != PW_E_OK;
    audit->scarce = pw_logfile_critical(&audit->file);
    audit->counts.trouble = audit->file.trouble;
    audit->counts.scarce = audit->scarce;
    audit->busy_since = 0;
    if (audit->waiting > 0 &&
        (round->made > 0 || round->err == PW_E_OK || pw_audit_gives_way(audit))) {
        pthread_cond_broadcast(&audit->room);
    }
    note_settled(audit); /* also for who began to wait before audit.sync changed */
}

/* Summaries that did not fit the last write. */
static bool
owes_summaries(const struct pw_audit *audit)
{
    bool owes = audit->summing;
    for (size_t i = 0; i < audit->channel_count; i++) {
        owes = owes || audit->channels[i].taken.messages > 0;
    }
    return owes;
}

static bool
is_finished(const struct pw_audit *audit)
{
    if (!audit->stopping) {
        return false;
    }
    bool gave_up =
        audit->broken && (audit->aborted || pw_clock_steady() >= audit->give_up_at);
    return gave_up || (audit->count == 0 && pw_sink_empty(&audit->file.sink) &&
                       audit->file.news == 0 && !owes_summaries(audit) && audit->closed);
}

void *
pw_audit_write(void *arg)
{
    struct pw_audit *audit = arg;
    pthread_mutex_lock(&audit->lock);
    while (!is_finished(audit)) {
        wait_for_work(audit);
        struct round round = begin_round(audit);
        pthread_mutex_unlock(&audit->lock);
        work_round(audit, &round);
        pthread_mutex_lock(&audit->lock);
        end_round(audit, &round);
    }
    pthread_mutex_unlock(&audit->lock);
    return NULL;
}
