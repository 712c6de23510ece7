/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target over files, or over every file of a folder, without libFuzzer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
replay_file(const char *path)
{
    struct pw_buf bytes = {.limit = 64 << 20};
    if (pw_file_read(path, &bytes) != PW_E_OK) {
        pw_buf_free(&bytes);
        return 0; /* a folder, or gone */
    }
    /* An exact copy, so that a sanitizer sees the first byte past the end. */
    uint8_t *exact = malloc(bytes.len + 1);
    if (exact == NULL) {
        abort();
    }
    if (bytes.len > 0) {
        memcpy(exact + 1, bytes.bytes, bytes.len);
    }
    (void)LLVMFuzzerTestOneInput(exact + 1, bytes.len);
    free(exact);
    pw_buf_free(&bytes);
    return 1;
}

static size_t
replay_folder(const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        count += entry->d_name[0] == '.' ? 0 : replay_file(file);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

int
main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        count += replay_folder(argv[i]) + replay_file(argv[i]);
    }
    printf("%zu inputs replayed\n", count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE; /* an empty corpus tests nothing */
}
