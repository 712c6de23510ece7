/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sandbox_paths.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/settings/schema.h"

enum part { PART_ITSELF, PART_BESIDE, PART_LOG, PART_MADE, PART_NOTHING };
enum when { WHEN_ALWAYS, WHEN_HOSTS, WHEN_STDOUT, WHENS };

enum { DNS_PORT = 53 };

struct of_setting {
    const char *setting;
    enum part part;
    enum pw_landlock_rights rights;
};

static const struct of_setting of_settings[] = {
#define PW_PATH(path, rights, when, why)
#define PW_PATH_OF(setting, part, rights) {setting, PART_##part, PW_LANDLOCK_##rights},
#include "proxy/sandbox_paths.def"
#undef PW_PATH_OF
#undef PW_PATH
};

static const struct {
    const char *path;
    enum pw_landlock_rights rights;
    enum when when;
} paths[] = {
#define PW_PATH(path, rights, when, why) {path, PW_LANDLOCK_##rights, WHEN_##when},
#define PW_PATH_OF(setting, part, rights)
#include "proxy/sandbox_paths.def"
#undef PW_PATH_OF
#undef PW_PATH
};

/* --- endpoints ----------------------------------------------------------------------- */

/* Called with each endpoint until it says false. */
typedef bool endpoint_fn(void *arg, const char *address, bool bind);

static bool
each_of_side(const struct pw_side *side, endpoint_fn *visit, void *arg)
{
    for (size_t i = 0; i < side->count; i++) {
        if (!visit(arg, side->endpoints[i].address, side->endpoints[i].bind)) {
            return false;
        }
    }
    return true;
}

static const char *
text_of(const struct pw_settings *settings, const struct pw_row *row)
{
    return *(char *const *)((const char *)settings + row->offset);
}

static bool
each_endpoint(const struct pw_settings *settings, endpoint_fn *visit, void *arg)
{
    for (size_t i = 0; i < settings->channel_count; i++) {
        if (!each_of_side(&settings->channels[i].in, visit, arg) ||
            !each_of_side(&settings->channels[i].out, visit, arg)) {
            return false;
        }
    }
    for (size_t i = 0; i < pw_row_count; i++) {
        bool bound = pw_rows[i].base == PW_BASE_SETTINGS &&
                     pw_rows[i].type == PW_TYPE_ADDRESS &&
                     text_of(settings, &pw_rows[i]) != NULL;
        if (bound && !visit(arg, text_of(settings, &pw_rows[i]), true)) {
            return false;
        }
    }
    return true;
}

static bool
has_path(void *arg, const char *address, bool bind)
{
    (void)arg, (void)bind;
    return strncmp(address, "ipc://@", 7) != 0;
}

bool
pw_sandbox_abstract(const struct pw_settings *settings)
{
    const char *manager = getenv("NOTIFY_SOCKET");
    return (manager != NULL && manager[0] == '@') ||
           !each_endpoint(settings, has_path, NULL);
}

static const char tcp[] = "tcp://";

/* Also of what is no tcp, or is bound: an interface has a name, too, but needs no look-up.
 */
static bool
is_number(void *arg, const char *address, bool bind)
{
    (void)arg;
    char host[256];
    struct in_addr ignored;
    const char *colon = strrchr(address, ':');
    if (bind || strncmp(address, tcp, strlen(tcp)) != 0 || address[strlen(tcp)] == '[') {
        return true;
    }
    const char *begin = address + strlen(tcp);
    snprintf(host, sizeof host, "%.*s", (int)(colon - begin), begin);
    return inet_pton(AF_INET, host, &ignored) == 1;
}

/* The web server's HOST:PORT, or none. */
static bool
has_number_for_http(const struct pw_settings *settings)
{
    char address[300];
    if (settings->http == NULL) {
        return true;
    }
    snprintf(address, sizeof address, "tcp://%s", settings->http);
    return is_number(NULL, address, false);
}

bool
pw_sandbox_hosts(const struct pw_settings *settings)
{
    return !each_endpoint(settings, is_number, NULL) || !has_number_for_http(settings);
}

static bool
permit_endpoint(void *arg, const char *address, bool bind)
{
    if (!bind && strncmp(address, tcp, strlen(tcp)) == 0) {
        return pw_landlock_permit_port(
            arg, (unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10));
    }
    if (!bind || strncmp(address, "ipc://", 6) != 0 || address[6] == '@') {
        return true;
    }
    char folder[PATH_MAX];
    const char *path = address + 6;
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s.", slash == NULL ? 0 : (int)(slash + 1 - path),
             path);
    return pw_landlock_permit(arg, folder, PW_LANDLOCK_SOCKET);
}

/* --- settings ------------------------------------------------------------------------ */

/* The folder of a file; the file itself at the root, which would be everything. */
static const char *
folder_of(const char *path, char out[static PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (slash == path) {
        return path;
    }
    snprintf(out, PATH_MAX, "%.*s", slash == NULL ? 1 : (int)(slash - path),
             slash == NULL ? "." : path);
    return out;
}

/* A file is read in its folder, since files are replaced, and where a link leads to. */
static bool
permit_beside(struct pw_landlock *rules, const char *path, enum pw_landlock_rights rights)
{
    char folder[PATH_MAX], real[PATH_MAX];
    return pw_landlock_permit(rules, folder_of(path, folder), rights) &&
           (realpath(path, real) == NULL ||
            pw_landlock_permit(rules, folder_of(real, folder), rights));
}

/* Below a folder links may lead out of it. */
static bool
permit_links(struct pw_landlock *rules, const char *folder)
{
    struct dirent *entry;
    bool good = true;
    DIR *list = opendir(folder);
    while (good && list != NULL && (entry = readdir(list)) != NULL) {
        char path[PATH_MAX];
        bool whole = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < PATH_MAX;
        struct stat is;
        if (whole && lstat(path, &is) == 0 && S_ISLNK(is.st_mode)) {
            good = pw_landlock_permit(rules, path, PW_LANDLOCK_READ);
        }
    }
    if (list != NULL) {
        closedir(list);
    }
    return good;
}

static bool
permit_reading(struct pw_landlock *rules, const char *path)
{
    struct stat is;
    if (stat(path, &is) == 0 && S_ISDIR(is.st_mode)) {
        return pw_landlock_permit(rules, path, PW_LANDLOCK_READ) &&
               permit_links(rules, path);
    }
    return permit_beside(rules, path, PW_LANDLOCK_READ);
}

static bool
permit_part(struct pw_landlock *rules, const struct of_setting *row, const char *path)
{
    struct stat is;
    bool there = stat(path, &is) == 0;
    switch (row->part) {
    case PART_ITSELF:
        return pw_landlock_permit(rules, path, row->rights);
    case PART_LOG:
        if (there && !S_ISREG(is.st_mode)) {
            return pw_landlock_permit(rules, path, PW_LANDLOCK_DEVICE);
        }
        return permit_beside(rules, path, row->rights);
    case PART_MADE:
        return there ? permit_reading(rules, path)
                     : permit_beside(rules, path, row->rights);
    case PART_BESIDE:
        return permit_beside(rules, path, row->rights);
    default:
        return true;
    }
}

static bool
permit_setting(struct pw_landlock *rules, const struct pw_settings *settings,
               const struct pw_row *row)
{
    const char *path = text_of(settings, row);
    if (path == NULL || strcmp(path, "-") == 0) {
        return true;
    }
    for (size_t i = 0; i < PW_COUNT(of_settings); i++) {
        if (strcmp(of_settings[i].setting, row->path) == 0) {
            return permit_part(rules, &of_settings[i], path);
        }
    }
    return permit_reading(rules, path);
}

static bool
permit_configuration(struct pw_landlock *rules, const struct pw_settings *settings)
{
    char folder[PATH_MAX];
    bool good = permit_beside(rules, settings->file, PW_LANDLOCK_READ);
    for (size_t i = 0; good && pw_settings_pack_folder(settings, i, folder); i++) {
        good = pw_landlock_permit(rules, folder, PW_LANDLOCK_READ) &&
               permit_links(rules, folder);
    }
    return good;
}

/* The certificates of a channel are read when its sockets are opened, and lists again. */
static bool
permit_channel(struct pw_landlock *rules, const struct pw_channel *channel)
{
    bool good = true;
    for (size_t i = 0; good && i < pw_row_count; i++) {
        if (pw_rows[i].base == PW_BASE_CHANNEL && pw_rows[i].type == PW_TYPE_PATH) {
            const char *path = *(char *const *)((const char *)channel + pw_rows[i].offset);
            good = path == NULL || path[0] != '/' || permit_reading(rules, path);
        }
    }
    return good;
}

static bool
is_dash(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

bool
pw_sandbox_permit(struct pw_landlock *rules, const struct pw_settings *settings)
{
    const bool now[WHENS] = {
        [WHEN_ALWAYS] = true,
        [WHEN_HOSTS] = pw_sandbox_hosts(settings),
        [WHEN_STDOUT] = settings->audit_stdout || is_dash(settings->audit_file) ||
                        is_dash(settings->audit_mirror),
    };
    bool good =
        permit_configuration(rules, settings) &&
        each_endpoint(settings, permit_endpoint, rules) &&
        (!now[WHEN_HOSTS] || pw_landlock_permit_port(rules, DNS_PORT)); /* long answers */
    for (size_t i = 0; good && i < pw_row_count; i++) {
        if (pw_rows[i].base == PW_BASE_SETTINGS && pw_rows[i].type == PW_TYPE_PATH) {
            good = permit_setting(rules, settings, &pw_rows[i]);
        }
    }
    for (size_t i = 0; good && i < settings->channel_count; i++) {
        good = permit_channel(rules, &settings->channels[i]);
    }
    for (size_t i = 0; good && i < PW_COUNT(paths); i++) {
        if (now[paths[i].when]) {
            good = pw_landlock_permit(rules, paths[i].path, paths[i].rights);
        }
    }
    return good;
}
