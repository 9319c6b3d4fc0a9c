/* The child's way to its exec. Runs between fork and exec in a single-threaded process; leaves by execve or _exit only. */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rw/clock.h>

#include "../warm/hold.h"
#include "filter.h"
#include "landlock.h"
#include "privileges.h"
#include "sandbox.h"

enum {
    EXIT_NOT_STARTED = 127,
    STACK_BYTES = 8 * 1024 * 1024,
    LOCKED_BYTES = 64 * 1024,
    QUEUE_BYTES = 512 * 1024,
    SIGNALS_MAX = 1024
};

const char *launch_step_name(enum launch_step step)
{
    static const char *const names[] = {
        [LAUNCH_EXEC_NEXT] = "start",
        [LAUNCH_SESSION] = "make a session for",
        [LAUNCH_DESCRIPTORS] = "connect",
        [LAUNCH_LIMITS] = "limit",
        [LAUNCH_IDENTITY] = "change the uid of",
        [LAUNCH_PRIVILEGES] = "drop the privileges of",
        [LAUNCH_FOLDER] = "enter the work folder of",
        [LAUNCH_LANDLOCK] = "fence",
        [LAUNCH_FILTER] = "filter",
        [LAUNCH_EXEC] = "execute",
    };
    return names[step];
}

static int set_descriptors(const int fds[static 3])
{
    for (int target = 0; target < 3; target++) {
        if (dup2(fds[target], target) < 0) {
            return -1;
        }
    }
    return (int)syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
}

/* What the hold needs comes through the exec, at numbers that are no runtime's. */
static int set_ahead_descriptors(const struct launch_ahead *ahead)
{
    return dup2(ahead->channel_fd, HOLD_CHANNEL_FD) < 0 || dup2(ahead->library_fd, HOLD_LIBRARY_FD) < 0 ||
                   (ahead->host_fd >= 0 && dup2(ahead->host_fd, HOLD_HOST_FD) < 0)
               ? -1
               : 0;
}

/* A blocked or ignored signal would be inherited through the exec. */
static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int sig = 1; sig < NSIG; sig++) {
        (void)signal(sig, SIG_DFL);
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

size_t launch_limits(const struct launch_policy *policy, const struct rw_limits *limits,
                     struct launch_limit ret_table[static LAUNCH_LIMITS_MAX])
{
    /* Memory is not limited here: runtimes reserve address space by the gigabyte. CPU time per process is only the backstop of
     * the supervisor's own count, a second later. */
    rlim_t cpu_s = limits->cpu_ms / 1000 + 2;
    rlim_t stack_max = limits->memory_bytes > STACK_BYTES ? limits->memory_bytes : STACK_BYTES;
    const struct launch_limit table[] = {
        {RLIMIT_CPU, cpu_s, cpu_s + 1},
        {RLIMIT_FSIZE, limits->file_bytes, limits->file_bytes},
        {RLIMIT_NPROC, limits->processes + policy->extra_processes, limits->processes + policy->extra_processes},
        {RLIMIT_NOFILE, limits->open_files, limits->open_files},
        {RLIMIT_CORE, 0, 0},
        {RLIMIT_STACK, STACK_BYTES, stack_max},
        {RLIMIT_MEMLOCK, LOCKED_BYTES, LOCKED_BYTES},
        {RLIMIT_MSGQUEUE, QUEUE_BYTES, QUEUE_BYTES},
        {RLIMIT_SIGPENDING, SIGNALS_MAX, SIGNALS_MAX},
        {RLIMIT_NICE, 0, 0},
        {RLIMIT_RTPRIO, 0, 0},
    };
    _Static_assert(RW_ARRAY_SIZE(table) == LAUNCH_LIMITS_MAX, "the room that callers have");
    memcpy(ret_table, table, sizeof(table));
    return RW_ARRAY_SIZE(table);
}

static int set_limits(const struct launch_policy *policy, const struct rw_limits *limits)
{
    struct launch_limit table[LAUNCH_LIMITS_MAX];
    size_t n = launch_limits(policy, limits, table);
    for (size_t i = 0; i < n; i++) {
        struct rlimit now;
        if (getrlimit((__rlimit_resource_t)table[i].resource, &now) < 0) {
            return -1;
        }
        /* A pod may already be held tighter than the job asks. */
        struct rlimit limit = {.rlim_cur = table[i].soft < now.rlim_max ? table[i].soft : now.rlim_max,
                               .rlim_max = table[i].hard < now.rlim_max ? table[i].hard : now.rlim_max};
        if (setrlimit((__rlimit_resource_t)table[i].resource, &limit) < 0) {
            return -1;
        }
    }
    return 0;
}

static int set_identity(const struct launch_policy *policy)
{
    if (!policy->switches_ids) {
        return 0;
    }
    if (setgroups(0, NULL) < 0 || setresgid(SANDBOX_GID, SANDBOX_GID, SANDBOX_GID) < 0) {
        return -1;
    }
    return setresuid(SANDBOX_UID, SANDBOX_UID, SANDBOX_UID);
}

/* When memory runs out in the sandbox's cgroup, the kernel must take the code and never the init that reports on it. Its own file
 * of an undumpable process belongs to root; nothing else runs in the sandbox yet that could use the moment. */
static void volunteer_for_oom(void)
{
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    RW_AUTO_FD int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t ignored = write(fd, "1000", 4);
        (void)ignored;
    }
}

static enum launch_step prepare(const struct launch_policy *policy, const struct rw_job_stage *stage, const int fds[static 3],
                                const struct launch_ahead *ahead)
{
    if (setsid() < 0) {
        return LAUNCH_SESSION;
    }
    if (set_descriptors(fds) < 0 || (ahead && set_ahead_descriptors(ahead) < 0)) {
        return LAUNCH_DESCRIPTORS;
    }
    reset_signals();
    if (set_limits(policy, &stage->limits) < 0) {
        return LAUNCH_LIMITS;
    }
    if (set_identity(policy) < 0) {
        return LAUNCH_IDENTITY;
    }
    volunteer_for_oom();
    if (privileges_drop_all(NULL) < 0) {
        return LAUNCH_PRIVILEGES;
    }
    (void)umask(022);
    if (chdir(policy->work_folder) < 0) {
        return LAUNCH_FOLDER;
    }
    if (policy->landlock_fd >= 0 && landlock_enter(policy->landlock_fd, NULL) < 0) {
        return LAUNCH_LANDLOCK;
    }
    return filter_load(policy->filter, NULL) < 0 ? LAUNCH_FILTER : LAUNCH_EXEC_NEXT;
}

/* The hold takes this entry out again before the program's main. */
static char **environment_of(const struct rw_job_stage *stage, bool is_ahead)
{
    static char preload[] = HOLD_PRELOAD;
    if (!is_ahead) {
        return stage->env;
    }
    char **env = rw_xcalloc(stage->n_env + 2, sizeof(*env));
    env[0] = preload;
    for (size_t i = 0; i < stage->n_env; i++) {
        env[i + 1] = stage->env[i];
    }
    return env;
}

_Noreturn void launch(const struct launch_policy *policy, const struct rw_job_stage *stage, const int fds[static 3], int record_fd,
                      const struct launch_ahead *ahead)
{
    char **env = environment_of(stage, ahead);
    struct launch_record record = {.step = prepare(policy, stage, fds, ahead)};
    record.sys_errno = errno;
    record.at_us = rw_monotonic_us();
    ssize_t ignored = write(record_fd, &record, sizeof(record));
    if (record.step == LAUNCH_EXEC_NEXT) {
        (void)execve(stage->argv[0], stage->argv, env);
        record = (struct launch_record){.step = LAUNCH_EXEC, .sys_errno = errno, .at_us = record.at_us};
        ignored = write(record_fd, &record, sizeof(record));
    }
    (void)ignored;
    _exit(EXIT_NOT_STARTED);
}
