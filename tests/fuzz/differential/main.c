/* SPDX-License-Identifier: Apache-2.0
 *
 * The scanner beside one CPython, millions of times: see README.md in this folder.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/hex.h"
#include "tests/fuzz/differential/examine.h"
#include "tests/fuzz/differential/generate.h"

enum {
    STREAM_MOST = 8192,   /* longer files are read, compared and never changed */
    FAILURES_SHOWN = 10,  /* different ones; then the run ends */
    FAILURES_TRIED = 500, /* so does it after so many altogether */
    HANG_SECONDS = 10,    /* no stream without a limit.* finding may take so long */
    LOOK_EVERY = 256,     /* streams between two looks at the clock */
};

static const char usage[] =
    "usage: differential [--seconds N | --count N] [--seed N] [--python] [--file]\n"
    "                    [--found FOLDER] [FILE | FOLDER]...\n"
    "  --seconds N    stop after so many seconds (10)\n"
    "  --count N      stop after so many comparisons instead\n"
    "  --seed N       the same seed makes the same streams (1)\n"
    "  --python       ask pickle._Unpickler about every stream, too\n"
    "  --file         ask the readers of files about every stream, not about some\n"
    "  --found FOLDER write what fails there, made small (.)\n"
    "Files are streams to start from. Exit: 0 no failure, 1 failures, 64 usage, 70 no "
    "CPython.\n";

struct options {
    double seconds;
    uint64_t count;
    uint64_t seed;
    bool python;
    bool file;
    const char *found;
};

struct seed {
    uint8_t *bytes;
    size_t len;
};

struct run {
    struct options options;
    struct examiner *examiner;
    struct random random;
    struct seed *seeds;
    size_t seed_count;
    uint64_t real;
    uint64_t failures;
    uint32_t shown[FAILURES_SHOWN]; /* sums of the failures told so far */
    size_t shown_count;
    uint8_t stream[STREAM_MOST];
    size_t len;
};

/* ---- when CPython does not come back --------------------------------------------------
 */

static struct run *running;
static volatile uint64_t last_seen;

/* The stream as hexadecimal, with nothing but write(). */
static void
tell_stream(const char *why)
{
    char text[2 * STREAM_MOST + 1];
    pw_hex_encode((struct pw_span){running->stream, running->len}, text);
    text[2 * running->len] = '\n';
    (void)!write(STDERR_FILENO, why, strlen(why));
    (void)!write(STDERR_FILENO, text, 2 * running->len + 1);
}

static void
on_crash(int number)
{
    tell_stream("differential: CPython or the scanner crashed on ");
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void
on_tick(int number)
{
    (void)number;
    uint64_t now = running->examiner->tally.streams;
    if (now == last_seen && now > 0) {
        tell_stream("differential: CPython or the scanner takes too long on ");
        _exit(EXIT_FAILURE);
    }
    last_seen = now;
}

static void
watch(struct run *run)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
    running = run;
    for (size_t i = 0; i < PW_COUNT(crashes); i++) {
        (void)signal(crashes[i], on_crash);
    }
    (void)signal(SIGPROF, on_tick); /* processor time: the machine may be busy */
    struct itimerval every = {{HANG_SECONDS, 0}, {HANG_SECONDS, 0}};
    (void)setitimer(ITIMER_PROF, &every, NULL);
}

/* ---- seeds ----------------------------------------------------------------------------
 */

static void
add_seed(struct run *run, struct pw_span bytes)
{
    struct seed *seeds = realloc(run->seeds, (run->seed_count + 1) * sizeof *seeds);
    uint8_t *copy = malloc(bytes.len + 1);
    if (seeds == NULL || copy == NULL) {
        abort();
    }
    memcpy(copy, bytes.len > 0 ? bytes.ptr : copy, bytes.len);
    run->seeds = seeds;
    run->seeds[run->seed_count++] = (struct seed){copy, bytes.len};
}

static void
hold_stream(struct run *run, struct pw_span bytes)
{
    run->len = bytes.len < STREAM_MOST ? bytes.len : STREAM_MOST;
    memcpy(run->stream, bytes.len > 0 ? bytes.ptr : run->stream, run->len);
}

/* ---- failures -------------------------------------------------------------------------
 */

/* FNV-1a, for names of files and to tell failures apart. */
static uint32_t
sum_of(struct pw_span stream, enum failure failure)
{
    uint64_t sum = 0xcbf29ce484222325 + (uint64_t)failure;
    for (size_t i = 0; i < stream.len; i++) {
        sum = (sum ^ stream.ptr[i]) * 0x100000001b3;
    }
    return (uint32_t)(sum ^ sum >> 32);
}

static void
write_found(const struct run *run, enum failure failure, struct pw_span stream)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s-%08" PRIx32, run->options.found,
             failure_text(failure), sum_of(stream, failure));
    FILE *file = fopen(path, "wb");
    bool good = file != NULL && fwrite(stream.ptr, 1, stream.len, file) == stream.len;
    good = file != NULL && fclose(file) == 0 && good;
    printf("  %s %s\n", good ? "written to" : "could not be written to", path);
}

static bool
is_new(struct run *run, uint32_t sum)
{
    if (run->shown_count == FAILURES_SHOWN) {
        return false;
    }
    for (size_t i = 0; i < run->shown_count; i++) {
        if (run->shown[i] == sum) {
            return false;
        }
    }
    run->shown[run->shown_count++] = sum;
    return true;
}

static void
tell_failure(struct run *run, const struct plan *plan, struct verdict verdict)
{
    struct tally tally = run->examiner->tally; /* looking closer counts for nothing */
    run->len = examine_shrink(run->examiner, plan, verdict, run->stream, run->len);
    struct pw_span small = {run->stream, run->len};
    if (is_new(run, sum_of(small, verdict.failure))) {
        examine_explain(run->examiner, plan, verdict, small, stdout);
        write_found(run, verdict.failure, small);
    }
    run->failures++;
    run->examiner->tally = tally;
}

static void
try_stream(struct run *run, const struct plan *plan)
{
    struct verdict verdict =
        examine(run->examiner, plan, (struct pw_span){run->stream, run->len});
    if (verdict.failure != FAIL_NONE) {
        tell_failure(run, plan, verdict);
    }
}

/* ---- files ----------------------------------------------------------------------------
 */

static void
take_file(struct run *run, const char *path)
{
    struct pw_buf bytes = {.limit = 64 << 20};
    if (pw_file_read(path, &bytes) != PW_E_OK) {
        fprintf(stderr, "differential: %s: cannot be read; name files or folders\n", path);
        exit(66);
    }
    hold_stream(run, pw_buf_span(&bytes));
    struct plan plan;
    struct verdict verdict =
        examine_all(run->examiner, &plan, (struct pw_span){run->stream, run->len});
    if (verdict.failure != FAIL_NONE) {
        tell_failure(run, &plan, verdict);
    }
    if (bytes.len <= STREAM_MOST / 2) {
        add_seed(run, pw_buf_span(&bytes));
    }
    pw_buf_free(&bytes);
}

static void
take_path(struct run *run, const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        take_file(run, path);
        return;
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            take_file(run, file);
        }
        free(entries[i]);
    }
    free(entries);
}

static void
take_real(void *arg, struct pw_span stream)
{
    struct run *run = arg;
    hold_stream(run, stream);
    struct verdict verdict = examine_real(run->examiner, stream);
    run->real++;
    if (verdict.failure != FAIL_NONE) {
        struct plan plan = {.asks = {true, true, true, true}, .buffer_size = 16};
        tell_failure(run, &plan, verdict);
    }
    add_seed(run, stream);
}

/* ---- the loop -------------------------------------------------------------------------
 */

static struct pw_span
any_seed(struct run *run)
{
    struct seed *seed = &run->seeds[random_below(&run->random, (uint32_t)run->seed_count)];
    return (struct pw_span){seed->bytes, seed->len};
}

static void
make_stream(struct run *run)
{
    if (random_below(&run->random, 4) != 0 || run->seed_count == 0) {
        run->len = generate_stream(&run->random, run->stream);
        return;
    }
    hold_stream(run, any_seed(run));
    run->len =
        generate_mutation(&run->random, run->stream, run->len, STREAM_MOST, any_seed(run));
}

static struct plan
make_plan(struct run *run)
{
    uint64_t bits = random_bits(&run->random);
    struct plan plan = {.buffer_size = 1 + (uint32_t)(bits >> 32 & 31)};
    plan.asks[ORACLE_LOADS] = true;
    plan.asks[ORACLE_FILE] = run->options.file || (bits & 7) == 0;
    plan.asks[ORACLE_BUFFERED] = run->options.file || (bits & 15) == 1;
    plan.asks[ORACLE_PYTHON] = run->options.python;
    plan.encoding = (bits >> 8 & 15) < ORACLE_ENCODINGS
                        ? (enum oracle_encoding)(bits >> 8 & 15)
                        : ORACLE_ASCII;
    plan.buffers = (bits >> 12 & 7) == 0;
    return plan;
}

static double
seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t
compared(const struct tally *tally)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < ORACLE_READERS; i++) {
        sum += tally->comparisons[i];
    }
    return sum;
}

static void
loop(struct run *run, double begin)
{
    const struct tally *tally = &run->examiner->tally;
    double end = begin + run->options.seconds;
    while (run->shown_count < FAILURES_SHOWN && run->failures < FAILURES_TRIED) {
        if (run->options.count > 0 && compared(tally) >= run->options.count) {
            return;
        }
        if (run->options.count == 0 && tally->streams % LOOK_EVERY == 0 &&
            seconds_now() >= end) {
            return;
        }
        make_stream(run);
        struct plan plan = make_plan(run);
        try_stream(run, &plan);
    }
}

static void
print_tally(const struct run *run, double seconds)
{
    const struct tally *tally = &run->examiner->tally;
    double all = (double)compared(tally);
    double streams = (double)tally->streams;
    printf("CPython %s, seed %" PRIu64 ", %zu seeds, %" PRIu64 " of them real pickles\n",
           oracle_version(), run->options.seed, run->seed_count, run->real);
    printf("%.0f comparisons in %.1f s, %.0f/s:", all, seconds, all / seconds);
    for (enum oracle_reader reader = 0; reader < ORACLE_READERS; reader++) {
        printf(" %s %" PRIu64, oracle_reader_text(reader), tally->comparisons[reader]);
    }
    printf(
        "\n%.0f streams, %.1f opcodes each; %.1f %% without a finding, %.1f %% passed by "
        "the policy\n",
        streams, (double)tally->ops / streams, 100.0 * (double)tally->clean / streams,
        100.0 * (double)tally->passed / streams);
    printf("%.1f %% of the loads reached STOP; %" PRIu64 " names and doors asked\n",
           100.0 * (double)tally->finished / all, tally->steps);
    printf("%" PRIu64 " streams not compared for their limits, %" PRIu64
           " loads out of memory, %" PRIu64 " differ behind a finding that says so\n",
           tally->limited, tally->no_memory, tally->refused_anyway);
    printf("%" PRIu64 " failures\n", run->failures);
}

/* A number, or the end with exit 64. */
static uint64_t
number_of(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || *text == '-') {
        fprintf(stderr, "differential: \"%s\" is no number\n%s", text, usage);
        exit(64);
    }
    return value;
}

static struct options
parse_options(int argc, char **argv)
{
    static const struct option known[] = {{"seconds", required_argument, NULL, 't'},
                                          {"count", required_argument, NULL, 'n'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"python", no_argument, NULL, 'p'},
                                          {"file", no_argument, NULL, 'f'},
                                          {"found", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.seconds = 10, .seed = 1, .found = "."};
    for (int found; (found = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (found) {
        case 't':
            options.seconds = (double)number_of(optarg);
            break;
        case 'n':
            options.count = number_of(optarg);
            break;
        case 's':
            options.seed = number_of(optarg);
            break;
        case 'p':
            options.python = true;
            break;
        case 'f':
            options.file = true;
            break;
        case 'o':
            options.found = optarg;
            break;
        default:
            fputs(usage, stderr);
            exit(64);
        }
    }
    return options;
}

int
main(int argc, char **argv)
{
    static struct run run;
    run.options = parse_options(argc, argv);
    run.random.state = run.options.seed;
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* a failure is told when it is found */
    run.examiner = examiner_new();
    if (run.examiner == NULL) {
        return 70;
    }
    watch(&run);
    if (!oracle_seeds(take_real, &run)) {
        return 70;
    }
    for (int i = optind; i < argc; i++) {
        take_path(&run, argv[i]);
    }
    run.examiner->tally = (struct tally){0};
    double begin = seconds_now();
    loop(&run, begin);
    print_tally(&run, seconds_now() - begin);
    return run.failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
