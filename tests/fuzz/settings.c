/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration of any bytes: settings or one sentence, no files touched.
 */
#include <stdlib.h>
#include <string.h>

#include "common/settings/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_at(const struct pw_settings *settings)
{
    char place[PW_PLACE_MAX];
    for (size_t i = 0; i < settings->channel_count; i++) {
        const struct pw_channel *channel = &settings->channels[i];
        if (channel->policy == NULL || channel->in.count == 0 || channel->out.count == 0 ||
            channel->frames.count == 0) {
            abort(); /* half a channel */
        }
        pw_settings_place(settings, channel->name, place);
    }
    if (settings->channel_count == 0 || settings->instance == NULL ||
        settings->state[0] != '/') {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, size > 0 ? (const char *)data : "", size);
    text[size] = '\0';
    struct pw_why why = {0};
    struct pw_settings *settings = pw_settings_parse(text, "f", &why);
    if (settings != NULL) {
        look_at(settings);
    } else if (why.text[0] == '\0' || strncmp(why.text, "f: internal", 11) == 0) {
        abort(); /* refused without words, or zconfig reads it as we do not */
    }
    pw_settings_free(&settings);
    free(text);
    return 0;
}
