/* SPDX-License-Identifier: Apache-2.0
 *
 * What the wall costs beside a bare zmq_proxy: C producer, proxy, C consumer over loopback
 * tcp, the subjects in turns, medians and ratios.
 *
 *     bench_relay [ROUNDS] [PICKLEWALL]      (default: 3, the binary of this build)
 */
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.h>

#include "common/base/clock.h"
#include "common/base/def.h"

enum { ROUNDS_MAX = 25, PATIENCE_MS = 30000, LARGE = 1 << 20 };

/* A dict of 7 items, protocol 4: 110 bytes, 39 opcodes. */
static const char job[] = "\x80\x04\x95\x63\x00\x00\x00\x00\x00\x00\x00\x7d\x94\x28\x8c\x02"
                          "\x69\x64\x94\x4d\x67\x12\x8c\x04\x6e\x61\x6d\x65\x94\x8c\x06\x72"
                          "\x65\x73\x69\x7a\x65\x94\x8c\x04\x61\x72\x67\x73\x94\x5d\x94\x28"
                          "\x4d\x80\x02\x4d\xe0\x01\x65\x8c\x05\x72\x61\x74\x69\x6f\x94\x47"
                          "\x3f\xe8\x00\x00\x00\x00\x00\x00\x8c\x04\x74\x61\x67\x73\x94\x8c"
                          "\x01\x61\x94\x8c\x01\x62\x94\x86\x94\x8c\x02\x6f\x6b\x94\x88\x8c"
                          "\x02\x62\x79\x94\x8c\x05\x77\x65\x62\x2d\x31\x94\x75\x2e";

static const struct {
    const char *name;
    size_t bytes;
    size_t count; /* messages of a run: about half a second */
} loads[] = {
    {"100 B", sizeof job - 1, 600000},
    {"4 KiB", 4096, 100000},
    {"1 MiB", LARGE, 500},
};

static const struct {
    const char *name;
    const char *pass; /* audit.pass; NULL: a bare zmq_proxy */
    bool without_log;
    bool without_sandbox;
} subjects[] = {
    {"zmq_proxy", NULL, false, false},
    {"picklewall, no log", "each", true, false}, /* wall_without_log.c */
    {"picklewall, summary", "summary", false, false},
    {"picklewall, no sandbox", "each", false, true},
    {"picklewall", "each", false, false},
};

static char payload[LARGE];
static const char *binary;
static char without_log[PATH_MAX + 32]; /* beside this program */
static char folder[] = "/tmp/bench-relay.XXXXXX";

/* One bytes object that fills `size` bytes of pickle. */
static void
make_payload(size_t size)
{
    if (size == sizeof job - 1) {
        memcpy(payload, job, size);
        return;
    }
    uint32_t len = (uint32_t)(size - 8);
    memset(payload, 'x', size);
    memcpy(payload,
           "\x80\x04"
           "B",
           3);
    memcpy(payload + 3, &len,
           sizeof len); /* little-endian, as is every machine we measure on */
    payload[size - 1] = '.';
}

static int
free_port(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof any;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool bound = bind(fd, (struct sockaddr *)&any, size) == 0 &&
                 getsockname(fd, (struct sockaddr *)&any, &size) == 0;
    close(fd);
    return bound ? ntohs(any.sin_port) : 0;
}

static _Noreturn void
run_zmq_proxy(const char *in, const char *out)
{
    void *ctx = zmq_ctx_new();
    void *pull = zmq_socket(ctx, ZMQ_PULL);
    void *push = zmq_socket(ctx, ZMQ_PUSH);
    if (zmq_bind(pull, in) == 0 && zmq_bind(push, out) == 0) {
        zmq_proxy(pull, push, NULL);
    }
    _exit(1);
}

static _Noreturn void
run_wall(const char *program, const char *in, const char *out, const char *pass)
{
    char path[128];
    snprintf(path, sizeof path, "%s/wall.conf", folder);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        _exit(1);
    }
    fprintf(
        file,
        "state = \"%s/state\"\naudit\n    pass = \"%s\"\nchannel\n    jobs\n"
        "        in\n            bind = \"%s\"\n        out\n            bind = \"%s\"\n"
        "        policy = \"python-data\"\n",
        folder, pass, in, out);
    fclose(file);
    setenv("PICKLEWALL_POLICIES", PW_SOURCE "/config/policies", 0);
    if (freopen("/dev/null", "w", stderr) != NULL) {
        execl(program, program, "run", "--config", path, (char *)NULL);
    }
    _exit(1);
}

static pid_t
start(size_t subject, const char *in, const char *out)
{
    pid_t child = fork();
    if (child != 0) {
        return child;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (subjects[subject].pass == NULL) {
        run_zmq_proxy(in, out);
    }
    if (subjects[subject].without_sandbox) {
        setenv("PICKLEWALL_SANDBOX", "off", 1);
    }
    run_wall(subjects[subject].without_log ? without_log : binary, in, out,
             subjects[subject].pass);
}

struct work {
    void *push;
    size_t bytes;
    size_t count;
};

static void *
produce(void *arg)
{
    const struct work *work = arg;
    for (size_t i = 0; i < work->count; i++) {
        if (zmq_send_const(work->push, payload, work->bytes, 0) < 0) {
            return NULL;
        }
    }
    return NULL;
}

static bool
consume(void *pull, size_t count)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    size_t got = 0;
    while (got < count && zmq_msg_recv(&msg, pull, 0) >= 0) {
        got++;
    }
    zmq_msg_close(&msg);
    return got == count;
}

/* Messages per second, 0 when not all came. One message goes ahead: connections stand. */
static double
flow(void *push, void *pull, size_t bytes, size_t count)
{
    struct work work = {push, bytes, count};
    pthread_t thread;
    if (zmq_send(push, job, sizeof job - 1, 0) < 0 || !consume(pull, 1)) {
        return 0;
    }
    uint64_t began = pw_clock_steady();
    if (pthread_create(&thread, NULL, produce, &work) != 0) {
        return 0;
    }
    bool all = consume(pull, count);
    uint64_t took = pw_clock_steady() - began;
    pthread_join(thread, NULL);
    return all ? (double)count * 1e9 / (double)took : 0;
}

/* Messages a second, and microseconds of processor time that each took of the subject. */
struct result {
    double rate;
    double cpu_us;
};

static double
cpu_of(pid_t child)
{
    struct rusage used = {0};
    wait4(child, NULL, 0, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static struct result
measure(size_t subject, size_t load)
{
    char in[64];
    char out[64];
    int patience = PATIENCE_MS;
    int zero = 0;
    snprintf(in, sizeof in, "tcp://127.0.0.1:%d", free_port());
    snprintf(out, sizeof out, "tcp://127.0.0.1:%d", free_port());
    pid_t child = start(subject, in, out);
    void *ctx = zmq_ctx_new();
    void *push = zmq_socket(ctx, ZMQ_PUSH);
    void *pull = zmq_socket(ctx, ZMQ_PULL);
    zmq_setsockopt(push, ZMQ_SNDTIMEO, &patience, sizeof patience);
    zmq_setsockopt(push, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(pull, ZMQ_RCVTIMEO, &patience, sizeof patience);
    zmq_connect(push, in);
    zmq_connect(pull, out);
    double rate = flow(push, pull, loads[load].bytes, loads[load].count);
    zmq_close(push);
    zmq_close(pull);
    zmq_ctx_term(ctx);
    kill(child, subjects[subject].pass == NULL ? SIGKILL : SIGTERM);
    return (struct result){rate, cpu_of(child) / (double)loads[load].count};
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void
compare(size_t load, size_t rounds)
{
    double rates[PW_COUNT(subjects)][ROUNDS_MAX];
    double cpus[PW_COUNT(subjects)][ROUNDS_MAX];
    make_payload(loads[load].bytes);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t subject = 0; subject < PW_COUNT(subjects); subject++) {
            struct result result = measure(subject, load);
            rates[subject][round] = result.rate;
            cpus[subject][round] = result.cpu_us;
        }
    }
    double base = 0;
    double no_log = 0;
    for (size_t subject = 0; subject < PW_COUNT(subjects); subject++) {
        qsort(rates[subject], rounds, sizeof rates[subject][0], by_value);
        qsort(cpus[subject], rounds, sizeof cpus[subject][0], by_value);
        double median = rates[subject][rounds / 2];
        base = subject == 0 ? median : base;
        no_log = subjects[subject].without_log ? median : no_log;
        printf("%-8s %-22s %10.0f msg/s %8.2f us of CPU   %5.2f of zmq_proxy",
               loads[load].name, subjects[subject].name, median, cpus[subject][rounds / 2],
               base > 0 ? median / base : 0.0);
        if (no_log > 0) {
            printf("   %5.2f of a wall without log", median / no_log);
        }
        putchar('\n');
        fflush(stdout);
    }
}

/* BUILD/tests/bench/bench_relay stands two folders below the binary. */
static const char *
binary_of_this_build(void)
{
    static char path[PATH_MAX + 16];
    ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[len > 0 ? len : 0] = '\0';
    snprintf(without_log, sizeof without_log, "%.*s/wall_without_log",
             (int)(strrchr(path, '/') - path), path);
    char *build = dirname(dirname(dirname(path)));
    memmove(path, build, strlen(build) + 1);
    strcat(path, "/picklewall");
    return path;
}

int
main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 3;
    const char *built = binary_of_this_build();
    binary = argc > 2 ? argv[2] : built;
    if (rounds == 0 || rounds > ROUNDS_MAX || access(binary, X_OK) != 0) {
        fprintf(stderr, "bench_relay [ROUNDS 1 to %d] [PICKLEWALL]; no binary at %s?\n",
                ROUNDS_MAX, binary);
        return 64;
    }
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 73;
    }
    for (size_t load = 0; load < PW_COUNT(loads); load++) {
        compare(load, rounds);
    }
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 ? 0 : 1;
}
