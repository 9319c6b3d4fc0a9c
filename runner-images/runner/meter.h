/* What a stage uses, from its cgroup where there is one, else from samples that the sandbox takes; each controller on its own. */
#ifndef RUNNER_METER_H
#define RUNNER_METER_H

#include "judge.h"
#include "sandbox.h"

struct meter {
    const struct cgroup *cgroup; /* NULL: none */
    uint64_t processors;
    struct cgroup_reading base; /* at the start of the stage */
    struct cgroup_reading now;
    struct rw_usage sample;      /* the last one */
    uint64_t sampled_memory_max; /* over the stage */
    uint64_t sampled_processes_max;
    uint64_t waiting; /* processes in the cgroup that are none of the stage's */
};

void meter_init(struct meter *meter, const struct cgroup *cgroup);
/* Whether ticks need samples from the sandbox. */
bool meter_needs_samples(const struct meter *meter);
void meter_stage_begins(struct meter *meter);
/* The code's first instruction: from here on CPU time is its own. processes: what it has already; waiting: those in the cgroup that
 * are not its. */
void meter_code_begins(struct meter *meter, uint64_t processes, uint64_t waiting);
void meter_take_sample(struct meter *meter, const struct rw_usage *sample);
/* Read the counters and set what they show as passed. */
void meter_check(struct meter *meter, const struct rw_limits *limits, struct stage_facts *facts);
/* How long the counters may be left alone without missing a limit by much. */
int64_t meter_next_check_us(const struct meter *meter, const struct rw_limits *limits);
/* The stage's usage: exited holds the wall time, and what the reaped processes used. */
void meter_stage_ended(struct meter *meter, const struct rw_usage *exited, struct stage_facts *facts);

#endif
