/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/audit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "common/audit/inside.h"
#include "common/base/log.h"

enum {
    DEFAULT_RECORDS = 65536,
    LEAST_RECORDS = 8,
    FIRST_CHANNELS = 8,
    RESERVE = 256, /* records of the process itself, which nobody waits with */
};

static const uint64_t ns_per_s = 1000000000;
static const uint64_t tick_ns = 1000000000;
static const uint64_t last_grace_ns = 5000000000; /* of a log that is broken at its end */
static const uint64_t stuck_ns = 2000000000;      /* a write that takes longer hangs */

/* ---- channels ---- */

static bool
grow_channels(struct pw_audit *audit)
{
    if (audit->channel_count < audit->channel_room) {
        return true;
    }
    size_t room = audit->channel_room == 0 ? FIRST_CHANNELS : audit->channel_room * 2;
    struct pw_audit_lane *channels = realloc(audit->channels, room * sizeof *channels);
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
    struct pw_audit_lane channel = {.name = strdup(chan == NULL ? "" : chan)};
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

bool
pw_audit_in_trouble(const struct pw_audit *audit)
{
    return audit->broken || audit->scarce ||
           (audit->busy_since != 0 && pw_clock_steady() - audit->busy_since > stuck_ns);
}

static bool
goes_to_summary(const struct pw_audit *audit, const struct pw_audit_record *record)
{
    return pw_audit_is_plain_pass(record) &&
           (!audit->pass_each || audit->count >= audit->capacity - audit->capacity / 4 ||
            (audit->degrade && (audit->broken || audit->scarce)));
}

static void
summarise(struct pw_audit *audit, const struct pw_audit_record *record)
{
    struct pw_audit_sum *sum = &pw_audit_lane_of(audit, record->channel)->sum;
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
    bool first = audit->rest == PW_REST_IDLE && audit->count > 0;
    if (first || (due && audit->rest != PW_REST_NONE)) {
        audit->rest = due ? PW_REST_NONE : PW_REST_NAP;
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
    while (audit->count >= audit->capacity && !audit->aborted &&
           !pw_audit_gives_way(audit)) {
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
    while (audit->settled < number && !audit->aborted && !pw_audit_gives_way(audit)) {
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

/* An event of the process has room of its own, for whoever writes it also hears signals. */
static bool
finds_room(struct pw_audit *audit, const struct pw_audit_record *record)
{
    if (record->channel < 0) {
        return audit->count < audit->slots;
    }
    wait_for_room(audit);
    return audit->count < audit->capacity;
}

static enum pw_err
enqueue(struct pw_audit *audit, struct pw_audit_record *record)
{
    if (!finds_room(audit, record)) {
        free(record->detail);
        record->detail = NULL;
        audit->counts.lost++;
        audit->lost_unsaid++;
        return PW_E_STOPPED;
    }
    size_t tail = audit->head + audit->count;
    audit->ring[tail < audit->slots ? tail : tail - audit->slots] = *record;
    record->detail = NULL;
    audit->count++;
    audit->enqueued++;
    audit->urgent = audit->urgent || !pw_audit_is_plain_pass(record);
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
    return audit->sync_each && record->channel >= 0 && !pw_audit_is_plain_pass(record);
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
    bool ready = pw_audit_gives_way(audit) ||
                 (!pw_audit_in_trouble(audit) && audit->count < audit->capacity);
    pthread_mutex_unlock(&audit->lock);
    return ready;
}

static void
set_flag(struct pw_audit *audit, bool *flag)
{
    pthread_mutex_lock(&audit->lock);
    *flag = true;
    audit->rest = PW_REST_NONE;
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
pw_audit_rotate(struct pw_audit *audit)
{
    set_flag(audit, &audit->rotate);
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
        free(audit->ring[(audit->head + i) % audit->slots].detail);
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
    int failed = pthread_create(&audit->thread, NULL, pw_audit_write, audit);
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

static struct pw_logfile_options
file_options(const struct pw_audit_options *options)
{
    return (struct pw_logfile_options){
        .path = options->path,
        .rotate_size = options->rotate_size,
        .rotate_age_ns = options->rotate_age_ns,
        .rotate_keep = options->rotate_keep,
        .space_low = options->space_low,
        .space_critical = options->space_critical,
        .degrade = options->degrade,
    };
}

void
pw_audit_change(struct pw_audit *audit, const struct pw_audit_options *options)
{
    pthread_mutex_lock(&audit->lock);
    audit->pass_each = options->pass_each;
    audit->sync_each = options->sync_each;
    audit->next = file_options(options);
    audit->changed = true;
    pthread_mutex_unlock(&audit->lock);
}

static enum pw_err
open_file(struct pw_audit *audit, const struct pw_audit_options *options,
          struct pw_why *why)
{
    struct pw_logfile_options of_file = file_options(options);
    return pw_logfile_open(&audit->file, &of_file, why);
}

static enum pw_err
set_up(struct pw_audit *audit, const struct pw_audit_options *options, struct pw_why *why)
{
    if (sodium_init() < 0) {
        return pw_fail(why, PW_E_CRYPTO, "audit log: libsodium has no random numbers");
    }
    size_t records = options->queue_records == 0 ? DEFAULT_RECORDS : options->queue_records;
    audit->capacity = records < LEAST_RECORDS ? LEAST_RECORDS : records;
    audit->slots = audit->capacity + RESERVE;
    audit->pass_each = options->pass_each;
    audit->sync_each = options->sync_each;
    audit->degrade = options->degrade;
    take_targets(audit, options);
    audit->ulid.fill = randombytes_buf;
    audit->next_tick = pw_clock_steady() + tick_ns;
    audit->ring = calloc(audit->slots, sizeof *audit->ring);
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
