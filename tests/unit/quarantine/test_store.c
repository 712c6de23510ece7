/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/quarantine/check.h"
#include "common/quarantine/release.h"
#include "common/quarantine/seal.h"
#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/quarantine/folder.h"

static const char *
path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static size_t
files_in(const char *name)
{
    size_t count = 0;
    DIR *dir = opendir(path_of(name));
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static struct pw_store *
open_store(void)
{
    struct pw_why why = {{0}};
    struct pw_store *store = pw_store_open(root, &why);
    if (store == NULL) {
        fail_msg("%s", why.text);
    }
    return store;
}

static enum pw_err
put(struct pw_store *store, const struct pw_span *frames, size_t count, const char *meta,
    struct pw_stored *stored, struct pw_why *why)
{
    const struct pw_put what = {
        .frames = frames, .count = count, .chan = "jobs", .meta = pw_span_str(meta)};
    return pw_store_put(store, &what, stored, why);
}

static struct pw_stored
put_text(struct pw_store *store, const char *text)
{
    struct pw_stored stored;
    struct pw_span frames[] = {pw_span_str("topic"), pw_span_str(text)};
    assert_int_equal(put(store, frames, 2, "\"chan\":\"jobs\"", &stored, NULL), PW_E_OK);
    return stored;
}

static void
assert_holds(struct pw_store *store, const char *id, const char *text)
{
    struct pw_held held;
    struct pw_why why = {{0}};
    struct pw_buf json = {.limit = 65536};
    if (pw_store_get(store, id, &held, &json, &why) != PW_E_OK) {
        fail_msg("%s", why.text);
    }
    assert_int_equal(held.count, 2);
    assert_true(pw_span_equal(held.frames[1], pw_span_str(text)));
    pw_held_free(&held);
    pw_buf_free(&json);
}

static enum pw_err
get_error(struct pw_store *store, const char *id, struct pw_why *why)
{
    struct pw_held held;
    struct pw_buf json = {.limit = 65536};
    enum pw_err err = pw_store_get(store, id, &held, &json, why);
    pw_held_free(&held);
    pw_buf_free(&json);
    return err;
}

static void
a_message_comes_back_by_either_name_or_its_start(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_stored stored = put_text(store, "evil");
    assert_true(stored.fresh);
    assert_holds(store, stored.entry, "evil");
    assert_holds(store, stored.object, "evil");
    stored.entry[20] = '\0';
    stored.object[4] = '\0';
    assert_holds(store, stored.entry, "evil");
    assert_holds(store, stored.object, "evil");
    assert_int_equal(files_in("tmp"), 0);
    pw_store_free(&store);
}

static void
the_entry_is_one_json_object(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_stored stored = put_text(store, "evil");
    struct pw_held held;
    struct pw_buf json = {.limit = 65536};
    char wanted[256];
    assert_int_equal(pw_store_get(store, stored.entry, &held, &json, NULL), PW_E_OK);
    snprintf(wanted, sizeof wanted,
             "{\"entry\":\"%s\",\"object\":\"%s\",\"bytes\":%d,\"stored\":true,"
             "\"chan\":\"jobs\"}",
             stored.entry, stored.object, 12 + 16 + 9 + 32);
    assert_true(pw_span_equal(pw_buf_span(&json), pw_span_str(wanted)));
    pw_held_free(&held);
    pw_buf_free(&json);
    pw_store_free(&store);
}

static void
the_same_message_twice_is_one_object_and_two_entries(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_stored first = put_text(store, "evil");
    struct pw_stored second = put_text(store, "evil");
    assert_true(first.fresh);
    assert_false(second.fresh);
    assert_string_equal(first.object, second.object);
    assert_true(strcmp(first.entry, second.entry) < 0);
    assert_int_equal(files_in("obj"), 1);
    assert_int_equal(files_in("hold"), 2);
    pw_store_free(&store);
}

static void
files_and_folders_are_private(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_stored stored = put_text(store, "evil");
    static const char *const folders[] = {"", "tmp", "obj", "hold"};
    struct stat st;
    for (size_t i = 0; i < PW_COUNT(folders); i++) {
        assert_int_equal(stat(path_of(folders[i]), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
    }
    char name[128];
    snprintf(name, sizeof name, "hold/%s.json", stored.entry);
    assert_int_equal(stat(path_of(name), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    snprintf(name, sizeof name, "obj/%.2s/%s", stored.object, stored.object);
    assert_int_equal(stat(path_of(name), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    pw_store_free(&store);
}

struct seen {
    size_t count;
    size_t stop_after;
    char last[PW_STORE_ULID];
};

static bool
see(void *arg, const char *entry, struct pw_span json)
{
    struct seen *seen = arg;
    assert_true(strcmp(seen->last, entry) < 0);
    assert_true(json.len > 100 && json.ptr[0] == '{' && json.ptr[json.len - 1] == '}');
    snprintf(seen->last, sizeof seen->last, "%s", entry);
    return ++seen->count != seen->stop_after;
}

static void
entries_are_listed_in_order_of_time(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct seen seen = {0};
    assert_int_equal(pw_store_list(store, PW_STORE_HELD, see, &seen, NULL), PW_E_OK);
    assert_int_equal(seen.count, 0);
    for (int i = 0; i < 20; i++) {
        char text[16];
        snprintf(text, sizeof text, "message %d", i % 7);
        (void)put_text(store, text);
    }
    close(open(path_of("hold/notes.txt"), O_CREAT | O_WRONLY, 0600));
    assert_int_equal(pw_store_list(store, PW_STORE_HELD, see, &seen, NULL), PW_E_OK);
    assert_int_equal(seen.count, 20);
    seen = (struct seen){.stop_after = 3};
    assert_int_equal(pw_store_list(store, PW_STORE_HELD, see, &seen, NULL), PW_E_OK);
    assert_int_equal(seen.count, 3);
    pw_store_free(&store);
}

static void
an_id_that_is_short_ambiguous_or_unknown_is_told(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_why why = {{0}};
    struct pw_stored stored = put_text(store, "one");
    (void)put_text(store, "two");
    stored.entry[5] = '\0'; /* both entries were made within the same minute or so */
    assert_int_equal(get_error(store, stored.entry, &why), PW_E_USAGE);
    assert_non_null(strstr(why.text, "2 messages"));
    assert_int_equal(get_error(store, "0", &why), PW_E_USAGE);
    assert_int_equal(get_error(store, "0000000", &why), PW_E_NO_INPUT);
    assert_int_equal(get_error(store, "../../../etc/passwd", &why), PW_E_NO_INPUT);
    assert_int_equal(get_error(store, "zzzz", &why), PW_E_NO_INPUT);
    pw_store_free(&store);
}

static void
a_damaged_or_renamed_object_is_refused(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_why why = {{0}};
    struct pw_stored stored = put_text(store, "one");
    char name[128];
    char other[256];
    snprintf(name, sizeof name, "obj/%.2s/%s", stored.object, stored.object);
    memcpy(other, path_of(name), sizeof other);
    stored.object[10] = stored.object[10] == 'a' ? 'b' : 'a';
    snprintf(name, sizeof name, "obj/%.2s/%s", stored.object, stored.object);
    assert_int_equal(rename(other, path_of(name)), 0);
    assert_int_equal(get_error(store, stored.object, &why), PW_E_FORMAT);
    assert_non_null(strstr(why.text, "renamed"));
    assert_int_equal(get_error(store, stored.entry, &why), PW_E_NO_INPUT);
    assert_int_equal(files_in("corrupt"), 1);
    stored = put_text(store, "two");
    snprintf(name, sizeof name, "obj/%.2s/%s", stored.object, stored.object);
    int fd = open(path_of(name), O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    assert_int_equal(get_error(store, stored.object, &why), PW_E_FORMAT);
    assert_non_null(strstr(why.text, "damaged"));
    assert_int_equal(files_in("corrupt"), 2); /* and never deleted */
    assert_int_equal(get_error(store, stored.object, &why), PW_E_NO_INPUT);
    pw_store_free(&store);
}

static void
leavings_of_a_crash_are_swept_at_open(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    pw_store_free(&store);
    close(open(path_of("tmp/01JD8Z3W5K9Q2M7X4T6B1C0V8R"), O_CREAT | O_WRONLY, 0600));
    struct pw_store *reader = pw_store_open_readonly(root, NULL);
    assert_int_equal(files_in("tmp"), 1);
    pw_store_free(&reader);
    store = open_store();
    assert_int_equal(files_in("tmp"), 0);
    pw_store_free(&store);
}

static void
one_process_at_a_time_may_write(void **state)
{
    (void)state;
    struct pw_why why = {{0}};
    struct pw_store *store = open_store();
    assert_null(pw_store_open(root, &why));
    assert_non_null(strstr(why.text, "in use by another process"));
    struct pw_stored stored = put_text(store, "evil");
    struct pw_store *reader = pw_store_open_readonly(root, &why);
    assert_holds(reader, stored.entry, "evil");
    pw_store_free(&reader);
    pw_store_free(&store);
}

static void
symbolic_links_are_not_followed(void **state)
{
    (void)state;
    struct pw_why why = {{0}};
    struct pw_store *store = open_store();
    pw_store_free(&store);
    assert_int_equal(rmdir(path_of("obj")), 0);
    assert_int_equal(symlink("/tmp", path_of("obj")), 0);
    assert_null(pw_store_open(root, &why));
    assert_null(pw_store_open_readonly(root, &why));
}

static void
nothing_to_read_is_told(void **state)
{
    (void)state;
    struct pw_why why = {{0}};
    assert_null(pw_store_open_readonly(root, &why));
    assert_non_null(strstr(why.text, root));
}

static void
a_full_disk_leaves_nothing_half_there(void **state)
{
    (void)state;
    struct rlimit before;
    struct pw_store *store = open_store();
    struct pw_stored stored;
    struct pw_why why = {{0}};
    struct pw_span frame = {(const uint8_t *)root, sizeof root};
    getrlimit(RLIMIT_FSIZE, &before);
    for (rlim_t room = 0; room < 160;
         room += 40) { /* the object has 116 bytes, the entry more */
        struct rlimit full = {room, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &full);
        enum pw_err err = put(store, &frame, 1, "\"chan\":\"jobs\"", &stored, &why);
        setrlimit(RLIMIT_FSIZE, &before);
        assert_int_equal(err, PW_E_IO);
        assert_non_null(strstr(why.text, "File too large"));
        assert_int_equal(files_in("tmp"), 0);
        assert_int_equal(files_in("hold"), 0);
        assert_int_equal(get_error(store, stored.object, NULL), PW_E_NO_INPUT);
    }
    assert_int_equal(put(store, &frame, 1, "", &stored, &why), PW_E_OK);
    assert_true(stored.fresh);
    pw_store_free(&store);
}

static void *
put_many(void *arg)
{
    for (int i = 0; i < 20; i++) {
        char text[16];
        snprintf(text, sizeof text, "message %d", i % 5);
        (void)put_text(arg, text);
    }
    return NULL;
}

static void
threads_share_a_store(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    pthread_t threads[3];
    struct seen seen = {0};
    for (size_t i = 0; i < PW_COUNT(threads); i++) {
        pthread_create(&threads[i], NULL, put_many, store);
    }
    for (size_t i = 0; i < PW_COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(pw_store_list(store, PW_STORE_HELD, see, &seen, NULL), PW_E_OK);
    assert_int_equal(seen.count, 60);
    pw_store_free(&store);
}

static void
put_until_killed(void)
{
    struct pw_store *store = pw_store_open(root, NULL);
    for (unsigned i = 0; store != NULL; i++) {
        char text[4096];
        struct pw_stored stored;
        snprintf(text, sizeof text, "%u:%*d", i, (int)(i * 37 % 4000), 1);
        struct pw_span frames[] = {pw_span_str("topic"), pw_span_str(text)};
        if (put(store, frames, 2, "", &stored, NULL) != PW_E_OK) {
            break;
        }
    }
    _exit(1);
}

static bool
is_whole(void *arg, const char *entry, struct pw_span json)
{
    (void)json;
    struct pw_held held;
    struct pw_why why = {{0}};
    struct pw_buf buf = {.limit = 65536};
    if (pw_store_get(arg, entry, &held, &buf, &why) != PW_E_OK) {
        fail_msg("%s", why.text);
    }
    pw_held_free(&held);
    pw_buf_free(&buf);
    return true;
}

static int
check_object(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)where;
    if (kind == FTW_F) {
        struct pw_buf bytes = {.limit = 1 << 20};
        struct pw_held held;
        assert_int_equal(pw_file_read(path, &bytes), PW_E_OK);
        assert_int_equal(pw_held_parse(&bytes, &held, NULL), PW_E_OK);
        pw_held_free(&held);
    }
    return 0;
}

static void
a_kill_leaves_only_whole_objects(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        pid_t child = fork();
        if (child == 0) {
            put_until_killed();
        }
        struct timespec time = {0, 20000000 + round * 3700000};
        nanosleep(&time, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        struct pw_store *store = open_store();
        assert_int_equal(files_in("tmp"), 0);
        assert_int_equal(pw_store_list(store, PW_STORE_HELD, is_whole, store, NULL),
                         PW_E_OK);
        assert_int_equal(nftw(path_of("obj"), check_object, 16, FTW_PHYS), 0);
        pw_store_free(&store);
    }
}

static bool
keep_going(void *arg, const char *entry, struct pw_span json)
{
    (void)entry;
    (void)json;
    ++*(size_t *)arg;
    return true;
}

static void
whole_life(void *arg)
{
    size_t *listed = arg;
    struct pw_stored stored;
    struct pw_held held = {0};
    struct pw_buf json = {.limit = 65536};
    struct pw_span frame = pw_span_str("message");
    struct pw_store *store = pw_store_open(root, NULL);
    if (store == NULL) {
        assert_true(fail_alloc_happened());
        return;
    }
    enum pw_err err = put(store, &frame, 1, "", &stored, NULL);
    if (err == PW_E_OK) {
        err = pw_store_list(store, PW_STORE_HELD, keep_going, listed, NULL);
    }
    if (err == PW_E_OK) {
        err = pw_store_get(store, stored.entry, &held, &json, NULL);
    }
    assert_int_equal(err, fail_alloc_happened() ? PW_E_NOMEM : PW_E_OK);
    pw_held_free(&held);
    pw_buf_free(&json);
    pw_store_free(&store);
}

static void
out_of_memory_is_an_error_and_no_leak(void **state)
{
    (void)state;
    size_t listed = 0;
    size_t n = 1;
    while (fail_alloc_round(n, whole_life, &listed)) {
        n++;
    }
    assert_in_range(n, 8, 100);
    assert_int_equal(files_in("tmp"), 0);
}

static bool
read_note(void *arg, const char *id, struct pw_span note)
{
    (void)id;
    *(bool *)arg = pw_span_equal(note, pw_span_str("\"what\":\"x\""));
    return true;
}

static void
ignore_fault(void *arg, enum pw_fault fault, const char *path)
{
    (void)arg, (void)fault, (void)path;
}

/* Everything that a store with limits and a seal does; the first error, or PW_E_OK. */
static enum pw_err
limited_life(struct pw_store *store)
{
    static const uint8_t public[PW_SEAL_KEY] = {9};
    struct pw_span frame = pw_span_str("message");
    struct pw_why why = {{0}};
    struct pw_stored stored;
    struct pw_store_check check;
    struct pw_gone old, gone = {0};
    char id[PW_STORE_ULID] = "";
    bool noted = false;
    pw_store_limit(store, &(struct pw_store_limits){.max_bytes = 1 << 20});
    enum pw_err err = pw_store_limit_channel(store, "jobs", 1 << 20);
    err = err == PW_E_OK ? pw_store_seal(store, public, &why) : err;
    pw_store_limit(store, &(struct pw_store_limits){1 << 20, 4, 0, 0, false});
    err = err == PW_E_OK ? put(store, &frame, 1, "", &stored, &why) : err;
    err = err == PW_E_OK ? pw_store_check(store, ignore_fault, NULL, &check, &why) : err;
    err = err == PW_E_OK ? pw_store_note(store, pw_span_str("\"what\":\"x\""), id, &why)
                         : err;
    err = err == PW_E_OK ? pw_store_notes(store, read_note, &noted, &why) : err;
    assert_true(err != PW_E_OK || noted);
    pw_store_note_told(store, id);
    err = err == PW_E_OK ? pw_store_old(store, UINT64_MAX, &old, &why) : err;
    for (size_t i = 0; err == PW_E_OK && i < old.count; i++) {
        err = pw_store_purge(store, old.entries[i], &gone, &why);
    }
    pw_store_limit(store, &(struct pw_store_limits){0});
    gone = (struct pw_gone){0};
    err = err == PW_E_OK ? pw_store_surplus(store, PW_STORE_PURGED, &old, &why) : err;
    for (size_t i = 0; err == PW_E_OK && i < old.count; i++) {
        err = pw_store_forget(store, PW_STORE_PURGED, old.entries[i], &gone, &why);
    }
    assert_true(err != PW_E_OK || gone.count > 0);
    return err;
}

static void
limited_round(void *arg)
{
    (void)arg;
    struct pw_store *store = pw_store_open(root, NULL);
    enum pw_err err = store == NULL ? PW_E_NOMEM : limited_life(store);
    /* What is only put in order may be left to the next start. */
    assert_true(err == PW_E_OK || (err == PW_E_NOMEM && fail_alloc_happened()));
    pw_store_free(&store);
}

static void
out_of_memory_is_an_error_of_all_that_has_limits(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, limited_round, NULL)) {
        n++;
    }
    assert_in_range(n, 15, 150);
    assert_int_equal(files_in("tmp"), 0);
}

static void
limits_count_an_object_once_and_an_entry_each_time(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_why why = {{0}};
    struct pw_stored stored;
    struct pw_span frame = pw_span_str("message"), other = pw_span_str("another");
    uint64_t size = 12 + 8 + 7 + 32;
    pw_store_limit(store, &(struct pw_store_limits){size, 3, 0, 0, false});
    assert_int_equal(put(store, &frame, 1, "", &stored, &why), PW_E_OK);
    assert_true(stored.stored);
    assert_int_equal(put(store, &frame, 1, "", &stored, &why), PW_E_OK);
    assert_true(stored.stored && !stored.fresh);
    assert_int_equal(put(store, &other, 1, "", &stored, &why), PW_E_OK);
    assert_false(stored.stored);
    assert_string_equal(stored.full, "quarantine.max_bytes");
    assert_int_equal(strlen(stored.entry), 26);
    assert_int_equal(put(store, &frame, 1, "", &stored, &why), PW_E_OK);
    assert_string_equal(stored.full, "quarantine.max_messages");
    assert_string_equal(stored.entry, "");
    pw_store_limit(store, &(struct pw_store_limits){size, 3, 0, 0, true});
    assert_int_equal(put(store, &frame, 1, "", &stored, &why), PW_E_LIMIT);
    assert_non_null(strstr(why.text, "quarantine.max_messages is reached; purge"));
    assert_int_equal(files_in("hold"), 3);
    struct pw_store_usage usage = pw_store_usage(store);
    pw_store_free(&store);
    store = open_store(); /* which counts it anew */
    struct pw_store_usage again = pw_store_usage(store);
    assert_memory_equal(&usage, &again, sizeof usage);
    assert_int_equal(again.bytes, size);
    pw_store_free(&store);
}

static void
it_tells_which_limit_leaves_no_room(void **state)
{
    (void)state;
    static const struct short_case {
        const char *name;
        struct pw_store_limits limits;
        const char *of; /* NULL: there is room */
    } cases[] = {
        {"room", {5900, 2, 0, 0, false}, NULL},
        {"no byte more", {59, 2, 0, 0, false}, "quarantine.max_bytes"},
        {"one entry, no more", {5900, 1, 0, 0, false}, "quarantine.max_messages"},
        {"nothing may be held", {0, 0, 0, 0, true}, "quarantine.max_messages"},
        {"a disk as large as none", {5900, 2, UINT64_MAX, 0, false}, "quarantine.min_free"},
        {"all of the disk", {5900, 2, 0, 100, false}, "quarantine.min_free"},
    };
    struct pw_store *store = open_store();
    put_text(store, "message"); /* an object of 12 + 8 + 7 + 32 bytes */
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        pw_store_limit(store, &cases[i].limits);
        const char *of = pw_store_short_of(store);
        check_case(cases[i].name, (of == NULL) == (cases[i].of == NULL));
        check_case(cases[i].name, of == NULL || strcmp(of, cases[i].of) == 0);
    }
    pw_store_free(&store);
}

static void
what_is_no_entry_is_put_aside_at_open(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_stored stored = put_text(store, "one");
    struct pw_store_check check;
    pw_store_free(&store);
    int fd =
        open(path_of("hold/01JD8Z3W5K9Q2M7X4T6B1C0V8R.json"), O_CREAT | O_WRONLY, 0600);
    assert_int_equal(ftruncate(fd, 2 << 20), 0);
    close(fd);
    close(open(path_of("hold/01JD8Z3W5K9Q2M7X4T6B1C0V8S.json"), O_CREAT | O_WRONLY, 0600));
    store = pw_store_open_readonly(root, NULL);
    assert_int_equal(pw_store_check(store, ignore_fault, NULL, &check, NULL), PW_E_OK);
    assert_int_equal(check.faults[PW_FAULT_TORN], 2);
    pw_store_free(&store);
    store = open_store();
    assert_int_equal(pw_store_usage(store).torn, 2);
    assert_int_equal(pw_store_usage(store).entries[PW_STORE_HELD], 1);
    assert_int_equal(files_in("corrupt"), 2);
    assert_holds(store, stored.entry, "one");
    pw_store_free(&store);
}

static void
only_names_of_entries_reach_the_disk(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_gone gone = {0};
    struct pw_why why = {{0}};
    static const char *const names[] = {
        "", "../hold/01JD8Z3W5K9Q2M7X4T", "../../../../../etc/passwd1",
        "01JD8Z3W5K9Q2M7X4T6B1C0V8U", "01JD8Z3W5K9Q2M7X4T6B1C0V8"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        assert_int_equal(pw_store_purge(store, names[i], &gone, &why), PW_E_NO_INPUT);
    }
    assert_int_equal(gone.count, 0);
    pw_store_free(&store);
}

static void
one_entry_that_cannot_be_read_does_not_keep_the_old_ones(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_gone old = {0}, gone = {0};
    struct pw_why why = {{0}};
    struct pw_stored stored = put_text(store, "one");
    int fd =
        open(path_of("hold/01AD8Z3W5K9Q2M7X4T6B1C0V8R.json"), O_CREAT | O_WRONLY, 0600);
    assert_int_equal(ftruncate(fd, 2 << 20), 0);
    close(fd);
    for (int round = 0; round < 2; round++) { /* it is in front the next time, too */
        assert_int_equal(pw_store_old(store, UINT64_MAX, &old, &why), PW_E_LIMIT);
        assert_non_null(strstr(why.text, "01AD8Z3W5K9Q2M7X4T6B1C0V8R"));
        assert_int_equal(old.count, 1);
        assert_string_equal(old.entries[0], stored.entry);
        assert_int_equal(pw_store_purge(store, old.entries[0], &gone, &why), PW_E_OK);
        stored = put_text(store, "one");
    }
    assert_int_equal(gone.count, 2);
    pw_store_free(&store);
}

static bool
count_note(void *arg, const char *id, struct pw_span note)
{
    (void)id, (void)note;
    ++*(size_t *)arg;
    return true;
}

static void
one_note_that_cannot_be_read_hides_no_other(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_why why = {{0}};
    char id[PW_STORE_ULID];
    size_t notes = 0;
    int fd =
        open(path_of("notes/01AD8Z3W5K9Q2M7X4T6B1C0V8R.json"), O_CREAT | O_WRONLY, 0600);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    close(fd);
    assert_int_equal(pw_store_note(store, pw_span_str("\"what\":\"x\""), id, &why),
                     PW_E_OK);
    assert_int_equal(pw_store_notes(store, count_note, &notes, &why), PW_E_LIMIT);
    assert_non_null(strstr(why.text, "01AD8Z3W5K9Q2M7X4T6B1C0V8R"));
    assert_int_equal(notes, 1);
    pw_store_note_told(store, id);
    assert_int_equal(files_in("notes"), 1);
    pw_store_free(&store);
}

static void
what_is_given_back_grows_old_like_any_other(void **state)
{
    (void)state;
    struct pw_store *store = open_store();
    struct pw_gone old;
    struct pw_why why = {{0}};
    struct pw_stored stored = put_text(store, "one");
    assert_int_equal(
        pw_store_move(store, stored.entry, PW_STORE_HELD, PW_STORE_RELEASING, &why),
        PW_E_OK);
    assert_int_equal(pw_store_old(store, UINT64_MAX, &old, &why), PW_E_OK);
    assert_int_equal(old.count, 0);
    assert_int_equal(
        pw_store_move(store, stored.entry, PW_STORE_RELEASING, PW_STORE_HELD, &why),
        PW_E_OK);
    assert_int_equal(pw_store_old(store, UINT64_MAX, &old, &why), PW_E_OK);
    assert_int_equal(old.count, 1);
    pw_store_free(&store);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, remove_store)
    const struct CMUnitTest tests[] = {
        TEST(a_message_comes_back_by_either_name_or_its_start),
        TEST(the_entry_is_one_json_object),
        TEST(the_same_message_twice_is_one_object_and_two_entries),
        TEST(files_and_folders_are_private),
        TEST(entries_are_listed_in_order_of_time),
        TEST(an_id_that_is_short_ambiguous_or_unknown_is_told),
        TEST(a_damaged_or_renamed_object_is_refused),
        TEST(leavings_of_a_crash_are_swept_at_open),
        TEST(one_process_at_a_time_may_write),
        TEST(symbolic_links_are_not_followed),
        TEST(nothing_to_read_is_told),
        TEST(a_full_disk_leaves_nothing_half_there),
        TEST(threads_share_a_store),
        TEST(a_kill_leaves_only_whole_objects),
        TEST(out_of_memory_is_an_error_and_no_leak),
        TEST(out_of_memory_is_an_error_of_all_that_has_limits),
        TEST(limits_count_an_object_once_and_an_entry_each_time),
        TEST(it_tells_which_limit_leaves_no_room),
        TEST(what_is_no_entry_is_put_aside_at_open),
        TEST(only_names_of_entries_reach_the_disk),
        TEST(one_entry_that_cannot_be_read_does_not_keep_the_old_ones),
        TEST(one_note_that_cannot_be_read_hides_no_other),
        TEST(what_is_given_back_grows_old_like_any_other),
    };
#undef TEST
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
