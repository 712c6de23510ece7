/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON objects, read back: audit lines, quarantine entries, requests and answers.
 */
#ifndef PW_PROXY_JSON_READ_H
#define PW_PROXY_JSON_READ_H

#include <jansson.h>

#include "common/base/cursor.h"
#include "common/base/err.h"

/*
 * From now on whatever jansson gives back is wiped: a request may hold the key of a held
 * message. Before the first use of jansson.
 */
void pw_json_wipes(void);

/*
 * The object that `line` spells; NULL when it does not, or is longer than a line may be.
 * Lone surrogates, with which our writer spells bytes that are not UTF-8, become U+FFFD.
 */
json_t *pw_json_line_parse(struct pw_span line);

/* The same, which tells PW_E_NOMEM from PW_E_FORMAT. *object is NULL on failure. */
PW_CHECK_RESULT enum pw_err pw_json_line_read(struct pw_span line, json_t **object);

/* For PW_CLEANUP. */
void pw_json_line_free(json_t **object);

#endif
