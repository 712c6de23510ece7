/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/audit/line.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/base/log.h"

enum {
    BURST = PW_RELAY_BURST,
    AUDIT_PAUSE_MS = 50,
    SHORT_PAUSE_MS = 10,
    STORE_PAUSE_MS = 100, /* doubles up to: */
    STORE_PAUSE_MAX_MS = 5000,
    QUIET_MS = 50, /* a producer that sends nothing for so long has nothing half written */
    SETTLE_MS = 5, /* for what libzmq's thread has read and not yet handed over */
    LINGER_LEAST_MS = 500,
    BATCH_BYTES = 1 << 20, /* judged before the first of them leaves */
    STALE_MS = 1000,       /* what waited so long for the output is signed again */
    BACKLOG_MESSAGES = 8192,
    BACKLOG_BYTES = 16 << 20,
    BURSTS_AT_ONCE = 16,
    DETAIL_LIMIT = 65536,
    Q_MEMBER = 256, /* more than "q":{…} takes */
};

static const uint64_t ns_per_ms = 1000000;

/* What the oldest message is waiting for. */
enum outcome { SETTLED, WANTS_OUTPUT, WANTS_STORE /* or memory */ };

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

enum pw_order
pw_relay_order(const struct pw_relay *relay)
{
    return (enum pw_order)atomic_load_explicit(relay->options.order, memory_order_relaxed);
}

static bool
queue_reserve(struct pw_queue *queue, size_t more)
{
    if (queue->count + more <= queue->cap) {
        return true;
    }
    size_t cap = queue->cap == 0 ? BURST : queue->cap * 2;
    struct pw_message *ring = malloc(cap * sizeof *ring);
    if (ring == NULL) {
        return false;
    }
    for (size_t i = 0; i < queue->count; i++) {
        ring[i] = queue->ring[(queue->head + i) & (queue->cap - 1)];
    }
    free(queue->ring);
    queue->ring = ring;
    queue->cap = cap;
    queue->head = 0;
    return true;
}

static struct pw_message *
queue_at(struct pw_queue *queue, size_t index)
{
    return &queue->ring[(queue->head + index) & (queue->cap - 1)];
}

static struct pw_message *
queue_oldest(struct pw_queue *queue)
{
    return queue_at(queue, 0);
}

static void
queue_push(struct pw_queue *queue, struct pw_message message)
{
    queue->ring[(queue->head + queue->count++) & (queue->cap - 1)] = message;
    queue->bytes += message.bytes;
}

/* The oldest message has been sent or released; it had `bytes`. */
static void
queue_pop(struct pw_queue *queue, size_t bytes)
{
    queue->head = (queue->head + 1) & (queue->cap - 1);
    queue->count--;
    queue->bytes -= bytes;
}

/* --- audit ------------------------------------------------------------------------- */

static void
show_counts(struct pw_relay *relay)
{
    const struct pw_relay_counts *counts = &relay->counts;
    struct pw_shown *shown = &relay->shown;
    atomic_store_explicit(&shown->received, counts->received, memory_order_relaxed);
    atomic_store_explicit(&shown->forwarded, counts->forwarded, memory_order_relaxed);
    atomic_store_explicit(&shown->quarantined, counts->quarantined, memory_order_relaxed);
    atomic_store_explicit(&shown->dropped, counts->dropped, memory_order_relaxed);
    atomic_store_explicit(&shown->unstored, counts->unstored, memory_order_relaxed);
    relay->meter.now[PW_METER_QUEUE] = relay->queue.count;
    pw_meter_show(&relay->meter);
}

/* Say that this relay is alive. */
static void
turn(struct pw_relay *relay)
{
    struct pw_shown *shown = &relay->shown;
    atomic_store_explicit(&shown->turned_at, pw_clock_steady(), memory_order_relaxed);
    atomic_store_explicit(&shown->holds, relay->store_pause_ms > 0, memory_order_relaxed);
}

static void
flush_records(struct pw_relay *relay)
{
    show_counts(relay);
    if (relay->record_count == 0) {
        return;
    }
    /* Stopped by the operator while the log was stuck: the log counts what it lost. */
    (void)!pw_audit_push(relay->options.audit, relay->records, relay->record_count);
    relay->record_count = 0;
}

static void
add_record(struct pw_relay *relay, struct pw_audit_record record)
{
    record.wall_ns = relay->now;
    record.channel = relay->options.audit_channel;
    relay->records[relay->record_count++] = record;
    if (relay->record_count == BURST) {
        flush_records(relay);
    }
}

/* About the oldest message, once it is judged. */
static struct pw_decision *
decision_of(struct pw_relay *relay)
{
    return &relay->decisions[relay->first];
}

static struct pw_audit_record
frame_record(struct pw_relay *relay, size_t frames)
{
    const struct pw_decision *decision = decision_of(relay);
    return (struct pw_audit_record){
        .wall_ns = relay->now,
        .channel = relay->options.audit_channel,
        .event = PW_EVENT_FRAME,
        .verdict = (uint8_t)decision->verdict,
        .enforced = decision->enforced,
        .scanned = decision->scanned,
        .proto = decision->proto,
        .reason = (uint8_t)decision->reason,
        .level = (uint8_t)decision->level,
        .frames = (uint16_t)(frames < UINT16_MAX ? frames : UINT16_MAX),
        .ops = decision->ops,
        .depth = decision->depth,
        .memo = decision->memo,
        .bytes = decision->bytes,
        .sig = decision->sig,
    };
}

static void
record_decision(struct pw_relay *relay, size_t frames, char *detail)
{
    struct pw_audit_record record = frame_record(relay, frames);
    record.detail = detail;
    record.hashed =
        pw_hex_decode(pw_span_str(relay->name), record.sha256, sizeof record.sha256);
    relay->name[0] = '\0';
    add_record(relay, record);
}

/* An event of this channel; `json` is over a buffer of its detail, which goes with it. */
static void
record_event(struct pw_relay *relay, enum pw_audit_event event, enum pw_level level,
             struct pw_json *json)
{
    struct pw_buf *text = json->out;
    if (json->err != PW_E_OK ||
        pw_buf_append(text, (struct pw_span){(const uint8_t *)"", 1}) != PW_E_OK) {
        pw_buf_free(text);
    }
    add_record(relay, (struct pw_audit_record){.event = (uint8_t)event,
                                               .level = (uint8_t)level,
                                               .detail = (char *)text->bytes});
}

static void
record_error(struct pw_relay *relay, const char *words)
{
    struct pw_buf text = {.limit = DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_str(&json, "error", words);
    record_event(relay, PW_EVENT_ERROR, PW_LEVEL_INFO, &json);
}

/* --- one message ------------------------------------------------------------------- */

/*
 * "event":"config": from here on, in the order of the lines of this channel, messages are
 * judged by these terms.
 */
static void
record_terms(struct pw_relay *relay, const struct pw_terms *terms)
{
    struct pw_buf text = {.limit = DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", "config.in_force");
    pw_json_uint(&json, "generation", terms->generation);
    pw_json_str(&json, "policy", pw_policy_name(terms->channel->policy));
    pw_json_str(&json, "on_violation", pw_verdict_text(terms->channel->on_violation));
    pw_json_end_object(&json);
    record_event(relay, PW_EVENT_CONFIG, PW_LEVEL_INFO, &json);
}

/* What the relay itself goes by. */
static void
use_terms(struct pw_relay *relay, const struct pw_terms *terms)
{
    const struct pw_settings *settings = terms->config->settings;
    relay->options.pipe = terms->pipe;
    relay->options.keep_ns = (uint64_t)settings->quarantine_max_age_ms * ns_per_ms;
    relay->options.drain_timeout_ms = settings->drain_timeout_ms;
    uint64_t most = terms->channel->quarantine_bytes;
    /* It has a limit since the start, so that no memory is needed. */
    (void)!pw_store_limit_channel(relay->options.store, relay->options.name,
                                  most > 0 ? most : UINT64_MAX);
}

void
pw_relay_take_terms(struct pw_relay *relay)
{
    const struct pw_terms *terms =
        relay->options.terms == NULL ? NULL : pw_terms_take(relay->options.terms);
    if (terms != NULL) {
        use_terms(relay, terms);
        record_terms(relay, terms);
        pw_log(PW_LOG_DEBUG, "channel %s: generation %u, policy %s", relay->options.name,
               terms->generation, pw_policy_name(terms->channel->policy));
    }
}

/*
 * How many messages to judge at once. While the output takes nothing it is one, as without
 * batches: what is judged early would pass although its key is revoked meanwhile.
 */
static size_t
batch_size(struct pw_relay *relay)
{
    size_t most =
        least(pw_pipeline_batch(relay->options.pipe), least(relay->queue.count, BURST));
    if (most == 1) {
        return 1;
    }
    unsigned ready = relay->port->ops->wait(relay->port, PW_READY_OUT, 0);
    relay->woken = relay->woken || (ready & PW_READY_CONTROL) != 0;
    return (ready & PW_READY_OUT) != 0 ? most : 1;
}

/* One judgement a burst is timed: reading a clock takes as long as a small message does. */
static void
judge_one(struct pw_relay *relay, const struct pw_message *message,
          struct pw_decision *decision)
{
    bool timing = relay->timing;
    relay->timing = false;
    uint64_t start = timing ? pw_clock_steady() : 0;
    pw_pipeline_judge(relay->options.pipe, message->frames, message->count, relay->now,
                      decision);
    if (timing) {
        pw_meter_scan(&relay->meter, pw_clock_steady() - start);
    }
}

/*
 * Judge the oldest message, and with it as many behind it as share a signature: those that
 * are here already, up to one that is not a clean pass, for the pipeline keeps the findings
 * of one message only.
 */
static void
judge_some(struct pw_relay *relay)
{
    if (relay->judged > 0) {
        return;
    }
    pw_relay_take_terms(relay);
    struct pw_pipeline *pipe = relay->options.pipe;
    size_t most = batch_size(relay);
    size_t bytes = 0;
    struct pw_decision *decision;
    relay->first = 0;
    do {
        const struct pw_message *message = queue_at(&relay->queue, relay->judged);
        decision = &relay->decisions[relay->judged++];
        judge_one(relay, message, decision);
        bytes += message->bytes;
    } while (relay->judged < most && bytes < BATCH_BYTES && decision->reason == PW_R_NONE);
    pw_pipeline_close(pipe);
    relay->signed_at = relay->now;
}

/*
 * Give what is judged and has not left a new signature when the old one is from long ago,
 * for whoever verifies it asks for its age. With a key that is over it keeps the old one.
 */
static void
sign_stale(struct pw_relay *relay)
{
    struct pw_pipeline *pipe = relay->options.pipe;
    if (relay->now < relay->signed_at + STALE_MS * ns_per_ms ||
        !pw_pipeline_may_sign(pipe, relay->now)) {
        return;
    }
    for (size_t i = 0; i < relay->judged; i++) {
        struct pw_decision *decision = &relay->decisions[relay->first + i];
        const struct pw_message *message = queue_at(&relay->queue, i);
        if (decision->batched) {
            pw_pipeline_sign_again(pipe, message->frames, message->count, relay->now,
                                   decision);
        }
    }
    pw_pipeline_close(pipe);
    relay->signed_at = relay->now;
}

/* The oldest message is sent or released: nothing is left but its record. */
static void
finish(struct pw_relay *relay, size_t bytes, size_t frames, char *detail)
{
    queue_pop(&relay->queue, bytes);
    pw_meter_decision(&relay->meter, decision_of(relay));
    record_decision(relay, frames, detail);
    relay->judged--;
    relay->first++;
}

/*
 * The detail of a refusal, with room for the `q` member and a NUL so that nothing can fail
 * once the message is stored. False when out of memory.
 */
static bool
write_detail(struct pw_relay *relay, struct pw_buf *detail)
{
    const struct pw_message *message = queue_oldest(&relay->queue);
    const char *source = relay->port->ops->source(message);
    *detail = (struct pw_buf){.limit = DETAIL_LIMIT};
    struct pw_json json = pw_json_over(detail);
    if (source != NULL) {
        pw_json_str(&json, "src", source);
    }
    return json.err == PW_E_OK &&
           pw_decision_detail(decision_of(relay), relay->options.pipe, detail) == PW_E_OK &&
           pw_buf_reserve(detail, Q_MEMBER) == PW_E_OK;
}

/* The audit line names what was refused, also when nobody keeps it. */
static void
name_oldest(struct pw_relay *relay)
{
    const struct pw_message *message = queue_oldest(&relay->queue);
    bool sealed =
        pw_store_sealed(relay->options.store); /* then a hash would tell guesses */
    if (!sealed && relay->name[0] == '\0') {   /* not when it only waited for the output */
        pw_store_name(message->frames, message->count, relay->name);
    }
}

static char *
detail_text(struct pw_buf *detail)
{
    detail->bytes[detail->len] = '\0'; /* write_detail left room */
    char *text = (char *)detail->bytes;
    *detail = (struct pw_buf){0};
    return text;
}

static enum outcome
forward(struct pw_relay *relay)
{
    struct pw_message *message = queue_oldest(&relay->queue);
    struct pw_decision *decision = decision_of(relay);
    PW_CLEANUP(pw_buf_free) struct pw_buf detail = {0};
    if (decision->reason != PW_R_NONE) {
        if (!write_detail(relay, &detail)) {
            return WANTS_STORE;
        }
        name_oldest(relay);
    }
    if (decision->batched) {
        sign_stale(relay);
        pw_pipeline_seal(relay->options.pipe, decision);
    }
    size_t bytes = message->bytes;
    size_t frames = message->count;
    if (!relay->port->ops->send(relay->port, message,
                                decision->edited ? &decision->edit : NULL)) {
        return WANTS_OUTPUT;
    }
    relay->refused = false;
    relay->counts.forwarded++;
    pw_meter_add(&relay->meter, PW_METER_BYTES_OUT, bytes);
    finish(relay, bytes, frames, detail.len > 0 ? detail_text(&detail) : NULL);
    return SETTLED;
}

static void
release_oldest(struct pw_relay *relay, char *detail)
{
    struct pw_message *message = queue_oldest(&relay->queue);
    size_t bytes = message->bytes;
    size_t frames = message->count;
    if (relay->keeping) {
        relay->burst[relay->kept++] = *message;
    } else {
        relay->port->ops->release(relay->port, message);
    }
    finish(relay, bytes, frames, detail);
}

static enum outcome
drop(struct pw_relay *relay)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf detail = {0};
    if (!write_detail(relay, &detail)) {
        return WANTS_STORE;
    }
    relay->counts.dropped++;
    name_oldest(relay);
    release_oldest(relay, detail_text(&detail));
    return SETTLED;
}

/* Members of the quarantine entry: what the audit line says, and when it may go. */
static enum pw_err
write_meta(struct pw_relay *relay, const struct pw_buf *detail, struct pw_buf *meta)
{
    const struct pw_relay_options *options = &relay->options;
    const struct pw_audit_names names = {options->name, options->in, options->out};
    struct pw_audit_record record = frame_record(relay, queue_oldest(&relay->queue)->count);
    enum pw_err err = pw_audit_members(&record, &names, meta);
    struct pw_json json = pw_json_over(meta);
    json.comma = true;
    json.err = err;
    pw_json_raw(&json, pw_buf_span(detail));
    if (options->keep_ns > 0) {
        char when[PW_CLOCK_TEXT];
        pw_clock_format(relay->now + options->keep_ns, when);
        pw_json_str(&json, "expires", when);
    }
    return json.err;
}

static void
write_stored(struct pw_buf *detail, const struct pw_stored *stored)
{
    struct pw_json json = pw_json_over(detail);
    json.comma = detail->len > 0;
    pw_json_object(&json, "q");
    pw_json_str(&json, "id", stored->object);
    if (stored->entry[0] != '\0') {
        pw_json_str(&json, "entry", stored->entry);
    }
    pw_json_uint(&json, "bytes", stored->bytes);
    pw_json_bool(&json, "stored", stored->stored);
    if (stored->full != NULL) {
        pw_json_str(&json, "full", stored->full);
    }
    pw_json_end_object(&json);
}

/* "event":"quarantine": the store itself is not as it was. */
static void
record_store(struct pw_relay *relay, enum pw_level level, const char *what, const char *key,
             const char *value)
{
    struct pw_buf text = {.limit = DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", what);
    pw_json_str(&json, key, value);
    pw_json_end_object(&json);
    record_event(relay, PW_EVENT_QUARANTINE, level, &json);
}

/* Say when messages begin to be lost for want of room, and when that is over. */
static void
tell_room(struct pw_relay *relay, const struct pw_stored *stored)
{
    const char *name = relay->options.name;
    relay->counts.unstored += !stored->stored;
    if (stored->full != NULL && relay->full == NULL) {
        pw_log(PW_LOG_WARN,
               "channel %s: the quarantine is full (%s): of what is refused from now on "
               "only the metadata is kept; purge what is not wanted, or raise it",
               name, stored->full);
        record_store(relay, PW_LEVEL_MEDIUM, "full", "setting", stored->full);
    } else if (stored->full == NULL && relay->full != NULL) {
        pw_log(PW_LOG_INFO, "channel %s: the quarantine has room again", name);
        record_store(relay, PW_LEVEL_INFO, "room", "setting", relay->full);
    }
    relay->full = stored->full;
    if (stored->corrupt) {
        pw_log(
            PW_LOG_ERROR,
            "channel %s: quarantine: the object %s was damaged; it is in corrupt/ now, and "
            "stored anew",
            name, stored->object);
        record_store(relay, PW_LEVEL_HIGH, "corrupt", "object", stored->object);
    }
}

/* Say it once: the log of a full disk is not the place for a line a second. */
static void
store_failed(struct pw_relay *relay, const struct pw_why *why)
{
    if (relay->store_pause_ms > 0) {
        return;
    }
    relay->store_pause_ms = STORE_PAUSE_MS;
    pw_log(PW_LOG_ERROR, "channel %s: quarantine: %s; nothing is received until it works",
           relay->options.name, why->text);
    record_error(relay, why->text);
}

static enum pw_err
store_oldest(struct pw_relay *relay, const struct pw_buf *meta, struct pw_stored *stored,
             struct pw_why *why)
{
    const struct pw_message *message = queue_oldest(&relay->queue);
    const struct pw_put put = {
        .frames = message->frames,
        .count = message->count,
        .chan = relay->options.name,
        .meta = pw_buf_span(meta),
        .later = relay->keeping,
        .must = relay->keeping, /* the producers can hold it no longer */
    };
    return pw_store_put(relay->options.store, &put, stored, why);
}

static enum outcome
hold(struct pw_relay *relay)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf detail = {0};
    PW_CLEANUP(pw_buf_free) struct pw_buf meta = {.limit = DETAIL_LIMIT};
    struct pw_why why = {"out of memory"};
    struct pw_stored stored;
    turn(relay); /* each may wait for the disk */
    if (!write_detail(relay, &detail) || write_meta(relay, &detail, &meta) != PW_E_OK ||
        store_oldest(relay, &meta, &stored, &why) != PW_E_OK) {
        store_failed(relay, &why);
        return WANTS_STORE;
    }
    if (relay->store_pause_ms > 0) {
        relay->store_pause_ms = 0;
        pw_log(PW_LOG_INFO, "channel %s: the quarantine works again", relay->options.name);
    }
    tell_room(relay, &stored);
    write_stored(&detail, &stored);
    if (!pw_store_sealed(relay->options.store)) {
        memcpy(relay->name, stored.object, sizeof relay->name);
    }
    relay->counts.quarantined++;
    release_oldest(relay, detail_text(&detail));
    return SETTLED;
}

/* Do with the oldest message what was decided. */
static enum outcome
settle(struct pw_relay *relay)
{
    judge_some(relay);
    switch (decision_of(relay)->verdict) {
    case PW_PASS:
        return forward(relay);
    case PW_QUARANTINE:
        return hold(relay);
    case PW_DROP:
    default:
        return drop(relay);
    }
}

/* --- running ----------------------------------------------------------------------- */

unsigned
pw_relay_wait(struct pw_relay *relay, unsigned want, int timeout_ms)
{
    flush_records(relay);
    unsigned ready =
        relay->port->ops->wait(relay->port, want, relay->woken ? 0 : timeout_ms);
    relay->woken = false;
    relay->now = pw_clock_wall();
    return ready;
}

static size_t
receive(struct pw_relay *relay)
{
    if (!queue_reserve(&relay->queue, BURST)) {
        return 0;
    }
    size_t count = relay->port->ops->receive(relay->port, relay->burst, BURST);
    for (size_t i = 0; i < count; i++) {
        queue_push(&relay->queue, relay->burst[i]);
        pw_meter_add(&relay->meter, PW_METER_BYTES_IN, relay->burst[i].bytes);
    }
    relay->counts.received += count;
    relay->timing = relay->options.measure && count > 0;
    relay->refused = relay->refused && count == 0;
    return count;
}

/* Wait for the transport; a short rest when its last "ready" turned out to be wrong. */
static void
wait_ready(struct pw_relay *relay, unsigned want)
{
    if (relay->refused) {
        relay->woken = (pw_relay_wait(relay, 0, SHORT_PAUSE_MS) & PW_READY_CONTROL) != 0;
    }
    relay->refused = (pw_relay_wait(relay, want, PW_RELAY_IDLE_MS) & want) != 0;
}

static void
rest_for_store(struct pw_relay *relay, int longest_ms)
{
    int pause = relay->store_pause_ms > 0 ? relay->store_pause_ms : SHORT_PAUSE_MS;
    pw_relay_wait(relay, 0, pause < longest_ms ? pause : longest_ms);
    if (relay->store_pause_ms > 0) {
        relay->store_pause_ms =
            pause * 2 < STORE_PAUSE_MAX_MS ? pause * 2 : STORE_PAUSE_MAX_MS;
    }
}

static void
run(struct pw_relay *relay)
{
    while (pw_relay_order(relay) == PW_ORDER_RUN) {
        turn(relay);
        if (relay->queue.count == 0) {
            /* So that old ones do not live on in an idle channel. */
            pw_relay_take_terms(relay);
            if (!pw_audit_ready(relay->options.audit)) {
                pw_relay_wait(relay, 0, AUDIT_PAUSE_MS);
                continue;
            }
            if (pw_relay_release(relay)) {
                continue; /* it waited: there may be an order, or other terms */
            }
            relay->now = pw_clock_wall();
            if (receive(relay) == 0) {
                wait_ready(relay, PW_READY_IN);
                continue;
            }
        }
        enum outcome outcome = SETTLED;
        while (relay->queue.count > 0 && outcome == SETTLED) {
            outcome = settle(relay);
        }
        if (outcome == WANTS_OUTPUT) {
            wait_ready(relay, PW_READY_OUT);
        } else if (outcome == WANTS_STORE) {
            rest_for_store(relay, STORE_PAUSE_MAX_MS);
        } else {
            flush_records(relay);
        }
    }
}

/* --- draining: README.md tells why it goes like this ------------------------------- */

struct times {
    uint64_t catch_up; /* let producers finish until then */
    uint64_t input;    /* receive what they had written until then */
    uint64_t output;   /* send until then */
    uint64_t end;
};

static struct times
times_from(uint64_t start, int timeout_ms)
{
    uint64_t total = (uint64_t)timeout_ms * ns_per_ms;
    return (struct times){
        .catch_up = start + total / 2,
        .input = start + total / 4 * 3,
        .output = start + total / 10 * 9,
        .end = start + total,
    };
}

static bool
may_go_on(const struct pw_relay *relay, uint64_t until)
{
    return pw_relay_order(relay) != PW_ORDER_NOW && pw_clock_steady() < until;
}

static int
ms_until(uint64_t until)
{
    uint64_t now = pw_clock_steady();
    return now >= until ? 0 : (int)((until - now) / ns_per_ms) + 1;
}

/* Send what can be sent at once. */
static enum outcome
settle_some(struct pw_relay *relay)
{
    enum outcome outcome = SETTLED;
    for (size_t i = 0; i < BURST && relay->queue.count > 0 && outcome == SETTLED; i++) {
        outcome = settle(relay);
    }
    return outcome;
}

static bool
has_room(const struct pw_relay *relay)
{
    return relay->queue.count < BACKLOG_MESSAGES && relay->queue.bytes < BACKLOG_BYTES;
}

/*
 * Empty the input into the backlog, as fast as can be: libzmq gives up what the kernel
 * still holds of a connection that ends while its queue is full.
 */
static bool
take_in(struct pw_relay *relay)
{
    size_t bursts = 0;
    while (bursts < BURSTS_AT_ONCE && receive(relay) > 0) {
        bursts++;
    }
    return bursts > 0;
}

/*
 * Receive first, then send, and wait for at most `pause_ms` when nothing moves. Returns the
 * port's bits, IN added when something was received.
 */
static unsigned
pump(struct pw_relay *relay, bool room, int pause_ms)
{
    room = room && pw_audit_ready(relay->options.audit);
    bool moved = room && take_in(relay);
    enum outcome outcome = settle_some(relay);
    if (moved) {
        return PW_READY_IN;
    }
    unsigned want = room ? PW_READY_IN : 0;
    if (relay->queue.count > 0 && outcome == SETTLED) {
        pause_ms = 0; /* there is more to send */
    } else if (outcome == WANTS_OUTPUT) {
        want |= PW_READY_OUT;
    }
    return pw_relay_wait(relay, want, pause_ms);
}

/* Let producers write until they pause, so that none is cut off in a message. */
static void
catch_up(struct pw_relay *relay, uint64_t until)
{
    uint64_t last = pw_clock_steady();
    while (may_go_on(relay, until)) {
        bool room = has_room(relay);
        unsigned ready = pump(relay, room, SETTLE_MS);
        if (!room || (ready & PW_READY_IN) != 0) {
            last = pw_clock_steady();
        } else if (pw_clock_steady() - last >= QUIET_MS * ns_per_ms) {
            return;
        }
    }
}

/* Stop the producers and take in what was under way. */
static void
take_the_rest(struct pw_relay *relay, uint64_t until)
{
    relay->port->ops->drain(relay->port);
    while (may_go_on(relay, until)) {
        /* However much it is: it is what the kernels hold, and nowhere else. */
        unsigned ready = pump(relay, true, SHORT_PAUSE_MS);
        if ((ready & PW_READY_DRAINED) != 0 && (ready & PW_READY_IN) == 0 &&
            (relay->port->ops->wait(relay->port, PW_READY_IN, SETTLE_MS) & PW_READY_IN) ==
                0) {
            return;
        }
    }
}

static void
shut_input(struct pw_relay *relay)
{
    /* Leaving a connected producer discards what is still unread of it. */
    for (size_t i = 0; i < BURSTS_AT_ONCE && receive(relay) > 0; i++) {
    }
    relay->port->ops->shut(relay->port);
    while (receive(relay) > 0 ||
           (relay->port->ops->wait(relay->port, PW_READY_IN, SETTLE_MS) & PW_READY_IN) !=
               0) {
        if (!queue_reserve(&relay->queue, BURST)) {
            return; /* out of memory: the port keeps it, and is about to be closed */
        }
    }
}

static void
send_backlog(struct pw_relay *relay, uint64_t until)
{
    do {
        enum outcome outcome = settle_some(relay);
        if (outcome == WANTS_OUTPUT) {
            pw_relay_wait(relay, PW_READY_OUT, ms_until(until));
        } else if (outcome == WANTS_STORE) {
            rest_for_store(relay, ms_until(until));
        }
    } while (relay->queue.count > 0 && may_go_on(relay, until));
}

/* The disk refused, and there is no more time: say so where it can be said. */
static void
give_up_oldest(struct pw_relay *relay)
{
    decision_of(relay)->verdict = PW_DROP;
    relay->counts.lost++;
    release_oldest(relay, NULL);
}

/* Passed, but the time is up. */
static void
keep_oldest(struct pw_relay *relay)
{
    judge_some(relay);
    struct pw_decision *decision = decision_of(relay);
    bool passed = decision->verdict == PW_PASS;
    if (passed) {
        decision->verdict = PW_QUARANTINE;
        decision->reason = PW_R_DRAIN_TIMEOUT;
        decision->enforced = true;
    }
    if (settle(relay) != SETTLED) {
        give_up_oldest(relay);
    } else if (passed) {
        relay->counts.undelivered++;
    }
}

/* What was written may not be there after all: take the records' word back. */
static void
unsay_stored(struct pw_relay *relay)
{
    for (size_t i = 0; i < relay->record_count; i++) {
        struct pw_audit_record *record = &relay->records[i];
        if (record->verdict == PW_QUARANTINE) {
            record->verdict = PW_DROP;
            free(record->detail);
            record->detail = NULL;
            relay->counts.quarantined--;
            relay->counts.undelivered -= record->reason == PW_R_DRAIN_TIMEOUT;
            relay->counts.lost++;
        }
    }
}

/* One sync for many: each alone would take longer than a service manager waits. */
static void
keep_some(struct pw_relay *relay)
{
    relay->keeping = true;
    relay->now = pw_clock_wall();
    /* Room for the events of one more, and add_record does not hand over what is not
     * durable yet. */
    while (relay->queue.count > 0 && relay->record_count < BURST - 4) {
        keep_oldest(relay);
    }
    relay->keeping = false;
    struct pw_why why = {0};
    if (pw_store_sync(relay->options.store, &why) != PW_E_OK) {
        pw_log(PW_LOG_ERROR, "channel %s: quarantine: %s", relay->options.name, why.text);
        unsay_stored(relay);
    }
    for (; relay->kept > 0; relay->kept--) {
        relay->port->ops->release(relay->port, &relay->burst[relay->kept - 1]);
    }
    flush_records(relay);
}

static void
keep_backlog(struct pw_relay *relay)
{
    flush_records(relay);
    while (relay->queue.count > 0) {
        keep_some(relay);
    }
}

static void
drain(struct pw_relay *relay)
{
    struct times times = times_from(pw_clock_steady(), relay->options.drain_timeout_ms);
    catch_up(relay, times.catch_up);
    take_the_rest(relay, times.input);
    shut_input(relay);
    send_backlog(relay, times.output);
    keep_backlog(relay);
    flush_records(relay);
    int linger = pw_relay_order(relay) == PW_ORDER_NOW ? 0 : ms_until(times.end);
    relay->counts.delivered = relay->port->ops->close(
        &relay->port, linger > LINGER_LEAST_MS ? linger : LINGER_LEAST_MS);
}

static void
report(const struct pw_relay *relay)
{
    const struct pw_relay_counts *counts = &relay->counts;
    if (counts->undelivered > 0) {
        pw_log(PW_LOG_WARN,
               "channel %s: %" PRIu64 " messages were not delivered in time; they are in "
               "quarantine, see `picklewall quarantine list`",
               relay->options.name, counts->undelivered);
    }
    if (counts->lost > 0) {
        pw_log(PW_LOG_ERROR,
               "channel %s: %" PRIu64 " messages are lost: the quarantine refused",
               relay->options.name, counts->lost);
    }
    if (!counts->delivered) {
        pw_log(PW_LOG_WARN,
               "channel %s: a connected consumer did not take all in time; up to out.hwm "
               "messages of its queue are lost",
               relay->options.name);
    }
}

struct pw_relay *
pw_relay_new(const struct pw_relay_options *options)
{
    struct pw_relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL || !queue_reserve(&relay->queue, BURST)) {
        pw_relay_free(&relay);
        return NULL;
    }
    relay->options = *options;
    turn(relay);
    return relay;
}

void
pw_relay_free(struct pw_relay **relay)
{
    if (*relay == NULL) {
        return;
    }
    free((*relay)->queue.ring);
    free(*relay);
    *relay = NULL;
}

enum pw_err
pw_relay_run(struct pw_relay *relay, struct pw_port **port)
{
    relay->port = *port;
    *port = NULL;
    run(relay);
    drain(relay);
    report(relay);
    return relay->counts.lost == 0 ? PW_E_OK : PW_E_IO;
}

struct pw_relay_counts
pw_relay_counts(const struct pw_relay *relay)
{
    return relay->counts;
}

struct pw_relay_pulse
pw_relay_pulse(struct pw_relay *relay)
{
    struct pw_shown *shown = &relay->shown;
    return (struct pw_relay_pulse){
        .turned_at = atomic_load_explicit(&shown->turned_at, memory_order_relaxed),
        .holds = atomic_load_explicit(&shown->holds, memory_order_relaxed),
    };
}

struct pw_relay_counts
pw_relay_counts_now(struct pw_relay *relay)
{
    struct pw_shown *shown = &relay->shown;
    return (struct pw_relay_counts){
        .received = atomic_load_explicit(&shown->received, memory_order_relaxed),
        .forwarded = atomic_load_explicit(&shown->forwarded, memory_order_relaxed),
        .quarantined = atomic_load_explicit(&shown->quarantined, memory_order_relaxed),
        .dropped = atomic_load_explicit(&shown->dropped, memory_order_relaxed),
        .unstored = atomic_load_explicit(&shown->unstored, memory_order_relaxed),
    };
}

struct pw_meter *
pw_relay_meter(struct pw_relay *relay)
{
    return &relay->meter;
}
