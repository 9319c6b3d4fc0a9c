/* What follows from the pools' state: grants, rejects, creations, destructions, in this order.
 *
 * Room that several pools want goes to waiting leases before warm floors, and among those to the pool with the fewest pods, so that
 * a flood in one language cannot starve another. Where no room is left at all, idle pods of a pool that has more make room. */
#include <utlist.h>

#include "pool_internal.h"

enum { STEADY_MS = 5000 }; /* a pod that stayed warm that long shows that creating works again */

static struct pool_action *append(struct pool_actions *actions, enum pool_action_kind kind, struct pool *pool)
{
    if (actions->count == actions->capacity) {
        actions->capacity = actions->capacity ? actions->capacity * 2 : 16;
        actions->items = rw_xrealloc(actions->items, actions->capacity * sizeof(*actions->items));
    }
    struct pool_action *action = &actions->items[actions->count++];
    *action = (struct pool_action){.kind = kind, .pool = pool};
    return action;
}

static void remove_waiter(struct pools *pools, struct pool *pool, struct pool_waiter *waiter)
{
    DL_DELETE(pool->waiting, waiter);
    pool->n_waiting--;
    pools->n_waiting--;
    free(waiter);
}

static void grant(struct pools *pools, struct pool *pool, int64_t now_ms, struct pool_actions *actions)
{
    while (pool->waiting && pool->open && !pools->is_draining) {
        struct pool_pod *pod = pool->open;
        struct pool_action *action = append(actions, POOL_GRANT, pool);
        action->pod = pod;
        action->waiter = pool->waiting->user;
        action->waited_ms = now_ms - pool->waiting->since_ms;
        pool_take(pools, pod, now_ms);
        remove_waiter(pools, pool, pool->waiting);
    }
}

/* Waiters' patience differs, so the whole queue is looked at, but only when one can have lost it. */
static void reject(struct pools *pools, struct pool *pool, int64_t now_ms, struct pool_actions *actions)
{
    if (now_ms < pool->expires_ms && !pools->is_draining) {
        return;
    }
    pool->expires_ms = INT64_MAX;
    struct pool_waiter *waiter = NULL;
    struct pool_waiter *next = NULL;
    DL_FOREACH_SAFE(pool->waiting, waiter, next)
    {
        if (waiter->until_ms > now_ms && !pools->is_draining) {
            pool->expires_ms = waiter->until_ms < pool->expires_ms ? waiter->until_ms : pool->expires_ms;
            continue;
        }
        struct pool_action *action = append(actions, POOL_REJECT, pool);
        action->why = pools->is_draining ? POOL_WHY_DRAIN : POOL_WHY_TIMEOUT;
        action->waiter = waiter->user;
        action->waited_ms = now_ms - waiter->since_ms;
        remove_waiter(pools, pool, waiter);
    }
}

/* Slots that are free or will be, once what is in the making is ready. */
static uint32_t spare_slots(const struct pool *pool)
{
    return pool->n_free + pool->n_pods[POOL_CREATING] * pool->limits.slots;
}

static void measure(struct pools *pools, struct pool *pool, int64_t now_ms)
{
    uint32_t n_taken = pool->n_pods[POOL_LEASED] + pool->n_pods[POOL_ENDING];
    uint32_t room = pool->limits.max > n_taken ? pool->limits.max - n_taken : 0;
    uint32_t n_free_of_warm = pool->n_pods[POOL_WARM] * pool->limits.slots;
    uint32_t n_free_of_leased = pool->n_free > n_free_of_warm ? pool->n_free - n_free_of_warm : 0;
    bool is_reused = pool->limits.uses != 1;
    struct scale_input input = {
        .floor = pool->limits.warm,
        .ceiling = room * pool->limits.slots + n_free_of_leased,
        .waiting = pool->n_waiting,
        .busy = is_reused ? pool->n_leases : 0,
        .is_reused = is_reused,
        .arrivals_per_s = scale_rate_per_s(&pool->arrivals, pools->rules.scale.rate_window_ms, now_ms),
        .warm_up_ms = pool->warm_up_ms,
        .now_ms = now_ms,
    };
    pool->decision = scale_decide(&pools->rules.scale, &input, &pool->scale);
    if (pools->is_draining) {
        pool->decision = (struct scale_decision){0};
    }
    const struct pool_pod *warm = pool->pods[POOL_WARM];
    if (pool_is_failing(pool) && warm && now_ms - warm->since_ms >= STEADY_MS) {
        rw_backoff_reset(&pool->retry);
        pool->retry_at_ms = 0;
    }
}

/* Pods that should have become ready by now. */
static void end_late(struct pools *pools, struct pool *pool, int64_t now_ms)
{
    while (pool->pods[POOL_CREATING] && now_ms - pool->pods[POOL_CREATING]->created_ms >= pools->rules.ready_timeout_ms) {
        pool_back_off(pool, now_ms);
        pool_doom(pools, pool->pods[POOL_CREATING], POOL_WHY_NEVER_READY, now_ms);
    }
}

/* The idle pod to go first: a stale one, else the oldest. */
static struct pool_pod *first_to_go(const struct pool *pool)
{
    struct pool_pod *pod = NULL;
    if (pool->n_stale > 0) {
        DL_FOREACH(pool->pods[POOL_WARM], pod)
        {
            if (pod->is_stale) {
                return pod;
            }
        }
    }
    return pool->pods[POOL_WARM];
}

/* Slots that should be there: the target, and while a stale pod idles one pod more, which is made before that one goes. */
static uint32_t wanted_slots(const struct pool *pool)
{
    const struct pool_pod *next = first_to_go(pool);
    return pool->decision.target + (next && next->is_stale ? pool->limits.slots : 0);
}

/* Idle pods beyond the target go, the oldest first. Pods in the making are left: they are paid for already. */
static void shrink(struct pools *pools, struct pool *pool, int64_t now_ms)
{
    while (pool->pods[POOL_WARM] && spare_slots(pool) >= wanted_slots(pool) + pool->limits.slots) {
        pool_doom(pools, first_to_go(pool), POOL_WHY_SHRINK, now_ms);
    }
}

/* A stale idle pod goes when its replacement is ready. */
static void replace_stale(struct pools *pools, struct pool *pool, int64_t now_ms)
{
    struct pool_pod *pod = first_to_go(pool);
    while (pod && pod->is_stale && !pool_is_failing(pool) && pool->n_free >= wanted_slots(pool)) {
        pool_doom(pools, pod, POOL_WHY_STALE, now_ms);
        pod = first_to_go(pool);
    }
}

/* Where there is no room for a replacement beside it, it goes first, but only while nothing waits and nothing of the pool is on its way
 * in or out, so that the pool is short of one pod at most. */
static void replace_stale_in_place(struct pools *pools, struct pool *pool, int64_t now_ms)
{
    bool has_room = pool_count(pool) < pool->limits.max && pools->n_pods < pools->rules.pods_max;
    bool is_calm = pool->n_waiting == 0 && pool->n_pods[POOL_CREATING] == 0 && pool->n_pods[POOL_ENDING] == 0;
    struct pool_pod *pod = first_to_go(pool);
    if (pod && pod->is_stale && !has_room && is_calm && !pool_is_failing(pool)) {
        pool_doom(pools, pod, POOL_WHY_STALE, now_ms);
    }
}

static void end_idle(struct pools *pools, struct pool *pool, int64_t now_ms)
{
    static const enum pool_phase idle[] = {POOL_CREATING, POOL_WARM};
    for (size_t i = 0; i < RW_ARRAY_SIZE(idle); i++) {
        while (pool->pods[idle[i]]) {
            pool_doom(pools, pool->pods[idle[i]], POOL_WHY_DRAIN, now_ms);
        }
    }
}

/* Pods that are not on their way out. */
static uint32_t n_living(const struct pool *pool)
{
    return pool->n_pods[POOL_CREATING] + pool->n_pods[POOL_WARM] + pool->n_pods[POOL_LEASED];
}

/* Waiting leases for which no pod is in the making. */
static uint32_t unmet_leases(const struct pool *pool)
{
    uint32_t coming = pool->n_pods[POOL_CREATING] * pool->limits.slots;
    return pool->n_waiting > coming ? pool->n_waiting - coming : 0;
}

static bool may_create(const struct pool *pool, int64_t now_ms)
{
    if (now_ms < pool->retry_at_ms || pool_count(pool) >= pool->limits.max) {
        return false;
    }
    if (pool_is_failing(pool) && pool->n_pods[POOL_CREATING] > 0) {
        return false; /* one at a time shows whether it works again */
    }
    return spare_slots(pool) < wanted_slots(pool);
}

/* Whether `a` should have the room before `b`. */
static bool goes_first(const struct pool *a, const struct pool *b)
{
    bool a_waits = unmet_leases(a) > 0;
    bool b_waits = unmet_leases(b) > 0;
    if (a_waits != b_waits) {
        return a_waits;
    }
    return n_living(a) < n_living(b);
}

static struct pool *neediest(const struct pools *pools, int64_t now_ms)
{
    struct pool *first = NULL;
    for (size_t i = 0; i < pools->n_pools; i++) {
        struct pool *pool = &pools->pools[i];
        if (may_create(pool, now_ms) && (!first || goes_first(pool, first))) {
            first = pool;
        }
    }
    return first;
}

static void create(struct pools *pools, int64_t now_ms, struct pool_actions *actions)
{
    while (pools->n_pods < pools->rules.pods_max &&
           (pools->rules.creating_max == 0 || pools->n_creating < pools->rules.creating_max)) {
        struct pool *pool = neediest(pools, now_ms);
        if (!pool) {
            return;
        }
        struct pool_action *action = append(actions, POOL_CREATE, pool);
        action->pod = pool_add(pools, pool, now_ms);
    }
}

/* The pool with the most pods that has an idle one to spare for a pool of n_pods. */
static struct pool *richest(const struct pools *pools, uint32_t n_pods)
{
    struct pool *victim = NULL;
    for (size_t i = 0; i < pools->n_pools; i++) {
        struct pool *pool = &pools->pools[i];
        bool has_more = n_living(pool) > n_pods && (!victim || n_living(pool) > n_living(victim));
        if (pool->pods[POOL_WARM] && pool->n_waiting == 0 && has_more) {
            victim = pool;
        }
    }
    return victim;
}

/* When all pools together are full, a waiting lease of a poor pool takes the place of an idle pod of a richer one. One at a time,
 * and only while no pod is ending anyhow: what ends makes room by itself. */
static void reclaim(struct pools *pools, int64_t now_ms)
{
    if (pools->n_pods < pools->rules.pods_max) {
        return;
    }
    for (size_t i = 0; i < pools->n_pools; i++) {
        if (pools->pools[i].n_pods[POOL_ENDING] > 0) {
            return;
        }
    }
    const struct pool *poor = neediest(pools, now_ms);
    struct pool *victim = poor && unmet_leases(poor) > 0 ? richest(pools, n_living(poor)) : NULL;
    if (victim) {
        pool_doom(pools, victim->pods[POOL_WARM], POOL_WHY_RECLAIM, now_ms);
    }
}

static void destroy(struct pools *pools, struct pool_actions *actions)
{
    struct pool_pod *pod = NULL;
    struct pool_pod *next = NULL;
    DL_FOREACH_SAFE2(pools->doomed, pod, next, open_next)
    {
        struct pool_action *action = append(actions, POOL_DESTROY, pod->pool);
        action->pod = pod;
        action->why = pod->why;
        DL_DELETE2(pools->doomed, pod, open_prev, open_next);
        pod->is_doomed = false;
    }
}

void pools_decide(struct pools *pools, int64_t now_ms, struct pool_actions *actions)
{
    for (size_t i = 0; i < pools->n_pools; i++) {
        grant(pools, &pools->pools[i], now_ms, actions);
    }
    for (size_t i = 0; i < pools->n_pools; i++) {
        struct pool *pool = &pools->pools[i];
        reject(pools, pool, now_ms, actions);
        end_late(pools, pool, now_ms);
        measure(pools, pool, now_ms);
        if (pools->is_draining) {
            end_idle(pools, pool, now_ms);
        } else {
            replace_stale(pools, pool, now_ms);
            shrink(pools, pool, now_ms);
        }
    }
    if (pools->is_usable && !pools->is_draining) {
        create(pools, now_ms, actions);
        reclaim(pools, now_ms);
        for (size_t i = 0; i < pools->n_pools; i++) {
            replace_stale_in_place(pools, &pools->pools[i], now_ms);
        }
    }
    destroy(pools, actions);
}
