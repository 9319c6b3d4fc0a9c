/* The pool decisions, one situation a test. test_pool_random.c drives them at random. */
#include "support.h"

#include "pool.h"

static const struct pools_rules default_rules = {
    .pods_max = 100,
    .waiting_max = 1000,
    .ready_timeout_ms = 10000,
    .retry_base_ms = 100, /* base = max: the jitter has nothing to choose */
    .retry_max_ms = 100,
    .scale = {.rate_window_ms = 10000, .shrink_delay_ms = 30000, .shrink_step_ms = 5000},
};
static const struct pool_limits single = {.warm = 2, .max = 4, .slots = 1, .uses = 1};

struct fixture {
    struct pools *pools;
    struct pool_actions actions;
    int64_t now_ms;
};

static void open_pools(struct fixture *fixture, const struct pools_rules *rules, const struct pool_limits *limits, size_t n)
{
    *fixture = (struct fixture){.pools = pools_new(rules, limits, n), .now_ms = 1000};
}

static void close_pools(struct fixture *fixture)
{
    pools_free(fixture->pools);
    pool_actions_done(&fixture->actions);
}

/* Decides and counts the actions of one kind; `actions` holds them all. */
static size_t decide(struct fixture *fixture, enum pool_action_kind kind)
{
    fixture->actions.count = 0;
    pools_decide(fixture->pools, fixture->now_ms, &fixture->actions);
    size_t count = 0;
    for (size_t i = 0; i < fixture->actions.count; i++) {
        count += fixture->actions.items[i].kind == kind;
    }
    return count;
}

static struct pool_action *action_at(struct fixture *fixture, enum pool_action_kind kind, size_t nth)
{
    for (size_t i = 0; i < fixture->actions.count; i++) {
        if (fixture->actions.items[i].kind == kind && nth-- == 0) {
            return &fixture->actions.items[i];
        }
    }
    fail_msg("no such action");
    return NULL;
}

static void want(struct fixture *fixture, size_t index, uint32_t wait_ms, const char *name)
{
    assert_int_equal(pools_wait(fixture->pools, index, fixture->now_ms, wait_ms, (void *)(uintptr_t)name, NULL), 0);
}

static void make_ready(struct fixture *fixture, size_t index)
{
    while (fixture->pools->pools[index].pods[POOL_CREATING]) {
        pools_pod_ready(fixture->pools, fixture->pools->pools[index].pods[POOL_CREATING], fixture->now_ms);
    }
}

static void warms_up_to_the_floor(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, (struct pool_limits[]){single, {.warm = 0, .max = 4, .slots = 1, .uses = 1}}, 2);
    assert_int_equal(decide(&f, POOL_CREATE), 2);
    assert_int_equal(decide(&f, POOL_CREATE), 0); /* what is in the making counts */
    f.now_ms += 50;
    make_ready(&f, 0);
    assert_int_equal(decide(&f, POOL_CREATE), 0);
    assert_int_equal(f.pools->pools[0].n_pods[POOL_WARM], 2);
    assert_int_equal((int)f.pools->pools[0].warm_up_ms, 50);
    assert_int_equal(pool_count(&f.pools->pools[1]), 0);
    close_pools(&f);
}

static void a_leased_pod_is_replaced_at_once_and_destroyed_after_its_lease(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, &single, 1);
    decide(&f, POOL_CREATE);
    make_ready(&f, 0);
    want(&f, 0, 0, "a");
    assert_int_equal(decide(&f, POOL_GRANT), 1);
    struct pool_pod *pod = action_at(&f, POOL_GRANT, 0)->pod;
    assert_string_equal(action_at(&f, POOL_GRANT, 0)->waiter, "a");
    assert_int_equal(f.actions.items[0].kind, POOL_GRANT); /* before the replacement */
    action_at(&f, POOL_CREATE, 0);
    assert_int_equal(f.actions.count, 2);
    pools_lease_end(f.pools, pod, false, f.now_ms);
    assert_int_equal(decide(&f, POOL_DESTROY), 1);
    assert_ptr_equal(action_at(&f, POOL_DESTROY, 0)->pod, pod);
    assert_int_equal(action_at(&f, POOL_DESTROY, 0)->why, POOL_WHY_USED);
    assert_int_equal(decide(&f, POOL_DESTROY), 0); /* told once */
    pools_pod_gone(f.pools, pod, f.now_ms);
    assert_int_equal(f.pools->n_pods, 2);
    close_pools(&f);
}

static void waiting_is_first_come_first_served(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, (struct pool_limits[]){{.warm = 0, .max = 2, .slots = 1, .uses = 1}}, 1);
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        want(&f, 0, 5000, names[i]);
    }
    assert_int_equal(decide(&f, POOL_CREATE), 2); /* demand beyond the floor grows the pool, up to its max */
    for (size_t i = 0; i < 4; i++) {
        f.now_ms += 10;
        pools_pod_ready(f.pools, f.pools->pools[0].pods[POOL_CREATING], f.now_ms);
        assert_int_equal(decide(&f, POOL_GRANT), 1);
        struct pool_action granted = *action_at(&f, POOL_GRANT, 0);
        assert_string_equal(granted.waiter, names[i]);
        pools_lease_end(f.pools, granted.pod, false, f.now_ms);
        decide(&f, POOL_DESTROY);
        pools_pod_gone(f.pools, granted.pod, f.now_ms);
        decide(&f, POOL_CREATE);
    }
    assert_int_equal(f.pools->n_waiting, 0);
    close_pools(&f);
}

static void impatient_waiters_are_rejected_others_stay(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, (struct pool_limits[]){{.warm = 0, .max = 1, .slots = 1, .uses = 1}}, 1);
    want(&f, 0, 500, "patient");
    want(&f, 0, 100, "hasty");
    want(&f, 0, 0, "now");
    assert_int_equal(decide(&f, POOL_REJECT), 1);
    assert_string_equal(action_at(&f, POOL_REJECT, 0)->waiter, "now");
    f.now_ms += 99;
    assert_int_equal(decide(&f, POOL_REJECT), 0);
    f.now_ms += 1;
    assert_int_equal(decide(&f, POOL_REJECT), 1);
    assert_string_equal(action_at(&f, POOL_REJECT, 0)->waiter, "hasty");
    assert_int_equal(action_at(&f, POOL_REJECT, 0)->why, POOL_WHY_TIMEOUT);
    assert_int_equal(action_at(&f, POOL_REJECT, 0)->waited_ms, 100);
    make_ready(&f, 0);
    assert_int_equal(decide(&f, POOL_GRANT), 1);
    assert_string_equal(action_at(&f, POOL_GRANT, 0)->waiter, "patient");
    close_pools(&f);
}

static void a_pod_that_is_there_goes_to_one_whose_time_is_up(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, &single, 1);
    decide(&f, POOL_CREATE);
    want(&f, 0, 100, "a");
    f.now_ms += 100;
    make_ready(&f, 0);
    assert_int_equal(decide(&f, POOL_GRANT), 1);
    assert_int_equal(f.pools->n_waiting, 0);
    close_pools(&f);
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct pools_rules rules = default_rules;
    rules.waiting_max = 1;
    open_pools(&f, &rules, &single, 1);
    want(&f, 0, 100, "a");
    struct rw_error err = {0};
    assert_int_equal(pools_wait(f.pools, 0, f.now_ms, 100, NULL, &err), -1);
    assert_int_equal(err.code, RW_ERR_OVERLOADED);
    close_pools(&f);
}

static void failing_creates_back_off_and_recover(void **state)
{
    (void)state;
    struct fixture f;
    struct pools_rules rules = default_rules;
    rules.retry_max_ms = 1000;
    open_pools(&f, &rules, &single, 1);
    assert_int_equal(decide(&f, POOL_CREATE), 2);
    struct pool *pool = &f.pools->pools[0];
    pools_pod_gone(f.pools, pool->pods[POOL_CREATING], f.now_ms);
    pools_pod_gone(f.pools, pool->pods[POOL_CREATING], f.now_ms);
    assert_int_equal(pool->retry.failures, 1); /* two that fail together are one failure */
    uint32_t n_created = 0;
    int64_t end_ms = f.now_ms + 60000;
    for (; f.now_ms < end_ms; f.now_ms++) {
        uint32_t n = (uint32_t)decide(&f, POOL_CREATE);
        assert_true(n <= 1); /* one at a time until one works */
        n_created += n;
        if (n) {
            pools_pod_failed(f.pools, pool->pods[POOL_CREATING], f.now_ms);
            pools_pod_gone(f.pools, pool->pods[POOL_ENDING], f.now_ms);
        }
    }
    assert_true(n_created >= 60 && n_created < 200); /* delays between 100 and 1000 ms */
    while (decide(&f, POOL_CREATE) == 0) {
        f.now_ms++;
    }
    make_ready(&f, 0);
    want(&f, 0, 0, "a");
    assert_int_equal(decide(&f, POOL_GRANT), 1);
    assert_false(pool_is_failing(pool)); /* a lease shows that pods work */
    assert_int_equal(pool->n_pods[POOL_CREATING], 2);
    close_pools(&f);
}

static void a_pod_that_stays_warm_ends_the_back_off(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, &single, 1);
    decide(&f, POOL_CREATE);
    struct pool *pool = &f.pools->pools[0];
    pools_pod_ready(f.pools, pool->pods[POOL_CREATING], f.now_ms);
    pools_pod_gone(f.pools, pool->pods[POOL_WARM], f.now_ms); /* ready, and dead at once: that is a failure as well */
    assert_true(pool_is_failing(pool));
    make_ready(&f, 0);
    assert_int_equal(decide(&f, POOL_CREATE), 0);
    f.now_ms += 100;
    assert_int_equal(decide(&f, POOL_CREATE), 1);
    make_ready(&f, 0);
    decide(&f, POOL_CREATE);
    assert_true(pool_is_failing(pool));
    f.now_ms += 6000;
    decide(&f, POOL_CREATE);
    assert_false(pool_is_failing(pool));
    close_pools(&f);
}

static void pods_that_never_become_ready_are_destroyed(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, &single, 1);
    decide(&f, POOL_CREATE);
    f.now_ms += 9999;
    assert_int_equal(decide(&f, POOL_DESTROY), 0);
    f.now_ms += 1;
    assert_int_equal(decide(&f, POOL_DESTROY), 2);
    assert_int_equal(action_at(&f, POOL_DESTROY, 0)->why, POOL_WHY_NEVER_READY);
    assert_true(pool_is_failing(&f.pools->pools[0]));
    pools_pod_ready(f.pools, f.pools->pools[0].pods[POOL_ENDING], f.now_ms); /* too late */
    assert_int_equal(f.pools->pools[0].n_pods[POOL_WARM], 0);
    close_pools(&f);
}

static void idle_pods_beyond_the_target_go_slowly(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, (struct pool_limits[]){{.warm = 1, .max = 50, .slots = 1, .uses = 1}}, 1);
    struct pool *pool = &f.pools->pools[0];
    pool->warm_up_ms = 2000;
    for (int i = 0; i < 100; i++) { /* 10 a second for ten seconds */
        want(&f, 0, 60000, "x");
        decide(&f, POOL_CREATE);
        make_ready(&f, 0);
        decide(&f, POOL_GRANT);
        while (pool->pods[POOL_LEASED]) {
            pools_lease_end(f.pools, pool->pods[POOL_LEASED], false, f.now_ms);
        }
        decide(&f, POOL_DESTROY);
        while (pool->pods[POOL_ENDING]) {
            pools_pod_gone(f.pools, pool->pods[POOL_ENDING], f.now_ms);
        }
        f.now_ms += 100;
    }
    pool->warm_up_ms = 2000;
    decide(&f, POOL_CREATE);
    make_ready(&f, 0);
    uint32_t high = pool->n_pods[POOL_WARM];
    assert_true(high > 5);
    f.now_ms += 25000;
    assert_int_equal(decide(&f, POOL_DESTROY), 0);
    int64_t start_ms = f.now_ms;
    while (pool->n_pods[POOL_WARM] > 1) {
        f.now_ms += 1000;
        assert_true(decide(&f, POOL_DESTROY) <= 2);
        assert_true(f.now_ms < start_ms + 600000);
    }
    assert_true(f.now_ms - start_ms > 20000);
    f.now_ms += 1000000;
    assert_int_equal(decide(&f, POOL_DESTROY), 0); /* the floor stays */
    close_pools(&f);
}

static void the_sum_of_all_pools_is_bounded_and_shared(void **state)
{
    (void)state;
    struct fixture f;
    struct pools_rules rules = default_rules;
    rules.pods_max = 4;
    open_pools(&f, &rules, (struct pool_limits[]){{.warm = 3, .max = 8, .slots = 1, .uses = 1}, single, single}, 3);
    assert_int_equal(decide(&f, POOL_CREATE), 4);
    for (size_t i = 0; i < 3; i++) { /* floors are filled evenly */
        assert_true(f.pools->pools[i].n_pods[POOL_CREATING] >= 1);
        make_ready(&f, i);
    }
    for (int i = 0; i < 8; i++) { /* a flood in one language */
        want(&f, 0, 60000, "flood");
    }
    decide(&f, POOL_GRANT);
    assert_true(f.pools->pools[0].n_pods[POOL_LEASED] >= 1);
    want(&f, 1, 60000, "b");
    want(&f, 2, 60000, "c");
    decide(&f, POOL_GRANT);
    assert_int_equal(f.pools->pools[1].n_pods[POOL_LEASED], 1); /* is not served from the other pools' last pods */
    assert_int_equal(f.pools->pools[2].n_pods[POOL_LEASED], 1);
    assert_true(f.pools->n_pods <= 4);
    close_pools(&f);
}

static void idle_pods_of_a_rich_pool_make_room_for_waiting_leases(void **state)
{
    (void)state;
    struct fixture f;
    struct pools_rules rules = default_rules;
    rules.pods_max = 3;
    open_pools(&f, &rules,
               (struct pool_limits[]){{.warm = 3, .max = 3, .slots = 1, .uses = 1}, {.warm = 0, .max = 3, .slots = 1, .uses = 1}},
               2);
    assert_int_equal(decide(&f, POOL_CREATE), 3);
    make_ready(&f, 0);
    want(&f, 1, 60000, "b");
    assert_int_equal(decide(&f, POOL_DESTROY), 1);
    assert_int_equal(action_at(&f, POOL_DESTROY, 0)->why, POOL_WHY_RECLAIM);
    struct pool_pod *victim = action_at(&f, POOL_DESTROY, 0)->pod;
    assert_int_equal(decide(&f, POOL_DESTROY), 0); /* one is enough, while it is under way too */
    pools_pod_gone(f.pools, victim, f.now_ms);
    assert_int_equal(decide(&f, POOL_CREATE), 1);
    assert_int_equal(f.pools->pools[1].n_pods[POOL_CREATING], 1); /* not back to the rich one */
    close_pools(&f);
}

static void creates_in_parallel_are_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct pools_rules rules = default_rules;
    rules.creating_max = 3;
    open_pools(&f, &rules, (struct pool_limits[]){{.warm = 8, .max = 8, .slots = 1, .uses = 1}, single}, 2);
    assert_int_equal(decide(&f, POOL_CREATE), 3);
    make_ready(&f, 0);
    make_ready(&f, 1);
    assert_int_equal(decide(&f, POOL_CREATE), 3);
    close_pools(&f);
}

static void nothing_is_created_while_the_backend_is_unusable(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, &single, 1);
    pools_set_usable(f.pools, false);
    want(&f, 0, 100, "a");
    assert_int_equal(decide(&f, POOL_CREATE), 0);
    pools_set_usable(f.pools, true);
    assert_int_equal(decide(&f, POOL_CREATE), 3);
    close_pools(&f);
}

static void draining_rejects_and_empties(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, (struct pool_limits[]){{.warm = 1, .max = 3, .slots = 1, .uses = 1}}, 1);
    decide(&f, POOL_CREATE);
    make_ready(&f, 0);
    want(&f, 0, 1000, "a");
    decide(&f, POOL_GRANT);
    struct pool_pod *leased = action_at(&f, POOL_GRANT, 0)->pod;
    want(&f, 0, 1000, "b");
    pools_drain(f.pools);
    assert_int_equal(decide(&f, POOL_REJECT), 1);
    assert_int_equal(action_at(&f, POOL_REJECT, 0)->why, POOL_WHY_DRAIN);
    assert_int_equal(action_at(&f, POOL_DESTROY, 0)->why, POOL_WHY_DRAIN); /* the one in the making */
    struct rw_error err = {0};
    assert_int_equal(pools_wait(f.pools, 0, f.now_ms, 100, NULL, &err), -1);
    assert_int_equal(err.code, RW_ERR_CANCELLED);
    assert_int_equal(f.pools->pools[0].n_pods[POOL_LEASED], 1);
    pools_lease_end(f.pools, leased, false, f.now_ms);
    assert_int_equal(decide(&f, POOL_DESTROY), 1);
    while (f.pools->pools[0].pods[POOL_ENDING]) {
        pools_pod_gone(f.pools, f.pools->pools[0].pods[POOL_ENDING], f.now_ms);
    }
    assert_int_equal(decide(&f, POOL_CREATE), 0);
    assert_int_equal(f.pools->n_pods, 0);
    close_pools(&f);
}

static void a_pod_with_slots_serves_many_at_a_time(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, (struct pool_limits[]){{.warm = 3, .max = 2, .slots = 4, .uses = 6}}, 1);
    assert_int_equal(decide(&f, POOL_CREATE), 1); /* 3 free slots wanted, one pod has 4 */
    make_ready(&f, 0);
    struct pool_pod *pod = f.pools->pools[0].pods[POOL_WARM];
    for (int i = 0; i < 4; i++) {
        want(&f, 0, 1000, "x");
    }
    assert_int_equal(decide(&f, POOL_GRANT), 4);
    action_at(&f, POOL_CREATE, 0); /* free slots are down to 0 */
    assert_int_equal(pod->leases, 4);
    pools_lease_end(f.pools, pod, false, f.now_ms);
    pools_lease_end(f.pools, pod, false, f.now_ms);
    assert_int_equal(pod->phase, POOL_LEASED);
    want(&f, 0, 1000, "x");
    want(&f, 0, 1000, "x");
    assert_int_equal(decide(&f, POOL_GRANT), 2); /* its last uses */
    assert_ptr_equal(action_at(&f, POOL_GRANT, 1)->pod, pod);
    assert_int_equal(f.pools->pools[0].n_free, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(decide(&f, POOL_DESTROY), 0);
        pools_lease_end(f.pools, pod, false, f.now_ms);
    }
    assert_int_equal(decide(&f, POOL_DESTROY), 1);
    assert_int_equal(action_at(&f, POOL_DESTROY, 0)->why, POOL_WHY_USED);
    close_pools(&f);
}

static void a_grant_that_was_not_given_out_never_was(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, (struct pool_limits[]){{.warm = 0, .max = 1, .slots = 1, .uses = 1}}, 1);
    want(&f, 0, 1000, "left");
    want(&f, 0, 1000, "stays");
    decide(&f, POOL_CREATE);
    make_ready(&f, 0);
    assert_int_equal(decide(&f, POOL_GRANT), 1);
    struct pool_pod *pod = action_at(&f, POOL_GRANT, 0)->pod;
    pools_take_back(f.pools, pod, f.now_ms);
    assert_int_equal(pod->phase, POOL_WARM);
    assert_int_equal(decide(&f, POOL_GRANT), 1);
    assert_ptr_equal(action_at(&f, POOL_GRANT, 0)->pod, pod);
    assert_string_equal(action_at(&f, POOL_GRANT, 0)->waiter, "stays");
    assert_int_equal(f.actions.count, 1);
    close_pools(&f);
}

static void a_broken_pod_serves_no_other_lease(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, (struct pool_limits[]){{.warm = 2, .max = 1, .slots = 2, .uses = 0}}, 1);
    decide(&f, POOL_CREATE);
    make_ready(&f, 0);
    want(&f, 0, 1000, "a");
    want(&f, 0, 1000, "b");
    assert_int_equal(decide(&f, POOL_GRANT), 2);
    struct pool_pod *pod = action_at(&f, POOL_GRANT, 0)->pod;
    pools_lease_end(f.pools, pod, true, f.now_ms);
    want(&f, 0, 1000, "c");
    assert_int_equal(decide(&f, POOL_DESTROY), 0); /* its neighbour goes on, */
    assert_int_equal(f.actions.count, 0);          /* and nobody joins it */
    assert_int_equal(pod->phase, POOL_LEASED);
    pools_lease_end(f.pools, pod, false, f.now_ms);
    assert_int_equal(decide(&f, POOL_DESTROY), 1);
    assert_int_equal(action_at(&f, POOL_DESTROY, 0)->why, POOL_WHY_BROKEN);
    assert_int_equal(decide(&f, POOL_GRANT), 0);
    pools_pod_gone(f.pools, pod, f.now_ms);
    assert_int_equal(decide(&f, POOL_CREATE), 1);
    assert_false(pool_is_failing(&f.pools->pools[0]));
    close_pools(&f);
}

static void an_adopted_pod_of_many_leases_takes_no_more(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, (struct pool_limits[]){{.warm = 0, .max = 1, .slots = 4, .uses = 0}}, 1);
    struct pool_pod *pod = pools_pod_adopt(f.pools, 0, true, f.now_ms);
    want(&f, 0, 1000, "a");
    assert_int_equal(decide(&f, POOL_GRANT), 0);
    pools_pod_gone(f.pools, pod, f.now_ms);
    assert_int_equal(decide(&f, POOL_CREATE), 1);
    close_pools(&f);
}

static void a_stale_pod_goes_when_its_replacement_is_ready(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, &single, 1); /* warm 2, max 4 */
    decide(&f, POOL_CREATE);
    make_ready(&f, 0);
    struct pool *pool = &f.pools->pools[0];
    pools_pod_stale(f.pools, pool->pods[POOL_WARM]);
    pools_pod_stale(f.pools, pool->pods[POOL_WARM]->next);
    for (int i = 0; i < 2; i++) {
        f.now_ms += 10;
        assert_int_equal(decide(&f, POOL_DESTROY), 0);
        assert_int_equal(pool->n_pods[POOL_CREATING], 1); /* one at a time */
        assert_int_equal(pool->n_pods[POOL_WARM], 2);     /* and meanwhile none is missing */
        make_ready(&f, 0);
        assert_int_equal(decide(&f, POOL_DESTROY), 1);
        struct pool_action gone = *action_at(&f, POOL_DESTROY, 0);
        assert_int_equal(gone.why, POOL_WHY_STALE);
        pools_pod_gone(f.pools, gone.pod, f.now_ms);
        assert_int_equal(pool->n_stale, (uint32_t)(1 - i));
    }
    assert_int_equal(decide(&f, POOL_CREATE), 0);
    assert_int_equal(f.actions.count, 0);
    close_pools(&f);
}

static void a_stale_pod_stays_while_replacements_fail_or_leases_wait(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, (struct pool_limits[]){{.warm = 1, .max = 2, .slots = 1, .uses = 1}}, 1);
    decide(&f, POOL_CREATE);
    make_ready(&f, 0);
    struct pool *pool = &f.pools->pools[0];
    pools_pod_stale(f.pools, pool->pods[POOL_WARM]);
    assert_int_equal(decide(&f, POOL_CREATE), 1);
    pools_pod_gone(f.pools, pool->pods[POOL_CREATING], f.now_ms); /* the new way of making them does not work */
    assert_int_equal(decide(&f, POOL_DESTROY), 0);
    assert_int_equal(pool->n_pods[POOL_WARM], 1);
    want(&f, 0, 1000, "a"); /* it still serves */
    assert_int_equal(decide(&f, POOL_GRANT), 1);
    assert_int_equal(pool->n_pods[POOL_LEASED], 1);
    close_pools(&f);
}

static void a_full_pool_replaces_stale_pods_in_place(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, (struct pool_limits[]){{.warm = 2, .max = 2, .slots = 1, .uses = 1}}, 1);
    decide(&f, POOL_CREATE);
    make_ready(&f, 0);
    struct pool *pool = &f.pools->pools[0];
    pools_pod_stale(f.pools, pool->pods[POOL_WARM]);
    pools_pod_stale(f.pools, pool->pods[POOL_WARM]->next);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(decide(&f, POOL_DESTROY), 1);
        struct pool_pod *pod = action_at(&f, POOL_DESTROY, 0)->pod;
        assert_int_equal(decide(&f, POOL_DESTROY), 0); /* not the other one, too */
        pools_pod_gone(f.pools, pod, f.now_ms);
        assert_int_equal(decide(&f, POOL_CREATE), 1);
        make_ready(&f, 0);
    }
    assert_int_equal(decide(&f, POOL_DESTROY), 0);
    assert_int_equal(pool->n_pods[POOL_WARM], 2);
    close_pools(&f);
}

static void adopted_pods_count_and_serve(void **state)
{
    (void)state;
    struct fixture f;
    open_pools(&f, &default_rules, &single, 1); /* warm 2, max 4 */
    struct pool *pool = &f.pools->pools[0];
    struct pool_pod *leased = pools_pod_adopt(f.pools, 0, true, f.now_ms);
    for (int i = 0; i < 2; i++) {
        f.now_ms += 1;
        pools_pod_ready(f.pools, pools_pod_adopt(f.pools, 0, false, f.now_ms), f.now_ms);
    }
    assert_int_equal((int)pool->warm_up_ms, 0); /* nobody knows how long they took */
    assert_int_equal(decide(&f, POOL_CREATE), 0);
    assert_int_equal(pool->n_pods[POOL_WARM], 2);
    assert_int_equal(pool->n_pods[POOL_LEASED], 1);
    want(&f, 0, 0, "a");
    assert_int_equal(decide(&f, POOL_GRANT), 1);
    assert_ptr_not_equal(action_at(&f, POOL_GRANT, 0)->pod, leased); /* its one lease is somebody else's */
    pools_pod_gone(f.pools, leased, f.now_ms);
    assert_false(pool_is_failing(pool));
    for (int i = 0; i < 5; i++) { /* more than there may be: they go, none is made */
        pools_pod_ready(f.pools, pools_pod_adopt(f.pools, 0, false, f.now_ms), f.now_ms);
    }
    assert_int_equal(decide(&f, POOL_CREATE), 0);
    assert_int_equal(pool->n_pods[POOL_WARM] + pool->n_pods[POOL_CREATING], 2);
    close_pools(&f);
}

static void names_are_complete(void **state)
{
    (void)state;
    for (int phase = 0; phase < _POOL_PHASE_MAX; phase++) {
        assert_non_null(pool_phase_name((enum pool_phase)phase));
    }
    for (int why = 0; why < _POOL_WHY_MAX; why++) {
        assert_non_null(pool_why_name((enum pool_why)why));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warms_up_to_the_floor),
        cmocka_unit_test(a_leased_pod_is_replaced_at_once_and_destroyed_after_its_lease),
        cmocka_unit_test(waiting_is_first_come_first_served),
        cmocka_unit_test(impatient_waiters_are_rejected_others_stay),
        cmocka_unit_test(a_pod_that_is_there_goes_to_one_whose_time_is_up),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(failing_creates_back_off_and_recover),
        cmocka_unit_test(a_pod_that_stays_warm_ends_the_back_off),
        cmocka_unit_test(pods_that_never_become_ready_are_destroyed),
        cmocka_unit_test(idle_pods_beyond_the_target_go_slowly),
        cmocka_unit_test(the_sum_of_all_pools_is_bounded_and_shared),
        cmocka_unit_test(idle_pods_of_a_rich_pool_make_room_for_waiting_leases),
        cmocka_unit_test(creates_in_parallel_are_bounded),
        cmocka_unit_test(nothing_is_created_while_the_backend_is_unusable),
        cmocka_unit_test(draining_rejects_and_empties),
        cmocka_unit_test(a_pod_with_slots_serves_many_at_a_time),
        cmocka_unit_test(a_grant_that_was_not_given_out_never_was),
        cmocka_unit_test(a_broken_pod_serves_no_other_lease),
        cmocka_unit_test(an_adopted_pod_of_many_leases_takes_no_more),
        cmocka_unit_test(a_stale_pod_goes_when_its_replacement_is_ready),
        cmocka_unit_test(a_stale_pod_stays_while_replacements_fail_or_leases_wait),
        cmocka_unit_test(a_full_pool_replaces_stale_pods_in_place),
        cmocka_unit_test(adopted_pods_count_and_serve),
        cmocka_unit_test(names_are_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
