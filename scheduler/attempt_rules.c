/* The rules of an attempt: see attempt_rules.h. docs/delivery.md explains them. */
#include "attempt_rules.h"

#include <string.h>

#include <rw/auto.h>

#define TO(name) (1U << ATTEMPT_##name)

static const struct {
    const char *name;
    unsigned to; /* permitted next states */
    bool is_fenceable;
} states[_ATTEMPT_STATE_MAX] = {
    [ATTEMPT_CLAIMING] = {"claiming", TO(LEASING) | TO(RETURNING) | TO(ENDED), false},
    [ATTEMPT_LEASING] = {"leasing", TO(CONNECTING) | TO(RETURNING) | TO(ENDED), true},
    [ATTEMPT_CONNECTING] = {"connecting", TO(RUNNING) | TO(LOSING) | TO(LEASING) | TO(RETURNING) | TO(ENDED), true},
    [ATTEMPT_RUNNING] = {"running", TO(INQUIRING) | TO(RECORDING) | TO(LOSING) | TO(LEASING) | TO(RETURNING) | TO(ENDED), true},
    [ATTEMPT_INQUIRING] = {"inquiring", TO(RECORDING) | TO(LOSING) | TO(ENDED), true},
    [ATTEMPT_RECORDING] = {"recording", TO(LOSING) | TO(ENDED), false},
    [ATTEMPT_LOSING] = {"losing", TO(ENDED), false},
    [ATTEMPT_RETURNING] = {"returning", TO(ENDED), false},
    [ATTEMPT_ENDED] = {"ended", 0, false},
};

static const struct attempt_remedy remedies[_FAILURE_MAX] = {
    [FAILURE_POOL_EMPTY] = {"pool_empty", ACTION_LEASE_AGAIN, LEASE_LEFT, RW_LOG_DEBUG},
    [FAILURE_PODS_UNAVAILABLE] = {"pods_unavailable", ACTION_LEASE_AGAIN, LEASE_LEFT, RW_LOG_DEBUG},
    [FAILURE_LEASE_REJECTED] = {"lease_rejected", ACTION_LEASE_AGAIN, LEASE_LEFT, RW_LOG_ERROR},
    [FAILURE_POD_UNREACHABLE] = {"pod_unreachable", ACTION_ANOTHER_POD, LEASE_FAILED, RW_LOG_WARNING},
    [FAILURE_POD_SILENT] = {"pod_silent", ACTION_ANOTHER_POD, LEASE_FAILED, RW_LOG_WARNING},
    [FAILURE_POD_GARBLED] = {"pod_garbled", ACTION_ANOTHER_POD, LEASE_FAILED, RW_LOG_WARNING},
    [FAILURE_POD_IMPOSTOR] = {"pod_impostor", ACTION_ANOTHER_POD, LEASE_FAILED, RW_LOG_ERROR},
    /* Giving this lease back would delete the pod under the feet of the other holder. */
    [FAILURE_POD_TAKEN] = {"pod_taken", ACTION_ANOTHER_POD, LEASE_LEFT, RW_LOG_INFO},
    [FAILURE_POD_REFUSED] = {"pod_refused", ACTION_ANOTHER_POD, LEASE_FAILED, RW_LOG_WARNING},
    [FAILURE_JOB_UNSENDABLE] = {"job_unsendable", ACTION_LOSE, LEASE_UNUSED, RW_LOG_ERROR},
    [FAILURE_JOB_REFUSED] = {"job_refused", ACTION_LOSE, LEASE_FAILED, RW_LOG_ERROR},
    [FAILURE_RUNNER_VANISHED] = {"runner_vanished", ACTION_INQUIRE, LEASE_FAILED, RW_LOG_WARNING},
    [FAILURE_RUNNER_GARBLED] = {"runner_garbled", ACTION_LOSE, LEASE_FAILED, RW_LOG_ERROR},
    [FAILURE_RUNNER_FLOODED] = {"runner_flooded", ACTION_LOSE, LEASE_FAILED, RW_LOG_ERROR},
    [FAILURE_RUNNER_OVERTIME] = {"runner_overtime", ACTION_LOSE, LEASE_FAILED, RW_LOG_WARNING},
    [FAILURE_RECORD_REFUSED] = {"record_refused", ACTION_LOSE, LEASE_USED, RW_LOG_ERROR},
    [FAILURE_STOPPED] = {"stopped", ACTION_LOSE, LEASE_USED, RW_LOG_WARNING},
};

static const char *const lease_outcomes[_LEASE_OUTCOME_MAX] = {
    [LEASE_LEFT] = NULL, [LEASE_UNUSED] = "unused", [LEASE_USED] = "used", [LEASE_FAILED] = "failed"};

static const struct refusal {
    const char *reason; /* docs/runner-protocol.md */
    enum attempt_failure before_job;
    enum attempt_failure after_job;
} refusals[] = {
    {"taken", FAILURE_POD_TAKEN, FAILURE_POD_TAKEN},         {"proof", FAILURE_POD_REFUSED, FAILURE_POD_REFUSED},
    {"not_ready", FAILURE_POD_REFUSED, FAILURE_POD_REFUSED}, {"protocol", FAILURE_POD_REFUSED, FAILURE_JOB_REFUSED},
    {"job", FAILURE_POD_GARBLED, FAILURE_JOB_REFUSED},
};
static const struct refusal unknown_refusal = {"", FAILURE_POD_REFUSED, FAILURE_JOB_REFUSED};

const char *attempt_state_name(enum attempt_state state)
{
    return states[state].name;
}

bool attempt_transition_is_permitted(enum attempt_state from, enum attempt_state to)
{
    return (states[from].to & (1U << to)) != 0;
}

bool attempt_state_is_fenceable(enum attempt_state state)
{
    return states[state].is_fenceable;
}

const char *lease_outcome_name(enum lease_outcome outcome)
{
    return lease_outcomes[outcome];
}

const struct attempt_remedy *attempt_remedy(enum attempt_failure failure)
{
    return &remedies[failure];
}

bool attempt_pod_end_is_memory(const char *reason)
{
    return reason && strcmp(reason, "oom_killed") == 0;
}

enum attempt_failure attempt_refusal(const char *reason, bool is_job_sent)
{
    const struct refusal *refusal = &unknown_refusal;
    for (size_t i = 0; i < RW_ARRAY_SIZE(refusals); i++) {
        if (strcmp(refusals[i].reason, reason) == 0) {
            refusal = &refusals[i];
        }
    }
    return is_job_sent ? refusal->after_job : refusal->before_job;
}
