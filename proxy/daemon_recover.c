/* SPDX-License-Identifier: Apache-2.0
 *
 * A message that is refused is in quarantine before its audit line is on its way. A wall
 * that dies in between leaves one that no line tells of; the next wall finds and tells it.
 */
#include "proxy/daemon_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/quarantine/store.h"

struct search {
    struct pw_daemon *self;
    const struct pw_audit_told *told;
    size_t found;
    size_t unsure; /* of those: the line may be in a log that is not here */
};

/* There is no line of before at all, but there are messages of before. */
static void
tell_unchecked(struct pw_daemon *self)
{
    uint64_t held = pw_store_usage(self->store).entries[PW_STORE_HELD];
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    if (held == 0 || strcmp(self->settings->audit_file, "-") == 0) {
        return;
    }
    pw_log(PW_LOG_WARN,
           "%s: no line of before is here or beside it; whether each of %" PRIu64
           " held messages has a line can be told only where the old log is",
           self->settings->audit_file, held);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", "unchecked");
    pw_json_uint(&json, "held", held);
    pw_json_end_object(&json);
    (void)!pw_daemon_push_found(self, PW_LEVEL_MEDIUM, &json);
}

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
    if (!pw_audit_told_would(search->told, entry)) {
        pw_json_bool(&json, "may_be_told", true);
        search->unsure++;
    }
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
    if (err == PW_E_NO_INPUT) {
        tell_unchecked(self);
    } else if (err != PW_E_OK) {
        pw_log(PW_LOG_WARN,
               "the quarantine was not compared with the audit log: %s; a message that was "
               "held when the last wall died may have no line",
               pw_err_text(err));
    }
    size_t sure = search.found - search.unsure;
    if (sure > 0) {
        pw_log(PW_LOG_WARN,
               "%zu held messages had no line in the audit log, since the last wall died "
               "before it wrote them; they have now",
               sure);
    }
    if (search.unsure > 0) {
        pw_log(PW_LOG_WARN,
               "%zu held messages have a line now, and perhaps another one in an old log "
               "that was compressed or moved away since",
               search.unsure);
    }
}
