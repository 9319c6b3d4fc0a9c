/* Back-off, and the random numbers it takes its jitter from. */
#include "support.h"

#include <rw/backoff.h>
#include <rw/random.h>

static void test_the_ceiling_doubles_up_to_the_maximum(void **state)
{
    (void)state;
    uint32_t most[6] = {0};
    for (size_t round = 0; round < 300; round++) {
        struct rw_backoff backoff;
        rw_backoff_init(&backoff, 100, 1000);
        for (size_t i = 0; i < RW_ARRAY_SIZE(most); i++) {
            static const uint32_t ceilings[] = {200, 400, 800, 1000, 1000, 1000};
            uint32_t delay = rw_backoff_next_ms(&backoff);
            assert_in_range(delay, 100, ceilings[i]);
            most[i] = delay > most[i] ? delay : most[i];
        }
        assert_int_equal(backoff.failures, RW_ARRAY_SIZE(most));
    }
    assert_true(most[1] > 200);
    assert_true(most[2] > 400);
    assert_true(most[3] > 800);
}

static void test_reset_begins_anew(void **state)
{
    (void)state;
    struct rw_backoff backoff;
    rw_backoff_init(&backoff, 10, 100000);
    for (size_t i = 0; i < 100; i++) {
        assert_in_range(rw_backoff_next_ms(&backoff), 10, 100000);
    }
    rw_backoff_reset(&backoff);
    assert_in_range(rw_backoff_next_ms(&backoff), 10, 20);
}

static void test_extremes_do_not_overflow(void **state)
{
    (void)state;
    struct rw_backoff backoff;
    rw_backoff_init(&backoff, 500, 100);
    assert_int_equal(rw_backoff_next_ms(&backoff), 500);
    rw_backoff_init(&backoff, 0, UINT32_MAX);
    backoff.failures = UINT32_MAX;
    (void)rw_backoff_next_ms(&backoff);
    assert_int_equal(backoff.failures, UINT32_MAX);
    rw_backoff_init(&backoff, UINT32_MAX, UINT32_MAX);
    assert_int_equal(rw_backoff_next_ms(&backoff), UINT32_MAX);
}

static void test_random_below_reaches_every_value(void **state)
{
    (void)state;
    unsigned seen[7] = {0};
    for (size_t i = 0; i < 7000; i++) {
        uint32_t value = rw_random_below(7);
        assert_in_range(value, 0, 6);
        seen[value]++;
    }
    for (size_t i = 0; i < 7; i++) {
        assert_in_range(seen[i], 700, 1300); /* 1000 expected, 10 standard deviations */
    }
    assert_int_equal(rw_random_below(1), 0);
}

static void test_random_bytes_fill_all(void **state)
{
    (void)state;
    uint8_t bytes[64];
    unsigned ones[64] = {0};
    for (size_t i = 0; i < 64; i++) {
        memset(bytes, 0, sizeof(bytes));
        rw_random_bytes(bytes, sizeof(bytes));
        for (size_t k = 0; k < 64; k++) {
            ones[k] += bytes[k] != 0;
        }
    }
    for (size_t k = 0; k < 64; k++) {
        assert_true(ones[k] > 32);
    }
    rw_random_bytes(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_ceiling_doubles_up_to_the_maximum),
        cmocka_unit_test(test_reset_begins_anew),
        cmocka_unit_test(test_extremes_do_not_overflow),
        cmocka_unit_test(test_random_below_reaches_every_value),
        cmocka_unit_test(test_random_bytes_fill_all),
    };
    return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
