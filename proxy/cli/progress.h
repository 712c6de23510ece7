/* SPDX-License-Identifier: Apache-2.0
 *
 * How far long work has come, on the last line of a terminal: standard error, so that the
 * data stays clean. It appears when a second has passed, and nothing is left of it at the
 * end.
 */
#ifndef PW_PROXY_CLI_PROGRESS_H
#define PW_PROXY_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed, it shows nothing. */
struct pw_progress {
    bool on;
    bool visible;
    uint64_t start_ns; /* monotonic */
    uint64_t drawn_ns;
    size_t files; /* in all */
    size_t done;
    uint64_t bytes; /* of those done */
    size_t refused;
};

/*
 * Begin with `files` to do. It stays off unless standard error is a terminal that can move
 * its cursor (TERM is not dumb) and CI is not set.
 */
void pw_progress_start(struct pw_progress *progress, size_t files);

/* Take the line off the terminal, before anything else is written there. */
void pw_progress_hide(struct pw_progress *progress);

/* One file more is done; draw the line when it is time to. */
void pw_progress_step(struct pw_progress *progress, uint64_t bytes, bool refused);

#endif
