/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/follow.h"

#include <sodium.h>

#include "common/audit/chain.h"

static const struct {
    const char *code;
    const char *words;
    const char *remedy;
} faults[PW_CHAIN_FAULTS] = {
    [PW_CHAIN_FAULT_NONE] = {"", "", ""},
#define PW_CHAIN_FAULT(name, code, words, remedy)                                          \
    [PW_CHAIN_FAULT_##name] = {code, words, remedy},
#include "common/audit/fault.def"
#undef PW_CHAIN_FAULT
};

const char *
pw_chain_fault_code(enum pw_chain_fault fault)
{
    return faults[fault].code;
}

const char *
pw_chain_fault_words(enum pw_chain_fault fault)
{
    return faults[fault].words;
}

const char *
pw_chain_fault_remedy(enum pw_chain_fault fault)
{
    return faults[fault].remedy;
}

static void
report(struct pw_found *found, enum pw_chain_fault fault, struct pw_place at, uint64_t seq)
{
    *found = (struct pw_found){fault, at, seq, seq};
}

/* ---- beginnings ---- */

/* Forget the chain, keep the keys and what was mended. */
static void
reset(struct pw_follow *follow)
{
    *follow = (struct pw_follow){
        .keys = follow->keys,
        .key_count = follow->key_count,
        .begun = true,
        .mended = follow->mended,
    };
}

void
pw_follow_from(struct pw_follow *follow, const struct pw_chain_state *state)
{
    reset(follow);
    follow->at = *state;
    follow->knows_tree = true;
    follow->first = state->tree.size + 1;
    follow->sealed = state->tree.size > 0 ? state->tree.size - 1 : 0;
    follow->ends_in_seal = state->tree.size > 0;
}

bool
pw_follow_has(const struct pw_follow *follow, const struct pw_line_read *line)
{
    return follow->begun && pw_span_equal(line->chain, pw_span_str(follow->at.id));
}

void
pw_follow_begin(struct pw_follow *follow, const struct pw_line_read *line, bool mended)
{
    reset(follow);
    follow->first_told = mended || line->seq > 1;
    memcpy(follow->at.id, line->chain.ptr, line->chain.len);
    memcpy(follow->at.hash, line->prev, sizeof follow->at.hash);
    follow->first = line->seq;
    follow->sealed = line->seq - 1;
    follow->at.tree.size = line->seq - 1;
    follow->knows_tree = line->seq == 1;
}

/* ---- checkpoints ---- */

/* What the text of the line would be that this checkpoint was made for. */
static enum pw_chain_fault
judge_note(const struct pw_follow *follow, const struct pw_line_read *line,
           struct pw_checkpoint *point, char text[static PW_NOTE_MAX])
{
    struct pw_note note;
    size_t len;
    if (!pw_note_unescape(line->note, text, &len) ||
        !pw_note_split((struct pw_span){(const uint8_t *)text, len}, &note) ||
        !pw_note_checkpoint(&note, point) ||
        !pw_span_equal(point->origin, pw_span_str(follow->at.id)) ||
        point->size != line->size || point->size != line->seq - 1) {
        return PW_CHAIN_FAULT_FORM;
    }
    switch (pw_note_verify(&note, follow->keys, follow->key_count)) {
    case PW_NOTE_GOOD:
        return PW_CHAIN_FAULT_NONE;
    case PW_NOTE_BAD:
        return PW_CHAIN_FAULT_SIGNATURE;
    default:
        return PW_CHAIN_FAULT_UNKNOWN;
    }
}

/* The tree of `follow` is still that of the lines before. */
static enum pw_chain_fault
judge_checkpoint(struct pw_follow *follow, const struct pw_line_read *line)
{
    struct pw_checkpoint point;
    char text[PW_NOTE_MAX];
    uint8_t root[PW_TREE_HASH], head[PW_TREE_HASH];
    enum pw_chain_fault fault = judge_note(follow, line, &point, text);
    if (fault != PW_CHAIN_FAULT_NONE) {
        return fault;
    }
    crypto_hash_sha256(head, line->head.ptr, line->head.len);
    if (!point.bound || memcmp(head, point.line, sizeof head) != 0) {
        return PW_CHAIN_FAULT_BOUND;
    }
    if (!follow->knows_tree) {
        follow->untested++;
        return PW_CHAIN_FAULT_NONE;
    }
    pw_tree_root(&follow->at.tree, root);
    if (memcmp(root, point.root, sizeof root) != 0) {
        return PW_CHAIN_FAULT_ROOT;
    }
    follow->sealed = point.size;
    follow->seals++;
    return PW_CHAIN_FAULT_NONE;
}

/* ---- lines ---- */

/* What the chain's own numbers and hashes say about the line. */
static enum pw_chain_fault
judge_link(const struct pw_follow *follow, const struct pw_line_read *line)
{
    uint64_t next = follow->at.tree.size + 1;
    if (line->seq != next) {
        return line->seq > next ? PW_CHAIN_FAULT_MISSING : PW_CHAIN_FAULT_BEHIND;
    }
    if (line->seq == 1 && !sodium_is_zero(line->prev, sizeof line->prev)) {
        return PW_CHAIN_FAULT_FIRST;
    }
    if (memcmp(line->prev, follow->at.hash, sizeof line->prev) != 0) {
        return PW_CHAIN_FAULT_CHANGED;
    }
    return PW_CHAIN_FAULT_NONE;
}

/* A line can tell the tree over those before it; the next checkpoint tells if it is true.
 */
static enum pw_chain_fault
judge_tree(struct pw_follow *follow, const struct pw_line_read *line)
{
    if (!line->has_tree) {
        return PW_CHAIN_FAULT_NONE;
    }
    if (!follow->knows_tree) {
        follow->at.tree = line->tree;
        follow->knows_tree = true;
        return PW_CHAIN_FAULT_NONE;
    }
    size_t bytes = pw_tree_hashes(line->tree.size) * PW_TREE_HASH;
    return memcmp(line->tree.range, follow->at.tree.range, bytes) == 0
               ? PW_CHAIN_FAULT_NONE
               : PW_CHAIN_FAULT_TREE;
}

static enum pw_chain_fault
judge_content(struct pw_follow *follow, const struct pw_line_read *line)
{
    bool stop = follow->ends_in_stop && !follow->ends_in_seal;
    enum pw_chain_fault fault =
        line->sealed ? judge_checkpoint(follow, line) : judge_tree(follow, line);
    follow->ends_in_seal =
        line->sealed && fault == PW_CHAIN_FAULT_NONE && follow->knows_tree;
    follow->ends_in_stop =
        line->sealed ? stop && follow->ends_in_seal : pw_line_is(line, "stop");
    follow->gap_said = follow->gap_said && !follow->ends_in_seal;
    return fault;
}

static enum pw_chain_fault
judge_gap(struct pw_follow *follow, const struct pw_line_read *line)
{
    bool gap = !line->sealed && line->seq - follow->sealed > PW_CHAIN_EVERY &&
               follow->knows_tree && !follow->gap_said;
    follow->gap_said = follow->gap_said || gap;
    return gap ? PW_CHAIN_FAULT_GAP : PW_CHAIN_FAULT_NONE;
}

static void
take(struct pw_follow *follow, struct pw_span text)
{
    crypto_hash_sha256(follow->at.hash, text.ptr, text.len);
    if (!follow->knows_tree) {
        follow->at.tree.size++;
        return;
    }
    uint8_t leaf[PW_TREE_HASH];
    pw_tree_leaf((struct pw_span){follow->at.hash, PW_TREE_HASH}, leaf);
    pw_tree_append(&follow->at.tree, leaf);
}

/* After a fault the chain goes on with the line as it is; its tree is known no longer. */
static void
jump(struct pw_follow *follow, const struct pw_line_read *line)
{
    follow->at.tree.size = line->seq - 1;
    follow->knows_tree = false;
    follow->ends_in_stop = false;
    follow->ends_in_seal = false;
}

bool
pw_follow_mend(struct pw_follow *follow, const struct pw_line_read *line)
{
    if (!line->torn) {
        return true;
    }
    if (!follow->torn || line->torn_bytes != follow->torn_bytes ||
        memcmp(line->torn_sha256, follow->torn_sha256, PW_TREE_HASH) != 0) {
        return false;
    }
    follow->torn = false;
    follow->mended++;
    return true;
}

void
pw_follow_line(struct pw_follow *follow, struct pw_span text,
               const struct pw_line_read *line, struct pw_place place,
               struct pw_found *found)
{
    uint64_t next = follow->at.tree.size + 1;
    enum pw_chain_fault fault = judge_link(follow, line);
    report(found, fault, place, line->seq);
    if (fault != PW_CHAIN_FAULT_NONE && follow->torn) { /* what stood there is the cause */
        report(found, PW_CHAIN_FAULT_NO_LINE, follow->torn_at, next);
        follow->torn = false;
    } else if (fault == PW_CHAIN_FAULT_MISSING) {
        found->seq = next;
        found->last = line->seq - 1;
    } else if (fault == PW_CHAIN_FAULT_CHANGED) {
        found->at = follow->where;
        found->seq = found->last = line->seq - 1;
    }
    if (fault == PW_CHAIN_FAULT_BEHIND) {
        return;
    }
    if (fault != PW_CHAIN_FAULT_NONE) {
        jump(follow, line);
        follow->sealed = line->seq - 1;
    }
    bool told_well =
        pw_follow_mend(follow, line) || (line->seq == follow->first && follow->first_told);
    enum pw_chain_fault inside = judge_content(follow, line);
    inside = inside != PW_CHAIN_FAULT_NONE ? inside : judge_gap(follow, line);
    inside = inside != PW_CHAIN_FAULT_NONE || told_well ? inside : PW_CHAIN_FAULT_TORN;
    if (fault == PW_CHAIN_FAULT_NONE && inside != PW_CHAIN_FAULT_NONE) {
        report(found, inside, place, line->seq);
    }
    if (inside == PW_CHAIN_FAULT_ROOT || inside == PW_CHAIN_FAULT_TREE) {
        found->seq = inside == PW_CHAIN_FAULT_ROOT ? follow->sealed + 1 : found->seq;
        jump(follow, line);
        follow->sealed = line->seq - 1;
    }
    take(follow, text);
    follow->where = place;
}

void
pw_follow_torn(struct pw_follow *follow, struct pw_span text, struct pw_place place,
               struct pw_found *found)
{
    *found = (struct pw_found){0};
    if (follow->torn) {
        report(found, PW_CHAIN_FAULT_NO_LINE, follow->torn_at, 0);
    }
    follow->torn = true;
    follow->torn_at = place;
    follow->torn_bytes = text.len;
    crypto_hash_sha256(follow->torn_sha256, text.ptr, text.len);
}

void
pw_follow_end(struct pw_follow *follow, struct pw_found *found)
{
    *found = (struct pw_found){0};
    if (follow->torn) {
        report(found, PW_CHAIN_FAULT_NO_LINE, follow->torn_at, 0);
        follow->torn = false;
    } else if (follow->begun && !follow->knows_tree && follow->first > 1) {
        report(found, PW_CHAIN_FAULT_LATE, follow->where, follow->first);
    }
}

bool
pw_follow_is_closed(const struct pw_follow *follow)
{
    return follow->begun && follow->ends_in_seal && follow->ends_in_stop;
}

uint64_t
pw_follow_unsealed(const struct pw_follow *follow)
{
    uint64_t behind = follow->at.tree.size - follow->sealed;
    return follow->ends_in_seal ? 0 : behind;
}
