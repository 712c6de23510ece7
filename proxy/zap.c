/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/zap.h"

#include <string.h>

enum { VERSION, ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS };

static bool
is(struct pw_span text, const char *word)
{
    return pw_span_equal(text, pw_span_str(word));
}

/* Cut, "?" for what is not plain text, since it goes into the log, and without the zone of
 * a link-local address, as our own names of peers. */
static void
copy_address(struct pw_span text, char out[static PW_ZAP_ADDRESS])
{
    size_t len = text.len < PW_ZAP_ADDRESS - 1 ? text.len : PW_ZAP_ADDRESS - 1;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text.ptr[i];
        out[i] = c > 0x20 && c < 0x7f ? (char)c : '?';
    }
    out[len] = '\0';
    out[strcspn(out, "%")] = '\0';
}

bool
pw_zap_parse(const struct pw_span *frames, size_t count, struct pw_zap_request *request)
{
    *request = (struct pw_zap_request){0};
    if (count <= MECHANISM || !is(frames[VERSION], "1.0")) {
        return false;
    }
    request->id = frames[ID];
    request->domain = frames[DOMAIN];
    copy_address(frames[ADDRESS], request->address);
    if (is(frames[MECHANISM], "CURVE") && count == CREDENTIALS + 1 &&
        frames[CREDENTIALS].len == PW_CERT_BYTES) {
        request->curve = true;
        memcpy(request->key, frames[CREDENTIALS].ptr, PW_CERT_BYTES);
    }
    return true;
}

void
pw_zap_reply(const struct pw_zap_request *request, const char *name,
             struct pw_span out[static PW_ZAP_REPLY_FRAMES])
{
    out[0] = pw_span_str("1.0");
    out[1] = request->id;
    /* 300, "try again": after 400 libzmq's clients never do, and lists change. */
    out[2] = pw_span_str(name != NULL ? "200" : "300");
    out[3] = pw_span_str(name != NULL ? "OK" : "no access");
    out[4] = pw_span_str(name != NULL ? name : "");
    out[5] = pw_span_str("");
}
