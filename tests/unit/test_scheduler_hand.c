/* The scheduler's hand: a task is in it once, whatever the broker delivers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hand.h"

static struct rw_uuid id_of(uint32_t number)
{
    struct rw_uuid id = {{0}};
    memcpy(id.bytes, &number, sizeof(number));
    return id;
}

static enum hand_answer offer(struct hand *hand, uint32_t number, uint64_t generation, uint64_t tag)
{
    const struct rw_uuid id = id_of(number);
    const struct delivery_ref ref = {.is_valid = true, .subscription = 1, .generation = generation, .tag = tag};
    return hand_offer(hand, &id, 0, RW_PRIORITY_NORMAL, &ref);
}

static struct hand_task *find(const struct hand *hand, uint32_t number)
{
    const struct rw_uuid id = id_of(number);
    return hand_find(hand, &id);
}

/* An attempt is never looked into here: any address will do. */
static void begin(struct hand_task *task)
{
    static int somewhere;
    task->attempt = (struct attempt *)(void *)&somewhere;
}

static void first_come_first_served(void **state)
{
    (void)state;
    struct hand *hand = hand_new(1, 10, 10);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(offer(hand, i, 1, i), HAND_KEPT);
    }
    assert_int_equal(hand->n_waiting, 3);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_ptr_equal(hand_next(hand), find(hand, i));
    }
    assert_null(hand_next(hand));
    hand_free(hand);
}

static void a_second_message_of_a_task_is_a_duplicate(void **state)
{
    (void)state;
    struct hand *hand = hand_new(1, 10, 10);
    assert_int_equal(offer(hand, 1, 1, 5), HAND_KEPT);
    assert_int_equal(offer(hand, 1, 1, 6), HAND_DUPLICATE);
    begin(hand_next(hand));
    assert_int_equal(find(hand, 1)->delivery.tag, 5);
    assert_int_equal(hand_remove(hand, find(hand, 1)), HAND_DUPLICATE);
    assert_null(find(hand, 1));
    assert_int_equal(offer(hand, 1, 1, 8), HAND_KEPT);
    hand_free(hand);
}

/* It may say that the task was queued again just as the attempt ended: settling it at once would lose it. */
static void a_message_that_comes_during_an_attempt_is_looked_at_after_it(void **state)
{
    (void)state;
    struct hand *hand = hand_new(1, 1, 1);
    assert_int_equal(offer(hand, 1, 1, 5), HAND_KEPT);
    begin(hand_next(hand));
    assert_int_equal(offer(hand, 1, 1, 6), HAND_LATER);
    assert_int_equal(offer(hand, 1, 1, 7), HAND_DUPLICATE); /* one is enough */
    assert_int_equal(find(hand, 1)->delivery.tag, 5);
    assert_int_equal(hand_remove(hand, find(hand, 1)), HAND_KEPT);
    struct hand_task *again = hand_next(hand);
    assert_ptr_equal(again, find(hand, 1));
    assert_int_equal(again->delivery.tag, 6);
    assert_false(again->later.is_valid);
    hand_disconnected(hand);
    assert_int_equal(offer(hand, 1, 2, 1), HAND_RENEWED);
    assert_int_equal(offer(hand, 1, 2, 2), HAND_LATER);
    hand_disconnected(hand);
    assert_int_equal(hand_remove(hand, again), HAND_DUPLICATE); /* the broker delivers both again */
    assert_null(find(hand, 1));
    hand_free(hand);
}

static void a_redelivery_takes_the_place_of_the_void_one(void **state)
{
    (void)state;
    struct hand *hand = hand_new(1, 10, 10);
    (void)offer(hand, 1, 1, 5);
    begin(hand_next(hand));
    (void)offer(hand, 2, 1, 6);
    hand_disconnected(hand);
    assert_non_null(find(hand, 1));
    assert_false(find(hand, 1)->delivery.is_valid);
    assert_null(find(hand, 2));
    assert_int_equal(hand->n_waiting, 0);
    assert_null(hand_next(hand));

    assert_int_equal(offer(hand, 1, 2, 1), HAND_RENEWED);
    assert_true(find(hand, 1)->delivery.is_valid);
    assert_int_equal(find(hand, 1)->delivery.generation, 2);
    assert_int_equal(find(hand, 1)->delivery.tag, 1);
    assert_int_equal(offer(hand, 2, 2, 2), HAND_KEPT);
    assert_int_equal(offer(hand, 1, 2, 3), HAND_LATER);
    assert_int_equal(find(hand, 1)->delivery.tag, 1);
    hand_free(hand);
}

/* A newer connection's delivery proves that the older one is void, even if the news of the break did not come yet. */
static void a_newer_generation_wins_without_a_disconnect(void **state)
{
    (void)state;
    struct hand *hand = hand_new(1, 10, 10);
    (void)offer(hand, 1, 1, 5);
    assert_int_equal(offer(hand, 1, 2, 1), HAND_RENEWED);
    assert_int_equal(offer(hand, 1, 1, 5), HAND_DUPLICATE);
    assert_int_equal(find(hand, 1)->delivery.generation, 2);
    hand_free(hand);
}

static void pods_are_counted_once(void **state)
{
    (void)state;
    struct hand *hand = hand_new(1, 10, 1);
    (void)offer(hand, 1, 1, 1);
    (void)offer(hand, 2, 1, 2);
    struct hand_task *first = hand_next(hand);
    begin(first);
    assert_null(hand_next(hand));
    hand_set_pod(hand, first, true);
    hand_set_pod(hand, first, true);
    assert_non_null(hand_next(hand));
    hand_set_pod(hand, first, false);
    hand_set_pod(hand, first, false);
    assert_int_equal(hand->policy.languages[0].leasing, 2);
    (void)hand_remove(hand, first);
    assert_int_equal(hand->policy.languages[0].leasing, 1);
    hand_free(hand);
}

static void draining_forgets_the_waiting_only(void **state)
{
    (void)state;
    struct hand *hand = hand_new(1, 1, 1);
    (void)offer(hand, 1, 1, 1);
    (void)offer(hand, 2, 1, 2);
    begin(hand_next(hand));
    hand_drop_waiting(hand);
    assert_non_null(find(hand, 1));
    assert_true(find(hand, 1)->delivery.is_valid);
    assert_null(find(hand, 2));
    hand_free(hand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(a_second_message_of_a_task_is_a_duplicate),
        cmocka_unit_test(a_message_that_comes_during_an_attempt_is_looked_at_after_it),
        cmocka_unit_test(a_redelivery_takes_the_place_of_the_void_one),
        cmocka_unit_test(a_newer_generation_wins_without_a_disconnect),
        cmocka_unit_test(pods_are_counted_once),
        cmocka_unit_test(draining_forgets_the_waiting_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
