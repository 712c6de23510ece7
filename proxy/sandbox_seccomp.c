/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sandbox_seccomp.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <seccomp.h>

#include "common/base/def.h"

enum {
    SOCK_KIND = 0xf, /* of a socket's type, without SOCK_CLOEXEC and SOCK_NONBLOCK */
    NEW_THREAD_MASK = CLONE_THREAD | CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET |
                      CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS,
};

enum kind { KIND_ANY, KIND_IS, KIND_BITS };

struct test {
    enum kind kind;
    unsigned arg;
    uint64_t mask;
    uint64_t value;
    bool own_pid; /* instead of `value` */
};

struct call {
    int number;
    struct test tests[2];
};

#define OWN_PID UINT64_MAX
#define ANY                                                                                \
    {                                                                                      \
        .kind = KIND_ANY                                                                   \
    }
#define IS(n, is)                                                                          \
    {                                                                                      \
        .kind = KIND_IS, .arg = (n), .value = (is), .own_pid = (is) == OWN_PID             \
    }
#define BITS(n, bits, is)                                                                  \
    {                                                                                      \
        .kind = KIND_BITS, .arg = (n), .mask = (bits), .value = (is)                       \
    }

static const struct call calls[] = {
#define PW_CALL(name, first, second, why) {SCMP_SYS(name), {first, second}},
#include "proxy/sandbox_calls.def"
#undef PW_CALL
};

static unsigned
compare(const struct call *call, struct scmp_arg_cmp out[static 2])
{
    unsigned count = 0;
    for (size_t i = 0; i < PW_COUNT(call->tests); i++) {
        const struct test *test = &call->tests[i];
        uint64_t value = test->own_pid ? (uint64_t)getpid() : test->value;
        if (test->kind == KIND_IS) {
            out[count++] = SCMP_CMP(test->arg, SCMP_CMP_EQ, value, 0);
        } else if (test->kind == KIND_BITS) {
            out[count++] = SCMP_CMP(test->arg, SCMP_CMP_MASKED_EQ, test->mask, value);
        }
    }
    return count;
}

static int
permit(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < PW_COUNT(calls); i++) {
        struct scmp_arg_cmp tests[2];
        unsigned count = compare(&calls[i], tests);
        int err =
            seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls[i].number, count, tests);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int
set_up(scmp_filter_ctx filter)
{
    enum { LOG = 1, TSYNC = 1, BINARY_TREE = 2 };
    int err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, LOG);
    err = err == 0 ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, TSYNC) : err;
    err = err == 0 ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, BINARY_TREE) : err;
    err = err == 0
              ? seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)
              : err;
    return err == 0 ? permit(filter) : err;
}

bool
pw_seccomp_offered(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/*
 * clone3 has its flags in memory, where no filter sees them; when it is not there, libc
 * takes clone. That is a filter of its own, so that the log is not told of each thread; of
 * two filters the stricter counts.
 */
static int
hide_clone3(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL) {
        return -ENOMEM;
    }
    int err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    err = err == 0 ? seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0)
                   : err;
    err = err == 0 ? seccomp_load(filter) : err;
    seccomp_release(filter);
    return err;
}

int
pw_seccomp_enforce(bool kill)
{
    scmp_filter_ctx filter =
        seccomp_init(kill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL) {
        return -ENOMEM;
    }
    int err = set_up(filter);
    err = err == 0 ? hide_clone3() : err;
    err = err == 0 ? seccomp_load(filter) : err;
    seccomp_release(filter);
    return err;
}
