/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/keyring_rotate.h"

#include <limits.h>
#include <stdio.h>

#include <sodium.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/hex.h"
#include "common/sign/key_body.h"

enum { PRIVATE = 0600 };

static enum pw_err
path_of(const char *dir, const char *file, char out[static PATH_MAX], struct pw_why *why)
{
    if (snprintf(out, PATH_MAX, "%s/%s", dir, file) >= PATH_MAX) {
        return pw_fail(why, PW_E_NO_INPUT, "%.200s...: the path is too long", dir);
    }
    return PW_E_OK;
}

static enum pw_err
check_from(const char *dir, const char *name, const struct pw_key *key, struct pw_why *why)
{
    if (key == NULL) {
        return pw_fail(why, PW_E_CONFIG,
                       "%s: no key \"%.64s\" there; picklewall key list %s shows which "
                       "there are",
                       dir, name, dir);
    }
    if (pw_key_role(key) != PW_ROLE_SIGN || pw_key_is_bare(key)) {
        return pw_fail(why, PW_E_CONFIG,
                       "%s: key \"%s\" makes no trailers; take turns where the keys that "
                       "sign are",
                       dir, name);
    }
    return PW_E_OK;
}

static enum pw_err
check_to(const char *dir, const char *name, const struct pw_key *key, struct pw_why *why)
{
    if (key == NULL) {
        return PW_E_OK; /* will be made */
    }
    enum pw_err err = check_from(dir, name, key, why);
    if (err != PW_E_OK) {
        return err;
    }
    enum pw_reason reason = pw_key_usable(key, pw_clock_wall(), false);
    if (reason != PW_R_NONE) {
        return pw_fail(why, PW_E_CONFIG,
                       "%s: key \"%s\" cannot begin to sign: %s; choose another", dir, name,
                       reason == PW_R_SIG_NOT_YET       ? "its not_before is still to come"
                       : reason == PW_R_SIG_KEY_EXPIRED ? "its not_after has passed"
                                                        : "it is retired or revoked");
    }
    return PW_E_OK;
}

/* Read the key's file again, and write it back with another status. */
static enum pw_err
change(const struct pw_key *key, enum pw_key_status status, const char *dir,
       struct pw_why *why)
{
    char path[PATH_MAX];
    enum pw_err err = path_of(dir, pw_key_file(key), path, why);
    if (err != PW_E_OK) {
        return err;
    }
    PW_CLEANUP(pw_key_free) struct pw_key *copy = pw_key_load(path, why);
    if (copy == NULL) {
        return PW_E_CONFIG;
    }
    pw_key_set_status(copy, status);
    return pw_key_replace(copy, path, why);
}

static void
wipe_buf(struct pw_buf *buf)
{
    if (buf->bytes != NULL) {
        sodium_memzero(buf->bytes, buf->cap);
    }
    pw_buf_free(buf);
}

/* A key like `model`, active at once, in a file for the owner of the folder. */
static enum pw_err
make(const struct pw_key *model, const char *name, const char *dir, struct pw_why *why)
{
    char path[PATH_MAX];
    char file[PW_KEY_NAME_MAX + sizeof ".pwkey"];
    struct stat info;
    PW_CLEANUP(wipe_buf) struct pw_buf text = {.limit = PW_KEY_FILE_MAX};
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(model->suite, name, why);
    if (key == NULL) {
        return PW_E_CONFIG;
    }
    snprintf(file, sizeof file, "%s.pwkey", name);
    enum pw_err err = path_of(dir, file, path, why);
    err = err == PW_E_OK ? pw_key_set_channel(key, model->channel, why) : err;
    if (err != PW_E_OK) {
        return err;
    }
    if (lstat(path, &info) == 0) {
        return pw_fail(why, PW_E_CREATE,
                       "%s: is there already, with a key of another name; choose another "
                       "name",
                       path);
    }
    err = pw_key_format(key, &text);
    return err == PW_E_OK ? pw_key_write(path, pw_buf_span(&text), PRIVATE, why)
                          : pw_fail(why, err, "%s: %s", path, pw_err_text(err));
}

static enum pw_err
activate(const struct pw_key *to, const struct pw_key *from, const char *name,
         const char *dir, struct pw_why *why)
{
    if (to == NULL) {
        return make(from, name, dir, why);
    }
    if (pw_key_status(to) == PW_KEY_ACTIVE) {
        return PW_E_OK; /* a rotation that was cut short comes to its end */
    }
    return change(to, PW_KEY_ACTIVE, dir, why);
}

/* A key that was retired or revoked meanwhile stays so. */
static enum pw_err
step_back(const struct pw_key *from, const char *dir, struct pw_why *why)
{
    if (pw_key_status(from) != PW_KEY_ACTIVE) {
        return PW_E_OK;
    }
    return change(from, PW_KEY_VERIFY_ONLY, dir, why);
}

enum pw_err
pw_keyring_rotate(const char *dir, const char *from, const char *to,
                  struct pw_rotation *out, struct pw_why *why)
{
    *out = (struct pw_rotation){0};
    PW_CLEANUP(pw_file_close) int lock = pw_keyring_lock(dir, why);
    if (lock < 0) {
        return PW_E_BUSY;
    }
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_read(dir, why);
    if (ring == NULL) {
        return PW_E_CONFIG;
    }
    const struct pw_key *old = pw_keyring_find(ring, from);
    const struct pw_key *new = pw_keyring_find(ring, to);
    enum pw_err err = check_from(dir, from, old, why);
    err = err == PW_E_OK ? check_to(dir, to, new, why) : err;
    err = err == PW_E_OK ? activate(new, old, to, dir, why) : err;
    err = err == PW_E_OK ? step_back(old, dir, why) : err;
    if (err != PW_E_OK) {
        return err;
    }
    out->made = new == NULL;
    out->ring = pw_keyring_read(dir, why);
    if (out->ring == NULL) {
        return PW_E_CONFIG;
    }
    out->from = pw_keyring_find(out->ring, from);
    out->to = pw_keyring_find(out->ring, to);
    return PW_E_OK;
}

/* Fill `out` from the name or the id; a name counts first. */
static enum pw_err
look_up(const char *dir, const char *which, const struct pw_keyring *ring,
        struct pw_revocation *out, struct pw_why *why)
{
    uint8_t id[PW_KEY_ID];
    bool digits = pw_hex_decode(pw_span_str(which), id, sizeof id);
    const struct pw_key *key = ring == NULL ? NULL : pw_keyring_find(ring, which);
    if (key == NULL && digits) {
        memcpy(out->id, id, sizeof out->id);
        key = ring == NULL ? NULL : pw_keyring_find_id(ring, id);
    }
    if (key != NULL) {
        memcpy(out->id, pw_key_id(key), sizeof out->id);
        snprintf(out->name, sizeof out->name, "%s", pw_key_name(key));
        out->was_active = pw_key_role(key) == PW_ROLE_SIGN && !pw_key_is_bare(key) &&
                          pw_key_status(key) == PW_KEY_ACTIVE;
        return PW_E_OK;
    }
    if (digits) {
        return PW_E_OK;
    }
    return ring == NULL
               ? pw_fail(why, PW_E_CONFIG,
                         "%.400s; until then name the key by its 16 digits",
                         out->folder.text)
               : pw_fail(why, PW_E_NO_INPUT,
                         "%s: no key \"%.64s\" there, and it is no key id of 16 digits; "
                         "picklewall key list %s shows both",
                         dir, which, dir);
}

enum pw_err
pw_keyring_revoke_in(const char *dir, const char *which, struct pw_revocation *out,
                     struct pw_why *why)
{
    *out = (struct pw_revocation){0};
    PW_CLEANUP(pw_file_close) int lock = pw_keyring_lock(dir, why);
    if (lock < 0) {
        return PW_E_BUSY;
    }
    PW_CLEANUP(pw_keyring_free)
    struct pw_keyring *ring = pw_keyring_read(dir, &out->folder);
    enum pw_err err = look_up(dir, which, ring, out, why);
    if (err != PW_E_OK) {
        return err;
    }
    char now[PW_KEY_TIME_TEXT];
    char comment[PW_KEY_TIME_TEXT + sizeof out->name];
    pw_key_time_format(pw_clock_wall(), now);
    snprintf(comment, sizeof comment, "%s%s%s", out->name, out->name[0] == '\0' ? "" : " ",
             now);
    return pw_revoked_add(dir, out->id, comment, &out->version, why);
}
