/* Spawns a stage's main process, reaps everything, ends everything when the main process ends, and reports. It runs in the
 * sandbox's init (namespaces), or in the runner itself (container). Single-threaded; never blocks. */
#ifndef RUNNER_SUPERVISOR_H
#define RUNNER_SUPERVISOR_H

#include "launch.h"
#include "process_table.h"
#include "sandbox.h"
#include "warm.h"

struct supervisor_config {
    struct launch_policy policy;
    bool is_pid_1; /* kill(-1) reaches exactly the code; else descendants are looked up and killed until none is left */
    int work_fd;   /* borrowed */
    int proc_fd;   /* borrowed */
    /* Called before the files are written and before a stage starts, to bound what may be written; NULL where nothing can. */
    int (*limit_disk)(void *context, uint64_t disk_bytes, struct rw_error *err);
    void (*report)(void *context, const struct sandbox_report *report);
    void *context;
};

enum supervisor_state { SUPERVISOR_IDLE, SUPERVISOR_STARTING, SUPERVISOR_RUNNING, SUPERVISOR_ENDING };

struct supervisor {
    struct supervisor_config config;
    enum supervisor_state state;
    int epoll_fd;  /* readable when dispatch has work */
    int signal_fd; /* SIGCHLD */
    int record_fd; /* the launch records of the starting child, -1 */
    pid_t main_pid;
    int64_t exec_at_us;
    uint64_t used_before_us; /* processor time of the main process before its job was there */
    struct rw_job *job;      /* owned; without the files' contents once they are written */
    struct sandbox_report exited;
    struct process_table table;
    struct warm warm;
};

/* Blocks SIGCHLD. */
RW_NODISCARD int supervisor_init(struct supervisor *supervisor, const struct supervisor_config *config, struct rw_error *err);
void supervisor_done(struct supervisor *supervisor);
/* Execute one command (PLAN, AHEAD, JOB, SPAWN, SAMPLE, KILL); what comes of it is reported. */
void supervisor_command(struct supervisor *supervisor, const struct sandbox_command *command, const int *fds, size_t n_fds);
/* Handle what made epoll_fd readable. */
void supervisor_dispatch(struct supervisor *supervisor);
/* Kill every process of the code. */
void supervisor_kill_all(struct supervisor *supervisor);

#endif
