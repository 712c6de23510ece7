/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/trailer.h"

#include "common/sign/scheme.h"

static const uint8_t magic[4] = {'P', 'W', 'S', '1'};

static uint8_t *
put_uint(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    }
    return out + bytes;
}

void
pw_trailer_pack(const struct pw_trailer *trailer, uint8_t out[static PW_TRAILER_HEAD])
{
    memcpy(out, magic, sizeof magic);
    out = put_uint(out + sizeof magic, trailer->suite, 1);
    out = put_uint(out, trailer->flags, 1);
    out = put_uint(out, trailer->frames, 2);
    memcpy(out, trailer->key_id, sizeof trailer->key_id);
    out = put_uint(out + sizeof trailer->key_id, trailer->epoch, 8);
    out = put_uint(out, trailer->seq, 8);
    (void)put_uint(out, trailer->time_ns, 8);
}

bool
pw_trailer_parse(struct pw_span bytes, struct pw_trailer *out)
{
    *out = (struct pw_trailer){0};
    struct pw_cursor cur = pw_cursor_over(bytes);
    struct pw_cursor whole = cur;
    out->head = pw_cursor_take(&whole, PW_TRAILER_HEAD);
    out->tag = whole.rest;

    struct pw_span start = pw_cursor_take(&cur, sizeof magic);
    out->suite = (uint8_t)pw_cursor_uint(&cur, 1);
    out->flags = (uint8_t)pw_cursor_uint(&cur, 1);
    out->frames = (uint16_t)pw_cursor_uint(&cur, 2);
    struct pw_span id = pw_cursor_take(&cur, sizeof out->key_id);
    if (!cur.truncated) {
        memcpy(out->key_id, id.ptr, sizeof out->key_id);
    }
    out->epoch = pw_cursor_uint(&cur, 8);
    out->seq = pw_cursor_uint(&cur, 8);
    out->time_ns = pw_cursor_uint(&cur, 8);

    const struct pw_scheme *scheme = pw_scheme_of(out->suite);
    return !cur.truncated && pw_span_equal(start, (struct pw_span){magic, sizeof magic}) &&
           out->flags == 0 && scheme != NULL && out->tag.len == scheme->tag_len;
}

struct candidate {
    bool magic; /* it stands there */
    bool fits;  /* and the suite behind it has trailers of this length */
};

static struct candidate
look(struct pw_span frame, size_t len)
{
    struct candidate found = {0};
    if (frame.len < len) {
        return found;
    }
    struct pw_cursor cur = pw_cursor_over(frame);
    (void)pw_cursor_take(&cur, frame.len - len);
    struct pw_span start = pw_cursor_take(&cur, sizeof magic);
    found.magic = pw_span_equal(start, (struct pw_span){magic, sizeof magic});
    const struct pw_scheme *scheme = pw_scheme_of((unsigned)pw_cursor_uint(&cur, 1));
    found.fits = found.magic && scheme != NULL && PW_TRAILER_HEAD + scheme->tag_len == len;
    return found;
}

/*
 * Both places can hold the magic. The long one may lie in the payload, which a stranger may
 * have written; the short one lies in the time of a true long trailer, where these bytes
 * mean the year 2153. So the short one is believed first.
 */
size_t
pw_trailer_at_end(struct pw_span frame)
{
    enum { SHORT = 72, LONG = PW_TRAILER_MAX };
    struct candidate near = look(frame, SHORT);
    struct candidate far = look(frame, LONG);
    if (near.fits || (near.magic && !far.fits)) {
        return SHORT;
    }
    return far.magic ? LONG : 0;
}
