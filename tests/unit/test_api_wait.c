/* The ?wait= argument. */
#include "support.h"

#include "wait.h"

static void seconds_are_parsed(void **state)
{
    static const struct {
        const char *text;
        uint32_t ms;
    } cases[] = {{"0", 0}, {"0.0", 0}, {"1", 1000}, {"2.5", 2500}, {"0.0004", 0}, {"59.9996", 60000}, {"60", 60000}, {"007", 7000}};
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        struct rw_field_errors errors = {0};
        struct rw_error err = {0};
        struct wait wait = {0};
        assert_ok(wait_parse(cases[i].text, 60, &wait, &errors, &err), &err);
        assert_true(wait.is_given);
        assert_int_equal(wait.ms, cases[i].ms);
        assert_int_equal(errors.count, 0);
    }
}

static void nothing_is_no_wait(void **state)
{
    struct rw_field_errors errors = {0};
    struct wait wait = {.is_given = true, .ms = 1};
    struct rw_error err = {0};
    (void)state;
    assert_ok(wait_parse(NULL, 60, &wait, &errors, &err), &err);
    assert_false(wait.is_given);
    assert_int_equal(wait.ms, 0);
}

static void anything_else_is_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "-1",
                                        "+1",
                                        "61",
                                        "60.0001",
                                        "1e1",
                                        "0x1",
                                        "nan",
                                        "inf",
                                        " 1",
                                        "1 ",
                                        "1.",
                                        ".5",
                                        "1.2.3",
                                        "1,5",
                                        "99999999999999999999999",
                                        "0.00000000000000001"};
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(wrong); i++) {
        struct rw_field_errors errors = {0};
        struct wait wait = {.ms = 77};
        struct rw_error err = {0};
        assert_fails(wait_parse(wrong[i], 60, &wait, &errors, &err), &err, FIELDS, "from 0 to 60");
        assert_int_equal(errors.count, 1);
        assert_string_equal(errors.items[0].field, "wait");
        assert_int_equal(wait.ms, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_are_parsed),
        cmocka_unit_test(nothing_is_no_wait),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
