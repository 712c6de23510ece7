/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <stdio.h>
#include <string.h>

enum pw_err
pw_entry_read(const struct pw_store *store, enum pw_store_state state, const char *entry,
              struct pw_buf *out)
{
    char name[PW_ENTRY_FILE];
    snprintf(name, sizeof name, "%.*s.json", (int)PW_ULID_NAME, entry);
    if (store->folders[state] < 0) {
        return PW_E_NO_INPUT;
    }
    enum pw_err err = pw_store_read_at(store->folders[state], name, out);
    while (err == PW_E_OK && out->len > 0 && out->bytes[out->len - 1] == '\n') {
        out->len--;
    }
    return err;
}

bool
pw_entry_object(struct pw_span json, char object[static PW_STORE_ID])
{
    struct pw_cursor cur = pw_cursor_over(json);
    struct pw_span opening = pw_cursor_take(&cur, strlen("{\"entry\":\""));
    (void)pw_cursor_take(&cur, PW_ULID_NAME);
    struct pw_span middle = pw_cursor_take(&cur, strlen("\",\"object\":\""));
    struct pw_span name = pw_cursor_take(&cur, PW_HEX_NAME);
    if (cur.truncated || !pw_span_equal(opening, pw_span_str("{\"entry\":\"")) ||
        !pw_span_equal(middle, pw_span_str("\",\"object\":\""))) {
        return false;
    }
    memcpy(object, name.ptr, PW_HEX_NAME);
    object[PW_HEX_NAME] = '\0';
    return pw_is_object_file(object);
}
