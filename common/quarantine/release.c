/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/release.h"

#include <errno.h>
#include <string.h>

#include "common/quarantine/inside.h"

static enum pw_err
explain(const struct pw_store *store, const char *entry, enum pw_store_state from,
        enum pw_store_state to, int number, struct pw_why *why)
{
    const char *left = pw_folder_name((enum pw_folder)from);
    if (number == ENOENT) {
        return pw_fail(why, PW_E_NO_INPUT,
                       "%s/%s/%s.json is not there any more; see "
                       "picklewall quarantine list",
                       store->path, left, entry);
    }
    return pw_fail(why, number == ENOMEM ? PW_E_NOMEM : PW_E_OS,
                   "%s/%s/%s.json cannot be moved to %s/: %s; make the "
                   "folders writable, or make room",
                   store->path, left, entry, pw_folder_name((enum pw_folder)to),
                   strerror(number));
}

enum pw_err
pw_store_move(struct pw_store *store, const char *entry, enum pw_store_state from,
              enum pw_store_state to, struct pw_why *why)
{
    pthread_mutex_lock(&store->lock);
    enum pw_moved moved = pw_store_move_entry(store, entry, from, to, NULL);
    int number = errno;
    pthread_mutex_unlock(&store->lock);
    if (moved == PW_MOVED_FIRM) {
        return PW_E_OK;
    }
    if (moved == PW_MOVED_NOT) {
        return explain(store, entry, from, to, number, why);
    }
    return pw_fail(why, PW_E_IO,
                   "%s/%s/%s.json: the disk does not keep it: %s; after a power cut it may "
                   "be in %s/ again; look at the disk",
                   store->path, pw_folder_name((enum pw_folder)to), entry, strerror(number),
                   pw_folder_name((enum pw_folder)from));
}
