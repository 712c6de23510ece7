/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a chain goes on when the log that it was in is not what its state would expect.
 */
#include "common/audit/chain_resume.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/check.h"

#include "common/audit/audit.h"
#include "common/audit/chain.h"
#include "common/audit/chain_key.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "tests/unit/fail_alloc.h"

static char folder[] = "/tmp/pw-resume-XXXXXX";
static char log_path[64];
static char old_path[64];
static char state_path[64];

static int
make_folder(void **state)
{
    (void)state;
    pw_log_set_level(PW_LOG_ERROR);
    if (mkdtemp(folder) == NULL || sodium_init() < 0) {
        return -1;
    }
    snprintf(log_path, sizeof log_path, "%s/audit.jsonl", folder);
    snprintf(old_path, sizeof old_path, "%s/audit.jsonl.1", folder);
    snprintf(state_path, sizeof state_path, "%s/audit.chain", folder);
    return 0;
}

static int
remove_files(void **state)
{
    static const char *const names[] = {"audit.jsonl", "audit.jsonl.1", "audit.pwkey",
                                        "audit.pub",   "audit.pub.old", "audit.chain"};
    (void)state;
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A life of so many lines, each a `config`, and the seal. */
static void
live(size_t lines)
{
    struct pw_why why = {{0}};
    struct pw_audit *audit = pw_audit_open(
        &(struct pw_audit_options){
            .path = log_path, .instance = "wall", .queue_records = 64, .state = folder},
        &why);
    assert_non_null(audit);
    for (size_t i = 0; i < lines; i++) {
        struct pw_audit_record record = {
            .wall_ns = pw_clock_wall(), .channel = -1, .event = PW_EVENT_CONFIG};
        assert_int_equal(pw_audit_push(audit, &record, 1), PW_E_OK);
    }
    pw_audit_close(&audit);
}

/* Open the chain as a wall does; with `line` the log gets one, and the state knows it. */
static void
die_behind(const char *line)
{
    struct pw_why why = {{0}};
    struct pw_chain *chain = pw_chain_open(
        &(struct pw_chain_options){.instance = "wall", .state = folder, .log = log_path},
        &why);
    assert_non_null(chain);
    if (line != NULL) {
        pw_chain_add(chain, pw_span_str(line), PW_EVENT_START);
        pw_chain_save(chain, false);
    }
    pw_chain_free(&chain);
}

static const char *
found(void)
{
    static char text[512];
    struct pw_why why = {{0}};
    struct pw_chain *chain = pw_chain_open(
        &(struct pw_chain_options){.instance = "wall", .state = folder, .log = log_path},
        &why);
    assert_non_null(chain);
    snprintf(text, sizeof text, "%s%s", pw_chain_news(chain),
             pw_chain_alarm(chain) != NULL ? " alarm" : "");
    pw_chain_free(&chain);
    return text;
}

static void
put_file(const char *path, const char *text)
{
    assert_int_equal(pw_file_replace(path, pw_span_str(text), 0640), PW_E_OK);
}

static void
a_wall_that_died_before_its_first_line_lost_nothing(void **state)
{
    (void)state;
    die_behind(NULL);
    assert_string_equal(found(), "\"chain\":{\"what\":\"new\"}"); /* no log */
    put_file(log_path, "");
    assert_string_equal(found(), "\"chain\":{\"what\":\"new\"}");
    put_file(log_path, "lines of an older picklewall\nand another\n");
    assert_string_equal(found(), "\"chain\":{\"what\":\"new\"}");
}

#define HALF "{\"ts\":\"2026-11-22T10:1"
#define HALF_TORN                                                                          \
    ",\"torn\":{\"bytes\":22,\"sha256\":"                                                  \
    "\"0ff0c816afa72d080aff5cbe3eec03dbd88fcdf315b37eb1d27c8004bdf0b47f\"}}"

static void
half_a_first_line_of_all_is_told(void **state)
{
    (void)state;
    die_behind(NULL);
    put_file(log_path, HALF);
    assert_string_equal(found(), "\"chain\":{\"what\":\"new\"" HALF_TORN);
    put_file(log_path, HALF "\n"); /* the next one died behind the LF */
    assert_string_equal(found(), "\"chain\":{\"what\":\"new\"" HALF_TORN);
}

static void
a_log_that_was_closed_may_be_moved_before_the_first_line_of_the_next(void **state)
{
    (void)state;
    live(3);
    die_behind(NULL);
    assert_string_equal(found(), "\"chain\":{\"what\":\"continued\"}"); /* the same log */
    assert_int_equal(unlink(log_path), 0);
    die_behind(NULL);
    assert_string_equal(found(), "\"chain\":{\"what\":\"continued\"}");
    put_file(log_path, "");
    assert_string_equal(found(), "\"chain\":{\"what\":\"continued\"}");
    live(1); /* goes on with seq 5 */
    struct pw_chain_state known;
    struct pw_why why = {{0}};
    assert_int_equal(pw_chain_state_load(state_path, &known, &why), PW_E_OK);
    assert_int_equal(known.tree.size, 6);
    assert_true(known.closed);
}

static void
a_log_that_is_gone_behind_its_first_line_is_an_alarm(void **state)
{
    (void)state;
    die_behind("{}");
    assert_non_null(strstr(found(), "\"what\":\"broken\""));
    assert_non_null(strstr(found(), " alarm"));
    remove_files(state);
    live(3);
    die_behind("{}");
    assert_int_equal(unlink(log_path), 0);
    assert_non_null(strstr(found(), "\"what\":\"broken\""));
    assert_non_null(strstr(found(), " alarm"));
}

/* The state of a wall that was killed behind its newest checkpoint. */
static void
forget_the_end(void)
{
    struct pw_chain_state known;
    struct pw_why why = {{0}};
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_CHAIN_STATE_MAX};
    assert_int_equal(pw_chain_state_load(state_path, &known, &why), PW_E_OK);
    known.closed = false;
    assert_int_equal(pw_chain_state_format(&known, &text), PW_E_OK);
    assert_int_equal(pw_file_replace(state_path, pw_buf_span(&text), 0600), PW_E_OK);
}

static void
a_crash_right_behind_a_rotation_goes_on_where_the_moved_log_ends(void **state)
{
    (void)state;
    live(3);
    forget_the_end();
    assert_int_equal(rename(log_path, old_path), 0);
    assert_string_equal(found(), "\"chain\":{\"what\":\"recovered\"}"); /* no log */
    put_file(log_path, "");
    assert_string_equal(found(), "\"chain\":{\"what\":\"recovered\"}");
    live(1);
    struct pw_chain_state known;
    struct pw_why why = {{0}};
    assert_int_equal(pw_chain_state_load(state_path, &known, &why), PW_E_OK);
    assert_int_equal(known.tree.size, 6); /* four lines, and two */
}

static void
half_a_first_line_behind_a_rotation_is_told_and_no_alarm(void **state)
{
    (void)state;
    live(3);
    forget_the_end();
    assert_int_equal(rename(log_path, old_path), 0);
    put_file(log_path, HALF);
    assert_string_equal(found(), "\"chain\":{\"what\":\"recovered\"" HALF_TORN);
    put_file(log_path, HALF "\n");
    assert_string_equal(found(), "\"chain\":{\"what\":\"recovered\"" HALF_TORN);
    live(1);
    struct pw_chain_state known;
    struct pw_why why = {{0}};
    assert_int_equal(pw_chain_state_load(state_path, &known, &why), PW_E_OK);
    assert_int_equal(known.tree.size, 6);
    remove_files(state);
    live(3);
    die_behind(NULL); /* behind a stop */
    assert_int_equal(rename(log_path, old_path), 0);
    put_file(log_path, HALF);
    assert_string_equal(found(), "\"chain\":{\"what\":\"recovered\"" HALF_TORN);
}

static void
half_a_line_alone_is_an_alarm_where_nothing_is_known_to_be_moved(void **state)
{
    (void)state;
    live(3);
    put_file(log_path, HALF); /* nobody has opened it since it was closed */
    assert_non_null(strstr(found(), "\"what\":\"broken\""));
    remove_files(state);
    live(3);
    forget_the_end();
    put_file(log_path, HALF); /* and no file beside it has what was sealed */
    assert_non_null(strstr(found(), "\"what\":\"broken\""));
    assert_non_null(strstr(found(), " alarm"));
}

static void
a_key_that_is_gone_is_an_alarm_and_its_public_half_stays(void **state)
{
    (void)state;
    char key[96], old[96];
    snprintf(key, sizeof key, "%s/audit.pwkey", folder);
    snprintf(old, sizeof old, "%s/audit.pub.old", folder);
    live(3);
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(unlink(key), 0);
    assert_string_equal(found(), "\"chain\":{\"what\":\"continued\"} alarm");
    assert_int_equal(access(old, F_OK), 0);
    assert_string_equal(found(), "\"chain\":{\"what\":\"continued\"}"); /* said once */
}

static void
resume_once(void *arg)
{
    struct pw_note_key *key = arg;
    struct pw_why why = {{0}};
    struct pw_chain_resume resume;
    enum pw_err err = pw_chain_resume(state_path, log_path, key, 1, &resume, &why);
    if (err == PW_E_OK) {
        assert_false(fail_alloc_happened());
        assert_int_equal(resume.what, PW_CHAIN_RECOVERED);
        return;
    }
    assert_int_equal(err, PW_E_NOMEM); /* and no word of a log that is gone */
    assert_string_equal(resume.alarm.text, "");
}

static void
out_of_memory_is_no_log_that_is_gone(void **state)
{
    (void)state;
    live(3);
    forget_the_end();
    assert_int_equal(rename(log_path, old_path), 0);
    struct pw_why why = {{0}};
    char path[96];
    snprintf(path, sizeof path, "%s/audit.pwkey", folder);
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_chain_key_open(path, &why);
    struct pw_note_key who;
    assert_true(key != NULL && pw_note_key_of(key, &who));
    size_t n = 1;
    for (; fail_alloc_round(n, resume_once, &who); n++) {
    }
    assert_in_range(n, 4, 20);
    put_file(log_path, HALF);
    for (n = 1; fail_alloc_round(n, resume_once, &who); n++) {
    }
    assert_in_range(n, 4, 20);
}

static void
a_moved_log_without_the_line_that_was_sealed_is_an_alarm(void **state)
{
    (void)state;
    live(3);
    forget_the_end();
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 1 << 16};
    assert_int_equal(pw_file_read(log_path, &text), PW_E_OK);
    const uint8_t *last = memrchr(text.bytes, '\n', text.len - 1);
    assert_non_null(last);
    struct pw_span cut = {text.bytes, (size_t)(last + 1 - text.bytes)};
    assert_int_equal(pw_file_replace(old_path, cut, 0640), PW_E_OK);
    assert_int_equal(unlink(log_path), 0);
    assert_non_null(strstr(found(), "\"what\":\"broken\""));
    assert_non_null(strstr(found(), " alarm"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, remove_files)
    const struct CMUnitTest tests[] = {
        TEST(a_wall_that_died_before_its_first_line_lost_nothing),
        TEST(a_log_that_was_closed_may_be_moved_before_the_first_line_of_the_next),
        TEST(a_log_that_is_gone_behind_its_first_line_is_an_alarm),
        TEST(a_crash_right_behind_a_rotation_goes_on_where_the_moved_log_ends),
        TEST(half_a_first_line_of_all_is_told),
        TEST(half_a_first_line_behind_a_rotation_is_told_and_no_alarm),
        TEST(half_a_line_alone_is_an_alarm_where_nothing_is_known_to_be_moved),
        TEST(a_key_that_is_gone_is_an_alarm_and_its_public_half_stays),
        TEST(out_of_memory_is_no_log_that_is_gone),
        TEST(a_moved_log_without_the_line_that_was_sealed_is_an_alarm),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
