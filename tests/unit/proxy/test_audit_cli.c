/* SPDX-License-Identifier: Apache-2.0
 *
 * What readers of the audit log are made of: lines, times, filters, gaps, counts, words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

#include "proxy/cli/audit_counts.h"
#include "proxy/cli/audit_filter.h"
#include "proxy/cli/audit_gaps.h"
#include "proxy/cli/audit_source.h"
#include "proxy/cli/screen.h"
#include "proxy/cli/words.h"

static struct pw_logged
logged(const char *line)
{
    struct pw_logged out;
    assert_true(pw_logged_read(pw_span_str(line), &out));
    return out;
}

/* ---- times ---- */

struct time_case {
    const char *text;
    bool good;
    uint64_t ns;
};

static const struct time_case time_cases[] = {
    {"1970-01-01T00:00:00Z", true, 0},
    {"1970-01-01", true, 0},
    {"1970-01-01T00:00:00.000001Z", true, 1000},
    {"1970-01-01T00:00:01.5Z", true, 1500000000},
    {"1970-01-01T00:00:00.1234567891Z", true, 123456789},
    {"2000-02-29T00:00:00Z", true, 951782400000000000},
    {"2026-11-21T23:40:00.123456Z", true, 1795304400123456000},
    {"2100-03-01", true, 4107542400000000000},
    {"2100-02-29", false, 0},
    {"2027-02-29T00:00:00Z", false, 0},
    {"1969-12-31T00:00:00Z", false, 0},
    {"2026-13-01", false, 0},
    {"2026-00-01", false, 0},
    {"2026-04-31", false, 0},
    {"2026-11-21T24:00:00Z", false, 0},
    {"2026-11-21T23:60:00Z", false, 0},
    {"2026-11-21T23:40:00", false, 0},
    {"2026-11-21T23:40:00.Z", false, 0},
    {"2026-11-21T23:40:00+00:00", false, 0},
    {"2026-11-21T23:40:00Zx", false, 0},
    {"2026-11-2", false, 0},
    {"", false, 0},
};

static void
a_time_is_read_only_in_its_one_spelling(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(time_cases); i++) {
        const struct time_case *c = &time_cases[i];
        uint64_t ns = 0;
        check_case(c->text, pw_logged_time(pw_span_str(c->text), &ns) == c->good);
        check_case(c->text, !c->good || ns == c->ns);
    }
}

/* ---- lines ---- */

static void
a_line_gives_what_counts_need(void **state)
{
    (void)state;
    struct pw_logged line = logged("{\"ts\":\"T\",\"event\":\"frame\",\"seq\":7,\"pid\":8,"
                                   "\"chan\":\"a\\n\",\"verdict\":"
                                   "\"pass\",\"enforced\":false,\"msg\":{\"frames\":1,"
                                   "\"bytes\":57},\"lost\":3,\"finds\":"
                                   "[{\"mod\":\"os\"}],\"chain\":\"w/1\"}");
    assert_int_equal(line.kind, PW_LOGGED_PASS);
    assert_true(line.reported);
    assert_int_equal(line.messages, 1);
    assert_int_equal(line.bytes, 57);
    assert_int_equal(line.seq, 7);
    assert_int_equal(line.pid, 8);
    assert_int_equal(line.lost, 3);
    assert_true(pw_span_equal(line.chan, BYTES("a\\n")));
    assert_true(pw_span_equal(line.finds, BYTES("[{\"mod\":\"os\"}]")));
    line = logged("{\"event\":\"summary\",\"summary\":{\"messages\":9,\"bytes\":4}}");
    assert_int_equal(line.kind, PW_LOGGED_SUMMARY);
    assert_int_equal(line.messages, 9);
    line = logged("{\"event\":\"frame\",\"verdict\":\"maybe\",\"msg\":{\"bytes\":\"x\"}}");
    assert_int_equal(line.kind, PW_LOGGED_OTHER);
    assert_int_equal(line.messages, 0);
}

static void
what_is_no_object_is_no_line(void **state)
{
    static const char *const cases[] = {"", "[]", "1", "{", "{\"a\":1}}", "x{}"};
    (void)state;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        struct pw_logged line;
        check_case(cases[i], !pw_logged_read(pw_span_str(cases[i]), &line));
    }
}

/* ---- filters ---- */

static const char refused[] = "{\"ts\":\"2026-11-21T23:40:00.000000Z\",\"event\":\"frame\","
                              "\"level\":\"high\",\"chan\":"
                              "\"jobs\",\"verdict\":\"drop\",\"enforced\":true,\"reason\":"
                              "\"sig.bad\",\"finds\":[{\"code\":"
                              "\"import.denied\",\"mod\":\"o\\u0073\"}]}";
static const char clean[] = "{\"ts\":\"2026-11-21T23:40:00.000000Z\",\"event\":\"frame\","
                            "\"level\":\"info\",\"chan\":"
                            "\"jobs\",\"verdict\":\"pass\",\"enforced\":true}";
static const char opened[] = "{\"event\":\"start\",\"level\":\"info\"}";

struct filter_case {
    const char *name;
    struct pw_audit_filter filter;
    bool refused, clean, opened;
};

static const struct filter_case filter_cases[] = {
    {"none", {0}, true, true, true},
    {"verdict", {.verdict = "drop"}, true, false, false},
    {"non-pass", {.non_pass = true}, true, false, false},
    {"a whole reason", {.reason = "sig.bad"}, true, false, false},
    {"how a reason begins", {.reason = "sig."}, true, false, false},
    {"a reason of a finding", {.reason = "import"}, true, false, false},
    {"another reason", {.reason = "bad"}, false, false, false},
    {"channel", {.channel = "jobs"}, true, true, false},
    {"part of a channel", {.channel = "job"}, false, false, false},
    {"event", {.event = "start"}, false, false, true},
    {"text", {.grep = "sig.b"}, true, false, false},
    {"text behind an escape", {.grep = "os"}, true, false, false},
    {"a key is no text", {.grep = "level"}, false, false, false},
    {"since before", {.since_ns = 1795304400000000000}, true, true, false},
    {"since after", {.since_ns = 1795304400000000001}, false, false, false},
};

static bool
takes(const struct filter_case *c, const char *text)
{
    struct pw_logged line = logged(text);
    return pw_audit_filter_takes(&c->filter, pw_span_str(text), &line);
}

static void
a_filter_takes_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(filter_cases); i++) {
        const struct filter_case *c = &filter_cases[i];
        check_case(c->name, takes(c, refused) == c->refused);
        check_case(c->name, takes(c, clean) == c->clean);
        check_case(c->name, takes(c, opened) == c->opened);
        check_case(c->name, pw_audit_filter_active(&c->filter) == (i > 0));
    }
}

/* ---- gaps ---- */

static uint64_t
gap(struct pw_audit_gaps *gaps, const char *chain, uint64_t pid, uint64_t seq)
{
    struct pw_logged line = {.chain = pw_span_str(chain), .pid = pid, .seq = seq};
    return pw_audit_gaps_take(gaps, &line);
}

static void
gaps_are_told_within_a_chain(void **state)
{
    (void)state;
    struct pw_audit_gaps gaps = {0};
    assert_int_equal(gap(&gaps, "a/1", 1, 5), 0); /* who knows what was before */
    assert_int_equal(gap(&gaps, "a/1", 2, 6), 0); /* over a restart */
    assert_int_equal(gap(&gaps, "b/1", 1, 90), 0);
    assert_int_equal(gap(&gaps, "a/1", 1, 10), 3);
    assert_int_equal(gap(&gaps, "b/1", 1, 92), 1);
    assert_int_equal(gap(&gaps, "", 1, 3), 0);
    assert_int_equal(gap(&gaps, "", 2, 1), 0); /* an older log: another process */
    assert_int_equal(gap(&gaps, "", 1, 5), 1);
    assert_int_equal(gap(&gaps, "a/1", 1, 4), 0); /* read again */
    assert_int_equal(gap(&gaps, "a/1", 1, 0), 0);
    assert_int_equal(gaps.missing, 5);
}

/* ---- counts ---- */

static enum pw_err
count(struct pw_counts *counts, unsigned source, const char *chan, const char *name)
{
    char line[512];
    snprintf(
        line, sizeof line,
        "{\"ts\":\"2026-11-21T23:%02u:00.000000Z\",\"event\":\"frame\",\"chan\":\"%s\","
        "\"src\":\"s%u\",\"verdict\":\"drop\",\"reason\":\"import.denied\",\"msg\":{"
        "\"bytes\":"
        "2},\"finds\":[{\"mod\":\"os\",\"name\":\"%s\"},{\"mod\":\"os\",\"name\":\"%s\"}]}",
        source % 60, chan, source, name, name);
    struct pw_logged out = logged(line);
    return pw_counts_take(counts, &out);
}

static void
counts_are_put_in_order(void **state)
{
    (void)state;
    struct pw_counts counts = {0};
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(count(&counts, i * i % 37, i % 3 ? "a" : "b\\u0000", "system"),
                         PW_E_OK);
    }
    uint32_t order[200];
    assert_int_equal(pw_counts_order(&counts, PW_BY_CHANNEL, order, 200), 2);
    const struct pw_count *rows = counts.by[PW_BY_CHANNEL].rows;
    assert_int_equal(rows[order[0]].messages, 66);
    assert_int_equal(rows[order[1]].messages, 34);
    assert_int_equal(rows[order[1]].len, 2); /* b and a NUL */
    assert_int_equal(counts.by[PW_BY_GLOBAL].count, 1);
    assert_int_equal(counts.by[PW_BY_GLOBAL].rows[0].messages, 100); /* once a line */
    assert_int_equal(counts.by[PW_BY_GLOBAL].rows[0].mod_len, 2);
    size_t all = pw_counts_order(&counts, PW_BY_SOURCE, order, 200);
    uint32_t some[7];
    assert_int_equal(pw_counts_order(&counts, PW_BY_SOURCE, some, 7), 7);
    rows = counts.by[PW_BY_SOURCE].rows;
    uint64_t sum = 0;
    for (size_t i = 0; i < all; i++) {
        sum += rows[order[i]].messages;
        assert_true(i == 0 || rows[order[i - 1]].messages >= rows[order[i]].messages);
        assert_true(i >= 7 || some[i] == order[i]);
    }
    assert_int_equal(sum, 100);
    assert_int_equal(counts.total.bytes, 200);
    pw_counts_free(&counts);
}

static void
past_the_bound_keys_are_counted_together(void **state)
{
    enum { MORE = 10 };
    (void)state;
    struct pw_counts counts = {0};
    for (unsigned i = 0; i < PW_COUNT_KEYS + MORE; i++) {
        assert_int_equal(count(&counts, i, "a", "system"), PW_E_OK);
    }
    assert_int_equal(counts.by[PW_BY_SOURCE].count, PW_COUNT_KEYS);
    assert_int_equal(counts.by[PW_BY_SOURCE].others.messages, MORE);
    assert_int_equal(count(&counts, 5, "a", "system"), PW_E_OK);
    assert_int_equal(counts.by[PW_BY_SOURCE].others.messages, MORE);
    pw_counts_free(&counts);
}

static void
count_some(void *state)
{
    enum pw_err *err = state;
    struct pw_counts counts = {0};
    *err = PW_E_OK;
    for (unsigned i = 0; i < 200 && *err == PW_E_OK; i++) {
        *err = count(&counts, i, "a\\u0000", i % 2 ? "system" : "eval");
    }
    pw_counts_free(&counts);
}

static void
without_memory_counting_ends(void **state)
{
    (void)state;
    enum pw_err err = PW_E_OK;
    size_t n = 1;
    for (; fail_alloc_round(n, count_some, &err); n++) {
        assert_int_equal(err, PW_E_NOMEM);
    }
    assert_int_equal(err, PW_E_OK);
    assert_true(n > 200); /* a row for each source */
}

static void
without_memory_a_filter_rather_takes_too_much(void **state)
{
    (void)state;
    struct pw_audit_filter filter = {.grep = "nowhere"};
    struct pw_logged line = logged(refused);
    fail_alloc_at(1);
    assert_true(pw_audit_filter_takes(&filter, pw_span_str(refused), &line));
    fail_alloc_at(0);
    assert_false(pw_audit_filter_takes(&filter, pw_span_str(refused), &line));
}

/* ---- sources ---- */

struct reading {
    char path[64];
    size_t lines;
    enum pw_err err;
};

static enum pw_err
take_one(void *arg, struct pw_span line)
{
    struct reading *reading = arg;
    reading->lines += line.len > 0;
    return PW_E_OK;
}

static void
read_all(void *arg)
{
    struct reading *reading = arg;
    struct pw_audit_source_options options = {.take = take_one, .arg = reading};
    struct pw_why why = {{0}};
    struct pw_audit_source *source = pw_audit_source_new(&options);
    reading->lines = 0;
    reading->err =
        source == NULL ? PW_E_NOMEM : pw_audit_source_add(source, reading->path, &why);
    while (reading->err == PW_E_OK && !pw_audit_source_ended(source)) {
        reading->err = pw_audit_source_step(source, 0);
    }
    pw_audit_source_free(&source);
}

static void
a_file_is_read_whole_or_the_want_of_memory_told(void **state)
{
    (void)state;
    struct reading reading = {.path = "/tmp/pw-audit-cli-XXXXXX"};
    int fd = mkstemp(reading.path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "{}\n\n{\"a\":1}\nno LF", 18), 18);
    size_t n = 1;
    for (; fail_alloc_round(n, read_all, &reading); n++) {
        assert_int_equal(reading.err, PW_E_NOMEM);
    }
    assert_true(n > 1);
    assert_int_equal(reading.err, PW_E_OK);
    assert_int_equal(reading.lines, 3);
    close(fd);
    unlink(reading.path);
}

/* ---- words ---- */

static void
words_are_harmless_and_bounded(void **state)
{
    (void)state;
    struct pw_words words = {0};
    pw_words_put(&words, "a%d ", 1);
    pw_words_quote(&words, BYTES("\x1b[2J\n\xc3\xa4\xff\xe2\x80\xae~"));
    assert_string_equal(words.text, "a1 \\u001b[2J\\u000a\\u00e4\\xff\\u202e~");
    for (int i = 0; i < 500; i++) {
        pw_words_quote(&words, BYTES("\x1b"
                                     "abc"));
    }
    assert_int_equal(words.len, strlen(words.text));
    assert_true(words.len < PW_WORDS);
    pw_words_cut(&words, 10);
    assert_string_equal(words.text, "a1 \\u00...");
    pw_words_cut(&words, 3);
    assert_string_equal(words.text, "a1 ");
}

static void
numbers_are_told_as_people_read_them(void **state)
{
    static const struct {
        uint64_t count;
        const char *text;
    } counts[] = {{0, "0"},
                  {999, "999"},
                  {1000, "1,000"},
                  {12345, "12,345"},
                  {1234567, "1,234,567"},
                  {UINT64_MAX, "18,446,744,073,709,551,615"}};
    static const struct {
        double bytes;
        const char *text;
    } sizes[] = {
        {0, "0 B"}, {1023, "1023 B"}, {1536, "1.5 KiB"}, {3221225472.0, "3.0 GiB"}};
    char text[PW_QUANTITY_TEXT];
    (void)state;
    for (size_t i = 0; i < PW_COUNT(counts); i++) {
        pw_quantity_count(counts[i].count, text);
        assert_string_equal(text, counts[i].text);
    }
    for (size_t i = 0; i < PW_COUNT(sizes); i++) {
        pw_quantity_size(sizes[i].bytes, text);
        assert_string_equal(text, sizes[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_read_only_in_its_one_spelling),
        cmocka_unit_test(a_line_gives_what_counts_need),
        cmocka_unit_test(what_is_no_object_is_no_line),
        cmocka_unit_test(a_filter_takes_what_it_says),
        cmocka_unit_test(gaps_are_told_within_a_chain),
        cmocka_unit_test(counts_are_put_in_order),
        cmocka_unit_test(past_the_bound_keys_are_counted_together),
        cmocka_unit_test(without_memory_counting_ends),
        cmocka_unit_test(without_memory_a_filter_rather_takes_too_much),
        cmocka_unit_test(a_file_is_read_whole_or_the_want_of_memory_told),
        cmocka_unit_test(words_are_harmless_and_bounded),
        cmocka_unit_test(numbers_are_told_as_people_read_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
