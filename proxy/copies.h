/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets copies of audit lines, as the settings have it.
 */
#ifndef PW_PROXY_COPIES_H
#define PW_PROXY_COPIES_H

#include "common/audit/copy.h"
#include "common/settings/settings.h"
#include "proxy/publish.h"
#include "proxy/recent.h"

struct pw_copies {
    struct pw_copy_stdout *out;
    struct pw_copy_socket *syslog;
    struct pw_publish *publish;
    struct pw_recent *recent; /* of the status page; NULL when there is none */
    struct pw_audit_target targets[PW_AUDIT_TARGETS];
    size_t count;
};

/* Open them. On an error, which names the setting, close what is open all the same. */
PW_CHECK_RESULT enum pw_err pw_copies_open(struct pw_copies *copies,
                                           const struct pw_settings *settings,
                                           struct pw_why *why);

/* After the log is closed. */
void pw_copies_close(struct pw_copies *copies);

#endif
