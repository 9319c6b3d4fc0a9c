/* The deliveries of one channel that are not settled yet, by delivery tag, and which acks settle them with the fewest frames. */
#ifndef RW_AMQP_OUTSTANDING_H
#define RW_AMQP_OUTSTANDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct amqp_ack {
    uint64_t tag;
    bool is_multiple; /* all up to tag */
};

struct amqp_outstanding_entry;
struct amqp_outstanding {
    struct amqp_outstanding_entry *entries; /* ascending by tag */
    struct amqp_ack *acks;
    size_t n;
    size_t capacity;
};

void amqp_outstanding_init(struct amqp_outstanding *outstanding, size_t capacity);
void amqp_outstanding_done(struct amqp_outstanding *outstanding);
void amqp_outstanding_clear(struct amqp_outstanding *outstanding);
/* false when the tag does not come after the last one, or more than capacity would be outstanding. */
bool amqp_outstanding_add(struct amqp_outstanding *outstanding, uint64_t tag);
/* To be acked by the next collect. false when the tag is not outstanding (any more): the broker must not hear of it. */
bool amqp_outstanding_ack(struct amqp_outstanding *outstanding, uint64_t tag);
/* Settled in another way by the caller. false as above. */
bool amqp_outstanding_drop(struct amqp_outstanding *outstanding, uint64_t tag);
/* Forget what was acked or dropped; the acks to send, in order, borrowed until the next call. */
const struct amqp_ack *amqp_outstanding_collect(struct amqp_outstanding *outstanding, size_t *ret_n);

#endif
