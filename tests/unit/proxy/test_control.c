/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/file.h"
#include "proxy/control.h"
#include "tests/unit/fail_alloc.h"

enum { BIG = 900000, ROOM = BIG + 1000 };

static struct {
    char folder[32];
    char path[64];
    size_t runs;     /* of commands */
    uint64_t ticket; /* of the last that was begun */
    struct pw_control_peer peer;
    struct pw_control *control;
    char heard[ROOM]; /* of an answer */
} rig;

/* --- commands ------------------------------------------------------------------------ */

static enum pw_err
echo(void *arg, const struct pw_control_peer *peer, const char *argument,
     struct pw_json *json, struct pw_why *why)
{
    (void)why;
    assert_ptr_equal(arg, &rig);
    rig.runs++;
    rig.peer = *peer;
    pw_json_str(json, "said", argument);
    return PW_E_OK;
}

static enum pw_err
refuse(void *arg, const struct pw_control_peer *peer, const char *argument,
       struct pw_json *json, struct pw_why *why)
{
    (void)arg, (void)peer, (void)argument;
    rig.runs++;
    pw_json_uint(json, "kept", 7);
    return pw_fail(why, PW_E_CONFIG, "no; do \"this\"\n");
}

static enum pw_err
be_big(void *arg, const struct pw_control_peer *peer, const char *argument,
       struct pw_json *json, struct pw_why *why)
{
    (void)arg, (void)peer, (void)argument, (void)why;
    static char text[BIG + 1];
    memset(text, 'x', BIG);
    pw_json_str(json, "big", text);
    return json->err;
}

/* Ends well when it has an argument. */
static enum pw_err
begin(void *arg, const struct pw_control_peer *peer, const char *argument, uint64_t ticket,
      struct pw_why *why)
{
    (void)arg, (void)peer;
    rig.runs++;
    rig.ticket = ticket;
    return argument[0] != '\0' ? PW_E_OK : pw_fail(why, PW_E_USAGE, "later needs a word");
}

static const struct pw_control_command commands[] = {
    {"echo", true, echo, NULL},
    {"refuse-it", false, refuse, NULL},
    {"big", false, be_big, NULL},
    {"later", true, NULL, begin},
};

static struct pw_control_options
options(void)
{
    return (struct pw_control_options){
        .path = rig.path,
        .owner = geteuid(),
        .commands = commands,
        .command_count = PW_COUNT(commands),
        .arg = &rig,
    };
}

/* --- requests ------------------------------------------------------------------------ */

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *name;
    struct pw_span line;
    const char *command; /* NULL: refused, with: */
    const char *argument;
} parse_cases[] = {
    {"a command", BYTES("status"), "status", ""},
    {"a dash", BYTES("re-open"), "re-open", ""},
    {"an argument", BYTES("release 01ABC"), "release", "01ABC"},
    {"blanks in an argument", BYTES("a b  c"), "a", "b  c"},
    {"31 letters", BYTES("abcdefghijklmnopqrstuvwxyzabcde"),
     "abcdefghijklmnopqrstuvwxyzabcde", ""},
    {"32 letters", BYTES("abcdefghijklmnopqrstuvwxyzabcdef"), NULL,
     "begins with no command"},
    {"nothing", BYTES(""), NULL, "begins with no command"},
    {"a blank before", BYTES(" status"), NULL, "begins with no command"},
    {"upper case", BYTES("STATUS"), NULL, "begins with no command"},
    {"a digit behind", BYTES("status1"), NULL, "behind status stands neither"},
    {"a blank behind", BYTES("status "), NULL, "behind status stands neither"},
    {"two blanks", BYTES("status  a"), NULL, "behind status stands neither"},
    {"a blank at the end", BYTES("status a "), NULL, "behind status stands neither"},
    {"a tab", BYTES("status\ta"), NULL, "not printable ASCII"},
    {"CR LF", BYTES("status\r"), NULL, "not printable ASCII"},
    {"a NUL", BYTES("status\0"), NULL, "not printable ASCII"},
    {"UTF-8", BYTES("status \xc3\xa4"), NULL, "not printable ASCII"},
    {"JSON", BYTES("{\"status\":1}"), NULL, "begins with no command"},
    {"HTTP", BYTES("GET / HTTP/1.1"), NULL, "begins with no command"},
};

static void
a_request_is_a_name_and_an_argument_or_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(parse_cases); i++) {
        const char *name = parse_cases[i].name;
        struct pw_control_request request;
        struct pw_why why = {0};
        enum pw_err err = pw_control_parse(parse_cases[i].line, &request, &why);
        if (parse_cases[i].command == NULL) {
            check_case(name, err == PW_E_FORMAT);
            check_case(name, strstr(why.text, parse_cases[i].argument) != NULL);
            continue;
        }
        check_case(name, err == PW_E_OK);
        check_case(name, strcmp(request.command, parse_cases[i].command) == 0);
        check_case(name, strcmp(request.argument, parse_cases[i].argument) == 0);
    }
}

static void
a_request_has_at_most_4_kib(void **state)
{
    (void)state;
    static char line[PW_CONTROL_REQUEST_MAX + 1];
    struct pw_control_request request;
    struct pw_why why = {0};
    memset(line, 'x', sizeof line);
    line[1] = ' ';
    struct pw_span longest = {(const uint8_t *)line, PW_CONTROL_REQUEST_MAX - 1};
    assert_int_equal(pw_control_parse(longest, &request, &why), PW_E_OK);
    assert_int_equal(strlen(request.argument), PW_CONTROL_REQUEST_MAX - 3);
    longest.len++;
    assert_int_equal(pw_control_parse(longest, &request, &why), PW_E_FORMAT);
    assert_string_equal(why.text, "the request is longer than 4096 bytes; shorten it");
}

static const struct {
    const char *name;
    const char *line;
    const char *answer;
} answer_cases[] = {
    {"done", "echo", "{\"ok\":true,\"said\":\"\"}\n"},
    {"an argument", "echo a b", "{\"ok\":true,\"said\":\"a b\"}\n"},
    {"refused by the command", "refuse-it",
     "{\"ok\":false,\"error\":\"no; do \\\"this\\\"\\u000a\",\"kept\":7}\n"},
    {"an argument too much", "refuse-it x",
     "{\"ok\":false,\"error\":\"refuse-it takes no argument; leave it out\"}\n"},
    {"unknown", "reboot",
     "{\"ok\":false,\"error\":\"reboot is no command of this wall; there are echo, "
     "refuse-it, big, later\"}\n"},
    {"follows later", "later x", ""},
    {"refused instead of following", "later",
     "{\"ok\":false,\"error\":\"later needs a word\"}\n"},
    {"no request", "",
     "{\"ok\":false,\"error\":\"the request begins with no command; write one of a-z, such "
     "as status\"}\n"},
};

static void
an_answer_is_one_object_on_one_line(void **state)
{
    (void)state;
    struct pw_control_options wall = options();
    struct pw_control_peer peer = {.uid = 1, .pid = 2};
    for (size_t i = 0; i < PW_COUNT(answer_cases); i++) {
        PW_CLEANUP(pw_buf_free) struct pw_buf out = {.limit = PW_CONTROL_ANSWER_MAX};
        struct pw_span line = pw_span_str(answer_cases[i].line);
        check_case(answer_cases[i].name,
                   pw_control_answer(&wall, &peer, line, 1, &out) == PW_E_OK);
        check_case(answer_cases[i].name,
                   pw_span_equal(pw_buf_span(&out), pw_span_str(answer_cases[i].answer)));
    }
}

static void
root_and_the_owner_may_ask_and_nobody_else(void **state)
{
    (void)state;
    assert_true(pw_control_may(0, 65532));
    assert_true(pw_control_may(65532, 65532));
    assert_false(pw_control_may(65533, 65532));
    assert_false(pw_control_may((uid_t)-1, 65532));
    assert_false(pw_control_may(1000, 0));
}

/* --- the socket ---------------------------------------------------------------------- */

static int
set_up(void **state)
{
    (void)state;
    snprintf(rig.folder, sizeof rig.folder, "/tmp/pw-control-XXXXXX");
    if (mkdtemp(rig.folder) == NULL) {
        return -1;
    }
    snprintf(rig.path, sizeof rig.path, "%s/control.sock", rig.folder);
    rig.runs = 0;
    return 0;
}

static void
remove_lock(const char *path)
{
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s.lock", path);
    (void)unlink(name);
}

static int
tear_down(void **state)
{
    (void)state;
    pw_control_close(&rig.control);
    (void)unlink(rig.path);
    remove_lock(rig.path);
    return rmdir(rig.folder);
}

static void
open_it(void)
{
    struct pw_control_options wall = options();
    struct pw_why why = {0};
    enum pw_err err = pw_control_open(&wall, &rig.control, &why);
    if (err != PW_E_OK) {
        fail_msg("%s", why.text);
    }
}

static int
connect_it(void)
{
    enum pw_err err;
    struct pw_why why = {0};
    int fd = pw_control_connect(rig.path, &err, &why);
    if (fd < 0) {
        fail_msg("%s", why.text);
    }
    return fd;
}

static void
say(int fd, struct pw_span bytes)
{
    assert_int_equal(send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL), (ssize_t)bytes.len);
}

/* As the daemon does it, until the client's connection has ended: what was heard. */
static const char *
hear(int fd)
{
    size_t len = 0;
    ssize_t got = 1;
    while (got > 0) {
        struct pollfd item = {.fd = fd, .events = POLLIN};
        pw_control_serve(rig.control);
        if (poll(&item, 1, 10) == 0) {
            continue;
        }
        got = recv(fd, rig.heard + len, ROOM - 1 - len, MSG_DONTWAIT);
        len += got > 0 ? (size_t)got : 0;
    }
    rig.heard[len] = '\0';
    close(fd);
    return rig.heard;
}

static void
only_its_owner_may_use_the_socket_file(void **state)
{
    (void)state;
    struct stat info;
    mode_t mask = umask(0);
    open_it();
    umask(mask);
    assert_int_equal(lstat(rig.path, &info), 0);
    assert_true(S_ISSOCK(info.st_mode));
    assert_int_equal(info.st_mode & 07777, 0600);
    pw_control_close(&rig.control);
    assert_int_equal(lstat(rig.path, &info), -1);
}

static void
who_asks_is_known_and_answered(void **state)
{
    (void)state;
    open_it();
    int fd = connect_it();
    say(fd, BYTES("echo hello\n"));
    assert_string_equal(hear(fd), "{\"ok\":true,\"said\":\"hello\"}\n");
    assert_int_equal(rig.peer.uid, getuid());
    assert_int_equal(rig.peer.pid, getpid());
    assert_int_equal(pw_control_wait_ms(rig.control), -1);
}

static void
a_request_may_come_byte_by_byte_and_only_its_line_counts(void **state)
{
    (void)state;
    open_it();
    int fd = connect_it();
    static const char text[] = "echo ab\nrefuse-it\n";
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(rig.runs, 0);
        say(fd, (struct pw_span){(const uint8_t *)text + i, i < 7 ? 1 : sizeof text - 8});
        pw_control_serve(rig.control);
    }
    assert_string_equal(hear(fd), "{\"ok\":true,\"said\":\"ab\"}\n");
    assert_int_equal(rig.runs, 1);
}

static void
a_request_without_end_is_refused(void **state)
{
    (void)state;
    static uint8_t noise[PW_CONTROL_REQUEST_MAX];
    memset(noise, 'a', sizeof noise);
    open_it();
    int fd = connect_it();
    say(fd, (struct pw_span){noise, sizeof noise});
    assert_string_equal(hear(fd),
                        "{\"ok\":false,\"error\":\"the request is longer than 4096 "
                        "bytes; shorten it\"}\n");
    fd = connect_it();
    say(fd, BYTES("\x80\x04\x95garbage\xff\n"));
    assert_non_null(strstr(hear(fd), "not printable ASCII"));
    assert_int_equal(rig.runs, 0);
}

static void
who_says_nothing_is_given_five_seconds(void **state)
{
    (void)state;
    open_it();
    int silent = connect_it();
    pw_control_serve(rig.control);
    int wait_ms = pw_control_wait_ms(rig.control);
    assert_in_range(wait_ms, 4000, 5001);
    int fd = connect_it();
    say(fd, BYTES("echo\n"));
    assert_string_equal(hear(fd), "{\"ok\":true,\"said\":\"\"}\n");
    assert_true(pw_control_wait_ms(rig.control) <= wait_ms);
    assert_string_equal(hear(silent), "");
    assert_int_equal(pw_control_wait_ms(rig.control), -1);
}

static void
who_leaves_early_leaves_nothing_behind(void **state)
{
    (void)state;
    open_it();
    for (size_t i = 0; i < 3 * (size_t)PW_CONTROL_CLIENTS; i++) {
        int fd = connect_it();
        pw_control_serve(rig.control);
        say(fd, i % 2 == 0 ? BYTES("ec") : BYTES("big\n"));
        close(fd);
        pw_control_serve(rig.control);
    }
    pw_control_serve(rig.control);
    assert_int_equal(pw_control_wait_ms(rig.control), -1);
}

static void
there_are_places_for_eight_and_the_ninth_is_told(void **state)
{
    (void)state;
    int fds[PW_CONTROL_CLIENTS];
    open_it();
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++) {
        fds[i] = connect_it();
        pw_control_serve(rig.control);
    }
    assert_string_equal(
        hear(connect_it()),
        "{\"ok\":false,\"error\":\"8 others are being served; try again\"}\n");
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++) {
        say(fds[i], BYTES("echo\n"));
        assert_string_equal(hear(fds[i]), "{\"ok\":true,\"said\":\"\"}\n");
    }
}

static void
an_answer_larger_than_the_kernel_takes_comes_whole(void **state)
{
    (void)state;
    open_it();
    int fd = connect_it();
    say(fd, BYTES("big\n"));
    assert_int_equal(strlen(hear(fd)), BIG + strlen("{\"ok\":true,\"big\":\"\"}\n"));
}

static void
an_answer_may_follow_later(void **state)
{
    (void)state;
    struct pw_why why = {"no"};
    open_it();
    int fd = connect_it();
    say(fd, BYTES("later x\n"));
    pw_control_serve(rig.control);
    pw_control_serve(rig.control);
    assert_int_equal(rig.runs, 1);
    assert_int_equal(pw_control_wait_ms(rig.control), -1); /* it has all the time */
    int other = connect_it();
    say(other, BYTES("echo\n"));
    assert_string_equal(hear(other), "{\"ok\":true,\"said\":\"\"}\n");
    pw_control_finish(rig.control, rig.ticket + 9, PW_E_OK, &why, pw_span_str("\"x\":1"));
    pw_control_finish(rig.control, rig.ticket, PW_E_BUSY, &why, pw_span_str("\"x\":2"));
    assert_string_equal(hear(fd), "{\"ok\":false,\"error\":\"no\",\"x\":2}\n");
    pw_control_finish(rig.control, rig.ticket, PW_E_OK, &why, pw_span_str("\"x\":3"));
}

static void
who_leaves_before_the_answer_is_forgotten(void **state)
{
    (void)state;
    struct pw_why why = {0};
    open_it();
    for (size_t i = 0; i < 3 * (size_t)PW_CONTROL_CLIENTS; i++) {
        int fd = connect_it();
        say(fd, BYTES("later x\n"));
        pw_control_serve(rig.control);
        pw_control_serve(rig.control);
        assert_int_equal(rig.runs, i + 1);
        close(fd);
        pw_control_serve(rig.control);
        pw_control_finish(rig.control, rig.ticket, PW_E_OK, &why, (struct pw_span){0});
    }
}

static void
a_client_that_reads_nothing_does_not_keep_the_others_waiting(void **state)
{
    (void)state;
    open_it();
    int slow = connect_it();
    say(slow, BYTES("big\n"));
    pw_control_serve(rig.control);
    int fd = connect_it();
    say(fd, BYTES("echo\n"));
    assert_string_equal(hear(fd), "{\"ok\":true,\"said\":\"\"}\n");
    assert_in_range(pw_control_wait_ms(rig.control), 1, 5001);
    close(slow);
    pw_control_serve(rig.control);
    assert_int_equal(pw_control_wait_ms(rig.control), -1);
}

/* What the kernel keeps when its maker has died. */
static void
leave_socket(const char *path, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(*fd, 1), 0);
}

static void
the_socket_of_a_dead_process_is_replaced(void **state)
{
    (void)state;
    int fd;
    leave_socket(rig.path, &fd);
    close(fd);
    open_it();
    fd = connect_it();
    say(fd, BYTES("echo\n"));
    assert_string_equal(hear(fd), "{\"ok\":true,\"said\":\"\"}\n");
}

static void
the_socket_of_a_live_process_is_left_alone_and_it_is_named(void **state)
{
    (void)state;
    char sentence[200];
    int fd;
    struct pw_why why = {0};
    struct pw_control_options wall = options();
    leave_socket(rig.path, &fd);
    assert_int_equal(pw_control_open(&wall, &rig.control, &why), PW_E_BUSY);
    snprintf(sentence, sizeof sentence,
             "%s: process %d answers there already; stop it, or name another path",
             rig.path, (int)getpid());
    assert_string_equal(why.text, sentence);
    /* Its queue of one is full by now, and nobody accepts: it lives all the same. */
    close(connect_it());
    assert_int_equal(pw_control_open(&wall, &rig.control, &why), PW_E_BUSY);
    assert_null(rig.control);
    assert_int_equal(access(rig.path, F_OK), 0);
    close(fd);
}

static void
what_is_no_socket_stays(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct pw_control_options wall = options();
    PW_CLEANUP(pw_file_close) int fd = open(rig.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pw_control_open(&wall, &rig.control, &why), PW_E_CREATE);
    assert_non_null(strstr(why.text, "something that is no socket stands there"));
    assert_int_equal(access(rig.path, F_OK), 0);
    wall.path = "/tmp/pw-control-none/control.sock";
    assert_int_equal(pw_control_open(&wall, &rig.control, &why), PW_E_CREATE);
    assert_non_null(strstr(why.text, "No such file or directory; make its folder"));
}

static void
a_socket_that_took_its_place_is_not_removed(void **state)
{
    (void)state;
    int fd;
    open_it();
    assert_int_equal(unlink(rig.path), 0);
    int holes[3]; /* so that the new inode has another number */
    for (size_t i = 0; i < PW_COUNT(holes); i++) {
        holes[i] = open(rig.folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    }
    leave_socket(rig.path, &fd);
    pw_control_close(&rig.control);
    assert_int_equal(access(rig.path, F_OK), 0);
    for (size_t i = 0; i < PW_COUNT(holes); i++) {
        pw_file_close(&holes[i]);
    }
    close(fd);
}

static void
a_long_path_is_reached_through_its_folder(void **state)
{
    (void)state;
    char folder[200];
    char path[300];
    snprintf(folder, sizeof folder, "%s/" X64 X64, rig.folder);
    snprintf(path, sizeof path, "%s/control.sock", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    struct pw_control_options wall = options();
    struct pw_why why = {0};
    enum pw_err err;
    wall.path = path;
    assert_int_equal(pw_control_open(&wall, &rig.control, &why), PW_E_OK);
    int fd = pw_control_connect(path, &err, &why);
    assert_true(fd >= 0);
    say(fd, BYTES("echo\n"));
    assert_string_equal(hear(fd), "{\"ok\":true,\"said\":\"\"}\n");
    pw_control_close(&rig.control);
    remove_lock(path);
    assert_int_equal(rmdir(folder), 0); /* the socket is gone */
}

static void
nobody_there_is_said_in_three_ways(void **state)
{
    (void)state;
    int fd;
    enum pw_err err;
    struct pw_why why = {0};
    assert_int_equal(pw_control_connect(rig.path, &err, &why), -1);
    assert_int_equal(err, PW_E_NO_INPUT);
    assert_non_null(strstr(why.text, "is the wall running"));
    leave_socket(rig.path, &fd);
    close(fd);
    assert_int_equal(pw_control_connect(rig.path, &err, &why), -1);
    assert_int_equal(err, PW_E_BUSY);
    assert_non_null(strstr(why.text, "the wall that made it has ended"));
    assert_int_equal(pw_control_connect("/dev/null/x", &err, &why), -1);
    assert_int_equal(err, PW_E_NO_INPUT);
}

static void
without_descriptors_it_rests_and_then_goes_on(void **state)
{
    (void)state;
    struct rlimit before;
    open_it();
    int fd = connect_it();
    say(fd, BYTES("echo\n"));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    pw_control_serve(rig.control);
    struct pollfd item = {.fd = pw_control_fd(rig.control), .events = POLLIN};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(poll(&item, 1, 0), 0); /* no endless wake-ups */
    int wait_ms = pw_control_wait_ms(rig.control);
    assert_in_range(wait_ms, 1, 1001);
    usleep((useconds_t)wait_ms * 1000);
    assert_string_equal(hear(fd), "{\"ok\":true,\"said\":\"\"}\n");
}

/* --- memory -------------------------------------------------------------------------- */

static bool complete;

static void
talk(void *arg)
{
    (void)arg;
    struct pw_why why = {0};
    struct pw_control_options wall = options();
    complete = false;
    enum pw_err err = pw_control_open(&wall, &rig.control, &why);
    if (err != PW_E_OK) {
        assert_int_equal(err, PW_E_NOMEM);
        return;
    }
    int fd = connect_it();
    say(fd, BYTES("echo hello\n"));
    const char *heard = hear(fd);
    complete = strcmp(heard, "{\"ok\":true,\"said\":\"hello\"}\n") == 0;
    assert_true(complete ||
                strstr(heard, "\"ok\":false,\"error\":\"out of memory") != NULL);
    pw_control_close(&rig.control);
}

static void
without_memory_the_answer_says_so(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, talk, NULL)) {
        assert_false(complete);
        n++;
    }
    assert_true(complete);
    assert_true(n > 2);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
#define SOCKET_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        cmocka_unit_test(a_request_is_a_name_and_an_argument_or_is_refused),
        cmocka_unit_test(a_request_has_at_most_4_kib),
        cmocka_unit_test(an_answer_is_one_object_on_one_line),
        cmocka_unit_test(root_and_the_owner_may_ask_and_nobody_else),
        SOCKET_TEST(only_its_owner_may_use_the_socket_file),
        SOCKET_TEST(who_asks_is_known_and_answered),
        SOCKET_TEST(a_request_may_come_byte_by_byte_and_only_its_line_counts),
        SOCKET_TEST(a_request_without_end_is_refused),
        SOCKET_TEST(who_says_nothing_is_given_five_seconds),
        SOCKET_TEST(who_leaves_early_leaves_nothing_behind),
        SOCKET_TEST(there_are_places_for_eight_and_the_ninth_is_told),
        SOCKET_TEST(an_answer_may_follow_later),
        SOCKET_TEST(who_leaves_before_the_answer_is_forgotten),
        SOCKET_TEST(an_answer_larger_than_the_kernel_takes_comes_whole),
        SOCKET_TEST(a_client_that_reads_nothing_does_not_keep_the_others_waiting),
        SOCKET_TEST(the_socket_of_a_dead_process_is_replaced),
        SOCKET_TEST(the_socket_of_a_live_process_is_left_alone_and_it_is_named),
        SOCKET_TEST(what_is_no_socket_stays),
        SOCKET_TEST(a_socket_that_took_its_place_is_not_removed),
        SOCKET_TEST(a_long_path_is_reached_through_its_folder),
        SOCKET_TEST(nobody_there_is_said_in_three_ways),
        SOCKET_TEST(without_descriptors_it_rests_and_then_goes_on),
        SOCKET_TEST(without_memory_the_answer_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
