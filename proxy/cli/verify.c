/* SPDX-License-Identifier: Apache-2.0
 *
 * verify: each file, or standard input, is one message of one frame.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/sign/sign.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/key.h"
#include "proxy/cli/sign_keys.h"

enum { BAD = 1, LINE_MAX_BYTES = 64 * 1024, FUTURE_S = 60 };

static const size_t file_limit = ((size_t)1 << 30) + PW_TRAILER_MAX;
static const uint64_t ns_per_s = 1000000000;

struct job {
    const char *keys;
    const char *channel;
    const char *signature; /* --signature, for one file */
    const char *age_text;
    uint64_t max_age_ns; /* 0: any */
    bool tail;
    bool detached;
    bool json;
    int files; /* the paths, moved to the front of argv */
    const struct pw_keyring *ring;
};

/* What to do about it; sig.missing needs the file's name, see say_remedy. */
/* clang-format off */
static const char *const remedies[PW_R_COUNT] = {
    [PW_R_SIG_FRAMES] = "it is of several frames, which no file is; sign the file itself",
    [PW_R_SIG_FORMAT] = "get the signature again, or update picklewall",
    [PW_R_SIG_UNKNOWN_KEY] = "if you trust the sender, put its key there (key public)",
    [PW_R_SIG_REVOKED] = "do not use the file; have it signed with another key",
    [PW_R_SIG_RETIRED] = "have it signed with a key that is in use",
    [PW_R_SIG_NOT_YET] = "wait until then, or set this machine's clock",
    [PW_R_SIG_KEY_EXPIRED] = "have it signed with a key that is in use",
    [PW_R_SIG_WRONG_SUITE] = "the signature was changed; get it again",
    [PW_R_SIG_CHANNEL] = "name its --channel, or widen `channel:` in the key's file",
    [PW_R_SIG_BAD] = "file or signature changed, or --channel is another; get both again",
    [PW_R_SIG_EXPIRED] = "get one that was signed later, or allow more with --max-age",
    [PW_R_SIG_FUTURE] = "set the clock of this machine, or of the signer's",
};
/* clang-format on */

static enum pw_err
read_file(const char *path, struct pw_buf *out, struct pw_why *why)
{
    struct stat info;
    if (pw_cli_is_stdin(path)) {
        return pw_cli_read_stdin(out, why);
    }
    if (stat(path, &info) != 0) {
        return pw_fail(why, errno == EACCES ? PW_E_PERM : PW_E_NO_INPUT, "%s: %s", path,
                       strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return pw_fail(why, PW_E_NO_INPUT,
                       "%s: not a file; name the files in a folder, and - for a pipe",
                       path);
    }
    enum pw_err err = pw_file_read(path, out);
    return err == PW_E_OK ? PW_E_OK : pw_fail(why, err, "%s: %s", path, pw_err_text(err));
}

/* Where the signature of a file stands that is not in it. */
static enum pw_err
signature_path(const struct job *job, const char *path, char out[static PATH_MAX],
               struct pw_why *why)
{
    int len = job->signature != NULL ? snprintf(out, PATH_MAX, "%s", job->signature)
                                     : snprintf(out, PATH_MAX, "%s.pws", path);
    return len < PATH_MAX
               ? PW_E_OK
               : pw_fail(why, PW_E_NO_INPUT, "%.200s...: the path is too long", path);
}

/*
 * An absent file is a missing signature, one that is empty or too long a malformed one. A
 * pipe is read when somebody names it; one that only lies there would be waited for.
 */
static enum pw_err
read_detached(const struct job *job, const char *path, struct pw_buf *out, bool *absent,
              struct pw_why *why)
{
    char beside[PATH_MAX];
    struct stat info;
    enum pw_err err = signature_path(job, path, beside, why);
    if (err != PW_E_OK) {
        return err;
    }
    if (job->signature == NULL && stat(beside, &info) == 0 && !S_ISREG(info.st_mode)) {
        return pw_fail(why, PW_E_NO_INPUT,
                       "%s: not a file; put the signature there, or name it with "
                       "--signature",
                       beside);
    }
    err = pw_file_read(beside, out);
    *absent = err == PW_E_NO_INPUT;
    if (err == PW_E_OK || err == PW_E_NO_INPUT || err == PW_E_LIMIT) {
        return PW_E_OK;
    }
    return pw_fail(why, err, "%s: %s", beside, pw_err_text(err));
}

static uint64_t
add_up(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* What fits may still be too old, when somebody cares. */
static void
judge_age(const struct job *job, struct pw_sig_result *result)
{
    uint64_t now = pw_clock_wall();
    if (result->state != PW_SIG_OK || job->max_age_ns == 0) {
        return;
    }
    if (result->time_ns > add_up(now, FUTURE_S * ns_per_s)) {
        result->reason = PW_R_SIG_FUTURE;
    } else if (now > add_up(result->time_ns, job->max_age_ns)) {
        result->reason = PW_R_SIG_EXPIRED;
    }
    result->state = result->reason == PW_R_NONE ? PW_SIG_OK : PW_SIG_BAD;
}

static enum pw_err
verify_file(const struct job *job, struct pw_verifier *verifier, const char *path,
            struct pw_sig_result *out, struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf payload = {.limit = file_limit};
    PW_CLEANUP(pw_buf_free) struct pw_buf beside = {.limit = PW_TRAILER_MAX + 1};
    bool absent = false;
    enum pw_err err = read_file(path, &payload, why);
    if (err == PW_E_OK && !job->tail) {
        err = read_detached(job, path, &beside, &absent, why);
    }
    if (err != PW_E_OK) {
        return err;
    }
    struct pw_span frame = pw_buf_span(&payload);
    struct pw_span trailer = pw_buf_span(&beside);
    if (job->tail) {
        struct pw_cursor cur = pw_cursor_over(frame);
        frame = pw_cursor_take(&cur, frame.len - pw_trailer_at_end(frame));
        trailer = cur.rest;
        absent = trailer.len == 0 && !pw_trailer_remains(frame);
    }
    if (absent) {
        *out = (struct pw_sig_result){.state = PW_SIG_MISSING, .reason = PW_R_SIG_MISSING};
        return PW_E_OK;
    }
    pw_verifier_check(verifier, &frame, 1, trailer, out);
    judge_age(job, out);
    return PW_E_OK;
}

/* The key that the trailer names, if it is one of ours. NULL also without a trailer. */
static const struct pw_key *
named_key(const struct job *job, const struct pw_sig_result *result)
{
    return result->state == PW_SIG_MISSING ? NULL
                                           : pw_keyring_find_id(job->ring, result->key_id);
}

/* A trailer that is none names no key. */
static bool
names_key(const struct pw_sig_result *result)
{
    return result->state != PW_SIG_MISSING && result->reason != PW_R_SIG_FORMAT &&
           result->reason != PW_R_SIG_FRAMES;
}

/* "; key jobs-1 5b2e11c09d7a4f10 (jobs-1.pwkey, until 2028-…)" */
static void
say_key(const struct job *job, const struct pw_sig_result *result)
{
    char id[PW_KEY_ID_TEXT];
    char validity[PW_KEY_VALIDITY_TEXT];
    if (!names_key(result)) {
        return;
    }
    pw_hex_encode((struct pw_span){result->key_id, sizeof result->key_id}, id);
    const struct pw_key *key = named_key(job, result);
    if (key == NULL) {
        printf("; key %s is not in ", id);
        pw_command_print_plain(stdout, job->keys);
        return;
    }
    pw_cli_key_validity(key, validity);
    printf("; key %s %s (%s%s%s)", pw_key_name(key), id, pw_key_file(key),
           validity[0] == '\0' ? "" : ", ", validity);
}

static void
say_remedy(const struct job *job, const char *path, const struct pw_sig_result *result)
{
    char beside[PATH_MAX];
    if (result->reason != PW_R_SIG_MISSING) {
        printf("; %s\n", remedies[result->reason]);
        return;
    }
    if (job->tail || signature_path(job, path, beside, NULL) != PW_E_OK) {
        puts("; it has none at its end; get the signed file, or try without --tail");
        return;
    }
    fputs("; there is no ", stdout);
    pw_command_print_plain(stdout, beside);
    puts("; get it from the sender, or try --tail");
}

static void
say(const struct job *job, const char *path, const struct pw_sig_result *result)
{
    pw_command_print_plain(stdout, path);
    if (result->state != PW_SIG_OK) {
        printf(": %s: %s", pw_reason_code(result->reason), pw_reason_text(result->reason));
        say_key(job, result);
        say_remedy(job, path, result);
        return;
    }
    char time[PW_CLOCK_TEXT];
    pw_clock_format(result->time_ns, time);
    printf(": ok, signed with %s (%s) at %s\n", pw_key_name(named_key(job, result)),
           pw_suite_text((enum pw_suite)result->suite), time);
}

static void
write_refusal(struct pw_json *json, const struct pw_sig_result *result)
{
    pw_json_str(json, "reason", pw_reason_code(result->reason));
    pw_json_str(json, "text", pw_reason_text(result->reason));
    if (remedies[result->reason] != NULL) {
        pw_json_str(json, "remedy", remedies[result->reason]);
    }
}

/* What a refused trailer says of itself is left out, but for the key it names. */
static enum pw_err
say_json(const struct job *job, const char *path, const struct pw_sig_result *result)
{
    char id[PW_KEY_ID_TEXT];
    char time[PW_CLOCK_TEXT];
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = LINE_MAX_BYTES};
    struct pw_json json = pw_json_over(&line);
    const struct pw_key *key = named_key(job, result);
    pw_json_object(&json, NULL);
    pw_json_bytes(&json, "path", pw_span_str(path), PATH_MAX);
    pw_json_str(&json, "state", pw_sig_state_text(result));
    if (result->state != PW_SIG_OK) {
        write_refusal(&json, result);
    }
    if (result->state != PW_SIG_MISSING) {
        pw_hex_encode((struct pw_span){result->key_id, sizeof result->key_id}, id);
        pw_json_str(&json, "key_id", id);
    }
    if (key != NULL) {
        pw_json_str(&json, "key", pw_key_name(key));
    }
    if (result->state == PW_SIG_OK) {
        pw_clock_format(result->time_ns, time);
        pw_json_str(&json, "suite", pw_suite_text((enum pw_suite)result->suite));
        pw_json_uint(&json, "epoch", result->epoch);
        pw_json_uint(&json, "seq", result->seq);
        pw_json_str(&json, "time", time);
    }
    pw_json_end_object(&json);
    return pw_cli_json_print(&json);
}

static enum pw_err
verify_and_say(const struct job *job, struct pw_verifier *verifier, const char *path,
               bool *good, struct pw_why *why)
{
    struct pw_sig_result result;
    enum pw_err err = verify_file(job, verifier, path, &result, why);
    if (err != PW_E_OK) {
        return err;
    }
    *good = result.state == PW_SIG_OK;
    if (job->json) {
        return say_json(job, path, &result);
    }
    say(job, path, &result);
    return PW_E_OK;
}

/*
 * 0 only when each file was read, verified and spoken of. A file that cannot be read does
 * not hide what the others are; the first such file gives the exit code.
 */
static int
verify_files(const struct job *job, struct pw_verifier *verifier, char **paths)
{
    int refused = 0;
    int unread = 0;
    int code = EX_OK;
    for (int i = 0; i < job->files; i++) {
        struct pw_why why = {0};
        bool good = false;
        enum pw_err err = verify_and_say(job, verifier, paths[i], &good, &why);
        if (err != PW_E_OK) {
            int failed = pw_command_fail(err, &why);
            code = unread++ == 0 ? failed : code;
        } else if (!good) {
            refused++;
        }
    }
    if (refused + unread > 0 && job->files > 1) {
        fprintf(stderr, "picklewall: %d of %d files did not verify\n", refused + unread,
                job->files);
    }
    return unread == 0 && refused > 0 ? BAD : code;
}

struct unit {
    char name;
    uint64_t seconds;
};

static const struct unit units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};

/* "90s", "15m", "12h", "30d": at least one of the unit, at most 100 years. */
static bool
read_age(const char *text, uint64_t *ns)
{
    static const uint64_t longest_s = UINT64_C(36525) * 86400;
    char *unit;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &unit, 10);
    for (size_t i = 0; i < PW_COUNT(units); i++) {
        if (unit[0] == units[i].name && unit[1] == '\0') {
            *ns = number * units[i].seconds * ns_per_s;
            return errno == 0 && number > 0 && number <= longest_s / units[i].seconds;
        }
    }
    return false;
}

static int
check_arguments(struct job *job, char **paths)
{
    if (job->keys == NULL || job->channel == NULL) {
        return pw_command_misused("--keys and --channel are needed");
    }
    if (strlen(job->channel) > PW_SIGN_CHANNEL_MAX) {
        return pw_command_misused("a channel's name is at most %d bytes",
                                  PW_SIGN_CHANNEL_MAX);
    }
    if (job->tail && (job->detached || job->signature != NULL)) {
        return pw_command_misused("--tail or --detached, not both");
    }
    if (job->age_text != NULL && !read_age(job->age_text, &job->max_age_ns)) {
        return pw_command_misused("--max-age: \"%s\" is no duration; write 90s, 15m, 12h "
                                  "or 30d",
                                  job->age_text);
    }
    if (job->files == 0) {
        return pw_command_misused("name the files to verify, or - for standard input");
    }
    if (job->signature != NULL && job->files > 1) {
        return pw_command_misused("--signature is of one file; verify the others by "
                                  "themselves");
    }
    for (int i = 0; i < job->files; i++) {
        if (pw_cli_is_stdin(paths[i]) && !job->tail && job->signature == NULL) {
            return pw_command_misused("- has no name that .pws could be put behind; use "
                                      "--tail, or --signature FILE");
        }
    }
    return EX_OK;
}

static int
read_arguments(int argc, char **argv, struct job *job)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--tail")) {
            job->tail = true;
        } else if (pw_args_flag(&args, "--detached")) {
            job->detached = true;
        } else if (pw_args_flag(&args, "--json")) {
            job->json = true;
        } else if (pw_args_value(&args, "--keys", &job->keys) ||
                   pw_args_value(&args, "--channel", &job->channel) ||
                   pw_args_value(&args, "--signature", &job->signature) ||
                   pw_args_value(&args, "--max-age", &job->age_text)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            argv[job->files++] = args.current;
        }
    }
    return check_arguments(job, argv);
}

int
pw_cmd_verify(int argc, char **argv)
{
    struct job job = {0};
    int wrong = read_arguments(argc, argv, &job);
    if (wrong != EX_OK) {
        return wrong;
    }
    struct pw_why why = {0};
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_cli_keys(job.keys, &why);
    if (ring == NULL) {
        return pw_command_fail(PW_E_CONFIG, &why);
    }
    if (pw_keyring_count(ring) == 0) {
        (void)pw_fail(&why, PW_E_CONFIG,
                      "%s: no *.pwkey file there, so nothing can verify; put the "
                      "sender's key there",
                      job.keys);
        return pw_command_fail(PW_E_CONFIG, &why);
    }
    job.ring = ring;
    PW_CLEANUP(pw_verifier_free)
    struct pw_verifier *verifier =
        pw_verifier_new(ring, job.channel, PW_DIR_FORWARD, NULL, 0);
    return verifier == NULL ? pw_command_fail(PW_E_NOMEM, NULL)
                            : verify_files(&job, verifier, argv);
}
