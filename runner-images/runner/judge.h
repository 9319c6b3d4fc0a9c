/* From what was observed of a stage to a verdict. Pure: facts in, verdict out; nothing the code printed is a fact. */
#ifndef RUNNER_JUDGE_H
#define RUNNER_JUDGE_H

#include <rw/job.h>
#include <rw/runner_protocol.h>

#include "sandbox.h"

struct stage_facts {
    bool is_started; /* the exec succeeded */
    bool has_ended;  /* the wait status below is known */
    bool has_exit_code;
    int exit_code;
    int signal;
    bool is_output_exceeded;
    bool is_wall_exceeded;
    bool is_cpu_exceeded;
    bool is_memory_exceeded;
    bool is_cancelled;
    bool is_lost;                        /* the sandbox's init is gone, without a report */
    int exec_errno;                      /* the exec failed */
    bool is_programs_fault;              /* ... and the program is one the job brought or built */
    char message[SANDBOX_MESSAGE_BYTES]; /* of a failure on our side, or of the exec */
    struct rw_usage usage;
};

/* Set the limits that the final figures show as passed, though no timer or tick was there in time. has_memory_counter: the kernel
 * enforced the memory limit and counted, so the peak (which it held at the limit) proves nothing. */
void judge_settle(struct stage_facts *facts, const struct rw_limits *limits, bool has_memory_counter);
/* Whether the compile stage let the run stage begin; else *result has its verdict and reason. */
bool judge_compile(const struct stage_facts *facts, const struct rw_limits *limits, struct rw_run_result *result);
void judge_run(const struct stage_facts *facts, const struct rw_limits *limits, struct rw_run_result *result);

#endif
