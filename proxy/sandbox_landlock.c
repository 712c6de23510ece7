/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sandbox_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/file.h"

/* From the kernel's include/uapi/linux/landlock.h; Debian 12 ships that of ABI 2. */
enum {
    CREATE_VERSION = 1, /* LANDLOCK_CREATE_RULESET_VERSION */
    PATH_BENEATH = 1,   /* LANDLOCK_RULE_PATH_BENEATH */
    NET_PORT = 2,       /* LANDLOCK_RULE_NET_PORT */
    NET_ABI = 4,
};

struct ruleset {
    uint64_t fs;
    uint64_t net;    /* from ABI 4 on */
    uint64_t scoped; /* from ABI 6 on */
};

struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

struct net_port {
    uint64_t allowed;
    uint64_t port;
};

enum net_access { CONNECT_TCP = 2 }; /* LANDLOCK_ACCESS_NET_CONNECT_TCP */

enum scope { SCOPE_ABSTRACT_UNIX = 1, SCOPE_SIGNAL = 2 };

/* Bits of LANDLOCK_ACCESS_FS_*. */
enum access {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    READ_FILE = 1 << 2,
    READ_DIR = 1 << 3,
    REMOVE_DIR = 1 << 4,
    REMOVE_FILE = 1 << 5,
    MAKE_CHAR = 1 << 6,
    MAKE_DIR = 1 << 7,
    MAKE_REG = 1 << 8,
    MAKE_SOCK = 1 << 9,
    MAKE_FIFO = 1 << 10,
    MAKE_BLOCK = 1 << 11,
    MAKE_SYM = 1 << 12,
    REFER = 1 << 13,
    TRUNCATE = 1 << 14,
    IOCTL_DEV = 1 << 15,
    OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV,
};

/* Every access that an ABI can refuse. */
static const uint64_t known[PW_LANDLOCK_NEWEST + 1] = {
    [1] = (1 << 13) - 1, [2] = (1 << 14) - 1, [3] = (1 << 15) - 1, [4] = (1 << 15) - 1,
    [5] = (1 << 16) - 1, [6] = (1 << 16) - 1, [7] = (1 << 16) - 1,
};

/* Bytes of struct ruleset that an ABI knows. */
static const size_t ruleset_size[PW_LANDLOCK_NEWEST + 1] = {
    [1] = 8, [2] = 8, [3] = 8, [4] = 16, [5] = 16, [6] = 24, [7] = 24,
};

static const uint64_t rights_of[] = {
    [PW_LANDLOCK_READ] = READ_FILE | READ_DIR,
    [PW_LANDLOCK_DEVICE] = READ_FILE | WRITE_FILE,
    [PW_LANDLOCK_SOCKET] =
        READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKE_REG | MAKE_SOCK | REMOVE_FILE,
    [PW_LANDLOCK_WRITE] = READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKE_REG |
                          MAKE_SOCK | REMOVE_FILE | MAKE_DIR | REMOVE_DIR | REFER,
};

int
pw_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
    if (abi < PW_LANDLOCK_OLDEST) {
        return 0;
    }
    return abi > PW_LANDLOCK_NEWEST ? PW_LANDLOCK_NEWEST : (int)abi;
}

bool
pw_landlock_begin(struct pw_landlock *rules, int abi, bool abstract)
{
    struct ruleset set = {
        .fs = known[abi],
        .net = CONNECT_TCP,
        .scoped = SCOPE_SIGNAL | (abstract ? 0 : SCOPE_ABSTRACT_UNIX),
    };
    rules->abi = abi;
    rules->fd = (int)syscall(SYS_landlock_create_ruleset, &set, ruleset_size[abi], 0);
    return rules->fd >= 0;
}

bool
pw_landlock_permit(struct pw_landlock *rules, const char *path,
                   enum pw_landlock_rights rights)
{
    struct stat is;
    PW_CLEANUP(pw_file_close) int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &is) != 0) {
        return true;
    }
    struct path_beneath rule = {.allowed = rights_of[rights] & known[rules->abi],
                                .parent = fd};
    if (!S_ISDIR(is.st_mode)) {
        rule.allowed &= OF_FILES;
    }
    if (syscall(SYS_landlock_add_rule, rules->fd, PATH_BENEATH, &rule, 0) == 0) {
        return true;
    }
    return errno == EBADFD; /* a pipe or a socket, which no rule can name or refuse */
}

bool
pw_landlock_permit_port(struct pw_landlock *rules, unsigned port)
{
    struct net_port rule = {.allowed = CONNECT_TCP, .port = port};
    return rules->abi < NET_ABI ||
           syscall(SYS_landlock_add_rule, rules->fd, NET_PORT, &rule, 0) == 0;
}

bool
pw_landlock_enforce(struct pw_landlock *rules)
{
    return syscall(SYS_landlock_restrict_self, rules->fd, 0) == 0;
}

void
pw_landlock_end(struct pw_landlock *rules)
{
    pw_file_close(&rules->fd);
}
