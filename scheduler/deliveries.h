/* Deliveries: the consumer's thread on one side, the loop on the other. One subscription for each of the three queues of every
 * language and one for the dead letters. Messages that are not a task's id end here: logged, counted and settled. */
#ifndef SCHEDULER_DELIVERIES_H
#define SCHEDULER_DELIVERIES_H

#include <rw/amqp.h>
#include <rw/language.h>
#include <rw/mailbox.h>

#include "hand.h"
#include "metrics.h"

struct deliveries;

struct deliveries_callbacks { /* all on the loop's thread, in the broker's order */
    void (*task)(void *arg, const struct rw_uuid *id, size_t language, enum rw_priority priority, const struct delivery_ref *ref);
    void (*dead)(void *arg, const struct rw_uuid *id, const struct delivery_ref *ref);
    void (*connection)(void *arg, bool is_connected);
    void *arg;
};

struct deliveries_options {
    const struct rw_amqp_options *amqp; /* borrowed until stop */
    const struct rw_catalogue *catalogue;
    uint16_t prefetch;
    struct rw_mailbox *mailbox;
    struct scheduler_metrics *metrics;
    struct deliveries_callbacks callbacks;
};

RW_NODISCARD int deliveries_start(const struct deliveries_options *options, struct deliveries **ret_deliveries,
                                  struct rw_error *err);
/* Loop thread. Acknowledge; nothing happens when the delivery is void. */
void deliveries_ack(struct deliveries *deliveries, const struct delivery_ref *ref);
/* Why the newest connection broke, or could not be made; "" when none has. */
void deliveries_last_error(const struct deliveries *deliveries, char out[static RW_ERROR_MESSAGE_BYTES]);
void deliveries_cancel(struct deliveries *deliveries); /* take no new ones */
/* Joins the thread: nothing is posted to the mailbox afterwards, but mail may still be in it. */
void deliveries_stop(struct deliveries *deliveries);
void deliveries_free(struct deliveries *deliveries); /* after the mailbox was closed */

#endif
