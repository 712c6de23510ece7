/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_counts.h"

#include <stdlib.h>

enum { FIRST_ROWS = 64, SECOND = 19, HOUR = 13 };

void
pw_counts_free(struct pw_counts *counts)
{
    for (size_t by = 0; by < PW_BYS; by++) {
        struct pw_count_table *table = &counts->by[by];
        for (size_t i = 0; i < table->count; i++) {
            free(table->rows[i].text);
        }
        free(table->rows);
        free(table->slots);
    }
    pw_buf_free(&counts->scratch);
    *counts = (struct pw_counts){0};
}

/* ---- the tables ---- */

/* FNV-1a. */
static uint64_t
hash_of(struct pw_span text)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ text.ptr[i]) * 0x100000001b3;
    }
    return hash ^ hash >> 32;
}

static struct pw_span
text_of(const struct pw_count *row)
{
    return (struct pw_span){row->text, row->len};
}

/* The slot that holds `text`, or the free one where it belongs. */
static uint32_t *
slot_of(const struct pw_count_table *table, struct pw_span text)
{
    size_t mask = table->slot_count - 1;
    size_t at = hash_of(text) & mask;
    while (table->slots[at] != 0 &&
           !pw_span_equal(text_of(&table->rows[table->slots[at] - 1]), text)) {
        at = (at + 1) & mask;
    }
    return &table->slots[at];
}

static enum pw_err
grow(struct pw_count_table *table)
{
    size_t room = table->room == 0 ? FIRST_ROWS : 2 * table->room;
    struct pw_count *rows = realloc(table->rows, room * sizeof *rows);
    if (rows == NULL) {
        return PW_E_NOMEM;
    }
    table->rows = rows;
    uint32_t *slots = calloc(2 * room, sizeof *slots);
    if (slots == NULL) {
        return PW_E_NOMEM;
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = 2 * room;
    table->room = room;
    for (size_t i = 0; i < table->count; i++) {
        *slot_of(table, text_of(&rows[i])) = (uint32_t)i + 1;
    }
    return PW_E_OK;
}

static enum pw_err
add_row(struct pw_count_table *table, struct pw_span text, struct pw_count **row)
{
    uint8_t *copy = malloc(text.len + 1);
    if (copy == NULL) {
        return PW_E_NOMEM;
    }
    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    *slot_of(table, text) = (uint32_t)table->count + 1;
    *row = &table->rows[table->count++];
    **row = (struct pw_count){.text = copy, .len = text.len};
    return PW_E_OK;
}

/* The row of a key. Past the bound, that of all others. */
static enum pw_err
row_of(struct pw_count_table *table, struct pw_span text, struct pw_count **row)
{
    text.len = text.len < PW_COUNT_TEXT ? text.len : PW_COUNT_TEXT;
    if (table->count == table->room && table->count < PW_COUNT_KEYS) {
        enum pw_err err = grow(table);
        if (err != PW_E_OK) {
            return err;
        }
    }
    uint32_t slot = *slot_of(table, text);
    if (slot != 0) {
        *row = &table->rows[slot - 1];
        return PW_E_OK;
    }
    if (table->count == PW_COUNT_KEYS) {
        *row = &table->others;
        return PW_E_OK;
    }
    return add_row(table, text, row);
}

/* ---- one line ---- */

static void
add(struct pw_count *row, const struct pw_logged *line, bool fresh)
{
    row->messages += line->messages;
    row->kinds[line->kind] += line->messages;
    row->reported += line->kind == PW_LOGGED_PASS && line->reported;
    row->bytes += line->bytes;
    row->fresh += fresh ? line->messages : 0;
}

/* What the string spells; most are as they stand. */
static enum pw_err
spell(struct pw_counts *counts, struct pw_span raw, struct pw_span *text)
{
    *text = raw;
    if (raw.len == 0 || memchr(raw.ptr, '\\', raw.len) == NULL) {
        return PW_E_OK;
    }
    pw_buf_clear(&counts->scratch);
    counts->scratch.limit = SIZE_MAX;
    enum pw_err err = pw_json_raw_text(raw, &counts->scratch);
    *text = pw_buf_span(&counts->scratch);
    return err;
}

static enum pw_err
add_to(struct pw_counts *counts, enum pw_count_by by, struct pw_span raw,
       const struct pw_logged *line, bool fresh)
{
    struct pw_count *row;
    struct pw_span text;
    enum pw_err err = spell(counts, raw, &text);
    if (err == PW_E_OK) {
        err = row_of(&counts->by[by], text, &row);
    }
    if (err == PW_E_OK) {
        add(row, line, fresh);
    }
    return err;
}

/* Once a line, however often the line names it. */
static enum pw_err
add_global(struct pw_counts *counts, struct pw_span mod, struct pw_span name,
           const struct pw_logged *line, bool fresh)
{
    struct pw_buf *text = &counts->scratch;
    struct pw_count *row;
    pw_buf_clear(text);
    text->limit = SIZE_MAX;
    enum pw_err err = pw_json_raw_text(mod, text);
    size_t mod_len = text->len;
    if (err == PW_E_OK) {
        err = pw_buf_append(text, (struct pw_span){(const uint8_t *)":", 1});
    }
    if (err == PW_E_OK) {
        err = pw_json_raw_text(name, text);
    }
    if (err == PW_E_OK) {
        err = row_of(&counts->by[PW_BY_GLOBAL], pw_buf_span(text), &row);
    }
    if (err != PW_E_OK || row->line == counts->lines) {
        return err;
    }
    row->line = counts->lines;
    row->mod_len = mod_len < row->len ? mod_len : row->len;
    add(row, line, fresh);
    return PW_E_OK;
}

static enum pw_err
add_globals(struct pw_counts *counts, const struct pw_logged *line, bool fresh)
{
    struct pw_json_walk finds = pw_json_walk_over(line->finds);
    enum pw_err err = PW_E_OK;
    while (line->finds.len > 0 && err == PW_E_OK && pw_json_walk_next(&finds)) {
        struct pw_span mod = {0}, name = {0};
        struct pw_json_walk find = pw_json_walk_over(finds.raw);
        while (finds.kind == PW_JSON_OBJECT && pw_json_walk_next(&find)) {
            if (find.kind == PW_JSON_STRING && pw_json_walk_at(&find, "mod")) {
                mod = find.raw;
            } else if (find.kind == PW_JSON_STRING && pw_json_walk_at(&find, "name")) {
                name = find.raw;
            }
        }
        if (mod.len + name.len > 0) {
            err = add_global(counts, mod, name, line, fresh);
        }
    }
    return err;
}

/* Lines come by the thousand in a second: most of them are of the one before. */
static bool
take_time(struct pw_counts *counts, const struct pw_logged *line)
{
    uint64_t ns = counts->second_ns;
    bool same = line->ts.len > SECOND && memcmp(line->ts.ptr, counts->second, SECOND) == 0;
    if (!same) {
        if (!pw_logged_time(line->ts, &ns)) {
            return false;
        }
        if (line->ts.len > SECOND) {
            memcpy(counts->second, line->ts.ptr, SECOND);
        }
        counts->second_ns = ns;
    }
    counts->first_ns =
        counts->first_ns == 0 || ns < counts->first_ns ? ns : counts->first_ns;
    counts->last_ns = ns > counts->last_ns ? ns : counts->last_ns;
    return ns >= counts->fresh_ns;
}

enum pw_err
pw_counts_take(struct pw_counts *counts, const struct pw_logged *line)
{
    bool fresh = take_time(counts, line);
    counts->lines++;
    counts->lost += line->lost;
    if (line->kind == PW_LOGGED_OTHER) {
        return PW_E_OK;
    }
    add(&counts->total, line, fresh);
    struct pw_span hour = {line->ts.ptr, line->ts.len < HOUR ? line->ts.len : HOUR};
    enum pw_err err = add_to(counts, PW_BY_CHANNEL, line->chan, line, fresh);
    if (err == PW_E_OK) {
        err = add_to(counts, PW_BY_HOUR, hour, line, fresh);
    }
    if (err == PW_E_OK && line->reason.len > 0) {
        err = add_to(counts, PW_BY_REASON, line->reason, line, fresh);
    }
    if (err == PW_E_OK && line->src.len > 0) {
        err = add_to(counts, PW_BY_SOURCE, line->src, line, fresh);
    }
    return err != PW_E_OK ? err : add_globals(counts, line, fresh);
}

/* ---- order ---- */

static bool
goes_before(const struct pw_count *a, const struct pw_count *b, bool by_text)
{
    if (!by_text && a->messages != b->messages) {
        return a->messages > b->messages;
    }
    return pw_span_compare(text_of(a), text_of(b)) < 0;
}

/* The heap's root is the row that goes last; it gives way to one that goes before it. */
static void
sift(const struct pw_count *rows, uint32_t *heap, size_t count, size_t at, bool by_text)
{
    for (;;) {
        size_t last = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            if (goes_before(&rows[heap[last]], &rows[heap[child]], by_text)) {
                last = child;
            }
        }
        if (last == at) {
            return;
        }
        uint32_t moved = heap[at];
        heap[at] = heap[last];
        heap[last] = moved;
        at = last;
    }
}

size_t
pw_counts_order(const struct pw_counts *counts, enum pw_count_by by, uint32_t *order,
                size_t most)
{
    const struct pw_count_table *table = &counts->by[by];
    bool by_text = by == PW_BY_HOUR;
    size_t count = table->count < most ? table->count : most;
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
    }
    for (size_t i = count; i > 0; i--) {
        sift(table->rows, order, count, i - 1, by_text);
    }
    for (size_t i = count; count > 0 && i < table->count; i++) {
        if (goes_before(&table->rows[i], &table->rows[order[0]], by_text)) {
            order[0] = (uint32_t)i;
            sift(table->rows, order, count, 0, by_text);
        }
    }
    for (size_t left = count; left > 1; left--) {
        uint32_t last = order[0];
        order[0] = order[left - 1];
        order[left - 1] = last;
        sift(table->rows, order, left - 1, 0, by_text);
    }
    return count;
}
