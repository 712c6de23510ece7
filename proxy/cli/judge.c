/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/judge.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/pickle/opcode.h"
#include "common/policy/dangerous.h"

/* Larger files are mapped. */
enum { READ_BYTES = 16 << 20 };

static const char default_policy[] = "python-data";

/* ---- reading --------------------------------------------------------------------------
 */

/* A mapped file that somebody cuts short raises SIGBUS where it no longer is. */
static void
cut_short(int signal)
{
    static const char text[] = "picklewall: a file became shorter while it was read; "
                               "scan it again when nobody writes to it\n";
    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(EX_IOERR);
}

static void
unmap(struct pw_judge *judge)
{
    if (judge->mapped.ptr != NULL) {
        munmap((void *)(uintptr_t)judge->mapped.ptr, judge->mapped.len);
    }
    judge->mapped = (struct pw_span){0};
}

/* Map the file if it is a large one; its memory is then the kernel's to take back. */
static void
map_large(struct pw_judge *judge, const char *path, size_t limit)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) {
        return; /* a pipe must be opened only once: that takes its writer */
    }
    PW_CLEANUP(pw_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_size <= READ_BYTES) {
        return;
    }
    size_t size = (uint64_t)status.st_size < limit ? (size_t)status.st_size : limit;
    void *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) {
        return; /* then it is read */
    }
    (void)madvise(at, size, MADV_SEQUENTIAL);
    (void)sigaction(SIGBUS, &(struct sigaction){.sa_handler = cut_short}, NULL);
    judge->mapped = (struct pw_span){at, size};
}

enum pw_err
pw_judge_open(struct pw_judge *judge, const char *config, const char *policy,
              struct pw_why *why)
{
    const char *name = policy == NULL ? default_policy : policy;
    *judge = (struct pw_judge){0};
    judge->settings =
        config == NULL ? pw_settings_packs(why) : pw_settings_load(config, why);
    if (judge->settings == NULL) {
        return PW_E_CONFIG;
    }
    judge->policy = pw_settings_policy(judge->settings, name);
    if (judge->policy == NULL) {
        return pw_fail(
            why, PW_E_CONFIG,
            "--policy %s: there is no such policy in %s; name one that is defined "
            "there, or give its file with --config",
            name, config == NULL ? "the shipped packs" : config);
    }
    judge->scan = pw_scan_new();
    judge->layer = pw_layer_new();
    return judge->scan == NULL || judge->layer == NULL ? PW_E_NOMEM : PW_E_OK;
}

void
pw_judge_free(struct pw_judge *judge)
{
    pw_settings_free(&judge->settings);
    pw_scan_free(&judge->scan);
    pw_layer_free(&judge->layer);
    pw_buf_free(&judge->file);
    unmap(judge);
}

/* A file on its way through. */
struct inquiry {
    struct pw_judge *judge;
    size_t kept; /* findings of earlier parts that their callback was given */
    enum pw_err err;
    pw_judge_part *part;
    void *arg;
};

static void
found(void *arg, const struct pw_find *find)
{
    struct inquiry *inquiry = arg;
    struct pw_judge *judge = inquiry->judge;
    if (judge->reason == PW_R_NONE ||
        pw_reason_level(find->reason) > pw_reason_level(judge->reason)) {
        judge->reason = find->reason;
    }
    if (inquiry->kept + judge->find_count < PW_JUDGE_FINDS) {
        judge->finds[judge->find_count++] = *find;
    }
}

static void
tell(struct inquiry *inquiry, struct pw_span where)
{
    inquiry->kept += inquiry->judge->find_count;
    inquiry->part(inquiry->arg, inquiry->judge, where);
}

static void
judge_pickle(void *arg, struct pw_span bytes, struct pw_span where)
{
    struct inquiry *inquiry = arg;
    struct pw_judge *judge = inquiry->judge;
    struct pw_report *report = &judge->report;
    judge->find_count = 0;
    enum pw_err err =
        pw_scan_frame(judge->scan, bytes, pw_policy_limits(judge->policy), report);
    if (err != PW_E_OK) {
        inquiry->err = err;
        return;
    }
    judge->kind =
        judge->parts == 0 || report->kind < judge->kind ? report->kind : judge->kind;
    judge->parts++;
    judge->proto = report->proto > judge->proto ? report->proto : judge->proto;
    judge->ops += report->ops;
    judge->consumed += report->consumed;
    judge->refusals += pw_policy_judge(judge->policy, report, found, inquiry);
    tell(inquiry, where);
}

static void
judge_refusal(void *arg, enum pw_reason reason, struct pw_span where)
{
    struct inquiry *inquiry = arg;
    struct pw_judge *judge = inquiry->judge;
    judge->find_count = 0;
    judge->report = (struct pw_report){0};
    judge->kind = PW_KIND_BROKEN;
    judge->parts++;
    judge->refusals++;
    found(inquiry, &(struct pw_find){.reason = reason, .op = -1});
    tell(inquiry, where);
}

static enum pw_err
read_file(struct pw_judge *judge, const char *path)
{
    bool standard_input = path[0] == '-' && path[1] == '\0';
    /* One byte more than a frame may have is enough to see that it has too many. */
    size_t limit = (size_t)pw_policy_limits(judge->policy)->max_bytes + 1;
    judge->file.limit = limit;
    pw_buf_clear(&judge->file);
    unmap(judge);
    if (standard_input) {
        enum pw_err err = pw_file_read_fd(STDIN_FILENO, &judge->file);
        return err == PW_E_LIMIT ? PW_E_OK : err;
    }
    map_large(judge, path, limit);
    if (judge->mapped.ptr != NULL) {
        return PW_E_OK;
    }
    enum pw_err err = pw_file_read(path, &judge->file);
    return err == PW_E_LIMIT ? PW_E_OK : err;
}

enum pw_err
pw_judge_bytes(struct pw_judge *judge, struct pw_span bytes, pw_judge_part *part, void *arg)
{
    judge->bytes = bytes.len;
    judge->parts = 0;
    judge->refusals = 0;
    judge->reason = PW_R_NONE;
    judge->kind = PW_KIND_EMPTY;
    judge->proto = 0;
    judge->ops = 0;
    judge->consumed = 0;
    struct inquiry inquiry = {.judge = judge, .part = part, .arg = arg};
    struct pw_layers layers = {.rule = {{.kind = PW_LAYER_AUTO}}};
    struct pw_layer_visitor visitor = {
        .arg = &inquiry, .pickle = judge_pickle, .refused = judge_refusal};
    enum pw_err err = pw_layer_walk(judge->layer, &layers, bytes,
                                    pw_policy_limits(judge->policy), &visitor);
    return inquiry.err != PW_E_OK ? inquiry.err : err;
}

enum pw_err
pw_judge_parts(struct pw_judge *judge, const char *path, pw_judge_part *part, void *arg,
               struct pw_why *why)
{
    enum pw_err err = read_file(judge, path);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s; name a file, a folder, or - for standard input",
                       path, pw_err_text(err));
    }
    struct pw_span bytes =
        judge->mapped.ptr != NULL ? judge->mapped : pw_buf_span(&judge->file);
    err = pw_judge_bytes(judge, bytes, part, arg);
    return err == PW_E_OK ? err : pw_fail(why, err, "%s: %s", path, pw_err_text(err));
}

const char *
pw_kind_text(enum pw_kind kind)
{
    static const char *const texts[] = {
        [PW_KIND_BROKEN] = "broken",
        [PW_KIND_OPAQUE] = "opaque",
        [PW_KIND_EMPTY] = "empty",
        [PW_KIND_PICKLE] = "pickle",
    };
    return texts[kind];
}

void
pw_judge_write_find(struct pw_json *json, const struct pw_find *find)
{
    pw_json_str(json, "code", pw_reason_code(find->reason));
    pw_json_uint(json, "off", find->off);
    /* The byte to blame need not be an opcode: then it has no name. */
    const char *op = find->op < 0 ? NULL : pw_opcode_info((uint8_t)find->op)->name;
    if (op != NULL) {
        pw_json_str(json, "op", op);
    }
    if (find->mod.len > 0 || find->name.len > 0) {
        pw_json_bytes(json, "mod", find->mod, find->mod.len);
        pw_json_bytes(json, "name", find->name, find->name.len);
    }
    const struct pw_danger *danger = pw_dangerous(find->mod, find->name);
    pw_json_str(json, "level", pw_level_text(pw_danger_level(find->reason, danger)));
    if (danger != NULL) {
        pw_json_str(json, "note", danger->note);
    }
}
