/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/copies.h"

#include <unistd.h>

typedef enum pw_err open_fn(struct pw_copies *copies, const struct pw_settings *settings,
                            struct pw_why *why);

static void
add(struct pw_copies *copies, struct pw_audit_target target)
{
    copies->targets[copies->count++] = target;
}

static enum pw_err
open_stdout(struct pw_copies *copies, const struct pw_settings *settings,
            struct pw_why *why)
{
    if (!settings->audit_stdout) {
        return PW_E_OK;
    }
    copies->out = pw_copy_stdout_open(STDOUT_FILENO, why);
    add(copies, (struct pw_audit_target){
                    .name = "stdout",
                    .every = true,
                    .send = pw_copy_stdout_send,
                    .arg = copies->out,
                });
    return copies->out != NULL ? PW_E_OK : PW_E_CREATE;
}

static enum pw_err
open_publish(struct pw_copies *copies, const struct pw_settings *settings,
             struct pw_why *why)
{
    if (settings->audit_publish == NULL) {
        return PW_E_OK;
    }
    copies->publish = pw_publish_open(settings->audit_publish, why);
    add(copies, (struct pw_audit_target){
                    .name = "publish",
                    .every = true,
                    .send = pw_publish_send,
                    .arg = copies->publish,
                });
    return copies->publish != NULL ? PW_E_OK : PW_E_CREATE;
}

static enum pw_err
open_syslog(struct pw_copies *copies, const struct pw_settings *settings,
            struct pw_why *why)
{
    static const enum pw_copy_form forms[] = {
        [PW_SET_SYSLOG_SYSLOG] = PW_COPY_SYSLOG,
        [PW_SET_SYSLOG_JOURNAL] = PW_COPY_JOURNAL,
    };
    if (settings->audit_syslog == PW_SET_SYSLOG_OFF) {
        return PW_E_OK;
    }
    copies->syslog = pw_copy_socket_open(forms[settings->audit_syslog],
                                         settings->audit_syslog_socket, why);
    add(copies, (struct pw_audit_target){
                    .name = "syslog",
                    .send = pw_copy_socket_send,
                    .arg = copies->syslog,
                });
    return copies->syslog != NULL ? PW_E_OK : PW_E_CREATE;
}

static enum pw_err
open_recent(struct pw_copies *copies, const struct pw_settings *settings,
            struct pw_why *why)
{
    if (settings->http == NULL) {
        return PW_E_OK;
    }
    copies->recent = pw_recent_new();
    if (copies->recent == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    add(copies, (struct pw_audit_target){
                    .name = "http",
                    .send = pw_recent_send,
                    .arg = copies->recent,
                });
    return PW_E_OK;
}

enum pw_err
pw_copies_open(struct pw_copies *copies, const struct pw_settings *settings,
               struct pw_why *why)
{
    static const struct {
        const char *setting;
        open_fn *open;
    } rows[] = {
        {"audit.stdout", open_stdout},
        {"audit.publish", open_publish},
        {"audit.syslog", open_syslog},
        {"http", open_recent},
    };
    for (size_t i = 0; i < PW_COUNT(rows); i++) {
        struct pw_why plain = {0};
        enum pw_err err = rows[i].open(copies, settings, &plain);
        if (err != PW_E_OK) {
            char place[PW_PLACE_MAX];
            pw_settings_place(settings, rows[i].setting, place);
            return pw_fail(why, err, "%s: %s", place, plain.text);
        }
    }
    return PW_E_OK;
}

void
pw_copies_close(struct pw_copies *copies)
{
    pw_copy_stdout_close(&copies->out);
    pw_copy_socket_close(&copies->syslog);
    pw_publish_close(&copies->publish);
    pw_recent_free(&copies->recent);
}
