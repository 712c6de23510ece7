/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/recent.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/audit/line.h"
#include "common/base/json_read.h"

enum { NAME_ROOM = 2048 }; /* for two names of 128 bytes, each byte as \uXXXX */

struct slot {
    size_t len;
    char line[PW_AUDIT_LINE_MAX];
};

struct name {
    uint64_t count;
    size_t len;
    uint8_t members[NAME_ROOM]; /* "mod":"…","name":"…", as the line spells them */
};

struct pw_recent {
    pthread_mutex_t lock; /* of everything below; held for a copy or a walk, no longer */
    uint64_t seen;        /* the newest is slots[(seen - 1) % PW_RECENT_LINES] */
    size_t name_count;
    struct slot slots[PW_RECENT_LINES];
    struct name names[PW_RECENT_NAMES];
};

struct pw_recent *
pw_recent_new(void)
{
    struct pw_recent *recent = calloc(1, sizeof *recent);
    if (recent != NULL) {
        pthread_mutex_init(&recent->lock, NULL);
    }
    return recent;
}

void
pw_recent_free(struct pw_recent **recent)
{
    if (*recent != NULL) {
        pthread_mutex_destroy(&(*recent)->lock);
        free(*recent);
        *recent = NULL;
    }
}

/* --- reading a line ------------------------------------------------------------------ */

/* The member `key` of the object `text`; empty when there is none. */
static struct pw_json_walk
member(struct pw_span text, const char *key)
{
    struct pw_json_walk walk = pw_json_walk_over(text);
    while (pw_json_walk_next(&walk)) {
        if (pw_json_walk_at(&walk, key)) {
            return walk;
        }
    }
    return (struct pw_json_walk){0};
}

/* The first find of a line that has names, or else its first; empty when it has none. */
static struct pw_span
first_find(struct pw_span line)
{
    struct pw_json_walk finds = member(line, "finds");
    struct pw_span first = {0};
    if (finds.kind != PW_JSON_ARRAY) {
        return first;
    }
    struct pw_json_walk walk = pw_json_walk_over(finds.raw);
    while (pw_json_walk_next(&walk)) {
        if (member(walk.raw, "mod").kind == PW_JSON_STRING) {
            return walk.raw;
        }
        first = first.len == 0 ? walk.raw : first;
    }
    return first;
}

/* --- names --------------------------------------------------------------------------- */

static struct name *
name_slot(struct pw_recent *recent, struct pw_span members)
{
    struct name *rarest = &recent->names[0];
    for (size_t i = 0; i < recent->name_count; i++) {
        struct name *it = &recent->names[i];
        if (pw_span_equal((struct pw_span){it->members, it->len}, members)) {
            return it;
        }
        rarest = it->count < rarest->count ? it : rarest;
    }
    if (recent->name_count < PW_RECENT_NAMES) {
        rarest = &recent->names[recent->name_count++];
    }
    rarest->len = members.len;
    memcpy(rarest->members, members.ptr, members.len);
    return rarest;
}

/* From the member `first` to `last`, as they stand in one object, both with their quotes.
 */
static struct pw_span
between(const struct pw_json_walk *first, const struct pw_json_walk *last)
{
    const uint8_t *start = first->key.ptr - 1;
    const uint8_t *end = last->raw.ptr + last->raw.len + (last->kind == PW_JSON_STRING);
    return (struct pw_span){start, (size_t)(end - start)};
}

static void
count_name(struct pw_recent *recent, struct pw_span line)
{
    struct pw_span find = first_find(line);
    struct pw_json_walk mod = member(find, "mod");
    struct pw_json_walk name = member(find, "name");
    if (mod.kind != PW_JSON_STRING || name.kind != PW_JSON_STRING ||
        mod.raw.ptr > name.raw.ptr) {
        return;
    }
    struct pw_span members = between(&mod, &name);
    if (members.len <= NAME_ROOM) {
        name_slot(recent, members)->count++;
    }
}

/* The most frequent name that `told` does not mark yet; NULL when all are told. */
static const struct name *
next_name(const struct pw_recent *recent, bool told[static PW_RECENT_NAMES])
{
    const struct name *best = NULL;
    for (size_t i = 0; i < recent->name_count; i++) {
        const struct name *it = &recent->names[i];
        best = !told[i] && (best == NULL || it->count > best->count) ? it : best;
    }
    if (best != NULL) {
        told[best - recent->names] = true;
    }
    return best;
}

void
pw_recent_write_names(struct pw_recent *recent, size_t most, struct pw_json *json)
{
    bool told[PW_RECENT_NAMES] = {false};
    pw_json_array(json, "globals");
    pthread_mutex_lock(&recent->lock);
    const struct name *name = next_name(recent, told);
    for (size_t i = 0; name != NULL && i < most; i++) {
        pw_json_object(json, NULL);
        pw_json_raw(json, (struct pw_span){name->members, name->len});
        pw_json_uint(json, "count", name->count);
        pw_json_end_object(json);
        name = next_name(recent, told);
    }
    pthread_mutex_unlock(&recent->lock);
    pw_json_end_array(json);
}

/* --- lines --------------------------------------------------------------------------- */

bool
pw_recent_send(void *arg, const struct pw_audit_copy *copy)
{
    struct pw_recent *recent = arg;
    if (copy->record->event != PW_EVENT_FRAME || copy->record->reason == PW_R_NONE) {
        return true;
    }
    if (copy->line.len > PW_AUDIT_LINE_MAX) {
        return false;
    }
    pthread_mutex_lock(&recent->lock);
    struct slot *slot = &recent->slots[recent->seen++ % PW_RECENT_LINES];
    memcpy(slot->line, copy->line.ptr, copy->line.len);
    slot->len = copy->line.len;
    count_name(recent, copy->line);
    pthread_mutex_unlock(&recent->lock);
    return true;
}

uint64_t
pw_recent_seen(struct pw_recent *recent)
{
    pthread_mutex_lock(&recent->lock);
    uint64_t seen = recent->seen;
    pthread_mutex_unlock(&recent->lock);
    return seen;
}

static bool
is_shown(const struct pw_json_walk *walk)
{
    static const char *const keys[] = {
        "ts",          "chan", "verdict", "enforced", "reason", "level", "finds",
        "reason_text", "rule", "msg",     "q",        "scan",   "sig",   "finds_total"};
    for (size_t i = 0; i < PW_COUNT(keys); i++) {
        if (pw_json_walk_at(walk, keys[i])) {
            return true;
        }
    }
    return false;
}

static struct pw_span
line_of(const struct slot *slot)
{
    return (struct pw_span){(const uint8_t *)slot->line, slot->len};
}

static void
write_line(const struct slot *slot, uint64_t number, struct pw_json *json)
{
    pw_json_object(json, NULL);
    pw_json_uint(json, "n", number);
    struct pw_json_walk walk = pw_json_walk_over(line_of(slot));
    while (pw_json_walk_next(&walk)) {
        if (is_shown(&walk)) {
            pw_json_raw(json, between(&walk, &walk));
        }
    }
    pw_json_end_object(json);
}

uint64_t
pw_recent_write(struct pw_recent *recent, uint64_t after, struct pw_json *json)
{
    pw_json_array(json, "findings");
    pthread_mutex_lock(&recent->lock);
    uint64_t seen = recent->seen;
    uint64_t kept = seen < PW_RECENT_LINES ? seen : PW_RECENT_LINES;
    uint64_t fresh = after < seen ? seen - after : 0;
    for (uint64_t i = 0; i < kept && i < fresh; i++) {
        uint64_t number = seen - i;
        write_line(&recent->slots[(number - 1) % PW_RECENT_LINES], number, json);
    }
    pthread_mutex_unlock(&recent->lock);
    pw_json_end_array(json);
    return seen;
}

static void
copy_text(struct pw_span text, char *out, size_t room)
{
    size_t len = text.len < room ? text.len : room - 1;
    if (len > 0) {
        memcpy(out, text.ptr, len);
    }
    out[len] = '\0';
}

static void
read_held(struct pw_span line, struct pw_span q, struct pw_recent_held *held)
{
    struct pw_span find = first_find(line);
    *held = (struct pw_recent_held){0};
    copy_text(member(q, "id").raw, held->object, sizeof held->object);
    held->stored = member(q, "stored").kind == PW_JSON_TRUE;
    (void)pw_json_raw_uint(member(q, "bytes").raw, &held->bytes);
    (void)pw_json_raw_uint(member(find, "frame").raw, &held->frame);
    (void)pw_json_raw_uint(member(find, "off").raw, &held->off);
}

bool
pw_recent_find(struct pw_recent *recent, const char *entry, struct pw_recent_held *held)
{
    bool found = false;
    pthread_mutex_lock(&recent->lock);
    for (size_t i = 0; i < PW_RECENT_LINES && i < recent->seen && !found; i++) {
        struct pw_span line = line_of(&recent->slots[i]);
        struct pw_span q = member(line, "q").raw;
        struct pw_json_walk id = member(q, "entry");
        found = id.kind == PW_JSON_STRING && pw_span_equal(id.raw, pw_span_str(entry));
        if (found) {
            read_held(line, q, held);
        }
    }
    pthread_mutex_unlock(&recent->lock);
    return found;
}
