/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/daemon_keeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "proxy/daemon_quarantine.h"

enum {
    ROUND_MS = 2000,
    SOON_MS = 100,
    ROUNDS_OF_NOTES = 3, /* how long a line is in the file before its note goes */
    PATIENCE_MS = 3000,  /* for the audit log */
    WAITING_MAX = 4,     /* so that others find a place at the control socket */
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;

/* A purge that an operator asks for. */
struct order {
    struct order *next;
    uint64_t ticket; /* of the control socket */
    struct pw_control_peer peer;
    json_t *request;
    const json_t *ids;  /* in it */
    const char *reason; /* in it */
    /* The answer. */
    enum pw_err result;
    struct pw_why why;
    struct pw_buf members;
};

struct pw_keeper {
    struct pw_daemon *daemon;
    pthread_t thread;
    bool started;
    int bell; /* eventfd: main is to give answers, or to look whether this is idle */
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct order *waiting; /* the oldest first */
    struct order *finished;
    size_t open; /* orders that are not answered */
    bool awake;
    bool busy; /* with a round */
    bool closing;
    /* The thread's own, main's before it is awake and after its end: */
    uint64_t round_at; /* steady clock */
    unsigned rounds;
    bool trouble;       /* the last round failed, and that was said */
    struct pw_buf told; /* ULIDs with NUL, of notes whose lines were handed to the log */
    size_t told_filed;  /* so many bytes of them are in the file for some time */
};

static bool
is_stopping(const struct pw_daemon *self)
{
    return atomic_load(&self->order) != PW_ORDER_RUN;
}

/* ---- what is told ---- */

/* Some entries that go; for an operator, or else because of their age. */
struct going {
    struct pw_daemon *daemon;
    const struct order *order; /* or NULL */
    const char *what;          /* without an order */
};

static void
write_going(struct pw_json *json, const struct going *going, const struct pw_gone *gone)
{
    if (going->order != NULL) {
        pw_write_purge(json, gone, going->order->reason);
        pw_write_operator(json, "control", going->order->peer.uid, going->order->peer.pid);
        return;
    }
    pw_json_str(json, "what", going->what);
    pw_json_uint(json, "count", gone->count);
    pw_json_uint(json, "bytes", gone->bytes);
    pw_json_str(json, "first", gone->entries[0]);
    pw_json_str(json, "last", gone->entries[gone->count - 1]);
}

static enum pw_err
tell(const struct going *going, const struct pw_gone *gone)
{
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    write_going(&json, going, gone);
    pw_json_end_object(&json);
    return pw_daemon_push_event(going->daemon, PW_EVENT_QUARANTINE,
                                going->order != NULL ? PW_LEVEL_LOW : PW_LEVEL_INFO, &json);
}

/* The line itself, before anything goes: all of it, and no bytes, which nobody knows yet.
 */
static enum pw_err
tell_before(const struct going *going, const struct pw_gone *planned, struct pw_why *why)
{
    struct pw_audit *audit = going->daemon->audit;
    enum pw_err err = tell(going, planned);
    err = err == PW_E_OK
              ? pw_audit_flush(audit, pw_clock_steady() + PATIENCE_MS * ns_per_ms)
              : err;
    return err == PW_E_OK ? err
                          : pw_fail(why, err,
                                    "neither a note nor a line of the audit log can be "
                                    "written, and without one nothing goes; make room");
}

/*
 * Say what will go, durably, before it does: as a note, which the next wall tells should
 * this one die; `id` receives its ULID. Where no note can be made, as a line, and `id` is
 * empty.
 */
static enum pw_err
announce(const struct going *going, const struct pw_gone *planned, char *id,
         struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    struct pw_why no_note;
    id[0] = '\0';
    write_going(&json, going, planned);
    if (json.err == PW_E_OK &&
        pw_store_note(going->daemon->store, pw_buf_span(&text), id, &no_note) == PW_E_OK) {
        return PW_E_OK;
    }
    return tell_before(going, planned, why);
}

void
pw_daemon_note_told(struct pw_daemon *self, const char *id)
{
    const struct pw_span text = {(const uint8_t *)id, PW_STORE_ULID};
    /* Without memory the note stays, and is told once more by the next wall. */
    (void)!pw_buf_append(&self->keeper->told, text);
}

/* What has gone, behind its announcement. */
static void
conclude(const struct going *going, const struct pw_gone *gone, const char *id)
{
    if (id[0] == '\0') {
        return;
    }
    if (gone->count == 0) {
        pw_store_note_told(going->daemon->store, id);
    } else if (tell(going, gone) == PW_E_OK) {
        pw_daemon_note_told(going->daemon, id);
    }
}

/* Remove the notes of which the log has the lines. */
static void
remove_filed(struct pw_keeper *keeper)
{
    struct pw_buf *told = &keeper->told;
    for (size_t at = 0; at < keeper->told_filed; at += PW_STORE_ULID) {
        pw_store_note_told(keeper->daemon->store, (const char *)told->bytes + at);
    }
    if (keeper->told_filed > 0) {
        told->len -= keeper->told_filed;
        memmove(told->bytes, told->bytes + keeper->told_filed, told->len);
    }
    keeper->told_filed = 0;
}

static void
look_what_is_filed(struct pw_keeper *keeper)
{
    if (pw_audit_flush(keeper->daemon->audit, pw_clock_steady()) == PW_E_OK) {
        keeper->told_filed = keeper->told.len;
    }
}

/* ---- what goes by itself ---- */

static void
note_trouble(struct pw_keeper *keeper, enum pw_err err, const struct pw_why *why)
{
    if (err != PW_E_OK && !keeper->trouble) { /* once, not every two seconds */
        pw_log(PW_LOG_ERROR, "quarantine: %s", why->text);
    }
    keeper->trouble = err != PW_E_OK;
}

/* One that cannot go does not keep the others; the first error. */
static enum pw_err
purge_old(struct pw_keeper *keeper, const struct pw_gone *old, struct pw_why *why)
{
    struct pw_daemon *self = keeper->daemon;
    const struct going going = {.daemon = self, .what = "expired"};
    struct pw_gone gone = {0};
    char id[PW_STORE_ULID];
    enum pw_err first = announce(&going, old, id, why);
    if (first != PW_E_OK) {
        return first;
    }
    for (size_t i = 0; i < old->count && !is_stopping(self); i++) {
        struct pw_why plain;
        enum pw_err err = pw_store_purge(self->store, old->entries[i], &gone, &plain);
        if (err != PW_E_OK && err != PW_E_NO_INPUT && first == PW_E_OK) {
            first = err;
            *why = plain;
        }
    }
    conclude(&going, &gone, id);
    return first;
}

static enum pw_err
expire(struct pw_keeper *keeper, struct pw_why *why)
{
    struct pw_daemon *self = keeper->daemon;
    struct pw_gone old = {0};
    struct pw_why later;
    uint64_t age_ns = (uint64_t)atomic_load(&self->keep_ms) * ns_per_ms;
    uint64_t now = pw_clock_wall();
    if (age_ns == 0 || now <= age_ns) {
        return PW_E_OK;
    }
    enum pw_err err = pw_store_old(self->store, now - age_ns, &old, why);
    if (old.count == PW_STORE_BATCH) { /* there may be more */
        keeper->round_at = pw_clock_steady() + SOON_MS * ns_per_ms;
    }
    enum pw_err purged =
        old.count > 0 ? purge_old(keeper, &old, err == PW_E_OK ? why : &later) : PW_E_OK;
    return err == PW_E_OK ? purged : err;
}

/* These were told when they were released, purged or too old. */
static enum pw_err
forget(struct pw_keeper *keeper, enum pw_store_state state, struct pw_why *why)
{
    struct pw_daemon *self = keeper->daemon;
    const struct going going = {.daemon = self, .what = "forgotten"};
    struct pw_gone old, gone = {0};
    char id[PW_STORE_ULID];
    enum pw_err err = pw_store_surplus(self->store, state, &old, why);
    if (err != PW_E_OK || old.count == 0) {
        return err;
    }
    err = announce(&going, &old, id, why);
    if (err != PW_E_OK) {
        return err;
    }
    for (size_t i = 0; err == PW_E_OK && i < old.count && !is_stopping(self); i++) {
        err = pw_store_forget(self->store, state, old.entries[i], &gone, why);
    }
    conclude(&going, &gone, id);
    return err;
}

static void
go_round(struct pw_keeper *keeper)
{
    struct pw_why why = {{0}};
    keeper->round_at = pw_clock_steady() + ROUND_MS * ns_per_ms;
    if (!pw_audit_ready(keeper->daemon->audit)) {
        return; /* nothing goes that nobody can read of */
    }
    if (++keeper->rounds % ROUNDS_OF_NOTES == 0) {
        remove_filed(keeper);
        look_what_is_filed(keeper);
    }
    enum pw_err err = expire(keeper, &why);
    err = err == PW_E_OK ? forget(keeper, PW_STORE_RELEASED, &why) : err;
    err = err == PW_E_OK ? forget(keeper, PW_STORE_PURGED, &why) : err;
    note_trouble(keeper, err, &why);
}

/* ---- what an operator purges ---- */

static void
free_order(struct order **order)
{
    if (*order != NULL) {
        json_decref((*order)->request);
        pw_buf_free(&(*order)->members);
    }
    free(*order);
    *order = NULL;
}

/* {"ids":["01JD8Z…",…],"reason":"…"}: whole ULIDs, at most PW_STORE_BATCH. */
static enum pw_err
read_request(struct order *order, struct pw_why *why)
{
    order->ids = json_object_get(order->request, "ids");
    order->reason = json_string_value(json_object_get(order->request, "reason"));
    size_t count = json_array_size(order->ids);
    if (count == 0 || count > PW_STORE_BATCH) {
        return pw_fail(why, PW_E_USAGE, "name 1 to %d entries as \"ids\"", PW_STORE_BATCH);
    }
    for (size_t i = 0; i < count; i++) {
        if (json_string_length(json_array_get(order->ids, i)) != PW_STORE_ULID - 1) {
            return pw_fail(why, PW_E_USAGE,
                           "\"ids\": each is an entry, of %d characters; see picklewall "
                           "quarantine list",
                           PW_STORE_ULID - 1);
        }
    }
    return order->reason != NULL && order->reason[0] != '\0'
               ? PW_E_OK
               : pw_fail(why, PW_E_USAGE, "say why they go, as \"reason\"");
}

static void
add_missing(struct pw_json *json, const char *id)
{
    pw_json_bytes(json, NULL, pw_span_str(id), PW_STORE_ULID);
}

/* Those that are held; the others are named in the answer. */
static void
plan(struct pw_daemon *self, const struct order *order, struct pw_gone *planned,
     struct pw_json *json)
{
    for (size_t i = 0; i < json_array_size(order->ids); i++) {
        const char *id = json_string_value(json_array_get(order->ids, i));
        if (pw_store_has(self->store, PW_STORE_HELD, id)) {
            memcpy(planned->entries[planned->count++], id, PW_STORE_ULID);
        } else {
            add_missing(json, id);
        }
    }
}

static enum pw_err
purge_planned(struct pw_daemon *self, struct order *order, const struct pw_gone *planned,
              struct pw_gone *gone, struct pw_json *json)
{
    const struct going going = {.daemon = self, .order = order};
    char id[PW_STORE_ULID];
    enum pw_err err = announce(&going, planned, id, &order->why);
    if (err != PW_E_OK) {
        return err;
    }
    for (size_t i = 0; err == PW_E_OK && i < planned->count; i++) {
        if (is_stopping(self)) {
            err = pw_fail(&order->why, PW_E_STOPPED,
                          "the wall is stopping, and %zu of %zu were purged; ask again",
                          gone->count, planned->count);
            break;
        }
        err = pw_store_purge(self->store, planned->entries[i], gone, &order->why);
        if (err == PW_E_NO_INPUT) { /* released meanwhile */
            add_missing(json, planned->entries[i]);
            err = PW_E_OK;
        }
    }
    conclude(&going, gone, id);
    return err;
}

static void
carry_out(struct pw_daemon *self, struct order *order)
{
    struct pw_gone planned = {0}, gone = {0};
    struct pw_json json = pw_json_over(&order->members);
    pw_json_array(&json, "missing");
    plan(self, order, &planned, &json);
    if (planned.count > 0) {
        order->result = purge_planned(self, order, &planned, &gone, &json);
    }
    pw_json_end_array(&json);
    pw_json_uint(&json, "purged", gone.count);
    pw_json_uint(&json, "bytes", gone.bytes);
    if (json.err != PW_E_OK) {
        pw_buf_clear(&order->members); /* the sentence must do */
    }
}

/* ---- the thread ---- */

static void
append_order(struct order **list, struct order *order)
{
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = order;
    order->next = NULL;
}

static void
ring(const struct pw_keeper *keeper)
{
    uint64_t one = 1;
    (void)!write(keeper->bell, &one, sizeof one); /* full: it rings already */
}

/* Let main have the lock meanwhile. */
static void
work_off(struct pw_keeper *keeper, struct order *order)
{
    keeper->waiting = order->next;
    pthread_mutex_unlock(&keeper->lock);
    carry_out(keeper->daemon, order);
    pthread_mutex_lock(&keeper->lock);
    append_order(&keeper->finished, order);
    ring(keeper);
}

static void
make_round(struct pw_keeper *keeper)
{
    keeper->busy = true;
    pthread_mutex_unlock(&keeper->lock);
    go_round(keeper);
    pthread_mutex_lock(&keeper->lock);
    keeper->busy = false;
    ring(keeper);
}

static void *
keep(void *arg)
{
    struct pw_keeper *keeper = arg;
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->closing) {
        bool rounds = keeper->awake && !is_stopping(keeper->daemon);
        if (keeper->waiting != NULL) {
            work_off(keeper, keeper->waiting);
        } else if (!rounds) {
            pthread_cond_wait(&keeper->work, &keeper->lock);
        } else if (pw_clock_steady() >= keeper->round_at) {
            make_round(keeper);
        } else {
            struct timespec at = {.tv_sec = (time_t)(keeper->round_at / ns_per_s),
                                  .tv_nsec = (long)(keeper->round_at % ns_per_s)};
            pthread_cond_timedwait(&keeper->work, &keeper->lock, &at);
        }
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

/* ---- main ---- */

static void
open_locks(struct pw_keeper *keeper)
{
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->work, &steady);
    pthread_condattr_destroy(&steady);
}

enum pw_err
pw_daemon_open_keeper(struct pw_daemon *self, struct pw_why *why)
{
    struct pw_keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    self->keeper = keeper;
    keeper->daemon = self;
    keeper->told.limit = SIZE_MAX / 2;
    open_locks(keeper);
    keeper->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (keeper->bell < 0) {
        return pw_fail(why, PW_E_OS, "quarantine: %s; see `ulimit -n`", strerror(errno));
    }
    int failed = pthread_create(&keeper->thread, NULL, keep, keeper);
    keeper->started = failed == 0;
    return keeper->started
               ? PW_E_OK
               : pw_fail(why, PW_E_OS, "quarantine: no thread: %s; see `ulimit -u`",
                         strerror(failed));
}

void
pw_daemon_wake_keeper(struct pw_daemon *self)
{
    struct pw_keeper *keeper = self->keeper;
    pthread_mutex_lock(&keeper->lock);
    keeper->awake = true;
    keeper->round_at = pw_clock_steady() + ROUND_MS * ns_per_ms;
    pthread_cond_signal(&keeper->work);
    pthread_mutex_unlock(&keeper->lock);
}

int
pw_daemon_keeper_fd(const struct pw_daemon *self)
{
    return self->keeper->bell;
}

bool
pw_daemon_keeper_idle(const struct pw_daemon *self)
{
    pthread_mutex_lock(&self->keeper->lock);
    bool idle = self->keeper->open == 0 && !self->keeper->busy;
    pthread_mutex_unlock(&self->keeper->lock);
    return idle;
}

static struct order *
take_finished(struct pw_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    struct order *order = keeper->finished;
    if (order != NULL) {
        keeper->finished = order->next;
        keeper->open--;
    }
    pthread_mutex_unlock(&keeper->lock);
    return order;
}

void
pw_daemon_serve_keeper(struct pw_daemon *self)
{
    uint64_t rung;
    (void)!read(self->keeper->bell, &rung, sizeof rung);
    for (struct order *order = take_finished(self->keeper); order != NULL;
         order = take_finished(self->keeper)) {
        pw_control_finish(self->control, order->ticket, order->result, &order->why,
                          pw_buf_span(&order->members));
        free_order(&order);
    }
}

enum pw_err
pw_daemon_begin_purge(void *arg, const struct pw_control_peer *peer, const char *argument,
                      uint64_t ticket, struct pw_why *why)
{
    struct pw_daemon *self = arg;
    struct pw_keeper *keeper = self->keeper;
    if (!pw_audit_ready(self->audit)) {
        return pw_fail(why, PW_E_BUSY,
                       "the audit log cannot be written, so that nobody could read of it; "
                       "make room for it first");
    }
    PW_CLEANUP(free_order) struct order *order = calloc(1, sizeof *order);
    if (order == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory; try again");
    }
    *order = (struct order){.ticket = ticket,
                            .peer = *peer,
                            .request = json_loads(argument, 0, NULL),
                            .members = {.limit = PW_CONTROL_ANSWER_MAX / 2}};
    enum pw_err err = read_request(order, why);
    if (err != PW_E_OK) {
        return err;
    }
    pthread_mutex_lock(&keeper->lock);
    bool room = keeper->open < WAITING_MAX;
    if (room) {
        keeper->open++;
        append_order(&keeper->waiting, order);
        pthread_cond_signal(&keeper->work);
        order = NULL;
    }
    pthread_mutex_unlock(&keeper->lock);
    return room
               ? PW_E_OK
               : pw_fail(why, PW_E_BUSY, "%d purges are under way; try again", WAITING_MAX);
}

/* ---- the end ---- */

void
pw_daemon_stop_keeper(struct pw_daemon *self)
{
    struct pw_keeper *keeper = self->keeper;
    if (keeper == NULL || !keeper->started) {
        return;
    }
    pthread_mutex_lock(&keeper->lock);
    keeper->closing = true;
    pthread_cond_signal(&keeper->work);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    keeper->started = false;
}

void
pw_daemon_check_notes(struct pw_daemon *self)
{
    look_what_is_filed(self->keeper);
}

static void
free_orders(struct order *list)
{
    while (list != NULL) {
        struct order *next = list->next;
        free_order(&list);
        list = next;
    }
}

void
pw_daemon_close_keeper(struct pw_daemon *self)
{
    struct pw_keeper *keeper = self->keeper;
    if (keeper == NULL) {
        return;
    }
    pw_daemon_stop_keeper(self);
    remove_filed(keeper);
    free_orders(keeper->waiting); /* only when main could not even wait for them */
    free_orders(keeper->finished);
    pw_buf_free(&keeper->told);
    pw_file_close(&keeper->bell);
    pthread_cond_destroy(&keeper->work);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
    self->keeper = NULL;
}
