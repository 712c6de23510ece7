/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/chain_key.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"

static const char ending[] = ".pwkey";

bool
pw_chain_key_public_path(const char *path, char *out, size_t room)
{
    size_t len = strlen(path);
    size_t tail = sizeof ending - 1;
    if (len <= tail || strcmp(path + len - tail, ending) != 0) {
        return false;
    }
    return snprintf(out, room, "%.*s.pub", (int)(len - tail), path) < (int)room;
}

/* The file is called as its key is, so the path says both. */
static enum pw_err
make(const char *path, struct pw_why *why)
{
    char folder[PATH_MAX], name[NAME_MAX + 1];
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
             slash == NULL ? "." : path);
    snprintf(name, sizeof name, "%.*s", (int)(strlen(base) - (sizeof ending - 1)), base);
    struct pw_why plain = {{0}};
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(PW_SUITE_ED25519, name, &plain);
    if (key == NULL) {
        return pw_fail(why, PW_E_CONFIG, "%s: %s", path, plain.text);
    }
    enum pw_err err = pw_key_save(key, folder, why);
    if (err == PW_E_OK) {
        pw_log(PW_LOG_INFO, "%s: made, the key that signs checkpoints of the audit log",
               path);
    }
    return err;
}

static enum pw_err
check(const struct pw_key *key, const char *path, struct pw_why *why)
{
    if (pw_key_suite(key) != PW_SUITE_ED25519 || pw_key_role(key) != PW_ROLE_SIGN) {
        return pw_fail(why, PW_E_CONFIG,
                       "%s: cannot sign checkpoints; make a key with `picklewall key new "
                       "--suite ed25519`",
                       path);
    }
    enum pw_reason reason = pw_key_usable(key, pw_clock_wall(), true);
    if (reason != PW_R_NONE) {
        return pw_fail(why, PW_E_CONFIG, "%s: %s; name another with audit.key", path,
                       pw_reason_text(reason));
    }
    return PW_E_OK;
}

/* The public half of another key: what that one has signed is verified with it. */
static void
keep_old(const char *place)
{
    char old[PATH_MAX];
    if (snprintf(old, sizeof old, "%s.old", place) < (int)sizeof old) {
        (void)rename(place, old); /* there may be none */
    }
}

/* Only who verifies needs it, so trouble is no reason to stay closed. */
static void
publish(const struct pw_key *key, const char *path)
{
    struct pw_note_key who;
    char place[PATH_MAX], text[PW_NOTE_KEY_TEXT + 1];
    PW_CLEANUP(pw_buf_free) struct pw_buf old = {.limit = sizeof text};
    if (!pw_note_key_of(key, &who) ||
        !pw_chain_key_public_path(path, place, sizeof place)) {
        return;
    }
    pw_note_key_format(&who, text);
    size_t len = strlen(text);
    text[len++] = '\n';
    struct pw_span bytes = {(const uint8_t *)text, len};
    if (pw_file_read(place, &old) == PW_E_OK && pw_span_equal(pw_buf_span(&old), bytes)) {
        return;
    }
    keep_old(place);
    if (pw_file_replace(place, bytes, 0644) != PW_E_OK) {
        pw_log(PW_LOG_WARN,
               "%s: %s; give whoever verifies the audit log the public half of %s", place,
               strerror(errno), path);
    }
}

struct pw_key *
pw_chain_key_load(const char *path, struct pw_why *why)
{
    struct pw_key *key = pw_key_load(path, why);
    if (key != NULL && check(key, path, why) != PW_E_OK) {
        pw_key_free(&key);
    }
    return key;
}

struct pw_key *
pw_chain_key_open(const char *path, struct pw_why *why)
{
    char place[PATH_MAX];
    if (!pw_chain_key_public_path(path, place, sizeof place)) {
        (void)pw_fail(why, PW_E_CONFIG,
                      "%s: the name of a key file ends in .pwkey; rename it", path);
        return NULL;
    }
    if (access(path, F_OK) != 0 && errno == ENOENT && make(path, why) != PW_E_OK) {
        return NULL;
    }
    struct pw_key *key = pw_chain_key_load(path, why);
    if (key != NULL) {
        publish(key, path);
    }
    return key;
}
