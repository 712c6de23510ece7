/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_TEXTS = 6 };

enum kind { COUNTER, GAUGE, HISTOGRAM, INFO };

struct row {
    const char *name;
    enum kind kind;
    const char *unit;
    const char *help;
};

/* Errors latch in `err`, as those of pw_json do. */
struct text {
    struct pw_buf *out;
    enum pw_err err;
    bool open; /* OpenMetrics */
    const struct row *row;
    const struct pw_metrics *from;
};

static const double ns_per_s = 1e9;

const char *const pw_metrics_sig_words[PW_METER_SIG_STATES] = {
    [PW_SIG_NONE] = "none",          [PW_SIG_OK] = "ok",
    [PW_SIG_MISSING] = "missing",    [PW_SIG_BAD] = "bad",
    [PW_SIG_UNDATED] = "ok_undated",
};

static void
put(struct text *text, const char *words)
{
    if (text->err == PW_E_OK) {
        text->err = pw_buf_append(text->out, pw_span_str(words));
    }
}

static void PW_PRINTF(2, 3) putf(struct text *text, const char *format, ...)
{
    char line[160];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    put(text, line);
}

/* A label's value: \ " and LF are the three characters that are escaped. */
static void
put_escaped(struct text *text, const char *value)
{
    static const char *const escapes[256] = {
        ['\\'] = "\\\\", ['"'] = "\\\"", ['\n'] = "\\n"};
    for (; *value != '\0'; value++) {
        const char plain[2] = {*value, '\0'};
        const char *escape = escapes[(unsigned char)*value];
        put(text, escape != NULL ? escape : plain);
    }
}

/* The name with what its kind wants behind it, and up to three labels; then a blank. */
static void
begin(struct text *text, const char *suffix, const char *const labels[LABEL_TEXTS])
{
    put(text, text->row->name);
    put(text, suffix);
    for (size_t i = 0; i < LABEL_TEXTS && labels[i] != NULL; i += 2) {
        put(text, i == 0 ? "{" : ",");
        put(text, labels[i]);
        put(text, "=\"");
        put_escaped(text, labels[i + 1]);
        put(text, "\"");
    }
    put(text, labels[0] != NULL ? "} " : " ");
}

static const char *
suffix_of(const struct text *text)
{
    return text->row->kind == COUNTER ? "_total" : "";
}

/* The labels come in pairs of name and value; NULL for none. */
#define LABELS(...) ((const char *const[LABEL_TEXTS]){__VA_ARGS__})

static void
sample(struct text *text, const char *const labels[LABEL_TEXTS], uint64_t value)
{
    begin(text, suffix_of(text), labels);
    putf(text, "%" PRIu64 "\n", value);
}

static void
sample_seconds(struct text *text, const char *const labels[LABEL_TEXTS], double seconds)
{
    begin(text, suffix_of(text), labels);
    putf(text, "%.6f\n", seconds);
}

/* --- the samples of each row -------------------------------------------------------- */

static void
write_build(struct text *text)
{
    begin(text, "_info", LABELS("version", PW_VERSION));
    put(text, "1\n");
}

static void
write_healthy(struct text *text)
{
    for (int i = 0; i < PW_HEALTH_PROBES; i++) {
        sample(text, LABELS("probe", pw_health_text((enum pw_health_probe)i)),
               text->from->probes[i].good);
    }
}

static void
write_messages(struct text *text)
{
    for (size_t i = 0; i < text->from->channel_count; i++) {
        const struct pw_metrics_channel *channel = &text->from->channels[i];
        const char *name = channel->name;
        sample(text, LABELS("channel", name, "verdict", "pass"), channel->forwarded);
        sample(text, LABELS("channel", name, "verdict", "quarantine"),
               channel->quarantined);
        sample(text, LABELS("channel", name, "verdict", "drop"), channel->dropped);
    }
}

static void
write_bytes(struct text *text)
{
    for (size_t i = 0; i < text->from->channel_count; i++) {
        const struct pw_metrics_channel *channel = &text->from->channels[i];
        const char *name = channel->name;
        sample(text, LABELS("channel", name, "direction", "in"),
               channel->slots[PW_METER_BYTES_IN]);
        sample(text, LABELS("channel", name, "direction", "out"),
               channel->slots[PW_METER_BYTES_OUT]);
    }
}

static void
write_findings(struct text *text)
{
    for (size_t i = 0; i < text->from->channel_count; i++) {
        const struct pw_metrics_channel *channel = &text->from->channels[i];
        for (size_t reason = PW_R_NONE + 1; reason < PW_R_COUNT; reason++) {
            sample(text,
                   LABELS("channel", channel->name, "reason",
                          pw_reason_code((enum pw_reason)reason)),
                   channel->slots[PW_METER_REASON + reason]);
        }
    }
}

static void
write_signatures(struct text *text)
{
    for (size_t i = 0; i < text->from->channel_count; i++) {
        const struct pw_metrics_channel *channel = &text->from->channels[i];
        for (size_t state = 0; state < PW_METER_SIG_STATES; state++) {
            sample(text,
                   LABELS("channel", channel->name, "state", pw_metrics_sig_words[state]),
                   channel->slots[PW_METER_SIG + state]);
        }
    }
}

static void
write_scan(struct text *text, const struct pw_metrics_channel *channel)
{
    uint64_t below = 0;
    for (size_t i = 0; i <= PW_METER_BUCKETS; i++) {
        below += channel->slots[PW_METER_SCAN + i];
        begin(text, "_bucket",
              LABELS("channel", channel->name, "le",
                     i < PW_METER_BUCKETS ? pw_meter_bounds[i].seconds : "+Inf"));
        putf(text, "%" PRIu64 "\n", below);
    }
    begin(text, "_sum", LABELS("channel", channel->name));
    putf(text, "%.9f\n", (double)channel->slots[PW_METER_SCAN_NS] / ns_per_s);
    begin(text, "_count", LABELS("channel", channel->name));
    putf(text, "%" PRIu64 "\n", below); /* not SCANS, which may be a burst ahead */
}

static void
write_scans(struct text *text)
{
    for (size_t i = 0; i < text->from->channel_count; i++) {
        write_scan(text, &text->from->channels[i]);
    }
}

static void
write_queues(struct text *text)
{
    for (size_t i = 0; i < text->from->channel_count; i++) {
        const struct pw_metrics_channel *channel = &text->from->channels[i];
        sample(text, LABELS("channel", channel->name), channel->slots[PW_METER_QUEUE]);
    }
}

static const char *const sides[] = {"in", "out"};

static void
write_connections(struct text *text)
{
    for (size_t i = 0; i < text->from->channel_count; i++) {
        const struct pw_metrics_channel *channel = &text->from->channels[i];
        for (size_t side = 0; side < PW_COUNT(sides); side++) {
            sample(text, LABELS("channel", channel->name, "side", sides[side]),
                   channel->connections[side]);
        }
    }
}

static void
write_peers_of(struct text *text, const struct pw_metrics_channel *channel, size_t side)
{
    for (size_t what = 0; what < PW_PEER_WHATS; what++) {
        sample(text,
               LABELS("channel", channel->name, "side", sides[side], "what",
                      pw_peer_what_text((enum pw_peer_what)what)),
               channel->peers[side][what]);
    }
}

static void
write_peers(struct text *text)
{
    for (size_t i = 0; i < text->from->channel_count; i++) {
        for (size_t side = 0; side < PW_COUNT(sides); side++) {
            write_peers_of(text, &text->from->channels[i], side);
        }
    }
}

static void
write_unstored(struct text *text)
{
    for (size_t i = 0; i < text->from->channel_count; i++) {
        const struct pw_metrics_channel *channel = &text->from->channels[i];
        sample(text, LABELS("channel", channel->name), channel->unstored);
    }
}

static void
write_audit_missed(struct text *text)
{
    for (size_t i = 0; i < text->from->copy_count; i++) {
        sample(text, LABELS("copy", text->from->copies[i]), text->from->audit.missed[i]);
    }
}

static void
write_quarantine_items(struct text *text)
{
    for (size_t i = 0; i < PW_STORE_STATES; i++) {
        sample(text, LABELS("state", pw_store_state_text((enum pw_store_state)i)),
               text->from->quarantine.entries[i]);
    }
}

static void
write_quarantine_oldest(struct text *text)
{
    if (text->from->oldest > 0) {
        sample_seconds(text, LABELS(NULL), (double)text->from->oldest / ns_per_s);
    }
}

static void
write_key_not_after(struct text *text)
{
    for (size_t i = 0; i < text->from->key_count; i++) {
        const struct pw_metrics_key *key = &text->from->keys[i];
        if (key->until != PW_KEY_FOR_EVER) {
            sample_seconds(text, LABELS("kid", key->name), (double)key->until / ns_per_s);
        }
    }
}

static void
write_key_usable(struct text *text)
{
    for (size_t i = 0; i < text->from->key_count; i++) {
        const struct pw_metrics_key *key = &text->from->keys[i];
        sample(text, LABELS("kid", key->name), key->unusable == PW_R_NONE);
    }
}

static void
write_reload_time(struct text *text)
{
    sample_seconds(text, LABELS(NULL), (double)text->from->reload.at / ns_per_s);
}

static void
write_reloads(struct text *text)
{
    sample(text, LABELS("result", "done"), text->from->reload.done);
    sample(text, LABELS("result", "refused"), text->from->reload.refused);
}

static void
write_process_cpu(struct text *text)
{
    sample_seconds(text, LABELS(NULL), text->from->process.cpu_s);
}

static void
write_process_start(struct text *text)
{
    sample_seconds(text, LABELS(NULL), (double)text->from->started / ns_per_s);
}

#define NUMBER(function, member)                                                           \
    static void function(struct text *text)                                                \
    {                                                                                      \
        sample(text, LABELS(NULL), (uint64_t)text->from->member);                          \
    }
NUMBER(write_audit_records, audit.written)
NUMBER(write_audit_summarised, audit.summarised)
NUMBER(write_audit_lost, audit.lost)
NUMBER(write_audit_errors, audit.errors)
NUMBER(write_audit_ready, audit_ready)
NUMBER(write_audit_chain, audit.chain_size)
NUMBER(write_quarantine_bytes, quarantine.bytes)
NUMBER(write_quarantine_limit, quarantine_max_bytes)
NUMBER(write_reload_good, reload.good)
NUMBER(write_sandbox, sandbox)
NUMBER(write_process_resident, process.resident)
NUMBER(write_process_virtual, process.virtual)
NUMBER(write_process_fds, process.fds)
NUMBER(write_process_max_fds, process.max_fds)
#undef NUMBER

/* --- the whole ----------------------------------------------------------------------- */

/* What a family is called: the older text has no INFO, and counts `_total` to the name. */
static void
describe(struct text *text, const char *what, const char *words)
{
    static const char *const behind[] = {[COUNTER] = "_total", [INFO] = "_info"};
    enum kind kind = text->row->kind;
    bool whole = !text->open && kind < PW_COUNT(behind) && behind[kind] != NULL;
    put(text, "# ");
    put(text, what);
    put(text, " ");
    put(text, text->row->name);
    put(text, whole ? behind[kind] : "");
    put(text, " ");
    put(text, words);
    put(text, "\n");
}

static void
write_head(struct text *text)
{
    static const char *const kinds[] = {[COUNTER] = "counter",
                                        [GAUGE] = "gauge",
                                        [HISTOGRAM] = "histogram",
                                        [INFO] = "info"};
    enum kind kind = !text->open && text->row->kind == INFO ? GAUGE : text->row->kind;
    describe(text, "HELP", text->row->help);
    describe(text, "TYPE", kinds[kind]);
    if (text->open && text->row->unit[0] != '\0') {
        describe(text, "UNIT", text->row->unit);
    }
}

enum pw_err
pw_metrics_write(const struct pw_metrics *metrics, enum pw_metrics_form form,
                 struct pw_buf *out)
{
    static const struct {
        struct row row;
        void (*write)(struct text *text);
    } rows[] = {
#define PW_METRIC(name, kind, unit, labels, write, help)                                   \
    {{name, kind, unit, help}, write_##write},
#include "proxy/metrics.def"
#undef PW_METRIC
    };
    struct text text = {
        .out = out, .open = form == PW_METRICS_OPENMETRICS, .from = metrics};
    for (size_t i = 0; i < PW_COUNT(rows); i++) {
        text.row = &rows[i].row;
        write_head(&text);
        rows[i].write(&text);
    }
    put(&text, text.open ? "# EOF\n" : "");
    return text.err;
}

void
pw_metrics_free(struct pw_metrics *metrics)
{
    free(metrics->channels);
    free(metrics->keys);
    *metrics = (struct pw_metrics){0};
}
