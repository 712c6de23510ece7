/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/settings.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/settings/endpoint.h"
#include "common/settings/environment.h"
#include "common/settings/policies.h"
#include "common/settings/value.h"
#include "common/settings/wire.h"
#include "common/settings/zpl.h"
#include "common/sign/sign.h"

enum { CHANNELS_MAX = 256 };

/* One run over a checked document. */
struct reader {
    struct pw_settings *settings;
    const struct pw_zpl *doc;
    struct pw_why *why;
};

static enum pw_err
no_memory(const struct reader *reader)
{
    return pw_fail(reader->why, PW_E_NOMEM, "%s: out of memory", reader->settings->file);
}

/* Place an inner sentence at a line. */
static enum pw_err
fail_at(const struct reader *reader, size_t node, enum pw_err err,
        const struct pw_why *inner)
{
    (void)pw_zpl_fail(reader->doc, node, reader->why, "%s", inner->text);
    return err;
}

static void
free_side(struct pw_side *side)
{
    for (size_t i = 0; i < side->count; i++) {
        free(side->endpoints[i].address);
    }
    free(side->endpoints);
    free(side->curve.key);
    free(side->curve.clients);
    free(side->curve.server);
}

void
pw_settings_free(struct pw_settings **settings)
{
    struct pw_settings *it = *settings;
    if (it == NULL) {
        return;
    }
    for (size_t i = 0; i < it->channel_count; i++) {
        free_side(&it->channels[i].in);
        free_side(&it->channels[i].out);
        free(it->channels[i].sign);
        free(it->channels[i].name);
    }
    for (size_t i = 0; i < it->policy_count; i++) {
        pw_policy_free(&it->policies[i]);
    }
    free(it->channels);
    free(it->policies);
    pw_buf_free(&it->warnings);
    free(it->file);
    free(it->state);
    free(it->keys);
    free(it->quarantine_seal);
    free(it->control);
    free(it->instance);
    free(it->audit_file);
    free(it->audit_key);
    free(it->audit_mirror);
    free(it->audit_publish);
    free(it->http);
    free(it->http_name);
    free(it->audit_syslog_socket);
    pw_zpl_free(&it->source);
    free(it);
    *settings = NULL;
}

static enum pw_err
begin_channel(struct reader *reader, size_t node)
{
    struct pw_settings *settings = reader->settings;
    if (settings->channel_count == CHANNELS_MAX) {
        return pw_zpl_fail(reader->doc, node, reader->why,
                           "is more than %d channels; run a second wall", CHANNELS_MAX);
    }
    struct pw_channel *channels =
        realloc(settings->channels, (settings->channel_count + 1) * sizeof *channels);
    if (channels == NULL) {
        return no_memory(reader);
    }
    settings->channels = channels;
    struct pw_channel *channel = &channels[settings->channel_count++];
    *channel = (struct pw_channel){.in = {.buffer = -1}, .out = {.buffer = -1}};
    channel->name = strdup(reader->doc->nodes[node].name);
    return channel->name == NULL ? no_memory(reader)
                                 : pw_value_defaults(PW_BASE_CHANNEL, channel, reader->why);
}

/* Whether `endpoint` can live beside one that was set before. */
static bool
gets_along(const struct pw_endpoint *earlier, bool bind, const char *address,
           bool same_channel)
{
    if (earlier->bind && bind) {
        return !pw_endpoint_clash(earlier->address, address);
    }
    return !same_channel || strcmp(earlier->address, address) != 0;
}

static enum pw_err
check_unique(const struct reader *reader, size_t node, bool bind)
{
    const struct pw_settings *settings = reader->settings;
    const char *address = reader->doc->nodes[node].value;
    for (size_t i = 0; i < settings->channel_count; i++) {
        const struct pw_channel *channel = &settings->channels[i];
        const struct pw_side *sides[] = {&channel->in, &channel->out};
        for (size_t j = 0; j < sides[0]->count + sides[1]->count; j++) {
            bool out = j >= sides[0]->count;
            const struct pw_endpoint *earlier =
                &sides[out]->endpoints[out ? j - sides[0]->count : j];
            if (!gets_along(earlier, bind, address, i + 1 == settings->channel_count)) {
                return pw_zpl_fail(reader->doc, node, reader->why,
                                   "\"%.120s\" is taken by channel.%s.%s already; choose "
                                   "another",
                                   address, channel->name, out ? "out" : "in");
            }
        }
    }
    return PW_E_OK;
}

static enum pw_err
add_endpoint(struct reader *reader, size_t node, struct pw_side *side)
{
    const char *address = reader->doc->nodes[node].value;
    bool bind = strcmp(reader->doc->nodes[node].name, "bind") == 0;
    struct pw_why inner = {0};
    enum pw_err err = pw_endpoint_check(address, bind, &inner);
    if (err != PW_E_OK) {
        return fail_at(reader, node, err, &inner);
    }
    err = check_unique(reader, node, bind);
    if (err != PW_E_OK) {
        return err;
    }
    struct pw_endpoint *endpoints =
        realloc(side->endpoints, (side->count + 1) * sizeof *endpoints);
    if (endpoints == NULL) {
        return no_memory(reader);
    }
    side->endpoints = endpoints;
    endpoints[side->count] = (struct pw_endpoint){bind, strdup(address)};
    if (endpoints[side->count].address == NULL) {
        return no_memory(reader);
    }
    side->count++;
    return PW_E_OK;
}

static enum pw_err
read_node(struct reader *reader, size_t node)
{
    struct pw_settings *settings = reader->settings;
    if (pw_schema_is_named(reader->doc, node, "channel")) {
        return begin_channel(reader, node);
    }
    const struct pw_row *row = pw_schema_row(reader->doc, node);
    if (row == NULL || row->base == PW_BASE_POLICY || row->type == PW_TYPE_POLICY) {
        return PW_E_OK; /* policies are built when all lines are known */
    }
    void *base = row->base == PW_BASE_SETTINGS
                     ? (void *)settings
                     : (void *)&settings->channels[settings->channel_count - 1];
    if (row->type == PW_TYPE_ENDPOINT) {
        return add_endpoint(reader, node, (struct pw_side *)((char *)base + row->offset));
    }
    struct pw_why inner = {0};
    enum pw_err err = pw_value_read(row, reader->doc->nodes[node].value, base, &inner);
    return err == PW_E_OK ? err : fail_at(reader, node, err, &inner);
}

static enum pw_err
read_nodes(struct reader *reader)
{
    enum pw_err err = PW_E_OK;
    for (size_t node = 0; err == PW_E_OK && node < reader->doc->count; node++) {
        err = read_node(reader, node);
    }
    return err;
}

/* A failure at the line of a channel's setting, or of the channel when it has no such line.
 */
static enum pw_err
fail_channel(const struct reader *reader, const struct pw_channel *channel, const char *key,
             const char *sentence)
{
    char path[PW_ZPL_PATH_MAX];
    snprintf(path, sizeof path, "channel.%s.%s", channel->name, key);
    size_t node = pw_zpl_find(reader->doc, path);
    if (node == PW_ZPL_NONE) {
        snprintf(path, sizeof path, "channel.%s", channel->name);
        node = pw_zpl_find(reader->doc, path);
    }
    return pw_zpl_fail(reader->doc, node, reader->why, "%s", sentence);
}

static enum pw_err
check_channel(const struct reader *reader, const struct pw_channel *channel)
{
    if (channel->in.count == 0) {
        return fail_channel(
            reader, channel, "in",
            "has no endpoint; add in with bind = \"tcp://127.0.0.1:8006\" for "
            "the producers");
    }
    if (channel->out.count == 0) {
        return fail_channel(
            reader, channel, "out",
            "has no endpoint; add out with bind = \"tcp://127.0.0.1:8007\" for "
            "the consumers");
    }
    if (channel->verify != PW_SET_VERIFY_OFF && reader->settings->keys == NULL) {
        return fail_channel(reader, channel, "verify",
                            "needs the keys of the senders; set keys to their folder");
    }
    if (channel->verify == PW_SET_VERIFY_OPTIONAL &&
        channel->envelope >= PW_SET_ENVELOPE_SUFFIX) {
        return fail_channel(reader, channel, "verify",
                            "nothing tells an unsigned message of this envelope from one "
                            "with a wrong signature; write required or off");
    }
    if (channel->sign != NULL && reader->settings->keys == NULL) {
        return fail_channel(reader, channel, "sign",
                            "needs its key; set keys to the folder that holds it");
    }
    if (channel->sign != NULL && channel->max_frames > PW_SIGN_FRAMES_MAX) {
        return fail_channel(
            reader, channel, "max_frames",
            "is more than a signature covers; write at most 1024, or do not sign");
    }
    return PW_E_OK;
}

static enum pw_err
check_channels(const struct reader *reader)
{
    const struct pw_settings *settings = reader->settings;
    if (settings->channel_count == 0) {
        return pw_fail(
            reader->why, PW_E_CONFIG,
            "%s: channel: there is none; add channel, a name below it, and its in, "
            "out and policy",
            settings->file);
    }
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && i < settings->channel_count; i++) {
        err = check_channel(reader, &settings->channels[i]);
    }
    return err;
}

static enum pw_err
build_policies(struct reader *reader, struct pw_policies *set)
{
    enum pw_err err = pw_policies_add(set, reader->doc, reader->why);
    err = err == PW_E_OK ? pw_policies_build(set, reader->why) : err;
    size_t channel = 0;
    for (size_t node = 0; err == PW_E_OK && node < reader->doc->count; node++) {
        const struct pw_row *row = pw_schema_row(reader->doc, node);
        if (row == NULL || row->type != PW_TYPE_POLICY) {
            continue;
        }
        struct pw_why inner = {0};
        struct pw_policy *policy = NULL;
        err = pw_policies_get(set, reader->doc->nodes[node].value, &policy, &inner);
        reader->settings->channels[channel++].policy = policy;
        err = err == PW_E_OK ? err : fail_at(reader, node, err, &inner);
    }
    if (err != PW_E_OK) {
        return err;
    }
    reader->settings->warnings = pw_policies_warnings(set);
    reader->settings->policies = pw_policies_take(set, &reader->settings->policy_count);
    return reader->settings->policies == NULL ? no_memory(reader) : PW_E_OK;
}

/* Make *path absolute: relative ones start at `folder`. */
static enum pw_err
anchor(const struct reader *reader, char **path, const char *folder)
{
    if (*path == NULL || (*path)[0] == '/') {
        return PW_E_OK;
    }
    size_t room = strlen(folder) + strlen(*path) + 2;
    char *joined = malloc(room);
    if (joined == NULL) {
        return no_memory(reader);
    }
    snprintf(joined, room, "%s%s%s", folder, strcmp(folder, "/") == 0 ? "" : "/", *path);
    free(*path);
    *path = joined;
    return PW_E_OK;
}

/* The absolute folder of a file; false when the working directory is gone. */
static bool
folder_of(const char *file, char out[static PATH_MAX])
{
    char cwd[PATH_MAX];
    const char *slash = strrchr(file, '/');
    int len = slash == NULL ? 0 : (int)(slash - file);
    if (slash != NULL && file[0] == '/') {
        return snprintf(out, PATH_MAX, "%.*s", len > 0 ? len : 1, file) < PATH_MAX;
    }
    return getcwd(cwd, sizeof cwd) != NULL &&
           snprintf(out, PATH_MAX, "%s%s%.*s", cwd, len > 0 ? "/" : "", len, file) <
               PATH_MAX;
}

static enum pw_err
anchor_curve(const struct reader *reader, const char *folder)
{
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && i < reader->settings->channel_count * 2; i++) {
        struct pw_channel *channel = &reader->settings->channels[i / 2];
        struct pw_curve_setting *curve =
            i % 2 == 0 ? &channel->in.curve : &channel->out.curve;
        bool any = curve->clients != NULL && strcmp(curve->clients, "*") == 0;
        err = anchor(reader, &curve->key, folder);
        err = err == PW_E_OK ? anchor(reader, &curve->server, folder) : err;
        err = err == PW_E_OK && !any ? anchor(reader, &curve->clients, folder) : err;
    }
    return err;
}

static enum pw_err
anchor_paths(const struct reader *reader)
{
    struct pw_settings *settings = reader->settings;
    char folder[PATH_MAX], cwd[PATH_MAX];
    if (!folder_of(settings->file, folder) || !folder_of("x", cwd)) {
        return pw_fail(reader->why, PW_E_OS,
                       "%s: its folder cannot be told; use an absolute path",
                       settings->file);
    }
    enum pw_err err = anchor(reader, &settings->state,
                             pw_environment_set(settings, "state") ? cwd : folder);
    if (err == PW_E_OK) {
        err = anchor(reader, &settings->keys,
                     pw_environment_set(settings, "keys") ? cwd : folder);
    }
    if (err == PW_E_OK) {
        err = anchor(reader, &settings->quarantine_seal,
                     pw_environment_set(settings, "quarantine.seal") ? cwd : folder);
    }
    char **const in_state[] = {&settings->control, &settings->audit_file,
                               &settings->audit_key, &settings->audit_mirror,
                               &settings->audit_syslog_socket};
    for (size_t i = 0; err == PW_E_OK && i < PW_COUNT(in_state); i++) {
        if (*in_state[i] != NULL && strcmp(*in_state[i], "-") != 0) {
            err = anchor(reader, in_state[i], settings->state);
        }
    }
    return err == PW_E_OK ? anchor_curve(reader, folder) : err;
}

/* What two settings of the audit log mean together. */
static enum pw_err
check_audit(const struct reader *reader)
{
    const struct pw_settings *settings = reader->settings;
    char place[PW_PLACE_MAX];
    if (settings->audit_stdout && strcmp(settings->audit_file, "-") == 0) {
        pw_settings_place(settings, "audit.stdout", place);
        return pw_fail(reader->why, PW_E_CONFIG,
                       "%s: audit.file is stdout already; name a file there, or leave this "
                       "line out",
                       place);
    }
    bool lines = settings->audit_stdout || strcmp(settings->audit_file, "-") == 0;
    if (lines && settings->audit_mirror != NULL &&
        strcmp(settings->audit_mirror, "-") == 0) {
        pw_settings_place(settings, "audit.mirror", place);
        return pw_fail(reader->why, PW_E_CONFIG,
                       "%s: stdout has the lines, and so the checkpoints, already; name a "
                       "file, or leave this line out",
                       place);
    }
    return PW_E_OK;
}

static enum pw_err
name_instance(const struct reader *reader)
{
    char host[HOST_NAME_MAX + 1] = "";
    if (reader->settings->instance != NULL) {
        return PW_E_OK;
    }
    bool usable = gethostname(host, sizeof host - 1) == 0 && pw_schema_is_name(host);
    reader->settings->instance = strdup(usable ? host : "picklewall");
    return reader->settings->instance == NULL ? no_memory(reader) : PW_E_OK;
}

/* Everything behind the check of the text's form. */
static enum pw_err
fill(struct reader *reader, char *const folders[static PW_PACK_FOLDERS], bool environment)
{
    enum pw_err err = pw_value_defaults(PW_BASE_SETTINGS, reader->settings, reader->why);
    err = err == PW_E_OK ? pw_schema_check(reader->doc, reader->why) : err;
    err = err == PW_E_OK ? read_nodes(reader) : err;
    err = err == PW_E_OK && environment
              ? pw_environment_apply(reader->settings, reader->why)
              : err;
    err = err == PW_E_OK && environment
              ? pw_environment_expand(reader->settings, reader->why)
              : err;
    err = err == PW_E_OK ? check_channels(reader) : err;
    err = err == PW_E_OK ? check_audit(reader) : err;
    err = err == PW_E_OK ? pw_wire_check(reader->settings, reader->why) : err;
    err = err == PW_E_OK ? anchor_paths(reader) : err;
    err = err == PW_E_OK ? name_instance(reader) : err;
    if (err != PW_E_OK) {
        return err;
    }
    struct pw_policies *set = pw_policies_new(folders);
    err = set != NULL ? build_policies(reader, set) : no_memory(reader);
    pw_policies_free(&set);
    return err == PW_E_OK ? pw_wire_warn(reader->settings, reader->why) : err;
}

static struct pw_settings *
parse(struct pw_span text, const char *file, char *const folders[static PW_PACK_FOLDERS],
      bool environment, struct pw_why *why)
{
    struct pw_settings *settings = calloc(1, sizeof *settings);
    if (settings == NULL || (settings->file = strdup(file)) == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "%s: out of memory", file);
        pw_settings_free(&settings);
        return NULL;
    }
    settings->source = pw_zpl_parse(text, file, why);
    struct reader reader = {settings, settings->source, why};
    if (reader.doc == NULL || fill(&reader, folders, environment) != PW_E_OK) {
        pw_settings_free(&settings);
    }
    return settings;
}

struct pw_settings *
pw_settings_parse(const char *text, const char *file, struct pw_why *why)
{
    char *const folders[PW_PACK_FOLDERS] = {NULL};
    return parse(pw_span_str(text), file, folders, false, why);
}

/* Where packs may be; `folders` points into it. */
struct search {
    char beside_config[PATH_MAX];
    char beside_program[PATH_MAX]; /* in a build tree, or unpacked anywhere */
    char *folders[PW_PACK_FOLDERS];
};

/* "FOLDER/policies" for the folder of `file`; false when it is too long. */
static bool
policies_beside(const char *file, char out[static PATH_MAX])
{
    const char *slash = strrchr(file, '/');
    int len = slash == NULL ? 0 : (int)(slash - file) + 1;
    return snprintf(out, PATH_MAX, "%.*spolicies", len, file) < PATH_MAX;
}

static void
find_folders(const char *config, struct search *search)
{
    static char installed[] = PW_POLICY_DIR;
    char program[PATH_MAX];
    *search = (struct search){0};
    char *named = getenv("PICKLEWALL_POLICIES");
    if (named != NULL && named[0] != '\0') {
        search->folders[0] = named;
        return;
    }
    size_t count = 0;
    if (config != NULL && policies_beside(config, search->beside_config)) {
        search->folders[count++] = search->beside_config;
    }
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    program[len > 0 ? len : 0] = '\0';
    if (len > 0 && policies_beside(program, search->beside_program)) {
        search->folders[count++] = search->beside_program;
    }
    search->folders[count] = installed;
}

bool
pw_settings_pack_folder(const struct pw_settings *settings, size_t number,
                        char out[static PATH_MAX])
{
    struct search search;
    find_folders(settings->file, &search);
    if (number >= PW_PACK_FOLDERS || search.folders[number] == NULL) {
        return false;
    }
    snprintf(out, PATH_MAX, "%s", search.folders[number]);
    return true;
}

struct pw_settings *
pw_settings_load(const char *path, struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_ZPL_TEXT_MAX + 1};
    enum pw_err err = pw_file_read(path, &text);
    if (err == PW_E_NO_INPUT) {
        (void)pw_fail(why, err,
                      "%s: no such file; name one with --config FILE or PICKLEWALL_CONFIG",
                      path);
        return NULL;
    }
    if (err != PW_E_OK && err != PW_E_LIMIT) { /* too large is said by the parser */
        (void)pw_fail(why, err, "%s: %s; make it a file that this user may read", path,
                      pw_err_text(err));
        return NULL;
    }
    struct search search;
    find_folders(path, &search);
    return parse(pw_buf_span(&text), path, search.folders, true, why);
}

const struct pw_policy *
pw_settings_policy(const struct pw_settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->policy_count; i++) {
        if (strcmp(pw_policy_name(settings->policies[i]), name) == 0) {
            return settings->policies[i];
        }
    }
    return NULL;
}

static enum pw_err
take_packs(struct pw_settings *settings, struct pw_policies *set, struct pw_why *why)
{
    enum pw_err err = pw_policies_build(set, why);
    if (err != PW_E_OK) {
        return err;
    }
    settings->warnings = pw_policies_warnings(set);
    settings->policies = pw_policies_take(set, &settings->policy_count);
    return settings->policies != NULL ? PW_E_OK : pw_fail(why, PW_E_NOMEM, "out of memory");
}

struct pw_settings *
pw_settings_packs(struct pw_why *why)
{
    struct search search;
    find_folders(NULL, &search);
    PW_CLEANUP(pw_policies_free) struct pw_policies *set = pw_policies_new(search.folders);
    struct pw_settings *settings = calloc(1, sizeof *settings);
    if (set == NULL || settings == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        pw_settings_free(&settings);
        return NULL;
    }
    if (take_packs(settings, set, why) != PW_E_OK) {
        pw_settings_free(&settings);
    }
    return settings;
}

void
pw_settings_place(const struct pw_settings *settings, const char *path,
                  char out[static PW_PLACE_MAX])
{
    if (pw_environment_set(settings, path)) {
        pw_environment_place(path, out, PW_PLACE_MAX);
        return;
    }
    size_t node = pw_zpl_find(settings->source, path);
    if (node == PW_ZPL_NONE) {
        snprintf(out, PW_PLACE_MAX, "%s: %s", settings->file, path);
        return;
    }
    snprintf(out, PW_PLACE_MAX, "%s:%u: %s", settings->file,
             settings->source->nodes[node].line, path);
}
