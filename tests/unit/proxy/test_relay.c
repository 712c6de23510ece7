/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sodium.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/policy/policy.h"
#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

static const struct pw_span good = BYTES("\x80\x04K\x01.");
static const struct pw_span evil = BYTES("cposix\nsystem\n.");

enum { MESSAGES_MAX = 1000 };

/* A transport in memory: a script of what comes in, and how willing the output is. */
struct script {
    struct pw_port port;
    const char *in;     /* 'g' good, 'e' evil */
    size_t next;        /* of `in` */
    size_t takes;       /* messages that the output takes until the next wait for it */
    size_t takes_more;  /* and after each such wait */
    size_t stop_at;     /* order DRAIN when so many have been received; see `order` */
    size_t now_at_wait; /* order NOW at the n-th wait after that; 0: never */
    size_t waits;
    size_t disk_fails; /* waits until the disk works again; 0: it does */
    char sent[MESSAGES_MAX];
    size_t sent_count;
    size_t released;
    atomic_int order;
};

static struct rlimit files;

static void
disk(bool works)
{
    struct rlimit limit = files;
    limit.rlim_cur = works ? files.rlim_cur : 0;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static size_t
script_receive(struct pw_port *port, struct pw_message *messages, size_t max)
{
    struct script *script = (struct script *)port;
    size_t count = 0;
    for (; count < max && script->in[script->next] != '\0'; count++) {
        const struct pw_span *frame = script->in[script->next] == 'g' ? &good : &evil;
        messages[count] = (struct pw_message){frame, 1, frame->len, script};
        script->next++;
        if (script->next == script->stop_at) {
            atomic_store(&script->order, PW_ORDER_DRAIN);
        }
    }
    return count;
}

static bool
script_send(struct pw_port *port, struct pw_message *message, const struct pw_edit *edit)
{
    struct script *script = (struct script *)port;
    assert_null(edit);
    if (script->takes == 0) {
        return false;
    }
    script->takes--;
    script->sent[script->sent_count++] = message->frames == &good ? 'g' : 'e';
    *message = (struct pw_message){0};
    return true;
}

static void
script_release(struct pw_port *port, struct pw_message *message)
{
    ((struct script *)port)->released++;
    *message = (struct pw_message){0};
}

static unsigned
script_wait(struct pw_port *port, unsigned want, int timeout_ms)
{
    struct script *script = (struct script *)port;
    script->waits++;
    if (script->waits == script->now_at_wait) {
        atomic_store(&script->order, PW_ORDER_NOW);
    }
    if (script->disk_fails > 0 && --script->disk_fails == 0) {
        disk(true);
    }
    if ((want & PW_READY_OUT) != 0 && script->takes_more > 0) {
        script->takes += script->takes_more;
        return PW_READY_OUT;
    }
    if (script->in[script->next] != '\0') {
        return PW_READY_IN & want;
    }
    if (timeout_ms < 0) {
        atomic_store(&script->order, PW_ORDER_DRAIN);
    } else {
        usleep((useconds_t)(timeout_ms < 20 ? timeout_ms : 20) * 1000);
    }
    return PW_READY_DRAINED;
}

static void
script_nothing(struct pw_port *port)
{
    (void)port;
}

static bool
script_close(struct pw_port **port, int linger_ms)
{
    (void)linger_ms;
    *port = NULL;
    return true;
}

static const char *
script_source(const struct pw_message *message)
{
    (void)message;
    return "10.0.0.7";
}

static const struct pw_port_ops script_ops = {
    .receive = script_receive,
    .send = script_send,
    .source = script_source,
    .release = script_release,
    .wait = script_wait,
    .drain = script_nothing,
    .shut = script_nothing,
    .close = script_close,
};

static int
remove_one(const char *path, const struct stat *facts, int kind, struct FTW *walk)
{
    (void)facts;
    (void)kind;
    (void)walk;
    return remove(path);
}

/* What a relay works with, in a folder of its own. */
struct rig {
    char folder[32];
    struct pw_policy *policy;
    struct pw_frame_rules rules;
    struct pw_pipeline *pipe;
    struct pw_audit *audit;
    struct pw_store *store;
    int channel;
};

static void
rig_close(struct rig *rig)
{
    pw_pipeline_free(&rig->pipe);
    pw_policy_free(&rig->policy);
    pw_store_free(&rig->store);
    if (rig->audit != NULL) {
        pw_audit_close(&rig->audit);
    }
}

static bool
rig_open(struct rig *rig, enum pw_verdict on_violation)
{
    struct pw_why why = {0};
    char path[64];
    snprintf(path, sizeof path, "%s/audit.jsonl", rig->folder);
    rig->audit = pw_audit_open(
        &(struct pw_audit_options){.path = path, .instance = "test", .pass_each = true},
        &why);
    snprintf(path, sizeof path, "%s/quarantine", rig->folder);
    rig->store = pw_store_open(path, &why);
    rig->policy = pw_policy_new("none");
    if (rig->audit == NULL || rig->store == NULL || rig->policy == NULL ||
        pw_frame_rules_parse("pickle*", &rig->rules, &why) != PW_E_OK) {
        return false;
    }
    rig->pipe = pw_pipeline_new(&(struct pw_pipeline_options){
        .policy = rig->policy,
        .rules = &rig->rules,
        .on_violation = on_violation,
        .max_frames = 16,
    });
    rig->channel = pw_audit_channel(rig->audit, "jobs", "in", "out");
    return rig->pipe != NULL && rig->channel >= 0;
}

static void
rig_make_folder(struct rig *rig)
{
    *rig = (struct rig){.folder = "/tmp/relay.XXXXXX"};
    assert_non_null(mkdtemp(rig->folder));
}

static void
rig_remove_folder(struct rig *rig)
{
    assert_int_equal(nftw(rig->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Run the script through a relay. False when out of memory before it could start. */
static bool
play(struct rig *rig, struct script *script, int drain_ms, struct pw_relay_counts *counts)
{
    script->port.ops = &script_ops;
    struct pw_port *port = &script->port;
    struct pw_relay *relay = pw_relay_new(&(struct pw_relay_options){
        .name = "jobs",
        .pipe = rig->pipe,
        .audit = rig->audit,
        .audit_channel = rig->channel,
        .store = rig->store,
        .drain_timeout_ms = drain_ms,
        .order = &script->order,
    });
    if (relay == NULL) {
        return false;
    }
    if (script->disk_fails > 0) {
        disk(false);
    }
    enum pw_err err = pw_relay_run(relay, &port);
    disk(true);
    assert_null(port);
    *counts = pw_relay_counts(relay);
    assert_int_equal(err, counts->lost == 0 ? PW_E_OK : PW_E_IO);
    pw_relay_free(&relay);
    return true;
}

static size_t
lines_with(const struct rig *rig, const char *words)
{
    char path[64];
    snprintf(path, sizeof path, "%s/audit.jsonl", rig->folder);
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 1 << 24};
    assert_int_equal(pw_file_read(path, &text), PW_E_OK);
    assert_int_equal(pw_buf_append(&text, (struct pw_span)BYTES("\0")), PW_E_OK);
    size_t count = 0;
    for (const char *at = (const char *)text.bytes; (at = strstr(at, words)) != NULL;
         at++) {
        count++;
    }
    return count;
}

struct relay_case {
    const char *name;
    enum pw_verdict on_violation;
    struct script script;
    int drain_ms;
    const char *sent;
    struct pw_relay_counts counts;
    const char *words; /* that stand in the log */
    size_t lines;      /* so often */
};

/* clang-format off */
static const struct relay_case relay_cases[] = {
    {"quarantine", PW_QUARANTINE, {.in = "gegge", .takes = 99}, 200, "ggg",
     {.received = 5, .forwarded = 3, .quarantined = 2}, "\"stored\":true", 2},
    {"drop", PW_DROP, {.in = "gegge", .takes = 99}, 200, "ggg",
     {.received = 5, .forwarded = 3, .dropped = 2}, "\"verdict\":\"drop\"", 2},
    {"report only", PW_PASS, {.in = "gegge", .takes = 99}, 200, "gegge",
     {.received = 5, .forwarded = 5}, "\"enforced\":false", 2},
    {"a slow output keeps the order", PW_PASS, {.in = "gegegegege", .takes_more = 1}, 200, "gegegegege",
     {.received = 10, .forwarded = 10}, "\"verdict\":\"pass\"", 10},
    {"nobody takes anything", PW_QUARANTINE, {.in = "gge", .stop_at = 3}, 100, "",
     {.received = 3, .quarantined = 3, .undelivered = 2}, "drain.timeout", 4},
    {"told to hurry", PW_QUARANTINE, {.in = "gge", .stop_at = 3, .now_at_wait = 2}, 60000, "",
     {.received = 3, .quarantined = 3, .undelivered = 2}, "drain.timeout", 4},
    {"no time at all", PW_QUARANTINE, {.in = "ggg", .stop_at = 3, .takes = 2}, 0, "gg",
     {.received = 3, .forwarded = 2, .quarantined = 1, .undelivered = 1}, "drain.timeout", 2},
    {"the disk fails and comes back", PW_QUARANTINE, {.in = "geg", .takes = 99, .disk_fails = 2}, 200, "gg",
     {.received = 3, .forwarded = 2, .quarantined = 1}, "\"event\":\"error\"", 1},
    {"the disk fails for ever", PW_QUARANTINE, {.in = "geg", .takes = 99, .stop_at = 3, .disk_fails = 9999}, 100, "g",
     {.received = 3, .forwarded = 1, .lost = 2}, "\"verdict\":\"drop\"", 2},
};
/* clang-format on */

static void
each_message_goes_where_it_must(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(relay_cases); i++) {
        const struct relay_case *c = &relay_cases[i];
        struct script script = c->script;
        struct pw_relay_counts counts = {0};
        struct rig rig;
        rig_make_folder(&rig);
        check_case(c->name, rig_open(&rig, c->on_violation));
        check_case(c->name, play(&rig, &script, c->drain_ms, &counts));
        rig_close(&rig);
        check_case(c->name, strcmp(script.sent, c->sent) == 0);
        check_case(c->name, counts.received == c->counts.received);
        check_case(c->name, counts.forwarded == c->counts.forwarded);
        check_case(c->name, counts.quarantined == c->counts.quarantined);
        check_case(c->name, counts.dropped == c->counts.dropped);
        check_case(c->name, counts.undelivered == c->counts.undelivered);
        check_case(c->name, counts.lost == c->counts.lost);
        check_case(c->name, script.sent_count + script.released == counts.received);
        check_case(c->name, lines_with(&rig, c->words) == c->lines);
        check_case(c->name, lines_with(&rig, "\"event\":\"frame\"") == counts.received);
        rig_remove_folder(&rig);
    }
}

static void
play_through_a_failure(void *state)
{
    struct rig *rig = state;
    struct script script = {.in = "gegege", .takes_more = 1};
    struct pw_relay_counts counts = {0};
    if (rig_open(rig, PW_QUARANTINE) && play(rig, &script, 500, &counts)) {
        assert_int_equal(counts.received, 6);
        /* What cannot be examined for want of memory is held back: never the other way. */
        assert_int_equal(counts.forwarded + counts.quarantined, 6);
        assert_true(counts.forwarded <= 3);
        assert_null(strchr(script.sent, 'e'));
    }
    rig_close(rig);
}

static void
every_allocation_may_fail(void **state)
{
    (void)state;
    struct rig rig;
    rig_make_folder(&rig);
    size_t n = 1;
    while (fail_alloc_round(n, play_through_a_failure, &rig)) {
        n++;
    }
    assert_true(n > 10);
    rig_remove_folder(&rig);
}

int
main(void)
{
    pw_log_set_level(PW_LOG_ERROR);
    getrlimit(RLIMIT_NOFILE, &files);
    if (sodium_init() < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_goes_where_it_must),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
