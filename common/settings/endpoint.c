/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/endpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/base/cursor.h"

static const char tcp[] = "tcp://";
static const char ipc[] = "ipc://";

static bool
starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "tcp://HOST:PORT" in two; HOST keeps its brackets. */
static bool
split_tcp(const char *address, struct pw_span *host, const char **port)
{
    const char *start = address + strlen(tcp);
    const char *colon = strrchr(start, ':');
    if (colon == NULL) {
        return false;
    }
    *host = (struct pw_span){(const uint8_t *)start, (size_t)(colon - start)};
    *port = colon + 1;
    return true;
}

static bool
is_port(const char *text)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 5 || text[len] != '\0') {
        return false;
    }
    long port = strtol(text, NULL, 10);
    return port >= 1 && port <= 65535;
}

static bool
all_of(struct pw_span text, const char *allowed)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\0' || strchr(allowed, text.ptr[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* A name, an IPv4 address, or an IPv6 address in brackets. */
static bool
is_host(struct pw_span host)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789.-_";
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        struct pw_span inner = {host.ptr + 1, host.len - 2};
        return memchr(inner.ptr, ':', inner.len) != NULL &&
               all_of(inner, "0123456789abcdefABCDEF:.%"
                             "ghijklmnopqrstuvwxyz"); /* a zone: fe80::1%eth0 */
    }
    return host.len > 0 && all_of(host, plain);
}

static bool
is_star(struct pw_span host)
{
    return host.len == 1 && host.ptr[0] == '*';
}

static enum pw_err
check_tcp(const char *address, bool bind, struct pw_why *why)
{
    struct pw_span host;
    const char *port;
    if (!split_tcp(address, &host, &port)) {
        return pw_fail(why, PW_E_CONFIG, "\"%.120s\" has no port; write tcp://HOST:PORT",
                       address);
    }
    if (!bind && (is_star(host) || strcmp(port, "*") == 0)) {
        return pw_fail(
            why, PW_E_CONFIG,
            "\"%.120s\" cannot be connected to; * is for bind, name the host and "
            "port",
            address);
    }
    if (strcmp(port, "*") != 0 && !is_port(port)) {
        return pw_fail(why, PW_E_CONFIG,
                       "\"%.120s\" has port \"%.20s\"; write 1 to 65535%s", address, port,
                       bind ? ", or * for any free one" : "");
    }
    if (!is_star(host) && !is_host(host)) {
        return pw_fail(
            why, PW_E_CONFIG,
            "\"%.120s\" has no usable host; write tcp://127.0.0.1:%s, or brackets "
            "around IPv6: tcp://[::1]:%s",
            address, port, port);
    }
    return PW_E_OK;
}

static enum pw_err
check_ipc(const char *address, struct pw_why *why)
{
    const char *path = address + strlen(ipc);
    size_t room = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
    if (path[0] == '\0' || strcmp(path, "@") == 0 || strcmp(path, "*") == 0) {
        return pw_fail(why, PW_E_CONFIG,
                       "\"%.120s\" names no path; write ipc:///run/NAME.sock", address);
    }
    if (strlen(path) > room) {
        return pw_fail(
            why, PW_E_CONFIG,
            "\"%.120s\" has a path of %zu bytes; at most %zu fit, choose a shorter "
            "folder",
            address, strlen(path), room);
    }
    return PW_E_OK;
}

enum pw_err
pw_endpoint_check(const char *address, bool bind, struct pw_why *why)
{
    if (starts(address, tcp)) {
        return check_tcp(address, bind, why);
    }
    if (starts(address, ipc)) {
        return check_ipc(address, why);
    }
    if (starts(address, "inproc://")) {
        return pw_fail(
            why, PW_E_CONFIG,
            "\"%.120s\" reaches only threads of one process; use ipc:// or tcp://",
            address);
    }
    return pw_fail(why, PW_E_CONFIG,
                   "\"%.120s\" is no endpoint; write tcp://HOST:PORT or ipc://PATH",
                   address);
}

enum pw_err
pw_listen_check(const char *address, struct pw_why *why)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || !is_port(colon + 1)) {
        return pw_fail(why, PW_E_CONFIG, "\"%.120s\" has no port; write 127.0.0.1:9101",
                       address);
    }
    struct pw_span host = {(const uint8_t *)address, (size_t)(colon - address)};
    return is_host(host)
               ? PW_E_OK
               : pw_fail(why, PW_E_CONFIG,
                         "\"%.120s\" has no usable host; write 127.0.0.1%s, or brackets "
                         "around IPv6: [::1]%s",
                         address, colon, colon);
}

static bool
takes_every_address(struct pw_span host)
{
    return is_star(host) || pw_span_equal(host, pw_span_str("0.0.0.0")) ||
           pw_span_equal(host, pw_span_str("[::]"));
}

bool
pw_endpoint_clash(const char *a, const char *b)
{
    struct pw_span a_host, b_host;
    const char *a_port, *b_port;
    if (!starts(a, tcp) || !starts(b, tcp)) {
        return strcmp(a, b) == 0;
    }
    if (!split_tcp(a, &a_host, &a_port) || !split_tcp(b, &b_host, &b_port) ||
        strcmp(a_port, "*") == 0 || strcmp(a_port, b_port) != 0) {
        return false;
    }
    return pw_span_equal(a_host, b_host) || takes_every_address(a_host) ||
           takes_every_address(b_host);
}

bool
pw_endpoint_is_local(const char *address)
{
    static const char *const prefixes[] = {
        "ipc://", "tcp://127.", "tcp://[::1]:", "tcp://[127.", "tcp://localhost:"};
    for (size_t i = 0; i < PW_COUNT(prefixes); i++) {
        if (starts(address, prefixes[i])) {
            return true;
        }
    }
    return false;
}
