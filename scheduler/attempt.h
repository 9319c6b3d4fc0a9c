/* An attempt: one try at running a task, from the claim to the point where its delivery may be settled.
 *
 *   claim -> lease -> connect, hello, proof -> job -> started, output, result -> record -> event -> over
 *
 * attempt_rules.h has its states and what follows from each failure. Loop thread only. */
#ifndef SCHEDULER_ATTEMPT_H
#define SCHEDULER_ATTEMPT_H

#include "attempt_rules.h"
#include "config.h"
#include "events.h"
#include "leases.h"
#include "metrics.h"
#include "store.h"

struct attempt;

struct attempt_context { /* what all attempts work with; borrowed until the last attempt is over */
    uv_loop_t *loop;
    const struct scheduler_config *config;
    struct store *store;
    struct leases *leases;
    struct events *events;
    struct scheduler_metrics *metrics;
    void (*pod)(void *owner, struct attempt *attempt, bool has_pod); /* it got a pod, or lost it */
    /* Over: the attempt must not be used any more. is_settled: the broker may forget the message; false: it should deliver it
     * again. */
    void (*over)(void *owner, struct attempt *attempt, bool is_settled);
    void *owner;
};

/* subject: the caller's, for attempt_subject. language: index in the catalogue, for metrics. `over` is not called before it
 * returns. */
struct attempt *attempt_start(const struct attempt_context *context, const struct rw_uuid *task_id, size_t language, void *subject);
void *attempt_subject(const struct attempt *attempt);
/* True, with what to renew, while the attempt holds a claim. */
bool attempt_holding(const struct attempt *attempt, struct store_holding *ret_holding);
/* The database says that this claim is not ours any more: the code is killed, its result dropped. */
void attempt_fenced(struct attempt *attempt, int64_t fence);
/* Draining: when its job was not sent, give the task back. */
void attempt_drain(struct attempt *attempt);
/* Draining, no more time: a running attempt is given up as lost, so that others take the task now and not when its lease ends. */
void attempt_give_up(struct attempt *attempt);
/* Closing, after the store was closed: `over` with is_settled false, at once. */
void attempt_abandon(struct attempt *attempt);

#endif
