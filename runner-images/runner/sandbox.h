/* A sandbox: the place one attempt's code runs in, prepared before the attempt arrives. How it is made is a strategy.
 *
 * The runner commands it and reads reports; both are plain records, because with namespaces they cross a socket to the sandbox's
 * init. Nothing in a report comes from the code: only wait statuses, clocks and kernel counters.
 *
 *   prepare            -> READY or an error
 *   PLAN (3 fds)       -> nothing, or FAILED: what is started ahead, before the job is there (warm.h)
 *   AHEAD (3 fds)      -> HELD once the stage's process is up and waits, or UNHELD: it ended, a cold start it will be
 *   JOB (memfd)        -> nothing, or FAILED: the job's files are now in the work folder
 *   SPAWN (3 fds)      -> COLD, once: what was started ahead does not fit and is gone; give the same again; else
 *                         STARTED, or EXEC_FAILED; then exactly one EXITED once every process of the stage is dead and reaped
 *   SAMPLE             -> SAMPLE: what the stage's processes use at this moment
 *   KILL               -> nothing of its own; the stage's EXITED follows
 *   (the sandbox died) -> LOST, the last report */
#ifndef RUNNER_SANDBOX_H
#define RUNNER_SANDBOX_H

#include <linux/filter.h>
#include <sys/types.h>

#include <rw/error.h>
#include <rw/runner_protocol.h>

#include "cgroup.h"

enum { SANDBOX_UID = 1000, SANDBOX_GID = 1000, SANDBOX_FDS_MAX = 3, SANDBOX_MESSAGE_BYTES = 200 };
#define SANDBOX_WORK_FOLDER "/box"

enum sandbox_command_type {
    SANDBOX_COMMAND_BUILD, /* internal to a strategy: ids are mapped and the cgroup is joined, build the mounts */
    SANDBOX_COMMAND_PLAN,
    SANDBOX_COMMAND_AHEAD,
    SANDBOX_COMMAND_JOB,
    SANDBOX_COMMAND_SPAWN,
    SANDBOX_COMMAND_SAMPLE,
    SANDBOX_COMMAND_KILL,
};

struct sandbox_command {
    enum sandbox_command_type type;
    enum rw_stage stage;   /* spawn, ahead */
    uint64_t memory_bytes; /* sample: above this sum of resident sets the exact, slower measure is taken */
};

enum sandbox_report_type {
    SANDBOX_REPORT_READY,
    SANDBOX_REPORT_FAILED,
    SANDBOX_REPORT_HELD,
    SANDBOX_REPORT_UNHELD,
    SANDBOX_REPORT_COLD,
    SANDBOX_REPORT_STARTED,
    SANDBOX_REPORT_EXEC_FAILED,
    SANDBOX_REPORT_EXITED,
    SANDBOX_REPORT_SAMPLE,
    SANDBOX_REPORT_LOST,
};

struct sandbox_report {
    enum sandbox_report_type type;
    enum rw_stage stage;                 /* held, unheld, cold */
    bool is_warm;                        /* started: it was ahead of its job */
    int64_t at_us;                       /* started: the moment of the exec, on the monotonic clock */
    int sys_errno;                       /* failed, exec failed; 0 when no system call was at fault */
    char message[SANDBOX_MESSAGE_BYTES]; /* failed, exec failed: one line */
    bool has_exit_code;                  /* exited */
    int exit_code;
    int signal;
    uint64_t waiting;      /* started: processes and threads that wait for a later stage, and are none of this one's */
    struct rw_usage usage; /* exited: of everything that was reaped; sample: of what lives, and was reaped so far; started: what
                              there is already. What a process used before its job was there counts in none of them */
};

struct sandbox_config {
    bool is_root;   /* false: the code has our ids (namespaces: mapped to its own) */
    uid_t uid_base; /* as root: host ids uid_base and uid_base + 1 are the sandbox's 0 and 1000 */
    uid_t uid;      /* the runner's own */
    gid_t gid;
    struct cgroup *cgroup;    /* borrowed; NULL when there is none */
    struct sock_fprog filter; /* borrowed: the system call filter of the code */
};

struct sandbox;

struct sandbox_strategy {
    const char *name;
    bool has_own_network;
    /* Make everything that does not depend on the job. UNSUPPORTED with a remedy when the kernel refuses. */
    int (*prepare)(struct sandbox *sandbox, const struct sandbox_config *config, struct rw_error *err);
    /* Commands are executed in order. The descriptors stay the caller's. */
    int (*send)(struct sandbox *sandbox, const struct sandbox_command *command, const int *fds, size_t n_fds, struct rw_error *err);
    /* 1 with a report, 0 when there is none now. After LOST there are no more. */
    int (*receive)(struct sandbox *sandbox, struct sandbox_report *ret_report);
    /* Kill and reap everything; waits at most timeout_ms. */
    void (*destroy)(struct sandbox *sandbox, int timeout_ms);
};

struct sandbox {
    const struct sandbox_strategy *strategy;
    int event_fd; /* readable when receive has something */
    void *state;  /* the strategy's own */
};

extern const struct sandbox_strategy sandbox_namespaces;
extern const struct sandbox_strategy sandbox_container;

/* NULL when there is no strategy of that name. */
const struct sandbox_strategy *sandbox_strategy_find(const char *name);

#endif
