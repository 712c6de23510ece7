/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/zpl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <czmq.h>

#include "common/base/utf8.h"

enum { INDENT = 4, FIRST_NODES = 32, NAME_SHOWN = 64 };

/* The text is walked once for what each line is; zconfig then gives the names and values.
 */
struct walk {
    struct pw_zpl *doc;
    struct pw_why *why;
    size_t room; /* nodes allocated */
    unsigned line;
    char name[NAME_SHOWN]; /* what the line seems to set, for its errors; or "" */
    size_t last;           /* node of the last named line */
};

static enum pw_err refuse(struct walk *walk, const char *format, ...) PW_PRINTF(2, 3);

static enum pw_err
refuse(struct walk *walk, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return pw_fail(walk->why, PW_E_CONFIG, "%s:%u: %s%s%s", walk->doc->file, walk->line,
                   walk->name, walk->name[0] != '\0' ? ": " : "", text);
}

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '_' || c == '-';
}

static size_t
name_run(struct pw_span text)
{
    size_t len = 0;
    while (len < text.len && is_name_char((char)text.ptr[len])) {
        len++;
    }
    return len;
}

/* Take note of the first name of a line that may still turn out to be no text at all. */
static void
note_name(struct walk *walk, struct pw_span line)
{
    while (line.len > 0 && (*line.ptr == ' ' || *line.ptr == '\t')) {
        line.ptr++;
        line.len--;
    }
    snprintf(walk->name, sizeof walk->name, "%.*s", (int)name_run(line),
             line.len > 0 ? (const char *)line.ptr : "");
}

/* Lines are NUL-terminated copies, so that looking one byte ahead is always fine. */
static const char *
skip_spaces(const char *at)
{
    return at + strspn(at, " ");
}

static enum pw_err
check_characters(struct walk *walk, struct pw_span line)
{
    if (!pw_utf8_valid(line)) {
        return refuse(walk, "not UTF-8; save the file as UTF-8");
    }
    for (size_t i = 0; i < line.len; i++) {
        uint8_t c = line.ptr[i];
        if (c == '\t') {
            return refuse(walk, "a tab; write spaces, 4 for each level");
        }
        if (c < 0x20 || c == 0x7f) {
            return refuse(walk, "control character 0x%02x; remove it", c);
        }
    }
    return PW_E_OK;
}

static enum pw_err
check_quoted(struct walk *walk, const char *value)
{
    const char *end = strchr(value + 1, *value);
    if (end == NULL) {
        return refuse(walk, "the quote %c is not closed on this line; close it", *value);
    }
    const char *rest = skip_spaces(end + 1);
    if (*rest == '\0' || *rest == '#') {
        return PW_E_OK;
    }
    return refuse(
        walk, "\"%.20s\" follows the closing quote; put %c around a value that holds %c",
        rest, *value == '"' ? '\'' : '"', *value);
}

/* zconfig would end the value at any '#', and take a comment for the value when there is
 * none. */
static enum pw_err
check_bare(struct walk *walk, const char *value)
{
    if (*value == '\0' || *value == '#') {
        return refuse(walk, "no value behind \"=\"; write \"\" for an empty one");
    }
    const char *hash = strchr(value, '#');
    if (hash != NULL && hash[-1] != ' ') {
        return refuse(walk, "\"#\" starts a comment; put the value in quotes");
    }
    size_t len = hash != NULL ? (size_t)(hash - value) : strlen(value);
    if (memchr(value, '"', len) != NULL || memchr(value, '\'', len) != NULL) {
        return refuse(walk, "a quote inside the value; put quotes around all of it");
    }
    return PW_E_OK;
}

/* What stands behind the name. */
static enum pw_err
check_value(struct walk *walk, const char *rest, bool *section)
{
    rest = skip_spaces(rest);
    *section = *rest == '\0' || *rest == '#';
    if (*section) {
        return PW_E_OK;
    }
    if (*rest != '=') {
        return refuse(walk, "\"%.20s\" follows the name; a line is NAME, or NAME = VALUE",
                      rest);
    }
    const char *value = skip_spaces(rest + 1);
    return *value == '"' || *value == '\'' ? check_quoted(walk, value)
                                           : check_bare(walk, value);
}

static enum pw_err
check_depth(struct walk *walk, unsigned depth)
{
    const struct pw_zpl_node *last =
        walk->last == PW_ZPL_NONE ? NULL : &walk->doc->nodes[walk->last];
    unsigned deepest = last == NULL ? 0 : last->depth + 1;
    if (depth > deepest) {
        return refuse(walk,
                      "indented by %u spaces where at most %u fit; indent by 4 a level",
                      depth * INDENT, deepest * INDENT);
    }
    if (depth >= PW_ZPL_DEPTH_MAX) {
        return refuse(walk, "more than %d levels; no setting stands so deep",
                      PW_ZPL_DEPTH_MAX);
    }
    if (last != NULL && depth == deepest && !last->section) {
        return refuse(walk,
                      "stands below line %u, which is a value and no section; indent it "
                      "like that line",
                      last->line);
    }
    return PW_E_OK;
}

static enum pw_err
add_node(struct walk *walk, unsigned depth, bool section)
{
    struct pw_zpl *doc = walk->doc;
    if (doc->count == PW_ZPL_NODES_MAX) {
        return refuse(walk, "more than %d settings; split the policies into files",
                      PW_ZPL_NODES_MAX);
    }
    if (doc->count == walk->room) {
        size_t room = walk->room == 0 ? FIRST_NODES : walk->room * 2;
        struct pw_zpl_node *nodes = realloc(doc->nodes, room * sizeof *nodes);
        if (nodes == NULL) {
            return pw_fail(walk->why, PW_E_NOMEM, "%s: out of memory", doc->file);
        }
        doc->nodes = nodes;
        walk->room = room;
    }
    size_t above = walk->last;
    while (above != PW_ZPL_NONE && doc->nodes[above].depth >= depth) {
        above = doc->nodes[above].parent;
    }
    doc->nodes[doc->count] = (struct pw_zpl_node){
        .section = section, .line = walk->line, .depth = depth, .parent = above};
    walk->last = doc->count++;
    return PW_E_OK;
}

static enum pw_err
read_line(struct walk *walk, const char *text)
{
    size_t spaces = strspn(text, " ");
    const char *name = text + spaces;
    if (*name == '\0') {
        return PW_E_OK;
    }
    if (spaces % INDENT != 0) {
        return refuse(walk,
                      "indented by %zu spaces; indent each level, of comments too, by 4",
                      spaces);
    }
    if (*name == '#') {
        return PW_E_OK;
    }
    size_t len = name_run(pw_span_str(name));
    if (len == 0) {
        return refuse(walk,
                      "\"%.20s\" where a name must stand; a line is NAME, or NAME = VALUE",
                      name);
    }
    bool section = false;
    enum pw_err err = check_depth(walk, (unsigned)(spaces / INDENT));
    err = err == PW_E_OK ? check_value(walk, name + len, &section) : err;
    return err == PW_E_OK ? add_node(walk, (unsigned)(spaces / INDENT), section) : err;
}

static struct pw_span
trimmed(struct pw_span line)
{
    while (line.len > 0 &&
           (line.ptr[line.len - 1] == ' ' || line.ptr[line.len - 1] == '\r')) {
        line.len--;
    }
    return line;
}

static enum pw_err
read_lines(struct walk *walk, struct pw_span text)
{
    struct pw_cursor cur = pw_cursor_over(text);
    while (cur.rest.len > 0) {
        struct pw_span rest = cur.rest;
        struct pw_span line = pw_cursor_until(&cur, '\n');
        line = cur.truncated ? rest : line; /* the last line may lack its end */
        cur.rest = cur.truncated ? (struct pw_span){0} : cur.rest;
        walk->line++;
        note_name(walk, line);
        if (line.len > PW_ZPL_LINE_MAX) {
            return refuse(walk, "%zu bytes in one line; shorten it to %d", line.len,
                          PW_ZPL_LINE_MAX);
        }
        line = trimmed(line);
        enum pw_err err = check_characters(walk, line);
        if (err != PW_E_OK) {
            return err;
        }
        char copy[PW_ZPL_LINE_MAX + 1];
        snprintf(copy, sizeof copy, "%.*s", (int)line.len, (const char *)line.ptr);
        err = read_line(walk, copy);
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

static enum pw_err
check_text(struct walk *walk, struct pw_span text)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    if (text.len > PW_ZPL_TEXT_MAX) {
        return pw_fail(walk->why, PW_E_CONFIG,
                       "%s: larger than 1 MiB; split the policies into files",
                       walk->doc->file);
    }
    if (text.len >= sizeof mark && memcmp(text.ptr, mark, sizeof mark) == 0) {
        walk->line = 1;
        return refuse(walk, "starts with a byte order mark; save it as UTF-8 without one");
    }
    return read_lines(walk, text);
}

/* zconfig visits in the order of the text, so the n-th item is the n-th named line. */
struct zip {
    struct pw_zpl *doc;
    size_t next;
};

static int
take_item(zconfig_t *item, void *arg, int level)
{
    struct zip *zip = arg;
    if (level == 0) {
        return 0; /* the root */
    }
    if (zip->next == zip->doc->count ||
        zip->doc->nodes[zip->next].depth + 1 != (unsigned)level) {
        return -1;
    }
    struct pw_zpl_node *node = &zip->doc->nodes[zip->next++];
    node->name = zconfig_name(item);
    node->value = zconfig_value(item);
    return 0;
}

static enum pw_err
load_tree(struct pw_zpl *doc, struct pw_span text, struct pw_why *why)
{
    char *copy = malloc(text.len + 1);
    if (copy == NULL) {
        return pw_fail(why, PW_E_NOMEM, "%s: out of memory", doc->file);
    }
    snprintf(copy, text.len + 1, "%.*s", (int)text.len,
             text.len > 0 ? (const char *)text.ptr : "");
    doc->tree = zconfig_str_load(copy);
    free(copy);
    struct zip zip = {.doc = doc};
    if (doc->tree == NULL || zconfig_execute(doc->tree, take_item, &zip) != 0 ||
        zip.next != doc->count) {
        return pw_fail(why, PW_E_INTERNAL,
                       "%s: internal error: zconfig reads it differently", doc->file);
    }
    return PW_E_OK;
}

struct pw_zpl *
pw_zpl_parse(struct pw_span text, const char *file, struct pw_why *why)
{
    struct pw_zpl *doc = calloc(1, sizeof *doc);
    if (doc == NULL || (doc->file = strdup(file)) == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "%s: out of memory", file);
        pw_zpl_free(&doc);
        return NULL;
    }
    struct walk walk = {.doc = doc, .why = why, .last = PW_ZPL_NONE};
    if (check_text(&walk, text) != PW_E_OK || load_tree(doc, text, why) != PW_E_OK) {
        pw_zpl_free(&doc);
    }
    return doc;
}

void
pw_zpl_free(struct pw_zpl **doc)
{
    if (*doc == NULL) {
        return;
    }
    zconfig_destroy(&(*doc)->tree);
    free((*doc)->nodes);
    free((*doc)->file);
    free(*doc);
    *doc = NULL;
}

void
pw_zpl_path(const struct pw_zpl *doc, size_t node, char out[static PW_ZPL_PATH_MAX])
{
    size_t line[PW_ZPL_DEPTH_MAX];
    size_t count = 0;
    for (size_t at = node; at != PW_ZPL_NONE; at = doc->nodes[at].parent) {
        line[count++] = at;
    }
    size_t len = 0;
    while (count-- > 0 && len < PW_ZPL_PATH_MAX) {
        len += (size_t)snprintf(out + len, PW_ZPL_PATH_MAX - len, "%s%s",
                                len > 0 ? "." : "", doc->nodes[line[count]].name);
    }
}

size_t
pw_zpl_find(const struct pw_zpl *doc, const char *path)
{
    for (size_t i = 0; i < doc->count; i++) {
        char here[PW_ZPL_PATH_MAX];
        pw_zpl_path(doc, i, here);
        if (strcmp(here, path) == 0) {
            return i;
        }
    }
    return PW_ZPL_NONE;
}

enum pw_err
pw_zpl_fail(const struct pw_zpl *doc, size_t node, struct pw_why *why, const char *format,
            ...)
{
    char text[sizeof why->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char path[PW_ZPL_PATH_MAX];
    pw_zpl_path(doc, node, path);
    return pw_fail(why, PW_E_CONFIG, "%s:%u: %s: %s", doc->file, doc->nodes[node].line,
                   path, text);
}
