/* SPDX-License-Identifier: Apache-2.0
 *
 * What `learn` remembers: the names that audit lines and `scan --json` objects tell of, and
 * the policy that would allow them. The lines quote what senders wrote, so memory is
 * bounded and nothing of them reaches the policy but names of plain shape.
 */
#ifndef PW_PROXY_CLI_LEARNED_H
#define PW_PROXY_CLI_LEARNED_H

#include <stdbool.h>
#include <stdio.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/reason.h"

enum {
    PW_LEARN_LINE_MAX = 8 << 20, /* bytes of a line; longer ones count as malformed */
    PW_LEARN_NAMES = 65536,      /* pairs remembered */
    PW_LEARN_NAME = 256,         /* bytes remembered of a module or name */
    PW_LEARN_CHANNELS = 31,
    PW_LEARN_POLICIES = 8,
    PW_LEARN_FIRST = 64, /* bytes remembered of a time stamp or path */
};

/* One pair of module and name. */
struct pw_seen {
    uint8_t *text; /* owned: the module, then the name */
    size_t mod_len, name_len;
    bool cut;       /* longer than PW_LEARN_NAME */
    bool refused;   /* by the policy that judged it, in some line */
    uint8_t uses;   /* bit 1 << enum pw_use */
    bool any_use;   /* some line did not tell the uses */
    uint64_t count; /* lines that tell of it */
    uint64_t line;  /* the last of them */
    uint32_t channels;
    bool dated; /* `first` is a time stamp: the earliest one */
    bool first_cut;
    uint8_t first_len;
    uint8_t first[PW_LEARN_FIRST];
};

/* A short text of the input, such as the name of a channel. */
struct pw_label {
    size_t len;
    uint8_t text[64];
};

struct pw_learned {
    /* Pairs in a hash table with open addressing: indexes + 1. */
    struct pw_seen *seen;
    size_t seen_count, seen_room;
    uint32_t *slots;
    size_t slot_count;

    struct pw_label channels[PW_LEARN_CHANNELS];
    size_t channel_count;
    struct pw_label policies[PW_LEARN_POLICIES]; /* that judged what was read */
    size_t policy_count;
    uint64_t others[PW_R_COUNT]; /* findings that no entry would allow */

    uint64_t lines;           /* with something in them */
    uint64_t malformed;       /* of those, neither audit lines nor of scan --json */
    uint64_t first_malformed; /* its number in its file, from 1; 0: none since it was set */
    uint64_t incomplete;      /* that told of more findings than they held */
    uint64_t forgotten;       /* mentions of pairs past PW_LEARN_NAMES */

    uint64_t number;       /* of the line at hand in its file, the empty ones included */
    struct pw_buf pending; /* a line that has not ended */
    bool skipping;         /* it is too long, and passed over */
};

/* Zero-initialise by this; free in any case. */
void pw_learned_init(struct pw_learned *learned);
void pw_learned_free(struct pw_learned *learned);

/* Take the next bytes of the input, cut anywhere. PW_E_NOMEM. */
PW_CHECK_RESULT enum pw_err pw_learned_feed(struct pw_learned *learned,
                                            struct pw_span bytes);

/* A file ends here: take what stands behind the last LF. PW_E_NOMEM. */
PW_CHECK_RESULT enum pw_err pw_learned_end(struct pw_learned *learned);

struct pw_learn_options {
    const char *name; /* of the policy; a good one */
    uint64_t least;   /* names of fewer lines are only counted */
    bool (*is_known)(void *arg, struct pw_span policy); /* it may be included here */
    void *arg;
};

/*
 * Print the policy: ZPL that holds as a file NAME.conf and as a part of a configuration. It
 * includes the policies that judged the input and allows what they refused; what is
 * dangerous, or no exact name, only stands in comments. *written is the number of entries
 * in force, *left those that would have made the text too large for one policy. PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_learned_print(const struct pw_learned *learned,
                                             const struct pw_learn_options *options,
                                             FILE *out, size_t *written, size_t *left);

#endif
