/* SPDX-License-Identifier: Apache-2.0
 *
 * What a wall gives up before it hears a byte from outside: privileges, core dumps, files
 * that are not its own, system calls that it does not need. README.md has the tables.
 *
 * A sandbox belongs to the process and cannot be left; these functions therefore remember
 * what was reached.
 */
#ifndef PW_PROXY_SANDBOX_H
#define PW_PROXY_SANDBOX_H

#include "common/base/json.h"
#include "common/settings/settings.h"

enum pw_seccomp_state { PW_SECCOMP_NONE, PW_SECCOMP_ERRNO, PW_SECCOMP_KILL };

/* Of a process, or what this machine could give to one. */
struct pw_sandbox {
    bool no_new_privs; /* prctl(PR_SET_NO_NEW_PRIVS) */
    bool no_core;      /* RLIMIT_CORE is 0, and the process is not dumpable */
    int landlock;      /* ABI; 0: none */
    enum pw_seccomp_state seccomp;
};

/*
 * 0: none. 1: no new privileges and no core dumps. 2: that, and Landlock or seccomp. 3:
 * all.
 */
enum { PW_SANDBOX_FULL = 3 };
int pw_sandbox_level_of(const struct pw_sandbox *sandbox);

/* The level that this process has reached: 0 before pw_sandbox_enter, and when it is off.
 */
int pw_sandbox_level(void);

/*
 * What the kernel offers to a wall with these settings; changes nothing. Of a process that
 * has entered its sandbox: what that is.
 */
struct pw_sandbox pw_sandbox_offered(const struct pw_settings *settings);

/* PW_E_CONFIG with a sentence when `settings` require more than is offered. */
PW_CHECK_RESULT enum pw_err pw_sandbox_check(const struct pw_settings *settings,
                                             struct pw_why *why);

/*
 * Enter it, as `settings->sandbox` says, and tell so on stderr. To be called while the
 * process has one thread, for Landlock holds that and those it makes later; the state
 * folder is there by then. PW_E_OS with a sentence when less is reached than is required.
 */
PW_CHECK_RESULT enum pw_err pw_sandbox_enter(const struct pw_settings *settings,
                                             struct pw_why *why);

/*
 * When it is the sandbox that keeps a file or folder, or what a link in that folder leads
 * to, from being read, though owner and mode permit it: add to the sentence that only a
 * restart helps. For paths that have come, or changed, since the start.
 */
void pw_sandbox_remark(const char *path, struct pw_why *why);

/* The member "sandbox": no_new_privs, core, landlock, seccomp, level. */
void pw_sandbox_write(const struct pw_sandbox *sandbox, struct pw_json *json);

/* The same of this process. */
void pw_sandbox_write_own(struct pw_json *json);

/* Say in words what is there and what is missing. Cut when `room` is too little. */
void pw_sandbox_words(const struct pw_sandbox *sandbox, char *out, size_t room);

#endif
