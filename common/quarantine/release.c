/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/release.h"

#include <errno.h>
#include <string.h>

#include "common/quarantine/inside.h"

enum pw_err
pw_store_move(struct pw_store *store, const char *entry, enum pw_store_state from,
              enum pw_store_state to, struct pw_why *why)
{
    pthread_mutex_lock(&store->lock);
    bool moved = pw_store_move_entry(store, entry, from, to, NULL);
    int number = moved ? 0 : errno;
    pthread_mutex_unlock(&store->lock);
    if (moved) {
        return PW_E_OK;
    }
    if (number == ENOENT) {
        return pw_fail(why, PW_E_NO_INPUT,
                       "%s/%s/%s.json is not there any more; see "
                       "picklewall quarantine list",
                       store->path, pw_folder_name((enum pw_folder)from), entry);
    }
    return pw_fail(why, PW_E_IO,
                   "%s/%s/%s.json cannot be moved to %s/: %s; make the "
                   "folders writable, or make room",
                   store->path, pw_folder_name((enum pw_folder)from), entry,
                   pw_folder_name((enum pw_folder)to), strerror(number));
}
