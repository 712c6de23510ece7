/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a sealed object: as they are, with a sum that fits, and behind a good head,
 * so that chunks are read, too. And any bytes sealed, which must come back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/quarantine/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t public[PW_SEAL_KEY], secret[PW_SEAL_KEY];
static const uint8_t name[PW_SEAL_NAME] = {7};
static struct pw_seal_room room;

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* The same bytes as a file: read in pieces, they must be found the same. */
static void
check_file(struct pw_span bytes, bool whole)
{
    int fd = memfd_create("object", MFD_CLOEXEC);
    must(fd >= 0 && pw_file_write_all(fd, bytes) == PW_E_OK && lseek(fd, 0, SEEK_SET) == 0);
    must((pw_seal_check_fd(fd, bytes.len, name) == PW_E_OK) == whole);
    close(fd);
}

static enum pw_err
read_sealed(struct pw_span bytes, struct pw_buf *plain)
{
    uint8_t key[PW_SEAL_KEY];
    struct pw_why why = {{0}};
    enum pw_err err = pw_seal_check(bytes, name, &why);
    must(err == PW_E_OK || why.text[0] != '\0');
    check_file(bytes, err == PW_E_OK);
    err = pw_seal_open_box(bytes, secret, key, &why);
    err = err == PW_E_OK ? pw_seal_open(bytes, name, key, plain, &why) : err;
    must(err == PW_E_OK || (plain->len == 0 && why.text[0] != '\0'));
    return err;
}

/* The bytes, then a sum that fits. */
static void
read_summed(struct pw_span head, struct pw_span bytes)
{
    struct pw_buf file = {.limit = SIZE_MAX / 2}, plain = {.limit = SIZE_MAX / 2};
    uint8_t sum[PW_SEAL_SUM];
    must(pw_buf_append(&file, head) == PW_E_OK && pw_buf_append(&file, bytes) == PW_E_OK);
    crypto_hash_sha256(sum, file.bytes, file.len);
    must(pw_buf_append(&file, (struct pw_span){sum, sizeof sum}) == PW_E_OK);
    (void)read_sealed(pw_buf_span(&file), &plain);
    pw_buf_free(&plain);
    pw_buf_free(&file);
}

static void
seal_and_read(struct pw_span bytes)
{
    struct pw_buf file = {.limit = SIZE_MAX / 2}, plain = {.limit = SIZE_MAX / 2};
    const struct pw_seal_source source = {.parts = &bytes, .count = 1};
    int fd = memfd_create("sealed", 0);
    must(fd >= 0 && pw_seal_write(fd, public, name, &source, &room));
    must(lseek(fd, 0, SEEK_SET) == 0 && pw_file_read_fd(fd, &file) == PW_E_OK);
    close(fd);
    must(file.len == pw_seal_size(bytes.len));
    must(read_sealed(pw_buf_span(&file), &plain) == PW_E_OK);
    must(pw_span_equal(pw_buf_span(&plain), bytes));
    read_summed((struct pw_span){file.bytes, PW_SEAL_HEAD}, bytes);
    pw_buf_free(&plain);
    pw_buf_free(&file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct pw_span bytes = {data, size};
    struct pw_buf plain = {.limit = SIZE_MAX / 2};
    if (!ready) {
        must(sodium_init() >= 0 && crypto_box_keypair(public, secret) == 0);
        ready = true;
    }
    (void)read_sealed(bytes, &plain);
    read_summed((struct pw_span){0}, bytes);
    seal_and_read(bytes);
    pw_buf_free(&plain);
    return 0;
}
