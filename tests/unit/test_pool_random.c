/* The pools driven at random, with fixed seeds: a model beside them checks after every decision what must always hold (pool.h). */
#include "support.h"

#include "pool.h"

enum { POOLS = 3, PODS_MAX = 4096, WAITERS_MAX = 8192, STEPS = 4000, SEEDS = 60 };

/* What the test believes about one pod. */
struct model_pod {
    struct pool_pod *pod; /* NULL: gone */
    size_t index;
    uint32_t leases;
    uint32_t served;
    bool is_ready;
    bool is_unusable;  /* failed, or its destruction was told */
    bool is_destroyed; /* told */
};

struct model_waiter {
    size_t index;
    int answers; /* must become 1 */
};

struct model {
    uint64_t random;
    unsigned seed;
    struct pools_rules rules;
    struct pool_limits limits[POOLS];
    struct pools *pools;
    struct pool_actions actions;
    int64_t now_ms;
    struct model_pod pods[PODS_MAX];
    size_t n_pods;
    struct model_waiter waiters[WAITERS_MAX];
    size_t n_waiters;
    size_t next_granted[POOLS]; /* FIFO: no waiter before this one may be granted any more */
    bool is_draining;
};

static uint32_t roll(struct model *model, uint32_t below)
{
    return random_below(&model->random, below);
}

static void begin(struct model *model, unsigned seed)
{
    memset(model, 0, sizeof(*model));
    model->seed = seed;
    model->random = seed;
    model->rules = (struct pools_rules){
        .pods_max = 1 + roll(model, 12),
        .creating_max = roll(model, 4),
        .waiting_max = 1 + roll(model, 20),
        .ready_timeout_ms = 2000,
        .retry_base_ms = 50,
        .retry_max_ms = 50,
        .scale = {.rate_window_ms = 1000, .shrink_delay_ms = 500, .shrink_step_ms = 100},
    };
    for (size_t i = 0; i < POOLS; i++) {
        uint32_t slots = seed % 3 == 0 ? 1 + roll(model, 4) : 1;
        model->limits[i] = (struct pool_limits){.warm = roll(model, 4),
                                                .max = 1 + roll(model, 6),
                                                .slots = slots,
                                                .uses = slots == 1 ? roll(model, 2) : roll(model, 10)};
    }
    model->pools = pools_new(&model->rules, model->limits, POOLS);
}

static void check_grant(struct model *model, const struct pool_action *action)
{
    struct model_pod *pod = action->pod->user;
    struct model_waiter *waiter = action->waiter;
    size_t nth = (size_t)(waiter - model->waiters);
    const struct pool_limits *limits = &model->limits[pod->index];
    assert_int_equal(waiter->index, pod->index);
    assert_int_equal(waiter->answers++, 0);
    assert_true(nth >= model->next_granted[pod->index]);
    model->next_granted[pod->index] = nth + 1;
    assert_true(pod->is_ready && !pod->is_unusable && !model->is_draining);
    assert_true(pod->leases < limits->slots);
    assert_true(limits->uses == 0 || pod->served < limits->uses);
    pod->leases++;
    pod->served++;
}

static void check_create(struct model *model, const struct pool_action *action)
{
    assert_true(model->n_pods < PODS_MAX);
    assert_false(model->is_draining);
    struct model_pod *pod = &model->pods[model->n_pods++];
    *pod = (struct model_pod){.pod = action->pod, .index = action->pool->index};
    action->pod->user = pod;
}

static void check_destroy(const struct pool_action *action)
{
    struct model_pod *pod = action->pod->user;
    assert_non_null(pod);
    assert_false(pod->is_destroyed);
    assert_true(pod->leases == 0 || action->why == POOL_WHY_BROKEN); /* nobody loses a pod that works */
    pod->is_destroyed = true;
    pod->is_unusable = true;
}

static uint32_t n_leases_of(const struct pool *pool)
{
    uint32_t n = 0;
    for (const struct pool_pod *pod = pool->pods[POOL_LEASED]; pod; pod = pod->next) {
        n += pod->leases;
    }
    return n;
}

static void check_bounds(const struct model *model)
{
    uint32_t n_pods[POOLS] = {0};
    uint32_t n_all = 0;
    uint32_t n_creating = 0;
    for (size_t i = 0; i < model->n_pods; i++) {
        const struct model_pod *pod = &model->pods[i];
        if (pod->pod) {
            n_pods[pod->index]++;
            n_all++;
            n_creating += pod->pod->phase == POOL_CREATING;
            assert_int_equal(pod->leases, pod->pod->leases);
        }
    }
    for (size_t i = 0; i < POOLS; i++) {
        assert_true(n_pods[i] <= model->limits[i].max);
        assert_int_equal(n_pods[i], pool_count(&model->pools->pools[i])); /* nothing is forgotten, nothing invented */
        assert_int_equal(n_leases_of(&model->pools->pools[i]), model->pools->pools[i].n_leases);
        if (!model->is_draining) { /* work-conserving: nobody waits beside a free slot */
            assert_true(model->pools->pools[i].n_waiting == 0 || model->pools->pools[i].n_free == 0);
        }
    }
    assert_true(n_all <= model->rules.pods_max);
    assert_int_equal(n_all, model->pools->n_pods);
    assert_int_equal(n_creating, model->pools->n_creating);
    assert_true(model->rules.creating_max == 0 || n_creating <= model->rules.creating_max);
}

static void decide(struct model *model)
{
    bool is_changed = false;
    model->actions.count = 0;
    pools_decide(model->pools, model->now_ms, &model->actions);
    enum pool_action_kind last = POOL_GRANT;
    for (size_t i = 0; i < model->actions.count; i++) {
        const struct pool_action *action = &model->actions.items[i];
        switch (action->kind) {
        case POOL_GRANT:
            check_grant(model, action);
            if (roll(model, 10) == 0) { /* nobody was there to take it */
                struct model_pod *pod = action->pod->user;
                pod->leases--;
                pod->served--;
                pools_take_back(model->pools, action->pod, model->now_ms);
                is_changed = true;
            }
            break;
        case POOL_REJECT:
            assert_int_equal(((struct model_waiter *)action->waiter)->answers++, 0);
            break;
        case POOL_DESTROY:
            check_destroy(action);
            break;
        case POOL_CREATE:
            check_create(model, action);
            break;
        }
        assert_true(action->kind >= last);
        last = action->kind;
    }
    if (is_changed) {
        decide(model);
        return;
    }
    check_bounds(model);
    size_t n_before = model->actions.count;
    pools_decide(model->pools, model->now_ms, &model->actions);
    assert_int_equal(model->actions.count, n_before); /* one decision says all: nothing more to do in the same state */
}

static struct model_pod *some_pod(struct model *model)
{
    for (int tries = 0; tries < 50 && model->n_pods > 0; tries++) { /* living pods are among the last ones */
        size_t span = model->n_pods < 40 ? model->n_pods : 40;
        struct model_pod *pod = &model->pods[model->n_pods - 1 - roll(model, (uint32_t)span)];
        if (pod->pod) {
            return pod;
        }
    }
    return NULL;
}

static void be_gone(struct model *model, struct model_pod *pod)
{
    pools_pod_gone(model->pools, pod->pod, model->now_ms);
    pod->pod = NULL;
}

static void happen_to(struct model *model, struct model_pod *pod)
{
    uint32_t what = roll(model, 100);
    if (!pod->is_ready && !pod->is_unusable) {
        if (what < 80) {
            pools_pod_ready(model->pools, pod->pod, model->now_ms);
            pod->is_ready = true;
        } else if (what < 90) {
            pools_pod_failed(model->pools, pod->pod, model->now_ms);
            pod->is_unusable = true;
        } else if (what < 95) {
            be_gone(model, pod);
        }
    } else if (pod->leases > 0 && what < 70) {
        pod->leases--;
        pools_lease_end(model->pools, pod->pod, what < 5, model->now_ms);
    } else if (what > 96 || (pod->is_unusable && (what < 60 || pod->leases > 0))) {
        be_gone(model, pod);
    }
}

static void step(struct model *model)
{
    uint32_t what = roll(model, 100);
    model->now_ms += roll(model, 10) == 0 ? roll(model, 400) : roll(model, 5);
    if (what < 30 && model->n_waiters < WAITERS_MAX) {
        struct model_waiter *waiter = &model->waiters[model->n_waiters];
        waiter->index = roll(model, 4) == 0 ? roll(model, POOLS) : 0;
        if (pools_wait(model->pools, waiter->index, model->now_ms, roll(model, 3) == 0 ? 0 : roll(model, 500), waiter, NULL) == 0) {
            model->n_waiters++;
        }
    } else if (what < 98) {
        struct model_pod *pod = some_pod(model);
        if (pod) {
            happen_to(model, pod);
        }
    } else {
        pools_set_usable(model->pools, what == 98);
    }
    struct model_pod *pod = roll(model, 20) == 0 ? some_pod(model) : NULL;
    if (pod) {
        pools_pod_stale(model->pools, pod->pod);
    }
    decide(model);
}

/* Everything that is left comes to an end: no waiter without an answer, no pod left over. */
static void finish(struct model *model)
{
    pools_drain(model->pools);
    model->is_draining = true;
    decide(model);
    for (size_t i = 0; i < model->n_pods; i++) {
        struct model_pod *pod = &model->pods[i];
        while (pod->pod && pod->leases > 0) {
            pod->leases--;
            pools_lease_end(model->pools, pod->pod, false, model->now_ms);
        }
    }
    decide(model);
    for (size_t i = 0; i < model->n_pods; i++) {
        if (model->pods[i].pod) {
            assert_true(model->pods[i].is_unusable);
            be_gone(model, &model->pods[i]);
        }
    }
    decide(model);
    assert_int_equal(model->pools->n_pods, 0);
    assert_int_equal(model->pools->n_waiting, 0);
    for (size_t i = 0; i < model->n_waiters; i++) {
        assert_int_equal(model->waiters[i].answers, 1);
    }
    pools_free(model->pools);
    pool_actions_done(&model->actions);
}

static void invariants_hold(void **state)
{
    (void)state;
    static struct model model;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %u\n", seed);
        begin(&model, seed);
        decide(&model);
        for (int i = 0; i < STEPS; i++) {
            step(&model);
        }
        finish(&model);
    }
}

/* Pods made otherwise by now are replaced in the end, and on the way no pool has fewer ready ones than its floor less one. */
static void stale_pods_are_replaced(void **state)
{
    (void)state;
    static struct model model;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        begin(&model, seed);
        for (int turn = 0; turn < 400; turn++) {
            model.now_ms += 10;
            for (size_t i = 0; i < model.n_pods; i++) {
                struct model_pod *pod = &model.pods[i];
                if (pod->pod && pod->is_destroyed && roll(&model, 3) == 0) {
                    be_gone(&model, pod);
                } else if (pod->pod && !pod->is_ready && !pod->is_unusable && roll(&model, 3) == 0) {
                    pools_pod_ready(model.pools, pod->pod, model.now_ms);
                    pod->is_ready = true;
                }
                if (turn == 100 && pod->pod) {
                    pools_pod_stale(model.pools, pod->pod);
                }
            }
            uint32_t n_free[POOLS];
            for (size_t i = 0; i < POOLS; i++) {
                n_free[i] = model.pools->pools[i].n_free;
            }
            decide(&model);
            for (size_t i = 0; i < POOLS && turn >= 100; i++) {
                assert_true(model.pools->pools[i].n_free + model.limits[i].slots >= n_free[i]); /* one at a time */
            }
        }
        for (size_t i = 0; i < POOLS; i++) {
            assert_int_equal(model.pools->pools[i].n_stale, 0);
        }
        finish(&model);
    }
}

/* With pods that work, everybody is served in the end, whatever the pools' sizes: no deadlock, no starvation. */
static void everybody_is_served(void **state)
{
    (void)state;
    static struct model model;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        begin(&model, seed);
        model.rules.waiting_max = 1000;
        model.pools->rules.waiting_max = 1000;
        for (int i = 0; i < 300; i++) {
            struct model_waiter *waiter = &model.waiters[model.n_waiters++];
            waiter->index = roll(&model, POOLS);
            assert_int_equal(pools_wait(model.pools, waiter->index, model.now_ms, 1000000, waiter, NULL), 0);
        }
        for (int turn = 0; turn < 3000 && model.pools->n_waiting > 0; turn++) {
            model.now_ms += 10;
            for (size_t i = 0; i < model.n_pods; i++) {
                struct model_pod *pod = &model.pods[i];
                if (pod->pod && pod->is_destroyed) {
                    be_gone(&model, pod);
                } else if (pod->pod && !pod->is_ready) {
                    pools_pod_ready(model.pools, pod->pod, model.now_ms);
                    pod->is_ready = true;
                } else if (pod->pod && pod->leases > 0) {
                    pod->leases--;
                    pools_lease_end(model.pools, pod->pod, false, model.now_ms);
                }
            }
            decide(&model);
        }
        assert_int_equal(model.pools->n_waiting, 0);
        finish(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(invariants_hold), cmocka_unit_test(stale_pods_are_replaced),
                                       cmocka_unit_test(everybody_is_served)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
