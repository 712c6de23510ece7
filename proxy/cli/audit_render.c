/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_render.h"

#include "proxy/cli/audit_words.h"
#include "proxy/cli/json_line.h"

enum {
    WIDE = 120, /* from so many columns on, lines have their day and milliseconds */
    SHORT_LABEL = 6,
    LONG_LABEL = 10,
    CHAN_LEAST = 4,
    CHAN_SHORT = 8,
    CHAN_LONG = 16,
    ID_ROOM = 20, /* columns that must be left for words beside an id */
};

#define DULL "\033[2m"
#define GRAVE "\033[1;31m"
#define PLAIN "\033[0m"

static bool
is_wide(const struct pw_audit_view *view)
{
    return view->width == 0 || view->width >= WIDE;
}

static const char *
paint(const struct pw_audit_view *view, const char *colour)
{
    return view->colours ? colour : "";
}

/* The day has no column: a line of its own when it changes. */
static void
print_day(struct pw_audit_view *view, struct pw_span ts, FILE *out)
{
    struct pw_words day = {0};
    pw_words_quote(&day, (struct pw_span){ts.ptr, 10});
    pw_words_cut(&day, sizeof view->day - 1);
    if (strcmp(day.text, view->day) != 0) {
        memcpy(view->day, day.text, day.len + 1);
        fprintf(out, "%s-- %s UTC%s\n", paint(view, DULL), day.text, paint(view, PLAIN));
    }
}

static void
put_time(struct pw_audit_view *view, const json_t *event, struct pw_words *left, FILE *out)
{
    struct pw_span ts = pw_json_text(event, "ts");
    if (ts.len < 23) { /* not one of ours */
        pw_words_quote(left, ts);
    } else if (is_wide(view)) {
        pw_words_quote(left, (struct pw_span){ts.ptr, 10});
        pw_words_put(left, " ");
        pw_words_quote(left, (struct pw_span){ts.ptr + 11, 12}); /* to milliseconds */
    } else {
        print_day(view, ts, out);
        pw_words_quote(left, (struct pw_span){ts.ptr + 11, 8});
    }
    pw_words_put(left, " ");
}

/* The channel in its column, which is as wide as the longest so far, within bounds. */
static void
cut_channel(struct pw_audit_view *view, struct pw_span name, struct pw_words *chan)
{
    size_t most = is_wide(view) ? CHAN_LONG : CHAN_SHORT;
    pw_words_quote(chan, name);
    if (view->width > 0 && chan->len > most) {
        chan->len = most;
        chan->text[most - 1] = '~';
        chan->text[most] = '\0';
    }
    size_t wanted = chan->len < CHAN_LEAST ? CHAN_LEAST : chan->len;
    wanted = wanted < most ? wanted : most;
    view->chan_width = wanted > view->chan_width ? wanted : view->chan_width;
}

void
pw_audit_view_expect(struct pw_audit_view *view, struct pw_span channel)
{
    struct pw_words chan = {0};
    cut_channel(view, channel, &chan);
}

/* As many of the extras as fit behind the words: the first that does not ends it. */
static void
add_extras(struct pw_audit_words *words, size_t room)
{
    for (size_t i = 0; i < words->extra_count; i++) {
        const struct pw_words *more = &words->extras[i];
        if (more->len > 0 && words->main.len + 2 + more->len > room) {
            return;
        }
        if (more->len > 0) {
            pw_words_put(&words->main, ", %s", more->text);
        }
    }
}

void
pw_audit_render(struct pw_audit_view *view, const json_t *event, FILE *out)
{
    struct pw_audit_words words;
    struct pw_words left = {0}, chan = {0};
    pw_audit_words_of(event, &words);
    put_time(view, event, &left, out);
    cut_channel(view, pw_json_text(event, "chan"), &chan);
    pw_words_put(&left, "%-*s ", (int)view->chan_width, chan.text);
    const char *label = is_wide(view) ? words.label_in : words.label;
    int label_width = is_wide(view) ? LONG_LABEL : SHORT_LABEL;
    if (view->width > 0 && left.len + (size_t)label_width + 2 > view->width) {
        pw_words_cut(&left, view->width - (size_t)label_width - 2); /* hardly a terminal */
    }
    /* One column is left free: a cursor behind the last one may wrap. */
    size_t used = left.len + (size_t)label_width + 1 + 1;
    size_t room = view->width == 0 ? PW_WORDS : view->width > used ? view->width - used : 0;
    bool has_id = words.id.len > 0 && room >= words.id.len + 2 + ID_ROOM;
    size_t text_room = has_id && view->width != 0 ? room - words.id.len - 2 : room;
    pw_words_cut(&words.main, text_room);
    add_extras(&words, text_room);
    fprintf(out, "%s%s%s", paint(view, DULL), left.text, paint(view, PLAIN));
    fprintf(out, "%s%-*s%s ", paint(view, words.colour), label_width, label,
            paint(view, PLAIN));
    fprintf(out, "%s%s%s",
            paint(view, words.grave  ? GRAVE
                        : words.dull ? DULL
                                     : ""),
            words.main.text, paint(view, words.grave || words.dull ? PLAIN : ""));
    if (has_id) {
        size_t pad = view->width == 0 ? 0 : text_room - words.main.len;
        fprintf(out, "%*s  %s", (int)pad, "", words.id.text);
    }
    fputc('\n', out);
}

void
pw_audit_render_unreadable(struct pw_span line, FILE *out)
{
    enum { SHOWN = 60 };
    fputs("not an audit line: ", out);
    pw_print_text(out, (struct pw_span){line.ptr, line.len < SHOWN ? line.len : SHOWN});
    fputs(line.len > SHOWN ? "...\n" : "\n", out);
}
