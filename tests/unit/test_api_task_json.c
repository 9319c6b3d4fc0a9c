/* A task's row as a client reads it. */
#include "support.h"

#include "task_json.h"

enum { SECOND = 1000000 };

static const struct rw_uuid id = {{0x01, 0x90, 0xb2, 0xc0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}};

static struct rw_task_row queued_row(void)
{
    return (struct rw_task_row){.state = RW_TASK_QUEUED,
                                .language = "python",
                                .version = "3.11",
                                .submitted_us = 10 * (int64_t)SECOND,
                                .claimed_us = -1,
                                .ended_us = -1,
                                .verdict = _RW_VERDICT_INVALID};
}

static struct rw_task_row done_row(void)
{
    struct rw_task_row row = queued_row();
    row.state = RW_TASK_DONE;
    row.attempt = 1;
    row.claimed_us = row.submitted_us + 1500;
    row.ended_us = row.submitted_us + SECOND;
    row.has_result = true;
    row.verdict = RW_VERDICT_OK;
    row.has_exit_code = true;
    row.stdout_bytes = rw_bytes_of("42\n", 3);
    row.stderr_bytes = rw_bytes_of("\xff\x00", 2);
    row.reason = "";
    row.wall_us = 12345;
    row.cpu_us = 11000;
    row.memory_bytes = 9000000;
    row.compile_wall_us = row.compile_cpu_us = row.compile_memory_bytes = -1;
    row.leased_us = row.claimed_us + 500;
    row.job_sent_us = row.leased_us + 100;
    row.started_us = row.leased_us + 4000;
    row.finished_us = row.started_us + 20000;
    return row;
}

/* The text of a task; owned by the caller. */
static char *text_of(const struct rw_task_row *row)
{
    RW_AUTO(cJSON_Delete) cJSON *json = task_json(&id, row);
    size_t len = 0;
    return rw_json_print(json, &len);
}

static void expect(const struct rw_task_row *row, const char *const *parts, size_t n)
{
    RW_AUTO_FREE char *text = text_of(row);
    for (size_t i = 0; i < n; i++) {
        if (!strstr(text, parts[i])) {
            fail_msg("%s\ndoes not hold %s", text, parts[i]);
        }
    }
}

static void what_202_says(void **state)
{
    RW_AUTO(cJSON_Delete) cJSON *json = task_accepted_json(&id, RW_TASK_QUEUED);
    size_t len = 0;
    RW_AUTO_FREE char *text = rw_json_print(json, &len);
    (void)state;
    assert_string_equal(text, "{\"task_id\":\"0190b2c0-0000-7000-8000-000000000001\",\"status\":\"queued\","
                              "\"url\":\"/result/0190b2c0-0000-7000-8000-000000000001\"}");
}

static void a_queued_task_has_nulls(void **state)
{
    static const char *const parts[] = {
        "\"status\":\"queued\"", "\"verdict\":null",   "\"attempt\":0",    "\"exit_code\":null",
        "\"stdout\":null",       "\"wall_ms\":null",   "\"compile\":null", "\"submitted_at\":\"1970-01-01T00:00:10.000000Z\"",
        "\"claimed_at\":null",   "\"queued_ms\":null",
    };
    struct rw_task_row row = queued_row();
    (void)state;
    expect(&row, parts, RW_ARRAY_SIZE(parts));
}

static void a_done_task_has_everything(void **state)
{
    static const char *const parts[] = {
        "\"status\":\"done\"",
        "\"verdict\":\"ok\"",
        "\"reason\":null",
        "\"attempt\":1",
        "\"exit_code\":0",
        "\"signal\":null",
        "\"signal_name\":null",
        "\"stdout\":\"42\\n\"",
        "\"stdout_truncated\":false",
        "\"stderr\":\"/wA=\"",
        "\"stderr_encoding\":\"base64\"",
        "\"compile_output\":\"\"",
        "\"wall_ms\":12.345",
        "\"cpu_ms\":11,",
        "\"memory_bytes\":9000000",
        "\"queued_ms\":1.5",
        "\"leasing_ms\":0.5",
        "\"startup_ms\":4,",
        "\"compile_ms\":null",
        "\"run_ms\":12.345",
        "\"total_ms\":1000}",
    };
    struct rw_task_row row = done_row();
    (void)state;
    expect(&row, parts, RW_ARRAY_SIZE(parts));
}

static void a_compiled_and_killed_task(void **state)
{
    static const char *const parts[] = {
        "\"verdict\":\"signalled\"",
        "\"exit_code\":null",
        "\"signal\":11",
        "\"signal_name\":\"SIGSEGV\"",
        "\"compile\":{\"wall_ms\":3,\"cpu_ms\":2.5,\"memory_bytes\":77}",
        "\"startup_ms\":1,",
        "\"compile_ms\":3",
        "\"compile_output\":\"warning\"",
        "\"compile_output_truncated\":true",
        "\"reason\":\"said why\"",
    };
    struct rw_task_row row = done_row();
    (void)state;
    row.verdict = RW_VERDICT_SIGNALLED;
    row.has_exit_code = false;
    row.signal = 11;
    row.compile_wall_us = 3000;
    row.compile_cpu_us = 2500;
    row.compile_memory_bytes = 77;
    row.compile_output = rw_bytes_of("warning", 7);
    row.compile_truncated = true;
    row.reason = "said why";
    expect(&row, parts, RW_ARRAY_SIZE(parts));
}

static void clocks_may_disagree(void **state)
{
    static const char *const parts[] = {"\"leasing_ms\":0,"};
    struct rw_task_row row = done_row();
    (void)state;
    row.leased_us = row.claimed_us - 5000; /* a scheduler's clock behind the database's */
    expect(&row, parts, RW_ARRAY_SIZE(parts));
}

static void a_dead_task_says_why(void **state)
{
    static const char *const parts[] = {"\"status\":\"dead\"", "\"verdict\":null", "\"reason\":\"3 attempts were lost\"",
                                        "\"stdout\":\"\""};
    struct rw_task_row row = queued_row();
    (void)state;
    row.state = RW_TASK_DEAD;
    row.has_result = true;
    row.reason = "3 attempts were lost";
    row.wall_us = row.cpu_us = row.memory_bytes = row.compile_wall_us = row.leased_us = row.started_us = row.finished_us = -1;
    expect(&row, parts, RW_ARRAY_SIZE(parts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_202_says),
        cmocka_unit_test(a_queued_task_has_nulls),
        cmocka_unit_test(a_done_task_has_everything),
        cmocka_unit_test(a_compiled_and_killed_task),
        cmocka_unit_test(clocks_may_disagree),
        cmocka_unit_test(a_dead_task_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
