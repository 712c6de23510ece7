/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders of the control socket that change the running wall itself.
 */
#include "proxy/daemon_inside.h"

#include <string.h>
#include <unistd.h>

#include "common/audit/audit.h"
#include "common/base/clock.h"
#include "common/base/log.h"

enum { ROTATE_MS = 500 };

static const uint64_t ns_per_ms = 1000000;

static const char *const levels[] = {
    [PW_LOG_ERROR] = "error",
    [PW_LOG_WARN] = "warning",
    [PW_LOG_INFO] = "info",
    [PW_LOG_DEBUG] = "debug",
};

enum pw_err
pw_daemon_answer_drain(void *arg, const struct pw_control_peer *peer, const char *argument,
                       struct pw_json *json, struct pw_why *why)
{
    struct pw_daemon *self = arg;
    (void)argument, (void)why;
    pw_daemon_drain(self, &(struct pw_asker){"control", *peer});
    pw_json_bool(json, "stopping", true);
    pw_json_uint(json, "drain_timeout_ms",
                 (uint64_t)pw_keys_settings(self->keys)->drain_timeout_ms);
    return PW_E_OK;
}

/* "event":"config": who ordered what, where no other line says so. */
static void
audit_order(struct pw_daemon *self, const struct pw_control_peer *peer, const char *what,
            const char *level)
{
    struct pw_buf text = {.limit = PW_DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", what);
    pw_daemon_write_asker(&json, &(struct pw_asker){"control", *peer});
    if (level != NULL) {
        pw_json_str(&json, "level", level);
    }
    pw_json_end_object(&json);
    pw_daemon_push_event(self, PW_EVENT_CONFIG, PW_LEVEL_INFO, &json);
}

/* Of this name, or -1. */
static int
find_level(const char *name)
{
    for (size_t i = 0; i < PW_COUNT(levels); i++) {
        if (strcmp(levels[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

enum pw_err
pw_daemon_answer_log_level(void *arg, const struct pw_control_peer *peer,
                           const char *argument, struct pw_json *json, struct pw_why *why)
{
    struct pw_daemon *self = arg;
    int level = find_level(argument);
    if (argument[0] != '\0' && level < 0) {
        return pw_fail(why, PW_E_USAGE,
                       "%.64s is no level; write error, warning, info or debug", argument);
    }
    if (level >= 0 && !pw_audit_ready(self->audit)) {
        return pw_fail(why, PW_E_BUSY,
                       "the audit log takes nothing, so that nobody would know who changed "
                       "it; ask again when it can be written");
    }
    if (level >= 0) {
        pw_log_set_level((enum pw_log_level)level);
        audit_order(self, peer, "config.log_level", levels[level]);
    }
    pw_json_str(json, "level", levels[pw_log_get_level()]);
    return PW_E_OK;
}

/* Ends when the writer has tried. */
enum pw_err
pw_daemon_answer_rotate(void *arg, const struct pw_control_peer *peer, const char *argument,
                        struct pw_json *json, struct pw_why *why)
{
    struct pw_daemon *self = arg;
    (void)argument;
    if (pw_audit_ready(self->audit)) { /* else nothing moves, which the answer says */
        audit_order(self, peer, "audit.rotate", NULL);
    }
    struct pw_audit_counts before = pw_audit_counts(self->audit);
    struct pw_audit_counts now = before;
    uint64_t until = pw_clock_steady() + ROTATE_MS * ns_per_ms;
    pw_audit_rotate(self->audit);
    while (now.rotate_orders == before.rotate_orders && pw_clock_steady() < until) {
        usleep(500);
        now = pw_audit_counts(self->audit);
    }
    pw_json_str(json, "file", self->settings->audit_file);
    if (now.rotate_orders == before.rotate_orders) {
        return pw_fail(why, PW_E_BUSY, "the disk of %s is slow; look again in a while",
                       self->settings->audit_file);
    }
    return now.rotations > before.rotations
               ? PW_E_OK
               : pw_fail(why, PW_E_IO,
                         "%s was not moved: it has no lines yet, is no file, or its folder "
                         "refuses (then stderr says why)",
                         self->settings->audit_file);
}
