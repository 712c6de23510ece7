/* SPDX-License-Identifier: Apache-2.0
 *
 * ZAP requests of any frames (a length byte before each): what comes of them is plain text,
 * a key only when there is one, and a reply of which each frame can be read.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/zap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_span frames[PW_ZAP_FRAMES_MAX];
    struct pw_cursor cur = pw_cursor_over((struct pw_span){data, size});
    size_t count = 0;
    while (count < PW_ZAP_FRAMES_MAX && cur.rest.len > 0) {
        size_t len = (size_t)pw_cursor_uint(&cur, 1);
        frames[count++] = pw_cursor_take(&cur, len < cur.rest.len ? len : cur.rest.len);
    }
    struct pw_zap_request request;
    bool understood = pw_zap_parse(frames, count, &request);
    must(understood || !request.curve);
    size_t len = strnlen(request.address, sizeof request.address);
    must(len < sizeof request.address);
    for (size_t i = 0; i < len; i++) {
        must(request.address[i] > 0x20 && request.address[i] < 0x7f);
    }
    size_t sum = 0;
    struct pw_span reply[PW_ZAP_REPLY_FRAMES];
    pw_zap_reply(&request, size % 2 == 0 ? NULL : "name", reply);
    for (size_t i = 0; i < PW_ZAP_REPLY_FRAMES; i++) {
        for (size_t at = 0; at < reply[i].len; at++) {
            sum += reply[i].ptr[at];
        }
    }
    must(sum > 0);
    return 0;
}
