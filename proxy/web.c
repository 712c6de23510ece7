/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/web_inside.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"

enum {
    CLIENTS_MAX = 128,
    HEADER_BYTES = 8192, /* libmicrohttpd's memory of a connection */
    IDLE_S = 5,
    BACKLOG = 128,
};

/* A request must be here after so long, its answer taken after so much more. */
static const uint64_t request_ns = 2000000000;
static const uint64_t answer_ns = 15000000000;

static const struct {
    const char *name;
    const char *value;
} headers[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "
     "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-store"},
    {"Connection", "close"},
};

/* --- one request -----------------------------------------------------------------------
 */

static struct pw_web_reply
reply_to(struct pw_web_client *client, const char *path, const char *method)
{
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return pw_web_say(MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD: nothing here "
                                                       "changes anything");
    }
    const char *host = MHD_lookup_connection_value(client->connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_HOST);
    if (!pw_web_host_fits(client->web, host)) {
        return pw_web_say(MHD_HTTP_MISDIRECTED_REQUEST,
                          "this is not the host that was asked; use its address, or set "
                          "http_name");
    }
    const struct pw_web_path *found = pw_web_find(path);
    return found != NULL ? found->answer(client)
                         : pw_web_say(MHD_HTTP_NOT_FOUND, "nothing stands here");
}

static enum MHD_Result
send_reply(struct pw_web_client *client, const struct pw_web_reply *reply)
{
    for (size_t i = 0; i < PW_COUNT(headers); i++) {
        MHD_add_response_header(reply->response, headers[i].name, headers[i].value);
    }
    if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(reply->response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    enum MHD_Result queued =
        MHD_queue_response(client->connection, reply->status, reply->response);
    MHD_destroy_response(reply->response);
    return queued;
}

static struct pw_web_client *
client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* MHD_AccessHandlerCallback: MHD_NO hangs up. A body is never read. */
static enum MHD_Result
handle(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
       const char *version, const char *upload, size_t *upload_len, void **state)
{
    static char begun;
    struct pw_web *web = arg;
    (void)version, (void)upload;
    if (*state == NULL) {
        *state = &begun; /* the header is here; the end of the request is the next call */
        return MHD_YES;
    }
    struct pw_web_client *client = client_of(connection);
    if (client == NULL || *upload_len > 0) {
        return MHD_NO;
    }
    pthread_mutex_lock(&web->lock);
    client->until = pw_clock_steady() + answer_ns;
    pthread_mutex_unlock(&web->lock);
    struct pw_web_reply reply = reply_to(client, path, method);
    return reply.response != NULL ? send_reply(client, &reply) : MHD_NO;
}

/* --- connections -----------------------------------------------------------------------
 */

static void
add_client(struct pw_web *web, struct MHD_Connection *connection, void **context)
{
    struct pw_web_client *client = calloc(1, sizeof *client);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *context = client; /* NULL: its request will be hung up on */
    if (client == NULL) {
        return;
    }
    client->web = web;
    client->connection = connection;
    client->fd = info != NULL ? info->connect_fd : -1;
    pthread_mutex_lock(&web->lock);
    client->until = pw_clock_steady() + request_ns;
    client->next = web->clients;
    web->clients = client;
    pthread_mutex_unlock(&web->lock);
}

static void
remove_client(struct pw_web *web, struct pw_web_client *client)
{
    pthread_mutex_lock(&web->lock);
    struct pw_web_client **at = &web->clients;
    while (*at != NULL && *at != client) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = client->next;
    }
    web->streams -= client->stream;
    pthread_mutex_unlock(&web->lock);
    pw_buf_free(&client->event);
    free(client);
}

/* MHD_NotifyConnectionCallback: the descriptor is still open when it is told CLOSED. */
static void
note_connection(void *arg, struct MHD_Connection *connection, void **context,
                enum MHD_ConnectionNotificationCode code)
{
    struct pw_web *web = arg;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        add_client(web, connection, context);
    } else if (*context != NULL) {
        remove_client(web, *context);
        *context = NULL;
    }
}

/* Under the lock. Who waits is woken; who has taken too long is cut off. */
static void
look_after(struct pw_web_client *client, uint64_t now)
{
    if (client->waiting) {
        client->waiting = false;
        MHD_resume_connection(client->connection);
    } else if (now > client->until && client->fd >= 0) {
        (void)shutdown(client->fd, SHUT_RDWR);
    }
}

void
pw_web_tick(struct pw_web *web)
{
    uint64_t now = pw_clock_steady();
    pthread_mutex_lock(&web->lock);
    for (struct pw_web_client *it = web->clients; it != NULL; it = it->next) {
        look_after(it, now);
    }
    pthread_mutex_unlock(&web->lock);
}

/* --- open and close --------------------------------------------------------------------
 */

static int
listen_at(const struct addrinfo *found, struct pw_why *why, const char *address)
{
    int yes = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
        return fd;
    }
    (void)pw_fail(why, PW_E_CREATE, "%s: %s; choose a free port of this machine", address,
                  strerror(errno));
    pw_file_close(&fd);
    return -1;
}

static int
open_socket(struct pw_web *web, struct pw_why *why)
{
    const char *address = web->options.address;
    const char *port;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int code = pw_web_split(address, web->host, sizeof web->host, &port)
                   ? getaddrinfo(web->host, port, &hints, &found)
                   : EAI_NONAME;
    if (code != 0) {
        (void)pw_fail(why, PW_E_CREATE, "%s: %s; write an address of this machine", address,
                      gai_strerror(code));
        return -1;
    }
    web->local = pw_web_is_loopback(found->ai_addr);
    int fd = listen_at(found, why, address);
    freeaddrinfo(found);
    return fd;
}

static enum pw_err
start(struct pw_web *web, struct pw_why *why)
{
    int fd = open_socket(web, why);
    if (fd < 0) {
        return PW_E_CREATE;
    }
    web->daemon = MHD_start_daemon(
        MHD_USE_AUTO_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, web,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HEADER_BYTES, MHD_OPTION_NOTIFY_CONNECTION, note_connection, web,
        MHD_OPTION_END);
    if (web->daemon == NULL) {
        pw_file_close(&fd);
        return pw_fail(why, PW_E_OS, "no thread; see `ulimit -u` and `ulimit -n`");
    }
    return PW_E_OK;
}

struct pw_web *
pw_web_open(const struct pw_web_options *options, struct pw_why *why)
{
    struct pw_web *web = calloc(1, sizeof *web);
    if (web == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&web->lock, NULL);
    web->options = *options;
    web->process = pw_process_open();
    enum pw_err err =
        web->process != NULL ? start(web, why) : pw_fail(why, PW_E_NOMEM, "out of memory");
    if (err != PW_E_OK) {
        pw_web_close(&web);
    }
    return web;
}

/* A stream that is suspended would keep libmicrohttpd from ending. */
static void
wake_all(struct pw_web *web)
{
    pthread_mutex_lock(&web->lock);
    web->closing = true;
    for (struct pw_web_client *it = web->clients; it != NULL; it = it->next) {
        it->until = UINT64_MAX;
        look_after(it, 0);
    }
    pthread_mutex_unlock(&web->lock);
}

void
pw_web_close(struct pw_web **web)
{
    if (*web == NULL) {
        return;
    }
    if ((*web)->daemon != NULL) {
        wake_all(*web);
        MHD_stop_daemon((*web)->daemon); /* with the socket it listens on */
    }
    pw_process_close(&(*web)->process);
    pthread_mutex_destroy(&(*web)->lock);
    free(*web);
    *web = NULL;
}

bool
pw_web_is_local(const struct pw_web *web)
{
    return web->local;
}
