/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/schema.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings/nearest.h"

typedef struct pw_settings base_SETTINGS;
typedef struct pw_channel base_CHANNEL;
typedef struct pw_policy_draft base_POLICY;

const struct pw_row pw_rows[] = {
#define PW_SETTING(path, type, base, field, fallback, least, most, flags, choices, doc)    \
    {path,                                                                                 \
     PW_TYPE_##type,                                                                       \
     PW_BASE_##base,                                                                       \
     offsetof(base_##base, field),                                                         \
     sizeof(((base_##base *)NULL)->field),                                                 \
     fallback,                                                                             \
     least,                                                                                \
     most,                                                                                 \
     PW_ROW_##flags,                                                                       \
     choices,                                                                              \
     doc},
#include "common/settings/settings.def"
#undef PW_SETTING
};

const size_t pw_row_count = PW_COUNT(pw_rows);

_Static_assert(PW_COUNT(pw_rows) <= 128, "sets of rows are kept in 2 times 64 bits");

enum { NAME_MAX_LEN = 64, SEGMENT_ROOM = 32, SEGMENTS_MAX = 24 };

bool
pw_schema_is_name(const char *text)
{
    size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                              "0123456789._-");
    return len > 0 && len <= NAME_MAX_LEN && text[len] == '\0' && text[0] != '.';
}

/* Take the next segment off a row's path; false at its end. */
static bool
next_segment(const char **path, char out[static SEGMENT_ROOM])
{
    size_t len = strcspn(*path, ".");
    snprintf(out, SEGMENT_ROOM, "%.*s", (int)len, *path);
    *path += len + ((*path)[len] == '.');
    return len > 0;
}

static bool
segment_fits(const char *segment, const char *name)
{
    return strcmp(segment, "NAME") == 0 || strcmp(segment, name) == 0;
}

/*
 * Whether the names from the margin to `node` are the first segments of `path`. *rest is
 * what is left of the path behind them: "" when the node is the setting itself. PW_ZPL_NONE
 * is above every path.
 */
static bool
starts_with(const char *path, const struct pw_zpl *doc, size_t node, const char **rest)
{
    size_t chain[PW_ZPL_DEPTH_MAX];
    size_t count = 0;
    for (size_t at = node; at != PW_ZPL_NONE; at = doc->nodes[at].parent) {
        chain[count++] = at;
    }
    while (count-- > 0) {
        char segment[SEGMENT_ROOM];
        if (!next_segment(&path, segment) ||
            !segment_fits(segment, doc->nodes[chain[count]].name)) {
            return false;
        }
    }
    *rest = path;
    return true;
}

/* The first row at or below a node; *leaf says whether it is the node itself. */
static const struct pw_row *
row_at(const struct pw_zpl *doc, size_t node, bool *leaf)
{
    for (size_t i = 0; i < pw_row_count; i++) {
        const char *rest;
        if (starts_with(pw_rows[i].path, doc, node, &rest)) {
            *leaf = *rest == '\0';
            return &pw_rows[i];
        }
    }
    return NULL;
}

const struct pw_row *
pw_schema_row(const struct pw_zpl *doc, size_t node)
{
    bool leaf = false;
    const struct pw_row *row = row_at(doc, node, &leaf);
    return leaf ? row : NULL;
}

bool
pw_schema_is_named(const struct pw_zpl *doc, size_t node, const char *section)
{
    size_t parent = doc->nodes[node].parent;
    return parent != PW_ZPL_NONE && doc->nodes[parent].parent == PW_ZPL_NONE &&
           strcmp(doc->nodes[parent].name, section) == 0;
}

/* What may stand below a section: bind, connect, hwm, buffer. */
struct segments {
    size_t count;
    char text[SEGMENTS_MAX][SEGMENT_ROOM];
};

static void
collect_below(const struct pw_zpl *doc, size_t section, struct segments *below)
{
    for (size_t i = 0; i < pw_row_count && below->count < SEGMENTS_MAX; i++) {
        const char *rest;
        char *segment = below->text[below->count];
        if (!starts_with(pw_rows[i].path, doc, section, &rest) ||
            !next_segment(&rest, segment)) {
            continue;
        }
        /* The rows of a section stand together in the table. */
        if (below->count == 0 || strcmp(segment, below->text[below->count - 1]) != 0) {
            below->count++;
        }
    }
}

static enum pw_err
refuse_unknown(const struct pw_zpl *doc, size_t node, struct pw_why *why)
{
    struct segments below = {0};
    collect_below(doc, doc->nodes[node].parent, &below);
    struct pw_nearest nearest = {.wanted = doc->nodes[node].name};
    char list[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < below.count && len < sizeof list; i++) {
        pw_nearest_offer(&nearest, below.text[i]);
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i > 0 ? ", " : "",
                                below.text[i]);
    }
    if (nearest.best[0] != '\0') {
        return pw_zpl_fail(doc, node, why, "no such setting; did you mean %s?",
                           nearest.best);
    }
    return pw_zpl_fail(doc, node, why, "no such setting; here belong %s", list);
}

static size_t
first_of_name(const struct pw_zpl *doc, size_t node)
{
    size_t at = doc->nodes[node].parent == PW_ZPL_NONE ? 0 : doc->nodes[node].parent + 1;
    for (; at < node; at++) {
        if (doc->nodes[at].parent == doc->nodes[node].parent &&
            strcmp(doc->nodes[at].name, doc->nodes[node].name) == 0) {
            return at;
        }
    }
    return node;
}

static enum pw_err
check_node(const struct pw_zpl *doc, size_t node, struct pw_why *why)
{
    const struct pw_zpl_node *it = &doc->nodes[node];
    bool leaf = false;
    const struct pw_row *row = row_at(doc, node, &leaf);
    if (row == NULL) {
        return refuse_unknown(doc, node, why);
    }
    if (leaf && it->section) {
        return pw_zpl_fail(doc, node, why, "has no value; write %s = VALUE", it->name);
    }
    if (!leaf && !it->section) {
        return pw_zpl_fail(doc, node, why,
                           "is a section and takes no value; put its settings on the lines "
                           "below, indented by %u",
                           (it->depth + 1) * 4);
    }
    if (it->depth == 1 && !leaf && !pw_schema_is_name(it->name)) {
        return pw_zpl_fail(doc, node, why,
                           "is no name; use up to 64 letters, digits, . _ - and no dot in "
                           "front");
    }
    if ((row->flags & PW_ROW_REPEAT) == 0 || !leaf) {
        size_t first = first_of_name(doc, node);
        if (first != node) {
            return pw_zpl_fail(doc, node, why, "stands twice, first on line %u; keep one",
                               doc->nodes[first].line);
        }
    }
    return PW_E_OK;
}

static bool
has_child(const struct pw_zpl *doc, size_t node, const char *name)
{
    for (size_t at = node + 1;
         at < doc->count && doc->nodes[at].depth > doc->nodes[node].depth; at++) {
        if (doc->nodes[at].parent == node && strcmp(doc->nodes[at].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The required rows of a named section. */
static enum pw_err
check_complete(const struct pw_zpl *doc, size_t node, struct pw_why *why)
{
    for (size_t i = 0; i < pw_row_count; i++) {
        const char *rest;
        if ((pw_rows[i].flags & PW_ROW_REQUIRED) != 0 &&
            starts_with(pw_rows[i].path, doc, node, &rest) && !has_child(doc, node, rest)) {
            return pw_zpl_fail(doc, node, why, "lacks %s; add %s = VALUE below it", rest,
                               rest);
        }
    }
    return PW_E_OK;
}

enum pw_err
pw_schema_check(const struct pw_zpl *doc, struct pw_why *why)
{
    for (size_t node = 0; node < doc->count; node++) {
        enum pw_err err = check_node(doc, node, why);
        if (err != PW_E_OK) {
            return err;
        }
    }
    for (size_t node = 0; node < doc->count; node++) {
        enum pw_err err = doc->nodes[node].depth == 1 && doc->nodes[node].section
                              ? check_complete(doc, node, why)
                              : PW_E_OK;
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

bool
pw_schema_variable(const struct pw_row *row, char out[static PW_ZPL_PATH_MAX])
{
    if (row->base != PW_BASE_SETTINGS) {
        return false;
    }
    int len = snprintf(out, PW_ZPL_PATH_MAX, "PICKLEWALL_%s", row->path);
    for (int i = 0; i < len; i++) {
        out[i] = (char)(out[i] == '.' ? '_' : toupper((unsigned char)out[i]));
    }
    return true;
}
