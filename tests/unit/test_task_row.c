/* A task's row on its way in a final event. */
#include "support.h"

#include <rw/task_row.h>

static struct rw_task_row full_row(void)
{
    return (struct rw_task_row){
        .state = RW_TASK_DONE,
        .language = "python",
        .version = "3.11",
        .attempt = 2,
        .submitted_us = 1700000000000000,
        .claimed_us = 1700000000001000,
        .ended_us = 1700000000020000,
        .has_result = true,
        .verdict = RW_VERDICT_RUNTIME_ERROR,
        .has_exit_code = true,
        .exit_code = 255,
        .signal = 9,
        .stdout_bytes = rw_bytes_of("a\0b\xff", 4),
        .stderr_bytes = rw_bytes_of("e", 1),
        .compile_output = rw_bytes_of("c", 1),
        .stdout_truncated = true,
        .compile_truncated = true,
        .reason = "why",
        .wall_us = 0,
        .cpu_us = 1,
        .memory_bytes = INT64_MAX,
        .compile_wall_us = -1,
        .compile_cpu_us = -1,
        .compile_memory_bytes = -1,
        .leased_us = 5,
        .job_sent_us = 6,
        .started_us = -1,
        .finished_us = 8,
    };
}

static void assert_same_bytes(struct rw_bytes a, struct rw_bytes b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0) {
        assert_memory_equal(a.data, b.data, a.len);
    }
}

static void assert_same(const struct rw_task_row *a, const struct rw_task_row *b)
{
    assert_string_equal(a->language, b->language);
    assert_string_equal(a->version, b->version);
    assert_string_equal(a->reason ? a->reason : "none", b->reason ? b->reason : "none");
    assert_same_bytes(a->stdout_bytes, b->stdout_bytes);
    assert_same_bytes(a->stderr_bytes, b->stderr_bytes);
    assert_same_bytes(a->compile_output, b->compile_output);
#define SAME(member) assert_int_equal(a->member, b->member)
    SAME(state);
    SAME(attempt);
    SAME(submitted_us);
    SAME(claimed_us);
    SAME(ended_us);
    SAME(has_result);
    SAME(verdict);
    SAME(has_exit_code);
    SAME(exit_code);
    SAME(signal);
    SAME(stdout_truncated);
    SAME(stderr_truncated);
    SAME(compile_truncated);
    SAME(wall_us);
    SAME(cpu_us);
    SAME(memory_bytes);
    SAME(compile_wall_us);
    SAME(compile_cpu_us);
    SAME(compile_memory_bytes);
    SAME(leased_us);
    SAME(job_sent_us);
    SAME(started_us);
    SAME(finished_us);
#undef SAME
}

static void expect_the_same_back(const struct rw_task_row *row)
{
    RW_AUTO_BUFFER struct rw_buffer buffer = {0};
    struct rw_task_row back;
    struct rw_task_row_texts texts;
    struct rw_error err;
    rw_buffer_init(&buffer, 8192);
    assert_int_equal(rw_task_row_encode(row, &buffer, &err), 0);
    assert_int_equal(rw_task_row_decode(rw_buffer_view(&buffer), &back, &texts, &err), 0);
    assert_same(row, &back);
}

static void test_everything_comes_back(void **state)
{
    (void)state;
    struct rw_task_row row = full_row();
    expect_the_same_back(&row);
}

static void test_what_is_not_there_stays_away(void **state)
{
    (void)state;
    struct rw_task_row row = {.state = RW_TASK_DEAD, .language = "c", .version = "", .verdict = _RW_VERDICT_INVALID};
    row.submitted_us = row.claimed_us = row.ended_us = row.wall_us = row.cpu_us = row.memory_bytes = -1;
    row.compile_wall_us = row.compile_cpu_us = row.compile_memory_bytes = -1;
    row.leased_us = row.job_sent_us = row.started_us = row.finished_us = -1;
    expect_the_same_back(&row);
}

static void test_too_large_a_row_is_not_encoded(void **state)
{
    (void)state;
    static const char output[4096];
    RW_AUTO_BUFFER struct rw_buffer buffer = {0};
    struct rw_task_row row = full_row();
    struct rw_error err;
    row.stdout_bytes = rw_bytes_of(output, sizeof(output));
    rw_buffer_init(&buffer, sizeof(output));
    assert_int_equal(rw_task_row_encode(&row, &buffer, &err), -1);
    assert_int_equal(err.code, RW_ERR_TOO_LARGE);
}

static void expect_refused(struct rw_bytes bytes)
{
    struct rw_task_row row;
    struct rw_task_row_texts texts;
    struct rw_error err;
    assert_int_equal(rw_task_row_decode(bytes, &row, &texts, &err), -1);
    assert_int_equal(err.code, RW_ERR_PROTOCOL);
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    RW_AUTO_BUFFER struct rw_buffer buffer = {0};
    struct rw_task_row row = full_row();
    struct rw_error err;
    rw_buffer_init(&buffer, 8192);
    assert_int_equal(rw_task_row_encode(&row, &buffer, &err), 0);
    for (size_t len = 0; len < buffer.len; len++) {
        expect_refused(rw_bytes_of(buffer.data, len));
    }
}

static void test_foreign_bytes_are_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "\xc0", /* nil */
        "\x90", /* an array */
        "\x80", /* nothing in it */
        "\x81\xa5state\xa4"
        "done", /* no language */
        "\x83\xa5state\xa6"
        "queued\xa8language\xa1"
        "c\xa7version\xa1"
        "1", /* not final */
        "\x83\xa5state\xa4"
        "odds\xa8language\xa1"
        "c\xa7version\xa1"
        "1", /* no state */
        "\x83\xa5state\x01\xa8language\xa1"
        "c\xa7version\xa1"
        "1", /* of another type */
        "\x83\xa5state\xa4"
        "done\xa8language\xa1"
        "c\xa7version\xc4\x01x", /* bytes for a text */
        "\x84\xa5state\xa4"
        "done\xa8language\xa1"
        "c\xa7version\xa1"
        "1\xa4wall\xff", /* below zero */
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(refused); i++) {
        expect_refused(rw_bytes_of(refused[i], strlen(refused[i])));
    }
}

static void test_an_unknown_key_is_passed_over(void **state)
{
    (void)state;
    static const char later[] = "\x84\xa5state\xa4"
                                "done\xa5later\x81\xa1x\x07\xa8language\xa1"
                                "c\xa7version\xa1"
                                "1";
    struct rw_task_row row;
    struct rw_task_row_texts texts;
    struct rw_error err;
    assert_int_equal(rw_task_row_decode(rw_bytes_of(later, sizeof(later) - 1), &row, &texts, &err), 0);
    assert_int_equal(row.state, RW_TASK_DONE);
    assert_string_equal(row.language, "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_comes_back),          cmocka_unit_test(test_what_is_not_there_stays_away),
        cmocka_unit_test(test_too_large_a_row_is_not_encoded), cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_foreign_bytes_are_refused),      cmocka_unit_test(test_an_unknown_key_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
