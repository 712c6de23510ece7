/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static const char *const prefixes[] = {
    [PW_LOG_ERROR] = "error: ",
    [PW_LOG_WARN] = "warning: ",
    [PW_LOG_INFO] = "",
    [PW_LOG_DEBUG] = "debug: ",
};

static atomic_int highest = PW_LOG_INFO;

void
pw_log_set_level(enum pw_log_level level)
{
    atomic_store(&highest, (int)level);
}

enum pw_log_level
pw_log_get_level(void)
{
    return (enum pw_log_level)atomic_load(&highest);
}

void
pw_log(enum pw_log_level level, const char *format, ...)
{
    if ((int)level > atomic_load(&highest)) {
        return;
    }
    char line[1024];
    size_t len = (size_t)snprintf(line, sizeof line, "picklewall: %s", prefixes[level]);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + len, sizeof line - len, format, args);
    va_end(args);
    len += more > 0 ? (size_t)more : 0;
    len = len < sizeof line ? len : sizeof line - 1;
    line[len] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len + 1);
    (void)written; /* nowhere left to say so */
}
