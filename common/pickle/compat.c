/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/compat.h"

struct rename {
    const char *mod, *name, *new_mod, *new_name;
};

static const struct rename table[] = {
#define PW_RENAME(mod, name, new_mod, new_name) {mod, name, new_mod, new_name},
#include "common/pickle/compat.def"
#undef PW_RENAME
};

static int
compare(struct pw_span a, const char *text)
{
    return pw_span_compare(a, pw_span_str(text));
}

/* The first row of the module, or PW_COUNT(table). */
static size_t
first_row(struct pw_span mod)
{
    size_t low = 0;
    size_t high = PW_COUNT(table);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(mod, table[middle].mod) > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool
pw_compat_map(struct pw_span mod, struct pw_span name, struct pw_span *new_mod,
              struct pw_span *new_name)
{
    const struct rename *whole = NULL; /* the row of the module alone */
    for (size_t i = first_row(mod); i < PW_COUNT(table) && compare(mod, table[i].mod) == 0;
         i++) {
        if (table[i].name[0] == '*') {
            whole = &table[i];
        } else if (compare(name, table[i].name) == 0) {
            *new_mod = pw_span_str(table[i].new_mod);
            *new_name = pw_span_str(table[i].new_name);
            return true;
        }
    }
    if (whole == NULL) {
        return false;
    }
    *new_mod = pw_span_str(whole->new_mod);
    *new_name = name;
    return true;
}
