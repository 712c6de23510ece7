/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of any bytes, as a log or a socket might give them. What json_read reads of an
 * object is what jansson reads; counting and filtering bear all of it; and what is printed
 * is printable ASCII and as wide as it may be.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/audit_counts.h"
#include "proxy/cli/audit_export.h"
#include "proxy/cli/audit_filter.h"
#include "proxy/cli/audit_render.h"
#include "proxy/cli/json_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WIDTH = 80 };

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static json_t *
walk_to_tree(struct pw_span text)
{
    struct pw_json_walk walk = pw_json_walk_over(text);
    json_t *tree = json_object();
    while (pw_json_walk_next(&walk)) {
        struct pw_buf key = {.limit = 1 << 20};
        must(pw_json_raw_text(walk.key, &key) == PW_E_OK);
        must(pw_buf_append(&key, (struct pw_span){(const uint8_t *)"", 1}) == PW_E_OK);
        (void)json_object_set_new_nocheck(tree, (const char *)key.bytes,
                                          json_integer((json_int_t)walk.kind));
        pw_buf_free(&key);
    }
    if (walk.bad || walk.array) {
        json_decref(tree);
        return NULL;
    }
    return tree;
}

/* More than the walk goes into; jansson goes deeper. */
static bool
is_deep(struct pw_span line)
{
    size_t brackets = 0;
    for (size_t i = 0; i < line.len; i++) {
        brackets += line.ptr[i] == '{' || line.ptr[i] == '[';
    }
    return brackets > PW_JSON_DEPTH;
}

/* Whatever jansson takes, the walk takes, and finds as many members. (It is less strict
 * about UTF-8 and about what stands within nested values.) */
static void
compare(struct pw_span line)
{
    if (line.len == 0 || is_deep(line) ||
        memmem(line.ptr, line.len, "\\u0000", 6) != NULL) {
        return; /* a NUL in a key would cut our copy of it short */
    }
    json_t *theirs = json_loadb((const char *)line.ptr, line.len, 0, NULL);
    if (json_is_object(theirs)) {
        json_t *ours = walk_to_tree(line);
        must(ours != NULL && json_object_size(ours) == json_object_size(theirs));
        json_decref(ours);
    }
    json_decref(theirs);
}

static void
count(struct pw_span line)
{
    static const struct pw_audit_filter filters[] = {
        {.grep = "x\x1b"}, {.reason = "sig."}, {.non_pass = true}, {.since_ns = 1}};
    struct pw_counts counts = {0};
    struct pw_logged logged;
    uint32_t order[8];
    if (pw_logged_read(line, &logged)) {
        for (size_t i = 0; i < PW_COUNT(filters); i++) {
            (void)pw_audit_filter_takes(&filters[i], line, &logged);
        }
        must(pw_counts_take(&counts, &logged) == PW_E_OK);
        must(pw_counts_order(&counts, PW_BY_GLOBAL, order, 8) <= 8);
    }
    pw_counts_free(&counts);
}

static void
render(const json_t *event, size_t width)
{
    char *text = NULL;
    size_t len = 0, column = 0;
    struct pw_audit_view view = {.width = width};
    FILE *out = open_memstream(&text, &len);
    must(out != NULL);
    pw_audit_render(&view, event, out);
    must(fclose(out) == 0);
    for (size_t i = 0; i < len; i++) {
        must(text[i] == '\n' || (text[i] >= 0x20 && text[i] < 0x7f));
        column = text[i] == '\n' ? 0 : column + 1;
        must(width == 0 || column < width);
    }
    free(text);
}

static void
export_both(const json_t *event)
{
    pw_export_fn *const fills[] = {pw_export_ecs, pw_export_ocsf};
    for (size_t i = 0; i < PW_COUNT(fills); i++) {
        struct pw_export export = {.event = event, .hash = "00", .out = json_object()};
        must(export.out != NULL);
        fills[i](&export);
        char *text = json_dumps(export.out, JSON_COMPACT | JSON_ENSURE_ASCII);
        must(text != NULL);
        free(text);
        json_decref(export.out);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_span line = {data, size};
    compare(line);
    count(line);
    json_t *event = pw_json_line_parse(line);
    if (event != NULL) {
        render(event, WIDTH);
        render(event, 0);
        export_both(event);
    }
    pw_json_line_free(&event);
    return 0;
}
