/* The manager's work: requests and the backend's events change the pools' state, then manager_decide carries out what follows. It
 * is called at the end of every entry point and never from inside an action, because the backend's events come from the loop. */
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include <rw/clock.h>
#include <rw/log.h>

#include "manager_internal.h"

enum { DRAIN_FORCE_MS = 3000, DRAIN_LINGER_MS = 1000, RETRY_BASE_MS = 100, RETRY_MAX_MS = 30000 };

const char *manager_outcome_name(enum manager_outcome outcome)
{
    static const char *const names[_MANAGER_OUTCOME_MAX] = {[MANAGER_USED] = "used",
                                                            [MANAGER_UNUSED] = "unused",
                                                            [MANAGER_FAILED] = "failed",
                                                            [MANAGER_DEADLINE] = "deadline",
                                                            [MANAGER_LOST] = "lost"};
    return names[outcome];
}

static void end_lease(struct manager *manager, struct lease *lease, enum manager_outcome outcome)
{
    struct manager_pod *pod = lease->pod;
    struct manager_pool_metrics *metrics = &manager->by_pool[lease->pool].metrics;
    if (pod) {
        DL_DELETE(pod->leases, lease);
        rw_counter_add(metrics->ended[outcome], 1);
        rw_gauge_add(metrics->leases, -1);
        rw_log(RW_LOG_DEBUG, "lease ended", RW_LOG_STR("pod", pod->name), RW_LOG_STR("outcome", manager_outcome_name(outcome)),
               RW_LOG_STR("task_id", lease->task_id), RW_LOG_INT("attempt", lease->attempt));
    }
    leases_remove(&manager->leases, lease);
}

static void run_grant(struct manager *manager, const struct pool_action *action, int64_t now_ms)
{
    struct manager_request *request = action->waiter;
    struct manager_pod *pod = action->pod->user;
    if (request->has_left(request)) {
        struct rw_error err = {0};
        (void)rw_fail(&err, CANCELLED, "the client left");
        rw_counter_add(manager->by_pool[request->pool].metrics.left, 1);
        pools_take_back(manager->pools, action->pod, now_ms); /* the next decision gives it to somebody else */
        request->refused(request, &err);
        return;
    }
    struct lease *lease = rw_xcalloc(1, sizeof(*lease));
    lease->id = rw_uuid_v7();
    lease->pod = pod;
    lease->pool = request->pool;
    lease->granted_ms = now_ms;
    lease->started_deadline_ms = now_ms + request->deadline_ms;
    lease->deadline_ms = now_ms + (request->deadline_ms < manager->config->lease_start_ms ? request->deadline_ms
                                                                                          : manager->config->lease_start_ms);
    lease->attempt = request->attempt;
    (void)snprintf(lease->task_id, sizeof(lease->task_id), "%s", request->task_id);
    leases_add(&manager->leases, lease);
    DL_APPEND(pod->leases, lease);

    struct manager_pool_metrics *metrics = &manager_pool_of(manager, pod)->metrics;
    rw_counter_add(metrics->granted, 1);
    rw_gauge_add(metrics->leases, 1);
    rw_histogram_observe(metrics->lease_wait, (double)(rw_monotonic_us() - request->wanted_us) / 1e6);
    rw_log(RW_LOG_DEBUG, "lease granted", RW_LOG_STR("pod", pod->name), RW_LOG_STR("task_id", lease->task_id),
           RW_LOG_INT("attempt", lease->attempt), RW_LOG_INT("waited_ms", action->waited_ms));
    struct manager_grant grant = {.lease_id = &lease->id, .pod = pod->name, .address = pod->address, .secret = pod->secret};
    uint32_t deadline_ms = request->deadline_ms;
    request->granted(request, &grant);
    if (manager->class->mark_leased) {
        manager->class->mark_leased(manager->backend, pod->name, deadline_ms);
    }
}

static void run_reject(struct manager *manager, const struct pool_action *action)
{
    struct manager_request *request = action->waiter;
    const struct manager_pool *pool = &manager->by_pool[request->pool];
    struct rw_error err = {0};
    rw_counter_add(pool->metrics.refused[action->why], 1);
    if (action->why == POOL_WHY_DRAIN) {
        (void)rw_fail(&err, CANCELLED, "the pod manager is stopping");
    } else {
        (void)rw_fail(&err, UNAVAILABLE, "no %s pod came free within %lld ms", pool->language->id, (long long)action->waited_ms);
    }
    request->refused(request, &err);
}

static void run_action(struct manager *manager, const struct pool_action *action, int64_t now_ms)
{
    switch (action->kind) {
    case POOL_GRANT:
        run_grant(manager, action, now_ms);
        break;
    case POOL_REJECT:
        run_reject(manager, action);
        break;
    case POOL_CREATE:
        manager_create_pod(manager, action);
        break;
    case POOL_DESTROY:
        manager_destroy_pod(manager, action, now_ms);
        break;
    }
}

/* No pod is left, and the holders of the last leases had a moment to give them back. */
static bool is_empty(struct manager *manager, int64_t now_ms)
{
    if (manager->pools->n_pods > 0) {
        return now_ms >= manager->drain_until_ms + DRAIN_FORCE_MS;
    }
    if (!manager->empty_since_ms) {
        manager->empty_since_ms = now_ms;
    }
    return !manager->leases.by_id || now_ms - manager->empty_since_ms >= DRAIN_LINGER_MS;
}

void manager_decide(struct manager *manager, int64_t now_ms)
{
    do {
        manager->actions.count = 0;
        pools_decide(manager->pools, now_ms, &manager->actions);
        for (size_t i = 0; i < manager->actions.count; i++) {
            run_action(manager, &manager->actions.items[i], now_ms);
        }
    } while (manager->actions.count > 0);
    manager_metrics_update(manager);
    manager_health_update(manager);
    if (manager->drain_until_ms && !manager->is_drained && is_empty(manager, now_ms)) {
        manager->is_drained = true;
        manager->drained(manager->drained_arg);
    }
}

void manager_want_lease(struct manager *manager, struct manager_request *request)
{
    int64_t now_ms = rw_monotonic_ms();
    struct rw_error err = {0};
    if (pools_wait(manager->pools, request->pool, now_ms, request->wait_ms, request, &err)) {
        struct manager_pool_metrics *metrics = &manager->by_pool[request->pool].metrics;
        rw_counter_add(err.code == RW_ERR_OVERLOADED ? metrics->overloaded : metrics->refused[POOL_WHY_DRAIN], 1);
        request->refused(request, &err);
        return;
    }
    manager_decide(manager, now_ms);
}

void manager_start_lease(struct manager *manager, const struct rw_uuid *id)
{
    struct lease *lease = leases_find(&manager->leases, id);
    if (lease) {
        leases_start(lease);
    }
}

int manager_end_lease(struct manager *manager, const struct rw_uuid *id, enum manager_outcome outcome, struct rw_error *err)
{
    struct lease *lease = leases_find(&manager->leases, id);
    if (!lease) {
        return rw_fail(err, NOT_FOUND, "this lease is not known, or not any more");
    }
    struct manager_pod *pod = lease->pod;
    int64_t now_ms = rw_monotonic_ms();
    if (pod) {
        pools_lease_end(manager->pools, pod->pool_pod, outcome == MANAGER_FAILED, now_ms);
    }
    end_lease(manager, lease, outcome);
    manager_decide(manager, now_ms);
    return 0;
}

static void end_overdue_leases(struct manager *manager, int64_t now_ms)
{
    for (struct lease *lease = leases_overdue(&manager->leases, now_ms); lease; lease = leases_overdue(&manager->leases, now_ms)) {
        struct manager_pod *pod = lease->pod;
        if (pod) {
            rw_log(RW_LOG_WARNING, "a lease is past its deadline", RW_LOG_STR("pod", pod->name),
                   RW_LOG_STR("task_id", lease->task_id), RW_LOG_INT("attempt", lease->attempt),
                   RW_LOG_INT("held_ms", now_ms - lease->granted_ms));
            pools_lease_end(manager->pools, pod->pool_pod, true, now_ms);
        }
        end_lease(manager, lease, MANAGER_DEADLINE);
    }
}

static void end_all_leases(struct manager *manager, int64_t now_ms)
{
    struct lease *lease = NULL;
    struct lease *next = NULL;
    HASH_ITER(hh, manager->leases.by_id, lease, next)
    {
        struct manager_pod *pod = lease->pod;
        if (pod) {
            pools_lease_end(manager->pools, pod->pool_pod, true, now_ms);
        }
        end_lease(manager, lease, MANAGER_LOST);
    }
}

void manager_tick(struct manager *manager, int64_t now_ms)
{
    manager->class->tick(manager->backend, now_ms);
    end_overdue_leases(manager, now_ms);
    if (manager->drain_until_ms && now_ms >= manager->drain_until_ms && manager->leases.by_id) {
        rw_log(RW_LOG_WARNING, "the drain time is over: ending leases", RW_LOG_INT("leases", HASH_COUNT(manager->leases.by_id)));
        end_all_leases(manager, now_ms);
    }
    manager_decide(manager, now_ms);
}

void manager_drain(struct manager *manager)
{
    int64_t now_ms = rw_monotonic_ms();
    manager->drain_until_ms = now_ms + manager->config->drain_ms;
    rw_health_set(manager->health, "running", false, "stopping");
    if (manager->class->hand_over) {
        manager->class->hand_over(manager->backend);
    }
    pools_drain(manager->pools);
    manager_decide(manager, now_ms);
}

static void name_pools(struct manager *manager)
{
    size_t n_languages = rw_catalogue_count(manager->catalogue);
    manager->by_pool = rw_xcalloc(n_languages * _RW_ISOLATION_MAX, sizeof(*manager->by_pool));
    for (size_t i = 0; i < n_languages; i++) {
        for (int level = 0; level < _RW_ISOLATION_MAX; level++) {
            if (manager->config->isolation.is_offered[level]) {
                manager->by_pool[manager->n_pools++] = (struct manager_pool){.language = rw_catalogue_at(manager->catalogue, i),
                                                                             .isolation = (enum rw_isolation)level};
            }
        }
    }
}

int manager_find_pool(const struct manager *manager, const char *language, const char *isolation, size_t *ret_pool,
                      struct rw_error *err)
{
    const struct rw_language *found = rw_catalogue_find(manager->catalogue, language);
    enum rw_isolation level = isolation ? rw_isolation_parse(isolation) : manager->config->isolation.level;
    if (!found) {
        return rw_fail(err, NOT_FOUND, "there is no language \"%s\"", language);
    }
    for (size_t i = 0; i < manager->n_pools; i++) {
        if (manager->by_pool[i].language == found && manager->by_pool[i].isolation == level) {
            *ret_pool = i;
            return 0;
        }
    }
    return rw_fail(err, UNSUPPORTED, "the isolation level \"%s\" is not offered", isolation ? isolation : "");
}

static void set_up_pools(struct manager *manager)
{
    const struct manager_config *config = manager->config;
    struct pools_rules rules = {
        .pods_max = config->pods_max,
        .creating_max = config->creating_max ? config->creating_max : manager->class->creating_max,
        .waiting_max = config->waiting_max,
        .ready_timeout_ms = config->ready_timeout_ms,
        .retry_base_ms = RETRY_BASE_MS,
        .retry_max_ms = RETRY_MAX_MS,
        .scale = {.rate_window_ms = config->scaling.rate_window_ms,
                  .shrink_delay_ms = config->scaling.shrink_delay_ms,
                  .shrink_step_ms = config->scaling.shrink_step_ms},
    };
    RW_AUTO_FREE struct pool_limits *limits = rw_xcalloc(manager->n_pools, sizeof(*limits));
    for (size_t i = 0; i < manager->n_pools; i++) {
        const struct manager_pool *pool = &manager->by_pool[i];
        bool is_shared = pool->isolation == RW_ISOLATION_SANDBOX;
        bool has_floor = !config->isolation.lazy || pool->isolation == config->isolation.level;
        limits[i] = (struct pool_limits){.warm = has_floor ? pool->language->pool.warm : 0,
                                         .max = pool->language->pool.max,
                                         .slots = is_shared ? config->isolation.slots : 1,
                                         .uses = is_shared ? config->isolation.uses : 1};
    }
    manager->pools = pools_new(&rules, limits, manager->n_pools);
    pools_set_usable(manager->pools, false); /* until the backend says so */
}

int manager_open(const struct manager_options *options, struct manager **ret_manager, struct rw_error *err)
{
    struct manager *manager = rw_xcalloc(1, sizeof(*manager));
    manager->loop = options->loop;
    manager->config = options->config;
    manager->catalogue = options->catalogue;
    manager->health = options->health;
    manager->metrics = options->metrics;
    manager->class = options->class;
    manager->drained = options->drained;
    manager->drained_arg = options->drained_arg;
    leases_init(&manager->leases);
    name_pools(manager);
    set_up_pools(manager);
    manager_metrics_register(manager, options->metrics);
    rw_health_set(manager->health, "backend", false, "not known yet");

    struct backend_options backend = {
        .loop = options->loop,
        .config = options->config,
        .catalogue = options->catalogue,
        .metrics = options->metrics,
        .events = manager_events,
    };
    backend.events.arg = manager;
    if (manager->class->open(&backend, &manager->backend, err)) {
        manager_free(manager);
        return -1;
    }
    (void)uv_idle_init(manager->loop, &manager->creator);
    manager->creator.data = manager;
    *ret_manager = manager;
    return janitor_start(manager, err);
}

void manager_close(struct manager *manager)
{
    janitor_close(manager);
    uv_close((uv_handle_t *)&manager->creator, NULL);
    manager->class->close(manager->backend);
}

void manager_free(struct manager *manager)
{
    if (!manager) {
        return;
    }
    struct manager_pod *pod = NULL;
    struct manager_pod *next = NULL;
    HASH_ITER(hh, manager->pods, pod, next)
    {
        HASH_DEL(manager->pods, pod);
        explicit_bzero(pod->secret, sizeof(pod->secret));
        free(pod->address);
        free(pod);
    }
    leases_done(&manager->leases);
    pools_free(manager->pools);
    pool_actions_done(&manager->actions);
    free(manager->by_pool);
    free(manager);
}
