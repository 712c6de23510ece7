/* SPDX-License-Identifier: Apache-2.0
 *
 * How the next keys take over: whole or not at all, between two messages.
 */
#include "tests/unit/check.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "proxy/keys.h"
#include "tests/unit/fail_alloc.h"

#define CHANNEL(name, more)                                                                \
    "    " name "\n        in\n            bind = \"ipc:///tmp/none-in-" name "\"\n"       \
    "        out\n            bind = \"ipc:///tmp/none-out-" name "\"\n"                   \
    "        policy = \"p\"\n" more

static const char config[] = "state = \"state\"\nkeys = \"keys\"\nchannel\n" CHANNEL(
    "jobs", "        sign = \"jobs-*\"\n        verify = \"required\"\n")
    CHANNEL("bare", "        sign = \"trt\"\n        envelope = \"suffix\"\n")
        CHANNEL("plain", "") "policy\n    p\n        allow = \"a:B\"\n";

enum { JOBS, BARE, PLAIN };

struct rig {
    char folder[64];
    char dir[80]; /* of the keys */
    struct pw_settings *settings;
    struct pw_keys *keys;
};

static struct rig rig;

static const char *
path_of(const char *file)
{
    static char path[2][200];
    static unsigned turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", rig.dir, file);
    return path[turn];
}

static void
write_key(const char *file, const char *text)
{
    FILE *out = fopen(path_of(file), "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path_of(file), 0600), 0);
}

static void
save(const char *name, enum pw_key_status status)
{
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(PW_SUITE_BLAKE2B, name, NULL);
    pw_key_set_status(key, status);
    assert_int_equal(pw_key_save(key, rig.dir, NULL), PW_E_OK);
}

static void
change(const char *name, enum pw_key_status status)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s.pwkey", rig.dir, name);
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_load(path, NULL);
    pw_key_set_status(key, status);
    assert_int_equal(pw_key_replace(key, path, NULL), PW_E_OK);
}

static int
set_up(void **state)
{
    (void)state;
    char file[100];
    struct pw_why why = {0};
    snprintf(rig.folder, sizeof rig.folder, "/tmp/pw-at-work-XXXXXX");
    if (mkdtemp(rig.folder) == NULL) {
        return -1;
    }
    snprintf(rig.dir, sizeof rig.dir, "%s/keys", rig.folder);
    snprintf(file, sizeof file, "%s/wall.conf", rig.folder);
    save("jobs-1", PW_KEY_ACTIVE);
    save("jobs-2", PW_KEY_VERIFY_ONLY);
    write_key("trt.hex",
              "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20");
    rig.settings = pw_settings_parse(config, file, &why);
    rig.keys = rig.settings == NULL ? NULL : pw_keys_open(rig.settings, &why);
    if (rig.keys == NULL) {
        print_message("%s\n", why.text);
    }
    return rig.keys == NULL ? -1 : 0;
}

static int
remove_one(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static int
tear_down(void **state)
{
    (void)state;
    pw_keys_close(&rig.keys);
    pw_settings_free(&rig.settings);
    return nftw(rig.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *
signer_of(const struct pw_terms *set)
{
    return pw_key_name(pw_signer_key(set->signer));
}

static void
the_first_keys_are_there_at_once(void **state)
{
    (void)state;
    const struct pw_terms *jobs = pw_keys_box(rig.keys, JOBS)->now;
    const struct pw_terms *bare = pw_keys_box(rig.keys, BARE)->now;
    const struct pw_terms *plain = pw_keys_box(rig.keys, PLAIN)->now;
    assert_string_equal(signer_of(jobs), "jobs-1");
    assert_non_null(jobs->verifier);
    assert_null(jobs->foreign);
    assert_non_null(bare->foreign);
    assert_null(bare->signer);
    assert_true(plain->foreign == NULL && plain->signer == NULL && plain->verifier == NULL);
    assert_string_equal(pw_key_name(pw_keys_signer(rig.keys, BARE)), "trt");
    assert_null(pw_keys_signer(rig.keys, PLAIN));
    for (size_t i = JOBS; i <= PLAIN; i++) {
        assert_null(pw_terms_take(pw_keys_box(rig.keys, i)));
    }
    struct pw_why why = {0};
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_SAME);
}

static void
a_change_is_left_for_every_channel_and_taken_once(void **state)
{
    (void)state;
    struct pw_why why = {0};
    change("jobs-1", PW_KEY_VERIFY_ONLY);
    change("jobs-2", PW_KEY_ACTIVE);
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_NEW);
    assert_string_equal(signer_of(pw_keys_box(rig.keys, JOBS)->now), "jobs-1");
    for (size_t i = JOBS; i <= PLAIN; i++) {
        assert_non_null(pw_terms_take(pw_keys_box(rig.keys, i)));
        assert_null(pw_terms_take(pw_keys_box(rig.keys, i)));
    }
    assert_string_equal(signer_of(pw_keys_box(rig.keys, JOBS)->now), "jobs-2");
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_SAME);
}

static void
keys_that_nobody_took_give_way_to_newer_ones(void **state)
{
    (void)state;
    struct pw_why why = {0};
    assert_int_equal(pw_keys_look(rig.keys, true, &why), PW_KEYS_NEW); /* as on SIGHUP */
    change("jobs-1", PW_KEY_RETIRED);
    change("jobs-2", PW_KEY_ACTIVE);
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_NEW);
    assert_string_equal(signer_of(pw_terms_take(pw_keys_box(rig.keys, JOBS))), "jobs-2");
    assert_null(pw_terms_take(pw_keys_box(rig.keys, JOBS)));
}

static void
a_folder_that_is_not_in_order_changes_nothing_and_is_told_once(void **state)
{
    (void)state;
    struct pw_why why = {0};
    change("jobs-2", PW_KEY_ACTIVE);
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_REFUSED);
    assert_non_null(strstr(why.text, "wall.conf:10: channel.jobs.sign: jobs-*: 2 keys"));
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_SAME);
    assert_int_equal(pw_keys_look(rig.keys, true, &why), PW_KEYS_REFUSED); /* asked for */
    write_key("z.pwkey", "");
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_REFUSED); /* another */
    assert_non_null(strstr(why.text, "z.pwkey:1: "));
    assert_null(pw_terms_take(pw_keys_box(rig.keys, JOBS)));
    assert_int_equal(unlink(path_of("z.pwkey")), 0);
    change("jobs-2", PW_KEY_RETIRED);
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_NEW);
}

static void
add_to_list(const char *name, unsigned version)
{
    char text[80];
    char id[17];
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(rig.dir, NULL);
    const uint8_t *bytes = pw_key_id(pw_keyring_find(ring, name));
    for (size_t i = 0; i < 8; i++) {
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    }
    snprintf(text, sizeof text, "version: %u\n%s\n", version, id);
    write_key("revoked", text);
}

static void
a_generation_is_counted_when_it_takes_over_and_shown_by_who_took_it(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct pw_terms_box *box = pw_keys_box(rig.keys, JOBS);
    assert_int_equal(pw_keys_generation(rig.keys), 1);
    assert_int_equal(atomic_load(&box->generation), 1);
    assert_int_equal(pw_keys_look(rig.keys, true, &why), PW_KEYS_NEW);
    assert_int_equal(pw_keys_look(rig.keys, true, &why), PW_KEYS_NEW);
    assert_int_equal(pw_keys_generation(rig.keys), 3);
    assert_int_equal(atomic_load(&box->generation), 1);
    assert_int_equal(pw_terms_take(box)->generation, 3); /* the second was never taken */
    assert_int_equal(atomic_load(&box->generation), 3);
    assert_null(pw_keys_refusal(rig.keys));

    write_key("z.pwkey", "");
    assert_int_equal(pw_keys_look(rig.keys, true, &why), PW_KEYS_REFUSED);
    assert_int_equal(pw_keys_generation(rig.keys), 3);
    assert_string_equal(pw_keys_refusal(rig.keys), why.text);
    assert_int_equal(unlink(path_of("z.pwkey")), 0);
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_NEW);
    assert_null(pw_keys_refusal(rig.keys));
}

static void
the_list_counts_beside_a_broken_file(void **state)
{
    (void)state;
    struct pw_why why = {0};
    const struct pw_signer *signer = pw_keys_box(rig.keys, JOBS)->now->signer;
    add_to_list("jobs-1", 7);
    write_key("z.pwkey", "");
    assert_int_equal(pw_signer_usable(signer, 1), PW_R_NONE);
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_REFUSED);
    assert_int_equal(pw_signer_usable(signer, 1), PW_R_SIG_REVOKED);

    assert_int_equal(unlink(path_of("z.pwkey")), 0);
    change("jobs-2", PW_KEY_ACTIVE);
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_NEW);
    add_to_list("jobs-2", 6);
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_REFUSED);
    assert_non_null(strstr(why.text, "/revoked: its version went down from 7 to 6"));
    assert_string_equal(signer_of(pw_terms_take(pw_keys_box(rig.keys, JOBS))), "jobs-2");
    assert_int_equal(pw_signer_usable(pw_keys_box(rig.keys, JOBS)->now->signer, 1),
                     PW_R_NONE);
}

static void
a_key_leaves_the_list_only_with_a_greater_version(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct pw_terms_box *box = pw_keys_box(rig.keys, JOBS);
    add_to_list("jobs-1", 7);
    change("jobs-2", PW_KEY_ACTIVE);
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_NEW);
    assert_string_equal(signer_of(pw_terms_take(box)), "jobs-2");

    write_key("revoked", "version: 7\n");
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_REFUSED);
    assert_non_null(strstr(why.text, " is gone from it, but its version is still 7; "));
    assert_int_equal(pw_signer_usable(box->now->signer, 1), PW_R_NONE);
    add_to_list("jobs-2", 7);
    assert_int_equal(pw_keys_look(rig.keys, true, &why), PW_KEYS_REFUSED);
    assert_int_equal(pw_signer_usable(box->now->signer, 1), PW_R_SIG_REVOKED);

    change("jobs-2", PW_KEY_RETIRED);
    write_key("revoked", "version: 8\n");
    assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_NEW);
    assert_string_equal(signer_of(pw_terms_take(box)), "jobs-1");
    assert_int_equal(pw_signer_usable(box->now->signer, 1), PW_R_NONE);
}

static void
the_audit_line_tells_who_signs(void **state)
{
    (void)state;
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 4096};
    struct pw_json json = pw_json_over(&text);
    pw_keys_describe(rig.keys, &json);
    assert_int_equal(json.err, PW_E_OK);
    static const char start[] =
        "\"keys\":3,\"revoked_version\":0,\"signs\":[{\"chan\":\"jobs\","
        "\"key\":\"jobs-1\",\"kid\":\"";
    assert_memory_equal(text.bytes, start, sizeof start - 1);
    static const char last[] = "{\"chan\":\"bare\",\"key\":\"trt\",\"kid\":\"";
    assert_non_null(memmem(text.bytes, text.len, last, sizeof last - 1));
}

static void
a_wall_without_keys_has_nothing_to_look_at(void **state)
{
    (void)state;
    static const char bare[] = "state = \"state\"\nchannel\n" CHANNEL(
        "plain", "") "policy\n    p\n        allow = \"a:B\"\n";
    char file[100];
    struct pw_why why = {0};
    snprintf(file, sizeof file, "%s/wall.conf", rig.folder);
    PW_CLEANUP(pw_settings_free)
    struct pw_settings *settings = pw_settings_parse(bare, file, &why);
    PW_CLEANUP(pw_keys_close) struct pw_keys *keys = pw_keys_open(settings, &why);
    assert_non_null(keys);
    assert_int_equal(pw_keys_look(keys, true, &why), PW_KEYS_SAME);
    assert_null(pw_keys_box(keys, 0)->now->ring);
}

/* --- two threads --- */

enum { TURNS = 40 };

struct worker {
    struct pw_terms_box *box;
    atomic_bool stop;
    size_t taken;
    bool good;
};

/* As a relay does: what it uses is there until it takes the next. */
static void *
work(void *arg)
{
    struct worker *worker = arg;
    struct pw_span frame = pw_span_str("hello");
    uint8_t bytes[PW_TRAILER_MAX];
    while (!atomic_load(&worker->stop)) {
        worker->taken += pw_terms_take(worker->box) != NULL;
        const struct pw_terms *keys = worker->box->now;
        struct pw_sig_result result;
        bool made = pw_signer_sign(keys->signer, &frame, 1, 1, bytes) == PW_E_OK;
        struct pw_span trailer = {bytes, pw_signer_trailer_size(keys->signer)};
        pw_verifier_check(keys->verifier, &frame, 1, trailer, &result);
        worker->good = worker->good && made && result.state == PW_SIG_OK;
    }
    return NULL;
}

static void
keys_change_under_a_thread_that_uses_them(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct worker worker = {.box = pw_keys_box(rig.keys, JOBS), .good = true};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, work, &worker), 0);
    for (size_t i = 0; i < TURNS; i++) {
        change("jobs-1", i % 2 == 0 ? PW_KEY_VERIFY_ONLY : PW_KEY_ACTIVE);
        change("jobs-2", i % 2 == 0 ? PW_KEY_ACTIVE : PW_KEY_VERIFY_ONLY);
        assert_int_equal(pw_keys_look(rig.keys, false, &why), PW_KEYS_NEW);
        usleep(1000);
    }
    atomic_store(&worker.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(worker.good);
    assert_true(worker.taken > 0 && worker.taken <= TURNS);
}

/* --- memory --- */

static bool complete;

static void
open_and_close(void *arg)
{
    (void)arg;
    struct pw_why why = {0};
    PW_CLEANUP(pw_keys_close) struct pw_keys *keys = pw_keys_open(rig.settings, &why);
    complete = keys != NULL;
    assert_int_equal(complete, why.text[0] == '\0');
}

static void
look_again(void *arg)
{
    (void)arg;
    struct pw_why why = {0};
    enum pw_keys_news news = pw_keys_look(rig.keys, true, &why);
    complete = news == PW_KEYS_NEW;
    assert_true(complete || news == PW_KEYS_REFUSED);
    const struct pw_terms *taken = pw_terms_take(pw_keys_box(rig.keys, JOBS));
    assert_int_equal(complete, taken != NULL);
    assert_string_equal(signer_of(pw_keys_box(rig.keys, JOBS)->now), "jobs-1");
}

static void
no_failed_allocation_leaves_half_a_change(void **state)
{
    (void)state;
    static void (*const runs[])(void *) = {open_and_close, look_again};
    for (size_t i = 0; i < PW_COUNT(runs); i++) {
        size_t n = 1;
        while (fail_alloc_round(n, runs[i], NULL)) {
            n++;
        }
        assert_true(complete);
        assert_true(n > 10);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
#define KEYS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        KEYS_TEST(the_first_keys_are_there_at_once),
        KEYS_TEST(a_change_is_left_for_every_channel_and_taken_once),
        KEYS_TEST(keys_that_nobody_took_give_way_to_newer_ones),
        KEYS_TEST(a_folder_that_is_not_in_order_changes_nothing_and_is_told_once),
        KEYS_TEST(a_generation_is_counted_when_it_takes_over_and_shown_by_who_took_it),
        KEYS_TEST(the_list_counts_beside_a_broken_file),
        KEYS_TEST(a_key_leaves_the_list_only_with_a_greater_version),
        KEYS_TEST(the_audit_line_tells_who_signs),
        KEYS_TEST(a_wall_without_keys_has_nothing_to_look_at),
        KEYS_TEST(keys_change_under_a_thread_that_uses_them),
        KEYS_TEST(no_failed_allocation_leaves_half_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
