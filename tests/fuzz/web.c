/* SPDX-License-Identifier: Apache-2.0
 *
 * What strangers send to the web server, and what it reads of a held message: the headers
 * Accept and Host, a line of the log, opcodes around a place. The first byte chooses.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/json_read.h"
#include "proxy/disassembly.h"
#include "proxy/recent.h"
#include "proxy/web_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_headers(const char *text)
{
    static const struct pw_web web = {.options = {.name = "wall"}, .host = "127.0.0.1"};
    (void)pw_metrics_accept(text);
    (void)pw_web_host_fits(&web, text);
}

/* What it makes of them is JSON, whatever the bytes are. */
static void
must_be_json(const struct pw_buf *out)
{
    struct pw_json_walk walk = pw_json_walk_over(pw_buf_span(out));
    while (pw_json_walk_next(&walk)) {
    }
    if (walk.bad) {
        abort();
    }
}

static void
disassemble(struct pw_span bytes)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf out = {.limit = 1 << 20};
    struct pw_json json = pw_json_over(&out);
    uint64_t off = bytes.len > 0 ? bytes.ptr[0] : 0;
    pw_json_object(&json, NULL);
    (void)pw_disassembly_write(bytes, off, &json);
    pw_json_end_object(&json);
    must_be_json(&out);
}

static void
read_line(struct pw_span line)
{
    PW_CLEANUP(pw_recent_free) struct pw_recent *recent = pw_recent_new();
    struct pw_audit_record record = {.event = PW_EVENT_FRAME, .reason = PW_R_PICKLE_OPAQUE};
    struct pw_recent_held held;
    if (recent != NULL) {
        (void)pw_recent_send(recent,
                             &(struct pw_audit_copy){.line = line, .record = &record});
        (void)pw_recent_find(recent, "01ARZ3NDEKTSV4RRFFQ69G5FAV", &held);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_span rest = {data + 1, size - 1};
    if (size == 0) {
        return 0;
    }
    if (data[0] == 'l') {
        read_line(rest);
    } else if (data[0] == 'd') {
        disassemble(rest);
    } else {
        char *text = strndup((const char *)rest.ptr, rest.len);
        if (text != NULL) {
            read_headers(text);
        }
        free(text);
    }
    return 0;
}
