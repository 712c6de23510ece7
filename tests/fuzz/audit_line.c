/* SPDX-License-Identifier: Apache-2.0
 *
 * A record, names and a detail of any bytes: the line stays short, ASCII and one line.
 */
#include <stdlib.h>
#include <string.h>

#include "common/audit/line.h"
#include "common/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* As much text as the next byte says, times four; the caller frees it. */
static char *
take_text(struct pw_cursor *cur)
{
    size_t wanted = (size_t)pw_cursor_uint(cur, 1) * 4;
    struct pw_span text =
        pw_cursor_take(cur, wanted < cur->rest.len ? wanted : cur->rest.len);
    char *copy = calloc(1, text.len + 1);
    must(copy != NULL);
    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    return copy;
}

static struct pw_audit_record
take_record(struct pw_cursor *cur)
{
    struct pw_audit_record record = {.channel = -1};
    uint64_t flags = pw_cursor_uint(cur, 1);
    record.enforced = (flags & 1) != 0;
    record.scanned = (flags & 2) != 0;
    record.event = (uint8_t)pw_cursor_uint(cur, 1);
    record.verdict = (uint8_t)pw_cursor_uint(cur, 1);
    record.reason = (uint8_t)pw_cursor_uint(cur, 1);
    record.proto = (uint8_t)pw_cursor_uint(cur, 1);
    record.frames = (uint16_t)pw_cursor_uint(cur, 2);
    record.ops = (uint32_t)pw_cursor_uint(cur, 4);
    record.depth = (uint32_t)pw_cursor_uint(cur, 4);
    record.memo = (uint32_t)pw_cursor_uint(cur, 4);
    record.dur_ns = (uint32_t)pw_cursor_uint(cur, 4);
    record.bytes = pw_cursor_uint(cur, 8);
    record.wall_ns = pw_cursor_uint(cur, 8);
    record.sig.state = (enum pw_sig_state)((flags >> 2 & 7) % (PW_SIG_UNDATED + 1));
    record.sig.reason = record.sig.state == PW_SIG_BAD ? PW_R_SIG_BAD : PW_R_NONE;
    record.sig.suite = (uint8_t)pw_cursor_uint(cur, 1);
    record.sig.epoch = pw_cursor_uint(cur, 8);
    record.sig.seq = pw_cursor_uint(cur, 8);
    record.sig.time_ns = pw_cursor_uint(cur, 8);
    return record;
}

static char *
make_detail(struct pw_span bytes)
{
    struct pw_buf text = {.limit = 1 << 20};
    struct pw_json json = pw_json_over(&text);
    pw_json_bytes(&json, "mod", bytes, bytes.len);
    must(pw_buf_append(&text, (struct pw_span){(const uint8_t *)"", 1}) == PW_E_OK);
    return (char *)text.bytes;
}

static void
check_line(struct pw_span line)
{
    must(line.len > 2 && line.len <= PW_AUDIT_LINE_MAX && line.ptr[0] == '{');
    must(line.ptr[line.len - 1] == '\n' && line.ptr[line.len - 2] == '}');
    for (size_t i = 0; i + 1 < line.len; i++) {
        must(line.ptr[i] >= 0x20 && line.ptr[i] < 0x7f);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_cursor cur = pw_cursor_over((struct pw_span){data, size});
    struct pw_audit_record record = take_record(&cur);
    char *texts[5];
    for (size_t i = 0; i < PW_COUNT(texts); i++) {
        texts[i] = take_text(&cur);
    }
    struct pw_audit_identity identity = {texts[0], texts[1], 1};
    struct pw_audit_names names = {texts[2], texts[3], texts[4]};
    struct pw_buf out = {.limit = PW_AUDIT_LINE_MAX};
    record.detail = make_detail(cur.rest);
    must(pw_audit_line(&record, &identity, &names, 1, "01JD8Z3W5K9Q2M7X4T6B1C0V8R", &out) ==
         PW_E_OK);
    check_line(pw_buf_span(&out));
    pw_buf_free(&out);
    free(record.detail);
    for (size_t i = 0; i < PW_COUNT(texts); i++) {
        free(texts[i]);
    }
    return 0;
}
