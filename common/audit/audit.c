/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "common/audit/chain.h"
#include "common/audit/line.h"
#include "common/audit/logfile.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/ulid.h"

enum {
    DEFAULT_RECORDS = 65536,
    LEAST_RECORDS = 8,
    FIRST_CHANNELS = 8,
};

static const uint64_t ns_per_s = 1000000000;
static const uint64_t nap_ns = 50000000;    /* a pass waits so long for company */
static const uint64_t tick_ns = 1000000000; /* summaries, fdatasync, moved file */
static const uint64_t missed_pause_ns = 60000000000;
static const uint64_t last_grace_ns = 5000000000; /* of a log that is broken at its end */
static const uint64_t stuck_ns = 2000000000;      /* a write that takes longer hangs */

struct channel {
    char *name; /* "" for [0] */
    struct pw_audit_form form;
    struct pw_audit_sum sum;   /* under `lock`: passes that wait for the next summary */
    struct pw_audit_sum taken; /* the writer's: of the summary it is to write */
};

/* What the writer is doing, so that producers signal only when somebody waits. */
enum rest {
    REST_NONE, /* at work: it looks again before it waits */
    REST_NAP,  /* lets a burst gather; wake it for what is urgent or much */
    REST_IDLE, /* has nothing: wake it for anything */
};

struct pw_audit {
    struct pw_audit_identity identity;
    char *instance;
    char host[256];
    bool pass_each;
    bool sync_each;
    bool degrade;

    /* Held by the writer while it makes lines; taken before `lock` where both are. */
    pthread_mutex_t forms;
    struct channel *channels; /* [0] has no name; a record's number is one less */
    size_t channel_count;
    size_t channel_room;

    pthread_mutex_t lock; /* everything down to `counts` */
    pthread_cond_t work;
    pthread_cond_t room;
    pthread_cond_t durable;
    struct pw_audit_record *ring;
    size_t capacity;
    size_t head;
    size_t count;
    size_t waiting; /* producers in need of room, or of their lines in the file */
    uint64_t filed; /* so many of the records are in the file, whole */
    enum rest rest;
    bool urgent;  /* a record in the ring is not to nap */
    bool summing; /* some channel's sum is not empty */
    bool sync;    /* somebody waits until it is on the disk */
    bool broken;  /* the last write or sync failed */
    bool scarce;  /* less room on the disk than space_critical */
    bool reopen;
    bool aborted;
    bool stopping;
    uint64_t lost_unsaid; /* lost, and not yet in a line */
    uint64_t busy_since;  /* steady clock: the round under way; 0: none */
    uint64_t enqueued;    /* records ever put into the ring, */
    uint64_t settled;     /* and those of them that are on the disk */
    struct pw_audit_counts counts;

    /* The writer's own. */
    pthread_t thread;
    struct pw_logfile file;
    struct pw_audit_target targets[PW_AUDIT_TARGETS];
    size_t target_count;
    uint64_t said_missed_at; /* steady clock */
    uint64_t said_missed;
    uint64_t missed[PW_AUDIT_TARGETS];
    struct pw_ulid ulid;
    struct pw_audit_stamp stamp;
    struct pw_chain *chain;
    uint64_t next_tick;
    uint64_t give_up_at; /* steady clock; once `stopping` */
    bool closed;         /* the log is written to its end, and sealed */
};

/* What one round of the writer takes from under the lock, and gives back. */
struct round {
    size_t head;
    size_t count; /* records taken; what is made into lines goes down to `made` */
    size_t made;
    uint64_t lost;
    uint64_t lines;
    uint64_t reopens;
    bool tick;
    bool reopen;
    bool sync;
    bool last; /* nothing comes after what it takes */
    enum pw_err err;
};

/* ---- channels ---- */

static bool
grow_channels(struct pw_audit *audit)
{
    if (audit->channel_count < audit->channel_room) {
        return true;
    }
    size_t room = audit->channel_room == 0 ? FIRST_CHANNELS : audit->channel_room * 2;
    struct channel *channels = realloc(audit->channels, room * sizeof *channels);
    if (channels == NULL) {
        return false;
    }
    audit->channels = channels;
    audit->channel_room = room;
    return true;
}

int
pw_audit_channel(struct pw_audit *audit, const char *chan, const char *in, const char *out)
{
    struct channel channel = {.name = strdup(chan == NULL ? "" : chan)};
    struct pw_audit_names names = {chan, in, out};
    if (channel.name == NULL ||
        pw_audit_form_make(&channel.form, &audit->identity, &names) != PW_E_OK) {
        free(channel.name);
        return -1;
    }
    pthread_mutex_lock(&audit->forms);
    pthread_mutex_lock(&audit->lock);
    bool added = grow_channels(audit);
    if (added) {
        audit->channels[audit->channel_count++] = channel;
    }
    int number = (int)audit->channel_count - 2;
    pthread_mutex_unlock(&audit->lock);
    pthread_mutex_unlock(&audit->forms);
    if (!added) {
        free(channel.name);
        pw_buf_free(&channel.form.bytes);
    }
    return added ? number : -1;
}

static struct channel *
channel_of(struct pw_audit *audit, int32_t number)
{
    bool known = number >= 0 && (size_t)number + 1 < audit->channel_count;
    return &audit->channels[known ? (size_t)number + 1 : 0];
}

const char *
pw_audit_chain_news(const struct pw_audit *audit)
{
    return pw_chain_news(audit->chain);
}

const char *
pw_audit_chain_alarm(const struct pw_audit *audit)
{
    return pw_chain_alarm(audit->chain);
}

/* ---- producers ---- */

/* A clean pass, which a summary can stand for. */
static bool
is_plain_pass(const struct pw_audit_record *record)
{
    return record->event == PW_EVENT_FRAME && record->verdict == PW_PASS &&
           record->reason == PW_R_NONE && record->detail == NULL;
}

/* The log cannot be written, nearly cannot, or hangs. */
static bool
in_trouble(const struct pw_audit *audit)
{
    return audit->broken || audit->scarce ||
           (audit->busy_since != 0 && pw_clock_steady() - audit->busy_since > stuck_ns);
}

/* Messages go on although the log is in trouble. */
static bool
gives_way(const struct pw_audit *audit)
{
    return audit->degrade && in_trouble(audit);
}

static bool
goes_to_summary(const struct pw_audit *audit, const struct pw_audit_record *record)
{
    return is_plain_pass(record) &&
           (!audit->pass_each || audit->count >= audit->capacity - audit->capacity / 4 ||
            (audit->degrade && (audit->broken || audit->scarce)));
}

static void
summarise(struct pw_audit *audit, const struct pw_audit_record *record)
{
    struct pw_audit_sum *sum = &channel_of(audit, record->channel)->sum;
    if (sum->messages == 0) {
        sum->since_ns = record->wall_ns;
    }
    sum->messages++;
    sum->bytes += record->bytes;
    audit->counts.summarised++;
    audit->summing = true;
}

/* One signal is enough: whoever wakes looks at everything. */
static void
wake_writer(struct pw_audit *audit)
{
    bool due = audit->urgent || audit->count >= audit->capacity / 2;
    bool first = audit->rest == REST_IDLE && audit->count > 0;
    if (first || (due && audit->rest != REST_NONE)) {
        audit->rest = due ? REST_NONE : REST_NAP;
        pthread_cond_signal(&audit->work);
    }
}

/* At most, so that a disk that hangs is noticed. */
static void
wait_a_second(pthread_cond_t *what, pthread_mutex_t *lock)
{
    uint64_t until = pw_clock_steady() + ns_per_s;
    struct timespec at = {.tv_sec = (time_t)(until / ns_per_s),
                          .tv_nsec = (long)(until % ns_per_s)};
    (void)pthread_cond_timedwait(what, lock, &at);
}

static void
wait_for_room(struct pw_audit *audit)
{
    while (audit->count == audit->capacity && !audit->aborted && !gives_way(audit)) {
        wake_writer(audit);
        audit->waiting++;
        wait_a_second(&audit->room, &audit->lock);
        audit->waiting--;
    }
}

/* Until everything up to record `number` is on the disk. */
static enum pw_err
wait_for_disk(struct pw_audit *audit, uint64_t number)
{
    while (audit->settled < number && !audit->aborted && !gives_way(audit)) {
        audit->sync = true;
        audit->urgent = true;
        wake_writer(audit);
        wait_a_second(&audit->durable, &audit->lock);
    }
    return audit->settled >= number ? PW_E_OK : PW_E_STOPPED;
}

/* Woken by each round that came further; false when the time is up. */
static bool
wait_for_round(struct pw_audit *audit, uint64_t until)
{
    struct timespec at = {.tv_sec = (time_t)(until / ns_per_s),
                          .tv_nsec = (long)(until % ns_per_s)};
    audit->urgent = true;
    wake_writer(audit);
    audit->waiting++;
    int failed = pthread_cond_timedwait(&audit->room, &audit->lock, &at);
    audit->waiting--;
    return failed == 0;
}

enum pw_err
pw_audit_flush(struct pw_audit *audit, uint64_t until)
{
    bool in_time = true;
    pthread_mutex_lock(&audit->lock);
    uint64_t last = audit->enqueued;
    while (audit->filed < last && in_time && !audit->aborted) {
        in_time = wait_for_round(audit, until);
    }
    bool filed = audit->filed >= last;
    bool aborted = audit->aborted;
    pthread_mutex_unlock(&audit->lock);
    return filed ? PW_E_OK : aborted ? PW_E_STOPPED : PW_E_BUSY;
}

static enum pw_err
enqueue(struct pw_audit *audit, struct pw_audit_record *record)
{
    wait_for_room(audit);
    if (audit->count == audit->capacity) {
        free(record->detail);
        record->detail = NULL;
        audit->counts.lost++;
        audit->lost_unsaid++;
        return PW_E_STOPPED;
    }
    size_t tail = audit->head + audit->count;
    audit->ring[tail < audit->capacity ? tail : tail - audit->capacity] = *record;
    record->detail = NULL;
    audit->count++;
    audit->enqueued++;
    audit->urgent = audit->urgent || !is_plain_pass(record);
    if (record->event == PW_EVENT_STOP) {
        audit->next_tick = 0; /* sums go before it, so that it can be the last line */
    }
    return PW_E_OK;
}

/* What is about a message, and more than that it passed, is on the disk before it counts as
 * settled. Events of the process do not hold up whoever hears signals. */
static bool
wants_disk(const struct pw_audit *audit, const struct pw_audit_record *record)
{
    return audit->sync_each && record->channel >= 0 && !is_plain_pass(record);
}

enum pw_err
pw_audit_push(struct pw_audit *audit, struct pw_audit_record *records, size_t count)
{
    enum pw_err result = PW_E_OK;
    bool sync = false;
    pthread_mutex_lock(&audit->lock);
    for (size_t i = 0; i < count; i++) {
        if (goes_to_summary(audit, &records[i])) {
            summarise(audit, &records[i]);
            continue;
        }
        sync = sync || wants_disk(audit, &records[i]);
        enum pw_err err = enqueue(audit, &records[i]);
        result = err == PW_E_OK ? result : err;
    }
    wake_writer(audit);
    if (sync) {
        enum pw_err err = wait_for_disk(audit, audit->enqueued);
        result = err == PW_E_OK ? result : err;
    }
    pthread_mutex_unlock(&audit->lock);
    return result;
}

bool
pw_audit_ready(struct pw_audit *audit)
{
    pthread_mutex_lock(&audit->lock);
    bool ready = gives_way(audit) || (!in_trouble(audit) && audit->count < audit->capacity);
    pthread_mutex_unlock(&audit->lock);
    return ready;
}

static void
set_flag(struct pw_audit *audit, bool *flag)
{
    pthread_mutex_lock(&audit->lock);
    *flag = true;
    audit->rest = REST_NONE;
    pthread_cond_signal(&audit->work);
    pthread_cond_broadcast(&audit->room);
    pthread_cond_broadcast(&audit->durable);
    pthread_mutex_unlock(&audit->lock);
}

void
pw_audit_reopen(struct pw_audit *audit)
{
    set_flag(audit, &audit->reopen);
}

void
pw_audit_abort(struct pw_audit *audit)
{
    set_flag(audit, &audit->aborted);
}

struct pw_audit_counts
pw_audit_counts(struct pw_audit *audit)
{
    pthread_mutex_lock(&audit->lock);
    struct pw_audit_counts counts = audit->counts;
    pthread_mutex_unlock(&audit->lock);
    return counts;
}

/* ---- the writer: lines ---- */

static void
copy_line(struct pw_audit *audit, const struct pw_audit_record *record,
          const struct channel *channel, size_t start)
{
    const struct pw_buf *lines = &audit->file.sink.lines;
    struct pw_audit_copy copy = {
        .line = {lines->bytes + start, lines->len - start - 1},
        .record = record,
        .chan = channel->name,
    };
    bool quiet = is_plain_pass(record) || record->event == PW_EVENT_SUMMARY;
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
    struct channel *channel = channel_of(audit, record->channel);
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
        at = at < audit->capacity ? at : at - audit->capacity;
        make_line(audit, round, &audit->ring[at], NULL);
        free(audit->ring[at].detail);
        audit->ring[at].detail = NULL;
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

/* ---- the writer: the file ---- */

/* Before the log goes on elsewhere, while the old file is still open. */
static void
seal_file(struct pw_audit *audit, struct round *round)
{
    pthread_mutex_lock(&audit->forms);
    seal(audit, round);
    pthread_mutex_unlock(&audit->forms);
}

/* Another file when somebody moved this one, asked for it, or it is time. */
static void
change_file(struct pw_audit *audit, struct round *round)
{
    struct pw_logfile *file = &audit->file;
    if (round->reopen || (round->tick && pw_sink_moved(&file->sink))) {
        seal_file(audit, round);
        (void)!pw_sink_flush(&file->sink); /* what it cannot take goes to the new one */
        pw_logfile_reopen(file);
        round->reopens += round->reopen;
    }
    if (pw_sink_empty(&file->sink) && pw_logfile_wants_rotation(file)) {
        seal_file(audit, round);
        round->err = pw_logfile_write(file, true);
        if (round->err == PW_E_OK) {
            pw_logfile_rotate(file, pw_chain_next(audit->chain) - 1);
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
    if (written && round->tick && !sink->dirty) {
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
        make_notices(audit, round);
        make_summaries(audit, round);
        make_records(audit, round);
        seal_if_due(audit, round);
        pthread_mutex_unlock(&audit->forms);
    }
    round->err = pw_logfile_write(file, round->tick || round->sync);
    keep_chain(audit, round);
    if (round->tick) {
        say_missed(audit);
    }
}

/* ---- the writer: under the lock ---- */

/* Before `until`, or when signalled. */
static void
rest_until(struct pw_audit *audit, enum rest rest, uint64_t until)
{
    struct timespec at = {.tv_sec = (time_t)(until / ns_per_s),
                          .tv_nsec = (long)(until % ns_per_s)};
    audit->rest = rest;
    (void)pthread_cond_timedwait(&audit->work, &audit->lock, &at);
    audit->rest = REST_NONE;
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
        rest_until(audit, REST_NONE, audit->file.next_retry);
    }
}

static bool
is_due(const struct pw_audit *audit, uint64_t now, uint64_t nap_end)
{
    return audit->stopping || audit->reopen || audit->urgent || now >= audit->next_tick ||
           audit->count >= audit->capacity / 2 || (audit->count > 0 && now >= nap_end);
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
        rest_until(audit, idle ? REST_IDLE : REST_NAP,
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

static struct round
begin_round(struct pw_audit *audit)
{
    struct round round = {.head = audit->head, .count = audit->count};
    uint64_t now = pw_clock_steady();
    round.last = audit->stopping;
    round.tick = now >= audit->next_tick || audit->stopping;
    if (round.tick) {
        audit->next_tick = now + tick_ns;
        take_sums(audit);
    }
    round.reopen = audit->reopen;
    round.sync = audit->sync;
    round.lost = audit->lost_unsaid;
    audit->busy_since = now;
    audit->reopen = false;
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
    audit->head = (audit->head + round->made) % audit->capacity;
    audit->count -= round->made;
    if (round->err == PW_E_OK) {
        audit->filed = audit->enqueued - audit->count;
    }
    audit->lost_unsaid += round->lost;
    audit->urgent = audit->urgent || round->made < round->count;
    audit->counts.written += round->lines;
    audit->counts.errors += round->err != PW_E_OK;
    audit->counts.reopens += round->reopens;
    memcpy(audit->counts.missed, audit->missed, sizeof audit->missed);
    audit->broken = round->err != PW_E_OK;
    audit->scarce = pw_logfile_critical(&audit->file);
    audit->counts.trouble = audit->file.trouble;
    audit->counts.scarce = audit->scarce;
    audit->busy_since = 0;
    if (audit->waiting > 0 &&
        (round->made > 0 || round->err == PW_E_OK || gives_way(audit))) {
        pthread_cond_broadcast(&audit->room);
    }
    if (audit->sync_each) {
        note_settled(audit);
    }
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

static void *
write_log(void *arg)
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

/* ---- open and close ---- */

static void
init_locks(struct pw_audit *audit)
{
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&audit->forms, NULL);
    pthread_mutex_init(&audit->lock, NULL);
    pthread_cond_init(&audit->work, &steady);
    pthread_cond_init(&audit->room, &steady);
    pthread_cond_init(&audit->durable, &steady);
    pthread_condattr_destroy(&steady);
}

static void
release(struct pw_audit *audit)
{
    for (size_t i = 0; i < audit->channel_count; i++) {
        free(audit->channels[i].name);
        pw_buf_free(&audit->channels[i].form.bytes);
    }
    for (size_t i = 0; i < audit->count; i++) {
        free(audit->ring[(audit->head + i) % audit->capacity].detail);
    }
    pw_logfile_close(&audit->file);
    pw_chain_free(&audit->chain);
    pthread_cond_destroy(&audit->durable);
    pthread_cond_destroy(&audit->room);
    pthread_cond_destroy(&audit->work);
    pthread_mutex_destroy(&audit->lock);
    pthread_mutex_destroy(&audit->forms);
    free(audit->channels);
    free(audit->ring);
    free(audit->instance);
    free(audit);
}

static bool
identify(struct pw_audit *audit, const char *instance)
{
    if (gethostname(audit->host, sizeof audit->host - 1) != 0) {
        memcpy(audit->host, "localhost", sizeof "localhost");
    }
    audit->instance = strdup(instance == NULL ? audit->host : instance);
    audit->identity = (struct pw_audit_identity){
        .instance = audit->instance, .host = audit->host, .pid = (uint32_t)getpid()};
    return audit->instance != NULL;
}

/* Signals are for the main thread; SIGPIPE and SIGXFSZ of our writes come back as errors.
 */
static bool
start_thread(struct pw_audit *audit)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&audit->thread, NULL, write_log, audit);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

static void
take_targets(struct pw_audit *audit, const struct pw_audit_options *options)
{
    for (size_t i = 0; i < options->target_count && i < PW_AUDIT_TARGETS; i++) {
        audit->targets[audit->target_count++] = options->targets[i];
    }
}

static enum pw_err
open_chain(struct pw_audit *audit, const struct pw_audit_options *options,
           struct pw_why *why)
{
    audit->chain = pw_chain_open(&(struct pw_chain_options){.instance = audit->instance,
                                                            .state = options->state,
                                                            .key = options->key,
                                                            .mirror = options->mirror,
                                                            .log = options->path},
                                 why);
    return audit->chain != NULL ? PW_E_OK : PW_E_CREATE;
}

static enum pw_err
open_file(struct pw_audit *audit, const struct pw_audit_options *options,
          struct pw_why *why)
{
    return pw_logfile_open(&audit->file,
                           &(struct pw_logfile_options){
                               .path = options->path,
                               .rotate_size = options->rotate_size,
                               .rotate_age_ns = options->rotate_age_ns,
                               .rotate_keep = options->rotate_keep,
                               .space_low = options->space_low,
                               .space_critical = options->space_critical,
                               .degrade = options->degrade,
                           },
                           why);
}

static enum pw_err
set_up(struct pw_audit *audit, const struct pw_audit_options *options, struct pw_why *why)
{
    if (sodium_init() < 0) {
        return pw_fail(why, PW_E_CRYPTO, "audit log: libsodium has no random numbers");
    }
    size_t records = options->queue_records == 0 ? DEFAULT_RECORDS : options->queue_records;
    audit->capacity = records < LEAST_RECORDS ? LEAST_RECORDS : records;
    audit->pass_each = options->pass_each;
    audit->sync_each = options->sync_each;
    audit->degrade = options->degrade;
    take_targets(audit, options);
    audit->ulid.fill = randombytes_buf;
    audit->next_tick = pw_clock_steady() + tick_ns;
    audit->ring = calloc(audit->capacity, sizeof *audit->ring);
    if (audit->ring == NULL || !identify(audit, options->instance) ||
        (pw_audit_channel(audit, NULL, NULL, NULL), audit->channel_count == 0)) {
        return pw_fail(why, PW_E_NOMEM,
                       "audit log: no memory for %zu records; lower the queue",
                       audit->capacity);
    }
    enum pw_err err = open_chain(audit, options, why);
    err = err == PW_E_OK ? open_file(audit, options, why) : err;
    audit->scarce = err == PW_E_OK && pw_logfile_critical(&audit->file);
    audit->counts.scarce = audit->scarce;
    if (err == PW_E_OK && !start_thread(audit)) {
        err = pw_fail(why, PW_E_OS, "audit log: no thread: %s; raise the limit on tasks",
                      strerror(errno));
    }
    return err;
}

struct pw_audit *
pw_audit_open(const struct pw_audit_options *options, struct pw_why *why)
{
    struct pw_audit *audit = calloc(1, sizeof *audit);
    if (audit == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "audit log: out of memory");
        return NULL;
    }
    audit->file.sink.fd = -1;
    init_locks(audit);
    if (set_up(audit, options, why) != PW_E_OK) {
        release(audit);
        return NULL;
    }
    return audit;
}

void
pw_audit_close(struct pw_audit **audit)
{
    if (*audit == NULL) {
        return;
    }
    (*audit)->give_up_at = pw_clock_steady() + last_grace_ns; /* read once it stops */
    set_flag(*audit, &(*audit)->stopping);
    pthread_join((*audit)->thread, NULL);
    if ((*audit)->broken && !(*audit)->aborted) {
        pw_log(PW_LOG_ERROR, "%s: it cannot be written, and there is no more time",
               (*audit)->file.sink.path);
    }
    release(*audit);
    *audit = NULL;
}
