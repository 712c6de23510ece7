/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fail_alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t most);

static atomic_size_t countdown;
static atomic_bool happened;

static bool
fails(void)
{
    size_t left = atomic_load(&countdown);
    if (left == 0) {
        return false;
    }
    atomic_store(&countdown, left - 1);
    if (left > 1) {
        return false;
    }
    atomic_store(&happened, true);
    errno = ENOMEM;
    return true;
}

void *
__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *
__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}

char *
__wrap_strndup(const char *text, size_t most)
{
    size_t len = strnlen(text, most);
    char *copy = __wrap_malloc(len + 1);
    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

void
fail_alloc_at(size_t n)
{
    atomic_store(&happened, false);
    atomic_store(&countdown, n);
}

bool
fail_alloc_happened(void)
{
    return atomic_load(&happened);
}

bool
fail_alloc_round(size_t n, void (*run)(void *state), void *state)
{
    fail_alloc_at(n);
    run(state);
    bool reached = fail_alloc_happened(); /* fail_alloc_at forgets it */
    fail_alloc_at(0);
    return reached;
}
