/* SPDX-License-Identifier: Apache-2.0
 *
 * ZPL text as a flat list of its lines, each with the line number that zconfig forgets.
 * Whatever zconfig would misread in silence is refused here with words first.
 */
#ifndef PW_COMMON_SETTINGS_ZPL_H
#define PW_COMMON_SETTINGS_ZPL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/cursor.h"
#include "common/base/err.h"

enum {
    PW_ZPL_TEXT_MAX = 1 << 20, /* bytes of a file */
    PW_ZPL_LINE_MAX =
        1000, /* bytes of a line: some zconfig read past the text from 1024 on */
    PW_ZPL_NODES_MAX = 10000, /* settings of a file: zconfig's cost grows with the square */
    PW_ZPL_DEPTH_MAX = 8,     /* levels of indentation */
    PW_ZPL_PATH_MAX = 256,    /* room for a path such as "channel.jobs.in.bind" */
};

/* One line "name" or "name = value". Strings belong to the document. */
struct pw_zpl_node {
    const char *name;
    const char *value; /* "" for a section */
    bool section;      /* there was no "=" */
    unsigned line;     /* from 1 */
    unsigned depth;    /* 0 at the left margin */
    size_t parent;     /* index, or PW_ZPL_NONE */
};

#define PW_ZPL_NONE ((size_t)-1)

struct pw_zpl {
    char *file;                /* the name that errors give */
    struct pw_zpl_node *nodes; /* in the order of the text */
    size_t count;
    struct _zconfig_t *tree;
};

/* Parse `text`. NULL with "FILE:LINE: what is wrong; what would be right" in `why`. */
struct pw_zpl *pw_zpl_parse(struct pw_span text, const char *file, struct pw_why *why);
void pw_zpl_free(struct pw_zpl **doc);

/* The names from the margin to this node, with dots between; cut when too long. */
void pw_zpl_path(const struct pw_zpl *doc, size_t node, char out[static PW_ZPL_PATH_MAX]);

/* The first node of this path, or PW_ZPL_NONE. */
size_t pw_zpl_find(const struct pw_zpl *doc, const char *path);

/* Fail with "FILE:LINE: path: " before the sentence. Returns PW_E_CONFIG. */
enum pw_err pw_zpl_fail(const struct pw_zpl *doc, size_t node, struct pw_why *why,
                        const char *format, ...) PW_PRINTF(4, 5);

#endif
