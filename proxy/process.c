/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/file.h"

struct pw_process {
    int statm;
    DIR *fds; /* NULL: there is no /proc */
};

struct pw_process *
pw_process_open(void)
{
    struct pw_process *process = calloc(1, sizeof *process);
    if (process != NULL) {
        process->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
        process->fds = opendir("/proc/self/fd");
    }
    return process;
}

void
pw_process_close(struct pw_process **process)
{
    if (*process == NULL) {
        return;
    }
    pw_file_close(&(*process)->statm);
    if ((*process)->fds != NULL) {
        closedir((*process)->fds);
    }
    free(*process);
    *process = NULL;
}

/* proc(5): size and resident set, in pages. */
static void
read_memory(const struct pw_process *process, struct pw_metrics_process *out)
{
    char text[128] = "";
    uint64_t size, resident;
    if (pread(process->statm, text, sizeof text - 1, 0) > 0 &&
        sscanf(text, "%" SCNu64 " %" SCNu64, &size, &resident) == 2) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        out->virtual = size * page;
        out->resident = resident * page;
    }
}

static void
count_fds(const struct pw_process *process, struct pw_metrics_process *out)
{
    if (process->fds == NULL) {
        return;
    }
    rewinddir(process->fds);
    for (struct dirent *it = readdir(process->fds); it != NULL;
         it = readdir(process->fds)) {
        out->fds += it->d_name[0] != '.';
    }
}

static double
seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void
pw_process_read(struct pw_process *process, struct pw_metrics_process *out)
{
    *out = (struct pw_metrics_process){0};
    struct rusage usage;
    struct rlimit limit;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        out->cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        out->max_fds = limit.rlim_cur;
    }
    read_memory(process, out);
    count_fds(process, out);
}
