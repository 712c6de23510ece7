/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fail_alloc.h"

static const struct pw_audit_identity identity = {"wall-0", "node-7", 4242};
static const struct pw_audit_names jobs = {"jobs", "tcp://127.0.0.1:1",
                                           "tcp://127.0.0.1:2"};
static const struct pw_audit_names none = {0};
static const char id[] = "01JD8Z3W5K9Q2M7X4T6B1C0V8R";

/* 2026-11-21T23:40:00.123456789Z */
static const uint64_t wall = 1795304400123456789;

#define WHO                                                                                \
    "\"inst\":\"wall-0\",\"host\":\"node-7\",\"ver\":\"" PW_VERSION "\",\"pid\":4242"
#define CHAN                                                                               \
    ",\"chan\":\"jobs\",\"dir\":\"in\",\"in\":\"tcp://127.0.0.1:1\","                      \
    "\"out\":\"tcp://127.0.0.1:2\""
#define HEAD(event, level)                                                                 \
    "{\"ts\":\"2026-11-21T23:40:00.123456Z\",\"schema\":\"picklewall.audit/1\","           \
    "\"event\":\"" event "\",\"id\":\"01JD8Z3W5K9Q2M7X4T6B1C0V8R\",\"seq\":7,"             \
    "\"level\":\"" level "\"," WHO

/* What every line ends with here. */
#define LINK                                                                               \
    ",\"chain\":\"wall-0/1795304398001\",\"prev\":\""                                      \
    "00000000000000000000000000000000000000000000000000000000000000ff\"}\n"

struct line_case {
    const char *name;
    struct pw_audit_record record;
    const struct pw_audit_names *names;
    struct pw_audit_extra extra;
    const char *detail;
    const char *line;
};

/* clang-format off */
static const struct line_case line_cases[] = {
    {"a clean pass",
     {.event = PW_EVENT_FRAME, .verdict = PW_PASS, .enforced = true, .scanned = true, .proto = 4,
      .frames = 1, .ops = 22, .depth = 3, .memo = 4, .bytes = 412, .dur_ns = 19000}, &jobs, {0}, NULL,
     HEAD("frame", "info") CHAN ",\"verdict\":\"pass\",\"enforced\":true,"
     "\"msg\":{\"frames\":1,\"bytes\":412},"
     "\"pickle\":{\"proto\":4,\"ops\":22,\"depth\":3,\"memo\":4},\"dur_us\":19" LINK},
    {"an opaque pass, not scanned",
     {.event = PW_EVENT_FRAME, .verdict = PW_PASS, .enforced = true, .frames = 2, .bytes = 0,
      .dur_ns = 1002}, &jobs, {0}, NULL,
     HEAD("frame", "info") CHAN ",\"verdict\":\"pass\",\"enforced\":true,"
     "\"msg\":{\"frames\":2,\"bytes\":0},\"dur_us\":1.002" LINK},
    {"a refusal with its detail",
     {.event = PW_EVENT_FRAME, .verdict = PW_QUARANTINE, .enforced = true,
      .reason = PW_R_IMPORT_DENIED, .frames = 1, .bytes = 40}, &jobs, {.lost = 3}, "\"finds\":[]",
     HEAD("frame", "high") CHAN ",\"verdict\":\"quarantine\",\"enforced\":true,"
     "\"reason\":\"import.denied\",\"reason_text\":\"a name that the policy does not allow\","
     "\"msg\":{\"frames\":1,\"bytes\":40},\"lost\":3,\"finds\":[]" LINK},
    {"a finding that is graver than the reason",
     {.event = PW_EVENT_FRAME, .verdict = PW_DROP, .enforced = true, .level = PW_LEVEL_CRITICAL,
      .reason = PW_R_IMPORT_DENIED, .frames = 1, .bytes = 40}, &jobs, {0}, NULL,
     HEAD("frame", "critical") CHAN ",\"verdict\":\"drop\",\"enforced\":true,"
     "\"reason\":\"import.denied\",\"reason_text\":\"a name that the policy does not allow\","
     "\"msg\":{\"frames\":1,\"bytes\":40}" LINK},
    {"a violation that is only reported",
     {.event = PW_EVENT_FRAME, .verdict = PW_PASS, .reason = PW_R_PICKLE_NO_STOP, .frames = 1,
      .bytes = 1}, &jobs, {0}, NULL,
     HEAD("frame", "medium") CHAN ",\"verdict\":\"pass\",\"enforced\":false,"
     "\"reason\":\"pickle.no_stop\",\"reason_text\":\"the bytes end without STOP\","
     "\"msg\":{\"frames\":1,\"bytes\":1}" LINK},
    {"a good signature",
     {.event = PW_EVENT_FRAME, .verdict = PW_PASS, .enforced = true, .frames = 1, .bytes = 9,
      .sig = {.state = PW_SIG_OK, .suite = 1, .key_id = {0x5b, 0x2e, 0x11, 0xc0, 0x9d, 0x7a, 0x4f, 0x10},
              .epoch = 1795304400000, .seq = 88, .time_ns = 1795304400119000000}}, &jobs, {0}, NULL,
     HEAD("frame", "info") CHAN ",\"verdict\":\"pass\",\"enforced\":true,"
     "\"msg\":{\"frames\":1,\"bytes\":9},\"sig\":{\"state\":\"ok\",\"suite\":1,"
     "\"kid\":\"5b2e11c09d7a4f10\",\"epoch\":1795304400000,\"seq\":88,\"age_ms\":4}" LINK},
    {"a good signature of another program",
     {.event = PW_EVENT_FRAME, .verdict = PW_PASS, .enforced = true, .frames = 1, .bytes = 9,
      .sig = {.state = PW_SIG_UNDATED, .key_id = {0x5b, 0x2e, 0x11, 0xc0, 0x9d, 0x7a, 0x4f, 0x10}}},
     &jobs, {0}, NULL,
     HEAD("frame", "info") CHAN ",\"verdict\":\"pass\",\"enforced\":true,"
     "\"msg\":{\"frames\":1,\"bytes\":9},\"sig\":{\"state\":\"ok_undated\","
     "\"kid\":\"5b2e11c09d7a4f10\"}" LINK},
    {"a trailer that lies about everything stays readable numbers",
     {.event = PW_EVENT_FRAME, .verdict = PW_DROP, .enforced = true, .reason = PW_R_SIG_BAD,
      .frames = 65535, .bytes = UINT64_MAX,
      .sig = {.state = PW_SIG_BAD, .reason = PW_R_SIG_BAD, .suite = 255, .key_id = {0},
              .epoch = UINT64_MAX, .seq = UINT64_MAX, .time_ns = UINT64_MAX}}, &jobs, {0}, NULL,
     HEAD("frame", "critical") CHAN ",\"verdict\":\"drop\",\"enforced\":true,"
     "\"reason\":\"sig.bad\",\"reason_text\":\"the signature does not fit the message\","
     "\"msg\":{\"frames\":65535,\"bytes\":9007199254740991},\"sig\":{\"state\":\"bad\",\"suite\":255,"
     "\"kid\":\"0000000000000000\",\"epoch\":9007199254740991,\"seq\":9007199254740991,"
     "\"age_ms\":-16651439673586}" LINK},
    {"no trailer where one was wanted",
     {.event = PW_EVENT_FRAME, .verdict = PW_DROP, .enforced = true, .reason = PW_R_SIG_MISSING,
      .frames = 1, .bytes = 1, .sig = {.state = PW_SIG_MISSING, .reason = PW_R_SIG_MISSING}}, &jobs, {0}, NULL,
     HEAD("frame", "high") CHAN ",\"verdict\":\"drop\",\"enforced\":true,"
     "\"reason\":\"sig.missing\",\"reason_text\":\"no signature where one is required\","
     "\"msg\":{\"frames\":1,\"bytes\":1},\"sig\":{\"state\":\"missing\"}" LINK},
    {"a summary",
     {.event = PW_EVENT_SUMMARY}, &jobs,
     {.sum = {.messages = 1000, .bytes = 412000, .since_ns = 1795304399000000000}}, NULL,
     HEAD("summary", "info") CHAN
     ",\"summary\":{\"messages\":1000,\"bytes\":412000,\"since\":\"2026-11-21T23:39:59.000000Z\"}" LINK},
    {"the start, which belongs to no channel", {.event = PW_EVENT_START}, &none, {0}, "\"config\":\"x\"",
     HEAD("start", "info") ",\"config\":\"x\",\"tree\":[\"/+8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\","
     "\"ABCDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]" LINK},
    {"a checkpoint, whose note knows how much of the line is before it", {.event = PW_EVENT_CHECKPOINT},
     &none, {0}, NULL,
     HEAD("checkpoint", "info") ",\"checkpoint\":{\"size\":3,\"note\":\"232 bytes before\"}" LINK},
    {"an error of ours", {.event = PW_EVENT_ERROR}, &none, {0}, NULL, HEAD("error", "high") LINK},
    {"an event nobody knows is an error, a verdict nobody knows a drop",
     {.event = 200, .verdict = 200, .reason = 255}, &none, {0}, NULL,
     HEAD("error", "critical") ",\"reason\":\"internal.error\","
     "\"reason_text\":\"the wall could not examine the message\"" LINK},
};
/* clang-format on */

static size_t
seal(void *arg, struct pw_span before, char out[static PW_NOTE_JSON])
{
    (void)arg;
    return (size_t)snprintf(out, PW_NOTE_JSON, "%zu bytes before", before.len);
}

static void
link_up(struct pw_audit_extra *extra, const struct pw_tree *tree)
{
    extra->link.chain = "wall-0/1795304398001";
    extra->link.prev = "00000000000000000000000000000000000000000000000000000000000000ff";
    extra->link.tree = tree;
    extra->link.seal = seal;
}

static struct pw_buf
make(const struct pw_audit_record *record, const struct pw_audit_names *names,
     struct pw_audit_extra extra, const char *detail)
{
    struct pw_buf out = {.limit = 1 << 20};
    struct pw_audit_form form = {0};
    struct pw_audit_stamp stamp = {0};
    struct pw_audit_record copy = *record;
    char *text = detail == NULL ? NULL : strdup(detail);
    copy.wall_ns = wall;
    copy.detail = text;
    static const struct pw_tree three = {.size = 3,
                                         .range = {{0xff, 0xef}, {0x00, 0x10, 0x83}}};
    extra.seq = 7;
    extra.id = id;
    link_up(&extra, &three);
    assert_int_equal(pw_audit_form_make(&form, &identity, names), PW_E_OK);
    assert_int_equal(pw_audit_form_line(&form, &stamp, &copy, &extra, &out), PW_E_OK);
    assert_int_equal(pw_buf_append(&out, (struct pw_span){(const uint8_t *)"", 1}),
                     PW_E_OK);
    pw_buf_free(&form.bytes);
    free(text);
    return out;
}

static void
a_record_becomes_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(line_cases); i++) {
        const struct line_case *c = &line_cases[i];
        struct pw_buf out = make(&c->record, c->names, c->extra, c->detail);
        if (strcmp((const char *)out.bytes, c->line) != 0) {
            fail_msg("%s:\n  is     %s  wanted %s", c->name, (const char *)out.bytes,
                     c->line);
        }
        pw_buf_free(&out);
    }
}

static void
one_second_cached_is_not_the_next(void **state)
{
    (void)state;
    struct pw_buf out = {.limit = 1 << 20};
    struct pw_audit_form form = {0};
    struct pw_audit_stamp stamp = {0};
    static const uint64_t times[] = {0, 999999999, 1000000000, 1795304400123456789, 999};
    static const char *const texts[] = {
        "1970-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.999999Z",
        "1970-01-01T00:00:01.000000Z", "2026-11-21T23:40:00.123456Z",
        "1970-01-01T00:00:00.000000Z"};
    for (size_t i = 0; i < PW_COUNT(times); i++) {
        struct pw_audit_record record = {.wall_ns = times[i], .event = PW_EVENT_STOP};
        static const struct pw_tree empty = {0};
        struct pw_audit_extra extra = {.seq = 1, .id = id};
        link_up(&extra, &empty);
        pw_buf_clear(&out);
        assert_int_equal(pw_audit_form_line(&form, &stamp, &record, &extra, &out), PW_E_OK);
        assert_memory_equal(out.bytes + strlen("{\"ts\":\""), texts[i], 27);
    }
    pw_buf_free(&out);
}

static void
assert_tame(const struct pw_buf *line)
{
    assert_in_range(line->len, 3, PW_AUDIT_LINE_MAX);
    for (size_t i = 0; i + 1 < line->len; i++) {
        assert_in_range(line->bytes[i], 0x20, 0x7e);
    }
    assert_int_equal(line->bytes[line->len - 1], '\n');
}

static void
hostile_names_leave_a_short_ascii_line(void **state)
{
    (void)state;
    static char long_name[10001];
    memset(long_name, 0xff, sizeof long_name - 1);
    static const char *const hostile[] = {
        "\x1b[31mred\x1b[0m", "two\nlines\r", "\"}{\\", "\xc3\x28\xff\xfe",
        "\xf0\x9f\x92\xa9",   "\x7f\x01",     long_name};
    for (size_t i = 0; i < PW_COUNT(hostile); i++) {
        struct pw_audit_identity who = {hostile[i], hostile[i], 1};
        struct pw_audit_names names = {hostile[i], hostile[i], hostile[i]};
        struct pw_audit_record record = line_cases[5].record;
        struct pw_buf out = {.limit = 1 << 20};
        record.detail = strdup("\"finds\":[]");
        assert_int_equal(pw_audit_line(&record, &who, &names, UINT64_MAX, id, &out),
                         PW_E_OK);
        assert_tame(&out);
        free(record.detail);
        pw_buf_free(&out);
    }
}

static void
a_detail_that_does_not_fit_is_left_out_and_said(void **state)
{
    (void)state;
    for (size_t len = 7000; len < 9000; len++) {
        char *detail = malloc(len + 1);
        memset(detail, 'x', len);
        memcpy(detail, "\"d\":\"", 5);
        detail[len - 1] = '"';
        detail[len] = '\0';
        struct pw_buf out =
            make(&line_cases[0].record, &jobs, (struct pw_audit_extra){0}, detail);
        out.len--;
        assert_tame(&out);
        bool cut = strstr((const char *)out.bytes, "\"detail_cut\":true" LINK) != NULL;
        bool whole = strstr((const char *)out.bytes, detail) != NULL;
        assert_true(cut != whole);
        assert_true(len > 7300 ? len < 8200 || cut : whole);
        pw_buf_free(&out);
        free(detail);
    }
}

static void
every_reason_text_is_safe_to_copy(void **state)
{
    (void)state;
    for (int reason = 0; reason < PW_R_COUNT; reason++) {
        assert_null(strpbrk(pw_reason_code(reason), "\"\\\n"));
        assert_null(strpbrk(pw_reason_text(reason), "\"\\\n"));
        assert_true(strlen(pw_reason_code(reason)) + strlen(pw_reason_text(reason)) < 256);
    }
}

static void
make_a_line(void *arg)
{
    struct pw_buf *out = arg;
    struct pw_audit_record record = {.event = PW_EVENT_START};
    pw_buf_free(out);
    enum pw_err err = pw_audit_line(&record, &identity, &jobs, 1, id, out);
    if (fail_alloc_happened()) {
        assert_int_equal(err, PW_E_NOMEM);
        assert_int_equal(out->len, 0);
    }
}

static void
out_of_memory_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct pw_buf out = {.limit = 1 << 20};
    size_t n = 1;
    while (fail_alloc_round(n, make_a_line, &out)) {
        n++;
    }
    assert_true(n > 2);
    pw_buf_free(&out);
    struct pw_audit_record record = {.event = PW_EVENT_START};
    struct pw_buf small = {.limit = 100};
    assert_int_equal(pw_audit_line(&record, &identity, &jobs, 1, id, &small), PW_E_LIMIT);
    assert_int_equal(small.len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_becomes_its_line),
        cmocka_unit_test(one_second_cached_is_not_the_next),
        cmocka_unit_test(hostile_names_leave_a_short_ascii_line),
        cmocka_unit_test(a_detail_that_does_not_fit_is_left_out_and_said),
        cmocka_unit_test(every_reason_text_is_safe_to_copy),
        cmocka_unit_test(out_of_memory_leaves_the_buffer_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
