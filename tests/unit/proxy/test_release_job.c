/* SPDX-License-Identifier: Apache-2.0
 *
 * One held message from the request to the answer, before a channel that does as it is
 * told.
 */
#include "proxy/daemon_release_job.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sodium.h>

#include "common/base/log.h"
#include "common/quarantine/release.h"
#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/proxy/fake_port.h"

/* The folder of the quarantine that no fsync works for; NULL: none. */
static const char *ill;

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int
__wrap_fsync(int fd)
{
    char link[64];
    char path[256] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (ill != NULL && readlink(link, path, sizeof path - 1) > 0 &&
        strcmp(strrchr(path, '/') + 1, ill) == 0) {
        errno = EIO;
        return -1;
    }
    return __real_fsync(fd);
}

/* A wall of one channel, whose thread is ours. */
struct wall {
    struct rig rig;
    struct pw_daemon daemon;
    struct pw_lane lane;
    struct pw_channel channel;
    char name[8];
    enum pw_release_outcome outcome; /* what the channel says; SENT counts in `sent` */
    enum pw_reason reason;
    atomic_size_t sent;
    atomic_bool ends;
    pthread_t thread;
    char entry[PW_STORE_ULID];
};

static void *
serve_box(void *arg)
{
    struct wall *wall = arg;
    while (!atomic_load(&wall->ends)) {
        struct pw_release *release = pw_release_take(&wall->lane.releases);
        if (release == NULL) {
            usleep(1000);
            continue;
        }
        release->outcome = wall->outcome;
        release->reason = wall->reason;
        atomic_fetch_add(&wall->sent,
                         wall->outcome == PW_RELEASE_SENT && !release->rehearsal);
        pw_release_done(&wall->lane.releases, release);
    }
    return NULL;
}

static bool
hold_one(struct wall *wall, const char *chan)
{
    char meta[64];
    struct pw_stored stored;
    struct pw_why why = {0};
    struct pw_span frame = script_frame('e');
    snprintf(meta, sizeof meta, "\"chan\":\"%s\"", chan);
    struct pw_put put = {
        .frames = &frame, .count = 1, .chan = chan, .meta = pw_span_str(meta)};
    bool held = pw_store_put(wall->rig.store, &put, &stored, &why) == PW_E_OK;
    memcpy(wall->entry, stored.entry, sizeof wall->entry);
    return held;
}

/* False when out of memory; close_wall is right after either. */
static bool
open_wall(struct wall *wall)
{
    struct pw_why why = {0};
    if (!rig_open(&wall->rig, PW_QUARANTINE)) {
        return false;
    }
    memcpy(wall->name, "jobs", 5);
    wall->channel.name = wall->name;
    wall->lane = (struct pw_lane){
        .channel = &wall->channel,
        .relay = (struct pw_relay *)wall, /* there is one; nobody asks it anything */
        .audit_channel = wall->rig.channel,
    };
    wall->daemon.store = wall->rig.store;
    wall->daemon.audit = wall->rig.audit;
    wall->daemon.lanes = &wall->lane;
    wall->daemon.lane_count = 1;
    pw_release_box_open(&wall->lane.releases);
    if (pw_daemon_open_releases(&wall->daemon, &why) != PW_E_OK) {
        return false;
    }
    assert_int_equal(pthread_create(&wall->thread, NULL, serve_box, wall), 0);
    return true;
}

static void
close_wall(struct wall *wall)
{
    atomic_store(&wall->ends, true);
    if (wall->thread != 0) {
        pthread_join(wall->thread, NULL);
    }
    pw_daemon_close_releases(&wall->daemon);
    rig_close(&wall->rig);
}

/* By its files, without an allocation. */
static enum pw_store_state
state_now(const struct wall *wall)
{
    static const char *const folders[] = {"hold", "releasing", "released", "purged"};
    size_t found = PW_STORE_STATES;
    for (size_t i = 0; i < PW_COUNT(folders); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/quarantine/%s/%s.json", wall->rig.folder,
                 folders[i], wall->entry);
        if (access(path, F_OK) == 0) {
            assert_int_equal(found, PW_STORE_STATES); /* in one state */
            found = i;
        }
    }
    assert_int_not_equal(found, PW_STORE_STATES);
    return (enum pw_store_state)found;
}

static struct pw_release_job *
make_job(struct wall *wall, const char *more)
{
    char text[256];
    struct pw_why why = {0};
    struct pw_release_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return NULL;
    }
    job->members.limit = 65536;
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"reason\":\"why\"%s}", wall->entry, more);
    if (pw_release_request_parse(pw_span_str(text), &job->request, &why) != PW_E_OK) {
        pw_release_job_free(&job);
    }
    return job;
}

struct job_case {
    const char *name;
    const char *chan; /* of the entry */
    const char *more; /* of the request */
    enum pw_release_outcome outcome;
    enum pw_reason reason;
    bool stopping;
    bool in_doubt;       /* before it is asked */
    const char *missing; /* a folder that is taken away */
    const char *ill;     /* a folder whose changes the disk does not keep */
    enum pw_err result;
    const char *says; /* in the sentence, or in the answer when all is well */
    enum pw_store_state state;
    size_t sent;
    const char *log; /* the outcome in the last line; "": there are no lines */
};

/* clang-format off */
static const struct job_case job_cases[] = {
    {"sent", "jobs", "", PW_RELEASE_SENT, 0, 0, 0, NULL, NULL, PW_E_OK, "\"outcome\":\"sent\"", PW_STORE_RELEASED, 1, "sent"},
    {"refused", "jobs", "", PW_RELEASE_REFUSED, PW_R_IMPORT_DENIED, 0, 0, NULL, NULL, PW_E_USAGE, "--override", PW_STORE_HELD, 0, "refused"},
    {"cannot be signed", "jobs", "", PW_RELEASE_REFUSED, PW_R_SIG_REVOKED, 0, 0, NULL, NULL, PW_E_USAGE, "Nobody can overrule", PW_STORE_HELD, 0, "refused"},
    {"nobody takes it", "jobs", "", PW_RELEASE_UNDELIVERABLE, 0, 0, 0, NULL, NULL, PW_E_BUSY, "took nothing", PW_STORE_HELD, 0, "undeliverable"},
    {"the wall is stopping", "jobs", "", PW_RELEASE_SENT, 0, 1, 0, NULL, NULL, PW_E_STOPPED, "is stopping", PW_STORE_HELD, 0, ""},
    {"no such channel", "other", "", PW_RELEASE_SENT, 0, 0, 0, NULL, NULL, PW_E_USAGE, "channel other", PW_STORE_HELD, 0, ""},
    {"in doubt", "jobs", "", PW_RELEASE_SENT, 0, 0, 1, NULL, NULL, PW_E_BUSY, "in doubt", PW_STORE_RELEASING, 0, ""},
    {"in doubt, once more", "jobs", ",\"again\":true", PW_RELEASE_SENT, 0, 0, 1, NULL, NULL, PW_E_OK, "\"outcome\":\"sent\"", PW_STORE_RELEASED, 1, "sent"},
    {"in doubt, and refused", "jobs", ",\"again\":true", PW_RELEASE_REFUSED, PW_R_IMPORT_DENIED, 0, 1, NULL, NULL, PW_E_USAGE, "--override", PW_STORE_RELEASING, 0, "refused"},
    {"in doubt, and arrived", "jobs", ",\"arrived\":true", PW_RELEASE_SENT, 0, 0, 1, NULL, NULL, PW_E_OK, "\"outcome\":\"arrived\"", PW_STORE_RELEASED, 0, "arrived"},
    {"not in doubt, and arrived", "jobs", ",\"arrived\":true", PW_RELEASE_SENT, 0, 0, 0, NULL, NULL, PW_E_USAGE, "only what is in doubt", PW_STORE_HELD, 0, ""},
    {"a dry run", "jobs", ",\"dry_run\":true", PW_RELEASE_SENT, 0, 0, 0, NULL, NULL, PW_E_OK, "\"dry_run\":true", PW_STORE_HELD, 0, ""},
    {"no way to releasing", "jobs", "", PW_RELEASE_SENT, 0, 0, 0, "releasing", NULL, PW_E_NO_INPUT, "", PW_STORE_HELD, 0, ""},
    {"no way to released", "jobs", "", PW_RELEASE_SENT, 0, 0, 0, "released", NULL, PW_E_NO_INPUT, "it was sent, but", PW_STORE_RELEASING, 1, "in_doubt"},
    {"releasing is not kept", "jobs", "", PW_RELEASE_SENT, 0, 0, 0, NULL, "releasing", PW_E_IO, "does not keep", PW_STORE_HELD, 0, ""},
    {"leaving hold is not kept", "jobs", "", PW_RELEASE_REFUSED, PW_R_IMPORT_DENIED, 0, 0, NULL, "hold", PW_E_IO, "does not keep", PW_STORE_HELD, 0, ""},
    {"released is not kept", "jobs", "", PW_RELEASE_SENT, 0, 0, 0, NULL, "released", PW_E_OK, "\"outcome\":\"sent\"", PW_STORE_RELEASED, 1, "sent"},
    {"arrived is not kept", "jobs", ",\"arrived\":true", PW_RELEASE_SENT, 0, 0, 1, NULL, "released", PW_E_OK, "\"outcome\":\"arrived\"", PW_STORE_RELEASED, 0, "arrived"},
    {"arrived cannot be marked", "jobs", ",\"arrived\":true", PW_RELEASE_SENT, 0, 0, 1, "released", NULL, PW_E_NO_INPUT, "", PW_STORE_RELEASING, 0, "in_doubt"},
};
/* clang-format on */

static void
check_job(const struct job_case *c, struct wall *wall, const struct pw_release_job *job)
{
    if (job->result != c->result) {
        fail_msg("%s: %s: %s", c->name, pw_err_text(job->result), job->why.text);
    }
    struct pw_span members = pw_buf_span(&job->members);
    bool said = c->result == PW_E_OK
                    ? memmem(members.ptr, members.len, c->says, strlen(c->says)) != NULL
                    : strstr(job->why.text, c->says) != NULL;
    if (!said) {
        fail_msg("%s: %s", c->name, job->why.text);
    }
    check_case(c->name, state_now(wall) == c->state);
    check_case(c->name, atomic_load(&wall->sent) == c->sent);
}

static void
run_case(const struct job_case *c)
{
    struct wall wall = {.outcome = c->outcome, .reason = c->reason};
    struct pw_why why = {0};
    char text[128];
    rig_make_folder(&wall.rig);
    check_case(c->name, open_wall(&wall));
    check_case(c->name, hold_one(&wall, c->chan));
    if (c->in_doubt) {
        check_case(c->name, pw_store_move(wall.rig.store, wall.entry, PW_STORE_HELD,
                                          PW_STORE_RELEASING, &why) == PW_E_OK);
    }
    if (c->missing != NULL) {
        snprintf(text, sizeof text, "%s/quarantine/%s", wall.rig.folder, c->missing);
        check_case(c->name, rmdir(text) == 0);
    }
    atomic_store(&wall.daemon.order, c->stopping ? PW_ORDER_DRAIN : PW_ORDER_RUN);
    PW_CLEANUP(pw_release_job_free) struct pw_release_job *job = make_job(&wall, c->more);
    ill = c->ill;
    pw_release_job_run(job, &wall.daemon);
    ill = NULL;
    check_job(c, &wall, job);
    close_wall(&wall);
    snprintf(text, sizeof text, "\"outcome\":\"%s\"", c->log);
    check_case(c->name, rig_lines_with(&wall.rig, text) == (c->log[0] != '\0'));
    check_case(c->name,
               rig_lines_with(&wall.rig, "\"outcome\":\"begun\"") == (c->log[0] != '\0'));
    rig_remove_folder(&wall.rig);
}

static void
each_request_ends_in_one_state_with_its_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(job_cases); i++) {
        run_case(&job_cases[i]);
    }
}

/* No file grows beyond `most` bytes. */
static void
limit_files(rlim_t most)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
what_the_log_takes_too_late_ends_there_all_the_same(void **state)
{
    (void)state;
    struct wall wall = {.outcome = PW_RELEASE_SENT};
    rig_make_folder(&wall.rig);
    assert_true(open_wall(&wall) && hold_one(&wall, "jobs"));
    PW_CLEANUP(pw_release_job_free) struct pw_release_job *job = make_job(&wall, "");
    limit_files(0);
    pw_release_job_run(job, &wall.daemon);
    limit_files(RLIM_INFINITY);
    assert_int_equal(job->result, PW_E_BUSY);
    assert_int_equal(atomic_load(&wall.sent), 0);
    assert_int_equal(state_now(&wall), PW_STORE_HELD);
    close_wall(&wall);
    assert_int_equal(rig_lines_with(&wall.rig, "\"outcome\":\"begun\""), 1);
    assert_int_equal(rig_lines_with(&wall.rig, "\"outcome\":\"undeliverable\""), 1);
    rig_remove_folder(&wall.rig);
}

static size_t failed_inside; /* rounds in which the job itself met the failure */

static void
release_through_a_failure(void *state)
{
    struct rig *rig = state;
    struct wall wall = {.rig = *rig, .outcome = PW_RELEASE_SENT};
    struct pw_release_job *job = NULL;
    bool ready = open_wall(&wall) && hold_one(&wall, "jobs");
    if (ready) {
        job = make_job(&wall, "");
    }
    if (job != NULL) {
        bool before = fail_alloc_happened();
        pw_release_job_run(job, &wall.daemon);
        failed_inside += !before && fail_alloc_happened();
        bool gone = state_now(&wall) != PW_STORE_HELD;
        assert_int_equal(atomic_load(&wall.sent), gone);
        assert_int_equal(state_now(&wall) == PW_STORE_RELEASED, job->result == PW_E_OK);
    }
    pw_release_job_free(&job);
    close_wall(&wall);
}

static void
without_memory_it_is_sent_and_gone_or_held(void **state)
{
    (void)state;
    rig_fail_allocations(release_through_a_failure);
    assert_true(failed_inside > 5);
}

int
main(void)
{
    pw_log_set_level(PW_LOG_ERROR);
    if (sodium_init() < 0) {
        return 1;
    }
    signal(SIGXFSZ, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_log_takes_too_late_ends_there_all_the_same),
        cmocka_unit_test(each_request_ends_in_one_state_with_its_lines),
        cmocka_unit_test(without_memory_it_is_sent_and_gone_or_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
