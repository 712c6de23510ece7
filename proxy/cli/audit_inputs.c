/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_inputs.h"

#include <stdio.h>
#include <sysexits.h>

void
pw_audit_inputs_free(struct pw_audit_inputs *inputs)
{
    pw_settings_free(&inputs->settings);
}

bool
pw_audit_inputs_option(struct pw_audit_inputs *inputs, struct pw_args *args)
{
    return pw_args_value(args, "--config", &inputs->config) ||
           pw_args_value(args, "-c", &inputs->config) ||
           pw_args_value(args, "--state", &inputs->state);
}

void
pw_audit_inputs_add(struct pw_audit_inputs *inputs, const char *name)
{
    inputs->given++;
    if (inputs->count < PW_AUDIT_INPUTS) {
        inputs->names[inputs->count++] = name;
    }
}

static int
settle_configured(struct pw_audit_inputs *inputs)
{
    struct pw_why why = {{0}};
    inputs->settings = pw_settings_load(pw_command_config(inputs->config), &why);
    if (inputs->settings == NULL) {
        return pw_command_fail(PW_E_CONFIG, &why);
    }
    if (strcmp(inputs->settings->audit_file, "-") == 0) {
        (void)pw_fail(&why, PW_E_NO_INPUT,
                      "%s: the audit log goes to stdout; pipe it into this command, which "
                      "reads it as -",
                      inputs->settings->file);
        return pw_command_fail(PW_E_NO_INPUT, &why);
    }
    inputs->names[inputs->count++] = inputs->settings->audit_file;
    return EX_OK;
}

int
pw_audit_inputs_settle(struct pw_audit_inputs *inputs)
{
    if (inputs->given > PW_AUDIT_INPUTS) {
        return pw_command_misused("%d logs at a time are the most; use cat and -",
                                  PW_AUDIT_INPUTS);
    }
    if (inputs->given > 0 && (inputs->config != NULL || inputs->state != NULL)) {
        return pw_command_misused(
            "name the log itself, or where it is configured; not both");
    }
    if (inputs->given > 0) {
        return EX_OK;
    }
    if (inputs->state == NULL) {
        return settle_configured(inputs);
    }
    int len = snprintf(inputs->path, sizeof inputs->path, "%s/audit.jsonl", inputs->state);
    if (len >= (int)sizeof inputs->path) {
        return pw_command_misused("--state: too long for a path");
    }
    inputs->names[inputs->count++] = inputs->path;
    return EX_OK;
}

int
pw_audit_inputs_open(const struct pw_audit_inputs *inputs, struct pw_audit_source *source)
{
    struct pw_why why = {{0}};
    for (size_t i = 0; i < inputs->count; i++) {
        enum pw_err err = pw_audit_source_add(source, inputs->names[i], &why);
        if (err != PW_E_OK) {
            return pw_command_fail(err, &why);
        }
    }
    return EX_OK;
}
