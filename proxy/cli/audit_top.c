/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_top.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "proxy/cli/audit_gaps.h"
#include "proxy/cli/audit_render.h"
#include "proxy/cli/audit_report.h"
#include "proxy/cli/json_line.h"
#include "proxy/cli/screen.h"
#include "proxy/cli/words.h"

enum {
    NEWEST = 32,       /* refusals that are remembered */
    LINE_LIMIT = 8192, /* bytes of one of them */
    CHANNELS = 64,     /* whose rates are shown */
    WINDOW = 5,        /* draws over which a rate is taken */
    WAIT_MS = 100,
    ROWS = 10,
};

static const uint64_t redraw_ns = 1000000000;
static const uint64_t fresh_for_ns = 10000000000;

struct top {
    const struct pw_audit_filter *filter;
    struct pw_audit_gaps gaps;
    struct pw_counts counts;
    uint64_t unreadable;
    struct pw_buf newest[NEWEST];
    uint64_t refusals;

    bool draws;
    bool keys; /* standard input is a terminal, and ours */
    struct termios before;
    uint64_t drawn_ns;
    /* Messages of each channel, and the time, at the last draws. */
    uint64_t history[WINDOW][CHANNELS], times[WINDOW];
    size_t draw_count;
    double rates[PW_COUNT_KEYS];
};

static volatile sig_atomic_t ended, resized, stopped;

static void
on_signal(int number)
{
    ended = ended || (number != SIGWINCH && number != SIGTSTP);
    resized = resized || number == SIGWINCH;
    stopped = stopped || number == SIGTSTP;
}

/* Without SA_RESTART: a wait ends when the terminal changes. */
static void
hear(const int *numbers, size_t count)
{
    struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < count; i++) {
        (void)sigaction(numbers[i], &action, NULL);
    }
}

/* ---- the terminal ---- */

static void
enter_screen(struct top *top)
{
    fputs("\033[?1049h\033[?25l\033[H\033[J", stdout);
    fflush(stdout);
    top->keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &top->before) == 0;
    if (top->keys) {
        struct termios quiet = top->before;
        quiet.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        quiet.c_cc[VMIN] = 0;
        quiet.c_cc[VTIME] = 0;
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
    }
}

static void
leave_screen(struct top *top)
{
    if (top->keys) {
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &top->before);
    }
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
}

/* Ctrl-Z: give the terminal back, stop, and take it again when we go on. */
static void
rest(struct top *top)
{
    leave_screen(top);
    (void)raise(SIGSTOP);
    stopped = 0;
    enter_screen(top);
}

static bool
asked_to_quit(const struct top *top)
{
    char key;
    return top->keys && read(STDIN_FILENO, &key, 1) == 1 && (key == 'q' || key == 'Q');
}

/* ---- counting ---- */

static enum pw_err
keep_refusal(struct top *top, struct pw_span line)
{
    struct pw_buf *slot = &top->newest[top->refusals++ % NEWEST];
    pw_buf_clear(slot);
    slot->limit = LINE_LIMIT;
    return line.len > LINE_LIMIT ? PW_E_OK : pw_buf_append(slot, line);
}

static enum pw_err
take_line(void *arg, struct pw_span line)
{
    struct top *top = arg;
    struct pw_logged logged;
    if (!pw_logged_read(line, &logged)) {
        top->unreadable++;
        return PW_E_OK;
    }
    (void)pw_audit_gaps_take(&top->gaps, &logged);
    if (!pw_audit_filter_takes(top->filter, line, &logged)) {
        return PW_E_OK;
    }
    enum pw_err err = pw_counts_take(&top->counts, &logged);
    if (err == PW_E_OK && logged.kind != PW_LOGGED_OTHER && logged.reason.len > 0) {
        err = keep_refusal(top, line);
    }
    return err;
}

/* ---- rates ---- */

/* Messages a second over the last draws; of channels past CHANNELS, none. */
static void
measure(struct top *top, uint64_t now_ns)
{
    size_t slot = top->draw_count % WINDOW;
    const struct pw_count_table *table = &top->counts.by[PW_BY_CHANNEL];
    size_t count = table->count < CHANNELS ? table->count : CHANNELS;
    size_t oldest = top->draw_count < WINDOW ? 0 : (top->draw_count + 1) % WINDOW;
    top->times[slot] = now_ns;
    for (size_t i = 0; i < count; i++) {
        top->history[slot][i] = table->rows[i].fresh;
        double seconds = (double)(now_ns - top->times[oldest]) / 1e9;
        uint64_t more = table->rows[i].fresh - top->history[oldest][i];
        top->rates[i] = seconds > 0 ? (double)more / seconds : 0;
    }
    top->draw_count++;
}

/* ---- drawing ---- */

struct frame {
    struct pw_sheet report;
    size_t left; /* lines */
    FILE *out;
};

static const struct pw_buf *
nth_newest(const struct top *top, uint64_t count, uint64_t i)
{
    return &top->newest[(top->refusals - count + i) % NEWEST];
}

/* Columns as wide as all of them need, and no line for the day of the first. */
static void
expect_newest(const struct top *top, uint64_t count, struct pw_audit_view *view)
{
    for (uint64_t i = 0; i < count; i++) {
        struct pw_logged line;
        if (!pw_logged_read(pw_buf_span(nth_newest(top, count, i)), &line)) {
            continue;
        }
        pw_audit_view_expect(view, line.chan);
        if (view->day[0] == '\0' && line.ts.len >= sizeof view->day) {
            memcpy(view->day, line.ts.ptr, sizeof view->day - 1);
        }
    }
}

static void
draw_newest(struct top *top, struct frame *frame)
{
    uint64_t count = top->refusals < NEWEST ? top->refusals : NEWEST;
    if (count == 0 || frame->left < 2) {
        return;
    }
    size_t room = frame->left - 2; /* one for a line that tells a new day */
    count = count < room ? count : room;
    struct pw_audit_view view = {.width = frame->report.width,
                                 .colours = frame->report.colours};
    expect_newest(top, count, &view);
    char *text = NULL;
    size_t len = 0;
    FILE *lines = open_memstream(&text, &len);
    for (uint64_t i = 0; lines != NULL && i < count; i++) {
        struct pw_span line = pw_buf_span(nth_newest(top, count, i));
        PW_CLEANUP(pw_json_line_free) json_t *event = pw_json_line_parse(line);
        if (event != NULL) {
            pw_audit_render(&view, event, lines);
        }
    }
    if (lines == NULL || fclose(lines) != 0) {
        free(text);
        return;
    }
    fprintf(frame->out, "%sNEWEST REFUSALS%s%s", view.colours ? "\033[1m" : "",
            view.colours ? "\033[0m" : "", frame->report.line_end);
    for (const char *at = text; *at != '\0';) {
        const char *end = strchrnul(at, '\n');
        fprintf(frame->out, "%.*s%s", (int)(end - at), at, frame->report.line_end);
        at = *end == '\0' ? end : end + 1;
    }
    free(text);
}

/* Lines that each table may take of a screen that has 16 for them. */
static const struct {
    enum pw_count_by by;
    size_t share;
} shares[] = {{PW_BY_CHANNEL, 4}, {PW_BY_REASON, 3}, {PW_BY_GLOBAL, 3}, {PW_BY_SOURCE, 2}};

static void
draw_tables(struct top *top, struct frame *frame)
{
    enum { WHOLE = 16, HEADS = 5 };
    size_t room = frame->left > HEADS ? frame->left - HEADS : 0;
    for (size_t i = 0; i < PW_COUNT(shares); i++) {
        size_t rows = shares[i].share * room / WHOLE;
        rows = rows < 1 ? 1 : rows;
        if (frame->left > rows + 1) {
            frame->left -= pw_sheet_table(&frame->report, &top->counts, shares[i].by, rows,
                                          frame->out);
        }
    }
}

static void
draw(struct top *top)
{
    struct frame frame = {.report = {.width = pw_screen_width(),
                                     .colours = pw_command_colours(),
                                     .line_end = "\033[K\n",
                                     .rates = top->rates},
                          .left = pw_screen_height() - 1};
    char *text = NULL;
    size_t len = 0;
    char now[PW_CLOCK_TEXT];
    frame.out = open_memstream(&text, &len);
    if (frame.out == NULL) {
        return; /* the next time, perhaps */
    }
    pw_clock_format(pw_clock_wall(), now);
    pw_sheet_head(&frame.report, &top->counts, top->unreadable, top->gaps.missing,
                  frame.out);
    frame.left -= frame.left > 2 ? 2 : frame.left;
    draw_tables(top, &frame);
    draw_newest(top, &frame);
    if (fclose(frame.out) == 0) {
        fprintf(stdout, "\033[H%s\033[J%.8s UTC, q ends", text, now + 11);
        fflush(stdout);
    }
    free(text);
}

static void
redraw(struct top *top, bool caught_up)
{
    uint64_t now_ns = pw_clock_steady();
    bool due = now_ns - top->drawn_ns >= redraw_ns;
    if (stopped) {
        rest(top);
        due = true;
    }
    if (!due && !resized) {
        return;
    }
    if (due) {
        if (caught_up) { /* what is read late has no rate */
            measure(top, now_ns);
        }
        top->drawn_ns = now_ns;
    }
    resized = 0;
    draw(top);
}

/* ---- the end ---- */

static void
print_summary(const struct top *top)
{
    struct pw_sheet report = {
        .width = pw_screen_width(), .colours = pw_command_colours(), .line_end = "\n"};
    pw_sheet_head(&report, &top->counts, top->unreadable, top->gaps.missing, stdout);
    for (size_t i = 0; i < PW_COUNT(shares); i++) {
        if (top->counts.by[shares[i].by].count > 0) {
            putchar('\n');
            (void)pw_sheet_table(&report, &top->counts, shares[i].by, ROWS, stdout);
        }
    }
}

static enum pw_err
go_on(struct top *top, struct pw_audit_source *source)
{
    enum pw_err err = PW_E_OK;
    while (err == PW_E_OK && !ended && !pw_audit_source_ended(source)) {
        uint64_t now_ns = pw_clock_wall();
        top->counts.fresh_ns = now_ns > fresh_for_ns ? now_ns - fresh_for_ns : 0;
        err = pw_audit_source_step(source, WAIT_MS);
        if (top->draws) {
            redraw(top, pw_audit_source_caught_up(source));
            ended = ended || asked_to_quit(top);
        }
    }
    return err;
}

static int
run(struct top *top, const struct pw_audit_inputs *inputs, bool follow)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    static const int changes[] = {SIGWINCH, SIGTSTP};
    struct pw_audit_source_options options = {.follow = follow || top->draws,
                                              .since_ns = top->filter->since_ns,
                                              .take = take_line,
                                              .arg = top};
    PW_CLEANUP(pw_audit_source_free)
    struct pw_audit_source *source = pw_audit_source_new(&options);
    int code = source == NULL ? pw_command_fail(PW_E_NOMEM, NULL)
                              : pw_audit_inputs_open(inputs, source);
    if (code != EX_OK) {
        return code;
    }
    hear(ends, PW_COUNT(ends));
    if (top->draws) {
        hear(changes, PW_COUNT(changes));
        enter_screen(top);
    }
    enum pw_err err = go_on(top, source);
    if (top->draws) {
        leave_screen(top);
    }
    if (err != PW_E_OK) {
        return pw_command_fail(err, NULL);
    }
    print_summary(top);
    return EX_OK;
}

int
pw_audit_top(const struct pw_audit_inputs *inputs, const struct pw_audit_filter *filter,
             bool follow)
{
    struct top *top = calloc(1, sizeof *top);
    if (top == NULL) {
        return pw_command_fail(PW_E_NOMEM, NULL);
    }
    top->filter = filter;
    top->draws = pw_screen_moves();
    int code = run(top, inputs, follow);
    for (size_t i = 0; i < NEWEST; i++) {
        pw_buf_free(&top->newest[i]);
    }
    pw_counts_free(&top->counts);
    free(top);
    return code;
}
