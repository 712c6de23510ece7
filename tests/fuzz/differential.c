/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes through the scanner and through CPython's unpicklers: what these do must be
 * what the report foretold. differential/README.md explains; differential/main.c is the
 * fast way.
 */
#include <stdlib.h>

#include "tests/fuzz/differential/examine.h"
#include "tests/fuzz/differential/generate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* libFuzzer has it; a replay does without. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct examiner *examiner;
    if (examiner == NULL) {
        examiner = examiner_new();
    }
    if (examiner == NULL) {
        abort();
    }
    struct plan plan;
    struct pw_span stream = {data, size};
    struct verdict verdict = examine_all(examiner, &plan, stream);
    if (verdict.failure != FAIL_NONE) {
        examine_explain(examiner, &plan, verdict, stream, stderr);
        abort();
    }
    return 0;
}

/* Opcodes are moved about as opcodes most of the time, as bytes sometimes. */
size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    struct random random = {seed};
    uint32_t way = random_below(&random, 8);
    if (way < 2 && LLVMFuzzerMutate != NULL) {
        return LLVMFuzzerMutate(data, size, most);
    }
    uint8_t made[GENERATE_MOST];
    size_t len = generate_stream(&random, made);
    if (way == 2 && len <= most) {
        memcpy(data, made, len);
        return len;
    }
    return generate_mutation(&random, data, size, most, (struct pw_span){made, len});
}
