/* Facts in, verdict out: the order of judgement. */
#include "support.h"

#include "judge.h"

static const struct rw_limits limits = {.cpu_ms = 100, .wall_ms = 200, .memory_bytes = 1000, .output_bytes = 50};

static const struct {
    const char *name;
    struct stage_facts facts;
    enum rw_verdict run;
    bool compiles;
    enum rw_verdict compile;
    const char *reason; /* part of the run's */
} cases[] = {
    {"fine", {.is_started = true, .has_ended = true, .has_exit_code = true}, RW_VERDICT_OK, true, RW_VERDICT_OK, ""},
    {"exit code",
     {.is_started = true, .has_ended = true, .has_exit_code = true, .exit_code = 3},
     RW_VERDICT_RUNTIME_ERROR,
     false,
     RW_VERDICT_COMPILE_ERROR,
     ""},
    {"signal", {.is_started = true, .has_ended = true, .signal = 11}, RW_VERDICT_SIGNALLED, false, RW_VERDICT_COMPILE_ERROR, ""},
    {"output before all",
     {.is_started = true,
      .has_ended = true,
      .signal = 9,
      .is_output_exceeded = true,
      .is_wall_exceeded = true,
      .is_cpu_exceeded = true,
      .is_memory_exceeded = true},
     RW_VERDICT_OUTPUT_LIMIT,
     false,
     RW_VERDICT_COMPILE_ERROR,
     "50 bytes"},
    {"output of one that ended well",
     {.is_started = true, .has_ended = true, .has_exit_code = true, .is_output_exceeded = true},
     RW_VERDICT_OUTPUT_LIMIT,
     false,
     RW_VERDICT_COMPILE_ERROR,
     "output"},
    {"time before memory",
     {.is_started = true, .has_ended = true, .signal = 9, .is_cpu_exceeded = true, .is_memory_exceeded = true},
     RW_VERDICT_TIME_LIMIT,
     false,
     RW_VERDICT_COMPILE_ERROR,
     "cpu"},
    {"memory",
     {.is_started = true, .has_ended = true, .signal = 9, .is_memory_exceeded = true},
     RW_VERDICT_MEMORY_LIMIT,
     false,
     RW_VERDICT_COMPILE_ERROR,
     "1000 bytes"},
    {"memory that took the sandbox along",
     {.is_started = true, .is_lost = true, .is_memory_exceeded = true},
     RW_VERDICT_MEMORY_LIMIT,
     false,
     RW_VERDICT_COMPILE_ERROR,
     "memory"},
    {"lost", {.is_started = true, .is_lost = true}, RW_VERDICT_INTERNAL_ERROR, false, RW_VERDICT_INTERNAL_ERROR, "sandbox"},
    {"cancelled",
     {.is_started = true, .has_ended = true, .signal = 9, .is_cancelled = true},
     RW_VERDICT_SIGNALLED,
     false,
     RW_VERDICT_SIGNALLED,
     "cancelled"},
    {"interpreter missing",
     {.has_ended = true, .has_exit_code = true, .exit_code = 127, .message = "cannot execute"},
     RW_VERDICT_INTERNAL_ERROR,
     false,
     RW_VERDICT_INTERNAL_ERROR,
     "cannot execute"},
    {"own program missing",
     {.has_ended = true, .has_exit_code = true, .exit_code = 127, .message = "cannot execute", .is_programs_fault = true},
     RW_VERDICT_RUNTIME_ERROR,
     false,
     RW_VERDICT_RUNTIME_ERROR,
     "cannot execute"},
    {"never ended", {.is_started = true}, RW_VERDICT_INTERNAL_ERROR, false, RW_VERDICT_INTERNAL_ERROR, "end"},
};

static void verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        struct rw_run_result run = {0};
        struct rw_run_result compile = {0};
        judge_run(&cases[i].facts, &limits, &run);
        bool compiles = judge_compile(&cases[i].facts, &limits, &compile);
        if (run.verdict != cases[i].run || compiles != cases[i].compiles || (!compiles && compile.verdict != cases[i].compile) ||
            !strstr(run.reason, cases[i].reason)) {
            fail_msg("%s: run %d (%s), compile %d", cases[i].name, run.verdict, run.reason, compile.verdict);
        }
    }
}

static void exit_codes_are_the_programs_own(void **state)
{
    (void)state;
    struct rw_run_result result = {0};
    judge_run(&(struct stage_facts){.is_started = true, .has_ended = true, .has_exit_code = true, .exit_code = 3}, &limits,
              &result);
    assert_true(result.has_exit_code);
    assert_int_equal(result.exit_code, 3);
    result = (struct rw_run_result){0};
    judge_run(&(struct stage_facts){.has_ended = true, .has_exit_code = true, .exit_code = 127, .message = "x"}, &limits, &result);
    assert_false(result.has_exit_code);
}

static void final_figures(void **state)
{
    (void)state;
    struct stage_facts at = {.usage = {.wall_us = 200000, .cpu_user_us = 60000, .cpu_system_us = 40000, .memory_bytes = 1000}};
    judge_settle(&at, &limits, false);
    assert_false(at.is_wall_exceeded || at.is_cpu_exceeded || at.is_memory_exceeded);
    struct stage_facts over = {.usage = {.wall_us = 200001, .cpu_user_us = 60000, .cpu_system_us = 40001, .memory_bytes = 1001}};
    judge_settle(&over, &limits, false);
    assert_true(over.is_wall_exceeded && over.is_cpu_exceeded && over.is_memory_exceeded);
    struct stage_facts counted = {.usage = {.memory_bytes = 1001}};
    judge_settle(&counted, &limits, true);
    assert_false(counted.is_memory_exceeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(exit_codes_are_the_programs_own),
        cmocka_unit_test(final_figures),
    };
    return cmocka_run_group_tests_name("runner_judge", tests, NULL, NULL);
}
