/* SPDX-License-Identifier: Apache-2.0
 *
 * A message that is refused is in quarantine before its audit line is on its way. A wall
 * that dies in between leaves one that no line tells of; the next wall finds and tells it.
 */
#include "proxy/daemon_inside.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/quarantine/store.h"

struct search {
    struct pw_daemon *self;
    const struct pw_audit_told *told;
    size_t found;
};

/* The value of `key` in the text of an entry, when it is plain enough to be copied. */
static struct pw_span
plain_member(struct pw_span json, const char *key)
{
    char opening[32];
    int len = snprintf(opening, sizeof opening, "\"%s\":\"", key);
    const uint8_t *at = memmem(json.ptr, json.len, opening, (size_t)len);
    if (at == NULL) {
        return (struct pw_span){0};
    }
    at += len;
    struct pw_cursor rest =
        pw_cursor_over((struct pw_span){at, json.len - (size_t)(at - json.ptr)});
    return pw_cursor_until(&rest, '"');
}

static void
copy_member(struct pw_json *json, struct pw_span entry, const char *key)
{
    struct pw_span value = plain_member(entry, key);
    if (value.len > 0) {
        pw_json_bytes(json, key, value, 128);
    }
}

static bool
tell_if_untold(void *arg, const char *entry, struct pw_span meta)
{
    struct search *search = arg;
    if (pw_audit_told_has(search->told, entry)) {
        return true;
    }
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", "recovered");
    pw_json_str(&json, "entry", entry);
    copy_member(&json, meta, "object");
    copy_member(&json, meta, "chan");
    copy_member(&json, meta, "reason");
    copy_member(&json, meta, "ts");
    pw_json_end_object(&json);
    pw_daemon_push_found(search->self, PW_LEVEL_MEDIUM, &json);
    search->found++;
    return true;
}

void
pw_daemon_recover(struct pw_daemon *self, enum pw_err looked,
                  const struct pw_audit_told *told)
{
    struct search search = {.self = self, .told = told};
    struct pw_why why = {{0}};
    enum pw_err err = looked;
    if (err == PW_E_OK) {
        err = pw_store_list_since(self->store, PW_STORE_HELD, told->since, tell_if_untold,
                                  &search, &why);
    }
    if (err != PW_E_OK && err != PW_E_NO_INPUT) { /* a new log has nothing to compare */
        pw_log(PW_LOG_WARN,
               "the quarantine was not compared with the audit log: %s; a message that was "
               "held when the last wall died may have no line",
               pw_err_text(err));
    }
    if (search.found > 0) {
        pw_log(PW_LOG_WARN,
               "%zu held messages had no line in the audit log, since the last wall died "
               "before it wrote them; they have now",
               search.found);
    }
}
