/* What the scheduler measures: registration, by tables. */
#include "metrics.h"

#include <stdio.h>

static const char *const stage_names[_METRICS_STAGE_MAX] = {
    [METRICS_QUEUED] = "queued",   [METRICS_CLAIM] = "claim", [METRICS_LEASE] = "lease",
    [METRICS_CONNECT] = "connect", [METRICS_RUN] = "run",     [METRICS_RECORD] = "record",
};

static const struct {
    size_t offset;
    const char *name;
    const char *help;
} plain_counters[] = {
#define ROW(member, help)                                                                                                          \
    {                                                                                                                              \
        offsetof(struct scheduler_metrics, member), "runwave_scheduler_" #member "_total", help                                    \
    }
    ROW(fenced, "Attempts whose task was taken from them"),
    ROW(duplicates, "Deliveries of a task already in hand"),
    ROW(redelivered, "Deliveries that took the place of a void one of a task in hand"),
    ROW(not_claimed, "Deliveries of tasks that were not to be claimed: final, or held by another scheduler"),
    ROW(malformed, "Messages that are not a task's id"),
    ROW(republished, "Task messages the sweep published and the broker confirmed"),
    ROW(unroutable, "Task messages the sweep published and the broker did not take"),
    ROW(reconciled, "Running tasks requeued because their lease ran out"),
    ROW(reconciled_dead, "Running tasks declared dead because their lease ran out on the last attempt"),
    ROW(dead_letters, "Queued tasks declared dead because the broker gave their message up"),
    ROW(events_lost, "Final events given up because the broker stayed away"),
#undef ROW
};

static void register_language(struct scheduler_metrics *metrics, size_t index, const char *language)
{
    char labels[128];
    for (enum rw_verdict v = 0; v < _RW_VERDICT_MAX; v++) {
        (void)snprintf(labels, sizeof(labels), "language=\"%s\",outcome=\"%s\"", language, rw_verdict_name(v));
        metrics->verdicts[index][v] = rw_metrics_counter(metrics->registry, "runwave_scheduler_tasks_total", labels,
                                                         "Tasks that became final here");
    }
    (void)snprintf(labels, sizeof(labels), "language=\"%s\",outcome=\"dead\"", language);
    metrics->dead[index] = rw_metrics_counter(metrics->registry, "runwave_scheduler_tasks_total", labels,
                                              "Tasks that became final here");
    (void)snprintf(labels, sizeof(labels), "language=\"%s\"", language);
    metrics->lost[index] = rw_metrics_counter(metrics->registry, "runwave_scheduler_attempts_lost_total", labels,
                                              "Attempts lost to infrastructure");
    metrics->returned[index] = rw_metrics_counter(metrics->registry, "runwave_scheduler_attempts_returned_total", labels,
                                                  "Attempts given back before their job was sent");
}

struct scheduler_metrics *scheduler_metrics_new(const struct rw_catalogue *catalogue)
{
    struct scheduler_metrics *metrics = rw_xcalloc(1, sizeof(*metrics));
    metrics->registry = rw_metrics_new();
    char labels[128];
    for (size_t i = 0; i < rw_catalogue_count(catalogue); i++) {
        register_language(metrics, i, rw_catalogue_at(catalogue, i)->id);
    }
    for (enum attempt_failure f = 0; f < _FAILURE_MAX; f++) {
        (void)snprintf(labels, sizeof(labels), "failure=\"%s\"", attempt_remedy(f)->name);
        metrics->failures[f] = rw_metrics_counter(metrics->registry, "runwave_scheduler_failures_total", labels,
                                                  "What went wrong on the way to a result");
    }
    for (enum metrics_stage s = 0; s < _METRICS_STAGE_MAX; s++) {
        (void)snprintf(labels, sizeof(labels), "stage=\"%s\"", stage_names[s]);
        metrics->stages[s] = rw_metrics_histogram(metrics->registry, "runwave_scheduler_stage_seconds", labels,
                                                  "Time spent in a stage of an attempt", rw_metrics_seconds_bounds,
                                                  rw_metrics_n_seconds_bounds);
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(plain_counters); i++) {
        struct rw_counter **member = (struct rw_counter **)(void *)((char *)metrics + plain_counters[i].offset);
        *member = rw_metrics_counter(metrics->registry, plain_counters[i].name, NULL, plain_counters[i].help);
    }
    metrics->in_flight = rw_metrics_gauge(metrics->registry, "runwave_scheduler_in_flight", NULL, "Attempts in flight");
    metrics->waiting = rw_metrics_gauge(metrics->registry, "runwave_scheduler_waiting", NULL, "Deliveries at hand, not started");
    return metrics;
}

void scheduler_metrics_free(struct scheduler_metrics *metrics)
{
    if (metrics) {
        rw_metrics_free(metrics->registry);
        free(metrics);
    }
}
