/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/board.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

enum { HISTORY = 120, TOP = 10 };

static const uint64_t ns_per_s = 1000000000;

/* Messages a second, the oldest first; a ring. */
struct history {
    char name[PW_METRICS_NAME];
    uint64_t passed; /* as the last snapshot counted them */
    uint64_t refused;
    size_t count; /* ever */
    uint64_t rates[HISTORY][2];
};

struct pw_board {
    pthread_mutex_t lock; /* of everything below */
    struct pw_metrics metrics;
    struct pw_recent *recent;
    uint64_t turn;
    uint64_t put_at; /* steady clock */
    struct history *histories;
    size_t history_count;
};

struct pw_board *
pw_board_new(struct pw_recent *recent)
{
    struct pw_board *board = calloc(1, sizeof *board);
    if (board != NULL) {
        pthread_mutex_init(&board->lock, NULL);
        board->recent = recent;
    }
    return board;
}

void
pw_board_free(struct pw_board **board)
{
    if (*board != NULL) {
        pthread_mutex_destroy(&(*board)->lock);
        pw_metrics_free(&(*board)->metrics);
        free((*board)->histories);
        free(*board);
        *board = NULL;
    }
}

/* --- history ------------------------------------------------------------------------- */

static struct history *
history_of(const struct pw_board *board, const char *name)
{
    for (size_t i = 0; i < board->history_count; i++) {
        if (strcmp(board->histories[i].name, name) == 0) {
            return &board->histories[i];
        }
    }
    return NULL;
}

static uint64_t
refused_by(const struct pw_metrics_channel *channel)
{
    return channel->quarantined + channel->dropped;
}

/* A channel that was opened anew counts from zero again. */
static uint64_t
rate(uint64_t before, uint64_t now, uint64_t ns)
{
    uint64_t more = now >= before ? now - before : now;
    return ns == 0 ? 0 : (uint64_t)((double)more * (double)ns_per_s / (double)ns + 0.5);
}

static void
add_sample(struct history *history, const struct pw_metrics_channel *channel, uint64_t ns)
{
    uint64_t *sample = history->rates[history->count++ % HISTORY];
    sample[0] = rate(history->passed, channel->forwarded, ns);
    sample[1] = rate(history->refused, refused_by(channel), ns);
    history->passed = channel->forwarded;
    history->refused = refused_by(channel);
}

/* One history for each channel of the snapshot. Without memory they start again later. */
static void
remember(struct pw_board *board, const struct pw_metrics *metrics, uint64_t ns)
{
    size_t count = metrics->channel_count;
    struct history *next = calloc(count + 1, sizeof *next);
    for (size_t i = 0; next != NULL && i < count; i++) {
        const struct pw_metrics_channel *channel = &metrics->channels[i];
        const struct history *before = history_of(board, channel->name);
        memcpy(next[i].name, channel->name, sizeof next[i].name);
        if (before != NULL) {
            next[i] = *before;
            add_sample(&next[i], channel, ns);
        } else {
            next[i].passed = channel->forwarded;
            next[i].refused = refused_by(channel);
        }
    }
    free(board->histories);
    board->histories = next;
    board->history_count = next != NULL ? count : 0;
}

void
pw_board_put(struct pw_board *board, struct pw_metrics *metrics)
{
    uint64_t now = pw_clock_steady();
    pthread_mutex_lock(&board->lock);
    remember(board, metrics, now - board->put_at);
    pw_metrics_free(&board->metrics);
    board->metrics = *metrics;
    board->put_at = now;
    board->turn++;
    pthread_mutex_unlock(&board->lock);
    *metrics = (struct pw_metrics){0};
}

uint64_t
pw_board_turn(struct pw_board *board)
{
    pthread_mutex_lock(&board->lock);
    uint64_t turn = board->turn;
    pthread_mutex_unlock(&board->lock);
    return turn;
}

uint64_t
pw_board_age(struct pw_board *board)
{
    pthread_mutex_lock(&board->lock);
    uint64_t age = board->turn == 0 ? UINT64_MAX : pw_clock_steady() - board->put_at;
    pthread_mutex_unlock(&board->lock);
    return age;
}

const struct pw_metrics *
pw_board_take(struct pw_board *board)
{
    pthread_mutex_lock(&board->lock);
    return &board->metrics;
}

void
pw_board_give_back(struct pw_board *board)
{
    pthread_mutex_unlock(&board->lock);
}

/* --- what the page is told ----------------------------------------------------------- */

static void
write_time(struct pw_json *json, const char *key, uint64_t wall_ns)
{
    char text[PW_CLOCK_TEXT];
    pw_clock_format(wall_ns, text);
    pw_json_str(json, key, text);
}

static void
write_history(struct pw_json *json, const struct history *history, const char *key,
              size_t which)
{
    pw_json_array(json, key);
    size_t first = history->count > HISTORY ? history->count - HISTORY : 0;
    for (size_t i = first; i < history->count; i++) {
        pw_json_uint(json, NULL, history->rates[i % HISTORY][which]);
    }
    pw_json_end_array(json);
}

static void
write_signatures(struct pw_json *json, const struct pw_metrics_channel *channel)
{
    pw_json_object(json, "signatures");
    for (size_t i = 0; i < PW_METER_SIG_STATES; i++) {
        pw_json_uint(json, pw_metrics_sig_words[i], channel->slots[PW_METER_SIG + i]);
    }
    pw_json_end_object(json);
}

static void
write_channel(const struct pw_board *board, struct pw_json *json,
              const struct pw_metrics_channel *channel)
{
    const struct history *history = history_of(board, channel->name);
    pw_json_object(json, NULL);
    pw_json_str(json, "chan", channel->name);
    pw_json_str(json, "in", channel->in);
    pw_json_str(json, "out", channel->out);
    pw_json_str(json, "policy", channel->policy);
    pw_json_bool(json, "ended", channel->ended);
    pw_json_uint(json, "received", channel->received);
    pw_json_uint(json, "pass", channel->forwarded);
    pw_json_uint(json, "quarantine", channel->quarantined);
    pw_json_uint(json, "drop", channel->dropped);
    pw_json_uint(json, "producers", channel->connections[0]);
    pw_json_uint(json, "consumers", channel->connections[1]);
    pw_json_uint(json, "queue", channel->slots[PW_METER_QUEUE]);
    pw_json_uint(json, "bytes_in", channel->slots[PW_METER_BYTES_IN]);
    pw_json_uint(json, "bytes_out", channel->slots[PW_METER_BYTES_OUT]);
    pw_json_uint(json, "scans", channel->slots[PW_METER_SCANS]);
    pw_json_uint(json, "scan_ns", channel->slots[PW_METER_SCAN_NS]);
    write_signatures(json, channel);
    if (history != NULL) {
        write_history(json, history, "passed", 0);
        write_history(json, history, "refused", 1);
    }
    pw_json_end_object(json);
}

/* The reasons with the most findings, over all channels. */
static void
write_reasons(struct pw_json *json, const struct pw_metrics *metrics)
{
    uint64_t counts[PW_R_COUNT] = {0};
    for (size_t i = 0; i < metrics->channel_count; i++) {
        for (size_t reason = PW_R_NONE + 1; reason < PW_R_COUNT; reason++) {
            counts[reason] += metrics->channels[i].slots[PW_METER_REASON + reason];
        }
    }
    pw_json_array(json, "reasons");
    for (size_t shown = 0; shown < TOP; shown++) {
        size_t most = PW_R_NONE;
        for (size_t reason = PW_R_NONE + 1; reason < PW_R_COUNT; reason++) {
            most = counts[reason] > counts[most] ? reason : most;
        }
        if (counts[most] == 0) {
            break;
        }
        pw_json_object(json, NULL);
        pw_json_str(json, "code", pw_reason_code((enum pw_reason)most));
        pw_json_str(json, "text", pw_reason_text((enum pw_reason)most));
        pw_json_str(json, "level", pw_level_text(pw_reason_level((enum pw_reason)most)));
        pw_json_uint(json, "count", counts[most]);
        pw_json_end_object(json);
        counts[most] = 0;
    }
    pw_json_end_array(json);
}

static void
write_keys(struct pw_json *json, const struct pw_metrics *metrics)
{
    pw_json_array(json, "keys");
    for (size_t i = 0; i < metrics->key_count; i++) {
        const struct pw_metrics_key *key = &metrics->keys[i];
        pw_json_object(json, NULL);
        pw_json_str(json, "id", key->name);
        pw_json_str(json, "suite", key->suite);
        if (key->unusable != PW_R_NONE) {
            pw_json_str(json, "unusable", pw_reason_text(key->unusable));
        }
        if (key->until != PW_KEY_FOR_EVER) {
            write_time(json, "until", key->until);
        }
        pw_json_end_object(json);
    }
    pw_json_end_array(json);
}

static void
write_log(struct pw_json *json, const struct pw_metrics *metrics)
{
    const struct pw_audit_counts *audit = &metrics->audit;
    pw_json_object(json, "audit");
    pw_json_bool(json, "ready", metrics->audit_ready);
    pw_json_uint(json, "lines", audit->written);
    pw_json_uint(json, "chain", audit->chain_size);
    pw_json_uint(json, "lost", audit->lost);
    pw_json_uint(json, "errors", audit->errors);
    if (audit->trouble != 0) {
        pw_json_str(json, "error", strerrordesc_np(audit->trouble));
    } else if (audit->scarce) {
        pw_json_str(json, "error", "less room on the disk than audit.space_critical");
    }
    pw_json_end_object(json);
}

static void
write_quarantine(struct pw_json *json, const struct pw_metrics *metrics)
{
    const struct pw_store_usage *usage = &metrics->quarantine;
    pw_json_object(json, "held");
    for (size_t i = 0; i < PW_STORE_STATES; i++) {
        pw_json_uint(json, pw_store_state_text((enum pw_store_state)i), usage->entries[i]);
    }
    pw_json_uint(json, "bytes", usage->bytes);
    pw_json_uint(json, "max_bytes", metrics->quarantine_max_bytes);
    pw_json_bool(json, "sealed", metrics->sealed);
    if (metrics->oldest > 0) {
        write_time(json, "oldest", metrics->oldest);
    }
    pw_json_end_object(json);
}

static void
write_reload(struct pw_json *json, const struct pw_metrics *metrics)
{
    const struct pw_metrics_reload *reload = &metrics->reload;
    pw_json_object(json, "reload");
    pw_json_bool(json, "good", reload->good);
    write_time(json, "at", reload->at);
    pw_json_uint(json, "done", reload->done);
    pw_json_uint(json, "refused", reload->refused);
    if (!reload->good) {
        pw_json_str(json, "error", reload->error);
    }
    pw_json_end_object(json);
}

static void
write_snapshot(const struct pw_board *board, struct pw_json *json)
{
    const struct pw_metrics *metrics = &board->metrics;
    write_time(json, "now", metrics->wall_ns);
    write_time(json, "started", metrics->started);
    pw_json_str(json, "version", PW_VERSION);
    pw_json_str(json, "instance", metrics->instance);
    const struct pw_metrics_probe *ready = &metrics->probes[PW_HEALTH_READY];
    pw_json_bool(json, "ready", ready->good);
    if (!ready->good) {
        pw_json_str(json, "error", ready->why.text);
    }
    pw_json_bool(json, "stopping", metrics->stopping);
    pw_json_array(json, "channels");
    for (size_t i = 0; i < metrics->channel_count; i++) {
        write_channel(board, json, &metrics->channels[i]);
    }
    pw_json_end_array(json);
    write_reasons(json, metrics);
    write_log(json, metrics);
    write_quarantine(json, metrics);
    write_keys(json, metrics);
    write_reload(json, metrics);
    pw_json_uint(json, "sandbox", (uint64_t)metrics->sandbox);
}

uint64_t
pw_board_write(struct pw_board *board, uint64_t after, struct pw_json *json)
{
    pthread_mutex_lock(&board->lock);
    write_snapshot(board, json);
    pthread_mutex_unlock(&board->lock);
    pw_recent_write_names(board->recent, TOP, json);
    return pw_recent_write(board->recent, after, json);
}
