/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/pipeline.h"
#include "tests/unit/fail_alloc.h"

#define BENIGN                                                                             \
    "\x80\x04}\x94\x8c\x01"                                                                \
    "a\x94K\x01s."
#define EVIL                                                                               \
    "\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."

enum { MAX_FRAMES = 8, MAX_TEST_FRAMES = 10 };

struct frames_case {
    const char *name;
    const char *rules;
    struct pw_span frames[MAX_TEST_FRAMES];
    size_t count;
    enum pw_reason reason;
    uint16_t frame; /* of the first finding */
};

/* zlib.compress(pickle.dumps({"a": 1}, 4)) */
#define PACKED                                                                             \
    "\x78\x9c\x6b\x60\x99\xca\xc5\x00\x01\xb5\x53\x7a\x18\x13\xa7\x78\x33\x16\xeb\x01\x00" \
    "\x2c\x92\x04\xa4"

/* clang-format off */
static const struct frames_case frames_cases[] = {
    {"one pickle", "pickle*", {BYTES(BENIGN)}, 1, PW_R_NONE, 0},
    {"one empty frame", "pickle*", {BYTES("")}, 1, PW_R_NONE, 0},
    {"an attack", "pickle*", {BYTES(EVIL)}, 1, PW_R_IMPORT_DENIED, 0},
    {"an attack behind a pickle", "pickle*", {BYTES(BENIGN), BYTES(EVIL)}, 2, PW_R_IMPORT_DENIED, 1},
    {"an attack behind an empty frame", "pickle*", {BYTES(""), BYTES(EVIL), BYTES(BENIGN)}, 3, PW_R_IMPORT_DENIED, 1},
    {"no pickle", "pickle*", {BYTES("READY")}, 1, PW_R_PICKLE_UNDERFLOW, 0},
    {"no opcode", "pickle*", {BYTES("\xff")}, 1, PW_R_PICKLE_OPAQUE, 0},
    {"a topic and a pickle", "topic,pickle", {BYTES("t"), BYTES(BENIGN)}, 2, PW_R_NONE, 0},
    {"a topic and an attack", "topic,pickle", {BYTES("t"), BYTES(EVIL)}, 2, PW_R_IMPORT_DENIED, 1},
    {"a topic alone", "topic,pickle", {BYTES("t")}, 1, PW_R_RULE_COUNT, 1},
    {"one frame too many", "topic,pickle", {BYTES("t"), BYTES(BENIGN), BYTES("")}, 3, PW_R_RULE_COUNT, 2},
    {"an attack in an opaque frame is nobody's", "opaque", {BYTES(EVIL)}, 1, PW_R_NONE, 0},
    {"the literal", "literal:READY,pickle*", {BYTES("READY")}, 1, PW_R_NONE, 0},
    {"another literal", "literal:READY,pickle*", {BYTES("READX")}, 1, PW_R_RULE_MISMATCH, 0},
    {"a longer literal", "literal:READY,pickle*", {BYTES("READYX")}, 1, PW_R_RULE_MISMATCH, 0},
    {"an empty one", "empty,pickle", {BYTES(""), BYTES(BENIGN)}, 2, PW_R_NONE, 0},
    {"one that should be empty", "empty,pickle", {BYTES("x"), BYTES(BENIGN)}, 2, PW_R_RULE_MISMATCH, 0},
    {"fields before the pickle", "skip:SP:2(pickle)", {BYTES("a b " BENIGN)}, 1, PW_R_NONE, 0},
    {"fields before an attack", "skip:SP:2(pickle)", {BYTES("a b " EVIL)}, 1, PW_R_IMPORT_DENIED, 0},
    {"too few fields", "skip:SP:2(pickle)", {BYTES("ab" BENIGN)}, 1, PW_R_RULE_MISMATCH, 0},
    {"zlib", "zlib(pickle)", {BYTES(PACKED)}, 1, PW_R_NONE, 0},
    {"zlib that is none", "zlib(pickle)", {BYTES(BENIGN)}, 1, PW_R_LAYER_BROKEN, 0},
    {"a pickle in base64 in zlib", "zlib(base64(pickle))", {BYTES("\x78\x9c\x4b\x77\x0c\x0e\x73\x4e\x77\x84\x02\x27\xcb\x1c\xcf\x72\xa7\xc8\xa8\x20\x1f\xc7\x08\xdf\x52\x00\x79\x99\x08\x99")}, 1, PW_R_NONE, 0},
    {"an attack in an extension value", "msgpack(pickle)", {BYTES("\x81\xa1k\xc7\x1f\1" EVIL)}, 1, PW_R_IMPORT_DENIED, 0},
    {"an attack behind two pickles in extension values", "pickle,msgpack(pickle)", {BYTES(BENIGN), BYTES("\x93\xd5\1N.\xd5\2N.\xc7\x1f\3" EVIL)}, 2, PW_R_IMPORT_DENIED, 1},
    {"zlib, found out", "auto", {BYTES(PACKED)}, 1, PW_R_NONE, 0},
    {"a bare attack, found out", "auto", {BYTES(EVIL)}, 1, PW_R_IMPORT_DENIED, 0},
    {"what nobody reads", "auto", {BYTES("(\xb5/\xfd" EVIL)}, 1, PW_R_LAYER_UNKNOWN, 0},
    {"the text of two", "literal:READY|pickle", {BYTES("READY")}, 1, PW_R_NONE, 0},
    {"the pickle of two", "literal:READY|pickle", {BYTES(BENIGN)}, 1, PW_R_NONE, 0},
    {"an attack of two", "literal:READY|pickle", {BYTES(EVIL)}, 1, PW_R_IMPORT_DENIED, 0},
    {"a longer text of two", "literal:READY|pickle", {BYTES("READYX")}, 1, PW_R_PICKLE_UNDERFLOW, 0},
    {"one of two texts", "literal:A|literal:B,pickle", {BYTES("B"), BYTES(BENIGN)}, 2, PW_R_NONE, 0},
    {"none of two texts", "literal:A|literal:B,pickle", {BYTES("C"), BYTES(BENIGN)}, 2, PW_R_RULE_MISMATCH, 0},
    {"a buffer nobody sent", "pickle,buffer*", {BYTES("\x80\x05\x97.")}, 1, PW_R_BUFFER_DENIED, 0},
    {"too many frames", "pickle*", {BYTES(""), BYTES(""), BYTES(""), BYTES(""), BYTES(""), BYTES(""), BYTES(""), BYTES(""), BYTES("")}, 9, PW_R_LIMIT_FRAMES, 0},
};
/* clang-format on */

/* What a pipeline borrows. */
struct fixture {
    struct pw_policy *policy;
    struct pw_frame_rules rules;
    struct pw_keyring *ring;
    struct pw_signer *signer;
    struct pw_verifier *verifier;
    struct pw_foreign *foreign;
    struct pw_pipeline_options options;
    struct pw_pipeline *pipe;
};

static struct fixture
fixture_with(const char *rules, enum pw_verdict on_violation)
{
    struct fixture f = {.policy = pw_policy_new("test")};
    assert_int_equal(pw_frame_rules_parse(rules, &f.rules, NULL), PW_E_OK);
    f.options = (struct pw_pipeline_options){.policy = f.policy,
                                             .on_violation = on_violation,
                                             .strip = true,
                                             .max_frames = MAX_FRAMES};
    return f;
}

static void
start(struct fixture *f)
{
    f->options.rules = &f->rules;
    f->options.signer = f->signer;
    f->options.verifier = f->verifier;
    f->pipe = pw_pipeline_new(&f->options);
    assert_non_null(f->pipe);
}

static void
finish(struct fixture *f)
{
    pw_pipeline_free(&f->pipe);
    pw_signer_free(&f->signer);
    pw_verifier_free(&f->verifier);
    pw_foreign_free(&f->foreign);
    pw_keyring_free(&f->ring);
    pw_policy_free(&f->policy);
}

/* Judge a message that is a batch of its own. */
static void
judge(struct pw_pipeline *pipe, const struct pw_span *frames, size_t count, uint64_t now_ns,
      struct pw_decision *out)
{
    pw_pipeline_judge(pipe, frames, count, now_ns, out);
    pw_pipeline_close(pipe);
    if (out->batched) {
        pw_pipeline_seal(pipe, out);
    }
}

static void
frames_are_judged_by_their_rules(void **state)
{
    (void)state;
    static struct pw_decision decision;
    for (size_t i = 0; i < PW_COUNT(frames_cases); i++) {
        const struct frames_case *c = &frames_cases[i];
        struct fixture f = fixture_with(c->rules, PW_QUARANTINE);
        start(&f);
        judge(f.pipe, c->frames, c->count, 0, &decision);
        if (decision.reason != c->reason) {
            fail_msg("%s: %s", c->name, pw_reason_code(decision.reason));
        }
        bool pass = c->reason == PW_R_NONE;
        check_case(c->name, decision.verdict == (pass ? PW_PASS : PW_QUARANTINE));
        check_case(c->name, decision.enforced && !decision.edited);
        check_case(c->name, (decision.finds_total == 0) == pass);
        check_case(c->name, pass || decision.finds[0].frame == c->frame);
        finish(&f);
    }
}

/* A pickle that takes one buffer. */
#define TAKES_ONE "\x80\x05\x97."

static const struct frames_case buffer_cases[] = {
    {"its buffer", "pickle,buffer", {BYTES(TAKES_ONE), BYTES("b")}, 2, PW_R_NONE, 0},
    {"none", "pickle,buffer*", {BYTES(TAKES_ONE)}, 1, PW_R_RULE_BUFFERS, 0},
    {"two for one",
     "pickle,buffer*",
     {BYTES(TAKES_ONE), BYTES("b"), BYTES("b")},
     3,
     PW_R_NONE,
     0},
    {"one each",
     "pickle,buffer,pickle,buffer",
     {BYTES(TAKES_ONE), BYTES("b"), BYTES(TAKES_ONE), BYTES("b")},
     4,
     PW_R_NONE,
     0},
    {"one for two pickles, behind the second",
     "pickle,pickle,buffer",
     {BYTES(TAKES_ONE), BYTES(TAKES_ONE), BYTES("b")},
     3,
     PW_R_RULE_BUFFERS,
     0},
    {"the second has none",
     "pickle,buffer,pickle",
     {BYTES(TAKES_ONE), BYTES("b"), BYTES(TAKES_ONE)},
     3,
     PW_R_RULE_BUFFERS,
     2},
    {"in zlib",
     "zlib(pickle),buffer",
     {BYTES("\x78\x9c\x6b\x60\x9d\xae\x07\x00\x03\x6f\x01\x4b"), BYTES("b")},
     2,
     PW_R_NONE,
     0},
};

static void
a_pickle_has_the_buffers_right_behind_it(void **state)
{
    (void)state;
    static struct pw_decision decision;
    for (size_t i = 0; i < PW_COUNT(buffer_cases); i++) {
        const struct frames_case *c = &buffer_cases[i];
        struct fixture f = fixture_with(c->rules, PW_QUARANTINE);
        pw_policy_set_door(f.policy, PW_DOOR_BUFFERS, true);
        start(&f);
        judge(f.pipe, c->frames, c->count, 0, &decision);
        if (decision.reason != c->reason) {
            fail_msg("%s: %s", c->name, pw_reason_code(decision.reason));
        }
        check_case(c->name,
                   decision.find_count == 0 || decision.finds[0].frame == c->frame);
        finish(&f);
    }
}

static void
each_action_is_what_happens(void **state)
{
    (void)state;
    static const enum pw_verdict actions[] = {PW_DROP, PW_QUARANTINE, PW_PASS};
    static struct pw_decision decision;
    struct pw_span evil = BYTES(EVIL);
    for (size_t i = 0; i < PW_COUNT(actions); i++) {
        struct fixture f = fixture_with("pickle*", actions[i]);
        start(&f);
        judge(f.pipe, &evil, 1, 0, &decision);
        assert_int_equal(decision.verdict, actions[i]);
        assert_int_equal(decision.reason, PW_R_IMPORT_DENIED);
        assert_int_equal(decision.enforced, actions[i] != PW_PASS);
        finish(&f);
    }
}

static void
numbers_add_up_over_frames(void **state)
{
    (void)state;
    static struct pw_decision decision;
    struct fixture f = fixture_with("pickle*", PW_QUARANTINE);
    start(&f);
    struct pw_span frames[] = {BYTES(BENIGN), BYTES("\x80\x03]]a."), BYTES("")};
    judge(f.pipe, frames, 3, 0, &decision);
    assert_int_equal(decision.proto, 4);
    assert_int_equal(decision.ops, 8 + 5);
    assert_int_equal(decision.depth, 2);
    assert_int_equal(decision.memo, 2);
    assert_int_equal(decision.bytes, frames[0].len + frames[1].len);
    assert_true(decision.scanned);
    finish(&f);
}

static void
the_gravest_finding_is_the_reason_even_when_it_comes_late(void **state)
{
    (void)state;
    static struct pw_decision decision;
    struct fixture f = fixture_with("pickle*", PW_QUARANTINE);
    start(&f);
    uint8_t bytes[256];
    size_t len = 0;
    for (int i = 0; i < 20; i++) {
        memcpy(bytes + len, "I0x1\n", 5);
        len += 5;
    }
    memcpy(bytes + len, "cos\nsystem\n.", 12);
    struct pw_span frame = {bytes, len + 12};
    judge(f.pipe, &frame, 1, 0, &decision);
    assert_int_equal(decision.reason, PW_R_IMPORT_DENIED);
    assert_int_equal(decision.finds_total, 21);
    assert_int_equal(decision.find_count, PW_FINDS_MAX);
    assert_int_equal(decision.finds[PW_FINDS_MAX - 1].reason, PW_R_IMPORT_DENIED);
    assert_memory_equal(decision.finds[PW_FINDS_MAX - 1].name, "system", 6);
    finish(&f);
}

static void
the_detail_names_what_was_found(void **state)
{
    (void)state;
    static struct pw_decision decision;
    struct fixture f = fixture_with("pickle*", PW_QUARANTINE);
    start(&f);
    struct pw_span evil = BYTES(EVIL);
    judge(f.pipe, &evil, 1, 0, &decision);
    struct pw_buf text = {.limit = 8192};
    assert_int_equal(pw_decision_detail(&decision, f.pipe, &text), PW_E_OK);
    assert_true(pw_span_equal(
        pw_buf_span(&text),
        BYTES("\"rule\":{\"id\":\"import.denied\",\"set\":\"test\"},\"finds\":[{\"code\":"
              "\"import.denied\",\"frame\":0,\"off\":19,\"op\":\"STACK_GLOBAL\",\"mod\":"
              "\"posix\",\"name\":\"system\",\"level\":\"critical\",\"note\":"
              "\"runs a program\"}],\"finds_total\":1")));
    pw_buf_free(&text);
    finish(&f);
}

/* A message as it leaves: the frames after the edit. */
struct sent {
    uint8_t bytes[MAX_TEST_FRAMES][512];
    struct pw_span frames[MAX_TEST_FRAMES];
    size_t count;
};

/* One more frame, of two pieces. */
static void
put_frame(struct sent *out, struct pw_span first, struct pw_span second)
{
    uint8_t *bytes = out->bytes[out->count];
    if (first.len > 0) {
        memcpy(bytes, first.ptr, first.len);
    }
    if (second.len > 0) {
        memcpy(bytes + first.len, second.ptr, second.len);
    }
    out->frames[out->count++] = (struct pw_span){bytes, first.len + second.len};
}

static void
apply(const struct pw_decision *decision, const struct pw_span *frames, size_t count,
      struct sent *out)
{
    const struct pw_edit none = {0};
    const struct pw_edit *edit = decision->edited ? &decision->edit : &none;
    struct pw_span trailer = edit->trailer;
    size_t tag_frame = edit->drop_frame ? count - 1 - edit->behind : count;
    out->count = 0;
    for (size_t i = 0; i <= count; i++) {
        if (i == count - edit->behind && edit->as_frame && trailer.len > 0) {
            put_frame(out, trailer, (struct pw_span){0});
        }
        if (i == count || i == tag_frame) {
            continue;
        }
        struct pw_span kept = frames[i];
        if (edit->cut && i == edit->carrier) {
            kept = (struct pw_span){frames[i].ptr + edit->skip, edit->keep};
        }
        if (edit->as_frame || i != edit->carrier) {
            put_frame(out, kept, (struct pw_span){0});
        } else {
            put_frame(out, edit->front ? trailer : kept, edit->front ? kept : trailer);
        }
    }
}

static void
wall(struct fixture *f, enum pw_suite suite, enum pw_envelope envelope, bool signs,
     enum pw_verify verify, struct pw_buf *key_text)
{
    *f = fixture_with("topic,pickle,buffer*", PW_QUARANTINE);
    struct pw_key *key = key_text->len > 0 ? pw_key_parse(pw_buf_span(key_text), NULL)
                                           : pw_key_new(suite, "k", NULL);
    if (key_text->len == 0) {
        assert_int_equal(pw_key_format(key, key_text), PW_E_OK);
    }
    f->ring = pw_keyring_new();
    assert_int_equal(pw_keyring_add(f->ring, &key), PW_E_OK);
    f->options.envelope = envelope;
    f->options.verify = verify;
    if (signs) {
        f->signer = pw_signer_new(f->ring, "k", "jobs", PW_DIR_FORWARD, 1, NULL);
        assert_non_null(f->signer);
    }
    if (verify != PW_VERIFY_OFF) {
        f->verifier = pw_verifier_new(f->ring, "jobs", PW_DIR_FORWARD, NULL, 0);
    }
    start(f);
}

static void
check_two_walls(enum pw_suite suite, enum pw_envelope envelope)
{
    static struct pw_decision decision;
    static struct sent between, after;
    struct pw_buf key_text = {.limit = 4096};
    struct fixture first;
    wall(&first, suite, envelope, true, PW_VERIFY_OFF, &key_text);
    struct fixture second;
    wall(&second, suite, envelope, false, PW_VERIFY_REQUIRED, &key_text);
    struct pw_span frames[] = {BYTES("topic"), BYTES(BENIGN), BYTES("raw buffer")};

    judge(first.pipe, frames, 3, 1000, &decision);
    assert_int_equal(decision.verdict, PW_PASS);
    apply(&decision, frames, 3, &between);
    assert_int_equal(between.count, envelope == PW_ENVELOPE_FRAME ? 4 : 3);

    judge(second.pipe, between.frames, between.count, 2000, &decision);
    assert_string_equal(pw_reason_code(decision.reason), "");
    assert_int_equal(decision.sig.state, PW_SIG_OK);
    apply(&decision, between.frames, between.count, &after);
    assert_int_equal(after.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(pw_span_equal(after.frames[i], frames[i]));
    }

    /* One bit flipped anywhere is refused. */
    for (size_t i = 0; i < between.count; i++) {
        for (size_t bit = 0; bit < between.frames[i].len * 8; bit++) {
            between.bytes[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
            judge(second.pipe, between.frames, between.count, 2000, &decision);
            assert_int_equal(decision.verdict, PW_QUARANTINE);
            between.bytes[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }

    /* Without its trailer. */
    judge(second.pipe, frames, 3, 2000, &decision);
    assert_int_equal(decision.reason, PW_R_SIG_MISSING);
    pw_buf_free(&key_text);
    finish(&first);
    finish(&second);
}

static void
what_one_wall_signs_the_next_verifies_and_strips(void **state)
{
    (void)state;
    static const enum pw_suite suites[] = {PW_SUITE_HMAC_SHA256, PW_SUITE_ED25519,
                                           PW_SUITE_BLAKE2B, PW_SUITE_ED25519_BATCH};
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        check_two_walls(suites[i], PW_ENVELOPE_TAIL);
        check_two_walls(suites[i], PW_ENVELOPE_FRAME);
    }
}

enum { BATCH = 5 };

/* A batch through two walls, whose messages are sealed in the order of `turns`. */
static void
check_batch(enum pw_envelope envelope, const size_t turns[static BATCH])
{
    static struct pw_decision decisions[BATCH], decision;
    static struct sent between, after;
    struct pw_buf key_text = {.limit = 4096};
    struct fixture first, second;
    wall(&first, PW_SUITE_ED25519_BATCH, envelope, true, PW_VERIFY_OFF, &key_text);
    wall(&second, PW_SUITE_ED25519_BATCH, envelope, false, PW_VERIFY_REQUIRED, &key_text);
    assert_int_equal(pw_pipeline_batch(first.pipe), PW_SIGN_BATCH_MAX);
    assert_int_equal(pw_pipeline_batch(second.pipe), 1);
    const struct pw_span frames[BATCH][2] = {{BYTES("a"), BYTES(BENIGN)},
                                             {BYTES("b"), BYTES(BENIGN)},
                                             {BYTES("c"), BYTES("N.")},
                                             {BYTES("d"), BYTES("N.")},
                                             {BYTES("e"), BYTES("")}};
    for (size_t i = 0; i < BATCH; i++) {
        pw_pipeline_judge(first.pipe, frames[i], 2, 1000, &decisions[i]);
        assert_int_equal(decisions[i].verdict, PW_PASS);
        assert_true(decisions[i].edited && decisions[i].batched);
    }
    pw_pipeline_close(first.pipe);
    for (size_t i = 0; i < BATCH; i++) {
        size_t turn = turns[i];
        pw_pipeline_seal(first.pipe, &decisions[turn]);
        apply(&decisions[turn], frames[turn], 2, &between);
        judge(second.pipe, between.frames, between.count, 2000, &decision);
        assert_int_equal(decision.sig.state, PW_SIG_OK);
        assert_int_equal(decision.sig.seq, turn + 1);
        apply(&decision, between.frames, between.count, &after);
        assert_int_equal(after.count, 2);
        assert_true(pw_span_equal(after.frames[0], frames[turn][0]));
        assert_true(pw_span_equal(after.frames[1], frames[turn][1]));
    }
    pw_buf_free(&key_text);
    finish(&first);
    finish(&second);
}

static void
messages_of_a_batch_are_signed_once_and_sealed_one_by_one(void **state)
{
    (void)state;
    static const size_t turns[][BATCH] = {{0, 1, 2, 3, 4}, {4, 4, 0, 2, 4}};
    for (size_t i = 0; i < PW_COUNT(turns); i++) {
        check_batch(PW_ENVELOPE_TAIL, turns[i]);
        check_batch(PW_ENVELOPE_FRAME, turns[i]);
    }
}

/* It must not become a member of the batch, nor end it. */
static void
a_refused_message_leaves_its_batch_as_it_was(void **state)
{
    (void)state;
    static struct pw_decision good, bad, next;
    struct pw_buf key_text = {.limit = 4096};
    struct fixture f;
    wall(&f, PW_SUITE_ED25519_BATCH, PW_ENVELOPE_TAIL, true, PW_VERIFY_OFF, &key_text);
    struct pw_span frames[] = {BYTES("topic"), BYTES(BENIGN)};
    struct pw_span evil[] = {BYTES("topic"), BYTES(EVIL)};
    pw_pipeline_judge(f.pipe, frames, 2, 1, &good);
    pw_pipeline_judge(f.pipe, evil, 2, 1, &bad);
    pw_pipeline_judge(f.pipe, frames, 2, 1, &next);
    assert_int_equal(bad.verdict, PW_QUARANTINE);
    assert_false(bad.batched || bad.edited);
    assert_int_equal(good.slot, 0);
    assert_int_equal(next.slot, 1);
    pw_buf_free(&key_text);
    finish(&f);
}

static void
optional_takes_unsigned_messages_but_no_bad_signature(void **state)
{
    (void)state;
    static struct pw_decision decision;
    static struct sent between;
    struct pw_buf key_text = {.limit = 4096};
    struct fixture first;
    wall(&first, PW_SUITE_BLAKE2B, PW_ENVELOPE_TAIL, true, PW_VERIFY_OFF, &key_text);
    struct fixture second;
    wall(&second, PW_SUITE_BLAKE2B, PW_ENVELOPE_TAIL, false, PW_VERIFY_OPTIONAL, &key_text);
    struct pw_span frames[] = {BYTES("topic"), BYTES(BENIGN)};
    judge(second.pipe, frames, 2, 0, &decision);
    assert_int_equal(decision.verdict, PW_PASS);
    assert_int_equal(decision.sig.state, PW_SIG_MISSING);
    judge(first.pipe, frames, 2, 0, &decision);
    apply(&decision, frames, 2, &between);
    between.bytes[0][0] ^= 1;
    judge(second.pipe, between.frames, 2, 0, &decision);
    assert_int_equal(decision.reason, PW_R_SIG_BAD);
    pw_buf_free(&key_text);
    finish(&first);
    finish(&second);
}

static void
a_trailer_stays_when_strip_is_off(void **state)
{
    (void)state;
    static struct pw_decision decision;
    static struct sent between;
    struct pw_buf key_text = {.limit = 4096};
    struct fixture first;
    wall(&first, PW_SUITE_BLAKE2B, PW_ENVELOPE_TAIL, true, PW_VERIFY_OFF, &key_text);
    struct fixture second;
    wall(&second, PW_SUITE_BLAKE2B, PW_ENVELOPE_TAIL, false, PW_VERIFY_REQUIRED, &key_text);
    pw_pipeline_free(&second.pipe);
    second.options.strip = false;
    start(&second);
    struct pw_span frames[] = {BYTES("topic"), BYTES(BENIGN)};
    judge(first.pipe, frames, 2, 0, &decision);
    apply(&decision, frames, 2, &between);
    judge(second.pipe, between.frames, 2, 0, &decision);
    assert_int_equal(decision.verdict, PW_PASS);
    assert_false(decision.edited);
    pw_buf_free(&key_text);
    finish(&first);
    finish(&second);
}

static void
a_wall_that_does_both_replaces_the_trailer(void **state)
{
    (void)state;
    static struct pw_decision decision;
    static struct sent between, after;
    struct pw_buf key_text = {.limit = 4096};
    struct fixture first;
    wall(&first, PW_SUITE_ED25519, PW_ENVELOPE_TAIL, true, PW_VERIFY_OFF, &key_text);
    struct fixture second;
    wall(&second, PW_SUITE_ED25519, PW_ENVELOPE_TAIL, true, PW_VERIFY_REQUIRED, &key_text);
    struct pw_span frames[] = {BYTES("topic"), BYTES(BENIGN)};
    judge(first.pipe, frames, 2, 1, &decision);
    apply(&decision, frames, 2, &between);
    judge(second.pipe, between.frames, 2, 2, &decision);
    assert_int_equal(decision.verdict, PW_PASS);
    apply(&decision, between.frames, 2, &after);
    assert_int_equal(after.frames[1].len, between.frames[1].len);
    judge(second.pipe, after.frames, 2, 3, &decision);
    assert_int_equal(decision.sig.state, PW_SIG_OK);
    assert_int_equal(decision.sig.time_ns, 2);
    pw_buf_free(&key_text);
    finish(&first);
    finish(&second);
}

/* ---- layouts of other programs --------------------------------------------------------
 */

/* A wall with K = 01 01 …, the key of every case. */
static void
foreign_wall(struct fixture *f, enum pw_layout layout, const char *rules,
             enum pw_verify verify, bool signs)
{
    *f = fixture_with(rules, PW_QUARANTINE);
    char digits[65];
    memset(digits, '0', sizeof digits);
    for (size_t i = 1; i < 64; i += 2) {
        digits[i] = '1';
    }
    digits[64] = '\0';
    struct pw_key *key = pw_key_parse_hex(pw_span_str(digits), "k", NULL);
    f->ring = pw_keyring_new();
    assert_int_equal(pw_keyring_add(f->ring, &key), PW_E_OK);
    struct pw_foreign_options options = {.layout = layout,
                                         .channel = "jobs",
                                         .verify = verify != PW_VERIFY_OFF,
                                         .sign = signs ? "k" : NULL};
    f->foreign = pw_foreign_new(f->ring, &options, NULL);
    assert_non_null(f->foreign);
    f->options.layout = layout;
    f->options.verify = verify;
    f->options.foreign = f->foreign;
    start(f);
}

#define JUPYTER_RULES "opaque,opaque,opaque,opaque,pickle*"
#define JUPYTER(tag, buffer)                                                               \
    {                                                                                      \
        BYTES("id"), BYTES("<IDS|MSG>"), tag, BYTES("{\"msg_id\":\"m1\"}"), BYTES("{}"),   \
            BYTES("{}"), BYTES("{}"), BYTES(buffer)                                        \
    }

/* clang-format off */
static const struct foreign_case {
    const char *name;
    enum pw_layout layout;
    const char *rules;
    struct pw_span plain[MAX_FRAMES]; /* as an unsigned sender sends it */
    size_t count;
    size_t signed_count; /* frames with the tag on */
    size_t tag_frame;
    size_t tag_at; /* in that frame */
    size_t tag_len;
    size_t payload_frame; /* in the signed message: a byte of it flips */
} foreign_cases[] = {
    {"suffix", PW_LAYOUT_SUFFIX, "pickle", {BYTES(BENIGN)}, 1, 1, 0, sizeof BENIGN - 1, 32, 0},
    {"suffix behind an identity", PW_LAYOUT_SUFFIX, "opaque,pickle",
     {BYTES("id"), BYTES(BENIGN)}, 2, 2, 1, sizeof BENIGN - 1, 32, 1},
    {"prefix", PW_LAYOUT_PREFIX, "pickle", {BYTES(BENIGN)}, 1, 1, 0, 0, 32, 0},
    {"prefix behind a topic", PW_LAYOUT_PREFIX, "topic,pickle",
     {BYTES("t"), BYTES(BENIGN)}, 2, 2, 1, 0, 32, 1},
    {"detached", PW_LAYOUT_DETACHED, "zlib(pickle)", {BYTES(PACKED)}, 1, 2, 0, 0, 32, 1},
    {"detached behind a topic", PW_LAYOUT_DETACHED, "topic,zlib(pickle)",
     {BYTES("t"), BYTES(PACKED)}, 2, 3, 1, 0, 32, 2},
    {"jupyter", PW_LAYOUT_JUPYTER, JUPYTER_RULES, JUPYTER(BYTES(""), BENIGN), 8, 8, 2, 0, 64, 3},
};
/* clang-format on */

/* Judge, and the message as it leaves. */
static const struct pw_decision *
through(struct fixture *f, const struct pw_span *frames, size_t count, struct sent *out)
{
    static struct pw_decision decision;
    judge(f->pipe, frames, count, 1, &decision);
    apply(&decision, frames, count, out);
    return &decision;
}

static bool
same_message(const struct sent *sent, const struct pw_span *frames, size_t count)
{
    bool same = sent->count == count;
    for (size_t i = 0; same && i < count; i++) {
        same = pw_span_equal(sent->frames[i], frames[i]);
    }
    return same;
}

static void
check_foreign(const struct foreign_case *c)
{
    static struct sent wire, after;
    struct fixture signer, stripper, keeper, both;
    foreign_wall(&signer, c->layout, c->rules, PW_VERIFY_OFF, true);
    foreign_wall(&stripper, c->layout, c->rules, PW_VERIFY_REQUIRED, false);
    foreign_wall(&both, c->layout, c->rules, PW_VERIFY_REQUIRED, true);
    foreign_wall(&keeper, c->layout, c->rules, PW_VERIFY_REQUIRED, false);
    pw_pipeline_free(&keeper.pipe);
    keeper.options.strip = false;
    start(&keeper);

    check_case(c->name, through(&signer, c->plain, c->count, &wire)->verdict == PW_PASS);
    check_case(c->name, wire.count == c->signed_count);
    check_case(c->name, wire.frames[c->tag_frame].len >= c->tag_at + c->tag_len);

    const struct pw_decision *decision =
        through(&stripper, wire.frames, wire.count, &after);
    check_case(c->name, decision->verdict == PW_PASS && decision->scanned);
    check_case(c->name, decision->sig.state == PW_SIG_UNDATED);
    check_case(c->name, same_message(&after, c->plain, c->count));

    decision = through(&keeper, wire.frames, wire.count, &after);
    check_case(c->name, decision->verdict == PW_PASS && !decision->edited);
    check_case(c->name, same_message(&after, wire.frames, wire.count));

    decision = through(&both, wire.frames, wire.count, &after);
    check_case(c->name, decision->verdict == PW_PASS);
    check_case(c->name, same_message(&after, wire.frames, wire.count));

    uint8_t *const flipped[] = {wire.bytes[c->tag_frame] + c->tag_at,
                                wire.bytes[c->tag_frame] + c->tag_at + c->tag_len - 1,
                                wire.bytes[c->payload_frame]};
    for (size_t i = 0; i < PW_COUNT(flipped); i++) {
        *flipped[i] ^= 1;
        decision = through(&stripper, wire.frames, wire.count, &after);
        check_case(c->name, decision->verdict == PW_QUARANTINE);
        check_case(c->name, decision->reason == PW_R_SIG_BAD);
        check_case(c->name, decision->finds_total == 1 && !decision->scanned);
        check_case(c->name, decision->finds[0].frame == c->tag_frame);
        *flipped[i] ^= 1;
    }
    decision = through(&stripper, c->plain, c->count, &after);
    check_case(c->name, decision->verdict == PW_QUARANTINE);
    finish(&signer);
    finish(&stripper);
    finish(&keeper);
    finish(&both);
}

static void
each_foreign_layout_is_added_kept_exchanged_and_stripped(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(foreign_cases); i++) {
        check_foreign(&foreign_cases[i]);
    }
}

/* ---- messages that are released ---------------------------------------------------------
 */

static const struct pw_decision *
release(struct fixture *f, const struct pw_span *frames, size_t count,
        struct pw_overrule *overrule, struct sent *out)
{
    static struct pw_decision decision;
    pw_pipeline_judge_released(f->pipe, frames, count, 1, overrule, &decision);
    pw_pipeline_close(f->pipe);
    if (decision.batched) {
        pw_pipeline_seal(f->pipe, &decision);
    }
    if (decision.verdict == PW_PASS) {
        apply(&decision, frames, count, out);
    }
    return &decision;
}

/* A tag that was good, one that is bad, and none: each leaves as the channel would send it.
 */
static void
check_release_foreign(const struct foreign_case *c)
{
    static struct sent wire, after;
    struct pw_overrule none = {0};
    struct fixture signer, stripper, both;
    foreign_wall(&signer, c->layout, c->rules, PW_VERIFY_OFF, true);
    foreign_wall(&stripper, c->layout, c->rules, PW_VERIFY_REQUIRED, false);
    foreign_wall(&both, c->layout, c->rules, PW_VERIFY_REQUIRED, true);
    (void)through(&signer, c->plain, c->count, &wire);
    for (int flip = 0; flip < 2; flip++) {
        wire.bytes[c->tag_frame][c->tag_at] ^= (uint8_t)flip;
        check_case(c->name,
                   release(&stripper, wire.frames, wire.count, &none, &after)->verdict ==
                       PW_PASS);
        check_case(c->name, same_message(&after, c->plain, c->count));
        (void)release(&both, wire.frames, wire.count, &none, &after);
        wire.bytes[c->tag_frame][c->tag_at] ^= (uint8_t)flip;
        check_case(c->name, same_message(&after, wire.frames, wire.count));
    }
    finish(&signer);
    finish(&stripper);
    finish(&both);
}

static void
a_released_message_sheds_a_foreign_tag_unasked(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(foreign_cases); i++) {
        check_release_foreign(&foreign_cases[i]);
    }
}

/* What was refused for its signature leaves with one of this wall. */
static void
check_release_signed(enum pw_envelope envelope)
{
    static struct sent between, after, last;
    struct pw_decision decision;
    struct pw_overrule none = {0};
    struct pw_buf key_text = {.limit = 4096};
    struct fixture first, second, third;
    wall(&first, PW_SUITE_ED25519_BATCH, envelope, true, PW_VERIFY_OFF, &key_text);
    wall(&second, PW_SUITE_ED25519_BATCH, envelope, true, PW_VERIFY_REQUIRED, &key_text);
    wall(&third, PW_SUITE_ED25519_BATCH, envelope, false, PW_VERIFY_REQUIRED, &key_text);
    struct pw_span frames[] = {BYTES("topic"), BYTES(BENIGN), BYTES("raw buffer")};
    judge(first.pipe, frames, 3, 1000, &decision);
    apply(&decision, frames, 3, &between);
    between.bytes[0][0] ^= 1;
    judge(second.pipe, between.frames, between.count, 2000, &decision);
    assert_int_equal(decision.reason, PW_R_SIG_BAD);
    assert_int_equal(
        release(&second, between.frames, between.count, &none, &after)->verdict, PW_PASS);
    judge(third.pipe, after.frames, after.count, 3000, &decision);
    assert_int_equal(decision.sig.state, PW_SIG_OK);
    apply(&decision, after.frames, after.count, &last);
    assert_int_equal(last.count, 3);
    assert_true(pw_span_equal(last.frames[1], frames[1]));
    pw_buf_free(&key_text);
    finish(&first);
    finish(&second);
    finish(&third);
}

static void
a_released_message_is_signed_afresh(void **state)
{
    (void)state;
    check_release_signed(PW_ENVELOPE_TAIL);
    check_release_signed(PW_ENVELOPE_FRAME);
}

/* clang-format off */
static const struct overrule_case {
    const char *name;
    struct pw_span frames[MAX_TEST_FRAMES];
    size_t count;
    enum pw_reason given;
    enum pw_reason reason; /* that still stands */
    bool met;
} overrule_cases[] = {
    {"nothing to overrule", {BYTES(BENIGN)}, 1, PW_R_IMPORT_DENIED, PW_R_NONE, false},
    {"the only finding", {BYTES(EVIL)}, 1, PW_R_IMPORT_DENIED, PW_R_NONE, true},
    {"another finding", {BYTES(EVIL)}, 1, PW_R_LIMIT_DEPTH, PW_R_IMPORT_DENIED, false},
    {"one of two", {BYTES(EVIL "x"), BYTES("\xff")}, 2, PW_R_IMPORT_DENIED, PW_R_PICKLE_TRAILING, true},
    {"no frames", {{0}}, 0, PW_R_RULE_COUNT, PW_R_RULE_COUNT, false},
    {"too many frames", {BYTES(""), BYTES(""), BYTES(""), BYTES(""), BYTES(""), BYTES(""), BYTES(""), BYTES(""), BYTES("")}, 9,
     PW_R_IMPORT_DENIED, PW_R_LIMIT_FRAMES, false},
};
/* clang-format on */

static void
only_what_is_named_is_overruled(void **state)
{
    (void)state;
    static struct sent after;
    for (size_t i = 0; i < PW_COUNT(overrule_cases); i++) {
        const struct overrule_case *c = &overrule_cases[i];
        struct fixture f = fixture_with("pickle*", PW_QUARANTINE);
        start(&f);
        struct pw_overrule overrule = {0};
        overrule.given[c->given] = c->count > 0; /* no frames: nothing is given */
        const struct pw_decision *decision =
            release(&f, c->frames, c->count, &overrule, &after);
        if (decision->reason != c->reason) {
            fail_msg("%s: %s", c->name, pw_reason_code(decision->reason));
        }
        check_case(c->name, (decision->verdict == PW_PASS) == (c->reason == PW_R_NONE));
        check_case(c->name, overrule.met[c->given] == c->met);
        finish(&f);
    }
}

/* A report keeps so many findings; what it only counted nobody has named. */
static void
findings_that_were_only_counted_are_not_overruled(void **state)
{
    (void)state;
    static uint8_t many[2000];
    static struct sent after;
    size_t len = 0;
    for (; len + 2 < sizeof many; len += 2) {
        memcpy(many + len, "P\n", 2); /* a persistent id */
    }
    many[len++] = '.';
    struct pw_span frame = {many, len};
    struct fixture f = fixture_with("pickle*", PW_QUARANTINE);
    start(&f);
    struct pw_overrule overrule = {0};
    overrule.given[PW_R_PERSID_DENIED] = true;
    const struct pw_decision *decision = release(&f, &frame, 1, &overrule, &after);
    assert_true(overrule.met[PW_R_PERSID_DENIED]);
    assert_int_equal(decision->reason, PW_R_INTERNAL_ERROR);
    finish(&f);
}

static void
some_reasons_nobody_can_overrule(void **state)
{
    (void)state;
    assert_true(pw_may_overrule(PW_R_IMPORT_DENIED));
    assert_true(pw_may_overrule(PW_R_LIMIT_DEPTH));
    assert_false(pw_may_overrule(PW_R_NONE));
    assert_false(pw_may_overrule(PW_R_LIMIT_FRAMES));
    assert_false(pw_may_overrule(PW_R_INTERNAL_ERROR));
    assert_false(pw_may_overrule(PW_R_DRAIN_TIMEOUT));
    assert_false(pw_may_overrule(PW_R_SIG_BAD));
    assert_false(pw_may_overrule(PW_R_SIG_REVOKED));
}

/* What a wall that verifies says of a message that nobody signed. */
static void
an_unsigned_message_is_refused_in_every_foreign_layout(void **state)
{
    (void)state;
    static struct sent after;
    static const struct {
        enum pw_layout layout;
        const char *rules;
        struct pw_span frames[MAX_FRAMES];
        size_t count;
        enum pw_reason reason;
    } cases[] = {
        {PW_LAYOUT_SUFFIX, "pickle", {BYTES("")}, 1, PW_R_SIG_MISSING},
        {PW_LAYOUT_SUFFIX, "pickle", {BYTES(BENIGN)}, 1, PW_R_SIG_FORMAT},
        {PW_LAYOUT_SUFFIX, "pickle", {BYTES(EVIL EVIL)}, 1, PW_R_SIG_BAD},
        {PW_LAYOUT_PREFIX, "pickle", {BYTES(BENIGN)}, 1, PW_R_SIG_FORMAT},
        {PW_LAYOUT_DETACHED, "zlib(pickle)", {BYTES(PACKED)}, 1, PW_R_SIG_MISSING},
        {PW_LAYOUT_JUPYTER, JUPYTER_RULES, JUPYTER(BYTES(""), BENIGN), 8, PW_R_SIG_MISSING},
        {PW_LAYOUT_JUPYTER, JUPYTER_RULES, {BYTES(BENIGN)}, 1, PW_R_SIG_FORMAT},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        struct fixture f;
        foreign_wall(&f, cases[i].layout, cases[i].rules, PW_VERIFY_REQUIRED, false);
        const struct pw_decision *decision =
            through(&f, cases[i].frames, cases[i].count, &after);
        assert_int_equal(decision->verdict, PW_QUARANTINE);
        assert_int_equal(decision->reason, cases[i].reason);
        assert_false(decision->scanned);
        finish(&f);
    }
}

static void
an_attack_in_a_buffer_that_nobody_signed_is_found(void **state)
{
    (void)state;
    static struct sent wire, after;
    static const struct pw_span plain[] = JUPYTER(BYTES(""), BENIGN);
    struct fixture signer, second;
    foreign_wall(&signer, PW_LAYOUT_JUPYTER, JUPYTER_RULES, PW_VERIFY_OFF, true);
    foreign_wall(&second, PW_LAYOUT_JUPYTER, JUPYTER_RULES, PW_VERIFY_REQUIRED, false);
    through(&signer, plain, PW_COUNT(plain), &wire);
    wire.frames[7] = BYTES(EVIL);
    const struct pw_decision *decision = through(&second, wire.frames, wire.count, &after);
    assert_int_equal(decision->sig.state, PW_SIG_UNDATED);
    assert_int_equal(decision->reason, PW_R_IMPORT_DENIED);
    assert_int_equal(decision->finds[0].frame, 7);
    finish(&signer);
    finish(&second);
}

/* frames = … begins with the header, whether signatures are looked at or not. */
static void
a_message_without_the_jupyter_shape_is_refused_even_unverified(void **state)
{
    (void)state;
    static struct sent wire;
    struct fixture f;
    struct pw_span frame = BYTES(BENIGN);
    foreign_wall(&f, PW_LAYOUT_JUPYTER, "pickle*", PW_VERIFY_OFF, true);
    assert_int_equal(through(&f, &frame, 1, &wire)->reason, PW_R_SIG_FORMAT);
    f.options.on_violation = PW_PASS;
    pw_pipeline_free(&f.pipe);
    start(&f);
    const struct pw_decision *decision = through(&f, &frame, 1, &wire);
    assert_int_equal(decision->verdict, PW_PASS);
    assert_false(decision->enforced || decision->edited);
    finish(&f);
}

static void
a_wall_that_only_reports_looks_behind_a_wrong_signature(void **state)
{
    (void)state;
    static struct sent after;
    static const uint8_t zeros[32];
    struct pw_span frames[] = {{zeros, sizeof zeros}, BYTES(EVIL)};
    struct fixture f;
    foreign_wall(&f, PW_LAYOUT_DETACHED, "pickle", PW_VERIFY_REQUIRED, false);
    f.options.on_violation = PW_PASS;
    pw_pipeline_free(&f.pipe);
    start(&f);
    const struct pw_decision *decision = through(&f, frames, 2, &after);
    assert_int_equal(decision->verdict, PW_PASS);
    assert_int_equal(decision->find_count, 2);
    assert_int_equal(decision->finds[0].reason, PW_R_SIG_BAD);
    assert_int_equal(decision->finds[0].frame, 0);
    assert_int_equal(decision->finds[1].reason, PW_R_IMPORT_DENIED);
    assert_int_equal(decision->finds[1].frame, 1);
    finish(&f);
}

static void
judge_once(void *state)
{
    (void)state;
    static struct pw_decision decision;
    struct pw_policy *policy = pw_policy_new("test");
    struct pw_frame_rules rules;
    assert_int_equal(pw_frame_rules_parse("zlib(pickle),pickle*", &rules, NULL), PW_E_OK);
    struct pw_pipeline_options options = {.policy = policy,
                                          .rules = &rules,
                                          .on_violation = PW_QUARANTINE,
                                          .max_frames = MAX_FRAMES};
    struct pw_pipeline *pipe = policy != NULL ? pw_pipeline_new(&options) : NULL;
    if (pipe != NULL) {
        struct pw_span frames[] = {BYTES(PACKED), BYTES(EVIL)};
        judge(pipe, frames, 2, 0, &decision);
        assert_int_equal(decision.verdict, PW_QUARANTINE); /* never a pass by accident */
    }
    pw_pipeline_free(&pipe);
    pw_policy_free(&policy);
}

static void
without_memory_nothing_passes_and_nothing_leaks(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, judge_once, NULL)) {
        n++;
    }
    assert_true(n > 8);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_judged_by_their_rules),
        cmocka_unit_test(a_pickle_has_the_buffers_right_behind_it),
        cmocka_unit_test(each_action_is_what_happens),
        cmocka_unit_test(numbers_add_up_over_frames),
        cmocka_unit_test(the_gravest_finding_is_the_reason_even_when_it_comes_late),
        cmocka_unit_test(the_detail_names_what_was_found),
        cmocka_unit_test(what_one_wall_signs_the_next_verifies_and_strips),
        cmocka_unit_test(messages_of_a_batch_are_signed_once_and_sealed_one_by_one),
        cmocka_unit_test(a_refused_message_leaves_its_batch_as_it_was),
        cmocka_unit_test(optional_takes_unsigned_messages_but_no_bad_signature),
        cmocka_unit_test(a_trailer_stays_when_strip_is_off),
        cmocka_unit_test(a_wall_that_does_both_replaces_the_trailer),
        cmocka_unit_test(each_foreign_layout_is_added_kept_exchanged_and_stripped),
        cmocka_unit_test(a_released_message_sheds_a_foreign_tag_unasked),
        cmocka_unit_test(a_released_message_is_signed_afresh),
        cmocka_unit_test(only_what_is_named_is_overruled),
        cmocka_unit_test(findings_that_were_only_counted_are_not_overruled),
        cmocka_unit_test(some_reasons_nobody_can_overrule),
        cmocka_unit_test(an_unsigned_message_is_refused_in_every_foreign_layout),
        cmocka_unit_test(an_attack_in_a_buffer_that_nobody_signed_is_found),
        cmocka_unit_test(a_message_without_the_jupyter_shape_is_refused_even_unverified),
        cmocka_unit_test(a_wall_that_only_reports_looks_behind_a_wrong_signature),
        cmocka_unit_test(without_memory_nothing_passes_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
