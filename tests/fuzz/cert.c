/* SPDX-License-Identifier: Apache-2.0
 *
 * CURVE certificates of any bytes: what is read spells its keys again, and a refusal has
 * words.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/cert.h"

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
    static const struct pw_cert nothing;
    struct pw_cert cert;
    struct pw_why why = {0};
    if (pw_cert_parse((struct pw_span){data, size}, &cert, &why) != PW_E_OK) {
        must(why.text[0] != '\0');
        must(memcmp(&cert, &nothing, sizeof cert) == 0);
        return 0;
    }
    char text[PW_CERT_TEXT];
    pw_cert_text(cert.public_key, text);
    must(memmem(data, size, text, strlen(text)) != NULL);
    if (cert.has_secret) {
        pw_cert_text(cert.secret_key, text);
        must(memmem(data, size, text, strlen(text)) != NULL);
    }
    return 0;
}
