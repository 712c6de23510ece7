/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stream does with each name it imports, as `scan`, `explain` and `learn` tell it.
 */
#ifndef PW_PROXY_CLI_USES_H
#define PW_PROXY_CLI_USES_H

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/pickle/report.h"

/* The word of a policy entry: "ref", "call", "new", "build", "items". */
const char *pw_use_word(enum pw_use use);

/*
 * The uses of every import of the report, a bit 1 << enum pw_use each: report->import_count
 * sets, malloc'd; NULL when out of memory. A global among the arguments of a call stands as
 * a value, since an entry without a shape for them asks for just that.
 */
uint8_t *pw_uses_of(const struct pw_report *report);

/* The member "uses":["call",…] of an import. */
void pw_uses_write(struct pw_json *json, uint8_t uses);

/*
 * The member "renamed":{"mod":…,"name":…}: what the consumer makes of an import below
 * protocol 3. Nothing when that is the same.
 */
void pw_uses_write_renamed(struct pw_json *json, const struct pw_import *import);

#endif
