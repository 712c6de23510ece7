/* SPDX-License-Identifier: Apache-2.0
 *
 * /events: server-sent events
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html), one whenever the board
 * has a new snapshot.
 */
#include "proxy/web_inside.h"

#include <string.h>

#include "common/base/clock.h"

enum { STREAMS_MAX = 16, EVENT_LIMIT = 4 << 20, PIECE = 16384, PATIENCE_S = 15 };

static const uint64_t ns_per_s = 1000000000;

static enum pw_err
append(struct pw_buf *out, const char *text)
{
    return pw_buf_append(out, pw_span_str(text));
}

/* What the client does not know yet. Without memory it gets the next one. */
static void
make_event(struct pw_web_client *client, uint64_t turn)
{
    struct pw_board *board = client->web->options.board;
    struct pw_buf *event = &client->event;
    pw_buf_clear(event);
    client->sent = 0;
    client->turn = turn;
    enum pw_err err = append(event, "data: ");
    struct pw_json json = {.out = event, .err = err};
    pw_json_object(&json, NULL);
    uint64_t findings = pw_board_write(board, client->findings, &json);
    pw_json_end_object(&json);
    if (json.err == PW_E_OK && append(event, "\n\n") == PW_E_OK) {
        client->findings = findings;
    } else {
        pw_buf_clear(event);
    }
}

/* False when there is none: then the connection rests until the next tick. */
static bool
next_event(struct pw_web_client *client)
{
    uint64_t turn = pw_board_turn(client->web->options.board);
    if (turn > client->turn) {
        make_event(client, turn);
    }
    return client->sent < client->event.len;
}

/* MHD_ContentReaderCallback, in the web thread. */
static ssize_t
read_events(void *arg, uint64_t at, char *out, size_t room)
{
    struct pw_web_client *client = arg;
    struct pw_web *web = client->web;
    (void)at;
    bool more = client->sent < client->event.len || next_event(client);
    pthread_mutex_lock(&web->lock);
    bool closing = web->closing;
    client->until = pw_clock_steady() + PATIENCE_S * ns_per_s;
    if (!more && !closing) {
        client->waiting = true;
        MHD_suspend_connection(client->connection);
    }
    pthread_mutex_unlock(&web->lock);
    if (!more) {
        return closing ? MHD_CONTENT_READER_END_OF_STREAM : 0;
    }
    size_t len = client->event.len - client->sent;
    len = len < room ? len : room;
    memcpy(out, client->event.bytes + client->sent, len);
    client->sent += len;
    return (ssize_t)len;
}

/* One place in the house; false when all are taken. */
static bool
take_place(struct pw_web_client *client)
{
    struct pw_web *web = client->web;
    pthread_mutex_lock(&web->lock);
    bool free = web->streams < STREAMS_MAX && !web->closing;
    web->streams += free;
    client->stream = free;
    pthread_mutex_unlock(&web->lock);
    return free;
}

struct pw_web_reply
pw_web_events(struct pw_web_client *client)
{
    if (!take_place(client)) {
        return pw_web_say(MHD_HTTP_SERVICE_UNAVAILABLE,
                          "as many pages are open as the wall serves; close one");
    }
    client->event.limit = EVENT_LIMIT;
    struct pw_web_reply reply = {
        MHD_HTTP_OK, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, read_events,
                                                       client, NULL)};
    if (reply.response != NULL) {
        MHD_add_response_header(reply.response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                "text/event-stream");
    }
    return reply;
}
