/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>
#include <zmq.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/settings/schema.h"
#include "common/sign/key.h"

enum { Z85_KEY = 40, PATH_ROOM = 4096, TEXT_ROOM = 1024 };

void
pw_cert_wipe(struct pw_cert *cert)
{
    sodium_memzero(cert, sizeof *cert);
}

static void
wipe_buf(struct pw_buf *buf)
{
    if (buf->bytes != NULL) {
        sodium_memzero(buf->bytes, buf->cap);
    }
    pw_buf_free(buf);
}

static bool
is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct pw_span
trimmed(struct pw_span text)
{
    while (text.len > 0 && is_blank(text.ptr[text.len - 1])) {
        text.len--;
    }
    while (text.len > 0 && is_blank(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    return text;
}

static bool
is(struct pw_span text, const char *word)
{
    return pw_span_equal(text, pw_span_str(word));
}

/* NAME = "VALUE" in two; `value` is what stands between the quotes. */
static bool
split_line(struct pw_span line, struct pw_span *name, struct pw_span *value)
{
    struct pw_cursor cur = pw_cursor_over(line);
    *name = trimmed(pw_cursor_until(&cur, '='));
    struct pw_span text = trimmed(cur.rest);
    if (cur.truncated || text.len < 2 || (text.ptr[0] != '"' && text.ptr[0] != '\'')) {
        return false;
    }
    struct pw_cursor inner = pw_cursor_over((struct pw_span){text.ptr + 1, text.len - 1});
    *value = pw_cursor_until(&inner, text.ptr[0]);
    return !inner.truncated && trimmed(inner.rest).len == 0;
}

/* zmq_z85_decode takes any five letters; a value past 2^32 it refuses or wraps. */
static bool
decode_key(struct pw_span text, uint8_t out[static PW_CERT_BYTES])
{
    char z85[PW_CERT_TEXT], again[PW_CERT_TEXT];
    if (text.len != Z85_KEY || memchr(text.ptr, '\0', text.len) != NULL) {
        return false;
    }
    memcpy(z85, text.ptr, Z85_KEY);
    z85[Z85_KEY] = '\0';
    bool good = zmq_z85_decode(out, z85) != NULL &&
                zmq_z85_encode(again, out, PW_CERT_BYTES) != NULL &&
                memcmp(again, z85, Z85_KEY) == 0;
    sodium_memzero(z85, sizeof z85);
    sodium_memzero(again, sizeof again);
    return good;
}

/* One run over the lines. */
struct reading {
    struct pw_cert *cert;
    struct pw_why *why;
    unsigned line;
    bool in_curve; /* below the section `curve` */
    bool has_public;
};

static enum pw_err
refuse(const struct reading *reading, const char *sentence)
{
    return pw_fail(reading->why, PW_E_FORMAT, "%u: %s", reading->line, sentence);
}

static enum pw_err
read_key(struct reading *reading, struct pw_span line)
{
    struct pw_span name, value;
    if (!split_line(line, &name, &value)) {
        return refuse(reading, "is no NAME = \"VALUE\"; copy the file again");
    }
    bool secret = is(name, "secret-key");
    if (!secret && !is(name, "public-key")) {
        return PW_E_OK; /* others may have things of their own there */
    }
    bool *have = secret ? &reading->cert->has_secret : &reading->has_public;
    if (*have) {
        return refuse(reading, "gives the key a second time; keep one");
    }
    uint8_t *key = secret ? reading->cert->secret_key : reading->cert->public_key;
    if (!decode_key(value, key)) {
        return refuse(reading, "the key is no 40 letters of Z85; copy the file again");
    }
    *have = true;
    return PW_E_OK;
}

static enum pw_err
read_line(struct reading *reading, struct pw_span line)
{
    struct pw_span text = trimmed(line);
    if (text.len == 0 || text.ptr[0] == '#') {
        return PW_E_OK;
    }
    if (text.ptr == line.ptr) { /* at the margin */
        reading->in_curve = is(text, "curve");
        return PW_E_OK;
    }
    return reading->in_curve ? read_key(reading, text) : PW_E_OK;
}

enum pw_err
pw_cert_parse(struct pw_span text, struct pw_cert *cert, struct pw_why *why)
{
    *cert = (struct pw_cert){0};
    struct reading reading = {.cert = cert, .why = why};
    struct pw_cursor cur = pw_cursor_over(text);
    enum pw_err err = PW_E_OK;
    while (err == PW_E_OK && cur.rest.len > 0) {
        struct pw_span rest = cur.rest;
        struct pw_span line = pw_cursor_until(&cur, '\n');
        line = cur.truncated ? rest : line; /* the last line may lack its end */
        cur.rest = cur.truncated ? (struct pw_span){0} : cur.rest;
        reading.line++;
        err = read_line(&reading, line);
    }
    if (err == PW_E_OK && !reading.has_public) {
        err = refuse(&reading, "no public-key below a section curve; name a certificate "
                               "that picklewall key curve or zmq.auth has made");
    }
    if (err != PW_E_OK) {
        pw_cert_wipe(cert);
    }
    return err;
}

/* The public key is the secret's own: else every handshake would fail, and nobody say why.
 */
static bool
belongs_together(const struct pw_cert *cert)
{
    uint8_t made[PW_CERT_BYTES];
    return crypto_scalarmult_base(made, cert->secret_key) == 0 &&
           memcmp(made, cert->public_key, sizeof made) == 0;
}

enum pw_err
pw_cert_load(const char *path, bool secret, struct pw_cert *cert, struct pw_why *why)
{
    struct pw_why inner = {0};
    *cert = (struct pw_cert){0};
    PW_CLEANUP(wipe_buf) struct pw_buf text = {.limit = PW_CERT_FILE_MAX};
    enum pw_err err = pw_key_read_file(path, secret, &text, why);
    if (err != PW_E_OK) {
        return err;
    }
    err = pw_cert_parse(pw_buf_span(&text), cert, &inner);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s:%s", path, inner.text);
    }
    if (!secret) {
        return PW_E_OK;
    }
    if (!cert->has_secret) {
        return pw_fail(why, PW_E_FORMAT,
                       "%s: has no secret-key; name the secret file of the pair "
                       "(NAME.key_secret)",
                       path);
    }
    if (!belongs_together(cert)) {
        pw_cert_wipe(cert);
        return pw_fail(why, PW_E_FORMAT,
                       "%s: its two keys are no pair; copy the file again", path);
    }
    return PW_E_OK;
}

void
pw_cert_text(const uint8_t key[static PW_CERT_BYTES], char out[static PW_CERT_TEXT])
{
    zmq_z85_encode(out, key, PW_CERT_BYTES);
}

static enum pw_err
write_file(int folder, const char *file, const struct pw_cert *cert, bool secret,
           struct pw_why *why)
{
    static const char head[] = "#   ZeroMQ CURVE %s certificate, made by picklewall\n"
                               "metadata\n"
                               "curve\n"
                               "    public-key = \"%s\"\n";
    char text[TEXT_ROOM], key[PW_CERT_TEXT];
    pw_cert_text(cert->public_key, key);
    int len = snprintf(text, sizeof text, head, secret ? "secret" : "public", key);
    if (secret) {
        pw_cert_text(cert->secret_key, key);
        len += snprintf(text + len, sizeof text - (size_t)len, "    secret-key = \"%s\"\n",
                        key);
    }
    PW_CLEANUP(pw_file_close)
    int fd = openat(folder, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    secret ? 0600 : 0644);
    enum pw_err err = PW_E_CREATE;
    if (fd >= 0) {
        err = pw_file_write_all(fd, (struct pw_span){(uint8_t *)text, (size_t)len});
        err = err == PW_E_OK && fsync(fd) != 0 ? PW_E_IO : err;
    }
    int number = errno;
    sodium_memzero(text, sizeof text);
    sodium_memzero(key, sizeof key);
    if (err == PW_E_OK) {
        return PW_E_OK;
    }
    if (fd >= 0) {
        (void)unlinkat(folder, file, 0); /* half a key is worse than none */
    }
    return pw_fail(why, err, "%s: %s; choose another name or folder", file,
                   strerror(number));
}

enum pw_err
pw_cert_make(const char *folder, const char *name, struct pw_cert *cert, struct pw_why *why)
{
    char public_file[PATH_ROOM], secret_file[PATH_ROOM];
    if (!pw_schema_is_name(name)) {
        return pw_fail(why, PW_E_USAGE,
                       "\"%.80s\" is no name; use up to 64 letters, digits, . _ - and no "
                       "dot in front",
                       name);
    }
    PW_CLEANUP(pw_file_close) int dir = pw_file_open_dir(folder, why);
    if (dir < 0) {
        return PW_E_CREATE;
    }
    *cert = (struct pw_cert){.has_secret = true};
    if (crypto_box_keypair(cert->public_key, cert->secret_key) != 0) {
        return pw_fail(why, PW_E_CRYPTO, "libsodium made no key; try again");
    }
    snprintf(public_file, sizeof public_file, "%s.key", name);
    snprintf(secret_file, sizeof secret_file, "%s.key_secret", name);
    enum pw_err err = write_file(dir, public_file, cert, false, why);
    if (err != PW_E_OK) {
        return err;
    }
    err = write_file(dir, secret_file, cert, true, why);
    if (err != PW_E_OK) {
        (void)unlinkat(dir, public_file, 0);
    }
    return err;
}
