/* What the scheduler measures. Registered once at start; every series is known by then. */
#ifndef SCHEDULER_METRICS_H
#define SCHEDULER_METRICS_H

#include <rw/language.h>
#include <rw/metrics.h>
#include <rw/task.h>

#include "attempt_rules.h"

enum metrics_stage {
    METRICS_QUEUED,
    METRICS_CLAIM,
    METRICS_LEASE,
    METRICS_CONNECT,
    METRICS_RUN,
    METRICS_RECORD,
    _METRICS_STAGE_MAX
};

struct scheduler_metrics {
    struct rw_metrics *registry;                                    /* owned */
    struct rw_counter *verdicts[RW_LANGUAGES_MAX][_RW_VERDICT_MAX]; /* tasks done here */
    struct rw_counter *dead[RW_LANGUAGES_MAX];
    struct rw_counter *lost[RW_LANGUAGES_MAX];
    struct rw_counter *returned[RW_LANGUAGES_MAX];
    struct rw_counter *failures[_FAILURE_MAX];
    struct rw_histogram *stages[_METRICS_STAGE_MAX];
    struct rw_gauge *in_flight;
    struct rw_gauge *waiting;
    struct rw_counter *fenced;
    struct rw_counter *duplicates;
    struct rw_counter *redelivered;
    struct rw_counter *not_claimed;
    struct rw_counter *malformed;
    struct rw_counter *republished;
    struct rw_counter *unroutable;
    struct rw_counter *reconciled;
    struct rw_counter *reconciled_dead;
    struct rw_counter *dead_letters;
    struct rw_counter *events_lost;
};

struct scheduler_metrics *scheduler_metrics_new(const struct rw_catalogue *catalogue);
void scheduler_metrics_free(struct scheduler_metrics *metrics);

#endif
