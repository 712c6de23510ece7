/* SPDX-License-Identifier: Apache-2.0
 *
 * CURVE: our keys, and who may connect. libzmq asks within its context, which is the
 * channel's own, so the channel's own thread answers.
 */
#include "proxy/port_zmq_inside.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "proxy/zap.h"

enum { LOOK_MS = 500, LEAVE_MS = 1000 };

static const uint64_t ns_per_ms = 1000000;

static const char *
domain_of(bool out)
{
    return out ? "out" : "in";
}

/* --- opening ------------------------------------------------------------------------ */

static enum pw_err
open_zap(struct pw_port_zmq *self, struct pw_why *why)
{
    if (self->zap != NULL) {
        return PW_E_OK;
    }
    self->zap = zmq_socket(self->ctx, ZMQ_REP);
    if (self->zap == NULL || !pw_port_zmq_set_int(self->zap, ZMQ_LINGER, 0) ||
        zmq_bind(self->zap, "inproc://zeromq.zap.01") != 0) {
        return pw_fail(why, PW_E_OS, "%s; see `ulimit -n`", zmq_strerror(zmq_errno()));
    }
    return PW_E_OK;
}

enum pw_err
pw_port_zmq_open_curve(struct pw_port_zmq *self, struct pw_watch *watch,
                       const struct pw_side *side, struct pw_port_zmq_fault *fault,
                       struct pw_why *why)
{
    if (side->curve.clients == NULL) {
        return PW_E_OK;
    }
    *fault = (struct pw_port_zmq_fault){.out = watch->out, .setting = "curve.clients"};
    watch->clients = pw_clients_open(side->curve.clients, why);
    return watch->clients != NULL ? open_zap(self, why) : PW_E_CONFIG;
}

static bool
set_key(void *socket, int option, const uint8_t key[static PW_CERT_BYTES])
{
    return zmq_setsockopt(socket, option, key, PW_CERT_BYTES) == 0;
}

static bool
set_server(void *socket, bool out, const struct pw_cert *ours)
{
    const char *domain = domain_of(out);
    return pw_port_zmq_set_int(socket, ZMQ_CURVE_SERVER, 1) &&
           set_key(socket, ZMQ_CURVE_SECRETKEY, ours->secret_key) &&
           zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) == 0;
}

static bool
set_client(void *socket, const struct pw_cert *ours, const struct pw_cert *server)
{
    return pw_port_zmq_set_int(socket, ZMQ_CURVE_SERVER, 0) &&
           set_key(socket, ZMQ_CURVE_SERVERKEY, server->public_key) &&
           set_key(socket, ZMQ_CURVE_PUBLICKEY, ours->public_key) &&
           set_key(socket, ZMQ_CURVE_SECRETKEY, ours->secret_key);
}

enum pw_err
pw_port_zmq_use_curve(const struct pw_side *side, bool out, bool bind, void *socket,
                      struct pw_why *why)
{
    PW_CLEANUP(pw_cert_wipe) struct pw_cert ours = {0};
    PW_CLEANUP(pw_cert_wipe) struct pw_cert server = {0};
    if (side->curve.key == NULL) {
        return PW_E_OK;
    }
    enum pw_err err = pw_cert_load(side->curve.key, true, &ours, why);
    if (err == PW_E_OK && !bind) {
        err = pw_cert_load(side->curve.server, false, &server, why);
    }
    if (err != PW_E_OK) {
        return err;
    }
    bool set = bind ? set_server(socket, out, &ours) : set_client(socket, &ours, &server);
    return set ? PW_E_OK
               : pw_fail(why, PW_E_CRYPTO,
                         "libzmq takes no CURVE keys: %s; install one that is built with "
                         "libsodium",
                         zmq_strerror(zmq_errno()));
}

/* --- who may connect ---------------------------------------------------------------- */

static struct pw_watch *
watch_of(struct pw_port_zmq *self, const struct pw_zap_request *request)
{
    bool out = pw_span_equal(request->domain, pw_span_str(domain_of(true)));
    return out ? &self->out : &self->in;
}

/*
 * libzmq leaves whom we refuse waiting until the time for handshakes is over. Let him go at
 * once, so that he can try again; a neighbour who is mistaken for him does so, too.
 */
static void
turn_away(struct pw_watch *watch, const struct pw_zap_request *request)
{
    struct pw_conn *conn = pw_conn_likely(watch, request->address);
    PW_CLEANUP(pw_file_close) int fd = conn == NULL ? -1 : pw_conn_open(conn);
    if (fd >= 0) {
        conn->refused = true;
        shutdown(fd, SHUT_RDWR); /* fails only when the connection is gone */
    }
}

static void
tell_refusal(struct pw_port_zmq *self, const struct pw_watch *watch,
             const struct pw_zap_request *request)
{
    char key[PW_CERT_TEXT] = "";
    if (request->curve) {
        pw_cert_text(request->key, key);
    }
    pw_peers_tell(self->peers, &(struct pw_peer_event){
                                   .what = PW_PEER_REFUSED,
                                   .out = watch->out,
                                   .address = request->address,
                                   .key = key,
                                   .why = "its key is not among curve.clients",
                               });
}

static void
send_reply(struct pw_port_zmq *self, const struct pw_zap_request *request, const char *name)
{
    struct pw_span reply[PW_ZAP_REPLY_FRAMES];
    pw_zap_reply(request, name, reply);
    for (size_t i = 0; i < PW_ZAP_REPLY_FRAMES; i++) {
        int more = i + 1 < PW_ZAP_REPLY_FRAMES ? ZMQ_SNDMORE : 0;
        /* Who asked may be gone; then nobody waits for it. */
        zmq_send(self->zap, reply[i].ptr, reply[i].len, ZMQ_DONTWAIT | more);
    }
}

static void
answer(struct pw_port_zmq *self, const struct pw_span *frames, size_t count)
{
    struct pw_zap_request request;
    if (!pw_zap_parse(frames, count, &request)) {
        send_reply(self, &request, NULL);
        return;
    }
    struct pw_watch *watch = watch_of(self, &request);
    const char *name = NULL;
    if (request.curve && watch->clients != NULL) {
        name = pw_clients_admit(watch->clients, request.key, request.address);
    }
    send_reply(self, &request, name);
    if (name == NULL) {
        pw_port_zmq_read_events(self); /* his connection was told before he asked */
        tell_refusal(self, watch, &request);
        turn_away(watch, &request);
    }
}

/* Take one request; what is longer than any is read to its end, and fits none. */
static bool
serve_one(struct pw_port_zmq *self)
{
    zmq_msg_t msgs[PW_ZAP_FRAMES_MAX];
    struct pw_span frames[PW_ZAP_FRAMES_MAX];
    size_t count = 0;
    for (bool more = true; more;) {
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        if (zmq_msg_recv(&msg, self->zap, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&msg);
            return false; /* a message is there whole, or not at all: this was the first */
        }
        more = zmq_msg_more(&msg);
        if (count < PW_ZAP_FRAMES_MAX) {
            zmq_msg_init(&msgs[count]);
            zmq_msg_move(&msgs[count++], &msg);
        }
        zmq_msg_close(&msg);
    }
    for (size_t i = 0; i < count; i++) {
        frames[i] = (struct pw_span){zmq_msg_data(&msgs[i]), zmq_msg_size(&msgs[i])};
    }
    answer(self, frames, count);
    for (size_t i = 0; i < count; i++) {
        zmq_msg_close(&msgs[i]);
    }
    return true;
}

void
pw_port_zmq_serve_zap(struct pw_port_zmq *self)
{
    uint64_t until = pw_clock_steady() + PW_MOMENT_NS;
    while (self->zap != NULL && serve_one(self) && pw_clock_steady() < until) {
    }
}

/* --- the list changes --------------------------------------------------------------- */

/* Some former client has come from where this connection comes from. */
static bool
may_be_gone(const struct pw_watch *watch, const struct pw_conn *conn)
{
    char host[PW_CONN_PEER];
    const char *colon = strrchr(conn->peer, ':');
    size_t skip = conn->peer[0] == '[';
    size_t len = colon == NULL ? 0 : (size_t)(colon - conn->peer) - 2 * skip;
    snprintf(host, sizeof host, "%.*s", (int)len, conn->peer + skip);
    return pw_clients_was_dropped(watch->clients, host);
}

/*
 * Who has left the list loses his connections, and so do others who share an address with
 * him: they connect again at once. A producer is asked to stop first, as in the drain, so
 * that what he wrote arrives; who does not heed that is cut off.
 */
static void
send_away(struct pw_watch *watch, uint64_t now)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct pw_conn *conn = &watch->conns[i];
        PW_CLEANUP(pw_file_close)
        int fd = may_be_gone(watch, conn) ? pw_conn_open(conn) : -1;
        if (fd >= 0 && !conn->leaving) {
            conn->leaving = true;
            conn->leave_at = now + LEAVE_MS * ns_per_ms;
            shutdown(fd, watch->out ? SHUT_RDWR : SHUT_WR);
        }
    }
}

static void
cut_off_the_slow(struct pw_port_zmq *self, struct pw_watch *watch, uint64_t now)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct pw_conn *conn = &watch->conns[i];
        if (conn->leaving && now >= conn->leave_at) {
            pw_conn_shed(self, watch, conn, "its key is no longer among curve.clients", 0);
        }
    }
}

static void
look_at_side(struct pw_port_zmq *self, struct pw_watch *watch, uint64_t now)
{
    struct pw_why why = {0};
    if (watch->clients == NULL) {
        return;
    }
    switch (pw_clients_look(watch->clients, &why)) {
    case PW_CLIENTS_FEWER:
        send_away(watch, now);
        break;
    case PW_CLIENTS_REFUSED:
        pw_log(PW_LOG_ERROR, "curve.clients: %s; the list that was in force stays",
               why.text);
        break;
    case PW_CLIENTS_NEW:
    case PW_CLIENTS_SAME:
        break;
    }
    cut_off_the_slow(self, watch, now);
}

void
pw_port_zmq_look_at_clients(struct pw_port_zmq *self, uint64_t now)
{
    if (now < self->look_at) {
        return;
    }
    self->look_at = now + LOOK_MS * ns_per_ms;
    look_at_side(self, &self->in, now);
    look_at_side(self, &self->out, now);
}
