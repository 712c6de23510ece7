/* SPDX-License-Identifier: Apache-2.0
 *
 * A short text for a terminal, put together piece by piece: printable ASCII only, whatever
 * it is made of, and cut where it would not fit.
 */
#ifndef PW_PROXY_CLI_WORDS_H
#define PW_PROXY_CLI_WORDS_H

#include "common/base/cursor.h"

enum { PW_WORDS = 1024 };

/* Zero-initialise. */
struct pw_words {
    size_t len;
    char text[PW_WORDS]; /* ends with a NUL */
};

/* Our own words. A %s must be ours, too. */
void pw_words_put(struct pw_words *words, const char *format, ...) PW_PRINTF(2, 3);

/* Words of others: what is no printable ASCII becomes \uXXXX, or \xXX when it is no UTF-8.
 */
void pw_words_quote(struct pw_words *words, struct pw_span text);

/* "412 B", "1,234" behind what is there. */
void pw_words_size(struct pw_words *words, double bytes);
void pw_words_count(struct pw_words *words, uint64_t count);

/* Cut to `width` columns, with "..." at the end when there is room for it. */
void pw_words_cut(struct pw_words *words, size_t width);

#endif
