/* SPDX-License-Identifier: Apache-2.0
 *
 * libzmq's question whether somebody may connect, and our answer
 * (https://rfc.zeromq.org/spec/27). Bytes in, bytes out; port_zmq_curve.c has the socket.
 */
#ifndef PW_PROXY_ZAP_H
#define PW_PROXY_ZAP_H

#include "proxy/cert.h"

enum { PW_ZAP_FRAMES_MAX = 16, PW_ZAP_REPLY_FRAMES = 6, PW_ZAP_ADDRESS = 48 };

/* What libzmq asks for on a socket. Spans lie in the request. */
struct pw_zap_request {
    struct pw_span id;
    struct pw_span domain;
    char address[PW_ZAP_ADDRESS]; /* of the peer, without its port; "" over ipc */
    bool curve;                   /* the mechanism is CURVE, and there is a key: */
    uint8_t key[PW_CERT_BYTES];
};

/* False when it is no request of version 1.0; the answer is no then, too. */
bool pw_zap_parse(const struct pw_span *frames, size_t count,
                  struct pw_zap_request *request);

/*
 * The frames of the reply, each borrowed from `request` or constant. `name` is under whom
 * the peer is let in; NULL: he is refused.
 */
void pw_zap_reply(const struct pw_zap_request *request, const char *name,
                  struct pw_span out[static PW_ZAP_REPLY_FRAMES]);

#endif
