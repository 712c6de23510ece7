/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/settings/nearest.h"
#include "common/settings/value.h"

static const char prefix[] = "PICKLEWALL_";

/* Variables that name no setting. */
static const char *const others[] = {
    "PICKLEWALL_CONFIG",
    "PICKLEWALL_POLICIES",
    "PICKLEWALL_BIN",
};

/* Kubernetes gives these to every pod beside a Service that is called picklewall. */
static const char *const foreign[] = {"PICKLEWALL_SERVICE_", "PICKLEWALL_PORT"};

static bool
is_ours(const char *name)
{
    for (size_t i = 0; i < PW_COUNT(others); i++) {
        if (strcmp(name, others[i]) == 0) {
            return false;
        }
    }
    for (size_t i = 0; i < PW_COUNT(foreign); i++) {
        if (strncmp(name, foreign[i], strlen(foreign[i])) == 0) {
            return false;
        }
    }
    return true;
}

static const struct pw_row *
row_of_path(const char *path)
{
    for (size_t i = 0; i < pw_row_count; i++) {
        if (pw_rows[i].base == PW_BASE_SETTINGS && strcmp(pw_rows[i].path, path) == 0) {
            return &pw_rows[i];
        }
    }
    return NULL;
}

static const struct pw_row *
row_of_variable(const char *name, struct pw_nearest *nearest)
{
    for (size_t i = 0; i < pw_row_count; i++) {
        char variable[PW_ZPL_PATH_MAX];
        if (!pw_schema_variable(&pw_rows[i], variable)) {
            continue;
        }
        if (strcmp(variable, name) == 0) {
            return &pw_rows[i];
        }
        /* Only what differs counts, or the prefix would make all of them alike. */
        pw_nearest_offer(nearest, variable + strlen(prefix));
    }
    return NULL;
}

static enum pw_err
refuse_unknown(const char *name, const struct pw_nearest *nearest, struct pw_why *why)
{
    if (nearest->best[0] != '\0') {
        return pw_fail(why, PW_E_CONFIG,
                       "environment: %.120s: no such setting; did you mean %s%s?", name,
                       prefix, nearest->best);
    }
    return pw_fail(
        why, PW_E_CONFIG,
        "environment: %.120s: no such setting; unset it, or put it into the file", name);
}

/* A secret of a key file, or a bare key: sentences about a wrong value would show it. */
static bool
is_secret(const char *value)
{
    return strstr(value, "PWSK1") != NULL ||
           (strlen(value) == 64 && strspn(value, "0123456789abcdefABCDEF") == 64);
}

static enum pw_err
apply(struct pw_settings *settings, const char *variable, struct pw_why *why)
{
    char name[PW_ZPL_PATH_MAX];
    const char *equals = strchr(variable, '=');
    if (equals == NULL || strncmp(variable, prefix, strlen(prefix)) != 0) {
        return PW_E_OK;
    }
    snprintf(name, sizeof name, "%.*s", (int)(equals - variable), variable);
    if (!is_ours(name)) {
        return PW_E_OK;
    }
    struct pw_nearest nearest = {.wanted = name + strlen(prefix)};
    const struct pw_row *row = row_of_variable(name, &nearest);
    if (row == NULL) {
        return refuse_unknown(name, &nearest, why);
    }
    if (is_secret(equals + 1)) {
        return pw_fail(
            why, PW_E_CONFIG,
            "environment: %s: holds a key, and other processes can read it; make "
            "a new one, and name the folder of its file",
            name);
    }
    struct pw_why inner = {0};
    enum pw_err err = pw_value_read(row, equals + 1, settings, &inner);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "environment: %s: %s", name, inner.text);
    }
    size_t index = (size_t)(row - pw_rows);
    settings->overridden[index / 64] |= UINT64_C(1) << (index % 64);
    return PW_E_OK;
}

enum pw_err
pw_environment_apply(struct pw_settings *settings, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    for (char **variable = environ; err == PW_E_OK && *variable != NULL; variable++) {
        err = apply(settings, *variable, why);
    }
    return err;
}

static enum pw_err
expand(const struct pw_settings *settings, const char *setting, char **path,
       struct pw_why *why)
{
    static const char variable[] = "${CREDENTIALS_DIRECTORY}";
    const size_t len = sizeof variable - 1;
    char place[PW_PLACE_MAX];
    if (*path == NULL || strstr(*path, "${") == NULL) {
        return PW_E_OK;
    }
    pw_settings_place(settings, setting, place);
    const char *rest = *path + len;
    if (strncmp(*path, variable, len) != 0 || (rest[0] != '\0' && rest[0] != '/') ||
        strstr(rest, "${") != NULL) {
        return pw_fail(why, PW_E_CONFIG,
                       "%s: \"%.120s\" asks for a variable; only a leading %s is known, "
                       "write that or the path itself",
                       place, *path, variable);
    }
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (folder == NULL || folder[0] != '/') {
        return pw_fail(why, PW_E_CONFIG,
                       "%s: CREDENTIALS_DIRECTORY names no folder; give the systemd unit "
                       "LoadCredential=, or write the path itself",
                       place);
    }
    char *whole = malloc(strlen(folder) + strlen(rest) + 1);
    if (whole == NULL) {
        return pw_fail(why, PW_E_NOMEM, "%s: out of memory", place);
    }
    snprintf(whole, strlen(folder) + strlen(rest) + 1, "%s%s", folder, rest);
    free(*path);
    *path = whole;
    return PW_E_OK;
}

static enum pw_err
expand_channel(const struct pw_settings *settings, struct pw_channel *channel,
               struct pw_why *why)
{
    static const char named[] = "channel.NAME.";
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && i < pw_row_count; i++) {
        const struct pw_row *row = &pw_rows[i];
        if (row->base == PW_BASE_CHANNEL && row->type == PW_TYPE_PATH) {
            char setting[PW_ZPL_PATH_MAX];
            snprintf(setting, sizeof setting, "channel.%s.%s", channel->name,
                     row->path + sizeof named - 1);
            err = expand(settings, setting, (char **)((char *)channel + row->offset), why);
        }
    }
    return err;
}

enum pw_err
pw_environment_expand(struct pw_settings *settings, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && i < pw_row_count; i++) {
        const struct pw_row *row = &pw_rows[i];
        if (row->base == PW_BASE_SETTINGS && row->type == PW_TYPE_PATH) {
            err =
                expand(settings, row->path, (char **)((char *)settings + row->offset), why);
        }
    }
    for (size_t i = 0; err == PW_E_OK && i < settings->channel_count; i++) {
        err = expand_channel(settings, &settings->channels[i], why);
    }
    return err;
}

bool
pw_environment_set(const struct pw_settings *settings, const char *path)
{
    const struct pw_row *row = row_of_path(path);
    if (row == NULL) {
        return false;
    }
    size_t index = (size_t)(row - pw_rows);
    return (settings->overridden[index / 64] >> (index % 64) & 1) != 0;
}

void
pw_environment_place(const char *path, char *out, size_t room)
{
    char variable[PW_ZPL_PATH_MAX] = "";
    const struct pw_row *row = row_of_path(path);
    if (row != NULL) {
        (void)pw_schema_variable(row, variable);
    }
    snprintf(out, room, "environment: %s", variable);
}
