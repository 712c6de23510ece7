/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/hex.h"
#include "common/base/log.h"

/* The bytes of the file, not looked at. */
static enum pw_err
load(const struct pw_store *store, int shelf, const char *object, struct pw_buf *out,
     struct pw_why *why)
{
    enum pw_err err = shelf < 0 || !pw_is_object_file(object)
                          ? PW_E_NO_INPUT
                          : pw_store_read_at(shelf, object, out);
    return err == PW_E_OK ? err
                          : pw_fail(why, err, "%s/obj/%.2s/%s: %s", store->path, object,
                                    object, pw_err_text(err));
}

/* A plain object, whose sum is its name. */
static enum pw_err
check_plain(const struct pw_store *store, const char *object, struct pw_buf *bytes,
            struct pw_held *held, struct pw_why *why)
{
    char name[PW_STORE_ID];
    enum pw_err err = pw_held_parse(bytes, held, why);
    if (err != PW_E_OK) {
        return err;
    }
    pw_store_name(held->frames, held->count, name);
    return strcmp(name, object) == 0
               ? PW_E_OK
               : pw_fail(why, PW_E_FORMAT,
                         "%s/obj/%.2s/%s: holds the object %s; somebody renamed it",
                         store->path, object, object, name);
}

/* The object's own key: given, or out of its box. */
static enum pw_err
find_key(const struct pw_store *store, struct pw_span bytes, const uint8_t *given,
         uint8_t key[static PW_SEAL_KEY], struct pw_why *why)
{
    if (given != NULL) {
        memcpy(key, given, PW_SEAL_KEY);
        return PW_E_OK;
    }
    if (store->secret == NULL) {
        return pw_fail(
            why, PW_E_PERM,
            "the object is sealed; give --unseal quarantine.key, the secret half "
            "of the wall's quarantine.seal");
    }
    return pw_seal_open_box(bytes, store->secret, key, why);
}

static enum pw_err
check_sealed(const struct pw_store *store, const char *object, const uint8_t *given,
             struct pw_buf *bytes, struct pw_held *held, struct pw_why *why)
{
    uint8_t name[PW_SEAL_NAME];
    uint8_t key[PW_SEAL_KEY];
    PW_CLEANUP(pw_buf_free) struct pw_buf plain = {.limit = SIZE_MAX / 2};
    if (!pw_hex_decode(pw_span_str(object), name, sizeof name)) {
        return pw_fail(why, PW_E_FORMAT, "\"%.80s\" is no object's name", object);
    }
    enum pw_err err = pw_seal_check(pw_buf_span(bytes), name, why);
    if (err != PW_E_OK) {
        return err;
    }
    err = find_key(store, pw_buf_span(bytes), given, key, why);
    if (err == PW_E_OK) {
        err = pw_seal_open(pw_buf_span(bytes), name, key, &plain, why);
        /* Its own sum fits, so the key was wrong, or the sealing was. */
        err = err == PW_E_FORMAT ? PW_E_PERM : err;
    }
    sodium_memzero(key, sizeof key);
    return err == PW_E_OK ? pw_held_parse(&plain, held, why) : err;
}

static enum pw_err
read_object(const struct pw_store *store, int shelf, const char *object, const uint8_t *key,
            struct pw_held *held, struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf bytes = {.limit = SIZE_MAX / 2};
    pw_held_free(held);
    enum pw_err err = load(store, shelf, object, &bytes, why);
    if (err != PW_E_OK) {
        return err;
    }
    return pw_seal_is(pw_buf_span(&bytes))
               ? check_sealed(store, object, key, &bytes, held, why)
               : check_plain(store, object, &bytes, held, why);
}

/* Put a damaged object aside, so that it is neither handed out nor found again. */
static void
set_aside(struct pw_store *store, int shelf, const char *object)
{
    bool moved = pw_store_set_aside(store, shelf, object);
    pw_log(PW_LOG_ERROR, "quarantine: the object %s is damaged; it is %s", object,
           moved ? "in corrupt/ now" : "refused where it lies");
}

enum pw_err
pw_store_read_with(struct pw_store *store, const char *object, const uint8_t *key,
                   struct pw_held *held, struct pw_why *why)
{
    *held = (struct pw_held){0};
    PW_CLEANUP(pw_file_close) int shelf = pw_store_shelf(store, object);
    enum pw_err err = read_object(store, shelf, object, key, held, why);
    if (err != PW_E_FORMAT || !store->writer) {
        return err;
    }
    pthread_mutex_lock(&store->lock);
    err = read_object(store, shelf, object, key, held, why);
    if (err == PW_E_FORMAT) {
        set_aside(store, shelf, object);
    }
    pthread_mutex_unlock(&store->lock);
    return err;
}

enum pw_err
pw_store_read(struct pw_store *store, const char *object, struct pw_held *held,
              struct pw_why *why)
{
    return pw_store_read_with(store, object, NULL, held, why);
}

enum pw_err
pw_store_read_file(struct pw_store *store, const char *object, struct pw_buf *out,
                   struct pw_why *why)
{
    uint8_t name[PW_SEAL_NAME];
    PW_CLEANUP(pw_file_close) int shelf = pw_store_shelf(store, object);
    enum pw_err err = load(store, shelf, object, out, why);
    if (err != PW_E_OK || !pw_hex_decode(pw_span_str(object), name, sizeof name)) {
        return err;
    }
    if (pw_seal_is(pw_buf_span(out))) {
        return pw_seal_check(pw_buf_span(out), name, why);
    }
    PW_CLEANUP(pw_held_free) struct pw_held held = {0};
    err = check_plain(store, object, out, &held, why);
    if (err == PW_E_OK) {
        *out = held.bytes;
        held.bytes = (struct pw_buf){0};
    }
    return err;
}

enum pw_err
pw_store_get(struct pw_store *store, const char *id, struct pw_held *held,
             struct pw_buf *json, struct pw_why *why)
{
    struct pw_found found;
    *held = (struct pw_held){0};
    enum pw_err err = pw_store_find(store, id, &found, json, why);
    if (err != PW_E_OK) {
        return err;
    }
    err = pw_store_read(store, found.object, held, why);
    if (err != PW_E_NO_INPUT || found.entry[0] == '\0') {
        return err;
    }
    return pw_fail(why, err, "%s: %s; only its metadata is left", found.entry,
                   !found.stored ? "the quarantine was full, and did not keep the message"
                   : found.state == PW_STORE_PURGED   ? "the message was purged"
                   : found.state == PW_STORE_RELEASED ? "the message was released"
                                                      : "the message is missing");
}

enum pw_err
pw_store_unseal(struct pw_store *store, const char *path, struct pw_why *why)
{
    if (store->secret == NULL) {
        store->secret = sodium_malloc(PW_SEAL_KEY); /* locked, and wiped by sodium_free */
    }
    return store->secret == NULL
               ? pw_fail(why, PW_E_NOMEM, "%s: no locked memory; see `ulimit -l`", path)
               : pw_seal_read_secret(path, store->secret, why);
}
