/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/settings.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/policy/entry.h"
#include "tests/unit/check.h"

#define CHANNEL                                                                            \
    "channel\n    jobs\n        in\n            bind = \"tcp://127.0.0.1:8006\"\n"         \
    "        out\n            bind = \"tcp://127.0.0.1:8007\"\n        policy = "          \
    "\"mine\"\n"
#define MINE "policy\n    mine\n        allow = \"a:B\"\n"

static struct pw_settings *
parse(const char *text)
{
    struct pw_why why = {0};
    struct pw_settings *settings = pw_settings_parse(text, "wall.conf", &why);
    if (settings == NULL) {
        fail_msg("%s", why.text);
    }
    return settings;
}

static void
what_is_not_said_has_its_default(void **state)
{
    (void)state;
    struct pw_settings *it = parse(CHANNEL MINE);
    assert_string_equal(it->file, "wall.conf");
    assert_string_equal(it->state, "/var/lib/picklewall");
    assert_string_equal(it->audit_file, "/var/lib/picklewall/audit.jsonl");
    assert_null(it->keys);
    assert_true(strlen(it->instance) > 0);
    assert_true(it->audit_pass_each);
    assert_int_equal(it->audit_queue, 65536);
    assert_int_equal(it->drain_timeout_ms, 10000);
    assert_int_equal(it->quarantine_max_bytes, 1 << 30);
    assert_int_equal(it->quarantine_max_messages, 100000);
    assert_int_equal(it->quarantine_max_age_ms, 0);
    assert_int_equal(it->quarantine_min_free, -5);
    assert_false(it->quarantine_stop);
    assert_null(it->quarantine_seal);
    assert_int_equal(it->channel_count, 1);
    const struct pw_channel *jobs = &it->channels[0];
    assert_string_equal(jobs->name, "jobs");
    assert_int_equal(jobs->in.hwm, 1000);
    assert_int_equal(jobs->in.buffer, -1);
    assert_int_equal(jobs->out.hwm, 1000);
    assert_int_equal(jobs->out.buffer, -1);
    assert_int_equal(jobs->on_violation, PW_QUARANTINE);
    assert_int_equal(jobs->verify, PW_SET_VERIFY_OFF);
    assert_int_equal(jobs->envelope, PW_SET_ENVELOPE_TAIL);
    assert_true(jobs->strip);
    assert_null(jobs->sign);
    assert_int_equal(jobs->max_frames, 1024);
    assert_int_equal(jobs->max_message_bytes, 64 << 20);
    assert_int_equal(jobs->frames.count, 1);
    assert_true(jobs->frames.repeat);
    assert_int_equal(jobs->frames.rule[0].kind, PW_FRAME_PICKLE);
    assert_ptr_equal(jobs->policy, pw_settings_policy(it, "mine"));
    pw_settings_free(&it);
    assert_null(it);
    pw_settings_free(&it);
}

static const char full[] = "state = \"/srv/wall\"\n"
                           "keys = \"/etc/keys\"\n"
                           "instance = \"wall-1\"\n"
                           "drain_timeout = 2m\n"
                           "audit\n"
                           "    file = \"-\"\n"
                           "    pass = \"summary\"\n"
                           "    queue = 1000\n"
                           "channel\n"
                           "    first\n"
                           "        in\n"
                           "            bind = \"tcp://*:1\"\n"
                           "            connect = \"tcp://host:1\"\n"
                           "            connect = \"ipc://@a\"\n"
                           "            hwm = 7\n"
                           "            buffer = 128K\n"
                           "        out\n"
                           "            connect = \"tcp://[::1]:2\"\n"
                           "            hwm = 8\n"
                           "            buffer = 1M\n"
                           "        policy = \"mine\"\n"
                           "        on_violation = \"pass\"\n"
                           "        verify = \"required\"\n"
                           "        sign = \"k1\"\n"
                           "        envelope = \"frame\"\n"
                           "        strip = no\n"
                           "        frames = \"topic, pickle\"\n"
                           "        max_frames = 2\n"
                           "        max_message_bytes = 1G\n"
                           "    second\n"
                           "        policy = \"other\"\n"
                           "        out\n"
                           "            bind = \"ipc:///tmp/b\"\n"
                           "        in\n"
                           "            bind = \"ipc:///tmp/a\"\n"
                           "        on_violation = \"drop\"\n"
                           "policy\n"
                           "    other\n"
                           "    mine\n"
                           "        allow = \"a:B\"\n";

static void
what_is_said_is_what_is_read(void **state)
{
    (void)state;
    struct pw_settings *it = parse(full);
    assert_string_equal(it->state, "/srv/wall");
    assert_string_equal(it->keys, "/etc/keys");
    assert_string_equal(it->instance, "wall-1");
    assert_string_equal(it->audit_file, "-");
    assert_false(it->audit_pass_each);
    assert_int_equal(it->audit_queue, 1000);
    assert_int_equal(it->drain_timeout_ms, 120000);
    assert_int_equal(it->channel_count, 2);
    const struct pw_channel *first = &it->channels[0];
    assert_int_equal(first->in.count, 3);
    assert_true(first->in.endpoints[0].bind);
    assert_false(first->in.endpoints[2].bind);
    assert_string_equal(first->in.endpoints[2].address, "ipc://@a");
    assert_int_equal(first->in.hwm, 7);
    assert_int_equal(first->in.buffer, 128 << 10);
    assert_string_equal(first->out.endpoints[0].address, "tcp://[::1]:2");
    assert_int_equal(first->out.hwm, 8);
    assert_int_equal(first->out.buffer, 1 << 20);
    assert_int_equal(first->on_violation, PW_PASS);
    assert_int_equal(first->verify, PW_SET_VERIFY_REQUIRED);
    assert_string_equal(first->sign, "k1");
    assert_int_equal(first->envelope, PW_SET_ENVELOPE_FRAME);
    assert_false(first->strip);
    assert_int_equal(first->frames.count, 2);
    assert_int_equal(first->max_frames, 2);
    assert_true(first->max_message_bytes == INT64_C(1) << 30);
    assert_string_equal(pw_policy_name(first->policy), "mine");
    const struct pw_channel *second = &it->channels[1];
    assert_string_equal(pw_policy_name(second->policy), "other");
    assert_int_equal(second->on_violation, PW_DROP);
    assert_int_equal(it->policy_count, 2);
    pw_settings_free(&it);
}

static void
relative_paths_start_at_the_folder_of_the_file(void **state)
{
    (void)state;
    char cwd[PATH_MAX], expected[PATH_MAX + 32];
    assert_non_null(getcwd(cwd, sizeof cwd));
    struct pw_settings *it = pw_settings_parse("state = \"s\"\nkeys = \"k\"\n" CHANNEL MINE,
                                               "/etc/wall/a.conf", NULL);
    assert_non_null(it);
    assert_string_equal(it->state, "/etc/wall/s");
    assert_string_equal(it->keys, "/etc/wall/k");
    assert_string_equal(it->audit_file, "/etc/wall/s/audit.jsonl");
    pw_settings_free(&it);
    it = pw_settings_parse("state = \"s\"\n" CHANNEL MINE, "conf/a.conf", NULL);
    snprintf(expected, sizeof expected, "%s/conf/s", cwd);
    assert_string_equal(it->state, expected);
    pw_settings_free(&it);
    it = pw_settings_parse("state = \"s\"\n" CHANNEL MINE, "/a.conf", NULL);
    assert_string_equal(it->state, "/s");
    pw_settings_free(&it);
}

static void
a_place_is_where_the_setting_stands(void **state)
{
    (void)state;
    struct pw_settings *it = parse("state = \"/s\"\n" CHANNEL MINE);
    char place[PW_PLACE_MAX];
    pw_settings_place(it, "state", place);
    assert_string_equal(place, "wall.conf:1: state");
    pw_settings_place(it, "channel.jobs.policy", place);
    assert_string_equal(place, "wall.conf:8: channel.jobs.policy");
    pw_settings_place(it, "keys", place);
    assert_string_equal(place, "wall.conf: keys");
    pw_settings_free(&it);
}

/* -- Policies -----------------------------------------------------------------------------
 */

static bool
allows(const struct pw_settings *settings, const char *policy, struct pw_span mod,
       struct pw_span name, enum pw_use use)
{
    const struct pw_entry *entry =
        pw_policy_entry(pw_settings_policy(settings, policy), mod, name);
    return entry != NULL && (entry->uses >> use & 1) != 0;
}

static void
a_policy_adds_up_what_it_includes(void **state)
{
    (void)state;
    struct pw_settings *it = parse(CHANNEL "policy\n"
                                           "    mine\n"
                                           "        include = \"two\"\n"
                                           "        include = \"one\"\n"
                                           "        allow = \"a:B ref\"\n"
                                           "        buffers = no\n"
                                           "    one\n"
                                           "        allow = \"c:D call\"\n"
                                           "        extension = yes\n"
                                           "        buffers = yes\n"
                                           "    two\n"
                                           "        include = \"one\"\n");
    assert_int_equal(pw_policy_size(pw_settings_policy(it, "mine")), 2);
    assert_true(allows(it, "mine", BYTES("a"), BYTES("B"), PW_USE_REF));
    assert_false(allows(it, "mine", BYTES("a"), BYTES("B"), PW_USE_CALL));
    assert_true(allows(it, "mine", BYTES("c"), BYTES("D"), PW_USE_CALL));
    assert_false(allows(it, "one", BYTES("a"), BYTES("B"), PW_USE_REF));
    assert_true(allows(it, "two", BYTES("c"), BYTES("D"), PW_USE_CALL));
    const struct pw_policy *mine = pw_settings_policy(it, "mine");
    assert_true(pw_policy_door(mine, PW_DOOR_EXTENSION));
    assert_false(pw_policy_door(mine, PW_DOOR_BUFFERS)); /* its own word is the last */
    assert_false(pw_policy_door(mine, PW_DOOR_PERSISTENT));
    assert_true(pw_policy_door(pw_settings_policy(it, "two"), PW_DOOR_BUFFERS));
    pw_settings_free(&it);
}

static void
each_door_has_its_setting(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        enum pw_door door;
    } doors[] = {
        {"extension", PW_DOOR_EXTENSION}, {"persistent_ids", PW_DOOR_PERSISTENT},
        {"buffers", PW_DOOR_BUFFERS},     {"computed_calls", PW_DOOR_COMPUTED},
        {"trailing", PW_DOOR_TRAILING},
    };
    for (size_t i = 0; i < PW_COUNT(doors); i++) {
        char text[1000];
        snprintf(text, sizeof text, "%s        %s = yes\n", CHANNEL MINE, doors[i].key);
        struct pw_settings *it = parse(text);
        for (size_t j = 0; j < PW_COUNT(doors); j++) {
            check_case(doors[i].key,
                       pw_policy_door(it->policies[0], doors[j].door) == (i == j));
        }
        pw_settings_free(&it);
    }
}

static void
limits_come_from_the_policy_then_its_includes_then_the_default(void **state)
{
    (void)state;
    struct pw_settings *it = parse(CHANNEL "policy\n"
                                           "    mine\n"
                                           "        include = \"small\"\n"
                                           "        include = \"large\"\n"
                                           "        max_depth = 5\n"
                                           "    small\n"
                                           "        max_bytes = 1K\n"
                                           "        max_opcodes = 10\n"
                                           "        max_depth = 50\n"
                                           "    large\n"
                                           "        max_bytes = 2K\n"
                                           "        max_opcodes = 20\n"
                                           "        max_stack = 3\n"
                                           "        max_memo = 4\n"
                                           "        max_ratio = 6\n"
                                           "    alone\n"
                                           "        include = \"small\"\n");
    const struct pw_limits *mine = pw_policy_limits(pw_settings_policy(it, "mine"));
    assert_int_equal(mine->max_bytes, 2048);
    assert_int_equal(mine->max_ops, 20);
    assert_int_equal(mine->max_depth, 5);
    assert_int_equal(mine->max_stack, pw_limits_default.max_stack);
    const struct pw_limits *large = pw_policy_limits(pw_settings_policy(it, "large"));
    assert_int_equal(large->max_stack, 3);
    assert_int_equal(large->max_memo, 4);
    assert_int_equal(large->max_ratio, 6);
    const struct pw_limits *alone = pw_policy_limits(pw_settings_policy(it, "alone"));
    assert_int_equal(alone->max_bytes, 1024);
    assert_int_equal(alone->max_memo, pw_limits_default.max_memo);
    pw_settings_free(&it);
}

struct broken_case {
    const char *name;
    const char *text;
    const char *why;
};

static const struct broken_case broken_cases[] = {
    {"a policy that includes itself",
     CHANNEL "policy\n    mine\n        include = \"mine\"\n",
     "wall.conf:10: policy.mine.include: \"mine\" includes this policy in turn; "},
    {"three that include one another",
     CHANNEL "policy\n    mine\n        include = \"b\"\n    b\n        include = \"c\"\n"
             "    c\n        include = \"mine\"\n",
     "wall.conf:14: policy.c.include: \"mine\" includes this policy in turn; "},
    {"no files are read for text in memory",
     CHANNEL "policy\n    mine\n        include = \"python-data\"\n",
     "wall.conf:10: policy.mine.include: no policy \"python-data\"; define it under"},
    {"a path for a policy", CHANNEL "policy\n    mine\n        include = \"../mine\"\n",
     "\"../mine\" is no policy's name; "},
    {"an unused policy is checked too", CHANNEL MINE "    unused\n        allow = \"\"\n",
     "wall.conf:12: policy.unused.allow: "},
    {"a number with a sign", "drain_timeout = +1s\n" CHANNEL MINE, "is not a duration"},
    {"a number past 64 bits", "drain_timeout = 99999999999999999999s\n" CHANNEL MINE,
     "is not a duration"},
    {"a product past 64 bits",
     CHANNEL "        max_message_bytes = 4611686018427387904G\n" MINE, "is not a size"},
    {"a number with a space", CHANNEL "        max_frames = \"1 0\"\n" MINE,
     "is not a number"},
    {"a share past all of it", "quarantine\n    min_free = \"100%\"\n" CHANNEL MINE,
     "wall.conf:2: quarantine.min_free: \"100%\" is out of range; write 0% to 99%"},
    {"a share with a blank", "quarantine\n    min_free = \"5 %\"\n" CHANNEL MINE,
     "is not a share or size; write 5%, 64M or 64G"},
    {"a duration in weeks", "quarantine\n    max_age = 2w\n" CHANNEL MINE,
     "is not a duration; write 500ms, 10s, 2m, 12h or 30d"},
    {"a unit in lower case", CHANNEL "        max_message_bytes = 64m\n" MINE,
     "is not a size"},
    {"a choice that starts right", CHANNEL "        verify = \"require\"\n" MINE,
     "did you mean required?"},
    {"a choice from elsewhere", CHANNEL "        verify = \"off|optional\"\n" MINE,
     "is no choice; write one of off|optional|required"},
    {"more frames than a signature covers",
     "keys = \"k\"\n" CHANNEL "        sign = \"k1\"\n        max_frames = 1025\n" MINE,
     "wall.conf:10: channel.jobs.max_frames: is more than a signature covers; "},
    {"an endpoint bound by two channels",
     CHANNEL "    more\n        policy = \"mine\"\n        in\n"
             "            bind = \"tcp://*:8006\"\n" MINE,
     "wall.conf:11: channel.more.in.bind: \"tcp://*:8006\" is taken by channel.jobs.in "
     "already"},
};

static void
the_quarantine_has_limits(void **state)
{
    (void)state;
    struct pw_settings *it = parse("quarantine\n"
                                   "    max_bytes = 3G\n"
                                   "    max_messages = 7\n"
                                   "    max_age = 30d\n"
                                   "    min_free = 64M\n"
                                   "    on_full = stop\n"
                                   "    seal = \"/etc/seal.pub\"\n" CHANNEL
                                   "        quarantine_bytes = 10M\n" MINE);
    assert_int_equal(it->quarantine_max_bytes, 3LL << 30);
    assert_int_equal(it->quarantine_max_messages, 7);
    assert_int_equal(it->quarantine_max_age_ms, 30LL * 86400 * 1000);
    assert_int_equal(it->quarantine_min_free, 64 << 20);
    assert_true(it->quarantine_stop);
    assert_string_equal(it->quarantine_seal, "/etc/seal.pub");
    assert_int_equal(it->channels[0].quarantine_bytes, 10 << 20);
    pw_settings_free(&it);
    it = parse("quarantine\n    min_free = \"12%\"\n    max_age = 36h\n" CHANNEL MINE);
    assert_int_equal(it->quarantine_min_free, -12);
    assert_int_equal(it->quarantine_max_age_ms, 36LL * 3600 * 1000);
    pw_settings_free(&it);
}

static void
what_is_wrong_is_named_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(broken_cases); i++) {
        struct pw_why why = {0};
        struct pw_settings *it = pw_settings_parse(broken_cases[i].text, "wall.conf", &why);
        check_case(broken_cases[i].name, it == NULL);
        if (strstr(why.text, broken_cases[i].why) == NULL) {
            fail_msg("%s: %s", broken_cases[i].name, why.text);
        }
    }
}

static void
includes_may_be_many_but_not_deep(void **state)
{
    (void)state;
    char text[8000];
    size_t len = (size_t)snprintf(text, sizeof text, "%s",
                                  CHANNEL "policy\n    mine\n"
                                          "        include = \"p0\"\n");
    for (int i = 0; i < 20; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "    p%d\n        include = \"p%d\"\n", i, i + 1);
    }
    snprintf(text + len, sizeof text - len, "    p20\n");
    struct pw_why why = {0};
    assert_null(pw_settings_parse(text, "wall.conf", &why));
    assert_non_null(strstr(why.text, "more than 16 policies include one another; "));
}

/* -- Files and the environment ------------------------------------------------------------
 */

static const char *
source(const char *path)
{
    static char full_path[PATH_MAX];
    snprintf(full_path, sizeof full_path, "%s/%s", getenv("PW_SOURCE_DIR"), path);
    return full_path;
}

static void
the_shipped_configuration_loads_with_its_pack(void **state)
{
    (void)state;
    struct pw_why why = {0};
    struct pw_settings *it = pw_settings_load(source("config/picklewall.conf"), &why);
    assert_string_equal(why.text, "");
    assert_non_null(it);
    assert_string_equal(it->state, "/var/lib/picklewall");
    assert_string_equal(pw_policy_name(it->channels[0].policy), "python-data");
    pw_settings_free(&it);
}

static void
the_environment_overrides_top_level_settings(void **state)
{
    (void)state;
    char place[PW_PLACE_MAX], cwd[PATH_MAX], expected[PATH_MAX + 32];
    assert_non_null(getcwd(cwd, sizeof cwd));
    setenv("PICKLEWALL_STATE", "here", 1);
    setenv("PICKLEWALL_AUDIT_PASS", "summary", 1);
    setenv("PICKLEWALL_DRAIN_TIMEOUT", "1s", 1);
    setenv("PICKLEWALL_INSTANCE", "", 1);
    struct pw_settings *it = pw_settings_load(source("config/picklewall.conf"), NULL);
    assert_non_null(it);
    snprintf(expected, sizeof expected, "%s/here", cwd);
    assert_string_equal(it->state, expected);
    assert_false(it->audit_pass_each);
    assert_int_equal(it->drain_timeout_ms, 1000);
    pw_settings_place(it, "state", place);
    assert_string_equal(place, "environment: PICKLEWALL_STATE");
    pw_settings_free(&it);
    unsetenv("PICKLEWALL_STATE");
    unsetenv("PICKLEWALL_AUDIT_PASS");
    unsetenv("PICKLEWALL_DRAIN_TIMEOUT");
    unsetenv("PICKLEWALL_INSTANCE");
}

static const struct {
    const char *name;
    const char *keys;        /* PICKLEWALL_KEYS */
    const char *credentials; /* CREDENTIALS_DIRECTORY; NULL: unset */
    const char *expected;    /* the path, or a part of the sentence */
    bool good;
} credentials_cases[] = {
    {"the folder", "${CREDENTIALS_DIRECTORY}", "/run/c", "/run/c", true},
    {"below it", "${CREDENTIALS_DIRECTORY}/k", "/run/c", "/run/c/k", true},
    {"a dollar alone", "/a$b", NULL, "/a$b", true},
    {"unset", "${CREDENTIALS_DIRECTORY}", NULL,
     "environment: PICKLEWALL_KEYS: CREDENTIALS_DIRECTORY names no folder; give the "
     "systemd",
     false},
    {"empty", "${CREDENTIALS_DIRECTORY}", "", "names no folder", false},
    {"relative", "${CREDENTIALS_DIRECTORY}", "run", "names no folder", false},
    {"another variable", "${HOME}/keys", "/run/c", "\"${HOME}/keys\" asks for a variable",
     false},
    {"not at the start", "/a/${CREDENTIALS_DIRECTORY}", "/run/c", "only a leading", false},
    {"twice", "${CREDENTIALS_DIRECTORY}/${CREDENTIALS_DIRECTORY}", "/run/c",
     "only a leading", false},
    {"glued", "${CREDENTIALS_DIRECTORY}keys", "/run/c", "only a leading", false},
};

static void
a_path_may_begin_with_the_folder_of_credentials(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(credentials_cases); i++) {
        const char *name = credentials_cases[i].name;
        struct pw_why why = {0};
        setenv("PICKLEWALL_KEYS", credentials_cases[i].keys, 1);
        if (credentials_cases[i].credentials != NULL) {
            setenv("CREDENTIALS_DIRECTORY", credentials_cases[i].credentials, 1);
        }
        struct pw_settings *it = pw_settings_load(source("config/picklewall.conf"), &why);
        check_case(name, (it != NULL) == credentials_cases[i].good);
        check_case(name,
                   it == NULL || strcmp(it->keys, credentials_cases[i].expected) == 0);
        check_case(name, it != NULL || strstr(why.text, credentials_cases[i].expected));
        pw_settings_free(&it);
        unsetenv("CREDENTIALS_DIRECTORY");
    }
    unsetenv("PICKLEWALL_KEYS");
}

static void
a_key_in_the_environment_is_refused_and_not_repeated(void **state)
{
    (void)state;
    static const char *const secrets[] = {
        "PWSK1AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyBMsbDq",
        "secret: PWSK1AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyBMsbDq",
        "0102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F20",
    };
    for (size_t i = 0; i < PW_COUNT(secrets); i++) {
        struct pw_why why = {0};
        setenv("PICKLEWALL_KEYS", secrets[i], 1);
        assert_null(pw_settings_load(source("config/picklewall.conf"), &why));
        assert_non_null(strstr(why.text, "environment: PICKLEWALL_KEYS: holds a key"));
        assert_null(strstr(why.text, secrets[i] + strlen(secrets[i]) - 8));
    }
    unsetenv("PICKLEWALL_KEYS");
}

static void
text_in_memory_does_not_ask_the_environment(void **state)
{
    (void)state;
    setenv("PICKLEWALL_STATE", "/elsewhere", 1);
    struct pw_settings *it = parse("state = \"/s\"\n" CHANNEL MINE);
    assert_string_equal(it->state, "/s");
    pw_settings_free(&it);
    unsetenv("PICKLEWALL_STATE");
}

static void
the_packs_load_without_a_configuration(void **state)
{
    (void)state;
    setenv("PICKLEWALL_POLICIES", source("config/policies"), 1);
    struct pw_why why = {0};
    struct pw_settings *it = pw_settings_packs(&why);
    assert_string_equal(why.text, "");
    assert_non_null(it);
    const struct pw_policy *data = pw_settings_policy(it, "python-data");
    assert_non_null(data);
    assert_int_equal(pw_policy_size(data), 76);
    for (int door = PW_DOOR_EXTENSION; door < PW_DOOR_COUNT; door++) {
        assert_false(pw_policy_door(data, (enum pw_door)door));
    }
    assert_null(pw_settings_policy(it, "none"));
    pw_settings_free(&it);
    unsetenv("PICKLEWALL_POLICIES");
}

static void
python_data_lets_nothing_be_called_that_only_stands(void **state)
{
    (void)state;
    setenv("PICKLEWALL_POLICIES", source("config/policies"), 1);
    struct pw_settings *it = pw_settings_packs(NULL);
    assert_non_null(it);
    static const char *const names[] = {"int",   "float", "str",   "list",
                                        "tuple", "dict",  "object"};
    static const char *const mods[] = {"builtins", "__builtin__"};
    for (size_t i = 0; i < PW_COUNT(names) * PW_COUNT(mods); i++) {
        struct pw_span mod = pw_span_str(mods[i / PW_COUNT(names)]);
        struct pw_span name = pw_span_str(names[i % PW_COUNT(names)]);
        assert_true(allows(it, "python-data", mod, name, PW_USE_REF));
        assert_false(allows(it, "python-data", mod, name, PW_USE_CALL));
        assert_false(allows(it, "python-data", mod, name, PW_USE_NEW));
        assert_false(allows(it, "python-data", mod, name, PW_USE_BUILD));
    }
    static const char *const never[] = {"eval",       "exec", "getattr",
                                        "__import__", "map",  "type"};
    for (size_t i = 0; i < PW_COUNT(never); i++) {
        assert_null(pw_policy_entry(pw_settings_policy(it, "python-data"),
                                    BYTES("builtins"), pw_span_str(never[i])));
    }
    pw_settings_free(&it);
    unsetenv("PICKLEWALL_POLICIES");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(what_is_said_is_what_is_read),
        cmocka_unit_test(relative_paths_start_at_the_folder_of_the_file),
        cmocka_unit_test(a_place_is_where_the_setting_stands),
        cmocka_unit_test(a_policy_adds_up_what_it_includes),
        cmocka_unit_test(each_door_has_its_setting),
        cmocka_unit_test(limits_come_from_the_policy_then_its_includes_then_the_default),
        cmocka_unit_test(the_quarantine_has_limits),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line),
        cmocka_unit_test(includes_may_be_many_but_not_deep),
        cmocka_unit_test(the_shipped_configuration_loads_with_its_pack),
        cmocka_unit_test(the_environment_overrides_top_level_settings),
        cmocka_unit_test(a_path_may_begin_with_the_folder_of_credentials),
        cmocka_unit_test(a_key_in_the_environment_is_refused_and_not_repeated),
        cmocka_unit_test(text_in_memory_does_not_ask_the_environment),
        cmocka_unit_test(the_packs_load_without_a_configuration),
        cmocka_unit_test(python_data_lets_nothing_be_called_that_only_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
