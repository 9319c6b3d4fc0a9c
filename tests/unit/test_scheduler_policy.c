/* The scheduler's policy: bounds, order of the priorities without starvation, fairness between languages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy.h"

enum { A, B, C, LANGUAGES };

static void arrive(struct policy *policy, size_t language, enum rw_priority priority, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        policy_arrived(policy, language, priority);
    }
}

static void nothing_waits_nothing_starts(void **state)
{
    (void)state;
    struct policy policy;
    policy_init(&policy, LANGUAGES, 4, 4);
    size_t language = 99;
    enum rw_priority priority = _RW_PRIORITY_MAX;
    assert_false(policy_next(&policy, &language, &priority));
    assert_int_equal(language, 99);
    policy_arrived(&policy, B, RW_PRIORITY_LOW);
    assert_true(policy_next(&policy, &language, &priority));
    assert_int_equal(language, B);
    assert_int_equal(priority, RW_PRIORITY_LOW);
    assert_false(policy_next(&policy, &language, &priority));
}

static void running_max_bounds_the_flight(void **state)
{
    (void)state;
    struct policy policy;
    policy_init(&policy, LANGUAGES, 3, 10);
    arrive(&policy, A, RW_PRIORITY_NORMAL, 10);
    size_t language;
    enum rw_priority priority;
    for (int i = 0; i < 3; i++) {
        assert_true(policy_next(&policy, &language, &priority));
    }
    assert_false(policy_next(&policy, &language, &priority));
    policy_ended(&policy, A, false);
    assert_true(policy_next(&policy, &language, &priority));
    assert_false(policy_next(&policy, &language, &priority));
}

static void an_empty_pool_does_not_take_every_place(void **state)
{
    (void)state;
    struct policy policy;
    policy_init(&policy, LANGUAGES, 10, 2);
    arrive(&policy, A, RW_PRIORITY_HIGH, 10);
    arrive(&policy, B, RW_PRIORITY_LOW, 10);
    size_t started[LANGUAGES] = {0};
    size_t language;
    enum rw_priority priority;
    while (policy_next(&policy, &language, &priority)) {
        started[language]++;
        if (language == B) {
            policy_pod(&policy, B, true);
        }
    }
    assert_int_equal(started[A], 2);
    assert_int_equal(started[B], 8);
    policy_pod(&policy, A, true);
    policy_ended(&policy, B, true);
    assert_true(policy_next(&policy, &language, &priority));
    assert_int_equal(language, A);
}

static void losing_a_pod_counts_as_waiting_again(void **state)
{
    (void)state;
    struct policy policy;
    policy_init(&policy, LANGUAGES, 10, 1);
    arrive(&policy, A, RW_PRIORITY_NORMAL, 3);
    size_t language;
    enum rw_priority priority;
    assert_true(policy_next(&policy, &language, &priority));
    assert_false(policy_next(&policy, &language, &priority));
    policy_pod(&policy, A, true);
    assert_true(policy_next(&policy, &language, &priority));
    policy_pod(&policy, A, true);
    policy_pod(&policy, A, false);
    assert_false(policy_next(&policy, &language, &priority));
    policy_ended(&policy, A, false);
    assert_true(policy_next(&policy, &language, &priority));
    policy_ended(&policy, A, false);
    policy_ended(&policy, A, true);
    assert_int_equal(policy.in_flight, 0);
    assert_int_equal(policy.languages[A].leasing, 0);
    assert_int_equal(policy.languages[A].in_flight, 0);
}

/* One place, every priority always waiting: of 21 starts 16 are high, 4 normal, 1 low, and the first is high. */
static void priorities_share_by_weight(void **state)
{
    (void)state;
    struct policy policy;
    policy_init(&policy, LANGUAGES, 1, 1);
    unsigned starts[_RW_PRIORITY_MAX] = {0};
    for (int i = 0; i < 210; i++) {
        for (enum rw_priority p = RW_PRIORITY_HIGH; p < _RW_PRIORITY_MAX; p++) {
            policy_arrived(&policy, A, p);
        }
        size_t language;
        enum rw_priority priority;
        assert_true(policy_next(&policy, &language, &priority));
        if (i == 0) {
            assert_int_equal(priority, RW_PRIORITY_HIGH);
        }
        starts[priority]++;
        policy_ended(&policy, language, false);
    }
    assert_int_equal(starts[RW_PRIORITY_HIGH], 160);
    assert_int_equal(starts[RW_PRIORITY_NORMAL], 40);
    assert_int_equal(starts[RW_PRIORITY_LOW], 10);
}

static void low_alone_gets_everything_and_saves_nothing_up(void **state)
{
    (void)state;
    struct policy policy;
    policy_init(&policy, LANGUAGES, 1, 1);
    arrive(&policy, A, RW_PRIORITY_LOW, 100);
    size_t language;
    enum rw_priority priority;
    for (int i = 0; i < 50; i++) {
        assert_true(policy_next(&policy, &language, &priority));
        policy_ended(&policy, language, false);
    }
    policy_arrived(&policy, A, RW_PRIORITY_HIGH);
    assert_true(policy_next(&policy, &language, &priority));
    assert_int_equal(priority, RW_PRIORITY_HIGH);
}

static void languages_take_turns(void **state)
{
    (void)state;
    struct policy policy;
    policy_init(&policy, LANGUAGES, 1, 1);
    arrive(&policy, A, RW_PRIORITY_NORMAL, 300);
    arrive(&policy, B, RW_PRIORITY_NORMAL, 20);
    arrive(&policy, C, RW_PRIORITY_NORMAL, 20);
    unsigned starts[LANGUAGES] = {0};
    for (int i = 0; i < 60; i++) {
        size_t language;
        enum rw_priority priority;
        assert_true(policy_next(&policy, &language, &priority));
        starts[language]++;
        policy_ended(&policy, language, false);
    }
    assert_int_equal(starts[A], 20);
    assert_int_equal(starts[B], 20);
    assert_int_equal(starts[C], 20);
}

/* A language with slow tasks holds the places it has; those that come free go to who has fewer. */
static void places_even_out(void **state)
{
    (void)state;
    struct policy policy;
    policy_init(&policy, LANGUAGES, 8, 8);
    arrive(&policy, A, RW_PRIORITY_NORMAL, 100);
    size_t language;
    enum rw_priority priority;
    while (policy_next(&policy, &language, &priority)) {
        assert_int_equal(language, A);
    }
    arrive(&policy, B, RW_PRIORITY_NORMAL, 100);
    for (int i = 0; i < 4; i++) {
        policy_ended(&policy, A, false);
        assert_true(policy_next(&policy, &language, &priority));
        assert_int_equal(language, B);
    }
    assert_int_equal(policy.languages[A].in_flight, 4);
    assert_int_equal(policy.languages[B].in_flight, 4);
}

static void withdrawn_deliveries_do_not_start(void **state)
{
    (void)state;
    struct policy policy;
    policy_init(&policy, LANGUAGES, 8, 8);
    arrive(&policy, A, RW_PRIORITY_NORMAL, 2);
    policy_withdrawn(&policy, A, RW_PRIORITY_NORMAL);
    size_t language;
    enum rw_priority priority;
    assert_true(policy_next(&policy, &language, &priority));
    assert_false(policy_next(&policy, &language, &priority));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_waits_nothing_starts),
        cmocka_unit_test(running_max_bounds_the_flight),
        cmocka_unit_test(an_empty_pool_does_not_take_every_place),
        cmocka_unit_test(losing_a_pod_counts_as_waiting_again),
        cmocka_unit_test(priorities_share_by_weight),
        cmocka_unit_test(low_alone_gets_everything_and_saves_nothing_up),
        cmocka_unit_test(languages_take_turns),
        cmocka_unit_test(places_even_out),
        cmocka_unit_test(withdrawn_deliveries_do_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
