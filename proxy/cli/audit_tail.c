/* SPDX-License-Identifier: Apache-2.0
 *
 * `audit tail`: the audit log as it grows, a line an event.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/buf.h"
#include "proxy/cli/audit_filter.h"
#include "proxy/cli/audit_gaps.h"
#include "proxy/cli/audit_inputs.h"
#include "proxy/cli/audit_render.h"
#include "proxy/cli/audit_top.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"
#include "proxy/cli/screen.h"

enum { LINE_LIMIT = 1 << 20, USUAL_LINES = 10 };

/* A line that may be among the last. */
struct kept {
    struct pw_buf line;
    uint64_t missing; /* lines before it */
};

struct tail {
    struct pw_audit_inputs inputs;
    struct pw_audit_filter filter;
    struct pw_audit_gaps gaps;
    struct pw_audit_view view;
    const char *lines_text;
    size_t lines;
    bool follow, json, top;

    /* The last lines, while what was there at the start is read. */
    struct kept *kept;
    size_t seen;      /* put into `kept` so far, the overwritten ones included */
    uint64_t missing; /* lines before the next that is kept */
    bool keeping;
};

/* ---- one line ---- */

static void
print_unreadable(const struct tail *tail, struct pw_span line)
{
    pw_audit_render_unreadable(line, tail->json ? stderr : stdout); /* stdout stays JSON */
}

static void
print_gap(const struct tail *tail, uint64_t missing)
{
    if (missing > 0) {
        fprintf(tail->json ? stderr : stdout, "%s-- %" PRIu64 " line%s missing here%s\n",
                tail->view.colours ? "\033[1;31m" : "", missing,
                missing == 1 ? " is" : "s are", tail->view.colours ? "\033[0m" : "");
    }
}

static void
print_line(struct tail *tail, struct pw_span line)
{
    if (tail->json && pw_json_line_plain(line)) {
        fwrite(line.ptr, 1, line.len, stdout);
        fputc('\n', stdout);
        return;
    }
    PW_CLEANUP(pw_json_line_free)
    json_t *event = tail->json ? NULL : pw_json_line_parse(line);
    if (event == NULL) {
        print_unreadable(tail, line);
        return;
    }
    pw_audit_render(&tail->view, event, stdout);
}

static enum pw_err
keep_line(struct tail *tail, struct pw_span line)
{
    if (tail->lines == 0) {
        return PW_E_OK;
    }
    struct kept *slot = &tail->kept[tail->seen++ % tail->lines];
    slot->missing = tail->missing;
    tail->missing = 0;
    pw_buf_clear(&slot->line);
    slot->line.limit = LINE_LIMIT;
    return pw_buf_append(&slot->line, line);
}

static void
print_kept(struct tail *tail)
{
    size_t count = tail->seen < tail->lines ? tail->seen : tail->lines;
    for (size_t i = 0; i < count; i++) {
        struct pw_logged logged;
        if (pw_logged_read(pw_buf_span(&tail->kept[i].line), &logged)) {
            pw_audit_view_expect(&tail->view, logged.chan);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct kept *kept = &tail->kept[(tail->seen - count + i) % tail->lines];
        struct pw_logged logged;
        print_gap(tail, i > 0 ? kept->missing : 0);
        if (pw_logged_read(pw_buf_span(&kept->line), &logged)) {
            print_line(tail, pw_buf_span(&kept->line));
        } else {
            print_unreadable(tail, pw_buf_span(&kept->line));
        }
    }
    tail->keeping = false;
}

static enum pw_err
take_line(void *arg, struct pw_span line)
{
    struct tail *tail = arg;
    struct pw_logged logged;
    if (!pw_logged_read(line, &logged)) {
        if (pw_audit_filter_active(&tail->filter)) {
            return PW_E_OK;
        }
        if (tail->keeping) {
            return keep_line(tail, line);
        }
        print_unreadable(tail, line);
        return PW_E_OK;
    }
    tail->missing += pw_audit_gaps_take(&tail->gaps, &logged);
    bool wanted = pw_audit_filter_takes(&tail->filter, line, &logged);
    if (tail->keeping) {
        return wanted ? keep_line(tail, line) : PW_E_OK;
    }
    print_gap(tail, tail->missing); /* whatever is filtered out, what is gone is said */
    tail->missing = 0;
    if (wanted) {
        print_line(tail, line);
    }
    return PW_E_OK;
}

/* ---- all of them ---- */

static bool
is_stdin_whole(const struct tail *tail)
{
    return tail->lines_text == NULL && tail->inputs.count == 1 &&
           strcmp(tail->inputs.names[0], "-") == 0;
}

static bool
is_endpoint(const char *name)
{
    return strstr(name, "://") != NULL;
}

static bool
only_endpoints(const struct tail *tail)
{
    for (size_t i = 0; i < tail->inputs.count; i++) {
        if (!is_endpoint(tail->inputs.names[i])) {
            return false;
        }
    }
    return true;
}

static enum pw_err
go_on(struct tail *tail, struct pw_audit_source *source)
{
    enum pw_err err = PW_E_OK;
    while (err == PW_E_OK && !pw_audit_source_ended(source)) {
        if (tail->keeping && pw_audit_source_caught_up(source)) {
            print_kept(tail);
        }
        if (fflush(stdout) != 0 || ferror(stdout)) {
            return PW_E_IO;
        }
        tail->view.width = pw_screen_width();
        err = pw_audit_source_step(source, tail->keeping ? 0 : -1);
    }
    if (err == PW_E_OK && tail->keeping) {
        print_kept(tail);
    }
    return err;
}

static int
run(struct tail *tail)
{
    struct pw_audit_source_options options = {.follow = tail->follow,
                                              .since_ns = tail->filter.since_ns,
                                              .take = take_line,
                                              .arg = tail};
    PW_CLEANUP(pw_audit_source_free)
    struct pw_audit_source *source = pw_audit_source_new(&options);
    if (source == NULL) {
        return pw_command_fail(PW_E_NOMEM, NULL);
    }
    int code = pw_audit_inputs_open(&tail->inputs, source);
    if (code != EX_OK) {
        return code;
    }
    tail->view.width = pw_screen_width();
    /* With --since alone, all since then. */
    bool whole = is_stdin_whole(tail) || only_endpoints(tail) ||
                 (tail->filter.since_ns != 0 && tail->lines_text == NULL);
    tail->keeping = !whole;
    if (tail->keeping && !pw_audit_filter_active(&tail->filter)) {
        pw_audit_source_seek(source, tail->lines);
    }
    enum pw_err err = go_on(tail, source);
    return err == PW_E_OK ? EX_OK : pw_command_fail(err, NULL);
}

/* ---- the command ---- */

static bool
read_count(const char *text, size_t *count)
{
    enum { MOST = 1000000 };
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *count = value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && value <= MOST;
}

/* EX_OK, or the exit code when the arguments are wrong. */
static int
read_arguments(struct tail *tail, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--follow") || pw_args_flag(&args, "-f")) {
            tail->follow = true;
        } else if (pw_args_flag(&args, "--json")) {
            tail->json = true;
        } else if (pw_args_flag(&args, "--top")) {
            tail->top = true;
        } else if (pw_args_value(&args, "--lines", &tail->lines_text) ||
                   pw_audit_filter_option(&tail->filter, &args) ||
                   pw_audit_inputs_option(&tail->inputs, &args)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            pw_audit_inputs_add(&tail->inputs, args.current);
        }
    }
    if (args.bad) {
        return EX_USAGE;
    }
    if (tail->lines_text != NULL && !read_count(tail->lines_text, &tail->lines)) {
        return pw_command_misused("--lines %s: give a number up to 1000000",
                                  tail->lines_text);
    }
    if (tail->top && (tail->json || tail->lines_text != NULL)) {
        return pw_command_misused(
            "--top shows neither --lines nor --json; picklewall audit "
            "stats --json counts");
    }
    int code = pw_audit_filter_check(&tail->filter);
    return code != EX_OK ? code : pw_audit_inputs_settle(&tail->inputs);
}

static int
keep_and_run(struct tail *tail)
{
    tail->kept = calloc(tail->lines + 1, sizeof *tail->kept);
    int code = tail->kept == NULL ? pw_command_fail(PW_E_NOMEM, NULL) : run(tail);
    for (size_t i = 0; tail->kept != NULL && i < tail->lines; i++) {
        pw_buf_free(&tail->kept[i].line);
    }
    free(tail->kept);
    return code;
}

int
pw_cmd_audit_tail(int argc, char **argv)
{
    struct tail tail = {.lines = USUAL_LINES};
    tail.view.colours = pw_command_colours();
    int code = read_arguments(&tail, argc, argv);
    if (code == EX_OK) {
        code = tail.top ? pw_audit_top(&tail.inputs, &tail.filter, tail.follow)
                        : keep_and_run(&tail);
    }
    pw_audit_inputs_free(&tail.inputs);
    return code;
}
