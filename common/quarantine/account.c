/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 256, ROWS_AN_ENTRY = 2 };

void
pw_account_free(struct pw_account *account)
{
    free(account->rows);
    free(account->channels);
    *account = (struct pw_account){0};
}

static size_t
first_place(const struct pw_account *account, const uint8_t *name, uint32_t channel)
{
    uint8_t what[PW_ACCOUNT_NAME + sizeof channel];
    uint64_t hash;
    memcpy(what, name, PW_ACCOUNT_NAME);
    memcpy(what + PW_ACCOUNT_NAME, &channel, sizeof channel);
    crypto_shorthash((uint8_t *)&hash, what, sizeof what, account->key);
    return (size_t)hash & (account->room - 1);
}

/* The row of the object, or the free one where it belongs. There is always a free one. */
static struct pw_account_row *
row_of(const struct pw_account *account, const uint8_t *name, uint32_t channel)
{
    size_t at = first_place(account, name, channel);
    for (;; at = (at + 1) & (account->room - 1)) {
        struct pw_account_row *row = &account->rows[at];
        if (row->uses == 0 ||
            (row->channel == channel && memcmp(row->name, name, PW_ACCOUNT_NAME) == 0)) {
            return row;
        }
    }
}

static enum pw_err
grow(struct pw_account *account)
{
    struct pw_account larger = *account;
    larger.room = account->room == 0 ? FIRST_ROOM : account->room * 2;
    larger.rows = calloc(larger.room, sizeof *larger.rows);
    if (larger.rows == NULL) {
        return PW_E_NOMEM;
    }
    for (size_t i = 0; i < account->room; i++) {
        const struct pw_account_row *row = &account->rows[i];
        if (row->uses > 0) {
            *row_of(&larger, row->name, row->channel) = *row;
        }
    }
    free(account->rows);
    *account = larger;
    return PW_E_OK;
}

static enum pw_err
add_channel(struct pw_account *account, const char *chan)
{
    size_t count = account->channel_count;
    struct pw_account_channel *more =
        realloc(account->channels, (count + 1) * sizeof *more);
    if (more == NULL) {
        return PW_E_NOMEM;
    }
    more[count] = (struct pw_account_channel){.limit = UINT64_MAX};
    snprintf(more[count].name, sizeof more[count].name, "%s", chan);
    account->channels = more;
    account->channel_count++;
    return PW_E_OK;
}

enum pw_err
pw_account_reserve(struct pw_account *account, const char *chan, uint32_t *channel)
{
    enum pw_err err = account->channel_count > 0 ? PW_E_OK : add_channel(account, "");
    /* Half empty, so that rows are found at once. */
    while (err == PW_E_OK && (account->used + ROWS_AN_ENTRY) * 2 > account->room) {
        err = grow(account);
    }
    if (err != PW_E_OK) {
        return err;
    }
    for (size_t i = 1; i < account->channel_count; i++) {
        if (strncmp(account->channels[i].name, chan, PW_ACCOUNT_CHAN - 1) == 0) {
            *channel = (uint32_t)i;
            return PW_E_OK;
        }
    }
    *channel = (uint32_t)account->channel_count;
    return add_channel(account, chan);
}

uint32_t
pw_account_uses(const struct pw_account *account,
                const uint8_t name[static PW_ACCOUNT_NAME], uint32_t channel)
{
    return account->room == 0 ? 0 : row_of(account, name, channel)->uses;
}

static void
enter(struct pw_account *account, const uint8_t *name, uint32_t channel, uint64_t bytes)
{
    struct pw_account_row *row = row_of(account, name, channel);
    if (row->uses == 0) {
        *row = (struct pw_account_row){.channel = channel, .bytes = bytes};
        memcpy(row->name, name, sizeof row->name);
        account->used++;
        account->channels[channel].bytes += bytes;
    }
    row->uses++;
}

void
pw_account_enter(struct pw_account *account, const uint8_t name[static PW_ACCOUNT_NAME],
                 uint32_t channel, uint64_t bytes)
{
    enter(account, name, PW_ACCOUNT_ALL, bytes);
    enter(account, name, channel, bytes);
}

/* Whether the row at `from` may move to `to`, which is free: not in front of its place. */
static bool
may_move(const struct pw_account *account, size_t from, size_t to)
{
    const struct pw_account_row *row = &account->rows[from];
    size_t first = first_place(account, row->name, row->channel);
    size_t mask = account->room - 1;
    return ((from - first) & mask) >= ((from - to) & mask);
}

/* Free a row, and close the gap in the chain of those behind it. */
static void
remove_row(struct pw_account *account, struct pw_account_row *row)
{
    size_t mask = account->room - 1;
    size_t gap = (size_t)(row - account->rows);
    for (size_t at = (gap + 1) & mask; account->rows[at].uses > 0; at = (at + 1) & mask) {
        if (may_move(account, at, gap)) {
            account->rows[gap] = account->rows[at];
            gap = at;
        }
    }
    account->rows[gap] = (struct pw_account_row){0};
    account->used--;
}

static bool
leave(struct pw_account *account, const uint8_t *name, uint32_t channel)
{
    struct pw_account_row *row = row_of(account, name, channel);
    if (row->uses == 0) {
        return false;
    }
    if (--row->uses > 0) {
        return false;
    }
    account->channels[channel].bytes -= row->bytes;
    row->uses = 1; /* still in its chain, until the gap is closed */
    remove_row(account, row);
    return true;
}

bool
pw_account_leave(struct pw_account *account, const uint8_t name[static PW_ACCOUNT_NAME],
                 uint32_t channel)
{
    if (account->room == 0) {
        return false;
    }
    (void)leave(account, name, channel);
    return leave(account, name, PW_ACCOUNT_ALL);
}
