/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the file of an entry: what is read of it are names that are safe as names of
 * files, and what is cut short is never taken for whole.
 */
#include <stdlib.h>
#include <string.h>

#include "common/quarantine/inside.h"

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
    struct pw_entry entry;
    struct pw_entry cut;
    if (!pw_entry_parse((struct pw_span){data, size}, &entry)) {
        return 0;
    }
    must(pw_is_object_file(entry.object));
    must(memchr(entry.chan, '\0', sizeof entry.chan) != NULL);
    must(strchr(entry.chan, '"') == NULL);
    for (size_t len = 0; len < size; len++) {
        must(!pw_entry_parse((struct pw_span){data, len}, &cut));
    }
    return 0;
}
