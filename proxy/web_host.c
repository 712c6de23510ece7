/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and addresses of the web server.
 */
#include "proxy/web_inside.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { HOST_MAX = 256 };

bool
pw_web_split(const char *address, char *host, size_t room, const char **port)
{
    const char *colon = strrchr(address, ':');
    bool brackets = address[0] == '[';
    if (colon == NULL || (brackets && (colon == address || colon[-1] != ']'))) {
        return false;
    }
    size_t len = (size_t)(colon - address) - (brackets ? 2 : 0);
    if (len >= room) {
        return false;
    }
    memcpy(host, address + brackets, len);
    host[len] = '\0';
    *port = colon + 1;
    return true;
}

bool
pw_web_is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family != AF_INET6) {
        return false;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
}

static bool
is_address(const char *host)
{
    struct in6_addr out;
    return inet_pton(AF_INET, host, &out) == 1 || inet_pton(AF_INET6, host, &out) == 1;
}

static bool
is_own_name(const char *host)
{
    char own[HOST_MAX] = "";
    return gethostname(own, sizeof own - 1) == 0 && strcasecmp(host, own) == 0;
}

/* "[::1]:9101", "localhost", "wall.example:80": what is before the port, no brackets. */
static bool
without_port(const char *value, char host[static HOST_MAX])
{
    size_t start = value[0] == '[';
    size_t len = strcspn(value + start, start ? "]" : ":");
    const char *rest = value + start + len + start;
    if (len == 0 || len >= HOST_MAX || (start && value[start + len] != ']') ||
        (rest[0] != '\0' && (rest[0] != ':' || rest[1 + strspn(rest + 1, "0123456789")]))) {
        return false;
    }
    memcpy(host, value + start, len);
    host[len] = '\0';
    return true;
}

bool
pw_web_host_fits(const struct pw_web *web, const char *value)
{
    char host[HOST_MAX];
    if (value == NULL || !without_port(value, host)) {
        return false;
    }
    const char *name = web->options.name;
    return is_address(host) || strcasecmp(host, "localhost") == 0 ||
           strcasecmp(host, web->host) == 0 || is_own_name(host) ||
           (name != NULL && strcasecmp(host, name) == 0);
}
