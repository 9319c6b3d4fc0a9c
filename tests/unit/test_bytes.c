/* The bounded buffer, and taking ownership. */
#include "support.h"

#include <rw/bytes.h>

static void test_appending_grows_up_to_the_bound(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO_BUFFER struct rw_buffer buffer;
    rw_buffer_init(&buffer, 1000);
    for (size_t i = 0; i < 100; i++) {
        assert_ok(rw_buffer_append(&buffer, "0123456789", 10, &err), &err);
    }
    assert_int_equal(buffer.len, 1000);
    assert_true(buffer.capacity <= 1000);
    assert_memory_equal(buffer.data + 990, "0123456789", 10);
    assert_fails(rw_buffer_append(&buffer, "x", 1, &err), &err, TOO_LARGE, "1000");
    assert_int_equal(buffer.len, 1000);
    assert_ok(rw_buffer_append(&buffer, NULL, 0, &err), &err);
}

static void test_a_length_that_overflows_is_refused(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO_BUFFER struct rw_buffer buffer;
    rw_buffer_init(&buffer, 100);
    assert_ok(rw_buffer_append(&buffer, "x", 1, &err), &err);
    assert_fails(rw_buffer_append(&buffer, "x", SIZE_MAX, &err), &err, TOO_LARGE, "100");
}

static void test_append_some_takes_what_fits(void **state)
{
    (void)state;
    RW_AUTO_BUFFER struct rw_buffer buffer;
    rw_buffer_init(&buffer, 5);
    assert_int_equal(rw_buffer_append_some(&buffer, "abc", 3), 3);
    assert_int_equal(rw_buffer_append_some(&buffer, "def", 3), 2);
    assert_int_equal(rw_buffer_append_some(&buffer, "g", 1), 0);
    assert_memory_equal(rw_buffer_view(&buffer).data, "abcde", 5);
}

static void test_consume_moves_the_rest_to_the_front(void **state)
{
    (void)state;
    RW_AUTO_BUFFER struct rw_buffer buffer;
    rw_buffer_init(&buffer, 10);
    rw_buffer_consume(&buffer, 3); /* nothing there yet */
    assert_int_equal(rw_buffer_append_some(&buffer, "abcdef", 6), 6);
    rw_buffer_consume(&buffer, 2);
    assert_int_equal(buffer.len, 4);
    assert_memory_equal(buffer.data, "cdef", 4);
    rw_buffer_consume(&buffer, 99);
    assert_int_equal(buffer.len, 0);
}

static void test_printf_of_any_length(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO_BUFFER struct rw_buffer buffer;
    rw_buffer_init(&buffer, 2000);
    assert_ok(rw_buffer_printf(&buffer, &err, "%d-%s|", 7, "x"), &err);
    assert_ok(rw_buffer_printf(&buffer, &err, "%0*d", 1500, 1), &err);
    assert_int_equal(buffer.len, 4 + 1500);
    assert_memory_equal(buffer.data, "7-x|000", 7);
    assert_int_equal(buffer.data[buffer.len - 1], '1');
    assert_fails(rw_buffer_printf(&buffer, &err, "%0*d", 1500, 1), &err, TOO_LARGE, "2000");
    assert_int_equal(buffer.len, 4 + 1500);
    rw_buffer_clear(&buffer);
    assert_int_equal(buffer.len, 0);
    assert_non_null(buffer.data);
}

static void test_taking_leaves_nothing_behind(void **state)
{
    (void)state;
    RW_AUTO_FREE char *text = rw_xasprintf("%s-%d", "a", 1);
    RW_AUTO_FREE char *taken = rw_take(text);
    assert_null(text);
    assert_string_equal(taken, "a-1");
    int fd = 5;
    assert_int_equal(rw_take_fd(&fd), 5);
    assert_int_equal(fd, -1);
    RW_AUTO_FREE char *nothing = rw_xmemdup(NULL, 0);
    assert_non_null(nothing);
    RW_AUTO_FREE char *cut = rw_xstrndup("abcdef", 3);
    assert_string_equal(cut, "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appending_grows_up_to_the_bound),
        cmocka_unit_test(test_a_length_that_overflows_is_refused),
        cmocka_unit_test(test_append_some_takes_what_fits),
        cmocka_unit_test(test_consume_moves_the_rest_to_the_front),
        cmocka_unit_test(test_printf_of_any_length),
        cmocka_unit_test(test_taking_leaves_nothing_behind),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
