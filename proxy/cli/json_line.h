/* SPDX-License-Identifier: Apache-2.0
 *
 * Audit lines and quarantine entries, read back for a person. They quote hostile names, so
 * nothing of them is printed but through pw_print_text.
 */
#ifndef PW_PROXY_CLI_JSON_LINE_H
#define PW_PROXY_CLI_JSON_LINE_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "common/base/cursor.h"
#include "common/base/err.h"
#include "proxy/json_read.h"

/* Every byte is printable ASCII: the line may be shown as it is. */
bool pw_json_line_plain(struct pw_span line);

/* Printable ASCII as it is, all else as \uXXXX, a byte that is not UTF-8 as \xXX. */
void pw_print_text(FILE *out, struct pw_span text);

/* The string at `key`, an empty span when there is none. Borrowed from `object`. */
struct pw_span pw_json_text(const json_t *object, const char *key);

/* The number at `key`, 0 when there is none. */
long long pw_json_number(const json_t *object, const char *key);

/* "reason_text: module:name  what it does" of the gravest finding, as far as they are
 * there.
 */
void pw_print_reason(FILE *out, const json_t *object);

/* "  runs a program", when the finding says what its name is known to do. */
void pw_print_note(FILE *out, const json_t *find);

/* "module:name" of a finding; nothing when it has neither. Whether anything was printed. */
bool pw_print_name(FILE *out, const json_t *find);

#endif
