/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the daemon share; nobody else includes it.
 */
#ifndef PW_PROXY_DAEMON_INSIDE_H
#define PW_PROXY_DAEMON_INSIDE_H

#include <stdatomic.h>

#include <czmq.h>

#include "common/audit/audit.h"
#include "common/audit/told.h"
#include "common/base/json.h"
#include "common/quarantine/store.h"
#include "proxy/control.h"
#include "proxy/copies.h"
#include "proxy/daemon.h"
#include "proxy/keys.h"
#include "proxy/peers.h"
#include "proxy/pipeline.h"
#include "proxy/port_zmq.h"
#include "proxy/relay.h"
#include "proxy/release.h"

/* One channel at work. */
struct pw_lane {
    const struct pw_channel *channel;
    zactor_t *thread; /* its pipe wakes the port, and says when the relay has ended */
    struct pw_terms_box *terms;
    struct pw_release_box releases;
    struct pw_guard *guard;
    uint64_t max_rss;
    struct pw_peers peers;
    struct pw_port *port; /* the relay's once it runs */
    struct pw_relay *relay;
    int audit_channel; /* its number there, once there is a relay */
    char *inputs;      /* the endpoints as they came to be */
    char *outputs;
    struct pw_port_zmq_fault fault; /* what opening found, in its own thread */
    enum pw_err open_err;
    struct pw_why open_why;
    enum pw_err err; /* how the relay ended */
    /*
     * Who may touch this lane: main until the thread is made, the thread until
     * PW_LANE_OPEN, main until PW_LANE_GO, the thread until PW_LANE_ENDED. Messages carry
     * the turn; this says it to thread sanitizers, which cannot see into libzmq.
     */
    atomic_int turn;
    bool ended; /* main has seen the last word */
};

enum pw_lane_turn { PW_LANE_MADE, PW_LANE_OPEN, PW_LANE_GO, PW_LANE_ENDED };

/* Who asked for something. */
struct pw_asker {
    const char *via; /* "control" or "SIGHUP"; NULL: nobody, the folder had changed */
    struct pw_control_peer peer;
};

/* What became of the orders to read the configuration again. */
struct pw_reload {
    uint64_t total;
    uint64_t failed;
    uint64_t good_at; /* wall clock: when the settings in force took over */
    bool good;        /* of the last one; else: */
    struct pw_why why;
    bool untold;         /* it is not in the audit log yet; then: */
    struct pw_asker by;  /* who wanted it, */
    unsigned generation; /* and what it led to */
};

struct pw_release_desk; /* daemon_release.c */
struct pw_keeper;       /* daemon_keeper.c */
struct pw_daemon_web;   /* daemon_web.c */

struct pw_daemon {
    const struct pw_settings *settings; /* of the start; in force: pw_keys_settings */
    int state;                          /* folder */
    int lock;                           /* file in it */
    int signals;                        /* signalfd */
    atomic_int order;
    struct pw_control *control; /* NULL: none is wanted */
    struct pw_keys *keys;
    struct pw_copies copies;
    struct pw_audit *audit;
    struct pw_store *store;
    struct pw_release_desk *releases;
    struct pw_keeper *keeper;
    struct pw_daemon_web *web; /* NULL: none is wanted */
    struct pw_lane *lanes;
    size_t lane_count;
    struct pw_reload reload;
    atomic_llong keep_ms;        /* quarantine.max_age, for the keeper's thread */
    enum pw_keys_news keys_news; /* not yet in the audit log */
    struct pw_why keys_why;      /* of the last refusal */
    struct pw_asker keys_by;     /* who wanted that news */
    uint64_t keys_at;            /* steady clock: look at the key folder then */
    struct pw_asker stop_by;     /* who first wanted it to stop */
    uint64_t started_at;         /* steady clock */
    bool started;                /* the channels were let go */
    uint64_t watchdog_ns;        /* so long without a word to the manager; 0: no matter */
    uint64_t watchdog_at;        /* steady clock: the next word */
    bool watchdog_silent;        /* it is not told, since a channel hangs */
    uint64_t abort_at;           /* steady clock; 0: not draining */
    size_t found;                /* events of pw_daemon_push_found so far */
};

enum { PW_DETAIL_LIMIT = 65536 }; /* bytes of an event's members */

/*
 * Hand an event of the whole process to the audit log: `json` is members without braces,
 * and taken over. Of a level, or a higher one that the event has by itself. What
 * pw_audit_push says, which may be passed over, since the log counts what it lost; or what
 * kept the members from the line.
 */
enum pw_err pw_daemon_push_event(struct pw_daemon *self, enum pw_audit_event event,
                                 enum pw_level level, struct pw_json *json);

/*
 * The same for an event of the quarantine that the start has found, and of which there may
 * be more than the log has room for: waits until the log can take it, and hears signals
 * meanwhile. Only before the channels are let go.
 */
enum pw_err pw_daemon_push_found(struct pw_daemon *self, enum pw_level level,
                                 struct pw_json *json);

/*
 * Tell of what the wall before this one has stored without a line (see daemon_recover.c).
 * `told` is what the log said before this wall wrote its first line, when `looked` is
 * PW_E_OK. Before the channels are let go.
 */
void pw_daemon_recover(struct pw_daemon *self, enum pw_err looked,
                       const struct pw_audit_told *told);

/* Begin to stop, as SIGTERM does; nothing more once that has begun. */
void pw_daemon_drain(struct pw_daemon *self, const struct pw_asker *by);

/* ---- daemon_orders.c: answers of the control socket (control.h) ---- */

pw_control_run pw_daemon_answer_drain, pw_daemon_answer_log_level, pw_daemon_answer_rotate;

/* ---- daemon_reload.c ---- */

/*
 * What SIGHUP and the order `reload` do: open the log again, read the configuration and the
 * keys, and take both over, whole or not at all. Says what became of it on stderr and in
 * the audit log, with who asked. After an error `why` has the sentence, and what was in
 * force stays.
 */
PW_CHECK_RESULT enum pw_err pw_daemon_reload(struct pw_daemon *self,
                                             const struct pw_asker *by, struct pw_why *why);

/* The member "restart": the settings that differ, and wait for another start. */
void pw_daemon_write_pending(const struct pw_daemon *self, struct pw_json *json);

/* The member "by". Nothing when nobody asked. */
void pw_daemon_write_asker(struct pw_json *json, const struct pw_asker *asker);

/* Look at the key folder; `by` is NULL for the look that is taken every second. */
enum pw_keys_news pw_daemon_look_at_keys(struct pw_daemon *self, const struct pw_asker *by);

/* ---- daemon_open.c ---- */

/* Everything that all channels share, and their places. Close it after a failure, too. */
PW_CHECK_RESULT enum pw_err pw_daemon_open(struct pw_daemon *self, struct pw_why *why);

/* The settings of the audit log, without who gets copies. */
struct pw_audit_options pw_daemon_audit_options(const struct pw_settings *settings);

void pw_daemon_close(struct pw_daemon *self);

/* ---- daemon_channels.c ---- */

/* A place for each channel of the settings. */
PW_CHECK_RESULT enum pw_err pw_daemon_make_lanes(struct pw_daemon *self,
                                                 struct pw_why *why);

/* Open each channel's sockets. What was open when one failed has a relay, too. */
PW_CHECK_RESULT enum pw_err pw_daemon_open_lanes(struct pw_daemon *self,
                                                 struct pw_why *why);

/*
 * Open what channels lack for other settings, before their terms are made: it does no harm
 * when they are refused then.
 */
PW_CHECK_RESULT enum pw_err pw_daemon_open_guards(struct pw_daemon *self,
                                                  const struct pw_config *next,
                                                  struct pw_why *why);

void pw_daemon_close_lanes(struct pw_daemon *self);

/*
 * Let the threads go: with a relay, or to close what they opened. After a failure too, for
 * channels that are open may have received: they drain, as at any other end.
 */
void pw_daemon_let_go(struct pw_daemon *self, enum pw_order order);

/* An item for each lane that has not ended; how many. */
size_t pw_daemon_poll_lanes(struct pw_daemon *self, zmq_pollitem_t *items);

/* Which of these lanes have said their last word. */
void pw_daemon_note_ended(struct pw_daemon *self, const zmq_pollitem_t *items);

/* ---- daemon_tell.c ---- */

/* On stderr: what each channel does, and what is noteworthy. */
void pw_daemon_describe(const struct pw_daemon *self);

/* The first and the last line of the audit log. */
void pw_daemon_audit_start(struct pw_daemon *self);
void pw_daemon_audit_stop(struct pw_daemon *self);

/* ---- the other files ---- */

/* Wake the channels, so that they look at what was left for them. */
void pw_daemon_wake_lanes(struct pw_daemon *self);

/* Start the thread that releases held messages; close it after a failure, too. */
PW_CHECK_RESULT enum pw_err pw_daemon_open_releases(struct pw_daemon *self,
                                                    struct pw_why *why);
void pw_daemon_close_releases(struct pw_daemon *self);

/* The order `release`: pw_control_begin, with the daemon as `arg`. */
enum pw_err pw_daemon_begin_release(void *arg, const struct pw_control_peer *peer,
                                    const char *argument, uint64_t ticket,
                                    struct pw_why *why);

/* Let main see that there is something to do for releases; from any thread. */
void pw_daemon_ring_releases(const struct pw_daemon *self);

/* When this is readable: give the answers, and wake the channels. */
int pw_daemon_releases_fd(const struct pw_daemon *self);
void pw_daemon_serve_releases(struct pw_daemon *self);

/* Whether all are answered. */
bool pw_daemon_releases_idle(const struct pw_daemon *self);

/* Say of what was being released when the last wall ended that it is in doubt. */
void pw_daemon_tell_in_doubt(struct pw_daemon *self);

/* Say of what had begun for the last line of the log, and has ended, how it did. */
void pw_daemon_tell_begun(struct pw_daemon *self, const struct pw_audit_told *told);

/* The member "versions". */
void pw_daemon_versions(struct pw_json *json);

/* Open the control socket, unless none is wanted. An error names the setting. */
PW_CHECK_RESULT enum pw_err pw_daemon_open_control(struct pw_daemon *self,
                                                   struct pw_why *why);

#endif
