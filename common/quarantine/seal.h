/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed objects: whoever stores them cannot read them. Numbers are big-endian.
 *
 *     0    4  magic "PWQS"
 *     4    2  version, 1
 *     6    2  zero
 *     8   32  the object's name
 *    40   80  crypto_box_seal of a fresh key (libsodium: X25519, XSalsa20-Poly1305)
 *   120   24  header of crypto_secretstream_xchacha20poly1305
 *   144       the plain object (object.h) in chunks of 64 KiB, each 17 bytes longer than
 *             that and bound to the name; the last, and only the last, has the tag FINAL
 *     …   32  SHA-256 of everything before, for those who have no key
 */
#ifndef PW_COMMON_QUARANTINE_SEAL_H
#define PW_COMMON_QUARANTINE_SEAL_H

#include <sodium.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum {
    PW_SEAL_VERSION = 1,
    PW_SEAL_NAME = 32,
    PW_SEAL_KEY = 32, /* bytes of each key here: public, secret, of an object */
    PW_SEAL_FIXED = 8 + PW_SEAL_NAME, /* magic, version, zero, name */
    PW_SEAL_BOX = PW_SEAL_KEY + crypto_box_SEALBYTES,
    PW_SEAL_HEAD =
        PW_SEAL_FIXED + PW_SEAL_BOX + crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    PW_SEAL_CHUNK = 1 << 16,
    PW_SEAL_MORE = crypto_secretstream_xchacha20poly1305_ABYTES, /* of each chunk */
    PW_SEAL_SUM = 32,
};

_Static_assert(PW_SEAL_HEAD == 144 && PW_SEAL_MORE == 17, "the layout above");

/* Bytes of the sealed object of a plain one of `plain` bytes. */
uint64_t pw_seal_size(uint64_t plain);

/* Room for one chunk each way; large, so it belongs to the store. */
struct pw_seal_room {
    uint8_t plain[PW_SEAL_CHUNK];
    uint8_t sealed[PW_SEAL_CHUNK + PW_SEAL_MORE];
};

/* A plain object, as its parts lie in memory. */
struct pw_seal_source {
    struct pw_span head;
    const struct pw_span *parts;
    size_t count;
    struct pw_span tail;
};

/*
 * Write the plain object to `fd`, sealed to the public key. False
 * and errno when a write failed. The object's key is forgotten.
 */
bool pw_seal_write(int fd, const uint8_t public[static PW_SEAL_KEY],
                   const uint8_t name[static PW_SEAL_NAME],
                   const struct pw_seal_source *source, struct pw_seal_room *room);

/* Whether these are a sealed object's first bytes; it may be damaged all the same. */
bool pw_seal_is(struct pw_span bytes);

/*
 * The same of a file of `size` bytes, read from its beginning a piece at a time.
 * PW_E_FORMAT, PW_E_IO (errno says more).
 */
PW_CHECK_RESULT enum pw_err pw_seal_check_fd(int fd, uint64_t size,
                                             const uint8_t name[static PW_SEAL_NAME]);

/*
 * Whole, of a known version, and by its own words the object `name`. No key is needed.
 * PW_E_FORMAT; PW_E_USAGE: it is whole, but of another version.
 */
PW_CHECK_RESULT enum pw_err pw_seal_check(struct pw_span bytes,
                                          const uint8_t name[static PW_SEAL_NAME],
                                          struct pw_why *why);

/* The object's key, out of its box: PW_E_PERM when the box is for another secret key. */
PW_CHECK_RESULT enum pw_err pw_seal_open_box(struct pw_span bytes,
                                             const uint8_t secret[static PW_SEAL_KEY],
                                             uint8_t key[static PW_SEAL_KEY],
                                             struct pw_why *why);

/*
 * Append the plain object to `out`. PW_E_FORMAT when a byte is not as it was sealed, or
 * some are missing or left over; PW_E_PERM when the key is not this object's; PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_seal_open(struct pw_span bytes,
                                         const uint8_t name[static PW_SEAL_NAME],
                                         const uint8_t key[static PW_SEAL_KEY],
                                         struct pw_buf *out, struct pw_why *why);

/* ---- key files: one line of text, "picklewall-quarantine-public-1 HEX" LF ---- */

/*
 * Make a pair: DIR/quarantine.pub, and DIR/quarantine.key of mode 0600. Refuses when either
 * is there. PW_E_CREATE, PW_E_IO with a sentence.
 */
PW_CHECK_RESULT enum pw_err pw_seal_keygen(const char *dir, struct pw_why *why);

/* Read the public half. PW_E_NO_INPUT, PW_E_PERM, PW_E_FORMAT with a sentence. */
PW_CHECK_RESULT enum pw_err pw_seal_read_public(const char *path,
                                                uint8_t public[static PW_SEAL_KEY],
                                                struct pw_why *why);

/* Read the secret half, which nobody else may be able to read: PW_E_PERM otherwise. */
PW_CHECK_RESULT enum pw_err pw_seal_read_secret(const char *path,
                                                uint8_t secret[static PW_SEAL_KEY],
                                                struct pw_why *why);

#endif
