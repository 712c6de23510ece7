/* SPDX-License-Identifier: Apache-2.0
 *
 * The two ends of suites.py: send messages through what stands between, and take them.
 *
 *     bench_suites proxy IN OUT
 *     bench_suites flow IN OUT PAYLOAD SECONDS [KEYS KEY]
 *
 * The first is a bare zmq_proxy, until it is killed. The second prints how many messages
 * come through in a second, and how many were sent in all; signed with KEY, if it is named.
 *
 * Signed messages are signed before the clock starts, in batches as large as the suite has
 * them: as they leave a wall that has much to do.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <zmq.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/def.h"
#include "common/base/file.h"
#include "common/sign/sign.h"

enum { PATIENCE_MS = 30000, MOST = 1000000 };

struct trailer {
    uint16_t len;
    uint8_t bytes[PW_TRAILER_MAX];
};

struct ends {
    void *push;
    void *pull;
    struct pw_span payload;
    struct pw_signer *signer; /* NULL: unsigned */
    struct trailer *trailers; /* of the messages to send */
    size_t count;             /* so many */
    size_t total;             /* that came, in all runs */
};

/* Make the trailers of the next `count` messages. */
static bool
sign_all(struct ends *ends)
{
    size_t most = pw_signer_batch(ends->signer);
    uint64_t now = pw_clock_wall();
    for (size_t first = 0; first < ends->count; first += most) {
        size_t end = first + most < ends->count ? first + most : ends->count;
        for (size_t i = first; i < end; i++) {
            size_t slot;
            if (pw_signer_add(ends->signer, &ends->payload, 1, now, &slot) != PW_E_OK) {
                return false;
            }
        }
        pw_signer_close(ends->signer);
        for (size_t i = first; i < end; i++) {
            ends->trailers[i].len = (uint16_t)pw_signer_trailer(ends->signer, i - first,
                                                                ends->trailers[i].bytes);
        }
    }
    return true;
}

static bool
send_signed(const struct ends *ends, const struct trailer *trailer)
{
    zmq_msg_t msg;
    if (zmq_msg_init_size(&msg, ends->payload.len + trailer->len) != 0) {
        return false;
    }
    uint8_t *bytes = zmq_msg_data(&msg);
    memcpy(bytes, ends->payload.ptr, ends->payload.len);
    memcpy(bytes + ends->payload.len, trailer->bytes, trailer->len);
    bool sent = zmq_msg_send(&msg, ends->push, 0) >= 0;
    zmq_msg_close(&msg);
    return sent;
}

static void *
produce(void *arg)
{
    const struct ends *ends = arg;
    bool sent = true;
    for (size_t i = 0; i < ends->count && sent; i++) {
        sent = ends->signer != NULL ? send_signed(ends, &ends->trailers[i])
                                    : zmq_send_const(ends->push, ends->payload.ptr,
                                                     ends->payload.len, 0) >= 0;
    }
    return NULL;
}

/* Whether `count` messages came, all of them of `len` bytes or more. */
static bool
consume(void *pull, size_t count, size_t len)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    size_t got = 0;
    while (got < count && zmq_msg_recv(&msg, pull, 0) >= (int)len) {
        got++;
    }
    zmq_msg_close(&msg);
    return got == count;
}

/* Messages per second, 0 when not all came. */
static double
flow(struct ends *ends, size_t count)
{
    ends->count = count;
    if (ends->signer != NULL) {
        ends->trailers = realloc(ends->trailers, count * sizeof *ends->trailers);
        if (ends->trailers == NULL || !sign_all(ends)) {
            return 0;
        }
    }
    pthread_t thread;
    uint64_t began = pw_clock_steady();
    if (pthread_create(&thread, NULL, produce, ends) != 0) {
        return 0;
    }
    bool all = consume(ends->pull, count, ends->payload.len);
    ends->total += count;
    uint64_t took = pw_clock_steady() - began;
    pthread_join(thread, NULL);
    return all ? (double)count * 1e9 / (double)took : 0;
}

/*
 * How many messages take about `seconds`. More and more go ahead to find out: until
 * connections stand, buffers are full, and a wall that remembers senders knows this one.
 */
static size_t
fit(struct ends *ends, double seconds)
{
    double rate = 0;
    double took = 0;
    for (size_t count = 1; count < MOST && took < seconds / 3; count *= 4) {
        rate = flow(ends, count);
        if (rate == 0) {
            return 1; /* which will not come either */
        }
        took = (double)count / rate;
    }
    double count = rate * seconds;
    return count > MOST ? MOST : count < 2 ? 2 : (size_t)count;
}

static bool
connect_ends(struct ends *ends, void *ctx, const char *in, const char *out)
{
    int patience = PATIENCE_MS;
    int zero = 0;
    ends->push = zmq_socket(ctx, ZMQ_PUSH);
    ends->pull = zmq_socket(ctx, ZMQ_PULL);
    zmq_setsockopt(ends->push, ZMQ_SNDTIMEO, &patience, sizeof patience);
    zmq_setsockopt(ends->push, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(ends->pull, ZMQ_RCVTIMEO, &patience, sizeof patience);
    return zmq_connect(ends->push, in) == 0 && zmq_connect(ends->pull, out) == 0;
}

static int
run_flow(struct ends *ends, const char *in, const char *out, double seconds)
{
    void *ctx = zmq_ctx_new();
    double rate = 0;
    if (connect_ends(ends, ctx, in, out)) {
        rate = flow(ends, fit(ends, seconds));
    }
    zmq_close(ends->push);
    zmq_close(ends->pull);
    zmq_ctx_term(ctx);
    free(ends->trailers);
    printf("%.1f %zu\n", rate, ends->total);
    return rate > 0 ? 0 : 1;
}

static int
run_proxy(const char *in, const char *out)
{
    void *ctx = zmq_ctx_new();
    void *pull = zmq_socket(ctx, ZMQ_PULL);
    void *push = zmq_socket(ctx, ZMQ_PUSH);
    if (zmq_bind(pull, in) == 0 && zmq_bind(push, out) == 0) {
        zmq_proxy(pull, push, NULL);
    }
    perror("bench_suites");
    return 1;
}

int
main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "proxy") == 0) {
        return run_proxy(argv[2], argv[3]);
    }
    if ((argc != 6 && argc != 8) || strcmp(argv[1], "flow") != 0 || sodium_init() < 0) {
        fputs("bench_suites proxy IN OUT, or flow IN OUT PAYLOAD SECONDS [KEYS KEY]\n",
              stderr);
        return 64;
    }
    struct pw_why why = {0};
    PW_CLEANUP(pw_buf_free) struct pw_buf payload = {.limit = (size_t)64 << 20};
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = NULL;
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = NULL;
    if (pw_file_read(argv[4], &payload) != PW_E_OK) {
        perror(argv[4]);
        return 66;
    }
    if (argc == 8) {
        ring = pw_keyring_load(argv[6], &why);
        signer = ring == NULL ? NULL
                              : pw_signer_new(ring, argv[7], "jobs", PW_DIR_FORWARD,
                                              pw_clock_wall() / 1000000, &why);
        if (signer == NULL) {
            fprintf(stderr, "bench_suites: %s\n", why.text);
            return 78;
        }
    }
    struct ends ends = {.payload = pw_buf_span(&payload), .signer = signer};
    return run_flow(&ends, argv[2], argv[3], strtod(argv[5], NULL));
}
