/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "proxy/sandbox_landlock.h"
#include "proxy/sandbox_paths.h"
#include "proxy/sandbox_seccomp.h"

/* This process's. Written before there is another thread, read by any. */
static struct pw_sandbox own;

static const char *const seccomp_names[] = {
    [PW_SECCOMP_NONE] = "none",
    [PW_SECCOMP_ERRNO] = "errno",
    [PW_SECCOMP_KILL] = "kill",
};

int
pw_sandbox_level_of(const struct pw_sandbox *sandbox)
{
    if (!sandbox->no_new_privs || !sandbox->no_core) {
        return 0;
    }
    return 1 + (sandbox->landlock > 0) + (sandbox->seccomp != PW_SECCOMP_NONE);
}

int
pw_sandbox_level(void)
{
    return pw_sandbox_level_of(&own);
}

struct pw_sandbox
pw_sandbox_offered(const struct pw_settings *settings)
{
    if (pw_sandbox_level() > 0) {
        return own; /* nobody may ask from within, and what is not there now never will be
                     */
    }
    struct pw_sandbox offered = {.no_new_privs = true, .no_core = true};
    offered.landlock = pw_landlock_abi();
    if (pw_seccomp_offered()) {
        offered.seccomp = settings->sandbox_kill ? PW_SECCOMP_KILL : PW_SECCOMP_ERRNO;
    }
    return offered;
}

void
pw_sandbox_words(const struct pw_sandbox *sandbox, char *out, size_t room)
{
    static const char *const seccomp[] = {
        [PW_SECCOMP_NONE] = "no seccomp",
        [PW_SECCOMP_ERRNO] = "seccomp that refuses",
        [PW_SECCOMP_KILL] = "seccomp that kills",
    };
    char landlock[32] = "no Landlock";
    if (sandbox->landlock > 0) {
        snprintf(landlock, sizeof landlock, "Landlock of ABI %d", sandbox->landlock);
    }
    snprintf(out, room, "level %d of %d: %s, %s, %s, %s", pw_sandbox_level_of(sandbox),
             PW_SANDBOX_FULL,
             sandbox->no_new_privs ? "no new privileges" : "new privileges are possible",
             sandbox->no_core ? "no core dumps" : "core dumps are possible", landlock,
             seccomp[sandbox->seccomp]);
}

/* What is missing, and what would help. Empty at the full level. */
static void
say_missing(const struct pw_sandbox *sandbox, char *out, size_t room)
{
    const char *const parts[] = {
        sandbox->landlock > 0
            ? ""
            : "Landlock (Linux 5.19 or later, with landlock in `lsm=` of its command line, "
              "and a container profile that permits landlock_create_ruleset)",
        sandbox->seccomp != PW_SECCOMP_NONE
            ? ""
            : "seccomp (a kernel with CONFIG_SECCOMP_FILTER, and a container runtime that "
              "passes it on)",
        sandbox->no_new_privs && sandbox->no_core ? "" : "prctl(2) and setrlimit(2)",
    };
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < PW_COUNT(parts) && len < room; i++) {
        if (parts[i][0] != '\0') {
            len += (size_t)snprintf(out + len, room - len, "%s%s", len > 0 ? " and " : "",
                                    parts[i]);
        }
    }
}

static enum pw_err
refuse(const struct pw_settings *settings, const struct pw_sandbox *sandbox,
       enum pw_err err, struct pw_why *why)
{
    char place[PW_PLACE_MAX], missing[sizeof why->text];
    pw_settings_place(settings, "sandbox", place);
    say_missing(sandbox, missing, sizeof missing);
    return pw_fail(why, err,
                   "%s: all of it is required, but this machine does not give %s; provide "
                   "it, or write sandbox = \"best-effort\"",
                   place, missing);
}

enum pw_err
pw_sandbox_check(const struct pw_settings *settings, struct pw_why *why)
{
    struct pw_sandbox offered = pw_sandbox_offered(settings);
    if (settings->sandbox != PW_SET_SANDBOX_REQUIRE ||
        pw_sandbox_level_of(&offered) == PW_SANDBOX_FULL) {
        return PW_E_OK;
    }
    return refuse(settings, &offered, PW_E_CONFIG, why);
}

/* --- entering ------------------------------------------------------------------------- */

static void
enter_plain(void)
{
    struct rlimit none = {0, 0};
    own.no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    own.no_core =
        setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

static void
enter_landlock(const struct pw_settings *settings)
{
    int abi = pw_landlock_abi();
    PW_CLEANUP(pw_landlock_end) struct pw_landlock rules = {.fd = -1};
    if (abi == 0) {
        return;
    }
    if (pw_landlock_begin(&rules, abi, pw_sandbox_abstract(settings)) &&
        pw_sandbox_permit(&rules, settings) && pw_landlock_enforce(&rules)) {
        own.landlock = abi;
        return;
    }
    pw_log(PW_LOG_WARN, "sandbox: Landlock: %s", strerror(errno));
}

static void
enter_seccomp(const struct pw_settings *settings)
{
    if (!pw_seccomp_offered()) {
        return;
    }
    int err = pw_seccomp_enforce(settings->sandbox_kill);
    if (err == 0) {
        own.seccomp = settings->sandbox_kill ? PW_SECCOMP_KILL : PW_SECCOMP_ERRNO;
        return;
    }
    pw_log(PW_LOG_WARN, "sandbox: seccomp: %s", strerror(-err));
}

/*
 * What nsswitch.conf names for hosts is a library each, and no library can be loaded later.
 * This asks each of them to begin, which reaches for no network.
 */
static void
load_resolvers(const struct pw_settings *settings)
{
    if (pw_sandbox_hosts(settings)) {
        sethostent(0);
        endhostent();
    }
}

enum pw_err
pw_sandbox_enter(const struct pw_settings *settings, struct pw_why *why)
{
    char words[256];
    if (settings->sandbox == PW_SET_SANDBOX_OFF) {
        pw_log(PW_LOG_WARN, "sandbox: off, as it is set");
        return PW_E_OK;
    }
    load_resolvers(settings);
    enter_plain();
    enter_landlock(settings);
    enter_seccomp(settings);
    pw_sandbox_words(&own, words, sizeof words);
    bool full = pw_sandbox_level() == PW_SANDBOX_FULL;
    pw_log(full ? PW_LOG_INFO : PW_LOG_WARN, "sandbox: %s", words);
    return full || settings->sandbox != PW_SET_SANDBOX_REQUIRE
               ? PW_E_OK
               : refuse(settings, &own, PW_E_OS, why);
}

/* --- afterwards ----------------------------------------------------------------------- */

/* The mode permits it, yet it cannot be opened. */
static bool
hides(int folder, const char *name)
{
    PW_CLEANUP(pw_file_close)
    int fd = openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 && errno == EACCES && faccessat(folder, name, R_OK, AT_EACCESS) == 0;
}

static bool
hides_any(const char *path)
{
    bool hidden = hides(AT_FDCWD, path);
    struct dirent *entry;
    DIR *list = hidden ? NULL : opendir(path);
    while (list != NULL && !hidden && (entry = readdir(list)) != NULL) {
        hidden = entry->d_type == DT_LNK && hides(dirfd(list), entry->d_name);
    }
    if (list != NULL) {
        closedir(list);
    }
    return hidden;
}

void
pw_sandbox_remark(const char *path, struct pw_why *why)
{
    if (own.landlock > 0 && hides_any(path)) {
        struct pw_why plain = *why;
        pw_fail(why, PW_E_PERM,
                "%.380s; the sandbox knows the files of the start: restart the wall, which "
                "may then read this one",
                plain.text);
    }
}

void
pw_sandbox_write(const struct pw_sandbox *sandbox, struct pw_json *json)
{
    pw_json_object(json, "sandbox");
    pw_json_uint(json, "level", (uint64_t)pw_sandbox_level_of(sandbox));
    pw_json_bool(json, "no_new_privs", sandbox->no_new_privs);
    pw_json_bool(json, "core", !sandbox->no_core);
    pw_json_uint(json, "landlock", (uint64_t)sandbox->landlock);
    pw_json_str(json, "seccomp", seccomp_names[sandbox->seccomp]);
    pw_json_end_object(json);
}

void
pw_sandbox_write_own(struct pw_json *json)
{
    pw_sandbox_write(&own, json);
}
