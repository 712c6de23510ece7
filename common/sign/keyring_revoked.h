/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of revoked keys: the file `revoked` of a key folder. README.md in this folder
 * specifies its text.
 */
#ifndef PW_COMMON_SIGN_KEYRING_REVOKED_H
#define PW_COMMON_SIGN_KEYRING_REVOKED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cursor.h"
#include "common/base/err.h"

enum { PW_REVOKED_FILE_MAX = 64 * 1024 };

#define PW_REVOKED_FILE "revoked"

/* Zeroed, it is the list of a folder without one: version 0, no key. */
struct pw_revoked {
    uint64_t version; /* 1 to 2^53 - 1; a newer list has a greater one */
    size_t count;
    uint8_t (*ids)[8];
};

/*
 * Parse the text of a list into *out, which is zeroed before. PW_E_FORMAT, PW_E_LIMIT or
 * PW_E_NOMEM, with a sentence in `why` that starts with the line number, leave it zeroed.
 */
PW_CHECK_RESULT enum pw_err pw_revoked_parse(struct pw_span text, struct pw_revoked *out,
                                             struct pw_why *why);

/*
 * Read the list of the key folder `dir`; a folder without one is no error. The file may be
 * read by everybody, and is refused when others may write it, as a key file is.
 */
PW_CHECK_RESULT enum pw_err pw_revoked_load(const char *dir, struct pw_revoked *out,
                                            struct pw_why *why);

/* *list becomes zeroed; a zeroed one is fine. */
void pw_revoked_free(struct pw_revoked *list);

bool pw_revoked_has(const struct pw_revoked *list, const uint8_t id[static 8]);

/*
 * Add `id` to the list of `dir`, with `comment` (printable ASCII) behind it, under the next
 * version; what stands there, comments too, is kept. *version is that of the list now; an
 * id that it has already changes nothing. The caller holds pw_keyring_lock. Errors leave
 * the old list.
 */
PW_CHECK_RESULT enum pw_err pw_revoked_add(const char *dir, const uint8_t id[static 8],
                                           const char *comment, uint64_t *version,
                                           struct pw_why *why);

#endif
