/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/first.h"

#include <fcntl.h>
#include <stdlib.h>

#include "common/audit/line_read.h"
#include "common/audit/lines.h"
#include "common/base/file.h"

struct pw_first
pw_first_of(const char *path)
{
    struct pw_first first = {.seq = 0};
    struct pw_span text;
    struct pw_line_read line;
    PW_CLEANUP(pw_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct pw_lines *lines = calloc(1, sizeof *lines);
    if (fd < 0 || lines == NULL) {
        free(lines);
        return first;
    }
    lines->fd = fd;
    while (first.chain[0] == '\0' && pw_lines_next(lines, &text)) {
        if (pw_line_read(text, &line)) {
            memcpy(first.chain, line.chain.ptr, line.chain.len);
            first.seq = line.seq;
        }
    }
    free(lines);
    return first;
}
