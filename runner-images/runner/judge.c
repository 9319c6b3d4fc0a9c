/* The order of judgement: what the code was stopped for comes before how it then ended. */
#include "judge.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

void judge_settle(struct stage_facts *facts, const struct rw_limits *limits, bool has_memory_counter)
{
    const struct rw_usage *usage = &facts->usage;
    facts->is_wall_exceeded = facts->is_wall_exceeded || usage->wall_us > limits->wall_ms * 1000;
    facts->is_cpu_exceeded = facts->is_cpu_exceeded || usage->cpu_user_us + usage->cpu_system_us > limits->cpu_ms * 1000;
    facts->is_memory_exceeded = facts->is_memory_exceeded || (!has_memory_counter && usage->memory_bytes > limits->memory_bytes);
}

/* The limit that ended the stage, in words; false when none did. */
static bool limit_passed(const struct stage_facts *facts, const struct rw_limits *limits, enum rw_verdict *ret_verdict,
                         char *reason, size_t size)
{
    if (facts->is_output_exceeded) {
        *ret_verdict = RW_VERDICT_OUTPUT_LIMIT;
        (void)snprintf(reason, size, "more than %" PRIu64 " bytes of output", limits->output_bytes);
    } else if (facts->is_wall_exceeded) {
        *ret_verdict = RW_VERDICT_TIME_LIMIT;
        (void)snprintf(reason, size, "wall time limit of %" PRIu64 " ms", limits->wall_ms);
    } else if (facts->is_cpu_exceeded) {
        *ret_verdict = RW_VERDICT_TIME_LIMIT;
        (void)snprintf(reason, size, "cpu time limit of %" PRIu64 " ms", limits->cpu_ms);
    } else if (facts->is_memory_exceeded) {
        *ret_verdict = RW_VERDICT_MEMORY_LIMIT;
        (void)snprintf(reason, size, "memory limit of %" PRIu64 " bytes", limits->memory_bytes);
    } else {
        return false;
    }
    return true;
}

/* What kept the stage from running to its own end, other than a limit; false when nothing did. */
static bool stage_broke(const struct stage_facts *facts, enum rw_verdict *ret_verdict, char *reason, size_t size)
{
    if (facts->is_cancelled) {
        *ret_verdict = RW_VERDICT_SIGNALLED;
        (void)snprintf(reason, size, "cancelled");
    } else if (facts->is_lost) {
        *ret_verdict = RW_VERDICT_INTERNAL_ERROR;
        (void)snprintf(reason, size, "the sandbox ended unexpectedly");
    } else if (facts->message[0] != '\0') {
        *ret_verdict = facts->is_programs_fault ? RW_VERDICT_RUNTIME_ERROR : RW_VERDICT_INTERNAL_ERROR;
        (void)snprintf(reason, size, "%s", facts->message);
    } else if (!facts->has_ended) {
        *ret_verdict = RW_VERDICT_INTERNAL_ERROR;
        (void)snprintf(reason, size, "the stage did not end");
    } else {
        return false;
    }
    return true;
}

bool judge_compile(const struct stage_facts *facts, const struct rw_limits *limits, struct rw_run_result *result)
{
    char why[SANDBOX_MESSAGE_BYTES];
    enum rw_verdict verdict;
    if (limit_passed(facts, limits, &verdict, why, sizeof(why))) {
        result->verdict = RW_VERDICT_COMPILE_ERROR;
        (void)snprintf(result->reason, sizeof(result->reason), "compiler stopped: %s", why);
        return false;
    }
    if (stage_broke(facts, &verdict, why, sizeof(why))) {
        result->verdict = verdict;
        (void)snprintf(result->reason, sizeof(result->reason), "compiler: %s", why);
        return false;
    }
    if (facts->signal != 0) {
        result->verdict = RW_VERDICT_COMPILE_ERROR;
        (void)snprintf(result->reason, sizeof(result->reason), "compiler ended by signal %d", facts->signal);
        return false;
    }
    if (facts->exit_code != 0) {
        result->verdict = RW_VERDICT_COMPILE_ERROR;
        return false;
    }
    return true;
}

void judge_run(const struct stage_facts *facts, const struct rw_limits *limits, struct rw_run_result *result)
{
    result->has_exit_code = facts->has_ended && facts->has_exit_code && facts->is_started;
    result->exit_code = result->has_exit_code ? facts->exit_code : 0;
    result->signal = facts->signal;
    if (limit_passed(facts, limits, &result->verdict, result->reason, sizeof(result->reason)) ||
        stage_broke(facts, &result->verdict, result->reason, sizeof(result->reason))) {
        return;
    }
    if (facts->signal != 0) {
        result->verdict = RW_VERDICT_SIGNALLED;
        return;
    }
    result->verdict = facts->exit_code == 0 ? RW_VERDICT_OK : RW_VERDICT_RUNTIME_ERROR;
}
