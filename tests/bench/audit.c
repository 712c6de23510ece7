/* SPDX-License-Identifier: Apache-2.0
 *
 * What the audit log costs: a message on the message path, a line in the writer, on disk.
 *
 *     bench_audit [RECORDS] [FOLDER]      (default: 1000000, $TMPDIR or /tmp)
 *
 * Bursts are handed over as the relay does it. The queue is given time between them (which
 * is not counted), so that no pass becomes a summary for want of room.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/audit/audit.h"
#include "common/base/clock.h"
#include "common/base/def.h"

enum { BURST = 256, QUEUE = 65536, PATH_ROOM = 256 };

static char folder[PATH_ROOM];
static char path[PATH_ROOM + 16];

/* One row is one run. */
static const struct load {
    const char *name;
    bool refusals;
    bool pass_each;
    bool sync_each;
    bool sealed; /* with a key: checkpoints are signed, the state is kept */
    size_t burst;
    size_t share; /* of RECORDS: one in so many */
} loads[] = {
    {"passes, a line each", false, true, false, true, BURST, 1},
    {"the same, no checkpoints", false, true, false, false, BURST, 1},
    {"passes, summaries", false, false, false, true, BURST, 1},
    {"refusals, sync second", true, true, false, true, BURST, 4},
    {"refusals, sync each", true, true, true, true, BURST, 20},
    {"refusals, sync each, alone", true, true, true, true, 1, 2000},
};

static void
give_up(const char *what)
{
    fprintf(stderr, "bench_audit: %s\n", what);
    exit(1);
}

static struct pw_audit_record
record_of(const struct load *load)
{
    struct pw_audit_record record = {.wall_ns = pw_clock_wall(),
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
    if (load->refusals) {
        record.verdict = PW_QUARANTINE;
        record.reason = PW_R_IMPORT_DENIED;
        record.hashed = true;
        record.detail = strdup(
            "\"src\":\"10.0.3.7\",\"rule\":{\"name\":\"python-data\"},\"finds\":[{\"code\":"
            "\"import.denied\",\"frame\":0,\"off\":37,\"op\":\"STACK_GLOBAL\",\"mod\":"
            "\"posix\",\"name\":\"system\",\"level\":\"critical\"}],\"finds_total\":1");
    }
    return record;
}

static uint64_t
cpu_ns(clockid_t clock)
{
    struct timespec cpu;
    clock_gettime(clock, &cpu);
    return (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
}

static struct pw_audit *
open_log(const struct load *load)
{
    struct pw_why why = {{0}};
    struct pw_audit_options options = {.path = path,
                                       .instance = "wall-0",
                                       .queue_records = QUEUE,
                                       .pass_each = load->pass_each,
                                       .sync_each = load->sync_each,
                                       .state = load->sealed ? folder : NULL};
    struct pw_audit *audit = pw_audit_open(&options, &why);
    if (audit == NULL || pw_audit_channel(audit, "jobs", "tcp://127.0.0.1:8006",
                                          "tcp://127.0.0.1:8007") != 0) {
        give_up(why.text);
    }
    return audit;
}

/* Until half of the queue is free. */
static void
give_time(struct pw_audit *audit, const struct load *load, uint64_t pushed)
{
    while (load->pass_each && pushed - pw_audit_counts(audit).written > QUEUE / 2 &&
           pushed > pw_audit_counts(audit).written) {
        usleep(1000);
    }
}

/* What a run took: in the pushes, and of the processor in their thread and in the writer.
 */
struct cost {
    uint64_t push_ns;
    uint64_t push_cpu;
    uint64_t writer_cpu;
    uint64_t lines;
    uint64_t bytes;
};

static struct cost
run(const struct load *load, size_t count)
{
    struct cost cost = {0};
    struct pw_audit_record records[BURST];
    struct pw_audit *audit = open_log(load);
    uint64_t process = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t thread = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    for (size_t done = 0; done < count; done += load->burst) {
        for (size_t i = 0; i < load->burst; i++) {
            records[i] = record_of(load);
        }
        uint64_t cpu = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
        uint64_t start = pw_clock_steady();
        if (pw_audit_push(audit, records, load->burst) != PW_E_OK) {
            give_up("the log took no more");
        }
        cost.push_ns += pw_clock_steady() - start;
        cost.push_cpu += cpu_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
        give_time(audit, load, done + load->burst);
    }
    thread = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - thread;
    while (pw_audit_flush(audit, pw_clock_steady() + 1000000000) == PW_E_BUSY) {
    }
    cost.lines = pw_audit_counts(audit).written;
    pw_audit_close(&audit);
    cost.writer_cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - process - thread;
    struct stat st;
    cost.bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    return cost;
}

static double
per(uint64_t what, uint64_t count)
{
    return count == 0 ? 0 : (double)what / (double)count;
}

static void
clear_folder(void)
{
    static const char *const names[] = {"audit.jsonl", "audit.chain", "audit.pwkey",
                                        "audit.pub"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        char name[PATH_ROOM + 16];
        snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        unlink(name);
    }
}

int
main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    const char *tmp = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    snprintf(folder, sizeof folder, "%s/bench-audit.XXXXXX", argc > 2 ? argv[2] : tmp);
    if (count < BURST || mkdtemp(folder) == NULL) {
        give_up("bench_audit [RECORDS, at least 256] [FOLDER]");
    }
    snprintf(path, sizeof path, "%s/audit.jsonl", folder);
    printf("%-28s %9s %12s %12s %12s %8s\n", "", "records", "ns a message", "CPU of it",
           "CPU a line", "bytes");
    for (size_t i = 0; i < PW_COUNT(loads); i++) {
        size_t records = count / loads[i].share;
        struct cost cost = run(&loads[i], records);
        printf("%-28s %9zu %12.1f %12.1f %12.1f %8.1f\n", loads[i].name, records,
               per(cost.push_ns, records), per(cost.push_cpu, records),
               per(cost.writer_cpu, loads[i].pass_each ? cost.lines : records),
               per(cost.bytes, cost.lines));
        fflush(stdout);
        clear_folder();
    }
    return rmdir(folder) == 0 ? 0 : 1;
}
