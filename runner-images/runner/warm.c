/* The plan, and whether a job fits. Everything that the code could notice is compared; nothing is taken for near enough. */
#include "warm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rw/auto.h>

#include "../warm/hold.h"
#include "warm_library.h"

void warm_init(struct warm *warm)
{
    *warm = (struct warm){.library_fd = -1, .host_fd = -1};
    for (size_t i = 0; i < _RW_STAGE_MAX; i++) {
        warm->processes[i].channel_fd = -1;
    }
}

static int decode(struct warm *warm, struct rw_bytes bytes, struct rw_error *err)
{
    uint32_t first;
    if (bytes.len < sizeof(first)) {
        return rw_fail(err, PROTOCOL, "the plan is too short");
    }
    memcpy(&first, bytes.data, sizeof(first));
    size_t first_len = ntohl(first);
    bytes = rw_bytes_of(bytes.data + sizeof(first), bytes.len - sizeof(first));
    if (first_len > bytes.len) {
        return rw_fail(err, PROTOCOL, "the plan is cut short");
    }
    return rw_job_decode(rw_bytes_of(bytes.data, first_len), &warm->fits, err) < 0 ||
                   rw_job_decode(rw_bytes_of(bytes.data + first_len, bytes.len - first_len), &warm->starts, err) < 0
               ? -1
               : 0;
}

int warm_set_plan(struct warm *warm, struct rw_bytes bytes, int library_fd, int host_fd, struct rw_error *err)
{
    if (warm->fits || decode(warm, bytes, err) < 0) {
        return warm->fits && warm->starts ? rw_fail(err, PROTOCOL, "a second plan") : -1;
    }
    warm->library_fd = library_fd;
    warm->host_fd = host_fd;
    return 0;
}

void warm_close_channel(struct warm_process *process)
{
    if (process->channel_fd >= 0) {
        (void)close(rw_take_fd(&process->channel_fd));
    }
}

void warm_done(struct warm *warm)
{
    for (size_t i = 0; i < _RW_STAGE_MAX; i++) {
        warm_close_channel(&warm->processes[i]);
    }
    const int fds[] = {warm->library_fd, warm->host_fd};
    for (size_t i = 0; i < RW_ARRAY_SIZE(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    rw_job_free(rw_take(warm->fits));
    rw_job_free(rw_take(warm->starts));
    warm_init(warm);
}

const struct rw_job_stage *warm_stage(const struct warm *warm, enum rw_stage stage)
{
    if (!warm->starts) {
        return NULL;
    }
    if (stage == RW_STAGE_COMPILE) {
        return warm->starts->has_compile ? &warm->starts->compile : NULL;
    }
    return &warm->starts->run;
}

static bool are_same(char *const *a, size_t n_a, char *const *b, size_t n_b)
{
    bool same = n_a == n_b;
    for (size_t i = 0; same && i < n_a; i++) {
        same = strcmp(a[i], b[i]) == 0;
    }
    return same;
}

/* A process can be held tighter than it was started, never wider. The other limits are not the process's own. */
static bool is_within(const struct rw_limits *limits, const struct rw_limits *started)
{
    return limits->cpu_ms <= started->cpu_ms && limits->memory_bytes <= started->memory_bytes &&
           limits->processes <= started->processes && limits->file_bytes <= started->file_bytes &&
           limits->open_files <= started->open_files;
}

bool warm_fits(const struct warm *warm, const struct rw_job *job, enum rw_stage stage)
{
    bool is_compile = stage == RW_STAGE_COMPILE;
    const struct rw_job_stage *fits = is_compile ? &warm->fits->compile : &warm->fits->run;
    const struct rw_job_stage *wanted = is_compile ? &job->compile : &job->run;
    if (!warm_stage(warm, stage) || job->has_compile != warm->fits->has_compile) {
        return false;
    }
    /* Names with a dot in front are settings to some runtimes, which then have looked for them already. */
    for (size_t i = 0; i < job->n_files; i++) {
        if (job->files[i].name[0] == '.') {
            return false;
        }
    }
    return are_same(fits->argv, fits->n_argv, wanted->argv, wanted->n_argv) &&
           are_same(fits->env, fits->n_env, wanted->env, wanted->n_env) && is_within(&wanted->limits, &fits->limits);
}

bool warm_release(const struct warm *warm, enum rw_stage stage, const struct launch_policy *policy, const struct rw_limits *limits)
{
    struct launch_limit wanted[LAUNCH_LIMITS_MAX];
    struct launch_limit given[LAUNCH_LIMITS_MAX];
    struct hold_release release = {0};
    size_t n = launch_limits(policy, limits, wanted);
    (void)launch_limits(policy, &warm_stage(warm, stage)->limits, given);
    for (size_t i = 0; i < n && release.n_limits < HOLD_LIMITS_MAX; i++) {
        if (wanted[i].soft != given[i].soft || wanted[i].hard != given[i].hard) {
            release.limits[release.n_limits].resource = wanted[i].resource;
            release.limits[release.n_limits].soft = wanted[i].soft;
            release.limits[release.n_limits++].hard = wanted[i].hard;
        }
    }
    return send(warm->processes[stage].channel_fd, &release, sizeof(release), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           (ssize_t)sizeof(release);
}

int warm_text_open(const char *name, struct rw_bytes text, struct rw_error *err)
{
    RW_AUTO_FD int fd = memfd_create(name, MFD_CLOEXEC);
    for (size_t done = 0; fd >= 0 && done < text.len;) {
        ssize_t n = write(fd, text.data + done, text.len - done);
        if (n <= 0) {
            return rw_fail_sys(err, INTERNAL, errno, "writing %s", name);
        }
        done += (size_t)n;
    }
    return fd < 0 ? rw_fail_sys(err, INTERNAL, errno, "memfd_create") : rw_take_fd(&fd);
}

int warm_library_open(struct rw_error *err)
{
    return warm_text_open("hold", rw_bytes_of(warm_library, warm_library_bytes), err);
}
