/* The lease book. */
#include "support.h"

#include "leases.h"

static struct lease *add(struct lease_book *book, int64_t deadline_ms)
{
    struct lease *lease = rw_xcalloc(1, sizeof(*lease));
    lease->id = rw_uuid_v7();
    lease->deadline_ms = deadline_ms;
    lease->pod = book; /* any pod */
    leases_add(book, lease);
    return lease;
}

static void leases_are_found_by_id(void **state)
{
    (void)state;
    struct lease_book book;
    leases_init(&book);
    struct lease *a = add(&book, 100);
    struct lease *b = add(&book, 200);
    struct rw_uuid a_id = a->id;
    assert_ptr_equal(leases_find(&book, &a->id), a);
    assert_ptr_equal(leases_find(&book, &b->id), b);
    leases_remove(&book, a);
    assert_null(leases_find(&book, &a_id));
    assert_ptr_equal(leases_find(&book, &b->id), b);
    leases_done(&book);
}

static void overdue_ones_are_swept_and_no_others(void **state)
{
    (void)state;
    struct lease_book book;
    leases_init(&book);
    assert_null(leases_overdue(&book, INT64_MAX - 1));
    for (int64_t i = 0; i < 1000; i++) {
        (void)add(&book, 1000 + (i * 7919) % 1000);
    }
    assert_null(leases_overdue(&book, 999));
    unsigned n_left = 1000;
    for (int64_t now_ms = 1000; now_ms < 2000; now_ms += 100) {
        for (struct lease *lease = leases_overdue(&book, now_ms); lease; lease = leases_overdue(&book, now_ms)) {
            assert_true(lease->deadline_ms <= now_ms);
            leases_remove(&book, lease);
            n_left--;
        }
        assert_int_equal(HASH_COUNT(book.by_id), n_left);
        for (struct lease *lease = book.by_id; lease; lease = lease->hh.next) {
            assert_true(lease->deadline_ms > now_ms);
        }
    }
    assert_true(n_left > 0);
    leases_done(&book);
}

static void a_lease_added_later_may_end_sooner(void **state)
{
    (void)state;
    struct lease_book book;
    leases_init(&book);
    (void)add(&book, 5000);
    assert_null(leases_overdue(&book, 100));
    struct lease *soon = add(&book, 200);
    assert_ptr_equal(leases_overdue(&book, 200), soon);
    leases_done(&book);
}

static void a_lease_without_its_pod_lingers_for_a_moment(void **state)
{
    (void)state;
    struct lease_book book;
    leases_init(&book);
    struct lease *lease = add(&book, 3600000);
    leases_linger(&book, lease, 1000);
    assert_null(lease->pod);
    assert_ptr_equal(leases_find(&book, &lease->id), lease);
    assert_null(leases_overdue(&book, 1000 + LEASES_LINGER_MS - 1));
    assert_ptr_equal(leases_overdue(&book, 1000 + LEASES_LINGER_MS), lease);
    struct lease *near_end = add(&book, 1500);
    leases_linger(&book, near_end, 1000);
    assert_int_equal(near_end->deadline_ms, 1500); /* never longer than it was given for */
    leases_done(&book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leases_are_found_by_id),
        cmocka_unit_test(overdue_ones_are_swept_and_no_others),
        cmocka_unit_test(a_lease_added_later_may_end_sooner),
        cmocka_unit_test(a_lease_without_its_pod_lingers_for_a_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
