/* SPDX-License-Identifier: Apache-2.0
 *
 * Where main leaves what the wall shows of itself, once a second, and where the web thread
 * finds it: one snapshot, and how much each channel did in the last two minutes.
 */
#ifndef PW_PROXY_BOARD_H
#define PW_PROXY_BOARD_H

#include "common/base/json.h"
#include "proxy/metrics.h"
#include "proxy/recent.h"

struct pw_board;

/* `recent` is borrowed. NULL when out of memory. */
struct pw_board *pw_board_new(struct pw_recent *recent);
void pw_board_free(struct pw_board **board);

/*
 * Hand over a snapshot: what it owns is the board's now, *metrics becomes zero. From one
 * thread.
 */
void pw_board_put(struct pw_board *board, struct pw_metrics *metrics);

/* How many snapshots there were. */
uint64_t pw_board_turn(struct pw_board *board);

/* How long ago the last one came, in ns; UINT64_MAX before the first. */
uint64_t pw_board_age(struct pw_board *board);

/* Borrow the snapshot, zero before the first, until it is given back; main waits for that.
 */
const struct pw_metrics *pw_board_take(struct pw_board *board);
void pw_board_give_back(struct pw_board *board);

/*
 * The members of the page's event (README.md): the whole snapshot, and of the findings
 * those behind the `after` first ones. How many findings there were so far.
 */
uint64_t pw_board_write(struct pw_board *board, uint64_t after, struct pw_json *json);

#endif
