/* From a forked child of the supervisor to the first instruction of the code: session, descriptors, limits, identity, filters,
 * exec.
 *
 * What happened is told over a close-on-exec pipe in records: the time just before the exec, and if anything failed, which step and
 * why. End of file after the first record and no second means that the code runs. */
#ifndef RUNNER_LAUNCH_H
#define RUNNER_LAUNCH_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include <rw/job.h>

struct launch_policy {        /* the same for every stage of a sandbox */
    bool switches_ids;        /* become SANDBOX_UID and SANDBOX_GID; else they are ours already */
    uint64_t extra_processes; /* of the same uid in the same user namespace, which are not the code's */
    const char *work_folder;  /* working folder at the start */
    int landlock_fd;          /* -1: no Landlock */
    const struct sock_fprog *filter;
};

struct launch_limit {
    int resource;
    rlim_t soft;
    rlim_t hard;
};
enum { LAUNCH_LIMITS_MAX = 11 };

struct launch_ahead { /* of a process that is started before its job is there: see ../warm/hold.h */
    int channel_fd;
    int library_fd;
    int host_fd; /* -1: none */
};

enum launch_step {
    LAUNCH_EXEC_NEXT, /* not a failure: everything is done but the exec */
    LAUNCH_SESSION,
    LAUNCH_DESCRIPTORS,
    LAUNCH_LIMITS,
    LAUNCH_IDENTITY,
    LAUNCH_PRIVILEGES,
    LAUNCH_FOLDER,
    LAUNCH_LANDLOCK,
    LAUNCH_FILTER,
    LAUNCH_EXEC,
};

struct launch_record {
    enum launch_step step;
    int sys_errno;
    int64_t at_us;
};

const char *launch_step_name(enum launch_step step);

/* The rlimits that a stage's limits come to; returns how many. */
size_t launch_limits(const struct launch_policy *policy, const struct rw_limits *limits,
                     struct launch_limit ret_table[static LAUNCH_LIMITS_MAX]);

/* In the child; never returns. fds: what becomes 0, 1 and 2 (all above 2). record_fd: -1: nobody wants to know. ahead: NULL where
 * the job is there. */
_Noreturn void launch(const struct launch_policy *policy, const struct rw_job_stage *stage, const int fds[static 3], int record_fd,
                      const struct launch_ahead *ahead);

#endif
