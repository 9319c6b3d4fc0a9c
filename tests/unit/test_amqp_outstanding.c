/* Which acks leave for which settlements: checked by cases, and against a broker in miniature with random settlements. */
#include "support.h"

#include "amqp_outstanding.h"

static struct amqp_outstanding with_tags(uint64_t from, uint64_t to)
{
    struct amqp_outstanding outstanding;
    amqp_outstanding_init(&outstanding, 100);
    for (uint64_t tag = from; tag <= to; tag++) {
        assert_true(amqp_outstanding_add(&outstanding, tag));
    }
    return outstanding;
}

static void what_stands_together_is_acked_together(void **state)
{
    (void)state;
    struct amqp_outstanding outstanding = with_tags(1, 9);
    const uint64_t settled[] = {3, 1, 2, 6, 8};
    for (size_t i = 0; i < RW_ARRAY_SIZE(settled); i++) {
        assert_true(amqp_outstanding_ack(&outstanding, settled[i]));
    }
    size_t n = 0;
    const struct amqp_ack *acks = amqp_outstanding_collect(&outstanding, &n);
    assert_int_equal(n, 3);
    assert_int_equal(acks[0].tag, 3);
    assert_true(acks[0].is_multiple);
    assert_int_equal(acks[1].tag, 6);
    assert_false(acks[1].is_multiple);
    assert_int_equal(acks[2].tag, 8);
    assert_false(acks[2].is_multiple);
    (void)amqp_outstanding_collect(&outstanding, &n);
    assert_int_equal(n, 0); /* once */
    assert_true(amqp_outstanding_ack(&outstanding, 4));
    acks = amqp_outstanding_collect(&outstanding, &n);
    assert_int_equal(n, 1);
    assert_int_equal(acks[0].tag, 4); /* and not 6: the broker has forgotten it */
    assert_false(acks[0].is_multiple);
    amqp_outstanding_done(&outstanding);
}

static void what_was_dropped_is_never_the_acks_tag(void **state)
{
    (void)state;
    struct amqp_outstanding outstanding = with_tags(1, 4);
    assert_true(amqp_outstanding_ack(&outstanding, 1));
    assert_true(amqp_outstanding_ack(&outstanding, 2));
    assert_true(amqp_outstanding_drop(&outstanding, 3));
    size_t n = 0;
    const struct amqp_ack *acks = amqp_outstanding_collect(&outstanding, &n);
    assert_int_equal(n, 1);
    assert_int_equal(acks[0].tag, 2);
    assert_true(acks[0].is_multiple);
    amqp_outstanding_done(&outstanding);
}

static void what_is_not_outstanding_is_refused(void **state)
{
    (void)state;
    struct amqp_outstanding outstanding = with_tags(5, 6);
    size_t n = 0;
    assert_false(amqp_outstanding_ack(&outstanding, 4));
    assert_false(amqp_outstanding_ack(&outstanding, 7));
    assert_true(amqp_outstanding_ack(&outstanding, 5));
    assert_false(amqp_outstanding_ack(&outstanding, 5));
    assert_false(amqp_outstanding_drop(&outstanding, 5));
    (void)amqp_outstanding_collect(&outstanding, &n);
    assert_false(amqp_outstanding_ack(&outstanding, 5));
    assert_false(amqp_outstanding_add(&outstanding, 6)); /* not ascending */
    amqp_outstanding_clear(&outstanding);
    assert_false(amqp_outstanding_ack(&outstanding, 6));
    assert_true(amqp_outstanding_add(&outstanding, 1));
    amqp_outstanding_done(&outstanding);
}

static void more_than_the_prefetch_is_refused(void **state)
{
    (void)state;
    struct amqp_outstanding outstanding = with_tags(1, 100);
    assert_false(amqp_outstanding_add(&outstanding, 101));
    assert_true(amqp_outstanding_drop(&outstanding, 50));
    size_t n = 0;
    (void)amqp_outstanding_collect(&outstanding, &n);
    assert_true(amqp_outstanding_add(&outstanding, 101));
    amqp_outstanding_done(&outstanding);
}

enum { MODEL_TAGS = 3000 };
enum model_state { MODEL_UNSEEN, MODEL_OUT, MODEL_WANTED, MODEL_SETTLED };

/* The broker's rule: the tag of an ack must be unacked, and "multiple" acks everything before it. */
static void broker_takes(uint8_t *model, const struct amqp_ack *ack)
{
    assert_int_equal(model[ack->tag], MODEL_WANTED);
    for (uint64_t tag = ack->is_multiple ? 1 : ack->tag; tag <= ack->tag; tag++) {
        assert_true(model[tag] == MODEL_WANTED || model[tag] == MODEL_SETTLED); /* never what nobody has settled */
        model[tag] = MODEL_SETTLED;
    }
}

static void random_settlements_please_the_broker(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 50; seed++) {
        unsigned short dice[3] = {(unsigned short)seed, 1, 2};
        uint8_t model[MODEL_TAGS + 1] = {MODEL_UNSEEN};
        struct amqp_outstanding outstanding;
        amqp_outstanding_init(&outstanding, 64);
        uint64_t next = 1;
        unsigned n_settled = 0;
        while (n_settled < MODEL_TAGS) {
            while (next <= MODEL_TAGS && nrand48(dice) % 8 != 0 && amqp_outstanding_add(&outstanding, next)) {
                model[next++] = MODEL_OUT;
            }
            for (long i = nrand48(dice) % 40; i > 0; i--) {
                uint64_t tag = next > 64 ? next - 1 - (uint64_t)nrand48(dice) % 64 : 1 + (uint64_t)nrand48(dice) % next;
                uint64_t oldest = 1;
                while (oldest < next && model[oldest] != MODEL_OUT) {
                    oldest++;
                }
                tag = nrand48(dice) % 4 == 0 && oldest < next ? oldest : tag;
                bool is_drop = nrand48(dice) % 10 == 0;
                bool is_out = tag <= MODEL_TAGS && model[tag] == MODEL_OUT;
                assert_int_equal(is_drop ? amqp_outstanding_drop(&outstanding, tag) : amqp_outstanding_ack(&outstanding, tag),
                                 is_out);
                if (is_out) {
                    model[tag] = is_drop ? MODEL_SETTLED : MODEL_WANTED;
                    n_settled++;
                }
            }
            size_t n = 0;
            const struct amqp_ack *acks = amqp_outstanding_collect(&outstanding, &n);
            for (size_t i = 0; i < n; i++) {
                broker_takes(model, &acks[i]);
            }
        }
        for (size_t tag = 1; tag <= MODEL_TAGS; tag++) {
            assert_int_equal(model[tag], MODEL_SETTLED);
        }
        amqp_outstanding_done(&outstanding);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_together_is_acked_together), cmocka_unit_test(what_was_dropped_is_never_the_acks_tag),
        cmocka_unit_test(what_is_not_outstanding_is_refused),     cmocka_unit_test(more_than_the_prefetch_is_refused),
        cmocka_unit_test(random_settlements_please_the_broker),
    };
    return cmocka_run_group_tests_name("amqp_outstanding", tests, NULL, NULL);
}
