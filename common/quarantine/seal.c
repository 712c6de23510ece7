/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/seal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"

enum { PIECE = 1 << 14 };

static const uint8_t opening[8] = {'P', 'W', 'Q', 'S', 0, PW_SEAL_VERSION, 0, 0};

static uint64_t
chunks_of(uint64_t plain)
{
    return plain == 0 ? 1 : (plain + PW_SEAL_CHUNK - 1) / PW_SEAL_CHUNK;
}

uint64_t
pw_seal_size(uint64_t plain)
{
    return PW_SEAL_HEAD + plain + chunks_of(plain) * PW_SEAL_MORE + PW_SEAL_SUM;
}

/* ---- seal ---- */

/* The file being written, and its sum so far. */
struct out {
    int fd;
    crypto_hash_sha256_state sum;
};

static bool
write_summed(struct out *out, const uint8_t *bytes, size_t len)
{
    crypto_hash_sha256_update(&out->sum, bytes, len);
    return pw_file_write_all(out->fd, (struct pw_span){bytes, len}) == PW_E_OK;
}

/* How far it was read: part 0 is the head, the last one the tail. */
struct place {
    const struct pw_seal_source *source;
    size_t part;
    size_t at;
};

static struct pw_span
part_of(const struct pw_seal_source *source, size_t part)
{
    return part == 0               ? source->head
           : part <= source->count ? source->parts[part - 1]
                                   : source->tail;
}

/* Fill a chunk; how many bytes there were. */
static size_t
take_chunk(struct place *place, uint8_t *chunk)
{
    size_t len = 0;
    while (len < PW_SEAL_CHUNK && place->part < place->source->count + 2) {
        struct pw_span part = part_of(place->source, place->part);
        size_t left = part.len - place->at;
        size_t take = left < PW_SEAL_CHUNK - len ? left : PW_SEAL_CHUNK - len;
        if (take > 0) {
            memcpy(chunk + len, part.ptr + place->at, take);
        }
        len += take;
        place->at += take;
        if (place->at == part.len) {
            place->part++;
            place->at = 0;
        }
    }
    return len;
}

static uint64_t
total_of(const struct pw_seal_source *source)
{
    uint64_t total = 0;
    for (size_t part = 0; part < source->count + 2; part++) {
        total += part_of(source, part).len;
    }
    return total;
}

static bool
write_chunks(struct out *out, crypto_secretstream_xchacha20poly1305_state *stream,
             const uint8_t *name, const struct pw_seal_source *source,
             struct pw_seal_room *room)
{
    struct place place = {source, 0, 0};
    for (uint64_t left = chunks_of(total_of(source)); left > 0; left--) {
        size_t len = take_chunk(&place, room->plain);
        uint8_t tag = left == 1 ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
                                : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
        crypto_secretstream_xchacha20poly1305_push(stream, room->sealed, NULL, room->plain,
                                                   len, name, PW_SEAL_NAME, tag);
        if (!write_summed(out, room->sealed, len + PW_SEAL_MORE)) {
            return false;
        }
    }
    return true;
}

bool
pw_seal_write(int fd, const uint8_t public[static PW_SEAL_KEY],
              const uint8_t name[static PW_SEAL_NAME], const struct pw_seal_source *source,
              struct pw_seal_room *room)
{
    uint8_t key[PW_SEAL_KEY];
    uint8_t head[PW_SEAL_HEAD];
    uint8_t sum[PW_SEAL_SUM];
    crypto_secretstream_xchacha20poly1305_state stream;
    struct out out = {.fd = fd};
    crypto_hash_sha256_init(&out.sum);
    crypto_secretstream_xchacha20poly1305_keygen(key);
    memcpy(head, opening, sizeof opening);
    memcpy(head + sizeof opening, name, PW_SEAL_NAME);
    (void)crypto_box_seal(head + PW_SEAL_FIXED, key, sizeof key, public);
    (void)crypto_secretstream_xchacha20poly1305_init_push(
        &stream, head + PW_SEAL_FIXED + PW_SEAL_BOX, key);
    bool written = write_summed(&out, head, sizeof head) &&
                   write_chunks(&out, &stream, name, source, room);
    crypto_hash_sha256_final(&out.sum, sum);
    sodium_memzero(key, sizeof key);
    sodium_memzero(&stream, sizeof stream);
    sodium_memzero(room->plain, sizeof room->plain);
    return written && pw_file_write_all(fd, (struct pw_span){sum, sizeof sum}) == PW_E_OK;
}

/* ---- unseal ---- */

static enum pw_err
refuse(struct pw_why *why, const char *what)
{
    return pw_fail(why, PW_E_FORMAT, "the sealed object is damaged (%s); do not use it",
                   what);
}

bool
pw_seal_is(struct pw_span bytes)
{
    return bytes.len >= 4 && memcmp(bytes.ptr, opening, 4) == 0;
}

enum pw_err
pw_seal_check(struct pw_span bytes, const uint8_t name[static PW_SEAL_NAME],
              struct pw_why *why)
{
    if (!pw_seal_is(bytes) || bytes.len < PW_SEAL_HEAD + PW_SEAL_MORE + PW_SEAL_SUM) {
        return refuse(why, "cut short, or not one at all");
    }
    uint8_t sum[PW_SEAL_SUM];
    size_t body = bytes.len - PW_SEAL_SUM;
    crypto_hash_sha256(sum, bytes.ptr, body);
    if (memcmp(sum, bytes.ptr + body, sizeof sum) != 0) {
        return refuse(why, "its SHA-256 does not fit");
    }
    if (memcmp(bytes.ptr, opening, sizeof opening) != 0) {
        return pw_fail(why, PW_E_USAGE,
                       "the sealed object is not of version %d, which this program reads; "
                       "use the release that wrote it",
                       PW_SEAL_VERSION);
    }
    return memcmp(bytes.ptr + sizeof opening, name, PW_SEAL_NAME) == 0
               ? PW_E_OK
               : refuse(why, "it is another one under this name");
}

/* Fill `out` from the file. */
static enum pw_err
read_piece(int fd, uint8_t *out, size_t len)
{
    while (len > 0) {
        ssize_t got = read(fd, out, len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? PW_E_IO : PW_E_FORMAT;
        }
        out += got;
        len -= (size_t)got;
    }
    return PW_E_OK;
}

enum pw_err
pw_seal_check_fd(int fd, uint64_t size, const uint8_t name[static PW_SEAL_NAME])
{
    uint8_t piece[PIECE];
    uint8_t sum[PW_SEAL_SUM];
    crypto_hash_sha256_state state;
    if (size < PW_SEAL_HEAD + PW_SEAL_MORE + PW_SEAL_SUM) {
        return PW_E_FORMAT;
    }
    uint64_t left = size - PW_SEAL_SUM;
    enum pw_err err = read_piece(fd, piece, PW_SEAL_FIXED);
    if (err != PW_E_OK || memcmp(piece, opening, sizeof opening) != 0 ||
        memcmp(piece + sizeof opening, name, PW_SEAL_NAME) != 0) {
        return err != PW_E_OK ? err : PW_E_FORMAT;
    }
    crypto_hash_sha256_init(&state);
    for (size_t len = PW_SEAL_FIXED; err == PW_E_OK && left > 0;) {
        crypto_hash_sha256_update(&state, piece, len);
        left -= len;
        len = left < sizeof piece ? (size_t)left : sizeof piece;
        err = read_piece(fd, piece, len);
    }
    crypto_hash_sha256_final(&state, sum);
    err = err == PW_E_OK ? read_piece(fd, piece, PW_SEAL_SUM) : err;
    return err == PW_E_OK && memcmp(piece, sum, sizeof sum) != 0 ? PW_E_FORMAT : err;
}

enum pw_err
pw_seal_open_box(struct pw_span bytes, const uint8_t secret[static PW_SEAL_KEY],
                 uint8_t key[static PW_SEAL_KEY], struct pw_why *why)
{
    uint8_t public[PW_SEAL_KEY];
    if (bytes.len < PW_SEAL_HEAD || !pw_seal_is(bytes)) {
        return refuse(why, "cut short, or not one at all");
    }
    if (crypto_scalarmult_base(public, secret) != 0 ||
        crypto_box_seal_open(key, bytes.ptr + PW_SEAL_FIXED, PW_SEAL_BOX, public, secret) !=
            0) {
        return pw_fail(why, PW_E_PERM,
                       "the object is sealed to another key than this; give --unseal the "
                       "quarantine.key that was made with the wall's quarantine.seal");
    }
    return PW_E_OK;
}

static enum pw_err
pull_chunks(crypto_secretstream_xchacha20poly1305_state *stream, struct pw_cursor *cur,
            const uint8_t *name, struct pw_buf *out, struct pw_why *why)
{
    uint8_t tag = 0;
    while (cur->rest.len > 0) {
        size_t whole = PW_SEAL_CHUNK + PW_SEAL_MORE;
        struct pw_span chunk =
            pw_cursor_take(cur, cur->rest.len < whole ? cur->rest.len : whole);
        unsigned long long len;
        if (tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL ||
            chunk.len < PW_SEAL_MORE ||
            crypto_secretstream_xchacha20poly1305_pull(stream, out->bytes + out->len, &len,
                                                       &tag, chunk.ptr, chunk.len, name,
                                                       PW_SEAL_NAME) != 0) {
            return refuse(why, "a part of it is not as it was sealed");
        }
        out->len += len;
    }
    return tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL
               ? PW_E_OK
               : refuse(why, "its end is missing");
}

enum pw_err
pw_seal_open(struct pw_span bytes, const uint8_t name[static PW_SEAL_NAME],
             const uint8_t key[static PW_SEAL_KEY], struct pw_buf *out, struct pw_why *why)
{
    enum pw_err err = pw_seal_check(bytes, name, why);
    if (err == PW_E_OK) {
        err = pw_buf_reserve(out, bytes.len);
    }
    if (err != PW_E_OK) {
        return err == PW_E_NOMEM ? pw_fail(why, err, "no memory to unseal the object")
                                 : err;
    }
    crypto_secretstream_xchacha20poly1305_state stream;
    size_t before = out->len;
    (void)crypto_secretstream_xchacha20poly1305_init_pull(
        &stream, bytes.ptr + PW_SEAL_FIXED + PW_SEAL_BOX, key);
    struct pw_cursor cur =
        pw_cursor_over((struct pw_span){bytes.ptr, bytes.len - PW_SEAL_SUM});
    (void)pw_cursor_take(&cur, PW_SEAL_HEAD);
    err = pull_chunks(&stream, &cur, name, out, why);
    sodium_memzero(&stream, sizeof stream);
    if (err != PW_E_OK) {
        sodium_memzero(out->bytes + before, out->len - before);
        out->len = before;
    }
    return err;
}
