/* SPDX-License-Identifier: Apache-2.0
 *
 * `audit stats`: what logs add up to.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "proxy/cli/audit_filter.h"
#include "proxy/cli/audit_gaps.h"
#include "proxy/cli/audit_inputs.h"
#include "proxy/cli/audit_report.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/screen.h"

enum { ROWS = 10 };

struct stats {
    struct pw_audit_inputs inputs;
    struct pw_audit_filter filter;
    struct pw_audit_gaps gaps;
    struct pw_counts counts;
    uint64_t unreadable;
    const char *by_text;
    enum pw_count_by by;
    bool json;
};

static enum pw_err
take_line(void *arg, struct pw_span line)
{
    struct stats *stats = arg;
    struct pw_logged logged;
    if (!pw_logged_read(line, &logged)) {
        stats->unreadable++;
        return PW_E_OK;
    }
    (void)pw_audit_gaps_take(&stats->gaps, &logged);
    if (!pw_audit_filter_takes(&stats->filter, line, &logged)) {
        return PW_E_OK;
    }
    return pw_counts_take(&stats->counts, &logged);
}

static void
print_tables(const struct stats *stats)
{
    struct pw_sheet report = {
        .width = pw_screen_width(), .colours = pw_command_colours(), .line_end = "\n"};
    pw_sheet_head(&report, &stats->counts, stats->unreadable, stats->gaps.missing, stdout);
    for (size_t by = 0; by < PW_BYS; by++) {
        bool wanted = stats->by == PW_BYS ? by != PW_BY_HOUR : by == (size_t)stats->by;
        size_t rows = stats->by == PW_BYS ? ROWS : PW_SHEET_ROWS;
        if (wanted && stats->counts.by[by].count > 0) {
            putchar('\n');
            (void)pw_sheet_table(&report, &stats->counts, (enum pw_count_by)by, rows,
                                 stdout);
        }
    }
}

static int
run(struct stats *stats)
{
    struct pw_audit_source_options options = {
        .since_ns = stats->filter.since_ns, .take = take_line, .arg = stats};
    PW_CLEANUP(pw_audit_source_free)
    struct pw_audit_source *source = pw_audit_source_new(&options);
    if (source == NULL) {
        return pw_command_fail(PW_E_NOMEM, NULL);
    }
    int code = pw_audit_inputs_open(&stats->inputs, source);
    enum pw_err err = PW_E_OK;
    while (code == EX_OK && err == PW_E_OK && !pw_audit_source_ended(source)) {
        err = pw_audit_source_step(source, -1);
    }
    if (code != EX_OK || err != PW_E_OK) {
        return code != EX_OK ? code : pw_command_fail(err, NULL);
    }
    if (stats->json) {
        err = pw_sheet_json(&stats->counts, stats->by, stats->unreadable,
                            stats->gaps.missing, stdout);
        return err == PW_E_OK ? EX_OK : pw_command_fail(err, NULL);
    }
    print_tables(stats);
    return EX_OK;
}

static int
read_arguments(struct stats *stats, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            stats->json = true;
        } else if (pw_args_value(&args, "--by", &stats->by_text) ||
                   pw_audit_filter_option(&stats->filter, &args) ||
                   pw_audit_inputs_option(&stats->inputs, &args)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            pw_audit_inputs_add(&stats->inputs, args.current);
        }
    }
    if (args.bad) {
        return EX_USAGE;
    }
    stats->by = stats->by_text == NULL ? PW_BYS : pw_sheet_by(stats->by_text);
    if (stats->by_text != NULL && stats->by == PW_BYS) {
        return pw_command_misused("--by %s: name channel, reason, global, source or hour",
                                  stats->by_text);
    }
    for (size_t i = 0; i < stats->inputs.count; i++) {
        if (strstr(stats->inputs.names[i], "://") != NULL) {
            return pw_command_misused(
                "%s never ends; picklewall audit tail --top counts it",
                stats->inputs.names[i]);
        }
    }
    int code = pw_audit_filter_check(&stats->filter);
    return code != EX_OK ? code : pw_audit_inputs_settle(&stats->inputs);
}

int
pw_cmd_audit_stats(int argc, char **argv)
{
    struct stats stats = {0};
    int code = read_arguments(&stats, argc, argv);
    if (code == EX_OK) {
        code = run(&stats);
    }
    pw_counts_free(&stats.counts);
    pw_audit_inputs_free(&stats.inputs);
    return code;
}
