/* What the client makes of a result: bytes, a line for people, and an exit status for scripts. */
#include "support.h"

#include "result.h"
#include "text.h"

/* Parse as the client does: guarded, then strictly. */
static cJSON *parse(const char *text)
{
    static const struct rw_json_limits limits = {.bytes_max = 65536, .depth_max = 8, .values_max = 1000};
    struct rw_error err = {0};
    RW_AUTO_BUFFER struct rw_buffer guarded;
    rw_buffer_init(&guarded, 65536);
    assert_ok(text_guard(rw_bytes_of(text, strlen(text)), &guarded, &err), &err);
    cJSON *json = NULL;
    assert_int_equal(rw_json_parse(rw_buffer_view(&guarded), &limits, &json, &err), 0);
    return json;
}

static void test_exit_status_tells_the_verdict(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int status;
    } cases[] = {
        {"{\"status\":\"done\",\"verdict\":\"ok\"}", 0},
        {"{\"status\":\"done\",\"verdict\":\"runtime_error\"}", 1},
        {"{\"status\":\"done\",\"verdict\":\"compile_error\"}", 2},
        {"{\"status\":\"done\",\"verdict\":\"wrong_answer\"}", 3},
        {"{\"status\":\"done\",\"verdict\":\"signalled\"}", 4},
        {"{\"status\":\"done\",\"verdict\":\"time_limit\"}", 5},
        {"{\"status\":\"done\",\"verdict\":\"memory_limit\"}", 6},
        {"{\"status\":\"done\",\"verdict\":\"output_limit\"}", 7},
        {"{\"status\":\"done\",\"verdict\":\"internal_error\"}", 8},
        {"{\"status\":\"cancelled\"}", 9},
        {"{\"status\":\"dead\"}", 10},
        {"{\"status\":\"queued\"}", 75},
        {"{\"status\":\"running\",\"verdict\":null}", 75},
        {"{\"status\":\"done\",\"verdict\":\"splendid\"}", 76},
        {"{\"status\":7}", 76},
        {"[]", 76},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        RW_AUTO(cJSON_Delete) cJSON *json = parse(cases[i].json);
        assert_int_equal(result_exit_status(json), cases[i].status);
    }
}

static void test_every_verdict_has_a_status_of_its_own(void **state)
{
    (void)state;
    bool is_taken[_RW_VERDICT_MAX] = {false};
    for (int verdict = 0; verdict < _RW_VERDICT_MAX; verdict++) {
        char text[96];
        (void)snprintf(text, sizeof(text), "{\"status\":\"done\",\"verdict\":\"%s\"}", rw_verdict_name((enum rw_verdict)verdict));
        RW_AUTO(cJSON_Delete) cJSON *json = parse(text);
        int status = result_exit_status(json);
        assert_in_range(status, 0, _RW_VERDICT_MAX - 1);
        assert_false(is_taken[status]);
        is_taken[status] = true;
    }
}

static void check_stream(const char *json_text, const char *bytes, size_t len)
{
    struct rw_error err = {0};
    RW_AUTO(cJSON_Delete) cJSON *json = parse(json_text);
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, 64);
    assert_ok(result_stream(json, "stdout", &out, &err), &err);
    assert_int_equal(out.len, len);
    if (len > 0) {
        assert_memory_equal(out.data, bytes, len);
    }
}

static void test_streams_are_the_bytes_that_were_printed(void **state)
{
    (void)state;
    check_stream("{}", "", 0);
    check_stream("{\"stdout\":null}", "", 0);
    check_stream("{\"stdout\":\"gr\xc3\xbc\xc3\x9f\\n\"}", "gr\xc3\xbc\xc3\x9f\n", 7);
    check_stream("{\"stdout\":\"a\\u0000b\"}", "a\0b", 3);
    check_stream("{\"stdout\":\"\\ue000\xee\x80\x80\"}", "\xee\x80\x80\xee\x80\x80", 6);
    check_stream("{\"stdout\":\"/wAB\",\"stdout_encoding\":\"base64\"}", "\xff\x00\x01", 3);
}

static void test_broken_base64_is_told(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO(cJSON_Delete) cJSON *json = parse("{\"stdout\":\"*\",\"stdout_encoding\":\"base64\"}");
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, 64);
    assert_fails(result_stream(json, "stdout", &out, &err), &err, PROTOCOL, "");
}

static void check_print(const char *json_text, const char *expected_out, const char *expected_log)
{
    struct rw_error err = {0};
    RW_AUTO(cJSON_Delete) cJSON *json = parse(json_text);
    char out_text[512] = "";
    char log_text[512] = "";
    FILE *out = fmemopen(out_text, sizeof(out_text), "w");
    FILE *log = fmemopen(log_text, sizeof(log_text), "w");
    assert_non_null(out);
    assert_non_null(log);
    assert_ok(result_print(json, out, log, &err), &err);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(fclose(log), 0);
    assert_string_equal(out_text, expected_out);
    assert_string_equal(log_text, expected_log);
}

static void test_printing(void **state)
{
    (void)state;
    check_print("{\"task_id\":\"T\",\"status\":\"done\",\"verdict\":\"ok\",\"language\":\"c\",\"version\":\"12\",\"exit_code\":0,"
                "\"signal\":null,\"stdout\":\"hi\",\"stderr\":\"oops\",\"compile_output\":\"w\\n\",\"wall_ms\":1.25,"
                "\"memory_bytes\":1048576,\"stdout_truncated\":true,\"stderr_truncated\":false}",
                "hi", "w\noops\nrunwave: ok, exit code 0, 1.2 ms, memory 1.0 MiB, stdout_truncated (c 12, task T)\n");
    check_print("{\"task_id\":\"T\",\"status\":\"dead\",\"language\":\"c\",\"version\":\"12\",\"reason\":\"the pod vanished\"}", "",
                "runwave: dead, the pod vanished (c 12, task T)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_status_tells_the_verdict),
        cmocka_unit_test(test_every_verdict_has_a_status_of_its_own),
        cmocka_unit_test(test_streams_are_the_bytes_that_were_printed),
        cmocka_unit_test(test_broken_base64_is_told),
        cmocka_unit_test(test_printing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
