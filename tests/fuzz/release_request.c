/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the argument of `release`: what is understood is plain and within its
 * limits, and spells the same request when it is written again.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/pipeline.h"
#include "proxy/release_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
check_plain(const struct pw_release_request *request)
{
    must(request->id[0] != '\0' && strchr(request->id, '/') == NULL);
    must(strlen(request->reason) <= PW_RELEASE_REASON);
    must(request->dry_run || strspn(request->reason, " \t\r\n") < strlen(request->reason));
    must(!request->arrived || (!request->again && !request->dry_run));
    for (size_t i = 0; i < PW_R_COUNT; i++) {
        must(!request->override[i] || pw_may_overrule((enum pw_reason)i));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_release_request request;
    struct pw_release_request again;
    struct pw_why why = {0};
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 8192};
    if (pw_release_request_parse((struct pw_span){data, size}, &request, &why) != PW_E_OK) {
        must(why.text[0] != '\0');
        return 0;
    }
    check_plain(&request);
    must(pw_release_request_write(&request, &text) == PW_E_OK);
    must(pw_release_request_parse(pw_buf_span(&text), &again, &why) == PW_E_OK);
    must(memcmp(&request, &again, sizeof request) == 0);
    return 0;
}
