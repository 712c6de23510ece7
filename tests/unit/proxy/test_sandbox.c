/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process can no longer do once it is in the sandbox. Each case is a process.
 */
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <seccomp.h>

#include "common/base/file.h"
#include "proxy/sandbox.h"
#include "proxy/sandbox_landlock.h"
#include "tests/unit/fail_alloc.h"

enum { GOOD = 0, BAD = 1 };

#ifdef PW_SANITIZED
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

static char endpoint[64]; /* one more, of the output */
static char folder[64];   /* with state, keys, outside, and links among them */

static const char *
at(const char *name)
{
    static char path[4][128];
    static unsigned turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static bool
put(const char *name, const char *text)
{
    PW_CLEANUP(pw_file_close) int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && pw_file_write_all(fd, pw_span_str(text)) == PW_E_OK;
}

static bool
can_read(const char *path)
{
    char byte;
    PW_CLEANUP(pw_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &byte, 1) == 1;
}

static struct pw_settings *
settings_of(const char *more)
{
    struct pw_why why = {0};
    char text[2048];
    snprintf(
        text, sizeof text,
        "state = \"%s/state\"\nkeys = \"%s/keys\"\n%schannel\n    jobs\n        in\n"
        "            bind = \"ipc://%s/sockets/in\"\n        out\n"
        "            bind = \"tcp://127.0.0.1:*\"\n            %s\n        policy = \"p\"\n"
        "policy\n    p\n        allow = \"a:B\"\n",
        folder, folder, more, folder, endpoint);
    struct pw_settings *settings = pw_settings_parse(text, at("etc/wall.conf"), &why);
    if (settings == NULL) {
        fprintf(stderr, "%s\n", why.text);
    }
    return settings;
}

static int
set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/pw-sandbox-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    static const char *const folders[] = {"state",   "state/a", "state/b", "keys",
                                          "outside", "sockets", "etc",     "later"};
    for (size_t i = 0; i < PW_COUNT(folders); i++) {
        if (mkdir(at(folders[i]), 0700) != 0) {
            return -1;
        }
    }
    bool made = put("etc/wall.conf", "x") && put("keys/a", "x") &&
                put("outside/old", "x") && put("outside/key", "x") &&
                put("later/key", "x") && put("state/old", "x") &&
                symlink(at("outside/key"), at("keys/linked")) == 0;
    return made ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    char command[128];
    pid_t child = fork();
    snprintf(command, sizeof command, "%s", folder);
    if (child == 0) {
        execl("/bin/rm", "rm", "-rf", command, (char *)NULL);
        _exit(BAD);
    }
    int status = BAD;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

/* Run in a process of its own, in the sandbox of these settings: its wait status. */
static int
inside(const char *more, int (*run)(const void *arg), const void *arg)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct pw_why why = {0};
        struct pw_settings *settings = settings_of(more);
        bool entered = settings != NULL && pw_sandbox_enter(settings, &why) == PW_E_OK;
        if (!entered) {
            fprintf(stderr, "not entered: %s\n", why.text);
        }
        _exit(entered ? run(arg) : BAD);
    }
    int status = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* --- what is refused ------------------------------------------------------------------ */

static long
write_over(void)
{
    return open(at("outside/old"), O_WRONLY | O_CLOEXEC);
}

static long
cut_off(void)
{
    return open(at("outside/old"), O_RDONLY | O_TRUNC | O_CLOEXEC);
}

static long
make_file(void)
{
    return open(at("outside/new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static long
make_folder(void)
{
    return mkdir(at("outside/folder"), 0700);
}

static long
remove_file(void)
{
    return unlink(at("outside/old"));
}

static long
move_out(void)
{
    return rename(at("state/old"), at("outside/stolen"));
}

static long
change_configuration(void)
{
    return open(at("etc/wall.conf"), O_WRONLY | O_CLOEXEC);
}

static long
change_key(void)
{
    return open(at("keys/a"), O_WRONLY | O_CLOEXEC);
}

static long
make_device(void)
{
    return syscall(SYS_mknodat, AT_FDCWD, at("state/disk"), S_IFBLK | 0600, 0);
}

static long
read_other(void)
{
    return open(at("outside/old"), O_RDONLY | O_CLOEXEC);
}

static long
list_other(void)
{
    return open("/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static long
start_program(void)
{
    char name[] = "true";
    char *const arguments[] = {name, NULL};
    return execv("/bin/true", arguments);
}

static long
start_process(void)
{
    return fork();
}

static long
packet_socket(void)
{
    return socket(AF_PACKET, SOCK_RAW, ETH_P_ALL);
}

static long
raw_socket(void)
{
    return socket(AF_INET, SOCK_RAW, 1);
}

static long
other_netlink(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 9); /* NETLINK_AUDIT */
}

static long
trace_parent(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long
map_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? -1 : 0;
}

static long
turn_into_code(void)
{
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? 0 : mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long
signal_parent(void)
{
    return kill(getppid(), SIGWINCH);
}

static long
wish_for_cores(void)
{
    struct rlimit some = {0, 0};
    return setrlimit(RLIMIT_CORE, &some);
}

static long
show_itself(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

#define NUMBERED(name)                                                                     \
    static long call_##name(void)                                                          \
    {                                                                                      \
        return syscall(SYS_##name, 0, 0, 0, 0, 0, 0);                                      \
    }
/* clang-format off */
NUMBERED(bpf) NUMBERED(chroot) NUMBERED(delete_module) NUMBERED(execveat) NUMBERED(fork)
NUMBERED(io_uring_setup) NUMBERED(keyctl) NUMBERED(kexec_load) NUMBERED(memfd_create)
NUMBERED(mount) NUMBERED(open_by_handle_at) NUMBERED(perf_event_open) NUMBERED(pidfd_open)
NUMBERED(pivot_root) NUMBERED(process_vm_writev) NUMBERED(reboot) NUMBERED(setns)
NUMBERED(setuid) NUMBERED(shmat) NUMBERED(swapon) NUMBERED(unshare) NUMBERED(userfaultfd)
NUMBERED(vfork)
    /* clang-format on */

    static const struct refused_case {
    const char *name;
    long (*run)(void);
    int error;
    bool sanitizers_may; /* their builds have wider rules */
} refused_cases[] = {
    {"write to a file", write_over, EACCES, false},
    {"cut a file", cut_off, EACCES, false},
    {"make a file", make_file, EACCES, false},
    {"make a folder", make_folder, EACCES, false},
    {"remove a file", remove_file, EACCES, false},
    {"move a file out", move_out, EACCES, false},
    {"change the configuration", change_configuration, EACCES, false},
    {"change a key", change_key, EACCES, false},
    {"make a device", make_device, EPERM, false},
    {"read a file", read_other, EACCES, true},
    {"read a folder", list_other, EACCES, true},
    {"start a program", start_program, EPERM, false},
    {"start a process", start_process, EPERM, true},
    {"a socket that hears the line", packet_socket, EPERM, false},
    {"a raw socket", raw_socket, EPERM, false},
    {"another netlink", other_netlink, EPERM, false},
    {"trace", trace_parent, EPERM, false},
    {"executable memory", map_code, EPERM, false},
    {"memory that becomes executable", turn_into_code, EPERM, false},
    {"a signal to another process", signal_parent, EPERM, false},
    {"set a limit", wish_for_cores, EPERM, true},
    {"become dumpable again", show_itself, EPERM, true},
    {"bpf", call_bpf, EPERM, false},
    {"chroot", call_chroot, EPERM, false},
    {"delete_module", call_delete_module, EPERM, false},
    {"execveat", call_execveat, EPERM, false},
    {"fork", call_fork, EPERM, false},
    {"io_uring_setup", call_io_uring_setup, EPERM, false},
    {"keyctl", call_keyctl, EPERM, false},
    {"kexec_load", call_kexec_load, EPERM, false},
    {"memfd_create", call_memfd_create, EPERM, false},
    {"mount", call_mount, EPERM, false},
    {"open_by_handle_at", call_open_by_handle_at, EPERM, false},
    {"perf_event_open", call_perf_event_open, EPERM, false},
    {"pidfd_open", call_pidfd_open, EPERM, false},
    {"pivot_root", call_pivot_root, EPERM, false},
    {"process_vm_writev", call_process_vm_writev, EPERM, false},
    {"reboot", call_reboot, EPERM, false},
    {"setns", call_setns, EPERM, false},
    {"setuid", call_setuid, EPERM, false},
    {"shmat", call_shmat, EPERM, false},
    {"swapon", call_swapon, EPERM, false},
    {"unshare", call_unshare, EPERM, false},
    {"userfaultfd", call_userfaultfd, EPERM, false},
    {"vfork", call_vfork, EPERM, false},
};

static int
try_refused(const void *arg)
{
    const struct refused_case *it = arg;
    errno = 0;
    long result = it->run();
    int error = errno;
    if (result != 0 && result != -1) {
        return BAD; /* a descriptor, or a child: both go with this process */
    }
    return result == -1 && error == it->error ? GOOD : BAD;
}

static void
what_a_wall_need_not_do_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(refused_cases); i++) {
        const struct refused_case *it = &refused_cases[i];
        if (sanitized && it->sanitizers_may) {
            print_message("with sanitizers it is permitted: %s\n", it->name);
            continue;
        }
        check_case(it->name, inside("", try_refused, it) == 0);
    }
}

/* Or what is refused above might be refused in any case. */
static void
without_the_sandbox_it_could_be_done(void **state)
{
    (void)state;
    static const char off[] = "sandbox = \"off\"\n";
    static const size_t plain[] = {0, 6, 7, 9, 17, 18};
    for (size_t i = 0; i < PW_COUNT(plain); i++) {
        const struct refused_case *it = &refused_cases[plain[i]];
        check_case(it->name, inside(off, try_refused, it) != 0);
    }
}

static void
a_refused_call_can_be_the_end(void **state)
{
    (void)state;
    static const struct refused_case packet = {"", packet_socket, EPERM, false};
    int status = inside("sandbox_violation = \"kill\"\n", try_refused, &packet);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* --- what works ----------------------------------------------------------------------- */

static void *
touch_outside(void *arg)
{
    *(bool *)arg = make_file() < 0 && errno == EACCES;
    return NULL;
}

static int
work(const void *arg)
{
    (void)arg;
    pthread_t thread;
    bool confined = false, started = false;
    bool good = put("state/a/new", "x") && can_read(at("state/a/new")) &&
                rename(at("state/a/new"), at("state/b/moved")) == 0 &&
                unlink(at("state/b/moved")) == 0 && mkdir(at("state/c"), 0700) == 0 &&
                unlinkat(AT_FDCWD, at("state/c"), AT_REMOVEDIR) == 0;
    good = good && can_read(at("keys/a")) && can_read(at("keys/linked")) &&
           can_read(at("etc/wall.conf"));
    started = pthread_create(&thread, NULL, touch_outside, &confined) == 0 &&
              pthread_join(thread, NULL) == 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", at("sockets/in"));
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    good = good && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
           unlink(address.sun_path) == 0;
    int plain = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return good && started && confined && plain >= 0 &&
                   pw_sandbox_level() == PW_SANDBOX_FULL
               ? GOOD
               : BAD;
}

static void
what_a_wall_does_works_in_all_its_threads(void **state)
{
    (void)state;
    assert_int_equal(inside("", work, NULL), 0);
    assert_int_equal(inside("sandbox_violation = \"kill\"\n", work, NULL), 0);
    assert_int_equal(inside("sandbox = \"require\"\n", work, NULL), 0);
}

static int
limits_are_set(const void *arg)
{
    struct rlimit core = {1, 1};
    (void)arg;
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    int found = 0;
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        found +=
            strcmp(line, "NoNewPrivs:\t1\n") == 0 || strcmp(line, "Seccomp:\t2\n") == 0;
    }
    bool good = found == 2 && getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0;
    return good ? GOOD : BAD;
}

static void *
open_packets(void *arg)
{
    *(bool *)arg = packet_socket() < 0 && errno == EPERM;
    return NULL;
}

static int
call_from_a_thread(const void *arg)
{
    (void)arg;
    pthread_t thread;
    bool refused = false;
    bool good = pthread_create(&thread, NULL, open_packets, &refused) == 0 &&
                pthread_join(thread, NULL) == 0;
    return good && refused ? GOOD : BAD;
}

static void
calls_are_refused_to_all_its_threads(void **state)
{
    (void)state;
    assert_int_equal(inside("", call_from_a_thread, NULL), 0);
}

static void
the_kernel_says_so_too(void **state)
{
    (void)state;
    assert_int_equal(inside("", limits_are_set, NULL), 0);
}

struct listener {
    int fd;
    unsigned port;
};

static struct listener
listen_anywhere(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof any;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &size), 0);
    assert_int_equal(listen(fd, 5), 0);
    return (struct listener){fd, ntohs(any.sin_port)};
}

/* 0, or errno. */
static int
reach(unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    PW_CLEANUP(pw_file_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? 0 : errno;
}

static int
reach_both(const void *arg)
{
    const struct listener *to = arg;
    return reach(to[0].port) == 0 && reach(to[1].port) == EACCES ? GOOD : BAD;
}

static void
only_ports_of_endpoints_can_be_connected_to(void **state)
{
    (void)state;
    const struct listener to[] = {listen_anywhere(), listen_anywhere()};
    if (pw_landlock_abi() < 4) {
        print_message("Landlock of this kernel knows no ports\n");
        return;
    }
    snprintf(endpoint, sizeof endpoint, "connect = \"tcp://127.0.0.1:%u\"", to[0].port);
    assert_int_equal(inside("", reach_both, to), 0);
    assert_int_equal(inside("sandbox = \"off\"\n", reach_both, to), BAD << 8);
    endpoint[0] = '\0';
    close(to[0].fd);
    close(to[1].fd);
}

static int
look_for_remarks(const void *arg)
{
    (void)arg;
    struct pw_why known = {"x"}, broken = {"x"}, gone = {"x"};
    pw_sandbox_remark(at("keys"), &known);
    pw_sandbox_remark(at("later"), &broken);
    pw_sandbox_remark(at("none"), &gone);
    bool good = strcmp(known.text, "x") == 0 && strcmp(gone.text, "x") == 0 &&
                strstr(broken.text, "x; ") == broken.text &&
                strstr(broken.text, "restart the wall") != NULL;
    return good ? GOOD : BAD;
}

static void
a_path_that_is_new_is_told_from_one_that_is_missing(void **state)
{
    (void)state;
    if (sanitized) {
        print_message("with sanitizers all may be read\n");
        return;
    }
    assert_int_equal(inside("", look_for_remarks, NULL), 0);
}

/* --- less than all -------------------------------------------------------------------- */

/* As a kernel without it, or the profile of a container, would answer. */
static bool
take_away(int number)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    bool done = filter != NULL &&
                seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0) == 0 &&
                seccomp_load(filter) == 0;
    seccomp_release(filter);
    return done;
}

struct lacking {
    const char *name;
    int missing; /* a system call */
    const char *word;
};

static int
enter_without(const void *arg)
{
    const struct lacking *it = arg;
    struct pw_why why = {0};
    struct pw_settings *require = settings_of("sandbox = \"require\"\n");
    struct pw_settings *any = settings_of("");
    if (!take_away(it->missing) || pw_sandbox_check(any, &why) != PW_E_OK) {
        return BAD;
    }
    if (pw_sandbox_check(require, &why) != PW_E_CONFIG ||
        strstr(why.text, it->word) == NULL || strstr(why.text, "best-effort") == NULL) {
        return BAD;
    }
    bool good = pw_sandbox_enter(any, &why) == PW_E_OK && pw_sandbox_level() == 2;
    return good ? GOOD : BAD;
}

static void
less_than_all_is_level_2_and_refused_where_all_is_required(void **state)
{
    (void)state;
    static const struct lacking cases[] = {
        {"no Landlock", SYS_landlock_create_ruleset, "Landlock (Linux 5.19"},
        {"no seccomp", SYS_seccomp, "CONFIG_SECCOMP_FILTER"},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        check_case(cases[i].name,
                   inside("sandbox = \"off\"\n", enter_without, &cases[i]) == 0);
    }
}

static int
enter_of_abi(const void *arg)
{
    int abi = *(const int *)arg;
    struct pw_landlock rules = {.fd = -1};
    bool good = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                pw_landlock_begin(&rules, abi, false) &&
                pw_landlock_permit(&rules, at("state"), PW_LANDLOCK_WRITE) &&
                pw_landlock_permit(&rules, "/dev/null", PW_LANDLOCK_DEVICE) &&
                pw_landlock_permit(&rules, at("none"), PW_LANDLOCK_WRITE) &&
                pw_landlock_enforce(&rules);
    pw_landlock_end(&rules);
    good = good && put("state/a/new", "x") &&
           rename(at("state/a/new"), at("state/b/new")) == 0 && make_file() < 0 &&
           write_over() < 0;
    return good ? GOOD : BAD;
}

static void
older_kernels_are_asked_for_what_they_know(void **state)
{
    (void)state;
    int offered = pw_landlock_abi();
    assert_true(offered >= PW_LANDLOCK_OLDEST); /* or the suite proves nothing here */
    for (int abi = PW_LANDLOCK_OLDEST; abi <= offered; abi++) {
        assert_int_equal(inside("sandbox = \"off\"\n", enter_of_abi, &abi), 0);
    }
}

static int
enter_without_memory(const void *arg)
{
    (void)arg;
    struct pw_why why = {0};
    struct pw_settings *settings = settings_of("");
    fail_alloc_at(1);
    enum pw_err err = pw_sandbox_enter(settings, &why);
    bool happened = fail_alloc_happened();
    return err == PW_E_OK && !happened && pw_sandbox_level() == PW_SANDBOX_FULL ? GOOD
                                                                                : BAD;
}

static void
entering_asks_for_no_memory_that_could_be_refused(void **state)
{
    (void)state;
    assert_int_equal(inside("sandbox = \"off\"\n", enter_without_memory, NULL), 0);
}

static void
levels_count_what_is_there(void **state)
{
    (void)state;
    static const struct {
        struct pw_sandbox sandbox;
        int level;
    } cases[] = {
        {{false, false, 0, PW_SECCOMP_NONE}, 0}, {{true, false, 7, PW_SECCOMP_KILL}, 0},
        {{true, true, 0, PW_SECCOMP_NONE}, 1},   {{true, true, 2, PW_SECCOMP_NONE}, 2},
        {{true, true, 0, PW_SECCOMP_ERRNO}, 2},  {{true, true, 7, PW_SECCOMP_ERRNO}, 3},
        {{true, true, 2, PW_SECCOMP_KILL}, 3},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        assert_int_equal(pw_sandbox_level_of(&cases[i].sandbox), cases[i].level);
    }
    assert_int_equal(pw_sandbox_level(), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_wall_need_not_do_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_the_sandbox_it_could_be_done, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_refused_call_can_be_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_wall_does_works_in_all_its_threads, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(calls_are_refused_to_all_its_threads, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_kernel_says_so_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_path_that_is_new_is_told_from_one_that_is_missing,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_ports_of_endpoints_can_be_connected_to, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            less_than_all_is_level_2_and_refused_where_all_is_required, set_up, tear_down),
        cmocka_unit_test_setup_teardown(older_kernels_are_asked_for_what_they_know, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(entering_asks_for_no_memory_that_could_be_refused,
                                        set_up, tear_down),
        cmocka_unit_test(levels_count_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
