/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/hex.h"
#include "proxy/check.h"
#include "proxy/layout.h"
#include "proxy/sandbox.h"

enum { KEY_ID = 8 };

static const uint64_t ns_per_ms = 1000000;

/* What is known of one channel here; its keys are in the box. */
struct place {
    struct pw_keys_box box;
    const struct pw_key *signer; /* of `ring`; NULL when nothing is signed */
};

struct pw_keys {
    const struct pw_settings *settings;
    struct pw_keyring *ring; /* NULL when `keys` is not set */
    struct pw_keyring_look look;
    unsigned generation;    /* of the newest keys */
    uint64_t list_version;  /* of the newest list that was in force */
    struct pw_revoked list; /* the last one that was read */
    bool refused;           /* the last time; then: */
    struct pw_why why;
    const char **names; /* of all channels */
    size_t count;
    struct place places[];
};

static void
free_channel_keys(struct pw_channel_keys **set)
{
    if (*set != NULL) {
        pw_verifier_free(&(*set)->verifier);
        pw_signer_free(&(*set)->signer);
        pw_foreign_free(&(*set)->foreign);
        pw_keyring_free(&(*set)->ring);
    }
    free(*set);
    *set = NULL;
}

/* "signing key wrong" becomes "wall.conf:12: channel.jobs.sign: signing key wrong". */
static enum pw_err
fail_at(const struct pw_keys *keys, const struct pw_channel *channel, const char *key,
        enum pw_err err, struct pw_why *why)
{
    char path[256];
    char place[PW_PLACE_MAX];
    struct pw_why plain = *why;
    snprintf(path, sizeof path, "channel.%s.%s", channel->name, key);
    pw_settings_place(keys->settings, path, place);
    return pw_fail(why, err, "%s: %s", place, plain.text);
}

static enum pw_err
fill_channel_keys(const struct pw_keys *keys, const struct pw_channel *channel,
                  struct pw_channel_keys *set, struct pw_why *why)
{
    if (pw_channel_layout(channel) != PW_LAYOUT_NONE) {
        enum pw_err err = pw_channel_foreign(channel, set->ring, &set->foreign, why);
        return err == PW_E_OK ? PW_E_OK : fail_at(keys, channel, "envelope", err, why);
    }
    if (channel->verify != PW_SET_VERIFY_OFF) {
        set->verifier = pw_verifier_new(set->ring, channel->name, PW_DIR_FORWARD,
                                        keys->names, keys->count);
        if (set->verifier == NULL) {
            pw_fail(why, PW_E_NOMEM, "out of memory");
            return fail_at(keys, channel, "verify", PW_E_NOMEM, why);
        }
    }
    if (channel->sign != NULL) {
        uint64_t epoch = pw_clock_wall() / ns_per_ms;
        set->signer = pw_signer_new(set->ring, channel->sign, channel->name, PW_DIR_FORWARD,
                                    epoch, why);
        if (set->signer == NULL) {
            return fail_at(keys, channel, "sign", PW_E_CONFIG, why);
        }
    }
    return PW_E_OK;
}

/* The keys of a channel from `ring`, which may be NULL when it needs none. */
static struct pw_channel_keys *
make_channel_keys(const struct pw_keys *keys, const struct pw_channel *channel,
                  struct pw_keyring *ring, struct pw_why *why)
{
    PW_CLEANUP(free_channel_keys) struct pw_channel_keys *set = calloc(1, sizeof *set);
    if (set == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    set->generation = keys->generation + 1;
    set->ring = ring == NULL ? NULL : pw_keyring_share(ring);
    if (fill_channel_keys(keys, channel, set, why) != PW_E_OK) {
        return NULL;
    }
    struct pw_channel_keys *made = set;
    set = NULL;
    return made;
}

static void
free_sets(struct pw_channel_keys **sets, size_t count)
{
    for (size_t i = 0; sets != NULL && i < count; i++) {
        free_channel_keys(&sets[i]);
    }
    free(sets);
}

/* One set for each channel, in an array; NULL when one of them cannot be. */
static struct pw_channel_keys **
make_sets(const struct pw_keys *keys, struct pw_keyring *ring, struct pw_why *why)
{
    struct pw_channel_keys **sets = calloc(keys->count, sizeof(struct pw_channel_keys *));
    if (sets == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < keys->count; i++) {
        sets[i] = make_channel_keys(keys, &keys->settings->channels[i], ring, why);
        if (sets[i] == NULL) {
            free_sets(sets, keys->count);
            return NULL;
        }
    }
    return sets;
}

/* The one that pw_signer_new, or pw_foreign_new, has found there too. */
static const struct pw_key *
find_signer(const struct pw_channel *channel, const struct pw_keyring *ring)
{
    return channel->sign == NULL ? NULL
                                 : pw_keyring_signer(ring, channel->sign, channel->name,
                                                     pw_clock_wall(), NULL);
}

/* Nothing can fail any more: the new ring is in force, with the old one's last share. */
static void
put_in_force(struct pw_keys *keys, struct pw_keyring **ring, struct pw_channel_keys **sets)
{
    for (size_t i = 0; i < keys->count; i++) {
        struct place *place = &keys->places[i];
        place->signer = find_signer(&keys->settings->channels[i], *ring);
        struct pw_channel_keys *never_taken = atomic_exchange(&place->box.next, sets[i]);
        free_channel_keys(&never_taken);
    }
    free(sets);
    keys->generation++;
    pw_keyring_free(&keys->ring);
    keys->ring = *ring;
    keys->list_version = *ring == NULL ? 0 : pw_keyring_list_version(*ring);
    *ring = NULL;
}

const struct pw_channel_keys *
pw_keys_take(struct pw_keys_box *box)
{
    /* Asked for every message: a load, which costs nothing while there is none. */
    if (atomic_load_explicit(&box->next, memory_order_relaxed) == NULL) {
        return NULL;
    }
    struct pw_channel_keys *next = atomic_exchange(&box->next, NULL);
    if (box->now != NULL && box->now->signer != NULL && next->signer != NULL) {
        pw_signer_continue(next->signer, box->now->signer);
    }
    free_channel_keys(&box->now);
    box->now = next;
    atomic_store(&box->generation, next->generation);
    return next;
}

static struct pw_keys *
make_keys(const struct pw_settings *settings)
{
    size_t count = settings->channel_count;
    struct pw_keys *keys = calloc(1, sizeof *keys + count * sizeof keys->places[0]);
    if (keys == NULL) {
        return NULL;
    }
    keys->settings = settings;
    keys->count = count;
    keys->names = calloc(count, sizeof *keys->names);
    for (size_t i = 0; keys->names != NULL && i < count; i++) {
        keys->names[i] = settings->channels[i].name;
    }
    if (keys->names == NULL) {
        pw_keys_close(&keys);
    }
    return keys;
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
                   keys->settings->keys, (unsigned long long)keys->list_version,
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
                           keys->settings->keys, id, (unsigned long long)list->version);
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
    enum pw_err err = pw_revoked_load(keys->settings->keys, &list, why);
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
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = NULL;
    if (keys == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    if (settings->keys != NULL) { /* before it is read: what changes then is seen later */
        (void)pw_keyring_changed(settings->keys, &keys->look);
    }
    if (pw_check_settings(settings, &ring, why) != PW_E_OK) {
        return NULL;
    }
    struct pw_channel_keys **sets = make_sets(keys, ring, why);
    if (sets == NULL) {
        return NULL;
    }
    put_in_force(keys, &ring, sets);
    if (keys->ring != NULL && revoke_at_once(keys, why) != PW_E_OK) {
        return NULL;
    }
    for (size_t i = 0; i < keys->count; i++) {
        pw_keys_take(&keys->places[i].box);
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
        struct pw_keys_box *box = &(*keys)->places[i].box;
        struct pw_channel_keys *never_taken = atomic_exchange(&box->next, NULL);
        free_channel_keys(&never_taken);
        free_channel_keys(&box->now);
    }
    pw_keyring_free(&(*keys)->ring);
    pw_revoked_free(&(*keys)->list);
    free((*keys)->names);
    free(*keys);
    *keys = NULL;
}

struct pw_keys_box *
pw_keys_box(struct pw_keys *keys, size_t channel)
{
    return &keys->places[channel].box;
}

static enum pw_err
take_over(struct pw_keys *keys, struct pw_why *why)
{
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = NULL;
    enum pw_err err = revoke_at_once(keys, why);
    err = err == PW_E_OK ? pw_check_keys(keys->settings, &ring, why) : err;
    err = err == PW_E_OK ? check_version(keys, pw_keyring_list_version(ring), why) : err;
    if (err != PW_E_OK) {
        return err;
    }
    if (pw_keyring_list_version(ring) == keys->list.version) {
        (void)pw_keyring_revoke(ring, &keys->list); /* it may have changed since */
    }
    struct pw_channel_keys **sets = make_sets(keys, ring, why);
    if (sets == NULL) {
        return PW_E_CONFIG;
    }
    put_in_force(keys, &ring, sets);
    return PW_E_OK;
}

enum pw_keys_news
pw_keys_look(struct pw_keys *keys, bool force, struct pw_why *why)
{
    if (keys->ring == NULL) {
        return PW_KEYS_SAME;
    }
    bool changed = pw_keyring_changed(keys->settings->keys, &keys->look);
    if (!changed && !force && !keys->refused) {
        return PW_KEYS_SAME;
    }
    if (take_over(keys, why) == PW_E_OK) {
        keys->refused = false;
        return PW_KEYS_NEW;
    }
    pw_sandbox_remark(keys->settings->keys, why);
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
