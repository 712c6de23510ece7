/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/chain_state.h"

#include <inttypes.h>
#include <stdio.h>

#include <sodium.h>

#include "common/base/file.h"
#include "common/base/hex.h"

static const char magic[] = "picklewall audit chain 1";

bool
pw_chain_is_id(struct pw_span text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789._-/";
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\0' || strchr(letters, text.ptr[i]) == NULL) {
            return false;
        }
    }
    return text.len > 0 && text.len < PW_CHAIN_ID;
}

uint64_t
pw_chain_born(struct pw_span id)
{
    uint64_t born = 0;
    struct pw_cursor cur = pw_cursor_over(id);
    (void)pw_cursor_until(&cur, '/');
    for (size_t i = 0; i < cur.rest.len; i++) {
        born = born * 10 + (uint64_t)(cur.rest.ptr[i] - '0');
    }
    return born;
}

static enum pw_err
put(struct pw_buf *out, const char *text)
{
    return pw_buf_append(out, pw_span_str(text));
}

static enum pw_err
put_hash(struct pw_buf *out, const char *word, const uint8_t hash[static PW_TREE_HASH])
{
    char text[2 * PW_TREE_HASH + 1];
    char line[sizeof text + 16];
    pw_hex_encode((struct pw_span){hash, PW_TREE_HASH}, text);
    snprintf(line, sizeof line, "%s %s\n", word, text);
    return put(out, line);
}

static enum pw_err
put_begin(struct pw_buf *out, const struct pw_chain_state *state)
{
    char line[PW_CHAIN_ID + 64];
    if (state->begins[0] == '\0') {
        return PW_E_OK;
    }
    snprintf(line, sizeof line, "begins %s %" PRIu64 "\n", state->begins,
             state->begins_seq);
    return put(out, line);
}

enum pw_err
pw_chain_state_format(const struct pw_chain_state *state, struct pw_buf *out)
{
    size_t start = out->len;
    char head[sizeof magic + PW_CHAIN_ID + 64];
    uint8_t sum[PW_TREE_HASH];
    snprintf(head, sizeof head, "%s\nchain %s\nseq %" PRIu64 "\nclosed %s\n", magic,
             state->id, state->tree.size,
             state->closed   ? "yes"
             : state->opened ? "opened"
                             : "no");
    enum pw_err err = put(out, head);
    err = err == PW_E_OK ? put_hash(out, "prev", state->hash) : err;
    for (size_t i = 0; err == PW_E_OK && i < pw_tree_hashes(state->tree.size); i++) {
        err = put_hash(out, "tree", state->tree.range[i]);
    }
    err = err == PW_E_OK ? put_begin(out, state) : err;
    if (err == PW_E_OK) {
        crypto_hash_sha256(sum, out->bytes + start, out->len - start);
        err = put_hash(out, "sum", sum);
    }
    return err;
}

/* The rest of the next line when it begins with `word` and a space. */
static struct pw_span
value(struct pw_cursor *cur, const char *word)
{
    struct pw_cursor line = pw_cursor_over(pw_cursor_until(cur, '\n'));
    struct pw_span found = pw_cursor_until(&line, ' ');
    if (line.truncated || !pw_span_equal(found, pw_span_str(word))) {
        cur->truncated = true;
        return (struct pw_span){0};
    }
    return line.rest;
}

static bool
read_hash(struct pw_cursor *cur, const char *word, uint8_t out[static PW_TREE_HASH])
{
    struct pw_span text = value(cur, word);
    return !cur->truncated && pw_hex_decode(text, out, PW_TREE_HASH);
}

static bool
read_seq(struct pw_span text, uint64_t *seq)
{
    *seq = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        *seq = *seq * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return text.len > 0 && text.len < 19;
}

static bool
read_head(struct pw_cursor *cur, struct pw_chain_state *out)
{
    struct pw_span first = pw_cursor_until(cur, '\n');
    struct pw_span id = value(cur, "chain");
    struct pw_span seq = value(cur, "seq");
    struct pw_span closed = value(cur, "closed");
    out->closed = pw_span_equal(closed, pw_span_str("yes"));
    out->opened = pw_span_equal(closed, pw_span_str("opened"));
    if (cur->truncated || !pw_span_equal(first, pw_span_str(magic)) ||
        !pw_chain_is_id(id) || !read_seq(seq, &out->tree.size)) {
        return false;
    }
    memcpy(out->id, id.ptr, id.len);
    return read_hash(cur, "prev", out->hash);
}

/* The line may be missing: it is not always known. */
static bool
read_begin(struct pw_cursor *cur, struct pw_chain_state *out)
{
    struct pw_cursor ahead = *cur;
    struct pw_cursor words = pw_cursor_over(value(&ahead, "begins"));
    if (ahead.truncated) {
        return true;
    }
    struct pw_span id = pw_cursor_until(&words, ' ');
    if (words.truncated || !pw_chain_is_id(id) || !read_seq(words.rest, &out->begins_seq)) {
        return false;
    }
    memcpy(out->begins, id.ptr, id.len);
    *cur = ahead;
    return true;
}

bool
pw_chain_state_parse(struct pw_span text, struct pw_chain_state *out)
{
    uint8_t sum[PW_TREE_HASH], is[PW_TREE_HASH];
    *out = (struct pw_chain_state){0};
    struct pw_cursor cur = pw_cursor_over(text);
    if (!read_head(&cur, out)) {
        return false;
    }
    for (size_t i = 0; i < pw_tree_hashes(out->tree.size); i++) {
        if (!read_hash(&cur, "tree", out->tree.range[i])) {
            return false;
        }
    }
    if (!read_begin(&cur, out)) {
        return false;
    }
    crypto_hash_sha256(is, text.ptr, text.len - cur.rest.len);
    return read_hash(&cur, "sum", sum) && cur.rest.len == 0 &&
           memcmp(sum, is, sizeof sum) == 0;
}

enum pw_err
pw_chain_state_load(const char *path, struct pw_chain_state *out, struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_CHAIN_STATE_MAX};
    enum pw_err err = pw_file_read(path, &text);
    if (err == PW_E_NO_INPUT) {
        return pw_fail(why, err, "%s: no such file", path);
    }
    if (err != PW_E_OK && err != PW_E_LIMIT) {
        return pw_fail(why, err, "%s: %s; make it a file that this user may read", path,
                       pw_err_text(err));
    }
    if (err == PW_E_LIMIT || !pw_chain_state_parse(pw_buf_span(&text), out)) {
        return pw_fail(why, PW_E_FORMAT,
                       "%s: damaged; move it away, and verify the log without it", path);
    }
    return PW_E_OK;
}
