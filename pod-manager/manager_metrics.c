/* What the manager shows of itself: metrics by pool (a language at an isolation level), and its part of readiness. Labels are fixed at the start. */
#include <stdio.h>

#include "manager.h"

static const char *labels_of(const struct manager_pool *pool, const char *name, const char *value, char out[static 160])
{
    if (name) {
        (void)snprintf(out, 160, "language=\"%s\",isolation=\"%s\",%s=\"%s\"", pool->language->id,
                       rw_isolation_name(pool->isolation), name, value);
    } else {
        (void)snprintf(out, 160, "language=\"%s\",isolation=\"%s\"", pool->language->id, rw_isolation_name(pool->isolation));
    }
    return out;
}

static void register_pods(struct manager_pool *pool, struct rw_metrics *metrics)
{
    char labels[160];
    struct manager_pool_metrics *m = &pool->metrics;
    for (int phase = 0; phase < _POOL_PHASE_MAX; phase++) {
        m->pods[phase] = rw_metrics_gauge(metrics, "runwave_pods",
                                          labels_of(pool, "phase", pool_phase_name((enum pool_phase)phase), labels), "Pods");
    }
    for (int reason = 0; reason < _BACKEND_REASON_MAX; reason++) {
        if (reason != BACKEND_DESTROYED) {
            m->failures[reason] = rw_metrics_counter(
                metrics, "runwave_pod_failures_total",
                labels_of(pool, "reason", backend_reason_name((enum backend_reason)reason), labels),
                "Pods that failed by themselves");
        }
    }
    const char *plain = labels_of(pool, NULL, NULL, labels);
    m->creates = rw_metrics_counter(metrics, "runwave_pod_creates_total", plain, "Pods asked for");
    m->warm_up = rw_metrics_histogram(metrics, "runwave_pod_warm_up_seconds", plain, "From asking for a pod until it is ready",
                                      rw_metrics_seconds_bounds, rw_metrics_n_seconds_bounds);
}

static void register_target(struct manager_pool *pool, struct rw_metrics *metrics)
{
    char labels[160];
    struct manager_pool_metrics *m = &pool->metrics;
    m->target = rw_metrics_gauge(metrics, "runwave_pool_target", labels_of(pool, NULL, NULL, labels),
                                 "Leases the pool should be able to grant at once: the sum of the parts, within its bounds");
    static const char name[] = "runwave_pool_target_part";
    static const char help[] = "What the target is made of";
    m->target_floor = rw_metrics_gauge(metrics, name, labels_of(pool, "part", "floor", labels), help);
    m->target_arrivals = rw_metrics_gauge(metrics, name, labels_of(pool, "part", "arrivals", labels), help);
    m->target_waiting = rw_metrics_gauge(metrics, name, labels_of(pool, "part", "waiting", labels), help);
}

static void register_leases(struct manager_pool *pool, struct rw_metrics *metrics)
{
    char labels[160];
    static const char wanted[] = "runwave_lease_requests_total";
    static const char wanted_help[] = "Requests for a lease, by what became of them";
    struct manager_pool_metrics *m = &pool->metrics;
    m->granted = rw_metrics_counter(metrics, wanted, labels_of(pool, "outcome", "granted", labels), wanted_help);
    m->overloaded = rw_metrics_counter(metrics, wanted, labels_of(pool, "outcome", "overloaded", labels), wanted_help);
    m->left = rw_metrics_counter(metrics, wanted, labels_of(pool, "outcome", "left", labels), wanted_help);
    static const enum pool_why reasons[] = {POOL_WHY_TIMEOUT, POOL_WHY_DRAIN};
    for (size_t i = 0; i < RW_ARRAY_SIZE(reasons); i++) {
        m->refused[reasons[i]] = rw_metrics_counter(metrics, wanted, labels_of(pool, "outcome", pool_why_name(reasons[i]), labels),
                                                    wanted_help);
    }
    for (int outcome = 0; outcome < _MANAGER_OUTCOME_MAX; outcome++) {
        m->ended[outcome] = rw_metrics_counter(
            metrics, "runwave_lease_ends_total",
            labels_of(pool, "outcome", manager_outcome_name((enum manager_outcome)outcome), labels), "Leases that ended, by how");
    }
    const char *plain = labels_of(pool, NULL, NULL, labels);
    m->leases = rw_metrics_gauge(metrics, "runwave_leases", plain, "Leases held");
    m->lease_wait = rw_metrics_histogram(metrics, "runwave_lease_wait_seconds", plain, "From the request for a lease to its grant",
                                         rw_metrics_seconds_bounds, rw_metrics_n_seconds_bounds);
}

void manager_metrics_register(struct manager *manager, struct rw_metrics *metrics)
{
    for (size_t i = 0; i < manager->n_pools; i++) { /* family by family, as the text format wants it */
        register_pods(&manager->by_pool[i], metrics);
    }
    for (size_t i = 0; i < manager->n_pools; i++) {
        register_target(&manager->by_pool[i], metrics);
        register_leases(&manager->by_pool[i], metrics);
    }
}

/* What is known by its labels; when it changes, the old ones stay and become 0. */
void manager_metrics_layers(struct manager *manager, const char *layers)
{
    char labels[160];
    if (manager->layers) {
        rw_gauge_set(manager->layers, 0);
    }
    (void)snprintf(labels, sizeof(labels), "backend=\"%s\",layers=\"%.100s\"", manager->class->name, layers);
    manager->layers = rw_metrics_gauge(manager->metrics, "runwave_sandbox_layers", labels, "Layers of the sandbox in force");
    rw_gauge_set(manager->layers, 1);
}

void manager_metrics_update(struct manager *manager)
{
    for (size_t i = 0; i < manager->n_pools; i++) {
        const struct pool *pool = &manager->pools->pools[i];
        const struct manager_pool_metrics *m = &manager->by_pool[i].metrics;
        for (int phase = 0; phase < _POOL_PHASE_MAX; phase++) {
            rw_gauge_set(m->pods[phase], pool->n_pods[phase]);
        }
        rw_gauge_set(m->target, pool->decision.target);
        rw_gauge_set(m->target_floor, pool->decision.floor);
        rw_gauge_set(m->target_arrivals, pool->decision.arrivals);
        rw_gauge_set(m->target_waiting, pool->decision.waiting);
    }
}

/* Ready means that leases can be granted: the backend works, and no language is without a pod because creating fails. */
void manager_health_update(struct manager *manager)
{
    char detail[256];
    for (size_t i = 0; i < manager->n_pools; i++) {
        const struct pool *pool = &manager->pools->pools[i];
        const struct manager_pool *shown = &manager->by_pool[i];
        if (pool_is_failing(pool) && pool->n_pods[POOL_WARM] + pool->n_pods[POOL_LEASED] == 0) {
            (void)snprintf(detail, sizeof(detail), "%s: %s", shown->language->id, shown->failure);
            rw_health_set(manager->health, "pods", false, detail);
            return;
        }
    }
    rw_health_set(manager->health, "pods", true, NULL);
}
