/* SPDX-License-Identifier: Apache-2.0
 *
 * What is asked of a wall when a held message shall go on: the argument of the order
 * `release` on the control socket, one JSON object.
 *
 *     {"id":"01JD8Z…","reason":"…","override":["import.denied"],"again":true,
 *      "arrived":true,"dry_run":true,"key":"64 hex digits"}
 *
 * `id` is that of an entry, or its beginning; `reason` is why, in words, which may be
 * missing only of a dry run; the others may always be missing. Nothing else may be there.
 */
#ifndef PW_PROXY_RELEASE_REQUEST_H
#define PW_PROXY_RELEASE_REQUEST_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/reason.h"

enum {
    PW_RELEASE_KEY = 32,
    PW_RELEASE_ID = 65,      /* room for an id, with NUL */
    PW_RELEASE_REASON = 500, /* bytes of UTF-8, so that the audit line has room for it */
};

struct pw_release_request {
    char id[PW_RELEASE_ID];
    char reason[PW_RELEASE_REASON + 1];
    bool override[PW_R_COUNT];
    bool again;   /* also when nobody can tell whether it was sent before */
    bool arrived; /* then it was: send nothing, and be done with it */
    bool dry_run;
    bool sealed; /* `key` opens the object, which is sealed */
    uint8_t key[PW_RELEASE_KEY];
};

/* PW_E_USAGE with a sentence, which names what is wrong and the remedy; PW_E_NOMEM. */
PW_CHECK_RESULT enum pw_err pw_release_request_parse(struct pw_span text,
                                                     struct pw_release_request *out,
                                                     struct pw_why *why);

/* Append it as pw_release_request_parse reads it. PW_E_NOMEM, PW_E_LIMIT. */
PW_CHECK_RESULT enum pw_err
pw_release_request_write(const struct pw_release_request *request, struct pw_buf *out);

/* The reason of this code, which an operator may overrule; PW_E_USAGE with a sentence. */
PW_CHECK_RESULT enum pw_err pw_release_override(const char *code, enum pw_reason *reason,
                                                struct pw_why *why);

#endif
