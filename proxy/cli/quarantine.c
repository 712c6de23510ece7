/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/quarantine.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/ulid.h"
#include "common/settings/settings.h"
#include "proxy/cli/json_line.h"

bool
pw_quarantine_option(struct pw_quarantine_place *place, struct pw_args *args)
{
    if (pw_args_flag(args, "--json")) {
        place->json = true;
        return true;
    }
    return pw_args_value(args, "--config", &place->config) ||
           pw_args_value(args, "--state", &place->state);
}

bool
pw_quarantine_read_option(struct pw_quarantine_place *place, struct pw_args *args)
{
    return pw_quarantine_option(place, args) ||
           pw_args_value(args, "--unseal", &place->unseal);
}

enum pw_err
pw_quarantine_path(const struct pw_quarantine_place *place,
                   char out[static PW_QUARANTINE_PATH], struct pw_why *why)
{
    PW_CLEANUP(pw_settings_free) struct pw_settings *settings = NULL;
    const char *state = place->state;
    if (state == NULL) {
        settings = pw_settings_load(pw_command_config(place->config), why);
        state = settings == NULL ? NULL : settings->state;
    }
    if (state == NULL) {
        return PW_E_CONFIG;
    }
    return snprintf(out, PW_QUARANTINE_PATH, "%s/quarantine", state) < PW_QUARANTINE_PATH
               ? PW_E_OK
               : pw_fail(why, PW_E_NO_INPUT, "%.64s…: a path that is too long", state);
}

struct pw_store *
pw_quarantine_open(const struct pw_quarantine_place *place, enum pw_err *err,
                   struct pw_why *why)
{
    char path[PW_QUARANTINE_PATH];
    *err = pw_quarantine_path(place, path, why);
    if (*err != PW_E_OK) {
        return NULL;
    }
    struct pw_store *store = pw_store_open_readonly(path, why);
    if (store == NULL) {
        *err = PW_E_NO_INPUT;
        return NULL;
    }
    *err = place->unseal == NULL ? PW_E_OK : pw_store_unseal(store, place->unseal, why);
    if (*err != PW_E_OK) {
        pw_store_free(&store);
    }
    return store;
}

void
pw_quarantine_print_time(const char *entry)
{
    char text[PW_CLOCK_TEXT];
    pw_clock_format(pw_ulid_ms(entry) * 1000000, text);
    text[10] = ' ';
    printf("%.23s", text);
}

void
pw_quarantine_print_column(struct pw_span text, size_t width)
{
    pw_print_text(stdout, text);
    printf("%*s", text.len < width ? (int)(width - text.len) : 0, "");
}
