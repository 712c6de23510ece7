/* SPDX-License-Identifier: Apache-2.0
 *
 * The chain of a real log, its state, its mirror, and what the verifier makes of them.
 */
#include "common/audit/chain.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sodium.h>

#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

#include "common/audit/audit.h"
#include "common/audit/chain_resume.h"
#include "common/audit/verify.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"

static char folder[] = "/tmp/pw-chain-XXXXXX";

static const char *
in_folder(const char *name)
{
    static char paths[8][96];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int
make_folder(void **state)
{
    (void)state;
    pw_log_set_level(PW_LOG_ERROR);
    return mkdtemp(folder) == NULL || sodium_init() < 0 ? -1 : 0;
}

static int
remove_files(void **state)
{
    static const char *const names[] = {
        "audit.jsonl", "audit.pwkey", "audit.pub", "audit.pub.old",
        "audit.chain", "mirror",      "cut"};
    (void)state;
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        unlink(in_folder(names[i]));
    }
    return 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* ---- a log, and its verification ---- */

static struct pw_audit *
open_log(const char *key_folder, struct pw_why *why)
{
    return pw_audit_open(
        &(struct pw_audit_options){
            .path = in_folder("audit.jsonl"),
            .instance = "wall",
            .queue_records = 64,
            .pass_each = true,
            .state = key_folder,
            .mirror = key_folder == NULL ? NULL : in_folder("mirror"),
        },
        why);
}

/* As of a channel, which waits for room. */
static void
push(struct pw_audit *audit, enum pw_audit_event event)
{
    struct pw_audit_record record = {
        .wall_ns = pw_clock_wall(), .channel = 0, .event = (uint8_t)event};
    assert_int_equal(pw_audit_push(audit, &record, 1), PW_E_OK);
}

/* It says how the chain began, as that of a wall does. */
static void
push_start(struct pw_audit *audit)
{
    struct pw_audit_record record = {
        .wall_ns = pw_clock_wall(), .channel = -1, .event = PW_EVENT_START};
    assert_true(asprintf(&record.detail, "\"detail\":{%s}", pw_audit_chain_news(audit)) >
                0);
    assert_int_equal(pw_audit_push(audit, &record, 1), PW_E_OK);
}

/* A start, so many events, and, when it is closed, a stop. */
static void
write_log(const char *key_folder, size_t events, bool stop)
{
    struct pw_why why = {{0}};
    struct pw_audit *audit = open_log(key_folder, &why);
    assert_non_null(audit);
    push_start(audit);
    for (size_t i = 0; i < events; i++) {
        push(audit, PW_EVENT_CONFIG);
    }
    if (stop) {
        push(audit, PW_EVENT_STOP);
    }
    pw_audit_close(&audit);
}

static struct pw_note_key
public_key(void)
{
    struct pw_note_key key;
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 1024};
    assert_int_equal(pw_file_read(in_folder("audit.pub"), &text), PW_E_OK);
    assert_int_equal(pw_note_key_parse(pw_buf_span(&text), &key, NULL), PW_E_OK);
    return key;
}

static enum pw_verify_verdict
verify_with(const struct pw_chain_state *state, struct pw_verify_points *points,
            struct pw_verify *seen)
{
    struct pw_note_key key = public_key();
    struct pw_verify_options options = {
        .keys = &key, .key_count = 1, .state = state, .points = points};
    PW_CLEANUP(pw_verify_free) struct pw_verify *verify = pw_verify_new(&options);
    PW_CLEANUP(pw_file_close) int fd = open(in_folder("audit.jsonl"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(pw_verify_file(verify, fd), PW_E_OK);
    pw_verify_end(verify);
    if (seen != NULL) {
        static struct pw_verify_chain chains[8];
        *seen = *verify;
        seen->rest = NULL;
        for (size_t i = 0; i < verify->chain_count && i < PW_COUNT(chains); i++) {
            chains[i] = verify->chains[i];
        }
        seen->chains = chains;
    }
    return verify->verdict;
}

static void
read_log(struct pw_buf *text)
{
    *text = (struct pw_buf){.limit = 1 << 24};
    assert_int_equal(pw_file_read(in_folder("audit.jsonl"), text), PW_E_OK);
}

static void
replace_log(struct pw_span text)
{
    assert_int_equal(pw_file_replace(in_folder("audit.jsonl"), text, 0640), PW_E_OK);
}

/* ---- tests ---- */

static void
a_long_log_is_sealed_every_1024_lines_and_complete(void **state)
{
    (void)state;
    static struct pw_verify seen;
    write_log(folder, 3000, true);
    assert_int_equal(verify_with(NULL, NULL, &seen), PW_VERIFY_COMPLETE);
    assert_int_equal(seen.lines, 3002 + seen.chains[0].seals);
    assert_int_equal(seen.chains[0].seals, 3);
    assert_int_equal(seen.chains[0].first, 1);
    assert_true(seen.chains[0].closed);
}

static void
a_note_that_was_cut_short_costs_the_mirror_no_other(void **state)
{
    (void)state;
    struct pw_why why = {{0}};
    struct pw_buf mirror = {.limit = 1 << 20};
    write_log(folder, 10, true);
    struct pw_note_key key = public_key();
    assert_int_equal(pw_file_read(in_folder("mirror"), &mirror), PW_E_OK);
    for (size_t cut = 1; cut < mirror.len; cut++) {
        struct pw_verify_points points = {0};
        struct pw_buf text = {.limit = 1 << 20};
        assert_int_equal(pw_buf_append(&text, (struct pw_span){mirror.bytes, cut}),
                         PW_E_OK);
        assert_int_equal(pw_buf_append(&text, pw_span_str("\n\n")), PW_E_OK);
        assert_int_equal(pw_buf_append(&text, pw_buf_span(&mirror)), PW_E_OK);
        assert_int_equal(pw_verify_points_add(&points, pw_buf_span(&text), &key, 1, &why),
                         PW_E_OK);
        assert_int_equal(points.count, 1);
        assert_in_range(points.skipped, 0, 2);
        pw_verify_points_free(&points);
        /* The half alone is nothing. */
        enum pw_err err = pw_verify_points_add(&points, (struct pw_span){mirror.bytes, cut},
                                               &key, 1, &why);
        assert_int_equal(err, points.count > 0 ? PW_E_OK : PW_E_FORMAT);
        assert_true(points.count == 0 || cut + 3 > mirror.len);
        pw_verify_points_free(&points);
        pw_buf_free(&text);
    }
    pw_buf_free(&mirror);
}

static void
the_end_of_a_log_is_known_from_the_state_and_the_mirror(void **state)
{
    (void)state;
    static struct pw_chain_state known;
    struct pw_why why = {{0}};
    struct pw_note_key key;
    struct pw_verify_points points = {0};
    struct pw_buf whole, mirror = {.limit = 1 << 20};
    write_log(folder, 10, true);
    read_log(&whole);
    write_log(folder, 10, true);
    key = public_key();
    assert_int_equal(pw_chain_state_load(in_folder("audit.chain"), &known, &why), PW_E_OK);
    assert_int_equal(pw_file_read(in_folder("mirror"), &mirror), PW_E_OK);
    assert_int_equal(pw_verify_points_add(&points, pw_buf_span(&mirror), &key, 1, &why),
                     PW_E_OK);
    assert_int_equal(points.count, 1);
    assert_int_equal(verify_with(&known, &points, NULL), PW_VERIFY_COMPLETE);
    replace_log(pw_buf_span(&whole)); /* as if the second run had not been */
    assert_int_equal(verify_with(NULL, NULL, NULL), PW_VERIFY_COMPLETE);
    points.list[0].seen = false;
    assert_int_equal(verify_with(&known, NULL, NULL), PW_VERIFY_BROKEN);
    assert_int_equal(verify_with(NULL, &points, NULL), PW_VERIFY_BROKEN);
    pw_verify_points_free(&points);
    pw_buf_free(&mirror);
    pw_buf_free(&whole);
}

/* Two chains in one log: the state of the first was lost. */
struct before_case {
    const char *name;
    size_t from, to; /* these lines of it are taken out */
    enum pw_verify_verdict verdict;
    enum pw_chain_fault fault;
    size_t missing;
};

/* A run is start, two events, a stop and the seal: five lines. */
static const struct before_case before_cases[] = {
    {"all of it", 0, 0, PW_VERIFY_COMPLETE, PW_CHAIN_FAULT_NONE, 0},
    {"without the last run of the first chain", 5, 10, PW_VERIFY_BROKEN,
     PW_CHAIN_FAULT_ENDS, 0},
    {"without the last line of the first chain", 9, 10, PW_VERIFY_BROKEN,
     PW_CHAIN_FAULT_ENDS, 0},
    {"without the first chain", 0, 10, PW_VERIFY_OPEN, PW_CHAIN_FAULT_NONE, 1},
};

static size_t
lines_end(const struct pw_buf *text, size_t lines)
{
    size_t at = 0;
    for (size_t i = 0; i < lines; i++) {
        const uint8_t *end = memchr(text->bytes + at, '\n', text->len - at);
        assert_non_null(end);
        at = (size_t)(end - text->bytes) + 1;
    }
    return at;
}

static void
a_chain_must_be_there_as_far_as_the_next_one_says(void **state)
{
    (void)state;
    static struct pw_verify seen;
    struct pw_buf whole;
    write_log(folder, 2, true);
    write_log(folder, 2, true);
    unlink(in_folder("audit.chain"));
    usleep(2000); /* the milliseconds are the name of a chain */
    write_log(folder, 2, true);
    read_log(&whole);
    for (size_t i = 0; i < PW_COUNT(before_cases); i++) {
        const struct before_case *c = &before_cases[i];
        struct pw_buf made = {.limit = whole.limit};
        size_t to = lines_end(&whole, c->to);
        struct pw_span head = {whole.bytes, lines_end(&whole, c->from)};
        struct pw_span tail = {whole.bytes + to, whole.len - to};
        assert_int_equal(pw_buf_append(&made, head), PW_E_OK);
        assert_int_equal(pw_buf_append(&made, tail), PW_E_OK);
        replace_log(pw_buf_span(&made));
        check_case(c->name, verify_with(NULL, NULL, &seen) == c->verdict);
        check_case(c->name, seen.faults[0].fault == c->fault);
        check_case(c->name, seen.missing_count == c->missing);
        pw_buf_free(&made);
    }
    pw_buf_free(&whole);
}

static void
more_chains_than_are_shown_are_all_known(void **state)
{
    (void)state;
    static struct pw_verify seen;
    enum { CHAINS = 70 };
    for (size_t i = 0; i < CHAINS; i++) {
        unlink(in_folder("audit.chain"));
        usleep(2000); /* the milliseconds are the name of a chain */
        write_log(folder, 0, true);
    }
    assert_int_equal(verify_with(NULL, NULL, &seen), PW_VERIFY_COMPLETE);
    assert_int_equal(seen.chain_count, CHAINS);
}

static void
a_chain_that_only_the_mirror_knows_is_missed(void **state)
{
    (void)state;
    static struct pw_verify seen;
    struct pw_why why = {{0}};
    struct pw_verify_points points = {0};
    struct pw_buf mirror = {.limit = 1 << 20};
    write_log(folder, 2, true);
    unlink(in_folder("audit.chain"));
    unlink(in_folder("audit.jsonl"));
    usleep(2000); /* the milliseconds are the name of a chain */
    write_log(folder, 2, true);
    struct pw_note_key key = public_key();
    assert_int_equal(pw_file_read(in_folder("mirror"), &mirror), PW_E_OK);
    assert_int_equal(pw_verify_points_add(&points, pw_buf_span(&mirror), &key, 1, &why),
                     PW_E_OK);
    assert_int_equal(points.count, 2);
    assert_int_equal(verify_with(NULL, &points, &seen), PW_VERIFY_OPEN);
    assert_int_equal(seen.missing_count, 1);
    assert_string_equal(seen.missing[0].id, points.list[0].chain);
    assert_int_equal(seen.missing[0].seq, 4);
    pw_verify_points_free(&points);
    pw_buf_free(&mirror);
}

static void
a_log_that_nobody_sealed_is_refused_for_that(void **state)
{
    (void)state;
    static struct pw_verify seen;
    write_log(folder, 0, true); /* for the key */
    unlink(in_folder("audit.jsonl"));
    write_log(NULL, 1022, true);
    assert_int_equal(verify_with(NULL, NULL, &seen), PW_VERIFY_OPEN);
    assert_int_equal(seen.chains[0].sealed, 0);
    assert_int_equal(seen.chains[0].unsealed, 1024);
    unlink(in_folder("audit.jsonl"));
    write_log(NULL, 1023, true);
    assert_int_equal(verify_with(NULL, NULL, &seen), PW_VERIFY_BROKEN);
    assert_int_equal(seen.faults[0].fault, PW_CHAIN_FAULT_GAP);
}

static void
a_log_cut_at_any_byte_is_not_complete(void **state)
{
    (void)state;
    struct pw_buf whole;
    write_log(folder, 4, true);
    read_log(&whole);
    assert_int_equal(verify_with(NULL, NULL, NULL), PW_VERIFY_COMPLETE);
    for (size_t len = 0; len < whole.len; len++) {
        replace_log((struct pw_span){whole.bytes, len});
        assert_int_not_equal(verify_with(NULL, NULL, NULL), PW_VERIFY_COMPLETE);
    }
    pw_buf_free(&whole);
}

static void
one_changed_bit_anywhere_is_found(void **state)
{
    (void)state;
    struct pw_buf whole;
    write_log(folder, 2, true);
    read_log(&whole);
    for (size_t at = 0; at < whole.len; at++) {
        uint8_t was = whole.bytes[at];
        whole.bytes[at] ^= (uint8_t)(1 << at % 8);
        replace_log(pw_buf_span(&whole));
        if (verify_with(NULL, NULL, NULL) == PW_VERIFY_COMPLETE) {
            fail_msg("bit %zu of byte %zu", at % 8, at);
        }
        whole.bytes[at] = was;
    }
    pw_buf_free(&whole);
}

/* The log up to its last checkpoint, with `text` between that note and the line's end. */
static void
stretch_last_seal(const struct pw_buf *whole, const char *text)
{
    static const char mark[] = "\"},\"chain\":\"";
    struct pw_buf made = {.limit = whole->limit};
    const uint8_t *at = NULL;
    for (size_t i = 0; i + sizeof mark - 1 <= whole->len; i++) {
        at = memcmp(whole->bytes + i, mark, sizeof mark - 1) == 0 ? whole->bytes + i : at;
    }
    assert_non_null(at);
    size_t head = (size_t)(at - whole->bytes) + 3;
    assert_int_equal(pw_buf_append(&made, (struct pw_span){whole->bytes, head}), PW_E_OK);
    assert_int_equal(pw_buf_append(&made, pw_span_str(text)), PW_E_OK);
    assert_int_equal(
        pw_buf_append(&made, (struct pw_span){whole->bytes + head, whole->len - head}),
        PW_E_OK);
    replace_log(pw_buf_span(&made));
    pw_buf_free(&made);
}

static const char *const stretches[] = {
    "\"chain\":\"x\",",
    "\"chain\":\"x\",\"verdict\":\"pass\",\"detail\":{\"forged\":true},",
    "\"chain\":\"x\",\"prev\":\"y\"},",
    "\"lost\":7,",
};

/* The state of an earlier checkpoint, as a crash leaves it. */
static void
reopen_state(void)
{
    struct pw_chain_state state;
    struct pw_why why = {{0}};
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_CHAIN_STATE_MAX};
    assert_int_equal(pw_chain_state_load(in_folder("audit.chain"), &state, &why), PW_E_OK);
    state.closed = false;
    assert_int_equal(pw_chain_state_format(&state, &text), PW_E_OK);
    assert_int_equal(pw_file_replace(in_folder("cut"), pw_buf_span(&text), 0600), PW_E_OK);
}

static void
nothing_fits_between_a_note_and_the_end_of_its_line(void **state)
{
    (void)state;
    static struct pw_verify seen;
    static struct pw_chain_resume resume;
    struct pw_why why = {{0}};
    struct pw_buf whole;
    write_log(folder, 2, true);
    reopen_state();
    write_log(folder, 2, true);
    read_log(&whole);
    struct pw_note_key key = public_key();
    for (size_t i = 0; i < PW_COUNT(stretches); i++) {
        stretch_last_seal(&whole, stretches[i]);
        check_case(stretches[i], verify_with(NULL, NULL, &seen) == PW_VERIFY_BROKEN);
        check_case(stretches[i], seen.faults[0].fault == PW_CHAIN_FAULT_FORM);
        assert_int_equal(pw_chain_resume(in_folder("cut"), in_folder("audit.jsonl"), &key,
                                         1, &resume, &why),
                         PW_E_OK);
        check_case(stretches[i], resume.what == PW_CHAIN_BROKEN);
        check_case(stretches[i], resume.alarm.text[0] != '\0');
    }
    stretch_last_seal(&whole, "");
    assert_int_equal(
        pw_chain_resume(in_folder("cut"), in_folder("audit.jsonl"), &key, 1, &resume, &why),
        PW_E_OK);
    assert_int_equal(resume.what, PW_CHAIN_RECOVERED);
    pw_buf_free(&whole);
}

static void
a_state_is_read_back_and_never_with_a_changed_byte(void **state)
{
    (void)state;
    struct pw_chain_state back, made = {.id = "wall/1795304398001", .hash = {9}};
    struct pw_buf text = {.limit = PW_CHAIN_STATE_MAX};
    for (uint8_t i = 0; i < 13; i++) {
        uint8_t leaf[PW_TREE_HASH] = {i};
        pw_tree_append(&made.tree, leaf);
    }
    made.closed = true;
    snprintf(made.begins, sizeof made.begins, "wall/17");
    made.begins_seq = 4;
    assert_int_equal(pw_chain_state_format(&made, &text), PW_E_OK);
    assert_true(pw_chain_state_parse(pw_buf_span(&text), &back));
    assert_memory_equal(&made, &back, offsetof(struct pw_chain_state, tree));
    assert_int_equal(back.tree.size, 13);
    assert_memory_equal(made.tree.range, back.tree.range, 3 * PW_TREE_HASH);
    assert_true(back.closed);
    assert_string_equal(back.begins, "wall/17");
    assert_int_equal(back.begins_seq, 4);
    for (size_t at = 0; at < text.len; at++) {
        text.bytes[at] ^= 0x11;
        assert_false(pw_chain_state_parse(pw_buf_span(&text), &back));
        assert_false(pw_chain_state_parse((struct pw_span){text.bytes, at}, &back));
        text.bytes[at] ^= 0x11;
    }
    pw_buf_free(&text);
}

struct resume_case {
    const char *name;
    size_t keep; /* lines of the log of two runs */
    bool stop;
    enum pw_chain_what what;
};

/* start, two events, a stop, and the seal: five lines a run, four without the stop. */
static const struct resume_case resume_cases[] = {
    {"a log as it was closed", 10, true, PW_CHAIN_CONTINUED},
    {"the last line is gone", 9, true, PW_CHAIN_BROKEN},
    {"the last run is gone", 5, true, PW_CHAIN_BROKEN},
    {"all but a line is gone", 1, true, PW_CHAIN_BROKEN},
};

static void
a_log_is_continued_only_when_all_of_it_is_there(void **state)
{
    static struct pw_chain_resume resume;
    for (size_t i = 0; i < PW_COUNT(resume_cases); i++) {
        const struct resume_case *c = &resume_cases[i];
        struct pw_why why = {{0}};
        struct pw_buf whole;
        write_log(folder, 2, true);
        write_log(folder, 2, c->stop);
        read_log(&whole);
        replace_log((struct pw_span){whole.bytes, lines_end(&whole, c->keep)});
        struct pw_note_key key = public_key();
        assert_int_equal(pw_chain_resume(in_folder("audit.chain"), in_folder("audit.jsonl"),
                                         &key, 1, &resume, &why),
                         PW_E_OK);
        check_case(c->name, resume.what == c->what);
        check_case(c->name, (resume.alarm.text[0] != '\0') == (c->what == PW_CHAIN_BROKEN));
        pw_buf_free(&whole);
        remove_files(state);
    }
}

struct blank_case {
    const char *name;
    bool key, state, log; /* are removed */
    bool alarm;
};

static const struct blank_case blank_cases[] = {
    {"log and state are gone", false, true, true, true},
    {"all is gone, as at the first start", true, true, true, false},
    {"a closed log was moved away", false, false, true, false},
};

static void
a_key_without_its_log_and_state_is_an_alarm(void **state)
{
    for (size_t i = 0; i < PW_COUNT(blank_cases); i++) {
        const struct blank_case *c = &blank_cases[i];
        struct pw_why why = {{0}};
        write_log(folder, 2, true);
        assert_true(!c->key || unlink(in_folder("audit.pwkey")) == 0);
        assert_true(!c->state || unlink(in_folder("audit.chain")) == 0);
        assert_true(!c->log || unlink(in_folder("audit.jsonl")) == 0);
        struct pw_audit *audit = open_log(folder, &why);
        assert_non_null(audit);
        const char *alarm = pw_audit_chain_alarm(audit);
        check_case(c->name, (alarm != NULL) == c->alarm);
        check_case(c->name, !c->alarm || strstr(alarm, "its log was removed") != NULL);
        pw_audit_close(&audit);
        remove_files(state);
    }
}

/* ---- without memory ---- */

static void
open_and_close(void *arg)
{
    struct pw_why why = {{0}};
    struct pw_audit *audit = open_log(folder, &why);
    (void)arg;
    if (audit == NULL) {
        assert_true(why.text[0] != '\0');
    }
    pw_audit_close(&audit);
}

static void
a_chain_without_memory_is_an_error_and_the_next_start_goes_on(void **state)
{
    (void)state;
    write_log(folder, 3, true);
    size_t n = 1;
    while (fail_alloc_round(n, open_and_close, NULL)) {
        n++;
    }
    assert_true(n > 8);
    write_log(folder, 3, true);
    assert_int_equal(verify_with(NULL, NULL, NULL), PW_VERIFY_COMPLETE);
}

static void
verify_in_little_memory(void *arg)
{
    const struct pw_buf *mirror = arg;
    struct pw_note_key key = {.name = "audit"};
    struct pw_verify_points points = {0};
    struct pw_why why = {{0}};
    struct pw_verify_options options = {.keys = &key, .key_count = 1, .points = &points};
    enum pw_err err = pw_verify_points_add(&points, pw_buf_span(mirror), &key, 1, &why);
    assert_int_not_equal(err, PW_E_OK); /* not this key's */
    struct pw_verify *verify = pw_verify_new(&options);
    PW_CLEANUP(pw_file_close) int fd = open(in_folder("audit.jsonl"), O_RDONLY | O_CLOEXEC);
    err = verify == NULL ? PW_E_NOMEM : pw_verify_file(verify, fd);
    assert_int_equal(err == PW_E_NOMEM, fail_alloc_happened());
    pw_verify_free(&verify);
    pw_verify_points_free(&points);
}

static void
add_points(void *arg)
{
    const struct pw_buf *mirror = arg;
    struct pw_note_key key = public_key();
    struct pw_verify_points points = {0};
    struct pw_why why = {{0}};
    enum pw_err err = pw_verify_points_add(&points, pw_buf_span(mirror), &key, 1, &why);
    assert_int_equal(err, fail_alloc_happened() ? PW_E_NOMEM : PW_E_OK);
    pw_verify_points_free(&points);
}

static void
a_verifier_without_memory_says_so(void **state)
{
    (void)state;
    struct pw_buf mirror = {.limit = 1 << 20};
    write_log(folder, 3, true);
    assert_int_equal(pw_file_read(in_folder("mirror"), &mirror), PW_E_OK);
    size_t n = 1;
    while (fail_alloc_round(n, verify_in_little_memory, &mirror)) {
        n++;
    }
    assert_true(n > 3);
    add_points(&mirror);
    pw_buf_free(&mirror);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, remove_files)
    const struct CMUnitTest tests[] = {
        TEST(a_long_log_is_sealed_every_1024_lines_and_complete),
        TEST(a_note_that_was_cut_short_costs_the_mirror_no_other),
        TEST(the_end_of_a_log_is_known_from_the_state_and_the_mirror),
        TEST(a_chain_must_be_there_as_far_as_the_next_one_says),
        TEST(more_chains_than_are_shown_are_all_known),
        TEST(a_chain_that_only_the_mirror_knows_is_missed),
        TEST(a_log_that_nobody_sealed_is_refused_for_that),
        TEST(a_log_cut_at_any_byte_is_not_complete),
        TEST(one_changed_bit_anywhere_is_found),
        TEST(nothing_fits_between_a_note_and_the_end_of_its_line),
        TEST(a_state_is_read_back_and_never_with_a_changed_byte),
        TEST(a_log_is_continued_only_when_all_of_it_is_there),
        TEST(a_key_without_its_log_and_state_is_an_alarm),
        TEST(a_chain_without_memory_is_an_error_and_the_next_start_goes_on),
        TEST(a_verifier_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
