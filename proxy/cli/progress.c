/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "proxy/cli/screen.h"

enum { BAR = 20, LINE = 160, USUAL_WIDTH = 80 };

static const uint64_t appears_ns = 1000000000;
static const uint64_t redrawn_ns = 100000000;

static bool
is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0';
}

void
pw_progress_start(struct pw_progress *progress, size_t files)
{
    const char *terminal = getenv("TERM");
    bool moves = terminal == NULL || strcmp(terminal, "dumb") != 0;
    *progress = (struct pw_progress){
        .on = isatty(STDERR_FILENO) && moves && !is_set("CI"),
        .start_ns = pw_clock_steady(),
        .files = files,
    };
}

void
pw_progress_hide(struct pw_progress *progress)
{
    if (progress->visible) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        progress->visible = false;
    }
}

/* One column is left free: a cursor behind the last one may wrap. */
static int
columns(void)
{
    struct winsize size = {0};
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    int width = known ? size.ws_col : USUAL_WIDTH;
    return width <= LINE ? width - 1 : LINE - 1;
}

static void
draw(struct pw_progress *progress, uint64_t now_ns)
{
    char bar[BAR + 1], size[PW_QUANTITY_TEXT], rate[PW_QUANTITY_TEXT], line[LINE];
    double seconds = (double)(now_ns - progress->start_ns) / 1e9;
    size_t full = progress->files == 0 ? BAR : progress->done * BAR / progress->files;
    memset(bar, ' ', BAR);
    memset(bar, '#', full < BAR ? full : BAR);
    bar[BAR] = '\0';
    pw_quantity_size((double)progress->bytes, size);
    pw_quantity_size((double)progress->bytes / seconds, rate);
    snprintf(line, sizeof line, "[%s] %zu of %zu files, %s, %s/s, %zu refused", bar,
             progress->done, progress->files, size, rate, progress->refused);
    fprintf(stderr, "\r%.*s\033[K", columns(), line);
    fflush(stderr);
    progress->visible = true;
    progress->drawn_ns = now_ns;
}

void
pw_progress_step(struct pw_progress *progress, uint64_t bytes, bool refused)
{
    progress->done++;
    progress->bytes += bytes;
    progress->refused += refused;
    uint64_t now_ns = progress->on ? pw_clock_steady() : 0;
    if (progress->on && now_ns - progress->start_ns >= appears_ns &&
        now_ns - progress->drawn_ns >= redrawn_ns) {
        draw(progress, now_ns);
    }
}
