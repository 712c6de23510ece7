/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/differential/examine.h"

#include <stdlib.h>
#include <sys/resource.h>

/* CPython may ask for so much memory, and gets MemoryError beyond. */
#define ADDRESS_SPACE ((rlim_t)1 << 30)

/* Pieces longer than this are halved when they cannot be deleted; then each size is tried.
 */
enum { SHRINK_LOADS = 20000, SHRINK_EACH = 40 };

/* Sanitizers need their terabytes of addresses; they bound each allocation instead. */
static void
bound_memory(void)
{
#if !defined(PW_SANITIZED)
    struct rlimit limit = {ADDRESS_SPACE, ADDRESS_SPACE};
    (void)setrlimit(RLIMIT_AS, &limit);
#endif
}

struct examiner *
examiner_new(void)
{
    bound_memory();
    struct examiner *examiner = calloc(1, sizeof *examiner);
    if (examiner == NULL || !oracle_start()) {
        free(examiner);
        return NULL;
    }
    examiner->policy = compare_policy();
    examiner->scan = pw_scan_new();
    if (examiner->scan == NULL) {
        abort();
    }
    return examiner;
}

static void
count_stream(struct tally *tally, const struct forecast *forecast)
{
    tally->streams++;
    tally->ops += forecast->report.ops;
    tally->clean += forecast->report.find_count == 0;
    tally->passed += forecast->passed;
    tally->limited += forecast->limited;
}

#define EVERYBODY                                                                          \
    {                                                                                      \
        true, true, true, true                                                             \
    }

/* The first is how a consumer loads that says nothing. */
static const struct plan plans[] = {
    {.asks = EVERYBODY, .buffer_size = 16},
    {.asks = EVERYBODY, .encoding = ORACLE_LATIN1, .buffers = true, .buffer_size = 1},
    {.asks = EVERYBODY, .encoding = ORACLE_BYTES, .buffer_size = 5},
};

static enum failure
ask(struct examiner *examiner, const struct plan *plan, enum oracle_reader reader)
{
    struct oracle_call call = {.reader = reader,
                               .encoding = plan->encoding,
                               .buffers = plan->buffers,
                               .buffer_size = plan->buffer_size,
                               .closely = examiner->forecast.report.find_count == 0};
    struct oracle_answer *answer = &examiner->answer;
    oracle_ask(&call, answer);
    struct comparison result =
        compare_answer(&examiner->forecast, examiner->policy, reader, answer);
    struct tally *tally = &examiner->tally;
    tally->comparisons[reader]++;
    tally->finished += answer->finished;
    tally->steps += answer->count;
    tally->refused_anyway += result.refused_anyway;
    tally->no_memory += answer->no_memory;
    return result.failure;
}

struct verdict
examine(struct examiner *examiner, const struct plan *plan, struct pw_span stream)
{
    struct forecast *forecast = &examiner->forecast;
    compare_foresee(examiner->scan, examiner->policy, stream, forecast);
    count_stream(&examiner->tally, forecast);
    if (forecast->limited) {
        return (struct verdict){0};
    }
    oracle_stream(stream);
    for (enum oracle_reader reader = 0; reader < ORACLE_READERS; reader++) {
        enum failure failure = plan->asks[reader] ? ask(examiner, plan, reader) : FAIL_NONE;
        if (failure != FAIL_NONE) {
            return (struct verdict){failure, reader};
        }
    }
    return (struct verdict){0};
}

struct verdict
examine_all(struct examiner *examiner, struct plan *plan, struct pw_span stream)
{
    struct verdict verdict = {0};
    for (size_t i = 0; i < PW_COUNT(plans) && verdict.failure == FAIL_NONE; i++) {
        *plan = plans[i];
        verdict = examine(examiner, plan, stream);
    }
    return verdict;
}

struct verdict
examine_real(struct examiner *examiner, struct pw_span stream)
{
    uint64_t before = examiner->tally.finished;
    struct verdict verdict = examine(examiner, &plans[0], stream);
    if (verdict.failure != FAIL_NONE) {
        return verdict;
    }
    bool loaded = examiner->tally.finished == before + ORACLE_READERS;
    bool limited = examiner->forecast.limited;
    verdict.failure = loaded || limited ? compare_real(&examiner->forecast) : FAIL_NONE;
    return verdict;
}

/* ---- less of the same -----------------------------------------------------------------
 */

static bool
still_fails(struct examiner *examiner, const struct plan *plan, struct verdict verdict,
            struct pw_span stream)
{
    struct verdict now = verdict.failure == FAIL_REFUSAL ? examine_real(examiner, stream)
                                                         : examine(examiner, plan, stream);
    return now.failure == verdict.failure && now.reader == verdict.reader;
}

size_t
examine_shrink(struct examiner *examiner, const struct plan *plan, struct verdict verdict,
               uint8_t *bytes, size_t len)
{
    if (verdict.failure == FAIL_REFUSAL) {
        return len; /* a part of a real pickle is none */
    }
    uint8_t *trial = malloc(len + 1);
    if (trial == NULL) {
        abort();
    }
    unsigned loads = 0;
    for (size_t piece = len / 2; piece > 0;) {
        bool shorter = false;
        for (size_t at = 0; at + piece <= len && loads < SHRINK_LOADS;) {
            memcpy(trial, bytes, at);
            memcpy(trial + at, bytes + at + piece, len - at - piece);
            loads++;
            if (still_fails(examiner, plan, verdict,
                            (struct pw_span){trial, len - piece})) {
                len -= piece;
                memcpy(bytes, trial, len);
                shorter = true;
            } else {
                at++;
            }
        }
        if (!shorter || piece > len) {
            piece = piece > SHRINK_EACH ? piece / 2 : piece - 1;
        }
    }
    free(trial);
    return len;
}

/* ---- words ----------------------------------------------------------------------------
 */

static void
print_text(struct pw_span text, FILE *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool plain = c > ' ' && c < 0x7f && c != '\\' && c != ':';
        fprintf(out, plain ? "%c" : "\\x%02x", c);
    }
}

static void
print_step(enum oracle_event_kind kind, struct pw_span mod, struct pw_span name,
           uint32_t code, FILE *out)
{
    switch (kind) {
    case ORACLE_IMPORT:
        fputc(' ', out);
        print_text(mod, out);
        fputc(':', out);
        print_text(name, out);
        return;
    case ORACLE_EXTENSION:
        fprintf(out, " extension(%u)", code);
        return;
    case ORACLE_PERSISTENT:
        fputs(" persistent_load", out);
        return;
    case ORACLE_BUFFER:
        fputs(" buffer", out);
        return;
    case ORACLE_AUDIT:
        fputs(" audit ", out);
        print_text(name, out);
        return;
    }
}

static void
explain_report(const struct forecast *forecast, FILE *out)
{
    static const char *const kinds[] = {"broken", "opaque", "empty", "pickle"};
    const struct pw_report *report = &forecast->report;
    fprintf(out, "  scanner   kind %s, %llu of %llu bytes;", kinds[report->kind],
            (unsigned long long)report->consumed, (unsigned long long)report->bytes);
    for (size_t i = 0; i < forecast->count; i++) {
        const struct foreseen *step = &forecast->steps[i];
        if (step->any_name) {
            fputs(" anything", out);
        } else {
            print_step(step->kind, step->mod, step->name, step->code, out);
        }
        fprintf(out, "@%u", step->off);
    }
    fputs(";", out);
    for (size_t i = 0; i < report->find_count; i++) {
        fprintf(out, " %s@%u", pw_reason_code(report->finds[i].reason),
                report->finds[i].off);
    }
    fputc('\n', out);
}

static void
explain_answer(const struct plan *plan, enum oracle_reader reader,
               const struct oracle_answer *answer, FILE *out)
{
    static const char *const encodings[] = {
        [ORACLE_ASCII] = "ascii", [ORACLE_LATIN1] = "latin1", [ORACLE_BYTES] = "bytes"};
    fprintf(out, "  %-8s  encoding %s%s, ", oracle_reader_text(reader),
            encodings[plan->encoding], plan->buffers ? ", buffers" : "");
    if (reader == ORACLE_BUFFERED) {
        fprintf(out, "buffer of %u, ", plan->buffer_size);
    }
    fputs(answer->finished ? "a value" : answer->error, out);
    if (answer->position >= 0) {
        fprintf(out, ", ends at %lld", (long long)answer->position);
    }
    fputc(';', out);
    for (size_t i = 0; i < answer->count; i++) {
        const struct oracle_event *event = &answer->events[i];
        print_step(event->kind, event->mod, event->name, event->code, out);
    }
    fputc('\n', out);
}

void
examine_explain(struct examiner *examiner, const struct plan *plan, struct verdict verdict,
                struct pw_span stream, FILE *out)
{
    (void)still_fails(examiner, plan, verdict, stream);
    fprintf(out, "FAILED %s on CPython %s\n  stream    ", failure_text(verdict.failure),
            oracle_version());
    for (size_t i = 0; i < stream.len; i++) {
        fprintf(out, "%02x", stream.ptr[i]);
    }
    fputc('\n', out);
    explain_report(&examiner->forecast, out);
    if (!examiner->forecast.limited) { /* otherwise nobody was asked */
        explain_answer(plan, verdict.reader, &examiner->answer, out);
    }
}
