/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/object.h"

#include <inttypes.h>
#include <stdlib.h>

#include <sodium.h>

#include "common/base/hex.h"

static const char magic[4] = {'P', 'W', 'Q', 'O'};

static void
put_uint(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i > 0; i--) {
        out[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

static void
make_head(size_t count, uint8_t head[static PW_OBJECT_HEAD])
{
    memcpy(head, magic, sizeof magic);
    put_uint(head + 4, PW_OBJECT_VERSION, 2);
    put_uint(head + 6, 0, 2);
    put_uint(head + 8, count, 4);
}

static void
make_sum(const struct pw_span *frames, size_t count, uint8_t sum[static PW_OBJECT_SUM])
{
    uint8_t head[PW_OBJECT_HEAD];
    uint8_t length[PW_OBJECT_LENGTH];
    crypto_hash_sha256_state state;
    make_head(count, head);
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, head, sizeof head);
    for (size_t i = 0; i < count; i++) {
        put_uint(length, frames[i].len, sizeof length);
        crypto_hash_sha256_update(&state, length, sizeof length);
    }
    for (size_t i = 0; i < count; i++) {
        crypto_hash_sha256_update(&state, frames[i].ptr, frames[i].len);
    }
    crypto_hash_sha256_final(&state, sum);
}

void
pw_store_name(const struct pw_span *frames, size_t count, char out[static PW_STORE_ID])
{
    uint8_t sum[PW_OBJECT_SUM];
    make_sum(frames, count, sum);
    pw_hex_encode((struct pw_span){sum, sizeof sum}, out);
}

uint64_t
pw_object_size(const struct pw_span *frames, size_t count)
{
    uint64_t size = PW_OBJECT_HEAD + PW_OBJECT_SUM;
    for (size_t i = 0; i < count; i++) {
        size += PW_OBJECT_LENGTH + frames[i].len;
    }
    return size;
}

enum pw_err
pw_object_make(const struct pw_span *frames, size_t count, struct pw_buf *out,
               uint8_t sum[static PW_OBJECT_SUM])
{
    if (count > UINT32_MAX) {
        return PW_E_LIMIT;
    }
    enum pw_err err = pw_buf_reserve(out, PW_OBJECT_HEAD + count * PW_OBJECT_LENGTH);
    if (err != PW_E_OK) {
        return err;
    }
    make_head(count, out->bytes + out->len);
    out->len += PW_OBJECT_HEAD;
    for (size_t i = 0; i < count; i++) {
        put_uint(out->bytes + out->len, frames[i].len, PW_OBJECT_LENGTH);
        out->len += PW_OBJECT_LENGTH;
    }
    make_sum(frames, count, sum);
    return PW_E_OK;
}

/* The sum stands at the end and fits; `body` receives what is before it. */
static bool
sum_fits(struct pw_span bytes, struct pw_span *body)
{
    struct pw_cursor cur = pw_cursor_over(bytes);
    *body = pw_cursor_take(&cur, bytes.len < PW_OBJECT_SUM ? 0 : bytes.len - PW_OBJECT_SUM);
    struct pw_span stated = pw_cursor_take(&cur, PW_OBJECT_SUM);
    uint8_t sum[PW_OBJECT_SUM];
    crypto_hash_sha256(sum, body->ptr, body->len);
    return !cur.truncated && pw_span_equal(stated, (struct pw_span){sum, sizeof sum});
}

/* Cut the frames out of `bodies` by the lengths in `lengths`; nothing may be left of
 * either. */
static bool
cut_frames(struct pw_cursor lengths, struct pw_cursor bodies, struct pw_held *held)
{
    for (size_t i = 0; i < held->count; i++) {
        uint64_t len = pw_cursor_uint(&lengths, PW_OBJECT_LENGTH);
        held->frames[i] = pw_cursor_take(&bodies, len);
    }
    return !lengths.truncated && !bodies.truncated && bodies.rest.len == 0;
}

static enum pw_err
refuse(struct pw_why *why, const char *what)
{
    return pw_fail(why, PW_E_FORMAT, "the quarantine object is damaged (%s); do not use it",
                   what);
}

static enum pw_err
parse_body(struct pw_span body, struct pw_held *held, struct pw_why *why)
{
    struct pw_cursor cur = pw_cursor_over(body);
    uint64_t version = pw_cursor_uint(&cur, 2);
    uint64_t zero = pw_cursor_uint(&cur, 2);
    uint64_t count = pw_cursor_uint(&cur, 4);
    struct pw_cursor lengths =
        pw_cursor_over(pw_cursor_take(&cur, (size_t)count * PW_OBJECT_LENGTH));
    if (cur.truncated) {
        return refuse(why, "cut short before its first frame");
    }
    if (version == 0 || zero != 0) {
        return refuse(why, "its head is of no version");
    }
    if (version > PW_OBJECT_VERSION) {
        return pw_fail(why, PW_E_USAGE,
                       "the quarantine object has version %" PRIu64
                       ", this program reads %d; use the release that wrote it",
                       version, PW_OBJECT_VERSION);
    }
    held->frames = calloc(count == 0 ? 1 : (size_t)count, sizeof *held->frames);
    if (held->frames == NULL) {
        return pw_fail(why, PW_E_NOMEM, "no memory for %" PRIu64 " frames", count);
    }
    held->count = (size_t)count;
    return cut_frames(lengths, cur, held) ? PW_E_OK
                                          : refuse(why, "its lengths do not add up");
}

enum pw_err
pw_held_parse(struct pw_buf *bytes, struct pw_held *held, struct pw_why *why)
{
    *held = (struct pw_held){.bytes = *bytes};
    *bytes = (struct pw_buf){.limit = bytes->limit};
    struct pw_cursor cur = pw_cursor_over(pw_buf_span(&held->bytes));
    struct pw_span opening = pw_cursor_take(&cur, sizeof magic);
    struct pw_span body;
    if (!pw_span_equal(opening, (struct pw_span){(const uint8_t *)magic, sizeof magic})) {
        return refuse(why, "it does not start with PWQO");
    }
    if (!sum_fits(pw_buf_span(&held->bytes), &body)) {
        return refuse(why, "its SHA-256 does not fit");
    }
    cur = pw_cursor_over(body);
    (void)pw_cursor_take(&cur, sizeof magic);
    enum pw_err err = parse_body(cur.rest, held, why);
    if (err != PW_E_OK) {
        held->count = 0;
    }
    return err;
}

void
pw_held_free(struct pw_held *held)
{
    free(held->frames);
    pw_buf_free(&held->bytes);
    *held = (struct pw_held){0};
}
