/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* False, with the sentence. */
static bool PW_PRINTF(2, 3) ill(struct pw_why *why, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    return false;
}

const char *
pw_health_text(enum pw_health_probe probe)
{
    static const char *const names[PW_HEALTH_PROBES] = {
        [PW_HEALTH_LIVE] = "live",
        [PW_HEALTH_READY] = "ready",
        [PW_HEALTH_STARTUP] = "startup",
    };
    return names[probe];
}

static bool
channel_lives(const struct pw_health_channel *channel, struct pw_why *why)
{
    if (channel->ended) {
        return ill(why, "channel %s has ended; see the log, and start the wall again",
                   channel->name);
    }
    return channel->idle_ms <= PW_HEALTH_STALE_MS ||
           ill(why,
               "channel %s has not turned for %" PRIu64
               " s: a message or the disk holds it up; see the log, or start the wall "
               "again",
               channel->name, channel->idle_ms / 1000);
}

static bool
lives(const struct pw_health *health, struct pw_why *why)
{
    if (health->main_idle_ms > PW_HEALTH_STALE_MS) {
        return ill(why,
                   "the main thread has not turned for %" PRIu64 " s; start the wall again",
                   health->main_idle_ms / 1000);
    }
    if (health->stopping || !health->started) {
        return true;
    }
    for (size_t i = 0; i < health->channel_count; i++) {
        if (!channel_lives(&health->channels[i], why)) {
            return false;
        }
    }
    return true;
}

static bool
has_started(const struct pw_health *health, struct pw_why *why)
{
    return health->started ||
           ill(why, "the wall is starting, its channels do not relay yet; ask again");
}

/* Whether what is refused would be kept. */
static bool
can_hold(const struct pw_health *health, struct pw_why *why)
{
    if (health->full != NULL) {
        return ill(why,
                   "the quarantine is full (%s); purge what is not wanted, make room, or "
                   "change that setting",
                   health->full);
    }
    for (size_t i = 0; i < health->channel_count; i++) {
        if (health->channels[i].holds) {
            return ill(why,
                       "channel %s receives nothing, since the quarantine cannot be "
                       "written; see the log, and make its disk work",
                       health->channels[i].name);
        }
    }
    return true;
}

static bool
is_ready(const struct pw_health *health, struct pw_why *why)
{
    if (!lives(health, why) || !has_started(health, why)) {
        return false;
    }
    if (health->stopping) {
        return ill(why, "the wall is stopping; start it again when it has ended");
    }
    if (!health->audit_ready) {
        return ill(why,
                   "nothing is received, since the audit log takes no lines (%s); make its "
                   "disk work",
                   health->audit_error != NULL ? health->audit_error : "it is behind");
    }
    if (health->keys_error != NULL) {
        return ill(why,
                   "the key folder is refused, and the last good keys stay; mend it: %s",
                   health->keys_error);
    }
    return can_hold(health, why);
}

bool
pw_health_judge(const struct pw_health *health, enum pw_health_probe probe,
                struct pw_why *why)
{
    static bool (*const probes[PW_HEALTH_PROBES])(const struct pw_health *,
                                                  struct pw_why *) = {
        [PW_HEALTH_LIVE] = lives,
        [PW_HEALTH_READY] = is_ready,
        [PW_HEALTH_STARTUP] = has_started,
    };
    return probes[probe](health, why);
}
