/* The periodic care for tasks that nobody holds: the outbox sweep publishes the ids of queued tasks whose publishing is due, the
 * reconciler moves on running tasks whose lease ran out, and queued tasks whose message the broker gave up are declared dead.
 * Loop thread only. */
#ifndef SCHEDULER_SWEEP_H
#define SCHEDULER_SWEEP_H

#include "deliveries.h"
#include "events.h"
#include "store.h"

struct sweep;

struct sweep_options { /* all borrowed until close */
    uv_loop_t *loop;
    const struct scheduler_config *config;
    const struct rw_catalogue *catalogue;
    struct store *store;
    struct rw_amqp_publisher *publisher;
    struct rw_mailbox *mailbox;
    struct events *events;
    struct scheduler_metrics *metrics;
};

struct sweep *sweep_start(const struct sweep_options *options);
/* The database came (back) up: everybody gets a full lease time to renew before anything is reconciled. */
void sweep_database_up(struct sweep *sweep);
/* After the store and the publisher were stopped, before the mailbox is closed. */
void sweep_close(struct sweep *sweep);

#endif
