/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/check.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/audit/chain_key.h"
#include "common/base/clock.h"
#include "common/sign/guard.h"
#include "proxy/clients.h"
#include "proxy/layout.h"
#include "proxy/sandbox.h"

/* Fail with the place of a setting before the sentence. */
static enum pw_err refuse(const struct pw_settings *settings, const char *path,
                          struct pw_why *why, const char *format, ...) PW_PRINTF(4, 5);

static enum pw_err
refuse(const struct pw_settings *settings, const char *path, struct pw_why *why,
       const char *format, ...)
{
    char place[PW_PLACE_MAX], text[sizeof why->text];
    pw_settings_place(settings, path, place);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return pw_fail(why, PW_E_CONFIG, "%s: %s", place, text);
}

/* Cut the last part off a path: "/a/b" is "/a", and "/a" is "/". */
static void
cut_last(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == path) {
        path[1] = '\0';
    } else if (slash != NULL) {
        *slash = '\0';
    }
}

/* The folder can be written, or could be made in the nearest one that exists. */
static enum pw_err
check_folder(const struct pw_settings *settings, const char *setting, const char *folder,
             struct pw_why *why)
{
    char path[PATH_MAX];
    struct stat is;
    if (snprintf(path, sizeof path, "%s", folder) >= PATH_MAX) {
        return refuse(settings, setting, why,
                      "is longer than a path may be; choose another");
    }
    bool exists = stat(path, &is) == 0;
    while (stat(path, &is) != 0 && errno == ENOENT && strcmp(path, "/") != 0) {
        cut_last(path);
    }
    if (stat(path, &is) != 0) {
        return refuse(settings, setting, why,
                      "%s: %s; name a folder that this user may create", path,
                      strerror(errno));
    }
    if (!S_ISDIR(is.st_mode)) {
        return refuse(settings, setting, why, "%s is no folder; name one, or move it away",
                      path);
    }
    if (access(path, W_OK | X_OK) != 0) {
        return refuse(
            settings, setting, why,
            "%s: %s: this user may not %s there; name another folder, or change its "
            "owner",
            path, strerror(errno), exists ? "write" : "create a folder");
    }
    return PW_E_OK;
}

/* The folder of `file` is `state`, or is there and can be written. */
static enum pw_err
check_folder_of(const struct pw_settings *settings, const char *setting, const char *file,
                struct pw_why *why)
{
    struct stat is;
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", file);
    cut_last(folder);
    if (strcmp(folder, settings->state) == 0) {
        return PW_E_OK; /* checked, and made when it is not there */
    }
    if (stat(folder, &is) != 0 || !S_ISDIR(is.st_mode)) {
        return refuse(settings, setting, why, "there is no folder %s; run mkdir -p %s",
                      folder, folder);
    }
    return check_folder(settings, setting, folder, why);
}

/* A socket can be made there. One that is there is the wall's, which may be running. */
static enum pw_err
check_control(const struct pw_settings *settings, struct pw_why *why)
{
    struct stat is;
    const char *path = settings->control;
    if (strcmp(path, "-") == 0) {
        return PW_E_OK;
    }
    if (lstat(path, &is) == 0 && !S_ISSOCK(is.st_mode)) {
        return refuse(settings, "control", why,
                      "%s is no socket; move it away, or name another path", path);
    }
    return check_folder_of(settings, "control", path, why);
}

/* The audit log can be appended to. */
static enum pw_err
check_audit(const struct pw_settings *settings, struct pw_why *why)
{
    struct stat is;
    const char *file = settings->audit_file;
    if (strcmp(file, "-") == 0) {
        return PW_E_OK;
    }
    if (stat(file, &is) == 0 && (S_ISDIR(is.st_mode) || access(file, W_OK) != 0)) {
        return refuse(settings, "audit.file", why,
                      "%s is %s; name a file that this user may write", file,
                      S_ISDIR(is.st_mode) ? "a folder" : "not writable");
    }
    return check_folder_of(settings, "audit.file", file, why);
}

/* Checkpoints can be signed, and mirrored. */
static enum pw_err
check_chain(const struct pw_settings *settings, struct pw_why *why)
{
    char unused[PATH_MAX];
    struct pw_why words = {{0}};
    const char *mirror = settings->audit_mirror;
    const char *path = settings->audit_key;
    if (!pw_chain_key_public_path(path, unused, sizeof unused)) {
        return refuse(settings, "audit.key", why,
                      "%s: the name of a key file ends in .pwkey; rename it", path);
    }
    enum pw_err err = PW_E_OK;
    if (access(path, F_OK) == 0) {
        PW_CLEANUP(pw_key_free) struct pw_key *key = pw_chain_key_load(path, &words);
        err = key != NULL ? PW_E_OK : refuse(settings, "audit.key", why, "%s", words.text);
    } else {
        err = check_folder_of(settings, "audit.key", path, why);
    }
    if (err != PW_E_OK || mirror == NULL || strcmp(mirror, "-") == 0) {
        return err;
    }
    return check_folder_of(settings, "audit.mirror", mirror, why);
}

/* A bare key serves the envelopes of other programs only. */
static bool
serves(const struct pw_key *key, const struct pw_channel *channel)
{
    bool ours = pw_channel_layout(channel) == PW_LAYOUT_NONE;
    return pw_key_takes(key, channel->name) && !(ours && pw_key_is_bare(key));
}

static enum pw_err
check_signer(const struct pw_settings *settings, const struct pw_channel *channel,
             const struct pw_keyring *ring, struct pw_why *why)
{
    char setting[PW_PLACE_MAX];
    struct pw_why inner = {0};
    snprintf(setting, sizeof setting, "channel.%s.sign", channel->name);
    const struct pw_key *key =
        pw_keyring_signer(ring, channel->sign, channel->name, pw_clock_wall(), &inner);
    if (key == NULL) {
        return refuse(settings, setting, why, "%s", inner.text);
    }
    if (!serves(key, channel)) {
        return refuse(settings, setting, why,
                      "%s: this key is for the envelopes of other programs; make one with "
                      "picklewall key new",
                      pw_key_name(key));
    }
    return PW_E_OK;
}

static enum pw_err
check_verifier(const struct pw_settings *settings, const struct pw_channel *channel,
               const struct pw_keyring *ring, struct pw_why *why)
{
    for (size_t i = 0; i < pw_keyring_count(ring); i++) {
        if (serves(pw_keyring_at(ring, i), channel)) {
            return PW_E_OK;
        }
    }
    char setting[PW_PLACE_MAX];
    snprintf(setting, sizeof setting, "channel.%s.verify", channel->name);
    return refuse(
        settings, setting, why,
        "no key in %s is for this channel, so no message would pass; put the senders' "
        "keys there",
        settings->keys);
}

/* The keys that the layout of another program wants. */
static enum pw_err
check_foreign(const struct pw_settings *settings, const struct pw_channel *channel,
              const struct pw_keyring *ring, struct pw_why *why)
{
    struct pw_why inner = {0};
    PW_CLEANUP(pw_foreign_free) struct pw_foreign *foreign = NULL;
    if (pw_channel_foreign(channel, ring, &foreign, &inner) == PW_E_OK) {
        return PW_E_OK;
    }
    char setting[PW_PLACE_MAX];
    snprintf(setting, sizeof setting, "channel.%s.envelope", channel->name);
    return refuse(settings, setting, why, "%s", inner.text);
}

enum pw_err
pw_check_keys(const struct pw_settings *settings, struct pw_keyring **ring,
              struct pw_why *why)
{
    struct pw_why inner = {0};
    *ring = NULL;
    if (settings->keys == NULL) {
        return PW_E_OK; /* the parser saw to it that nobody needs one */
    }
    *ring = pw_keyring_load(settings->keys, &inner);
    if (*ring == NULL) {
        return refuse(settings, "keys", why, "%s", inner.text);
    }
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && i < settings->channel_count; i++) {
        const struct pw_channel *channel = &settings->channels[i];
        if (channel->sign != NULL) {
            err = check_signer(settings, channel, *ring, why);
        }
        if (err == PW_E_OK && channel->verify == PW_SET_VERIFY_REQUIRED) {
            err = check_verifier(settings, channel, *ring, why);
        }
        err = err == PW_E_OK ? check_foreign(settings, channel, *ring, why) : err;
    }
    if (err != PW_E_OK) {
        pw_keyring_free(ring);
    }
    return err;
}

static enum pw_err
check_replay(const struct pw_settings *settings, struct pw_why *why)
{
    for (size_t i = 0; i < settings->channel_count; i++) {
        const struct pw_channel *channel = &settings->channels[i];
        char setting[PW_PLACE_MAX];
        struct pw_why inner = {0};
        if (channel->verify == PW_SET_VERIFY_OFF || !channel->replay ||
            pw_channel_layout(channel) != PW_LAYOUT_NONE ||
            pw_guard_check(settings->state, channel->name, &inner) == PW_E_OK) {
            continue;
        }
        snprintf(setting, sizeof setting, "channel.%s.replay", channel->name);
        return refuse(settings, setting, why, "%s", inner.text);
    }
    return PW_E_OK;
}

/* The certificates of a side can be read, and its list of clients. */
static enum pw_err
check_curve(const struct pw_settings *settings, const struct pw_channel *channel, bool out,
            struct pw_why *why)
{
    const struct pw_curve_setting *curve = out ? &channel->out.curve : &channel->in.curve;
    PW_CLEANUP(pw_cert_wipe) struct pw_cert cert = {0};
    PW_CLEANUP(pw_clients_close) struct pw_clients *clients = NULL;
    struct pw_why inner = {0};
    const char *key = "key";
    enum pw_err err = PW_E_OK;
    if (curve->key != NULL) {
        err = pw_cert_load(curve->key, true, &cert, &inner);
    }
    if (err == PW_E_OK && curve->server != NULL) {
        key = "server";
        err = pw_cert_load(curve->server, false, &cert, &inner);
    }
    if (err == PW_E_OK && curve->clients != NULL) {
        key = "clients";
        clients = pw_clients_open(curve->clients, &inner);
        err = clients != NULL ? PW_E_OK : PW_E_CONFIG;
    }
    if (err == PW_E_OK) {
        return PW_E_OK;
    }
    char setting[PW_PLACE_MAX];
    snprintf(setting, sizeof setting, "channel.%s.%s.curve.%s", channel->name,
             out ? "out" : "in", key);
    return refuse(settings, setting, why, "%s", inner.text);
}

static enum pw_err
check_curves(const struct pw_settings *settings, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && i < settings->channel_count * 2; i++) {
        err = check_curve(settings, &settings->channels[i / 2], i % 2 == 1, why);
    }
    return err;
}

enum pw_err
pw_check_settings(const struct pw_settings *settings, struct pw_keyring **ring,
                  struct pw_why *why)
{
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *keys = NULL;
    enum pw_err err = check_folder(settings, "state", settings->state, why);
    err = err == PW_E_OK ? check_control(settings, why) : err;
    err = err == PW_E_OK ? check_audit(settings, why) : err;
    err = err == PW_E_OK ? check_chain(settings, why) : err;
    err = err == PW_E_OK ? pw_check_keys(settings, &keys, why) : err;
    err = err == PW_E_OK ? check_replay(settings, why) : err;
    err = err == PW_E_OK ? pw_sandbox_check(settings, why) : err;
    err = err == PW_E_OK ? check_curves(settings, why) : err;
    if (err == PW_E_OK && ring != NULL) {
        *ring = keys;
        keys = NULL;
    }
    return err;
}
