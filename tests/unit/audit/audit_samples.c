/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes an audit log with every kind of event, reason and signature state, and with
 * hostile names, for readers in other languages to check: audit_samples FILE. The key that
 * signs checkpoints, and what else belongs to the chain, comes into the folder of FILE.
 */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/audit/audit.h"
#include "common/base/clock.h"
#include "common/base/json.h"

static void
push(struct pw_audit *audit, struct pw_audit_record record)
{
    if (pw_audit_push(audit, &record, 1) != PW_E_OK) {
        abort();
    }
}

static struct pw_audit_record
message(int channel, enum pw_verdict verdict, enum pw_reason reason)
{
    return (struct pw_audit_record){.wall_ns = pw_clock_wall(),
                                    .channel = channel,
                                    .event = PW_EVENT_FRAME,
                                    .verdict = (uint8_t)verdict,
                                    .enforced = true,
                                    .scanned = true,
                                    .proto = 4,
                                    .reason = (uint8_t)reason,
                                    .frames = 1,
                                    .ops = 22,
                                    .depth = 3,
                                    .memo = 4,
                                    .dur_ns = 1234567,
                                    .bytes = 412};
}

/* One finding on a name of these bytes, as it stands in a line. */
static char *
finding(struct pw_span name)
{
    struct pw_buf text = {.limit = 1 << 20};
    struct pw_json json = pw_json_over(&text);
    pw_json_array(&json, "finds");
    pw_json_object(&json, NULL);
    pw_json_str(&json, "code", "import.denied");
    pw_json_bytes(&json, "mod", pw_span_str("posix"), 128);
    pw_json_bytes(&json, "name", name, 128);
    pw_json_str(&json, "level", "critical");
    pw_json_str(&json, "note", "runs a program");
    pw_json_end_object(&json);
    pw_json_end_array(&json);
    pw_json_uint(&json, "finds_total", 1);
    if (json.err != PW_E_OK ||
        pw_buf_append(&text, (struct pw_span){(const uint8_t *)"", 1}) != PW_E_OK) {
        abort();
    }
    return (char *)text.bytes;
}

static void
push_hostile_names(struct pw_audit *audit, int channel)
{
    static const char *const names[] = {
        "system",           "\x1b[31mred",  "two\nlines\r\n",   "\"}{\\",
        "\xff\xfe\xc3\x28", "\xc2\x9b;31m", "\xf0\x9f\x92\xa9", "\xed\xa0\x80"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        struct pw_audit_record record = message(channel, PW_QUARANTINE, PW_R_IMPORT_DENIED);
        record.detail = finding(pw_span_str(names[i]));
        push(audit, record);
    }
}

static void
push_signatures(struct pw_audit *audit, int channel)
{
    for (int reason = PW_R_SIG_FRAMES; reason <= PW_R_SIG_BAD; reason++) {
        struct pw_audit_record record = message(channel, PW_DROP, (enum pw_reason)reason);
        record.sig.state = reason == PW_R_SIG_MISSING ? PW_SIG_MISSING : PW_SIG_BAD;
        record.sig.reason = (enum pw_reason)reason;
        record.sig.suite = reason == PW_R_SIG_MISSING ? 0 : 255;
        record.sig.epoch = UINT64_MAX;
        record.sig.time_ns = UINT64_MAX;
        push(audit, record);
    }
    struct pw_audit_record good = message(channel, PW_PASS, PW_R_NONE);
    good.sig.state = PW_SIG_OK;
    good.sig.suite = 2;
    good.sig.time_ns = good.wall_ns;
    push(audit, good);
    good.sig = (struct pw_sig_result){.state = PW_SIG_UNDATED, .key_id = {1}};
    push(audit, good);
}

static void
push_everything(struct pw_audit *audit, int channel)
{
    for (int event = PW_EVENT_START; event <= PW_EVENT_PEER; event++) {
        push(audit, (struct pw_audit_record){.wall_ns = pw_clock_wall(),
                                             .channel = -1,
                                             .event = (uint8_t)event});
    }
    for (int reason = 1; reason < PW_R_COUNT; reason++) {
        push(audit, message(channel, PW_DROP, (enum pw_reason)reason));
    }
    struct pw_audit_record reported = message(channel, PW_PASS, PW_R_IMPORT_DENIED);
    reported.enforced = false;
    push(audit, reported);
    push(audit, message(channel, PW_PASS, PW_R_NONE));
    push_signatures(audit, channel);
    push_hostile_names(audit, channel);
}

int
main(int argc, char **argv)
{
    char path[PATH_MAX] = "";
    snprintf(path, sizeof path, "%s", argc == 2 ? argv[1] : "");
    const char *folder = dirname(path);
    for (int pass_each = 0; argc == 2 && pass_each < 2; pass_each++) {
        struct pw_audit_options options = {.path = argv[1],
                                           .instance = "samples",
                                           .pass_each = pass_each != 0,
                                           .state = folder};
        struct pw_why why = {{0}};
        struct pw_audit *audit = pw_audit_open(&options, &why);
        if (audit == NULL) {
            fprintf(stderr, "%s\n", why.text);
            return EXIT_FAILURE;
        }
        int channel =
            pw_audit_channel(audit, "jobs", "tcp://127.0.0.1:1", "ipc:///tmp/\xff\n");
        push_everything(audit, channel);
        pw_audit_close(&audit);
    }
    return argc == 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
