/* SPDX-License-Identifier: Apache-2.0
 *
 * How much the quarantine holds, in memory, so that no message has to walk the folders. An
 * object is counted once however many entries need it, and once for each channel whose
 * entries do.
 */
#ifndef PW_COMMON_QUARANTINE_ACCOUNT_H
#define PW_COMMON_QUARANTINE_ACCOUNT_H

#include <sodium.h>

#include "common/base/cursor.h"
#include "common/base/err.h"

enum { PW_ACCOUNT_NAME = 32, PW_ACCOUNT_CHAN = 65, PW_ACCOUNT_ALL = 0 };

/* An object in a channel, or (channel PW_ACCOUNT_ALL) in the whole store. */
struct pw_account_row {
    uint8_t name[PW_ACCOUNT_NAME];
    uint32_t channel;
    uint32_t uses; /* entries that need it; 0: the row is free */
    uint64_t bytes;
};

struct pw_account_channel {
    char name[PW_ACCOUNT_CHAN];
    uint64_t bytes;
    uint64_t limit; /* UINT64_MAX: none */
};

/* Zero-initialise with a random `key`. */
struct pw_account {
    uint8_t key[crypto_shorthash_KEYBYTES]; /* names are what senders make them */
    struct pw_account_row *rows;            /* open addressing; room is a power of two */
    size_t room;
    size_t used;
    struct pw_account_channel *channels; /* [0] is the whole store */
    size_t channel_count;
};

void pw_account_free(struct pw_account *account);

/*
 * The number of a channel, new or known; names longer than 64 bytes are cut. Also makes
 * room, so that the next pw_account_enter cannot fail. PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_account_reserve(struct pw_account *account, const char *chan,
                                               uint32_t *channel);

/* How many entries of the channel need the object. */
uint32_t pw_account_uses(const struct pw_account *account,
                         const uint8_t name[static PW_ACCOUNT_NAME], uint32_t channel);

/* One more entry of `channel` needs an object of `bytes`. After pw_account_reserve. */
void pw_account_enter(struct pw_account *account,
                      const uint8_t name[static PW_ACCOUNT_NAME], uint32_t channel,
                      uint64_t bytes);

/* One entry less does. True when it was the last one of all channels. */
bool pw_account_leave(struct pw_account *account,
                      const uint8_t name[static PW_ACCOUNT_NAME], uint32_t channel);

#endif
