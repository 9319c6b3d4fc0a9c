/* The sweep and the reconciler: see sweep.h. One batch of each is under way at a time. A batch of publishes counts its answers
 * on the publisher's thread; the last one posts the batch home, where what was confirmed is marked in one statement. What was
 * not is due again soon. */
#include "sweep.h"

#include <stdatomic.h>
#include <string.h>

#include <rw/clock.h>
#include <rw/log.h>

struct sweep {
    struct sweep_options options;
    uv_timer_t timer;
    bool is_sweeping;
    bool is_reconciling;
    bool is_closing;
    int64_t reconcile_from_ms; /* monotonic; INT64_MAX while the database was never up */
};

struct item {
    struct batch *batch;
    struct rw_uuid id;
    enum rw_publish_outcome outcome;
};

struct batch {
    struct rw_mail mail;
    struct sweep *sweep;
    atomic_size_t n_open; /* answers outstanding, and one for the loop while it publishes */
    bool is_full;
    size_t n;
    struct item items[];
};

/* ---- the outbox ---- */

static void sweep_now(struct sweep *sweep);

static void marked(void *arg, const struct rw_error *err)
{
    struct batch *batch = arg;
    struct sweep *sweep = batch->sweep;
    if (err && err->code != RW_ERR_CANCELLED) {
        rw_log_error(RW_LOG_WARNING, "published tasks not marked, they will be published again", err,
                     RW_LOG_INT("tasks", batch->n));
    }
    bool is_more = batch->is_full && !err;
    free(batch);
    sweep->is_sweeping = false;
    if (is_more) {
        sweep_now(sweep);
    }
}

/* A publish that found no queue is the operator's to mend: a language that the catalogue does not have any more. */
static void log_unroutable(struct sweep *sweep, const struct item *item)
{
    char id[RW_UUID_TEXT_BYTES];
    rw_counter_add(sweep->options.metrics->unroutable, 1);
    rw_log(RW_LOG_WARNING, "no queue takes the task", RW_LOG_STR("task_id", rw_uuid_format(&item->id, id)));
}

static void batch_home(struct rw_mail *mail)
{
    struct batch *batch = (struct batch *)(void *)mail;
    struct sweep *sweep = batch->sweep;
    if (sweep->is_closing) {
        free(batch);
        return;
    }
    RW_AUTO_FREE struct rw_uuid *ids = rw_xcalloc(batch->n + 1, sizeof(*ids));
    size_t n = 0;
    for (size_t i = 0; i < batch->n; i++) {
        if (batch->items[i].outcome == RW_PUBLISH_CONFIRMED) {
            ids[n++] = batch->items[i].id;
        } else if (batch->items[i].outcome == RW_PUBLISH_RETURNED) {
            log_unroutable(sweep, &batch->items[i]);
        }
    }
    rw_counter_add(sweep->options.metrics->republished, n);
    if (n > 0) {
        store_mark_published(sweep->options.store, ids, n, marked, batch);
        return;
    }
    free(batch);
    sweep->is_sweeping = false;
}

static void close_one(struct batch *batch)
{
    if (atomic_fetch_sub(&batch->n_open, 1) == 1) {
        batch->mail.run = batch_home;
        rw_mailbox_post(batch->sweep->options.mailbox, &batch->mail);
    }
}

/* On the publisher's thread. */
static void published(void *arg, enum rw_publish_outcome outcome)
{
    struct item *item = arg;
    item->outcome = outcome;
    close_one(item->batch);
}

static void publish(struct sweep *sweep, const struct store_due *due, struct item *item)
{
    char queue[RW_QUEUE_NAME_BYTES];
    char id[RW_UUID_TEXT_BYTES];
    (void)rw_uuid_format(&due->id, id);
    const struct rw_amqp_message message = {
        .exchange = RW_EXCHANGE_TASKS,
        .routing_key = rw_queue_name(due->language, due->priority, queue),
        .body = rw_bytes_of(id, RW_UUID_TEXT_BYTES - 1),
        .message_id = id,
        .traceparent = due->traceparent[0] != '\0' ? due->traceparent : NULL,
        .is_mandatory = true,
        .is_persistent = true,
    };
    struct rw_error err;
    if (rw_amqp_publish(sweep->options.publisher, &message, published, item, &err) < 0) {
        published(item, RW_PUBLISH_UNKNOWN);
    }
}

static void swept(void *arg, const struct store_due *due, size_t n, const struct rw_error *err)
{
    struct sweep *sweep = arg;
    if (err || n == 0) {
        sweep->is_sweeping = false;
        return;
    }
    struct batch *batch = rw_xcalloc(1, sizeof(*batch) + n * sizeof(batch->items[0]));
    batch->sweep = sweep;
    batch->n = n;
    batch->is_full = n == STORE_SWEEP_MAX;
    atomic_init(&batch->n_open, n + 1);
    for (size_t i = 0; i < n; i++) {
        batch->items[i] = (struct item){.batch = batch, .id = due[i].id, .outcome = RW_PUBLISH_UNKNOWN};
        publish(sweep, &due[i], &batch->items[i]);
    }
    close_one(batch);
}

static void sweep_now(struct sweep *sweep)
{
    if (!sweep->is_sweeping && !sweep->is_closing && store_is_connected(sweep->options.store) &&
        rw_amqp_publisher_is_connected(sweep->options.publisher)) {
        sweep->is_sweeping = true;
        store_sweep(sweep->options.store, swept, sweep);
    }
}

/* ---- tasks whose scheduler is gone ---- */

static void tell_dead(struct sweep *sweep, const struct store_expired *expired)
{
    rw_counter_add(sweep->options.metrics->reconciled_dead, 1);
    for (size_t i = 0; i < rw_catalogue_count(sweep->options.catalogue); i++) {
        if (strcmp(rw_catalogue_at(sweep->options.catalogue, i)->id, expired->language) == 0) {
            rw_counter_add(sweep->options.metrics->dead[i], 1);
        }
    }
    events_final(sweep->options.events, RW_TASK_DEAD, &expired->id);
}

static void reconciled(void *arg, const struct store_expired *expired, size_t n, const struct rw_error *err)
{
    struct sweep *sweep = arg;
    sweep->is_reconciling = false;
    if (err) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        char id[RW_UUID_TEXT_BYTES];
        char trace_id[RW_TRACE_ID_BYTES] = "";
        struct rw_trace trace;
        if (rw_trace_parse(expired[i].traceparent, &trace, NULL) == 0) {
            rw_trace_id(&trace, trace_id);
        }
        rw_log(RW_LOG_WARNING,
               expired[i].is_dead ? "lease ran out on the last attempt, task dead" : "lease ran out, task queued again",
               RW_LOG_STR("task_id", rw_uuid_format(&expired[i].id, id)), RW_LOG_INT("attempt", expired[i].attempt),
               RW_LOG_STR("trace_id", trace_id));
        if (expired[i].is_dead) {
            tell_dead(sweep, &expired[i]);
        } else {
            rw_counter_add(sweep->options.metrics->reconciled, 1);
        }
    }
    if (n > 0) {
        sweep_now(sweep);
    }
}

static void reconcile_now(struct sweep *sweep)
{
    if (!sweep->is_reconciling && store_is_connected(sweep->options.store) && rw_monotonic_ms() >= sweep->reconcile_from_ms) {
        sweep->is_reconciling = true;
        store_reconcile(sweep->options.store, reconciled, sweep);
    }
}

/* ---- life ---- */

static void on_timer(uv_timer_t *timer)
{
    struct sweep *sweep = timer->data;
    sweep_now(sweep);
    reconcile_now(sweep);
}

void sweep_database_up(struct sweep *sweep)
{
    sweep->reconcile_from_ms = rw_monotonic_ms() + sweep->options.config->lease_ms;
}

struct sweep *sweep_start(const struct sweep_options *options)
{
    struct sweep *sweep = rw_xcalloc(1, sizeof(*sweep));
    sweep->options = *options;
    sweep->reconcile_from_ms = INT64_MAX;
    (void)uv_timer_init(options->loop, &sweep->timer);
    sweep->timer.data = sweep;
    (void)uv_timer_start(&sweep->timer, on_timer, options->config->sweep_ms, options->config->sweep_ms);
    return sweep;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sweep_close(struct sweep *sweep)
{
    if (sweep) {
        sweep->is_closing = true;
        uv_close((uv_handle_t *)&sweep->timer, on_closed);
    }
}
