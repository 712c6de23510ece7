/* SPDX-License-Identifier: Apache-2.0
 *
 * The differential target as AFL++ runs it: one process, many streams.
 */
#include <stdint.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAMS_A_PROCESS = 100000 };

__AFL_FUZZ_INIT();

int
main(void)
{
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"N.",
                                 2); /* CPython starts before the fork */
    __AFL_INIT();
    const uint8_t *stream = __AFL_FUZZ_TESTCASE_BUF;
    while (__AFL_LOOP(STREAMS_A_PROCESS)) {
        (void)LLVMFuzzerTestOneInput(stream, (size_t)__AFL_FUZZ_TESTCASE_LEN);
    }
    return 0;
}
