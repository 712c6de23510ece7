/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/trailer.h"

#include "common/sign/batch.h"
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
           out->flags == 0 && scheme != NULL && out->tag.len >= PW_BATCH_PLACE &&
           out->tag.len == pw_tag_len(scheme, out->tag);
}

/* A place, so many bytes before the end, where a trailer may begin. */
struct candidate {
    size_t len;
    bool magic; /* it stands there */
    bool fits;  /* and the head behind it is one of a trailer of this length */
    unsigned suite;
};

static struct candidate
look(struct pw_span frame, size_t len)
{
    struct candidate found = {.len = len};
    struct pw_cursor cur = pw_cursor_over(frame);
    if (frame.len < len) {
        return found;
    }
    (void)pw_cursor_take(&cur, frame.len - len);
    struct pw_span start = pw_cursor_take(&cur, sizeof magic);
    found.suite = (unsigned)pw_cursor_uint(&cur, 1);
    const struct pw_scheme *scheme = pw_scheme_of(found.suite);
    uint64_t flags = pw_cursor_uint(&cur, 1);
    uint64_t frames = pw_cursor_uint(&cur, 2);
    found.magic = pw_span_equal(start, (struct pw_span){magic, sizeof magic});
    found.fits = found.magic && scheme != NULL && flags == 0 && frames > 0 &&
                 frames <= PW_SIGN_FRAMES_MAX &&
                 len == PW_TRAILER_HEAD + pw_tag_len(scheme, frame);
    return found;
}

/* The place that the last two bytes name, when a batch's trailer begins there. */
static struct candidate
look_for_batch(struct pw_span frame)
{
    size_t tag_len = pw_batch_tag_len(frame);
    if (tag_len == 0) {
        return (struct candidate){0};
    }
    struct candidate found = look(frame, PW_TRAILER_HEAD + tag_len);
    found.magic = found.magic && found.suite == PW_SUITE_ED25519_BATCH;
    return found;
}

/*
 * Several places can hold the magic. A far one may lie in the payload, which a stranger may
 * have written; a near one lies in a true longer trailer, in its time, a signature or a
 * hash, where nobody can put bytes of his choice. So the nearest that fits is believed.
 */
size_t
pw_trailer_at_end(struct pw_span frame)
{
    const struct candidate places[] = {look(frame, 72), look(frame, 104),
                                       look_for_batch(frame)};
    size_t malformed = 0;
    for (size_t i = 0; i < PW_COUNT(places); i++) {
        if (places[i].fits) {
            return places[i].len;
        }
        malformed = malformed == 0 && places[i].magic ? places[i].len : malformed;
    }
    return malformed;
}

bool
pw_trailer_remains(struct pw_span frame)
{
    enum { LOOKS_BACK = 512 };
    size_t from = frame.len > LOOKS_BACK ? frame.len - LOOKS_BACK : 0;
    for (size_t i = from; i + sizeof magic <= frame.len; i++) {
        if (memcmp(frame.ptr + i, magic, sizeof magic - 1) == 0 &&
            frame.ptr[i + sizeof magic - 1] >= '1' &&
            frame.ptr[i + sizeof magic - 1] <= '9') {
            return true;
        }
    }
    return false;
}
