/* Publishing at birth, marks in batches, and the count of what waits for an absent broker.
 *
 * Confirms arrive on the publisher's thread and are collected under a lock; a timer marks them all with one statement. A mark that
 * fails is tried again with the next batch, and dropped when too many have gathered: an unmarked row is published again by the
 * sweep, which costs a delivery that the claim turns away. */
#include "outbox.h"

#include <pthread.h>
#include <string.h>

#include <rw/clock.h>
#include <rw/log.h>

#include "store.h"

enum {
    FLUSH_PERIOD_MS = 200,
    BACKLOG_PERIOD_MS = 1000,
    START_MS = 10000,
    STATEMENT_TIMEOUT_MS = 5000,
    MARK_BATCH_MAX = 1000,
    CONFIRMED_MAX = 100000,
};

struct outbox {
    struct api *api;
    uv_timer_t flush_timer;
    uv_timer_t backlog_timer;
    unsigned n_handles;

    pthread_mutex_t lock; /* guards confirmed, n_confirmed, capacity */
    struct rw_uuid *confirmed;
    size_t n_confirmed;
    size_t capacity;

    struct rw_uuid marking[MARK_BATCH_MAX]; /* the batch under way */
    size_t n_marking;                       /* 0: none is */

    int64_t start_end_ms; /* until then the first connection is waited for; 0: no more */

    bool is_broker_struggling; /* away, or too slow to take what we publish */
    bool has_refused;          /* since the last look */
    bool is_counting;
    int64_t backlog; /* unpublished rows: as counted, and those inserted since */
};

/* One message at the publisher. */
struct publication {
    struct outbox *outbox;
    struct rw_uuid id;
};

/* ---- confirms and marks ---- */

static void add_confirmed(struct outbox *outbox, const struct rw_uuid *ids, size_t n)
{
    (void)pthread_mutex_lock(&outbox->lock);
    size_t room = CONFIRMED_MAX - outbox->n_confirmed;
    size_t taken = n < room ? n : room;
    if (outbox->n_confirmed + taken > outbox->capacity) {
        outbox->capacity = (outbox->n_confirmed + taken) * 2;
        outbox->confirmed = rw_xrealloc(outbox->confirmed, outbox->capacity * sizeof(*outbox->confirmed));
    }
    if (taken > 0) {
        memcpy(outbox->confirmed + outbox->n_confirmed, ids, taken * sizeof(*ids));
        outbox->n_confirmed += taken;
    }
    (void)pthread_mutex_unlock(&outbox->lock);
}

/* The last ones of the list, up to a batch. */
static void take_batch(struct outbox *outbox)
{
    (void)pthread_mutex_lock(&outbox->lock);
    size_t n = outbox->n_confirmed < MARK_BATCH_MAX ? outbox->n_confirmed : MARK_BATCH_MAX;
    if (n > 0) {
        outbox->n_confirmed -= n;
        memcpy(outbox->marking, outbox->confirmed + outbox->n_confirmed, n * sizeof(*outbox->marking));
    }
    (void)pthread_mutex_unlock(&outbox->lock);
    outbox->n_marking = n;
}

static void on_marked(void *arg, const PGresult *result, const struct rw_error *err)
{
    struct outbox *outbox = arg;
    size_t n = outbox->n_marking;
    (void)result;

    outbox->n_marking = 0;
    if (err) {
        add_confirmed(outbox, outbox->marking, n);
        rw_log_error(RW_LOG_WARNING, "cannot mark published tasks", err, RW_LOG_INT("tasks", n));
    } else if (n == MARK_BATCH_MAX) {
        (void)outbox_flush(outbox);
    }
}

bool outbox_flush(struct outbox *outbox)
{
    RW_AUTO_BUFFER struct rw_buffer buffer = {0};
    struct rw_pg_params params = {0};
    struct rw_error err = {0};

    if (outbox->n_marking > 0) {
        return true;
    }
    take_batch(outbox);
    if (outbox->n_marking == 0) {
        return false;
    }
    rw_buffer_init(&buffer, MARK_BATCH_MAX * 64);
    if (rw_pg_param_uuid_array(&params, outbox->marking, outbox->n_marking, &buffer, &err)) {
        on_marked(outbox, NULL, &err);
        return true;
    }
    rw_pg_param_int8(&params, outbox->api->config->lost_after_ms);
    rw_pg_exec(outbox->api->pg, STORE_MARK, &params, STATEMENT_TIMEOUT_MS, on_marked, outbox);
    return true;
}

/* Not ready before the first connection, so that the first tasks need not wait for the sweep; ready all the same when the broker
 * stays away. */
static void watch_start(struct outbox *outbox)
{
    bool is_connected = rw_amqp_publisher_is_connected(outbox->api->publisher);
    if (is_connected || rw_monotonic_ms() >= outbox->start_end_ms) {
        outbox->start_end_ms = 0;
        rw_health_set(outbox->api->health, "broker", true, NULL);
    }
}

static void on_flush_timer(uv_timer_t *timer)
{
    struct outbox *outbox = timer->data;
    if (outbox->start_end_ms != 0 && outbox->api->publisher) {
        watch_start(outbox);
    }
    (void)outbox_flush(outbox);
}

/* ---- publishing ---- */

/* On the publisher's thread. */
static void on_published(void *arg, enum rw_publish_outcome outcome)
{
    struct publication *publication = arg;
    if (outcome == RW_PUBLISH_CONFIRMED) {
        add_confirmed(publication->outbox, &publication->id, 1);
    }
    free(publication);
}

void outbox_publish(struct outbox *outbox, const struct rw_uuid *id, const char *language, const struct rw_trace *trace)
{
    char queue[RW_QUEUE_NAME_BYTES];
    char text[RW_UUID_TEXT_BYTES];
    struct publication *publication = rw_xcalloc(1, sizeof(*publication));
    publication->outbox = outbox;
    publication->id = *id;
    (void)rw_uuid_format(id, text);
    const struct rw_amqp_message message = {
        .exchange = RW_EXCHANGE_TASKS,
        .routing_key = rw_queue_name(language, RW_PRIORITY_NORMAL, queue),
        .body = rw_bytes_of(text, sizeof(text) - 1),
        .message_id = text,
        .traceparent = trace->traceparent,
        .is_mandatory = true,
        .is_persistent = true,
    };
    struct rw_amqp_publisher *publisher = outbox->api->publisher; /* NULL once it is stopped */
    if (!publisher || rw_amqp_publish(publisher, &message, on_published, publication, NULL)) {
        free(publication);
        rw_counter_add(outbox->api->metrics.not_published, 1);
        outbox->has_refused = true;
        outbox->backlog++;
    }
}

/* ---- the backlog ---- */

static void set_backlog(struct outbox *outbox, int64_t backlog)
{
    outbox->backlog = backlog;
    rw_gauge_set(outbox->api->metrics.backlog, backlog);
    rw_health_set(outbox->api->health, "backlog", outbox_has_room(outbox), "too many tasks wait for the broker");
}

bool outbox_has_room(const struct outbox *outbox)
{
    return !outbox->is_broker_struggling || outbox->backlog < (int64_t)outbox->api->config->backlog_max;
}

static void on_counted(void *arg, const PGresult *result, const struct rw_error *err)
{
    struct outbox *outbox = arg;
    outbox->is_counting = false;
    if (!err) {
        set_backlog(outbox, rw_pg_int8(result, 0, 0));
    }
}

/* Counted only while the broker struggles: at other times what is unpublished is on its way. */
static void on_backlog_timer(uv_timer_t *timer)
{
    struct outbox *outbox = timer->data;
    bool is_connected = rw_amqp_publisher_is_connected(outbox->api->publisher);

    outbox->is_broker_struggling = !is_connected || outbox->has_refused;
    outbox->has_refused = false;
    if (!outbox->is_broker_struggling) {
        set_backlog(outbox, 0);
        return;
    }
    set_backlog(outbox, outbox->backlog);
    if (!outbox->is_counting) {
        struct rw_pg_params params = {0};
        outbox->is_counting = true;
        rw_pg_param_int8(&params, (int64_t)outbox->api->config->backlog_max + 1);
        rw_pg_exec(outbox->api->pg, STORE_BACKLOG, &params, STATEMENT_TIMEOUT_MS, on_counted, outbox);
    }
}

/* ---- life ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct outbox *outbox = handle->data;
    if (--outbox->n_handles == 0) {
        (void)pthread_mutex_destroy(&outbox->lock);
        free(outbox->confirmed);
        free(outbox);
    }
}

int outbox_open(struct api *api, struct outbox **ret_outbox, struct rw_error *err)
{
    struct outbox *outbox = rw_xcalloc(1, sizeof(*outbox));
    outbox->api = api;
    outbox->start_end_ms = rw_monotonic_ms() + START_MS;
    rw_health_set(api->health, "broker", false, "not connected yet");
    (void)pthread_mutex_init(&outbox->lock, NULL);
    *ret_outbox = outbox;
    uv_timer_t *timers[] = {&outbox->flush_timer, &outbox->backlog_timer};
    for (size_t i = 0; i < RW_ARRAY_SIZE(timers); i++) {
        int failed = uv_timer_init(api->loop, timers[i]);
        if (failed) {
            return rw_fail_sys(err, INTERNAL, -failed, "uv_timer_init");
        }
        timers[i]->data = outbox;
        outbox->n_handles++;
    }
    (void)uv_timer_start(&outbox->flush_timer, on_flush_timer, FLUSH_PERIOD_MS, FLUSH_PERIOD_MS);
    (void)uv_timer_start(&outbox->backlog_timer, on_backlog_timer, BACKLOG_PERIOD_MS, BACKLOG_PERIOD_MS);
    return 0;
}

void outbox_stop(struct outbox *outbox, uint32_t drain_ms)
{
    (void)uv_timer_stop(&outbox->backlog_timer);
    rw_amqp_publisher_stop(outbox->api->publisher, drain_ms);
    outbox->api->publisher = NULL;
}

void outbox_close(struct outbox *outbox)
{
    if (outbox) {
        uv_close((uv_handle_t *)&outbox->flush_timer, on_handle_closed);
        uv_close((uv_handle_t *)&outbox->backlog_timer, on_handle_closed);
    }
}
