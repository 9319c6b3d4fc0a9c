/* The rules of an attempt, as tables and without I/O: its states and the permitted transitions, and what follows from each
 * failure. */
#ifndef SCHEDULER_ATTEMPT_RULES_H
#define SCHEDULER_ATTEMPT_RULES_H

#include <stdbool.h>

#include <rw/log.h>

enum attempt_state {
    ATTEMPT_CLAIMING,   /* asking the database for the task */
    ATTEMPT_LEASING,    /* asking the pod-manager for a pod, or waiting to ask again */
    ATTEMPT_CONNECTING, /* to the runner, until it has proved itself */
    ATTEMPT_RUNNING,    /* the job was sent */
    ATTEMPT_INQUIRING,  /* the runner vanished: asking the pod-manager what became of its pod */
    ATTEMPT_RECORDING,  /* the result is at hand; repeated until the database has settled it */
    ATTEMPT_LOSING,     /* the attempt is lost: the task goes back to the queue, or is dead; repeated likewise */
    ATTEMPT_RETURNING,  /* the job was never sent: the task goes back and the attempt does not count; repeated likewise */
    ATTEMPT_ENDED,
    _ATTEMPT_STATE_MAX
};

const char *attempt_state_name(enum attempt_state state);
bool attempt_transition_is_permitted(enum attempt_state from, enum attempt_state to);
/* Whether losing the fence ends the attempt here: in the other states the statement under way says so itself. */
bool attempt_state_is_fenceable(enum attempt_state state);

/* What goes wrong on the way to a result. Up to POD_REFUSED nobody has run any code. */
enum attempt_failure {
    FAILURE_POOL_EMPTY,       /* no pod came free within the wait */
    FAILURE_PODS_UNAVAILABLE, /* the pod-manager does not answer, or not sensibly */
    FAILURE_LEASE_REJECTED,   /* the pod-manager does not know the language, or does not accept us */
    FAILURE_POD_UNREACHABLE,  /* could not connect, or closed before it had proved itself */
    FAILURE_POD_SILENT,       /* did not prove itself in time */
    FAILURE_POD_GARBLED,      /* broke the protocol before the job was sent */
    FAILURE_POD_IMPOSTOR,     /* does not know the pod's secret */
    FAILURE_POD_TAKEN,        /* serves somebody else: it was offered twice */
    FAILURE_POD_REFUSED,      /* does not accept us, or is not ready */
    FAILURE_JOB_UNSENDABLE,   /* the job does not fit into a message */
    FAILURE_JOB_REFUSED,      /* the runner cannot read the job */
    FAILURE_RUNNER_VANISHED,  /* closed after the job was sent and before its result */
    FAILURE_RUNNER_GARBLED,   /* broke the protocol after the job was sent */
    FAILURE_RUNNER_FLOODED,   /* sent more output than any job may make */
    FAILURE_RUNNER_OVERTIME,  /* no result within the attempt's time */
    FAILURE_RECORD_REFUSED,   /* the database keeps refusing the result itself */
    FAILURE_STOPPED,          /* this scheduler stops and cannot wait any longer */
    _FAILURE_MAX
};

enum attempt_action {
    ACTION_LEASE_AGAIN, /* keep the task, ask for a pod again after a pause, for as long as it takes */
    ACTION_ANOTHER_POD, /* the same, a bounded number of times; then return the task */
    ACTION_LOSE,        /* the attempt counts as lost */
    ACTION_INQUIRE, /* the lease is kept until it is known why its pod ended: its memory used up is a result, all else is lost */
    _ACTION_MAX
};

/* How a lease is given back (docs/lease-api.md); LEFT: not at all, the pod serves another holder until its own end. */
enum lease_outcome { LEASE_LEFT, LEASE_UNUSED, LEASE_USED, LEASE_FAILED, _LEASE_OUTCOME_MAX };
const char *lease_outcome_name(enum lease_outcome outcome); /* NULL for LEASE_LEFT */

struct attempt_remedy {
    const char *name; /* for logs and labels */
    enum attempt_action action;
    enum lease_outcome lease_outcome;
    enum rw_log_level level;
};

const struct attempt_remedy *attempt_remedy(enum attempt_failure failure);
/* What the end of its pod means for an attempt whose runner vanished. reason: a name of pod-manager/backend_reason.def; NULL: not
 * known. */
bool attempt_pod_end_is_memory(const char *reason);
/* What a runner's "refused" means. After the job was sent, only what says that the runner did not take it leaves the attempt
 * uncounted: a job that no runner accepts must not go round for ever. */
enum attempt_failure attempt_refusal(const char *reason, bool is_job_sent);

enum { ATTEMPT_PODS_FAILED_MAX = 5 }; /* then the task goes back for others to try */

#endif
