/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/pickle/report.h"
#include "common/policy/dangerous.h"
#include "common/settings/schema.h"
#include "proxy/cli/json_line.h"
#include "proxy/cli/learned.h"
#include "proxy/cli/uses.h"

/*
 * One policy is a file of at most PW_ZPL_TEXT_MAX bytes and PW_ZPL_NODES_MAX settings, in
 * lines of at most PW_ZPL_LINE_MAX. An escape makes six bytes of one: what is quoted in a
 * comment is cut so that two names, or a date and three channels, still fit.
 */
enum {
    TEXT_MAX = PW_ZPL_TEXT_MAX - 65536,
    ENTRIES_MAX = PW_ZPL_NODES_MAX - 100,
    QUOTED = 72,
    QUOTED_LABEL = 24,
    LABELS_SHOWN = 3,
};

struct page {
    const struct pw_learned *learned;
    const struct pw_learn_options *options;
    FILE *out;
    size_t written;
    size_t left;
    size_t rare;
    bool covered; /* every policy that judged is included: what it allowed stays allowed */
    struct pw_span module; /* that the last heading names */
    bool headed;
};

static struct pw_span
mod_of(const struct pw_seen *seen)
{
    return (struct pw_span){seen->text, seen->mod_len};
}

static struct pw_span
name_of(const struct pw_seen *seen)
{
    return (struct pw_span){seen->text + seen->mod_len, seen->name_len};
}

/* By module, then name, in byte order. */
static int
compare(const void *left, const void *right)
{
    const struct pw_seen *a = *(const struct pw_seen *const *)left;
    const struct pw_seen *b = *(const struct pw_seen *const *)right;
    struct pw_span texts[][2] = {{mod_of(a), mod_of(b)}, {name_of(a), name_of(b)}};
    for (size_t i = 0; i < PW_COUNT(texts); i++) {
        struct pw_span x = texts[i][0], y = texts[i][1];
        size_t both = x.len < y.len ? x.len : y.len;
        int order = both == 0 ? 0 : memcmp(x.ptr, y.ptr, both);
        order = order != 0 ? order : (x.len > y.len) - (x.len < y.len);
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static bool
is_word_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_';
}

/* Words with single dots between, all ASCII: letters that look alike could fool a reader.
 */
static bool
is_plain_name(struct pw_span text)
{
    bool after_dot = true;
    for (size_t i = 0; i < text.len; i++) {
        bool dot = text.ptr[i] == '.';
        if (!(dot ? !after_dot : is_word_byte(text.ptr[i]))) {
            return false;
        }
        after_dot = dot;
    }
    return !after_dot;
}

static void
print_cut(FILE *out, struct pw_span text, size_t most)
{
    bool cut = text.len > most;
    pw_print_text(out, (struct pw_span){text.ptr, cut ? most : text.len});
    fputs(cut ? "..." : "", out);
}

static void
print_pair(FILE *out, const struct pw_seen *seen, size_t most)
{
    print_cut(out, mod_of(seen), most);
    fputc(':', out);
    print_cut(out, name_of(seen), most);
}

static void
print_heading(struct page *page, const struct pw_seen *seen)
{
    if (page->headed && pw_span_equal(page->module, mod_of(seen))) {
        return;
    }
    page->headed = true;
    page->module = mod_of(seen);
    fputs("\n        # -- ", page->out);
    print_cut(page->out, mod_of(seen), QUOTED);
    fputc('\n', page->out);
}

static const char *
plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void
print_channels(const struct page *page, uint32_t channels)
{
    int more = __builtin_popcount(channels) - LABELS_SHOWN;
    const char *before = more == 1 - LABELS_SHOWN ? "; channel " : "; channels ";
    int shown = 0;
    for (size_t i = 0; i < page->learned->channel_count && shown < LABELS_SHOWN; i++) {
        if ((channels >> i & 1) != 0) {
            const struct pw_label *label = &page->learned->channels[i];
            fputs(shown++ == 0 ? before : ", ", page->out);
            print_cut(page->out, (struct pw_span){label->text, label->len}, QUOTED_LABEL);
        }
    }
    if (more > 0) {
        fprintf(page->out, " and %d more", more);
    }
}

/* How often, since when, where. */
static void
print_history(const struct page *page, const struct pw_seen *seen)
{
    fprintf(page->out, "        #   seen %" PRIu64 " time%s; first %s", seen->count,
            plural(seen->count), seen->dated ? "" : "in ");
    pw_print_text(page->out, (struct pw_span){seen->first, seen->first_len});
    fputs(seen->first_cut ? "..." : "", page->out);
    print_channels(page, seen->channels);
    if (seen->any_use) {
        fputs("; its uses are not told: narrow them", page->out);
    }
    fputc('\n', page->out);
}

static void
print_entry(const struct page *page, const struct pw_seen *seen, const char *before)
{
    fprintf(page->out, "        %sallow = \"", before);
    print_pair(page->out, seen, PW_LEARN_NAME);
    uint8_t uses = seen->uses == 0 ? 1 << PW_USE_REF : seen->uses;
    for (unsigned use = 0; !seen->any_use && use < PW_USE_COUNT; use++) {
        if ((uses >> use & 1) != 0) {
            fprintf(page->out, " %s", pw_use_word((enum pw_use)use));
        }
    }
    fputs("\"\n", page->out);
}

/* Why the name stays a comment; NULL when it may be allowed. */
static const char *
why_not(const struct pw_seen *seen)
{
    const struct pw_danger *danger = pw_dangerous(mod_of(seen), name_of(seen));
    if (seen->cut) {
        return "longer than any name should be";
    }
    if (!is_plain_name(mod_of(seen)) || !is_plain_name(name_of(seen))) {
        return "no plain name, or one that the log cut short";
    }
    return danger == NULL ? NULL : danger->note;
}

static void
print_seen(struct page *page, const struct pw_seen *seen)
{
    const char *reason = why_not(seen);
    print_heading(page, seen);
    print_history(page, seen);
    bool plain = !seen->cut && is_plain_name(mod_of(seen)) && is_plain_name(name_of(seen));
    bool wanted = seen->refused || !page->covered;
    if (!wanted) {
        fputs("        #   allowed by what is included above\n", page->out);
    } else if (reason != NULL) {
        fprintf(page->out, "        #   left out: %s\n", reason);
    } else {
        page->written++;
    }
    if (plain) {
        print_entry(page, seen, wanted && reason == NULL ? "" : "# ");
        return;
    }
    fputs("        #   ", page->out);
    print_pair(page->out, seen, QUOTED);
    fputc('\n', page->out);
}

static void
print_names(struct page *page, const struct pw_seen *const *sorted)
{
    for (size_t i = 0; i < page->learned->seen_count; i++) {
        const struct pw_seen *seen = sorted[i];
        if (seen->count < page->options->least) {
            page->rare++;
        } else if (ftell(page->out) > TEXT_MAX || page->written == ENTRIES_MAX) {
            page->left++;
        } else {
            print_seen(page, seen);
        }
    }
}

static void
print_includes(struct page *page)
{
    page->covered = true;
    for (size_t i = 0; i < page->learned->policy_count; i++) {
        const struct pw_label *label = &page->learned->policies[i];
        struct pw_span name = {label->text, label->len};
        char text[sizeof label->text + 1];
        snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.ptr);
        bool own = strcmp(text, page->options->name) == 0;
        bool known = !own && page->options->is_known(page->options->arg, name);
        page->covered = page->covered && known;
        if (own || strlen(text) != name.len || !pw_schema_is_name(text)) {
            continue;
        }
        fprintf(page->out, "        %sinclude = \"%s\"%s\n", known ? "" : "# ", text,
                known ? "" : "   # judged some of it; put it back where that is defined");
    }
}

/* The setting that waives findings of this door; NULL when there is none. */
static const char *
door_setting(enum pw_door door)
{
    static const char section[] = "policy.NAME.";
    size_t offset = offsetof(struct pw_policy_draft, doors) + door * sizeof(bool);
    for (size_t i = 0; i < pw_row_count && door != PW_DOOR_NONE; i++) {
        if (pw_rows[i].offset == offset && pw_rows[i].size == sizeof(bool) &&
            strncmp(pw_rows[i].path, section, sizeof section - 1) == 0) {
            return pw_rows[i].path + sizeof section - 1;
        }
    }
    return NULL;
}

static void
print_others(const struct page *page)
{
    bool headed = false;
    for (int reason = 1; reason < PW_R_COUNT; reason++) {
        uint64_t count = page->learned->others[reason];
        if (count == 0) {
            continue;
        }
        fputs(headed ? "" : "\n        # -- refused for what no entry allows\n", page->out);
        headed = true;
        fprintf(page->out, "        #   %" PRIu64 " x %s: %s\n", count,
                pw_reason_code((enum pw_reason)reason),
                pw_reason_text((enum pw_reason)reason));
        const char *setting = door_setting(pw_reason_door((enum pw_reason)reason));
        if (setting != NULL) {
            fprintf(page->out, "        # %s = yes\n", setting);
        }
    }
}

static void
print_page(struct page *page, const struct pw_seen *const *sorted)
{
    fprintf(
        page->out,
        "#   %s: what %" PRIu64 " line%s told.\n"
        "#\n"
        "#   A name that was seen is not thereby harmless: whoever wrote these messages\n"
        "#   chose it. Take out what you do not know, and narrow uses and arguments;\n"
        "#   picklewall-policy(5) says how.\n"
        "\n"
        "policy\n"
        "    %s\n",
        page->options->name, page->learned->lines - page->learned->malformed,
        plural(page->learned->lines - page->learned->malformed), page->options->name);
    print_includes(page);
    print_names(page, sorted);
    if (page->rare > 0) {
        fprintf(page->out,
                "\n        #   %zu name%s of fewer than %" PRIu64 " lines left out\n",
                page->rare, plural(page->rare), page->options->least);
    }
    if (page->left > 0) {
        fprintf(page->out, "\n        #   %zu name%s more than one policy can hold\n",
                page->left, plural(page->left));
    }
    print_others(page);
}

enum pw_err
pw_learned_print(const struct pw_learned *learned, const struct pw_learn_options *options,
                 FILE *out, size_t *written, size_t *left)
{
    const struct pw_seen **sorted =
        calloc(learned->seen_count + 1, sizeof(const struct pw_seen *));
    char *text = NULL;
    size_t len = 0;
    FILE *memory = sorted == NULL ? NULL : open_memstream(&text, &len);
    if (memory == NULL) {
        free(sorted);
        return PW_E_NOMEM;
    }
    for (size_t i = 0; i < learned->seen_count; i++) {
        sorted[i] = &learned->seen[i];
    }
    qsort(sorted, learned->seen_count, sizeof(const struct pw_seen *), compare);
    struct page page = {.learned = learned, .options = options, .out = memory};
    print_page(&page, sorted);
    free(sorted);
    bool whole = !ferror(memory);
    whole = fclose(memory) == 0 && whole;
    if (whole) {
        fwrite(text, 1, len, out);
    }
    free(text);
    *written = page.written;
    *left = page.left;
    return whole ? PW_E_OK : PW_E_NOMEM;
}
