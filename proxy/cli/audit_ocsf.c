/* SPDX-License-Identifier: Apache-2.0
 *
 * The Open Cybersecurity Schema Framework, version 1.9: github.com/ocsf/ocsf-schema,
 * events/findings/detection_finding.json, events/application/application_lifecycle.json,
 * profiles/security_control.json, profiles/record_integrity.json, objects/attestation.json.
 */
#include "proxy/cli/audit_export.h"

enum { FINDING = 2004, LIFECYCLE = 6002, CREATE = 1, START = 3, STOP = 4, OTHER = 99 };

static const uint64_t ns_per_ms = 1000000;

static const struct pw_export_row rows[] = {
    {"id", "metadata.uid"},
    {"seq", "metadata.sequence"},
    {"schema", "metadata.log_version"},
    {"ts", "metadata.original_time"},
    {"ver", "metadata.product.version"},
    {"inst", "metadata.product.uid"},
    {"host", "device.hostname"},
    {"lost", "unmapped.lost"},
    {"pid", "unmapped.pid"},
    {"in", "unmapped.in"},
    {"error", "status_detail"},
};

static const struct pw_export_row finding_rows[] = {
    {"id", "finding_info.uid"},
    {"reason_text", "finding_info.title"},
    {"reason", "finding_info.analytic.uid"},
    {"reason_text", "finding_info.analytic.name"},
    {"reason", "status_code"},
    {"reason_text", "status_detail"},
    {"rule.set", "policy.name"},
};

static const struct pw_export_row lifecycle_rows[] = {
    {"chan", "unmapped.channel"},  {"verdict", "unmapped.verdict"},
    {"msg", "unmapped.message"},   {"pickle", "unmapped.pickle"},
    {"sig", "unmapped.signature"}, {"summary", "unmapped.summary"},
    {"detail", "unmapped.detail"}, {"checkpoint", "unmapped.checkpoint"},
    {"tree", "unmapped.tree"},     {"detail_cut", "unmapped.detail_cut"},
    {"inst", "app.uid"},           {"ver", "app.version"},
};

/* ---- a refusal ---- */

struct outcome {
    const char *verdict;
    int action_id;
    const char *action;
    int disposition_id;
    const char *disposition;
};

static const struct outcome outcomes[] = {
    {"quarantine", 2, "Denied", 3, "Quarantined"},
    {"drop", 2, "Denied", 6, "Dropped"},
    {"pass", 3, "Observed", 17, "Logged"}, /* a violation that is only reported */
};

static void
put_outcome(struct pw_export *export)
{
    const char *verdict = pw_export_text(export, "verdict");
    for (size_t i = 0; i < PW_COUNT(outcomes); i++) {
        if (strcmp(outcomes[i].verdict, verdict) == 0) {
            pw_export_put(export, "action_id", json_integer(outcomes[i].action_id));
            pw_export_put_text(export, "action", outcomes[i].action);
            pw_export_put(export, "disposition_id",
                          json_integer(outcomes[i].disposition_id));
            pw_export_put_text(export, "disposition", outcomes[i].disposition);
        }
    }
}

static json_t *
fingerprint(const char *hex)
{
    return json_pack("{s:i,s:s,s:s}", "algorithm_id", 3, "algorithm", "SHA-256", "value",
                     hex);
}

/* The message as a file: its object in the quarantine is one. */
static json_t *
message_file(const struct pw_export *export)
{
    const char *hash = pw_export_text(export, "msg.sha256");
    const char *name = hash[0] != '\0' ? hash : pw_export_text(export, "id");
    json_int_t size = json_integer_value(pw_export_get(export, "msg.bytes"));
    if (hash[0] == '\0') {
        return json_pack("{s:s,s:i,s:I}", "name", name, "type_id", 1, "size", size);
    }
    return json_pack("{s:s,s:i,s:I,s:[o]}", "name", name, "type_id", 1, "size", size,
                     "hashes", fingerprint(hash));
}

static void
add(json_t *object, const char *key, json_t *value, bool *failed)
{
    *failed = json_object_set_new(object, key, value) != 0 || *failed;
}

static void
add_copy(const struct pw_export *export, json_t *object, const char *key, const char *path,
         bool *failed)
{
    json_t *value = pw_export_get(export, path);
    if (value != NULL) {
        *failed = json_object_set(object, key, value) != 0 || *failed;
    }
}

static json_t *
evidence_data(const struct pw_export *export, bool *failed)
{
    json_t *data = json_object();
    add_copy(export, data, "findings", "finds", failed);
    add_copy(export, data, "findings_total", "finds_total", failed);
    add_copy(export, data, "pickle", "pickle", failed);
    add_copy(export, data, "signature", "sig", failed);
    add_copy(export, data, "quarantine", "q", failed);
    add_copy(export, data, "frames", "msg.frames", failed);
    add_copy(export, data, "detail_cut", "detail_cut", failed);
    return data;
}

static void
put_evidence(struct pw_export *export)
{
    bool failed = false;
    json_t *evidence = json_object();
    add_copy(export, evidence, "name", "chan", &failed);
    add_copy(export, evidence, "uid", "q.entry", &failed);
    add(evidence, "file", message_file(export), &failed);
    add(evidence, "data", evidence_data(export, &failed), &failed);
    const char *source = pw_export_text(export, "src");
    if (source[0] != '\0') {
        const char *key = pw_export_source_is_ip(export) ? "ip" : "name";
        add(evidence, "src_endpoint", json_pack("{s:s}", key, source), &failed);
    }
    const char *target = pw_export_text(export, "out");
    if (target[0] != '\0') {
        add(evidence, "dst_endpoint", json_pack("{s:s}", "name", target), &failed);
    }
    pw_export_put(export, "evidences", json_pack("[o]", evidence));
    export->failed = export->failed || failed;
}

static void
put_finding(struct pw_export *export)
{
    pw_export_rows(export, finding_rows, PW_COUNT(finding_rows));
    pw_export_put(export, "finding_info.analytic.type_id", json_integer(1));
    pw_export_put_text(export, "finding_info.analytic.type", "Rule");
    pw_export_put(export, "finding_info.created_time",
                  json_integer((json_int_t)(export->ns / ns_per_ms)));
    pw_export_put_message(export, "finding_info.desc");
    pw_export_put(export, "is_alert", json_true());
    pw_export_put(export, "status_id", json_integer(1));
    pw_export_put_text(export, "status", "New");
    pw_export_put(export, "resources",
                  json_pack("[{s:s,s:s}]", "name", pw_export_text(export, "chan"), "type",
                            "ZeroMQ channel"));
    put_outcome(export);
    put_evidence(export);
}

/* ---- all else ---- */

static void
put_lifecycle(struct pw_export *export)
{
    pw_export_rows(export, lifecycle_rows, PW_COUNT(lifecycle_rows));
    bool failed = pw_export_text(export, "error")[0] != '\0';
    pw_export_put_text(export, "app.name", "picklewall");
    pw_export_put_text(export, "app.vendor_name", "picklewall");
    pw_export_put(export, "status_id", json_integer(failed ? 2 : 1));
    pw_export_put_text(export, "status", failed ? "Failure" : "Success");
}

/* ---- what every class has ---- */

static void
put_class(struct pw_export *export, int class_uid, int activity, const char *activity_name)
{
    bool finding = class_uid == FINDING;
    pw_export_put(export, "category_uid", json_integer(finding ? 2 : 6));
    pw_export_put_text(export, "category_name",
                       finding ? "Findings" : "Application Activity");
    pw_export_put(export, "class_uid", json_integer(class_uid));
    pw_export_put_text(export, "class_name",
                       finding ? "Detection Finding" : "Application Lifecycle");
    pw_export_put(export, "activity_id", json_integer(activity));
    pw_export_put_text(export, "activity_name", activity_name);
    pw_export_put(export, "type_uid", json_integer(class_uid * 100 + activity));
}

static void
put_severity(struct pw_export *export)
{
    static const char *const names[] = {"Informational", "Low", "Medium", "High",
                                        "Critical"};
    int severity = pw_export_severity(export);
    pw_export_put(export, "severity_id", json_integer(severity));
    pw_export_put_text(export, "severity", names[severity - 1]);
}

/* The hashes are those of the lines in the log, where `audit verify` checks them, and not
 * of the objects that are made of them here. */
static void
put_attestation(struct pw_export *export)
{
    const char *chain = pw_export_text(export, "chain");
    const char *prev = pw_export_text(export, "prev");
    if (chain[0] == '\0') {
        return;
    }
    bool first = strspn(prev, "0") == strlen(prev);
    json_t *entry = first ? json_pack("{s:s,s:o}", "chain_uid", chain, "fingerprint",
                                      fingerprint(export->hash))
                          : json_pack("{s:s,s:o,s:{s:o}}", "chain_uid", chain,
                                      "fingerprint", fingerprint(export->hash),
                                      "prev_event", "fingerprint", fingerprint(prev));
    pw_export_put(export, "attestation_list", json_pack("[o]", entry));
}

static void
put_metadata(struct pw_export *export)
{
    pw_export_put_text(export, "metadata.version", "1.9.0");
    pw_export_put_text(export, "metadata.product.name", "picklewall");
    pw_export_put_text(export, "metadata.product.vendor_name", "picklewall");
    pw_export_put_text(export, "metadata.log_name", "audit");
    pw_export_put_text(export, "metadata.event_code", pw_export_text(export, "event"));
    pw_export_put(export, "metadata.profiles",
                  json_pack("[s,s]", "security_control", "record_integrity"));
    pw_export_put(export, "device.type_id", json_integer(0));
    pw_export_put(export, "time", json_integer((json_int_t)(export->ns / ns_per_ms)));
    json_t *micros = pw_export_get(export, "dur_us");
    if (json_is_number(micros)) {
        json_int_t millis = (json_int_t)(json_number_value(micros) / 1000 + 0.5);
        pw_export_put(export, "duration", json_integer(millis));
    }
}

void
pw_export_ocsf(struct pw_export *export)
{
    const char *event = pw_export_text(export, "event");
    bool refused =
        strcmp(event, "frame") == 0 && pw_export_text(export, "reason")[0] != '\0';
    pw_export_rows(export, rows, PW_COUNT(rows));
    put_metadata(export);
    put_severity(export);
    put_attestation(export);
    pw_export_put_message(export, "message");
    if (refused) {
        put_class(export, FINDING, CREATE, "Create");
        put_finding(export);
    } else if (strcmp(event, "start") == 0) {
        put_class(export, LIFECYCLE, START, "Start");
        put_lifecycle(export);
    } else if (strcmp(event, "stop") == 0) {
        put_class(export, LIFECYCLE, STOP, "Stop");
        put_lifecycle(export);
    } else {
        put_class(export, LIFECYCLE, OTHER, event);
        put_lifecycle(export);
    }
}
