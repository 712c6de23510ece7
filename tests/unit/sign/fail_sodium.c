/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets come from libsodium's allocator, which must fail in its turn too: an allocation
 * of ours is counted with the others and stands in for it (tests/unit/fail_alloc.h).
 */
#include <stdlib.h>

void *__real_sodium_malloc(size_t size);
void *__wrap_sodium_malloc(size_t size);

void *
__wrap_sodium_malloc(size_t size)
{
    void *probe = malloc(1);
    if (probe == NULL) {
        return NULL;
    }
    free(probe);
    return __real_sodium_malloc(size);
}
