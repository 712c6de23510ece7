/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of any bytes, as an audit log or the output of scan --json might hold them: what is
 * learned from them is a policy that holds, names nothing dangerous, and is ASCII.
 */
#include <stdlib.h>
#include <string.h>

#include "common/settings/settings.h"
#include "proxy/cli/learned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool
knows_none(void *arg, struct pw_span policy)
{
    (void)arg;
    (void)policy;
    return false;
}

/* In two pieces, cut where the first byte says. */
static void
feed(struct pw_learned *learned, struct pw_span bytes)
{
    struct pw_cursor cur = pw_cursor_over(bytes);
    size_t cut = (size_t)pw_cursor_uint(&cur, 1);
    cut = cut < cur.rest.len ? cut : cur.rest.len;
    must(pw_learned_feed(learned, pw_cursor_take(&cur, cut)) == PW_E_OK);
    must(pw_learned_feed(learned, cur.rest) == PW_E_OK);
    must(pw_learned_end(learned) == PW_E_OK);
    must(learned->malformed <= learned->lines);
}

static void
check_policy(const char *policy, size_t len)
{
    static const char head[] = "channel\n    a\n        in\n            bind = "
                               "\"tcp://127.0.0.1:1\"\n        out\n            bind = "
                               "\"tcp://127.0.0.1:2\"\n        policy = \"learned\"\n";
    for (size_t i = 0; i < len; i++) {
        must(policy[i] == '\n' || (policy[i] >= 0x20 && policy[i] < 0x7f));
    }
    size_t room = sizeof head + len;
    char *text = malloc(room);
    must(text != NULL);
    snprintf(text, room, "%s%s", head, policy);
    struct pw_why why = {0};
    struct pw_settings *settings = pw_settings_parse(text, "f", &why);
    must(settings != NULL && settings->warnings.len == 0);
    pw_settings_free(&settings);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_learned learned;
    struct pw_learn_options options = {.name = "learned", .is_known = knows_none};
    char *text = NULL;
    size_t len, written, left;
    pw_learned_init(&learned);
    feed(&learned, (struct pw_span){data, size});
    FILE *out = open_memstream(&text, &len);
    must(out != NULL);
    must(pw_learned_print(&learned, &options, out, &written, &left) == PW_E_OK);
    must(fclose(out) == 0);
    check_policy(text, len);
    free(text);
    pw_learned_free(&learned);
    return 0;
}
