/* SPDX-License-Identifier: Apache-2.0
 *
 * A log of any bytes, given to the verifier as two files, and its state and its mirror: it
 * ends, stays in its room, and finds nothing complete that nobody signed.
 */
#include <stdlib.h>
#include <unistd.h>

#include <sys/mman.h>

#include <sodium.h>

#include "common/audit/verify.h"
#include "common/base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
give(struct pw_verify *verify, struct pw_span bytes)
{
    PW_CLEANUP(pw_file_close) int fd = memfd_create("log", MFD_CLOEXEC);
    must(fd >= 0 && pw_file_write_all(fd, bytes) == PW_E_OK && lseek(fd, 0, SEEK_SET) == 0);
    must(pw_verify_file(verify, fd) == PW_E_OK);
}

/* What is read as a state is written as the same bytes. */
static void
check_state(struct pw_span bytes)
{
    struct pw_chain_state state;
    PW_CLEANUP(pw_buf_free) struct pw_buf again = {.limit = PW_CHAIN_STATE_MAX * 2};
    if (pw_chain_state_parse(bytes, &state)) {
        must(pw_chain_state_format(&state, &again) == PW_E_OK);
        must(pw_span_equal(pw_buf_span(&again), bytes));
    }
}

static void
check_result(const struct pw_verify *verify)
{
    must(verify->verdict != PW_VERIFY_COMPLETE || verify->lines >= 2);
    must(verify->fault_count == 0 || verify->verdict == PW_VERIFY_BROKEN);
    must(verify->follow.seals == 0 || verify->lines > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char vkey[] =
        "audit+19777724+AeZhZO3Aim1Un8OwQ2QVPMahQ5njK46kxn87+NP1BgxL";
    struct pw_note_key key;
    struct pw_verify_points points = {0};
    struct pw_span bytes = {data, size};
    must(sodium_init() >= 0);
    must(pw_note_key_parse(pw_span_str(vkey), &key, NULL) == PW_E_OK);
    (void)!pw_verify_points_add(&points, bytes, &key, 1, NULL);
    check_state(bytes);
    struct pw_verify_options options = {.keys = &key, .key_count = 1, .points = &points};
    PW_CLEANUP(pw_verify_free) struct pw_verify *verify = pw_verify_new(&options);
    must(verify != NULL);
    size_t first = size > 0 ? size * data[0] / 255 : 0;
    give(verify, (struct pw_span){data, first});
    give(verify, (struct pw_span){data + first, size - first});
    pw_verify_end(verify);
    check_result(verify);
    pw_verify_points_free(&points);
    return 0;
}
