/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/proxy/fake_port.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/file.h"
#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

enum { LARGE = 600000 };

/* A disk that fails: nothing can be opened on it. */
static void
disk(bool works)
{
    static struct rlimit files;
    if (files.rlim_max == 0) {
        getrlimit(RLIMIT_NOFILE, &files);
    }
    struct rlimit limit = files;
    limit.rlim_cur = works ? files.rlim_cur : 0;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* A bytes object that fills LARGE bytes of pickle. */
static struct pw_span
large_frame(void)
{
    static uint8_t bytes[LARGE];
    static const uint32_t len = LARGE - 8; /* little-endian, as the opcode wants it */
    memcpy(bytes,
           "\x80\x04"
           "B",
           3);
    for (size_t i = 0; i < sizeof len; i++) {
        bytes[3 + i] = (uint8_t)(len >> 8 * i);
    }
    bytes[LARGE - 1] = '.';
    return (struct pw_span){bytes, LARGE};
}

struct pw_span
script_frame(char letter)
{
    static const struct pw_span good = BYTES("\x80\x04K\x01.");
    static const struct pw_span evil = BYTES("cposix\nsystem\n.");
    return letter == 'l' ? large_frame() : letter == 'g' ? good : evil;
}

static size_t
script_receive(struct pw_port *port, struct pw_message *messages, size_t max)
{
    struct script *script = (struct script *)port;
    size_t count = 0;
    max = script->at_once > 0 && script->at_once < max ? script->at_once : max;
    for (; count < max && script->in[script->next] != '\0'; count++) {
        struct pw_span *frame = &script->frames[script->next];
        *frame = script_frame(script->in[script->next++]);
        messages[count] = (struct pw_message){frame, 1, frame->len, script};
        if (script->next == script->stop_at) {
            atomic_store(&script->order, PW_ORDER_DRAIN);
        }
    }
    return count;
}

static bool
script_adopt(struct pw_port *port, const struct pw_span *frames, size_t count,
             struct pw_message *message)
{
    struct script *script = (struct script *)port;
    script->adopted = malloc(count * sizeof *script->adopted);
    if (script->adopted == NULL) {
        return false;
    }
    *message = (struct pw_message){script->adopted, count, 0, script};
    for (size_t i = 0; i < count; i++) {
        script->adopted[i] = frames[i];
        message->bytes += frames[i].len;
    }
    return true;
}

/* Whether it is the one that did not come in; if so, it is gone. */
static bool
forget_adopted(struct script *script, const struct pw_message *message)
{
    if (script->adopted == NULL || message->frames != script->adopted) {
        return false;
    }
    free(script->adopted);
    script->adopted = NULL;
    return true;
}

static bool
script_send(struct pw_port *port, struct pw_message *message, const struct pw_edit *edit)
{
    struct script *script = (struct script *)port;
    assert_true(edit == NULL || script->leaves != NULL);
    if (script->takes == 0) {
        return false;
    }
    script->takes--;
    script->sent[script->sent_count++] = message->frames == script->adopted
                                             ? 'r'
                                             : script->in[message->frames - script->frames];
    if (script->leaves != NULL) {
        script->leaves(script, message, edit);
    }
    (void)forget_adopted(script, message);
    *message = (struct pw_message){0};
    return true;
}

static void
script_release(struct pw_port *port, struct pw_message *message)
{
    struct script *script = (struct script *)port;
    script->released += !forget_adopted(script, message);
    *message = (struct pw_message){0};
}

static unsigned
script_wait(struct pw_port *port, unsigned want, int timeout_ms)
{
    struct script *script = (struct script *)port;
    assert_true(timeout_ms != PW_RELAY_IDLE_MS || !script->woke); /* told once */
    if (want == PW_READY_OUT && timeout_ms == 0 && script->wakes && !script->woke) {
        script->woke = true;
        atomic_store(&script->order, PW_ORDER_DRAIN);
        return PW_READY_CONTROL;
    }
    if (want == PW_READY_OUT && timeout_ms == 0) { /* a question, which changes nothing */
        return script->takes > 0 ? PW_READY_OUT : 0;
    }
    script->waits++;
    if (script->waits == script->now_at_wait) {
        atomic_store(&script->order, PW_ORDER_NOW);
    }
    if (script->disk_fails > 0 && --script->disk_fails == 0) {
        disk(true);
    }
    if ((want & PW_READY_OUT) != 0 && script->takes_more > 0) {
        usleep((useconds_t)script->slow_ms * 1000);
        script->takes += script->takes_more;
        return PW_READY_OUT;
    }
    if (script->in[script->next] != '\0') {
        return PW_READY_IN & want;
    }
    if (timeout_ms == PW_RELAY_IDLE_MS) {
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
    .adopt = script_adopt,
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

void
rig_close(struct rig *rig)
{
    pw_pipeline_free(&rig->pipe);
    pw_policy_free(&rig->policy);
    pw_store_free(&rig->store);
    if (rig->audit != NULL) {
        pw_audit_close(&rig->audit);
    }
}

bool
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
    rig->options.policy = rig->policy;
    rig->options.rules = &rig->rules;
    rig->options.on_violation = on_violation;
    rig->options.max_frames = 16;
    rig->pipe = pw_pipeline_new(&rig->options);
    rig->channel = pw_audit_channel(rig->audit, "jobs", "in", "out");
    return rig->pipe != NULL && rig->channel >= 0;
}

void
rig_make_folder(struct rig *rig)
{
    *rig = (struct rig){.folder = "/tmp/relay.XXXXXX"};
    assert_non_null(mkdtemp(rig->folder));
}

void
rig_remove_folder(struct rig *rig)
{
    assert_int_equal(nftw(rig->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void
rig_fail_allocations(void (*play)(void *rig))
{
    struct rig rig;
    rig_make_folder(&rig);
    size_t n = 1;
    while (fail_alloc_round(n, play, &rig)) {
        n++;
    }
    assert_true(n > 10);
    rig_remove_folder(&rig);
}

bool
rig_play(struct rig *rig, struct script *script, int drain_ms,
         struct pw_relay_counts *counts)
{
    script->port.ops = &script_ops;
    struct pw_port *port = &script->port;
    struct pw_relay *relay = pw_relay_new(&(struct pw_relay_options){
        .name = "jobs",
        .in = "in",
        .out = "out",
        .pipe = rig->pipe,
        .terms = rig->terms,
        .releases = rig->releases,
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

size_t
rig_lines_with(const struct rig *rig, const char *words)
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
