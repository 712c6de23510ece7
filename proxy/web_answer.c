/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands at each path.
 */
#include "proxy/web_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/health.h"
#include "proxy/page.h"

enum { METRICS_LIMIT = 16 << 20 };

static const uint64_t ns_per_ms = 1000000;

struct MHD_Response *
pw_web_text(struct pw_buf *body, const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->bytes, MHD_RESPMEM_MUST_FREE);
    if (response != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
        *body = (struct pw_buf){.limit = body->limit};
    }
    return response;
}

struct pw_web_reply
pw_web_say(unsigned status, const char *line)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf body = {.limit = 1024};
    enum pw_err err = pw_buf_append(&body, pw_span_str(line));
    err = err == PW_E_OK ? pw_buf_append(&body, pw_span_str("\n")) : err;
    return (struct pw_web_reply){
        status, err == PW_E_OK ? pw_web_text(&body, "text/plain; charset=utf-8") : NULL};
}

/* --- the files of the page ------------------------------------------------------------ */

static struct pw_web_reply
give_file(const struct pw_page_file *file)
{
    /* libmicrohttpd asks for a plain pointer, and only reads what is persistent. */
    void *bytes = (void *)(uintptr_t)file->bytes;
    struct pw_web_reply reply = {
        MHD_HTTP_OK,
        MHD_create_response_from_buffer(file->len, bytes, MHD_RESPMEM_PERSISTENT)};
    if (reply.response != NULL) {
        MHD_add_response_header(reply.response, MHD_HTTP_HEADER_CONTENT_TYPE, file->type);
    }
    return reply;
}

static struct pw_web_reply
give_page(struct pw_web_client *client)
{
    (void)client;
    return give_file(&pw_page_html);
}

static struct pw_web_reply
give_style(struct pw_web_client *client)
{
    (void)client;
    return give_file(&pw_page_css);
}

static struct pw_web_reply
give_script(struct pw_web_client *client)
{
    (void)client;
    return give_file(&pw_page_js);
}

static struct pw_web_reply
give_icon(struct pw_web_client *client)
{
    (void)client;
    return give_file(&pw_page_svg);
}

/* --- metrics ---------------------------------------------------------------------------
 */

static struct pw_web_reply
give_metrics(struct pw_web_client *client)
{
    struct pw_web *web = client->web;
    enum pw_metrics_form form = pw_metrics_accept(MHD_lookup_connection_value(
        client->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
    PW_CLEANUP(pw_buf_free) struct pw_buf body = {.limit = METRICS_LIMIT};
    struct pw_metrics now = *pw_board_take(web->options.board);
    pw_process_read(web->process, &now.process);
    enum pw_err err = pw_metrics_write(&now, form, &body);
    pw_board_give_back(web->options.board);
    return (struct pw_web_reply){
        MHD_HTTP_OK, err == PW_E_OK ? pw_web_text(&body, pw_metrics_type(form)) : NULL};
}

/* --- health ----------------------------------------------------------------------------
 */

/* Main judges once a second; that it does is judged here. */
static bool
judge(struct pw_board *board, enum pw_health_probe probe, struct pw_why *why)
{
    uint64_t age = pw_board_age(board);
    if (age == UINT64_MAX) {
        return probe == PW_HEALTH_LIVE ||
               pw_health_judge(&(struct pw_health){0}, PW_HEALTH_STARTUP, why);
    }
    struct pw_metrics_probe said = pw_board_take(board)->probes[probe];
    pw_board_give_back(board);
    struct pw_health main_thread = {.started = true, .main_idle_ms = age / ns_per_ms};
    if (probe != PW_HEALTH_STARTUP && !pw_health_judge(&main_thread, PW_HEALTH_LIVE, why)) {
        return false;
    }
    *why = said.why;
    return said.good;
}

static struct pw_web_reply
give_health(struct pw_web_client *client, enum pw_health_probe probe)
{
    struct pw_why why;
    return judge(client->web->options.board, probe, &why)
               ? pw_web_say(MHD_HTTP_OK, "ok")
               : pw_web_say(MHD_HTTP_SERVICE_UNAVAILABLE, why.text);
}

static struct pw_web_reply
give_live(struct pw_web_client *client)
{
    return give_health(client, PW_HEALTH_LIVE);
}

static struct pw_web_reply
give_ready(struct pw_web_client *client)
{
    return give_health(client, PW_HEALTH_READY);
}

static struct pw_web_reply
give_startup(struct pw_web_client *client)
{
    return give_health(client, PW_HEALTH_STARTUP);
}

const struct pw_web_path *
pw_web_find(const char *path)
{
    static const struct pw_web_path paths[] = {
        {"/", give_page},           {"/page.css", give_style},
        {"/page.js", give_script},  {"/icon.svg", give_icon},
        {"/metrics", give_metrics}, {"/livez", give_live},
        {"/readyz", give_ready},    {"/startupz", give_startup},
        {"/events", pw_web_events}, {"/finding", pw_web_finding},
    };
    for (size_t i = 0; i < PW_COUNT(paths); i++) {
        if (strcmp(path, paths[i].path) == 0) {
            return &paths[i];
        }
    }
    return NULL;
}
