/* SPDX-License-Identifier: Apache-2.0
 *
 * What a channel counts, and the text of /metrics.
 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "proxy/metrics.h"
#include "tests/unit/fail_alloc.h"

enum { TEXT_LIMIT = 1 << 20 };

static struct pw_metrics_channel channel = {
    .name = "jobs",
    .forwarded = 7,
    .quarantined = 2,
    .dropped = 1,
    .connections = {3, 4},
    .peers = {{5}, {0}},
    .slots =
        {
            [PW_METER_BYTES_IN] = 1000,
            [PW_METER_QUEUE] = 6,
            [PW_METER_SCAN_NS] = 3500000000,
            [PW_METER_SCAN] = 1,
            [PW_METER_SCAN + 1] = 2,
            [PW_METER_SCAN + PW_METER_BUCKETS] = 1,
            [PW_METER_SIG + PW_SIG_BAD] = 9,
            [PW_METER_REASON + PW_R_DRAIN_TIMEOUT] = 8,
        },
};
static struct pw_metrics_key keys[] = {
    {.name = "ends", .until = 1900000000000000000},
    {.name = "stays", .until = PW_KEY_FOR_EVER, .unusable = PW_R_SIG_REVOKED},
};

static struct pw_metrics
sample_metrics(void)
{
    return (struct pw_metrics){
        .started = 1700000000500000000,
        .channels = &channel,
        .channel_count = 1,
        .keys = keys,
        .key_count = PW_COUNT(keys),
        .audit = {.written = 11, .missed = {12}},
        .copies = {"http"},
        .copy_count = 1,
        .oldest = 1650000000250000000,
        .sandbox = 3,
        .probes = {[PW_HEALTH_LIVE] = {.good = true}},
        .reload = {.good = true, .at = 1600000000000000000, .done = 2, .refused = 1},
    };
}

static char *
text_of(const struct pw_metrics *metrics, enum pw_metrics_form form)
{
    struct pw_buf out = {.limit = TEXT_LIMIT};
    assert_int_equal(pw_metrics_write(metrics, form, &out), PW_E_OK);
    assert_int_equal(pw_buf_append(&out, BYTES("\0")), PW_E_OK);
    return (char *)out.bytes;
}

/* Whether `line` is a line of the text. */
static bool
has_line(const char *text, const char *line)
{
    char wanted[400];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    return strstr(text, wanted) != NULL;
}

static const char *const lines[] = {
    "picklewall_messages_total{channel=\"jobs\",verdict=\"pass\"} 7",
    "picklewall_messages_total{channel=\"jobs\",verdict=\"quarantine\"} 2",
    "picklewall_messages_total{channel=\"jobs\",verdict=\"drop\"} 1",
    "picklewall_bytes_total{channel=\"jobs\",direction=\"in\"} 1000",
    "picklewall_findings_total{channel=\"jobs\",reason=\"drain.timeout\"} 8",
    "picklewall_findings_total{channel=\"jobs\",reason=\"import.denied\"} 0",
    "picklewall_signature_results_total{channel=\"jobs\",state=\"bad\"} 9",
    "picklewall_scan_seconds_bucket{channel=\"jobs\",le=\"1e-06\"} 1",
    "picklewall_scan_seconds_bucket{channel=\"jobs\",le=\"2.5e-06\"} 3",
    "picklewall_scan_seconds_bucket{channel=\"jobs\",le=\"2.5\"} 3",
    "picklewall_scan_seconds_bucket{channel=\"jobs\",le=\"+Inf\"} 4",
    "picklewall_scan_seconds_sum{channel=\"jobs\"} 3.500000000",
    "picklewall_scan_seconds_count{channel=\"jobs\"} 4",
    "picklewall_queue_messages{channel=\"jobs\"} 6",
    "picklewall_connections{channel=\"jobs\",side=\"out\"} 4",
    "picklewall_peer_events_total{channel=\"jobs\",side=\"in\",what=\"connected\"} 5",
    "picklewall_audit_records_total 11",
    "picklewall_audit_missed_total{copy=\"http\"} 12",
    "picklewall_quarantine_items{state=\"held\"} 0",
    "picklewall_quarantine_oldest_timestamp_seconds 1650000000.250000",
    "picklewall_key_not_after_timestamp_seconds{kid=\"ends\"} 1900000000.000000",
    "picklewall_key_usable{kid=\"stays\"} 0",
    "picklewall_config_last_reload_successful 1",
    "picklewall_config_reloads_total{result=\"refused\"} 1",
    "picklewall_sandbox_level 3",
    "picklewall_healthy{probe=\"live\"} 1",
    "picklewall_healthy{probe=\"ready\"} 0",
    "process_start_time_seconds 1700000000.500000",
};

static void
both_forms_have_every_sample(void **state)
{
    (void)state;
    struct pw_metrics metrics = sample_metrics();
    for (int form = PW_METRICS_PROMETHEUS; form <= PW_METRICS_OPENMETRICS; form++) {
        char *text = text_of(&metrics, (enum pw_metrics_form)form);
        for (size_t i = 0; i < PW_COUNT(lines); i++) {
            check_case(lines[i], has_line(text, lines[i]));
        }
        assert_null(strstr(text, "timestamp_seconds{kid=\"stays\"}"));
        free(text);
    }
}

static void
each_form_has_its_own_heads(void **state)
{
    (void)state;
    struct pw_metrics metrics = sample_metrics();
    char *plain = text_of(&metrics, PW_METRICS_PROMETHEUS);
    char *open = text_of(&metrics, PW_METRICS_OPENMETRICS);
    assert_true(has_line(plain, "# TYPE picklewall_messages_total counter"));
    assert_true(has_line(plain, "# TYPE picklewall_build_info gauge"));
    assert_null(strstr(plain, "# UNIT"));
    assert_null(strstr(plain, "# EOF"));
    assert_true(has_line(open, "# TYPE picklewall_messages counter"));
    assert_true(has_line(open, "# TYPE picklewall_build info"));
    assert_true(has_line(open, "# UNIT picklewall_scan_seconds seconds"));
    assert_string_equal(open + strlen(open) - 6, "# EOF\n");
    free(plain);
    free(open);
}

static void
what_is_not_there_has_no_sample(void **state)
{
    (void)state;
    struct pw_metrics none = {0};
    char *text = text_of(&none, PW_METRICS_OPENMETRICS);
    assert_null(strstr(text, "oldest_timestamp_seconds 0"));
    assert_null(strstr(text, "channel="));
    free(text);
}

static void
a_label_cannot_leave_its_quotes(void **state)
{
    (void)state;
    struct pw_metrics_channel odd = {.name = "a\"b\\c\nd"};
    struct pw_metrics metrics = {.channels = &odd, .channel_count = 1};
    char *text = text_of(&metrics, PW_METRICS_PROMETHEUS);
    assert_true(has_line(text, "picklewall_queue_messages{channel=\"a\\\"b\\\\c\\nd\"} 0"));
    free(text);
}

static const struct accept_case {
    const char *accept;
    enum pw_metrics_form form;
} accept_cases[] = {
    {NULL, PW_METRICS_PROMETHEUS},
    {"", PW_METRICS_PROMETHEUS},
    {"*/*", PW_METRICS_PROMETHEUS},
    {"text/plain", PW_METRICS_PROMETHEUS},
    {"application/openmetrics-text", PW_METRICS_OPENMETRICS},
    {"Application/OpenMetrics-Text ; Version=1.0.0", PW_METRICS_OPENMETRICS},
    {"application/openmetrics-text;version=0.0.1", PW_METRICS_PROMETHEUS},
    {"application/openmetrics-text;version=2.0.0,text/plain;q=0.1", PW_METRICS_PROMETHEUS},
    {"application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5",
     PW_METRICS_OPENMETRICS},
    {"application/openmetrics-text;q=0.3,text/plain;version=0.0.4;q=0.5",
     PW_METRICS_PROMETHEUS},
    {"application/openmetrics-text;q=0", PW_METRICS_PROMETHEUS},
    {"application/openmetrics-text;q=0.0005", PW_METRICS_PROMETHEUS},
    {";;;,,,;q=", PW_METRICS_PROMETHEUS},
};

static void
the_form_is_the_one_the_client_prefers(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(accept_cases); i++) {
        const char *accept = accept_cases[i].accept;
        check_case(accept != NULL ? accept : "no header",
                   pw_metrics_accept(accept) == accept_cases[i].form);
    }
}

static void
the_readme_lists_every_metric(void **state)
{
    (void)state;
    static const struct {
        const char *name, *kind, *labels, *help;
    } rows[] = {
#define PW_METRIC(name, kind, unit, labels, write, help) {name, #kind, labels, help},
#include "proxy/metrics.def"
#undef PW_METRIC
    };
    struct pw_buf readme = {.limit = TEXT_LIMIT};
    char path[4096];
    snprintf(path, sizeof path, "%s/proxy/README.md", getenv("PW_SOURCE_DIR"));
    assert_int_equal(pw_file_read(path, &readme), PW_E_OK);
    assert_int_equal(pw_buf_append(&readme, BYTES("\0")), PW_E_OK);
    for (size_t i = 0; i < PW_COUNT(rows); i++) {
        char row[600];
        const char *behind = strcmp(rows[i].kind, "COUNTER") == 0 ? "_total"
                             : strcmp(rows[i].kind, "INFO") == 0  ? "_info"
                                                                  : "";
        snprintf(row, sizeof row, "| `%s%s` | %s | %s | %s |\n", rows[i].name, behind,
                 strcmp(rows[i].kind, "COUNTER") == 0     ? "counter"
                 : strcmp(rows[i].kind, "GAUGE") == 0     ? "gauge"
                 : strcmp(rows[i].kind, "HISTOGRAM") == 0 ? "histogram"
                                                          : "info",
                 rows[i].labels, rows[i].help);
        if (strstr((char *)readme.bytes, row) == NULL) {
            fail_msg("proxy/README.md lacks: %s", row);
        }
    }
    pw_buf_free(&readme);
}

/* --- what a channel counts ----------------------------------------------------------- */

static void
a_meter_shows_what_was_counted(void **state)
{
    (void)state;
    static struct pw_meter meter;
    uint64_t shown[PW_METER_SLOTS];
    const struct pw_decision_find find = {.reason = PW_R_IMPORT_DENIED};
    struct pw_decision refused = {
        .reason = PW_R_IMPORT_DENIED, .finds = &find, .find_count = 1};
    struct pw_decision late = {.reason = PW_R_DRAIN_TIMEOUT, .sig.state = PW_SIG_OK};
    pw_meter_decision(&meter, &refused);
    pw_meter_decision(&meter, &late);
    pw_meter_decision(&meter, &(struct pw_decision){.reason = PW_R_NONE});
    pw_meter_scan(&meter, 1000);
    pw_meter_scan(&meter, 1001);
    pw_meter_scan(&meter, UINT64_C(1) << 40);
    pw_meter_read(&meter, shown);
    assert_int_equal(shown[PW_METER_SCANS], 0);
    pw_meter_show(&meter);
    pw_meter_read(&meter, shown);
    assert_int_equal(shown[PW_METER_REASON + PW_R_IMPORT_DENIED], 1);
    assert_int_equal(shown[PW_METER_REASON + PW_R_DRAIN_TIMEOUT], 1);
    assert_int_equal(shown[PW_METER_SIG + PW_SIG_NONE], 2);
    assert_int_equal(shown[PW_METER_SIG + PW_SIG_OK], 1);
    assert_int_equal(shown[PW_METER_SCAN], 1);
    assert_int_equal(shown[PW_METER_SCAN + 1], 1);
    assert_int_equal(shown[PW_METER_SCAN + PW_METER_BUCKETS], 1);
    assert_int_equal(shown[PW_METER_SCANS], 3);
}

static void
the_bounds_ascend_and_are_spelled_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_METER_BUCKETS; i++) {
        double seconds = strtod(pw_meter_bounds[i].seconds, NULL);
        double ns = (double)pw_meter_bounds[i].ns;
        check_case(pw_meter_bounds[i].seconds,
                   seconds * 1e9 > ns - 0.5 && seconds * 1e9 < ns + 0.5);
        assert_true(i == 0 || pw_meter_bounds[i - 1].ns < pw_meter_bounds[i].ns);
    }
}

/* --- without memory ------------------------------------------------------------------ */

static bool whole;

static void
write_once(void *arg)
{
    (void)arg;
    struct pw_metrics metrics = sample_metrics();
    PW_CLEANUP(pw_buf_free) struct pw_buf out = {.limit = TEXT_LIMIT};
    whole = pw_metrics_write(&metrics, PW_METRICS_OPENMETRICS, &out) == PW_E_OK;
    assert_int_equal(whole, !fail_alloc_happened());
}

static void
no_failed_allocation_passes_for_a_whole_text(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, write_once, NULL)) {
        n++;
    }
    assert_true(whole && n > 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_have_every_sample),
        cmocka_unit_test(each_form_has_its_own_heads),
        cmocka_unit_test(what_is_not_there_has_no_sample),
        cmocka_unit_test(a_label_cannot_leave_its_quotes),
        cmocka_unit_test(the_form_is_the_one_the_client_prefers),
        cmocka_unit_test(the_readme_lists_every_metric),
        cmocka_unit_test(a_meter_shows_what_was_counted),
        cmocka_unit_test(the_bounds_ascend_and_are_spelled_right),
        cmocka_unit_test(no_failed_allocation_passes_for_a_whole_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
