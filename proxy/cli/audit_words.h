/* SPDX-License-Identifier: Apache-2.0
 *
 * What an event of the audit log says, in words.
 */
#ifndef PW_PROXY_CLI_AUDIT_WORDS_H
#define PW_PROXY_CLI_AUDIT_WORDS_H

#include <jansson.h>

#include "proxy/cli/words.h"

enum { PW_AUDIT_EXTRAS = 12 };

struct pw_audit_words {
    const char *label;    /* "held"; static */
    const char *label_in; /* the same with more room: "quarantine" */
    const char *colour;   /* escape sequence, or "" */
    bool grave;           /* somebody should look at it */
    bool dull;            /* nobody needs to */
    struct pw_words main; /* what happened */
    /* What else there is to say, the most important first. */
    struct pw_words extras[PW_AUDIT_EXTRAS];
    size_t extra_count;
    struct pw_words id; /* of the entry in quarantine, to be copied */
};

/* Fill *words, some 20 KiB, from an event. */
void pw_audit_words_of(const json_t *event, struct pw_audit_words *words);

#endif
