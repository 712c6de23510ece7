/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/clients.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

enum {
    CLIENTS_MAX = 10000,
    ADDRESS_MAX = 48,
    ADDRESSES = 8, /* of one client that are noted; from then on he may be anywhere */
    MARK = crypto_generichash_BYTES,
};

struct client {
    uint8_t key[PW_CERT_BYTES];
    char name[PW_CLIENT_NAME];
    size_t address_count; /* ADDRESSES + 1: any */
    char addresses[ADDRESSES][ADDRESS_MAX];
};

struct list {
    struct client *clients; /* sorted by key */
    size_t count;
    size_t cap;
};

struct pw_clients {
    char *folder; /* NULL: everybody */
    struct list now;
    struct list gone;   /* since the last look that found fewer */
    uint8_t mark[MARK]; /* of the folder as it was looked at last */
};

static void
list_free(struct list *list)
{
    free(list->clients);
    *list = (struct list){0};
}

static int
compare(const void *a, const void *b)
{
    return memcmp(((const struct client *)a)->key, ((const struct client *)b)->key,
                  PW_CERT_BYTES);
}

static struct client *
find(const struct list *list, const uint8_t *key)
{
    struct client wanted = {0};
    memcpy(wanted.key, key, sizeof wanted.key);
    return list->count == 0 ? NULL
                            : bsearch(&wanted, list->clients, list->count,
                                      sizeof *list->clients, compare);
}

static bool
list_add(struct list *list, const struct client *client)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 16 : list->cap * 2;
        struct client *clients = realloc(list->clients, cap * sizeof *clients);
        if (clients == NULL) {
            return false;
        }
        list->clients = clients;
        list->cap = cap;
    }
    list->clients[list->count++] = *client;
    return true;
}

/* Not the secret halves that key tools leave beside the public ones. */
static bool
is_wanted(const char *file)
{
    static const char secret[] = "_secret";
    size_t len = strlen(file);
    size_t end = sizeof secret - 1;
    return file[0] != '.' && (len < end || strcmp(file + len - end, secret) != 0);
}

/* What changes when any file does. False when the folder cannot be read. */
static bool
take_mark(const char *folder, uint8_t mark[static MARK], struct pw_why *why)
{
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        (void)pw_fail(why, PW_E_CONFIG, "%s: %s; name a folder that this user may read",
                      folder, strerror(errno));
        return false;
    }
    memset(mark, 0, MARK);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        struct stat info;
        if (!is_wanted(entry->d_name) ||
            fstatat(dirfd(dir), entry->d_name, &info, 0) != 0) {
            continue;
        }
        char facts[NAME_MAX + 128];
        uint8_t one[MARK];
        int len =
            snprintf(facts, sizeof facts, "%s %ju %jd %jd %ld %jd %ld %o", entry->d_name,
                     (uintmax_t)info.st_ino, (intmax_t)info.st_size,
                     (intmax_t)info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                     (intmax_t)info.st_ctim.tv_sec, info.st_ctim.tv_nsec, info.st_mode);
        crypto_generichash(one, sizeof one, (uint8_t *)facts, (size_t)len, NULL, 0);
        for (size_t i = 0; i < MARK; i++) {
            mark[i] ^= one[i]; /* in whatever order the folder gives them */
        }
    }
    closedir(dir);
    return true;
}

static enum pw_err
read_client(const char *folder, const char *file, struct list *list, struct pw_why *why)
{
    char path[PATH_MAX];
    struct pw_cert cert;
    struct client client = {0};
    if (snprintf(path, sizeof path, "%s/%s", folder, file) >= PATH_MAX) {
        return pw_fail(why, PW_E_CONFIG, "%s: the path is too long", folder);
    }
    enum pw_err err = pw_cert_load(path, false, &cert, why);
    if (err != PW_E_OK) {
        return err;
    }
    if (cert.has_secret) {
        pw_cert_wipe(&cert);
        return pw_fail(why, PW_E_CONFIG,
                       "%s: has a secret key, which belongs to the client alone; put his "
                       "public certificate (NAME.key) there instead",
                       path);
    }
    memcpy(client.key, cert.public_key, sizeof client.key);
    snprintf(client.name, sizeof client.name, "%.*s", (int)strcspn(file, "."), file);
    if (list->count == CLIENTS_MAX) {
        return pw_fail(why, PW_E_CONFIG, "%s: more than %d certificates", folder,
                       CLIENTS_MAX);
    }
    return list_add(list, &client) ? PW_E_OK : pw_fail(why, PW_E_NOMEM, "out of memory");
}

static enum pw_err
read_folder(const char *folder, struct list *list, struct pw_why *why)
{
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return pw_fail(why, PW_E_CONFIG, "%s: %s; name a folder that this user may read",
                       folder, strerror(errno));
    }
    enum pw_err err = PW_E_OK;
    for (struct dirent *entry = readdir(dir); err == PW_E_OK && entry != NULL;
         entry = readdir(dir)) {
        if (is_wanted(entry->d_name)) {
            err = read_client(folder, entry->d_name, list, why);
        }
    }
    closedir(dir);
    if (list->count > 0) {
        qsort(list->clients, list->count, sizeof *list->clients, compare);
    }
    return err;
}

/* What is known of clients that stay goes with them; the others are gone. */
static bool
pass_on(const struct list *old, struct list *list, struct list *gone)
{
    for (size_t i = 0; i < old->count; i++) {
        const struct client *before = &old->clients[i];
        struct client *after = find(list, before->key);
        if (after != NULL) {
            after->address_count = before->address_count;
            memcpy(after->addresses, before->addresses, sizeof after->addresses);
        } else if (!list_add(gone, before)) {
            return false;
        }
    }
    return true;
}

struct pw_clients *
pw_clients_open(const char *folder, struct pw_why *why)
{
    struct pw_clients *clients = calloc(1, sizeof *clients);
    if (clients == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    if (strcmp(folder, "*") == 0) {
        return clients;
    }
    clients->folder = strdup(folder);
    if (clients->folder == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        pw_clients_close(&clients);
    } else if (!take_mark(folder, clients->mark, why) ||
               read_folder(folder, &clients->now, why) != PW_E_OK) {
        pw_clients_close(&clients);
    }
    return clients;
}

void
pw_clients_close(struct pw_clients **clients)
{
    if (*clients == NULL) {
        return;
    }
    list_free(&(*clients)->now);
    list_free(&(*clients)->gone);
    free((*clients)->folder);
    free(*clients);
    *clients = NULL;
}

enum pw_clients_news
pw_clients_look(struct pw_clients *clients, struct pw_why *why)
{
    uint8_t mark[MARK];
    struct list list = {0}, gone = {0};
    if (clients->folder == NULL) {
        return PW_CLIENTS_SAME;
    }
    if (!take_mark(clients->folder, mark, why)) {
        memset(mark, 0xff, sizeof mark); /* so that it is told once */
    }
    if (memcmp(mark, clients->mark, sizeof mark) == 0) {
        return PW_CLIENTS_SAME;
    }
    enum pw_err err = read_folder(clients->folder, &list, why);
    if (err == PW_E_OK && !pass_on(&clients->now, &list, &gone)) {
        err = pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    if (err != PW_E_NOMEM) { /* then it is tried again */
        memcpy(clients->mark, mark, sizeof mark);
    }
    if (err != PW_E_OK) {
        list_free(&list);
        list_free(&gone);
        return PW_CLIENTS_REFUSED;
    }
    list_free(&clients->now);
    list_free(&clients->gone);
    clients->now = list;
    clients->gone = gone;
    return gone.count > 0 ? PW_CLIENTS_FEWER : PW_CLIENTS_NEW;
}

static bool
comes_from(const struct client *client, const char *address)
{
    for (size_t i = 0; i < client->address_count && i < ADDRESSES; i++) {
        if (strcmp(client->addresses[i], address) == 0) {
            return true;
        }
    }
    return client->address_count > ADDRESSES;
}

static void
note_address(struct client *client, const char *address)
{
    if (comes_from(client, address)) {
        return;
    }
    if (client->address_count < ADDRESSES && strlen(address) < ADDRESS_MAX) {
        snprintf(client->addresses[client->address_count++], ADDRESS_MAX, "%s", address);
    } else {
        client->address_count = ADDRESSES + 1;
    }
}

const char *
pw_clients_admit(struct pw_clients *clients, const uint8_t key[static PW_CERT_BYTES],
                 const char *address)
{
    if (clients->folder == NULL) {
        return "anybody";
    }
    struct client *client = find(&clients->now, key);
    if (client == NULL) {
        return NULL;
    }
    note_address(client, address);
    return client->name;
}

bool
pw_clients_was_dropped(const struct pw_clients *clients, const char *address)
{
    for (size_t i = 0; i < clients->gone.count; i++) {
        if (comes_from(&clients->gone.clients[i], address)) {
            return true;
        }
    }
    return false;
}

size_t
pw_clients_count(const struct pw_clients *clients)
{
    return clients->now.count;
}
