/* load_amqp: publishes messages, each until it is confirmed, and consumes them, while somebody kills the broker. What was confirmed
 * must arrive. SIGTERM: begins no more messages, finishes those begun, and prints one JSON line. Ends with 1 when a message is
 * missing or a callback came twice or never. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rw/amqp.h>
#include <rw/clock.h>

#include "support.h"

enum { GIVE_UP_S = 240, TICK_MS = 1, PER_TICK = 20, OPEN_MAX = 2000, MESSAGES_MAX = 4000000 };

static const char *const languages[] = {"load"};

struct message {
    struct load *load;
    atomic_int n_asked; /* callbacks due: 0 or 1 */
    atomic_bool is_confirmed;
    atomic_uint n_received;
};

struct load {
    struct rw_amqp_publisher *publisher;
    struct rw_amqp_consumer *_Atomic consumer;
    struct message *messages;
    uint32_t n_begun;
    uint32_t n_first; /* all before it are confirmed */
    atomic_uint outcomes[RW_PUBLISH_UNKNOWN + 1];
    atomic_uint n_wrong;
    atomic_uint n_connected;
    atomic_uint n_disconnected;
    atomic_uint n_received;
    uint32_t refused[_RW_ERR_MAX]; /* by rw_amqp_publish itself */
    pthread_mutex_t lock;          /* guards the deliveries that the main thread is to settle */
    struct rw_amqp_delivery *unsettled;
    size_t n_unsettled;
};

enum { PREFETCH = 100 };

static void on_published(void *arg, enum rw_publish_outcome outcome)
{
    struct message *message = arg;
    atomic_fetch_add(&message->load->outcomes[outcome], 1);
    if (outcome == RW_PUBLISH_CONFIRMED) {
        atomic_store(&message->is_confirmed, true);
    }
    if (atomic_fetch_sub(&message->n_asked, 1) != 1) {
        atomic_fetch_add(&message->load->n_wrong, 1);
    }
}

static void on_delivered(void *arg, const struct rw_amqp_delivery *delivery)
{
    struct load *load = arg;
    char text[16] = "";
    if (delivery->body.len < sizeof(text)) {
        memcpy(text, delivery->body.data, delivery->body.len);
    }
    unsigned long n = strtoul(text, NULL, 10);
    if (n >= MESSAGES_MAX) {
        atomic_fetch_add(&load->n_wrong, 1);
        return;
    }
    (void)pthread_mutex_lock(&load->lock);
    if (load->n_unsettled < PREFETCH * 4) {
        load->unsettled[load->n_unsettled++] = *delivery;
        load->unsettled[load->n_unsettled - 1].body = rw_bytes_of(NULL, n); /* the number is all that is kept */
    }
    (void)pthread_mutex_unlock(&load->lock);
}

static void on_connected(void *arg, uint64_t generation)
{
    struct load *load = arg;
    (void)fprintf(stderr, "connected (%" PRIu64 ") after %u messages\n", generation, atomic_load(&load->n_received));
    atomic_fetch_add(&load->n_connected, 1);
}

static void on_disconnected(void *arg)
{
    struct load *load = arg;
    atomic_fetch_add(&load->n_disconnected, 1);
    (void)pthread_mutex_lock(&load->lock);
    load->n_unsettled = 0; /* void: they come again */
    (void)pthread_mutex_unlock(&load->lock);
}

/* From another thread than the consumer's, as a scheduler does it: received is what was settled. */
static void settle_some(struct load *load)
{
    struct rw_amqp_delivery taken[PREFETCH * 4];
    (void)pthread_mutex_lock(&load->lock);
    size_t n = load->n_unsettled;
    memcpy(taken, load->unsettled, n * sizeof(*taken));
    load->n_unsettled = 0;
    (void)pthread_mutex_unlock(&load->lock);
    for (size_t i = 0; i < n; i++) {
        struct message *message = &load->messages[taken[i].body.len];
        if (atomic_fetch_add(&message->n_received, 1) == 0) {
            atomic_fetch_add(&load->n_received, 1);
        }
        rw_amqp_settle(load->consumer, 0, taken[i].generation, taken[i].tag, RW_SETTLE_ACK);
    }
}

static void publish(struct load *load, uint32_t n)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", n);
    const struct rw_amqp_message out = {.exchange = RW_EXCHANGE_TASKS,
                                        .routing_key = "runwave.tasks.load",
                                        .body = rw_bytes_of(text, strlen(text)),
                                        .message_id = text,
                                        .is_mandatory = true,
                                        .is_persistent = true};
    struct rw_error err;
    atomic_fetch_add(&load->messages[n].n_asked, 1);
    if (rw_amqp_publish(load->publisher, &out, on_published, &load->messages[n], &err) != 0) {
        atomic_fetch_sub(&load->messages[n].n_asked, 1);
        load->refused[err.code] += atomic_load(&load->outcomes[RW_PUBLISH_CONFIRMED]) > 0; /* not before the first connection */
    }
}

/* Begins some messages, and publishes what is neither confirmed nor under way. */
static void publish_some(struct load *load, bool begins)
{
    while (load->n_first < load->n_begun && atomic_load(&load->messages[load->n_first].is_confirmed)) {
        load->n_first++;
    }
    for (unsigned n = 0; begins && n < PER_TICK && load->n_begun - load->n_first < OPEN_MAX && load->n_begun < MESSAGES_MAX; n++) {
        load->messages[load->n_begun++].load = load;
    }
    for (uint32_t i = load->n_first; i < load->n_begun; i++) {
        const struct message *message = &load->messages[i];
        if (atomic_load(&message->n_asked) == 0 && !atomic_load(&message->is_confirmed)) {
            publish(load, i);
        }
    }
}

static int start(struct load *load, const struct rw_config_broker *config, struct rw_metrics *metrics)
{
    const struct rw_amqp_options options = {.config = config,
                                            .password = broker_password(),
                                            .connection_name = "load_amqp",
                                            .languages = languages,
                                            .n_languages = 1,
                                            .metrics = metrics};
    const struct rw_amqp_subscription subscription = {.queue = "runwave.tasks.load", .prefetch = PREFETCH};
    const struct rw_amqp_consumer_callbacks callbacks = {
        .delivered = on_delivered, .connected = on_connected, .disconnected = on_disconnected, .arg = load};
    struct rw_amqp_consumer *consumer = NULL;
    if (rw_amqp_publisher_start(&options, 1000, &load->publisher, NULL) != 0 ||
        rw_amqp_consumer_start(&options, &subscription, 1, &callbacks, &consumer, NULL) != 0) {
        return -1;
    }
    load->consumer = consumer;
    return 0;
}

static bool report(struct load *load, bool is_finished)
{
    uint32_t n_missing = 0;
    uint32_t n_open = 0;
    uint32_t n_twice = 0;
    for (uint32_t i = 0; i < load->n_begun; i++) {
        n_missing += atomic_load(&load->messages[i].n_received) == 0;
        n_twice += atomic_load(&load->messages[i].n_received) > 1;
        n_open += atomic_load(&load->messages[i].n_asked) != 0;
    }
    (void)printf("{\"finished\": %s, \"missing\": %u, \"open\": %u, \"wrong\": %u, \"twice\": %u, \"connects\": %u, "
                 "\"disconnects\": %u, \"confirmed\": %u, \"returned\": %u, \"refused\": %u, \"unknown\": %u, "
                 "\"unavailable\": %u, \"overloaded\": %u}\n",
                 is_finished ? "true" : "false", n_missing, n_open, atomic_load(&load->n_wrong), n_twice,
                 atomic_load(&load->n_connected), atomic_load(&load->n_disconnected),
                 atomic_load(&load->outcomes[RW_PUBLISH_CONFIRMED]), atomic_load(&load->outcomes[RW_PUBLISH_RETURNED]),
                 atomic_load(&load->outcomes[RW_PUBLISH_REFUSED]), atomic_load(&load->outcomes[RW_PUBLISH_UNKNOWN]),
                 load->refused[RW_ERR_UNAVAILABLE], load->refused[RW_ERR_OVERLOADED]);
    return is_finished && n_missing == 0 && n_open == 0 && atomic_load(&load->n_wrong) == 0;
}

static volatile sig_atomic_t is_stopping;

static void on_stop(int number)
{
    (void)number;
    is_stopping = 1;
}

int main(void)
{
    struct load *load = rw_xcalloc(1, sizeof(*load));
    load->messages = rw_xcalloc(MESSAGES_MAX, sizeof(*load->messages));
    load->unsettled = rw_xcalloc(PREFETCH * 4, sizeof(*load->unsettled));
    (void)pthread_mutex_init(&load->lock, NULL);
    (void)signal(SIGTERM, on_stop);
    struct rw_config_broker config = broker_config();
    config.heartbeat_s = 2; /* a broker that stands still is noticed within a test */
    struct rw_metrics *metrics = rw_metrics_new();
    if (start(load, &config, metrics) != 0) {
        return 1;
    }
    int64_t deadline_ms = rw_monotonic_ms() + GIVE_UP_S * 1000;
    bool is_finished = false;
    while (!is_finished && rw_monotonic_ms() < deadline_ms) {
        publish_some(load, !is_stopping);
        settle_some(load);
        is_finished = is_stopping && load->n_first == load->n_begun && atomic_load(&load->n_received) == load->n_begun;
        pause_ms(TICK_MS);
    }
    unsigned n_disconnected = atomic_load(&load->n_disconnected);
    rw_amqp_publisher_stop(load->publisher, 1000);
    rw_amqp_consumer_stop(load->consumer);
    atomic_store(&load->n_disconnected, n_disconnected); /* the end is none */
    bool is_right = report(load, is_finished);
    rw_metrics_free(metrics);
    free(load->messages);
    free(load->unsettled);
    free(load);
    return is_right ? 0 : 1;
}
