/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/report.h"

#include "common/pickle/machine.h"

bool
pw_report_tuple(const struct pw_report *report, struct pw_value value,
                const struct pw_value **items, size_t *count)
{
    if (value.kind != PW_V_TUPLE) {
        return false;
    }
    const struct object *object = &report->scan->objects.at[value.ref];
    if ((object->flags & OBJECT_KEPT) == 0) {
        return false;
    }
    *count = object->count;
    *items = object->count == 0 ? NULL : &report->scan->items.at[object->link];
    return true;
}

bool
pw_report_length(const struct pw_report *report, struct pw_value value, size_t *count)
{
    if (value.kind != PW_V_LIST) {
        return false;
    }
    const struct object *object = &report->scan->objects.at[value.ref];
    *count = object->count;
    return (object->flags & OBJECT_LATE) == 0;
}

const struct pw_import *
pw_report_origin(const struct pw_report *report, struct pw_value value)
{
    if (value.kind != PW_V_INSTANCE) {
        return NULL;
    }
    const struct object *object = &report->scan->objects.at[value.ref];
    return (object->flags & OBJECT_ORIGIN) != 0 ? &report->imports[object->link] : NULL;
}

bool
pw_report_text(const struct pw_report *report, struct pw_value value, struct pw_span *text)
{
    return pw_machine_value_text(report->scan, value, text);
}
