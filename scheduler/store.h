/* The store: every SQL statement of the scheduler, each a transaction of its own that may be repeated when its outcome is unknown.
 * docs/delivery.md explains them. All calls and callbacks on the loop's thread; no callback comes before the call has returned. */
#ifndef SCHEDULER_STORE_H
#define SCHEDULER_STORE_H

#include <rw/amqp.h>
#include <rw/pg.h>
#include <rw/runner_protocol.h>

#include "config.h"

enum { STORE_SWEEP_MAX = 500, STORE_RECONCILE_MAX = 200 };

struct store;

/* on_state: the database came up, or went away. owner: names this process, unique among all that ever ran. */
RW_NODISCARD int store_open(uv_loop_t *loop, const struct scheduler_config *config, const char *password, const char *owner,
                            struct rw_metrics *metrics, void (*on_state)(void *arg, bool is_connected), void *arg,
                            struct store **ret_store, struct rw_error *err);
bool store_is_connected(const struct store *store);
const char *store_last_error(const struct store *store); /* why not; borrowed until the next turn of the loop */
void store_close(struct store *store);                   /* what waits is answered with STORE_CLOSING, or CANCELLED, first */

/* What became of a statement that changes one attempt's task. */
enum store_outcome {
    STORE_DONE,    /* so it is, by this or by an earlier try */
    STORE_DEAD,    /* store_lose: that was the last attempt */
    STORE_FENCED,  /* the task is not this attempt's any more */
    STORE_UNSURE,  /* the database did not answer: try again */
    STORE_REFUSED, /* the database refused the statement */
    STORE_CLOSING, /* the store is being closed */
};
typedef void (*store_changed)(void *arg, enum store_outcome outcome, const struct rw_error *err);

struct store_claim { /* borrowed during the callback */
    int32_t attempt;
    int64_t fence;
    const char *language;
    const char *version;
    const char *isolation; /* "": none was asked for */
    const char *traceparent;
    struct rw_bytes job;
    int64_t submitted_us;
    int64_t claimed_us;
};
/* claim NULL and err NULL: the task is final, unknown, or held by somebody else. Repeating a claim of unknown outcome finds it
 * again. */
typedef void (*store_claimed)(void *arg, const struct store_claim *claim, const struct rw_error *err);
void store_claim(struct store *store, const struct rw_uuid *id, store_claimed done, void *arg);

struct store_result { /* borrowed until store_record returns */
    const struct rw_run_result *run;
    bool is_measured; /* false: nobody knows what the run used */
    struct rw_bytes outputs[_RW_STREAM_MAX];
    int64_t leased_us; /* real time; -1: not reached */
    int64_t job_sent_us;
    int64_t started_us;
    int64_t finished_us;
};
/* ended_us: when the task became final, by the database's clock; -1 when an earlier try of unknown outcome had done it. */
typedef void (*store_recorded)(void *arg, enum store_outcome outcome, int64_t ended_us, const struct rw_error *err);
void store_record(struct store *store, const struct rw_uuid *id, int64_t fence, const struct store_result *result,
                  store_recorded done, void *arg);
/* Back to the queue, to be published at once; dead with the reason when the attempts are used up. */
void store_lose(struct store *store, const struct rw_uuid *id, int64_t fence, const char *reason, store_changed done, void *arg);
/* Back to the queue without counting the attempt, to be published after delay_ms. */
void store_return(struct store *store, const struct rw_uuid *id, int64_t fence, uint32_t delay_ms, store_changed done, void *arg);

struct store_holding {
    struct rw_uuid id;
    int64_t fence;
};
/* Renew the leases of n attempts in one statement. held: those still ours; on err nothing is known. */
typedef void (*store_renewed)(void *arg, const struct store_holding *held, size_t n, const struct rw_error *err);
void store_renew(struct store *store, const struct store_holding *holdings, size_t n, store_renewed done, void *arg);

struct store_due { /* a queued task whose message has to be published; strings borrowed during the callback */
    struct rw_uuid id;
    const char *language;
    enum rw_priority priority;
    const char *traceparent;
};
typedef void (*store_swept)(void *arg, const struct store_due *due, size_t n, const struct rw_error *err);
void store_sweep(struct store *store, store_swept done, void *arg);
void store_mark_published(struct store *store, const struct rw_uuid *ids, size_t n,
                          void (*done)(void *arg, const struct rw_error *err), void *arg);

struct store_expired { /* a task whose attempt ran out of its lease: queued again, or dead */
    struct rw_uuid id;
    int32_t attempt;
    bool is_dead;
    const char *language; /* borrowed during the callback */
    const char *traceparent;
};
typedef void (*store_reconciled)(void *arg, const struct store_expired *expired, size_t n, const struct rw_error *err);
void store_reconcile(struct store *store, store_reconciled done, void *arg);

/* A queued task whose message the broker gave up becomes dead: STORE_DONE; STORE_FENCED when it was not queued. */
void store_bury(struct store *store, const struct rw_uuid *id, store_changed done, void *arg);

#endif
