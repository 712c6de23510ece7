/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of a chain right after its newest checkpoint: the file STATE/audit.chain.
 * README.md has its format.
 */
#ifndef PW_COMMON_AUDIT_CHAIN_STATE_H
#define PW_COMMON_AUDIT_CHAIN_STATE_H

#include <stdbool.h>

#include "common/audit/note.h"
#include "common/base/buf.h"

enum {
    PW_CHAIN_ID = PW_NOTE_ORIGIN + 1, /* a chain's id with its NUL */
    PW_CHAIN_STATE_MAX = 8192,        /* bytes of the file, at most */
};

struct pw_chain_state {
    char id[PW_CHAIN_ID];
    uint8_t hash[PW_TREE_HASH]; /* SHA-256 of the last line; zeros when there is none */
    struct pw_tree tree;        /* over all lines: its size is the seq of the last one */
    bool closed;                /* the wall stopped, and nothing came behind that line */
    bool opened; /* not closed any more, but not known to have a line since */

    /* The oldest line of the log that no rotation has removed; "" when that is not known.
     */
    char begins[PW_CHAIN_ID];
    uint64_t begins_seq;
};

/* When a chain began, Unix milliseconds: what stands behind the slash of its id. */
uint64_t pw_chain_born(struct pw_span id);

/* Append the text of the file to `out`. */
PW_CHECK_RESULT enum pw_err pw_chain_state_format(const struct pw_chain_state *state,
                                                  struct pw_buf *out);

/* Read it back. False for any text that pw_chain_state_format does not write. */
PW_CHECK_RESULT bool pw_chain_state_parse(struct pw_span text, struct pw_chain_state *out);

/* Letters, digits and . _ - / only, and not too many: what an id may consist of. */
bool pw_chain_is_id(struct pw_span text);

/*
 * Read the file `path`: PW_E_NO_INPUT when there is none, PW_E_FORMAT when it is damaged,
 * with a sentence.
 */
PW_CHECK_RESULT enum pw_err
pw_chain_state_load(const char *path, struct pw_chain_state *out, struct pw_why *why);

#endif
