/* The error object and its table. */
#include "support.h"

#include <ctype.h>
#include <errno.h>

static void test_every_code_has_its_name(void **state)
{
    (void)state;
    static const char *const upper[] = {
#define RW_ERR(name, http_status, retryable, exit_code, text) #name,
#include <rw/error.def>
#undef RW_ERR
    };
    assert_int_equal(RW_ARRAY_SIZE(upper), _RW_ERR_MAX - 1);
    for (size_t i = 0; i < RW_ARRAY_SIZE(upper); i++) {
        const char *name = rw_err_name((enum rw_err)(i + 1));
        assert_non_null(name);
        assert_int_equal(strlen(name), strlen(upper[i]));
        for (size_t k = 0; name[k]; k++) {
            assert_int_equal(name[k], tolower((unsigned char)upper[i][k]));
        }
    }
}

static void test_the_table_is_read_by_row(void **state)
{
    (void)state;
    assert_int_equal(rw_err_http_status(RW_ERR_NOT_FOUND), 404);
    assert_int_equal(rw_err_http_status(RW_ERR_OVERLOADED), 503);
    assert_true(rw_err_is_retryable(RW_ERR_TIMEOUT));
    assert_false(rw_err_is_retryable(RW_ERR_FIELDS));
    assert_int_equal(rw_err_exit_code(RW_ERR_CONFIG), 78);
    assert_int_equal(rw_err_exit_code(RW_OK), 0);
    assert_string_equal(rw_err_text(RW_ERR_FENCED), "lease lost");
    assert_int_equal(rw_err_http_status((enum rw_err)999), 500);
    assert_string_equal(rw_err_name(_RW_ERR_MAX), "unknown");
}

static void test_a_failure_fills_the_object(void **state)
{
    (void)state;
    struct rw_error err = {0};
    assert_int_equal(rw_fail(&err, NOT_FOUND, "task %d", 7), -1);
    assert_int_equal(err.code, RW_ERR_NOT_FOUND);
    assert_int_equal(err.sys_errno, 0);
    assert_string_equal(err.where, "test_a_failure_fills_the_object");
    assert_string_equal(err.message, "task 7");
    assert_int_equal(rw_fail_sys(&err, IO, ENOENT, "open %s", "x"), -1);
    assert_int_equal(err.sys_errno, ENOENT);
    assert_string_equal(err.message, "open x: No such file or directory");
    assert_int_equal(rw_error_wrap(&err, "loading %s", "y"), -1);
    assert_string_equal(err.message, "loading y: open x: No such file or directory");
    assert_int_equal(err.code, RW_ERR_IO);
}

static void test_nobody_needs_to_look(void **state)
{
    (void)state;
    assert_int_equal(rw_fail(NULL, IO, "x"), -1);
    assert_int_equal(rw_error_wrap(NULL, "x"), -1);
}

static void test_a_message_may_quote_itself(void **state)
{
    (void)state;
    struct rw_error err = {0};
    (void)rw_fail(&err, IO, "inner");
    (void)rw_fail(&err, INVALID, "outer (%s)", err.message);
    assert_string_equal(err.message, "outer (inner)");
}

static void test_a_message_is_one_line(void **state)
{
    (void)state;
    struct rw_error err = {0};
    (void)rw_fail(&err, IO, "a\nb\r\x1b\x7f");
    assert_string_equal(err.message, "a b   ");
}

static void test_a_long_message_is_cut_at_a_character(void **state)
{
    (void)state;
    struct rw_error err = {0};
    char text[400];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof(text); i += 3) {
            memcpy(text + i, "\xE2\x82\xAC", 3);
            text[i + 3] = '\0';
        }
        (void)rw_fail(&err, IO, "%s", text);
        size_t len = strlen(err.message);
        assert_in_range(len, RW_ERROR_MESSAGE_BYTES - 4, RW_ERROR_MESSAGE_BYTES - 1);
        assert_int_equal((len - shift) % 3, 0);
    }
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)rw_fail_sys(&err, IO, ENOENT, "%s", text);
    assert_int_equal(strlen(err.message), RW_ERROR_MESSAGE_BYTES - 1);
    assert_int_equal(rw_error_wrap(&err, "%s", text), -1);
    assert_int_equal(strlen(err.message), RW_ERROR_MESSAGE_BYTES - 1);
}

static void test_what_is_put_behind_is_cut_too(void **state)
{
    (void)state;
    char text[RW_ERROR_MESSAGE_BYTES + 4];
    memset(text, 'y', sizeof(text));
    for (size_t len = RW_ERROR_MESSAGE_BYTES - 30; len < sizeof(text); len++) {
        static const char rest[] = ": No such file or directory";
        struct rw_error err = {0};
        (void)rw_fail_sys(&err, IO, ENOENT, "%.*s", (int)len, text);
        size_t kept = len < RW_ERROR_MESSAGE_BYTES - 1 ? len : RW_ERROR_MESSAGE_BYTES - 1;
        size_t whole = kept + strlen(rest);
        assert_int_equal(strlen(err.message), whole < RW_ERROR_MESSAGE_BYTES - 1 ? whole : RW_ERROR_MESSAGE_BYTES - 1);
        assert_memory_equal(err.message + kept, rest, strlen(err.message) - kept);
        struct rw_error wrapped = {.message = "No such file or directory"};
        (void)rw_error_wrap(&wrapped, "%.*s", (int)len, text);
        assert_string_equal(wrapped.message, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_has_its_name),
        cmocka_unit_test(test_the_table_is_read_by_row),
        cmocka_unit_test(test_a_failure_fills_the_object),
        cmocka_unit_test(test_nobody_needs_to_look),
        cmocka_unit_test(test_a_message_may_quote_itself),
        cmocka_unit_test(test_a_message_is_one_line),
        cmocka_unit_test(test_a_long_message_is_cut_at_a_character),
        cmocka_unit_test(test_what_is_put_behind_is_cut_too),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
