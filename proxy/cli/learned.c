/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/learned.h"

#include <stdlib.h>
#include <string.h>

#include "common/pickle/compat.h"
#include "common/pickle/report.h"
#include "proxy/cli/json_line.h"
#include "proxy/cli/uses.h"

enum { FIRST_ROOM = 256 };

void
pw_learned_init(struct pw_learned *learned)
{
    *learned = (struct pw_learned){.pending = {.limit = PW_LEARN_LINE_MAX}};
}

void
pw_learned_free(struct pw_learned *learned)
{
    for (size_t i = 0; i < learned->seen_count; i++) {
        free(learned->seen[i].text);
    }
    free(learned->seen);
    free(learned->slots);
    pw_buf_free(&learned->pending);
}

/* ---- the table ------------------------------------------------------------------------
 */

static struct pw_span
mod_of(const struct pw_seen *seen)
{
    return (struct pw_span){seen->text, seen->mod_len};
}

static struct pw_span
name_of(const struct pw_seen *seen)
{
    return (struct pw_span){seen->text + seen->mod_len, seen->name_len};
}

static uint64_t
hash(uint64_t so_far, struct pw_span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        so_far = (so_far ^ bytes.ptr[i]) * 0x100000001b3u; /* FNV-1a */
    }
    return (so_far ^ bytes.len) * 0x100000001b3u;
}

/* The slot of the pair, or the empty one where it would go. */
static uint32_t *
slot_of(const struct pw_learned *learned, struct pw_span mod, struct pw_span name)
{
    uint64_t start = hash(hash(0xcbf29ce484222325u, mod), name);
    size_t at = (start ^ start >> 32) & (learned->slot_count - 1);
    for (;; at = (at + 1) & (learned->slot_count - 1)) {
        uint32_t index = learned->slots[at];
        if (index == 0 || (pw_span_equal(mod_of(&learned->seen[index - 1]), mod) &&
                           pw_span_equal(name_of(&learned->seen[index - 1]), name))) {
            return &learned->slots[at];
        }
    }
}

/* Room for one more, in a table that stays half empty. */
static enum pw_err
grow(struct pw_learned *learned)
{
    if (learned->seen_count < learned->seen_room) {
        return PW_E_OK;
    }
    size_t room = learned->seen_room == 0 ? FIRST_ROOM : learned->seen_room * 2;
    struct pw_seen *seen = realloc(learned->seen, room * sizeof *seen);
    if (seen == NULL) {
        return PW_E_NOMEM;
    }
    learned->seen = seen;
    uint32_t *slots = calloc(room * 2, sizeof *slots);
    if (slots == NULL) {
        return PW_E_NOMEM;
    }
    free(learned->slots);
    learned->slots = slots;
    learned->slot_count = room * 2;
    learned->seen_room = room;
    for (size_t i = 0; i < learned->seen_count; i++) {
        *slot_of(learned, mod_of(&seen[i]), name_of(&seen[i])) = (uint32_t)(i + 1);
    }
    return PW_E_OK;
}

static struct pw_span
shorter(struct pw_span text, size_t most)
{
    return (struct pw_span){text.ptr, text.len < most ? text.len : most};
}

static void
copy(uint8_t *to, struct pw_span from)
{
    if (from.len > 0) {
        memcpy(to, from.ptr, from.len);
    }
}

/* The entry of a pair, made when there is none. NULL in *out when there is no more room. */
static enum pw_err
intern(struct pw_learned *learned, struct pw_span mod, struct pw_span name,
       struct pw_seen **out)
{
    bool cut = mod.len > PW_LEARN_NAME || name.len > PW_LEARN_NAME;
    mod = shorter(mod, PW_LEARN_NAME);
    name = shorter(name, PW_LEARN_NAME);
    *out = NULL;
    if (grow(learned) != PW_E_OK) {
        return PW_E_NOMEM;
    }
    uint32_t *slot = slot_of(learned, mod, name);
    if (*slot == 0 && learned->seen_count == PW_LEARN_NAMES) {
        learned->forgotten++;
        return PW_E_OK;
    }
    if (*slot == 0) {
        uint8_t *text = malloc(mod.len + name.len + 1);
        if (text == NULL) {
            return PW_E_NOMEM;
        }
        copy(text, mod);
        copy(text + mod.len, name);
        learned->seen[learned->seen_count++] =
            (struct pw_seen){.text = text, .mod_len = mod.len, .name_len = name.len};
        *slot = (uint32_t)learned->seen_count;
    }
    *out = &learned->seen[*slot - 1];
    (*out)->cut = (*out)->cut || cut;
    return PW_E_OK;
}

/* The number of a label in its list; `most` when the list is full and it is not there. */
static size_t
label_index(struct pw_label *labels, size_t *count, size_t most, struct pw_span text)
{
    text = shorter(text, sizeof labels->text);
    for (size_t i = 0; i < *count; i++) {
        if (pw_span_equal((struct pw_span){labels[i].text, labels[i].len}, text)) {
            return i;
        }
    }
    if (*count < most) {
        labels[*count].len = text.len;
        copy(labels[*count].text, text);
        return (*count)++;
    }
    return most;
}

/* ---- one object -----------------------------------------------------------------------
 */

/* What one line says of each of its names. */
struct source {
    struct pw_learned *learned;
    struct pw_span when; /* time stamp, or path */
    bool dated;
    uint32_t channel; /* a bit; 0 without one */
    bool old;         /* the consumer renames: a protocol below 3 */
};

/* How the name was used, and whether a policy refused that. */
struct mention {
    uint8_t uses;
    bool any_use;
    bool refused;
};

static void
note_first(const struct source *source, struct pw_seen *seen)
{
    struct pw_span first = {seen->first, seen->first_len};
    struct pw_span when = shorter(source->when, PW_LEARN_FIRST);
    bool earlier = source->dated && seen->dated && when.len == first.len &&
                   memcmp(when.ptr, first.ptr, when.len) < 0;
    if (when.len > 0 && (first.len == 0 || (source->dated && !seen->dated) || earlier)) {
        copy(seen->first, when);
        seen->first_len = (uint8_t)when.len;
        seen->first_cut = when.len < source->when.len;
        seen->dated = source->dated;
    }
}

static enum pw_err
mention(const struct source *source, struct pw_span mod, struct pw_span name,
        struct mention what)
{
    struct pw_learned *learned = source->learned;
    struct pw_seen *seen;
    enum pw_err err = intern(learned, mod, name, &seen);
    if (seen == NULL) {
        return err;
    }
    seen->count += seen->line != learned->lines;
    seen->line = learned->lines;
    seen->uses |= what.uses;
    seen->any_use = seen->any_use || what.any_use;
    seen->refused = seen->refused || what.refused;
    seen->channels |= source->channel;
    note_first(source, seen);
    return PW_E_OK;
}

static uint8_t
uses_in(const json_t *words)
{
    uint8_t uses = 0;
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        for (unsigned use = 0; word != NULL && use < PW_USE_COUNT; use++) {
            uses |= strcmp(word, pw_use_word(use)) == 0 ? (uint8_t)(1u << use) : 0;
        }
    }
    return uses;
}

/* {"mod","name","allowed","uses","renamed"} of scan --json. */
static enum pw_err
take_import(const struct source *source, const json_t *import)
{
    const json_t *renamed = json_object_get(import, "renamed");
    const json_t *uses = json_object_get(import, "uses");
    struct mention what = {.uses = uses_in(uses),
                           .any_use = !json_is_array(uses),
                           .refused = !json_is_true(json_object_get(import, "allowed"))};
    enum pw_err err =
        mention(source, pw_json_text(import, "mod"), pw_json_text(import, "name"), what);
    if (err != PW_E_OK || !json_is_object(renamed)) {
        return err;
    }
    return mention(source, pw_json_text(renamed, "mod"), pw_json_text(renamed, "name"),
                   what);
}

static const struct {
    const char *op;
    uint8_t uses;
} op_uses[] = {
    {"REDUCE", 1 << PW_USE_CALL},    {"INST", 1 << PW_USE_CALL},
    {"OBJ", 1 << PW_USE_CALL},       {"NEWOBJ", 1 << PW_USE_NEW},
    {"NEWOBJ_EX", 1 << PW_USE_NEW},  {"BUILD", 1 << PW_USE_BUILD},
    {"APPEND", 1 << PW_USE_ITEMS},   {"APPENDS", 1 << PW_USE_ITEMS},
    {"SETITEM", 1 << PW_USE_ITEMS},  {"SETITEMS", 1 << PW_USE_ITEMS},
    {"ADDITEMS", 1 << PW_USE_ITEMS},
};

/* What a finding asks for. An opcode may use its target one way, and others as values. */
static struct mention
mention_of(enum pw_reason reason, const json_t *find)
{
    struct pw_span op = pw_json_text(find, "op");
    struct mention what = {.refused = true, .any_use = reason == PW_R_IMPORT_DENIED};
    for (size_t i = 0; !what.any_use && i < PW_COUNT(op_uses); i++) {
        what.uses |= pw_span_equal(op, pw_span_str(op_uses[i].op)) ? op_uses[i].uses : 0;
    }
    what.uses |= reason == PW_R_USE_DENIED ? 1 << PW_USE_REF : 0;
    return what;
}

static enum pw_reason
reason_of(struct pw_span code)
{
    for (int reason = 1; reason < PW_R_COUNT; reason++) {
        if (pw_span_equal(code, pw_span_str(pw_reason_code((enum pw_reason)reason)))) {
            return (enum pw_reason)reason;
        }
    }
    return PW_R_NONE;
}

static enum pw_err
take_find(const struct source *source, const json_t *find, bool with_imports)
{
    enum pw_reason reason = reason_of(pw_json_text(find, "code"));
    struct pw_span mod = pw_json_text(find, "mod");
    struct pw_span name = pw_json_text(find, "name");
    if (reason != PW_R_IMPORT_DENIED && reason != PW_R_USE_DENIED &&
        reason != PW_R_ARGS_DENIED) {
        source->learned->others[reason]++;
        return PW_E_OK;
    }
    struct mention what = mention_of(reason, find);
    if (with_imports) { /* these tell the uses */
        what.any_use = false;
    }
    enum pw_err err = mention(source, mod, name, what);
    struct pw_span new_mod, new_name;
    if (err != PW_E_OK || !source->old || !pw_compat_map(mod, name, &new_mod, &new_name)) {
        return err;
    }
    return mention(source, new_mod, new_name, what);
}

static enum pw_err
take_judgement(const struct source *source, const json_t *object)
{
    const json_t *imports = json_object_get(object, "imports");
    const json_t *finds = json_object_get(object, "finds");
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && i < json_array_size(imports); i++) {
        err = take_import(source, json_array_get(imports, i));
    }
    for (size_t i = 0; err == PW_E_OK && i < json_array_size(finds); i++) {
        err = take_find(source, json_array_get(finds, i), imports != NULL);
    }
    source->learned->incomplete +=
        pw_json_number(object, "finds_total") > (long long)json_array_size(finds);
    return err;
}

static bool
starts_with(struct pw_span text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && memcmp(text.ptr, start, len) == 0;
}

static void
note_policy(struct pw_learned *learned, struct pw_span name)
{
    if (name.len > 0) {
        (void)label_index(learned->policies, &learned->policy_count, PW_LEARN_POLICIES,
                          name);
    }
}

static enum pw_err
take_audit(struct pw_learned *learned, const json_t *object)
{
    struct pw_span channel = pw_json_text(object, "chan");
    const json_t *pickle = json_object_get(object, "pickle");
    struct source source = {.learned = learned, .dated = true};
    source.when = pw_json_text(object, "ts");
    source.old = pickle == NULL || pw_json_number(pickle, "proto") < 3;
    if (channel.len > 0) {
        source.channel = UINT32_C(1)
                         << label_index(learned->channels, &learned->channel_count,
                                        PW_LEARN_CHANNELS, channel);
    }
    note_policy(learned, pw_json_text(json_object_get(object, "rule"), "set"));
    learned->incomplete += json_is_true(json_object_get(object, "detail_cut"));
    return take_judgement(&source, object);
}

static enum pw_err
take_scan(struct pw_learned *learned, const json_t *object)
{
    struct source source = {.learned = learned, .when = pw_json_text(object, "path")};
    source.old = pw_json_number(object, "proto") < 3;
    note_policy(learned, pw_json_text(object, "policy"));
    return take_judgement(&source, object);
}

static enum pw_err
take_object(struct pw_learned *learned, const json_t *object)
{
    if (starts_with(pw_json_text(object, "schema"), "picklewall.audit/")) {
        return take_audit(learned, object);
    }
    if (json_is_string(json_object_get(object, "path")) &&
        json_is_string(json_object_get(object, "verdict"))) {
        return take_scan(learned, object);
    }
    return PW_E_FORMAT;
}

/* ---- lines ----------------------------------------------------------------------------
 */

static void
note_malformed(struct pw_learned *learned)
{
    learned->first_malformed =
        learned->first_malformed == 0 ? learned->number : learned->first_malformed;
    learned->malformed++;
}

static enum pw_err
take_line(struct pw_learned *learned, struct pw_span line)
{
    learned->number++;
    if (learned->skipping) {
        learned->skipping = false;
        learned->lines++;
        note_malformed(learned);
        return PW_E_OK;
    }
    if (line.len == 0) {
        return PW_E_OK;
    }
    learned->lines++;
    PW_CLEANUP(pw_json_line_free) json_t *object = NULL;
    enum pw_err err = pw_json_line_read(line, &object);
    err = err == PW_E_OK ? take_object(learned, object) : err;
    if (err == PW_E_FORMAT) {
        note_malformed(learned);
        return PW_E_OK;
    }
    return err;
}

/* Keep the start of a line, unless that gets too long. */
static enum pw_err
keep(struct pw_learned *learned, struct pw_span part)
{
    if (learned->skipping) {
        return PW_E_OK;
    }
    enum pw_err err = pw_buf_append(&learned->pending, part);
    if (err == PW_E_LIMIT) {
        pw_buf_clear(&learned->pending);
        learned->skipping = true;
        return PW_E_OK;
    }
    return err;
}

/* A line ends with `part`, most often the whole of it. */
static enum pw_err
finish_line(struct pw_learned *learned, struct pw_span part)
{
    if (learned->pending.len == 0) {
        return take_line(learned, part);
    }
    enum pw_err err = keep(learned, part);
    if (err == PW_E_OK) {
        err = take_line(learned, pw_buf_span(&learned->pending));
        pw_buf_clear(&learned->pending);
    }
    return err;
}

enum pw_err
pw_learned_feed(struct pw_learned *learned, struct pw_span bytes)
{
    struct pw_cursor cur = pw_cursor_over(bytes);
    while (cur.rest.len > 0) {
        const uint8_t *end = memchr(cur.rest.ptr, '\n', cur.rest.len);
        enum pw_err err = end == NULL ? keep(learned, pw_cursor_take(&cur, cur.rest.len))
                                      : finish_line(learned, pw_cursor_until(&cur, '\n'));
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

enum pw_err
pw_learned_end(struct pw_learned *learned)
{
    bool open = learned->skipping || learned->pending.len > 0;
    return open ? finish_line(learned, (struct pw_span){0}) : PW_E_OK;
}
