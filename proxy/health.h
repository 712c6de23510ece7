/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a wall is alive, ready and started: one judgement of plain facts, for
 * `picklewall health`, the service manager's watchdog and whoever else asks.
 */
#ifndef PW_PROXY_HEALTH_H
#define PW_PROXY_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

enum {
    PW_HEALTH_STALE_MS = 10000, /* a relay, or main, that did nothing for so long hangs */
};

enum pw_health_probe {
    PW_HEALTH_LIVE,    /* main and every channel's relay turn; no: start the wall again */
    PW_HEALTH_READY,   /* messages go through, and what is refused is kept */
    PW_HEALTH_STARTUP, /* the sockets are bound, and the channels let go */
};

enum { PW_HEALTH_PROBES = PW_HEALTH_STARTUP + 1 };

/* One channel. The name is borrowed. */
struct pw_health_channel {
    const char *name;
    uint64_t idle_ms; /* since its relay's last turn; it turns at least every second */
    bool ended;       /* its relay has returned */
    bool holds;       /* it receives nothing, since the quarantine takes nothing */
};

/* What there is to know. Texts are borrowed; NULL where all is well. */
struct pw_health {
    bool started;
    bool stopping;
    uint64_t main_idle_ms; /* since main's last turn; 0 for main itself */
    const struct pw_health_channel *channels;
    size_t channel_count;
    bool audit_ready;        /* the log takes lines */
    const char *audit_error; /* why not */
    const char *keys_error;  /* the key folder is refused; the last good keys stay */
    const char
        *full; /* the setting that leaves the quarantine no room for whole messages */
};

/* "live", "ready", "startup". */
const char *pw_health_text(enum pw_health_probe probe);

/*
 * True when it is well. Otherwise `why` names the cause, the first that counts, and the
 * remedy. A wall that drains is alive however long a relay takes: the end is bounded.
 */
bool pw_health_judge(const struct pw_health *health, enum pw_health_probe probe,
                     struct pw_why *why);

#endif
