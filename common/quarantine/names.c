/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <stdlib.h>
#include <string.h>

void
pw_names_free(struct pw_names *names)
{
    pw_buf_free(&names->text);
}

size_t
pw_names_count(const struct pw_names *names)
{
    return names->text.len / names->each;
}

const char *
pw_names_at(const struct pw_names *names, size_t i)
{
    return (const char *)names->text.bytes + i * names->each;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

void
pw_names_sort(struct pw_names *names)
{
    if (names->text.len > 0) {
        qsort(names->text.bytes, pw_names_count(names), names->each, compare_names);
    }
}

static bool
is_made_of(const char *text, size_t len, const char *alphabet)
{
    return strspn(text, alphabet) >= len;
}

bool
pw_is_entry_file(const char *name)
{
    return strlen(name) == PW_ULID_NAME + 5 && strcmp(name + PW_ULID_NAME, ".json") == 0 &&
           is_made_of(name, PW_ULID_NAME, "0123456789ABCDEFGHJKMNPQRSTVWXYZ");
}

bool
pw_is_object_file(const char *name)
{
    return strlen(name) == PW_HEX_NAME && is_made_of(name, PW_HEX_NAME, "0123456789abcdef");
}

bool
pw_is_shelf(const char *name)
{
    return strlen(name) == 2 && is_made_of(name, 2, "0123456789abcdef");
}

enum pw_err
pw_names_gather(int folder, bool (*wanted)(const char *name), const char *prefix,
                struct pw_names *names)
{
    if (folder < 0) {
        return PW_E_OK;
    }
    PW_CLEANUP(pw_folder_done) DIR *dir = pw_folder_read(folder);
    if (dir == NULL) {
        return PW_E_IO;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (!wanted(entry->d_name) || strncmp(entry->d_name, prefix, strlen(prefix)) != 0) {
            continue;
        }
        entry->d_name[names->each - 1] = '\0';
        struct pw_span name = {(const uint8_t *)entry->d_name, names->each};
        enum pw_err err = pw_buf_append(&names->text, name);
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}
