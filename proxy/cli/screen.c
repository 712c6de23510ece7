/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/screen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/def.h"

enum { LEAST_WIDTH = 20, MOST_WIDTH = 1000, USUAL_HEIGHT = 24 };

static size_t
from_environment(const char *name)
{
    const char *text = getenv(name);
    unsigned long value = text == NULL ? 0 : strtoul(text, NULL, 10);
    return value >= LEAST_WIDTH && value <= MOST_WIDTH ? value : 0;
}

size_t
pw_screen_width(void)
{
    struct winsize size = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    if (!known) {
        return from_environment("COLUMNS");
    }
    return size.ws_col < LEAST_WIDTH ? LEAST_WIDTH : size.ws_col;
}

size_t
pw_screen_height(void)
{
    struct winsize size = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
    return known ? size.ws_row : USUAL_HEIGHT;
}

bool
pw_screen_moves(void)
{
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

void
pw_quantity_size(double bytes, char out[static PW_QUANTITY_TEXT])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < PW_COUNT(units); unit++) {
        bytes /= 1024;
    }
    snprintf(out, PW_QUANTITY_TEXT, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

void
pw_quantity_count(uint64_t count, char out[static PW_QUANTITY_TEXT])
{
    char digits[PW_QUANTITY_TEXT];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *to = out;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
}
