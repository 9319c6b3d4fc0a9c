/* The rules of an attempt: every pair of states, every failure, every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attempt_rules.h"

/* Rows: from; columns: to, in the order of the enum. */
static const char *const permitted[_ATTEMPT_STATE_MAX] = {
    /*                      C L C R I R L R E */
    [ATTEMPT_CLAIMING] = "010000011", [ATTEMPT_LEASING] = "001000011",   [ATTEMPT_CONNECTING] = "010100111",
    [ATTEMPT_RUNNING] = "010011111",  [ATTEMPT_INQUIRING] = "000001101", [ATTEMPT_RECORDING] = "000000101",
    [ATTEMPT_LOSING] = "000000001",   [ATTEMPT_RETURNING] = "000000001", [ATTEMPT_ENDED] = "000000000",
};

static void all_pairs_of_states(void **state)
{
    (void)state;
    for (enum attempt_state from = 0; from < _ATTEMPT_STATE_MAX; from++) {
        assert_non_null(attempt_state_name(from));
        for (enum attempt_state to = 0; to < _ATTEMPT_STATE_MAX; to++) {
            assert_int_equal(attempt_transition_is_permitted(from, to), permitted[from][to] == '1');
        }
    }
}

static void every_state_reaches_the_end(void **state)
{
    (void)state;
    for (enum attempt_state from = 0; from < ATTEMPT_ENDED; from++) {
        assert_true(attempt_transition_is_permitted(from, ATTEMPT_ENDED));
    }
}

/* Where a statement about the task's fate is under way, its own answer tells whether the fence is lost. */
static void fencing_never_interrupts_a_statement(void **state)
{
    (void)state;
    const enum attempt_state fenceable[] = {ATTEMPT_LEASING, ATTEMPT_CONNECTING, ATTEMPT_RUNNING, ATTEMPT_INQUIRING};
    unsigned n = 0;
    for (enum attempt_state s = 0; s < _ATTEMPT_STATE_MAX; s++) {
        n += attempt_state_is_fenceable(s) ? 1 : 0;
    }
    assert_int_equal(n, sizeof(fenceable) / sizeof(fenceable[0]));
    for (size_t i = 0; i < n; i++) {
        assert_true(attempt_state_is_fenceable(fenceable[i]));
    }
}

static void every_failure_has_a_remedy_of_its_own_name(void **state)
{
    (void)state;
    for (enum attempt_failure f = 0; f < _FAILURE_MAX; f++) {
        const struct attempt_remedy *remedy = attempt_remedy(f);
        assert_non_null(remedy->name);
        assert_true(remedy->action < _ACTION_MAX);
        for (enum attempt_failure other = 0; other < f; other++) {
            assert_string_not_equal(remedy->name, attempt_remedy(other)->name);
        }
    }
}

/* Only what may have run code counts as an attempt; only a pod that was there is given back. */
static void what_each_failure_costs(void **state)
{
    (void)state;
    for (enum attempt_failure f = 0; f < FAILURE_POD_UNREACHABLE; f++) {
        assert_int_equal(attempt_remedy(f)->action, ACTION_LEASE_AGAIN);
        assert_int_equal(attempt_remedy(f)->lease_outcome, LEASE_LEFT);
    }
    for (enum attempt_failure f = FAILURE_POD_UNREACHABLE; f <= FAILURE_POD_REFUSED; f++) {
        assert_int_equal(attempt_remedy(f)->action, ACTION_ANOTHER_POD);
    }
    for (enum attempt_failure f = FAILURE_JOB_UNSENDABLE; f < _FAILURE_MAX; f++) {
        assert_int_equal(attempt_remedy(f)->action, f == FAILURE_RUNNER_VANISHED ? ACTION_INQUIRE : ACTION_LOSE);
        assert_int_not_equal(attempt_remedy(f)->lease_outcome, LEASE_LEFT);
    }
}

static void a_pod_that_serves_another_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(attempt_remedy(FAILURE_POD_TAKEN)->lease_outcome, LEASE_LEFT);
    assert_null(lease_outcome_name(LEASE_LEFT));
    assert_string_equal(lease_outcome_name(LEASE_USED), "used");
    assert_string_equal(lease_outcome_name(LEASE_UNUSED), "unused");
    assert_string_equal(lease_outcome_name(LEASE_FAILED), "failed");
}

/* Only memory used up is the code's doing; what is not known is not. */
static void what_the_end_of_a_pod_means(void **state)
{
    (void)state;
    static const char *const others[] = {"exited",  "finished",  "evicted", "disrupted", "node_lost",
                                         "deleted", "destroyed", "oom",     ""};
    assert_true(attempt_pod_end_is_memory("oom_killed"));
    assert_false(attempt_pod_end_is_memory(NULL));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(attempt_pod_end_is_memory(others[i]));
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        enum attempt_failure before_job;
        enum attempt_failure after_job;
    } cases[] = {
        {"taken", FAILURE_POD_TAKEN, FAILURE_POD_TAKEN},         {"proof", FAILURE_POD_REFUSED, FAILURE_POD_REFUSED},
        {"not_ready", FAILURE_POD_REFUSED, FAILURE_POD_REFUSED}, {"protocol", FAILURE_POD_REFUSED, FAILURE_JOB_REFUSED},
        {"job", FAILURE_POD_GARBLED, FAILURE_JOB_REFUSED},       {"", FAILURE_POD_REFUSED, FAILURE_JOB_REFUSED},
        {"take", FAILURE_POD_REFUSED, FAILURE_JOB_REFUSED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(attempt_refusal(cases[i].reason, false), cases[i].before_job);
        assert_int_equal(attempt_refusal(cases[i].reason, true), cases[i].after_job);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_pairs_of_states),
        cmocka_unit_test(every_state_reaches_the_end),
        cmocka_unit_test(fencing_never_interrupts_a_statement),
        cmocka_unit_test(every_failure_has_a_remedy_of_its_own_name),
        cmocka_unit_test(what_each_failure_costs),
        cmocka_unit_test(a_pod_that_serves_another_is_left_alone),
        cmocka_unit_test(what_the_end_of_a_pod_means),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
