/* SPDX-License-Identifier: Apache-2.0
 *
 * A scanner and a policy, as `scan` and `explain` use them.
 */
#ifndef PW_PROXY_CLI_JUDGE_H
#define PW_PROXY_CLI_JUDGE_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/pickle/layer.h"
#include "common/pickle/scan.h"
#include "common/policy/policy.h"
#include "common/settings/settings.h"

enum { PW_JUDGE_FINDS = 64 };

struct pw_judge {
    struct pw_settings *settings; /* where the policy comes from */
    const struct pw_policy *policy;
    struct pw_scan *scan;
    struct pw_layer *layer;
    struct pw_buf file;    /* the bytes under judgement */
    struct pw_span mapped; /* … or these, when they are many */

    /* Of the pickle judged last; names point into it. */
    struct pw_report report;
    struct pw_find finds[PW_JUDGE_FINDS];
    size_t find_count; /* kept */

    /* Of the file judged last: all its parts together. */
    uint64_t bytes;        /* its length; a file past max_bytes counts to one byte more */
    size_t parts;          /* pickles in it */
    size_t refusals;       /* all */
    enum pw_reason reason; /* the gravest; NONE when it passes */
    enum pw_kind kind;     /* the most cautious; EMPTY when there is no pickle */
    uint8_t proto;         /* the highest */
    uint32_t ops;
    uint64_t consumed;
};

/*
 * Told of each part of a file: `report` and `finds` are those of the part that lies at
 * `where` ("zip:archive/data.pkl"; empty: the file itself), and good until the next. What
 * was no pickle, but had to be refused, has an empty report of kind BROKEN and one finding.
 */
typedef void pw_judge_part(void *arg, const struct pw_judge *judge, struct pw_span where);

/*
 * Ready to judge by the policy named `policy` (NULL: python-data) of the configuration
 * `config` (NULL: the shipped packs). On failure `judge` is to be freed all the same.
 */
PW_CHECK_RESULT enum pw_err pw_judge_open(struct pw_judge *judge, const char *config,
                                          const char *policy, struct pw_why *why);
void pw_judge_free(struct pw_judge *judge);

/*
 * Read the file ("-": stdin) and judge every pickle in it: its first bytes say what it is
 * (PW_LAYER_AUTO). Errors are about reading or memory only.
 */
PW_CHECK_RESULT enum pw_err pw_judge_parts(struct pw_judge *judge, const char *path,
                                           pw_judge_part *part, void *arg,
                                           struct pw_why *why);

/* The same for bytes, which stay where they are until the next call. PW_E_NOMEM. */
PW_CHECK_RESULT enum pw_err pw_judge_bytes(struct pw_judge *judge, struct pw_span bytes,
                                           pw_judge_part *part, void *arg);

/* "pickle", "broken", "opaque", "empty". */
const char *pw_kind_text(enum pw_kind kind);

/* The members of a finding: "code", "off", "op", "mod", "name", "level", "note". */
void pw_judge_write_find(struct pw_json *json, const struct pw_find *find);

#endif
