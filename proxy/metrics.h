/* SPDX-License-Identifier: Apache-2.0
 *
 * What the wall shows of itself, at one moment, and the text of `/metrics` for it:
 * OpenMetrics 1.0 (https://github.com/prometheus/OpenMetrics) or the older text of
 * Prometheus (prometheus.io/docs/instrumenting/exposition_formats). Labels are names of the
 * configuration and words of closed tables: what a message says is never one.
 */
#ifndef PW_PROXY_METRICS_H
#define PW_PROXY_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/audit/audit.h"
#include "common/base/buf.h"
#include "common/quarantine/store.h"
#include "common/sign/key.h"
#include "proxy/health.h"
#include "proxy/meter.h"
#include "proxy/peers.h"

enum { PW_METRICS_NAME = 80, PW_METRICS_ADDRESS = 256 };

struct pw_metrics_channel {
    char name[PW_METRICS_NAME];
    char policy[PW_METRICS_NAME];
    char in[PW_METRICS_ADDRESS]; /* endpoints, cut when long */
    char out[PW_METRICS_ADDRESS];
    bool ended;
    uint64_t received;
    uint64_t forwarded;
    uint64_t quarantined;
    uint64_t dropped;
    uint64_t unstored;
    uint64_t connections[2]; /* in, out */
    uint64_t peers[2][PW_PEER_WHATS];
    uint64_t slots[PW_METER_SLOTS];
};

struct pw_metrics_key {
    char name[PW_METRICS_NAME];
    const char *suite;       /* static */
    enum pw_reason unusable; /* why it verifies nothing now; NONE */
    uint64_t until;          /* PW_KEY_FOR_EVER: no end */
};

/* What became of orders to read the configuration again. */
struct pw_metrics_reload {
    bool good;        /* the last one */
    uint64_t at;      /* wall clock, when what is in force was read */
    uint64_t done;    /* so many worked, */
    uint64_t refused; /* and so many did not */
    char error[512];  /* of the last one; "" */
};

/* What health.h judged. */
struct pw_metrics_probe {
    bool good;
    struct pw_why why; /* when it is not */
};

struct pw_metrics_process {
    double cpu_s;
    uint64_t resident;
    uint64_t virtual;
    uint64_t fds;
    uint64_t max_fds;
};

struct pw_metrics {
    uint64_t wall_ns; /* when it was taken */
    uint64_t started; /* wall clock */
    char instance[PW_METRICS_NAME];
    bool stopping;
    struct pw_metrics_probe probes[PW_HEALTH_PROBES];
    struct pw_metrics_channel *channels; /* owned */
    size_t channel_count;
    struct pw_metrics_key *keys; /* owned */
    size_t key_count;
    struct pw_audit_counts audit;
    bool audit_ready;
    const char *copies[PW_AUDIT_TARGETS]; /* names of settings, static */
    size_t copy_count;
    struct pw_store_usage quarantine;
    uint64_t quarantine_max_bytes;
    bool sealed;
    uint64_t oldest; /* wall clock, of the oldest held message; 0: none */
    struct pw_metrics_reload reload;
    int sandbox; /* pw_sandbox_level */
    struct pw_metrics_process process;
};

/* How each enum pw_sig_state is called. */
extern const char *const pw_metrics_sig_words[PW_METER_SIG_STATES];

/* Release what it owns and zero it. */
void pw_metrics_free(struct pw_metrics *metrics);

enum pw_metrics_form { PW_METRICS_PROMETHEUS, PW_METRICS_OPENMETRICS };

/* The right value of Content-Type. */
const char *pw_metrics_type(enum pw_metrics_form form);

/*
 * The form that a header `Accept` prefers (RFC 9110, 12.5.1): OpenMetrics when it names it
 * in version 1.0.0 or in none, with no smaller q than plain text. NULL is no header.
 */
enum pw_metrics_form pw_metrics_accept(const char *accept);

/* Append the whole text. PW_E_NOMEM, PW_E_LIMIT; then `out` has a part of it. */
PW_CHECK_RESULT enum pw_err pw_metrics_write(const struct pw_metrics *metrics,
                                             enum pw_metrics_form form, struct pw_buf *out);

#endif
