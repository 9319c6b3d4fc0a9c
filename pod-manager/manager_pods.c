/* The manager's pods: asked for, ready, failed, gone. Carries out the pools' creations and destructions, and takes the backend's
 * events.
 *
 * Pods are created one a turn of the loop, by the `creator`: a lease is answered before its replacement is made, and a burst of
 * leases before any of them. Secrets live in manager_pod, are wiped with it, and go nowhere but into the answer to a lease. */
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include <rw/clock.h>
#include <rw/log.h>
#include <rw/random.h>

#include "manager_internal.h"

struct manager_pool *manager_pool_of(struct manager *manager, const struct manager_pod *pod)
{
    return &manager->by_pool[pod->pool_pod->pool->index];
}

/* The pod serves no longer. Its leases stay known for a moment, their holders have yet to give them back. */
static void lose_leases(struct manager *manager, struct manager_pod *pod, enum backend_reason reason, const char *detail)
{
    bool is_well = reason == BACKEND_FINISHED || reason == BACKEND_HANDED_OVER;
    enum manager_outcome outcome = is_well ? MANAGER_USED : MANAGER_LOST;
    struct manager_pool_metrics *metrics = &manager_pool_of(manager, pod)->metrics;
    /* Of several tasks in a pod nobody can say whose the memory was. */
    bool is_shared_oom = reason == BACKEND_OOM_KILLED && pod->leases && pod->leases->next;
    while (pod->leases) {
        struct lease *lease = pod->leases;
        DL_DELETE(pod->leases, lease);
        lease->end_reason = is_shared_oom ? "oom_killed_shared" : backend_reason_name(reason);
        rw_counter_add(metrics->ended[outcome], 1);
        rw_gauge_add(metrics->leases, -1);
        if (outcome == MANAGER_LOST) {
            rw_log(RW_LOG_WARNING, "a leased pod was lost", RW_LOG_STR("pod", pod->name), RW_LOG_STR("task_id", lease->task_id),
                   RW_LOG_INT("attempt", lease->attempt), RW_LOG_STR("reason", backend_reason_name(reason)),
                   RW_LOG_STR("detail", detail));
        }
        leases_linger(&manager->leases, lease, rw_monotonic_ms());
    }
}

/* The language's id as part of a DNS label, which has no '+'. */
static void label_language(const struct rw_language *language, char out[static RW_LANGUAGE_ID_BYTES_MAX + 1])
{
    (void)snprintf(out, RW_LANGUAGE_ID_BYTES_MAX + 1, "%s", language->id);
    for (char *at = strchr(out, '+'); at; at = strchr(at, '+')) {
        *at = 'p';
    }
}

static void name_pod(const struct rw_language *language, char out[static BACKEND_NAME_BYTES])
{
    uint8_t random[6];
    char label[RW_LANGUAGE_ID_BYTES_MAX + 1];
    label_language(language, label);
    rw_random_bytes(random, sizeof(random));
    (void)snprintf(out, BACKEND_NAME_BYTES, "%s-%02x%02x%02x%02x%02x%02x", label, random[0], random[1], random[2], random[3],
                   random[4], random[5]);
}

static void forget_pod(struct manager *manager, struct manager_pod *pod, int64_t now_ms)
{
    pools_pod_gone(manager->pools, pod->pool_pod, now_ms);
    HASH_DEL(manager->pods, pod);
    explicit_bzero(pod->secret, sizeof(pod->secret));
    free(pod->address);
    free(pod);
}

/* A pod is lost that nobody asked to destroy: count it, say it, and end its leases. Once a pod. */
static void note_failure(struct manager *manager, struct manager_pod *pod, enum backend_reason reason, const char *detail)
{
    enum pool_phase phase = pod->pool_pod->phase;
    if (pod->has_failed || phase == POOL_ENDING) {
        return;
    }
    pod->has_failed = true;
    lose_leases(manager, pod, reason, detail);
    if ((phase == POOL_LEASED && reason == BACKEND_FINISHED) || reason == BACKEND_HANDED_OVER) {
        return; /* as it should be: the runner ends after its job, the holder tells us next */
    }
    struct manager_pool *pool = manager_pool_of(manager, pod);
    rw_counter_add(pool->metrics.failures[reason], 1);
    (void)snprintf(pool->failure, sizeof(pool->failure), "%s: %s", backend_reason_name(reason), detail ? detail : "");
    rw_log(RW_LOG_WARNING, "a pod failed", RW_LOG_STR("pod", pod->name), RW_LOG_STR("phase", pool_phase_name(phase)),
           RW_LOG_STR("reason", backend_reason_name(reason)), RW_LOG_STR("detail", detail));
}

static void create_next(uv_idle_t *idle)
{
    struct manager *manager = idle->data;
    struct manager_pod *pod = manager->queue;
    struct rw_error err = {0};
    if (pod) {
        DL_DELETE(manager->queue, pod);
        pod->is_queued = false;
        const struct manager_pool *pool = manager_pool_of(manager, pod);
        const struct pool_limits *limits = &pod->pool_pod->pool->limits;
        const struct backend_wish wish = {
            .language = pool->language->id, .isolation = pool->isolation, .slots = limits->slots, .uses = limits->uses};
        rw_counter_add(pool->metrics.creates, 1);
        if (manager->class->create(manager->backend, pod->name, &wish, &err)) {
            note_failure(manager, pod, BACKEND_REFUSED, err.message);
            forget_pod(manager, pod, rw_monotonic_ms());
        }
    }
    if (!manager->queue) {
        (void)uv_idle_stop(idle);
    }
    if (err.code) {
        manager_tick(manager, rw_monotonic_ms());
    }
}

void manager_create_pod(struct manager *manager, const struct pool_action *action)
{
    struct manager_pod *pod = rw_xcalloc(1, sizeof(*pod));
    pod->pool_pod = action->pod;
    pod->pool_pod->user = pod;
    pod->is_queued = true;
    name_pod(manager_pool_of(manager, pod)->language, pod->name);
    HASH_ADD_STR(manager->pods, name, pod);
    DL_APPEND(manager->queue, pod);
    (void)uv_idle_start(&manager->creator, create_next);
}

void manager_destroy_pod(struct manager *manager, const struct pool_action *action, int64_t now_ms)
{
    struct manager_pod *pod = action->pod->user;
    bool is_bad = action->why == POOL_WHY_BROKEN || action->why == POOL_WHY_NEVER_READY;
    rw_log(is_bad ? RW_LOG_WARNING : RW_LOG_DEBUG, "destroying a pod", RW_LOG_STR("pod", pod->name),
           RW_LOG_STR("why", pool_why_name(action->why)));
    if (action->why == POOL_WHY_NEVER_READY) {
        struct manager_pool *pool = manager_pool_of(manager, pod);
        rw_counter_add(pool->metrics.failures[BACKEND_NEVER_READY], 1);
        (void)snprintf(pool->failure, sizeof(pool->failure), "a pod was not ready within %u ms",
                       (unsigned)manager->config->ready_timeout_ms);
    }
    lose_leases(manager, pod, BACKEND_DESTROYED, pool_why_name(action->why));
    if (pod->is_queued) {
        DL_DELETE(manager->queue, pod);
        forget_pod(manager, pod, now_ms);
        return;
    }
    manager->class->destroy(manager->backend, pod->name, is_bad ? BACKEND_AT_ONCE : BACKEND_GENTLY);
}

static struct manager_pod *find_pod(struct manager *manager, const char *name)
{
    struct manager_pod *pod = NULL;
    HASH_FIND_STR(manager->pods, name, pod);
    return pod;
}

static void on_layers(void *arg, const char *layers)
{
    struct manager *manager = arg;
    rw_log(RW_LOG_INFO, "layers of the sandbox", RW_LOG_STR("backend", manager->class->name), RW_LOG_STR("layers", layers));
    manager_metrics_layers(manager, layers);
    rw_health_note(manager->health, "sandbox", layers);
}

static void on_usable(void *arg, bool is_usable, const char *detail)
{
    struct manager *manager = arg;
    if (!manager->is_usable_known || manager->is_usable != is_usable) {
        rw_log(is_usable ? RW_LOG_INFO : RW_LOG_ERROR, is_usable ? "pods can be made" : "pods cannot be made",
               RW_LOG_STR("backend", manager->class->name), RW_LOG_STR("detail", detail));
    }
    manager->is_usable_known = true;
    manager->is_usable = is_usable;
    rw_health_set(manager->health, "backend", is_usable, detail);
    pools_set_usable(manager->pools, is_usable);
    manager_decide(manager, rw_monotonic_ms());
}

static void on_ready(void *arg, const char *name, const struct backend_ready *info)
{
    struct manager *manager = arg;
    struct manager_pod *pod = find_pod(manager, name);
    int64_t now_ms = rw_monotonic_ms();
    if (!pod || pod->address || pod->pool_pod->phase != POOL_CREATING) {
        return;
    }
    pod->address = rw_xstrdup(info->address);
    memcpy(pod->secret, info->secret, sizeof(pod->secret));
    if (!pod->pool_pod->is_adopted) {
        rw_histogram_observe(manager_pool_of(manager, pod)->metrics.warm_up, (double)(now_ms - pod->pool_pod->created_ms) / 1000);
    }
    pools_pod_ready(manager->pools, pod->pool_pod, now_ms);
    manager_decide(manager, now_ms);
}

static void on_failed(void *arg, const char *name, enum backend_reason reason, const char *detail)
{
    struct manager *manager = arg;
    struct manager_pod *pod = find_pod(manager, name);
    int64_t now_ms = rw_monotonic_ms();
    if (pod) {
        note_failure(manager, pod, reason, detail);
        pools_pod_failed(manager->pools, pod->pool_pod, now_ms);
        manager_decide(manager, now_ms);
    }
}

static void on_gone(void *arg, const char *name, enum backend_reason reason, const char *detail)
{
    struct manager *manager = arg;
    struct manager_pod *pod = find_pod(manager, name);
    int64_t now_ms = rw_monotonic_ms();
    if (pod) {
        note_failure(manager, pod, reason, detail);
        forget_pod(manager, pod, now_ms);
        manager_decide(manager, now_ms);
    }
}

static const struct manager_pool *pool_of_label(const struct manager *manager, const struct backend_adopted *info)
{
    for (size_t i = 0; i < manager->n_pools; i++) {
        char label[RW_LANGUAGE_ID_BYTES_MAX + 1];
        const struct manager_pool *pool = &manager->by_pool[i];
        label_language(pool->language, label);
        bool is_language = strcmp(pool->language->id, info->language) == 0 || strcmp(label, info->language) == 0;
        if (is_language && pool->isolation == info->isolation) {
            return pool;
        }
    }
    return NULL;
}

/* Of a pod that is leased nobody here knows by whom, nor, where it serves several, by how many: it takes no new lease. */
static void on_adopted(void *arg, const char *name, const struct backend_adopted *info)
{
    struct manager *manager = arg;
    const struct manager_pool *pool = pool_of_label(manager, info);
    int64_t now_ms = rw_monotonic_ms();
    if (!pool || strlen(name) >= BACKEND_NAME_BYTES || find_pod(manager, name)) {
        rw_log(RW_LOG_WARNING, "a pod of an earlier instance is of no use", RW_LOG_STR("pod", name),
               RW_LOG_STR("language", info->language), RW_LOG_STR("isolation", rw_isolation_name(info->isolation)));
        manager->class->destroy(manager->backend, name, BACKEND_AT_ONCE);
        return;
    }
    struct manager_pod *pod = rw_xcalloc(1, sizeof(*pod));
    (void)snprintf(pod->name, sizeof(pod->name), "%s", name);
    pod->pool_pod = pools_pod_adopt(manager->pools, (size_t)(pool - manager->by_pool), info->is_leased, now_ms);
    pod->pool_pod->user = pod;
    HASH_ADD_STR(manager->pods, name, pod);
}

static void on_stale(void *arg, const char *name)
{
    struct manager *manager = arg;
    struct manager_pod *pod = find_pod(manager, name);
    if (pod) {
        pools_pod_stale(manager->pools, pod->pool_pod);
        manager_decide(manager, rw_monotonic_ms());
    }
}

const struct backend_events manager_events = {
    .usable = on_usable,
    .layers = on_layers,
    .ready = on_ready,
    .failed = on_failed,
    .gone = on_gone,
    .adopted = on_adopted,
    .stale = on_stale,
};
