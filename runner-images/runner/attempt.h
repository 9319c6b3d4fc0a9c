/* One attempt at running a job in a prepared sandbox: compile if there is such a stage, then run, then a result. */
#ifndef RUNNER_ATTEMPT_H
#define RUNNER_ATTEMPT_H

#include <rw/job.h>
#include <rw/runner_protocol.h>

#include "judge.h"
#include "loop.h"
#include "meter.h"
#include "pump.h"
#include "sandbox.h"

enum { ATTEMPT_OUTPUT_BYTES_MAX = 128 * 1024 * 1024, ATTEMPT_FDS = 3 };

/* The pipes of both stages, made before the job: childs[stage][0..2] go into the sandbox, ours[stage][0..2] stay. */
struct attempt_pipes {
    int childs[_RW_STAGE_MAX][ATTEMPT_FDS];
    int ours[_RW_STAGE_MAX][ATTEMPT_FDS]; /* -1: none (the compiler's input is empty, its two outputs are one) */
};

enum attempt_state {
    ATTEMPT_IDLE,
    ATTEMPT_STARTING, /* the sandbox was told to */
    ATTEMPT_RUNNING,  /* the exec succeeded */
    ATTEMPT_STOPPING, /* killed, waiting for its end */
    ATTEMPT_OVER,
};

struct attempt {
    struct loop *loop;
    struct sandbox *sandbox;
    struct attempt_pipes pipes;
    struct meter meter;
    struct loop_source reports;
    struct rw_job *job;
    int64_t received_us;
    enum rw_stage stage;
    enum attempt_state state;
    struct stage_facts facts;
    struct rw_usage exited;
    struct pump pumps[2]; /* the stage's outputs */
    struct feeder feeder;
    struct loop_timer patience; /* the start, or the end after a kill, takes too long */
    struct loop_timer wall;
    struct loop_timer tick;
    struct rw_run_result result;
    void (*send)(void *context, const struct rw_message *message);
    void (*finished)(void *context); /* the result was given to send; all of the code's processes are dead */
    void *context;
};

/* owner_uid, owner_gid: to whom the pipes shall belong, so that the code can open /dev/stdout; (uid_t)-1: leave. */
RW_NODISCARD int attempt_pipes_make(struct attempt_pipes *pipes, uid_t owner_uid, gid_t owner_gid, struct rw_error *err);
/* loop, sandbox, pipes, send, finished and context are set; cgroup may be NULL. Starts to listen to the sandbox. */
void attempt_init(struct attempt *attempt, const struct cgroup *cgroup);
/* PROTOCOL when the bytes are no job, or one out of all bounds: then nothing was started. */
RW_NODISCARD int attempt_begin(struct attempt *attempt, struct rw_bytes job, int64_t received_us, struct rw_error *err);
void attempt_cancel(struct attempt *attempt);
void attempt_done(struct attempt *attempt);

#endif
