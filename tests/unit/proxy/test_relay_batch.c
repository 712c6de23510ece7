/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages that share a signature on their way through the relay.
 */
#include "proxy/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/unit/check.h"
#include "tests/unit/proxy/fake_port.h"

enum { KEYS = 2 };

static const uint64_t second_ns = 1000000000;

/* Two keys, and what was seen of the messages that left. */
struct signing {
    struct pw_keyring *ring;
    struct pw_signer *signer[KEYS];
    struct pw_verifier *verifier;
    struct pw_terms_box box;
    struct pw_settings *settings; /* what the second key comes with */
    struct pw_config *config;
    size_t turn_at;     /* the second key waits once so many have left; 0: never */
    uint64_t seq[KEYS]; /* of the last message of each key */
    char batches[MESSAGES_MAX * 8]; /* "A3 B1": three of the first key, one of the second */
    size_t text_len;
};

static char
name_of(const struct signing *signing, const uint8_t id[static 8], size_t *key)
{
    for (*key = 0; *key < KEYS; (*key)++) {
        const struct pw_key *known = pw_signer_key(signing->signer[*key]);
        if (memcmp(pw_key_id(known), id, 8) == 0) {
            return (char)('A' + *key);
        }
    }
    return '?';
}

/* As after a change of the folder. */
static void
change_keys(struct signing *signing)
{
    struct pw_why why = {0};
    struct pw_channel *channel = &signing->settings->channels[0];
    struct pw_terms *next = pw_terms_new(
        &(struct pw_terms_source){
            .config = signing->config,
            .channel = channel,
            .ring = signing->ring,
            .generation = 2,
        },
        &why);
    assert_non_null(next);
    pw_terms_leave(&signing->box, next);
}

/* Each message that leaves is the one that came, has a true signature, and the next number.
 */
static void
check_signed(struct script *script, const struct pw_message *message,
             const struct pw_edit *edit)
{
    struct signing *signing = script->arg;
    struct pw_sig_result result;
    struct pw_span came = script_frame(script->sent[script->sent_count - 1]);
    size_t key;
    assert_non_null(edit);
    assert_true(pw_span_equal(message->frames[0], came));
    pw_verifier_check(signing->verifier, message->frames, 1, edit->trailer, &result);
    assert_int_equal(result.state, PW_SIG_OK);
    char name = name_of(signing, result.key_id, &key);
    const uint8_t *place = edit->trailer.ptr + edit->trailer.len - 2;
    if (script->slow_ms > 0 && place[0] == 0) { /* signed again, with other numbers */
        assert_true(result.seq > signing->seq[key]);
    } else {
        assert_int_equal(result.seq, signing->seq[key] + 1);
    }
    signing->seq[key] = result.seq;
    assert_true(pw_clock_wall() - result.time_ns < second_ns);
    if (place[0] == 0) {
        signing->text_len +=
            (size_t)snprintf(signing->batches + signing->text_len,
                             sizeof signing->batches - signing->text_len, "%s%c%d",
                             signing->text_len > 0 ? " " : "", name, place[1] + 1);
    }
    if (script->sent_count == signing->turn_at) {
        change_keys(signing);
    }
}

static bool
add_key(struct pw_keyring *ring, const char *name)
{
    struct pw_key *key = pw_key_new(PW_SUITE_ED25519_BATCH, name, NULL);
    bool added = key != NULL && pw_keyring_add(ring, &key) == PW_E_OK;
    pw_key_free(&key);
    return added;
}

static void
signing_close(struct signing *signing)
{
    for (size_t i = 0; i < KEYS; i++) {
        pw_signer_free(&signing->signer[i]);
    }
    pw_terms_box_close(&signing->box);
    pw_config_free(&signing->config);
    pw_settings_free(&signing->settings);
    pw_verifier_free(&signing->verifier);
    pw_keyring_free(&signing->ring);
}

static const char second[] = "state = \"state\"\nkeys = \"keys\"\nchannel\n    jobs\n"
                             "        in\n            bind = \"ipc:///tmp/none-in\"\n"
                             "        out\n            bind = \"ipc:///tmp/none-out\"\n"
                             "        policy = \"p\"\n        sign = \"second\"\n"
                             "policy\n    p\n        allow = \"a:B\"\n";

static bool
signing_open(struct signing *signing, struct rig *rig, struct script *script)
{
    *signing = (struct signing){.ring = pw_keyring_new()};
    signing->settings = pw_settings_parse(second, "wall.conf", NULL);
    signing->config = signing->settings == NULL ? NULL : pw_config_over(signing->settings);
    script->leaves = check_signed;
    script->arg = signing;
    rig->terms = &signing->box;
    rig->options = (struct pw_pipeline_options){0};
    if (signing->ring == NULL || signing->config == NULL ||
        !add_key(signing->ring, "first") || !add_key(signing->ring, "second")) {
        return false;
    }
    signing->signer[0] =
        pw_signer_new(signing->ring, "first", "jobs", PW_DIR_FORWARD, 1, NULL);
    signing->signer[1] =
        pw_signer_new(signing->ring, "second", "jobs", PW_DIR_FORWARD, 1, NULL);
    signing->verifier = pw_verifier_new(signing->ring, "jobs", PW_DIR_FORWARD, NULL, 0);
    rig->options.signer = signing->signer[0];
    return signing->signer[0] != NULL && signing->signer[1] != NULL &&
           signing->verifier != NULL;
}

struct batch_case {
    const char *name;
    enum pw_verdict on_violation;
    struct script script;
    size_t turn_at;
    const char *sent;
    const char *batches;
    struct pw_relay_counts counts;
};

/* clang-format off */
static const struct batch_case batch_cases[] = {
    {"one", PW_QUARANTINE, {.in = "g", .takes = 9}, 0, "g", "A1",
     {.received = 1, .forwarded = 1}},
    {"a burst", PW_QUARANTINE, {.in = "ggggg", .takes = 9}, 0, "ggggg", "A5",
     {.received = 5, .forwarded = 5}},
    {"one after the other", PW_QUARANTINE, {.in = "ggg", .at_once = 1, .takes = 9}, 0, "ggg", "A1 A1 A1",
     {.received = 3, .forwarded = 3}},
    {"two bursts", PW_QUARANTINE, {.in = "ggggg", .at_once = 3, .takes = 9}, 0, "ggggg", "A3 A2",
     {.received = 5, .forwarded = 5}},
    {"an attack among them", PW_QUARANTINE, {.in = "ggeggg", .takes = 9}, 0, "ggggg", "A2 A3",
     {.received = 6, .forwarded = 5, .quarantined = 1}},
    {"attacks alone", PW_DROP, {.in = "ee", .takes = 9}, 0, "", "",
     {.received = 2, .dropped = 2}},
    {"attacks in front and behind", PW_DROP, {.in = "egge", .takes = 9}, 0, "gg", "A2",
     {.received = 4, .forwarded = 2, .dropped = 2}},
    {"an attack that is only reported", PW_PASS, {.in = "ggegge", .takes = 9}, 0, "ggegge", "A3 A3",
     {.received = 6, .forwarded = 6}},
    {"the output blocks in the middle", PW_QUARANTINE, {.in = "ggggg", .takes = 2, .takes_more = 1}, 0, "ggggg", "A5",
     {.received = 5, .forwarded = 5}},
    {"it blocks for so long that the rest is signed again", PW_QUARANTINE, {.in = "gggegg", .takes = 2, .takes_more = 9, .slow_ms = 1100}, 0, "ggggg", "A3 A1 A2",
     {.received = 6, .forwarded = 5, .quarantined = 1}},
    {"while it takes nothing one is judged", PW_QUARANTINE, {.in = "ggg", .takes_more = 2}, 0, "ggg", "A1 A2",
     {.received = 3, .forwarded = 3}},
    {"it blocks before an attack", PW_QUARANTINE, {.in = "gegeg", .takes_more = 1}, 0, "ggg", "A1 A1 A1",
     {.received = 5, .forwarded = 3, .quarantined = 2}},
    {"large messages", PW_QUARANTINE, {.in = "lllgl", .takes = 9}, 0, "lllgl", "A2 A3",
     {.received = 5, .forwarded = 5}},
    {"keys change within a batch", PW_QUARANTINE, {.in = "gggggg", .at_once = 4, .takes = 1, .takes_more = 1}, 2, "gggggg", "A4 B1 B1",
     {.received = 6, .forwarded = 6}},
    {"keys change behind a batch", PW_QUARANTINE, {.in = "gggg", .at_once = 2, .takes = 9}, 2, "gggg", "A2 B2",
     {.received = 4, .forwarded = 4}},
    {"nobody takes the rest of a batch", PW_QUARANTINE, {.in = "gggg", .takes = 1, .stop_at = 4}, 0, "g", "A4",
     {.received = 4, .forwarded = 1, .quarantined = 3, .undelivered = 3}},
    {"told to stop while the output is asked", PW_QUARANTINE, {.in = "gg", .wakes = true}, 0, "", "",
     {.received = 2, .quarantined = 2, .undelivered = 2}},
    {"nor what follows", PW_QUARANTINE, {.in = "ggegg", .takes = 1, .stop_at = 5}, 0, "g", "A2",
     {.received = 5, .forwarded = 1, .quarantined = 4, .undelivered = 3}},
    {"told to hurry", PW_QUARANTINE, {.in = "gggg", .takes = 1, .stop_at = 4, .now_at_wait = 1}, 0, "g", "A4",
     {.received = 4, .forwarded = 1, .quarantined = 3, .undelivered = 3}},
    {"the rest is taken in the drain", PW_QUARANTINE, {.in = "gggg", .takes = 1, .takes_more = 1, .stop_at = 4}, 0, "gggg", "A4",
     {.received = 4, .forwarded = 4}},
    {"the disk fails and comes back", PW_QUARANTINE, {.in = "ggegg", .takes = 9, .disk_fails = 2}, 0, "gggg", "A2 A2",
     {.received = 5, .forwarded = 4, .quarantined = 1}},
    {"the disk fails for ever", PW_QUARANTINE, {.in = "ggegg", .takes = 1, .stop_at = 5, .disk_fails = 9999}, 0, "g", "A2",
     {.received = 5, .forwarded = 1, .lost = 4}},
};
/* clang-format on */

static void
check_counts(const char *name, const struct pw_relay_counts *got,
             const struct pw_relay_counts *want)
{
    check_case(name, got->received == want->received);
    check_case(name, got->forwarded == want->forwarded);
    check_case(name, got->quarantined == want->quarantined);
    check_case(name, got->dropped == want->dropped);
    check_case(name, got->undelivered == want->undelivered);
    check_case(name, got->lost == want->lost);
}

/* What was not delivered is stored as it came, without a trailer. */
static void
check_stored(const struct rig *rig, const struct batch_case *c)
{
    struct pw_span good = script_frame('g');
    char name[PW_STORE_ID];
    char words[PW_STORE_ID + 16];
    pw_store_name(&good, 1, name);
    snprintf(words, sizeof words, "\"id\":\"%s\"", name);
    check_case(c->name, rig_lines_with(rig, words) == c->counts.undelivered);
}

static void
each_message_leaves_with_a_signature_of_its_batch(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(batch_cases); i++) {
        const struct batch_case *c = &batch_cases[i];
        static struct script script;
        static struct signing signing;
        struct pw_relay_counts counts = {0};
        struct rig rig;
        script = c->script;
        rig_make_folder(&rig);
        check_case(c->name, signing_open(&signing, &rig, &script));
        signing.turn_at = c->turn_at;
        check_case(c->name, rig_open(&rig, c->on_violation));
        check_case(c->name, rig_play(&rig, &script, 100, &counts));
        rig_close(&rig);
        if (strcmp(signing.batches, c->batches) != 0) {
            fail_msg("%s: %s", c->name, signing.batches);
        }
        check_case(c->name, strcmp(script.sent, c->sent) == 0);
        check_counts(c->name, &counts, &c->counts);
        check_case(c->name, script.sent_count + script.released == counts.received);
        check_case(c->name, rig_lines_with(&rig, "\"event\":\"frame\"") == counts.received);
        check_case(c->name, counts.lost > 0 || c->counts.undelivered == 0 ||
                                rig_lines_with(&rig, "drain.timeout") > 0);
        check_stored(&rig, c);
        signing_close(&signing);
        rig_remove_folder(&rig);
    }
}

/* More than a batch holds; in the drain they are in hand all at once. */
static void
no_batch_has_more_messages_than_a_signature_covers(void **state)
{
    (void)state;
    static struct script script;
    static struct signing signing;
    static char in[MESSAGES_MAX];
    struct pw_relay_counts counts = {0};
    struct rig rig;
    memset(in, 'g', 600);
    script = (struct script){
        .in = in, .takes = 1, .takes_more = MESSAGES_MAX, .stop_at = PW_SIGN_BATCH_MAX};
    rig_make_folder(&rig);
    assert_true(signing_open(&signing, &rig, &script));
    assert_true(rig_open(&rig, PW_QUARANTINE));
    assert_true(rig_play(&rig, &script, 1000, &counts));
    rig_close(&rig);
    assert_string_equal(signing.batches, "A256 A256 A88");
    assert_int_equal(counts.forwarded, 600);
    signing_close(&signing);
    rig_remove_folder(&rig);
}

static void
play_through_a_failure(void *state)
{
    struct rig *rig = state;
    static struct script script;
    static struct signing signing;
    struct pw_relay_counts counts = {0};
    script = (struct script){.in = "ggegge", .takes_more = 1};
    if (signing_open(&signing, rig, &script) && rig_open(rig, PW_QUARANTINE)) {
        if (rig_play(rig, &script, 500, &counts)) {
            assert_int_equal(counts.received, 6);
            /* What cannot be examined for want of memory is held back. */
            assert_int_equal(counts.forwarded + counts.quarantined, 6);
            assert_true(counts.forwarded <= 4);
            assert_null(strchr(script.sent, 'e'));
        }
    }
    rig_close(rig);
    signing_close(&signing);
}

static void
every_allocation_may_fail(void **state)
{
    (void)state;
    rig_fail_allocations(play_through_a_failure);
}

int
main(void)
{
    pw_log_set_level(PW_LOG_ERROR);
    if (sodium_init() < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_leaves_with_a_signature_of_its_batch),
        cmocka_unit_test(no_batch_has_more_messages_than_a_signature_covers),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
