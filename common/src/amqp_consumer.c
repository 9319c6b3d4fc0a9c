/* The consumer: one channel a subscription, so that each has a prefetch of its own.
 *
 * Settlements come from any thread into a list that the thread works off. A settlement that is not due (twice, of an older
 * connection) goes no further, for the broker would close the channel over it; acks next to each other leave as one. */
#include "amqp_internal.h"

#include <stdio.h>
#include <string.h>

#include "amqp_outstanding.h"

enum { WAIT_MS = 1000, READ_BATCH = 200, FIRST_CHANNEL = AMQP_SETUP_CHANNEL + 1 };

struct settle {
    size_t subscription;
    uint64_t generation;
    uint64_t tag;
    enum rw_settlement settlement;
};

struct channel {
    const struct rw_amqp_subscription *subscription;
    amqp_channel_t id;
    char consumer_tag[AMQP_NAME_BYTES];
    struct amqp_content content;
    struct amqp_outstanding outstanding;
};

struct rw_amqp_consumer {
    struct amqp_worker worker; /* its lock also guards the settlements and is_cancelled */
    struct settle *settles;
    size_t n_settles;
    size_t settles_capacity;
    bool is_cancelled;

    struct rw_amqp_consumer_callbacks callbacks;
    struct rw_amqp_subscription *subscriptions;
    struct channel *channels;
    size_t n_channels;
    uint64_t generation;
    bool is_told_connected;
    bool has_cancelled; /* on this connection */
    struct rw_counter *delivered_counter;
};

static bool needs_settling(const struct channel *channel)
{
    return channel->subscription->queue != NULL;
}

/* ---- settling ---- */

static void reject(struct rw_amqp_consumer *consumer, const struct channel *channel, uint64_t tag, bool is_requeue)
{
    int status = amqp_basic_reject(consumer->worker.state, channel->id, tag, is_requeue);
    (void)amqp_worker_check_status(&consumer->worker, status, "rejecting");
}

static void apply(struct rw_amqp_consumer *consumer, const struct settle *settle)
{
    struct channel *channel = &consumer->channels[settle->subscription];
    if (settle->generation != consumer->generation) {
        return;
    }
    if (settle->settlement == RW_SETTLE_ACK) {
        (void)amqp_outstanding_ack(&channel->outstanding, settle->tag);
    } else if (amqp_outstanding_drop(&channel->outstanding, settle->tag)) {
        reject(consumer, channel, settle->tag, settle->settlement == RW_SETTLE_REQUEUE);
    }
}

static void send_acks(struct rw_amqp_consumer *consumer, struct channel *channel)
{
    size_t n = 0;
    const struct amqp_ack *acks = amqp_outstanding_collect(&channel->outstanding, &n);
    for (size_t i = 0; i < n && !consumer->worker.is_broken; i++) {
        int status = amqp_basic_ack(consumer->worker.state, channel->id, acks[i].tag, acks[i].is_multiple);
        (void)amqp_worker_check_status(&consumer->worker, status, "acknowledging");
    }
}

/* false when settlements are left because the socket has no room. */
static bool settle_all(struct rw_amqp_consumer *consumer)
{
    struct amqp_worker *worker = &consumer->worker;
    (void)pthread_mutex_lock(&worker->lock);
    bool has_settles = consumer->n_settles > 0;
    (void)pthread_mutex_unlock(&worker->lock);
    if (!has_settles) {
        return true;
    }
    if (!amqp_worker_can_write(worker)) {
        return false;
    }
    (void)pthread_mutex_lock(&worker->lock);
    RW_AUTO_FREE struct settle *settles = rw_take(consumer->settles);
    size_t n = consumer->n_settles;
    consumer->n_settles = 0;
    consumer->settles_capacity = 0;
    (void)pthread_mutex_unlock(&worker->lock);
    for (size_t i = 0; i < n && !worker->is_broken; i++) {
        apply(consumer, &settles[i]);
    }
    for (size_t i = 0; i < consumer->n_channels && !worker->is_broken; i++) {
        send_acks(consumer, &consumer->channels[i]);
    }
    return true;
}

/* ---- deliveries ---- */

static void deliver(struct rw_amqp_consumer *consumer, struct channel *channel)
{
    struct amqp_content *content = &channel->content;
    if (needs_settling(channel) && consumer->has_cancelled) {
        reject(consumer, channel, content->tag, true); /* it was on its way when we cancelled */
        return;
    }
    if (needs_settling(channel) && !amqp_outstanding_add(&channel->outstanding, content->tag)) {
        amqp_worker_break(&consumer->worker, "reading from the broker", "delivery out of order, or more than the prefetch");
        return;
    }
    rw_counter_add(consumer->delivered_counter, 1);
    const struct rw_amqp_delivery delivery = {
        .subscription = (size_t)(channel - consumer->channels),
        .generation = consumer->generation,
        .tag = content->tag,
        .body = rw_buffer_view(&content->body),
        .routing_key = content->routing_key,
        .trace = content->trace,
        .is_redelivered = content->is_redelivered,
    };
    consumer->callbacks.delivered(consumer->callbacks.arg, &delivery);
}

/* A batch, so that settlements and a cancel are never far behind; true when there may be more to read. */
static bool read_deliveries(struct rw_amqp_consumer *consumer)
{
    struct amqp_worker *worker = &consumer->worker;
    amqp_frame_t frame;
    for (int n = 0; n < READ_BATCH; n++) {
        if (amqp_worker_next_frame(worker, &frame) <= 0) {
            return false;
        }
        if (frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_CANCEL_METHOD) {
            amqp_worker_break(worker, "reading from the broker", "a subscription was cancelled: its queue is gone or moved");
        } else if (frame.channel >= FIRST_CHANNEL && frame.channel < FIRST_CHANNEL + consumer->n_channels) {
            struct channel *channel = &consumer->channels[frame.channel - FIRST_CHANNEL];
            int rc = amqp_content_feed(&channel->content, &frame);
            if (rc < 0) {
                amqp_worker_break(worker, "reading from the broker", "frame out of place, or message too large");
            } else if (rc > 0) {
                deliver(consumer, channel);
            }
        }
        amqp_worker_release_buffers(worker);
    }
    return true;
}

/* ---- subscribing ---- */

static int declare_exclusive(struct rw_amqp_consumer *consumer, struct channel *channel, char queue[static AMQP_NAME_BYTES])
{
    struct amqp_worker *worker = &consumer->worker;
    const amqp_queue_declare_ok_t *ok = amqp_queue_declare(worker->state, channel->id, amqp_empty_bytes, 0, 0, 1, 1,
                                                           amqp_empty_table);
    if (amqp_worker_check_rpc(worker, "declaring an exclusive queue") != 0) {
        return -1;
    }
    size_t len = ok->queue.len < AMQP_NAME_BYTES - 1 ? ok->queue.len : AMQP_NAME_BYTES - 1;
    memcpy(queue, ok->queue.bytes, len);
    queue[len] = '\0';
    const struct rw_amqp_subscription *subscription = channel->subscription;
    (void)amqp_queue_bind(worker->state, channel->id, amqp_cstring_bytes(queue), amqp_cstring_bytes(subscription->exchange),
                          amqp_cstring_bytes(subscription->binding_key ? subscription->binding_key : ""), amqp_empty_table);
    return amqp_worker_check_rpc(worker, "binding an exclusive queue");
}

static int subscribe(struct rw_amqp_consumer *consumer, struct channel *channel)
{
    struct amqp_worker *worker = &consumer->worker;
    char queue[AMQP_NAME_BYTES];
    (void)amqp_channel_open(worker->state, channel->id);
    if (amqp_worker_check_rpc(worker, "opening a channel") != 0) {
        return -1;
    }
    if (!needs_settling(channel)) {
        if (declare_exclusive(consumer, channel, queue) != 0) {
            return -1;
        }
    } else {
        (void)snprintf(queue, sizeof(queue), "%s", channel->subscription->queue);
        (void)amqp_basic_qos(worker->state, channel->id, 0, channel->subscription->prefetch, 0);
        if (amqp_worker_check_rpc(worker, "setting the prefetch") != 0) {
            return -1;
        }
    }
    (void)amqp_basic_consume(worker->state, channel->id, amqp_cstring_bytes(queue), amqp_cstring_bytes(channel->consumer_tag), 0,
                             !needs_settling(channel), 0, amqp_empty_table);
    return amqp_worker_check_rpc(worker, "subscribing");
}

static bool is_cancelled(struct rw_amqp_consumer *consumer)
{
    (void)pthread_mutex_lock(&consumer->worker.lock);
    bool is_cancelled = consumer->is_cancelled;
    (void)pthread_mutex_unlock(&consumer->worker.lock);
    return is_cancelled;
}

static void reset_channel(struct channel *channel)
{
    amqp_content_done(&channel->content);
    amqp_content_init(&channel->content);
    amqp_outstanding_clear(&channel->outstanding);
}

static int consumer_set_up(struct amqp_worker *worker)
{
    struct rw_amqp_consumer *consumer = (struct rw_amqp_consumer *)worker;
    consumer->generation++;
    consumer->has_cancelled = is_cancelled(consumer);
    for (size_t i = 0; i < consumer->n_channels; i++) {
        struct channel *channel = &consumer->channels[i];
        reset_channel(channel);
        if ((!consumer->has_cancelled || !needs_settling(channel)) && subscribe(consumer, channel) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Without waiting for the answer: what was on its way still comes and is given back. */
static void cancel_subscriptions(struct rw_amqp_consumer *consumer)
{
    consumer->has_cancelled = true;
    for (size_t i = 0; i < consumer->n_channels && !consumer->worker.is_broken; i++) {
        struct channel *channel = &consumer->channels[i];
        if (needs_settling(channel)) {
            amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(channel->consumer_tag), .nowait = 1};
            int status = amqp_send_method(consumer->worker.state, channel->id, AMQP_BASIC_CANCEL_METHOD, &cancel);
            (void)amqp_worker_check_status(&consumer->worker, status, "cancelling a subscription");
        }
    }
}

/* ---- the thread ---- */

static void consumer_serve(struct amqp_worker *worker)
{
    struct rw_amqp_consumer *consumer = (struct rw_amqp_consumer *)worker;
    consumer->is_told_connected = true;
    if (consumer->callbacks.connected) {
        consumer->callbacks.connected(consumer->callbacks.arg, consumer->generation);
    }
    while (!worker->is_broken) {
        bool is_stopping = amqp_worker_is_stopping(worker, NULL); /* before the settlements are looked at: none is missed */
        bool has_room = settle_all(consumer);
        if (!consumer->has_cancelled && is_cancelled(consumer) && amqp_worker_can_write(worker)) {
            cancel_subscriptions(consumer);
        }
        if (is_stopping) {
            return;
        }
        bool has_more = read_deliveries(consumer);
        if (!worker->is_broken) {
            amqp_worker_wait(worker, !has_room, has_more ? 0 : WAIT_MS);
        }
    }
}

static void consumer_lost(struct amqp_worker *worker)
{
    struct rw_amqp_consumer *consumer = (struct rw_amqp_consumer *)worker;
    if (consumer->is_told_connected) {
        consumer->is_told_connected = false;
        if (consumer->callbacks.disconnected) {
            consumer->callbacks.disconnected(consumer->callbacks.arg);
        }
    }
}

static const struct amqp_role consumer_role = {
    .name = "consumer",
    .thread_name = "rw-consumer",
    .set_up = consumer_set_up,
    .serve = consumer_serve,
    .lost = consumer_lost,
};

/* ---- the callers' side ---- */

static void consumer_free(struct rw_amqp_consumer *consumer)
{
    for (size_t i = 0; i < consumer->n_channels; i++) {
        amqp_content_done(&consumer->channels[i].content);
        amqp_outstanding_done(&consumer->channels[i].outstanding);
    }
    free(consumer->channels);
    free(consumer->subscriptions);
    free(consumer->settles);
    amqp_worker_done(&consumer->worker);
    free(consumer);
}

static void init_channels(struct rw_amqp_consumer *consumer, const struct rw_amqp_subscription *subscriptions, size_t n)
{
    consumer->subscriptions = rw_xmemdup(subscriptions, n * sizeof(*subscriptions));
    consumer->channels = rw_xcalloc(n, sizeof(*consumer->channels));
    consumer->n_channels = n;
    for (size_t i = 0; i < n; i++) {
        struct channel *channel = &consumer->channels[i];
        channel->subscription = &consumer->subscriptions[i];
        channel->id = (amqp_channel_t)(FIRST_CHANNEL + i);
        (void)snprintf(channel->consumer_tag, sizeof(channel->consumer_tag), "subscription-%zu", i);
        amqp_outstanding_init(&channel->outstanding, channel->subscription->prefetch);
        amqp_content_init(&channel->content);
    }
}

int rw_amqp_consumer_start(const struct rw_amqp_options *options, const struct rw_amqp_subscription *subscriptions,
                           size_t n_subscriptions, const struct rw_amqp_consumer_callbacks *callbacks,
                           struct rw_amqp_consumer **ret_consumer, struct rw_error *err)
{
    for (size_t i = 0; i < n_subscriptions; i++) {
        if (subscriptions[i].queue && subscriptions[i].prefetch == 0) {
            return rw_fail(err, CONFIG, "broker: the prefetch of queue %.64s must be at least 1", subscriptions[i].queue);
        }
    }
    struct rw_amqp_consumer *consumer = rw_xcalloc(1, sizeof(*consumer));
    if (amqp_worker_init(&consumer->worker, &consumer_role, options, err) != 0) {
        free(consumer);
        return -1;
    }
    consumer->callbacks = *callbacks;
    init_channels(consumer, subscriptions, n_subscriptions);
    RW_AUTO_FREE char *labels = rw_xasprintf("connection=\"%s\"", options->connection_name);
    consumer->delivered_counter = rw_metrics_counter(options->metrics, "runwave_broker_delivered_total", labels,
                                                     "Messages the broker delivered.");
    if (amqp_worker_start(&consumer->worker, err) != 0) {
        consumer_free(consumer);
        return -1;
    }
    *ret_consumer = consumer;
    return 0;
}

void rw_amqp_settle(struct rw_amqp_consumer *consumer, size_t subscription, uint64_t generation, uint64_t tag,
                    enum rw_settlement settlement)
{
    (void)pthread_mutex_lock(&consumer->worker.lock);
    if (consumer->n_settles == consumer->settles_capacity) {
        consumer->settles_capacity = consumer->settles_capacity ? consumer->settles_capacity * 2 : 16;
        consumer->settles = rw_xrealloc(consumer->settles, consumer->settles_capacity * sizeof(*consumer->settles));
    }
    bool was_empty = consumer->n_settles == 0;
    consumer->settles[consumer->n_settles++] = (struct settle){
        .subscription = subscription, .generation = generation, .tag = tag, .settlement = settlement};
    (void)pthread_mutex_unlock(&consumer->worker.lock);
    if (was_empty) {
        amqp_worker_wake(&consumer->worker);
    }
}

void rw_amqp_consumer_cancel(struct rw_amqp_consumer *consumer)
{
    (void)pthread_mutex_lock(&consumer->worker.lock);
    consumer->is_cancelled = true;
    (void)pthread_mutex_unlock(&consumer->worker.lock);
    amqp_worker_wake(&consumer->worker);
}

bool rw_amqp_consumer_is_connected(const struct rw_amqp_consumer *consumer)
{
    return atomic_load(&consumer->worker.is_connected);
}

void rw_amqp_consumer_last_error(struct rw_amqp_consumer *consumer, char out[static RW_ERROR_MESSAGE_BYTES])
{
    amqp_worker_copy_error(&consumer->worker, out, RW_ERROR_MESSAGE_BYTES);
}

void rw_amqp_consumer_stop(struct rw_amqp_consumer *consumer)
{
    if (consumer) {
        amqp_worker_stop(&consumer->worker, 0);
        consumer_free(consumer);
    }
}
