/* States, transitions and verdicts. */
#include "support.h"

#include <rw/task.h>

static void test_names_go_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < _RW_TASK_MAX; i++) {
        assert_int_equal(rw_task_state_parse(rw_task_state_name((enum rw_task_state)i)), i);
    }
    for (int i = 0; i < _RW_VERDICT_MAX; i++) {
        assert_int_equal(rw_verdict_parse(rw_verdict_name((enum rw_verdict)i)), i);
    }
    assert_string_equal(rw_task_state_name(RW_TASK_CANCELLED), "cancelled");
    assert_string_equal(rw_verdict_name(RW_VERDICT_TIME_LIMIT), "time_limit");
}

static void test_unknown_names_are_invalid(void **state)
{
    (void)state;
    static const char *const unknown[] = {"", "Queued", "queued ", "finished", "invalid"};
    for (size_t i = 0; i < RW_ARRAY_SIZE(unknown); i++) {
        assert_int_equal(rw_task_state_parse(unknown[i]), _RW_TASK_INVALID);
        assert_int_equal(rw_verdict_parse(unknown[i]), _RW_VERDICT_INVALID);
    }
    assert_string_equal(rw_task_state_name(_RW_TASK_INVALID), "invalid");
    assert_string_equal(rw_verdict_name(_RW_VERDICT_MAX), "invalid");
    assert_false(rw_task_state_is_final(_RW_TASK_INVALID));
}

/* The whole table, so that a new transition is a decision and not a slip. */
static void test_all_pairs(void **state)
{
    (void)state;
    static const bool permitted[_RW_TASK_MAX][_RW_TASK_MAX] = {
        [RW_TASK_QUEUED] = {[RW_TASK_RUNNING] = true, [RW_TASK_CANCELLED] = true, [RW_TASK_DEAD] = true},
        [RW_TASK_RUNNING] = {[RW_TASK_DONE] = true, [RW_TASK_QUEUED] = true, [RW_TASK_CANCELLED] = true, [RW_TASK_DEAD] = true},
    };
    for (int from = 0; from < _RW_TASK_MAX; from++) {
        for (int to = 0; to < _RW_TASK_MAX; to++) {
            assert_int_equal(rw_task_transition_is_permitted((enum rw_task_state)from, (enum rw_task_state)to),
                             permitted[from][to]);
        }
    }
}

static void test_final_states_have_no_way_out(void **state)
{
    (void)state;
    for (int from = 0; from < _RW_TASK_MAX; from++) {
        bool has_exit = false;
        for (int to = 0; to < _RW_TASK_MAX; to++) {
            has_exit = has_exit || rw_task_transition_is_permitted((enum rw_task_state)from, (enum rw_task_state)to);
        }
        assert_int_equal(has_exit, !rw_task_state_is_final((enum rw_task_state)from));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_go_both_ways),
        cmocka_unit_test(test_unknown_names_are_invalid),
        cmocka_unit_test(test_all_pairs),
        cmocka_unit_test(test_final_states_have_no_way_out),
    };
    return cmocka_run_group_tests_name("task", tests, NULL, NULL);
}
