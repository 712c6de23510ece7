/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/line_read.h"

#include <sodium.h>

#include "common/audit/chain_state.h"
#include "common/audit/line.h"
#include "common/base/hex.h"

/* Past `text`, which must come next. */
static void
expect(struct pw_cursor *cur, const char *text)
{
    struct pw_span is = pw_cursor_take(cur, strlen(text));
    cur->truncated = cur->truncated || !pw_span_equal(is, pw_span_str(text));
}

static uint64_t
take_uint(struct pw_cursor *cur)
{
    uint64_t value = 0;
    size_t digits = 0;
    while (!cur->truncated && cur->rest.len > 0 && cur->rest.ptr[0] >= '0' &&
           cur->rest.ptr[0] <= '9') {
        value = value * 10 + (pw_cursor_uint(cur, 1) - '0');
        digits++;
    }
    cur->truncated = cur->truncated || digits == 0 || digits > 16;
    return value;
}

/* In the one spelling that is ours: no hash covers the end of the last line of all. */
static void
take_hash(struct pw_cursor *cur, uint8_t out[static PW_TREE_HASH])
{
    char again[2 * PW_TREE_HASH + 1];
    struct pw_span text = pw_cursor_take(cur, (size_t)2 * PW_TREE_HASH);
    if (cur->truncated || !pw_hex_decode(text, out, PW_TREE_HASH)) {
        cur->truncated = true;
        return;
    }
    pw_hex_encode((struct pw_span){out, PW_TREE_HASH}, again);
    cur->truncated = !pw_span_equal(text, pw_span_str(again));
}

/* Behind the last place in the line where `text` stands; false when there is none. */
static bool
find_last(struct pw_span line, const char *text, struct pw_cursor *out)
{
    size_t len = strlen(text);
    for (size_t at = line.len >= len ? line.len - len + 1 : 0; at > 0; at--) {
        const uint8_t *here = line.ptr + at - 1;
        if (*here == (uint8_t)text[0] && memcmp(here, text, len) == 0) {
            *out = pw_cursor_over((struct pw_span){here + len, line.len - (at - 1) - len});
            return true;
        }
    }
    return false;
}

/* {"ts":"…","schema":"…","event":"…","id":"…","seq":…, */
static bool
read_head(struct pw_span line, struct pw_line_read *out)
{
    enum { TIME = 27, ID = 26 };
    struct pw_cursor cur = pw_cursor_over(line);
    expect(&cur, "{\"ts\":\"");
    (void)pw_cursor_take(&cur, TIME);
    expect(&cur, "\",\"schema\":\"picklewall.audit/1\",\"event\":\"");
    out->event = pw_cursor_until(&cur, '"');
    expect(&cur, ",\"id\":\"");
    (void)pw_cursor_take(&cur, ID);
    expect(&cur, "\",\"seq\":");
    out->seq = take_uint(&cur);
    expect(&cur, ",");
    return !cur.truncated && out->seq > 0;
}

/* …,"chain":"…","prev":"…"} from behind the first quote of the chain. */
static bool
take_end(struct pw_cursor *cur, struct pw_line_read *out)
{
    out->chain = pw_cursor_until(cur, '"');
    expect(cur, ",\"prev\":\"");
    take_hash(cur, out->prev);
    expect(cur, "\"}");
    return !cur->truncated && cur->rest.len == 0 && pw_chain_is_id(out->chain);
}

static bool
read_end(struct pw_span line, struct pw_line_read *out)
{
    struct pw_cursor cur;
    return find_last(line, ",\"chain\":\"", &cur) && take_end(&cur, out);
}

static bool
read_tree(struct pw_span line, struct pw_line_read *out)
{
    enum { TEXT = 44 };
    struct pw_cursor cur;
    out->has_tree = find_last(line, ",\"tree\":[\"", &cur);
    if (!out->has_tree) {
        return true;
    }
    out->tree.size = out->seq - 1;
    for (size_t i = 0; i < pw_tree_hashes(out->tree.size); i++) {
        size_t len = 0;
        expect(&cur, i == 0 ? "" : "\",\"");
        struct pw_span text = pw_cursor_take(&cur, TEXT);
        if (cur.truncated ||
            sodium_base642bin(out->tree.range[i], PW_TREE_HASH, (const char *)text.ptr,
                              text.len, NULL, &len, NULL,
                              sodium_base64_VARIANT_ORIGINAL) != 0 ||
            len != PW_TREE_HASH) {
            return false;
        }
    }
    expect(&cur, "\"],\"chain\":\"");
    return !cur.truncated;
}

static bool
read_torn(struct pw_span line, struct pw_line_read *out)
{
    struct pw_cursor cur;
    if (!find_last(line, "\"torn\":{\"bytes\":", &cur)) {
        return true;
    }
    out->torn = true;
    out->torn_bytes = take_uint(&cur);
    expect(&cur, ",\"sha256\":\"");
    take_hash(&cur, out->torn_sha256);
    return !cur.truncated;
}

static bool
read_before(struct pw_span line, struct pw_line_read *out)
{
    struct pw_cursor cur;
    if (!find_last(line, "\"before\":{\"chain\":\"", &cur)) {
        return true;
    }
    out->before = pw_cursor_until(&cur, '"');
    expect(&cur, ",\"seq\":");
    out->before_seq = take_uint(&cur);
    return !cur.truncated && pw_chain_is_id(out->before);
}

/*
 * The note binds what stands before it; behind it there is room for the line's end and for
 * nothing else. A line that has more stays a checkpoint, of size 0 and without a note.
 */
static void
read_checkpoint(struct pw_span line, struct pw_line_read *out)
{
    struct pw_cursor cur;
    struct pw_line_read end;
    out->sealed = true;
    if (!find_last(line, ",\"checkpoint\":{\"size\":", &cur)) {
        return;
    }
    uint64_t size = take_uint(&cur);
    expect(&cur, ",\"note\":\"");
    struct pw_span head = {line.ptr, line.len - cur.rest.len};
    struct pw_span note = pw_cursor_until(&cur, '"');
    expect(&cur, "},\"chain\":\"");
    if (take_end(&cur, &end)) {
        out->size = size;
        out->head = head;
        out->note = note;
    }
}

bool
pw_line_is(const struct pw_line_read *line, const char *event)
{
    return pw_span_equal(line->event, pw_span_str(event));
}

bool
pw_line_read(struct pw_span line, struct pw_line_read *out)
{
    *out = (struct pw_line_read){0};
    if (line.len >= PW_AUDIT_LINE_MAX || !read_head(line, out) || !read_end(line, out)) {
        return false;
    }
    if (pw_line_is(out, "checkpoint")) {
        read_checkpoint(line, out);
        return true;
    }
    if (pw_line_is(out, "rotate")) {
        return read_tree(line, out);
    }
    if (pw_line_is(out, "start")) {
        return read_tree(line, out) && read_torn(line, out) && read_before(line, out);
    }
    return true;
}
