/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/file.h"
#include "tests/unit/check.h"

/* A manager that listens at this name of the abstract namespace. */
static int
listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, name, strlen(name));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    return fd;
}

static void
the_manager_hears_what_it_is_told(void **state)
{
    (void)state;
    char name[64];
    char variable[66];
    char heard[128] = "";
    snprintf(name, sizeof name, "pw-notify-%d", (int)getpid());
    snprintf(variable, sizeof variable, "@%s", name);
    PW_CLEANUP(pw_file_close) int manager = listen_at(name);
    setenv("NOTIFY_SOCKET", variable, 1);
    pw_notify("READY=1");
    assert_int_equal(recv(manager, heard, sizeof heard - 1, 0), 7);
    assert_string_equal(heard, "READY=1");
    pw_notify_reloading();
    ssize_t len = recv(manager, heard, sizeof heard - 1, 0);
    assert_true(len > 0);
    heard[len] = '\0';
    assert_int_equal(strncmp(heard, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    assert_true(strtoull(heard + 27, NULL, 10) > 0);
    unsetenv("NOTIFY_SOCKET");
    pw_notify("READY=1");
    assert_int_equal(recv(manager, heard, sizeof heard, 0), -1);
}

static void
a_manager_that_is_gone_does_no_harm(void **state)
{
    (void)state;
    static const char *const names[] = {"", "/", "@", "@gone-pw-notify", "/nowhere/at/all"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        pw_notify("READY=1");
    }
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    setenv("NOTIFY_SOCKET", longer, 1);
    pw_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
}

static void
the_watchdog_is_ours_only_when_it_names_us(void **state)
{
    (void)state;
    char self[24];
    snprintf(self, sizeof self, "%d", (int)getpid());
    const struct watchdog_case {
        const char *name, *us, *pid;
        uint64_t ns;
    } cases[] = {
        {"nobody watches", NULL, NULL, 0},
        {"somebody does", "30000000", NULL, 30000000000},
        {"us", "30000000", self, 30000000000},
        {"another", "30000000", "1", 0},
        {"no pid", "30000000", "us", 0},
        {"no number", "30s", self, 0},
        {"a negative one", "-1", self, 0},
        {"too many", "18446744073709551615", self, 0},
        {"more than that", "99999999999999999999", self, 0},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        const struct watchdog_case *c = &cases[i];
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        if (c->us != NULL) {
            setenv("WATCHDOG_USEC", c->us, 1);
        }
        if (c->pid != NULL) {
            setenv("WATCHDOG_PID", c->pid, 1);
        }
        check_case(c->name, pw_notify_watchdog_ns() == c->ns);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manager_hears_what_it_is_told),
        cmocka_unit_test(a_manager_that_is_gone_does_no_harm),
        cmocka_unit_test(the_watchdog_is_ours_only_when_it_names_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
