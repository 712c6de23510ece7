/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/verify.h"

#include <stdlib.h>

#include "common/audit/lines.h"

/* ---- checkpoints from elsewhere ---- */

static struct pw_verify_point *
find_point(const struct pw_verify_points *points, struct pw_span chain)
{
    for (size_t i = 0; i < points->count; i++) {
        if (pw_span_equal(chain, pw_span_str(points->list[i].chain))) {
            return &points->list[i];
        }
    }
    return NULL;
}

static enum pw_err
keep_point(struct pw_verify_points *points, const struct pw_checkpoint *point)
{
    struct pw_verify_point *known = find_point(points, point->origin);
    if (known == NULL) {
        struct pw_verify_point *list =
            realloc(points->list, (points->count + 1) * sizeof *list);
        if (list == NULL) {
            return PW_E_NOMEM;
        }
        points->list = list;
        known = &list[points->count++];
        *known = (struct pw_verify_point){0};
        memcpy(known->chain, point->origin.ptr, point->origin.len);
    }
    if (point->size >= known->size) {
        known->size = point->size;
        memcpy(known->root, point->root, sizeof known->root);
    }
    return PW_E_OK;
}

static bool
is_good(const struct pw_note *note, const struct pw_note_key *keys, size_t key_count,
        struct pw_checkpoint *point)
{
    return pw_note_checkpoint(note, point) && pw_chain_is_id(point->origin) &&
           pw_note_verify(note, keys, key_count) == PW_NOTE_GOOD;
}

enum pw_err
pw_verify_points_add(struct pw_verify_points *points, struct pw_span text,
                     const struct pw_note_key *keys, size_t key_count, struct pw_why *why)
{
    struct pw_note note;
    struct pw_checkpoint point;
    size_t good = 0;
    size_t left = 0;
    while (text.len > 0 &&
           text.len != left) { /* until nothing moves: half a note at the end */
        left = text.len;
        if (!pw_note_next(&text, &note) || !is_good(&note, keys, key_count, &point)) {
            points->skipped += text.len != left;
            continue;
        }
        good++;
        if (keep_point(points, &point) != PW_E_OK) {
            return pw_fail(why, PW_E_NOMEM, "out of memory");
        }
    }
    return good > 0 ? PW_E_OK
                    : pw_fail(why, PW_E_FORMAT,
                              "no note that the key has signed; give a file of checkpoints "
                              "as audit.mirror makes it, and the key of that wall");
}

void
pw_verify_points_free(struct pw_verify_points *points)
{
    free(points->list);
    *points = (struct pw_verify_points){0};
}

/* ---- results ---- */

static void
add_fault(struct pw_verify *verify, const struct pw_found *found)
{
    if (found->fault == PW_CHAIN_FAULT_NONE) {
        return;
    }
    if (verify->fault_count < PW_VERIFY_FAULTS) {
        verify->faults[verify->fault_count] = *found;
    }
    verify->fault_count++;
}

static void
say(struct pw_verify *verify, enum pw_chain_fault fault, struct pw_place at, uint64_t seq,
    uint64_t last)
{
    add_fault(verify, &(struct pw_found){fault, at, seq, last});
}

/* ---- chains ---- */

static bool
is_of_state(const struct pw_verify *verify)
{
    return verify->options.state != NULL && verify->follow.begun &&
           strcmp(verify->options.state->id, verify->follow.at.id) == 0;
}

static bool
is_closed(const struct pw_verify *verify)
{
    const struct pw_chain_state *state = verify->options.state;
    if (is_of_state(verify)) {
        return state->closed && state->tree.size == verify->follow.at.tree.size;
    }
    return pw_follow_is_closed(&verify->follow);
}

static void
end_chain(struct pw_verify *verify)
{
    const struct pw_follow *follow = &verify->follow;
    struct pw_found found;
    pw_follow_end(&verify->follow, &found);
    add_fault(verify, &found);
    if (!follow->begun) {
        return;
    }
    struct pw_verify_chain chain = {
        .first = follow->first,
        .last = follow->at.tree.size,
        .sealed = follow->sealed,
        .seals = follow->seals,
        .unsealed = pw_follow_unsealed(follow),
        .closed = is_closed(verify),
    };
    memcpy(chain.id, follow->at.id, sizeof chain.id);
    if (verify->chain_count < PW_VERIFY_CHAINS) {
        verify->chains[verify->chain_count] = chain;
    }
    verify->chain_count++;
    verify->open_chains += chain.first != 1 || !chain.closed;
}

static bool
was_here(const struct pw_verify *verify, struct pw_span id)
{
    for (size_t i = 0; i < verify->chain_count && i < PW_VERIFY_CHAINS; i++) {
        if (pw_span_equal(id, pw_span_str(verify->chains[i].id))) {
            return true;
        }
    }
    return false;
}

/* Another chain may begin in another file, or when its first line names the one before. */
static bool
may_begin(const struct pw_verify *verify, const struct pw_line_read *line, bool file_starts)
{
    const struct pw_follow *follow = &verify->follow;
    if (was_here(verify, line->chain)) {
        return false;
    }
    bool names_it = line->seq == 1 && pw_line_is(line, "start") &&
                    pw_span_equal(line->before, pw_span_str(follow->at.id));
    return !follow->begun || file_starts || names_it;
}

static void
refuse_chain(struct pw_verify *verify, const struct pw_line_read *line,
             struct pw_place place)
{
    if (pw_span_equal(line->chain, pw_span_str(verify->spliced))) {
        return; /* said of the first line */
    }
    memset(verify->spliced, 0, sizeof verify->spliced);
    memcpy(verify->spliced, line->chain.ptr, line->chain.len);
    say(verify, PW_CHAIN_FAULT_SPLICED, place, line->seq, line->seq);
}

static void
begin_chain(struct pw_verify *verify, const struct pw_line_read *line)
{
    bool mended = pw_follow_mend(&verify->follow, line);
    end_chain(verify);
    pw_follow_begin(&verify->follow, line, mended);
    verify->spliced[0] = '\0';
    verify->point = verify->options.points == NULL
                        ? NULL
                        : find_point(verify->options.points, line->chain);
}

/* ---- lines ---- */

static void
compare_state(struct pw_verify *verify, struct pw_place place, uint64_t seq)
{
    const struct pw_chain_state *state = verify->options.state;
    if (!is_of_state(verify)) {
        return;
    }
    if (seq == state->tree.size) {
        verify->state_seen = true;
        if (memcmp(state->hash, verify->follow.at.hash, sizeof state->hash) != 0) {
            say(verify, PW_CHAIN_FAULT_STATE, place, seq, seq);
        }
    }
    if (seq > state->tree.size && state->closed && !verify->beyond_said) {
        verify->beyond_said = true;
        say(verify, PW_CHAIN_FAULT_BEYOND, place, seq, seq);
    }
}

static void
compare_point(struct pw_verify *verify, struct pw_place place, uint64_t seq)
{
    struct pw_verify_point *point = verify->point;
    uint8_t root[PW_TREE_HASH];
    if (point == NULL || seq < point->size) {
        return;
    }
    point->seen = true;
    if (seq > point->size || !verify->follow.knows_tree) {
        return;
    }
    pw_tree_root(&verify->follow.at.tree, root);
    if (memcmp(root, point->root, sizeof root) != 0) {
        say(verify, PW_CHAIN_FAULT_OTHER, place, 1, seq);
    }
}

static void
take_text(struct pw_verify *verify, struct pw_span text, struct pw_place place,
          bool file_starts)
{
    struct pw_follow *follow = &verify->follow;
    struct pw_line_read line;
    struct pw_found found;
    if (!pw_line_read(text, &line)) {
        pw_follow_torn(follow, text, place, &found);
        add_fault(verify, &found);
        return;
    }
    if (!pw_follow_has(follow, &line)) {
        if (!may_begin(verify, &line, file_starts)) {
            refuse_chain(verify, &line, place);
            return;
        }
        begin_chain(verify, &line);
    }
    pw_follow_line(follow, text, &line, place, &found);
    add_fault(verify, &found);
    if (found.fault != PW_CHAIN_FAULT_BEHIND) {
        compare_state(verify, place, line.seq);
        compare_point(verify, place, line.seq);
    }
}

/* Bytes without an end are the beginning of the next file's first line, or torn. */
static void
settle_rest(struct pw_verify *verify, struct pw_span next)
{
    struct pw_span rest = {verify->rest, verify->rest_len};
    struct pw_found found;
    if (rest.len == 0) {
        return;
    }
    verify->rest_len = 0;
    if (next.len >= rest.len && memcmp(next.ptr, rest.ptr, rest.len) == 0) {
        return; /* the wall wrote that line anew */
    }
    pw_follow_torn(&verify->follow, rest, verify->rest_at, &found);
    add_fault(verify, &found);
}

enum pw_err
pw_verify_file(struct pw_verify *verify, int fd)
{
    struct pw_lines *lines = calloc(1, sizeof *lines);
    struct pw_span text;
    if (lines == NULL) {
        return PW_E_NOMEM;
    }
    lines->fd = fd;
    size_t file = verify->files++;
    while (pw_lines_next(lines, &text)) {
        struct pw_place place = {file, lines->number};
        settle_rest(verify, text);
        if (!lines->ended) {
            memcpy(verify->rest, text.ptr, text.len);
            verify->rest_len = text.len;
            verify->rest_at = place;
            break;
        }
        verify->lines++;
        take_text(verify, text, place, lines->number == 1);
    }
    enum pw_err err = lines->failed ? PW_E_IO : PW_E_OK;
    free(lines);
    return err;
}

/* ---- begin and end ---- */

struct pw_verify *
pw_verify_new(const struct pw_verify_options *options)
{
    struct pw_verify *verify = calloc(1, sizeof *verify);
    if (verify == NULL) {
        return NULL;
    }
    verify->rest = malloc(PW_LINES_ROOM);
    if (verify->rest == NULL) {
        pw_verify_free(&verify);
        return NULL;
    }
    verify->options = *options;
    verify->follow.keys = options->keys;
    verify->follow.key_count = options->key_count;
    return verify;
}

void
pw_verify_free(struct pw_verify **verify)
{
    if (*verify != NULL) {
        free((*verify)->rest);
        free(*verify);
    }
    *verify = NULL;
}

/* Of chains that are not here at all, only the newest is missed: the log keeps no more. */
static void
miss_points(struct pw_verify *verify)
{
    const struct pw_verify_points *points = verify->options.points;
    for (size_t i = 0; points != NULL && i < points->count; i++) {
        const struct pw_verify_point *point = &points->list[i];
        bool newest = i + 1 == points->count;
        if (!point->seen && (newest || was_here(verify, pw_span_str(point->chain)))) {
            say(verify, PW_CHAIN_FAULT_SHORT, verify->follow.where, point->size,
                point->size);
        }
    }
}

void
pw_verify_end(struct pw_verify *verify)
{
    const struct pw_chain_state *state = verify->options.state;
    verify->unfinished = verify->rest_len > 0;
    end_chain(verify);
    if (state != NULL && state->tree.size > 0 && !verify->state_seen) {
        say(verify, PW_CHAIN_FAULT_AHEAD, verify->follow.where, state->tree.size,
            state->tree.size);
    }
    miss_points(verify);
    bool open = verify->open_chains > 0 || verify->unfinished || verify->lines == 0;
    verify->verdict = verify->fault_count > 0 ? PW_VERIFY_BROKEN
                      : open                  ? PW_VERIFY_OPEN
                                              : PW_VERIFY_COMPLETE;
}
