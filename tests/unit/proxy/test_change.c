/* SPDX-License-Identifier: Apache-2.0
 *
 * How other settings take over: whole or not at all, between two messages, and each message
 * is judged by one generation.
 */
#include "tests/unit/check.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/keys.h"
#include "tests/unit/fail_alloc.h"

#define SIDES(name)                                                                        \
    "    " name "\n        in\n            bind = \"ipc:///tmp/none-in-" name "\"\n"       \
    "        out\n            bind = \"ipc:///tmp/none-out-" name "\"\n"
#define JOBS(policy, more) SIDES("jobs") "        policy = \"" policy "\"\n" more
#define SPARE SIDES("spare") "        policy = \"narrow\"\n"
#define POLICIES                                                                           \
    "policy\n    narrow\n        allow = \"a:B\"\n    wide\n        include = "            \
    "\"narrow\"\n"                                                                         \
    "        allow = \"myapp.jobs:Job\"\n"
#define CONFIG(channels) "state = \"state\"\nkeys = \"keys\"\nchannel\n" channels POLICIES

static const char narrow[] = CONFIG(JOBS("narrow", "") SPARE);
static const char wide[] = CONFIG(JOBS("wide", "") SPARE);

/* STACK_GLOBAL myapp.jobs Job, which only `wide` allows. */
static const uint8_t contested[] = "\x80\x04\x8c\x0amyapp.jobs\x8c\x03Job\x93.";

enum { JOBS_AT, SPARE_AT, CHANNELS };

struct rig {
    char folder[64];
    char file[80];
    struct pw_settings *settings;
    struct pw_keys *keys;
};

static struct rig rig;

static int
set_up(void **state)
{
    (void)state;
    char dir[80];
    struct pw_why why = {0};
    snprintf(rig.folder, sizeof rig.folder, "/tmp/pw-change-XXXXXX");
    if (mkdtemp(rig.folder) == NULL) {
        return -1;
    }
    snprintf(dir, sizeof dir, "%s/keys", rig.folder);
    snprintf(rig.file, sizeof rig.file, "%s/wall.conf", rig.folder);
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(PW_SUITE_BLAKE2B, "one", NULL);
    if (pw_key_save(key, dir, NULL) != PW_E_OK) {
        return -1;
    }
    rig.settings = pw_settings_parse(narrow, rig.file, &why);
    rig.keys = rig.settings == NULL ? NULL : pw_keys_open(rig.settings, &why);
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

static enum pw_err
change(const char *text, struct pw_why *why)
{
    PW_CLEANUP(pw_settings_free)
    struct pw_settings *settings = pw_settings_parse(text, rig.file, why);
    if (settings == NULL) {
        return PW_E_CONFIG;
    }
    struct pw_config *next = pw_config_own(&settings);
    if (next == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    enum pw_err err = pw_keys_change(rig.keys, &next, why);
    assert_null(next);
    return err;
}

static bool
passes(struct pw_terms_box *box)
{
    struct pw_decision decision;
    struct pw_span frame = {contested, sizeof contested - 1};
    pw_pipeline_judge(box->now->pipe, &frame, 1, 1, &decision);
    return decision.reason == PW_R_NONE;
}

static void
a_change_waits_for_the_channel_and_is_taken_whole(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct pw_terms_box *jobs = pw_keys_box(rig.keys, JOBS_AT);
    assert_false(passes(jobs));
    assert_int_equal(change(wide, &why), PW_E_OK);
    assert_int_equal(pw_keys_generation(rig.keys), 2);
    assert_string_equal(pw_policy_name(pw_keys_channel(rig.keys, JOBS_AT)->policy), "wide");
    assert_false(passes(jobs));
    assert_int_equal(atomic_load(&jobs->generation), 1);
    assert_non_null(pw_terms_take(jobs));
    assert_true(passes(jobs));
    assert_int_equal(atomic_load(&jobs->generation), 2);
    assert_int_equal(pw_terms_take(pw_keys_box(rig.keys, SPARE_AT))->generation, 2);
}

struct refusal_case {
    const char *name;
    const char *text;
    const char *sentence;
};

/* clang-format off */
static const struct refusal_case refusals[] = {
    {"a key that is not there", CONFIG(JOBS("wide", "        sign = \"none\"\n") SPARE),
     "wall.conf:10: channel.jobs.sign: "},
    {"a channel that cannot start", CONFIG(JOBS("wide", "") SPARE SIDES("new") "        policy = \"wide\"\n        sign = \"none\"\n"),
     "channel.new.sign: "},
    {"a folder that is not there", "keys = \"nowhere\"\nchannel\n" JOBS("wide", "        verify = \"required\"\n") POLICIES,
     "wall.conf:1: keys: "},
    {"a policy that is not there", CONFIG(JOBS("other", "") SPARE), "channel.jobs.policy: "},
};
/* clang-format on */

static void
what_is_refused_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(refusals); i++) {
        const struct refusal_case *c = &refusals[i];
        struct pw_why why = {0};
        check_case(c->name, change(c->text, &why) != PW_E_OK);
        if (strstr(why.text, c->sentence) == NULL) {
            fail_msg("%s: %s", c->name, why.text);
        }
        check_case(c->name, pw_keys_settings(rig.keys) == rig.settings);
        check_case(c->name, pw_keys_generation(rig.keys) == 1);
        for (size_t at = 0; at < CHANNELS; at++) {
            check_case(c->name, pw_terms_take(pw_keys_box(rig.keys, at)) == NULL);
        }
        check_case(c->name, !passes(pw_keys_box(rig.keys, JOBS_AT)));
    }
}

static void
a_channel_that_is_gone_keeps_its_settings_and_gets_new_keys(void **state)
{
    (void)state;
    struct pw_why why = {0};
    static const char without[] =
        CONFIG(JOBS("wide", "") SIDES("new") "        policy = \"wide\"\n");
    struct pw_terms_box *spare = pw_keys_box(rig.keys, SPARE_AT);
    assert_int_equal(change(without, &why), PW_E_OK);
    assert_int_equal(pw_terms_take(spare)->generation, 2);
    assert_ptr_equal(spare->now->config->settings, rig.settings);
    assert_string_equal(pw_policy_name(spare->now->channel->policy), "narrow");
    assert_int_equal(change(wide, &why), PW_E_OK);
    assert_ptr_equal(pw_terms_take(spare)->config->settings, pw_keys_settings(rig.keys));
}

static void
settings_live_as_long_as_somebody_goes_by_them(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct pw_terms_box *jobs = pw_keys_box(rig.keys, JOBS_AT);
    assert_int_equal(change(wide, &why), PW_E_OK);
    assert_non_null(pw_terms_take(jobs));
    assert_int_equal(change(narrow, &why), PW_E_OK); /* the first of these is never taken */
    assert_int_equal(change(narrow, &why), PW_E_OK);
    assert_true(passes(jobs)); /* by settings that only this channel has */
    assert_int_equal(pw_terms_take(jobs)->generation, 4);
    assert_false(passes(jobs));
}

static void
keys_change_beside_settings(void **state)
{
    (void)state;
    struct pw_why why = {0};
    static const char signs[] = CONFIG(JOBS("wide", "        sign = \"one\"\n") SPARE);
    struct pw_terms_box *jobs = pw_keys_box(rig.keys, JOBS_AT);
    assert_null(pw_keys_signer(rig.keys, JOBS_AT));
    assert_int_equal(change(signs, &why), PW_E_OK);
    assert_string_equal(pw_key_name(pw_keys_signer(rig.keys, JOBS_AT)), "one");
    assert_non_null(pw_terms_take(jobs)->signer);
    assert_int_equal(pw_keys_look(rig.keys, true, &why), PW_KEYS_NEW);
    assert_non_null(pw_terms_take(jobs)->signer);
    assert_true(passes(jobs));

    static const char none[] = "channel\n" JOBS("wide", "") POLICIES;
    assert_int_equal(change(none, &why), PW_E_OK);
    assert_null(pw_terms_take(jobs)->ring);
    assert_int_equal(pw_keys_look(rig.keys, true, &why), PW_KEYS_SAME);
}

/* --- two threads --- */

enum { TURNS = 60 };

struct worker {
    struct pw_terms_box *box;
    atomic_bool stop;
    size_t taken;
    bool good;
};

/* As a relay does: each verdict is that of the policy which the terms name. */
static void *
work(void *arg)
{
    struct worker *worker = arg;
    while (!atomic_load(&worker->stop)) {
        worker->taken += pw_terms_take(worker->box) != NULL;
        const char *policy = pw_policy_name(worker->box->now->channel->policy);
        bool passed = passes(worker->box);
        worker->good = worker->good && passed == (strcmp(policy, "wide") == 0);
    }
    return NULL;
}

static void
settings_change_under_a_thread_that_judges_by_them(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct worker worker = {.box = pw_keys_box(rig.keys, JOBS_AT), .good = true};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, work, &worker), 0);
    for (size_t i = 0; i < TURNS; i++) {
        assert_int_equal(change(i % 2 == 0 ? wide : narrow, &why), PW_E_OK);
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
change_once(void *arg)
{
    (void)arg;
    struct pw_why why = {0};
    unsigned before = pw_keys_generation(rig.keys);
    complete = change(wide, &why) == PW_E_OK;
    assert_int_equal(complete, why.text[0] == '\0');
    assert_int_equal(pw_keys_generation(rig.keys), before + complete);
    for (size_t at = 0; at < CHANNELS; at++) {
        const struct pw_terms *taken = pw_terms_take(pw_keys_box(rig.keys, at));
        assert_int_equal(complete, taken != NULL);
    }
}

static void
no_failed_allocation_leaves_half_a_change(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, change_once, NULL)) {
        n++;
    }
    assert_true(complete && passes(pw_keys_box(rig.keys, JOBS_AT)));
    assert_true(n > 50);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
#define CHANGE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CHANGE_TEST(a_change_waits_for_the_channel_and_is_taken_whole),
        CHANGE_TEST(what_is_refused_changes_nothing),
        CHANGE_TEST(a_channel_that_is_gone_keeps_its_settings_and_gets_new_keys),
        CHANGE_TEST(settings_live_as_long_as_somebody_goes_by_them),
        CHANGE_TEST(keys_change_beside_settings),
        CHANGE_TEST(settings_change_under_a_thread_that_judges_by_them),
        CHANGE_TEST(no_failed_allocation_leaves_half_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
