/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/live.h"

#include <stdio.h>
#include <string.h>

#include "common/settings/schema.h"

struct walk {
    pw_live_visit *visit;
    void *arg;
};

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The next endpoint that is bound, or is not; NULL at the end. */
static const char *
next_address(const struct pw_side *side, bool bind, size_t *at)
{
    while (*at < side->count) {
        const struct pw_endpoint *endpoint = &side->endpoints[(*at)++];
        if (endpoint->bind == bind) {
            return endpoint->address;
        }
    }
    return NULL;
}

static bool
same_endpoints(const struct pw_side *a, const struct pw_side *b, bool bind)
{
    size_t at_a = 0;
    size_t at_b = 0;
    const char *address;
    do {
        address = next_address(a, bind, &at_a);
        if (!same_text(address, next_address(b, bind, &at_b))) {
            return false;
        }
    } while (address != NULL);
    return true;
}

static bool
is_bind(const struct pw_row *row)
{
    return strcmp(strrchr(row->path, '.'), ".bind") == 0;
}

static bool
same_value(const struct pw_row *row, const void *start, const void *newer)
{
    const char *a = (const char *)start + row->offset;
    const char *b = (const char *)newer + row->offset;
    switch (row->type) {
    case PW_TYPE_NAME:
    case PW_TYPE_KEY:
    case PW_TYPE_PATH:
    case PW_TYPE_ADDRESS:
    case PW_TYPE_LISTEN: {
        const char *texts[2];
        memcpy(&texts[0], a, sizeof texts[0]);
        memcpy(&texts[1], b, sizeof texts[1]);
        return same_text(texts[0], texts[1]);
    }
    case PW_TYPE_ENDPOINT:
        return same_endpoints((const struct pw_side *)a, (const struct pw_side *)b,
                              is_bind(row));
    default:
        return memcmp(a, b, row->size) == 0;
    }
}

/* "channel.NAME.in.hwm" of a channel is "channel.jobs.in.hwm". */
static void
tell(const struct walk *walk, const struct pw_row *row, const char *name)
{
    char path[PW_ZPL_PATH_MAX];
    const char *rest = strstr(row->path, ".NAME.");
    if (rest == NULL) {
        walk->visit(walk->arg, row->path);
        return;
    }
    snprintf(path, sizeof path, "%.*s.%s.%s", (int)(rest - row->path), row->path, name,
             rest + strlen(".NAME."));
    walk->visit(walk->arg, path);
}

static void
compare(const struct walk *walk, enum pw_base base, const void *start, const void *newer,
        const char *name)
{
    for (size_t i = 0; i < pw_row_count; i++) {
        const struct pw_row *row = &pw_rows[i];
        if (row->base == base && !pw_row_is_live(row) && !same_value(row, start, newer)) {
            tell(walk, row, name);
        }
    }
}

static const struct pw_channel *
find_channel(const struct pw_settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->channel_count; i++) {
        if (strcmp(settings->channels[i].name, name) == 0) {
            return &settings->channels[i];
        }
    }
    return NULL;
}

static void
tell_channel(const struct walk *walk, const char *name)
{
    char path[PW_ZPL_PATH_MAX];
    snprintf(path, sizeof path, "channel.%s", name);
    walk->visit(walk->arg, path);
}

void
pw_live_pending(const struct pw_settings *start, const struct pw_settings *newer,
                pw_live_visit *visit, void *arg)
{
    const struct walk walk = {visit, arg};
    compare(&walk, PW_BASE_SETTINGS, start, newer, NULL);
    for (size_t i = 0; i < start->channel_count; i++) {
        const struct pw_channel *channel = &start->channels[i];
        const struct pw_channel *other = find_channel(newer, channel->name);
        if (other == NULL) {
            tell_channel(&walk, channel->name);
        } else {
            compare(&walk, PW_BASE_CHANNEL, channel, other, channel->name);
        }
    }
    for (size_t i = 0; i < newer->channel_count; i++) {
        if (find_channel(start, newer->channels[i].name) == NULL) {
            tell_channel(&walk, newer->channels[i].name);
        }
    }
}
