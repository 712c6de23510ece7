/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/port_zmq.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

enum { PATIENCE_MS = 2000, TRIES = 20, FRAMES = 8 };

/* A port between a producer and a consumer of the test's own. */
struct bench {
    struct pw_port *port;
    void *ctx;
    void *push;
    void *pull;
};

static void *
peer(void *ctx, int kind, const char *address)
{
    int patience = PATIENCE_MS;
    int zero = 0;
    void *socket = zmq_socket(ctx, kind);
    assert_non_null(socket);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience, sizeof patience);
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    assert_int_equal(zmq_connect(socket, address), 0);
    return socket;
}

static struct pw_side
side_over(struct pw_endpoint *endpoint)
{
    return (struct pw_side){.endpoints = endpoint,
                            .count = 1,
                            .hwm = 1000,
                            .buffer = -1,
                            .max_connections = 100,
                            .handshake_ms = 10000};
}

static struct pw_port *
open_port(enum pw_err *err, struct pw_why *why)
{
    static char any[] = "tcp://127.0.0.1:*";
    static struct pw_endpoint endpoint = {.bind = true, .address = any};
    struct pw_side side = side_over(&endpoint);
    struct pw_port_zmq_fault fault;
    return pw_port_zmq_open(
        &(struct pw_port_zmq_options){.in = &side, .out = &side, .max_message_bytes = -1},
        &fault, err, why);
}

static int
set_up(void **state)
{
    static struct bench bench;
    enum pw_err err;
    struct pw_why why = {0};
    bench.port = open_port(&err, &why);
    assert_non_null(bench.port);
    bench.ctx = zmq_ctx_new();
    bench.push = peer(bench.ctx, ZMQ_PUSH, pw_port_zmq_inputs(bench.port));
    bench.pull = peer(bench.ctx, ZMQ_PULL, pw_port_zmq_outputs(bench.port));
    *state = &bench;
    return 0;
}

static int
tear_down(void **state)
{
    struct bench *bench = *state;
    zmq_close(bench->push);
    zmq_close(bench->pull);
    zmq_ctx_term(bench->ctx);
    bench->port->ops->close(&bench->port, 0);
    assert_null(bench->port);
    return 0;
}

static struct pw_message
receive_one(struct bench *bench)
{
    struct pw_message message;
    for (int i = 0; bench->port->ops->receive(bench->port, &message, 1) == 0; i++) {
        assert_true(i < TRIES);
        bench->port->ops->wait(bench->port, PW_READY_IN, PATIENCE_MS);
    }
    return message;
}

static void
send_one(struct bench *bench, struct pw_message *message, const struct pw_edit *edit)
{
    for (int i = 0; !bench->port->ops->send(bench->port, message, edit); i++) {
        assert_true(i < TRIES);
        bench->port->ops->wait(bench->port, PW_READY_OUT, PATIENCE_MS);
    }
}

static void
produce(struct bench *bench, const struct pw_span *frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int flags = i + 1 < count ? ZMQ_SNDMORE : 0;
        assert_int_equal(zmq_send(bench->push, frames[i].ptr, frames[i].len, flags),
                         (int)frames[i].len);
    }
}

/* Take one message and compare it, frame by frame. */
static void
expect(struct bench *bench, const char *name, const struct pw_span *frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        check_case(name, zmq_msg_recv(&msg, bench->pull, 0) >= 0);
        struct pw_span got = {zmq_msg_data(&msg), zmq_msg_size(&msg)};
        check_case(name, pw_span_equal(got, frames[i]));
        check_case(name, zmq_msg_more(&msg) == (i + 1 < count));
        zmq_msg_close(&msg);
    }
}

static uint8_t large[100000];

struct edit_case {
    const char *name;
    struct pw_span in[FRAMES];
    size_t in_count;
    struct pw_edit edit;
    struct pw_span out[FRAMES];
    size_t out_count;
};

/* clang-format off */
static const struct edit_case edit_cases[] = {
    {"a trailer behind the only frame", {BYTES("one")}, 1,
     {.trailer = BYTES("TT")}, {BYTES("oneTT")}, 1},
    {"a trailer behind the first of two", {BYTES("one"), BYTES("two")}, 2,
     {.carrier = 0, .trailer = BYTES("TT")}, {BYTES("oneTT"), BYTES("two")}, 2},
    {"a trailer as a frame", {BYTES("one"), BYTES("two")}, 2,
     {.as_frame = true, .carrier = 1, .trailer = BYTES("TT")},
     {BYTES("one"), BYTES("two"), BYTES("TT")}, 3},
    {"a trailer cut off", {BYTES("one"), BYTES("twoTT")}, 2,
     {.cut = true, .carrier = 1, .keep = 3}, {BYTES("one"), BYTES("two")}, 2},
    {"a trailer cut off and another put on", {BYTES("oneTT")}, 1,
     {.cut = true, .keep = 3, .trailer = BYTES("N")}, {BYTES("oneN")}, 1},
    {"a trailer frame dropped", {BYTES("one"), BYTES("TT")}, 2,
     {.drop_frame = true, .carrier = 0}, {BYTES("one")}, 1},
    {"a trailer frame exchanged", {BYTES("one"), BYTES("TT")}, 2,
     {.drop_frame = true, .as_frame = true, .carrier = 0, .trailer = BYTES("N")},
     {BYTES("one"), BYTES("N")}, 2},
    {"a trailer before the only frame", {BYTES("one")}, 1,
     {.front = true, .trailer = BYTES("TT")}, {BYTES("TTone")}, 1},
    {"a trailer cut off the front", {BYTES("one"), BYTES("TTtwo")}, 2,
     {.cut = true, .carrier = 1, .skip = 2, .keep = 3}, {BYTES("one"), BYTES("two")}, 2},
    {"a trailer at the front exchanged", {BYTES("TTone")}, 1,
     {.cut = true, .skip = 2, .keep = 3, .front = true, .trailer = BYTES("N")},
     {BYTES("None")}, 1},
    {"a trailer frame before the only one", {BYTES("one")}, 1,
     {.as_frame = true, .behind = 1, .trailer = BYTES("TT")},
     {BYTES("TT"), BYTES("one")}, 2},
    {"a trailer frame before the last", {BYTES("a"), BYTES("b"), BYTES("c")}, 3,
     {.as_frame = true, .behind = 1, .trailer = BYTES("TT")},
     {BYTES("a"), BYTES("b"), BYTES("TT"), BYTES("c")}, 4},
    {"the frame before the last dropped", {BYTES("a"), BYTES("TT"), BYTES("c")}, 3,
     {.drop_frame = true, .behind = 1}, {BYTES("a"), BYTES("c")}, 2},
    {"the frame before the last exchanged", {BYTES("a"), BYTES("TT"), BYTES("c")}, 3,
     {.drop_frame = true, .as_frame = true, .behind = 1, .trailer = BYTES("N")},
     {BYTES("a"), BYTES("N"), BYTES("c")}, 3},
    {"a frame in the middle exchanged", {BYTES("a"), BYTES("TT"), BYTES("c")}, 3,
     {.cut = true, .carrier = 1, .trailer = BYTES("N")},
     {BYTES("a"), BYTES("N"), BYTES("c")}, 3},
    {"a large frame cut at its front", {{large, sizeof large}}, 1,
     {.cut = true, .skip = 32, .keep = sizeof large - 32}, {{large + 32, sizeof large - 32}}, 1},
    {"cut to nothing", {BYTES("TT")}, 1, {.cut = true, .keep = 0}, {{NULL, 0}}, 1},
    {"a large frame cut", {{large, sizeof large}}, 1, {.cut = true, .keep = sizeof large - 72},
     {{large, sizeof large - 72}}, 1},
    {"a large frame of several cut", {BYTES("a"), {large, sizeof large}, BYTES("b")}, 3,
     {.cut = true, .carrier = 1, .keep = 50000}, {BYTES("a"), {large, 50000}, BYTES("b")}, 3},
};
/* clang-format on */

static void
an_edited_message_leaves_as_the_edit_says(void **state)
{
    struct bench *bench = *state;
    memset(large, 'L', sizeof large);
    large[32] = 'S';
    for (size_t i = 0; i < PW_COUNT(edit_cases); i++) {
        const struct edit_case *c = &edit_cases[i];
        produce(bench, c->in, c->in_count);
        struct pw_message message = receive_one(bench);
        send_one(bench, &message, &c->edit);
        expect(bench, c->name, c->out, c->out_count);
    }
}

static void
frames_come_out_as_they_went_in(void **state)
{
    struct bench *bench = *state;
    struct pw_span frames[100];
    for (size_t count = 1; count <= PW_COUNT(frames); count += 11) {
        for (size_t i = 0; i < count; i++) {
            frames[i] = (struct pw_span){large, i * count};
        }
        produce(bench, frames, count);
        struct pw_message message = receive_one(bench);
        assert_int_equal(message.count, count);
        size_t bytes = 0;
        for (size_t i = 0; i < count; i++) {
            assert_true(pw_span_equal(message.frames[i], frames[i]));
            bytes += frames[i].len;
        }
        assert_int_equal(message.bytes, bytes);
        send_one(bench, &message, NULL);
        expect(bench, "as it came", frames, count);
    }
}

static void
a_message_of_ours_leaves_like_one_that_came(void **state)
{
    struct bench *bench = *state;
    struct pw_span many[3 * FRAMES];
    struct pw_message message;
    for (size_t i = 0; i < PW_COUNT(many); i++) {
        many[i] = i % 3 == 2 ? (struct pw_span){0} : BYTES("a frame");
    }
    assert_true(bench->port->ops->adopt(bench->port, many, PW_COUNT(many), &message));
    assert_int_equal(message.count, PW_COUNT(many));
    assert_int_equal(message.bytes, 2 * FRAMES * strlen("a frame"));
    assert_null(bench->port->ops->source(&message));
    send_one(bench, &message, NULL);
    expect(bench, "as it is", many, PW_COUNT(many));
    assert_true(bench->port->ops->adopt(bench->port, many, 1, &message));
    send_one(bench, &message, &(struct pw_edit){.trailer = BYTES(" with more")});
    expect(bench, "with a trailer", &BYTES("a frame with more"), 1);
    assert_true(bench->port->ops->adopt(bench->port, many, 1, &message));
    bench->port->ops->release(bench->port, &message);
}

static void
a_message_outlives_later_receives(void **state)
{
    struct bench *bench = *state;
    struct pw_message held[50];
    for (size_t i = 0; i < PW_COUNT(held); i++) {
        uint8_t byte = (uint8_t)i;
        produce(bench, &(struct pw_span){&byte, 1}, 1);
        held[i] = receive_one(bench);
    }
    for (size_t i = 0; i < PW_COUNT(held); i++) {
        assert_int_equal(held[i].frames[0].ptr[0], i);
        if (i % 2 == 0) {
            bench->port->ops->release(bench->port, &held[i]);
            assert_null(held[i].own);
        } else {
            uint8_t byte = (uint8_t)i;
            send_one(bench, &held[i], NULL);
            expect(bench, "held", &(struct pw_span){&byte, 1}, 1);
        }
    }
}

static void
without_a_consumer_a_message_stays_whole(void **state)
{
    struct bench *bench = *state;
    struct pw_span frames[] = {BYTES("one"), BYTES("two")};
    const struct pw_edit edit = {.carrier = 1, .trailer = BYTES("TT")};
    produce(bench, frames, 2);
    struct pw_message message = receive_one(bench);
    zmq_close(bench->pull);
    for (int i = 0; bench->port->ops->wait(bench->port, PW_READY_OUT, 10) != 0; i++) {
        assert_true(i < 1000);
        usleep(1000); /* the farewell is under way */
    }
    assert_false(bench->port->ops->send(bench->port, &message, NULL));
    assert_false(bench->port->ops->send(bench->port, &message, &edit));
    assert_int_equal(message.count, 2);
    assert_true(pw_span_equal(message.frames[0], frames[0]));
    assert_true(pw_span_equal(message.frames[1], frames[1]));
    bench->pull = peer(bench->ctx, ZMQ_PULL, pw_port_zmq_outputs(bench->port));
    send_one(bench, &message, NULL);
    expect(bench, "afterwards", frames, 2);
}

static void
a_drain_ends_when_producers_have_gone_and_keeps_what_they_sent(void **state)
{
    struct bench *bench = *state;
    enum { COUNT = 200 };
    const struct pw_span frame = BYTES("message");
    for (size_t i = 0; i < COUNT; i++) {
        produce(bench, &frame, 1);
    }
    struct pw_message first = receive_one(bench);
    bench->port->ops->release(bench->port, &first);
    bench->port->ops->drain(bench->port);
    size_t got = 1;
    bool drained = false;
    for (int i = 0; i < 1000 && !(drained && got == COUNT); i++) {
        unsigned ready = bench->port->ops->wait(bench->port, PW_READY_IN, 5);
        drained = drained || (ready & PW_READY_DRAINED) != 0;
        struct pw_message messages[COUNT];
        size_t count = bench->port->ops->receive(bench->port, messages, COUNT);
        for (size_t m = 0; m < count; m++) {
            bench->port->ops->release(bench->port, &messages[m]);
        }
        got += count;
    }
    assert_true(drained);
    assert_int_equal(got, COUNT);
    bench->port->ops->shut(bench->port);
    assert_int_equal(bench->port->ops->wait(bench->port, PW_READY_IN, 5) & PW_READY_IN, 0);
}

struct fault_case {
    const char *name;
    const char *address;
    bool out;
    enum pw_err err;
    const char *words;
};

static const struct fault_case fault_cases[] = {
    {"not our address", "tcp://192.0.2.1:5555", false, PW_E_CONFIG,
     "tcp://192.0.2.1:5555: Cannot assign requested address; choose an address"},
    {"the other side", "tcp://192.0.2.1:5555", true, PW_E_CONFIG,
     "tcp://192.0.2.1:5555: Cannot assign requested address; choose an address"},
    {"no address", "nonsense", false, PW_E_CONFIG,
     "nonsense: Invalid argument; write tcp://"},
    {"unknown transport", "carrier://pigeon", false, PW_E_CONFIG,
     "carrier://pigeon: Protocol not supported; write tcp://"},
};

static void
an_endpoint_that_cannot_be_is_named_with_a_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(fault_cases); i++) {
        const struct fault_case *c = &fault_cases[i];
        char address[64];
        char any[] = "tcp://127.0.0.1:*";
        snprintf(address, sizeof address, "%s", c->address);
        struct pw_endpoint bad = {.bind = true, .address = address};
        struct pw_endpoint good = {.bind = true, .address = any};
        struct pw_side in = side_over(c->out ? &good : &bad);
        struct pw_side out = side_over(c->out ? &bad : &good);
        struct pw_port_zmq_fault fault;
        struct pw_why why = {0};
        enum pw_err err;
        struct pw_port *port = pw_port_zmq_open(
            &(struct pw_port_zmq_options){.in = &in, .out = &out, .max_message_bytes = -1},
            &fault, &err, &why);
        check_case(c->name, port == NULL);
        check_case(c->name, err == c->err);
        check_case(c->name, fault.out == c->out && strcmp(fault.setting, "bind") == 0);
        check_case(c->name, strstr(why.text, c->words) == why.text);
    }
}

/* Whatever fails, the message arrives once and nothing leaks. */
static void
pass_one_message(void *state)
{
    (void)state;
    enum pw_err err;
    struct pw_why why;
    struct bench bench = {.port = open_port(&err, &why)};
    if (bench.port == NULL) {
        assert_int_equal(err, PW_E_NOMEM);
        return;
    }
    bench.ctx = zmq_ctx_new();
    bench.push = peer(bench.ctx, ZMQ_PUSH, pw_port_zmq_inputs(bench.port));
    bench.pull = peer(bench.ctx, ZMQ_PULL, pw_port_zmq_outputs(bench.port));
    struct pw_span in[FRAMES];
    for (size_t i = 0; i < FRAMES; i++) {
        in[i] = (struct pw_span){large, 20000 + i};
    }
    produce(&bench, in, FRAMES);
    struct pw_message message = receive_one(&bench);
    send_one(&bench, &message, &(struct pw_edit){.cut = true, .carrier = 2, .keep = 20000});
    in[2].len = 20000;
    expect(&bench, "after a failure", in, FRAMES);
    bench.port->ops->close(&bench.port, 0);
    zmq_close(bench.push);
    zmq_close(bench.pull);
    zmq_ctx_term(bench.ctx);
}

static void
every_allocation_may_fail(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, pass_one_message, NULL)) {
        n++;
    }
    assert_true(n > 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_come_out_as_they_went_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_edited_message_leaves_as_the_edit_says, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_message_of_ours_leaves_like_one_that_came, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_message_outlives_later_receives, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_a_consumer_a_message_stays_whole, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_drain_ends_when_producers_have_gone_and_keeps_what_they_sent, set_up,
            tear_down),
        cmocka_unit_test(an_endpoint_that_cannot_be_is_named_with_a_remedy),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
