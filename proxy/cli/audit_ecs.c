/* SPDX-License-Identifier: Apache-2.0
 *
 * The Elastic Common Schema, version 9: github.com/elastic/ecs, schemas/.
 */
#include "proxy/cli/audit_export.h"

static const struct pw_export_row rows[] = {
    {"ts", "@timestamp"},
    {"id", "event.id"},
    {"seq", "event.sequence"},
    {"reason", "event.code"},
    {"reason_text", "event.reason"},
    {"level", "log.level"},
    {"inst", "observer.name"},
    {"ver", "observer.version"},
    {"in", "observer.ingress.interface.name"},
    {"out", "observer.egress.interface.name"},
    {"host", "host.name"},
    {"pid", "process.pid"},
    {"src", "source.address"},
    {"reason", "rule.id"},
    {"reason_text", "rule.name"},
    {"rule.set", "rule.ruleset"},
    {"msg.bytes", "file.size"},
    {"msg.sha256", "file.hash.sha256"},
    {"error", "error.message"},
    {"schema", "picklewall.schema"},
    {"chan", "picklewall.channel"},
    {"verdict", "picklewall.verdict"},
    {"enforced", "picklewall.enforced"},
    {"msg.frames", "picklewall.frames"},
    {"pickle", "picklewall.pickle"},
    {"sig", "picklewall.signature"},
    {"finds", "picklewall.findings"},
    {"finds_total", "picklewall.findings_total"},
    {"q", "picklewall.quarantine"},
    {"summary", "picklewall.summary"},
    {"detail", "picklewall.detail"},
    {"detail_cut", "picklewall.detail_cut"},
    {"checkpoint", "picklewall.checkpoint"},
    {"tree", "picklewall.tree"},
    {"lost", "picklewall.audit.lost"},
    {"chain", "picklewall.audit.chain"},
    {"prev", "picklewall.audit.prev"},
};

/* What kind of event it is, in the words that the schema allows together. */
struct kind {
    const char *event, *verdict;
    const char *category, *type, *action, *outcome;
};

/* clang-format off */
static const struct kind kinds[] = {
    {"frame",      "pass",       "intrusion_detection", "allowed", "passed",      "success"},
    {"frame",      "quarantine", "intrusion_detection", "denied",  "quarantined", "success"},
    {"frame",      "drop",       "intrusion_detection", "denied",  "dropped",     "success"},
    {"summary",    NULL,         "intrusion_detection", "allowed", "passed",      "success"},
    {"start",      NULL,         "process",             "start",   "started",     "success"},
    {"stop",       NULL,         "process",             "end",     "stopped",     "success"},
    {"config",     NULL,         "configuration",       "change",  "configured",  "success"},
    {"key",        NULL,         "configuration",       "change",  "keys-read",   "success"},
    {"quarantine", NULL,         "file",                "change",  "quarantine",  "success"},
    {"rotate",     NULL,         "file",                "change",  "log-rotated", "success"},
    {"checkpoint", NULL,         "file",                "info",    "log-sealed",  "success"},
    {"peer",       NULL,         "network",             "connection", "peer",     "unknown"},
    {"error",      NULL,         "process",             "info",    "error",       "failure"},
};
static const struct kind other = {NULL, NULL, "process", "info", "event", "unknown"};
/* clang-format on */

static const struct kind *
kind_of(const struct pw_export *export)
{
    const char *event = pw_export_text(export, "event");
    const char *verdict = pw_export_text(export, "verdict");
    for (size_t i = 0; i < PW_COUNT(kinds); i++) {
        if (strcmp(kinds[i].event, event) == 0 &&
            (kinds[i].verdict == NULL || strcmp(kinds[i].verdict, verdict) == 0)) {
            return &kinds[i];
        }
    }
    return &other;
}

static void
put_kind(struct pw_export *export)
{
    const struct kind *kind = kind_of(export);
    const char *event = pw_export_text(export, "event");
    bool alert = strcmp(event, "frame") == 0 && pw_export_text(export, "reason")[0] != '\0';
    bool failed = pw_export_text(export, "error")[0] != '\0';
    pw_export_put_text(export, "event.kind", alert ? "alert" : "event");
    pw_export_put(export, "event.category", json_pack("[s]", kind->category));
    pw_export_put(export, "event.type", json_pack("[s]", kind->type));
    pw_export_put_text(export, "event.action", kind->action);
    pw_export_put_text(export, "event.outcome", failed ? "failure" : kind->outcome);
    pw_export_put_text(export, "event.module", "picklewall");
    pw_export_put_text(export, "event.provider", "picklewall");
    pw_export_put(export, "event.dataset", json_sprintf("picklewall.%s", event));
    pw_export_put(export, "event.severity", json_integer(pw_export_severity(export)));
}

static void
put_source(struct pw_export *export)
{
    if (pw_export_source_is_ip(export)) {
        const char *ip = pw_export_text(export, "src");
        pw_export_put_text(export, "source.ip", ip);
        pw_export_put(export, "related.ip", json_pack("[s]", ip));
    }
    const char *hash = pw_export_text(export, "msg.sha256");
    if (hash[0] != '\0') {
        pw_export_put(export, "related.hash", json_pack("[s]", hash));
    }
}

void
pw_export_ecs(struct pw_export *export)
{
    pw_export_rows(export, rows, PW_COUNT(rows));
    pw_export_put_text(export, "ecs.version", "9.0.0");
    put_kind(export);
    put_source(export);
    json_t *micros = pw_export_get(export, "dur_us");
    if (json_is_number(micros)) {
        json_int_t nanos = (json_int_t)(json_number_value(micros) * 1000 + 0.5);
        pw_export_put(export, "event.duration", json_integer(nanos));
    }
    pw_export_put_text(export, "event.hash", export->hash);
    pw_export_put_text(export, "observer.vendor", "picklewall");
    pw_export_put_text(export, "observer.product", "picklewall");
    pw_export_put_text(export, "observer.type", "proxy");
    pw_export_put_message(export, "message");
}
