/* The steward's rules, as a table of steps and at random against a plain count. */
#include "support.h"

#include "steward_book.h"

static struct rw_uuid lease(unsigned number)
{
    struct rw_uuid id = {0};
    memcpy(id.bytes, &number, sizeof(number));
    return id;
}

static uint32_t start(struct steward_book *book, enum steward_state state)
{
    assert_true(steward_book_missing(book) > 0);
    uint32_t place = steward_book_free_place(book);
    steward_book_set(book, place, state);
    return place;
}

static bool take(struct steward_book *book, uint32_t place, unsigned number)
{
    const struct rw_uuid id = lease(number);
    return steward_book_take(book, place, &id);
}

static void as_many_are_prepared_as_can_come(void **state)
{
    (void)state;
    struct steward_book book;
    steward_book_init(&book, 2, 3);
    assert_int_equal(steward_book_missing(&book), 2);
    uint32_t first = start(&book, STEWARD_PLACE_IDLE);
    uint32_t second = start(&book, STEWARD_PLACE_PREPARING);
    assert_int_not_equal(first, second);
    assert_int_equal(steward_book_missing(&book), 0);
    assert_true(take(&book, first, 1));
    assert_int_equal(steward_book_missing(&book), 1);
    (void)start(&book, STEWARD_PLACE_IDLE);
    steward_book_set(&book, second, STEWARD_PLACE_IDLE);
    assert_true(take(&book, second, 2)); /* one is to come, and one is prepared for it */
    assert_int_equal(steward_book_missing(&book), 0);
    assert_false(steward_book_is_over(&book));
}

static void uses_are_exact(void **state)
{
    (void)state;
    struct steward_book book;
    steward_book_init(&book, 1, 2);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t place = start(&book, STEWARD_PLACE_IDLE);
        assert_true(take(&book, place, i));
        steward_book_set(&book, place, STEWARD_PLACE_ENDING);
        assert_false(steward_book_is_over(&book));
        steward_book_set(&book, place, STEWARD_PLACE_FREE);
    }
    assert_int_equal(steward_book_missing(&book), 0);
    assert_true(steward_book_is_over(&book));
}

static void refusals(void **state)
{
    (void)state;
    struct steward_book book;
    steward_book_init(&book, 1, 0);
    uint32_t busy = start(&book, STEWARD_PLACE_IDLE);
    assert_true(take(&book, busy, 1));
    uint32_t idle = start(&book, STEWARD_PLACE_IDLE);
    assert_false(take(&book, busy, 2)); /* has one */
    assert_false(take(&book, idle, 2)); /* the only slot is taken */
    steward_book_set(&book, busy, STEWARD_PLACE_ENDING);
    assert_false(take(&book, idle, 1)); /* that lease had its job */
    book.is_draining = true;
    assert_false(take(&book, idle, 2));
    book.is_draining = false;
    assert_true(take(&book, idle, 2));
}

static void leases_are_remembered_for_long(void **state)
{
    (void)state;
    struct steward_book book;
    steward_book_init(&book, 1, 0);
    for (unsigned i = 1; i <= 3 * STEWARD_LEASES_MAX; i++) {
        uint32_t place = start(&book, STEWARD_PLACE_IDLE);
        assert_true(take(&book, place, i));
        steward_book_set(&book, place, STEWARD_PLACE_FREE);
        place = start(&book, STEWARD_PLACE_IDLE);
        assert_false(take(&book, place, i));
        assert_false(take(&book, place, i > STEWARD_LEASES_MAX ? i - STEWARD_LEASES_MAX + 1 : 1));
        steward_book_set(&book, place, STEWARD_PLACE_FREE);
    }
}

static void draining_prepares_nothing_and_ends(void **state)
{
    (void)state;
    struct steward_book book;
    steward_book_init(&book, 2, 0);
    uint32_t place = start(&book, STEWARD_PLACE_IDLE);
    assert_true(take(&book, place, 1));
    book.is_draining = true;
    assert_int_equal(steward_book_missing(&book), 0);
    assert_false(steward_book_is_over(&book));
    steward_book_set(&book, place, STEWARD_PLACE_SWEEPING);
    assert_false(steward_book_is_over(&book));
    steward_book_set(&book, place, STEWARD_PLACE_FREE);
    assert_true(steward_book_is_over(&book));
}

/* Whatever happens in whatever order: never more busy than slots, never more prepared than slots, never more taken than uses. */
static void at_random(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (unsigned round = 0; round < 50; round++) {
        struct steward_book book;
        uint32_t slots = 1 + random_below(&random, 5);
        uint32_t uses = random_below(&random, 40);
        steward_book_init(&book, slots, uses);
        for (unsigned step = 0; step < 2000; step++) {
            uint32_t place = random_below(&random, 2 * slots);
            enum steward_state now = book.places[place];
            if (steward_book_missing(&book) > 0 && random_below(&random, 2)) {
                (void)start(&book, STEWARD_PLACE_PREPARING);
            } else if (now == STEWARD_PLACE_IDLE && random_below(&random, 4)) {
                (void)take(&book, place, step);
            } else if (now == STEWARD_PLACE_SWEEPING || now == STEWARD_PLACE_ENDING || now == STEWARD_PLACE_IDLE) {
                steward_book_set(&book, place, STEWARD_PLACE_FREE);
            } else if (now != STEWARD_PLACE_FREE) { /* the next state, or killed */
                steward_book_set(&book, place, random_below(&random, 8) ? now + 1 : STEWARD_PLACE_SWEEPING);
            }
            uint32_t prepared = book.counts[STEWARD_PLACE_PREPARING] + book.counts[STEWARD_PLACE_IDLE];
            assert_in_range(prepared, 0, slots);
            assert_in_range(book.counts[STEWARD_PLACE_BUSY], 0, slots);
            assert_true(uses == 0 || book.taken + prepared <= uses);
            assert_true(uses == 0 || book.taken <= uses);
            uint32_t total = 0;
            for (int i = 0; i < _STEWARD_STATE_MAX; i++) {
                total += book.counts[i];
            }
            assert_int_equal(total, 2 * slots);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_are_prepared_as_can_come),
        cmocka_unit_test(uses_are_exact),
        cmocka_unit_test(refusals),
        cmocka_unit_test(leases_are_remembered_for_long),
        cmocka_unit_test(draining_prepares_nothing_and_ends),
        cmocka_unit_test(at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
