/* SPDX-License-Identifier: Apache-2.0
 *
 * /finding?entry=ULID: the opcodes around the first finding of a message that is still
 * among the newest, read from the quarantine when somebody asks.
 */
#include "proxy/web_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/disassembly.h"

enum { READ_MAX = 1 << 20, ANSWER_LIMIT = 65536 };

/* Why there is nothing to show; NULL when there is. */
static const char *
obstacle(const struct pw_recent_held *held)
{
    if (!held->stored) {
        return "the message was not kept";
    }
    if (held->bytes > READ_MAX) {
        return "the message is too large to be looked at here";
    }
    return NULL;
}

static enum pw_err
read_object(const struct pw_web *web, const char *object, struct pw_held *held,
            struct pw_why *why)
{
    PW_CLEANUP(pw_store_free)
    struct pw_store *store = pw_store_open_readonly(web->options.quarantine, why);
    return store != NULL ? pw_store_read(store, object, held, why) : PW_E_IO;
}

static void
write_note(struct pw_json *json, const char *entry, const char *what)
{
    char note[256];
    snprintf(note, sizeof note, "%s: picklewall quarantine explain %s", what, entry);
    pw_json_str(json, "note", note);
}

static void
write_ops(const struct pw_web *web, const char *entry, const struct pw_recent_held *found,
          struct pw_json *json)
{
    PW_CLEANUP(pw_held_free) struct pw_held held = {0};
    struct pw_why why;
    enum pw_err err = read_object(web, found->object, &held, &why);
    if (err != PW_E_OK) {
        write_note(json, entry,
                   err == PW_E_PERM ? "the message is sealed; where its key is, run"
                                    : "the message cannot be read; run");
        return;
    }
    if (found->frame >= held.count ||
        !pw_disassembly_write(held.frames[found->frame], found->off, json)) {
        write_note(json, entry, "the place lies in a container, or in no frame; run");
    }
}

/* What messages hold is for this machine's eyes. */
static bool
is_here(const struct pw_web_client *client)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(client->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info != NULL && pw_web_is_loopback(info->client_addr);
}

struct pw_web_reply
pw_web_finding(struct pw_web_client *client)
{
    struct pw_web *web = client->web;
    struct pw_recent_held found;
    const char *entry =
        MHD_lookup_connection_value(client->connection, MHD_GET_ARGUMENT_KIND, "entry");
    if (!is_here(client)) {
        return pw_web_say(MHD_HTTP_FORBIDDEN,
                          "what messages hold is shown to the wall's own machine only");
    }
    if (entry == NULL || !pw_recent_find(web->options.recent, entry, &found)) {
        return pw_web_say(MHD_HTTP_NOT_FOUND, "not among the newest findings");
    }
    PW_CLEANUP(pw_buf_free) struct pw_buf body = {.limit = ANSWER_LIMIT};
    struct pw_json json = pw_json_over(&body);
    pw_json_object(&json, NULL);
    const char *what = obstacle(&found);
    if (what != NULL) {
        pw_json_str(&json, "note", what);
    } else {
        write_ops(web, entry, &found, &json);
    }
    pw_json_end_object(&json);
    struct MHD_Response *response =
        json.err == PW_E_OK ? pw_web_text(&body, "application/json") : NULL;
    return (struct pw_web_reply){MHD_HTTP_OK, response};
}
