/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/port_zmq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/file.h"
#include "proxy/port_zmq_inside.h"

enum {
    NAMES_LIMIT = 65536,
    COMMAND_MAX = 8192, /* bytes: a consumer sends handshakes and heartbeats, no more */
    KEEPALIVE_IDLE_S = 60,
    KEEPALIVE_INTERVAL_S = 10,
    KEEPALIVE_COUNT = 6,
};

static const struct {
    int number;
    enum pw_err err;
    const char *remedy;
} faults[] = {
    {EADDRINUSE, PW_E_BUSY, "stop the program that has it, or choose another"},
    {EADDRNOTAVAIL, PW_E_CONFIG, "choose an address of this machine, or 0.0.0.0 for all"},
    {ENODEV, PW_E_CONFIG, "choose an address or interface of this machine"},
    {EACCES, PW_E_PERM, "choose a port above 1023 or a folder that you may write"},
    {ENOENT, PW_E_CONFIG, "make the folder first"},
    {ENAMETOOLONG, PW_E_CONFIG, "choose a path of less than 108 characters"},
    {EINVAL, PW_E_CONFIG, "write tcp://ADDRESS:PORT, tcp://[IPV6]:PORT or ipc://PATH"},
    {EPROTONOSUPPORT, PW_E_CONFIG, "write tcp://ADDRESS:PORT or ipc://PATH"},
};

static enum pw_err
refused(const char *address, int number, struct pw_why *why)
{
    for (size_t i = 0; i < PW_COUNT(faults); i++) {
        if (faults[i].number == number) {
            return pw_fail(why, faults[i].err, "%s: %s; %s", address, zmq_strerror(number),
                           faults[i].remedy);
        }
    }
    return pw_fail(why, PW_E_OS, "%s: %s; see the system's log", address,
                   zmq_strerror(number));
}

/* libzmq takes a path away from the program that serves it, without a word. */
static bool
path_is_served(const char *address)
{
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    if (strncmp(address, "ipc://", 6) != 0 || address[6] == '@' ||
        strlen(address + 6) >= sizeof peer.sun_path) {
        return false;
    }
    memcpy(peer.sun_path, address + 6, strlen(address + 6) + 1);
    PW_CLEANUP(pw_file_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0;
}

static enum pw_err
note_name(struct pw_buf *names, const char *text)
{
    names->limit = NAMES_LIMIT;
    if (names->len > 0) {
        names->len--; /* the NUL */
        enum pw_err err = pw_buf_append(names, pw_span_str(", "));
        if (err != PW_E_OK) {
            return err;
        }
    }
    return pw_buf_append(names, (struct pw_span){(const uint8_t *)text, strlen(text) + 1});
}

/* tcp://1.2.3.4:5: an IPv6 socket would show it as ::ffff:1.2.3.4, if the machine has one.
 */
static bool
is_ipv4(const char *address)
{
    static const char tcp[] = "tcp://";
    size_t start = sizeof tcp - 1;
    return strncmp(address, tcp, start) == 0 &&
           address[start + strspn(address + start, "0123456789.")] == ':';
}

/* What attaching an endpoint needs to know of its side. */
struct port_side {
    bool out;
    const struct pw_side *side;
    void *socket;
    struct pw_buf *names;
};

static enum pw_err
attach(void *socket, const struct pw_endpoint *endpoint, struct pw_buf *names,
       struct pw_why *why)
{
    if (endpoint->bind && path_is_served(endpoint->address)) {
        return refused(endpoint->address, EADDRINUSE, why);
    }
    pw_port_zmq_set_int(socket, ZMQ_IPV6,
                        !is_ipv4(endpoint->address)); /* counts for what follows */
    int rc = endpoint->bind ? zmq_bind(socket, endpoint->address)
                            : zmq_connect(socket, endpoint->address);
    if (rc != 0) {
        return refused(endpoint->address, zmq_errno(), why);
    }
    char actual[1024];
    size_t size = sizeof actual;
    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, actual, &size) != 0) {
        return refused(endpoint->address, zmq_errno(), why);
    }
    enum pw_err err = note_name(names, actual);
    return err == PW_E_OK ? err : pw_fail(why, err, "%s: out of memory", actual);
}

/* The names tell each endpoint's real address, which zmq_unbind wants. */
static enum pw_err
note_input(struct pw_port_zmq *self, const struct pw_endpoint *endpoint, size_t from,
           struct pw_why *why)
{
    const char *names = (const char *)self->in_names.bytes;
    struct pw_address *input = &self->inputs[self->input_count];
    input->bind = endpoint->bind;
    input->text = names == NULL ? NULL : strdup(names + (from == 0 ? 0 : from + 1));
    if (input->text == NULL) {
        return pw_fail(why, PW_E_NOMEM, "%s: out of memory", endpoint->address);
    }
    self->input_count++;
    return PW_E_OK;
}

/* Attach one endpoint of a side, with its keys. */
static enum pw_err
attach_endpoint(struct port_side *at, const struct pw_endpoint *endpoint,
                struct pw_port_zmq_fault *fault, struct pw_why *why)
{
    *fault = (struct pw_port_zmq_fault){.out = at->out, .setting = "curve.key"};
    enum pw_err err =
        pw_port_zmq_use_curve(at->side, at->out, endpoint->bind, at->socket, why);
    if (err != PW_E_OK) {
        return err;
    }
    fault->setting = endpoint->bind ? "bind" : "connect";
    return attach(at->socket, endpoint, at->names, why);
}

static enum pw_err
attach_outputs(struct pw_port_zmq *self, const struct pw_side *side,
               struct pw_port_zmq_fault *fault, struct pw_why *why)
{
    struct port_side at = {true, side, self->push, &self->out_names};
    enum pw_err err = pw_port_zmq_open_curve(self, &self->out, side, fault, why);
    for (size_t i = 0; err == PW_E_OK && i < side->count; i++) {
        err = attach_endpoint(&at, &side->endpoints[i], fault, why);
    }
    return err;
}

static enum pw_err
attach_inputs(struct pw_port_zmq *self, const struct pw_side *side,
              struct pw_port_zmq_fault *fault, struct pw_why *why)
{
    struct port_side at = {false, side, self->pull, &self->in_names};
    self->inputs = calloc(side->count, sizeof *self->inputs);
    if (self->inputs == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    enum pw_err err = pw_port_zmq_open_curve(self, &self->in, side, fault, why);
    for (size_t i = 0; err == PW_E_OK && i < side->count; i++) {
        size_t from = self->in_names.len;
        err = attach_endpoint(&at, &side->endpoints[i], fault, why);
        err = err == PW_E_OK ? note_input(self, &side->endpoints[i], from, why) : err;
    }
    return err;
}

/* For both sides: a peer that has vanished without a word is noticed after two minutes. */
static bool
set_patience(void *socket, const struct pw_side *side)
{
    return pw_port_zmq_set_int(socket, ZMQ_HANDSHAKE_IVL, side->handshake_ms) &&
           pw_port_zmq_set_int(socket, ZMQ_TCP_KEEPALIVE, 1) &&
           pw_port_zmq_set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S) &&
           pw_port_zmq_set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL_S) &&
           pw_port_zmq_set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT);
}

static bool
set_up_input(struct pw_port_zmq *self, const struct pw_port_zmq_options *options)
{
    int64_t most = options->max_message_bytes;
    self->hwm = options->in->hwm + options->in->hwm % 2; /* see widen */
    self->pull = zmq_socket(self->ctx, ZMQ_PULL);
    return self->pull != NULL && pw_port_zmq_set_int(self->pull, ZMQ_LINGER, 0) &&
           pw_port_zmq_set_int(self->pull, ZMQ_RCVHWM, self->hwm) &&
           pw_port_zmq_set_int(self->pull, ZMQ_RCVBUF, options->in->buffer) &&
           set_patience(self->pull, options->in) &&
           zmq_setsockopt(self->pull, ZMQ_MAXMSGSIZE, &most, sizeof most) == 0;
}

static bool
set_up_output(struct pw_port_zmq *self, const struct pw_port_zmq_options *options)
{
    static const int64_t most = COMMAND_MAX;
    self->push = zmq_socket(self->ctx, ZMQ_PUSH);
    /* IMMEDIATE: what no consumer is there to take stays with us, where it can be kept. */
    return self->push != NULL && set_patience(self->push, options->out) &&
           pw_port_zmq_set_int(self->push, ZMQ_LINGER, 0) &&
           zmq_setsockopt(self->push, ZMQ_MAXMSGSIZE, &most, sizeof most) == 0 &&
           pw_port_zmq_set_int(self->push, ZMQ_IMMEDIATE, 1) &&
           pw_port_zmq_set_int(self->push, ZMQ_SNDHWM, options->out->hwm) &&
           pw_port_zmq_set_int(self->push, ZMQ_SNDBUF, options->out->buffer);
}

/* Without a limit on the monitor's queue, or a storm of connections would stall libzmq. */
static bool
set_up_watch(struct pw_port_zmq *self, struct pw_watch *watch, const struct pw_side *side)
{
    int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED |
                 ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_ACCEPT_FAILED |
                 ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
    const char *address = watch->out ? "inproc://output" : "inproc://input";
    watch->most = (size_t)side->max_connections;
    watch->patience_ms = side->handshake_ms;
    watch->curve = side->curve.key != NULL;
    watch->socket = zmq_socket(self->ctx, ZMQ_PAIR);
    return watch->socket != NULL && pw_port_zmq_set_int(watch->socket, ZMQ_RCVHWM, 0) &&
           zmq_socket_monitor(watch->out ? self->push : self->pull, address, events) == 0 &&
           zmq_connect(watch->socket, address) == 0;
}

static enum pw_err
open_all(struct pw_port_zmq *self, const struct pw_port_zmq_options *options,
         struct pw_port_zmq_fault *fault, struct pw_why *why)
{
    /* A context of its own: only ending it says that the output was delivered. */
    self->ctx = zmq_ctx_new();
    if (self->ctx == NULL || !set_up_input(self, options) ||
        !set_up_watch(self, &self->in, options->in) || !set_up_output(self, options) ||
        !set_up_watch(self, &self->out, options->out)) {
        return pw_fail(why, PW_E_OS, "sockets: %s; see `ulimit -n`",
                       zmq_strerror(zmq_errno()));
    }
    enum pw_err err = attach_outputs(self, options->out, fault, why);
    return err == PW_E_OK ? attach_inputs(self, options->in, fault, why) : err;
}

struct pw_port *
pw_port_zmq_open(const struct pw_port_zmq_options *options, struct pw_port_zmq_fault *fault,
                 enum pw_err *err, struct pw_why *why)
{
    *fault = (struct pw_port_zmq_fault){0};
    struct pw_port_zmq *self = calloc(1, sizeof *self);
    if (self == NULL) {
        *err = pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    self->port.ops = &pw_port_zmq_ops;
    self->control = options->control;
    self->peers = options->peers != NULL ? options->peers : &self->no_peers;
    self->out.out = true;
    pw_port_zmq_open_memory(self, options->max_rss);
    *err = open_all(self, options, fault, why);
    struct pw_port *port = &self->port;
    if (*err != PW_E_OK) {
        pw_port_zmq_close(&port, 0);
    }
    return port;
}

const char *
pw_port_zmq_inputs(const struct pw_port *port)
{
    return (const char *)((const struct pw_port_zmq *)port)->in_names.bytes;
}

const char *
pw_port_zmq_outputs(const struct pw_port *port)
{
    return (const char *)((const struct pw_port_zmq *)port)->out_names.bytes;
}
