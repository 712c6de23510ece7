/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP server for metrics, health and the status page, on libmicrohttpd, whose one
 * thread answers everything. It only reads: there is no request that changes anything.
 * README.md tells what it answers, and what it allows a client to take.
 */
#ifndef PW_PROXY_WEB_H
#define PW_PROXY_WEB_H

#include "common/base/err.h"
#include "proxy/board.h"

/* All borrowed until the server is closed. */
struct pw_web_options {
    const char *address; /* HOST:PORT */
    const char *name;    /* one more name that a request may be for; or NULL */
    struct pw_board *board;
    struct pw_recent *recent;
    const char *quarantine; /* folder of the store, which is only read */
};

struct pw_web;

/* Listen, and answer. NULL with a sentence that does not name the setting. */
struct pw_web *pw_web_open(const struct pw_web_options *options, struct pw_why *why);

/* Ends open requests. *web becomes NULL; a NULL *web is fine. Before what it borrowed. */
void pw_web_close(struct pw_web **web);

/*
 * From the thread that fills the board, once a second: tell the pages that there is news,
 * and hang up on who takes too long.
 */
void pw_web_tick(struct pw_web *web);

/* Whether only this machine can reach it. */
bool pw_web_is_local(const struct pw_web *web);

#endif
