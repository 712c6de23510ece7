/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/uses.h"

#include <stdlib.h>

#include "common/pickle/compat.h"

static const char *const words[PW_USE_COUNT] = {
    [PW_USE_REF] = "ref",     [PW_USE_CALL] = "call",   [PW_USE_NEW] = "new",
    [PW_USE_BUILD] = "build", [PW_USE_ITEMS] = "items",
};

const char *
pw_use_word(enum pw_use use)
{
    return words[use];
}

static void
add_arguments(const struct pw_report *report, const struct pw_used *used, uint8_t *uses)
{
    const struct pw_value *items;
    size_t count;
    bool called = used->use == PW_USE_CALL || used->use == PW_USE_NEW;
    if (!called || !pw_report_tuple(report, used->args, &items, &count)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind == PW_V_GLOBAL) {
            uses[items[i].ref] |= 1 << PW_USE_REF;
        }
    }
}

uint8_t *
pw_uses_of(const struct pw_report *report)
{
    uint8_t *uses = calloc(report->import_count + 1, sizeof *uses);
    for (size_t i = 0; uses != NULL && i < report->used_count; i++) {
        const struct pw_used *used = &report->used[i];
        uses[used->import] |= (uint8_t)(1u << used->use);
        add_arguments(report, used, uses);
    }
    return uses;
}

void
pw_uses_write(struct pw_json *json, uint8_t uses)
{
    pw_json_array(json, "uses");
    for (unsigned use = 0; use < PW_USE_COUNT; use++) {
        if ((uses >> use & 1) != 0) {
            pw_json_str(json, NULL, words[use]);
        }
    }
    pw_json_end_array(json);
}

void
pw_uses_write_renamed(struct pw_json *json, const struct pw_import *import)
{
    struct pw_span mod;
    struct pw_span name;
    if (import->proto >= 3 || !pw_compat_map(import->mod, import->name, &mod, &name)) {
        return;
    }
    pw_json_object(json, "renamed");
    pw_json_bytes(json, "mod", mod, mod.len);
    pw_json_bytes(json, "name", name, name.len);
    pw_json_end_object(json);
}
