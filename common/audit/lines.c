/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/lines.h"

#include <errno.h>
#include <unistd.h>

/* More bytes behind those that are there. */
static void
fill(struct pw_lines *lines)
{
    if (lines->start > 0) {
        memmove(lines->room, lines->room + lines->start, lines->len);
        lines->start = 0;
    }
    ssize_t got;
    do {
        got = read(lines->fd, lines->room + lines->len, sizeof lines->room - lines->len);
    } while (got < 0 && errno == EINTR);
    lines->failed = got < 0;
    lines->at_end = got <= 0;
    lines->len += got > 0 ? (size_t)got : 0;
}

static const uint8_t *
find_end(const struct pw_lines *lines)
{
    return lines->len == 0 ? NULL : memchr(lines->room + lines->start, '\n', lines->len);
}

/* The rest of a line that is too long. */
static void
skip(struct pw_lines *lines)
{
    const uint8_t *end = NULL;
    while (end == NULL && !lines->at_end) {
        lines->start = lines->len = 0;
        fill(lines);
        end = find_end(lines);
    }
    size_t rest = end == NULL ? lines->len : (size_t)(end - lines->room) + 1;
    lines->ended = end != NULL;
    lines->start = rest;
    lines->len -= rest;
}

bool
pw_lines_next(struct pw_lines *lines, struct pw_span *line)
{
    static const uint8_t too_long[PW_LINES_ROOM];
    const uint8_t *end = find_end(lines);
    while (end == NULL && !lines->at_end && lines->len < sizeof lines->room) {
        fill(lines);
        end = find_end(lines);
    }
    if (lines->failed || (end == NULL && lines->len == 0)) {
        return false;
    }
    lines->number++;
    lines->ended = end != NULL;
    *line = (struct pw_span){lines->room + lines->start,
                             end == NULL ? lines->len
                                         : (size_t)(end - lines->room) - lines->start};
    if (end == NULL && lines->len == sizeof lines->room) {
        *line = (struct pw_span){too_long, sizeof too_long}; /* no line of ours anyway */
        skip(lines);
        return true;
    }
    lines->start += line->len + lines->ended;
    lines->len -= line->len + lines->ended;
    return true;
}
