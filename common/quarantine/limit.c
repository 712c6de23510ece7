/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <sys/statvfs.h>

void
pw_store_limit(struct pw_store *store, const struct pw_store_limits *limits)
{
    pthread_mutex_lock(&store->limits_lock);
    store->limits = *limits;
    pthread_mutex_unlock(&store->limits_lock);
}

struct pw_store_limits
pw_store_limits_now(struct pw_store *store)
{
    pthread_mutex_lock(&store->limits_lock);
    struct pw_store_limits limits = store->limits;
    pthread_mutex_unlock(&store->limits_lock);
    return limits;
}

enum pw_err
pw_store_limit_channel(struct pw_store *store, const char *chan, uint64_t max_bytes)
{
    uint32_t channel = 0;
    pthread_mutex_lock(&store->lock);
    enum pw_err err = pw_account_reserve(&store->account, chan, &channel);
    if (err == PW_E_OK) {
        store->account.channels[channel].limit = max_bytes;
    }
    pthread_mutex_unlock(&store->lock);
    return err;
}

/* Whether `more` bytes leave what must stay free. When nobody can tell, writing will. */
static bool
leaves_room(const struct pw_store *store, const struct pw_store_limits *limits,
            uint64_t more)
{
    struct statvfs fs;
    if ((limits->min_free == 0 && limits->min_free_percent == 0) ||
        fstatvfs(store->root, &fs) != 0) {
        return true;
    }
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t floor = (uint64_t)fs.f_blocks * fs.f_frsize / 100 * limits->min_free_percent;
    floor = floor > limits->min_free ? floor : limits->min_free;
    return free_bytes >= floor && free_bytes - floor >= more;
}

static bool
has_room(const struct pw_account_channel *channel, uint64_t limit, uint64_t more)
{
    return channel->bytes <= limit && limit - channel->bytes >= more;
}

const char *
pw_store_full(const struct pw_store *store, const struct pw_store_limits *limits,
              const uint8_t name[static PW_ACCOUNT_NAME], uint32_t channel, uint64_t bytes,
              bool *entry)
{
    const struct pw_account *account = &store->account;
    const _Atomic uint64_t *entries = store->usage.entries;
    uint64_t more = pw_account_uses(account, name, PW_ACCOUNT_ALL) > 0 ? 0 : bytes;
    uint64_t its = pw_account_uses(account, name, channel) > 0 ? 0 : bytes;
    *entry = false;
    if (entries[PW_STORE_HELD] + entries[PW_STORE_RELEASING] >= limits->max_messages) {
        return "quarantine.max_messages";
    }
    if (!leaves_room(store, limits, 0)) {
        return "quarantine.min_free";
    }
    *entry = true;
    if (!has_room(&account->channels[PW_ACCOUNT_ALL], limits->max_bytes, more)) {
        return "quarantine.max_bytes";
    }
    if (!has_room(&account->channels[channel], account->channels[channel].limit, its)) {
        return "quarantine_bytes of its channel";
    }
    return leaves_room(store, limits, more) ? NULL : "quarantine.min_free";
}

const char *
pw_store_short_of(struct pw_store *store)
{
    const struct pw_store_limits limits = pw_store_limits_now(store);
    const struct pw_store_counts *usage = &store->usage;
    if (usage->entries[PW_STORE_HELD] + usage->entries[PW_STORE_RELEASING] >=
        limits.max_messages) {
        return "quarantine.max_messages";
    }
    if (usage->bytes >= limits.max_bytes - limits.max_bytes / 100) {
        return "quarantine.max_bytes";
    }
    return leaves_room(store, &limits, 0) ? NULL : "quarantine.min_free";
}
