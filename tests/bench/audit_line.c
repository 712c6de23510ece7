/* SPDX-License-Identifier: Apache-2.0
 *
 * What an audited pass costs: making its line, linking it to the one before it, and handing
 * it to the writer thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sodium.h>

#include "common/audit/audit.h"
#include "common/audit/chain.h"
#include "common/audit/line.h"
#include "common/base/clock.h"
#include "common/base/ulid.h"

enum { ROUNDS = 2000000, BURST = 64 };

static struct pw_audit_record
pass(void)
{
    return (struct pw_audit_record){.wall_ns = 1795304400123456789,
                                    .event = PW_EVENT_FRAME,
                                    .verdict = PW_PASS,
                                    .enforced = true,
                                    .scanned = true,
                                    .proto = 4,
                                    .frames = 1,
                                    .ops = 22,
                                    .depth = 3,
                                    .memo = 4,
                                    .bytes = 412};
}

static uint64_t
cpu_now(void)
{
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
}

static void
report(const char *what, uint64_t start, uint64_t cpu_start)
{
    double cpu_ns = (double)(cpu_now() - cpu_start);
    double wall_ns = (double)(pw_clock_steady() - start);
    printf("%-28s %8.1f ns a record  %8.1f ns of CPU\n", what, wall_ns / ROUNDS,
           cpu_ns / ROUNDS);
}

/* With `chained`, each line is hashed and becomes a leaf; nothing is signed. */
static void
bench_line(bool chained, const char *what)
{
    struct pw_chain *chain =
        pw_chain_open(&(struct pw_chain_options){.instance = "wall-0"}, NULL);
    struct pw_audit_identity identity = {"wall-0", "node-7", 4242};
    struct pw_audit_names names = {"jobs", "tcp://127.0.0.1:8006", "tcp://127.0.0.1:8007"};
    struct pw_audit_form form = {0};
    struct pw_audit_stamp stamp = {0};
    struct pw_ulid ulid = {.fill = randombytes_buf};
    struct pw_buf out = {.limit = 1 << 20};
    if (chain == NULL || pw_audit_form_make(&form, &identity, &names) != PW_E_OK) {
        abort();
    }
    struct pw_audit_record record = pass();
    uint64_t cpu = cpu_now();
    uint64_t start = pw_clock_steady();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        char id[PW_ULID_TEXT];
        record.wall_ns += 1000;
        record.dur_ns = 1000 + (uint32_t)(i & 0xfff);
        pw_ulid_next(&ulid, record.wall_ns, id);
        struct pw_audit_extra extra = {.seq = i, .id = id, .link = pw_chain_link(chain)};
        if (out.len > out.limit / 2) {
            pw_buf_clear(&out);
        }
        size_t at = out.len;
        if (pw_audit_form_line(&form, &stamp, &record, &extra, &out) != PW_E_OK) {
            abort();
        }
        if (chained) {
            struct pw_span text = {out.bytes + at, out.len - at - 1};
            pw_chain_add(chain, text, PW_EVENT_FRAME);
        }
    }
    report(what, start, cpu);
    pw_chain_free(&chain);
    pw_buf_free(&form.bytes);
    pw_buf_free(&out);
}

static void
bench_log(bool pass_each, const char *what)
{
    struct pw_why why = {{0}};
    struct pw_audit_options options = {
        .path = "/dev/null", .instance = "wall-0", .pass_each = pass_each};
    struct pw_audit *audit = pw_audit_open(&options, &why);
    if (audit == NULL) {
        abort();
    }
    struct pw_audit_record records[BURST];
    uint64_t cpu = cpu_now();
    uint64_t start = pw_clock_steady();
    for (uint64_t i = 0; i < ROUNDS / BURST; i++) {
        for (size_t j = 0; j < BURST; j++) {
            records[j] = pass();
            records[j].channel = -1;
        }
        if (pw_audit_push(audit, records, BURST) != PW_E_OK) {
            abort();
        }
    }
    struct pw_audit_counts counts = pw_audit_counts(audit);
    pw_audit_close(&audit);
    report(what, start, cpu);
    printf("%-28s %.1f %% became summaries\n", "",
           100.0 * (double)counts.summarised / ROUNDS);
}

int
main(void)
{
    bench_line(false, "line of a pass");
    bench_line(true, "the same, chained");
    bench_log(true, "push and write, each");
    bench_log(false, "push, summaries only");
    return 0;
}
