/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/copy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/check.h"

#include "common/audit/line.h"
#include "tests/unit/fail_alloc.h"

static char folder[] = "/tmp/pw-copies-XXXXXX";
static char path[64];

static int
make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/log", folder);
    return 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static const struct pw_audit_record refusal = {.event = PW_EVENT_FRAME,
                                               .verdict = PW_QUARANTINE,
                                               .channel = 0,
                                               .reason = PW_R_IMPORT_DENIED,
                                               .level = PW_LEVEL_CRITICAL};
static const struct pw_audit_record stop = {.event = PW_EVENT_STOP, .channel = -1};

static struct pw_audit_copy
copy_of(const char *text, const struct pw_audit_record *record)
{
    return (struct pw_audit_copy){.line = pw_span_str(text),
                                  .record = record,
                                  .chan = record->channel < 0 ? "" : "jobs"};
}

/* All that `fd` has at the moment. */
static size_t
drain(int fd, char *out, size_t room)
{
    ssize_t got;
    size_t len = 0;
    while (len < room && (got = read(fd, out + len, room - len)) > 0) {
        len += (size_t)got;
    }
    return len;
}

/* Lines of one letter each, 5000 bytes long, until the pipe has taken in part of one. */
static void
a_pipe_that_is_full_gets_whole_lines_or_none(void **state)
{
    (void)state;
    static char heard[1 << 20], line[5001];
    struct pw_why why = {{0}};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    struct pw_copy_stdout *copy = pw_copy_stdout_open(ends[1], &why);
    assert_non_null(copy);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0); /* others may share it */
    size_t len = 0;
    size_t sent = 0;
    for (size_t i = 0; i < 60; i++) {
        memset(line, 'a' + (int)(i % 26), 5000);
        struct pw_audit_copy one = copy_of(line, &refusal);
        sent += pw_copy_stdout_send(copy, &one);
        if (i % 20 == 19) {
            len += drain(ends[0], heard + len, sizeof heard - len);
        }
    }
    struct pw_audit_copy last = copy_of("end", &refusal);
    assert_true(pw_copy_stdout_send(copy, &last));
    len += drain(ends[0], heard + len, sizeof heard - len);
    assert_in_range(sent, 13, 59); /* the pipe holds 64 KiB */
    assert_int_equal(len, sent * 5001 + 4);
    for (size_t i = 0; i < sent; i++) {
        const char *start = heard + i * 5001;
        assert_int_equal(start[5000], '\n');
        assert_int_equal(strspn(start, (char[]){start[0], '\0'}), 5000);
    }
    assert_memory_equal(heard + sent * 5001, "end\n", 4);
    pw_copy_stdout_close(&copy);
    assert_null(copy);
    close(ends[0]);
    close(ends[1]);
}

static void
a_socket_as_stdout_does_not_block_either(void **state)
{
    (void)state;
    char heard[16];
    struct pw_why why = {{0}};
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct pw_copy_stdout *copy = pw_copy_stdout_open(ends[1], &why);
    assert_non_null(copy);
    struct pw_audit_copy line = copy_of("one", &refusal);
    assert_true(pw_copy_stdout_send(copy, &line));
    assert_int_equal(read(ends[0], heard, sizeof heard), 4);
    assert_memory_equal(heard, "one\n", 4);
    for (int i = 0; i < 1000000 && pw_copy_stdout_send(copy, &line); i++) {
    }
    assert_false(pw_copy_stdout_send(copy, &line));
    pw_copy_stdout_close(&copy);
    close(ends[0]);
    close(ends[1]);
}

static void
a_closed_stdout_is_refused_with_words(void **state)
{
    (void)state;
    struct pw_why why = {{0}};
    assert_null(pw_copy_stdout_open(-1, &why));
    assert_non_null(strstr(why.text, "give it a pipe"));
}

static int
listen_at(const char *at)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, at, strlen(at));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(at);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static const struct {
    const char *name;
    enum pw_copy_form form;
    const struct pw_audit_record *record;
    const char *expected;
} datagrams[] = {
    {"syslog, a refusal", PW_COPY_SYSLOG, &refusal, "<26>picklewall: {}"},
    {"syslog, an event", PW_COPY_SYSLOG, &stop, "<30>picklewall: {}"},
    {"journal, a refusal", PW_COPY_JOURNAL, &refusal,
     "PRIORITY=2\nSYSLOG_IDENTIFIER=picklewall\nPICKLEWALL_EVENT=frame\n"
     "PICKLEWALL_LEVEL=critical\nPICKLEWALL_CHANNEL=jobs\n"
     "PICKLEWALL_VERDICT=quarantine\nPICKLEWALL_REASON=import.denied\nMESSAGE={}\n"},
    {"journal, an event", PW_COPY_JOURNAL, &stop,
     "PRIORITY=6\nSYSLOG_IDENTIFIER=picklewall\nPICKLEWALL_EVENT=stop\n"
     "PICKLEWALL_LEVEL=info\nMESSAGE={}\n"},
};

static void
a_daemon_gets_a_line_in_its_own_form(void **state)
{
    (void)state;
    int daemon = listen_at(path);
    for (size_t i = 0; i < PW_COUNT(datagrams); i++) {
        char heard[4096] = "";
        struct pw_why why = {{0}};
        struct pw_copy_socket *copy = pw_copy_socket_open(datagrams[i].form, path, &why);
        struct pw_audit_copy line = copy_of("{}", datagrams[i].record);
        check_case(datagrams[i].name, pw_copy_socket_send(copy, &line));
        check_case(datagrams[i].name, recv(daemon, heard, sizeof heard - 1, 0) > 0);
        check_case(datagrams[i].name, strcmp(heard, datagrams[i].expected) == 0);
        pw_copy_socket_close(&copy);
    }
    close(daemon);
}

static void
a_daemon_that_is_behind_misses_lines_and_one_that_restarts_does_not(void **state)
{
    (void)state;
    struct pw_why why = {{0}};
    int daemon = listen_at(path);
    struct pw_copy_socket *copy = pw_copy_socket_open(PW_COPY_SYSLOG, path, &why);
    struct pw_audit_copy line = copy_of("{}", &refusal);
    int sent = 0;
    while (sent < 100000 && pw_copy_socket_send(copy, &line)) {
        sent++;
    }
    assert_in_range(sent, 1, 99999); /* its queue is full, and we did not wait */
    close(daemon);
    daemon = listen_at(path);
    assert_true(pw_copy_socket_send(copy, &line));
    close(daemon);
    unlink(path);
    assert_false(pw_copy_socket_send(copy, &line));
    pw_copy_socket_close(&copy);
}

static void
a_path_that_is_no_socket_s_is_refused(void **state)
{
    (void)state;
    char long_path[200] = "";
    struct pw_why why = {{0}};
    memset(long_path, 'x', sizeof long_path - 1);
    assert_null(pw_copy_socket_open(PW_COPY_SYSLOG, long_path, &why));
    assert_non_null(strstr(why.text, "too long for a socket"));
}

static void
open_both(void *arg)
{
    struct pw_why why = {{0}};
    (void)arg;
    struct pw_copy_stdout *out = pw_copy_stdout_open(STDOUT_FILENO, &why);
    assert_true(out != NULL || why.text[0] != '\0');
    why.text[0] = '\0';
    struct pw_copy_socket *socket = pw_copy_socket_open(PW_COPY_JOURNAL, path, &why);
    assert_true(socket != NULL || why.text[0] != '\0');
    pw_copy_stdout_close(&out);
    pw_copy_socket_close(&socket);
}

static void
out_of_memory_is_an_error(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, open_both, NULL)) {
        n++;
    }
    assert_int_equal(n, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_that_is_full_gets_whole_lines_or_none),
        cmocka_unit_test(a_socket_as_stdout_does_not_block_either),
        cmocka_unit_test(a_closed_stdout_is_refused_with_words),
        cmocka_unit_test(a_daemon_gets_a_line_in_its_own_form),
        cmocka_unit_test(
            a_daemon_that_is_behind_misses_lines_and_one_that_restarts_does_not),
        cmocka_unit_test(a_path_that_is_no_socket_s_is_refused),
        cmocka_unit_test(out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
