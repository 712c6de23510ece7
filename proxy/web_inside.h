/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the web server share; nobody else includes it.
 */
#ifndef PW_PROXY_WEB_INSIDE_H
#define PW_PROXY_WEB_INSIDE_H

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "proxy/process.h"
#include "proxy/web.h"

/* One connection. All under the server's lock, but for what says otherwise. */
struct pw_web_client {
    struct pw_web_client *next;
    struct MHD_Connection *connection;
    int fd;
    uint64_t until;      /* steady clock: then it is hung up on */
    bool waiting;        /* an event stream that is suspended until there is news */
    bool stream;         /* it counts among the event streams */
    struct pw_web *web;  /* fixed */
    struct pw_buf event; /* the web thread's: what is being sent, */
    size_t sent;         /* so much of it is */
    uint64_t turn;       /* of the board, that it tells */
    uint64_t findings;   /* so many have been told */
};

struct pw_web {
    struct pw_web_options options;
    struct MHD_Daemon *daemon;
    struct pw_process *process; /* the web thread's */
    char host[256];             /* of the address, without brackets */
    bool local;
    pthread_mutex_t lock;
    struct pw_web_client *clients;
    size_t streams;
    bool closing;
};

/* What a request gets: a response with a status, owned by the caller. */
struct pw_web_reply {
    unsigned status;
    struct MHD_Response *response; /* NULL: out of memory */
};

/* A response that owns what `body` holds, which becomes empty. NULL when out of memory. */
struct MHD_Response *pw_web_text(struct pw_buf *body, const char *type);

/* A status with one line of text. */
struct pw_web_reply pw_web_say(unsigned status, const char *line);

/*
 * web_host.c: whether a header `Host` names this server: an address, localhost, the host's
 * own name, that of the settings, or one more. A page of another site that made its name
 * point here (DNS rebinding) sends its own name.
 */
bool pw_web_host_fits(const struct pw_web *web, const char *host);

/* Split HOST:PORT; false when `host` is too small. */
bool pw_web_split(const char *address, char *host, size_t room, const char **port);

/* Of 127.0.0.0/8 or ::1, also when mapped. */
bool pw_web_is_loopback(const struct sockaddr *address);

/* web_answer.c: what stands at a path. NULL: nothing does. */
struct pw_web_path {
    const char *path;
    struct pw_web_reply (*answer)(struct pw_web_client *client);
};
const struct pw_web_path *pw_web_find(const char *path);

/* web_events.c */
struct pw_web_reply pw_web_events(struct pw_web_client *client);

/* web_finding.c */
struct pw_web_reply pw_web_finding(struct pw_web_client *client);

#endif
