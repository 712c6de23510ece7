/* SPDX-License-Identifier: Apache-2.0
 *
 * verify: each file is one message of one frame.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/sign/sign.h"
#include "proxy/cli/commands.h"

enum { BAD = 1, LINE_MAX_BYTES = 64 * 1024 };

static const size_t file_limit = ((size_t)1 << 30) + PW_TRAILER_MAX;

struct job {
    const char *keys;
    const char *channel;
    bool tail;
    bool json;
    int files; /* the paths, moved to the front of argv */
    const struct pw_keyring *ring;
};

static enum pw_err
read_file(const char *path, struct pw_buf *out, struct pw_why *why)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return pw_fail(why, PW_E_NO_INPUT, "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return pw_fail(why, PW_E_NO_INPUT, "%s: not a file", path);
    }
    enum pw_err err = pw_file_read(path, out);
    return err == PW_E_OK ? PW_E_OK : pw_fail(why, err, "%s: %s", path, pw_err_text(err));
}

/* An absent FILE.pws is a missing signature, one that is too long a malformed one. */
static enum pw_err
read_detached(const char *path, struct pw_buf *out, struct pw_why *why)
{
    char beside[PATH_MAX];
    if (snprintf(beside, sizeof beside, "%s.pws", path) >= (int)sizeof beside) {
        return pw_fail(why, PW_E_NO_INPUT, "%.200s...: the path is too long", path);
    }
    enum pw_err err = pw_file_read(beside, out);
    if (err == PW_E_OK || err == PW_E_NO_INPUT || err == PW_E_LIMIT) {
        return PW_E_OK;
    }
    return pw_fail(why, err, "%s: %s", beside, pw_err_text(err));
}

static enum pw_err
verify_file(const struct job *job, struct pw_verifier *verifier, const char *path,
            struct pw_sig_result *out, struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf payload = {.limit = file_limit};
    PW_CLEANUP(pw_buf_free) struct pw_buf beside = {.limit = PW_TRAILER_MAX + 1};
    enum pw_err err = read_file(path, &payload, why);
    if (err == PW_E_OK && !job->tail) {
        err = read_detached(path, &beside, why);
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
    }
    if (trailer.len == 0) {
        *out = (struct pw_sig_result){.state = PW_SIG_MISSING, .reason = PW_R_SIG_MISSING};
        return PW_E_OK;
    }
    pw_verifier_check(verifier, &frame, 1, trailer, out);
    return PW_E_OK;
}

static const char *
key_name(const struct job *job, const struct pw_sig_result *result)
{
    const struct pw_key *key = pw_keyring_find_id(job->ring, result->key_id);
    return key == NULL ? "" : pw_key_name(key);
}

static void
say(const struct job *job, const char *path, const struct pw_sig_result *result)
{
    pw_command_print_plain(stdout, path);
    if (result->state != PW_SIG_OK) {
        printf(": %s: %s\n", pw_reason_code(result->reason),
               pw_reason_text(result->reason));
        return;
    }
    char time[PW_CLOCK_TEXT];
    pw_clock_format(result->time_ns, time);
    printf(": ok, signed with %s (%s) at %s\n", key_name(job, result),
           pw_suite_text((enum pw_suite)result->suite), time);
}

/* What a refused trailer says of itself is left out, but for the key it names. */
static enum pw_err
say_json(const struct job *job, const char *path, const struct pw_sig_result *result)
{
    char id[17];
    char time[PW_CLOCK_TEXT];
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = LINE_MAX_BYTES};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    pw_json_bytes(&json, "path", pw_span_str(path), PATH_MAX);
    pw_json_str(&json, "state", pw_sig_state_text(result));
    if (result->state != PW_SIG_OK) {
        pw_json_str(&json, "reason", pw_reason_code(result->reason));
        pw_json_str(&json, "text", pw_reason_text(result->reason));
    }
    if (result->state != PW_SIG_MISSING) {
        pw_hex_encode((struct pw_span){result->key_id, sizeof result->key_id}, id);
        pw_json_str(&json, "key_id", id);
    }
    if (result->state == PW_SIG_OK) {
        pw_clock_format(result->time_ns, time);
        pw_json_str(&json, "key", key_name(job, result));
        pw_json_str(&json, "suite", pw_suite_text((enum pw_suite)result->suite));
        pw_json_uint(&json, "epoch", result->epoch);
        pw_json_uint(&json, "seq", result->seq);
        pw_json_str(&json, "time", time);
    }
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err == PW_E_OK) {
        fwrite(line.bytes, 1, line.len, stdout);
    }
    return json.err;
}

/* A file that cannot be read does not hide what the others are; its code is the exit code.
 */
static int
verify_files(const struct job *job, struct pw_verifier *verifier, char **paths)
{
    int code = EX_OK;
    for (int i = 0; i < job->files; i++) {
        struct pw_why why = {0};
        struct pw_sig_result result;
        enum pw_err err = verify_file(job, verifier, paths[i], &result, &why);
        if (err == PW_E_OK && job->json) {
            err = say_json(job, paths[i], &result);
        } else if (err == PW_E_OK) {
            say(job, paths[i], &result);
        }
        if (err != PW_E_OK) {
            code = pw_command_fail(err, &why);
        } else if (result.state != PW_SIG_OK && code == EX_OK) {
            code = BAD;
        }
    }
    return code;
}

static int
read_arguments(int argc, char **argv, struct job *job)
{
    struct pw_args args = pw_args_over(argc, argv);
    bool detached = false;
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--tail")) {
            job->tail = true;
        } else if (pw_args_flag(&args, "--detached")) {
            detached = true;
        } else if (pw_args_flag(&args, "--json")) {
            job->json = true;
        } else if (pw_args_value(&args, "--keys", &job->keys) ||
                   pw_args_value(&args, "--channel", &job->channel)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            argv[job->files++] = args.current;
        }
    }
    if (job->keys == NULL || job->channel == NULL) {
        return pw_command_misused("--keys and --channel are needed");
    }
    if (strlen(job->channel) > PW_SIGN_CHANNEL_MAX) {
        return pw_command_misused("a channel's name is at most %d bytes",
                                  PW_SIGN_CHANNEL_MAX);
    }
    if (job->tail && detached) {
        return pw_command_misused("--tail or --detached, not both");
    }
    return job->files > 0 ? EX_OK : pw_command_misused("name the files to verify");
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
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(job.keys, &why);
    if (ring == NULL) {
        return pw_command_fail(PW_E_CONFIG, &why);
    }
    if (pw_keyring_count(ring) == 0) {
        (void)pw_fail(&why, PW_E_CONFIG, "%s: no *.pwkey file there, so nothing can verify",
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
