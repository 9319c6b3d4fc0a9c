/* Writing times down. */
#include "support.h"

#include <time.h>

#include <rw/clock.h>

static void assert_time(int64_t realtime_us, const char *wanted)
{
    char text[RW_RFC3339_BYTES];
    assert_string_equal(rw_format_rfc3339(realtime_us, text), wanted);
    assert_ptr_equal(rw_format_rfc3339(realtime_us, text), text);
}

static void test_rfc3339(void **state)
{
    (void)state;
    assert_time(0, "1970-01-01T00:00:00.000000Z");
    assert_time(1769860800123456, "2026-01-31T12:00:00.123456Z");
    assert_time(951782399000001, "2000-02-28T23:59:59.000001Z");
    assert_time(951782400000000, "2000-02-29T00:00:00.000000Z");
    assert_time(253402300799999999, "9999-12-31T23:59:59.999999Z");
}

static void test_times_before_the_epoch(void **state)
{
    (void)state;
    assert_time(-1, "1969-12-31T23:59:59.999999Z");
    assert_time(-1000000, "1969-12-31T23:59:59.000000Z");
}

static void test_the_clocks_run(void **state)
{
    (void)state;
    int64_t before_us = rw_monotonic_us();
    int64_t before_ms = rw_monotonic_ms();
    struct timespec pause = {.tv_nsec = 2000000};
    (void)nanosleep(&pause, NULL);
    assert_true(rw_monotonic_us() - before_us >= 2000);
    assert_in_range(rw_monotonic_ms() - before_ms, 1, 60000);
    int64_t real_s = rw_realtime_us() / 1000000;
    assert_in_range(time(NULL) - real_s + 2, 0, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_times_before_the_epoch),
        cmocka_unit_test(test_the_clocks_run),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
