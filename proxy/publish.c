/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/publish.h"

#include <stdio.h>
#include <stdlib.h>

#include <czmq.h>
#include <zmq.h>

enum {
    LINES_MAX = 1000,
    TOPIC_MAX = 128,
    COMMAND_MAX = 8192, /* what a subscriber may send at once: a handshake, a topic */
};

struct pw_publish {
    zsock_t *socket;
};

struct pw_publish *
pw_publish_open(const char *endpoint, struct pw_why *why)
{
    struct pw_publish *publish = calloc(1, sizeof *publish);
    zsock_t *socket = publish == NULL ? NULL : zsock_new(ZMQ_PUB);
    if (socket == NULL) {
        free(publish);
        (void)pw_fail(why, PW_E_OS, "no socket: %s; see `ulimit -n`", zmq_strerror(errno));
        return NULL;
    }
    publish->socket = socket;
    zsock_set_ipv6(socket, 1);
    zsock_set_linger(socket, 0);
    zsock_set_maxmsgsize(socket, COMMAND_MAX);
    zsock_set_sndhwm(socket, LINES_MAX); /* of a subscriber */
    if (zsock_bind(socket, "%s", endpoint) == -1) {
        (void)pw_fail(why, PW_E_CREATE, "%s: %s", endpoint, zmq_strerror(errno));
        pw_publish_close(&publish);
        return NULL;
    }
    return publish;
}

void
pw_publish_close(struct pw_publish **publish)
{
    if (*publish != NULL) {
        zsock_destroy(&(*publish)->socket);
        free(*publish);
        *publish = NULL;
    }
}

const char *
pw_publish_endpoint(const struct pw_publish *publish)
{
    return zsock_endpoint(publish->socket);
}

bool
pw_publish_send(void *arg, const struct pw_audit_copy *line)
{
    struct pw_publish *publish = arg;
    void *socket = zsock_resolve(publish->socket);
    char topic[TOPIC_MAX];
    const char *what = line->record->event == PW_EVENT_FRAME
                           ? pw_verdict_text((enum pw_verdict)line->record->verdict)
                           : pw_audit_event_text(line->record);
    int len = snprintf(topic, sizeof topic, "%s/%.*s", what, TOPIC_MAX / 2, line->chan);
    return zmq_send(socket, topic, (size_t)len, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0 &&
           zmq_send(socket, line->line.ptr, line->line.len, ZMQ_DONTWAIT) >= 0;
}
