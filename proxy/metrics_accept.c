/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of the two texts a client wants.
 */
#include "proxy/metrics.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { RANGE_MAX = 256 };

const char *
pw_metrics_type(enum pw_metrics_form form)
{
    return form == PW_METRICS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

static char *
trim(char *text)
{
    text += strspn(text, " \t");
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t')) {
        text[--len] = '\0';
    }
    return text;
}

/* "0.75" in thousandths, without the locale; nothing sensible counts as 0. */
static int
weight(const char *text)
{
    if (text[0] == '1') {
        return 1000;
    }
    int value = 0;
    int unit = 100;
    const char *digit = text[0] == '0' && text[1] == '.' ? text + 2 : "";
    for (; *digit >= '0' && *digit <= '9' && unit > 0; digit++, unit /= 10) {
        value += (*digit - '0') * unit;
    }
    return value;
}

/* One media range, as "text/plain;version=0.0.4;q=0.2": what it says about each form. */
static void
weigh_range(char *range, int weights[static 2])
{
    char *rest = range;
    const char *type = trim(strsep(&rest, ";"));
    bool ours = true;
    int q = 1000;
    for (char *next = strsep(&rest, ";"); next != NULL; next = strsep(&rest, ";")) {
        const char *parameter = trim(next);
        if (strncasecmp(parameter, "q=", 2) == 0) {
            q = weight(parameter + 2);
        } else if (strncasecmp(parameter, "version=", 8) == 0) {
            ours = strcmp(parameter + 8, "1.0.0") == 0;
        }
    }
    if (strcasecmp(type, "application/openmetrics-text") == 0 && ours &&
        q > weights[PW_METRICS_OPENMETRICS]) {
        weights[PW_METRICS_OPENMETRICS] = q;
    } else if (strcasecmp(type, "text/plain") == 0 && q > weights[PW_METRICS_PROMETHEUS]) {
        weights[PW_METRICS_PROMETHEUS] = q;
    }
}

enum pw_metrics_form
pw_metrics_accept(const char *accept)
{
    int weights[2] = {0};
    while (accept != NULL && *accept != '\0') {
        char range[RANGE_MAX];
        size_t len = strcspn(accept, ",");
        if (len < sizeof range) {
            memcpy(range, accept, len);
            range[len] = '\0';
            weigh_range(range, weights);
        }
        accept += len + (accept[len] == ',');
    }
    bool open = weights[PW_METRICS_OPENMETRICS] > 0 &&
                weights[PW_METRICS_OPENMETRICS] >= weights[PW_METRICS_PROMETHEUS];
    return open ? PW_METRICS_OPENMETRICS : PW_METRICS_PROMETHEUS;
}
