/* SPDX-License-Identifier: Apache-2.0
 *
 * CURVE certificates: the files that czmq's zcert and pyzmq's zmq.auth write and read. ZPL
 * with a section `curve`, in it `public-key` and, in the secret file, `secret-key`, each 40
 * letters of Z85 (https://rfc.zeromq.org/spec/32).
 */
#ifndef PW_PROXY_CERT_H
#define PW_PROXY_CERT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cursor.h"
#include "common/base/err.h"

enum { PW_CERT_BYTES = 32, PW_CERT_TEXT = 41, PW_CERT_FILE_MAX = 16384 };

struct pw_cert {
    bool has_secret;
    uint8_t public_key[PW_CERT_BYTES];
    uint8_t secret_key[PW_CERT_BYTES];
};

/* Overwrite the secret; for PW_CLEANUP. */
void pw_cert_wipe(struct pw_cert *cert);

/* PW_E_FORMAT with "LINE: what is wrong; what would be right" in `why`, never a key. */
PW_CHECK_RESULT enum pw_err pw_cert_parse(struct pw_span text, struct pw_cert *cert,
                                          struct pw_why *why);

/*
 * Read a file; with `secret` it must hold a pair that belongs together, and be readable for
 * nobody else, as key files (common/sign). Errors name the file and the remedy.
 */
PW_CHECK_RESULT enum pw_err pw_cert_load(const char *path, bool secret,
                                         struct pw_cert *cert, struct pw_why *why);

/*
 * Make a pair: FOLDER/NAME.key with the public half and FOLDER/NAME.key_secret, mode 0600,
 * with both. Never replaces a file. The folder is made 0700 when absent. *cert is the pair.
 */
PW_CHECK_RESULT enum pw_err pw_cert_make(const char *folder, const char *name,
                                         struct pw_cert *cert, struct pw_why *why);

/* The public key in Z85. */
void pw_cert_text(const uint8_t key[static PW_CERT_BYTES], char out[static PW_CERT_TEXT]);

#endif
