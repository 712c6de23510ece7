/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/endpoint.h"

#include "tests/unit/check.h"

#define X20 "xxxxxxxxxxxxxxxxxxxx"

struct endpoint_case {
    const char *address;
    bool binds;
    bool connects;
};

static const struct endpoint_case endpoint_cases[] = {
    {"tcp://127.0.0.1:8006", true, true},
    {"tcp://*:8006", true, false},
    {"tcp://127.0.0.1:*", true, false},
    {"tcp://*:*", true, false},
    {"tcp://eth0:8006", true, true},
    {"tcp://jobs.example.org:65535", true, true},
    {"tcp://[::1]:8006", true, true},
    {"tcp://[fe80::1%eth0]:8006", true, true},
    {"tcp://[::]:1", true, true},
    {"ipc:///run/jobs.sock", true, true},
    {"ipc://@jobs", true, true},
    {"ipc://jobs.sock", true, true},
    {"ipc:///" X20 X20 X20 X20 X20 "123456", true, true},
    {"ipc:///" X20 X20 X20 X20 X20 "1234567", false, false},
    {"ipc://", false, false},
    {"ipc://@", false, false},
    {"ipc://*", false, false},
    {"tcp://127.0.0.1", false, false},
    {"tcp://127.0.0.1:", false, false},
    {"tcp://127.0.0.1:0", false, false},
    {"tcp://127.0.0.1:65536", false, false},
    {"tcp://127.0.0.1:080006", false, false},
    {"tcp://127.0.0.1:80 06", false, false},
    {"tcp://127.0.0.1:http", false, false},
    {"tcp://:8006", false, false},
    {"tcp://::1:8006", false, false},
    {"tcp://[]:8006", false, false},
    {"tcp://[127.0.0.1]:8006", false, false},
    {"tcp://a b:8006", false, false},
    {"tcp://10.0.0.1:1;10.0.0.2:2", false, false},
    {"inproc://jobs", false, false},
    {"udp://127.0.0.1:8006", false, false},
    {"pgm://eth0;239.192.1.1:5555", false, false},
    {"127.0.0.1:8006", false, false},
    {"TCP://127.0.0.1:8006", false, false},
    {"", false, false},
};

static void
endpoints_are_refused_before_a_socket_would(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(endpoint_cases); i++) {
        const struct endpoint_case *it = &endpoint_cases[i];
        struct pw_why why = {0};
        check_case(it->address,
                   (pw_endpoint_check(it->address, true, &why) == PW_E_OK) == it->binds);
        check_case(it->address, it->binds || strstr(why.text, "; ") != NULL);
        why.text[0] = '\0';
        check_case(it->address, (pw_endpoint_check(it->address, false, &why) == PW_E_OK) ==
                                    it->connects);
        check_case(it->address, it->connects || strstr(why.text, "; ") != NULL);
    }
}

struct clash_case {
    const char *a;
    const char *b;
    bool clash;
};

static const struct clash_case clash_cases[] = {
    {"tcp://127.0.0.1:1", "tcp://127.0.0.1:1", true},
    {"tcp://127.0.0.1:1", "tcp://127.0.0.1:2", false},
    {"tcp://127.0.0.1:1", "tcp://127.0.0.2:1", false},
    {"tcp://*:1", "tcp://127.0.0.1:1", true},
    {"tcp://0.0.0.0:1", "tcp://127.0.0.1:1", true},
    {"tcp://[::]:1", "tcp://[::1]:1", true},
    {"tcp://*:*", "tcp://*:*", false},
    {"tcp://127.0.0.1:*", "tcp://127.0.0.1:*", false},
    {"ipc:///a", "ipc:///a", true},
    {"ipc:///a", "ipc:///b", false},
    {"ipc:///a:1", "tcp://*:1", false},
};

static void
two_binds_clash_where_one_port_would_serve_both(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(clash_cases); i++) {
        const struct clash_case *it = &clash_cases[i];
        check_case(it->a, pw_endpoint_clash(it->a, it->b) == it->clash);
        check_case(it->a, pw_endpoint_clash(it->b, it->a) == it->clash);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_are_refused_before_a_socket_would),
        cmocka_unit_test(two_binds_clash_where_one_port_would_serve_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
