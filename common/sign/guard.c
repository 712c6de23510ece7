/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/sign/epochs.h"

enum {
    BLOCK_MAX = 1 << 18, /* numbers that are written ahead of a sender */
    NAME_ROOM = PW_SIGN_CHANNEL_MAX + sizeof ".epochs",
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;
static const uint64_t pace_ns = 100000000;   /* the disk is ahead by so much traffic */
static const uint64_t idle_ns = 250000000;   /* after so long the pace is measured again */
static const uint64_t slack_ns = 1000000000; /* clocks of one machine differ by less */

struct pw_guard {
    uint64_t max_age_ns;
    uint64_t max_future_ns;
    char channel[PW_SIGN_CHANNEL_MAX + 1];
    char name[NAME_ROOM]; /* of the file */
    char path[PATH_MAX];  /* the same, for sentences */
    int folder;           /* -1: no replay protection */
    bool has_writer;
    pthread_t writer;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t work;  /* for the writer */
    pthread_cond_t done;  /* for who waits for it */
    uint64_t asked;       /* so often was a write asked for, */
    uint64_t served;      /* and so many of these were tried */
    bool closing;
    bool failing;        /* the operator knows */
    bool loose;          /* the disk is ahead of what was accepted */
    uint64_t written_ns; /* steady clock: the end of the last write, */
    uint64_t cost_ns;    /* and how long it took */
    struct pw_buf bytes; /* of the file; PW_EPOCHS_MAX reserved */
    struct pw_replay replay;
};

/* --- the writer ------------------------------------------------------------------------
 * A sender's numbers are accepted up to its ceiling, which is on the disk already. When it
 * comes near, the writer sets the next one `block` numbers ahead: what the sender sends in
 * 100 ms. So the disk is written some twenty times a second at most; a sender with less
 * than ten messages a second has no block, and loses none of them in a crash.
 */

static uint64_t
add_up(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/*
 * What a sender that moved by `moved` in `elapsed` sends in 100 ms and while the disk works
 * twice. A burst tells little about that, so no more than eight times as much as it was.
 */
static uint32_t
block_for(const struct pw_guard *guard, uint64_t moved, uint64_t elapsed)
{
    uint64_t cost = guard->cost_ns < idle_ns ? guard->cost_ns : idle_ns;
    moved = moved < BLOCK_MAX ? moved : BLOCK_MAX;
    uint64_t block = moved * (pace_ns + 2 * cost) / (elapsed > 0 ? elapsed : 1);
    uint64_t most = moved * 8 + 7 < BLOCK_MAX ? moved * 8 + 7 : BLOCK_MAX;
    return (uint32_t)(block < most ? block : most);
}

/*
 * How far the disk shall be ahead of this sender. It may come down: then so does what is
 * accepted, before the disk says so. `busy`: the disk was written just now.
 */
static void
set_goal(struct pw_guard *guard, struct pw_sender *sender, uint64_t now, bool busy)
{
    uint64_t top = sender->need > sender->top ? sender->need : sender->top;
    uint64_t elapsed = now - sender->noted_ns;
    bool urgent = sender->asks || sender->need > sender->ceiling;
    if (urgent || elapsed >= idle_ns) {
        uint32_t block = block_for(guard, top - sender->noted, elapsed);
        /* Many slow senders: one write serves all, if all have something ahead. */
        block += busy && block == 0 && top != sender->noted;
        bool dip = urgent && elapsed < idle_ns && block < sender->block / 2;
        sender->block = dip ? sender->block / 2 : block;
        sender->noted = top;
        sender->noted_ns = now;
    }
    sender->asks = false;
    sender->goal = add_up(top, sender->block);
    if (sender->goal < sender->ceiling) {
        sender->ceiling = sender->goal;
    }
    guard->loose = guard->loose || sender->goal > top;
}

static void
set_goals(struct pw_guard *guard)
{
    uint64_t now = pw_clock_steady();
    bool busy = now - guard->written_ns < pace_ns + guard->cost_ns;
    guard->loose = false;
    for (size_t i = 0; i < guard->replay.count; i++) {
        set_goal(guard, &guard->replay.senders[i], now, busy);
    }
}

static enum pw_err
save(struct pw_guard *guard)
{
    return pw_epochs_save(guard->folder, guard->name, pw_buf_span(&guard->bytes));
}

static enum pw_err
format(struct pw_guard *guard)
{
    pw_buf_clear(&guard->bytes);
    return pw_epochs_format(&guard->replay, &guard->bytes);
}

/* The disk has every goal. A sender that came meanwhile has none yet. */
static void
reach_goals(struct pw_replay *replay)
{
    for (size_t i = 0; i < replay->count; i++) {
        struct pw_sender *sender = &replay->senders[i];
        sender->ceiling = sender->goal > sender->ceiling ? sender->goal : sender->ceiling;
    }
}

/* Say it once: every message that is refused for it has its own line in the audit log. */
static void
tell_disk(struct pw_guard *guard, enum pw_err err, int saved)
{
    if (err != PW_E_OK && !guard->failing) {
        pw_log(PW_LOG_ERROR,
               "channel %s: %s: %s; signed messages are refused until it can be written",
               guard->channel, guard->path, strerror(saved));
    } else if (err == PW_E_OK && guard->failing) {
        pw_log(PW_LOG_INFO, "channel %s: %s can be written again", guard->channel,
               guard->path);
    }
    guard->failing = err != PW_E_OK;
}

/* One write for all senders. The lock is held, but not while the disk works. */
static void
write_ahead(struct pw_guard *guard)
{
    uint64_t round = guard->asked;
    set_goals(guard);
    enum pw_err err = format(guard);
    pthread_mutex_unlock(&guard->lock);
    uint64_t began = pw_clock_steady();
    errno = ENOMEM;
    err = err == PW_E_OK ? save(guard) : err;
    int saved = errno;
    uint64_t ended = pw_clock_steady();
    pthread_mutex_lock(&guard->lock);
    if (err == PW_E_OK) {
        reach_goals(&guard->replay);
    }
    tell_disk(guard, err, saved);
    guard->written_ns = ended;
    guard->cost_ns = ended - began;
    guard->served = round;
    pthread_cond_broadcast(&guard->done);
}

/* True when there is something to write: somebody asked, or it is time to come down. */
static bool
wait_for_work(struct pw_guard *guard)
{
    if (!guard->loose) {
        pthread_cond_wait(&guard->work, &guard->lock);
        return guard->asked != guard->served;
    }
    uint64_t until = guard->written_ns + idle_ns;
    struct timespec due = {.tv_sec = (time_t)(until / ns_per_s),
                           .tv_nsec = (long)(until % ns_per_s)};
    return pthread_cond_timedwait(&guard->work, &guard->lock, &due) == ETIMEDOUT ||
           guard->asked != guard->served;
}

static void *
writer(void *arg)
{
    struct pw_guard *guard = arg;
    pthread_mutex_lock(&guard->lock);
    while (!guard->closing) {
        if (guard->asked != guard->served || wait_for_work(guard)) {
            write_ahead(guard);
        }
    }
    pthread_mutex_unlock(&guard->lock);
    return NULL;
}

/* --- one message -----------------------------------------------------------------------
 */

static void
ask(struct pw_guard *guard)
{
    guard->asked++;
    pthread_cond_signal(&guard->work);
}

/* True when the disk says that `seq` of this sender may have been accepted. */
static bool
reserve(struct pw_guard *guard, struct pw_sender *sender, uint64_t seq)
{
    if (seq > sender->ceiling) {
        sender->need = seq;
        ask(guard);
        for (uint64_t ticket = guard->asked; guard->served < ticket;) {
            pthread_cond_wait(&guard->done, &guard->lock);
        }
        sender->need = 0;
        return seq <= sender->ceiling;
    }
    uint64_t ahead = sender->goal > sender->ceiling ? sender->goal : sender->ceiling;
    if (!sender->asks && ahead - seq < (sender->block + 1) / 2) {
        sender->asks = true;
        ask(guard);
    }
    return true;
}

/* A message of a start that is not the last known, and that was never heard before. */
static void
tell_epoch(struct pw_guard *guard, struct pw_sender *latest, const struct pw_claim *claim)
{
    char key[17];
    if (latest == NULL || latest->told_shared) {
        return;
    }
    latest->told_shared = true;
    pw_hex_encode((struct pw_span){claim->key_id, 8}, key);
    pw_log(PW_LOG_WARN,
           "channel %s: key %s: a sender of epoch %" PRIu64 " is refused, for one of epoch "
           "%" PRIu64 " was heard; give each sender a key of its own, and set its clock "
           "right",
           guard->channel, key, claim->epoch, latest->epoch);
}

/*
 * One sender counts its messages in the order of their time, and is silent when its next
 * start signs. Whoever does otherwise is two.
 */
static void
tell_shared(struct pw_guard *guard, struct pw_sender *sender, const struct pw_claim *claim)
{
    if (sender->told_shared) {
        return;
    }
    bool twice = claim->seq <= sender->top && sender->top_ns != 0 &&
                 claim->time_ns > add_up(sender->top_ns, slack_ns);
    if (!twice && !sender->latest) {
        const struct pw_sender *latest = pw_replay_latest(&guard->replay, claim->key_id);
        twice = claim->time_ns / ns_per_ms > add_up(latest->epoch, slack_ns / ns_per_ms);
    }
    if (!twice) {
        return;
    }
    char key[17];
    sender->told_shared = true;
    pw_hex_encode((struct pw_span){claim->key_id, 8}, key);
    pw_log(PW_LOG_WARN,
           "channel %s: key %s: two senders sign with it; give each a key of its own, or "
           "messages of one are refused as replays of the other's",
           guard->channel, key);
}

static enum pw_reason
judge_replay(struct pw_guard *guard, const struct pw_claim *claim)
{
    struct pw_sender *sender = NULL;
    enum pw_replay_answer answer = pw_replay_ask(&guard->replay, claim, &sender);
    if (answer == PW_REPLAY_EPOCH) {
        tell_epoch(guard, sender, claim);
        return PW_R_SIG_REPLAY;
    }
    if (sender != NULL) {
        tell_shared(guard, sender, claim);
    }
    if (answer != PW_REPLAY_FRESH) {
        return PW_R_SIG_REPLAY;
    }
    if (sender == NULL) {
        sender = pw_replay_add(&guard->replay, claim->key_id, claim->epoch, 0);
    }
    if (!reserve(guard, sender, claim->seq)) {
        return PW_R_INTERNAL_ERROR;
    }
    pw_replay_take(&guard->replay, sender, claim);
    return PW_R_NONE;
}

/* A start in the future would make every honest one after it look old. */
static enum pw_reason
judge_time(const struct pw_guard *guard, uint64_t now_ns, const struct pw_sig_result *sig)
{
    uint64_t latest = add_up(now_ns, guard->max_future_ns);
    if (guard->max_future_ns != 0 &&
        (sig->time_ns > latest || sig->epoch > latest / ns_per_ms)) {
        return PW_R_SIG_FUTURE;
    }
    if (guard->max_age_ns != 0 && now_ns > add_up(sig->time_ns, guard->max_age_ns)) {
        return PW_R_SIG_EXPIRED;
    }
    return PW_R_NONE;
}

enum pw_reason
pw_guard_admit(struct pw_guard *guard, uint64_t now_ns, struct pw_sig_result *sig)
{
    enum pw_reason reason = judge_time(guard, now_ns, sig);
    if (reason == PW_R_NONE && guard->folder >= 0) {
        const struct pw_claim claim = {sig->key_id, sig->epoch, sig->seq, sig->time_ns};
        pthread_mutex_lock(&guard->lock);
        reason = judge_replay(guard, &claim);
        pthread_mutex_unlock(&guard->lock);
    }
    if (reason != PW_R_NONE && reason != PW_R_INTERNAL_ERROR) {
        sig->state = PW_SIG_BAD;
        sig->reason = reason;
    }
    return reason;
}

/* --- open and close --------------------------------------------------------------------
 */

static enum pw_err
path_of(const char *state, const char *channel, char out[static PATH_MAX],
        struct pw_why *why)
{
    if (snprintf(out, PATH_MAX, "%s/replay/%s.epochs", state, channel) >= PATH_MAX) {
        return pw_fail(why, PW_E_CONFIG, "%.80s…: longer than a path may be", state);
    }
    return PW_E_OK;
}

/* The folder, which a power cut must not take away again. */
static int
open_folder(const char *state, struct pw_why *why)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/replay", state); /* path_of has measured it */
    int folder = pw_file_open_dir(path, why);
    PW_CLEANUP(pw_file_close)
    int parent = folder < 0 ? -1 : openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0 && (parent < 0 || fsync(parent) != 0)) {
        (void)pw_fail(why, PW_E_IO, "%s: %s; make it writable for this user", path,
                      strerror(errno));
        pw_file_close(&folder);
    }
    return folder;
}

static enum pw_err
open_file(struct pw_guard *guard, const char *state, struct pw_why *why)
{
    enum pw_err err = path_of(state, guard->channel, guard->path, why);
    err = err == PW_E_OK ? pw_epochs_load(guard->path, &guard->replay, why) : err;
    if (err != PW_E_OK) {
        return err;
    }
    guard->bytes.limit = PW_EPOCHS_MAX;
    err = pw_buf_reserve(&guard->bytes, PW_EPOCHS_MAX);
    err = err == PW_E_OK ? format(guard) : err;
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: out of memory", guard->path);
    }
    guard->folder = open_folder(state, why);
    if (guard->folder < 0) {
        return PW_E_CREATE;
    }
    if (save(guard) != PW_E_OK) { /* before any message depends on it */
        return pw_fail(why, PW_E_CREATE, "%s: %s; make room, or make its folder writable",
                       guard->path, strerror(errno));
    }
    return PW_E_OK;
}

static enum pw_err
start_writer(struct pw_guard *guard, struct pw_why *why)
{
    if (pthread_create(&guard->writer, NULL, writer, guard) != 0) {
        return pw_fail(why, PW_E_OS, "%s: no thread to write it; see `ulimit -u`",
                       guard->path);
    }
    guard->has_writer = true;
    return PW_E_OK;
}

static struct pw_guard *
new_guard(const struct pw_guard_options *options)
{
    struct pw_guard *guard = calloc(1, sizeof *guard);
    if (guard == NULL) {
        return NULL;
    }
    guard->folder = -1;
    guard->max_age_ns = options->max_age_ns;
    guard->max_future_ns = options->max_future_ns;
    snprintf(guard->channel, sizeof guard->channel, "%s", options->channel);
    snprintf(guard->name, sizeof guard->name, "%s.epochs", guard->channel);
    pthread_condattr_t steady; /* the wall clock may be set */
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&guard->lock, NULL);
    pthread_cond_init(&guard->work, &steady);
    pthread_cond_init(&guard->done, &steady);
    pthread_condattr_destroy(&steady);
    return guard;
}

struct pw_guard *
pw_guard_open(const struct pw_guard_options *options, struct pw_why *why)
{
    struct pw_guard *guard = new_guard(options);
    if (guard == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    enum pw_err err = PW_E_OK;
    if (options->replay) {
        err = open_file(guard, options->state, why);
        err = err == PW_E_OK ? start_writer(guard, why) : err;
    }
    if (err != PW_E_OK) {
        pw_guard_close(&guard);
    }
    return guard;
}

void
pw_guard_limit(struct pw_guard *guard, uint64_t max_age_ns, uint64_t max_future_ns)
{
    guard->max_age_ns = max_age_ns;
    guard->max_future_ns = max_future_ns;
}

static void
stop_writer(struct pw_guard *guard)
{
    pthread_mutex_lock(&guard->lock);
    guard->closing = true;
    pthread_cond_signal(&guard->work);
    pthread_mutex_unlock(&guard->lock);
    pthread_join(guard->writer, NULL);
}

/* Without this the next start would refuse what the disk is ahead. */
static void
write_exactly(struct pw_guard *guard)
{
    for (size_t i = 0; i < guard->replay.count; i++) {
        guard->replay.senders[i].goal = guard->replay.senders[i].top;
    }
    if (format(guard) != PW_E_OK || save(guard) != PW_E_OK) {
        pw_log(PW_LOG_WARN,
               "channel %s: %s: %s; after the next start up to %d new messages of each "
               "sender may be refused",
               guard->channel, guard->path, strerror(errno), BLOCK_MAX);
    }
}

void
pw_guard_close(struct pw_guard **guard)
{
    struct pw_guard *it = *guard;
    *guard = NULL;
    if (it == NULL) {
        return;
    }
    if (it->has_writer) {
        stop_writer(it);
        write_exactly(it);
    }
    pw_file_close(&it->folder);
    pw_buf_free(&it->bytes);
    pthread_cond_destroy(&it->done);
    pthread_cond_destroy(&it->work);
    pthread_mutex_destroy(&it->lock);
    free(it);
}

enum pw_err
pw_guard_check(const char *state, const char *channel, struct pw_why *why)
{
    char path[PATH_MAX];
    enum pw_err err = path_of(state, channel, path, why);
    if (err != PW_E_OK) {
        return err;
    }
    struct pw_replay *replay = calloc(1, sizeof *replay);
    if (replay == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    err = pw_epochs_load(path, replay, why);
    free(replay);
    return err;
}
