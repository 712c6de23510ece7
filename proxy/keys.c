/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/hex.h"
#include "proxy/check.h"
#include "proxy/sandbox.h"

enum { KEY_ID = 8 };

/* What is known of one channel here; its terms are in the box. */
struct place {
    struct pw_terms_box box;
    struct pw_config *config; /* a share: of the newest terms */
    const struct pw_channel *channel;
    const struct pw_key *signer; /* of `ring`; NULL when nothing is signed */
};

struct pw_keys {
    struct pw_config *config;
    struct pw_keyring *ring; /* NULL when `keys` is not set */
    struct pw_keyring_look look;
    unsigned generation;    /* of the newest terms */
    uint64_t list_version;  /* of the newest list that was in force */
    struct pw_revoked list; /* the last one that was read */
    bool refused;           /* the last time; then: */
    struct pw_why why;
    const char **names; /* of all channels; those of the start */
    size_t count;
    struct place places[];
};

/* What is about to be in force. */
struct candidate {
    struct pw_config *config;
    struct pw_keyring *ring; /* NULL when there are no keys */
    struct pw_terms **terms; /* one for each place */
    size_t count;
};

static void
candidate_free(struct candidate *it)
{
    for (size_t i = 0; it->terms != NULL && i < it->count; i++) {
        pw_terms_free(&it->terms[i]);
    }
    free(it->terms);
    pw_keyring_free(&it->ring);
    pw_config_free(&it->config);
}

/* One that the new settings do not have goes on by its old ones. */
static struct pw_terms *
make_terms(const struct pw_keys *keys, const struct place *place,
           const struct candidate *next, struct pw_why *why)
{
    const struct pw_channel *channel =
        pw_config_channel(next->config, place->channel->name);
    return pw_terms_new(
        &(struct pw_terms_source){
            .config = channel != NULL ? next->config : place->config,
            .channel = channel != NULL ? channel : place->channel,
            .ring = next->ring,
            .names = keys->names,
            .count = keys->count,
            .generation = keys->generation + 1,
        },
        why);
}

static enum pw_err
make_all_terms(const struct pw_keys *keys, struct candidate *next, struct pw_why *why)
{
    next->terms = calloc(keys->count, sizeof(struct pw_terms *));
    if (next->terms == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    next->count = keys->count;
    for (size_t i = 0; i < next->count; i++) {
        next->terms[i] = make_terms(keys, &keys->places[i], next, why);
        if (next->terms[i] == NULL) {
            return PW_E_CONFIG;
        }
    }
    return PW_E_OK;
}

/* The one that pw_signer_new, or pw_foreign_new, has found there too. */
static const struct pw_key *
find_signer(const struct pw_channel *channel, const struct pw_keyring *ring)
{
    return channel->sign == NULL || ring == NULL
               ? NULL
               : pw_keyring_signer(ring, channel->sign, channel->name, pw_clock_wall(),
                                   NULL);
}

static void
fill_place(struct place *place, struct pw_keyring *ring, struct pw_terms *terms)
{
    place->channel = terms->channel;
    place->signer = find_signer(place->channel, ring);
    pw_config_free(&place->config);
    place->config = pw_config_share(terms->config);
    pw_terms_leave(&place->box, terms);
}

/* Nothing can fail any more: the candidate is in force, the old ring has its last share. */
static void
put_in_force(struct pw_keys *keys, struct candidate *next)
{
    struct candidate old = {.config = keys->config, .ring = keys->ring};
    for (size_t i = 0; i < next->count; i++) {
        fill_place(&keys->places[i], next->ring, next->terms[i]);
    }
    free(next->terms);
    keys->generation++;
    keys->config = next->config;
    keys->ring = next->ring;
    keys->list_version = keys->ring == NULL ? 0 : pw_keyring_list_version(keys->ring);
    *next = (struct candidate){0};
    candidate_free(&old);
}

static struct pw_keys *
make_keys(const struct pw_settings *settings)
{
    size_t count = settings->channel_count;
    struct pw_keys *keys = calloc(1, sizeof *keys + count * sizeof keys->places[0]);
    if (keys == NULL) {
        return NULL;
    }
    keys->config = pw_config_over(settings);
    keys->names = calloc(count, sizeof *keys->names);
    if (keys->config == NULL || keys->names == NULL) {
        pw_keys_close(&keys);
        return NULL;
    }
    keys->count = count;
    for (size_t i = 0; i < count; i++) {
        keys->names[i] = settings->channels[i].name;
        keys->places[i].channel = &settings->channels[i];
        keys->places[i].config = pw_config_share(keys->config);
    }
    return keys;
}

static const char *
folder_of(const struct pw_keys *keys)
{
    return keys->config->settings->keys;
}

static enum pw_err
check_version(const struct pw_keys *keys, uint64_t version, struct pw_why *why)
{
    if (version >= keys->list_version) {
        return PW_E_OK;
    }
    return pw_fail(why, PW_E_CONFIG,
                   "%s/" PW_REVOKED_FILE
                   ": its version went down from %llu to %llu; put the "
                   "newer list back, or give this one a greater version",
                   folder_of(keys), (unsigned long long)keys->list_version,
                   (unsigned long long)version);
}

/* Under the same version a key may come to the list, but none may leave it. */
static enum pw_err
check_list(const struct pw_keys *keys, const struct pw_revoked *list, struct pw_why *why)
{
    char id[2 * KEY_ID + 1];
    if (list->version != keys->list.version) {
        return PW_E_OK;
    }
    for (size_t i = 0; i < keys->list.count; i++) {
        if (!pw_revoked_has(list, keys->list.ids[i])) {
            pw_hex_encode((struct pw_span){keys->list.ids[i], KEY_ID}, id);
            return pw_fail(why, PW_E_CONFIG,
                           "%s/" PW_REVOKED_FILE ": %s is gone from it, but its version is "
                           "still %llu; put the key back, or give the list a greater "
                           "version",
                           folder_of(keys), id, (unsigned long long)list->version);
        }
    }
    return PW_E_OK;
}

/*
 * A key in wrong hands must not stay good because some other file is broken: the list is
 * applied to the ring in force, whatever becomes of the next one.
 */
static enum pw_err
revoke_at_once(struct pw_keys *keys, struct pw_why *why)
{
    PW_CLEANUP(pw_revoked_free) struct pw_revoked list = {0};
    enum pw_err err = pw_revoked_load(folder_of(keys), &list, why);
    err = err == PW_E_OK ? check_version(keys, list.version, why) : err;
    if (err != PW_E_OK) {
        return err;
    }
    (void)pw_keyring_revoke(keys->ring, &list); /* also when others should be on it */
    err = check_list(keys, &list, why);
    if (err != PW_E_OK) {
        return err;
    }
    keys->list_version = list.version;
    pw_revoked_free(&keys->list);
    keys->list = list;
    list = (struct pw_revoked){0};
    return PW_E_OK;
}

struct pw_keys *
pw_keys_open(const struct pw_settings *settings, struct pw_why *why)
{
    PW_CLEANUP(pw_keys_close) struct pw_keys *keys = make_keys(settings);
    PW_CLEANUP(candidate_free) struct candidate first = {0};
    if (keys == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    if (settings->keys != NULL) { /* before it is read: what changes then is seen later */
        (void)pw_keyring_changed(settings->keys, &keys->look);
    }
    first.config = pw_config_share(keys->config);
    if (pw_check_settings(settings, &first.ring, why) != PW_E_OK ||
        make_all_terms(keys, &first, why) != PW_E_OK) {
        return NULL;
    }
    put_in_force(keys, &first);
    if (keys->ring != NULL && revoke_at_once(keys, why) != PW_E_OK) {
        return NULL;
    }
    for (size_t i = 0; i < keys->count; i++) {
        pw_terms_take(&keys->places[i].box);
    }
    struct pw_keys *opened = keys;
    keys = NULL;
    return opened;
}

void
pw_keys_close(struct pw_keys **keys)
{
    if (*keys == NULL) {
        return;
    }
    for (size_t i = 0; i < (*keys)->count; i++) {
        pw_terms_box_close(&(*keys)->places[i].box);
        pw_config_free(&(*keys)->places[i].config);
    }
    pw_keyring_free(&(*keys)->ring);
    pw_config_free(&(*keys)->config);
    pw_revoked_free(&(*keys)->list);
    free((*keys)->names);
    free(*keys);
    *keys = NULL;
}

struct pw_terms_box *
pw_keys_box(struct pw_keys *keys, size_t channel)
{
    return &keys->places[channel].box;
}

/* No list, and no key, is remembered of another folder. */
static bool
stays_in_folder(const struct pw_keys *keys, const struct pw_config *next)
{
    const char *folder = next->settings->keys;
    return keys->ring != NULL && folder != NULL && strcmp(folder_of(keys), folder) == 0;
}

/* The list counts also for a ring that was read a moment before it changed. */
static enum pw_err
check_ring(struct pw_keys *keys, struct pw_keyring *ring, struct pw_why *why)
{
    enum pw_err err = check_version(keys, pw_keyring_list_version(ring), why);
    if (err == PW_E_OK && pw_keyring_list_version(ring) == keys->list.version) {
        (void)pw_keyring_revoke(ring, &keys->list);
    }
    return err;
}

typedef enum pw_err check_fn(const struct pw_settings *settings, struct pw_keyring **ring,
                             struct pw_why *why);

static enum pw_err
take_over(struct pw_keys *keys, struct candidate *next, check_fn *check, struct pw_why *why)
{
    bool same = stays_in_folder(keys, next->config);
    enum pw_err err = same ? revoke_at_once(keys, why) : PW_E_OK;
    err = err == PW_E_OK ? check(next->config->settings, &next->ring, why) : err;
    err = err == PW_E_OK && same ? check_ring(keys, next->ring, why) : err;
    err = err == PW_E_OK ? make_all_terms(keys, next, why) : err;
    if (err != PW_E_OK) {
        return err;
    }
    put_in_force(keys, next);
    if (!same) {
        pw_revoked_free(&keys->list);
        keys->list = (struct pw_revoked){0};
        struct pw_why later; /* when it cannot be read now, the next look says so */
        (void)!(keys->ring != NULL ? revoke_at_once(keys, &later) : PW_E_OK);
    }
    return PW_E_OK;
}

enum pw_err
pw_keys_change(struct pw_keys *keys, struct pw_config **next, struct pw_why *why)
{
    PW_CLEANUP(candidate_free) struct candidate candidate = {.config = *next};
    *next = NULL;
    const char *folder = candidate.config->settings->keys;
    struct pw_keyring_look look = keys->look;
    if (folder != NULL) { /* before it is read */
        (void)pw_keyring_changed(folder, &look);
    }
    enum pw_err err = take_over(keys, &candidate, pw_check_settings, why);
    if (err == PW_E_OK) {
        keys->look = look;
        keys->refused = false;
    } else if (folder != NULL) {
        pw_sandbox_remark(folder, why);
    }
    return err;
}

const struct pw_settings *
pw_keys_settings(const struct pw_keys *keys)
{
    return keys->config->settings;
}

const struct pw_channel *
pw_keys_channel(const struct pw_keys *keys, size_t channel)
{
    return keys->places[channel].channel;
}

enum pw_keys_news
pw_keys_look(struct pw_keys *keys, bool force, struct pw_why *why)
{
    if (keys->ring == NULL) {
        return PW_KEYS_SAME;
    }
    bool changed = pw_keyring_changed(folder_of(keys), &keys->look);
    if (!changed && !force && !keys->refused) {
        return PW_KEYS_SAME;
    }
    PW_CLEANUP(candidate_free)
    struct candidate next = {.config = pw_config_share(keys->config)};
    if (take_over(keys, &next, pw_check_keys, why) == PW_E_OK) {
        keys->refused = false;
        return PW_KEYS_NEW;
    }
    pw_sandbox_remark(folder_of(keys), why);
    /* A folder that was refused is tried again each time: memory may be back, or a lock. */
    bool told = keys->refused && !force && strcmp(why->text, keys->why.text) == 0;
    keys->refused = true;
    keys->why = *why;
    return told ? PW_KEYS_SAME : PW_KEYS_REFUSED;
}

void
pw_keys_describe(const struct pw_keys *keys, struct pw_json *json)
{
    char id[2 * KEY_ID + 1];
    pw_json_uint(json, "keys", keys->ring == NULL ? 0 : pw_keyring_count(keys->ring));
    pw_json_uint(json, "revoked_version", keys->list_version);
    pw_json_array(json, "signs");
    for (size_t i = 0; i < keys->count; i++) {
        const struct pw_key *key = keys->places[i].signer;
        if (key == NULL) {
            continue;
        }
        pw_hex_encode((struct pw_span){pw_key_id(key), KEY_ID}, id);
        pw_json_object(json, NULL);
        pw_json_str(json, "chan", keys->names[i]);
        pw_json_str(json, "key", pw_key_name(key));
        pw_json_str(json, "kid", id);
        pw_json_end_object(json);
    }
    pw_json_end_array(json);
}

const struct pw_key *
pw_keys_signer(const struct pw_keys *keys, size_t channel)
{
    return keys->places[channel].signer;
}

unsigned
pw_keys_generation(const struct pw_keys *keys)
{
    return keys->generation;
}

const char *
pw_keys_refusal(const struct pw_keys *keys)
{
    return keys->refused ? keys->why.text : NULL;
}

const struct pw_keyring *
pw_keys_ring(const struct pw_keys *keys)
{
    return keys->ring;
}
