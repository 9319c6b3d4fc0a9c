/* Processes that are started ahead of their job, one a stage: the plan by which they are, and what a job must be to get them.
 *
 * A plan is two jobs without files: what a fitting job looks like, and what is started for it. The two differ only where a
 * language's compiler has a warm host, which is started in its place and does the same to the byte. The first file of what is
 * started, if there is one, is the host's text: it gets it as HOLD_HOST_FD. */
#ifndef RUNNER_WARM_H
#define RUNNER_WARM_H

#include <rw/runner_protocol.h>

#include "launch.h"

struct warm_process {
    pid_t pid;      /* 0: none */
    int channel_fd; /* to its hold; -1: none */
    bool is_held;   /* it is up, and waits */
    bool is_due;    /* one was started, and the stage has neither taken nor refused it yet */
};

struct warm {
    struct rw_job *fits;   /* owned; NULL: no plan */
    struct rw_job *starts; /* owned */
    int library_fd;        /* the hold; -1: none */
    int host_fd;
    struct warm_process processes[_RW_STAGE_MAX];
};

void warm_init(struct warm *warm);
/* PROTOCOL. bytes: as rw_warm_plan (rw/language.h) makes them. */
RW_NODISCARD int warm_set_plan(struct warm *warm, struct rw_bytes bytes, int library_fd, int host_fd, struct rw_error *err);
void warm_done(struct warm *warm);
/* What is started ahead for that stage; NULL: nothing. */
const struct rw_job_stage *warm_stage(const struct warm *warm, enum rw_stage stage);
/* Whether that stage of the job would be to the byte what was started. */
bool warm_fits(const struct warm *warm, const struct rw_job *job, enum rw_stage stage);
/* Let it go, within the stage's limits. False: it is not there any more. */
bool warm_release(const struct warm *warm, enum rw_stage stage, const struct launch_policy *policy, const struct rw_limits *limits);
void warm_close_channel(struct warm_process *process);

/* The hold as a descriptor that can be given to PLAN; and a plan's texts as such. */
RW_NODISCARD int warm_library_open(struct rw_error *err);
RW_NODISCARD int warm_text_open(const char *name, struct rw_bytes text, struct rw_error *err);

#endif
