/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/hex.h"

enum { LINE_MAX_TEXT = 128 };

static const char public_words[] = "picklewall-quarantine-public-1 ";
static const char secret_words[] = "picklewall-quarantine-secret-1 ";

static enum pw_err
write_key(int dir, const char *folder, const char *name, mode_t mode, const char *words,
          const uint8_t *key, struct pw_why *why)
{
    char hex[2 * PW_SEAL_KEY + 1];
    char line[LINE_MAX_TEXT];
    PW_CLEANUP(pw_file_close)
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
        return pw_fail(why, PW_E_CREATE, "%s/%s: %s; name a folder without such a file",
                       folder, name, strerror(errno));
    }
    pw_hex_encode((struct pw_span){key, PW_SEAL_KEY}, hex);
    snprintf(line, sizeof line, "%s%s\n", words, hex);
    bool written = pw_file_write_all(fd, pw_span_str(line)) == PW_E_OK && fsync(fd) == 0;
    sodium_memzero(hex, sizeof hex);
    sodium_memzero(line, sizeof line);
    return written ? PW_E_OK
                   : pw_fail(why, PW_E_IO, "%s/%s: %s; remove it and make room", folder,
                             name, strerror(errno));
}

enum pw_err
pw_seal_keygen(const char *dir, struct pw_why *why)
{
    uint8_t public[PW_SEAL_KEY], secret[PW_SEAL_KEY];
    PW_CLEANUP(pw_file_close) int folder = pw_file_open_dir(dir, why);
    if (folder < 0) {
        return PW_E_CREATE;
    }
    (void)crypto_box_keypair(public, secret);
    enum pw_err err =
        write_key(folder, dir, "quarantine.key", 0600, secret_words, secret, why);
    sodium_memzero(secret, sizeof secret);
    return err == PW_E_OK
               ? write_key(folder, dir, "quarantine.pub", 0644, public_words, public, why)
               : err;
}

/* The key of a file's one line; false for any other text. */
static bool
parse_key(struct pw_span text, const char *words, uint8_t *key)
{
    struct pw_cursor cur = pw_cursor_over(text);
    struct pw_span start = pw_cursor_take(&cur, strlen(words));
    struct pw_span hex = pw_cursor_take(&cur, (size_t)2 * PW_SEAL_KEY);
    struct pw_span end = cur.rest;
    return !cur.truncated && pw_span_equal(start, pw_span_str(words)) &&
           (end.len == 0 || pw_span_equal(end, pw_span_str("\n"))) &&
           pw_hex_decode(hex, key, PW_SEAL_KEY);
}

static enum pw_err
read_key(const char *path, const char *words, const char *other, bool secret, uint8_t *key,
         struct pw_why *why)
{
    struct stat st;
    struct pw_buf text = {.limit = LINE_MAX_TEXT};
    PW_CLEANUP(pw_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return pw_fail(why, errno == ENOENT ? PW_E_NO_INPUT : PW_E_PERM,
                       "%s: %s; name the file that `picklewall quarantine keygen` made",
                       path, strerror(errno));
    }
    if (secret && (st.st_mode & 077) != 0) {
        return pw_fail(why, PW_E_PERM, "%s: others can read this secret key; chmod 600 it",
                       path);
    }
    enum pw_err err = pw_file_read_fd(fd, &text);
    bool good = err == PW_E_OK && parse_key(pw_buf_span(&text), words, key);
    bool swapped = err == PW_E_OK && parse_key(pw_buf_span(&text), other, key);
    if (text.bytes != NULL) {
        sodium_memzero(text.bytes, text.len);
    }
    pw_buf_free(&text);
    if (good && !swapped) {
        return PW_E_OK;
    }
    sodium_memzero(key, PW_SEAL_KEY);
    return pw_fail(why, err == PW_E_NOMEM || err == PW_E_IO ? err : PW_E_FORMAT,
                   "%s: %s; name quarantine.%s", path,
                   swapped ? "is the other half of the pair" : "is no key of a quarantine",
                   secret ? "key" : "pub");
}

enum pw_err
pw_seal_read_public(const char *path, uint8_t public[static PW_SEAL_KEY],
                    struct pw_why *why)
{
    return read_key(path, public_words, secret_words, false, public, why);
}

enum pw_err
pw_seal_read_secret(const char *path, uint8_t secret[static PW_SEAL_KEY],
                    struct pw_why *why)
{
    return read_key(path, secret_words, public_words, true, secret, why);
}
