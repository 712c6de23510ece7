/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <stdlib.h>
#include <string.h>

static const char key_file[] = "name.key";

/* The key that names are made with: made at the first start, and then the same for ever, or
 * the same message would have two names. */
static enum pw_err
load_name_key(struct pw_store *store, struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf bytes = {.limit = PW_SEAL_KEY};
    enum pw_err err = pw_store_read_at(store->root, key_file, &bytes);
    if (err == PW_E_OK && bytes.len == PW_SEAL_KEY) {
        memcpy(store->name_key, bytes.bytes, PW_SEAL_KEY);
        return PW_E_OK;
    }
    if (err != PW_E_NO_INPUT) {
        err = err == PW_E_OK || err == PW_E_LIMIT ? PW_E_FORMAT : err;
        return pw_fail(why, err,
                       "%s/%s: %s; restore it, or remove it: what is held already is then "
                       "stored once more when it comes again",
                       store->path, key_file, pw_err_text(err));
    }
    randombytes_buf(store->name_key, PW_SEAL_KEY);
    const struct pw_span fresh = {store->name_key, PW_SEAL_KEY};
    return pw_store_write_tmp(store, key_file, pw_store_write_span, &fresh) &&
                   pw_store_move_into(store, key_file, store->root, key_file)
               ? PW_E_OK
               : pw_store_complain(store, key_file, why);
}

enum pw_err
pw_store_seal(struct pw_store *store, const uint8_t public[static PW_SEAL_KEY],
              struct pw_why *why)
{
    enum pw_err err = load_name_key(store, why);
    if (err != PW_E_OK) {
        return err;
    }
    memcpy(store->public, public, PW_SEAL_KEY);
    store->room = calloc(1, sizeof *store->room);
    return store->room != NULL ? PW_E_OK
                               : pw_fail(why, PW_E_NOMEM, "%s: out of memory", store->path);
}

bool
pw_store_sealed(const struct pw_store *store)
{
    return store->room != NULL;
}
