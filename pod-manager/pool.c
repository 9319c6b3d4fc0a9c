/* The pools' state: pods by phase, waiting leases, and what changes them. pool_decide.c says what follows from it.
 * Every change of phase goes through move(), which keeps the lists and the counts together. */
#include "pool.h"

#include <string.h>
#include <utlist.h>

#include "pool_internal.h"

const char *pool_phase_name(enum pool_phase phase)
{
    static const char *const names[_POOL_PHASE_MAX] = {
        [POOL_CREATING] = "creating", [POOL_WARM] = "warm", [POOL_LEASED] = "leased", [POOL_ENDING] = "ending"};
    return names[phase];
}

const char *pool_why_name(enum pool_why why)
{
    static const char *const names[_POOL_WHY_MAX] = {
        [POOL_WHY_NONE] = "none",     [POOL_WHY_TIMEOUT] = "timeout", [POOL_WHY_DRAIN] = "drain",
        [POOL_WHY_USED] = "used",     [POOL_WHY_BROKEN] = "broken",   [POOL_WHY_NEVER_READY] = "never_ready",
        [POOL_WHY_SHRINK] = "shrink", [POOL_WHY_RECLAIM] = "reclaim", [POOL_WHY_STALE] = "stale",
    };
    return names[why];
}

struct pools *pools_new(const struct pools_rules *rules, const struct pool_limits *limits, size_t n_limits)
{
    struct pools *pools = rw_xcalloc(1, sizeof(*pools));
    pools->rules = *rules;
    pools->is_usable = true;
    pools->n_pools = n_limits;
    pools->pools = rw_xcalloc(n_limits, sizeof(*pools->pools));
    for (size_t i = 0; i < n_limits; i++) {
        struct pool *pool = &pools->pools[i];
        pool->limits = limits[i];
        pool->index = i;
        pool->expires_ms = INT64_MAX;
        rw_backoff_init(&pool->retry, rules->retry_base_ms, rules->retry_max_ms);
    }
    return pools;
}

static void free_pool(struct pool *pool)
{
    for (int phase = 0; phase < _POOL_PHASE_MAX; phase++) {
        struct pool_pod *pod = NULL;
        struct pool_pod *next = NULL;
        DL_FOREACH_SAFE(pool->pods[phase], pod, next)
        {
            free(pod);
        }
    }
    struct pool_waiter *waiter = NULL;
    struct pool_waiter *next = NULL;
    DL_FOREACH_SAFE(pool->waiting, waiter, next)
    {
        free(waiter);
    }
}

void pools_free(struct pools *pools)
{
    if (!pools) {
        return;
    }
    for (size_t i = 0; i < pools->n_pools; i++) {
        free_pool(&pools->pools[i]);
    }
    free(pools->pools);
    free(pools);
}

void pool_actions_done(struct pool_actions *actions)
{
    free(actions->items);
    *actions = (struct pool_actions){0};
}

uint32_t pool_count(const struct pool *pool)
{
    uint32_t count = 0;
    for (int phase = 0; phase < _POOL_PHASE_MAX; phase++) {
        count += pool->n_pods[phase];
    }
    return count;
}

bool pool_is_failing(const struct pool *pool)
{
    return pool->retry.failures > 0;
}

/* Slots of the pod that a lease could take now. */
static uint32_t free_slots(const struct pool_pod *pod)
{
    if (pod->is_broken || (pod->phase != POOL_WARM && pod->phase != POOL_LEASED)) {
        return 0;
    }
    const struct pool_limits *limits = &pod->pool->limits;
    uint32_t slots = limits->slots - pod->leases;
    if (limits->uses > 0 && limits->uses - pod->served < slots) {
        slots = limits->uses - pod->served;
    }
    return slots;
}

/* Takes the pod off the list of open ones before a change, and puts it back after it when it still has a free slot. */
static void close_slots(struct pool_pod *pod)
{
    uint32_t slots = free_slots(pod);
    if (slots > 0) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what has a free slot is on the list */
        DL_DELETE2(pod->pool->open, pod, open_prev, open_next);
        pod->pool->n_free -= slots;
    }
}

static void open_slots(struct pool_pod *pod)
{
    uint32_t slots = free_slots(pod);
    if (slots > 0) {
        DL_APPEND2(pod->pool->open, pod, open_prev, open_next);
        pod->pool->n_free += slots;
    }
}

static void enter(struct pool_pod *pod, enum pool_phase phase, int64_t now_ms)
{
    pod->phase = phase;
    pod->since_ms = now_ms;
    DL_APPEND(pod->pool->pods[phase], pod);
    pod->pool->n_pods[phase]++;
}

static void leave(struct pools *pools, struct pool_pod *pod)
{
    if (pod->phase == POOL_CREATING) {
        pools->n_creating--;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a pod is on the list of its phase */
    DL_DELETE(pod->pool->pods[pod->phase], pod);
    pod->pool->n_pods[pod->phase]--;
}

static void move(struct pools *pools, struct pool_pod *pod, enum pool_phase phase, int64_t now_ms)
{
    if (pod->phase != phase) {
        leave(pools, pod);
        enter(pod, phase, now_ms);
        pod->pool->n_leases -= phase == POOL_ENDING ? pod->leases : 0;
    }
    if (phase == POOL_ENDING && pod->is_stale) {
        pod->is_stale = false;
        pod->pool->n_stale--;
    }
}

struct pool_pod *pool_add(struct pools *pools, struct pool *pool, int64_t now_ms)
{
    struct pool_pod *pod = rw_xcalloc(1, sizeof(*pod));
    pod->pool = pool;
    pod->created_ms = now_ms;
    enter(pod, POOL_CREATING, now_ms);
    pools->n_pods++;
    pools->n_creating++;
    return pod;
}

struct pool_pod *pools_pod_adopt(struct pools *pools, size_t index, bool is_leased, int64_t now_ms)
{
    struct pool_pod *pod = pool_add(pools, &pools->pools[index], now_ms);
    pod->is_adopted = true;
    if (is_leased) {
        pod->leases = pod->served = 1;
        pod->pool->n_leases++;
        pod->is_broken = pod->pool->limits.slots > 1; /* how many it holds is not known: no new one */
        move(pools, pod, POOL_LEASED, now_ms);
        open_slots(pod);
    }
    return pod;
}

void pools_pod_stale(struct pools *pools, struct pool_pod *pod)
{
    (void)pools;
    if (!pod->is_stale && pod->phase != POOL_ENDING) {
        pod->is_stale = true;
        pod->pool->n_stale++;
    }
}

void pool_doom(struct pools *pools, struct pool_pod *pod, enum pool_why why, int64_t now_ms)
{
    close_slots(pod);
    move(pools, pod, POOL_ENDING, now_ms);
    pod->why = why;
    pod->is_doomed = true;
    DL_APPEND2(pools->doomed, pod, open_prev, open_next);
}

void pool_take(struct pools *pools, struct pool_pod *pod, int64_t now_ms)
{
    close_slots(pod);
    pod->leases++;
    pod->served++;
    pod->pool->n_leases++;
    move(pools, pod, POOL_LEASED, now_ms);
    uint32_t slots = free_slots(pod);
    if (slots > 0) { /* stays the first one: leases are packed into few pods, so that others can go */
        DL_PREPEND2(pod->pool->open, pod, open_prev, open_next);
        pod->pool->n_free += slots;
    }
    rw_backoff_reset(&pod->pool->retry);
    pod->pool->retry_at_ms = 0;
}

int pools_wait(struct pools *pools, size_t index, int64_t now_ms, uint32_t wait_ms, void *user, struct rw_error *err)
{
    struct pool *pool = &pools->pools[index];
    if (pools->is_draining) {
        return rw_fail(err, CANCELLED, "the pod manager is stopping");
    }
    if (pools->n_waiting >= pools->rules.waiting_max) {
        return rw_fail(err, OVERLOADED, "%u leases are waiting already", (unsigned)pools->n_waiting);
    }
    scale_rate_add(&pool->arrivals, pools->rules.scale.rate_window_ms, now_ms);
    struct pool_waiter *waiter = rw_xcalloc(1, sizeof(*waiter));
    *waiter = (struct pool_waiter){.since_ms = now_ms, .until_ms = now_ms + wait_ms, .user = user};
    DL_APPEND(pool->waiting, waiter);
    pool->n_waiting++;
    pools->n_waiting++;
    if (waiter->until_ms < pool->expires_ms) {
        pool->expires_ms = waiter->until_ms;
    }
    return 0;
}

void pools_lease_end(struct pools *pools, struct pool_pod *pod, bool is_broken, int64_t now_ms)
{
    if (pod->phase == POOL_ENDING) {
        pod->leases--;
        return;
    }
    close_slots(pod);
    pod->leases--;
    pod->pool->n_leases--;
    pod->is_broken |= is_broken;
    bool is_spent = pod->pool->limits.uses > 0 && pod->served >= pod->pool->limits.uses;
    if (pod->leases == 0) {
        move(pools, pod, POOL_WARM, now_ms);
    }
    open_slots(pod);
    if (pod->leases == 0 && pod->is_broken) {
        pool_doom(pools, pod, POOL_WHY_BROKEN, now_ms);
    } else if (pod->leases == 0 && (is_spent || pools->is_draining)) {
        pool_doom(pools, pod, is_spent ? POOL_WHY_USED : POOL_WHY_DRAIN, now_ms);
    }
}

void pools_take_back(struct pools *pools, struct pool_pod *pod, int64_t now_ms)
{
    close_slots(pod);
    pod->leases--;
    pod->served--;
    pod->pool->n_leases--;
    if (pod->leases == 0) {
        move(pools, pod, POOL_WARM, now_ms);
    }
    open_slots(pod);
}

void pools_pod_ready(struct pools *pools, struct pool_pod *pod, int64_t now_ms)
{
    if (pod->phase != POOL_CREATING) {
        return;
    }
    double took_ms = (double)(now_ms - pod->created_ms);
    double known_ms = pod->pool->warm_up_ms;
    if (!pod->is_adopted) {
        pod->pool->warm_up_ms = known_ms > 0 ? known_ms * 0.8 + took_ms * 0.2 : took_ms;
    }
    move(pools, pod, POOL_WARM, now_ms);
    open_slots(pod);
}

/* Failures that come together, as of pods created together, count once. */
void pool_back_off(struct pool *pool, int64_t now_ms)
{
    if (now_ms >= pool->retry_at_ms) {
        pool->retry_at_ms = now_ms + rw_backoff_next_ms(&pool->retry);
    }
}

void pools_pod_failed(struct pools *pools, struct pool_pod *pod, int64_t now_ms)
{
    if (pod->phase == POOL_ENDING) {
        return;
    }
    if (pod->phase == POOL_CREATING || pod->phase == POOL_WARM) {
        pool_back_off(pod->pool, now_ms);
    }
    close_slots(pod);
    move(pools, pod, POOL_ENDING, now_ms);
}

void pools_pod_gone(struct pools *pools, struct pool_pod *pod, int64_t now_ms)
{
    pools_pod_failed(pools, pod, now_ms);
    if (pod->is_doomed) {
        DL_DELETE2(pools->doomed, pod, open_prev, open_next);
    }
    leave(pools, pod);
    pools->n_pods--;
    free(pod);
}

void pools_set_usable(struct pools *pools, bool is_usable)
{
    pools->is_usable = is_usable;
}

void pools_drain(struct pools *pools)
{
    pools->is_draining = true;
}
