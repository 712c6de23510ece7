/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_report.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/reason.h"
#include "common/policy/dangerous.h"
#include "proxy/cli/screen.h"
#include "proxy/cli/words.h"

enum { NUMBER = 11, RATE = 9, KEY_LEAST = 9, KEY_MOST = 40, JSON_LIMIT = 64 << 20 };

#define BOLD "\033[1m"
#define DULL "\033[2m"
#define PLAIN "\033[0m"

struct table {
    const char *word, *head, *plural;
    bool by_verdict; /* columns for pass, held and drop; else one for all messages */
};

static const struct table tables[PW_BYS] = {
    [PW_BY_CHANNEL] = {"channel", "CHANNEL", "channels", true},
    [PW_BY_REASON] = {"reason", "REASON", "reasons", false},
    [PW_BY_GLOBAL] = {"global", "REFUSED NAME", "globals", false},
    [PW_BY_SOURCE] = {"source", "SOURCE", "sources", false},
    [PW_BY_HOUR] = {"hour", "HOUR (UTC)", "hours", true},
};

static uint64_t
passes(const struct pw_count *row)
{
    return row->kinds[PW_LOGGED_PASS] + row->kinds[PW_LOGGED_SUMMARY];
}

static struct pw_span
text_of(const struct pw_count *row)
{
    return (struct pw_span){row->text, row->len};
}

enum pw_count_by
pw_sheet_by(const char *word)
{
    size_t by = 0;
    while (by < PW_BYS && strcmp(tables[by].word, word) != 0) {
        by++;
    }
    return (enum pw_count_by)by;
}

/* ---- lines ---- */

static void
end_line(const struct pw_sheet *report, struct pw_words *line, const char *colour,
         FILE *out)
{
    if (report->width > 0) {
        pw_words_cut(line, report->width - 1);
    }
    while (line->len > 0 && line->text[line->len - 1] == ' ') {
        line->text[--line->len] = '\0';
    }
    const char *paint = report->colours ? colour : "";
    fprintf(out, "%s%s%s%s", paint, line->text, paint[0] != '\0' ? PLAIN : "",
            report->line_end);
}

static void
put_number(struct pw_words *line, uint64_t value)
{
    char text[PW_QUANTITY_TEXT];
    pw_quantity_count(value, text);
    pw_words_put(line, " %*s", NUMBER, text);
}

static void
put_second(struct pw_words *line, uint64_t ns)
{
    char text[PW_CLOCK_TEXT];
    pw_clock_format(ns, text);
    pw_words_put(line, "%.10s %.8s", text, text + 11);
}

void
pw_sheet_head(const struct pw_sheet *report, const struct pw_counts *counts,
              uint64_t unreadable, uint64_t missing, FILE *out)
{
    struct pw_words line = {0}, second = {0};
    const struct pw_count *total = &counts->total;
    pw_words_count(&line, counts->lines);
    pw_words_put(&line, " lines");
    if (counts->lines > 0) {
        pw_words_put(&line, ", ");
        put_second(&line, counts->first_ns);
        pw_words_put(&line, " to ");
        put_second(&line, counts->last_ns);
        pw_words_put(&line, " UTC");
    }
    end_line(report, &line, BOLD, out);
    pw_words_count(&second, total->messages);
    pw_words_put(&second, " messages, ");
    pw_words_size(&second, (double)total->bytes);
    const struct {
        uint64_t count;
        const char *words;
    } parts[] = {
        {total->kinds[PW_LOGGED_QUARANTINE], "held"},
        {total->kinds[PW_LOGGED_DROP], "dropped"},
        {total->reported, "only reported"},
        {missing, "LINES MISSING"},
        {unreadable, "lines unreadable"},
        {counts->lost, "RECORDS LOST"},
    };
    for (size_t i = 0; i < PW_COUNT(parts); i++) {
        if (parts[i].count > 0 || i < 2) {
            pw_words_put(&second, ", ");
            pw_words_count(&second, parts[i].count);
            pw_words_put(&second, " %s", parts[i].words);
        }
    }
    end_line(report, &second, "", out);
}

/* ---- tables ---- */

static size_t
printed_length(const struct pw_count *row)
{
    struct pw_words text = {0};
    pw_words_quote(&text, text_of(row));
    return text.len;
}

/* Wide enough for the keys, within reason. */
static size_t
key_width(const struct pw_sheet *report, const struct pw_count_table *table,
          const uint32_t *order, size_t count, const char *head)
{
    size_t most = report->width == 0 || report->width > 100 ? 2 * KEY_MOST : KEY_MOST;
    most = report->width > 0 && report->width < 72 ? KEY_MOST / 2 : most;
    size_t width = strlen(head) > KEY_LEAST ? strlen(head) : KEY_LEAST;
    for (size_t i = 0; i < count; i++) {
        size_t len = printed_length(&table->rows[order[i]]);
        width = len > width ? len : width;
    }
    return width < most ? width : most;
}

/* What is known of a key: words of the reason, or what the name is known to do. */
static const char *
note_of(enum pw_count_by by, const struct pw_count *row)
{
    if (by == PW_BY_GLOBAL && row->mod_len < row->len) {
        struct pw_span mod = {row->text, row->mod_len};
        struct pw_span name = {row->text + row->mod_len + 1, row->len - row->mod_len - 1};
        const struct pw_danger *danger = pw_dangerous(mod, name);
        return danger != NULL ? danger->note : "";
    }
    for (int i = 1; by == PW_BY_REASON && i < PW_R_COUNT; i++) {
        if (pw_span_equal(text_of(row), pw_span_str(pw_reason_code((enum pw_reason)i)))) {
            return pw_reason_text((enum pw_reason)i);
        }
    }
    return "";
}

static void
put_head(const struct pw_sheet *report, const struct table *table, bool rates, size_t key,
         FILE *out)
{
    struct pw_words line = {0};
    pw_words_put(&line, "%-*s", (int)key, table->head);
    if (rates) {
        pw_words_put(&line, " %*s", RATE, "a second");
    }
    if (table->by_verdict) {
        pw_words_put(&line, " %*s %*s %*s  %s", NUMBER, "pass", NUMBER, "held", NUMBER,
                     "drop", "bytes");
    } else {
        pw_words_put(&line, " %*s", NUMBER, "messages");
    }
    end_line(report, &line, BOLD, out);
}

/* A rate below 0: this table has none. */
static void
put_row(const struct pw_sheet *report, enum pw_count_by by, const struct pw_count *row,
        double rate, size_t width, FILE *out)
{
    struct pw_words line = {0}, key = {0};
    pw_words_quote(&key, row->text == NULL ? pw_span_str("(others)") : text_of(row));
    pw_words_cut(&key, width);
    pw_words_put(&line, "%-*s", (int)width, key.text);
    if (rate >= 0) {
        pw_words_put(&line, " %*.*f", RATE, rate < 10 ? 1 : 0, rate);
    }
    if (tables[by].by_verdict) {
        put_number(&line, passes(row));
        put_number(&line, row->kinds[PW_LOGGED_QUARANTINE]);
        put_number(&line, row->kinds[PW_LOGGED_DROP]);
        pw_words_put(&line, "  ");
        pw_words_size(&line, (double)row->bytes);
    } else {
        put_number(&line, row->messages);
        pw_words_put(&line, "  %s", row->text == NULL ? "" : note_of(by, row));
    }
    end_line(report, &line, "", out);
}

size_t
pw_sheet_table(const struct pw_sheet *report, const struct pw_counts *counts,
               enum pw_count_by by, size_t rows, FILE *out)
{
    uint32_t order[PW_SHEET_ROWS];
    const struct pw_count_table *table = &counts->by[by];
    rows = rows < PW_SHEET_ROWS ? rows : PW_SHEET_ROWS;
    bool others = table->others.messages > 0;
    size_t count = pw_counts_order(counts, by, order, rows > 1 ? rows - others : rows);
    if (count == 0) {
        return 0;
    }
    bool rates = by == PW_BY_CHANNEL && report->rates != NULL;
    size_t width = key_width(report, table, order, count, tables[by].head);
    put_head(report, &tables[by], rates, width, out);
    for (size_t i = 0; i < count; i++) {
        put_row(report, by, &table->rows[order[i]], rates ? report->rates[order[i]] : -1,
                width, out);
    }
    others = others && count < rows;
    if (others) {
        put_row(report, by, &table->others, -1, width, out);
    }
    return 1 + count + others;
}

/* ---- JSON ---- */

static void
write_counts(struct pw_json *json, const struct pw_count *row)
{
    pw_json_uint(json, "messages", row->messages);
    pw_json_uint(json, "pass", passes(row));
    pw_json_uint(json, "quarantine", row->kinds[PW_LOGGED_QUARANTINE]);
    pw_json_uint(json, "drop", row->kinds[PW_LOGGED_DROP]);
    pw_json_uint(json, "reported", row->reported);
    pw_json_uint(json, "bytes", row->bytes);
}

static void
write_table(struct pw_json *json, const struct pw_counts *counts, enum pw_count_by by,
            uint32_t *order)
{
    const struct pw_count_table *table = &counts->by[by];
    size_t count = pw_counts_order(counts, by, order, PW_COUNT_KEYS);
    pw_json_array(json, tables[by].plural);
    for (size_t i = 0; i < count; i++) {
        const struct pw_count *row = &table->rows[order[i]];
        const char *note = note_of(by, row);
        pw_json_object(json, NULL);
        pw_json_bytes(json, tables[by].word, text_of(row), PW_COUNT_TEXT);
        write_counts(json, row);
        if (note[0] != '\0') {
            pw_json_str(json, "note", note);
        }
        pw_json_end_object(json);
    }
    pw_json_end_array(json);
}

static void
write_time(struct pw_json *json, const char *key, uint64_t ns)
{
    char text[PW_CLOCK_TEXT];
    pw_clock_format(ns, text);
    pw_json_str(json, key, text);
}

static void
write_report(struct pw_json *json, const struct pw_counts *counts, enum pw_count_by by,
             uint32_t *order)
{
    if (counts->lines > 0) {
        write_time(json, "first", counts->first_ns);
        write_time(json, "last", counts->last_ns);
    }
    write_counts(json, &counts->total);
    for (size_t i = 0; i < PW_BYS; i++) {
        if (by == PW_BYS || by == (enum pw_count_by)i) {
            write_table(json, counts, (enum pw_count_by)i, order);
        }
    }
}

enum pw_err
pw_sheet_json(const struct pw_counts *counts, enum pw_count_by by, uint64_t unreadable,
              uint64_t missing, FILE *out)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = JSON_LIMIT};
    uint32_t *order = calloc(PW_COUNT_KEYS, sizeof *order);
    if (order == NULL) {
        return PW_E_NOMEM;
    }
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, NULL);
    pw_json_uint(&json, "lines", counts->lines);
    pw_json_uint(&json, "unreadable", unreadable);
    pw_json_uint(&json, "missing", missing);
    pw_json_uint(&json, "lost", counts->lost);
    write_report(&json, counts, by, order);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    free(order);
    if (json.err == PW_E_OK) {
        fwrite(text.bytes, 1, text.len, out);
    }
    return json.err;
}
