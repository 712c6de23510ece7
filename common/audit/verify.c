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

enum { FIRST_CHAINS = 4 };

/* An empty id stays empty. */
static void
copy_id(char out[static PW_CHAIN_ID], struct pw_span id)
{
    for (size_t i = 0; i < id.len && i < PW_CHAIN_ID - 1; i++) {
        out[i] = (char)id.ptr[i];
    }
}

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
    struct pw_verify_chain *chain = &verify->chains[verify->chain_count - 1];
    chain->first = follow->first;
    chain->last = follow->at.tree.size;
    chain->sealed = follow->sealed;
    chain->seals = follow->seals;
    chain->unsealed = pw_follow_unsealed(follow);
    chain->closed = is_closed(verify);
    chain->end = follow->where;
    verify->open_chains += chain->first != 1 || !chain->closed;
}

static const struct pw_verify_chain *
find_chain(const struct pw_verify *verify, struct pw_span id)
{
    for (size_t i = 0; i < verify->chain_count; i++) {
        if (pw_span_equal(id, pw_span_str(verify->chains[i].id))) {
            return &verify->chains[i];
        }
    }
    return NULL;
}

/* Another chain may begin in another file, or when its first line names the one before. */
static bool
may_begin(const struct pw_verify *verify, const struct pw_line_read *line, bool file_starts)
{
    const struct pw_follow *follow = &verify->follow;
    if (find_chain(verify, line->chain) != NULL) {
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

static bool
make_room(struct pw_verify *verify)
{
    if (verify->chain_count < verify->chain_room) {
        return true;
    }
    size_t room = verify->chain_room == 0 ? FIRST_CHAINS : verify->chain_room * 2;
    struct pw_verify_chain *chains = realloc(verify->chains, room * sizeof *chains);
    if (chains == NULL) {
        return false;
    }
    verify->chains = chains;
    verify->chain_room = room;
    return true;
}

static enum pw_err
begin_chain(struct pw_verify *verify, const struct pw_line_read *line,
            struct pw_place place)
{
    if (!make_room(verify)) {
        return PW_E_NOMEM;
    }
    bool mended = pw_follow_mend(&verify->follow, line);
    end_chain(verify);
    struct pw_verify_chain *chain = &verify->chains[verify->chain_count++];
    *chain = (struct pw_verify_chain){.before_seq = line->before_seq, .begin = place};
    copy_id(chain->id, line->chain);
    copy_id(chain->before, line->before);
    pw_follow_begin(&verify->follow, line, mended);
    verify->spliced[0] = '\0';
    verify->point = verify->options.points == NULL
                        ? NULL
                        : find_point(verify->options.points, line->chain);
    return PW_E_OK;
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

static enum pw_err
take_text(struct pw_verify *verify, struct pw_span text, struct pw_place place,
          bool file_starts)
{
    struct pw_follow *follow = &verify->follow;
    struct pw_line_read line;
    struct pw_found found;
    if (!pw_line_read(text, &line)) {
        pw_follow_torn(follow, text, place, &found);
        add_fault(verify, &found);
        return PW_E_OK;
    }
    if (!pw_follow_has(follow, &line)) {
        if (!may_begin(verify, &line, file_starts)) {
            refuse_chain(verify, &line, place);
            return PW_E_OK;
        }
        enum pw_err err = begin_chain(verify, &line, place);
        if (err != PW_E_OK) {
            return err;
        }
    }
    pw_follow_line(follow, text, &line, place, &found);
    add_fault(verify, &found);
    if (found.fault != PW_CHAIN_FAULT_BEHIND) {
        compare_state(verify, place, line.seq);
        compare_point(verify, place, line.seq);
    }
    return PW_E_OK;
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
    enum pw_err err = PW_E_OK;
    while (err == PW_E_OK && pw_lines_next(lines, &text)) {
        struct pw_place place = {file, lines->number};
        settle_rest(verify, text);
        if (!lines->ended) {
            memcpy(verify->rest, text.ptr, text.len);
            verify->rest_len = text.len;
            verify->rest_at = place;
            break;
        }
        verify->lines++;
        err = take_text(verify, text, place, lines->number == 1);
    }
    err = lines->failed ? PW_E_IO : err;
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
        free((*verify)->chains);
        free(*verify);
    }
    *verify = NULL;
}

/* What no file has can be an older file, or one that somebody took away. */
static void
miss_chain(struct pw_verify *verify, const char *id, uint64_t seq)
{
    for (size_t i = 0; i < verify->missing_count && i < PW_VERIFY_MISSING; i++) {
        struct pw_verify_missing *known = &verify->missing[i];
        if (strcmp(known->id, id) == 0) {
            known->seq = known->seq > seq ? known->seq : seq;
            return;
        }
    }
    if (verify->missing_count < PW_VERIFY_MISSING) {
        struct pw_verify_missing *missing = &verify->missing[verify->missing_count];
        missing->seq = seq;
        copy_id(missing->id, pw_span_str(id));
    }
    verify->missing_count++;
}

/* What the chains' first lines say of those before them. */
static void
compare_befores(struct pw_verify *verify)
{
    for (size_t i = 0; i < verify->chain_count; i++) {
        const struct pw_verify_chain *chain = &verify->chains[i];
        const struct pw_verify_chain *before =
            find_chain(verify, pw_span_str(chain->before));
        if (chain->before[0] != '\0' && before == NULL) {
            miss_chain(verify, chain->before, chain->before_seq);
        }
        if (before != NULL && before->last < chain->before_seq) {
            say(verify, PW_CHAIN_FAULT_ENDS, before->end, before->last + 1,
                chain->before_seq);
        }
    }
}

/* The log goes on with the newest chain, so that one cannot be in an older file. */
static void
miss_points(struct pw_verify *verify)
{
    const struct pw_verify_points *points = verify->options.points;
    for (size_t i = 0; points != NULL && i < points->count; i++) {
        const struct pw_verify_point *point = &points->list[i];
        bool newest = i + 1 == points->count;
        bool here = find_chain(verify, pw_span_str(point->chain)) != NULL;
        if (!point->seen && (newest || here)) {
            say(verify, PW_CHAIN_FAULT_SHORT, verify->follow.where, point->size,
                point->size);
        }
        if (!here) {
            miss_chain(verify, point->chain, point->size);
        }
    }
}

/* Of each chain since the one that the log begins with, all lines must be there, and of
 * that one those from there on. */
static void
miss_beginning(struct pw_verify *verify)
{
    const struct pw_chain_state *state = verify->options.state;
    if (!verify->options.whole || state == NULL || state->begins[0] == '\0') {
        return;
    }
    struct pw_span oldest = pw_span_str(state->begins);
    for (size_t i = 0; i < verify->chain_count; i++) {
        const struct pw_verify_chain *chain = &verify->chains[i];
        bool is_oldest = pw_span_equal(oldest, pw_span_str(chain->id));
        uint64_t due = is_oldest ? state->begins_seq : 1;
        bool counts = pw_chain_born(pw_span_str(chain->id)) >= pw_chain_born(oldest);
        if (counts && chain->first > due) {
            say(verify, PW_CHAIN_FAULT_REMOVED, chain->begin, due, chain->first - 1);
        }
    }
    /* Of a chain that has only begun, no line is known to have been written. */
    bool begun = state->tree.size == 0 && strcmp(state->id, state->begins) == 0;
    if (!begun && find_chain(verify, oldest) == NULL) {
        miss_chain(verify, state->begins, state->begins_seq);
    }
    for (size_t i = 0; i < verify->missing_count && i < PW_VERIFY_MISSING; i++) {
        const struct pw_verify_missing *missing = &verify->missing[i];
        if (pw_chain_born(pw_span_str(missing->id)) >= pw_chain_born(oldest)) {
            say(verify, PW_CHAIN_FAULT_REMOVED, (struct pw_place){0, 1}, 0, 0);
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
    compare_befores(verify);
    miss_points(verify);
    miss_beginning(verify);
    bool open = verify->open_chains > 0 || verify->missing_count > 0 ||
                verify->unfinished || verify->lines == 0;
    verify->verdict = verify->fault_count > 0 ? PW_VERIFY_BROKEN
                      : open                  ? PW_VERIFY_OPEN
                                              : PW_VERIFY_COMPLETE;
}
