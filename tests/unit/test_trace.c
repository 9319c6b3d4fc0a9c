/* W3C trace contexts; the examples are the specification's. */
#include "support.h"

#include <rw/trace.h>

#define GOOD "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void test_a_new_trace_can_be_parsed(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct rw_trace trace, parsed, other;
    rw_trace_new(&trace);
    assert_ok(rw_trace_parse(trace.traceparent, &parsed, &err), &err);
    assert_string_equal(parsed.traceparent, trace.traceparent);
    assert_string_equal(trace.traceparent + 52, "-01");
    rw_trace_new(&other);
    assert_string_not_equal(trace.traceparent, other.traceparent);
}

static void test_a_child_keeps_the_trace_id(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct rw_trace parent, child, parsed;
    char parent_id[RW_TRACE_ID_BYTES], child_id[RW_TRACE_ID_BYTES];
    assert_ok(rw_trace_parse(GOOD, &parent, &err), &err);
    rw_trace_child(&parent, &child);
    assert_ok(rw_trace_parse(child.traceparent, &parsed, &err), &err);
    rw_trace_id(&parent, parent_id);
    rw_trace_id(&child, child_id);
    assert_string_equal(parent_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_string_equal(child_id, parent_id);
    assert_memory_not_equal(child.traceparent + 36, parent.traceparent + 36, 16);
    assert_string_equal(child.traceparent + 52, "-01");
}

static void test_an_unset_trace_stays_unset(void **state)
{
    (void)state;
    struct rw_trace unset = {0}, child;
    char id[RW_TRACE_ID_BYTES] = "x";
    rw_trace_child(&unset, &child);
    assert_memory_equal(&child, &unset, sizeof(child));
    rw_trace_id(&unset, id);
    assert_string_equal(id, "");
}

static void test_what_is_no_traceparent(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",   /* version */
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",   /* version */
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",   /* upper case */
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067aa0ba902b7-01",   /* upper case */
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0G",   /* digit */
        "00-4bf92f3577b34da6a3ce929d0e0e473x-00f067aa0ba902b7-01",   /* digit */
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",   /* zero */
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",   /* zero */
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", /* longer */
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",    /* shorter */
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",   /* hyphens */
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",   /* hyphens */
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",   /* hyphens */
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        struct rw_error err = {0};
        struct rw_trace trace = {"untouched"};
        assert_fails(rw_trace_parse(bad[i], &trace, &err), &err, INVALID, "traceparent");
        assert_string_equal(trace.traceparent, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_trace_can_be_parsed),
        cmocka_unit_test(test_a_child_keeps_the_trace_id),
        cmocka_unit_test(test_an_unset_trace_stays_unset),
        cmocka_unit_test(test_what_is_no_traceparent),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
