/* SPDX-License-Identifier: Apache-2.0
 *
 * Words for the operator, on stderr. Facts about messages go to the audit log instead.
 */
#ifndef PW_COMMON_BASE_LOG_H
#define PW_COMMON_BASE_LOG_H

#include "common/base/def.h"

enum pw_log_level { PW_LOG_ERROR, PW_LOG_WARN, PW_LOG_INFO, PW_LOG_DEBUG };

/* Nothing above `level` is written; PW_LOG_INFO at the start. */
void pw_log_set_level(enum pw_log_level level);
enum pw_log_level pw_log_get_level(void);

/* "picklewall: warning: …" in one write, with a line end. Safe from every thread. */
void pw_log(enum pw_log_level level, const char *format, ...) PW_PRINTF(2, 3);

#endif
