/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands behind the status page: the newest findings, the board, opcodes around a
 * place, and which names a request may be for.
 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/board.h"
#include "proxy/disassembly.h"
#include "proxy/web_inside.h"
#include "tests/unit/fail_alloc.h"

static const struct pw_audit_record refusal = {.event = PW_EVENT_FRAME,
                                               .reason = PW_R_IMPORT_DENIED};

static void
give_line(struct pw_recent *recent, const struct pw_audit_record *record, const char *line)
{
    assert_true(pw_recent_send(
        recent, &(struct pw_audit_copy){.line = pw_span_str(line), .record = record}));
}

static void
give_name(struct pw_recent *recent, const char *mod, const char *entry)
{
    char line[512];
    snprintf(line, sizeof line,
             "{\"ts\":\"t\",\"src\":\"10.0.0.7\",\"finds\":[{\"code\":\"x\",\"frame\":0,"
             "\"off\":1},{\"code\":\"y\",\"frame\":2,\"off\":34,\"mod\":\"%s\",\"name\":"
             "\"n\"}],\"q\":{\"id\":\"ab\",\"entry\":\"%s\",\"bytes\":77,\"stored\":true}}",
             mod, entry);
    give_line(recent, &refusal, line);
}

/* What `write` makes of it, as text to be freed. */
static char *
findings_of(struct pw_recent *recent, uint64_t after)
{
    struct pw_buf out = {.limit = 1 << 20};
    struct pw_json json = pw_json_over(&out);
    (void)pw_recent_write(recent, after, &json);
    assert_int_equal(json.err, PW_E_OK);
    assert_int_equal(pw_buf_append(&out, BYTES("\0")), PW_E_OK);
    return (char *)out.bytes;
}

static size_t
count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (; (text = strstr(text, part)) != NULL; text++) {
        count++;
    }
    return count;
}

static void
the_ring_keeps_the_newest_and_tells_each_once(void **state)
{
    (void)state;
    struct pw_recent *recent = pw_recent_new();
    for (int i = 0; i < PW_RECENT_LINES + 10; i++) {
        char entry[32];
        snprintf(entry, sizeof entry, "E%d", i);
        give_name(recent, "os", entry);
    }
    char *all = findings_of(recent, 0);
    assert_int_equal(count_of(all, "\"n\":"), PW_RECENT_LINES);
    assert_non_null(strstr(all, "\"n\":74,"));
    assert_null(strstr(all, "\"n\":10,"));
    assert_null(strstr(all, "src"));
    char *fresh = findings_of(recent, PW_RECENT_LINES + 8);
    assert_int_equal(count_of(fresh, "\"n\":"), 2);
    char *none = findings_of(recent, PW_RECENT_LINES + 10);
    assert_string_equal(none, "\"findings\":[]");
    free(all);
    free(fresh);
    free(none);
    pw_recent_free(&recent);
}

static void
clean_passes_and_events_are_no_findings(void **state)
{
    (void)state;
    struct pw_recent *recent = pw_recent_new();
    give_line(recent, &(struct pw_audit_record){.event = PW_EVENT_FRAME}, "{}");
    give_line(recent, &(struct pw_audit_record){.event = PW_EVENT_KEY, .reason = 1}, "{}");
    assert_int_equal(pw_recent_seen(recent), 0);
    pw_recent_free(&recent);
}

static void
a_line_without_sense_does_no_harm(void **state)
{
    (void)state;
    static const char *const odd[] = {"",
                                      "{",
                                      "[]",
                                      "{\"finds\":7}",
                                      "{\"finds\":[1,{\"mod\":2}]}",
                                      "{\"finds\":[{\"name\":\"b\",\"mod\":\"a\"}]}",
                                      "{\"q\":[]}",
                                      "{\"q\":{\"entry\":\"E\"}}"};
    struct pw_recent *recent = pw_recent_new();
    for (size_t i = 0; i < PW_COUNT(odd); i++) {
        give_line(recent, &refusal, odd[i]);
    }
    struct pw_recent_held held;
    assert_true(pw_recent_find(recent, "E", &held));
    assert_false(held.stored);
    assert_string_equal(held.object, "");
    assert_false(pw_recent_find(recent, "", &held));
    free(findings_of(recent, 0));
    pw_recent_free(&recent);
}

static void
a_held_message_is_found_by_its_entry(void **state)
{
    (void)state;
    struct pw_recent *recent = pw_recent_new();
    give_name(recent, "os", "A");
    give_name(recent, "posix", "B");
    struct pw_recent_held held;
    assert_true(pw_recent_find(recent, "B", &held));
    assert_string_equal(held.object, "ab");
    assert_true(held.stored && held.bytes == 77 && held.frame == 2 && held.off == 34);
    assert_false(pw_recent_find(recent, "C", &held));
    pw_recent_free(&recent);
}

static void
the_most_frequent_names_stay_under_a_flood_of_others(void **state)
{
    (void)state;
    struct pw_recent *recent = pw_recent_new();
    for (int i = 0; i < 500; i++) {
        char mod[32];
        snprintf(mod, sizeof mod, "m%d", i);
        give_name(recent, mod, "E");
        give_name(recent, "often", "E");
    }
    struct pw_buf out = {.limit = 1 << 16};
    struct pw_json json = pw_json_over(&out);
    pw_recent_write_names(recent, 3, &json);
    assert_int_equal(pw_buf_append(&out, BYTES("\0")), PW_E_OK);
    const char *first = "\"globals\":[{\"mod\":\"often\",\"name\":\"n\",\"count\":500}";
    assert_memory_equal(out.bytes, first, strlen(first));
    assert_int_equal(count_of((char *)out.bytes, "\"mod\""), 3);
    pw_buf_free(&out);
    pw_recent_free(&recent);
}

/* --- the board ----------------------------------------------------------------------- */

static void
put_counts(struct pw_board *board, uint64_t forwarded)
{
    struct pw_metrics metrics = {.channels = calloc(1, sizeof *metrics.channels)};
    if (metrics.channels != NULL) {
        metrics.channel_count = 1;
        metrics.channels[0].forwarded = forwarded;
        strcpy(metrics.channels[0].name, "jobs");
    }
    pw_board_put(board, &metrics);
    assert_null(metrics.channels);
}

static void
the_board_tells_the_newest_snapshot(void **state)
{
    (void)state;
    struct pw_recent *recent = pw_recent_new();
    struct pw_board *board = pw_board_new(recent);
    assert_true(pw_board_age(board) == UINT64_MAX);
    assert_int_equal(pw_board_take(board)->channel_count, 0);
    pw_board_give_back(board);
    for (uint64_t i = 0; i < 130; i++) {
        put_counts(board, i);
    }
    put_counts(board, 5); /* it was opened anew */
    assert_int_equal(pw_board_turn(board), 131);
    assert_true(pw_board_age(board) < 60000000000);
    struct pw_buf out = {.limit = 1 << 20};
    struct pw_json json = pw_json_over(&out);
    assert_int_equal(pw_board_write(board, 0, &json), 0);
    assert_int_equal(json.err, PW_E_OK);
    assert_int_equal(pw_buf_append(&out, BYTES("\0")), PW_E_OK);
    assert_non_null(strstr((char *)out.bytes, "\"chan\":\"jobs\""));
    assert_non_null(strstr((char *)out.bytes, "\"pass\":5,"));
    const char *passed = strstr((char *)out.bytes, "\"passed\":[");
    *strchr(passed, ']') = '\0';
    assert_int_equal(count_of(passed, ","), 119);
    pw_buf_free(&out);
    pw_board_free(&board);
    pw_recent_free(&recent);
}

/* --- opcodes ------------------------------------------------------------------------- */

static const struct ops_case {
    const char *name;
    struct pw_span frame;
    uint64_t off;
    const char *ops; /* NULL: none begins there */
} ops_cases[] = {
    {"a name", BYTES("cos\nsystem\n."), 0,
     "{\"off\":0,\"op\":\"GLOBAL\",\"arg\":\"os system\",\"mark\":true},"
     "{\"off\":11,\"op\":\"STOP\"}"},
    {"numbers", BYTES("\x80\x02J\xff\xff\xff\xffG?\xf8\0\0\0\0\0\0."), 2,
     "{\"off\":0,\"op\":\"PROTO\",\"arg\":\"2\"},"
     "{\"off\":2,\"op\":\"BININT\",\"arg\":\"-1\",\"mark\":true},"
     "{\"off\":7,\"op\":\"BINFLOAT\",\"arg\":\"1.5\"},{\"off\":16,\"op\":\"STOP\"}"},
    {"cut short", BYTES("Ncos\nsys"), 1,
     "{\"off\":0,\"op\":\"NONE\"},"
     "{\"off\":1,\"op\":\"GLOBAL\",\"arg\":\"cut short\",\"mark\":true}"},
    {"no opcode", BYTES("N\xff"), 1,
     "{\"off\":0,\"op\":\"NONE\"},{\"off\":1,\"op\":\"no opcode\",\"mark\":true}"},
    {"inside an argument", BYTES("cos\nsystem\n."), 3, NULL},
    {"at the end", BYTES("N."), 2, NULL},
    {"behind the end", BYTES("N."), UINT64_MAX, NULL},
    {"empty", BYTES(""), 0, NULL},
};

static void
opcodes_are_told_around_the_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(ops_cases); i++) {
        const struct ops_case *it = &ops_cases[i];
        struct pw_buf out = {.limit = 1 << 16};
        struct pw_json json = pw_json_over(&out);
        char wanted[512];
        snprintf(wanted, sizeof wanted, "\"ops\":[%s]", it->ops != NULL ? it->ops : "");
        bool found = pw_disassembly_write(it->frame, it->off, &json);
        assert_int_equal(pw_buf_append(&out, BYTES("\0")), PW_E_OK);
        check_case(it->name, found == (it->ops != NULL));
        assert_string_equal(out.bytes, wanted);
        pw_buf_free(&out);
    }
}

static void
no_more_opcodes_are_told_than_fit(void **state)
{
    (void)state;
    struct pw_buf out = {.limit = 1 << 16};
    struct pw_json json = pw_json_over(&out);
    uint8_t many[1000];
    memset(many, 'N', sizeof many);
    assert_true(pw_disassembly_write((struct pw_span){many, sizeof many}, 500, &json));
    assert_int_equal(pw_buf_append(&out, BYTES("\0")), PW_E_OK);
    assert_int_equal(count_of((char *)out.bytes, "NONE"),
                     PW_DISASSEMBLY_BEFORE + 1 + PW_DISASSEMBLY_BEHIND);
    pw_buf_free(&out);
}

/* --- hosts --------------------------------------------------------------------------- */

static const struct host_case {
    const char *host;
    bool fits;
} host_cases[] = {
    {"127.0.0.1", true},
    {"127.0.0.1:9101", true},
    {"[::1]", true},
    {"[::1]:9101", true},
    {"LocalHost:1", true},
    {"wall.example:80", true},
    {"service", true},
    {"10.0.0.7", true},
    {NULL, false},
    {"", false},
    {":80", false},
    {"evil.example", false},
    {"localhost.evil", false},
    {"[::1", false},
    {"[]", false},
    {"::1", false},
    {"127.0.0.1:8x", false},
    {"[::1]x", false},
    {"service.evil", false},
    {"127.0.0.1.", false},
    {"1", false},
};

static void
only_names_of_this_host_fit(void **state)
{
    (void)state;
    struct pw_web web = {.options = {.name = "service"}, .host = "wall.example"};
    for (size_t i = 0; i < PW_COUNT(host_cases); i++) {
        const char *host = host_cases[i].host;
        check_case(host != NULL ? host : "none",
                   pw_web_host_fits(&web, host) == host_cases[i].fits);
    }
}

/* --- without memory ------------------------------------------------------------------ */

static bool whole;

static void
tell_all(void *arg)
{
    (void)arg;
    whole = false;
    struct pw_recent *recent = pw_recent_new();
    struct pw_board *board = recent != NULL ? pw_board_new(recent) : NULL;
    PW_CLEANUP(pw_buf_free) struct pw_buf out = {.limit = 1 << 20};
    if (board != NULL) {
        give_name(recent, "os", "A");
        put_counts(board, 1);
        put_counts(board, 2);
        struct pw_json json = pw_json_over(&out);
        (void)pw_board_write(board, 0, &json);
        whole = json.err == PW_E_OK && !fail_alloc_happened();
    }
    pw_board_free(&board);
    pw_recent_free(&recent);
}

static void
no_failed_allocation_does_harm(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, tell_all, NULL)) {
        n++;
    }
    assert_true(whole && n > 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ring_keeps_the_newest_and_tells_each_once),
        cmocka_unit_test(clean_passes_and_events_are_no_findings),
        cmocka_unit_test(a_line_without_sense_does_no_harm),
        cmocka_unit_test(a_held_message_is_found_by_its_entry),
        cmocka_unit_test(the_most_frequent_names_stay_under_a_flood_of_others),
        cmocka_unit_test(the_board_tells_the_newest_snapshot),
        cmocka_unit_test(opcodes_are_told_around_the_place),
        cmocka_unit_test(no_more_opcodes_are_told_than_fit),
        cmocka_unit_test(only_names_of_this_host_fit),
        cmocka_unit_test(no_failed_allocation_does_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
