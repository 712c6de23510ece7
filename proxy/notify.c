/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/def.h"
#include "common/base/file.h"
#include "common/base/log.h"

static const uint64_t ns_per_us = 1000;

void
pw_notify(const char *words)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un manager = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) < 2 || strlen(path) >= sizeof manager.sun_path) {
        return;
    }
    memcpy(manager.sun_path, path, strlen(path));
    if (path[0] == '@') {
        manager.sun_path[0] = '\0';
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    PW_CLEANUP(pw_file_close) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && sendto(fd, words, strlen(words), MSG_NOSIGNAL | MSG_DONTWAIT,
                          (struct sockaddr *)&manager, size) < 0) {
        pw_log(PW_LOG_WARN, "NOTIFY_SOCKET: %s", strerror(errno));
    }
}

void
pw_notify_reloading(void)
{
    char words[64];
    snprintf(words, sizeof words, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             pw_clock_steady() / ns_per_us);
    pw_notify(words);
}

/* A positive number, or 0. */
static uint64_t
number_of(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return 0;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : 0;
}

uint64_t
pw_notify_watchdog_ns(void)
{
    bool ours =
        getenv("WATCHDOG_PID") == NULL || number_of("WATCHDOG_PID") == (uint64_t)getpid();
    uint64_t us = number_of("WATCHDOG_USEC");
    return ours && us < UINT64_MAX / ns_per_us ? us * ns_per_us : 0;
}
