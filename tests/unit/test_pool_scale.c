/* The scaling decision: the formula, the ceiling, the slow shrinking, the arrival rate. */
#include "support.h"

#include "scale.h"

static const struct scale_rules rules = {.rate_window_ms = 10000, .shrink_delay_ms = 30000, .shrink_step_ms = 5000};

static void the_target_is_the_clamped_sum(void **state)
{
    (void)state;
    static const struct {
        uint32_t floor, ceiling, waiting;
        uint32_t target;
        double arrivals_per_s, warm_up_ms;
    } cases[] = {
        {2, 8, 0, 2, 0, 0},                    /* nobody comes: the floor */
        {2, 8, 3, 5, 0, 0},                    /* waiting leases on top */
        {2, 8, 9, 8, 0, 0},                    /* up to the ceiling */
        {2, 1, 0, 1, 0, 0},                    /* the ceiling is above the floor's wishes */
        {2, 0, 5, 0, 100, 1000},               /* no room at all */
        {0, 8, 0, 0, 0, 5000},                 /* a cold pool nobody asks for stays empty */
        {0, 8, 1, 1, 0, 0},                    /* and makes what is asked for */
        {2, 100, 0, 12, 4, 2500},              /* rate x time to warm */
        {2, 100, 3, 15, 4, 2500},              /* all three parts */
        {2, 100, 0, 2, 4, 0},                  /* time to warm not known yet */
        {2, 100, 0, 2, 0.01, 1000},            /* one in a hundred seconds needs no pod of its own */
        {2, UINT32_MAX, 0, 1000002, 1e9, 1e9}, /* absurd inputs stay in range */
        {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, 1, 1000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scale_state scale = {0};
        struct scale_input input = {.floor = cases[i].floor,
                                    .ceiling = cases[i].ceiling,
                                    .waiting = cases[i].waiting,
                                    .arrivals_per_s = cases[i].arrivals_per_s,
                                    .warm_up_ms = cases[i].warm_up_ms,
                                    .now_ms = 1000};
        struct scale_decision decision = scale_decide(&rules, &input, &scale);
        assert_int_equal(decision.target, cases[i].target);
        assert_int_equal(decision.floor, cases[i].floor);
        assert_int_equal(decision.waiting, cases[i].waiting);
    }
}

static uint32_t target_at(struct scale_state *scale, int64_t now_ms, double arrivals_per_s, uint32_t waiting)
{
    struct scale_input input = {
        .floor = 2, .ceiling = 1000, .waiting = waiting, .arrivals_per_s = arrivals_per_s, .warm_up_ms = 1000, .now_ms = now_ms};
    return scale_decide(&rules, &input, scale).target;
}

static uint32_t reused_target_at(struct scale_state *scale, int64_t now_ms, uint32_t busy, uint32_t waiting)
{
    struct scale_input input = {.floor = 2, .ceiling = 1000, .waiting = waiting, .busy = busy, .is_reused = true, .now_ms = now_ms};
    return scale_decide(&rules, &input, scale).target;
}

static void slots_that_serve_again_are_kept_for_a_while(void **state)
{
    (void)state;
    struct scale_state scale = {0};
    assert_int_equal(reused_target_at(&scale, 0, 0, 8), 10); /* the floor beside what waits */
    assert_int_equal(reused_target_at(&scale, 1, 8, 0), 2);  /* all are served: the floor beside them */
    assert_int_equal(reused_target_at(&scale, 2, 5, 0), 5);  /* three are free, and kept for those who come again */
    assert_int_equal(reused_target_at(&scale, 3, 5, 4), 6);  /* nine at a time by now */
    assert_int_equal(reused_target_at(&scale, 4, 0, 0), 11); /* the floor and nine */
    assert_int_equal(reused_target_at(&scale, 30002, 0, 0), 11);
    assert_int_equal(reused_target_at(&scale, 30003, 0, 0), 10); /* then one fewer, a step at a time */
}

static void it_grows_at_once_and_shrinks_slowly(void **state)
{
    (void)state;
    struct scale_state scale = {0};
    assert_int_equal(target_at(&scale, 0, 50, 0), 52);
    assert_int_equal(target_at(&scale, 1, 60, 0), 62);
    assert_int_equal(target_at(&scale, 30000, 0, 0), 62); /* held for 30 s after it was last asked for */
    assert_int_equal(target_at(&scale, 30001, 0, 0), 56); /* then a tenth less ... */
    assert_int_equal(target_at(&scale, 30002, 0, 0), 56); /* ... a step */
    assert_int_equal(target_at(&scale, 35001, 0, 0), 51);
    assert_int_equal(target_at(&scale, 35002, 58, 0), 60); /* demand is back: at once, and held anew */
    assert_int_equal(target_at(&scale, 65000, 0, 0), 60);
    int64_t now_ms = 65002;
    uint32_t last = 60;
    while (last > 2) { /* down to the floor, never up, never by more than a tenth or one */
        uint32_t next = target_at(&scale, now_ms, 0, 0);
        assert_true(next < last && last - next <= (last - 2 >= 20 ? (last - 2) / 10 : 1));
        last = next;
        now_ms += rules.shrink_step_ms;
    }
    assert_true(now_ms < 65002 + 60 * (int64_t)rules.shrink_step_ms);
    assert_int_equal(target_at(&scale, now_ms + 1000000, 0, 0), 2);
}

static void it_never_goes_below_what_is_asked_for(void **state)
{
    (void)state;
    struct scale_state scale = {0};
    assert_int_equal(target_at(&scale, 0, 12, 0), 14);
    assert_int_equal(target_at(&scale, 40000, 11.5, 0), 14); /* 12 again: the clock starts anew */
    assert_int_equal(target_at(&scale, 60000, 10.5, 0), 14);
    assert_int_equal(target_at(&scale, 70000, 10.5, 0), 13);
    assert_int_equal(target_at(&scale, 80000, 10.5, 0), 13);
}

static void waiting_leases_are_not_held(void **state)
{
    (void)state;
    struct scale_state scale = {0};
    assert_int_equal(target_at(&scale, 0, 0, 40), 42);
    assert_int_equal(target_at(&scale, 1, 0, 0), 2);
}

static void the_rate_follows_the_arrivals(void **state)
{
    (void)state;
    struct scale_rate rate = {0};
    assert_true(scale_rate_per_s(&rate, 10000, 5000) == 0);
    for (int64_t now_ms = 0; now_ms < 60000; now_ms += 50) {
        scale_rate_add(&rate, 10000, now_ms);
    }
    double steady = scale_rate_per_s(&rate, 10000, 60000);
    assert_true(steady > 19 && steady < 21);
    double later = scale_rate_per_s(&rate, 10000, 70000);
    assert_true(later > steady * 0.36 && later < steady * 0.38); /* 1/e after one window */
    assert_true(scale_rate_per_s(&rate, 10000, 600000) < 0.001);
    assert_true(scale_rate_per_s(&rate, 10000, 0) <= steady * 1.01); /* a clock that steps back does no harm */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_target_is_the_clamped_sum),       cmocka_unit_test(slots_that_serve_again_are_kept_for_a_while),
        cmocka_unit_test(it_grows_at_once_and_shrinks_slowly), cmocka_unit_test(it_never_goes_below_what_is_asked_for),
        cmocka_unit_test(waiting_leases_are_not_held),         cmocka_unit_test(the_rate_follows_the_arrivals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
