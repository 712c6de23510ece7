/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/release.h"

#include <time.h>

static const uint64_t ns_per_s = 1000000000;

void
pw_release_box_open(struct pw_release_box *box)
{
    pthread_condattr_t steady;
    *box = (struct pw_release_box){.next = NULL}; /* clang 14 takes no 0 for it */
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&box->lock, NULL);
    pthread_cond_init(&box->changed, &steady);
    pthread_condattr_destroy(&steady);
}

void
pw_release_box_close(struct pw_release_box *box)
{
    pthread_cond_destroy(&box->changed);
    pthread_mutex_destroy(&box->lock);
}

struct pw_release *
pw_release_take(struct pw_release_box *box)
{
    /* Asked for every burst: a load, which costs nothing while there is none. */
    if (atomic_load_explicit(&box->next, memory_order_relaxed) == NULL) {
        return NULL;
    }
    return atomic_exchange(&box->next, NULL); /* NULL when it was taken back meanwhile */
}

void
pw_release_done(struct pw_release_box *box, struct pw_release *release)
{
    pthread_mutex_lock(&box->lock);
    box->done = release;
    pthread_cond_signal(&box->changed);
    pthread_mutex_unlock(&box->lock);
}

void
pw_release_offer(struct pw_release_box *box, struct pw_release *release)
{
    pthread_mutex_lock(&box->lock);
    box->done = NULL;
    pthread_mutex_unlock(&box->lock);
    atomic_store(&box->next, release);
}

bool
pw_release_wait(struct pw_release_box *box, struct pw_release *release, uint64_t until)
{
    struct timespec at = {.tv_sec = (time_t)(until / ns_per_s),
                          .tv_nsec = (long)(until % ns_per_s)};
    int failed = 0;
    pthread_mutex_lock(&box->lock);
    while (box->done != release && failed == 0) {
        failed = pthread_cond_timedwait(&box->changed, &box->lock, &at);
    }
    bool done = box->done == release;
    pthread_mutex_unlock(&box->lock);
    return done;
}

bool
pw_release_take_back(struct pw_release_box *box, struct pw_release *release)
{
    struct pw_release *expected = release;
    return atomic_compare_exchange_strong(&box->next, &expected, NULL);
}
