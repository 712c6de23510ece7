/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/settings/settings.h"
#include "tests/unit/fail_alloc.h"

static const char text[] = "state = \"s\"\n"
                           "keys = \"k\"\n"
                           "instance = \"wall\"\n"
                           "channel\n"
                           "    jobs\n"
                           "        in\n"
                           "            bind = \"tcp://127.0.0.1:1\"\n"
                           "            connect = \"tcp://127.0.0.1:2\"\n"
                           "        out\n"
                           "            bind = \"ipc:///tmp/a\"\n"
                           "        sign = \"k1\"\n"
                           "        policy = \"mine\"\n"
                           "policy\n"
                           "    mine\n"
                           "        include = \"base\"\n"
                           "        allow = \"a:B call(str,'x') items\"\n"
                           "        max_bytes = 1K\n"
                           "    base\n"
                           "        allow = \"c:D\"\n"
                           "        allow = \"os:system\"\n";

struct outcome {
    struct pw_settings *(*load)(struct pw_why *why);
    bool loaded;
    char why[sizeof((struct pw_why *)NULL)->text];
};

static struct pw_settings *
load_text(struct pw_why *why)
{
    return pw_settings_parse(text, "/etc/wall.conf", why);
}

static struct pw_settings *
load_shipped(struct pw_why *why)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/config/picklewall.conf", getenv("PW_SOURCE_DIR"));
    return pw_settings_load(path, why);
}

static struct pw_settings *
load_packs(struct pw_why *why)
{
    return pw_settings_packs(why);
}

static void
load(void *arg)
{
    struct outcome *outcome = arg;
    struct pw_why why = {0};
    struct pw_settings *settings = outcome->load(&why);
    outcome->loaded = settings != NULL;
    snprintf(outcome->why, sizeof outcome->why, "%s", why.text);
    pw_settings_free(&settings);
}

/* Of a long file every seventh behind the first thousand: lines like those before. */
static void
fail_each(struct outcome outcome)
{
    size_t n = 1;
    for (; fail_alloc_round(n, load, &outcome); n += n < 1000 ? 1 : 7) {
        assert_false(outcome.loaded);
        if (strstr(outcome.why, "out of memory") == NULL) {
            fail_msg("allocation %zu: %s", n, outcome.why);
        }
    }
    assert_true(outcome.loaded);
    assert_true(n > 10);
}

static void
every_allocation_of_a_parse_may_fail(void **state)
{
    (void)state;
    fail_each((struct outcome){.load = load_text});
}

static void
every_allocation_of_a_load_may_fail(void **state)
{
    (void)state;
    setenv("CREDENTIALS_DIRECTORY", "/run/credentials/wall.service", 1);
    setenv("PICKLEWALL_KEYS", "${CREDENTIALS_DIRECTORY}", 1);
    fail_each((struct outcome){.load = load_shipped});
    unsetenv("PICKLEWALL_KEYS");
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void
every_allocation_of_the_packs_may_fail(void **state)
{
    (void)state;
    fail_each((struct outcome){.load = load_packs});
}

/* Two of the shipped packs, one including the other: with all of them, this takes minutes.
 */
static const char *const packs[] = {"python-data.conf", "python-tz.conf"};
static char folder[] = "/tmp/pw-packs-XXXXXX";

static int
make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    for (size_t i = 0; i < PW_COUNT(packs); i++) {
        char from[4096];
        char to[4096];
        snprintf(from, sizeof from, "%s/config/policies/%s", getenv("PW_SOURCE_DIR"),
                 packs[i]);
        snprintf(to, sizeof to, "%s/%s", folder, packs[i]);
        if (symlink(from, to) != 0) {
            return -1;
        }
    }
    return setenv("PICKLEWALL_POLICIES", folder, 1);
}

static int
remove_folder(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(packs); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, packs[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_a_parse_may_fail),
        cmocka_unit_test(every_allocation_of_a_load_may_fail),
        cmocka_unit_test(every_allocation_of_the_packs_may_fail),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
